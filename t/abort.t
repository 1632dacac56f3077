#!/usr/bin/perl

# The client goes away: the provider must know it within 100 ms, in every
# phase, however the client leaves, or it goes on generating what somebody
# pays for.  The time of the close is taken here and in the mock, on the same
# clock.  Other streams of the connection do not notice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use LLMTest;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_request DONE);
use LLMTest::Wait qw(now slow);

# seconds between the client's leaving and the mock's seeing it; the best of
# some tries counts, so that a busy machine is not taken for a slow nginx
use constant { SOON => 0.1, TRIES => 20 };

my $seed = $ENV{LLM_TEST_SEED} // int rand 1e9;
srand $seed;
diag("LLM_TEST_SEED=$seed");

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock(tls => 1, tls_name => 'provider.test');
my $u = $t->upstream;
my ($cert, $key) = $t->tls_cert('localhost');

# connections to it are never accepted, and after a few not even answered
my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
    or die "listen: $!";
my @waiting = fill($deaf);

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca,
    DEAF => '127.0.0.1:' . $deaf->sockport);

my $locations = <<'EOT';
        location = /mock {
            llm_stream openai http://%%MOCK%%;
        }
        location = /tls {
            llm_stream openai https://%%MOCK_TLS%%;
            llm_stream_ssl_trusted_certificate %%CA%%;
            llm_stream_ssl_name provider.test;
        }
        location = /keep {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_ignore_client_abort on;
        }
        location = /keep/mock {
            llm_stream openai http://%%MOCK%%;
            llm_stream_ignore_client_abort on;
        }
        location = /off {
            llm_stream openai http://%%MOCK%%;
            llm_stream_gate off;
        }
        location = /upstream {
            llm_stream openai http://%%UPSTREAM%%;
        }
        location = /deaf {
            llm_stream openai http://%%DEAF%%;
        }
EOT

my $servers = join '', map { <<"EOT" }
    server {
        $_
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
$locations
    }
EOT
    'listen 127.0.0.1:%%PORT_0%%;', 'listen 127.0.0.1:%%PORT_1%% ssl;',
    '%%LISTEN_H2_2%%', '%%LISTEN_H2S_3%%';

$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { worker_connections 1024; }
http {
    %%HTTP%%
    log_format end '\$status "\$llm_stream_end" "\$llm_stream_error" '
                   '\$request_uri \$http_x_id';
    access_log %%DIR%%/end.log end;
    llm_stream_client openai;

$servers
}
EOT

my $count = 0;
my %PORT = (h1 => 0, h1s => 1, h2 => 2, h2s => 3);


# opens connections until the kernel has no room for one more

sub fill {
    my ($listen) = @_;
    my @sockets;

    for (1 .. 16) {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $listen->sockport, Blocking => 0) or last;
        push @sockets, $sock;
    }

    return @sockets;
}


# Phases: what the mock is asked for, and how far the client goes.  Each
# request has a name of its own, by which the mock and the log know it.

my %PHASE = (
    'before the header' => {
        options => 'header_delay=600000', status => 499,
        until => sub { },
    },
    'before the first event' => {
        options => 'ttft=600000,fault=stall-after-headers', status => 499,
        until => sub { },
    },
    'header sent, before the first event' => {
        options => 'fault=stall-after-headers', status => 200,
        path => '/off', until => sub { $_[0]->read_headers },
    },
    'before the first token' => {
        options => 'fault=stall-mid,at=2', status => 200,
        until => sub { $_[0]->read_event },
    },
    'mid-stream' => {
        options => 'tokens=1000,at=20,fault=stall-mid', status => 200,
        until => sub { $_[0]->read_events(10) },
    },
    'mid-stream, with all that came read' => {
        options => 'tokens=1000,at=20,fault=stall-mid', status => 200,
        until => sub { $_[0]->skip_count("\n\n", 19) },
    },
    'mid-stream, fast' => {
        options => 'tokens=100m', status => 200, keep => 0,
        until => sub { $_[0]->skip_count("\n\n", 100) },
    },
    'blocked' => {
        options => 'tokens=100m,burst=100', status => 200, keep => 0,
        blocked => 1, until => sub { $_[0]->read_headers },
    },
);

# Ways to leave, by the protocol of the connection.

my %WAY = (
    'FIN' => sub { $_[0]->close },
    'RST' => sub { $_[0]->abort },
    'half-close' => sub { $_[0]->half_close },
    'RST_STREAM' => sub { $_[0]->reset },
    'GOAWAY' => sub { $_[0]->h2->goaway; $_[0]->h2->close },
    'connection RST' => sub { $_[0]->h2->abort },
);

