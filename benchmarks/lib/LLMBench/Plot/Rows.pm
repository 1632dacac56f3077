package LLMBench::Plot::Rows;

# The plots that have a row for each entrant: sizes of events and reads, and
# ratios to plain nginx.  Each function takes the windows and the style and
# returns a figure (see LLMBench::Plot::Page) and its table, or a word on what
# is missing.

use strict;
use utf8;
use warnings;

use Exporter qw(import);

use LLMBench::Plot::Lines qw(load scenario);
use LLMBench::Plot::Page qw(text clip log_range log_tics);
use LLMBench::Plot::Table;
use LLMBench::Plot::Windows qw(together);

our @EXPORT_OK = qw(chunk_sizes ratios);

use constant ROW => 26;         # pixels
use constant LABEL => 270;      # room for the names
use constant BINS => 4;         # of sizes, in a doubling
use constant PANELS => 4;       # of ratios
use constant FAR => 4;          # a ratio that the scale need not reach

my $METRIC = 'cpu_us_per_event';
my $CONTROL = 'plain-again';


sub chunk_sizes {
    my ($windows, $style) = @_;
    my @kinds = ('event_bytes', 'read_bytes');
    my $table = LLMBench::Plot::Table->new(qw(scenario cell entrant what row
        from_bytes to_bytes percent bottom top));
    my (@panels, @sizes, $most);

    for my $cell (_cells_of_sizes($windows)) {
        my @names = grep { my $name = $_; grep { $_->{proxy}{read_bytes} }
            $windows->results($cell, $name) }
            $style->order($windows->entrants);
        my @plot;

        for my $row (0 .. $#names) {
            for my $kind (@kinds) {
                my $hist = together(map { $_->{proxy}{$kind} }
                    $windows->results($cell, $names[$row])) // next;
                my @rows = _bins($hist);
                my $index = $table->add(map { [$cell->{scenario},
                    $cell->{cell}, $names[$row], $kind, $row + 1, @$_,
                    @names - $row, @names - $row + $_->[2] / 125] } @rows);

                push @sizes, map { @$_[0, 1] } @rows;
                push @plot, _boxes($table, $index)
                    . _size_look($style, $names[$row], $kind);
            }
        }

        $most = @names if !defined $most || @names > $most;
        push @panels, { title => load($cell), plot => \@plot,
            set => [_names($windows, 0.4, @names)] };
    }

    return (undef, 'no window has the sizes of events') if !@panels;

    my ($low, $high) = log_range(@sizes);

    push @{ $_->{set} }, 'set logscale x', "set xrange [$low:$high]",
        'set xtics ' . log_tics($low, $high), "set xlabel 'bytes'"
        for @panels;

    return ({
        name => 'chunk-sizes', columns => 2, panel => [400, ROW * ($most + 1)],
        left => LABEL, panels => \@panels,
        title => "Sizes of events and of reads, as the client got them\n"
            . 'filled: bytes of a read; outlined: bytes of an event with '
            . 'its framing; the height is the share of all',
        formula => 'event = one content frame of the client\'s dialect; read '
            . '= what one read of the socket brought. What went in is the '
            . 'row without a proxy: there the client reads what the provider '
            . 'wrote. Four bins in a doubling; all valid windows of a cell, '
            . 'histograms merged.',
    }, $table);
}


# Where sizes differ, if that was run, with one cell of the quiet scenario.

sub _cells_of_sizes {
    my ($windows) = @_;
    my $has = sub { ($_[0]{proxy}{read_bytes} || {})->{count} || undef };
    my @cells;

    for my $scenario ('S1', 'S5', 'S6') {
        next if !defined $windows->first_scenario($has, $scenario);

        my @of = $windows->cells($scenario);
        push @cells, $scenario eq 'S1' ? $of[0] : @of;
    }

    my $any = $windows->first_scenario($has, $windows->scenarios);

    return @cells ? @cells : defined $any ? ($windows->cells($any))[0] : ();
}


# [from, to, per cent] of each bin that has something.

sub _bins {
    my ($hist) = @_;
    my %sum;

    for my $bucket (@{ $hist->{hist} }) {
        my ($size, $count) = @$bucket;
        my $bin = $size < 1 ? 0 : int(BINS * log($size) / log 2 + 1e-9);

        $sum{$bin} += $count;
    }

    return map { [2 ** ($_ / BINS), 2 ** (($_ + 1) / BINS),
        100 * $sum{$_} / $hist->{count}] } sort { $a <=> $b } keys %sum;
}


sub _boxes {
    my ($table, $index) = @_;

    return $table->using('chunk-sizes.dat', $index, qw(from_bytes bottom
        from_bytes to_bytes bottom top)) . ' with boxxyerror ';
}


sub _size_look {
    my ($style, $name, $kind) = @_;

    return $kind eq 'read_bytes'
        ? 'fs solid 0.55 noborder ' . $style->colour($name) . ' notitle'
        : "fs empty border lc rgb 'black' lw 0.8 lc rgb 'black' notitle";
}


