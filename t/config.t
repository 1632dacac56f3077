#!/usr/bin/perl

# nginx -t: every directive with what it takes and what it must refuse, with
# the line and the reason, and never a word of a secret; in every context it
# may stand in; and the warning for a provider whose identity is not checked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new;
my ($cert, $key) = $t->tls_cert('provider.test');

$t->write_file('key', "sk-CANARY-good\n");
$t->write_file('empty', '');
$t->write_file('blank', " \r\n\n");
$t->write_file('two', "sk-CANARY-one sk-CANARY-two\n");
$t->write_file('lines', "sk-CANARY-one\nsk-CANARY-two\n");
$t->write_file('binary', "sk-CANARY-\x01\x02");
$t->write_file('bytes', "sk-CANARY-\xc3\xa9");
$t->write_file('long', 'sk-CANARY-' . 'x' x 5000);
$t->write_file('not-pem', "sk-CANARY-not a certificate\n");
mkdir $t->dir . '/directory' or die "mkdir: $!";

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca);

$ENV{LLM_TEST_KEY} = 'sk-CANARY-env';
$ENV{LLM_TEST_EMPTY} = '';
$ENV{LLM_TEST_BAD} = "sk-CANARY-a b";
delete $ENV{LLM_TEST_UNSET};

my $HTTP = 'llm_stream openai http://127.0.0.1:1;';
my $HTTPS = 'llm_stream openai https://127.0.0.1:1;';
my $c = LLMTest::Config->new($t, main => 'env LLM_TEST_KEY;',
    location => $HTTP, never => qr/CANARY/);


# directive => [ valid values ], [ [ wrong value, reason ] ]; the first valid
# one is used in the three contexts and twice for "is duplicate"

my $TIME = [ [ '5x', 'invalid value|invalid timeout' ],
    [ '-1', 'invalid' ], [ '""', 'invalid' ], [ 'soon', 'invalid' ] ];
my $SIZE = [ [ '5x', 'invalid value' ], [ '-1', 'invalid value' ],
    [ '""', 'invalid value' ], [ 'big', 'invalid value' ] ];
my $FLAG = [ [ 'maybe', 'it must be "on" or "off"' ],
    [ '""', 'it must be "on" or "off"' ],
    [ '1', 'it must be "on" or "off"' ] ];
my $VALUE = [ [ '$no_such_variable', 'unknown "no_such_variable"' ],
    [ '${host', 'closing bracket' ], [ '"$"', 'invalid variable name' ] ];

my %simple = (
    client => [ [qw(openai simple typed text auto)],
        [ [ 'nosuch', 'unknown dialect "nosuch"' ],
            [ 'OpenAI', 'unknown dialect' ], [ '""', 'unknown dialect' ] ] ],
    model => [ [ 'm', '"$http_x_model"', '""' ], $VALUE ],
    prompt => [ [ '$arg_q', '"a $arg_q b"' ], $VALUE ],
    connect_timeout => [ [qw(5s 100ms 1m)], $TIME ],
    send_timeout => [ [qw(5s 100ms)], $TIME ],
    first_token_timeout => [ [qw(5s off 100ms)], $TIME ],
    idle_timeout => [ [qw(5s off)], $TIME ],
    total_timeout => [ [qw(5s off 1h)], $TIME ],
    heartbeat => [ [qw(5s off 50ms)], $TIME ],
    padding => [ [qw(bucket=64 bucket=128 bucket=256 random=1 random=1024
        auto off)],
        [ ( map { [ "bucket=$_", 'not 64, 128 or 256' ] }
                qw(0 1 65 512 -64 x), '' ),
            ( map { [ "random=$_", 'not between 1 and 1024' ] }
                qw(0 1025 -1 x), '' ),
            [ 'on', 'invalid parameter "on"' ],
            [ 'bucket', 'invalid parameter "bucket"' ],
            [ '""', 'invalid parameter ""' ] ] ],
    next_upstream_timeout => [ [qw(5s 0)], $TIME ],
    next_upstream_tries => [ [qw(3 0)], [ [ 'x', 'invalid number' ],
        [ '-1', 'invalid number' ], [ '""', 'invalid number' ] ] ],
    intercept_errors => [ [qw(on off)], $FLAG ],
    ignore_client_abort => [ [qw(on off)], $FLAG ],
    usage => [ [qw(off on)], $FLAG ],
    gate => [ [ qw(event off content), 'event 5s', 'content 5s' ],
        [ [ 'event soon', 'timeout' ], [ 'off 5s', 'timeout' ],
            [ 'content soon', 'timeout' ], [ 'never', 'never' ],
            [ '""', 'invalid' ], [ 'on', 'invalid' ] ] ],
    buffer_size => [ [qw(16k 1k)], [ @$SIZE, [ '100', 'at least' ],
        [ '0', 'at least' ] ] ],
    max_event_size => [ [qw(1m 64k)], $SIZE ],
    max_response_size => [ [qw(1m 64k)], $SIZE ],
    max_depth => [ [qw(128 8 1024)], [ [ 'x', 'invalid number' ],
        [ '0', 'must be' ], [ '7', 'must be' ], [ '1025', 'must be' ],
        [ '-1', 'invalid number' ] ] ],
    ssl_session_reuse => [ [qw(on off)], $FLAG ],
    ssl_server_name => [ [qw(on off)], $FLAG ],
    ssl_verify => [ [qw(on off)], $FLAG ],
    ssl_verify_depth => [ [qw(2 9)], [ [ 'x', 'invalid number' ],
        [ '-1', 'invalid number' ] ] ],
    ssl_name => [ [ 'a.test', '$host' ], $VALUE ],
    ssl_ciphers => [ [ 'HIGH', 'DEFAULT' ], [] ],
    ssl_trusted_certificate => [ ['%%CA%%'], [] ],
    ssl_crl => [ ['%%DIR%%/nothing'], [] ],
    ssl_password_file => [ ['%%DIR%%/key'],
        [ [ '%%DIR%%/nothing', 'open\(\).*failed' ] ] ],
    ssl_certificate => [ ['%%CERT%%'], [] ],
    ssl_certificate_key => [ ['%%KEY%%'], [] ],
    api_key => [ [ 'file:%%DIR%%/key', 'env:LLM_TEST_KEY', 'sk-CANARY-plain',
        '$http_x_key', 'off', 'file:key' ], [] ],
);

