#!/usr/bin/perl

# The helper library's HTTP/2 client, against plain nginx: header decoding,
# lock-step streaming with and without TLS, flow control in the test's hand,
# resets, pings, graceful ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::HPACK;

my $t = LLMTest->new(module => 0);
my $u = $t->upstream;
my ($cert, $key) = $t->tls_cert('localhost');

$t->set(CERT => $cert, KEY => $key);

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    proxy_http_version 1.1;
    proxy_buffering off;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;

    server {
        %%LISTEN_H2_0%%
        %%LISTEN_H2S_1%%

        location / {
            proxy_pass http://%%UPSTREAM%%;
        }

        location /plain {
            add_header X-Long "a header value, long enough to be Huffman coded";
            return 200 "hello\n";
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
    }
}
EOT


subtest 'HPACK' => sub {
    my $hpack = LLMTest::HPACK->new;

    # RFC 7541, C.4 and C.6: requests, then answers in a table of 256 bytes
    my @cases = (
        [ '828684418cf1e3c2e5f23a6ba0ab90f4ff',
            ':method GET, :scheme http, :path /, :authority www.example.com' ],
        [ '828684be5886a8eb10649cbf',
            ':method GET, :scheme http, :path /, :authority www.example.com,'
            . ' cache-control no-cache' ],
        [ '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
            ':method GET, :scheme https, :path /index.html,'
            . ' :authority www.example.com, custom-key custom-value' ],
    );

    for my $case (@cases) {
        is(pairs($hpack->decode(pack 'H*', $case->[0])), $case->[1],
            $case->[1]);
    }

    $hpack = LLMTest::HPACK->new(256);
    $hpack->decode(pack 'H*', '488264025885aec3771a4b6196d07abe941054d444a820'
        . '0595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3');
    is(pairs($hpack->decode(pack 'H*', '4883640effc1c0bf')),
        ':status 307, cache-control private,'
        . ' date Mon, 21 Oct 2013 20:13:21 GMT,'
        . ' location https://www.example.com', 'eviction');

    my @all = map { [ "x-$_", chr($_) x ($_ * 3) ] } 0 .. 255;
    is_deeply([ $hpack->decode(LLMTest::HPACK::encode(@all)) ], \@all,
        'what is encoded is decoded');

    ok(!eval { $hpack->decode("\xff\xff\xff"); 1 }, 'short block');
    ok(!eval { $hpack->decode(pack 'H*', 'ff00'); 1 }, 'no such entry');
    ok(!eval { $hpack->decode(pack 'H*', '00018561'); 1 }, 'short string');
    ok(!eval { $hpack->decode(pack 'H*', '000161810000'); 1 },
        'bad padding');
};


sub pairs {
    return join ', ', map { "$_->[0] $_->[1]" } @_;
}


for my $case ([ h2 => 0 ], [ h2s => 1 ]) {
    my ($proto, $port) = @$case;
    my %o = (proto => $proto, port => $port);

    subtest "simple answers over $proto" => sub {
        my $r = $t->get('/plain', %o);

        is($r->{status}, 200, 'status');
        is($r->{headers}{'content-length'}, 6, 'header');
        is($r->{headers}{'x-long'},
            'a header value, long enough to be Huffman coded', 'Huffman');
        is($r->{body}, "hello\n", 'body');
        ok($r->{complete}, 'complete');

        my $s = $t->open(%o, method => 'POST', path => '/x',
            body => { a => 1 });
        my ($p, $q) = $u->take;
        is($q->{body}, '{"a":1}', 'request body');
        is($q->{headers}{'content-type'}, 'application/json', 'its type');
        $p->answer(404, 'no');
        is($s->status, 404, 'status');
        is($s->read_all, 'no', 'body');
    };

    subtest "lock-step over $proto" => sub {
        my $s = $t->open(%o, path => '/');
        my ($p) = $u->take;
        my $seen = 0;

        $p->sse_head;

        # over TLS nginx keeps the HEADERS frame back in its TLS buffer until
        # the first data
        is($s->read_headers, 200, 'head before any event') if $proto eq 'h2';

        for my $n (1 .. 50) {
            $p->event("event $n");
            my $event = $s->read_event or last;
            $seen++ if $event->{data} eq "event $n";
        }

        is($seen, 50, 'each event before the next is sent');

        $p->event('a', 'b');
        my ($a, $b) = $s->read_events(2);
        is($a->{chunk}, $b->{chunk}, 'two in one write: one DATA frame');

        $p->last_chunk;
        is($s->wait_end, 'complete', 'END_STREAM');
        is(scalar(my @all = LLMTest::SSE::parse($s->body)), 52, 'all of it');
    };

    subtest "endings over $proto" => sub {
        for my $how (qw(close reset)) {
            my $s = $t->open(%o, path => '/');
            my ($p) = $u->take;

            $p->sse_head;
            $p->event(1);
            is($s->read_event->{data}, 1, "$how: an event");
            $p->$how;
            is($s->read_event, undef, "$how: no more");
            is($s->ended, 'reset', "$how: RST_STREAM");
            like($s->rst, qr/^\d+$/, "$how: with a code");
            ok(!$s->complete, "$how: not complete");
        }

        for my $how (qw(close abort reset)) {
            my $s = $t->open(%o, path => '/');
            my ($p) = $u->take;

            $p->sse_head;
            $p->event(1);
            is($s->read_event->{data}, 1, "client $how: an event");
            $s->$how;
            ok($p->wait_close, "client $how: the upstream sees it");
        }
    };
}


