#!/usr/bin/perl

# nginx -t and the directives of token-rate limits: what they take and
# refuse, where they may stand, and what a location inherits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;
use LLMTest::Limit;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $l = LLMTest::Limit->new($t);

my $ZONE = 'llm_stream_limit_zone $http_x_key zone=a:1m rate=100t/m;';
my $HTTP = 'llm_stream openai http://127.0.0.1:1;';
my $c = LLMTest::Config->new($t, location => $HTTP);


subtest 'llm_stream_limit_zone' => sub {
    $c->accepted($_, http => "llm_stream_limit_zone $_;") for
        '$http_x_key zone=a:1m rate=100t/m',
        '$http_x_key rate=100t/s zone=a:32k',
        '"$server_name:$llm_stream_request_model" zone=a:1m rate=1t/m',
        '$remote_addr zone=a:1m rate=1000000000t/s',
        'fixed zone=a:1m rate=1t/m';

    my %bad = (
        '$http_x_key zone=a:1m' => 'invalid number of arguments',
        '$http_x_key zone=a:1m rate=1t/s x' => 'invalid number of arguments',
        '$http_x_key zone=a:1m zone=b:1m' =>
            '"llm_stream_limit_zone" must have "rate" parameter',
        '$http_x_key rate=1t/m rate=1t/s' =>
            '"llm_stream_limit_zone" must have "zone" parameter',
        '$http_x_key zone=a:1m burst=3' => 'invalid parameter "burst=3"',
        '$no_such zone=a:1m rate=1t/m' => 'unknown "no_such" variable',
        '${x zone=a:1m rate=1t/m' => 'closing bracket',
        (map { ("\$http_x_key zone=a:1m rate=$_" =>
            qr/invalid rate "rate=\Q$_\E"/) } '', '5', 't/m', '0t/m', '5t',
            '5r/m', '5t/h', '-5t/m', '5.5t/m', '1000000001t/s', '5T/M',
            '5t/mm', '99999999999999999999t/s'),
        (map { ("\$http_x_key zone=$_ rate=1t/m" =>
            qr/invalid zone size "zone=\Q$_\E"/) } 'a', ':1m', '', 'a:',
            'a:x', 'a:1x'),
        '$http_x_key zone=a:4k rate=1t/m' => 'zone "zone=a:4k" is too small',
    );

    for my $args (sort keys %bad) {
        $c->refused("llm_stream_limit_zone $args;", qr/$bad{$args}/,
            http => "llm_stream_limit_zone $args;");
    }

    $c->refused('llm_stream_limit_zone $host',
        qr/zone "a" is already bound to key "\$http_x_key"/, http =>
        "$ZONE\nllm_stream_limit_zone \$host zone=a:1m rate=1t/m;");
    $c->refused('limit_req_zone', qr/zone "a" is already declared/,
        http => "$ZONE\nlimit_req_zone \$host zone=a:1m rate=1r/m;");

    for my $place (qw(server location)) {
        $c->refused($ZONE, qr/directive is not allowed here/,
            $place => $ZONE, name => "in $place");
    }
};


subtest 'llm_stream_limit' => sub {
    for my $args ('zone=a', 'zone=a burst=5', 'burst=1000000000 zone=a',
        'off')
    {
        $c->accepted("$_: $args", http => "$ZONE\n"
                . ($_ eq 'http' ? "llm_stream_limit $args;" : ''),
            server => $_ eq 'server' ? "llm_stream_limit $args;" : '',
            location => $HTTP . ($_ eq 'location'
                ? "\nllm_stream_limit $args;" : ''))
            for qw(http server location);
    }

    $c->accepted('several zones', http => $ZONE
        . ' llm_stream_limit_zone $host zone=b:1m rate=1t/s;',
        location => "$HTTP llm_stream_limit zone=a;\n"
        . 'llm_stream_limit zone=b burst=7;');
    $c->accepted('before its zone',
        http => "llm_stream_limit zone=a;\n$ZONE");

    my %bad = (
        '' => 'invalid number of arguments',
        ' zone=a burst=1 x' => 'invalid number of arguments',
        ' a' => 'invalid parameter "a"',
        ' zone=' => 'invalid parameter "zone="',
        ' zone=a rate=5t/m' => 'invalid parameter "rate=5t/m"',
        ' zone=a off' => 'invalid parameter "off"',
        ' burst=5' => '"llm_stream_limit" must have "zone" parameter',
        map { (" zone=a burst=$_" => qr/invalid burst value "burst=\Q$_\E"/) }
            '', '0', '-1', 'x', '5t', '1000000001',
    );

    $c->refused("llm_stream_limit$_;", qr/$bad{$_}/, http => $ZONE,
        location => "$HTTP\nllm_stream_limit$_;") for sort keys %bad;

    $c->refused('llm_stream_limit zone=a burst=1;', qr/is duplicate/,
        http => $ZONE, location => "$HTTP\nllm_stream_limit  zone=a;\n"
        . 'llm_stream_limit zone=a burst=1;');
    $c->refused('llm_stream_limit off;', qr/is duplicate/, http => $ZONE,
        location => "$HTTP\nllm_stream_limit  zone=a;\nllm_stream_limit off;");
    $c->refused('llm_stream_limit zone=a;', qr/is off already/,
        http => $ZONE,
        location => "$HTTP\nllm_stream_limit off;\nllm_stream_limit zone=a;");

    # nginx sees that when all is read
    $c->refused('llm_stream_limit zone=nosuch;',
        qr/zero size shared memory zone "nosuch"/, anywhere => 1);
};


# who has which limit, by the header that says the bucket

subtest 'inherited, overridden, off' => sub {
    my $mine = 'llm_stream openai http://%%MOCK%%;';

    $t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_limit_zone \$http_x_key zone=a:1m rate=1000t/m;
    llm_stream_limit_zone \$http_x_key zone=b:1m rate=30t/s;
    llm_stream_limit zone=a;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /http { $mine }
        location /own { $mine llm_stream_limit zone=b burst=777; }
        location /off { $mine llm_stream_limit off; }
        location /outer { llm_stream_limit off;
            location /outer/off { $mine }
            location /outer/on { $mine llm_stream_limit zone=b; }
            location /outer/if { $mine llm_stream_limit zone=b burst=5;
                if (\$arg_x) { set \$y 1; } }
        }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        llm_stream_limit zone=b burst=88;
        location /server { $mine }
        location /both { $mine llm_stream_limit zone=b burst=99;
            llm_stream_limit zone=a; }
    }
}
EOT

    my @cases = (
        [ 0, '/http', 1000 ], [ 0, '/own', 777 ], [ 0, '/off', undef ],
        [ 0, '/outer/off', undef ], [ 0, '/outer/on', 30 ],
        [ 0, '/outer/if?x=1', 5 ], [ 1, '/server', 88 ], [ 1, '/both', 99 ],
    );

    for my $case (@cases) {
        my ($port, $path, $bucket) = @$case;
        my $r = $l->get($path, key => $path, port => $port,
            mock => 'tokens=2');

        is($r->{status}, 200, "$path: answered");
        is($r->{headers}{'x-ratelimit-limit-tokens'}, $bucket,
            "$path: its limit");
    }
};


$t->finish;
