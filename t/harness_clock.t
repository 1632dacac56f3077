#!/usr/bin/perl

# The clock that a test turns by hand: a process that waits on it sees each
# turn of it, and no signal is lost between two looks at it.  If this fails,
# a test that uses the clock fails now and then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;

my $t = LLMTest->new(module => 0);
my $clock = LLMTest::Clock->new($t);
my %env = %{ $clock->env };

# a process that waits for 10 s as nginx does, and says how that ended

$t->write_file('wait.c', <<'EOT');
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/time.h>

static void
noted(int signo, siginfo_t *info, void *context)
{
    (void) signo;
    (void) info;
    (void) context;
}

int
main(int argc, char **argv)
{
    int                 n;
    struct timeval      tv;
    struct sigaction    sa = { .sa_flags = SA_SIGINFO };
    struct epoll_event  event;

    sa.sa_sigaction = noted;
    (void) sigaction(SIGUSR1, &sa, NULL);
    (void) gettimeofday(&tv, NULL);

    if (argc > 1) {
        (void) raise(SIGUSR1);
    }

    (void) puts("waits");
    (void) fflush(stdout);
    n = epoll_wait(epoll_create1(0), &event, 1, 10000);
    (void) puts(n == 0 ? "time" : errno == EINTR ? "signal" : "error");

    return argv == NULL;
}
EOT

is(system($ENV{CC} || 'cc', '-D_GNU_SOURCE', '-o', $t->dir . '/wait',
    $t->dir . '/wait.c'), 0, 'the program is built');


# what it says in the end; $during is called when it is about to wait

sub ends {
    my ($during, @args) = @_;
    my $pid = open my $out, '-|';

    if (!$pid) {
        %ENV = (%ENV, %env);
        exec $t->dir . '/wait', @args or die "exec: $!";
    }

    local $SIG{ALRM} = sub { kill KILL => $pid };
    alarm 30;

    readline $out;
    $during->($pid);

    my $end = readline $out;

    alarm 0;
    close $out;

    return ($end // 'never') =~ s/\n//r;
}


is(ends(sub { $clock->advance(10) }), 'time', 'the clock is put forward');
is(ends(sub { $clock->advance(9.9); kill USR1 => $_[0] }), 'signal',
    'a signal in a wait for more');
is(ends(sub { }, 'early'), 'signal', 'a signal before the wait');

$t->finish;
