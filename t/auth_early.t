#!/usr/bin/perl

# A model that refuses a token early, before it has read the request or even
# before anything of it was sent: the second try is the client's answer, and
# nothing of the first one is in it.  An identity service of several
# addresses, of which some are dead; what the access log says of a refused
# try; a sign-in that hangs does not keep an old worker.  Where time matters
# the clock is turned by the test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask open_call auth_error
    reasons);
use LLMTest::Chat qw(reply);
use LLMTest::Clock;
use LLMTest::Conn;
use LLMTest::Upstream;
use LLMTest::Wait qw(deadline readable wait_for);

my $LARGE = 8_000_000;      # more than the kernel takes for a peer
my $MANY = 20;

my $t = LLMTest->new(log_level => 'info');
my $model = $t->upstream;
my $identity = $t->upstream;
my $hasty = $t->upstream;   # the first answer is there before the request
my $clock = LLMTest::Clock->new($t);

# a model that reads nothing: the test only accepts its connections
my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 9,
    ReuseAddr => 1) or die "listen: $!";
$deaf->setsockopt(SOL_SOCKET, SO_RCVBUF, 4096) or die "setsockopt: $!";
$t->set(DEAF => '127.0.0.1:' . $deaf->sockport);

# What the library's connect() does for nginx: it returns when the peer's
# answer is there, so that the worker has both to do at once, the answer to
# read and the request to write.
my $CONNECT = <<'EOT';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

int
connect(int fd, const struct sockaddr *to, socklen_t n)
{
    int                        rc, err;
    struct pollfd              p = { fd, POLLIN, 0 };
    const struct sockaddr_in  *in = (const void *) to;
    int                      (*real)(int, const struct sockaddr *, socklen_t);

    real = (int (*)(int, const struct sockaddr *, socklen_t))
           dlsym(RTLD_NEXT, "connect");

    rc = real(fd, to, n);
    err = errno;

    if (to->sa_family == AF_INET && ntohs(in->sin_port) == PORT) {
        (void) poll(&p, 1, 600000);
    }

    errno = err;

    return rc;
}
EOT

