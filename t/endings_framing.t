#!/usr/bin/perl

# Honest endings: answers that are not proper HTTP.  Errors of the status
# line, the header and the transfer coding, before anything was sent and
# after content; 1xx answers; what must not go back into the pool.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(clients streaming hello wire answer_json shown);
use LLMTest::Upstream;

# at debug level nginx's chunk parser logs every byte
my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);

$t->config(LLMTest::Ending::conf())->start;

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);
my $HEAD = LLMTest::Upstream::sse_head();
my $LAST = "0\r\n\r\n";
my $LINES = "Content-Type: text/event-stream\r\n"
    . "Transfer-Encoding: chunked\r\n";


sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


my $STREAM = chunked(@WIRE) . $LAST;


# An answer without a proper header: one status for every client, and not
# one byte of it.

my @headers = (
    [ 'rst-before-headers', 'upstream_reset', [ ['reset'] ] ],
    [ 'fin-before-headers', 'upstream_reset', [ ['close'] ] ],
    [ 'fin-in-headers: in the status line', 'upstream_protocol',
        'HTTP/1.1 20', ['close'] ],
    [ 'fin-in-headers: in a name', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\nContent-Ty", ['close'] ],
    [ 'fin-in-headers: before the blank line', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n$LINES", ['close'] ],
    [ 'not-http: another protocol', 'upstream_protocol',
        "220 provider.test ESMTP ready\r\nSECRET-BYTES\r\n" ],
    [ 'not-http: events at once', 'upstream_protocol', join '', @WIRE ],
    [ 'not-http: nearly', 'upstream_protocol',
        "ICY 200 OK\r\n$LINES\r\n$STREAM" ],
    [ 'not-http: no status', 'upstream_protocol',
        "HTTP/1.1 OK\r\n$LINES\r\n$STREAM" ],
    [ 'not-http: zeros', 'upstream_protocol', "\0" x 64 ],
    [ 'header-too-big: one line', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n${LINES}X-Big: " . 'b' x 20480
            . "\r\n\r\n$STREAM" ],
    [ 'header-too-big: many lines', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n$LINES" . "X-Line: x\r\n" x 10000
            . "\r\n$STREAM" ],
    [ 'header-invalid-byte: NUL', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n${LINES}X-Request-Id: a\0b\r\n\r\n$STREAM" ],
    [ 'header-invalid-byte: bare CR', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n${LINES}X-Request-Id: a\rb\r\n\r\n$STREAM" ],
    [ 'header-invalid-byte: space before the colon', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n${LINES}X-Request-Id : a\r\n\r\n$STREAM" ],
    [ 'cl-and-te: both', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\n${LINES}Content-Length: 7\r\n\r\n$STREAM" ],
    [ 'cl-and-te: the other order', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n$LINES\r\n$STREAM" ],
    [ 'cl-and-te: two lengths', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Content-Length: 7\r\nContent-Length: 70\r\n\r\n$STREAM" ],
    [ 'cl-and-te: gzip, chunked', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Transfer-Encoding: gzip, chunked\r\n\r\n$STREAM" ],
    [ 'cl-and-te: a length that is no number', 'upstream_protocol',
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Content-Length: -1\r\n\r\n$STREAM" ],
    [ 'status-101', 'upstream_protocol',
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
            . "Connection: Upgrade\r\n\r\nRAW BYTES" ],
    [ 'interim-103: without end', 'upstream_protocol',
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" x 5000)
            . "$HEAD$STREAM" ],
    [ 'interim-103: 17 kB of them', 'upstream_protocol',
        ("HTTP/1.1 103 Early Hints\r\nLink: </" . 'a' x 1700 . ">\r\n\r\n")
            x 10 . "$HEAD$STREAM" ],
);

for my $row (@headers) {
    my ($name, $code, $bytes, @ops) = @$row;
    my @cases;

    @ops = ref $bytes ? @$bytes
        : ([ send => $bytes ], @ops);

    for my $client (clients()) {
        my $s = $e->run($client, \@ops);
        push @cases, [ $client, $s, code => $code ];
    }

    $e->judge($name, @cases);
}


# Errors of the chunked coding: 502 while nothing was sent, then what came
# whole and an error event.

my $hex = sprintf '%x', length $WIRE[2];
my @chunks = (
    [ 'chunk-bad-size: zz', "zz\r\n$WIRE[2]\r\n" ],
    [ 'chunk-bad-size: empty', "\r\n$WIRE[2]\r\n" ],
    [ 'chunk-bad-size: a sign', "-$hex\r\n$WIRE[2]\r\n" ],
    [ 'chunk-bad-size: 0x', "0x$hex\r\n$WIRE[2]\r\n" ],
    # nginx's own parser decides: before 1.29.4 a bare LF is let through
    ($t->has_version('1.29.4')
        ? [ 'chunk-bad-size: bare LF', "$hex\n$WIRE[2]\r\n" ] : ()),
    [ 'chunk-bad-size: no CRLF after the data', "$hex\r\n$WIRE[2]" ],
    [ 'chunk-overflow: ffffffffffffffff', "ffffffffffffffff\r\n$WIRE[2]" ],
    [ 'chunk-overflow: 17 digits', "10000000000000000\r\n$WIRE[2]\r\n" ],
    [ 'chunk-overflow: 64 digits', 'f' x 64 . "\r\n$WIRE[2]\r\n" ],
    [ 'chunk-huge-extension', "$hex;x=" . 'e' x 1048576
        . "\r\n$WIRE[2]\r\n" ],
);

# The events before the error and the bytes that show them.  What follows a
# size that cannot be read is not to be trusted, nor is a chunk's data when
# its end is missing and [DONE] is not yet seen: the data may be shown.

for my $row (@chunks) {
    my ($name, $bytes) = @$row;
    my $kept = $name =~ /no CRLF after/ ? [ @ITEMS[ 0 .. 2 ] ]
        : [ @ITEMS[ 0, 1 ] ];
    my @cases;

    for my $client (clients()) {
        next if $client eq 'answer';

        # the rest comes in the same read, and would be a good stream
        my $s = $e->run($client, [ [ send => $HEAD . chunked(@WIRE[ 0, 1 ])
            . $bytes . chunked(@WIRE[ 3, 4 ]) . $LAST ] ]);
        push @cases, [ "$client, with all before", $s, items => $kept,
            code => 'upstream_protocol' ];

        $s = $e->run($client, [
            [ cut => $HEAD . chunked(@WIRE[ 0, 1 ]),
                $bytes . chunked(@WIRE[ 3, 4 ]) . $LAST ] ]);
        push @cases, [ "$client, in a later read", $s, items => $kept,
            code => 'upstream_protocol' ];
    }

    $e->judge("$name, after content", @cases);

    @cases = ();

    for my $client (clients()) {
        next if $name =~ /no CRLF after/ && $client ne 'answer';

        my $head = $client eq 'answer'
            ? "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                . "Transfer-Encoding: chunked\r\n\r\n" : $HEAD;
        my $s = $e->run($client, [ [ send => $head . $bytes
            . chunked(@WIRE[ 3, 4 ]) . $LAST ] ]);
        push @cases, [ $client, $s, code => 'upstream_protocol' ];
    }

    $e->judge("$name, at first", @cases);
}


# Errors after the terminator are no failure of the stream: it was whole.
# The connection is of no use any more.

for my $row (
    [ 'chunk-bad-size', "zz\r\n" ],
    [ 'data-after-last-chunk', "$LAST$HEAD" . chunked($WIRE[1]) ],
    [ 'data-after-last-chunk: bytes', "${LAST}x" ])
{
    my ($name, $bytes) = @$row;
    my @cases;

    for my $client (streaming(), 'gathered') {
        my $s = $e->run($client, [ [ send => $HEAD . chunked(@WIRE)
            . $bytes ] ]);

        push @cases, [ $client, $s, items => \@ITEMS ];
    }

    $e->judge("$name, after [DONE]", @cases);
}


# 1xx are swallowed: nothing of them reaches the client, whatever their
# number and however they are cut.

my $continue = "HTTP/1.1 100 Continue\r\n\r\n";
my $hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n"
    . "Set-Cookie: a=1\r\nX-Request-Id: early\r\n\r\n";

for my $row (
    [ 'interim-100', [ [ send => "$continue$HEAD$STREAM" ] ] ],
    [ 'interim-100: in a read of its own',
        [ [ cut => $continue, "$HEAD$STREAM" ] ] ],
    [ 'interim-103', [ [ send => "$hints$HEAD$STREAM" ] ] ],
    [ 'interim-103: three and a 100',
        [ [ send => "$hints$continue$hints$hints$HEAD$STREAM" ] ] ],
    [ 'interim-103: in small pieces',
        [ [ cut => $hints =~ /.{1,11}/sg, "$HEAD$STREAM" ] ] ])
{
    my ($name, $ops) = @$row;
    my (@cases, @bad);

    for my $client (streaming(), 'gathered') {
        my $s = $e->run($client, [ @$ops, ['close'] ]);
        push @cases, [ $client, $s, items => \@ITEMS ];
        push @bad, "$client: " . $s->early . ' of 1xx' if $s->early;
        push @bad, "$client: a header of it"
            if $s->header('link') || $s->header('set-cookie')
            || ($s->header('x-request-id') // '') eq 'early';
    }

    $e->judge($name, @cases);
    $e->all_good("$name: nothing of it passes", @bad);
}


# Trailers are dropped.

for my $row (
    [ 'trailers', "X-Trailer: 1\r\nSet-Cookie: t=1\r\n" ],
    [ 'trailers: 100 kB', 'X-Trailer: ' . 't' x 100000 . "\r\n" ])
{
    my ($name, $trailers) = @$row;
    my (@cases, @bad);

    for my $client (streaming()) {
        my $s = $e->run($client, [ [ send => $HEAD . chunked(@WIRE)
            . "0\r\n$trailers\r\n" ], ['close'] ]);
        push @cases, [ $client, $s, items => \@ITEMS ];
        push @bad, $client if $s->trailers;
    }

    $e->judge($name, @cases);
    $e->all_good("$name: none passes", @bad);
}


$e->connections_ok('nothing that ended badly was used again');


# Nor is a good stream's connection when the provider wants to close it.

for my $row (
    [ 'connection-close-ok', "HTTP/1.1 200 OK\r\n${LINES}"
        . "Connection: close\r\n\r\n$STREAM" ],
    [ 'http10-ok', "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n"
        . 'Content-Length: ' . length(join '', @WIRE) . "\r\n\r\n"
        . join '', @WIRE ])
{
    my ($name, $bytes) = @$row;
    my @cases;

    for my $client (streaming()) {
        push @cases, [ $client, $e->run($client, [ [ send => $bytes ] ]),
            items => \@ITEMS ];
    }

    $e->judge($name, @cases);
}


# Else it is pooled: the next request comes on the same connection.

for my $row (
    [ 'in one read', 'typed', [ send => $HEAD . $STREAM ] ],
    [ 'event by event', 'typed',
        [ cut => $HEAD, (map { chunked($_) } @WIRE), $LAST ] ],
    [ 'a JSON document', 'answer', [ send => LLMTest::Upstream::answer(200,
        answer_json('Hello'), 'Content-Type' => 'application/json') ] ])
{
    my ($name, $client, $op) = @$row;

    $u->each_request($op);

    my @cases = [ 'first', $e->send_request($client), items => \@ITEMS ];
    $cases[0][1]->wait_end;
    $e->logged($cases[0][1]);

    my $before = $u->connections;

    push @cases, [ 'next', $e->send_request($client), items => \@ITEMS ];
    $e->judge("pool, $name", @cases);
    is($u->connections, $before, "pool, $name: the connection is used again");
}


$t->finish;
