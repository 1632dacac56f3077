package LLMBench::Plan;

# What a run will do and how long that takes, known before it starts: the
# scenarios and entrants that were asked for, and rounds taken away where the
# time would not suffice.  Figures are never made worse in another way.

use strict;
use warnings;

# seconds that a window takes beside its load: the client's start and end,
# the result; and those of an entrant's start with its warm-up
use constant { AROUND => 0.42, START => 1 };

# and of what comes once: the mock, the client's head-room
use constant ONCE => 8;

# fewer rounds than these are not taken away
use constant LEAST => 1;


# new(scenarios => [...], entrants => [names], rounds => N, limit => SECONDS,
#     variants => sub { of a name and a cell: how many }).  No entrants: those
# of the scenario.  variants says 0 for what cannot be had here.

sub new {
    my ($class, %o) = @_;
    my $self = bless { limit => $o{limit}, variants => $o{variants} },
        $class;

    for my $scenario (@{ $o{scenarios} }) {
        my @cells = map { $self->_cell($scenario, $_, %o) }
            @{ $scenario->{cells} };

        push @{ $self->{scenarios} }, { %$scenario, cells => \@cells };
    }

    $self->_fit if $o{limit};

    return $self;
}


sub scenarios { my ($self) = @_; return @{ $self->{scenarios} || [] } }


sub _cell {
    my ($self, $scenario, $cell, %o) = @_;
    my @names = @{ $cell->{entrants} || $scenario->{entrants} };

    # ratios are over plain
    @names = ('plain', grep { $_ ne 'plain' } @{ $o{entrants} })
        if @{ $o{entrants} };

    return { %$cell, entrants => [ grep { $o{variants}->($_, $cell) }
            @names ],
        rounds => $o{rounds} // $cell->{rounds},
        few => defined $o{rounds} ? {} : $cell->{few} || {} };
}


# the rounds of a cell that an entrant takes part in

sub rounds {
    my ($cell, $name) = @_;
    my $few = $cell->{few}{$name} // $cell->{rounds};

    return $few < $cell->{rounds} ? $few : $cell->{rounds};
}


# seconds of one window

sub window {
    my ($cell) = @_;

    return $cell->{seconds} + AROUND;
}


sub windows {
    my ($self, $cell) = @_;
    my $n = 0;

    $n += rounds($cell, $_) * $self->{variants}->($_, $cell)
        for @{ $cell->{entrants} };

    return $n;
}


# seconds of a cell; $before: the one before it, whose entrants run already

sub cost {
    my ($self, $cell, $before) = @_;
    my $windows = $self->windows($cell);
    my %running = map { $_ => 1 } $before && !$before->{fresh}
        ? @{ $before->{entrants} } : ();
    my $starts = $cell->{fresh} ? $windows
        : grep { !$running{$_} } @{ $cell->{entrants} };

    return $windows * window($cell) + $starts * START;
}


# seconds, and windows, of all of it

sub total {
    my ($self) = @_;
    my ($seconds, $windows, $before) = (ONCE, 0);

    for my $cell (map { @{ $_->{cells} } } $self->scenarios) {
        $seconds += $self->cost($cell, $before);
        $windows += $self->windows($cell);
        $before = $cell;
    }

    return ($seconds, $windows);
}


# Takes rounds away, always from the cell with the most, until it fits.

sub _fit {
    my ($self) = @_;

    while (($self->total)[0] > $self->{limit}) {
        my ($most) = sort { $b->{rounds} <=> $a->{rounds} }
            grep { $_->{rounds} > LEAST }
            map { @{ $_->{cells} } } $self->scenarios;

        last if !$most;
        $most->{rounds}--;
        $self->{cut}++;
    }

    return;
}


sub text {
    my ($self) = @_;
    my ($seconds, $windows) = $self->total;
    my $text = sprintf "%-5s %-34s %8s %9s\n", '', 'cells', 'windows', 'time';
    my $before;

    for my $scenario ($self->scenarios) {
        my ($s, $n) = (0, 0);

        for my $cell (@{ $scenario->{cells} }) {
            $s += $self->cost($cell, $before);
            $n += $self->windows($cell);
            $before = $cell;
        }

        $text .= sprintf "%-5s %-34s %8d %9s\n", $scenario->{id},
            $scenario->{title} . ', ' . @{ $scenario->{cells} }, $n,
            minutes($s);
    }

    return $text . sprintf "%-5s %-34s %8d %9s%s\n", 'all', '', $windows,
        minutes($seconds), $self->{limit} ? ' of at most '
            . minutes($self->{limit}) . ($self->{cut}
                ? ", $self->{cut} rounds taken away" : '') : '';
}


sub minutes {
    my ($seconds) = @_;

    return sprintf '%d:%02d', $seconds / 60, $seconds % 60;
}


1;
