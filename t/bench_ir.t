#!/usr/bin/perl

# The counting of instructions and system calls: one pair and one entrant are
# counted and judged.  What they may cost is the gates' matter, in make
# check-deep; here it is that there are figures and that they make sense.

use strict;
use warnings;

use FindBin ();
use File::Temp ();
use Test::More;

use lib "$FindBin::Bin/lib";

use LLMTest::Proc;

my $dir = File::Temp->newdir('llmtest-XXXXXXXX', TMPDIR => 1);

for my $tool (qw(valgrind strace)) {
    plan(skip_all => "no $tool")
        if !grep { -x "$_/$tool" } split /:/, $ENV{PATH};
}

my ($status, $text) = run('--gate', '--events', 100, '--keep', "$dir/kept",
    '--pairs', '^openai-short:simple$|^entrant:module-simple$');

is($status, 0, 'it ends well') or diag($text);
like($text, qr/^ok: all gates$/m, 'and says so');

for my $row ([ 'openai to simple', 'proxy_pass, proxy_buffering off' ],
    [ 'module, openai to simple', 'nginx proxy_pass, unbuffered' ])
{
    my ($name, $plain) = @$row;
    my ($floor) = $text =~ /^\Q$plain\E +(\d+) +\d+\.\d\d\b/m;
    my ($all, $over, $calls)
        = $text =~ /^\Q$name\E +(\d+) +\+(\d+) +(\d+\.\d\d)\b/m;

    ok($floor && $all, "$name: counted") or next;

    cmp_ok($floor, '>', 0, 'plain has a price');
    cmp_ok(abs($all - $floor - $over), '<=', 1, 'over plain is over plain');
    cmp_ok($over, '>', 0, 'the module does something');
    cmp_ok($calls, '>=', 2.9, 'an event is read, waited for, written');
}

my @kept = map { s{.*/}{}r } glob "$dir/kept/*";

is_deeply([ sort grep { /^entrant:module-simple:/ } @kept ],
    [ map { "entrant:module-simple:$_" } 20, 520 ],
    '--keep: a file for each stream');

($status, $text) = run('--pairs', 'no such');
isnt($status, 0, 'nothing to count is an error');
like($text, qr/^no such pair$/m, 'that is told');

done_testing();


sub run {
    my (@args) = @_;
    my $out = "$dir/out";

    unlink $out;

    my $proc = LLMTest::Proc->spawn(stdout => $out, stderr => $out,
        cmd => [ "$FindBin::Bin/../benchmarks/bench-ir", @args ]);
    my $code = $proc->wait_exit(300) // die "bench-ir does not end\n";

    open my $fh, '<', $out or die "$out: $!\n";
    local $/ = undef;
    my $said = readline $fh;
    close $fh;

    return ($code >> 8, $said // '');
}
