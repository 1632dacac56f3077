package LLMTest::Boost;

# A classifier of two classes: gradient boosting of decision stumps with
# logistic loss (J. Friedman, Greedy function approximation, 2001), and the
# area under the ROC curve of what it says of rows that it has not seen.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(cross_auc auc);

use constant { ROUNDS => 60, RATE => 0.3, CUTS => 16 };


# auc(\@scores, \@labels): the share of pairs of one 1 and one 0 in which the
# 1 has the higher score; ties count half

sub auc {
    my ($scores, $labels) = @_;
    my @order = sort { $scores->[$a] <=> $scores->[$b] } 0 .. $#{$scores};
    my ($sum, $i) = (0, 0);
    my $ones = grep { $_ } @{$labels};
    my $zeros = @{$labels} - $ones;

    while ($i < @order) {
        my $j = $i;

        $j++ while $j < $#order
            && $scores->[ $order[ $j + 1 ] ] == $scores->[ $order[$i] ];

        my $rank = ($i + $j) / 2 + 1;

        $sum += $rank * grep { $labels->[$_] } @order[ $i .. $j ];
        $i = $j + 1;
    }

    return ($sum - $ones * ($ones + 1) / 2) / ($ones * $zeros);
}


# cross_auc(\@rows, \@labels, $folds): every row is judged by a model that was
# made of the other folds

sub cross_auc {
    my ($rows, $labels, $folds) = @_;
    my @scores;

    for my $fold (0 .. $folds - 1) {
        my @train = grep { $_ % $folds != $fold } 0 .. $#{$rows};
        my $model = _fit([ @{$rows}[@train] ], [ @{$labels}[@train] ]);

        $scores[$_] = _score($model, $rows->[$_])
            for grep { $_ % $folds == $fold } 0 .. $#{$rows};
    }

    return auc(\@scores, $labels);
}


sub _score {
    my ($model, $row) = @_;
    my $score = 0;

    $score += $row->[ $_->{column} ] <= $_->{cut} ? $_->{below} : $_->{above}
        for @{$model};

    return $score;
}


sub _fit {
    my ($rows, $labels) = @_;
    my $sides = _sides($rows);
    my @score = (0) x @{$rows};
    my @model;

    for (1 .. ROUNDS) {
        my @p = map { 1 / (1 + exp(-$_)) } @score;
        my @gradient = map { $labels->[$_] - $p[$_] } 0 .. $#p;
        my @weight = map { $_ * (1 - $_) + 1e-6 } @p;
        my $stump = _best($sides, \@gradient, \@weight) or last;

        push @model, $stump;
        $score[$_] += $stump->{below} for @{ $stump->{low} };
        $score[$_] += $stump->{above} for @{ $stump->{high} };
    }

    return \@model;
}


# every cut of every column: which rows are on which side

sub _sides {
    my ($rows) = @_;
    my @sides;

    for my $column (0 .. $#{ $rows->[0] }) {
        my @values = sort { $a <=> $b } map { $_->[$column] } @{$rows};
        my %cuts = map { $_ => 1 }
            map { $values[ @values * $_ / CUTS ] } 1 .. CUTS - 1;

        for my $cut (grep { $_ < $values[-1] } keys %cuts) {
            my (@low, @high);

            push @{ $rows->[$_][$column] <= $cut ? \@low : \@high }, $_
                for 0 .. $#{$rows};

            push @sides, { column => $column, cut => $cut, low => \@low,
                high => \@high } if @low && @high;
        }
    }

    return \@sides;
}


sub _sum {
    my ($values, $which) = @_;
    my $sum = 0;

    $sum += $_ for @{$values}[ @{$which} ];

    return $sum;
}


# the stump that lowers the loss most, with a Newton step on each side

sub _best {
    my ($sides, $gradient, $weight) = @_;
    my ($best, $most) = (undef, 0);
    my @all = 0 .. $#{$gradient};
    my ($g, $h) = (_sum($gradient, \@all), _sum($weight, \@all));

    for my $side (@{$sides}) {
        my ($gl, $hl) = (_sum($gradient, $side->{low}),
            _sum($weight, $side->{low}));
        my ($gr, $hr) = ($g - $gl, $h - $hl);
        my $gain = $gl**2 / ($hl + 1) + $gr**2 / ($hr + 1);

        next if $gain <= $most;

        $most = $gain;
        $best = { %{$side}, below => RATE * $gl / ($hl + 1),
            above => RATE * $gr / ($hr + 1) };
    }

    return $best;
}


1;
