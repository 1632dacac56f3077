#!/usr/bin/perl

# The statistics of the benchmarks' driver: medians, bootstrap intervals on
# data whose median is known, histograms that are added.

use strict;
use warnings;

use FindBin ();
use Test::More;

use lib "$FindBin::Bin/../benchmarks/lib";

use LLMBench::Stats qw(median interval paired merge percentile);

is(median(), undef, 'no median of nothing');
is(median(7), 7, 'of one');
is(median(3, 1, 2), 2, 'of an odd number');
is(median(10, 1, 3, 2), 2.5, 'of an even number');
is(median(9, 10, 100), 10, 'as numbers, not as text');

intervals();
coverage();
pairs();
histograms();

done_testing();


sub intervals {
    my @numbers = map { $_ / 10 } 1 .. 21;
    my @a = interval(\@numbers, 5);
    my @b = interval(\@numbers, 5);
    my @c = interval(\@numbers, 6);

    is($a[0], 1.1, 'the middle is the median of the sample');
    is_deeply(\@a, \@b, 'the same seed gives the same interval');
    cmp_ok(abs($a[1] - $c[1]), '<', 0.3, 'another one a similar');
    cmp_ok($a[1], '<', $a[0], 'the lower end is below');
    cmp_ok($a[2], '>', $a[0], 'the upper end is above');

    # binomial: the interval of the median of 21 is from the 6th to the 16th
    cmp_ok(abs($a[1] - 0.6), '<', 0.15, 'the lower end is where it should be');
    cmp_ok(abs($a[2] - 1.6), '<', 0.15, 'and the upper one');

    is_deeply([ interval([ (4) x 6 ], 1) ], [ 4, 4, 4 ],
        'no spread, no width');
    is_deeply([ interval([ 1 .. 5 ], 1) ], [ 3 ],
        'few numbers have no interval');
    is_deeply([ interval([], 1) ], [], 'nothing of nothing');

    return;
}


# Samples of a skewed distribution whose median is 1: how often the interval
# holds it.  The numbers are the same on every machine.

sub coverage {
    my $state = 12_345;
    my $hit = 0;
    my $samples = 100;

    for my $sample (1 .. $samples) {
        my @numbers = map {
            $state = $state * 16_807 % 2_147_483_647;
            exp((($state / 2_147_483_647) - 0.5) * 3);
        } 1 .. 25;
        my (undef, $low, $high) = interval(\@numbers, $sample);

        $hit++ if $low <= 1 && $high >= 1;
    }

    cmp_ok($hit, '>=', 0.88 * $samples, 'a 95 % interval mostly holds it');
    cmp_ok($hit, '<', $samples, 'but is not so wide that it always does');

    return;
}


sub pairs {
    my %a = (1 => 10, 2 => 12, 3 => 30, 10 => 8);
    my %b = (1 => 5, 3 => 10, 10 => 4, 11 => 3);

    is_deeply([ paired(\%a, \%b, sub { $_[0] / $_[1] }) ], [ 2, 3, 2 ],
        'only rounds that both have, in their order');
    is_deeply([ paired({ 1 => undef }, { 1 => 2 }, sub { 1 }) ], [],
        'a round without the figure is none');

    return;
}


sub histograms {
    my $merged = merge([ [ 1, 5 ], [ 10, 2 ] ], [ [ 2.5, 1 ], [ 10, 2 ] ]);

    is_deeply($merged, [ [ 1, 5 ], [ 2.5, 1 ], [ 10, 4 ] ],
        'histograms are added by value');
    is(percentile($merged, 50), 1, 'p50: half of them do not exceed it');
    is(percentile($merged, 60), 2.5, 'p60 is the sixth of ten');
    is(percentile($merged, 61), 10, 'p61 the seventh');
    is(percentile($merged, 100), 10, 'p100 the largest');
    is(percentile([], 50), undef, 'nothing of nothing');
    is_deeply(merge(), [], 'no histograms, an empty one');

    return;
}
