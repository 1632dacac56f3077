package LLMBench::Count;

# Instructions and system calls of an nginx entrant, stream by stream:
# callgrind (user space) and strace, cut where a connection of a client
# begins.  It owns the runs and the files of both tools; which streams, and
# what their counts mean, is the caller's.
#
# A stream is one of LLMBench::StepByStep's.

use strict;
use warnings;

use File::Temp ();

use LLMBench::Entrant;
use LLMBench::Files qw(slurp);
use LLMBench::StepByStep;
use LLMTest::Wait qw(wait_for);

# where callgrind's counting is cut: the first that nginx does with a client
use constant CUT => 'ngx_http_init_connection';

# what the connections before the first stream leave behind: Entrant's, that
# finds nginx listening, and a mark
use constant BEFORE => 2;


# instructions(NAME, \@streams, sub { my ($i, $file) = @_ ... }): the count
# of each stream; the sub is given callgrind's output of each.
#
# Callgrind writes what it counted so far to a file each time a client
# connects; the first of them is the start.  What it writes at the end, behind
# the last stream, has a number of its own or none: a version's matter.

sub instructions {
    my ($name, $streams, $each) = @_;
    my $dir = File::Temp->newdir('bench-ir-XXXXXXXX', TMPDIR => 1);

    _run($name, $streams, 'valgrind', '--quiet', '--tool=callgrind',
        '--dump-before=' . CUT, "--callgrind-out-file=$dir/out");

    my @parts = map { $_->[0] } sort { $a->[1] <=> $b->[1] }
        map { /\.(\d+)\z/ ? [$_, $1] : () } glob "$dir/out.*";

    splice @parts, 0, 1 + BEFORE;
    splice @parts, scalar @$streams;

    _check($name, 'instructions', $streams, @parts);

    if ($each) {
        $each->($_, $parts[$_]) for 0 .. $#parts;
    }

    return map { _sum_of($_) } @parts;
}


# system_calls(NAME, \@streams): the count of each, what strace shows from
# one accepted connection to the next.  With -DD nginx is the process that was
# started, and strace one of its own, which writes its last line when nginx
# is gone.

sub system_calls {
    my ($name, $streams) = @_;
    my $dir = File::Temp->newdir('bench-ir-XXXXXXXX', TMPDIR => 1);
    my $text = '';
    my @counts;

    _run($name, $streams, 'strace', '-DD', '-f', '-o', "$dir/out");

    wait_for(sub {
        $text = slurp("$dir/out");
        return substr($text, -80) =~ /\+\+\+ .* \+\+\+\n\z/;
    }) or die "strace did not end\n";

    for my $line (split /\n/, $text) {
        # with threads a call may be told in two lines
        if ($line =~ /^\d+\s+(?:<\.\.\.\s)?accept4?(?:\(|\sresumed).*
            =\s\d+\z/x)
        {
            push @counts, 0;

        } elsif (@counts && $line =~ /^\d+\s+\w+\(/) {
            $counts[-1]++;
        }
    }

    splice @counts, 0, BEFORE;
    pop @counts;

    _check($name, 'system calls', $streams, @counts);

    return @counts;
}


# All streams through an entrant that is started under @tool.

sub _run {
    my ($name, $streams, @tool) = @_;

    my $steps = LLMBench::StepByStep->new;
    my $entrant = LLMBench::Entrant->new($name, tool => \@tool);

    $entrant->start($steps->address);
    $steps->mark($entrant->port);
    $steps->stream($entrant->port, $_) for @$streams;

    # so that the last stream is cut, too
    $steps->mark($entrant->port);
    $entrant->stop;

    return;
}


sub _check {
    my ($name, $what, $streams, @counted) = @_;

    die "$name, $what: ", scalar @counted, ' streams counted instead of ',
        scalar @$streams, "\n" if @counted != @$streams;

    return;
}


sub _sum_of {
    my ($file) = @_;

    my ($sum) = slurp($file) =~ /^(?:summary|totals):\s*(\d+)/m;

    return $sum // die "callgrind counted nothing\n";
}


1;
