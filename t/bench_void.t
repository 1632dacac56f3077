#!/usr/bin/perl

# The rules of the benchmarks' driver: which windows do not count, and what
# an entrant is blamed for.

use strict;
use warnings;

use FindBin ();
use Test::More;

use lib "$FindBin::Bin/../benchmarks/lib";

use LLMBench::Void qw(reasons faults rules is_slow);

my %CELL = (name => '10 streams');

is_deeply([ reasons(record(), \%CELL) ], [], 'a good window counts');
is_deeply([ reasons(record(achieved => 0.99, steal => 0.02), \%CELL) ], [],
    'at the limits it counts, too');
ok(is_slow({ achieved => 0.989 }) && !is_slow({ achieved => 0.99 })
    && !is_slow({}), 'slow is what is below the limit');

void(qr/^3 requests failed \(no terminator\)$/, 'a failed request',
    result => { failed => 3,
        errors_summary => { 'HTTP 502' => 1, 'no terminator' => 2 } });
void(qr/^mock late: p99 1\.0 ms$/, 'a late mock',
    proxy => { mock_emit_lag_us => { p99 => 1001 } });
void(qr/^client late: p99 2\.5 ms$/, 'a late client',
    proxy => { client_lag_us => { p99 => 2500 } });
void(qr/^client waited 150 us a read$/, 'a client that had to wait',
    proxy => { client_wait_s => 0.15, reads => 1000 });
void(qr/^achieved 98\.9 %$/, 'a load that a floor did not achieve',
    achieved => 0.989, floor => 1);
void(qr/^steal 2\.1 %$/, 'stolen time', steal => 0.021);

is_deeply([ reasons({ steal => 0 }, \%CELL) ], [ 'no result' ],
    'without a result there is nothing to count');
is_deeply([ reasons_of(achieved => 0.5) ], [],
    'what another entrant does not achieve is a result');
is_deeply([ reasons_of(proxy => { client_wait_s => 0.019, reads => 100 }) ],
    [], 'a short wait is none');
is(scalar reasons_of(achieved => 0.5, steal => 0.5, floor => 1,
    proxy => { client_lag_us => { p99 => 9999 } }), 3,
    'every reason is told');

is_deeply([ reasons_of(result => { failed => 7 }) ],
    [ '7 requests failed' ], 'a failure without words');
is_deeply([ reasons(record(result => { failed => 7 }),
    { %CELL, failing => 1 }) ], [], 'where they are meant to fail they may');
is_deeply([ reasons_of(achieved => undef, steal => undef) ], [],
    'what is not known is no reason');
is_deeply([ reasons_of(proxy => { mock_emit_lag_us => { count => 0,
    p99 => undef } }) ], [], 'nor are events without stamps');

is(scalar rules(), 6, 'six rules, and each has words');

is_deeply({ faults(record()) }, {}, 'a good window blames no one');
is_deeply({ faults(record(proxy => { lost => 2, duplicated => 0,
    reordered => 1, corrupted => 4 })) },
    { lost => 2, reordered => 1, corrupted => 4 },
    'what was done to events is told, not what was not');
is_deeply([ reasons_of(proxy => { lost => 2 }) ], [],
    'lost events are a result, no reason to look away');
is_deeply({ faults({}) }, {}, 'no result, no blame');
is_deeply({ faults(record(result => { errors_summary => { timeout => 1 } },
    proxy => { lost => 2, duplicated => 1 })) }, { duplicated => 1 },
    'what the client did not wait for is not lost');

done_testing();


# one reason alone

sub void {
    my ($words, $what, %o) = @_;
    my @reasons = reasons_of(%o);

    is(scalar @reasons, 1, "$what makes a window void");
    like($reasons[0], $words, "$what: in words");

    return;
}


sub reasons_of {
    my (%o) = @_;

    return reasons(record(%o), \%CELL);
}


# a good window, but for what is given

sub record {
    my (%o) = @_;
    my %result = (failed => 0, completed => 10, errors_summary => {},
        proxy => { lost => 0, duplicated => 0, reordered => 0,
            corrupted => 0, mock_emit_lag_us => { p99 => 1000 },
            client_lag_us => { p99 => 1000 },
            %{ delete $o{proxy} || {} } },
        %{ delete $o{result} || {} });

    return { achieved => 1.001, steal => 0, %o, result => \%result };
}
