#!/usr/bin/perl

# t/clients/run against programs that lie, fall silent or break off: what was
# not run whole is never counted as passed, and the exit status says so.  The
# programs here stand for clients; the real ones need what make check-clients
# installs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use Test::More;

use LLMTest::Proc;

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $head = '{"client":"fake","version":"1","dialect":"openai"}';
my $number = 0;

sub result {
    my ($case, $more) = @_;

    return qq({"upstream":"openai","case":"$case",$more});
}

my $stream = result('stream', '"ok":true');
my $abort = result('abort', '"ok":true');


# a program that prints these lines and exits like that

sub program {
    my ($status, @lines) = @_;
    my $file = "$dir/program" . ++$number;
    my $text = join "\n", '#!/bin/sh', 'cat > /dev/null',
        "cat << 'END'", @lines, 'END', "exit $status", '';

    open my $fh, '>', $file or die "$file: $!";
    print $fh $text;
    close $fh or die "$file: $!";
    chmod 0755, $file;

    return $file;
}


# its exit status and what it printed, asked for two cases of one provider

sub run_with {
    my ($file, @more) = @_;
    my $out = "$dir/out" . ++$number;
    my $proc = LLMTest::Proc->spawn(stdout => $out, stderr => $out,
        cmd => [ "$FindBin::Bin/clients/run", '--program', "openai=$file",
            '--upstream', 'openai', '--case', 'stream', '--case', 'abort',
            @more ]);
    my $status = $proc->wait_exit(60);

    open my $fh, '<', $out or die "$out: $!";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return (defined $status ? $status >> 8 : 'did not end', $text);
}


sub fails {
    my ($name, $words, $status, @lines) = @_;
    my ($exit, $text) = run_with(program($status, @lines));

    is($exit, 1, "$name: fails");
    like($text, $words, "$name: says so") or diag($text);
    unlike($text, qr/^== clients passed/m, "$name: not passed");

    return;
}


my ($exit, $text) = run_with(program(0, $head, $stream, $abort));

is($exit, 0, 'all right: passes');
like($text, qr/^fake 1 +openai +ok +ok$/m, 'a row of the table');
like($text, qr/^2 passed, 0 failed, 0 not applicable, 0 clients missing$/m,
    'counts') or diag($text);

($exit, $text) = run_with(program(0, $head, $stream,
    result('abort', '"ok":true,"note":"it cannot\nnot at all"')
        =~ s/\n/\\n/r));

is($exit, 0, 'a note: passes');
like($text, qr/^fake 1 +openai +ok +ok\*$/m, 'marked in the table');
like($text, qr/^\* fake 1: it cannot \(1 cases\)\n\* fake 1: not at all /m,
    'a line each');

fails('a case that failed', qr/^FAIL: fake 1, openai, abort: because$/m, 0,
    $head, $stream, result('abort', '"ok":false,"why":"because"'));
fails('a case without a result', qr/^FAIL: .* abort: no result$/m, 0,
    $head, $stream);
fails('a result twice', qr/^FAIL: .* stream: a second result$/m, 0,
    $head, $stream, $stream, $abort);
fails('a case that nobody asked for', qr/^FAIL: .* mid: .*nobody asked/m, 0,
    $head, $stream, $abort, result('mid', '"ok":true'));
fails('an exit status', qr/^FAIL: .*exit status 7/m, 7,
    $head, $stream, $abort);
fails('no JSON', qr/^FAIL: .*not a result: .*Segmentation/m, 0,
    $head, $stream, $abort, 'Segmentation fault');
fails('nothing said', qr/^0 passed, [1-9]/m, 0);
fails('another dialect', qr/^FAIL: .*speaks gemini, not openai$/m, 0,
    $head =~ s/openai/gemini/r, $stream, $abort);
fails('missing', qr/1 clients missing\nMISSING: fake: no library$/m, 3,
    '{"client":"fake","missing":"no library"}');
fails('missing, but another exit status', qr/^FAIL: .*exit status 0/m, 0,
    '{"client":"fake","missing":"no library"}');

($exit, $text) = run_with("$dir/none");

is($exit, 1, 'no such program: fails');
like($text, qr/^MISSING: .*cannot run/m, 'is missing');

($exit, $text) = run_with(program(0, $head, $stream, $abort),
    '--case', 'none');

isnt($exit, 0, 'no such case: refused');

done_testing();
