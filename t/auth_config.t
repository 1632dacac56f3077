#!/usr/bin/perl

# nginx -t and sign-in: what a block may say and what it must not, with the
# line, the reason and never a word of a secret; where llm_stream_auth may
# stand, and what a level that sets a key or a sign-in takes from above.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(provider location ask bearer);

my $t = LLMTest->new;
my $mock = $t->mock;
my ($cert, $key) = $t->tls_cert('provider.test');

$t->write_file('id', "the-CANARY-id\n");
$t->write_file('secret', "the-CANARY-secret\n");
$t->write_file('crlf', "the-CANARY-secret\r\n");
$t->write_file('empty', '');
$t->write_file('blank', "\r\n\n");
$t->write_file('lines', "the-CANARY-one\nthe-CANARY-two\n");
$t->write_file('zero', "the-CANARY-\0-secret\n");
$t->write_file('long', 'the-CANARY-' . 'x' x 100_000);
$t->write_file('not-pem', "the-CANARY-certificate\n");
mkdir $t->dir . '/directory' or die "mkdir: $!";

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca);

$ENV{LLM_TEST_SECRET} = 'the-CANARY-env';
$ENV{LLM_TEST_EMPTY} = '';
delete $ENV{LLM_TEST_UNSET};

my $USE = 'llm_stream openai http://127.0.0.1:1; llm_stream_auth main;';
my %EVOLUTION = (type => 'evolution', url => undef,
    client_id => 'file:%%DIR%%/id');


# the configuration with this block and these lines at each level

