#!/usr/bin/perl

# Limits in time, each short here: connect, send, first token, idle, total,
# the gate's; what resets them and what does not.  A slow client is not a
# silent provider.  The clock of nginx stands still but for what a test says, so
# that nobody can be too slow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Conn;
use LLMTest::Ending qw(clients streaming hello wire shown chunk);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $second = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);
my $clock = LLMTest::Clock->new($t);
my $deaf = full_listener();

$t->set(DEAF => '127.0.0.1:' . $deaf->{port});

$t->config(LLMTest::Ending::conf(
    main => <<'EOT',
    client_max_body_size 64m;
    client_body_buffer_size 64m;
    llm_stream_heartbeat off;
    llm_stream_first_token_timeout 400ms;
    llm_stream_idle_timeout 400ms;
    llm_stream_total_timeout 800ms;
    upstream deaf_first {
        server %%DEAF%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
EOT
    server => deaf_locations(),
    gate_off => 'llm_stream_total_timeout off; llm_stream_gate off;',
    first => 'llm_stream_total_timeout off; llm_stream_idle_timeout off;',
    idle => 'llm_stream_total_timeout off;'
        . ' llm_stream_first_token_timeout off;',
    total => 'llm_stream_first_token_timeout off;'
        . ' llm_stream_idle_timeout off;',
    off => 'llm_stream_first_token_timeout off; llm_stream_idle_timeout off;'
        . ' llm_stream_total_timeout off;',
    send => 'llm_stream_send_timeout 400ms; llm_stream_total_timeout off;'
        . ' llm_stream_first_token_timeout off;',
    gate => 'llm_stream_gate content 300ms;'
        . ' llm_stream_first_token_timeout 1500ms;'
        . ' llm_stream_total_timeout off;',
    slow_client => 'llm_stream_total_timeout off;'
        . ' llm_stream_buffer_size 8k; llm_stream_max_event_size 1m;',
    slow_total => 'llm_stream_buffer_size 8k; llm_stream_max_event_size 1m;',
    errors => '',
))->start(env => $clock->env);

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);
my $HEAD = LLMTest::Upstream::sse_head();


sub deaf_locations {
    my $text = "        location = /alive { return 204; }\n";

    for my $client (streaming()) {
        $text .= <<"EOT";
        location /connect/$client {
            llm_stream openai http://%%DEAF%%;
            llm_stream_client $client;
            llm_stream_connect_timeout 300ms;
        }
        location /connect_next/$client {
            llm_stream openai http://deaf_first;
            llm_stream_client $client;
            llm_stream_connect_timeout 300ms;
            llm_stream_total_timeout off;
        }
        location /connect_only/$client {
            llm_stream openai http://deaf_first;
            llm_stream_client $client;
            llm_stream_connect_timeout 300ms;
            llm_stream_next_upstream error;
        }
EOT
    }

    return $text;
}


# A listening socket that takes no more connections: Linux drops a SYN when
# the queue of those not yet accepted is full.  {works} says whether it does.

sub full_listener {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 1) or die "listen: $!";
    my $port = $listen->sockport;
    my @filling;

    for (1 .. 8) {
        my $conn;

        # the second one is for a machine that was only slow
        for my $limit (0.2, 1) {
            $conn ||= eval { LLMTest::Conn->connect_to(port => $port,
                limit => $limit) };
        }

        if (!$conn) {
            return { port => $port, works => 1,
                held => [ $listen, @filling ] };
        }

        push @filling, $conn;
    }

    return { port => $port, works => 0, held => [ $listen, @filling ] };
}


# nginx has seen all that there was to see: it answers in the order in which
# it is asked

sub settled {
    $t->get('/alive') for 1 .. 3;

    return;
}


# lets that many milliseconds pass, for nginx, after all that came before

sub pass_time {
    my ($ms) = @_;

    settled();
    $clock->advance($ms / 1000);
    settled();

    return;
}


# several responses that wait for their timers side by side: [ name, stream,
# %want ] each.  No connection to the provider may be left.

sub waiting {
    my ($name, $client, $bytes, %want) = @_;
    my $s = $e->ask($client, [ [ send => $bytes ] ], group => $want{group});
    my $peer = $u->peer($s->{peer});

    $peer->request;
    $peer->drained;

    return [ "$name, $client", $s, %want ];
}


sub judge_all {
    my ($name, $ms, @cases) = @_;

    pass_time($ms);
    $e->settle($_->[1]) for @cases;

    return $e->judge($name, @cases);
}


sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


SKIP: {
    skip 'no connection can be kept from being accepted here', 3
        if !$deaf->{works};

    my @cases = map { [ $_, $e->send_request($_, group => 'connect'),
        code => 'upstream_connect_timeout' ] } clients();
    pass_time(300);
    $e->judge('connect timeout (connect-blackhole)', @cases);

    $second->each_request([ send => LLMTest::Upstream::stream(@WIRE) ],
        ['close']);
    @cases = map { [ $_, $e->send_request($_, group => 'connect_next'),
        items => \@ITEMS, again => 1 ] } streaming(), 'gathered';
    pass_time(300);
    $e->judge('connect timeout: the next peer is tried', @cases);

    @cases = map { [ $_, $e->send_request($_, group => 'connect_only'),
        code => 'upstream_connect_timeout' ] } streaming();
    pass_time(300);
    $e->judge('connect timeout: not without its class', @cases);
}


# The provider does not read the request.

{
    my @cases;

    for my $client ('openai', 'simple') {
        $u->script(['stop_reading']);

        my $s = $e->send_request($client, group => 'send',
            more => { padding => 'x' x 12_000_000 });

        push @cases, [ $client, $s, code => 'upstream_timeout_header' ];
    }

    # the kernel may take a little more now and then, which begins it anew
    $t->wait_for(sub {
        pass_time(400);
        $_->[1]->poll for @cases;
        return !grep { !defined $_->[1]->ended } @cases;
    }, 20);

    $e->judge('send timeout', @cases);
    $u->peer($_)->close for $u->connections - 1, $u->connections;
}


# First token: before the header, with the header held, with it sent.

judge_all('first token: no header (stall-before-headers)', 400,
    map { waiting('', $_, '', group => 'first',
        code => 'upstream_timeout_header') } streaming(), 'gathered');

judge_all('first token: no event (stall-after-headers)', 400,
    map { waiting('', $_, $HEAD, group => 'first',
        code => 'upstream_timeout_first_event') } streaming(), 'gathered');

judge_all('first token: only a role chunk (stall-after-headers)', 400,
    map { waiting('', $_, $HEAD . chunked($WIRE[0]), group => 'first',
        items => [ $ITEMS[0] ], code => 'upstream_timeout_first_event') }
        streaming(), 'gathered');


# What is no content does not reset the limits: comments, pings, chunks that
# say nothing.  Something every 100 ms.

sub kept_awake {
    my ($name, $client, $group, $bytes, $awake, %want) = @_;
    my $s = $e->ask($client, [ [ send => $bytes ] ], group => $group);
    my $peer = $u->peer($s->{peer});

    # also so that the next one has a connection of its own
    $peer->request;

    return { s => $s, peer => $peer, awake => $awake,
        name => "$name, $client", want => \%want };
}


sub keep_awake {
    my ($name, @cases) = @_;
    my @left;

    for (1 .. 4) {
        $_->{peer}->order([ send => $_->{awake} ], ['drained']) for @cases;
        $_->{peer}->wait_idle for @cases;
        pass_time(100);
    }

    # the first that is not closed has waited long enough for the others
    for my $case (@cases) {
        push @left, $case if !$case->{peer}->wait_close(@left ? 0.1 : undef);
    }

    $e->all_good("$name: comes in time", map { "$_->{name} goes on" } @left);
    $_->{peer}->close for @left;

    return $e->judge($name, map { [ $_->{name}, $_->{s}, %{ $_->{want} } ] }
        @cases);
}


{
    my @awake = (
        [ 'comments', chunked(": keep-alive\n\n") ],
        [ 'pings', chunked("event: ping\ndata: {\"type\":\"ping\"}\n\n") ],
        [ 'empty choices', chunked("data: {\"choices\":[]}\n\n") ],
        [ 'roles', chunked(chunk('{"role":"assistant","content":""}')) ],
        [ 'null content', chunked(chunk('{"content":null}')) ],
        [ 'bytes', LLMTest::Upstream::chunk(':') ],
    );
    my @places = (
        [ first => $HEAD, 'upstream_timeout_first_event' ],
        [ idle => $HEAD . chunked(@WIRE[ 0, 1 ]), 'upstream_timeout_idle',
            @ITEMS[ 0, 1 ] ],
    );

    for my $place (@places) {
        my ($group, $start, $code, @items) = @$place;
        my @cases;

        # what an openai client is shown of it is not the matter here
        for my $client (qw(simple text)) {
            push @cases, map { kept_awake($_->[0], $client, $group, $start,
                $_->[1], code => $code, items => \@items) } @awake;
        }

        keep_awake("$group: reset by content only (heartbeat-only)", @cases);
    }
}