# these may stand more than once
my %many = (
    param => [ [ 'a 1', 'a 2 if_absent', 'b "{\"x\":[null,\"y\"]}"',
        'c "\"$host\""', 'd null', 'e "\"\""' ], [
        [ 'a "{"', 'not valid JSON' ], [ 'a abc', 'not valid JSON' ],
        [ 'a 01', 'not valid JSON' ], [ 'a ""', 'not valid JSON' ],
        [ q{a '"x'}, 'not valid JSON' ], [ 'a "1 2"', 'not valid JSON' ],
        [ 'a [1,]', 'not valid JSON' ], [ "a \"\\\"\xff\\\"\"", 'not valid' ],
        [ 'a 1 always', 'always' ], [ '"" 1', 'name' ],
        [ 'a $no_such_variable', 'unknown' ] ] ],
    set_header => [ [ 'X-A 1', 'X-B "$host"', 'X-C ""' ], [
        [ 'Content-Length 1', 'Content-Length' ],
        [ 'transfer-encoding chunked', 'transfer-encoding' ],
        [ 'Connection close', 'Connection' ],
        [ '"X A" sk-CANARY-1', 'invalid header name' ],
        [ 'X:A sk-CANARY-1', 'invalid header name' ],
        [ "\"X-\xc3\xa9\" sk-CANARY-1", 'invalid header name' ],
        [ '"X-A\r\nB" sk-CANARY-1', 'invalid header name' ],
        [ '"" sk-CANARY-1', 'cannot be set|invalid header name' ],
        [ 'X-A $no_such_variable', 'unknown' ] ] ],
    hide_header => [ [ 'X-Request-Id', 'Retry-After' ], [] ],
    pass_header => [ [ 'Server', 'X-Custom' ], [
        map { [ $_, "$_.*never" ] } qw(Set-Cookie set-cookie X-Accel-Redirect
            X-Accel-Buffering x-accel-expires X-ACCEL-ANYTHING Location
            Access-Control-Allow-Origin Content-Encoding Content-Length
            Transfer-Encoding Connection) ] ],
    next_upstream => [ [ 'error timeout', 'off', 'http_429 http_529',
        'error timeout stale http_403 http_404 http_408 http_409 http_500 '
        . 'http_502 http_503 http_504 stream_error invalid' ], [
        [ 'sometimes', 'invalid value "sometimes"' ],
        [ 'error http_418', 'invalid value "http_418"' ],
        [ 'non_idempotent', 'invalid value' ], [ '""', 'invalid value' ] ] ],
    ssl_protocols => [ [ 'TLSv1.2 TLSv1.3' ],
        [ [ 'TLSv9', 'invalid value' ] ] ],
    ssl_conf_command => [ [ 'MinProtocol TLSv1.2' ], [] ],
);

my %takes = (param => '2 or 3', set_header => 2, ssl_conf_command => 2,
    gate => '1 or 2', next_upstream => '1 and more',
    ssl_protocols => '1 and more');


