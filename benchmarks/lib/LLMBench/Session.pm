package LLMBench::Session;

# The windows of a run: starts the entrants of a cell, measures them in
# rounds, in alternating order, does void windows again, and ends a sweep
# where it has nothing more to tell.  It owns the entrants while they run and
# hands each record to its caller; it computes no figures.

use strict;
use warnings;

use LLMBench::Entrant;
use LLMBench::Plan;
use LLMBench::Scenario;
use LLMBench::Stats qw(median);
use LLMBench::Void;
use LLMBench::Window;
use LLMTest::Wait qw(now);

# how often a window is measured until it counts, and which part of a cell's
# windows may be measured again
use constant { TRIES => 2, AGAIN => 0.25 };

# the same of the client's own windows, without which the others mean little
use constant HEAD_ROOM_TRIES => 4;

# plain nginx merges events from here on
use constant MERGED => 1.05;

# so many cells of a sweep without a valid window of plain nginx end it: one
# may be bad luck
use constant SILENT => 2;

# an entrant whose events are later than that, in us, is left out of the
# faster cells of a sweep
use constant TOO_LATE => 50_000;


# new(rig => ..., deadline => of the monotonic clock or undef, on_record =>
#     sub { record }, say => sub { a line for the reader })

sub new {
    my ($class, %o) = @_;

    return bless { %o, running => {}, notes => [] }, $class;
}


# lines for the table: what was left out, and why

sub notes { my ($self) = @_; return @{ $self->{notes} } }


sub _note {
    my ($self, $text) = @_;

    push @{ $self->{notes} }, $text;
    $self->{say}->($text);

    return;
}


# What the client itself needs for an event: direct, with each engine.

sub head_room {
    my ($self) = @_;
    my $cell = { %{ LLMBench::Scenario::head_room() }, name => 'direct' };
    my ($direct) = $self->_start('direct')->variants;

    for my $engine (qw(curl raw)) {
        for my $try (1 .. HEAD_ROOM_TRIES) {
            my $record = LLMBench::Window::measure($self->{rig}, $cell,
                $direct, engine => $engine,
                pids => [ $self->{rig}->mock->pid ]);

            $self->_finish($record, { id => 'S0' }, $cell, { name => $engine,
                floor => 1, label => "direct, engine $engine" }, $try, 1);
            last if $record->{valid};
        }
    }

    return;
}


# one scenario of the plan, with all its cells

sub run {
    my ($self, $scenario) = @_;
    my %late;

    for my $cell (@{ $scenario->{cells} }) {
        if ($self->_no_time($cell)) {
            $self->_note("$scenario->{id} $cell->{name}: not run, the time "
                . 'is over');
            next;
        }

        my @names = grep { !$late{$_} } @{ $cell->{entrants} };

        $self->{say}->(sprintf '%s %s: %s, %d rounds', $scenario->{id},
            $cell->{name}, join(' ', @names), $cell->{rounds});

        my @records = $self->_cell($scenario, $cell, 1, @names);

        last if $scenario->{stop_merged} && $cell != $scenario->{cells}[-1]
            && $self->_sweep_ends($scenario, $cell, \@records, \%late);
    }

    return;
}


# The time that is left goes to more rounds of the cell that is marked for
# it, with those of its entrants that are in all rounds.

