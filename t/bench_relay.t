#!/usr/bin/perl

# Is what llm-bench measures true?  Between it and the mock stands llm-relay,
# which delays, stalls, drops, doubles, exchanges and damages events as it is
# told, and says what it did.  Both must say the same.  Times are compared
# with what the relay itself measured, in windows that follow each other;
# windows in which the mock or the relay was late by itself are void.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use LLMTest::Mock;
use LLMTest::Proc;
use LLMTest::Relay;
use Test::More;

my $root = "$FindBin::Bin/..";
my $bench = $ENV{LLM_BENCH} || "$root/build/llm-bench";

for my $binary ($bench, LLMTest::Relay::binary($root)) {
    plan skip_all => "no $binary: make bench-tools" if !-x $binary;
}

my $dir = tempdir(CLEANUP => 1);
my $mock = LLMTest::Mock->new(root => $root, log => "$dir/mock",
    args => ['--set', 'text=stamp']);

# What the client says, what the relay says, and how the client ended.  Each
# stream has `tokens`, in the pace of `itl`; relay: its options.

sub window {
    my (%o) = @_;

    $mock->defaults("tokens=$o{tokens},itl=$o{itl}");

    my $relay = LLMTest::Relay->new(root => $root, to => $mock->address,
        log => "$dir/relay", args => $o{relay});
    unlink "$dir/result.json";

    my $client = LLMTest::Proc->spawn(name => 'llm-bench',
        stdout => "$dir/table", stderr => "$dir/error",
        cmd => [$bench, '--engine', $o{engine},
            '--base-url', 'http://127.0.0.1:' . $relay->port,
            '--num-prompts', $o{streams}, '--stamps', $o{tokens},
            '--max-concurrency', $o{streams}, '--ramp', $o{itl} / 1000,
            '--save-result', '--result-dir', $dir,
            '--result-filename', 'result.json']);
    my $status = $client->wait_exit(60);
    my $did = $relay->stop or die "the relay did not end well\n";
    my $json = slurp("$dir/result.json")
        or die 'no result: ', slurp("$dir/error");

    return (decode_json($json), $did, $status);
}

sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/;

    return readline $fh;
}

# Of a distribution: how many are above a value, and the value that a share
# does not exceed, of those above another.

sub above {
    my ($h, $value) = @_;
    my $n = 0;

    $n += $_->[1] for grep { $_->[0] > $value } @{ $h->{hist} };

    return $n;
}