subtest 'each directive' => sub {
    my %all = (%simple, %many);

    for my $name (sort keys %all) {
        my ($good, $bad) = @{ $all{$name} };

        for my $value (@$good) {
            $c->accepted("llm_stream_$name $value",
                location => "$HTTP\nllm_stream_$name $value;");
        }

        for my $case (@$bad) {
            my ($value, $why) = @$case;

            $c->refused("llm_stream_$name $value;", qr/$why/);
        }

        $c->refused("llm_stream_$name;",
            qr/invalid number of arguments in "llm_stream_$name"/);

        $c->refused("llm_stream_$name 1 2 3 4;",
            qr/invalid number of arguments in "llm_stream_$name"/)
            if ($takes{$name} // '') !~ /more/;

        $c->refused("if (\$host) { llm_stream_$name $good->[0]; }",
            qr/"llm_stream_$name" directive is not allowed here/);

        next if $many{$name};

        $c->refused("llm_stream_$name $good->[-1];", qr/is duplicate/,
            location => "$HTTP\nllm_stream_$name  $good->[0];\n"
                . "llm_stream_$name $good->[-1];",
            name => "llm_stream_$name twice");
    }
};


subtest 'in http, server and location' => sub {
    my %all = (%simple, %many);
    my @lines = map { "llm_stream_$_ $all{$_}[0][0];" } sort keys %all;

    for my $place (qw(http server location)) {
        $c->accepted("all in $place", $place => join "\n",
            ($place eq 'location' ? $HTTP : ()), @lines);
    }

    $c->accepted('all in all of them', map { $_ => join "\n",
        ($_ eq 'location' ? $HTTP : ()), @lines }
        qw(http server location));

    $c->refused('llm_stream openai http://127.0.0.1:1;',
        qr/"llm_stream" directive is not allowed here/,
        $_ => $HTTP, location => 'return 200;', name => "in $_")
        for qw(http server);
};


subtest 'llm_stream' => sub {
    my @good = ('http://127.0.0.1:1', 'http://127.0.0.1:1/', 'http://[::1]:1',
        'http://127.0.0.1:1/a?b=c', 'http://127.0.0.1', 'http://$host',
        'http://$host:8080/x/$arg_y', '$http_x_url', 'https://127.0.0.1:1',
        'http://unix:/tmp/x.sock', 'http://group', 'HTTPS://127.0.0.1:1');

    for my $url (@good) {
        $c->accepted($url, http => 'upstream group { server 127.0.0.1:1; }',
            location => "llm_stream openai $url;");
    }

    my %bad = (
        'nosuch http://127.0.0.1:1' => 'unknown dialect "nosuch"',
        '"" http://127.0.0.1:1' => 'unknown dialect',
        'OPENAI http://127.0.0.1:1' => 'unknown dialect',
        'http://127.0.0.1:1' => 'invalid number of arguments',
        'openai' => 'invalid number of arguments',
        'openai http://127.0.0.1:1 x' => 'invalid number of arguments',
        'openai 127.0.0.1:1' => 'invalid URL prefix',
        'openai ftp://127.0.0.1:1' => 'invalid URL prefix',
        'openai "http:/127.0.0.1"' => 'invalid URL prefix',
        'openai ""' => 'invalid URL prefix',
        'openai http://' => 'invalid URL prefix|no host',
        'openai http:///x' => 'no host|invalid host',
        'openai http://127.0.0.1:65536' => 'invalid port',
        'openai http://127.0.0.1:0' => 'invalid port',
        'openai http://127.0.0.1:x' => 'invalid port',
        'openai http://[::1' => 'invalid host|bracket',
        'openai http://$no_such_variable' => 'unknown "no_such_variable"',
        'openai "http://127.0.0.1:1/a b"' => 'invalid',
        'openai "http://127.0.0.1:1/a\r\nX: y"' => 'invalid',
        map { ("$_ http://127.0.0.1:1" => 'client') } qw(simple typed text),
    );

    for my $args (sort keys %bad) {
        $c->refused("llm_stream $args;", qr/$bad{$args}/,
            location => "llm_stream $args;");
    }

    $c->refused('llm_stream openai http://127.0.0.1:2;', qr/is duplicate/,
        name => 'twice');
    $c->refused('llm_stream openai http://127.0.0.1:2;',
        qr/not allowed here/, server => 'if ($host) {'
            . "\nllm_stream openai http://127.0.0.1:2;\n}",
        name => 'in an "if" of a server');
};


subtest 'keys' => sub {
    my %bad = (
        'file:%%DIR%%/nothing' => 'nothing" failed.*No such file',
        'file:%%DIR%%/directory' => 'directory',
        'file:%%DIR%%/empty' => 'is empty', 'file:%%DIR%%/blank' => 'empty',
        'file:%%DIR%%/two' => 'space',
        'file:%%DIR%%/lines' => 'invalid character',
        'file:%%DIR%%/binary' => 'invalid character',
        'file:%%DIR%%/bytes' => 'non-ASCII',
        'file:%%DIR%%/long' => 'too large',
        'file:' => 'directory|empty|No such file|failed',
        'env:LLM_TEST_UNSET' => '"LLM_TEST_UNSET" is not set',
        'env:LLM_TEST_EMPTY' => 'is empty', 'env:LLM_TEST_BAD' => 'space',
        'env:' => 'not set|empty', '""' => 'empty key',
        '"sk-CANARY-a b"' => 'space', '"sk-CANARY-\r\nX: y"' => 'control|space',
        "\"sk-CANARY-\xc3\xa9\"" => 'non-ASCII',
        'sk-CANARY-1 sk-CANARY-2' => 'number of arguments',
        'sk-CANARY-$no_such_variable' => 'unknown "no_such_variable"',
        'sk-CANARY-${x' => 'closing bracket',
    );

    for my $value (sort keys %bad) {
        $c->refused("llm_stream_api_key $value;", qr/$bad{$value}/);
    }

    $c->refused('llm_stream_api_key sk-CANARY-2;', qr/is duplicate/,
        location => "$HTTP\nllm_stream_api_key sk-CANARY-1;\n"
            . 'llm_stream_api_key sk-CANARY-2;', name => 'twice');

    # a broken file around it: nginx's own words
    $c->refused('llm_stream_api_key sk-CANARY-x', qr/unexpected|terminated/,
        anywhere => 1, name => 'no semicolon');
    $c->refused('llm_stream_api_key "sk-CANARY-x;', qr/unexpected end/,
        anywhere => 1, name => 'no closing quote');

    # a "$" in a file or in the environment is part of the key
    $t->write_file('dollar', "sk-CANARY-\$host\n");
    $c->accepted('$ in a file', location =>
        "$HTTP\nllm_stream_api_key file:%%DIR%%/dollar;");
};


subtest 'TLS' => sub {
    my %bad = (
        'trusted_certificate %%DIR%%/nothing' => 'nothing',
        'trusted_certificate %%DIR%%/not-pem' => 'not-pem',
        'crl %%DIR%%/nothing' => 'nothing',
        'ciphers NO_SUCH_CIPHER' => 'NO_SUCH_CIPHER|cipher',
        'certificate %%CERT%%' => 'llm_stream_ssl_certificate_key',
        "certificate %%DIR%%/nothing;\nllm_stream_ssl_certificate_key "
            . '%%KEY%%' => 'nothing',
        "certificate %%CERT%%;\nllm_stream_ssl_certificate_key "
            . '%%DIR%%/not-pem' => 'not-pem',
        'conf_command NoSuchCommand 1' => 'NoSuchCommand',
    );

    # told when all of a location is known, so not of that line
    for my $args (sort keys %bad) {
        $c->refused("llm_stream_ssl_$args;", qr/$bad{$args}/, anywhere => 1,
            location => "$HTTPS\nllm_stream_ssl_$args;");
    }

    $c->accepted('all of it', location => "$HTTPS\n"
        . "llm_stream_ssl_trusted_certificate %%CA%%;\n"
        . "llm_stream_ssl_certificate %%CERT%%;\n"
        . "llm_stream_ssl_certificate_key %%KEY%%;\n"
        . "llm_stream_ssl_protocols TLSv1.3;\n"
        . "llm_stream_ssl_conf_command MinProtocol TLSv1.2;\n"
        . 'llm_stream_ssl_name $host;');
};


subtest 'verify off is said' => sub {
    my $off = "llm_stream_ssl_verify off;\n";
    my $says = qr/\[warn\].*llm_stream_ssl_verify/;
    my %warns = (
        'in the location' => $c->text(location => "$HTTPS\n$off"),
        'in the server' => $c->text(server => $off, location => $HTTPS),
        'in http' => $c->text(http => $off, location => $HTTPS),
        'a host by a variable' => $c->text(location =>
            "llm_stream openai https://\$host;\n$off"),
        'a path by a variable' => $c->text(location =>
            "llm_stream openai https://127.0.0.1/\$arg_x;\n$off"),
        'upper case' => $c->text(location =>
            "llm_stream openai HTTPS://127.0.0.1:1;\n$off"),
    );

    for my $name (sort keys %warns) {
        my ($status, $output) = $t->check_config($warns{$name});

        is($status, 0, "$name: accepted");
        like($output, $says, "$name: with a warning");
    }

    $c->accepted('not for http', location => "$HTTP\n$off");
    $c->accepted('not with verify on', location => $HTTPS);
    $c->accepted('on again', server => $off,
        location => "$HTTPS\nllm_stream_ssl_verify on;");

    $t->config($warns{'in the server'})->start;
    like($t->error_log, $says, 'in the log at start');
    ok($t->stop, 'stopped');
};
