package LLMBench::Summary;

# What the windows of a run say: a row for each entrant of each cell, ratios
# and differences to plain nginx with their intervals, the frontier.  It
# takes records and gives figures; it neither measures nor prints.

use strict;
use warnings;

use List::Util qw(max);

use LLMBench::Stats qw(median interval paired merge percentile);

# of the bootstrap: any number, but the same in every run
use constant SEED => 20_000;

# S13: the upper edges of the delays' histogram, in microseconds
my @EDGES = (100, 1_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000,
    250_000);

# S3: the bounds of the event delay's p99, in ms
my @BOUNDS = (1, 5, 10, 50);

# How a figure of one window is found, and how two of a round are compared.
my %METRIC = (
    cpu_us_per_event => { kind => 'ratio',
        of => sub { ($_[0]{proxy}{cpu} || {})->{proxy_us_per_event} } },
    cpu_us_per_token => { kind => 'ratio',      # seconds of a million tokens
        of => sub { ($_[0]{proxy}{cpu} || {})->{proxy_s_per_mtok} } },
    events_per_read => { kind => 'ratio',
        of => sub { $_[0]{proxy}{events_per_read} } },
    event_delay_p50_us => { kind => 'difference',
        of => sub { _hist($_[0], 'event_delay_us')->{p50} } },
    ttft_p50_ms => { kind => 'difference',
        of => sub { $_[0]{completed} ? $_[0]{median_ttft_ms} : undef } },
    kb_per_stream => { kind => 'difference',
        of => sub { ($_[0]{proxy}{memory} || {})->{kb_per_stream} } },
);

# those that do the same rewrite, and the module that does it
my %PEER = map { $_ => 1 } qw(lua njs node);
use constant REWRITES => 'module-simple';

# figures of two windows are compared if these are the same
my %ALIKE = map { $_ => sub { ($_[0]{proxy}{cpu} || {})->{window} } }
    qw(cpu_us_per_event cpu_us_per_token);

my %COMPARE = (
    ratio => sub { $_[1] ? $_[0] / $_[1] : () },
    difference => sub { $_[0] - $_[1] },
);


sub _hist {
    my ($result, $key) = @_;
    my $hist = $result->{proxy}{$key};

    return $hist && $hist->{count} ? $hist : {};
}


sub new {
    my ($class) = @_;

    return bless { records => [] }, $class;
}


# Takes a record; of its result only what is told from is kept.

sub add {
    my ($self, $record) = @_;
    my $result = $record->{result};
    my %kept = %$record;

    delete $kept{json};

    if ($result) {
        my %proxy = %{ $result->{proxy} };

        delete $proxy{$_} for qw(event_bytes read_bytes schedule_delay_us
            first_event_delay_us ttft_role_ms mock_emit_lag_us
            client_lag_us);
        $kept{result} = { proxy => \%proxy, map { $_ => $result->{$_} }
            qw(median_ttft_ms completed failed duration) };
    }

    push @{ $self->{records} }, \%kept;
    delete $self->{cells};

    return;
}


sub records { my ($self) = @_; return @{ $self->{records} } }
sub voids   { my ($self) = @_; return grep { !$_->{valid} }
    @{ $self->{records} } }
sub valid   { my ($self) = @_; return grep { $_->{valid} }
    @{ $self->{records} } }


# What entrants did wrong: lines for the reader.  They are why a run fails.

sub wrong {
    my ($self) = @_;
    my (%count, %state, @lines);

    for my $record (grep { $_->{scenario} ne 'S0' } @{ $self->{records} }) {
        my $who = "$record->{scenario} $record->{cell}, $record->{entrant}";
        my $state = $state{ $record->{entrant} } ||= {};

        $count{$who}{$_} += $record->{faults}{$_}
            for keys %{ $record->{faults} || {} };
        $state->{ $record->{valid} ? 'valid' : 'void' }++;
        $state->{failed} = $record->{void}[0]
            if !$record->{result} || $record->{result}{failed};
    }

    for my $who (sort keys %count) {
        push @lines, "$who: " . join ', ',
            map { "$count{$who}{$_} $_" } sort keys %{ $count{$who} };
    }

    for my $name (sort keys %state) {
        push @lines, "$name: no valid window: $state{$name}{failed}"
            if !$state{$name}{valid} && $state{$name}{failed};
    }

    return @lines;
}


