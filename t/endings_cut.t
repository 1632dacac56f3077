#!/usr/bin/perl

# Honest endings: the provider's answer is cut off at every border between
# two events and at every byte of one, by FIN, by RST and by silence, in every
# framing.  No client may ever see a terminator that the provider did not
# send; each is told in its own dialect, or by an unclean end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(streaming hello wire answer_json);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);

$t->config(LLMTest::Ending::conf(
    '' => 'llm_stream_heartbeat off;',
    first => 'llm_stream_first_token_timeout %%MS_2000%%;'
        . ' llm_stream_heartbeat off;',
    idle => 'llm_stream_idle_timeout %%MS_500%%; llm_stream_heartbeat off;',
    total => 'llm_stream_total_timeout %%MS_500%%; llm_stream_heartbeat off;',
))->start;

# how a connection ends, and the code for it
my %HOW = (
    fin => [ 'upstream_truncated', ['close'] ],
    rst => [ 'upstream_reset', ['reset'] ],
    half => [ 'upstream_truncated', ['half_close'] ],
);

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);

my $HEAD = LLMTest::Upstream::sse_head();
my $CLOSE_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    . "Connection: close\r\n\r\n";
my $JSON_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
my $JSON = answer_json('Hello');


# one chunk for each event

sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


sub first {
    my ($n, @list) = @_;

    return @list[ 0 .. $n - 1 ];
}


# one cut, to be judged with the others: the logs may come a little later

sub cut {
    my ($name, $client, $ops, %want) = @_;

    return [ $name, $e->run($client, $ops), %want ];
}


# a step of 1, larger under valgrind

sub step {
    return $ENV{TEST_NGINX_VALGRIND} ? 7 : 1;
}


# After the last event, which is [DONE], any end is a good end: the provider
# had finished.  FIN before [DONE] is not an orderly end in chunked coding,
# even after the finish reason.

for my $how (sort keys %HOW) {
    my ($code, @end) = @{ $HOW{$how} };

    for my $client (streaming(), 'gathered') {
        my @cases;

        for my $k (0 .. @WIRE) {
            my $wanted = $k == @WIRE ? undef
                : $k == 0 && $how ne 'rst' ? 'upstream_empty' : $code;
            my @want = (items => [ first($k, @ITEMS) ], code => $wanted);
            my $bytes = $HEAD . chunked(first($k, @WIRE));

            push @cases, cut("before event $k, at once", $client,
                [ [ send => $bytes ], @end ], @want);
            push @cases, cut("before event $k, later", $client,
                [ [ send => $bytes ], ['drained'], @end ], @want)
                if $how ne 'half';
        }

        $e->judge("$how at every border, $client"
            . ' (rst-mid-event fin-chunked-incomplete half-close)', @cases);
    }
}


# Every byte of an event after the first content, in one chunk that is never
# finished: what came of it is dropped.

{
    my @items = first(2, @ITEMS);
    my $before = $HEAD . chunked(wire(@items));
    my $event = $WIRE[2];
    my $head = sprintf "%x\r\n", length $event;

    for my $how (qw(fin rst)) {
        my ($code, @end) = @{ $HOW{$how} };

        for my $client (streaming()) {
            my @cases;

            for (my $at = 1; $at < length $event; $at += step()) {
                push @cases, cut("byte $at", $client,
                    [ [ send => $before . $head . substr $event, 0, $at ],
                        @end ],
                    items => \@items, code => $code);
            }

            $e->judge("$how at every byte of an event, $client"
                . ' (rst-mid-event fin-chunked-incomplete)', @cases);
        }
    }
}


# Every byte of the very first event, while nothing was sent: a status.

for my $how (qw(fin rst)) {
    my ($code, @end) = @{ $HOW{$how} };
    my @cases;

    for (my $at = 1; $at < length $WIRE[0]; $at += 3 * step()) {
        for my $client (qw(openai text gathered)) {
            push @cases, cut("byte $at, $client", $client,
                [ [ send => $HEAD . sprintf("%x\r\n", length $WIRE[0])
                    . substr $WIRE[0], 0, $at ], @end ], code => $code);
        }
    }

    $e->judge("$how inside the first event: a status ("
        . 'rst-mid-event fin-chunked-incomplete)', @cases);
}


# Inside a character: never half of one inside an event.

