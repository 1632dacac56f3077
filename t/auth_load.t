#!/usr/bin/perl

# One token for all: four workers under load make exactly one sign-in for
# each life of a token, long or short; a thousand requests that wait for the
# first one all proceed with it; a client that goes away while it waits is
# noticed at once, and its request reaches no model.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw(IPPROTO_TCP TCP_CORK);
use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask open_call auth_error bearer
    counts);
use LLMTest::Clock;
use LLMTest::Wait qw(slow wait_for);

my $CONNECTIONS = 40;
my $ROUNDS = 10;
my $WAITING = 1000;
my $LIVES = 3;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $model = $t->mock;     # of those who wait
my $u = $t->upstream;
my $clock = LLMTest::Clock->new($t);
my $limit = 60 * slow();

my @blocks = qw(load short waiting nobody broken gone leaving kept);

$t->write_file('secret', 'the-secret');
$t->config(conf(
    main => 'worker_processes 4;',
    http => "keepalive_requests 100000;\n"
        . join('', map { provider($_, timeout => "${limit}s", url =>
        /waiting|broken|nobody/ ? 'http://%%UPSTREAM%%/t'
        : 'http://%%MOCK%%/oauth2/token') } @blocks),
    server => join('', map { location("/$_", auth => $_,
        $_ eq 'waiting' ? (to => 'http://' . $model->address) : ()) } @blocks),
    listen => 'listen 127.0.0.1:%%PORT_0%% reuseport backlog=4096;',
))->start(env => $clock->env);

my %answer = (method => 'POST', headers => { 'X-Mock' => 'tokens=1' },
    body => { model => 'm', messages => [ { role => 'user', content => 'x' }
    ] });


# so many requests at once, each on a connection of its own or on that of a
# request before; the streams, and how many failed

sub volley {
    my ($path, @on) = @_;
    my @streams = map { $t->open(%answer, path => $path,
        $_ ? (on => $_) : ()) } @on;
    my $bad = grep { my $r = $_->result; $r->{status} != 200
        || !$r->{complete} } @streams;

    return ($bad, @streams);
}


sub pids {
    my ($path) = @_;
    my %pids = map { $_ => 1 }
        $t->read_file('end.log') =~ m{^\Q$path\E 200 .* (\d+)$}mg;

    return scalar keys %pids;
}


# A life of four seconds is renewed after two, by one worker, and nobody waits
# for it.  Time stands still but for what passes here: the life of a token is
# not shorter on a slow machine.
subtest 'short lives' => sub {
    $mock->defaults('token=1 says=4 life=100000');
    is(ask($t, '/short')->{status}, 200, 'a token');

    my ($failed, $sent, $bad, @on) = (0, 1, 0, (undef) x $CONNECTIONS);

    for my $life (1 .. $LIVES) {
        my ($old) = bearer($mock);

        $clock->advance(1.9);
        ($bad, @on) = volley('/short', @on);
        $failed += $bad;
        is(counts($mock)->{requests}, $life, "life $life: is used");

        my @streams = map { $t->open(%answer, path => '/short', on => $_) }
            @on;

        $clock->advance(0.2);
        ok($mock->wait(sign_ins => $life + 1),
            "life $life: renewed when half of it had passed");
        $failed += grep { $_->result->{status} != 200 } @streams;
        @on = @streams;
        $sent += 2 * $CONNECTIONS;

        # its life begins when the worker has read it
        ok(wait_for(sub {
            $sent++;
            $failed++ if ask($t, '/short')->{status} != 200;
            return (bearer($mock))[0] ne $old;
        }), "life $life: the next one is used");
    }

    is($failed, 0, "none of $sent requests has failed");
    is_deeply(counts($mock), { requests => $LIVES + 1, refused => 0,
        issued => $LIVES + 1, accepted => $sent, rejected => 0 },
        'one sign-in for each life');

    # over before anybody renews it: the clock is to run
    $clock->advance(100);
};


# Workers that wait for another one's sign-in look again from time to time.
$clock->run;


subtest 'a life' => sub {
    $mock->reset;
    $mock->defaults('token=1 identity_delay=100');
    my @on = (undef) x $CONNECTIONS;
    my ($failed, $bad) = (0);

    for my $round (1 .. $ROUNDS) {
        ($bad, @on) = volley('/load', @on);
        $failed += $bad;
    }

    is($failed, 0, 'no request has failed');
    is_deeply(counts($mock), { requests => 1, issued => 1, refused => 0,
        accepted => $CONNECTIONS * $ROUNDS, rejected => 0 }, 'one sign-in');
    ok(wait_for(sub { pids('/load') >= 3 }), 'of several workers');
};


