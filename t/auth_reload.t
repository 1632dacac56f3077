#!/usr/bin/perl

# A token outlives what nginx does with its processes: a reload keeps it if
# it is the same sign-in and not otherwise, requests that wait are not lost
# by one, and a worker that dies in the middle of a sign-in stops nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask open_call bearer counts
    reload);
use LLMTest::Clock;
use LLMTest::Upstream;
use LLMTest::Wait qw(wait_for);

my $t = LLMTest->new(log_level => 'notice');
my $mock = $t->mock;
my $u = $t->upstream;
my $clock = LLMTest::Clock->new($t);

$t->write_file('secret', 'the-secret');
$t->write_file('copy', "the-secret\n");
$t->write_file('other', 'other-secret');


# the configuration, the block "main" with these directives

sub config {
    my ($main, %o) = @_;

    return $t->config(conf(
        main => 'worker_processes ' . ($o{workers} // 2) . ';',
        http => ($o{before} // '') . provider('main', %$main)
            . provider('held', url => 'http://%%UPSTREAM%%/t',
                timeout => '1000s'),
        server => location('/main', auth => 'main')
            . location('/held', auth => 'held')
            . "location = /pid { return 200 \$pid; }\n" . ($o{bad} // ''),
        listen => 'listen 127.0.0.1:%%PORT_0%% reuseport;',
    ));
}


sub requests { return counts($mock)->{requests} }


# reloads with this block: is the token of before used on?

sub keeps {
    my ($name, $main, $wanted, %o) = @_;
    my $before = requests();

    is(ask($t, '/main')->{status}, 200, "$name: before");
    my ($old) = bearer($mock);

    config($main, %o);
    ok(reload($t), "$name: reload");

    is(ask($t, '/main')->{status}, 200, "$name: after") for 1 .. 4;
    my ($new) = bearer($mock);

    is($new eq $old ? 'kept' : 'new', $wanted, "$name: the token");
    is(requests() - $before, $wanted eq 'kept' ? 0 : 1, "$name: sign-ins");

    return;
}


config({});
$t->start(env => $clock->env);
$clock->run;
ask($t, '/main');


subtest 'the same sign-in' => sub {
    keeps('nothing new', {}, 'kept');
    keeps('once more', {}, 'kept');
    keeps('another time', { timeout => '3s' }, 'kept');
    keeps('no verification', { ssl_verify => 'off' }, 'kept');
    keeps('another place for the secret', { client_secret =>
        'file:%%DIR%%/copy' }, 'kept');
    keeps('another block before it', {}, 'kept',
        before => provider('first'));
    keeps('and without it', {}, 'kept');
};


subtest 'another sign-in' => sub {
    keeps('a secret', { client_secret => 'file:%%DIR%%/other' }, 'new');
    keeps('the one of before', {}, 'new');
    keeps('an id', { client_id => 'other-id' }, 'new');
    keeps('a scope', { scope => 'a' }, 'new');
    keeps('another scope', { scope => 'b' }, 'new');
    keeps('a format', { format => 'json' }, 'new');
    keeps('an address', { url => 'http://%%MOCK%%/x/oauth2/token' }, 'new');
    keeps('a type', { type => 'evolution',
        url => 'http://%%MOCK%%/auth/token' }, 'new');
    keeps('and back', {}, 'new');

    $t->write_file('secret', "changed-secret\n");
    keeps('the contents of the file', {}, 'new');
    my ($q) = grep { $_->{path} =~ /token$/ } reverse $mock->requests(9);
    like($q->{body}, qr/client_secret=changed-secret\b/, 'what is sent');
};


subtest 'a reload that is refused' => sub {
    $t->allow_log(qr/unknown|no_such/);
    is(ask($t, '/main')->{status}, 200, 'before');
    my ($old) = bearer($mock);

    config({ client_id => 'other-id' }, bad => 'no_such_directive on;');
    ok(!$t->reload, 'refused');
    is(ask($t, '/main')->{status}, 200, 'after');
    is((bearer($mock))[0], $old, 'the token');
    config({});
    ok(reload($t), 'a good one');
    is(ask($t, '/main')->{status}, 200, 'then');
    is((bearer($mock))[0], $old, 'the token still');
};


subtest 'the token is renewed after a reload' => sub {
    $mock->defaults('says=100');
    config({ scope => 'renewal' });
    ok(reload($t), 'reload');
    is(ask($t, '/main')->{status}, 200, 'a token of a short life');
    my $before = requests();
    my ($old) = bearer($mock);

    ok(reload($t), 'reload');
    is(ask($t, '/main')->{status}, 200, 'used by the new workers');
    $clock->advance(51);
    ok($mock->wait(sign_ins => $before + 1), 'renewed');
    ok(wait_for(sub { ask($t, '/main'); (bearer($mock))[0] ne $old }),
        'the new one is used');
    is(requests(), $before + 1, 'once');
    $mock->defaults('');
};


my $ANSWER = LLMTest::Upstream::answer(200,
    '{"access_token":"held-token","expires_in":100}');

subtest 'a reload while requests wait' => sub {
    $u->script(['request'], ['hold'], [ send => $ANSWER ], ['close']);
    my @waiting = map { open_call($t, '/held') } 1 .. 8;
    my ($peer) = $u->take;

    ok($peer, 'signing in');
    ok($t->reload, 'reload');

    # the new workers wait for the same sign-in, or make their own
    $u->each_request([ send => $ANSWER ], ['close']);
    push @waiting, map { open_call($t, '/held') } 1 .. 8;
    $peer->go;

    is($_->result->{status}, 200, 'answered') for @waiting;
    cmp_ok($u->connections, '<=', 2, 'at most one sign-in of each');
};


# two generations of workers, each with requests that wait for a token of its
# own secret: neither may throw away what it got because the other asks, too
subtest 'a reload with another secret while requests wait' => sub {
    $mock->defaults('identity_delay=1000');
    $clock->advance(4000);
    my $before = requests();
    my @waiting = map { open_call($t, '/main') } 1 .. 4;

    ok($mock->wait(sign_ins => $before + 1), 'signing in');
    config({ client_secret => 'file:%%DIR%%/other' });
    ok($t->reload, 'reload');
    push @waiting, map { open_call($t, '/main') } 1 .. 4;

    is($_->result(60)->{status}, 200, 'answered') for @waiting;
    cmp_ok(requests() - $before, '<=', @waiting,
        'they do not sign in for ever: at most once for each request');

    $mock->defaults('');
};


# a connection to each worker: its id and a finished request

sub connections {
    my %to;

    wait_for(sub {
        my $s = $t->open(path => '/pid');
        my $pid = $s->result->{body};

        $to{$pid} //= $s;
        return keys %to >= 3;
    }) or die 'workers without connections';

    return %to;
}


subtest 'a worker that dies while it signs in' => sub {
    $t->allow_log(qr/worker process \d+ exited on signal 9/);
    $clock->advance(1000);
    config({}, workers => 3);
    ok(reload($t), 'three workers');

    my %to = connections();
    my ($dies, @others) = sort keys %to;
    my $n = $u->connections;

    $u->script(['request'], ['wait_close']);
    my $lost = open_call($t, '/held', on => $to{$dies});
    my $peer = $u->peer($n + 1);
    ok($peer->request, 'it signs in');

    my @waiting = map { open_call($t, '/held', on => $to{$_}) } @others;

    ok(!$_->read_headers(0.05), 'the others wait') for @waiting;

    kill 'KILL', $dies;
    ok($peer->wait_close, 'it is dead');
    ok($lost->wait_close, 'and its client is told');

    # the dead one would have had a quarter of an hour: nobody waits for that
    is($_->result->{status}, 200, 'a request that waited is answered')
        for @waiting;
    is(ask($t, '/held', on => $_)->{status}, 200, 'each worker goes on')
        for @waiting;
    is($u->connections, $n + 2, 'one of them has signed in');
    is(ask($t, '/held')->{status}, 200, 'and any other');
};


subtest 'one process' => sub {
    my $one = LLMTest->new(log_level => 'notice');
    my $provider = $one->mock;

    $one->write_file('secret', 'the-secret');
    $one->config(conf(main => 'master_process off;',
        http => provider('main'),
        server => location('/main', auth => 'main')))->start;

    is(ask($one, '/main')->{status}, 200, 'answered') for 1 .. 3;
    is(counts($provider)->{requests}, 1, 'one sign-in');
    $one->finish;
};
