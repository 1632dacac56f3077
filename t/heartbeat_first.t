#!/usr/bin/perl

# The heartbeat before the first token, for every client dialect, over
# HTTP/1.1 and HTTP/2: once the gate is open, because it is off or because its
# time is over.  Never before the provider's header, never inside an event,
# never as a token, never behind the end, and never for clients that could
# not know what it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(answer_json hello pass_time wire);
use LLMTest::Wait qw(slow);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;

my $chat = '"model":"m","messages":[{"role":"user","content":"hi"}]';
my $contents = '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}';
my $model = '/v1beta/models/m:';

# S is the member of the request that asks for a stream; beat: the bytes of a
# heartbeat, if there are any
my %CLIENT = (
    'openai' => { body => "{$chat,S}", beat => ": hb\n" },
    'openai-completions' => { body => '{"model":"m","prompt":"hi",S}',
        beat => ": hb\n" },
    'openai-responses' => { body => '{"model":"m","input":"hi",S}',
        beat => ": hb\n" },
    'anthropic' => { body => "{$chat,S,\"max_tokens\":99}",
        beat => ": hb\n" },
    'gemini' => { body => $contents, beat => "\n\n",
        path => "${model}streamGenerateContent?alt=sse",
        answer => "${model}generateContent" },
    'gemini-array' => { body => $contents,
        path => "${model}streamGenerateContent",
        answer => "${model}generateContent" },
    'ollama' => { body => "{$chat,S}" },
    'ollama-generate' => { body => '{"model":"m","prompt":"hi",S}' },
    'flowise' => { body => '{"question":"hi","streaming":true}',
        one => '{"question":"hi"}', beat => ": hb\n" },
    'simple' => { body => "{$chat,S}", beat => ": hb\n" },
    'typed' => { body => "{$chat,S}", beat => ": hb\n" },
    'text' => { body => "{$chat,S}" },
);

# nginx < 1.23 sends a header only with a body
my $OPENED = qr/\A(?:: open\n)?/;

my @PROTO = ([ 'h1' ], [ 'h2', proto => 'h2', port => 1 ]);

my $OPEN = 'llm_stream_heartbeat %%MS_60%%;';
my %GROUP = (
    off => "$OPEN llm_stream_gate off;",
    event => "$OPEN llm_stream_gate event %%MS_100%%;",
    content => "$OPEN llm_stream_gate content %%MS_100%%;",
    silent => 'llm_stream_heartbeat off;',
    limited => "$OPEN llm_stream_gate off;"
        . ' llm_stream_first_token_timeout %%MS_3000%%;',
    waits => "$OPEN llm_stream_gate event;",
);

my $locations = '';

for my $group (sort keys %GROUP) {
    for my $client (sort keys %CLIENT) {
        my $dialect = $client eq 'gemini-array' ? 'gemini' : $client;

        $locations .= <<"EOT";
        location "/$group/$client/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $dialect;
            llm_stream_model m;
            $GROUP{$group}
        }
EOT
    }
}

$locations =~ s/%%MS_(\d+)%%/int($1 * slow()) . 'ms'/ge;

$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        %%LISTEN_H2_1%%
$locations
    }
}
EOT

my @WIRE = wire(hello());
my $accepted = 0;


# Asks, and waits until the provider has the request: a hash of the stream,
# the provider's side and who it is.

sub begin {
    my ($group, $client, $stream, @how) = @_;
    my $who = $CLIENT{$client};
    my $path = $stream ? $who->{path} : $who->{answer};
    my $body = $stream ? $who->{body} : $who->{one} // $who->{body};
    my $peer_number = ++$accepted;

    $body =~ s/S(?=[,}])/$stream ? '"stream":true' : '"stream":false'/e;

    my $s = $t->open(method => 'POST', @how,
        path => "/$group/$client" . ($path // '/'), body => $body,
        headers => [ [ 'Content-Type' => 'application/json' ] ]);
    my $peer = $u->peer($peer_number);

    $peer->request;

    return { s => $s, peer => $peer, client => $client, group => $group,
        beat => $who->{beat}, name => "$group, $client" };
}


