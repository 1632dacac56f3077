package LLMBench::Plot::Lines;

# The plots that have a line for each entrant: event delay, time to the first
# token, processor time, memory.  Each function takes the windows and the
# style and returns a figure (see LLMBench::Plot::Page) and its table, or a
# word on what is missing.

use strict;
use utf8;
use warnings;

use Exporter qw(import);

use LLMBench::Plot::Page qw(text log_range log_tics);
use LLMBench::Plot::Table;
use LLMBench::Plot::Windows qw(together quantile);
use LLMBench::Scenario ();
use LLMBench::Stats qw(percentile);

our @EXPORT_OK = qw(delay_spectrum ttft cpu_per_event memory load scenario);

my $VALID = 'all valid windows of a cell';

# what a scenario is called, at the level that has them all
my %title = map { $_->{id} => $_->{title} }
    LLMBench::Scenario::scenarios('full', 100_000);

# where the percentile spectrum is read: steps that look even on its axis
my @NINES = map { $_ / 20 } 0 .. 80;

my $NINES_TICS = "('0' 0, '50' 0.30103, '90' 1, '99' 2, '99.9' 3, "
    . "'99.99' 4)";


sub delay_spectrum {
    my ($windows, $style) = @_;

    my ($figure, $table) = _distribution($windows, $style, {
        name => 'delay-spectrum',
        hist => sub { $_[0]{proxy}{event_delay_us} },
        columns => [qw(scenario cell entrant events nines percentile
            delay_us)],
        axes => [qw(nines delay_us)],
        rows => \&_spectrum, value => 3,
    });

    return (undef, 'no window has the delay of events') if !$figure;

    my ($low, $high) = @$figure{qw(low high)};

    for my $panel (@{ $figure->{panels} }) {
        push @{ $panel->{set} }, 'set logscale y',
            "set yrange [$low:$high]", 'set ytics ' . log_tics($low, $high),
            'set xrange [0:4.05]', "set xtics $NINES_TICS",
            "set xlabel 'percentile of events'",
            "set ylabel 'event delay, µs'";
    }

    $figure->{title} = "Event delay: one way from the provider through the "
        . "proxy\nby percentile, the axis as in HdrHistogram";
    $figure->{formula} = 'event delay = time at which the read returned that '
        . 'brought the event - time that the provider wrote into the event '
        . 'right before sending it (same clock). Percentile p = the smallest '
        . "value that p % of the events of $VALID do not exceed; histograms "
        . 'are merged, percentiles are not averaged; drawn as far as there '
        . 'are events for it.';

    return ($figure, $table);
}


# A percentile is told if at least one event is beyond it.

sub _spectrum {
    my ($hist) = @_;

    return map { [$hist->{count}, $_->[0], $_->[1],
            percentile($hist->{hist}, $_->[1])] }
        grep { $hist->{count} * (1 - $_->[1] / 100) >= 0.999 }
        map { [$_, sprintf('%.8g', 100 * (1 - 10 ** -$_)) + 0] } @NINES;
}


sub ttft {
    my ($windows, $style) = @_;

    my ($figure, $table) = _distribution($windows, $style, {
        name => 'ttft',
        hist => sub { $_[0]{proxy}{ttft_ms} },
        columns => [qw(scenario cell entrant requests ttft_ms percent)],
        axes => [qw(ttft_ms percent)],
        rows => \&_cumulative, value => 1,
    });

    return (undef, 'no window has the time to the first token') if !$figure;

    my ($low, $high) = @$figure{qw(low high)};

    for my $panel (@{ $figure->{panels} }) {
        push @{ $panel->{set} }, 'set logscale x',
            "set xrange [$low:$high]", 'set xtics ' . log_tics($low, $high),
            'set yrange [0:102]', 'set ytics 0, 10',
            "set xlabel 'TTFT, ms'",
            "set ylabel 'requests, %'";
    }

    $figure->{title} = "Time to the first token (TTFT)\n"
        . 'distribution: the share of requests that had content by then';
    $figure->{formula} = 'TTFT = time at which the read returned that brought '
        . 'the first content that is not empty - time at which the request '
        . "was due, or sent if nothing said when; of $VALID, histograms "
        . 'merged.';

    return ($figure, $table);
}


