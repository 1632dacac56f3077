#!/usr/bin/perl

# When signing in fails: the client is told in its dialect, in every way in
# which it can fail; the service is left in peace for 1, 2, 4 … 60 seconds
# and the log gets a line a minute; a valid token is used on; all is well as
# soon as it works again; another location can answer instead.  The clock is
# turned by the test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask open_call auth_error bearer
    counts reasons CLIENTS);
use LLMTest::Clock;
use LLMTest::Mock;
use LLMTest::Wait qw(wait_for);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $clock = LLMTest::Clock->new($t);

# ways to fail: the mock's options, and what the log must say; those that
# never end by themselves end by the block's time
my %fails = (
    refused => [ 'identity=401', qr/^status 401$/ ],
    broken => [ 'identity=500', qr/^status 500$/ ],
    garbage => [ 'identity=garbage', qr/\w/ ],
    oversized => [ 'identity=oversized', qr/too large/ ],
    notoken => [ 'identity=no-token', qr/no "?access_token/ ],
    reset => [ 'identity=reset', qr/\w/ ],
    stall => [ 'identity=stall', qr/timed out/, 1 ],
    slow => [ 'identity_delay=1000000', qr/timed out/, 1 ],
    trickle => [ 'bytewise=1 gap=30000', qr/timed out/, 1 ],
    down => [ '', qr/connect\(\) failed \(111: Connection refused\)/ ],
    zero => [ 'says=0', qr/expires_in/ ],
    negative => [ 'says=-1', qr/expires_in/ ],
    word => [ 'says="x"', qr/expires_in/ ],
);
my @ways = sort keys %fails;
my @MORE = qw(backoff old recover clients minute both second);

$t->write_file('secret', 'the-secret');
$t->config(conf(
    main => 'worker_processes 2;',
    http => join('', map { provider($_, timeout => '7s', url =>
        $_ eq 'down' ? 'http://127.0.0.1:%%DEAD_PORT%%/t'
        : 'http://%%MOCK%%/oauth2/token') } @ways, @MORE),
    server => join('', map { location("/$_", auth => $_) } @ways, @MORE)
        . join('', map { location("/clients/$_", client => $_,
        auth => 'clients') } CLIENTS)
        . location('/fallback', auth => 'both',
            more => 'error_page 502 = @fallback;')
        . location('/page', auth => 'both',
            more => 'error_page 502 /sorry; llm_stream_intercept_errors on;')
        . location('/elsewhere', auth => 'both',
            more => 'error_page 502 = @second;')
        . location('@second', auth => 'second')
        . location('@fallback', more => 'llm_stream_api_key of-fallback;')
        . 'location = /sorry { return 200 "sorry\n"; }',
))->start(env => $clock->env);


sub requests { return counts($mock)->{requests} }


for my $way (@ways) {
    my ($options, $why, $slow) = @{ $fails{$way} };

    subtest $way => sub {
        $mock->defaults("$options token=1");
        my $mark = $t->log_mark;
        my $before = requests();
        my $calls = counts($mock)->{rejected};
        my $s = open_call($t, "/$way");

        if ($slow) {
            ok($mock->wait(sign_ins => $before + 1), 'signing in');
            $clock->advance(6.5);
            ok(!$s->read_headers(0.2), 'it waits');
            $clock->advance(1);
        }

        auth_error($s->result, 'openai', 'the first');
        auth_error(ask($t, "/$way"), 'openai', 'the next, at once');
        is(requests(), $before + ($way eq 'down' ? 0 : 1), 'one sign-in');
        is(counts($mock)->{rejected}, $calls, 'the model is not asked');

        my @reasons = reasons($t, $way, $mark);
        is(scalar @reasons, 1, 'one line in the log');
        like($reasons[0] // '', $why, 'it says why');

        return if $way eq 'down';

        $mock->defaults('token=1');
        $clock->advance(1.1);
        is(ask($t, "/$way")->{status}, 200, 'after a second: well');
        is(requests(), $before + 2, 'by one sign-in');
    };
}


subtest 'in every dialect' => sub {
    $mock->defaults('identity=401');

    for my $client (CLIENTS) {
        auth_error(ask($t, "/clients/$client", client => $client), $client);
        auth_error(ask($t, "/clients/$client", client => $client,
            on => $t->h2(port => 1)), $client, "$client, HTTP/2");
    }

    my $r = $t->post('/clients/openai', { model => 'm', messages =>
        [ { role => 'user', content => 'x' } ] });
    auth_error($r, 'openai', 'an answer');
    like($t->wait_log(qr{^/clients/openai 502 }, file => 'end.log'),
        qr/"upstream_auth"/, '$llm_stream_error');
};


subtest 'the service is left in peace' => sub {
    $mock->defaults('identity=401');
    my $before = requests();

    ask($t, '/backoff');
    my $n = 1;

    for my $seconds (1, 2, 4, 8, 16, 32, 60, 60) {
        is(requests(), $before + $n, "$n sign-ins");
        $clock->advance($seconds - 0.5);

        for (1 .. 5) {
            is(ask($t, '/backoff')->{status}, 502, 'fails at once');
        }

        is(requests(), $before + $n, "nobody asked for $seconds s");
        $clock->advance(1);
        is(ask($t, '/backoff')->{status}, 502, 'fails');
        $n++;
    }

    is(requests(), $before + $n, "$n sign-ins in minutes");

    # what has worked once begins anew
    $mock->defaults('');
    $clock->advance(61);
    is(ask($t, '/backoff')->{status}, 200, 'it works');
    $mock->defaults('identity=401');
    $clock->advance(3601);
    $n = requests();
    is(ask($t, '/backoff')->{status}, 502, 'it fails again');
    $mock->defaults('');
    $clock->advance(1.5);
    is(ask($t, '/backoff')->{status}, 200, 'tried again after a second');
};


subtest 'a line a minute' => sub {
    $mock->defaults('identity=500');
    my $mark = $t->log_mark;
    my @times;

    # 1, 2, 4 … s between: the line stands there at 0, then when a minute
    # has passed
    for my $at (0 .. 149) {
        ask($t, '/minute') if $at < 40 || $at % 10 == 0;
        my @reasons = reasons($t, 'minute', $mark);
        push @times, $at while @times < @reasons;
        $clock->advance(1);
    }

    is($times[0], 0, 'at once');
    cmp_ok(scalar @times, '>=', 2, 'again');
    cmp_ok(scalar @times, '<=', 3, 'not more than one a minute');
    cmp_ok($times[$_] - $times[ $_ - 1 ], '>=', 59, "line $_: a minute later")
        for 1 .. $#times;
    is(scalar(grep { !/^status 500$/ } reasons($t, 'minute', $mark)), 0,
        'the same words');
};


subtest 'an old token is used on' => sub {
    $mock->defaults('says=1000 life=100000 token=1');
    is(ask($t, '/old')->{status}, 200, 'a token');
    my ($first) = bearer($mock);
    my $before = requests();

    # renewal begins at 800, the token is good until 1000
    $mock->defaults('identity=500 token=1');
    $clock->advance(790);
    is(ask($t, '/old')->{status}, 200, 'used');
    my $mark = $t->log_mark;
    $clock->advance(20);
    ok($mock->wait(sign_ins => $before + 1), 'the renewal begins');
    ok($t->wait_log(qr/auth "old" failed: /, from => $mark), 'and fails');
    $mark = $t->log_mark;

    for my $at (810, 840, 870, 900, 930, 960, 990) {
        is(ask($t, '/old')->{status}, 200, "at $at s");
        is((bearer($mock))[0], $first, "at $at s: the old token");
        $clock->advance(30);

        # the next time is reckoned from when the worker knew of this one
        next if $at > 810;
        ok($mock->wait(sign_ins => $before + 2), 'tried again');
        ok($t->wait_log(qr/auth "old" failed: /, from => $mark), 'in vain');
    }

    my $tries = requests() - $before;
    cmp_ok($tries, '>=', 2, 'it was tried again meanwhile');
    cmp_ok($tries, '<=', 9, 'and not too often');

    auth_error(ask($t, '/old'), 'openai', 'when it is over');

    $mock->defaults('token=1');
    $clock->advance(61);
    is(ask($t, '/old')->{status}, 200, 'when the service is back');
    isnt((bearer($mock))[0], $first, 'with another token');
};


subtest 'down at the start, then up' => sub {
    my $port = $t->port(7);
    my $second = LLMTest->new(log_level => 'info');
    my $model = $second->mock;
    my $turn = LLMTest::Clock->new($second);

    $second->write_file('secret', 'the-secret');
    $second->config(conf(
        http => provider('main', url => "http://127.0.0.1:$port/auth/token",
            type => 'evolution')))->start(env => $turn->env);
    auth_error(ask($second, '/openai'), 'openai', 'nobody there');

    my $late = LLMTest::Mock->new(root => $t->root,
        log => $second->dir . '/late', args => [ '--port', $port ]);

    auth_error(ask($second, '/openai'), 'openai', 'not yet');
    $turn->advance(1.5);
    is(ask($second, '/openai')->{status}, 200, 'the service is up');
    is($late->stats->{identity}{requests}, 1, 'one sign-in');
    $second->finish;
};


subtest 'another location' => sub {
    $mock->defaults('identity=401');
    my $r = ask($t, '/fallback');

    is($r->{status}, 200, 'it answers');
    ok($r->{complete}, 'a whole stream');
    like($r->{body}, qr/\[DONE\]/, 'to its end');
    is_deeply([ bearer($mock) ], ['Bearer of-fallback'], 'with its own key');
    my ($q) = $mock->requests(1);
    like($q->{body}, qr/"content":\s*"hi"/, 'the same request');

    $r = ask($t, '/page');
    is($r->{status}, 502, 'a page: status');
    is($r->{body}, "sorry\n", 'a page: body');
};


subtest 'another location that signs in elsewhere' => sub {
    $mock->defaults('identity=401');
    $clock->advance(61);
    is(ask($t, '/fallback')->{status}, 200, 'the first cannot');
    $mock->defaults('token=1');
    my $before = requests();

    is(ask($t, '/elsewhere')->{status}, 200, 'the second answers') for 1 .. 5;
    is(requests(), $before + 1, 'one sign-in, not of the first');
    like((bearer($mock))[0], qr/^Bearer mock-token-/, 'with its token');
};


subtest 'a file of secrets that goes' => sub {
    my $before = requests();

    unlink $t->dir . '/secret' or die "unlink: $!";
    $mock->defaults('');
    is(ask($t, '/recover')->{status}, 200, 'was read at the start');
    is(requests(), $before + 1, 'one sign-in');
};