# without what differs from one answer to the next

sub plain {
    my ($body) = @_;

    return $body =~ s/\b(?:\w+[_-])?[0-9a-f]{6,}\b/ID/gr
        =~ s/"\d{4}-\d\d-\d\dT[^"]*"/"TIME"/gr
        =~ s/("[a-z_]*duration"):\d+/$1:0/gr;
}


# Without the heartbeats that stand between events.  Where line ends are one,
# more empty lines than one are none of an event.

sub quiet {
    my ($body, $beat) = @_;

    return $body if !defined $beat;
    return $body =~ s/$OPENED//r =~ s/^\Q$beat\E//gmr if $beat ne "\n\n";
    return $body =~ s/\A\n+//r =~ s/\n\n(?:\n\n)+/\n\n/gr;
}


# what a client of each dialect gets when there are no heartbeats

my %whole;

for my $client (sort keys %CLIENT) {
    my $case = begin('silent', $client, 1);

    $case->{peer}->sse_head;
    $case->{peer}->chunk(@WIRE);
    $case->{peer}->last_chunk;
    $case->{s}->wait_end;
    $case->{peer}->close;
    $whole{$client} = plain($case->{s}->body);
    isnt($whole{$client}, '', "$client: has an answer");
}


# Each step for all of them, so that they wait side by side.

my @cases;

for my $proto (@PROTO) {
    my ($name, @how) = @$proto;

    for my $group (qw(off event content)) {
        for my $client (sort keys %CLIENT) {
            my $case = begin($group, $client, 1, @how);

            $case->{name} = "$name, $case->{name}";
            push @cases, $case;
        }
    }
}

pass_time(300);

ok(!(grep { $_->{s}->poll; $_->{s}->has_headers } @cases),
    'nothing before the provider\'s header');

$_->{peer}->sse_head for @cases;


# until so many more heartbeats are there, or, for who gets none, until that
# time is over; and that nothing else came

sub silence {
    my ($step, $n) = @_;

    pass_time(60 * ($n + 2));

    for my $case (@cases) {
        my ($s, $beat) = @{$case}{qw(s beat)};
        my $name = "$case->{name}, $step";

        if (!defined $beat) {
            $s->poll;
            is($s->unread, '', "$name: no heartbeat");
            next;
        }

        ok(defined $s->read_until(qr/$OPENED(?:\Q$beat\E){$n}/),
            "$name: heartbeats") or diag($s->unread);
    }

    return;
}

for my $case (@cases) {
    is($case->{s}->status, 200, "$case->{name}: the header is there");
}

silence('before any event', 3);


# The role, which most dialects show as an event, is no token; nor is a part
# of the first one.

$_->{peer}->chunk($WIRE[0], substr $WIRE[1], 0, 60) for @cases;

for my $case (@cases) {
    my ($s, $beat) = @{$case}{qw(s beat)};

    if (defined $beat) {
        # what the role became, up to the next three
        ok(defined $s->read_until(qr/(?:\Q$beat\E){3}/),
            "$case->{name}, in an event: heartbeats");
        ok(plain($s->body) !~ /Hel/, "$case->{name}: no token yet");
    }
}

$_->{peer}->chunk(substr($WIRE[1], 60), @WIRE[ 2 .. 4 ]) for @cases;


# The answer is over, but the provider does not say so: no heartbeat follows
# the last event.

pass_time(300);
$_->{peer}->last_chunk for @cases;

for my $case (@cases) {
    my ($s, $client, $beat) = @{$case}{qw(s client beat)};

    $s->wait_end;
    is($s->ended, 'complete', "$case->{name}: complete");

    my ($end) = $whole{$client} =~ /([^\n]{1,12}\n*)\z/;

    like(plain($s->body), qr/\Q$end\E\z/,
        "$case->{name}: nothing behind it");
    is(plain(quiet($s->body, $beat)), $whole{$client},
        "$case->{name}: between events only");
    $case->{peer}->close;
}


# Silence at every third byte of the role and of the first token.