sub fill {
    my ($self, $scenario) = @_;
    my ($cell) = grep { $_->{fill} } @{ $scenario->{cells} } or return;
    my @names = grep { !defined $cell->{few}{$_} } @{ $cell->{entrants} };
    my $starts = grep { !$self->{running}{$_} } @names;
    my $left = ($self->{deadline} // return) - now()
        - $starts * LLMBench::Plan::START;
    my $more = int($left / @names / LLMBench::Plan::window($cell)
        / (1 + AGAIN));

    return if $more < 1;

    $self->{say}->("$scenario->{id} $cell->{name}: rounds added: $more, there "
        . 'is time left');
    $self->_cell($scenario, { %$cell, rounds => $cell->{rounds} + $more,
        few => {} }, $cell->{rounds} + 1, @names);

    return;
}


sub stop {
    my ($self) = @_;

    # one that did not start is there, and is nothing
    $_->stop for grep { defined } values %{ $self->{running} };
    $self->{running} = {};

    return;
}


sub _no_time {
    my ($self, $cell) = @_;

    return defined $self->{deadline} && now() + $cell->{seconds}
        > $self->{deadline};
}


sub _cell {
    my ($self, $scenario, $cell, $first, @names) = @_;
    my @lanes = $self->_lanes($cell, @names);
    my $again = int(@lanes * ($cell->{rounds} - $first + 1) * AGAIN) || 1;
    my (@records, %broken);

    for my $round ($first .. $cell->{rounds}) {
        my @order = grep {
            $round <= LLMBench::Plan::rounds($cell, $_->{entrant}->name)
        } @lanes;
        my $position = 0;

        @order = turned($round, @order);

        for my $lane (@order) {
            $position++;
            next if $broken{ $lane->{name} };

            if ($self->_no_time($cell)) {
                $self->_note("$scenario->{id} $cell->{name}: ended in round "
                    . "$round of $cell->{rounds}, the time is over");
                return @records;
            }

            my @tried = $self->_tries($scenario, $cell, $lane, $round,
                $position, \$again);

            push @records, @tried;
            $broken{ $lane->{name} } = _is_broken($tried[-1], $cell);

            if (_is_too_much($cell, @tried)) {
                $self->_note("$scenario->{id} $cell->{name}: left out, too "
                    . 'much for mock and client: '
                    . join '; ', @{ $tried[-1]{void} });
                return @records;
            }
        }
    }

    return @records;
}


# The order of a round: every other one is the one before it, backwards, and
# each pair of rounds has another, so that no entrant is always close to plain.

sub turned {
    my ($round, @lanes) = @_;
    my $pair = int(($round - 1) / 2);
    my $state = $pair;

    for (my $i = $#lanes; $pair && $i > 0; $i--) {
        $state = ($state * 48_271 + 11) % 2_147_483_647;
        my $j = int $state / 2_147_483_647 * ($i + 1);
        @lanes[$i, $j] = @lanes[$j, $i];
    }

    return $round % 2 ? @lanes : reverse @lanes;
}


# One window, or more of them until one counts.

sub _tries {
    my ($self, $scenario, $cell, $lane, $round, $position, $again) = @_;
    my @records;

    for my $try (1 .. TRIES) {
        push @records, $self->_window($scenario, $cell, $lane, $round,
            $position);

        last if $records[-1]{valid} || _is_broken($records[-1], $cell)
            || $$again <= 0;
        $$again-- if $try < TRIES;
    }

    return @records;
}


# true when even without a proxy no window of a demanding cell counts

sub _is_too_much {
    my ($cell, @tried) = @_;

    return $cell->{demanding} && $tried[-1]{entrant} eq 'direct'
        && $tried[-1]{round} == 1 && !$tried[-1]{valid};
}


# no request came back: trying again is of no use

sub _is_broken {
    my ($record, $cell) = @_;

    return 0 if $cell->{failing};
    return !$record->{result} || !$record->{result}{completed};
}


# The variants of the cell's entrants.  Those who take no part are ended: they
# would be on the same core.

sub _lanes {
    my ($self, $cell, @names) = @_;
    my %wanted = map { $_ => 1 } @names;
    my @lanes;

    for my $name (keys %{ $self->{running} }) {
        $self->_end($name) if !$wanted{$name} || $cell->{fresh};
    }

    for my $name (@names) {
        my $entrant = $cell->{fresh} ? $self->_entrant($name)
            : eval { $self->_start($name) };

        if (!$entrant) {
            $self->_note("$name: left out of $cell->{name}: "
                . ($@ =~ /\A(.*)/ ? $1 : ''));
            next;
        }

        push @lanes, chosen($cell, $entrant->variants);
    }

    return @lanes;
}


# the variants that a cell wants

sub chosen {
    my ($cell, @variants) = @_;
    my $wanted = $cell->{variants};

    return @variants if !$wanted;
    return grep { $_->{name} !~ /:/ || $_->{name} =~ $wanted } @variants;
}


sub _entrant {
    my ($self, $name) = @_;

    return LLMBench::Entrant->new($name,
        cores => $self->{rig}->cores->{proxy});
}


# an entrant that listens and has had its first requests

sub _start {
    my ($self, $name) = @_;

    return $self->{running}{$name} //= do {
        my $entrant = $self->_entrant($name);

        $self->_warm($entrant);
        $entrant;
    };
}