subtest 'ALPN' => sub {
    ok(!eval { $t->h2(port => 2, tls => 1); 1 }, 'no h2 there');
    like($@, qr/did not choose h2|handshake/, 'is said');
};


subtest 'the stream window is the test\'s' => sub {
    my $h2 = $t->h2(settings => { INITIAL_WINDOW_SIZE => 100 });
    my $s = $t->open(on => $h2, path => '/', window => 'manual');
    my ($p) = $u->take;

    $p->sse_head;
    $p->chunk('x' x 250);

    is(length $s->read_bytes(100), 100, 'as much as the window');
    ok($h2->ping, 'ping');
    is($s->received, 100, 'and not more');

    $s->window_update(1);
    is(length $s->read_bytes(1), 1, 'one more');
    ok($h2->ping, 'ping');
    is($s->received, 101, 'and not more');

    # another stream of the connection is not held up
    is($t->open(on => $h2, path => '/plain')->result->{body}, "hello\n",
        'another stream goes on');

    $s->window_update(1000);
    is(length $s->read_bytes(149), 149, 'the rest');
    $p->last_chunk;
    is($s->wait_end, 'complete', 'ended');
};


subtest 'the connection window is the test\'s' => sub {
    my $h2 = $t->h2(window => 'manual',
        settings => { INITIAL_WINDOW_SIZE => 1_000_000 });
    my $s = $t->open(on => $h2, path => '/', keep => 0);
    my ($p) = $u->take;

    $p->sse_head;
    $p->order([ send => LLMTest::Upstream::chunk('x' x 900_000) ]);

    is(length $s->read_bytes(65535), 65535, 'as much as the window');
    ok($h2->ping, 'ping');
    is($s->received, 65535, 'and not more');

    $h2->window_update(900_000);
    is(length $s->read_bytes(834_465), 834_465, 'the rest');
    $p->last_chunk;
    is($s->wait_end, 'complete', 'ended');
};


subtest 'a client that does not read' => sub {
    my $h2 = $t->h2(window => 'manual');
    my $s = $t->open(on => $h2, path => '/', keep => 0);
    my ($p) = $u->take;

    $p->sse_head;
    $p->order([ send => LLMTest::Upstream::chunk('x' x 20_000_000) ]);

    my $stat = $p->wait_stalled(0.2);
    cmp_ok($stat->{pending}, '>', 1_000_000, 'holds the upstream up');
    $s->reset;
    ok($p->wait_close, 'until it leaves');
    ok($h2->ping, 'the connection lives');
};


subtest 'large request bodies' => sub {
    my $s = $t->open(proto => 'h2', method => 'POST', path => '/',
        body => 'x' x 500_000);
    my ($p, $q) = $u->take;

    is(length $q->{body}, 500_000, 'whole');
    $p->answer(200, 'ok');
    is($s->read_all, 'ok', 'answered');

    $s = $t->open(proto => 'h2', method => 'POST', path => '/',
        end_stream => 0);
    $s->send_data('ab');
    $s->send_data('cd', 1);
    ($p, $q) = $u->take;
    is($q->{body}, 'abcd', 'in pieces');
    $p->answer(200, 'ok');
    is($s->wait_end, 'complete', 'answered');
};


subtest 'several streams' => sub {
    my $h2 = $t->h2(port => 1, tls => 1);
    my (%stream, %peer);

    $stream{$_} = $t->open(on => $h2, path => "/$_") for 1 .. 5;

    for (1 .. 5) {
        my ($p, $q) = $u->take;
        $peer{ $q->{path} } = $p;
        $p->sse_head;
    }

    for my $n (reverse 1 .. 5) {
        $peer{"/$n"}->event("for $n");
        is($stream{$n}->read_event->{data}, "for $n", "stream $n");
    }

    $peer{"/$_"}->last_chunk for 1 .. 5;
    is(join(' ', map { $stream{$_}->wait_end } 1 .. 5),
        'complete ' x 4 . 'complete', 'all end');
};


subtest 'reload' => sub {
    my $h2 = $t->h2;
    my $s = $t->open(on => $h2, path => '/');
    my ($p) = $u->take;

    $p->sse_head;
    is($s->read_headers, 200, 'a stream');
    ok($t->reload, 'reload');
    ok($h2->wait_frame('GOAWAY'), 'GOAWAY');
    is($h2->goaway_received->{code}, 0, 'without error');

    $p->event(1);
    is($s->read_event->{data}, 1, 'the stream lives');
    $p->last_chunk;
    is($s->wait_end, 'complete', 'and ends');
    ok($h2->wait_close, 'then the connection');
};


subtest 'frames that are wrong' => sub {
    my $h2 = $t->h2;

    $h2->send_frame('WINDOW_UPDATE', 0, 0, pack 'N', 0);
    ok($h2->wait_frame('GOAWAY'), 'refused');
    is($h2->goaway_received->{code}, 1, 'PROTOCOL_ERROR');
    ok($h2->wait_close, 'and closed');
    cmp_ok(scalar(my @f = $h2->frames('SETTINGS')), '>=', 1, 'frames are kept');
};
