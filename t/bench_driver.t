#!/usr/bin/perl

# The benchmarks' driver, for real: a small run through plain nginx and the
# module, and one through a relay that loses events.  Times are no matter
# here: on a busy machine windows may be void, and are told to be.

use strict;
use warnings;

use FindBin ();
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Sys::Hostname ();
use Test::More;

use lib "$FindBin::Bin/../benchmarks/lib", "$FindBin::Bin/lib";

use LLMTest::Proc;

my $root = "$FindBin::Bin/..";
my $dir = File::Temp->newdir('llmtest-XXXXXXXX', TMPDIR => 1);

usage();
honest();
lying();

done_testing();


sub usage {
    my ($status, $text) = run('--help');

    is($status, 0, '--help is no error');
    like($text, qr/^usage: benchmarks\/run/, 'it says how');

    for my $bad ([ '--what' ], [ 'what' ], [ '--quick', '--full' ],
        [ '--scenario', 'S99' ], [ '--quick', '--entrants', 'nobody' ],
        [ '--rounds', 0 ])
    {
        ($status, $text) = run(@$bad);
        is($status, 2, "@$bad: refused");
        like($text, qr/^usage: /m, "@$bad: and told what there is");
    }

    return;
}


sub honest {
    my $out = "$dir/honest";
    my ($status, $text) = run('--quick', '--scenario', 'S1', '--entrants',
        'module-simple', '--rounds', 2, '--out', $out);
    my @records = records($out);
    my @windows = grep { $_->{scenario} eq 'S1' } @records;
    my $valid = grep { $_->{valid} } @windows;

    is($status, $valid ? 0 : 1, 'it ends well if anything was measured')
        or diag($text);
    my %engine = map { $_->{entrant} => 1 } grep { $_->{scenario} eq 'S0' }
        @records;

    is_deeply([ sort keys %engine ], [ qw(curl raw) ],
        'both engines were tried without a proxy');

    is_deeply([ order(@windows) ], [ '1 plain', '1 module-simple',
        '2 module-simple', '2 plain' ], 'the order alternates');

    for my $w (@windows) {
        my $what = "round $w->{round}, $w->{entrant}";

        is($w->{result}{failed}, 0, "$what: no request failed");
        is_deeply([ @{ $w->{result}{proxy} }{qw(lost duplicated reordered
            corrupted)} ], [ 0, 0, 0, 0 ], "$what: every event came");
        is($w->{valid} ? 1 : 0, @{ $w->{void} } ? 0 : 1,
            "$what: void with a reason, or valid");
        cmp_ok($w->{result}{proxy}{cpu}{proxy_s}, '>', 0,
            "$what: its processor time is known");
    }

    files($out, $text, $valid);
    compared($out, @windows);

    return;
}


# round and entrant of each window, repeated ones once

sub order {
    my %seen;

    return grep { !$seen{$_}++ } map { "$_->{round} $_->{entrant}" } @_;
}


sub files {
    my ($out, $text, $valid) = @_;
    my $table = slurp("$out/table.txt");
    my $meta = decode(slurp("$out/meta.json"));
    my $host = Sys::Hostname::hostname();

    like($text, qr/\Q$table\E/, 'the table is printed');
    like($table, qr/^module-simple +\d+ \(\d+\)/m, 'it has the entrant');
    like($table, qr/^client: curl .*, raw /m, 'and what the client needs');
    like($table, qr/^void windows: \d+ of \d+/m, 'and what did not count');
    like($meta->{module}{sha256} // $meta->{module},
        qr/\A(?:[0-9a-f]{64}|built into nginx)\z/,
        'the module is known by its sum');
    like($meta->{nginx}{build}, qr/configure arguments/,
        'nginx by how it was built');
    ok($meta->{entrants}{plain}{'nginx.conf'}, 'the configuration, too');
    unlike(slurp("$out/meta.json"), qr/\Q$FindBin::Bin\E|"\Q$host\E"/,
        'neither host nor paths are told');

    return;
}


# ratios.json has what two valid windows of a round say

sub compared {
    my ($out, @windows) = @_;
    my %cpu;

    $cpu{ $_->{round} }{ $_->{entrant} }
        = $_->{result}{proxy}{cpu}{proxy_us_per_event}
        for grep { $_->{valid} } @windows;

    my @wanted = map { $_->{'module-simple'} / $_->{plain} }
        grep { $_->{'module-simple'} && $_->{plain} }
        map { $cpu{$_} } sort keys %cpu;
    my ($row) = grep { $_->{metric} eq 'cpu_us_per_event' }
        @{ decode(slurp("$out/ratios.json")) };

    is_deeply([ map { sprintf '%.9g', $_ } @{ $row->{ratios} || [] } ],
        [ map { sprintf '%.9g', $_ } @wanted ],
        'ratios are of windows of one round');

    return;
}


# an entrant that loses events is found out, whatever else happens

sub lying {
    my $out = "$dir/lying";
    my $relay = $ENV{LLM_RELAY} || "$root/build/llm-relay";
    my $liar = "$dir/llm-relay";

    open my $fh, '>', $liar or die "$liar: $!";
    print {$fh} qq{#!/bin/sh\nexec "$relay" "\$@" --drop 7\n};
    close $fh or die "$liar: $!";
    chmod 0755, $liar;

    local $ENV{LLM_RELAY} = $liar;

    my ($status, $text) = run('--quick', '--scenario', 'S1', '--entrants',
        'relay', '--rounds', 1, '--out', $out);
    my ($record) = grep { $_->{entrant} eq 'relay' } records($out);

    is($status, 1, 'a run with lost events fails');
    cmp_ok($record->{result}{proxy}{lost}, '>', 0, 'they are counted');
    like($text, qr/^WRONG:\n.*\brelay: \d+ lost/m, 'and told');
    unlike($text, qr/^WRONG:\n(?:.+\n)*.*\bplain: \d+ lost/m,
        'of the one who did it');

    return;
}


# exit status and everything it says

sub run {
    my (@args) = @_;
    my $log = "$dir/output";

    unlink $log;

    my $proc = LLMTest::Proc->spawn(cmd => [ "$root/benchmarks/run", @args ],
        stdout => $log, stderr => $log, name => 'benchmarks/run');
    my $status = $proc->wait_exit(240);

    BAIL_OUT('benchmarks/run does not end') if !defined $status;

    return ($status >> 8, slurp($log));
}


sub records {
    my ($out) = @_;
    my @records = map { decode($_) }
        split /^/m, slurp("$out/results.jsonl");

    is(scalar(grep { !defined } @records), 0, 'every line is JSON');

    return @records;
}


sub decode {
    my ($text) = @_;

    return scalar eval { JSON::PP->new->utf8->decode($text) };
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text // '';
}
