#!/usr/bin/perl

# The heartbeat: a comment line, in silence only, between events only, for
# event streams only.  No SDK may take it for an event: one line, no blank
# line behind it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(hello wire shown pass_time);
use LLMTest::SSE;
use LLMTest::Upstream;
use LLMTest::Wait qw(now slow);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);
my $clock = LLMTest::Clock->new($t);

$t->config(LLMTest::Ending::conf(
    main => 'llm_stream_heartbeat %%MS_200%%;',
    off => 'llm_stream_heartbeat off;',
    calm => 'llm_stream_heartbeat %%MS_1000%%;',
    content => 'llm_stream_gate content;',
    slow_client => 'llm_stream_buffer_size 8k;',
    timed => 'llm_stream_idle_timeout %%MS_700%%;',
))->start(env => $clock->env);

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);


# starts a stream and hands over its provider's side too

sub begin {
    my ($client, %o) = @_;
    my $s = $e->ask($client, [], %o);
    my $peer = $u->peer($s->{peer});

    $peer->request;

    return ($s, $peer);
}


# waits until so many heartbeats are there; the body so far

sub beats {
    my ($s, $n) = @_;
    my $got = '';

    for (1 .. $n) {
        $got .= $s->read_until(qr/\G.*?(?:^|\n): hb\n/s) // last;
    }

    return $got;
}


# First what is a matter of two times: on a clock that moves when the test says
# so, whatever else the machine does meanwhile.

sub forward {
    my ($seconds) = @_;

    $clock->advance($seconds * slow());

    # nginx has seen the time, and done what was due, before this is answered
    $t->get('/nothing');

    return;
}


# No heartbeat while there is content.

{
    my ($s, $peer) = begin('simple', group => 'calm');

    $peer->sse_head;

    for (1 .. 10) {
        $peer->chunk($WIRE[1]);
        $s->read_event;
        forward(0.75);
    }

    $peer->chunk(@WIRE[ 3, 4 ]);
    $peer->last_chunk;
    $s->wait_end;

    is($s->body, shown('simple', ([ text => 'Hel' ]) x 10, $ITEMS[4]),
        'none while there is content');
    $peer->close;
}


# It is no content: it does not keep a silent stream alive, and no heartbeat
# follows the end.

for my $client (qw(openai simple typed)) {
    my ($s, $peer) = begin($client, group => 'timed');
    my $shown = shown($client, @ITEMS[ 0, 1 ]);

    $peer->sse_head;
    $peer->chunk(@WIRE[ 0, 1 ]);
    $s->read_bytes(length $shown);

    for (1 .. 3) {
        forward(0.21);
        beats($s, 1);
    }

    forward(0.1);
    $s->wait_end;

    my $event = LLMTest::Ending::error_event($client,
        'upstream_timeout_idle');

    like($s->body, qr/\A\Q$shown\E(?:: hb\n){3}$event\z/,
        "it does not reset the idle limit, $client");
    ok($s->complete, "and the end is proper, $client");
    $peer->close;
}


# A client that does not read is not sent more of them.

{
    my $event = [ text => 'x' x 60_000 ];
    my @all = ($ITEMS[0], ($event) x 200, @ITEMS[ 3, 4 ]);
    my ($s, $peer) = begin('simple', group => 'slow_client',
        rcvbuf => 4096);

    $peer->order([ send => LLMTest::Upstream::stream(wire(@all)) ]);
    ok($peer->wait_stalled(1), 'a client that does not read');
    forward(0.21) for 1 .. 8;
    $s->wait_end(60);

    # one may have been on its way when the client stopped
    my $beats = () = $s->body =~ /^: hb\n/mg;

    cmp_ok($beats, '<=', 2, 'heartbeats do not pile up');
    is($s->body =~ s/^: hb\n//gmr, shown('simple', @all),
        'and harm no event');
    $peer->close;
}


# The rest in real time.

$clock->run;

