package LLMTest::Wait;

# Waiting, for the whole helper library.  It owns the clock, the time limits
# and the one place where a condition without a file descriptor is polled.
# Everything else waits in select() on a real descriptor.  A limit is only
# there so that a broken test ends: no test may depend on its length.

use strict;
use warnings;

use Exporter 'import';
use Errno qw(EINTR);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

our @EXPORT_OK = qw(now slow limit deadline wait_for readable writable
    select_bits);

# the poll of wait_for(), in seconds: short against any limit, long against
# the cost of looking into /proc or at a log file
use constant POLL => 0.01;

# a pipe nobody writes to: select() on it is the library's only pure wait
my ($never_read, $never_write);


# seconds of the monotonic clock; comparable between processes of a machine

sub now {
    return clock_gettime(CLOCK_MONOTONIC);
}


# how many times longer than usual things may take (valgrind, sanitizers)

sub slow {
    return $ENV{LLM_TEST_SLOW} if $ENV{LLM_TEST_SLOW};
    return $ENV{TEST_NGINX_VALGRIND} ? 6 : 1;
}


# a time limit in seconds, scaled; 30 s where the caller says nothing

sub limit {
    my ($seconds) = @_;

    return ($seconds // 30) * slow();
}


sub deadline {
    my ($seconds) = @_;

    return now() + limit($seconds);
}


# wait_for(sub { ... }, $seconds): the first true value the condition gives,
# or nothing when the limit has passed.  Only for conditions without a
# descriptor: logs, processes, memory.

sub wait_for {
    my ($condition, $seconds) = @_;
    my $until = deadline($seconds);

    while (1) {
        my $value = $condition->();
        return $value if $value;
        return if now() >= $until;
        _pause(POLL);
    }
}


# select_bits($read, $write, $until): the lists of descriptors ready among
# those whose bits are set, both empty when the deadline passed.  Signals do
# not shorten the wait.

sub select_bits {
    my ($read, $write, $until) = @_;

    while (1) {
        my ($rin, $win) = ($read, $write);
        my $left = $until - now();
        $left = 0 if $left < 0;

        my $n = select($rin, $win, undef, $left);

        return (_set($rin), _set($win)) if $n > 0;

        if ($n < 0 && $! != EINTR) {
            die "select: $!";
        }

        return ([], []) if $n == 0 && now() >= $until;
    }
}


# the numbers of the bits that are set

sub _set {
    my $bits = unpack 'b*', $_[0];
    my @set;

    for (my $at = -1; ($at = index $bits, '1', $at + 1) >= 0;) {
        push @set, $at;
    }

    return \@set;
}


sub readable {
    my ($fd, $until) = @_;

    vec(my $bits = '', $fd, 1) = 1;

    my ($ready) = select_bits($bits, '', $until);

    return scalar @$ready;
}


sub writable {
    my ($fd, $until) = @_;

    vec(my $bits = '', $fd, 1) = 1;

    my (undef, $ready) = select_bits('', $bits, $until);

    return scalar @$ready;
}


sub _pause {
    my ($seconds) = @_;

    if (!$never_read) {
        pipe($never_read, $never_write) or die "pipe: $!";
    }

    my $bits = '';
    vec($bits, fileno $never_read, 1) = 1;
    select($bits, undef, undef, $seconds);

    return;
}


1;