sub conf {
    my ($block, %at) = @_;

    return "%%GLOBALS%%\nenv LLM_TEST_SECRET;\nenv LLM_TEST_EMPTY;\n"
        . "events { }\nhttp {\n%%HTTP%%\n$block\n" . ($at{http} // '')
        . "\nserver {\nlisten 127.0.0.1:%%PORT_0%%;\n" . ($at{server} // '')
        . "\nlocation / {\n" . ($at{location} // $USE) . "\n}\n}\n}\n";
}


sub accepted {
    my ($name, $text) = @_;
    my ($status, $output) = $t->check_config($text);

    is($status, 0, "$name: accepted") or diag($output);
    unlike($output, qr/\[(?:warn|error|crit|alert)\]/,
        "$name: without a warning");
    unlike($output, qr/CANARY/, "$name: no secret");

    return;
}


# refused with this reason; $at: what stands in the line that is named; else
# it is any line of the block

sub refused {
    my ($name, $text, $why, $at) = @_;
    my ($status, $output) = $t->check_config($text);
    my ($message) = $output =~ /^(?:nginx: )?\[(?:emerg|crit)\] (.*)/m;

    $message //= $output;
    isnt($status, 0, "$name: refused");
    like($message, $why, "$name: why");
    unlike($output, qr/CANARY/, "$name: no secret");

    my ($n) = $message =~ / in \S+:(\d+)$/;
    my @lines = (undef, split /\n/, $t->expand($text));
    my ($first) = grep { $lines[$_] =~ /llm_stream_auth_provider/ }
        1 .. $#lines;
    my ($last) = grep { $lines[$_] =~ /^\}/ } ($first // 1) .. $#lines;

    if (defined $at) {
        like($lines[ $n // 0 ] // '', qr/\Q$at\E/, "$name: the line")
            or diag("    $message");

    # what nginx's own TLS functions say has no line
    } elsif ($message !~ /SSL_CTX_/) {
        ok($n && $n >= $first && $n <= $last, "$name: a line of the block")
            or diag("    $message");
    }

    return;
}


subtest 'what a block may say' => sub {
    my %good = (
        'OAuth 2' => {},
        'the type is the default' => { type => undef },
        'https' => { url => 'https://127.0.0.1:1/oauth2/token' },
        'a port, a query' => { url => 'http://127.0.0.1:1/t?a=b' },
        'IPv6' => { url => 'http://[::1]:1/t' },
        'a form' => { format => 'form' },
        'JSON' => { format => 'json' },
        'a scope' => { scope => '"a b"' },
        'a time' => { timeout => '500ms' },
        'an id of a file' => { client_id => 'file:%%DIR%%/id' },
        'an id of the environment' => { client_id => 'env:LLM_TEST_SECRET' },
        'a secret of the environment' =>
            { client_secret => 'env:LLM_TEST_SECRET' },
        'a file with CRLF' => { client_secret => 'file:%%DIR%%/crlf' },
        'no verification' => { ssl_verify => 'off' },
        'verification' => { ssl_verify => 'on' },
        'a CA' => { ssl_trusted_certificate => '%%CA%%' },
        'Evolution' => {%EVOLUTION},
        'Evolution, its format' => { %EVOLUTION, format => 'json' },
        'Evolution, an address' => { %EVOLUTION,
            url => 'http://127.0.0.1:1/api/v1/auth/token' },
    );

    for my $name (sort keys %good) {
        my %o = %{ $good{$name} };

        # the address of Evolution is on the internet: not looked up here
        if (($o{type} // '') eq 'evolution' && !$o{url}) {
            $o{url} = 'https://127.0.0.1:1/api/v1/auth/token';
        }

        accepted($name, conf(provider('main', %o)));
    }
};


subtest 'what it may not say' => sub {
    my @bad = (
        [ 'another type', { type => 'saml' }, qr/saml|type/ ],
        [ 'no URL', { url => undef }, qr/url/ ],
        [ 'no scheme', { url => '127.0.0.1:1/t' }, qr/URL|url/ ],
        [ 'another scheme', { url => 'ftp://127.0.0.1/t' }, qr/URL|url/ ],
        [ 'no host', { url => 'http:///t' }, qr/host|url/ ],
        [ 'a bad port', { url => 'http://127.0.0.1:99999/t' },
            qr/port|url/ ],
        [ 'no id', { client_id => undef }, qr/client_id/ ],
        [ 'an empty id', { client_id => '""' }, qr/client_id|empty/ ],
        [ 'no secret', { client_secret => undef }, qr/client_secret/ ],
        [ 'a plain secret', { client_secret => 'the-CANARY-plain' },
            qr/client_secret.*file:|file:.*env:/ ],
        [ 'an empty secret', { client_secret => '""' },
            qr/client_secret|empty/ ],
        [ 'a file that is not', { client_secret => 'file:%%DIR%%/none' },
            qr/none.*No such file/ ],
        [ 'a directory', { client_secret => 'file:%%DIR%%/directory' },
            qr/directory/ ],
        [ 'an empty file', { client_secret => 'file:%%DIR%%/empty' },
            qr/empty/ ],
        [ 'a blank file', { client_secret => 'file:%%DIR%%/blank' },
            qr/empty/ ],
        [ 'several lines', { client_secret => 'file:%%DIR%%/lines' },
            qr/line|invalid|character/ ],
        [ 'a zero byte', { client_secret => 'file:%%DIR%%/zero' },
            qr/character|invalid/ ],
        [ 'a large file', { client_secret => 'file:%%DIR%%/long' },
            qr/large|long/ ],
        [ 'a file without a name', { client_secret => 'file:' },
            qr/client_secret|file|path|directory/ ],
        [ 'a variable that is not set', { client_secret =>
            'env:LLM_TEST_UNSET' }, qr/LLM_TEST_UNSET/ ],
        [ 'an empty variable', { client_secret => 'env:LLM_TEST_EMPTY' },
            qr/LLM_TEST_EMPTY/ ],
        [ 'a bad file for the id', { client_id => 'file:%%DIR%%/none' },
            qr/none.*No such file/ ],
        [ 'another format', { format => 'xml' }, qr/format|xml/ ],
        [ 'Evolution with a form', { %EVOLUTION, format => 'form',
            url => 'http://127.0.0.1:1/t' }, qr/format|json|evolution/ ],
        [ 'Evolution with a scope', { %EVOLUTION, scope => 'a',
            url => 'http://127.0.0.1:1/t' }, qr/scope/ ],
        [ 'a bad time', { timeout => '5x' }, qr/invalid|timeout/ ],
        [ 'no time', { timeout => '0' }, qr/invalid|timeout/ ],
        [ 'a bad flag', { ssl_verify => 'maybe' }, qr/on.*off|invalid/ ],
        [ 'a CA that is not', { url => 'https://127.0.0.1:1/t',
            ssl_trusted_certificate => '%%DIR%%/none' }, qr/none/ ],
        [ 'a CA that is none', { url => 'https://127.0.0.1:1/t',
            ssl_trusted_certificate => '%%DIR%%/not-pem' }, qr/not-pem/ ],
        [ 'an unknown directive', { colour => 'red' }, qr/colour/ ],
    );

    for my $case (@bad) {
        my ($name, $o, $why) = @$case;

        refused($name, conf(provider('main', %$o)), $why);
    }

    for my $name (qw(type url client_id client_secret timeout ssl_verify)) {
        my %value = (type => 'oauth2', url => 'http://127.0.0.1:1/t',
            client_id => 'x', client_secret => 'file:%%DIR%%/secret',
            timeout => '5s', ssl_verify => 'on');
        my $block = provider('main', %value)
            =~ s/(?=\}\n\z)/$name $value{$name};\n/r;

        refused("$name twice", conf($block), qr/duplicate/);
    }
};


subtest 'blocks' => sub {
    my $main = provider('main');

    refused('two of one name', conf($main . provider('main')),
        qr/duplicate/, 'llm_stream_auth_provider main');
    accepted('two of two names', conf($main . provider('other')));
    refused('no name', conf(provider('')), qr/argument|name/);
    refused('the name "off"', conf($main . provider('off')), qr/off|name/,
        'llm_stream_auth_provider off');
    refused('in a server', conf($main, server => provider('other')),
        qr/not allowed here/, 'llm_stream_auth_provider other');
    accepted('a block that nobody uses', conf($main, location =>
        'llm_stream openai http://127.0.0.1:1;'));
    accepted('a block behind its use', conf('', server =>
        'location /a { ' . $USE . ' }', location => 'return 204;')
        =~ s/\}\n\z/$main}\n/r);
};


subtest 'llm_stream_auth' => sub {
    my $main = provider('main');
    my $key_line = 'llm_stream_api_key sk-CANARY;';
    my $auth = 'llm_stream_auth main;';
    my $plain = 'llm_stream openai http://127.0.0.1:1;';

    accepted("at level $_", conf($main, location => $plain, $_ =>
        $_ eq 'location' ? "$plain $auth" : $auth))
        for qw(http server location);
    accepted('off', conf($main, location => "$plain llm_stream_auth off;"));
    refused('an unknown name', conf($main, location =>
        "$plain\nllm_stream_auth nosuch;"), qr/nosuch/,
        'llm_stream_auth nosuch');
    refused('twice', conf($main, location =>
        "$plain\n$auth\nllm_stream_auth off;"), qr/duplicate/,
        'llm_stream_auth off');
    refused('no name', conf($main, location => "$plain\nllm_stream_auth;"),
        qr/invalid number of arguments/, 'llm_stream_auth;');

    for my $level (qw(http server location)) {
        my $head = $level eq 'location' ? "$plain\n" : '';

        for my $lines ([ $key_line, $auth ], [ $auth, $key_line ]) {
            refused("with a key in $level", conf($main, location => $plain,
                $level => $head . join "\n", @$lines),
                qr/llm_stream_(?:auth|api_key)/, $lines->[1]);
        }
    }

    accepted('a key below', conf($main, http => $auth,
        location => "$plain $key_line") =~ s/CANARY/x/r);
    accepted('a key above', conf($main, http => $key_line =~ s/CANARY/x/r,
        location => "$plain $auth"));
};


# who sends what, where levels differ
subtest 'levels' => sub {
    $t->config("%%GLOBALS%%\nevents { }\nhttp {\n%%HTTP%%\n"
        . provider('main') . provider('other', client_id => 'other-id')
        . "llm_stream_auth main;\n"
        . "server {\nlisten 127.0.0.1:%%PORT_0%%;\n"
        . location('/inherits')
        . location('/key', more => 'llm_stream_api_key key-of-location;')
        . location('/off', more => 'llm_stream_auth off;')
        . location('/other', auth => 'other')
        . "}\nserver {\nlisten 127.0.0.1:%%PORT_2%%;\n"
        . "llm_stream_api_key key-of-server;\n"
        . location('/inherits') . location('/auth', auth => 'main')
        . "}\n}\n")->start;

    my %own = (headers => { Authorization => 'Bearer of-client' });
    my @cases = (
        [ 0, '/inherits', qr/^Bearer mock-token-1-/ ],
        [ 0, '/key', qr/^Bearer key-of-location$/ ],
        [ 0, '/off', qr/^Bearer of-client$/ ],
        [ 0, '/other', qr/^Bearer mock-token-2-/ ],
        [ 2, '/inherits', qr/^Bearer key-of-server$/ ],
        [ 2, '/auth', qr/^Bearer mock-token-1-/ ],
    );

    for my $case (@cases) {
        my ($port, $path, $wanted) = @$case;
        my $name = "server $port, $path";

        is(ask($t, $path, port => $port, %own)->{status}, 200, $name);
        my @bearer = bearer($mock);
        is(scalar @bearer, 1, "$name: one credential");
        like($bearer[0] // '', $wanted, "$name: the right one");
    }

    is($mock->stats->{identity}{issued}, 2, 'a token for each block');
};
