package LLMTest::Clock;

# A clock that a test turns by hand, for what takes minutes or days: it is
# preloaded into nginx (t/lib/clock.c).  It stands still until the test lets
# it run; in either case the test may put it forward.  The mock, the clients
# and the test itself live in real time.  It owns the library that it builds
# and the file that the library reads.

use strict;
use warnings;

use LLMTest::Wait qw(now);


# new($t): builds it; $t->start(env => $clock->env) uses it

sub new {
    my ($class, $t) = @_;
    my $dir = $t->dir;
    my $self = bless { file => "$dir/clock", library => "$dir/clock.so",
        start => int(now() * 1e6), value => 0, runs => 0 }, $class;

    $t->write_file('clock', pack 'q<', 0);

    my ($status, $output) = $t->_run($ENV{CC} || 'cc', '-O2', '-shared',
        '-fPIC', '-o', $self->{library}, $t->root . '/t/lib/clock.c', '-ldl');
    die "no clock: $output\n" if $status;

    return $self;
}


sub env {
    my ($self) = @_;
    my @preload = grep { $_ } $ENV{TEST_NGINX_PRELOAD}, $self->{library};

    return { LD_PRELOAD => join(':', @preload),
        LLM_TEST_CLOCK => $self->{file},
        LLM_TEST_CLOCK_START => $self->{start} };
}


# lets so many seconds pass at once

sub advance {
    my ($self, $seconds) = @_;

    $self->{value} += int($seconds * 1e6 + 0.5);
    $self->_write;

    return;
}


# from now on it runs as the real time does

sub run {
    my ($self) = @_;

    return if $self->{runs}++;

    $self->{value} -= int(now() * 1e6) - $self->{start};
    $self->_write;

    return;
}


sub _write {
    my ($self) = @_;

    open my $fh, '+<:raw', $self->{file} or die "$self->{file}: $!";
    syswrite $fh, pack 'q<', 2 * $self->{value} + ($self->{runs} ? 1 : 0);
    close $fh or die "$self->{file}: $!";

    return;
}


1;
