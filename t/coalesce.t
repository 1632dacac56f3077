#!/usr/bin/perl

# llm_stream_coalesce over a real nginx: the first piece at once, the rest
# when its time has come although nothing else does, all of it at every end,
# and nothing changed for what is not shaped.  Time stands still but for what
# the test lets pass.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(hello wire shown streaming answer_json error_event);
use LLMTest::Lockstep qw(chat_request);
use LLMTest::Upstream;
use LLMTest::Wait qw(slow wait_for);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $mock = $t->mock;
my $e = LLMTest::Ending->new($t, $u);
my $clock = LLMTest::Clock->new($t);

my $WORDS = 'llm_stream_coalesce boundary=word max_delay=%%MS_300%%;';

my $conf = LLMTest::Ending::conf(
    main => "log_format held '\$arg_n \$llm_stream_held "
        . "\$llm_stream_chunks';\naccess_log %%DIR%%/held.log held;\n"
        . "upstream paced { server %%MOCK%%; keepalive 4; }\n"
        . 'llm_stream_heartbeat off;',
    '' => 'llm_stream_coalesce time=%%MS_300%%;',
    words => $WORDS,
    lines => 'llm_stream_coalesce boundary=line max_delay=%%MS_8000%%;',
    size => 'llm_stream_coalesce size=8 max_delay=%%MS_8000%%;',
    off => 'llm_stream_coalesce off;',
    content => "$WORDS llm_stream_gate content;",
    beats => 'llm_stream_coalesce time=%%MS_400%%;'
        . ' llm_stream_heartbeat %%MS_150%%;',
    idle => 'llm_stream_coalesce boundary=line max_delay=%%MS_8000%%;'
        . ' llm_stream_idle_timeout %%MS_300%%;',
    slow_client => "$WORDS llm_stream_buffer_size 8k;",
);

