#!/usr/bin/perl

# Reload and the end of workers under live streams: no stream is cut, new
# requests see the new configuration, workers go when their streams are done
# and nothing stays open; and the other ways nginx can be run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use LLMTest;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_request shown
    DONE);

my %PORT = (h1 => 0, h1s => 1, h2 => 2, h2s => 3);
my @PROTOS = qw(h1 h1s h2 h2s);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $mock = $t->mock;
my ($cert, $key) = $t->tls_cert('localhost');

$t->set(CERT => $cert, KEY => $key);

my $servers = join '', map { <<"EOT" }

    server {
        $_
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;

        location / {
            llm_stream openai http://%%UPSTREAM%%;
        }
        location /text {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client text;
        }
        location /mock {
            llm_stream openai http://%%MOCK%%;
            llm_stream_set_header X-Mock \$http_x_mock;
        }
        location /pool {
            llm_stream openai http://pool;
            llm_stream_set_header X-Mock \$http_x_mock;
        }
    }
EOT
    'listen 127.0.0.1:%%PORT_0%%;', 'listen 127.0.0.1:%%PORT_1%% ssl;',
    '%%LISTEN_H2_2%%', '%%LISTEN_H2S_3%%';


# the configuration, where requests are given this model

sub config {
    my ($model, %o) = @_;
    my $main = $o{main} // 'worker_processes 1;';

    return <<"EOT";
%%GLOBALS%%
$main
events { }
http {
    %%HTTP%%
    log_format end '\$status "\$llm_stream_end" "\$llm_stream_error" \$pid';
    access_log %%DIR%%/end.log end;
    llm_stream_model $model;
    llm_stream_client openai;
    llm_stream_heartbeat 10s;

    upstream pool {
        server %%MOCK%%;
        keepalive 8;
    }
$servers
}
EOT
}

$t->config(config('first'))->start;


# a live stream: the request is at the upstream, and $events were shown

