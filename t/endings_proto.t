#!/usr/bin/perl

# Honest endings over other protocols of the client: HTTP/2 with and without
# TLS, HTTP/1.1 over TLS, HTTP/1.0, where the error event is the only sign
# that there can be.  One case of each kind; all of them are in the other
# endings_*.t, over HTTP/1.1.

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
my ($cert, $key) = $t->tls_cert('localhost');

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca);

$t->config(LLMTest::Ending::conf(
    main => 'llm_stream_heartbeat off;',
    server => <<'EOT',
        %%LISTEN_H2S_2%%
        listen 127.0.0.1:%%PORT_3%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
EOT
    first => 'llm_stream_first_token_timeout %%MS_2000%%;',
    idle => 'llm_stream_idle_timeout %%MS_500%%;',
    small => 'llm_stream_max_event_size 4k;',
))->start;

my @TLS = (tls => { ca => $t->tls_ca });
my @PROTOCOLS = (
    [ 'HTTP/2', proto => 'h2', port => 1 ],
    [ 'HTTP/2 over TLS', proto => 'h2s', port => 2, @TLS ],
    [ 'HTTP/1.1 over TLS', proto => 'h1s', port => 3, @TLS ],
    [ 'HTTP/1.0', http10 => 1 ],
);

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);
my @SOME = @ITEMS[ 0, 1 ];
my $HEAD = LLMTest::Upstream::sse_head();
my $ERROR = "data: {\"error\":{\"message\":\"It is the fault of them.\","
    . "\"type\":\"t\",\"param\":null,\"code\":503}}\n\n";


sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


# a request; those that wait for a timer wait side by side