$conf =~ s/(        location \/text \{)/LOCATIONS()/e;

sub LOCATIONS {
    return <<'EOT';
        location /mock/on {
            llm_stream_coalesce boundary=sentence size=40;
            llm_stream openai http://paced;
        }
        location /mock/off { llm_stream openai http://paced; }
        location /text {
EOT
}

$t->config($conf)->start(env => $clock->env);

my @ROLE = wire(['role']);


sub begin {
    my ($client, %o) = @_;
    my $s = $e->ask($client, [], %o);
    my $peer = $u->peer($s->{peer});

    $peer->request;
    $peer->sse_head;
    $peer->chunk(@ROLE);

    return ($s, $peer);
}


sub say_text {
    my ($peer, @texts) = @_;

    $peer->chunk(wire([ text => $_ ])) for @texts;

    return;
}


sub finish {
    my ($s, $peer) = @_;

    $peer->chunk(wire([ finish => 'stop' ], ['done']));
    $peer->last_chunk;
    $s->wait_end;

    return;
}


# the texts of the events that a client has got

sub pieces {
    my ($client, $body) = @_;

    return ($body) if $client eq 'text';

    my $name = $client eq 'typed' ? 'token' : 'content';
    my @pieces;

    while ($body =~ /^data: (\{.*\})$/mg) {
        my $event = JSON::PP->new->decode($1);
        my $in = $client eq 'openai' ? $event->{choices}[0]{delta}
            : $client eq 'typed' ? $event->{data} : $event;

        push @pieces, $in->{$name} if length($in->{$name} // '');
    }

    return @pieces;
}


sub text_of { return join '', pieces(@_) }


# reads until the client has this text

sub read_text {
    my ($s, $client, $text) = @_;

    wait_for(sub {
        $s->poll;
        return text_of($client, $s->body) eq $text || $s->ended;
    });

    is(text_of($client, $s->body), $text,
        "$client: has \"" . $text =~ s/\n/\\n/gr . '"');

    return;
}


# lets that many milliseconds pass when nginx has read what was sent to it

sub elapse {
    my ($peer, $ms) = @_;

    $peer->drained;
    $clock->advance($ms * slow() / 1000);

    return;
}


sub held {
    my ($s) = @_;
    my $line = $t->wait_log(qr/^$s->{n} /, file => 'held.log') // '';

    return (split ' ', $line)[1];
}


# The first piece is there before anything follows; what follows comes by
# itself, joined.

for my $proto (qw(h1 h2)) {
    my @proto = $proto eq 'h2' ? (proto => 'h2', port => 1) : ();

    for my $client (streaming()) {
        my ($s, $peer) = begin($client, @proto);

        say_text($peer, 'Hel');
        read_text($s, $client, 'Hel');

        $peer->chunk(join '', wire([ text => 'lo' ], [ text => ' wo' ],
            [ text => 'rld' ]));
        elapse($peer, 290);
        $s->read_bytes(1e6, 0.02);
        is(text_of($client, $s->body), 'Hel', "$proto, $client: it was held");
        elapse($peer, 20);
        read_text($s, $client, 'Hello world');

        my @pieces = pieces($client, $s->body);
        cmp_ok(scalar @pieces, '<=', 3, "$proto, $client: and joined");

        say_text($peer, '!');
        finish($s, $peer);
        ok($s->complete, "$proto, $client: complete");
        is(text_of($client, $s->body), 'Hello world!',
            "$proto, $client: all of it");
        is(held($s), 8, "$proto, $client: what was held") if $proto eq 'h1';
        $peer->close;
    }
}


# A line goes when it is complete, without any wait.

{
    my ($s, $peer) = begin('openai', group => 'lines');

    say_text($peer, 'One');
    read_text($s, 'openai', 'One');
    say_text($peer, ' line', '\n', 'two');
    read_text($s, 'openai', "One line\n");
    is_deeply([ pieces('openai', $s->body) ], [ 'One', " line\n" ],
        'a line is one event');
    finish($s, $peer);
    is_deeply([ pieces('openai', $s->body) ], [ 'One', " line\n", 'two' ],
        'and the rest comes with the end');
    $peer->close;
}


# Events of one read leave in one write, as they do without it.

{
    my ($s, $peer) = begin('simple', group => 'size');

    say_text($peer, 'x');
    read_text($s, 'simple', 'x');

    my $before = $s->chunks;

    $peer->chunk(join '', wire(map { [ text => $_ ] } 'a' .. 'p'));
    read_text($s, 'simple', 'xabcdefghijklmn');
    is(scalar($s->chunks) - $before, 1, 'one write');
    is_deeply([ pieces('simple', $s->body) ],
        [ 'x', 'abcdefg', 'hijklmn' ], 'of two events');
    finish($s, $peer);
    is(text_of('simple', $s->body), 'xabcdefghijklmnop', 'all of it');
    $peer->close;
}


# Half a flag comes first: it opens the gate when nothing else comes, and no
# error or end of it is lost.

for my $group ('words', 'content') {
    my $half = "\xf0\x9f\x87\xba";
    my ($s, $peer) = begin('simple', group => $group);

    say_text($peer, $half);
    elapse($peer, 310);
    is($s->status, 200, "$group: the header comes");

    my ($got) = $s->read_until(qr/"content":"\Q$half\E"/);
    ok(defined $got, "$group: and half a flag");
    say_text($peer, "\xf0\x9f\x87\xa6", 'x');
    finish($s, $peer);
    like($s->body, qr/\Q$half\E.*\xf0\x9f\x87\xa6.*x.*"done":true/s,
        "$group: the rest");
    ok($s->complete, "$group: complete");
    $peer->close;
}


# What is given up may be nothing for this client: the gate stays closed, and
# the stream goes on.

{
    my ($s, $peer) = begin('simple', group => 'words');

    $peer->chunk(LLMTest::Ending::chunk("{\"reasoning_content\":\"$_\"}"))
        for 'Let', ' me', ' see';
    elapse($peer, 700);
    $s->read_bytes(1, 0.1);
    ok(!$s->has_headers, 'reasoning that is not shown opens no gate');
    say_text($peer, 'a');
    read_text($s, 'simple', 'a');
    say_text($peer, 'b');
    finish($s, $peer);
    is(text_of('simple', $s->body), 'ab', 'and the text comes');
    ok($s->complete, 'and the end');
    $peer->close;
}


# Silence is silence: a heartbeat comes between what is held, once the gate is
# open, and never in an event.

{
    my ($s, $peer) = begin('simple', group => 'beats');

    say_text($peer, 'a');
    read_text($s, 'simple', 'a');
    say_text($peer, 'b', 'c');

    # one thing is due at a time
    for (1, 2) {
        elapse($peer, 160);
        ok($s->read_until(qr/: hb\n/), 'a heartbeat while text is held');
    }

    is(text_of('simple', $s->body), 'a', 'that is held on');
    elapse($peer, 90);
    read_text($s, 'simple', 'abc');
    finish($s, $peer);
    like($s->body, qr/: hb\n/, 'heartbeats');
    is(text_of('simple', $s->body), 'abc', 'and all of the text');
    unlike($s->body =~ s/^: hb\n//gmr, qr/hb/, 'none of them in an event');
    $peer->close;
}


# Whatever ends a stream, what was held goes first.

{
    my @items = (['role'], [ text => 'Hel' ], [ text => 'lo wor' ]);
    my %ends = (
        truncated => [ 'upstream_truncated', 'lines',
            sub { $_[0]->close } ],
        reset => [ 'upstream_reset', 'lines', sub { $_[0]->reset } ],
        idle => [ 'upstream_timeout_idle', 'idle',
            sub { elapse($_[0], 310) } ],
        invalid => [ 'upstream_invalid_event', 'lines',
            sub { $_[0]->chunk("data: {\"choices\":[\n\n") } ],
        error => [ 'rate_limit_exceeded', 'lines', sub {
            $_[0]->chunk('data: {"error":{"message":"Too many.",'
                . '"type":"rate_limit","code":"rate_limit_exceeded"}}'
                . "\n\n") } ],
    );

    for my $how (sort keys %ends) {
        my ($code, $group, $end) = @{ $ends{$how} };

        for my $client (streaming()) {
            my ($s, $peer) = begin($client, group => $group);

            say_text($peer, 'Hel');
            read_text($s, $client, 'Hel');
            say_text($peer, 'lo wor');
            $end->($peer);
            $s->wait_end;

            my $body = $s->body;
            my $shown = shown($client, @items[ 1, 2 ]);

            like($client eq 'text' ? $body : text_of($client, $body),
                qr/\AHello wor\z/, "$how, $client: all that came");
            like($body, qr/error/, "$how, $client: then the error")
                if $client ne 'text';
            ok(!$s->complete, "$how, $client: no proper end")
                if $client eq 'text';
            $peer->close;
        }
    }
}


# A client that goes away leaves nothing behind.

{
    my ($s, $peer) = begin('simple', group => 'words');

    say_text($peer, 'a');
    read_text($s, 'simple', 'a');
    say_text($peer, 'b');
    $s->close;
    ok($peer->wait_close, 'the provider is told that the client is gone');
}


# A slow client: what is held stays small, and all of it arrives.

{
    my $event = [ text => 'word ' x 10_000 ];
    my @all = (['role'], ($event) x 200, [ finish => 'stop' ], ['done']);
    my $s = $e->ask('simple', [], group => 'slow_client', rcvbuf => 4096);
    my $peer = $u->peer($s->{peer});

    $peer->request;
    $peer->order([ send => LLMTest::Upstream::stream(wire(@all)) ]);
    ok($peer->wait_stalled(0.3), 'a client that does not read');
    $clock->advance(0.5 * slow());
    $s->wait_end(60);
    ok($s->complete, 'complete');
    ok(text_of('simple', $s->body) eq 'word ' x 2_000_000, 'all of it');
    cmp_ok(held($s), '<=', 4096, 'and little was held');
    $peer->close;
}


# One JSON answer is not shaped: nothing waits, nothing is held.

for my $client (qw(answer gathered)) {
    my ($s, $peer);

    if ($client eq 'answer') {
        $s = $e->ask($client, [], group => 'lines');
        $peer = $u->peer($s->{peer});
        $peer->request;
        $peer->answer(200, answer_json('Hello there'),
            'Content-Type' => 'application/json');
        $s->wait_end;

    } else {
        ($s, $peer) = begin($client, group => 'lines');
        say_text($peer, 'Hello', ' there');
        finish($s, $peer);
    }

    like($s->body, qr/"Hello there"/, "$client: whole");
    ok($s->complete, "$client: complete");
    is(held($s), 0, "$client: nothing was held");
    $peer->close;
}


# Off: every event as it came, and none held.

{
    my @items = hello('a', 'b', 'c');
    my ($s, $peer) = begin('openai', group => 'off');

    $peer->chunk(wire(@items[ 1 .. $#items ]));
    $peer->last_chunk;
    $s->wait_end;
    is($s->body, shown('openai', @items), 'off: untouched');
    is(held($s), 0, 'off: nothing was held');
    $peer->close;
}


# The mock in its own pace: the same text in fewer events, and the provider's
# connection serves again.

for my $text (qw(lorem unicode)) {
    my %text;
    my %events;

    for my $way (qw(off on)) {
        my $r = $t->post("/mock/$way", chat_request(
            model => "mock:tokens=60,text=$text,itl=2,logprobs=1"));
        my @pieces = pieces('openai', $r->{body});

        is($r->{ended}, 'complete', "$text, $way: complete");
        $text{$way} = join '', @pieces;
        $events{$way} = @pieces;
    }

    is($text{on}, $text{off}, "$text: the same");
    cmp_ok($events{on}, '<', $events{off} / 2, "$text: in fewer events");
}

{
    my %connections;

    for my $i (1 .. 5) {
        my $r = $t->post('/mock/on', chat_request(
            model => "mock:id=keep-$i,tokens=9,itl=1"));

        is($r->{ended}, 'complete', "keepalive, $i: complete");
        $connections{ $mock->stats("keep-$i")->{connection} } = 1;
    }

    is(scalar keys %connections, 1, 'keepalive: one connection');
}


$t->finish;
