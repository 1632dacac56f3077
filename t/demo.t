#!/usr/bin/perl

# make demo: what it shows for each client's dialect, when the provider
# fails, when nginx does not start, and that nothing of it is left however it
# ends.

use strict;
use warnings;

use File::Copy ();
use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest::Demo qw(folder files root start output errors descendants runs
    nothing_left);
use LLMTest::Wait qw(wait_for);

my $root = root();
my $dir = folder();
my %files = files();


sub demo {
    my ($client, %o) = @_;

    return start([ "$root/util/demo", $client // () ], %o);
}


# waits until it has shown a token; what it has started by then

sub wait_token {
    my ($run) = @_;

    wait_for(sub {
        return output($run) =~ /^ *\d+ ms  \w/m || !$run->{proc}->alive;
    });

    $run->{pids}{$_} = 1 for descendants($run->{proc}->pid);

    return $run->{proc}->alive;
}


# the token lines: [milliseconds, text]

sub tokens {
    my ($text) = @_;

    return map { /^ *(\d+) ms  (.*)$/ ? [ $1, $2 ] : () } split /\n/, $text;
}


# A run, or another in its place: one that was stopped for as long as its
# stream took has read all of it at once.

sub timely {
    my ($client, $run) = @_;

    for (1 .. 3) {
        $run->{proc}->wait_exit;

        my @at = map { $_->[0] } tokens(output($run));

        last if !@at || $at[-1] > $at[0];

        nothing_left($run, "$client, all at once");
        $run = demo($client);
        wait_token($run);
    }

    return $run;
}


subtest 'each dialect' => sub {
    my %runs = map { $_ => demo($_) } qw(openai simple typed text);

    wait_token($_) for values %runs;

    for my $client (sort keys %runs) {
        my $run = timely($client, $runs{$client});
        my $status = $run->{proc}->wait_exit;
        my @tokens = tokens(output($run));
        my @late = grep { $tokens[$_][0] < $tokens[ $_ - 1 ][0] }
            1 .. $#tokens;

        is($status, 0, "$client: exit status") or diag(errors($run));
        my @words = split / /, join ' ', map { $_->[1] } @tokens;

        # tokens that nginx reads at once are one piece of text
        my $n = $client eq 'text' ? scalar @tokens : 40;

        is(scalar @tokens, $n, "$client: a line for each piece");
        is(scalar @words, 40, "$client: 40 tokens");
        is("@words[0, 1, -1]", 'Lorem ipsum dolor', "$client: their text");
        is(scalar @late, 0, "$client: in the order of time");
        cmp_ok($tokens[-1][0], '>', $tokens[0][0], "$client: not at once");
        like(output($run), qr/^TTFT\ \d+\.\d\ ms,\ mean\ ITL\ \d+\.\d\ ms,
            \ $n\ chunks,\ 253\ characters,\ end:\ complete$/mx,
            "$client: summary");
        is(errors($run), '', "$client: no errors");
        nothing_left($run, $client);
    }
};


subtest 'a provider that fails' => sub {
    my %runs = map { $_ => demo($_,
        env => { FAULT => 'fin-chunked-incomplete' }) } qw(typed text);

    wait_token($_) for values %runs;

    for my $client (sort keys %runs) {
        my $run = $runs{$client};
        my $status = $run->{proc}->wait_exit;

        is($status >> 8, 1, "$client: exit status");
        nothing_left($run, $client);
    }

    like(output($runs{typed}), qr/^ *\d+ ms  error: The provider closed/m,
        'typed: the error');
    like(output($runs{typed}), qr/ 8 chunks, .* end: error$/m,
        'typed: summary');
    like(output($runs{text}), qr/ [1-8] chunks, .* end: broken$/m,
        'text: summary');

    my $run = demo('simple', env => { FAULT => 's401' });
    is($run->{proc}->wait_exit >> 8, 1, 'a status: exit status');
    like(output($run), qr{^HTTP/1\.1 401 .*"done":true\}$}ms,
        'a status: shown');
    nothing_left($run, 'a status');
};


subtest 'what does not start' => sub {
    my $run = demo('simple', env => { TEST_NGINX_BINARY => '/bin/false' });
    is($run->{proc}->wait_exit >> 8, 1, 'nginx: exit status');
    like(errors($run), qr/^nginx did not start/, 'nginx: why');
    nothing_left($run, 'nginx');

    $run = demo('simple', env => { LLM_MOCK => '/bin/false' });
    is($run->{proc}->wait_exit >> 8, 1, 'mock: exit status');
    like(errors($run), qr/^llm-mock did not start/, 'mock: why');
    nothing_left($run, 'mock');

    $run = demo('nosuch');
    is($run->{proc}->wait_exit >> 8, 2, 'a wrong client: exit status');
    like(errors($run), qr/^usage: make demo/, 'a wrong client: usage');
    nothing_left($run, 'a wrong client');
};


subtest 'interrupted' => sub {
    # a provider that stops sending in the middle: it does not end by itself
    my %endless = (FAULT => 'stall-mid');
    my @cases = ([ openai => 'INT', 130 ], [ simple => 'TERM', 143 ],
        [ typed => 'HUP', 129 ], [ text => 'INT', 130 ]);

    for my $case (@cases) {
        my ($client, $signal, $status) = @$case;
        my $run = demo($client, env => \%endless);

        ok(wait_token($run), "$client: tokens before the end");
        cmp_ok(scalar keys %{ $run->{pids} }, '>=', 3,
            "$client: mock, nginx and its worker run");
        $run->{proc}->signal($signal);
        is($run->{proc}->wait_exit >> 8, $status,
            "$client, $signal: exit status");
        unlike(output($run), qr/^TTFT/m, "$client, $signal: no summary");
        nothing_left($run, "$client, $signal");
    }

    # while it starts
    my $run = demo('simple', env => \%endless);
    wait_for(sub { return glob "$run->{tmp}/*" });
    $run->{pids}{$_} = 1 for descendants($run->{proc}->pid);
    $run->{proc}->signal('INT');
    is($run->{proc}->wait_exit >> 8, 130, 'early: exit status')
        or diag(errors($run));
    nothing_left($run, 'early');

    # as a terminal does it: the whole group, make too
    $run = start([ 'make', '-s', '-C', $root, 'demo', 'CLIENT=text' ],
        env => \%endless);
    ok(wait_token($run), 'make: runs');
    like(output($run), qr/the client speaks text/, 'make: the client');
    kill 'INT', -$run->{proc}->pid;
    isnt($run->{proc}->wait_exit, 0, 'make: exit status');
    wait_for(sub { !grep { runs($_) } keys %{ $run->{pids} } });
    nothing_left($run, 'make');
};


# a tree with these steps in place of util/deps and make all

sub tree {
    my ($name, $deps, $make) = @_;
    my $tree = "$dir/$name";

    mkdir $_ or die "$_: $!\n"
        for $tree, "$tree/util", "$tree/util/lib", "$tree/build";
    symlink $files{LLM_MOCK}, "$tree/build/llm-mock" or die "symlink: $!\n";
    symlink $files{TEST_NGINX_MODULE},
        "$tree/build/ngx_llm_stream_module.so" or die "symlink: $!\n";

    for my $file (qw(util/demo util/lib/LLMDemo.pm)) {
        File::Copy::copy("$root/$file", "$tree/$file")
            or die "copy: $!\n";
    }

    write_file("$tree/util/deps", "#!/bin/sh\n$deps\n");
    write_file("$tree/Makefile", ".PHONY: all\nall:\n\t\@$make\n");
    chmod 0755, "$tree/util/demo", "$tree/util/deps";

    return start([ "$tree/util/demo" ], bare => 1);
}


sub write_file {
    my ($file, $text) = @_;

    open my $fh, '>', $file or die "$file: $!\n";
    print $fh $text;
    close $fh or die "$file: $!\n";

    return;
}


subtest 'installing and building' => sub {
    plan(skip_all => 'the module is built in')
        if $files{TEST_NGINX_MODULE} eq '';

    delete local @ENV{qw(TEST_NGINX_MODULE LLM_MOCK)};

    my $run = tree('good', 'echo deps ran', 'echo make ran');
    wait_token($run);
    is($run->{proc}->wait_exit, 0, 'exit status') or diag(errors($run));
    like(output($run), qr/\Adeps ran\nbuilding .*\nmake ran\nPOST /,
        'the steps in order');
    like(output($run), qr/ end: complete$/m, 'and the stream');
    nothing_left($run, 'all went well');

    $run = tree('deps', 'echo deps failed; exit 3', 'echo make ran');
    is($run->{proc}->wait_exit >> 8, 1, 'deps failed: exit status');
    is(output($run), "deps failed\n", 'deps failed: nothing more');

    $run = tree('make', 'true', 'echo make failed; exit 3');
    is($run->{proc}->wait_exit >> 8, 1, 'make failed: exit status');
    unlike(output($run), qr/^POST/m, 'make failed: nothing more');
    nothing_left($run, 'make failed');

    # a make that goes on
    $run = tree('long', 'true', 'echo make runs; tail -f /dev/null');
    ok(wait_for(sub { return output($run) =~ /^make runs/m }),
        'in make: runs');
    $run->{pids}{$_} = 1 for descendants($run->{proc}->pid);
    cmp_ok(scalar keys %{ $run->{pids} }, '>=', 2, 'in make: its processes');
    $run->{proc}->signal('TERM');
    is($run->{proc}->wait_exit >> 8, 143, 'in make: exit status');
    nothing_left($run, 'in make');
};


done_testing();
