package LLMBench::Stats;

# The statistics of the driver: medians, percentiles of histograms that were
# added up, and bootstrap intervals.  Pure functions of numbers: the same
# input and seed give the same output on every machine.  Percentiles of
# windows are never averaged; the histograms are added instead.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(median interval paired merge percentile);

# how often a sample is drawn anew for an interval, and how many numbers it
# takes: of fewer, "95 %" would hold the median far less often than that
use constant { DRAWS => 2000, LEAST => 6 };

# Park and Miller's generator: every product is below 2**53, so it is exact
# in a double, too
use constant { FACTOR => 48_271, MODULUS => 2_147_483_647 };


# the middle of the numbers, or the mean of the two middle ones; undef of none

sub median {
    my @sorted = sort { $a <=> $b } @_ or return;
    my $half = int @sorted / 2;

    return @sorted % 2 ? $sorted[$half]
        : ($sorted[$half - 1] + $sorted[$half]) / 2;
}


# interval(\@numbers, $seed): the median, and the ends of its bootstrap 95 %
# interval (percentile method).  Of few numbers there is no interval.

sub interval {
    my ($numbers, $seed) = @_;
    my $n = @$numbers or return;
    my $middle = median(@$numbers);

    return ($middle) if $n < LEAST;

    my $state = ($seed // 1) % (MODULUS - 1) + 1;
    my @medians;

    for (1 .. DRAWS) {
        my @draw;

        for (1 .. $n) {
            $state = $state * FACTOR % MODULUS;
            push @draw, $numbers->[int $state / MODULUS * $n];
        }

        push @medians, median(@draw);
    }

    @medians = sort { $a <=> $b } @medians;

    return ($middle, $medians[int DRAWS * 0.025],
        $medians[int DRAWS * 0.975 - 1]);
}


# paired(\%a, \%b, $function): by round, $function of what both have in that
# round (round => number), in the order of rounds

sub paired {
    my ($of, $base, $function) = @_;

    return map { $function->($of->{$_}, $base->{$_}) }
        grep { defined $of->{$_} && defined $base->{$_} }
        sort { $a <=> $b } keys %$of;
}


# adds up the "hist" lists of llm-bench's result, [[value, count], ...]

sub merge {
    my %count;

    for my $hist (@_) {
        $count{ $_->[0] } += $_->[1] for @$hist;
    }

    return [ map { [ $_ + 0, $count{$_} ] } sort { $a <=> $b } keys %count ];
}


# The smallest value of such a list that at least p percent do not exceed;
# undef of an empty list.

sub percentile {
    my ($hist, $p) = @_;
    my $total = 0;
    my $seen = 0;

    return if !@$hist;

    $total += $_->[1] for @$hist;

    for my $bucket (@$hist) {
        $seen += $bucket->[1];
        return $bucket->[0] if $seen * 100 >= $total * $p;
    }

    return $hist->[-1][0];
}


1;
