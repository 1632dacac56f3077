#!/usr/bin/perl

# What a run of the benchmarks will do: the loads of the scenarios add up, and
# the plan fits into the time that there is.

use strict;
use warnings;

use FindBin ();
use Test::More;

use lib "$FindBin::Bin/../benchmarks/lib", "$FindBin::Bin/lib";

use LLMBench::Plan;
use LLMBench::Scenario qw(scenarios levels);
use LLMBench::Session;

my %seen;

for my $level (levels()) {
    for my $scenario (scenarios($level, 20_000)) {
        $seen{$level}{ $scenario->{id} } = $scenario;
        cell("$level $scenario->{id} $_->{name}", $_)
            for @{ $scenario->{cells} };
    }
}

is_deeply([ sort keys %{ $seen{quick} } ], [ qw(S1 S2) ],
    'the quick level has two scenarios');
is(scalar keys %{ $seen{bench} }, 12, 'the others all that are measured');
is_deeply([ sort keys %{ $seen{full} } ], [ sort keys %{ $seen{bench} } ],
    'both of them');
cmp_ok($seen{full}{S2}{cells}[2]{rounds}, '>=', 80,
    'as many rounds as a claim of 10 % needs');

my ($quiet) = grep { $_->{id} eq 'S4' } scenarios('bench', 4100);
is_deeply([ map { $_->{streams} } @{ $quiet->{cells} } ], [ 1000, 2000 ],
    'no more streams than there are descriptors for');

plans();
order();

done_testing();


sub cell {
    my ($what, $cell) = @_;
    my %load = @{ $cell->{load} };
    my ($tokens) = $cell->{stream} =~ /\btokens=(\d+)/;
    my ($itl) = $cell->{stream} =~ /\bitl=([\d.]+)/;
    my ($per) = $cell->{stream} =~ /\bper_event=(\d+)/;
    my ($burst) = $cell->{stream} =~ /\bburst=(\d+)/;
    my $length = $tokens / ($burst // 1) * $itl / 1000;

    is($cell->{stamps}, $tokens * ($per // 1),
        "$what: as many stamps as tokens") if !$cell->{failing};
    cmp_ok($cell->{seconds} + $itl / 1000, '>=', $length,
        "$what: no stream is longer than the window");
    cmp_ok($cell->{rounds}, '>=', 1, "$what: is measured");

    if (defined $load{'--ramp'}) {
        cmp_ok($length - $load{'--ramp'}, '>', $cell->{seconds} / 5,
            "$what: all streams are open together for long enough");
        is($load{'--num-prompts'}, $cell->{streams}, "$what: one wave");

    } else {
        is(steps($tokens, $cell->{streams}), $cell->{streams},
            "$what: events of different streams are spread")
            if $load{'--burstiness'} eq 'inf';
        cmp_ok(abs($load{'--request-rate'} * $tokens * $itl / 1000
            - $cell->{streams}), '<', 0.01 * $cell->{streams},
            "$what: the rate keeps so many streams open");
    }

    return;
}


# the order of entrants in rounds

sub order {
    my @lanes = ('a' .. 'h');
    my %next;

    is_deeply([ LLMBench::Session::turned(1, @lanes) ], \@lanes,
        'the first round is in the given order');

    for my $round (1 .. 40) {
        my @order = LLMBench::Session::turned($round, @lanes);

        is_deeply([ sort @order ], \@lanes, "round $round has all of them");
        is_deeply([ reverse @order ],
            [ LLMBench::Session::turned($round - 1, @lanes) ],
            "round $round is the one before it, backwards")
            if $round % 2 == 0;

        $next{"@order[$_, $_ + 1]"} = 1 for 0 .. $#order - 1;
    }

    cmp_ok(scalar keys %next, '>', 40, 'neighbours change');

    return;
}


# Requests come every tokens / streams of a gap between events: how many
# different times within a gap that makes.

sub steps {
    my ($tokens, $streams) = @_;
    my %seen = map { $_ * $tokens % $streams => 1 } 1 .. $streams;

    return scalar keys %seen;
}


sub plans {
    my @scenarios = scenarios('bench', 20_000);
    my $free = planned(scenarios => \@scenarios);
    my ($all, $windows) = $free->total;
    my $half = planned(scenarios => \@scenarios, limit => $all * 0.7);
    my ($less, $fewer) = $half->total;

    cmp_ok($less, '<=', $all * 0.7, 'rounds are taken away until it fits');
    cmp_ok($fewer, '<', $windows, 'that is: windows');
    is(scalar(grep { !$_->{rounds} } cells($half)), 0,
        'but no cell is left out');
    is($scenarios[1]{cells}[2]{rounds}, (cells($free))[5]{rounds},
        'the table of the scenarios stays as it is');

    my $own = planned(scenarios => \@scenarios, entrants => [ 'lua', 'plain' ],
        rounds => 3);

    is_deeply([ map { "@{ $_->{entrants} }" } cells($own) ],
        [ ('plain lua') x cells($own) ], 'the entrants that were asked for');
    is_deeply([ grep { $_->{rounds} != 3 } cells($own) ], [],
        'as often as was asked for');

    my $poor = planned(scenarios => \@scenarios,
        variants => sub { $_[0] eq 'lua' ? 0 : 1 });

    is(scalar(grep { $_ eq 'lua' } map { @{ $_->{entrants} } } cells($poor)),
        0, 'what cannot be had takes no part');
    like($free->text, qr/^S12 .*\d:\d\d$/m, 'the time of each is told');
    like($half->text, qr/rounds taken away/, 'and that it is cut');

    return;
}


sub planned {
    my (%o) = @_;

    return LLMBench::Plan->new(entrants => [], variants => sub { 1 }, %o);
}


sub cells {
    my ($plan) = @_;

    return map { @{ $_->{cells} } } $plan->scenarios;
}
