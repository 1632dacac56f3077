#!/usr/bin/perl

# nginx -t and llm_stream_cors: what it takes, in every context, and what it
# refuses, with the line and the reason.  What is inherited and overridden is
# seen by who gets the header.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new(log_level => 'info');
my $c = LLMTest::Config->new($t, joined => 1,
    handler => 'llm_stream openai http://127.0.0.1:1;');


my @GOOD = ('off', '*', 'https://app.example.com', 'http://localhost:3000',
    'https://a.example https://b.example:8443 credentials',
    'HTTPS://App.Example.COM', 'http://127.0.0.1', 'http://[::1]:5173',
    'https://[2001:db8::1]', 'https://xn--bcher-kva.example',
    'chrome-extension://abcdefghijklmnop', 'capacitor://localhost',
    'http://my_host', 'https://example.com.', 'https://a.example:80',
    'http://a.example:443', 'https://a.example:65535',
    'https://a.example https://a.example');

subtest 'accepted' => sub {
    for my $place (qw(http server location)) {
        $c->accepted("$_ in $place", $place => "llm_stream_cors $_;")
            for $place eq 'location' ? @GOOD : @GOOD[ 0 .. 4 ];
    }

    $c->accepted('one at each level',
        http => 'llm_stream_cors https://a.example;',
        server => 'llm_stream_cors off;',
        location => 'llm_stream_cors *;');
};


my %BAD = (
    '' => 'invalid number of arguments in "llm_stream_cors" directive',
    'credentials' => 'has no origin',
    'off credentials' => 'it has no scheme',
    'off https://a.example' => 'it has no scheme',
    'https://a.example off' => 'it has no scheme',
    'credentials https://a.example' => 'it has no scheme',
    'https://a.example credentials credentials' => 'it has no scheme',
    '* https://a.example' => 'takes no origin beside "*"',
    'https://a.example *' => 'takes no origin beside "*"',
    '* credentials' => 'takes no "credentials" with "*"',
    'null' => 'any page in a sandbox and any file sends it',
    'NULL' => 'any page in a sandbox and any file sends it',
    'a.example' => 'it has no scheme',
    '//a.example' => 'it has no scheme',
    '://a.example' => 'it has no scheme',
    'https:/a.example' => 'it has no scheme',
    '""' => 'it has no scheme',
    '1https://a.example' => 'its scheme is invalid',
    '"ht tps://a.example"' => 'its scheme is invalid',
    'https://' => 'it has no host',
    'https://:443' => 'it has no host',
    'https:///path' => 'it has a path',
    'https://*.a.example' => '"*" can only stand alone',
    'https://a.example:*' => '"*" can only stand alone',
    '*://a.example' => '"*" can only stand alone',
    'https://a.example/' => 'it ends with a slash',
    'https://a.example:8443/' => 'it ends with a slash',
    'https://a.example/app' => 'it has a path',
    'https://a.example?x' => 'it has an invalid character',
    '"https://a.example#x"' => 'it has an invalid character',
    'https://user@a.example' => 'it has an invalid character',
    '"https://a.example b"' => 'it has an invalid character',
    '"https://a.example\r\nX: y"' => 'it has an invalid character',
    'https://$host' => 'it has no host',
    'https://a.$host' => 'it has an invalid character',
    'https://%61.example' => 'it has no host',
    "https://b\xc3\xbccher.example" => 'browsers send such a name as',
    'https://a.example:' => 'its port is invalid',
    'https://a.example:0' => 'its port is invalid',
    'https://a.example:65536' => 'its port is invalid',
    'https://a.example:99999999999999999999' => 'its port is invalid',
    'https://a.example:08443' => 'its port is invalid',
    'https://a.example:x' => 'its port is invalid',
    'https://a.example:-1' => 'its port is invalid',
    'https://a.example:443' => 'browsers leave out the default port',
    'http://a.example:80' => 'browsers leave out the default port',
    'https://[::1' => 'its IPv6 address is invalid',
    'https://[]' => 'its IPv6 address is invalid',
    'https://[a.example]' => 'its IPv6 address is invalid',
    'https://[::1]x' => 'it has an invalid character',
);

subtest 'refused' => sub {
    $c->refused("llm_stream_cors $_;", qr/\Q$BAD{$_}\E/) for sort keys %BAD;

    $c->refused("llm_stream_cors https://a.example;\n"
        . 'llm_stream_cors https://b.example;', qr/is duplicate/);
    $c->refused("llm_stream_cors off;\nllm_stream_cors off;",
        qr/is duplicate/);
    $c->refused('llm_stream_cors off;',
        qr/"llm_stream_cors" directive is not allowed here/,
        location => "if (\$host) {\nllm_stream_cors off;\n}",
        name => 'in an "if"');
    $c->refused('llm_stream_cors off;',
        qr/"llm_stream_cors" directive is not allowed here/,
        main => 'llm_stream_cors off;', name => 'outside of http');
};


# a 405 of each location, asked by each origin

subtest 'inherited' => sub {
    my $use = "llm_stream openai http://127.0.0.1:1;";

    $t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_cors https://http.example credentials;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /inherits { $use }
        location /own { $use llm_stream_cors HTTPS://Own.Example; }
        location /off {
            $use
            llm_stream_cors off;
            location /off/on { $use llm_stream_cors https://in.example; }
            location /off/in { $use }
        }
        location /any { $use llm_stream_cors *; }
        location /other { return 405; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        llm_stream_cors https://server.example;
        location /inherits { $use }
        location /if { $use if (\$arg_x) { return 405; } }
        location /limit { $use limit_except POST { deny all; } }
        location /off { $use llm_stream_cors off; }
    }
}
EOT

    my @ask = (
        [ 0, '/inherits', 'https://http.example', 'https://http.example', 1 ],
        [ 0, '/inherits', 'https://own.example', undef ],
        [ 0, '/own', 'https://own.example', 'https://own.example' ],
        [ 0, '/own', 'https://http.example', undef ],
        [ 0, '/off', 'https://http.example', undef ],
        [ 0, '/off/in', 'https://http.example', undef ],
        [ 0, '/off/on', 'https://in.example', 'https://in.example' ],
        [ 0, '/any', 'https://whoever.example', '*' ],
        [ 0, '/other', 'https://http.example', undef ],
        [ 2, '/inherits', 'https://server.example',
            'https://server.example' ],
        [ 2, '/inherits', 'https://http.example', undef ],
        [ 2, '/if?x=1', 'https://server.example', 'https://server.example' ],
        [ 2, '/limit', 'https://server.example', 'https://server.example' ],
        [ 2, '/off', 'https://server.example', undef ],
    );

    for my $case (@ask) {
        my ($port, $path, $origin, $allowed, $credentials) = @$case;
        my $s = $t->open(port => $port, method => 'GET', path => $path,
            headers => { Origin => $origin });

        $s->wait_end;
        like($s->status, qr/^40[35]$/, "$port $path, $origin: answered");
        is($s->header('access-control-allow-origin'), $allowed,
            "$port $path, $origin: the origin");
        is($s->header('access-control-allow-credentials'),
            $credentials ? 'true' : undef,
            "$port $path, $origin: credentials");
    }
};


$t->finish;