sub _cumulative {
    my ($hist) = @_;
    my $seen = 0;

    return map { $seen += $_->[1];
        [$hist->{count}, $_->[0], 100 * $seen / $hist->{count}] }
        @{ $hist->{hist} };
}


# A panel for each cell of the first scenario that has such a histogram.

sub _distribution {
    my ($windows, $style, $o) = @_;
    my $hist = $o->{hist};
    my $scenario = $windows->first_scenario(
        sub { my $h = $hist->($_[0]); $h && $h->{count} ? 1 : undef },
        'S1', $windows->scenarios) // return;

    my $table = LLMBench::Plot::Table->new(@{ $o->{columns} });
    my (@panels, %in, @values);

    for my $cell ($windows->cells($scenario)) {
        my @plot;

        for my $name ($style->order($windows->entrants)) {
            my $h = together(map { $hist->($_) }
                $windows->results($cell, $name)) // next;
            my @rows = $o->{rows}->($h);

            my $index = $table->add(map { [$scenario, $cell->{cell}, $name,
                @$_] } @rows);

            push @plot, $table->using("$o->{name}.dat", $index,
                @{ $o->{axes} }) . ' with linespoints '
                . $style->line($name) . ' ' . $style->points($name)
                . ' pointinterval ' . (1 + int @rows / 8) . ' notitle';
            push @values, map { $_->[$o->{value}] } @rows;
            $in{$name} = 1;
        }

        push @panels, { title => load($cell), set => [], plot => \@plot }
            if @plot;
    }

    my ($low, $high) = log_range(@values);

    return ({ name => $o->{name}, columns => 3, panel => [320, 380],
        left => 72, panels => \@panels, low => $low, high => $high,
        legend => [_legend($windows, $style, keys %in)] }, $table);
}