for my $client (grep { $CLIENT{$_}{beat} } sort keys %CLIENT) {
    my $first = join '', @WIRE[ 0, 1 ];
    my $beat = $CLIENT{$client}{beat};
    my (@cut, @bad);

    for (my $at = 1; $at < length $first; $at += 3) {
        my $case = begin('off', $client, 1);

        $case->{at} = $at;
        $case->{peer}->sse_head;
        $case->{peer}->chunk(substr $first, 0, $at);
        push @cut, $case;
    }

    for my $case (@cut) {
        my $s = $case->{s};

        # what the cut let through, and two heartbeats in the silence
        push @bad, "cut at $case->{at}: no heartbeat"
            if !defined $s->read_until(qr/(?:\Q$beat\E){2}\z/);
        $case->{peer}->chunk(substr($first, $case->{at}), @WIRE[ 2 .. 4 ]);
        $case->{peer}->last_chunk;
        $s->wait_end;

        my $body = quiet($s->body, $beat);

        push @bad, "cut at $case->{at}: $body"
            if plain($body) ne $whole{$client} || !$s->complete;
        $case->{peer}->close;
    }

    is_deeply(\@bad, [], "$client, silence at " . @cut . ' cuts');
}


# A heartbeat is no token: the limit for the first one holds.

{
    my @limited;

    # the time of each has begun: its header comes at once
    for my $client (grep { $CLIENT{$_}{beat} } sort keys %CLIENT) {
        push @limited, begin('limited', $client, 1);
        $limited[-1]{peer}->sse_head;
    }

    for my $case (@limited) {
        my ($s, $beat) = @{$case}{qw(s beat)};

        $s->wait_end;
        like($s->body, qr/$OPENED(?:\Q$beat\E)+(?=\S)(?!:)/,
            "$case->{name}: heartbeats, then");
        like($s->body, qr/first|time/i, "$case->{name}: the limit");
        unlike($s->body, qr/\Q$beat\E\z/, "$case->{name}: and no more")
            if $beat eq ": hb\n";
        ok($s->complete, "$case->{name}: in order");
        $case->{peer}->close;
    }
}


# One JSON answer gets none; a stream made of a provider's one answer does.

{
    my @single = map { begin('off', $_, 0) } grep { $_ ne 'text' }
        sort keys %CLIENT;
    my $json = answer_json('Hello');
    my @made = map { begin('off', $_, 1) } sort keys %CLIENT;

    for my $case (@single, @made) {
        $case->{peer}->head(200, 'Content-Type' => 'application/json');
    }

    pass_time(400);

    for my $case (@single) {
        $case->{s}->poll;
        ok(!$case->{s}->has_headers, "$case->{name}, one answer: silence");
    }

    for my $case (grep { $_->{beat} } @made) {
        my $beat = $case->{beat};

        ok(defined $case->{s}->read_until(qr/$OPENED(?:\Q$beat\E){3}/),
            "$case->{name}, made of one answer: heartbeats");
    }

    for my $case (@single, @made) {
        $case->{peer}->chunk($json);
        $case->{peer}->last_chunk;
        $case->{s}->wait_end;
        ok($case->{s}->complete, "$case->{name}: complete");
        like($case->{s}->body, qr/Hello/, "$case->{name}: with its text");
        $case->{peer}->close;
    }

    ok(!(grep { $_->{s}->body =~ /hb/ } @single), 'nothing else in them');
}


# A gate without a time stays closed, and nothing is sent.

{
    my $case = begin('waits', 'simple', 1);

    $case->{peer}->sse_head;
    $case->{peer}->chunk($WIRE[0]);
    pass_time(400);
    $case->{s}->poll;
    ok(!$case->{s}->has_headers, 'a closed gate: silence');
    $case->{peer}->chunk(@WIRE[ 1 .. 4 ]);
    $case->{peer}->last_chunk;
    $case->{s}->wait_end;
    is(plain($case->{s}->body), $whole{simple}, 'and then the stream');
    $case->{peer}->close;
}


$t->finish;