sub ratios {
    my ($windows, $style) = @_;
    my $table = LLMBench::Plot::Table->new(qw(scenario cell entrant what row
        ratio low high));
    my @panels;

    for my $cell (_cells_of_ratios($windows)) {
        push @panels, _ratio_panel($windows, $style, $table, $cell);
    }

    return (undef, 'ratios.json has none of processor time beside the '
        . 'control') if !@panels;

    @panels = _most_told(@panels);

    my ($low, $high) = _scale(map { @{ $_->{values} } } @panels);
    my ($most) = sort { $b <=> $a } map { $_->{rows} } @panels;

    push @{ $_->{set} }, 'set logscale x', "set xrange [$low:$high]",
        'set xtics ' . log_tics($low, $high),
        "set xlabel 'ratio to plain nginx'", _beyond($_, $high) for @panels;

    return ({
        name => 'ratios', columns => 2, panel => [380, ROW * ($most + 1)],
        left => LABEL, right => 140, panels => \@panels,
        title => "Processor time per event, as a ratio to plain nginx\n"
            . 'a dot for each round, median and 95 % interval; the band is '
            . 'the interval of the control: plain nginx again',
        formula => 'ratio = CPU per event of the entrant / that of plain '
            . 'nginx in the same round; median of the rounds\' ratios, 95 % '
            . 'interval by bootstrap. An interval that touches the band of '
            . 'the control shows no difference. Where entrants are far '
            . 'beyond the others the scale ends before them, and their '
            . 'figures are in the margin only.',
    }, $table);
}


# The range that shows what is near 1; up to the end only if that is not far,
# or if nothing is near.

sub _scale {
    my (@values) = @_;
    my @near = grep { $_ <= FAR } @values;

    return log_range(1, @near > 0.4 * @values ? @near : @values);
}


# An arrow for each that the scale does not reach.

sub _beyond {
    my ($panel, $high) = @_;

    return map { "set label '\x{2192}' at graph 0.985, first $_->[0] right" }
        grep { $_->[1] > $high } @{ $panel->{medians} };
}


# The panels with the most rounds, in their order.  The others' numbers are in
# the file.

sub _most_told {
    my (@panels) = @_;
    my @most = (sort { $panels[$b]{rounds} <=> $panels[$a]{rounds}
        || $a <=> $b } 0 .. $#panels)[0 .. PANELS - 1];

    return @panels[sort { $a <=> $b } grep { defined } @most];
}


# [scenario, cell, [ratios]] as they come in the file, if the control is among
# them: a ratio without it says nothing.

sub _cells_of_ratios {
    my ($windows) = @_;
    my (%of, @cells);

    for my $ratio (grep { $_->{metric} eq $METRIC } $windows->ratios) {
        my $key = "$ratio->{scenario}\0$ratio->{cell}";

        push @cells, $of{$key} = [$ratio->{scenario}, $ratio->{cell}, []]
            if !$of{$key};
        push @{ $of{$key}[2] }, $ratio;
    }

    return grep { grep { $_->{entrant} eq $CONTROL } @{ $_->[2] } } @cells;
}


sub _ratio_panel {
    my ($windows, $style, $table, $cell) = @_;
    my ($scenario, $title, $ratios) = @$cell;
    my %of = map { $_->{entrant} => $_ } @$ratios;
    my @names = $style->order(keys %of);

    # the control first: it says what the machine's noise looks like
    @names = sort { ($b eq $CONTROL) <=> ($a eq $CONTROL) } @names;

    my %panel = (title => scenario($scenario) . ": $title",
        rows => scalar @names, rounds => 0,
        set => [_names($windows, 0, @names), _unity(scalar @names,
            $of{$CONTROL})], plot => [], values => [],
        medians => []);

    for my $row (0 .. $#names) {
        my $name = $names[$row];
        my $ratio = $of{$name};
        my $y = @names - $row;
        my @rounds = grep { defined } @{ $ratio->{ratios} || [] };
        my @median = grep { defined } @$ratio{qw(ratio low high)};

        # so that dots of equal value are seen beside each other
        my @dots = map { [$scenario, $title, $name, 'round',
            $y - 0.24 + (($_ * 2) % 5 - 2) * 0.05, $rounds[$_], undef,
            undef] }
            0 .. $#rounds;

        push @{ $panel{plot} }, $table->using('ratios.dat',
            $table->add(@dots), 'ratio', 'row') . ' with points pt 7 ps 0.4 '
            . $style->colour($name) . ' notitle' if @dots;
        push @{ $panel{plot} }, $table->using('ratios.dat',
            $table->add([$scenario, $title, $name, 'median', $y + 0.1,
                $median[0], $median[1] // $median[0],
                $median[2] // $median[0]]),
            qw(ratio row low high)) . " with xerrorbars pt 13 ps 0.9 lw 1.4 "
            . "lc rgb 'black' notitle";
        push @{ $panel{set} }, sprintf 'set label %s at graph 1.02, first %d '
            . 'left', text(@median == 3 ? sprintf '%.2f [%.2f, %.2f]', @median
            : sprintf '%.2f', @median), $y;
        push @{ $panel{values} }, @median, @rounds;
        $panel{rounds} = @rounds if @rounds > $panel{rounds};
        push @{ $panel{medians} }, [$y, $median[0]];
    }

    return \%panel;
}


# A line at 1 over all rows, and behind it the control's interval.

sub _unity {
    my ($rows, $control) = @_;
    my $top = $rows + 0.7;
    my @band;

    @band = ("set object 1 rect from $control->{low},0.2 to "
        . "$control->{high},$top behind fs solid noborder fc rgb '#e4ecf8'")
        if $control && defined $control->{low} && defined $control->{high};

    return (@band, "set arrow from 1,0.2 to 1,$top nohead "
        . "lc rgb '#444444' lw 1");
}


# One name for each row, so much above its line; the first is on top.

sub _names {
    my ($windows, $above, @names) = @_;

    return (sprintf('set yrange [%g:%g]', 0.2 + $above,
            @names + 0.7 + $above), 'unset ytics',
        map { sprintf 'set label %s at graph -0.02, first %g right',
            text(clip($windows->label($names[$_]), 38)),
            @names - $_ + $above }
            0 .. $#names);
}


1;