for my $proto (qw(h1 h2)) {
    my @proto = $proto eq 'h2' ? (proto => 'h2', port => 1) : ();

    for my $client (qw(openai simple typed)) {
        my ($s, $peer) = begin($client, @proto);
        my $start = now();

        $peer->sse_head;
        $peer->chunk(@WIRE[ 0, 1 ]);

        my $body = beats($s, 3);
        my $shown = shown($client, @ITEMS[ 0, 1 ]);

        is($body, $shown . ": hb\n" x 3, "$proto, $client: in silence");
        cmp_ok(now() - $start, '>=', 0.55 * slow(),
            "$proto, $client: not more often than asked for");

        # a part of an event is not silence, but nothing to show either
        $peer->chunk(substr $WIRE[2], 0, 40);
        $body .= beats($s, 2);
        $peer->chunk(substr $WIRE[2], 40);
        $body .= $s->read_until(qr/"lo".*\n\n/);

        my $event = substr shown($client, @ITEMS[ 0 .. 2 ]), length $shown;

        like($body, qr/\A\Q$shown\E(?:: hb\n){5,}\Q$event\E\z/,
            "$proto, $client: not inside an event");

        $body .= beats($s, 1);
        $peer->chunk(@WIRE[ 3, 4 ]);
        $peer->last_chunk;
        $s->wait_end;

        is($s->ended, 'complete', "$proto, $client: complete");

        my $left = $s->body =~ s/^: hb\n//gmr;
        is($left, shown($client, @ITEMS),
            "$proto, $client: nothing but heartbeats between the events");
        unlike($s->body, qr/: hb\n\n/,
            "$proto, $client: no blank line after it");

        my @items = grep { !defined $_->{comment} }
            LLMTest::SSE::items($s->body);
        is(scalar @items, scalar(LLMTest::SSE::parse(
            shown($client, @ITEMS))), "$proto, $client: no event of it");
        $peer->close;
    }
}


# Comments of the provider are silence too, and are not forwarded.

{
    my ($s, $peer) = begin('openai');

    $peer->sse_head;
    $peer->chunk(@WIRE[ 0, 1 ]);

    for (1 .. 10) {
        $peer->chunk(": OPENROUTER PROCESSING\n\n");
        pass_time(50);
    }

    my $body = beats($s, 1);

    is($body, shown('openai', @ITEMS[ 0, 1 ]) . ": hb\n",
        'the provider\'s comments are silence');
    $peer->close;
}


# None before the header is sent, nor for clients that could not know what it
# is.

{
    my %quiet = (
        text => [ 'text', '' ],
        gathered => [ 'gathered', '' ],
        off => [ 'openai', 'off' ],
        held => [ 'simple', 'content' ],
    );
    my %running;

    for my $name (sort keys %quiet) {
        my ($client, $group) = @{ $quiet{$name} };
        my ($s, $peer) = begin($client, group => $group);

        $running{$name} = { s => $s, peer => $peer };
        $peer->sse_head;
        $peer->chunk($name eq 'held' ? $WIRE[0] : @WIRE[ 0, 1 ]);
    }

    my ($answer, $answer_peer) = begin('answer');

    pass_time(900);

    ok(!$running{held}{s}->poll && !$running{held}{s}->has_headers,
        'none before the header');

    my @cases;

    for my $name (sort keys %quiet) {
        my $peer = $running{$name}{peer};

        $peer->chunk($name eq 'held' ? @WIRE[ 1 .. 4 ] : @WIRE[ 2 .. 4 ]);
        $peer->last_chunk;
        push @cases, [ $name, $running{$name}{s}, items => \@ITEMS ];
    }

    my $json = LLMTest::Ending::answer_json('Hello');
    $answer_peer->answer(200, $json, 'Content-Type' => 'application/json');
    push @cases, [ 'answer', $answer, body => $json ];

    $e->judge('none for text, for one document, with off', @cases);
    $_->{peer}->close for values %running;
    $answer_peer->close;
}


$t->finish;