sub live {
    my ($proto, $events, %o) = @_;
    my $s = $t->open(%o, proto => $proto, port => $PORT{$proto},
        method => 'POST', path => $o{path} // '/',
        body => chat_request());
    my ($p, $request) = $u->take or die 'no request';
    my $x = { s => $s, p => $p, proto => $proto, shown => 0,
        request => $request };

    if ($events) {
        $p->sse_head;
        $p->event(chat_role());
        $s->read_event if ($o{path} // '/') eq '/';
        step($x) for 1 .. $events;
    }

    return $x;
}


# one event more, in lock-step

sub step {
    my ($x) = @_;
    my $text = "step $x->{shown}";

    $x->{p}->event(chat_text($text));

    my $event = $x->{s}->read_event;
    my $raw = ($x->{s}->header('content-type') // '') =~ /^text\/plain/;

    $x->{shown}++
        if (shown($raw ? 'text' : 'openai', $event) // '') eq $text;

    return;
}


sub finish {
    my ($x, $name) = @_;

    $x->{p}->event(chat_finish('stop'), DONE);
    $x->{p}->last_chunk;
    is($x->{s}->wait_end, 'complete', "$name: complete");
    $x->{p}->close;
    $x->{s}->close;

    return;
}


sub one_worker {
    my ($name) = @_;

    return ok($t->wait_for(sub { my @w = $t->workers; return @w == 1 }),
        "$name: the old worker leaves");
}


sub model_of {
    my ($x) = @_;
    my ($model) = $x->{request}{body} =~ /"model":"([^"]*)"/;

    return $model;
}


subtest 'nginx -t' => sub {
    my ($status, $output) = $t->check_config(config('tested'));

    is($status, 0, 'successful');
    like($output, qr/test is successful/, 'and says so');
    unlike($output, qr/\[(?:warn|alert|emerg)\]/, 'and nothing else');
};


subtest 'HUP with live streams' => sub {
    my @live = map { live($_, 3) } @PROTOS;

    push @live, live($_, 3, path => '/text') for qw(h1 h2);
    is($_->{shown}, 3, "$_->{proto}: a stream") for @live;
    is(model_of($live[0]), 'first', 'with the first configuration');

    # in other phases: nothing of the answer there, nothing but its header
    my @early = map { live($_, 0) } @PROTOS;
    my @held = map { live($_, 0) } @PROTOS;
    $_->{p}->sse_head for @held;
    $_->{p}->drained for @held;

    $t->config(config('second'));
    ok($t->reload, 'reload');
    is(scalar(my @workers = $t->workers), 2, 'the old worker stays');

    for my $x (@live) {
        step($x) for 1 .. 5;
        is($x->{shown}, 8, "$x->{proto}: goes on");
    }

    for my $proto (@PROTOS) {
        my $x = live($proto, 2);

        is(model_of($x), 'second', "$proto: a new one is configured anew");
        finish($x, "$proto, new");
    }

    finish($_, "$_->{proto}, live") for @live;

    is(scalar(@workers = $t->workers), 2, 'it stays for the others');
    $_->{p}->sse_head for @early;

    for my $x (@early, @held) {
        is(model_of($x), 'first', "$x->{proto}: begun before");
        $x->{p}->event(chat_role());
        $x->{s}->read_event;
        step($x);
        is($x->{shown}, 1, "$x->{proto}: answered after");
        finish($x, "$x->{proto}, begun before");
    }

    one_worker('all done');
};


# Output that waits for the client must come after the reload as before it.

subtest 'HUP with clients that do not read' => sub {
    my @live = map { live($_, 0, window => 'manual', rcvbuf => 4096,
        keep => 0) } qw(h1 h2);
    my $n = 20_000;

    for my $x (@live) {
        $x->{p}->sse_head;
        $x->{p}->order([ send => LLMTest::Upstream::chunk(
            "data: " . chat_text('x' x 500) . "\n\n") x $n ]);
        ok($x->{p}->wait_stalled(0.2), "$x->{proto}: it is held up");
    }

    ok($t->reload, 'reload');

    for my $x (@live) {
        if ($x->{proto} eq 'h2') {
            $x->{s}->h2->window_update(1 << 30);
            $x->{s}->window_update(1 << 30);
        }

        is($x->{s}->skip_count('data: {', $n, 20), $n,
            "$x->{proto}: everything arrives");
        finish($x, $x->{proto});
    }

    one_worker('all read');
};


# A pooled connection to the provider must not keep an old worker.

subtest 'HUP with a pool' => sub {
    my $r = $t->post('/pool', chat_request());
    is($r->{ended}, 'complete', 'a stream');
    ok($mock->wait(open => 0), 'is done');

    ok($t->reload, 'reload');
    one_worker('nothing to do');
    ok($mock->wait(open_connections => 0), 'and its pool with it');
};


# Twenty streams, reloads all the time: every token of every stream arrives.
# Each reload finds tokens on their way, and there are more until the last.

subtest 'HUP, HUP, HUP' => sub {
    my $tokens = 300;
    my $times = 5;
    my $n = 20;

    $t->config(config("mock:tokens=$tokens,text=digits"));
    ok($t->reload, 'reload');
    one_worker('before');

    my @s = map { $t->open(proto => $PROTOS[ $_ % 4 ],
        port => $PORT{ $PROTOS[ $_ % 4 ] }, method => 'POST',
        path => $_ % 3 ? '/mock' : '/pool', body => chat_request(),
        headers => { 'Content-Type' => 'application/json',
            'X-Mock' => "lockstep=hup$_" }) } 1 .. $n;

    ok($mock->wait(open => $n), 'twenty streams');

    for my $reload (1 .. $times) {
        $mock->ack("hup$_", 50) for 1 .. $n;
        ok($t->reload, "reload $reload");
        $_->poll for @s;
    }

    is($mock->stats->{open}, $n, 'all are open still');
    $mock->ack("hup$_", $tokens) for 1 .. $n;

    for my $i (0 .. $#s) {
        my @events = $s[$i]->rest_events;
        my @texts = grep { defined && $_ ne '' }
            map { shown('openai', $_) } @events;

        is($s[$i]->ended, 'complete', "stream $i: complete");
        is(scalar @texts, $tokens, "stream $i: every token");
        is($events[-1]{data}, DONE, "stream $i: the terminator");
        $s[$i]->close;
    }

    one_worker('all done');
    ok($mock->wait(open => 0), 'no stream is open');
    ok($t->reload, 'once more, for the pool');
    one_worker('and again');
    ok($mock->wait(open_connections => 0), 'no connection is open');
    is($mock->stats->{aborts}, 0, 'none was aborted');
};


subtest 'QUIT' => sub {
    for my $how ('a signal', '-s quit') {
        my @live = map { live($_, 2) } @PROTOS;

        if ($how eq 'a signal') {
            $t->quit;

        } else {
            my ($status) = $t->_run($t->binary, '-p', $t->dir, '-c',
                $t->dir . '/nginx.conf', '-e', $t->dir . '/error.log',
                '-s', 'quit');
            is($status, 0, "$how: sent");
        }

        ok($t->wait_for(sub {
            return !IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $t->port(0));
        }), "$how: nobody is let in");

        for my $x (@live) {
            step($x) for 1 .. 3;
            is($x->{shown}, 5, "$how, $x->{proto}: goes on");
        }

        ok(defined $t->pid && kill(0, $t->pid), "$how: nginx waits");
        finish($_, "$how, $_->{proto}") for @live;
        is($t->wait_exit, 0, "$how: nginx is gone");
        $t->start;
    }
};