{
    my $event = (wire([ text => "na\xc3\xafve \xf0\x9f\x98\x80" ]))[0];
    my $at = index $event, "\xf0";
    my @items = first(2, @ITEMS);
    my @cases;

    for my $client (streaming()) {
        for my $n ($at + 1 .. $at + 3) {
            push @cases, cut("$client, byte $n", $client,
                [ [ send => $HEAD . chunked(wire(@items))
                    . sprintf("%x\r\n", length $event)
                    . substr $event, 0, $n ], ['reset'] ],
                items => \@items, code => 'upstream_reset');
        }
    }

    $e->judge('RST inside a character (rst-mid-utf8)', @cases);
}


# The last chunk, but no terminator: with every finish reason it is one, as
# the framing says that the provider meant to end.

for my $client (streaming(), 'gathered') {
    my @cases;

    for my $k (1 .. @WIRE) {
        my $finished = $k >= @WIRE - 1;

        # a connection whose stream ended well is pooled: not here
        push @cases, cut("before event $k", $client,
            [ [ send => $HEAD . chunked(first($k, @WIRE)) . "0\r\n\r\n" ],
                $finished ? (['close']) : () ],
            items => $finished ? \@ITEMS : [ first($k, @ITEMS) ],
            code => $finished ? undef : 'upstream_truncated');
    }

    $e->judge("a last chunk at every border, $client"
        . ' (last-chunk-no-terminator finish-without-done)', @cases);
}


# A body that ends with its connection: FIN is an orderly end of it.  An
# event whose line is whole counts, its blank line missing or not.  Before
# "data:" is there the bytes could be anything.

for my $client (streaming()) {
    my @cases;
    my $all = join '', @WIRE;
    my @ends = map { length join '', first($_, @WIRE) } 1 .. @WIRE;

    for (my $at = 5; $at <= length $all; $at += 2 * step()) {
        my $whole = grep { $at >= $_ - 2 } @ends;
        my $finished = $whole >= @WIRE - 1;

        push @cases, cut("byte $at", $client,
            [ [ send => $CLOSE_HEAD . substr $all, 0, $at ], ['close'] ],
            items => $finished ? \@ITEMS : [ first($whole, @ITEMS) ],
            code => $finished ? undef : 'upstream_truncated');
    }

    $e->judge("close-delimited, FIN at every second byte, $client"
        . ' (close-delimited-no-terminator close-delimited-mid-event)', @cases);
}


{
    my @cases;

    for my $client (streaming()) {
        for my $k (0 .. @WIRE - 1) {
            push @cases, cut("$client, before event $k", $client,
                [ [ send => $CLOSE_HEAD . join '', first($k, @WIRE) ],
                    ['drained'], ['reset'] ],
                items => [ first($k, @ITEMS) ], code => 'upstream_reset');
        }
    }

    $e->judge('close-delimited, RST at every border (rst-mid-event)',
        @cases);
}


# HTTP/1.0, the same framing.

{
    my @cases;
    my $head = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

    for my $client (streaming()) {
        for my $k (1 .. @WIRE) {
            my $finished = $k >= @WIRE - 1;

            push @cases, cut("$client, before event $k", $client,
                [ [ send => $head . join '', first($k, @WIRE) ], ['close'] ],
                items => $finished ? \@ITEMS : [ first($k, @ITEMS) ],
                code => $finished ? undef : 'upstream_truncated');
        }
    }

    $e->judge('HTTP/1.0, FIN at every border (http10-ok'
        . ' close-delimited-no-terminator)', @cases);
}


# Content-Length that is not kept.

{
    my @cases;
    my $head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . 'Content-Length: ';

    for my $client (streaming()) {
        for my $k (1 .. @WIRE) {
            my $bytes = join '', first($k, @WIRE);

            push @cases, cut("$client, too big, event $k", $client,
                [ [ send => $head . (100 + length $bytes)
                    . "\r\n\r\n$bytes" ], ['close'] ],
                items => [ first($k, @ITEMS) ],
                code => $k < @WIRE ? 'upstream_truncated' : undef);
        }

        # the length ends inside the second text: orderly, but unfinished
        my $all = join '', @WIRE;
        my $length = length(join '', first(2, @WIRE)) + 30;

        push @cases, cut("$client, too small", $client,
            [ [ send => "$head$length\r\n\r\n$all" ] ],
            items => [ first(2, @ITEMS) ], code => 'upstream_truncated');
    }

    $e->judge('Content-Length against the body (cl-too-big cl-too-small)',
        @cases);
}


# One JSON document, asked for or not, is whole or nothing.