subtest "$WAITING requests wait" => sub {
    my @h2 = map { $t->h2(port => 1) } 1 .. 8;
    my @streams;

    $u->script(['request'], ['hold'], [ send => LLMTest::Upstream::answer(
        200, '{"access_token":"of-upstream"}') ], ['close']);

    for my $n (1 .. $WAITING) {
        push @streams, open_call($t, '/waiting', mock => 'tokens=1',
            $n <= 800 ? (on => $h2[ $n % 8 ]) : ());
    }

    my ($peer) = $u->take;
    ok($peer, 'one signs in');
    is($model->stats->{requests}, 0, 'nobody went on');
    $_->poll for @streams;
    ok(!(grep { $_->has_headers } @streams), 'all wait');
    $peer->go;

    my @results = map { $_->result($limit) } @streams;

    is(scalar(grep { ($_->{status} // 0) == 200 && $_->{complete} }
        @results), $WAITING, 'all proceed');
    is($u->connections, 1, 'one sign-in');
    is($model->stats->{requests}, $WAITING, 'once each');

    my @given = map { map { $_->[1] } grep { $_->[0] eq 'Authorization' }
        @{ $_->{headers} } } $model->requests(64);
    is_deeply(\@given, [ ('Bearer of-upstream') x 64 ], 'with its token');
};


subtest 'they fail together' => sub {
    my $n = $u->connections;
    my @h2 = map { $t->h2(port => 1) } 1 .. 8;

    $u->script(['request'], ['hold'], [ send => LLMTest::Upstream::answer(
        500, '{"error":"server_error"}') ], ['close']);

    my @streams = map { open_call($t, '/broken', on => $h2[ $_ % 8 ]) }
        1 .. 100;
    my $peer = $u->peer($n + 1);

    ok($peer->request, 'one signs in');
    is(scalar(grep { $_->ping } @h2), 8, 'and all have asked');
    $peer->go;

    my @results = map { $_->result } @streams;

    is(scalar(grep { ($_->{status} // 0) == 502 } @results), 100, 'all');
    auth_error($results[0], 'openai', 'the first');
    auth_error($results[-1], 'openai', 'the last');
    is($u->connections, $n + 1, 'one sign-in');
};


subtest 'those who leave before the token comes' => sub {
    $mock->defaults('');
    $u->script(['request'], ['hold'], [ send => LLMTest::Upstream::answer(
        200, '{"access_token":"for-nobody"}') ], ['close']);
    my $h2 = $t->h2(port => 1);
    my $n = $u->connections;
    my @streams = map { open_call($t, '/nobody', $_ % 2 ? (on => $h2) : ())
    } 1 .. 20;
    my $peer = $u->peer($n + 1);

    ok($peer->request, 'one signs in');
    ok($h2->ping, 'and has read what the others ask');
    $h2->close;
    $_->close for grep { $_->isa('LLMTest::Client') } @streams;
    ok(wait_for(sub {
        my @ends = $t->read_file('end.log') =~ m{^/nobody 499 }mg;
        return @ends == 20;
    }), 'all are gone');

    $peer->go;
    ok($peer->wait_idle, 'the token comes');
    is(ask($t, '/nobody')->{status}, 200, 'and is there for the next one');
    is($u->connections, $n + 1, 'who needs no other');
};


# the end of the connection is in one segment with the end of the request
subtest 'gone with the last byte' => sub {
    $mock->defaults('token=1 identity=stall');
    my $before = counts($mock);
    my $body = '{"model":"m","messages":[{"role":"user","content":"x"}]}';

    for (1 .. 10) {
        my $s = $t->open(method => 'POST', path => '/gone', body => $body,
            head_only => 1);

        setsockopt $s->conn->sock, IPPROTO_TCP, TCP_CORK, 1
            or die "setsockopt: $!";
        $s->send($body);
        $s->close;
    }

    ok($mock->wait(sign_ins => $before->{requests} + 1), 'signing in');
    ok(wait_for(sub {
        my @ends = $t->read_file('end.log') =~ m{^/gone 499 }mg;
        return @ends == 10;
    }), 'all are noticed');
    is($mock->stats('identity')->{end}, 'open', 'while they wait');
};


for my $protocol ('h1', 'h2') {
    subtest "a client that leaves, $protocol" => sub {
        $mock->defaults('token=1 identity=stall');
        my $path = $protocol eq 'h1' ? '/leaving' : '/kept';
        my $before = counts($mock);
        my $mark = $t->log_mark('end.log');
        my @on = $protocol eq 'h1' ? ()
            : (on => $t->h2(port => 1));
        my $leaves = open_call($t, $path, @on);
        my $stays = open_call($t, $path, @on);

        ok($mock->wait(sign_ins => $before->{requests} + 1), 'signing in');
        is($t->wait_log(qr{^$path }, file => 'end.log', from => $mark,
            limit => 0.2), undef, 'both wait');
        $protocol eq 'h1' ? $leaves->close : $leaves->reset;
        like($t->wait_log(qr{^$path }, file => 'end.log', from => $mark)
            // '', qr{^$path 499 "client_abort" }, 'it is noticed at once');
        ok(!$stays->ended, 'the other one waits on');
        is($mock->stats('identity')->{end}, 'open', 'the sign-in goes on');

        $mock->defaults('token=1');
        ok(!$stays->read_headers(0.1), 'and on');
        $stays->abort if $protocol eq 'h1';
        $stays->reset if $protocol ne 'h1';

        ok(wait_for(sub {
            my @ends = $t->read_file('end.log') =~ m{^\Q$path\E 499 }mg;
            return @ends == 2;
        }), 'until it goes, too');
        is_deeply([ @{ counts($mock) }{qw(accepted rejected)} ],
            [ @{$before}{qw(accepted rejected)} ], 'no model was asked');
    };
}
