#!/usr/bin/perl

# The life of a token, with a clock that the test turns: renewed at 80 % of
# its life and not later than a minute before its end, early enough when it
# is short, never when nobody used it; requests never wait for a renewal;
# whatever the identity service claims.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask bearer counts reasons
    reload);
use LLMTest::Clock;
use LLMTest::Wait qw(wait_for);

my $MINUTE = 60;
my $HOUR = 60 * $MINUTE;
my $DAY = 24 * $HOUR;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $clock = LLMTest::Clock->new($t);

# a block for each: the life that is claimed, when it is renewed, when over
my %life = (
    hour => [ 3600, 48 * $MINUTE, $HOUR ],
    missing => [ 'none', 48 * $MINUTE, $HOUR ],
    null => [ 'null', 48 * $MINUTE, $HOUR ],
    digits => [ '"7200"', 96 * $MINUTE, 2 * $HOUR ],
    four => [ 240, 180, 240 ],
    three => [ 180, 120, 180 ],
    short => [ 100, 50, 100 ],
    brief => [ 10, 5, 10 ],
    month => [ 30 * $DAY, 24 * $DAY, 30 * $DAY ],
    year => [ 365 * $DAY, 24 * $DAY, 30 * $DAY ],
    ever => [ '99999999999999999999', 24 * $DAY, 30 * $DAY ],
);

$t->write_file('secret', 'the-secret');
only('start');
$t->start(env => $clock->env);


# from now on nginx knows this block alone: those of before do not renew
# their tokens in between

sub only {
    my ($name) = @_;

    $t->config(conf(
        main => 'worker_processes 4;', http => provider($name),
        server => location("/$name", auth => $name),
        listen => 'listen 127.0.0.1:%%PORT_0%% reuseport;',
    ));

    return $t->pid ? reload($t) : 1;
}


sub requests { return counts($mock)->{requests} }


# a request that must be answered, and with which token
sub used {
    my ($path, $name) = @_;
    my $r = ask($t, "/$path");

    is($r->{status}, 200, "$name: answered");

    return (bearer($mock))[0] // '';
}


# waits until the new token is what requests are sent with
sub renewed {
    my ($path, $old, $name) = @_;

    ok(wait_for(sub {
        ask($t, "/$path");
        return (bearer($mock))[0] ne $old;
    }), "$name: the new token is used");

    return (bearer($mock))[0];
}


# waits until the worker that signs in knows that it has failed: from then on
# the next time is reckoned
sub failed {
    my ($name) = @_;

    return wait_for(sub { scalar(() = reasons($t, $name)) });
}


for my $path (sort keys %life) {
    my ($says, $renew, $end) = @{ $life{$path} };

    subtest "a life of $says" => sub {
        ok(only($path), 'a block');
        $mock->defaults("life=100000000 says=$says");
        my $before = requests();
        my $first = used($path, 'the first');

        is(requests(), $before + 1, 'one sign-in');
        $clock->advance($renew * 0.98);
        is(used($path, 'before its time'), $first, 'the same token');
        ok(!$mock->wait(sign_ins => $before + 2, limit => 0.1),
            'no renewal yet');

        $clock->advance($renew * 0.02 + 1);
        ok($mock->wait(sign_ins => $before + 2), 'renewed without a request');
        my $second = renewed($path, $first, 'then');

        # the old token is known to be valid to its end
        is(requests(), $before + 2, 'one renewal');
        $clock->advance($renew * 0.98);
        is(used($path, 'past the first end'), $second, 'the second token');
        is(requests(), $before + 2, 'no sign-in more');
    };
}


subtest 'a token that nobody uses' => sub {
    ok(only('unused'), 'a block');
    $mock->defaults('says=100');
    my $before = requests();
    my $first = used('unused', 'the first');

    # the one that comes by renewal is used by nobody
    $clock->advance(51);
    ok($mock->wait(sign_ins => $before + 2), 'renewed, it was used');
    ok($mock->wait(id => 'identity', end => 1), 'there it is');

    for my $seconds (51, 30, 200) {
        $clock->advance($seconds);
        ok(!$mock->wait(sign_ins => $before + 3, limit => 0.1),
            "after $seconds s more: not renewed");
    }

    isnt(used('unused', 'long after its end'), $first, 'another token');
    is(requests(), $before + 3, 'one sign-in, by the request');
};


subtest 'requests do not wait for a renewal' => sub {
    ok(only('pending'), 'a block');
    $mock->defaults('says=100');
    my $before = requests();
    my $first = used('pending', 'the first');

    $mock->defaults('says=100 identity=stall');
    $clock->advance(51);
    ok($mock->wait(sign_ins => $before + 2), 'the renewal began');

    for my $n (1 .. 20) {
        is(used('pending', "request $n"), $first, 'with the old token');
    }

    is(requests(), $before + 2, 'one renewal for all workers');

    # it fails after its time, and is tried again
    $mock->defaults('says=100');
    $clock->advance(10.5);
    ok(failed('pending'), 'it failed');
    is(used('pending', 'after it failed'), $first, 'still the old token');
    $clock->advance(2);
    ok($mock->wait(sign_ins => $before + 3), 'tried again');
    renewed('pending', $first, 'at last');
    is(requests(), $before + 3, 'no more than that');
};


subtest 'a life that ends while nobody renews' => sub {
    ok(only('late'), 'a block');
    $mock->defaults('says=100');
    my $before = requests();
    my $first = used('late', 'the first');

    $mock->defaults('says=100 identity=500');
    $clock->advance(99);
    ok($mock->wait(sign_ins => $before + 2), 'a renewal begins');
    ok(failed('late'), 'and fails');
    is(used('late', 'before the end'), $first, 'the old token');

    $clock->advance(2);
    is(ask($t, '/late')->{status}, 502, 'not after the end');

    $mock->defaults('says=100');
    $clock->advance(61);
    isnt(used('late', 'when it works again'), $first, 'a new token');
};