sub _warm {
    my ($self, $entrant) = @_;
    my ($first) = $entrant->variants;

    $entrant->start($self->{rig}->mock->address);
    LLMBench::Window::measure($self->{rig},
        LLMBench::Scenario::warm_up(), $first);

    return;
}


sub _end {
    my ($self, $name) = @_;

    (delete $self->{running}{$name})->stop;

    return;
}


sub _window {
    my ($self, $scenario, $cell, $lane, $round, $position) = @_;
    my $entrant = $lane->{entrant};

    $self->_warm($entrant) if $cell->{fresh};

    my $record = LLMBench::Window::measure($self->{rig}, $cell, $lane,
        seed => $round);

    $record->{error} //= "$lane->{name} is gone" if !$entrant->alive;
    $entrant->stop if $cell->{fresh};

    return $self->_finish($record, $scenario, $cell, $lane, $round,
        $position);
}


sub _finish {
    my ($self, $record, $scenario, $cell, $lane, $round, $position) = @_;
    my @void = $record->{error} // ();

    $record->{floor} = _is_floor($lane);
    push @void, LLMBench::Void::reasons($record, $cell) if !@void;

    %$record = (
        %$record, scenario => $scenario->{id}, cell => $cell->{name},
        x => $cell->{x}, entrant => $lane->{name}, label => $lane->{label},
        base => $lane->{base}, round => $round, position => $position,
        valid => !@void, void => \@void, fresh => $cell->{fresh},
        kept_up => @void || !LLMBench::Void::is_slow($record) ? undef
            : $record->{achieved},
        faults => $cell->{failing} ? {} : { LLMBench::Void::faults($record) },
    );

    $self->{on_record}->($record);

    return $record;
}


# nginx's own proxy and less: what every machine can carry, if it can at all

sub _is_floor {
    my ($lane) = @_;
    my $base = $lane->{base};

    return $lane->{floor}
        || $lane->{name} =~ /\A(?:direct|relay|plain)(?:-again)?\z/
        || defined $base && $lane->{name} =~ /:\Q$base\E\z/ ? 1 : 0;
}


# True when faster cells have nothing to tell.  $late is kept between cells:
# who was too late is left out of the next ones; under '' how many cells in a
# row had no valid window of plain nginx.

sub _sweep_ends {
    my ($self, $scenario, $cell, $records, $late) = @_;
    my $where = "$scenario->{id} $cell->{name}";
    my %of;

    push @{ $of{ $_->{entrant} } }, $_ for @$records;

    for my $name (sort keys %of) {
        next if $name eq 'plain' || @{ $of{$name} } < 2
            || grep { _p99($_) <= TOO_LATE } @{ $of{$name} };
        $late->{$name} = 1;
        $self->_note("$where: $name is more than 50 ms late, the sweep goes "
            . 'on without it');
    }

    my @valid = grep { $_->{valid} } @{ $of{plain} || [] };

    if (!@valid) {
        return 0 if ++$late->{''} < SILENT;
        $self->_note("$where: the sweep ends, plain nginx has no valid "
            . 'window again');
        return 1;
    }

    $late->{''} = 0;

    my $merged = median(map { $_->{result}{proxy}{events_per_read} // 1 }
        @valid);

    return 0 if $merged <= MERGED;

    $self->_note(sprintf '%s: the sweep ends, plain nginx merges events '
        . '(%.2f per read)', $where, $merged);

    return 1;
}


sub _p99 {
    my ($record) = @_;

    return $record->{result}{proxy}{event_delay_us}{p99} // 1e9
        if $record->{result};
    return 1e9;
}


1;