sub cpu_per_event {
    my ($windows, $style) = @_;
    my $cost = sub { ($_[0]{proxy}{cpu} || {})->{proxy_us_per_event} };
    my $scenario = $windows->first_scenario($cost, 'S2',
        $windows->scenarios)
        // return (undef, 'no window has the processor time of a proxy');

    my $table = LLMBench::Plot::Table->new(qw(scenario cell entrant windows
        offered_eps us_per_event q1 q3 events_per_read));

    my @series = _series($windows, $style, $scenario, $table, sub {
        my ($cell, @results) = @_;
        my @costs = grep { defined } map { $cost->($_) } @results;
        return if !@costs || !$cell->{offered_eps};

        return (scalar @costs, $cell->{offered_eps},
            (map { quantile($_, @costs) } 0.5, 0.25, 0.75), quantile(0.5,
                map { $_->{proxy}{events_per_read} // () } @results));
    });

    return (undef, 'no window says what was offered') if !@series;

    my %loads = map { $_->[4] => 1 } _rows(@series);
    my $apart = keys %loads > 1 ? 0.005 : 0.02;

    my @across = (_log_axis('x', map { $_->[4] } _rows(@series)),
        "set xlabel 'offered events/s'");

    return ({
        name => 'cpu-per-event', columns => 2, panel => [430, 400],
        left => 72,
        title => "Processor time per event against load\n"
            . scenario($scenario) . '; median of valid windows, bars from '
            . 'the first to the third quartile',
        formula => 'CPU per event = processor time of the entrant\'s '
            . 'processes (/proc/PID/task/*/schedstat) in the window / content '
            . 'events that the client received in it. Where events begin to '
            . 'share reads (right), the cost per event falls and says '
            . 'nothing more about the entrant: compare at loads where plain '
            . 'nginx has at most 1.05 events per read. Points of one load are '
            . 'drawn side by side.',
        legend => [_legend($windows, $style, map { $_->{name} } @series)],
        panels => [
            { title => 'CPU per event',
                plot => [_plots($table, $style, 'cpu-per-event.dat',
                    'yerrorlines', [qw(offered_eps us_per_event q1 q3)],
                    $apart, @series)],
                set => [@across, "set ylabel 'µs of CPU per event'",
                    _log_axis('y', map { @$_[5 .. 7] } _rows(@series))] },
            { title => 'events per read of the client',
                plot => [_plots($table, $style, 'cpu-per-event.dat',
                    'linespoints', [qw(offered_eps events_per_read)],
                    $apart, @series)],
                set => [@across, "set ylabel 'events per read'",
                    _log_axis('y', 1, map { $_->[8] // () }
                        _rows(@series))] },
        ],
    }, $table);
}


sub memory {
    my ($windows, $style) = @_;

    # elsewhere entrants are not started anew, and streams not held
    my $scenario = $windows->first_scenario(
        sub { ($_[0]{proxy}{memory} || {})->{streams} || undef }, 'S4')
        // return (undef, 'no window of S4 has the memory of a proxy');

    my @states = (['idle', 'before the first request'],
        ['steady', 'all streams open'], ['after', 'after the end']);
    my $table = LLMBench::Plot::Table->new(qw(scenario cell entrant windows
        streams), map { "$_->[0]_mib" } @states);

    my @series = _series($windows, $style, $scenario, $table, sub {
        my ($cell, @results) = @_;
        my @memory = grep { $_ && $_->{streams} }
            map { $_->{proxy}{memory} } @results;
        return if !@memory;

        return (scalar @memory, quantile(0.5, map { $_->{streams} } @memory),
            map { my $key = "$_->[0]_kb"; quantile(0.5,
                map { $_->{$key} / 1024 } @memory) } @states);
    });

    my @axes = ("set xlabel 'streams'", "set ylabel 'memory, MiB'",
        _log_axis('x', map { $_->[4] } _rows(@series)),
        _log_axis('y', map { @$_[5 .. 7] } _rows(@series)));

    return ({
        name => 'memory', columns => 3, panel => [320, 380], left => 72,
        title => "Memory against streams\n" . scenario($scenario)
            . '; median of valid windows',
        formula => 'memory = sum of RssAnon over the entrant\'s processes: '
            . 'before the first request, when all streams had their first '
            . 'content and none had ended, and 0.2 s after the last ended '
            . '(what is not given back then is kept for the next).',
        legend => [_legend($windows, $style, map { $_->{name} } @series)],
        panels => [ map { { title => $_->[1], set => \@axes,
            plot => [_plots($table, $style, 'memory.dat', 'linespoints',
                ['streams', "$_->[0]_mib"], 0, @series)] } } @states ],
    }, $table);
}


# { name, index, rows } of each entrant that has some: a row for each cell
# that sub(cell, results of the valid windows) has values of.

sub _series {
    my ($windows, $style, $scenario, $table, $values) = @_;
    my @series;

    for my $name ($style->order($windows->entrants)) {
        my @rows;

        for my $cell ($windows->cells($scenario)) {
            my @values = $values->($cell, $windows->results($cell, $name));

            push @rows, [$scenario, $cell->{cell}, $name, @values]
                if @values;
        }

        push @series, { name => $name, rows => \@rows,
            index => $table->add(@rows) } if @rows;
    }

    return @series;
}


sub _rows { return map { @{ $_->{rows} } } @_ }


# What gnuplot is to do for the series.  Their points at the same x are drawn
# so far apart, as a share of x.

sub _plots {
    my ($table, $style, $file, $with, $columns, $apart, @series) = @_;
    my ($x, @others) = @$columns;
    my $nth = -$#series / 2;

    return map { $table->using($file, $_->{index},
            [$x => 1 + $apart * $nth++], @others)
        . " with $with " . $style->line($_->{name}) . ' '
        . $style->points($_->{name}) . ' notitle' } @series;
}


# What is told of a cell above its panel.

sub load {
    my ($cell) = @_;
    my $offered = $cell->{offered_eps};

    return scenario($cell->{scenario}) . ": $cell->{cell}"
        . ($offered ? sprintf(', %.6g events/s', $offered) : '');
}


sub scenario {
    my ($id) = @_;
    return defined $title{$id} ? "$id $title{$id}" : $id;
}


sub _log_axis {
    my ($axis, @values) = @_;
    my ($low, $high) = log_range(@values);

    return ("set logscale $axis", "set ${axis}range [$low:$high]",
        "set ${axis}tics " . log_tics($low, $high));
}


sub _legend {
    my ($windows, $style, @names) = @_;

    return map { ['linespoints ' . $style->line($_) . ' '
        . $style->points($_), $windows->label($_)] } $style->order(@names);
}


1;