sub quantile {
    my ($h, $share, $from) = @_;
    my $left = $share * above($h, $from // -1);

    for my $bucket (grep { $_->[0] > ($from // -1) } @{ $h->{hist} }) {
        $left -= $bucket->[1];
        return $bucket->[0] if $left <= 0;
    }

    return 0;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;

    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# Asks for values until `wanted` of them are there; undef is a void window.

sub valid {
    my ($wanted, $at_most, $window) = @_;
    my ($void, @values) = 0;

    while (@values < $wanted && @values + $void < $at_most) {
        my $value = $window->();
        defined $value ? push @values, $value : $void++;
    }

    note(sprintf '%d valid, %d void: %s', scalar @values, $void,
        join ' ', map { sprintf '%.3f', $_ } @values);

    return @values < $wanted ? () : @values;
}

###############################################################################
# what came

my @counts = qw(lost duplicated reordered corrupted);

sub counts_are {
    my ($engine, $what, $args, $expected) = @_;
    my ($result, $did, $status) = window(engine => $engine, streams => 20,
        tokens => 50, itl => 2, relay => $args);
    my %told = %{ $result->{proxy} };

    is_deeply({ map { $_ => $told{$_} } @counts }, {
        (map { $_ => 0 } @counts), %{ $expected->($did) } },
        "$engine, $what: counted as it was done");
    is($status, 0, "$engine, $what: all streams ended well");

    return ($result, $did);
}

for my $engine (qw(curl raw)) {
    subtest "$engine: what comes" => sub {
        my ($result, $did) = counts_are($engine, 'nothing done', [],
            sub { return {} });
        is($result->{proxy}{events}, 1000, 'every event');
        is($result->{completed}, 20, 'every stream');

        (undef, $did) = counts_are($engine, 'drop', ['--drop', 7],
            sub { return { lost => $_[0]{dropped} } });
        is($did->{dropped}, 142, 'each seventh of 1000');

        (undef, $did) = counts_are($engine, 'duplicate', ['--duplicate', 9],
            sub { return { duplicated => $_[0]{duplicated} } });
        is($did->{duplicated}, 111, 'each ninth');

        # the last event of a stream has none that it could come behind
        (undef, $did) = counts_are($engine, 'swap', ['--swap', 7],
            sub { return { reordered => $_[0]{swapped} } });
        cmp_ok($did->{swapped}, '>=', 142 - 20, 'each seventh');

        # what is damaged did not come; two that follow each other in a
        # stream would be one damaged place, so they are rounds apart
        (undef, $did) = counts_are($engine, 'corrupt', ['--corrupt', 61],
            sub { return { corrupted => $_[0]{corrupted},
                lost => $_[0]{corrupted} } });
        is($did->{corrupted}, 16, 'each 61st');

        (undef, $did) = counts_are($engine, 'delay', ['--delay', 5],
            sub { return {} });
        is($did->{delay_us}{count}, 1000, 'each is delayed');
    };
}

###############################################################################
# when it came

# Was a window quiet?  Three of four events were sent by the mock when they
# were due, and by the relay when it was told to, but for half a millisecond.

sub quiet {
    my ($result, $did, $delay) = @_;

    return quantile($result->{proxy}{mock_emit_lag_us}, 0.75) < 500
        && quantile($did->{delay_us}, 0.75) < $delay + 500;
}

# A delay of 1 ms of each second event, in the client's figures as a part of
# what the relay says.  The events between them show what all else of the way
# takes: the same processes carried them at the same time.  What else happens
# on a machine makes events only later, so of both the fastest are compared.
# If three of four events between them came within half a millisecond, the
# client was not late by itself.

sub delay_told {
    my ($engine) = @_;
    my ($result, $did) = window(streams => 40, tokens => 25, itl => 20,
        engine => $engine, relay => ['--stall', '2:1']);
    my @delays = ($result->{proxy}{event_delay_us}, $did->{delay_us});

    return if !quiet($result, $did, 1000) || quantile($delays[0], 0.375) >= 500;

    my ($told, $done) = map { quantile($_, 0.55) - quantile($_, 0.05) }
        @delays;

    return $told / $done;
}

for my $engine (qw(curl raw)) {
    subtest "$engine: a delay of 1 ms" => sub {
        my @told = valid(7, 120, sub { return delay_told($engine) });

        ok(scalar @told, 'enough windows were quiet') or return;
        cmp_ok(abs(median(@told) - 1), '<', 0.05, 'is reported as such');
    };
}

subtest 'a stall of 50 ms in one of 100 events' => sub {
    my (%count, %length);
    my @valid = valid(5, 60, sub {
        my ($result, $did) = window(streams => 100, tokens => 20, itl => 80,
            engine => 'raw', relay => ['--stall', '100:50']);

        return if !quiet($result, $did, 0);

        is($did->{stalled}, 20, 'stalled');

        my ($told, $done) = ($result->{proxy}{event_delay_us},
            $did->{delay_us});

        push @{ $count{told} }, above($told, 25_000);
        push @{ $count{done} }, above($done, 25_000);
        push @{ $length{told} }, quantile($told, 0.5, 25_000);
        push @{ $length{done} }, quantile($done, 0.5, 25_000);

        return $count{told}[-1];
    });

    ok(scalar @valid, 'enough windows were quiet') or return;

    my ($told, $done) = map { median(@{ $count{$_} }) } qw(told done);
    cmp_ok(abs($told / $done - 1), '<=', 0.05,
        "is seen as often: $told, $done");

    ($told, $done) = map { median(@{ $length{$_} }) } qw(told done);
    cmp_ok(abs($told / $done - 1), '<', 0.05, "as long: $told us, $done us");
    cmp_ok(abs($done / 50_000 - 1), '<', 0.05, 'and it was 50 ms');
};

$mock->stop;
done_testing();