my %WAYS = (
    h1 => [ 'FIN', 'RST', 'half-close' ], h1s => [ 'FIN', 'RST' ],
    h2 => [ 'RST_STREAM', 'GOAWAY', 'connection RST' ],
    h2s => [ 'RST_STREAM', 'GOAWAY' ],
);


sub ask {
    my ($proto, $path, $options, %o) = @_;
    my $id = 'abort-' . ++$count;

    my $s = $t->open(proto => $proto, port => $PORT{$proto},
        method => 'POST', path => $path,
        headers => { 'X-Id' => $id, 'Content-Type' => 'application/json' },
        body => chat_request(model => "mock:id=$id,$options"), %o);

    return ($s, $id);
}


# waits until the mock can send no more

sub blocked {
    my ($id) = @_;
    my ($last, $since) = (-1, now());

    return $t->wait_for(sub {
        my $bytes = $mock->stats($id)->{bytes};

        if ($bytes != $last) {
            ($last, $since) = ($bytes, now());
            return;
        }

        return now() - $since >= 0.1 * slow();
    }, 20);
}


sub record {
    my ($id) = @_;

    return $t->wait_for(sub { eval { $mock->stats($id) } });
}


# one client that leaves; the time until the mock saw it

sub leave {
    my ($proto, $phase, $way, $path) = @_;
    my $what = $PHASE{$phase};
    my ($s, $id) = ask($proto, $what->{path} // $path, $what->{options},
        rcvbuf => $what->{blocked} ? 4096 : undef,
        window => $what->{blocked} ? 'manual' : undef,
        keep => $what->{keep});

    record($id) or return ($id, undef, 'the mock has no request');
    $what->{until}->($s);

    if ($what->{blocked}) {
        blocked($id) or return ($id, undef, 'it is not held up');
    }

    my $at = now();
    $WAY{$way}->($s);

    $mock->wait(id => $id, end => 1)
        or return ($id, undef, 'the mock sees no end');
    my $record = $mock->stats($id);

    return ($id, undef, "end $record->{end}") if $record->{end} ne 'aborted';
    return ($id, $record->{abort_at} - $at);
}


sub best {
    my ($proto, $phase, $way, $path) = @_;
    my ($best, $why, @ids);

    for (1 .. TRIES) {
        my ($id, $took, $failed) = leave($proto, $phase, $way, $path);

        push @ids, $id;
        $why = $failed;
        last if $failed;
        $best = $took if !defined $best || $took < $best;
        last if $best < SOON * slow();
    }

    return ($best, $why, @ids);
}