# Content does reset the idle limit, of whatever kind it is.

{
    my %kinds = (
        content => '{"content":"x"}',
        reasoning => '{"reasoning_content":"x"}',
        refusal => '{"refusal":"x"}',
        tool => '{"tool_calls":[{"index":0,"id":"t","type":"function",'
            . '"function":{"name":"f","arguments":"{}"}}]}',
        arguments => '{"tool_calls":[{"index":0,"function":{"arguments":'
            . '" "}}]}',
    );
    my %running;

    for my $kind (sort keys %kinds) {
        my $s = $e->ask('openai', [], group => 'idle');
        $running{$kind} = { s => $s, peer => $u->peer($s->{peer}) };
        $running{$kind}{peer}->request;
        $running{$kind}{peer}->sse_head;
    }

    # twice as long as the limit
    for my $k (1 .. 8) {
        $running{$_}{peer}->chunk(chunk($kinds{$_})) for sort keys %kinds;
        $running{$_}{peer}->drained for keys %kinds;
        pass_time(100);
    }

    my @cases;

    for my $kind (sort keys %kinds) {
        $running{$kind}{peer}->chunk(@WIRE[ 3, 4 ]);
        $running{$kind}{peer}->last_chunk;
        push @cases, [ $kind, $running{$kind}{s},
            items => [ ([ raw => chunk($kinds{$kind}) ]) x 8,
                @ITEMS[ 3, 4 ] ] ];
    }

    $e->judge('idle: content of every kind resets it', @cases);
    $running{$_}{peer}->close for keys %running;
}


# Idle, and total: with content that never ends.

judge_all('idle: after content (stall-mid)', 400,
    map { waiting('', $_, $HEAD . chunked(@WIRE[ 0 .. 2 ]), group => 'idle',
        items => [ @ITEMS[ 0 .. 2 ] ], code => 'upstream_timeout_idle') }
        streaming(), 'gathered');

{
    my (@cases, %all);

    for my $client (streaming()) {
        my $s = $e->ask($client, [ [ send => $HEAD . chunked($WIRE[0]) ] ],
            group => 'total');
        $all{$client} = { s => $s, peer => $u->peer($s->{peer}) };
        $all{$client}{peer}->request;
    }

    for (1 .. 8) {
        $_->{peer}->order([ send => chunked($WIRE[1]) ], ['drained'])
            for values %all;
        $_->{peer}->wait_idle for values %all;
        pass_time(100);
    }

    my @left = grep { !$all{$_}{peer}->wait_close } sort keys %all;

    is("@left", '', 'total: comes in time');
    $all{$_}{peer}->close for @left;

    # how many events were shown is the client's to say
    for my $client (sort keys %all) {
        my $s = $all{$client}{s};

        $s->wait_end;

        my $one = shown($client, $ITEMS[1]);
        $one =~ s/.*\n\n(?=data)//s if $client eq 'typed';
        my $n = () = $s->body =~ /\Q$one\E/g;

        push @cases, [ $client, $s, code => 'stream_too_long',
            items => [ $ITEMS[0], ($ITEMS[1]) x $n ] ];
        is($n, 8, "total: the stream was running, $client");
    }

    $e->judge('total: in a running stream (total-too-long)', @cases);
}


judge_all('total: before the header', 800, map { waiting('', $_, '',
    group => 'total', code => 'stream_too_long') } clients());
judge_all('total: before the first event', 800, map { waiting('', $_, $HEAD,
    group => 'total', code => 'stream_too_long') } streaming());


# off: silence longer than every limit that http{} sets.

{
    my @running;

    for my $client (streaming(), 'answer') {
        my $s = $e->ask($client, [], group => 'off');
        push @running, { client => $client, s => $s,
            peer => $u->peer($s->{peer}) };
        $running[-1]{peer}->request;
    }

    pass_time(1000);

    for my $case (@running) {
        $case->{peer}->sse_head if $case->{client} ne 'answer';
    }

    pass_time(1000);

    for my $case (@running) {
        $case->{peer}->chunk(@WIRE[ 0, 1 ]) if $case->{client} ne 'answer';
    }

    pass_time(1000);

    my @cases;

    for my $case (@running) {
        if ($case->{client} eq 'answer') {
            $case->{peer}->answer(200, LLMTest::Ending::answer_json('x'),
                'Content-Type' => 'application/json');

        } else {
            $case->{peer}->chunk(@WIRE[ 2 .. 4 ]);
            $case->{peer}->last_chunk;
        }

        push @cases, [ $case->{client}, $case->{s}, items => \@ITEMS ];
    }

    $e->judge('off: no limit', @cases);
    $_->{peer}->close for @running;
}


