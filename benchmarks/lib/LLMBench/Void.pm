package LLMBench::Void;

# The rules by which a window does not count: what was measured then is not
# the entrant, or cannot be compared.  It judges a window's record and
# changes nothing; what an entrant did wrong (lost events) is no reason to
# leave a window out, and is asked for by faults().

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(reasons faults rules is_slow);

# the limits, as they are printed; a wait of the client counts when it is
# worth being told, in seconds
use constant {
    LAG_US => 1000,
    WAIT_US => 100,
    WORTH_TELLING => 0.02,
    ACHIEVED => 0.99,
    STEAL => 0.02,
};

# Each gets the record and the cell; what it says is the reason.  A record
# has "result" (llm-bench's JSON), "achieved", "steal", both undef where they
# are not known, and "floor": it is of direct, relay or plain nginx.
my @RULES = (
    [ 'a request failed', sub {
        my ($record, $cell) = @_;
        my $failed = $record->{result}{failed} // 0;
        my $summary = $record->{result}{errors_summary} || {};
        my ($first) = sort { $summary->{$b} <=> $summary->{$a} || $a cmp $b }
            keys %$summary;

        return if !$failed || $cell->{failing};
        return "$failed requests failed"
            . (defined $first ? " ($first)" : '');
    } ],
    [ "the mock's emit lag p99 > 1 ms", sub {
        return _late($_[0], 'mock_emit_lag_us', 'mock late');
    } ],
    [ 'the client\'s lag p99 > 1 ms', sub {
        return _late($_[0], 'client_lag_us', 'client late');
    } ],
    [ 'the client waited for its core > 0.1 ms a read', sub {
        my $proxy = $_[0]{result}{proxy};
        my $wait = $proxy->{client_wait_s} // 0;
        my $mean = 1e6 * $wait / ($proxy->{reads} || 1);

        return if $wait < WORTH_TELLING || $mean <= WAIT_US;
        return sprintf 'client waited %.0f us a read', $mean;
    } ],
    [ 'less than 99 % of the load was achieved, by a floor', sub {
        my ($record) = @_;

        return if !$record->{floor} || !is_slow($record);
        return sprintf 'achieved %.1f %%', 100 * $record->{achieved};
    } ],
    [ 'more than 2 % of the time was stolen', sub {
        my ($steal) = $_[0]{steal};

        return if !defined $steal || $steal <= STEAL;
        return sprintf 'steal %.1f %%', 100 * $steal;
    } ],
);


# why the window is void; nothing if it counts

sub reasons {
    my ($record, $cell) = @_;

    return 'no result' if !$record->{result};
    return grep { defined } map { scalar $_->[1]->($record, $cell) }
        @RULES;
}


# True when less than all of the load came through.  Floors can carry it, so
# that with them it is the machine's fault; with the others it is a result.

sub is_slow {
    my ($record) = @_;

    return defined $record->{achieved} && $record->{achieved} < ACHIEVED;
}


sub rules { return map { $_->[0] } @RULES }


# What the entrant did to events: { lost, duplicated, reordered, corrupted },
# those that are not 0.  What the client did not wait for is not lost.

sub faults {
    my ($record) = @_;
    my $result = $record->{result} || {};
    my $proxy = $result->{proxy} || {};
    my $left = $result->{errors_summary}{timeout};

    return map { $_ => $proxy->{$_} } grep { $proxy->{$_} }
        $left ? () : 'lost', qw(duplicated reordered corrupted);
}


sub _late {
    my ($record, $key, $words) = @_;
    my $p99 = $record->{result}{proxy}{$key}{p99} // 0;

    return if $p99 <= LAG_US;
    return sprintf '%s: p99 %.1f ms', $words, $p99 / 1000;
}


1;