# The cells in the order they were run, [scenario, cell, rows].

sub cells {
    my ($self) = @_;

    $self->{cells} ||= [ $self->_cells ];

    return @{ $self->{cells} };
}


sub _cells {
    my ($self) = @_;
    my (@order, %rows);

    for my $record (@{ $self->{records} }) {
        my $key = "$record->{scenario}\0$record->{cell}";

        push @order, $key if !$rows{$key};
        push @{ $rows{$key} }, $record;
    }

    return map {
        my ($scenario, $cell) = split /\0/;
        [ $scenario, $cell, [ _rows(@{ $rows{$_} }) ] ];
    } @order;
}


sub _rows {
    my (@records) = @_;
    my (@names, %of);

    for my $record (@records) {
        push @names, $record->{entrant} if !$of{ $record->{entrant} };
        push @{ $of{ $record->{entrant} } }, $record;
    }

    my %by_round = map { $_ => _by_round(@{ $of{$_} }) } @names;

    my @rows = map { _row($of{$_}, $by_round{$_},
        $by_round{ _base($of{$_}[0]) } || {}) } @names;

    for my $row (grep { $PEER{ $_->{entrant} } } @rows) {
        $row->{module} = _compare('cpu_us_per_event',
            $by_round{ +REWRITES } || {}, $by_round{ $row->{entrant} });
    }

    return @rows;
}


# whose figures this entrant's are compared with

sub _base {
    my ($record) = @_;
    my ($folder) = $record->{entrant} =~ /\A(.*):/;

    return 'plain' if !defined $folder || !defined $record->{base};
    return "$folder:$record->{base}";
}


# Results of each round that can be compared: valid, and of the whole load.

sub _by_round {
    return { map { $_->{round} => $_->{result} }
        grep { $_->{valid} && !defined $_->{kept_up} } @_ };
}