my $TRIES = q{log_format tries '$uri "$upstream_status" }
    . qq{"\$upstream_bytes_sent"';\naccess_log %%DIR%%/tries.log tries;\n};

my @large = qw(reset silent);
my @small = qw(refused left);
my @groups = qw(dead-first dead-last all-dead);
my @leaving = qw(client nobody);

sub group {
    my ($name, @servers) = @_;

    return "upstream $name { " . join('', map { "server $_; " } @servers)
        . "}\n";
}


$t->write_file('secret', 'the-secret');
$t->config(conf(
    main => 'worker_shutdown_timeout 1s;',
    http => $TRIES . join('', map { provider($_, timeout => '1000s',
            url => 'http://%%UPSTREAM_2%%/t') } @large, @small, @leaving)
        . join('', map { provider($_, url => "http://$_/t") } @groups)
        . join('', map { group("for-$_", '%%DEAF%%', '%%UPSTREAM%%') }
            @large)
        . group('hasty', '%%UPSTREAM_3%% max_fails=0',
            '%%UPSTREAM%% max_fails=0')
        . group('backed', '%%UPSTREAM_3%% max_fails=0',
            '%%UPSTREAM%% backup')
        . group('dead-first', '127.0.0.1:%%DEAD_PORT%%', '%%UPSTREAM_2%%')
        . group('dead-last', '%%UPSTREAM_2%%', '127.0.0.1:%%DEAD_PORT%%')
        . group('all-dead', '127.0.0.1:%%DEAD_PORT%%',
            '127.0.0.1:%%PORT_5%%', '127.0.0.1:%%PORT_6%%'),
    server => "location = /ping { return 200 pong; }\n"
        . join('', map { location("/$_", auth => $_, to => "http://for-$_") }
            @large)
        . join('', map { location("/$_", auth => $_, to => 'http://hasty')
            } @small)
        . location('/limited', to => 'http://backed',
            more => 'llm_stream_next_upstream error timeout http_429; '
                . 'llm_stream_retry_budget off;')
        . join('', map { location("/$_", auth => $_,
            to => 'http://%%UPSTREAM%%') } @groups, @leaving),
    listen => 'listen 127.0.0.1:%%PORT_0%%; client_max_body_size 16m; '
        . 'client_body_buffer_size 16m;',
));

$t->start(env => env($t, $clock));


# nginx's environment: the clock and connect()

sub env {
    my ($of, $turned) = @_;
    my $env = $turned->env;
    my $source = $of->write_file('connect.c', $CONNECT);
    my $library = $of->dir . '/connect.so';
    my ($status, $output) = $of->_run($ENV{CC} || 'cc', '-O2', '-shared',
        '-fPIC', '-DPORT=' . $hasty->port, '-o', $library, $source, '-ldl');

    die "no library: $output\n" if $status;

    return { %$env, LD_PRELOAD => "$env->{LD_PRELOAD}:$library" };
}


sub refusal {
    my ($status) = @_;

    return LLMTest::Upstream::answer($status, '{"error":{"message":"Not '
        . 'you.","type":"their_error","param":null,"code":"their_code"}}',
        'Content-Type' => 'application/json');
}


sub token {
    my ($text, $life) = @_;

    return LLMTest::Upstream::answer(200, '{"access_token":"' . $text
        . '","expires_in":' . ($life // 100_000) . '}');
}


# the lines of the access log about a path, once there are so many

sub tries {
    my ($path, $n, $of) = @_;
    my @lines;

    wait_for(sub {
        @lines = ($of // $t)->read_file('tries.log') =~ m{^\Q$path\E (.*)$}mg;
        return @lines >= $n;
    });

    return @lines;
}


# the worker has been through all that happened before

sub has_noticed {
    is($t->get('/ping')->{body}, 'pong', 'the worker has noticed') for 1, 2;

    return;
}


$model->each_request([ send => reply('Hel', 'lo') ], ['close']);


# What the worker may see of a peer that has refused and reads no further,
# while the request waits for the new token.

my %while_it_waits = (
    reset => sub { $_[0]->abort },
    silent => sub { $clock->advance(70) },      # past the send timeout
);

for my $how (@large) {
    subtest "refused from the head of a large request, then $how" => sub {
        my $id = $identity->connections;
        my $calls = $model->connections;

        $identity->script(['request'], [ send => token('first') ],
            ['close']);
        $identity->script(['request'], ['hold'], [ send => token('second') ],
            ['close']);

        my $s = $t->open(method => 'POST', path => "/$how", body => {
            model => 'm', stream => JSON::PP::true(), messages => [ {
            role => 'user', content => 'x' x $LARGE } ] });

        ok(readable(fileno $deaf, deadline()), 'asked') or return;
        my $peer = LLMTest::Conn->from_socket($deaf->accept);
        ok(readable($peer->fd, deadline()), 'the request comes');
        my $answer = refusal(401);
        is($peer->try_write($answer, 0), length $answer, 'refused');

        my $renewal = $identity->peer($id + 2);
        ok($renewal->request, 'a new token is awaited');

        $while_it_waits{$how}->($peer);
        has_noticed();
        $s->poll;
        ok(!$s->has_headers && !$s->ended, 'the client waits on');
        is($model->connections, $calls, 'nobody else is asked yet');
        $renewal->go;

        my $r = $s->result;
        is($r->{status}, 200, 'the second answer') or diag($r->{body});
        ok($r->{complete}, 'whole');
        like($r->{body}, qr/Hel.*lo.*\[DONE\]/s, 'to its end');

        my $q = $model->peer($calls + 1)->request;
        is($q->{headers}{authorization}, 'Bearer second', 'the new token');
        cmp_ok(length $q->{body}, '>', $LARGE, 'all of the request');

        my ($line) = tries("/$how", 1);
        my ($status, $one, $two) = $line =~ /^"(.*)" "(\d+), (\d+)"$/;
        is($status, '401, 200', '$upstream_status');
        cmp_ok($one // 0, '>', 0, 'something was sent to the first');
        cmp_ok($one // 0, '<', $LARGE, 'not all of it');
        cmp_ok($two // 0, '>', $LARGE, 'and all to the second');
    };
}


# The answer of the first peer of the group is read before the request is
# written, every time.  One request after the other: so each one begins with
# the first peer of two and goes on with the second.

sub early {
    my ($name, $n) = @_;
    my $r = ask($t, "/$name");

    return answered($name, $n, $r);
}


# the client got the second answer and nothing else

sub answered {
    my ($name, $n, $r, $of) = @_;
    my $good = ($r->{status} // 0) == 200 && $r->{complete}
        && $r->{body} =~ /Hel.*lo.*\[DONE\]/s && $r->{body} !~ /their_/;
    my ($status, $sent) = ((tries("/$name", $n, $of))[ $n - 1 ] // '')
        =~ /^"(.*)" "(.*)"$/;

    ok($good, "$name, $n: the second answer") or diag($r->{body});
    like($sent, qr/^0, [1-9]\d*$/, "$name, $n: the first came early");

    return $status;
}


subtest 'refused before the request was sent' => sub {
    $identity->each_request([ send => token('any') ], ['close']);

    for my $n (1 .. $MANY) {
        $hasty->script([ send => refusal(401) ], ['wait_close']);
        is(early('refused', $n), '401, 200', "$n: \$upstream_status");
        $clock->advance(61);
    }
};


subtest 'refused before the request was sent, then reset' => sub {
    for my $n (1 .. $MANY) {
        my $calls = $hasty->connections;

        # the first time there are two sign-ins
        my $id = $identity->connections + ($n == 1 ? 1 : 0);

        $identity->script(['request'], [ send => token('first') ],
            ['close']) if $n == 1;
        $identity->script(['request'], ['hold'], [ send => token('next') ],
            ['close']);
        $hasty->script([ send => refusal(401) ], ['hold'], ['reset']);

        my $s = open_call($t, '/left');
        my $renewal = $identity->peer($id + 1);
        my $peer = $hasty->peer($calls + 1);

        ok($renewal->request, "$n: a new token is awaited");
        ok($peer->go->wait_idle, "$n: the model is gone");
        has_noticed();
        $renewal->go;

        is(answered('left', $n, $s->result), '401, 200',
            "$n: \$upstream_status");
        $clock->advance(61);
    }
};


subtest 'limited before the request was sent: the next peer' => sub {
    for my $n (1 .. $MANY) {
        $hasty->script([ send => refusal(429) ], ['wait_close']);
        early('limited', $n);
    }
};


# One worker is in connect() while the other one, the only one to take
# requests, gets a new token: then nobody has to wait.

subtest 'refused before the request was sent, renewed by another worker' =>
sub {
    my $two = LLMTest->new(log_level => 'info');
    my $turned = LLMTest::Clock->new($two);

    $two->set(MODEL => $model->address, HASTY => $hasty->address);
    $two->write_file('secret', 'the-secret');
    $two->config(conf(
        main => 'worker_processes 2;',
        http => $TRIES . group('hasty', '%%HASTY%% max_fails=0',
            '%%MODEL%% max_fails=0')
            . provider('main', url => 'http://' . $identity->address . '/t'),
        server => location('/late', auth => 'main', to => 'http://hasty')
            . location('/other', auth => 'main', to => 'http://%%MODEL%%'),
    ))->start(env => env($two, $turned));

    $identity->each_request([ send => token('any') ], ['close']);
    is(ask($two, '/other')->{status}, 200, 'a token');

    for my $n (1 .. $MANY) {
        my $calls = $hasty->connections;
        my $id = $identity->connections;

        $hasty->script(['hold'], [ send => refusal(401) ], ['wait_close']);
        my $s = open_call($two, '/late');
        ok(wait_for(sub { $hasty->connections > $calls }), "$n: connected");

        $model->script(['request'], [ send => refusal(401) ], ['close']);
        is(ask($two, '/other')->{status}, 200, "$n: the other one goes on");
        is($identity->connections, $id + 1, "$n: with a new token");

        $hasty->peer($calls + 1)->go;
        is(answered('late', $n, $s->result, $two), '401, 200',
            "$n: \$upstream_status");
        is($identity->connections, $id + 1, "$n: which is for both");
        $turned->advance(61);
    }

    $two->finish;
};


# A token lives for ten seconds here; the next request after that signs in.

for my $group (qw(dead-first dead-last)) {
    subtest "addresses of the identity service: $group" => sub {
        my $id = $identity->connections;
        my $mark = $t->log_mark;

        $identity->each_request([ send => token('short', 10) ], ['close']);

        for my $n (1 .. 4) {
            is(ask($t, "/$group")->{status}, 200, "sign-in $n");
            is($identity->connections, $id + $n, "$n at the good address");
            $clock->advance(20);
        }

        is_deeply([ reasons($t, $group, $mark) ], [], 'no failure');
        unlike($t->_log_since($mark), qr/\[(?:warn|error|crit|alert)\]/,
            'no line in the log');
    };
}


subtest 'addresses of the identity service: all dead' => sub {
    my $mark = $t->log_mark;
    my $calls = $model->connections;

    auth_error(ask($t, '/all-dead'), 'openai');
    is($model->connections, $calls, 'the model is not asked');

    my @reasons = reasons($t, 'all-dead', $mark);
    is(scalar @reasons, 1, 'one failure');
    like($reasons[0] // '',
        qr/^connect\(\) failed \(111: Connection refused\)$/, 'it says why');
};


# Its time would be over in a quarter of an hour.

for my $who (@leaving) {
    subtest "an old worker whose sign-in hangs, for $who" => sub {
        my @old = $t->workers;
        my $id = $identity->connections;

        $identity->script(['request'], ['wait_close']);
        my $s = open_call($t, "/$who");
        my $sign_in = $identity->peer($id + 1);
        ok($sign_in->request, 'signing in');

        if ($who eq 'nobody') {
            $s->abort;
            like(join('', tries("/$who", 1)), qr/^"-" "-"$/, 'it has left');
        }

        ok($t->reload, 'reload');
        ok((grep { $_ == $old[0] } $t->workers), 'the old worker is there');
        $clock->advance(1.5);

        ok(wait_for(sub { !grep { $_ == $old[0] } $t->workers }),
            'it leaves when worker_shutdown_timeout is over');
        ok($sign_in->wait_close, 'and the service is left');
        ok($s->wait_close, 'and the client') if $who eq 'client';

        $identity->each_request([ send => token('good') ], ['close']);
        is(ask($t, "/$who")->{status}, 200, 'the new one goes on');
    };
}