sub begin {
    my ($client, $ops, $group, @open) = @_;
    my @args = ($client, $ops, group => $group, @open);

    return $e->run(@args) if ($group // '') !~ /^(?:first|idle)$/;

    my $s = $e->ask(@args);

    $u->peer($s->{peer})->request;

    return $s;
}


my $SOME = $HEAD . chunked(@WIRE[ 0, 1 ]);

# name, operations of the provider, what must come of it
my @CASES = (
    [ 'complete', [ [ send => $HEAD . chunked(@WIRE) . "0\r\n\r\n" ],
        ['close'] ], items => \@ITEMS ],
    [ 'finish-without-done', [ [ send => $HEAD . chunked(@WIRE[ 0 .. 3 ])
        . "0\r\n\r\n" ], ['close'] ], items => \@ITEMS ],
    [ 'json-200', [ [ send => LLMTest::Upstream::answer(200,
        answer_json('Hello'), 'Content-Type' => 'application/json') ],
        ['close'] ], converted => 1 ],
    [ 'fin-before-headers', [ ['close'] ], code => 'upstream_reset' ],
    [ 'not-http', [ [ send => "HELLO\r\n\r\n" ] ],
        code => 'upstream_protocol' ],
    [ 's429', [ [ send => LLMTest::Upstream::answer(429,
        $ERROR =~ s/^data: |\n//gr, 'Content-Type' => 'application/json') ],
        ['close'] ], code => '503', status => 429,
        said => $ERROR =~ s/^data: |\n//gr, logged => 'upstream_error',
        level => 'info|warn|error' ],
    [ 'html-200', [ [ send => LLMTest::Upstream::answer(200, '<html>',
        'Content-Type' => 'text/html') ] ], code => 'upstream_content_type' ],
    [ 's204-empty', [ [ send => "${HEAD}0\r\n\r\n" ] ],
        code => 'upstream_empty' ],
    [ 'error-event-first', [ [ send => $HEAD . chunked($ERROR)
        . "0\r\n\r\n" ] ], code => '503', status => 503, said => $ERROR,
        said_body => $ERROR =~ s/^data: |\n//gr,
        logged => 'upstream_error' ],
    [ 'fin-chunked-incomplete', [ [ send => $SOME ], ['close'] ],
        items => \@SOME, code => 'upstream_truncated' ],
    [ 'fin-chunked-incomplete, later', [ [ cut => $SOME ], ['drained'],
        ['close'] ], items => \@SOME, code => 'upstream_truncated' ],
    [ 'rst-mid-event', [ [ send => $SOME . sprintf("%x\r\n", length $WIRE[2])
        . substr $WIRE[2], 0, 50 ], ['reset'] ], items => \@SOME,
        code => 'upstream_reset' ],
    [ 'last-chunk-no-terminator', [ [ send => "${SOME}0\r\n\r\n" ] ],
        items => \@SOME, code => 'upstream_truncated' ],
    [ 'close-delimited-mid-event', [ [ send => "HTTP/1.0 200 OK\r\n"
        . "Content-Type: text/event-stream\r\n\r\n" . join('', @WIRE[ 0, 1 ])
        . substr $WIRE[2], 0, 50 ], ['close'] ], items => \@SOME,
        code => 'upstream_truncated' ],
    [ 'cl-too-big', [ [ send => "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n"
        . "Content-Type: text/event-stream\r\n\r\n"
        . join '', @WIRE[ 0, 1 ] ], ['close'] ], items => \@SOME,
        code => 'upstream_truncated' ],
    [ 'chunk-bad-size', [ [ send => "${SOME}zz\r\n" ] ], items => \@SOME,
        code => 'upstream_protocol' ],
    [ 'chunk-overflow', [ [ send => $SOME . 'f' x 16 . "\r\nx" ] ],
        items => \@SOME, code => 'upstream_protocol' ],
    [ 'error-event-mid', [ [ send => $SOME . chunked($ERROR)
        . "0\r\n\r\n" ] ], items => \@SOME, code => '503', status => 503,
        said => $ERROR, logged => 'upstream_error' ],
    [ 'error-then-done', [ [ send => $SOME . chunked($ERROR, $WIRE[4])
        . "0\r\n\r\n" ] ], items => \@SOME, code => '503', status => 503,
        said => $ERROR, logged => 'upstream_error' ],
    [ 'huge-event', [ [ send => $SOME . chunked('data: ' . 'x' x 5000) ] ],
        items => \@SOME, code => 'event_too_large', group => 'small' ],
    [ 'stall-after-headers', [ [ send => $HEAD ] ], group => 'first',
        code => 'upstream_timeout_first_event' ],
    [ 'stall-mid', [ [ send => $SOME ] ], group => 'idle',
        items => \@SOME, code => 'upstream_timeout_idle' ],
);

for my $protocol (@PROTOCOLS) {
    my ($name, @open) = @$protocol;
    my @http10 = $name eq 'HTTP/1.0' ? (http10 => 1) : ();

    for my $row (@CASES) {
        my ($fault, $ops, %want) = @$row;
        my $text_fails = $want{items} && $want{code} && $name =~ m{^HTTP/2};
        my (@cases, @bad);

        for my $client (streaming(), 'gathered') {
            push @cases, [ $client, begin($client, $ops, $want{group},
                @open), %want, @http10 ];
        }

        for my $case (@cases) {
            my $s = $case->[1];

            $s->wait_end;

            # what it becomes is told in endings_content.t
            push @$case, body => $s->body if $want{converted};
            push @bad, "$case->[0]: " . $s->body
                if $want{converted} && $s->body !~ /Hello/;
            push @bad, 'not RST_STREAM: ' . ($s->ended // 'open')
                if $case->[0] eq 'text' && $text_fails
                && ($s->ended // '') ne 'reset';
        }

        $e->judge("$name: $fault", @cases);
        $e->all_good("$name: $fault: text ends by RST_STREAM", @bad)
            if $text_fails;
        $e->all_good("$name: $fault: all of it", @bad) if $want{converted};
    }
}


# One connection carries the others on: an unclean end is one stream's.

{
    my $h2 = $t->h2(port => 1);
    my @on = (on => $h2, proto => 'h2', port => 1);
    my @cases;

    for my $round (1 .. 3) {
        for my $client (streaming()) {
            my $bad = $e->run($client, [ [ send => $SOME ], ['close'] ], @on);
            my $good = $e->run($client, [ [ send => $HEAD . chunked(@WIRE)
                . "0\r\n\r\n" ], ['close'] ], @on);

            push @cases, [ "$client, cut", $bad, items => \@SOME,
                code => 'upstream_truncated' ],
                [ "$client, good", $good, items => \@ITEMS ];
        }
    }

    $e->judge('HTTP/2: streams of one connection', @cases);
    is($h2->goaway_received, undef, 'HTTP/2: no GOAWAY');
    is($h2->ended, undef, 'HTTP/2: the connection lives');
}


$t->finish;