# The gate: held until content, but not longer than its own time.

for my $client (streaming()) {
    my $s = $e->ask($client, [], group => 'gate');
    my $peer = $u->peer($s->{peer});

    $peer->request;
    $peer->sse_head;
    $peer->chunk($WIRE[0]);
    $peer->drained;
    pass_time(300);

    is($s->read_headers, 200, "gate content, $client: released by its time");
    $peer->chunk("data: {\"error\":{\"message\":\"It is their fault now.\","
        . "\"type\":\"t\",\"code\":503}}\n\n");
    $s->wait_end;

    # after the release an error can only be an event, or an unclean end
    is($s->status, 200, "gate content, $client: the status stays");
    $client eq 'text'
        ? ok(!$s->complete, "gate content, $client: an unclean end")
        : like($s->body, qr/"error".*It is their fault now\./s,
            "gate content, $client: an error event");
    $peer->close;

    $s = $e->ask($client, [ [ send => LLMTest::Upstream::stream(@WIRE) ],
        ['close'] ], group => 'gate');
    $e->check("gate content, $client: opened by content", $s,
        items => \@ITEMS);

    $s = $e->ask($client, [], group => 'gate_off');
    $peer = $u->peer($s->{peer});
    $peer->request;
    $peer->sse_head;
    is($s->read_headers, 200, "gate off, $client: the header at once");
    pass_time(400);
    $e->check("gate off, $client: then an error event", $s,
        code => 'upstream_timeout_first_event', opened => 1);
    $peer->close;
}


# A provider's error whose body never comes still is that error.

judge_all('an error whose body stalls', 5000,
    (map { waiting('nothing of it', $_, "HTTP/1.1 500 X\r\nContent-Type: "
        . "application/json\r\nContent-Length: 99\r\n\r\n",
        group => 'errors', status => 500, code => 'upstream_error') }
        clients()),
    (map { waiting('a part of it', $_, "HTTP/1.1 429 X\r\nContent-Type: "
        . "application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        . chunked('{"error":'), group => 'errors', status => 429,
        code => 'upstream_error', level => 'info|warn|error') } clients()));


# A client that does not read: the provider cannot send, and that is not its
# fault.  Afterwards everything is there.

for my $proto (qw(h1 h2)) {
    my $event = [ text => 'x' x 60_000 ];
    my @all = ($ITEMS[0], ($event) x 300, @ITEMS[ 3, 4 ]);

    for my $client (qw(openai simple)) {
        my %h2 = $proto eq 'h2' ? (proto => 'h2', port => 1,
            window => 'manual') : (rcvbuf => 4096);
        my $s = $e->ask($client, [ [ send
            => LLMTest::Upstream::stream(wire(@all)) ] ],
            group => 'slow_client', %h2);
        my $peer = $u->peer($s->{peer});

        ok($peer->wait_stalled(0.3), "slow client, $proto, $client: the"
            . ' provider cannot send');
        pass_time(1000);

        if ($proto eq 'h2') {
            $s->h2->window_update(100_000_000);
            $s->window_update(100_000_000);
        }

        $e->check("slow client, $proto, $client: no timeout", $s,
            items => \@all, limit => 60);
        $peer->close;
        $s->close;
    }
}


# But not for ever: the total holds, also when another limit came before it and
# was put off.

for my $client (qw(openai simple)) {
    my $s = $e->ask($client, [ [ send => LLMTest::Upstream::stream(wire(
        $ITEMS[0], ([ text => 'x' x 60_000 ]) x 300, @ITEMS[ 3, 4 ])) ] ],
        group => 'slow_total', rcvbuf => 4096);
    my $peer = $u->peer($s->{peer});

    ok($peer->wait_stalled(0.3), "total, slow client, $client: the provider"
        . ' cannot send');
    pass_time(500) for 1 .. 3;
    $s->wait_end(60);

    is($e->logged($s)->{error}, 'stream_too_long',
        "total, slow client, $client: it is over");
    $peer->close;
    $s->close;
}


$t->finish;
