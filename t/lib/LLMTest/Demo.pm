package LLMTest::Demo;

# Runs of make demo and make demo-chat: each with a folder of its own for
# temporary files, with what make check has built, and in the end a look
# whether anything of it is left.  It must never end a process that it has not
# started.

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Temp ();
use Test::More;

use LLMTest;
use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);

our @EXPORT_OK = qw(folder files root start output errors descendants runs
    nothing_left);

my $root = Cwd::abs_path(LLMTest->root);
my $dir = File::Temp::tempdir(CLEANUP => 1);
my $count = 0;

# what is tested is what make check has built: nothing is built here
my %files = (
    TEST_NGINX_MODULE => $ENV{TEST_NGINX_MODULE}
        // "$root/build/ngx_llm_stream_module.so",
    LLM_MOCK => $ENV{LLM_MOCK} || "$root/build/llm-mock",
);

$files{$_} =~ s{^(?=[^/])}{$root/} for keys %files;

# a make or a nginx of the one who tests must not change this
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL CLIENT FAULT NGINX PORT)};


sub root   { return $root }
sub folder { return $dir }
sub files  { return %files }


# start([command], env => {}, bare => 1): a run with a folder of its own for
# temporary files; bare: not told which module and mock to use

sub start {
    my ($cmd, %o) = @_;
    my $tmp = "$dir/" . ++$count;

    mkdir $tmp or die "$tmp: $!\n";

    my $proc = LLMTest::Proc->spawn(cmd => $cmd, stdout => "$tmp.out",
        stderr => "$tmp.err", name => 'demo',
        env => { $o{bare} ? () : %files, %{ $o{env} || {} },
            TMPDIR => $tmp });

    return { proc => $proc, tmp => $tmp, pids => {} };
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:encoding(UTF-8)', $file or return '';
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text // '';
}


sub output { my ($run) = @_; return slurp("$run->{tmp}.out") }
sub errors { my ($run) = @_; return slurp("$run->{tmp}.err") }


# all processes under this one

sub descendants {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/task/$pid/children" or return;
    my @children = split ' ', readline $fh // '';
    close $fh;

    return map { ($_, descendants($_)) } @children;
}


# a killed process may be there for a moment, and for its new parent longer

sub runs {
    my ($pid) = @_;

    return slurp("/proc/$pid/stat") =~ /\) [^ZX] /;
}


sub nothing_left {
    my ($run, $name) = @_;
    my @left = glob "$run->{tmp}/*";

    is("@left", '', "$name: no file left");

    wait_for(sub { !grep { runs($_) } keys %{ $run->{pids} } });
    is(join(' ', grep { runs($_) } keys %{ $run->{pids} }), '',
        "$name: no process left");

    return;
}


1;