sub check {
    my ($proto, $phase, $way, $path) = @_;
    my $name = "$proto, $way, $phase";
    my ($took, $why, @ids) = best($proto, $phase, $way, $path // '/mock');

    ok(defined $took, "$name: the mock sees it") or diag($why);
    cmp_ok($took // 1e9, '<', SOON * slow(), "$name: soon");

    for my $id (@ids) {
        my $line = $t->wait_log(qr/ $id$/, file => 'end.log') // 'no line';
        like($line, qr/^$PHASE{$phase}{status} "client_abort" "client_abort" /,
            "$name: logged");
    }

    return;
}


for my $proto (qw(h1 h1s h2 h2s)) {
    subtest "leaving over $proto" => sub {
        for my $phase (sort keys %PHASE) {
            check($proto, $phase, $_) for @{ $WAYS{$proto} };
        }

        is($mock->stats->{open}, 0, 'no stream is left');
    };
}


subtest 'TLS to the provider' => sub {
    check('h1', 'before the header', 'FIN', '/tls');
    check('h1', 'mid-stream', 'FIN', '/tls');
    check('h2', 'mid-stream', 'RST_STREAM', '/tls');
};


# Nobody answers the SYN: there is nothing to close but the attempt.

subtest 'while the provider is being connected' => sub {
    for my $proto (qw(h1 h2)) {
        my ($s, $id) = ask($proto, '/deaf', 'tokens=1');

        # nginx has begun: it answers what came later
        is($t->open(proto => $proto, port => $PORT{$proto},
            path => '/none')->status, 404, "$proto: another request");
        $s->abort;
        like($t->wait_log(qr/ $id$/, file => 'end.log'),
            qr/^499 "client_abort" /, "$proto: logged at once");
    }
};


# A connection of many streams, one of which is given up.

subtest 'the other streams of the connection' => sub {
    for my $proto (qw(h2 h2s)) {
        my $h2 = $t->h2(port => $PORT{$proto},
            ($proto eq 'h2s' ? (tls => 1) : ()));
        my (@s, @p);

        for my $i (0 .. 4) {
            $s[$i] = $t->open(on => $h2, method => 'POST',
                path => '/upstream', body => chat_request());
            ($p[$i]) = $u->take;
            $p[$i]->sse_head;
            $p[$i]->event(chat_role());
            $s[$i]->read_event;
        }

        for my $gone (1, 3) {
            $s[$gone]->reset;
            ok($p[$gone]->wait_close, "$proto: stream $gone is given up");

            for my $i (grep { $_ != 1 && $_ != $gone } 0 .. 4) {
                next if $gone == 3 && $i == 3;
                my $text = "after $gone in $i";

                $p[$i]->event(chat_text($text));
                my $event = $s[$i]->read_event || {};
                is($event->{data}, chat_text($text), "$proto: $text");
            }
        }

        for my $i (0, 2, 4) {
            $p[$i]->event(chat_finish('stop'), DONE);
            $p[$i]->last_chunk;
            is($s[$i]->wait_end, 'complete', "$proto: stream $i ends");
        }

        ok($h2->ping, "$proto: the connection lives");
        is($h2->goaway_received, undef, "$proto: no GOAWAY");
    }
};


# The client leaves with bytes on their way to it: what it already had is
# still whole, and nothing is written to a freed stream (see valgrind).

subtest 'given up in the middle of a burst' => sub {
    my $h2 = $t->h2(port => 2, window => 'manual');

    for my $n (1 .. 20) {
        my ($s, $id) = ask('h2', '/mock', 'tokens=100m,burst=100',
            on => $h2, window => 'manual', keep => 0);

        $s->window_update(1 << 18);
        $h2->window_update(1 << 18);
        $s->read_bytes(1000 * $n);
        $s->reset;
        ok($mock->wait(id => $id, end => 1), "stream $n");
    }

    ok($h2->ping, 'the connection lives');
};


# As proxy_ignore_client_abort: the leaving itself closes nothing.  Only a
# write that fails because nobody is there ends the request, as it does for
# proxy_pass without buffering.

subtest 'llm_stream_ignore_client_abort' => sub {
    for my $proto (qw(h1 h1s h2 h2s)) {
        for my $events (0, 1) {
            my $name = "$proto, after $events events";
            my $id = "keep-$proto-$events";
            my $s = $t->open(proto => $proto, port => $PORT{$proto},
                method => 'POST', path => '/keep', body => chat_request(),
                headers => { 'X-Id' => $id });
            my ($p) = $u->take;

            if ($events) {
                $p->sse_head;
                $p->event(chat_role());
                ok($s->read_event, "$name: a stream");
            }

            $s->close;

            # nginx knows by then: it answers what came later
            is($t->open(proto => $proto, port => $PORT{$proto},
                path => '/none')->status, 404, "$name: another request");
            is($p->wait_close(0.1), undef, "$name: the upstream is kept");

            $p->sse_head if !$events;
            $p->event(chat_text('x'), chat_finish('stop'), DONE);
            $p->last_chunk;
            ok($t->wait_log(qr/ $id$/, file => 'end.log'),
                "$name: and comes to an end");
            $p->close;
        }
    }

    # a client that only closed its sending side gets all of it
    my ($s, $id) = ask('h1', '/keep/mock', 'tokens=20,itl=10');

    is(scalar(my @some = $s->read_events(3)), 3, 'half-close: a stream');
    $s->half_close;
    is($s->wait_end, 'complete', 'half-close: complete');
    like($s->body, qr/\[DONE\]\n\n\z/, 'half-close: to the terminator');
    like($t->wait_log(qr/ $id$/, file => 'end.log'),
        qr/^200 "complete" "-" /, 'half-close: logged');
};


# In all phases at random, also while the request is being sent, with the
# keepalive of the client's connection: nothing may stay open.

subtest 'a hundred at random' => sub {
    my $fds = $t->wait_for(sub {
        return if $mock->stats->{open_connections};
        return $t->fds;
    });

    # each is another stream, or the begin of one
    for my $n (1 .. 100) {
        my $proto = (qw(h1 h1s h2 h2s))[ rand 4 ];
        my $way = $WAYS{$proto}[ rand @{ $WAYS{$proto} } ];
        my $ttft = int rand 20;
        my ($s) = ask($proto, rand() < 0.5 ? '/mock' : '/off',
            "tokens=100k,itl=1,burst=3,ttft=$ttft,header_delay=$ttft",
            (rand() < 0.1 && $proto =~ /^h1/ ? (head_only => 1) : ()));

        my $bytes = rand() < 0.3 ? 0 : int rand 5000;

        $s->read_bytes($bytes, rand 0.05) if $bytes;
        $WAY{$way}->($s);
    }

    ok($mock->wait(open => 0), 'no stream is left at the mock');
    ok($mock->wait(open_connections => 0), 'nor a connection');
    ok($t->wait_for(sub { $t->fds <= $fds }), 'no descriptor in nginx')
        or diag($t->fds . " instead of $fds");
};
