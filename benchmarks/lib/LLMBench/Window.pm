package LLMBench::Window;

# One window: one run of llm-bench against one variant of an entrant, with
# what the machine did meanwhile.  It makes a record and judges nothing.

use strict;
use warnings;

use JSON::PP ();
use List::Util qw(max);

use LLMBench::Files qw(slurp);
use LLMBench::Rig;
use LLMTest::Proc;
use LLMTest::Wait qw(now wait_for);

# how much longer than meant a window may take: what is slower is ended and
# has no result
use constant { SLOWER => 2, GRACE => 10 };

# one process of the client is enough for so many streams
use constant STREAMS => 100;

# between two samples of memory in a soak, in seconds
use constant SAMPLE => 1;

# that many connections to the provider are kept open by every nginx entrant
# (nginx-keepalive.conf); after a window the others have to be closed
use constant KEPT => 1024;


# measure($rig, $cell, $variant, engine => "raw", pids => [...]): runs it.
# The record is { offered_eps, achieved, steal, seconds, result, json }, with
# "error" instead of the last two when llm-bench gave none; "json" is the
# text of "result".

sub measure {
    my ($rig, $cell, $variant, %o) = @_;
    my $entrant = $variant->{entrant};
    my $before = $cell->{recover} ? _condition($entrant) : undef;
    my $logged = $cell->{held} ? $entrant->held($variant) : 0;
    my $file = $rig->dir . '/result.json';
    my @cmd = _command($rig, $cell, $variant, $file, %o);

    $rig->defaults(join ' ', grep { length } 'text=stamp', $cell->{stream},
        $cell->{mock} // '', $variant->{mock} =~ s/,/ /gr);
    unlink $file;

    my ($stolen, $all) = LLMBench::Rig::ticks();
    my $began = now();
    my ($status, $samples) = _run($rig, $cell, $entrant, @cmd);
    my $seconds = now() - $began;
    my ($stolen_now, $all_now) = LLMBench::Rig::ticks();

    my %record = (
        offered_eps => $cell->{offered}, seconds => $seconds,
        steal => $all_now > $all
            ? ($stolen_now - $stolen) / ($all_now - $all) : undef,
        _result($rig, $file, $status),
    );

    $record{achieved} = scalar _achieved($cell, $record{result})
        if $record{result} && !$cell->{unpaced};
    $record{memory_kb} = $samples if @$samples;
    $record{recovery} = _recovery($rig, $entrant, $before) if $before;
    $record{held_bytes} = _held($cell, $variant, $logged) if $cell->{held};

    return \%record;
}


# Which part of the load was achieved: the events of the steady window to those
# that were due in it, or the time that the whole load takes to the time that
# it took; the better of both.  An entrant that is late, but by the same time
# for every event, achieves all of it: the time of one request more is allowed
# for once.

sub _achieved {
    my ($cell, $result) = @_;
    my $cpu = $result->{proxy}{cpu} || {};
    my $more = $cell->{open}
        ? $result->{median_e2el_ms} - 1000 * $cell->{length}
        : ($result->{proxy}{ttft_ms} || {})->{min} // 0;

    return if !$result->{duration};

    $more = 0 if $more < 0;

    my $whole = ($cell->{seconds} + $more / 1000) / $result->{duration};
    my $steady = ($cpu->{window} // '') eq 'steady'
        ? $cpu->{events} / $cpu->{wall_s} / $cell->{offered} : 0;

    return $steady > $whole ? $steady : $whole;
}


sub _command {
    my ($rig, $cell, $variant, $file, %o) = @_;
    my $entrant = $variant->{entrant};
    my $processes = _processes($rig->cores->{client_processes}, $cell);
    my @pids = @{ $o{pids} || [ $entrant->pid // () ] };
    my $stamps = $variant->{stamps} ? $cell->{stamps} : 0;
    my ($dir, $name) = $file =~ m{^(.*)/([^/]+)\z};

    return (
        $rig->client_command, '--base-url', $entrant->base_url($variant),
        '--dialect', $variant->{dialect}, '--http-version', $variant->{http},
        $variant->{scheme} eq 'https' ? '--insecure' : (),
        (map { ('--header', $_) } $entrant->headers($variant)),
        @{ $cell->{load} }, @{ $cell->{more} || [] },
        '--seed', $o{seed} // 1, '--processes', $processes,
        '--timeout', int(_limit($cell)),
        $stamps ? ('--stamps', $stamps) : (),
        @pids ? ('--proxy-pid', join ',', @pids) : (),
        $o{engine} ? ('--engine', $o{engine}) : (),
        '--percentile-metrics', 'ttft,tpot,itl,e2el',
        '--metric-percentiles', '50,90,99', '--label', $variant->{name},
        '--save-result', '--result-dir', $dir, '--result-filename', $name,
        '--quiet',
    );
}


sub _processes {
    my ($most, $cell) = @_;
    my $wanted = int($cell->{streams} / STREAMS) || 1;

    return $wanted < $most ? $wanted : $most;
}


sub _limit {
    my ($cell) = @_;

    return $cell->{seconds} * SLOWER + GRACE;
}


# Runs the client; its status, and samples of the proxy's memory if it is a
# soak: [[seconds, kB], ...].

sub _run {
    my ($rig, $cell, $entrant, @cmd) = @_;
    my $log = $rig->dir . '/llm-bench.log';
    my $began = now();
    my (@samples, $last);

    unlink $log;

    my $proc = LLMTest::Proc->spawn(cmd => \@cmd, name => 'llm-bench',
        stdout => $log, stderr => $log);

    if ($cell->{soak}) {
        wait_for(sub {
            my $at = now() - $began;

            if (!defined $last || $at - $last >= SAMPLE) {
                push @samples, [ sprintf('%.1f', $at) + 0,
                    $entrant->memory_kb ];
                $last = $at;
            }

            return !$proc->alive;
        }, _limit($cell));
    }

    my $status = $proc->wait_exit(_limit($cell) + GRACE);

    $proc->stop(2, 'TERM', 'KILL') if !defined $status;

    return ($status, \@samples);
}


sub _result {
    my ($rig, $file, $status) = @_;
    my $text = slurp($file);
    my $result = eval { JSON::PP->new->utf8->decode($text) };

    if (!$result) {
        my $words = slurp($rig->dir . '/llm-bench.log');

        return (error => !defined $status ? 'llm-bench does not end'
            : 'llm-bench ended with ' . ($status >> 8 || $status & 127)
            . ($words =~ /([^\n]+)\n*\z/ ? ": $1" : ''));
    }

    # a line break is no part of a JSON string
    $text =~ s/\s*\n\s*/ /g;

    return (result => $result, json => $text =~ s/\s+\z//r);
}


# the most bytes that stages held back; undef of an entrant without a log

sub _held {
    my ($cell, $variant, $logged) = @_;
    my $entrant = $variant->{entrant};

    return if !$variant->{held};

    # a line is written when the client has everything
    wait_for(sub { $entrant->held($variant) >= $logged + $cell->{streams} });

    return max($entrant->held($variant));
}


sub _condition {
    my ($entrant) = @_;

    return if !defined $entrant->pid;
    return { fds => $entrant->fds, kb => $entrant->memory_kb };
}


# what the entrant is left with when the window is over

sub _recovery {
    my ($rig, $entrant, $before) = @_;
    my $open = $rig->open_streams;

    wait_for(sub { $entrant->fds <= $before->{fds} + KEPT });

    my $after = _condition($entrant);

    return {
        fds_before => $before->{fds}, fds_after => $after->{fds},
        kb_before => $before->{kb}, kb_after => $after->{kb},
        open_upstream => $open,
    };
}


1;