sub _row {
    my ($records, $mine, $base) = @_;
    my @valid = grep { $_->{valid} } @$records;
    my @results = map { $_->{result} } @valid;
    my $delays = merge(map { $_->{proxy}{event_delay_us}{hist} || [] }
        @results);

    my %row = (
        entrant => $records->[0]{entrant}, label => $records->[0]{label},
        base => _base($records->[0]), valid => scalar @valid,
        void => @$records - @valid,
        offered_eps => $records->[0]{offered_eps},
        delay => [ map { percentile($delays, $_) } 50, 99, 99.9 ],
        held_bytes => scalar max(grep { defined }
            map { $_->{held_bytes} } @$records),
        shares => _shares($delays), faults => _faults(@$records),
        kept_up => scalar _kept_up(@valid),
        recovery => scalar((map { $_->{recovery} // () } @$records)[-1]),
        growth => scalar median(map { _growth($_->{memory_kb}) } @valid),
        client_us_per_event => scalar median(grep { defined } map {
            ($_->{proxy}{cpu} || {})->{client_us_per_event} } @results),
    );

    for my $metric (keys %METRIC) {
        my $of = $METRIC{$metric}{of};

        next if $metric eq 'kb_per_stream' && !$records->[0]{fresh};

        $row{$metric} = median(grep { defined } map { $of->($_) } @results);

        next if $row{entrant} eq $row{base};
        $row{compared}{$metric} = _compare($metric, $mine, $base);
    }

    return \%row;
}


# [[upper edge in us, share of the delays up to it and above the edge before],
# ...]; the last edge is undef

sub _shares {
    my ($delays) = @_;
    my ($total, @shares) = (0);

    for my $bucket (@$delays) {
        my ($us, $count) = @$bucket;
        my $i = 0;

        $i++ while $i < @EDGES && $us > $EDGES[$i];
        $shares[$i] += $count;
        $total += $count;
    }

    return $total ? [ map { [ $EDGES[$_], ($shares[$_] // 0) / $total ] }
        0 .. @EDGES ] : [];
}


sub edges { return @EDGES }


# Which part of the load an entrant carried that mostly did not keep up.

sub _kept_up {
    my @slow = grep { defined } map { $_->{kept_up} } @_;

    return if !@slow || @slow * 2 < @_;
    return median(@slow);
}


sub _compare {
    my ($metric, $mine, $base) = @_;
    my ($kind, $of) = @{ $METRIC{$metric} }{qw(kind of)};
    my $alike = $ALIKE{$metric} // sub { '' };
    my @rounds = grep { $base->{$_} && ($alike->($mine->{$_}) // '')
        eq ($alike->($base->{$_}) // '') } keys %$mine;
    my @values = paired(
        { map { $_ => $of->($mine->{$_}) } @rounds },
        { map { $_ => $of->($base->{$_}) } @rounds }, $COMPARE{$kind});

    return if !@values;

    my ($middle, $low, $high) = interval(\@values, SEED);

    return { kind => $kind, $kind => $middle, low => $low, high => $high,
        "${kind}s" => \@values };
}


sub _faults {
    my %sum;

    for my $record (@_) {
        $sum{$_} += $record->{faults}{$_} for keys %{ $record->{faults} };
    }

    return \%sum;
}


# kB per minute, from the second fifth of a soak to its last

sub _growth {
    my ($samples) = @_;
    my $fifth = int @{ $samples || [] } / 5 or return;
    my @early = @$samples[$fifth .. 2 * $fifth - 1];
    my @late = @$samples[-$fifth .. -1];
    my $minutes = (_mean(0, @late) - _mean(0, @early)) / 60 or return;

    return (_mean(1, @late) - _mean(1, @early)) / $minutes;
}


sub _mean {
    my ($i, @samples) = @_;
    my $sum = 0;

    $sum += $_->[$i] for @samples;

    return $sum / @samples;
}


# everything that was compared, as ratios.json has it

sub ratios {
    my ($self) = @_;
    my @list;

    for my $cell ($self->cells) {
        my ($scenario, $name, $rows) = @$cell;

        for my $row (@$rows) {
            for my $metric (sort keys %{ $row->{compared} || {} }) {
                my $c = $row->{compared}{$metric} or next;
                my %c = %$c;
                my $kind = delete $c{kind};

                push @list, { scenario => $scenario, cell => $name,
                    entrant => $row->{entrant}, base => $row->{base},
                    metric => $metric, void => $row->{void},
                    rounds => scalar @{ $c{"${kind}s"} }, %c };
            }

            my $module = $row->{module} or next;
            my %c = %$module;

            delete $c{kind};
            push @list, { scenario => $scenario, cell => $name,
                entrant => REWRITES, base => $row->{entrant},
                metric => 'cpu_of_the_same_rewrite', void => $row->{void},
                rounds => scalar @{ $c{ratios} }, %c };
        }
    }

    return \@list;
}


# S3, out of S2: [entrant, { bound in ms => [events per second, 1 if it was
# the fastest cell that the entrant took part in] }]; nothing if there was no
# sweep

sub frontier {
    my ($self) = @_;
    my @sweep = grep { $_->[0] eq 'S2' } $self->cells;
    my (@names, %best, %fastest);

    return if @sweep < 2;

    for my $cell (@sweep) {
        for my $row (@{ $cell->[2] }) {
            my ($name, $rate) = @$row{qw(entrant offered_eps)};

            push @names, $name if !$best{$name};
            $best{$name} ||= {};
            $fastest{$name} = $rate if $rate > ($fastest{$name} // 0);

            next if !$row->{valid} || !defined $row->{delay}[1]
                || defined $row->{kept_up};

            for my $bound (grep { $row->{delay}[1] <= $_ * 1000 } @BOUNDS) {
                $best{$name}{$bound} = $rate
                    if $rate > ($best{$name}{$bound} // 0);
            }
        }
    }

    return map {
        my $name = $_;
        [ $name, { map { $_ => [ $best{$name}{$_},
            $best{$name}{$_} == $fastest{$name} ] }
            keys %{ $best{$name} } } ];
    } @names;
}


sub bounds { return @BOUNDS }


1;
