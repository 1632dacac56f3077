package LLMBench::Table;

# The table of a run as text: a block for each cell, the frontier, what
# entrants were left with, the formulas, what was void.  It formats figures
# that others computed.

use strict;
use warnings;

use LLMBench::Summary ();
use LLMBench::Void;

# so many void windows are listed one by one
use constant LISTED => 40;

my @COLUMNS = (
    # title, width, text of a row
    [ 'valid (void)', 12, sub {
        return "$_[0]{valid} ($_[0]{void})";
    } ],
    [ 'event delay p50/p99/p99.9 us', 28, sub {
        my @delay = @{ $_[0]{delay} };
        return @delay ? join ' / ', map { _number($_) } @delay : '-';
    } ],
    [ 'added us', 8, sub {
        return _difference($_[0], 'event_delay_p50_us', 1);
    } ],
    [ 'TTFT p50 ms', 11, sub {
        my $ms = $_[0]{ttft_p50_ms};
        return defined $ms ? sprintf '%.3f', $ms : '-';
    } ],
    [ 'added us', 8, sub {
        return _difference($_[0], 'ttft_p50_ms', 1000);
    } ],
    [ 'events/read', 11, sub {
        my $n = $_[0]{events_per_read};
        return defined $n ? sprintf '%.3f', $n : '-';
    } ],
    [ 'CPU us/event', 12, sub {
        my $us = $_[0]{cpu_us_per_event};
        return defined $us ? sprintf '%.2f', $us : '-';
    } ],
    [ 'ratio [95 %]', 18, sub { return _ratio($_[0]) } ],
    [ 'of a token', 10, sub {
        my $c = $_[0]{compared}{cpu_us_per_token};
        return $c ? sprintf '%.2f', $c->{ratio} : '';
    } ],
    [ 'kB/stream', 9, sub {
        my $kb = $_[0]{kb_per_stream};
        return defined $kb ? sprintf '%.1f', $kb : '-';
    } ],
    [ 'lost/dup/reord/corrupt', 22, sub {
        my $faults = $_[0]{faults};
        return join '/', map { $faults->{$_} // 0 }
            qw(lost duplicated reordered corrupted);
    } ],
);

my @FORMULAS = (
    'valid (void): windows that count, and those that do not',
    'event delay: when the client read a token - when the mock made it, one '
        . 'clock; percentiles of all valid windows\' events together',
    'added us: median over rounds of (entrant\'s p50 - plain\'s p50 of the '
        . 'same round), of the column before it',
    'TTFT: request due or sent -> first content; median of the windows\' '
        . 'medians',
    'events/read: events with content / reads of the client that had some; '
        . 'more than plain\'s: the entrant held events back',
    'CPU us/event: processor time of all the entrant\'s threads '
        . '(/proc/PID/schedstat) / events, median of windows',
    'ratio: median over rounds of (entrant\'s CPU per event / plain\'s of the '
        . 'same round) [bootstrap 95 %]; plain-again is the control:',
    '       a second instance of plain. What lies within its interval is no '
        . 'difference. (n=2): too few rounds for an interval',
    'of a token: the same of CPU per token; it is the one that counts where '
        . 'an entrant joins events, as coalescing does',
    'kept up with N %: so much of the load came through, on a rig that was '
        . 'fine; its CPU is not compared',
    'kB/stream: (memory with all streams open - before) / streams, of a '
        . 'process that was started for it',
);


# microseconds; where they would be too long to read, milliseconds

sub _number {
    my ($us) = @_;

    return sprintf '%.0fms', $us / 1000 if $us >= 10_000;
    return sprintf $us < 100 ? '%.1f' : '%.0f', $us;
}


sub _difference {
    my ($row, $metric, $factor) = @_;
    my $c = $row->{compared}{$metric} or return '';
    my $us = $c->{difference} * $factor;

    return sprintf '%+.0fms', $us / 1000 if abs $us >= 10_000;
    return sprintf '%+.1f', $us;
}


sub _ratio {
    my ($row) = @_;
    my $c = $row->{compared}{cpu_us_per_event};

    return sprintf 'kept up with %.0f %%', 100 * $row->{kept_up}
        if defined $row->{kept_up};
    return $c ? _interval($c) : '';
}


sub _interval {
    my ($c) = @_;

    return sprintf '%.2f (n=%d)', $c->{ratio}, scalar @{ $c->{ratios} }
        if !defined $c->{low};
    return sprintf '%.2f [%.2f, %.2f]', @$c{qw(ratio low high)};
}


# text($summary, { S1 => title }, [notes]): all of it

sub text {
    my ($summary, $titles, $notes) = @_;
    my @cells = grep { $_->[0] ne 'S0' } $summary->cells;

    return join '', client($summary),
        (map { _block($_, $titles->{ $_->[0] }) } @cells),
        _frontier($summary), "\n", (map { "$_\n" } @FORMULAS),
        _lines('left out', @$notes), _voids($summary),
        _lines('WRONG', $summary->wrong);
}


# "client: curl 10.1 us/event, raw 6.2 us/event": what measuring costs

sub client {
    my ($summary) = @_;
    my ($cell) = grep { $_->[0] eq 'S0' } $summary->cells or return '';
    my @parts;

    for my $row (@{ $cell->[2] }) {
        push @parts, "$row->{entrant} " . (defined $row->{client_us_per_event}
            ? sprintf '%.2f us/event (event delay p50 %s, p99 %s us)',
                $row->{client_us_per_event},
                map { defined ? _number($_) : '-' } @{ $row->{delay} }[0, 1]
            : 'no valid window');
    }

    return 'client: ' . join(', ', @parts) . "\n";
}


sub _block {
    my ($cell, $title) = @_;
    my ($scenario, $name, $rows) = @$cell;
    my ($width) = sort { $b <=> $a } map { length $_->{entrant} } @$rows,
        { entrant => 'entrant' };
    my $offered = $rows->[0]{offered_eps};
    my $text = sprintf "\n%s %s: %s%s\n%-*s", $scenario, $title // '', $name,
        $offered ? sprintf(', %.0f events/s', $offered) : '', $width,
        'entrant';

    $text .= join '', map { sprintf ' %*s', $_->[1], $_->[0] } @COLUMNS;
    $text .= "\n";

    for my $row (@$rows) {
        $text .= sprintf "%-*s%s\n", $width, $row->{entrant},
            join '', map { sprintf ' %*s', $_->[1], $_->[2]->($row) }
                @COLUMNS;
    }

    return $text . _same_rewrite($rows) . _left($rows) . _held($rows);
}


# Of stages: the text that they held, and how late each token was.

sub _held {
    my ($rows) = @_;
    my @rows = grep { defined $_->{held_bytes} } @$rows or return '';
    my ($width) = sort { $b <=> $a } map { length $_->{entrant} } @rows;
    my @titles = (map({ '<=' . ($_ < 1000 ? "0.$_" =~ s/0+\z//r
        : $_ / 1000) } LLMBench::Summary::edges()), 'more');
    my $text = sprintf "  held back, and %% of the tokens by delay in ms\n"
        . "  %-*s %10s%s\n", $width, '', 'bytes most',
        join '', map { sprintf ' %7s', $_ } @titles;

    for my $row (@rows) {
        $text .= sprintf "  %-*s %10d%s\n", $width, $row->{entrant},
            $row->{held_bytes}, join '', map { sprintf ' %7s', $_->[1]
            ? sprintf('%.1f', 100 * $_->[1]) : '' } @{ $row->{shares} };
    }

    return $text;
}


# the module's price over that of others that do the same

sub _same_rewrite {
    my ($rows) = @_;
    my @parts = map { "$_->{entrant} " . _interval($_->{module}) }
        grep { $_->{module} } @$rows;

    return '' if !@parts;
    return "  the same rewrite, CPU of module-simple / CPU of: "
        . join(', ', @parts) . "\n";
}


# what was left of streams after their window

sub _left {
    my ($rows) = @_;
    my $text = '';

    for my $row (@$rows) {
        my $r = $row->{recovery} or next;

        $text .= sprintf '  after it, %s: descriptors %d -> %d, memory '
            . '%d -> %d kB, streams open upstream %d%s' . "\n",
            $row->{entrant}, @$r{qw(fds_before fds_after kb_before kb_after
            open_upstream)}, defined $row->{growth}
            ? sprintf ', growth %+.1f kB/min', $row->{growth} : '';
    }

    return $text;
}


sub _frontier {
    my ($summary) = @_;
    my @rows = $summary->frontier or return '';
    my @bounds = $summary->bounds;
    my $text = "\nS3 frontier: the most events/s of S2 with event delay p99 "
        . "within a bound (+: the fastest load it was given)\n"
        . sprintf('%-18s', 'entrant')
        . join('', map { sprintf ' %12s', "$_ ms" } @bounds) . "\n";

    for my $row (@rows) {
        my ($name, $best) = @$row;

        $text .= sprintf '%-18s', $name;
        $text .= sprintf ' %12s', $best->{$_}
            ? sprintf('%.0f%s', $best->{$_}[0], $best->{$_}[1] ? '+' : '')
            : '-' for @bounds;
        $text .= "\n";
    }

    return $text;
}


sub _voids {
    my ($summary) = @_;
    my @all = $summary->records;
    my @void = $summary->voids;
    my @lines = map { "$_->{scenario} $_->{cell}, $_->{entrant}, round "
        . "$_->{round}: " . join '; ', @{ $_->{void} } } @void;
    my $text = sprintf "\nvoid windows: %d of %d (rules: %s)\n",
        scalar @void, scalar @all, join '; ', LLMBench::Void::rules();

    if (@lines > LISTED) {
        my $more = @lines - LISTED;

        splice @lines, LISTED;
        push @lines, "and $more more, see results.jsonl";
    }

    return $text . join '', map { "  $_\n" } @lines;
}


sub _lines {
    my ($title, @lines) = @_;

    return '' if !@lines;
    return "\n$title:\n" . join '', map { "  $_\n" } @lines;
}


1;