# At the limit nginx itself ends the client's connection.  The stream must
# not look finished: an error event or an unclean end, and no terminator.

subtest 'worker_shutdown_timeout' => sub {
    my $timeout = "worker_processes 1;\nworker_shutdown_timeout 300ms;";

    for my $how ('HUP', 'QUIT') {
        $t->config(config('limited', main => $timeout));
        $t->reload;
        one_worker($how);

        my $mark = $t->log_mark;
        my $ends = $t->log_mark('end.log');
        my @live = map { live($_, 2) } @PROTOS;
        my ($old) = $t->workers;
        my @more = map { live($_, 0) } @PROTOS;

        if ($how eq 'HUP') {
            ok($t->reload, "$how: reload");

        } else {
            $t->quit;
        }

        for my $x (@live, @more) {
            my $name = "$how, $x->{proto}, $x->{shown} events";

            ok($x->{p}->wait_close, "$name: the upstream is closed");

            my $body = $x->{s}->read_all // '';

            unlike($body, qr/\[DONE\]/, "$name: no terminator");
            ok(!$x->{s}->complete || $body =~ /"code":"server_shutdown"/,
                "$name: not as if it were complete");
        }

        if ($how eq 'HUP') {
            one_worker("$how, all cut");

        } else {
            is($t->wait_exit, 0, "$how: nginx is gone");
            $t->start;
        }

        my $log = substr $t->error_log, $mark;
        my @lines = split /\n/, substr $t->read_file('end.log'), $ends;

        unlike($log, qr/open socket/, "$how: no socket is left");
        unlike($log, qr/\[(?:alert|crit|emerg)\]/, "$how: no alerts");
        is(scalar @lines, 8, "$how: all are logged");
        is(scalar(grep { /"internal" "server_shutdown" $old$/ } @lines), 8,
            "$how: as what they were")
            or diag(join "\n", @lines);
    }

    $t->config(config('first'));
    ok($t->reload, 'back to the first configuration');
    one_worker('worker_shutdown_timeout');
};


# A worker that is killed takes its streams with it, and no more than them.

subtest 'a worker that dies' => sub {
    $t->allow_log(qr/exited on signal 9/);

    my @live = map { live($_, 2) } @PROTOS;
    my ($old) = $t->workers;

    kill 'KILL', $old;

    for my $x (@live) {
        ok($x->{p}->wait_close, "$x->{proto}: the upstream is closed");
        isnt($x->{s}->wait_end // 'timeout', 'complete',
            "$x->{proto}: not complete");
        unlike($x->{s}->body, qr/\[DONE\]/, "$x->{proto}: no terminator");
        $x->{s}->close;
    }

    ok($t->wait_for(sub { my ($w) = $t->workers; return $w && $w != $old }),
        'another one comes');

    my $x = live('h1', 3);
    is($x->{shown}, 3, 'and serves');
    finish($x, 'its stream');
};


# One process for everything, as in a debugger.

subtest 'master_process off' => sub {
    ok($t->stop, 'stopped');
    $t->config(config('alone', main => 'master_process off;'))->start;

    for my $proto (@PROTOS) {
        my $x = live($proto, 5);

        is($x->{shown}, 5, "$proto: a stream");
        is(model_of($x), 'alone', "$proto: with its configuration");
        finish($x, $proto);
    }

    ok($t->stop, 'stopped');
    $t->config(config('first'))->start;
};


subtest 'in the end' => sub {
    ok($mock->wait(open => 0), 'no stream is open at the mock');
    ok($t->reload, 'reload');
    one_worker('the last one');
    ok($mock->wait(open_connections => 0), 'no connection either');
    unlike($t->error_log, qr/open socket/, 'and none was left');
};
