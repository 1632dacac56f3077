package LLMBench::Plot::Windows;

# What a run of the driver left behind, as plots need it: the valid windows of
# results.jsonl by scenario, cell and entrant, histograms of several windows
# put together, the ratios of ratios.json, and the number of processor cores of
# meta.json.  It knows nothing of pictures.
#
# A histogram is { count => N, hist => [[value, count], ...] }, ascending, in
# the unit that the result file has.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

use LLMBench::Stats qw(merge);

our @EXPORT_OK = qw(together quantile);

# what plots are made of: a run of hours has the rest in memory, else
my @USED = qw(event_delay_us ttft_ms event_bytes read_bytes events_per_read
    cpu memory);

# what the client alone needs: no entrant's windows
my $HEAD_ROOM = 'S0';


# Reads a directory; dies if it has no results.jsonl.  Says on stderr what it
# could not read.

sub new {
    my ($class, $dir) = @_;

    my $self = bless {
        windows => [], cells => [], label => {}, entrants => [], void => 0,
    }, $class;

    $self->_read_windows("$dir/results.jsonl");

    my $ratios = _json("$dir/ratios.json", 'ARRAY') || [];
    my $meta = _json("$dir/meta.json", 'HASH') || {};

    $self->{ratios} = [ grep { ref eq 'HASH' && $_->{ratio} } @$ratios ];
    $self->{cores} = ($meta->{machine} || {})->{cores};

    return $self;
}


# of the machine, if it is known
sub cores    { my ($self) = @_; return $self->{cores} }
sub void     { my ($self) = @_; return $self->{void} }
sub ratios   { my ($self) = @_; return @{ $self->{ratios} } }

# names, in the order of their first window
sub entrants { my ($self) = @_; return @{ $self->{entrants} } }



# those that have a valid window, in the order of their first

sub scenarios {
    my ($self) = @_;
    my %seen;

    return grep { !$seen{$_}++ } map { $_->{scenario} } @{ $self->{cells} };
}


# What an entrant is called in a legend.  Others that have the same label are
# told apart by their names.

sub label {
    my ($self, $name) = @_;
    my $label = $self->{label}{$name} // $name;

    return "control: $label" if $name =~ /-again\z/;

    my $same = grep { $_ !~ /-again\z/ && $self->{label}{$_} eq $label }
        keys %{ $self->{label} };

    return $same > 1 ? "$label [$name]" : $label;
}


# Cells of the scenario that have a valid window, by x, else as they came:
# { scenario, cell, x, offered_eps }.

sub cells {
    my ($self, $scenario) = @_;
    my @cells = grep { $_->{scenario} eq $scenario } @{ $self->{cells} };

    @cells = sort { $a->{x} <=> $b->{x} } @cells
        if !grep { !defined $_->{x} } @cells;

    return @cells;
}


# The results (of llm-bench, what is used of them) of an entrant's valid
# windows in a cell.

sub results {
    my ($self, $cell, $entrant) = @_;

    return map { $_->{result} }
        grep { $_->{scenario} eq $cell->{scenario}
            && $_->{cell} eq $cell->{cell}
            && $_->{entrant} eq $entrant } @{ $self->{windows} };
}


# The first of these scenarios of which some window has what is asked for by
# sub(result) -> value or undef; undef if none has.

sub first_scenario {
    my ($self, $has, @scenarios) = @_;

    for my $scenario (@scenarios) {
        return $scenario
            if grep { $_->{scenario} eq $scenario
                && defined $has->($_->{result}) } @{ $self->{windows} };
    }

    return;
}


# One histogram of many; undef if there is nothing in them.

sub together {
    my (@hists) = @_;
    my $hist = merge(map { $_->{hist} || [] } grep { $_ } @hists);
    my $count = 0;

    $count += $_->[1] for @$hist;

    return $count ? { count => $count, hist => $hist } : undef;
}


# Of single numbers, with the usual line between neighbours; q is 0 .. 1.

sub quantile {
    my ($q, @values) = @_;
    return if !@values;

    my @sorted = sort { $a <=> $b } @values;
    my $at = $q * $#sorted;
    my $low = int $at;
    my $high = $low < $#sorted ? $low + 1 : $low;

    return $sorted[$low] + ($at - $low) * ($sorted[$high] - $sorted[$low]);
}


sub _read_windows {
    my ($self, $path) = @_;
    my $json = JSON::PP->new->utf8;

    open my $in, '<', $path or die "$path: $!\n";

    while (my $line = <$in>) {
        next if $line !~ /\S/;

        my $window = eval { $json->decode($line) };

        if (ref $window ne 'HASH' || grep { !defined $window->{$_} }
            qw(scenario cell entrant))
        {
            print {*STDERR} "$path:$.: no window, left out\n";
            next;
        }

        $self->_add($window);
    }

    close $in or die "$path: $!\n";
    return;
}


sub _add {
    my ($self, $window) = @_;
    my ($scenario, $cell, $entrant) = @$window{qw(scenario cell entrant)};

    return if $scenario eq $HEAD_ROOM;

    if (!$window->{valid} || ref $window->{result} ne 'HASH') {
        $self->{void}++;
        return;
    }

    my %proxy;
    @proxy{@USED} = @{ $window->{result}{proxy} || {} }{@USED};

    push @{ $self->{windows} }, { scenario => $scenario, cell => $cell,
        entrant => $entrant, result => { proxy => \%proxy } };
    push @{ $self->{entrants} }, $entrant
        if !exists $self->{label}{$entrant};

    $self->{label}{$entrant} = ($window->{label} // '') =~ /\S/
        ? $window->{label} : $entrant;

    return if grep { $_->{scenario} eq $scenario && $_->{cell} eq $cell }
        @{ $self->{cells} };

    push @{ $self->{cells} }, {
        scenario => $scenario, cell => $cell, x => $window->{x},
        offered_eps => $window->{offered_eps},
    };

    return;
}


# A file's value; undef if there is none, as of a run that was interrupted.

sub _json {
    my ($path, $type) = @_;
    return if !-e $path;

    open my $in, '<', $path or die "$path: $!\n";
    my $text = do { local $/ = undef; <$in> };
    close $in or die "$path: $!\n";

    my $value = eval { JSON::PP->new->utf8->decode($text) };
    return $value if ref $value eq $type;

    print {*STDERR} "$path: cannot be read, left out\n";
    return;
}


1;