for my $how (qw(fin rst)) {
    my ($code, @end) = @{ $HOW{$how} };
    my @cases;

    for (my $at = 1; $at < length $JSON; $at += 7 * step()) {
        my $part = substr $JSON, 0, $at;
        my %bodies = (
            length => 'Content-Length: ' . length($JSON) . "\r\n\r\n$part",
            chunked => "Transfer-Encoding: chunked\r\n\r\n"
                . LLMTest::Upstream::chunk($part),
            close => "\r\n$part",
        );

        for my $framing (sort keys %bodies) {
            for my $client (qw(answer openai simple)) {
                push @cases, cut("$framing, byte $at, $client", $client,
                    [ [ send => $JSON_HEAD . $bodies{$framing} ], @end ],
                    code => $code);
            }
        }
    }

    $e->judge("$how inside a JSON document (json-200 cl-too-big)", @cases);
}


# Silence, at every border and at every byte of an event.  Many at a time:
# each waits for its own timer, and no other runs beside it.

sub timer {
    my ($code) = @_;

    return $code eq 'stream_too_long' ? 'total'
        : $code =~ /first_event|header/ ? 'first' : 'idle';
}


sub stalled {
    my ($name, $client, $bytes, %want) = @_;
    my $s = $e->ask($client, [ [ send => $bytes ] ],
        group => timer($want{code} // ''));

    # keeps the order of the connections that of the requests
    $u->peer($s->{peer})->request;

    return [ $name, $s, %want ];
}


sub judge_stalled {
    my ($name, @waiting) = @_;

    $e->settle($_->[1]) for @waiting;

    return $e->judge($name, @waiting);
}


my %waiting;

for my $client (streaming(), 'gathered') {
    my @waiting;

    for my $k (0 .. @WIRE - 1) {
        push @waiting, stalled("before event $k", $client,
            $HEAD . chunked(first($k, @WIRE)),
            items => [ first($k, @ITEMS) ],
            code => $k < 2 ? 'upstream_timeout_first_event'
                : 'upstream_timeout_idle');
    }

    push @waiting, stalled('before the header', $client, '',
        code => 'upstream_timeout_header');
    push @waiting, stalled('inside the header', $client, substr($HEAD, 0, 30),
        code => 'upstream_timeout_header');
    $waiting{$client} = \@waiting;
}

for my $client (streaming(), 'gathered') {
    judge_stalled("silence at every border, $client (stall-mid"
        . ' stall-after-headers stall-before-headers)',
        @{ $waiting{$client} });
}


for my $client (streaming()) {
    my @waiting;
    my @items = first(2, @ITEMS);
    my $event = $WIRE[2];

    for (my $at = 1; $at < length $event; $at += 2 * step()) {
        push @waiting, stalled("byte $at", $client,
            $HEAD . chunked(wire(@items)) . sprintf("%x\r\n", length $event)
            . substr($event, 0, $at),
            items => \@items, code => 'upstream_timeout_idle');
    }

    judge_stalled("silence at every second byte of an event, $client"
        . ' (stall-mid)', @waiting);
}


# An answer that is not streamed has no first token: the total limit ends it.

{
    my @waiting;

    for my $at (0, 1, 50, length($JSON) - 1) {
        push @waiting, stalled("byte $at", 'answer',
            $JSON_HEAD . 'Content-Length: ' . length($JSON) . "\r\n\r\n"
            . substr($JSON, 0, $at), code => 'stream_too_long');
    }

    judge_stalled('silence inside a JSON document (stall-mid total-too-long)',
        @waiting);
}


# After [DONE] silence is no failure, even without the last chunk.

{
    my @waiting = map { stalled($_, $_, $HEAD . chunked(@WIRE),
        items => \@ITEMS) } streaming();

    judge_stalled('silence after [DONE] (stall-mid)', @waiting);
}


# Nor is it when the client leaves as soon as it has the terminator (as the
# SDKs do), while nginx still waits for the end of the body.

for my $client ('openai', 'simple', 'typed') {
    my $s = $e->ask($client, [ [ send => $HEAD . chunked(@WIRE) ] ]);

    $s->read_until(qr/\[DONE\]\n\n|"done":true\}\n\n|"type":"done".*\n\n/);
    $s->close;

    my $log = $e->logged($s) || { end => 'nothing', error => 'nothing' };

    is("$log->{end} $log->{error}", 'complete -',
        "the client leaves after the terminator, $client");
}


$e->connections_ok;

$t->finish;
