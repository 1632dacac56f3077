#!/usr/bin/perl

# What the identity service may answer: the framings, cut anywhere, every
# form of a token and of its life; and everything that is no token: the
# client is told so in its dialect, the model is not asked, the log says why,
# and neither shows a byte of the answer.  Time stands still: nothing ends, and
# nothing is tried again, because the machine is slow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask bearer auth_error reasons);
use LLMTest::Clock;
use LLMTest::Upstream;

my $SECRET = 'CANARY-secret-6e04';
my $TOKEN = 'CANARY-token-b1a9.x_y~z+/=';

my $t = LLMTest->new;
my $u = $t->upstream;
my $mock = $t->mock;

$t->canary($SECRET, $TOKEN, 'CANARY');
$t->write_file('secret', $SECRET);


sub body {
    my ($more, $token) = @_;

    return '{"access_token":"' . ($token // $TOKEN) . '"'
        . ($more // ',"expires_in":3600') . '}';
}


sub answer {
    my ($body, $status, @headers) = @_;

    return LLMTest::Upstream::answer($status // 200, $body,
        'Content-Type' => 'application/json', @headers);
}


sub chunked {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        . join('', map { LLMTest::Upstream::chunk($_) } @_) . "0\r\n\r\n";
}


sub says { return answer(body(",\"expires_in\":$_[0]")) }


my $close = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
my $large = 'p' x 60_000;

# name => bytes, or [ operations ]; another token than usual stands behind
my %good = (
    'length' => answer(body()),
    'chunked' => chunked(body()),
    'chunked, in pieces' => chunked(split /(?<=,)|(?<=CAN)/, body()),
    'a chunk of each byte' => chunked(split //, body()),
    'chunk extensions and trailers' => "HTTP/1.1 200 OK\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n" . sprintf("%x;a=b\r\n%s\r\n",
        length body(), body()) . "0\r\nX-A: b\r\n\r\n",
    'until the end' => $close . body(),
    'HTTP/1.0' => "HTTP/1.0 200 OK\r\n\r\n" . body(),
    'cut in the head' => [ [ cut => answer(body()) =~ /\A(.{9})(.*)\z/s ],
        ['close'] ],
    'cut in the body' => [ [ cut => answer(body()) =~ /\A(.*)(.{9})\z/s ],
        ['close'] ],
    'cut before the body' => [ [ cut => answer(body())
        =~ /\A(.*\r\n\r\n)(.*)\z/s ], ['close'] ],
    '201' => answer(body(), 201),
    'kept open behind it' => [ [ send => answer(body()) ], ['wait_close'] ],
    'another content type' => LLMTest::Upstream::answer(200, body(),
        'Content-Type' => 'text/plain; charset=x'),
    'many headers' => answer(body(), 200, map { ("X-Head-$_" => 'x' x 100) }
        1 .. 50),
    'large' => answer(body(",\"pad\":\"$large\"")),
    'large, chunked' => chunked(body(',"pad":"') =~ s/\}\z//r, $large,
        '"}'),
    'spaces' => answer(" \r\n{ \"access_token\" :\t\"$TOKEN\" , "
        . "\"expires_in\" : 3600 }\n "),
    'other members' => answer('{"a":{"access_token":"no","b":[1,"]}"]},'
        . "\"scope\":\"x\",\"access_token\":\"$TOKEN\",\"z\":null,"
        . '"refresh_token":"no","expires_in":3600}'),
    'escapes' => answer(body(undef, join '', map { sprintf '\u%04X', ord }
        split //, $TOKEN)),
    'a solidus that is escaped' => answer(body(undef,
        $TOKEN =~ s/\//\\\//r)),
    'an escaped name' => answer(body() =~ s/access_t/acc\\u0065ss_t/r),
    'bearer' => answer(body(',"token_type":"bearer"')),
    'BEARER' => answer(body(',"token_type":"BEARER"')),
    'no life' => answer(body('')),
    'life null' => says('null'),
    'life in digits' => says('"3600"'),
    'life with a fraction' => says('3600.5'),
    'life of a century' => says('3155760000'),
    'life of ever' => says('18446744073709551616'),
    'a token of one byte' => [ answer(body(undef, '!')), '!' ],
    'a token of 8192 bytes' => [ answer(body(undef, 't' x 8192)),
        't' x 8192 ],
);

# name => bytes or [ operations ], what the log says
my %bad = (
    (map { ("status $_" => [ answer(body(), $_), qr/^status $_\b/ ]) }
        202, 400, 401, 403, 404, 429, 500, 503),
    'status 204' => [ "HTTP/1.1 204 No Content\r\n\r\n", qr/^status 204\b/ ],
    'redirect' => [ answer('', 302, Location => '/CANARY'),
        qr/^status 302\b/ ],
    'nothing' => [ [ ['close'] ], qr/\w/ ],
    'reset' => [ [ ['reset'] ], qr/\w/ ],
    'half a head' => [ [ [ send => 'HTTP/1.1 200' ], ['close'] ], qr/\w/ ],
    'no HTTP' => [ "CANARY is no HTTP\r\n\r\n", qr/\w/ ],
    'HTTP/2' => [ "\0\0\0\4\0\0\0\0\0", qr/\w/ ],
    'an empty body' => [ answer(''), qr/\w/ ],
    'half a body' => [ [ [ send => substr answer(body()), 0, -5 ],
        ['close'] ], qr/\w/ ],
    'half a body, reset' => [ [ [ send => substr answer(body()), 0, -5 ],
        ['drained'], ['reset'] ], qr/\w/ ],
    'no last chunk' => [ [ [ send => substr chunked(body()), 0, -5 ],
        ['close'] ], qr/\w/ ],
    'a cut chunk' => [ [ [ send => substr chunked(body()), 0, -12 ],
        ['close'] ], qr/\w/ ],
    'a bad chunk' => [ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        . "\r\nzz\r\n" . body() . "\r\n0\r\n\r\n", qr/\w/ ],
    'an endless chunk' => [ "HTTP/1.1 200 OK\r\n"
        . "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" . body(),
        qr/\w/ ],
    'a large length' => [ "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        . body(), qr/too large/ ],
    'a large body' => [ $close . body(',"pad":"' . 'p' x 70_000 . '"'),
        qr/too large/ ],
    'many chunks' => [ chunked(map { 'x' x 1000 } 1 .. 80), qr/too large/ ],
    'a large head' => [ answer(body(), 200, 'X-A' => 'x' x 70_000),
        qr/too large/ ],
    'half of the JSON' => [ answer(substr body(), 0, -9), qr/\w/ ],
    'half of it until the end' => [ $close . substr(body(), 0, -9),
        qr/\w/ ],
    'more than JSON' => [ answer(body() . 'CANARY'), qr/\w/ ],
    'HTML' => [ answer('<html>CANARY</html>'), qr/\w/ ],
    'a list' => [ answer('[' . body() . ']'), qr/\w/ ],
    'a string' => [ answer("\"$TOKEN\""), qr/\w/ ],
    'bytes' => [ answer(join '', map { chr } 0 .. 255), qr/\w/ ],
    'a deep value' => [ answer('{"a":' . '[' x 30_000), qr/\w/ ],
    'no token' => [ answer('{"expires_in":3600}'), qr/no "?access_token/ ],
    'another name' => [ answer(body() =~ s/access/Access/r),
        qr/no "?access_token/ ],
    'a token inside' => [ answer('{"data":' . body() . '}'),
        qr/no "?access_token/ ],
    'an error with 200' => [ answer('{"error":"CANARY"}'),
        qr/no "?access_token/ ],
    (map { ("token $_" => [ answer("{\"access_token\":$_,\"expires_in\":9}"),
        qr/access_token/ ]) } 'null', '17', '{}', '[]', 'true', '""'),
    (map { ("token with $_->[0]" => [ answer(body(undef,
        "CANARY$_->[1]x")), qr/access_token/ ]) }
        [ 'a space', ' ' ], [ 'a line end', '\n' ], [ 'CR', '\r' ],
        [ 'a header', '\r\nX-Evil: 1' ], [ 'zero', '\u0000' ],
        [ 'DEL', '\u007f' ], [ 'an umlaut', "\xc3\xa9" ],
        [ 'an escaped umlaut', '\u00e9' ]),
    'a token of 8193 bytes' => [ answer(body(undef, 't' x 8193)),
        qr/access_token/ ],
    (map { ("life $_" => [ says($_), qr/expires_in/ ]) }
        '0', '-1', '-3600', '0.0', '"x"', '""', '"0"', '"-5"', '"3600 "',
        '"0x10"', 'true', '[]', '[3600]', '{}', '-1e400'),
    'another type' => [ answer(body(',"token_type":"mac"')),
        qr/token_type|bearer/ ],
    'a type that is none' => [ answer(body(',"token_type":7')),
        qr/token_type|bearer/ ],
);

# of the mock's own service, a byte a write
my @framings = qw(length chunked close);
my @edges = qw(0.5 0.001 1e400 3.6e3 1e-9);

my @names = ((sort keys %good), sort keys %bad);
my %number = map { $names[$_] => $_ } 0 .. $#names;

$t->config(conf(
    http => join('', map { provider("p$_",
        url => "http://%%UPSTREAM%%/$_") } 0 .. $#names)
        . join('', map { provider($_) } @framings)
        . join('', map { provider("edge-$_") } @edges),
    server => join('', map { location("/$_", auth => $_) } @framings,
        map { "edge-$_" } @edges)
        . join '', map { location("/p$_", auth => "p$_",
        client => $_ % 2 ? 'simple' : 'openai') } 0 .. $#names,
))->start(env => LLMTest::Clock->new($t)->env);


# the next connection to the identity service is answered with this

sub will {
    my ($what) = @_;

    $u->script(['request'], ref $what ? @$what : ([ send => $what ]),
        ref $what ? () : ['close']);

    return;
}


subtest 'answers with a token' => sub {
    for my $name (sort keys %good) {
        my $path = "/p$number{$name}";
        my ($bytes, $token) = ref $good{$name} && !ref $good{$name}[0]
            ? @{ $good{$name} } : ($good{$name});

        will($bytes);
        my $r = ask($t, $path);

        is($r->{status}, 200, "$name: answered");
        is_deeply([ bearer($mock) ], [ 'Bearer ' . ($token // $TOKEN) ],
            "$name: the token");
        is(ask($t, $path)->{status}, 200, "$name: again");
        is_deeply([ reasons($t, "p$number{$name}") ], [],
            "$name: nothing in the log");
    }

    is($u->connections, scalar keys %good, 'one sign-in each');
};


subtest 'byte by byte' => sub {
    for my $framing (@framings) {
        $mock->defaults("framing=$framing bytewise=1 gap=0.5 close=1");
        is(ask($t, "/$framing", mock => 'framing=chunked')->{status}, 200,
            "$framing: answered");
        like(join('|', bearer($mock)), qr/\ABearer mock-token-\d+-\w{32}\z/,
            "$framing: the token");
    }

    $mock->defaults('');
};


subtest 'answers without one' => sub {
    for my $name (sort keys %bad) {
        my ($bytes, $why) = @{ $bad{$name} };
        my $path = "/p$number{$name}";
        my $asked = $mock->stats->{requests};

        will($bytes);
        my $r = ask($t, $path);

        auth_error($r, $number{$name} % 2 ? 'simple' : 'openai', $name);
        unlike($r->{body}, qr/CANARY/, "$name: nothing of the answer");
        is($mock->stats->{requests}, $asked, "$name: no model was asked");

        my @reasons = reasons($t, "p$number{$name}");
        is(scalar @reasons, 1, "$name: one line in the log");
        like($reasons[0] // '', $why, "$name: it says why");
        cmp_ok(length($reasons[0] // ''), '<', 400, "$name: it is short");
    }
};


is($u->connections, @names, 'one sign-in for each answer');


# no good number, or no good answer: either way an end
subtest 'lives at the edge' => sub {
    for my $says (@edges) {
        $mock->defaults("says=$says");
        my $asked = $mock->stats->{identity}{requests};
        my $r = ask($t, "/edge-$says");

        if ($r->{status} == 200) {
            like(join('|', bearer($mock)), qr/\ABearer mock-token-\d+-\w+\z/,
                "$says: a token");

        } else {
            auth_error($r, 'openai', $says);
        }

        ask($t, "/edge-$says") for 1 .. 5;
        cmp_ok($mock->stats->{identity}{requests}, '<=', $asked + 2,
            "$says: not asked again and again");
    }
};


like($t->wait_log(qr{^/p\d+ 502 "\w+" "upstream_auth" }, file => 'end.log')
    // '', qr/502/, '$llm_stream_error');
