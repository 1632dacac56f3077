#!/usr/bin/perl

# The commands that benchmarks/*.md and llm-bench --help show, run as they
# stand, but for the server's address: here it is the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use LLMTest::Load;
use LLMTest::Mock;
use Test::More;

my $root = "$FindBin::Bin/..";
my $binary = LLMTest::Load::binary($root);

plan skip_all => 'no llm-bench: make bench-tools' if !-x $binary;

my $dir = tempdir(CLEANUP => 1);
my $mock = LLMTest::Mock->new(root => $root, log => "$dir/mock",
    args => ['--set', 'text=stamp,tokens=100']);
my $url = 'http://' . $mock->address;

my $key = 'sk-of-the-documentation';
local $ENV{OPENAI_API_KEY} = $key;


# the commands of a text, each in one line

sub commands {
    my ($text) = @_;

    $text =~ s/\\\n\s*//g;

    return $text =~ /^\s*((?:build\/)?llm-bench [^\n]*--.*)$/mg;
}


sub output {
    my ($command) = @_;

    open my $fh, '-|', "cd $dir && $command 2>&1" or die "$command: $!\n";
    local $/ = undef;
    my $output = readline $fh;
    close $fh;

    return ($output, $?);
}


sub read_file {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    local $/ = undef;

    return scalar readline $fh;
}


my %texts = ('llm-bench --help' => (output("$binary --help"))[0],
    map { s{.*/}{}r => read_file($_) } glob "$root/benchmarks/*.md");
my $seen = 0;

for my $where (sort keys %texts) {
    for my $command (commands($texts{$where})) {
        my $run = $command;

        $run =~ s{^\S+}{$binary};
        $run =~ s{--base-url \S+}{};
        $run =~ s{"\$\(cat nginx\.pid\)"}{@{[ $mock->pid ]}};

        my ($output, $status) = output("$run --base-url $url");

        is($status, 0, "$where: $command") or diag($output);
        like($output, qr/^Successful requests: +[1-9]/m, 'the table');
        unlike($output, qr/\Q$key\E/, 'without the key');
        $seen++;
    }
}

cmp_ok($seen, '>=', 4, 'there are some');

done_testing();
