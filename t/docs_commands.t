#!/usr/bin/perl

# Every block of commands, JavaScript and JSON on every page, and the commands
# at the top of each example, are run here, or a table says which test runs
# them.  A block that is in neither fails: give it a row in @ELSEWHERE, with a
# test that really runs it.  Configurations are the business of t/docs.t and
# t/docs_setups.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Docs qw(slurp pages blocks mocked);
use LLMTest::Example qw(start hosted);

my $root = LLMTest->root;
my %pages = pages($root);
my $tmp = tempdir(CLEANUP => 1);

# a make of the one who tests must not change these
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};

# target of make => who runs it, or what it runs, and the word that shows it
my %MADE = (
    (map { $_ => [ '.ci/run', "make $_\n" ] } qw(check check-clients check-deep
        check-package check-newcomer lint bench-quick)),
    'deps' => [ '.ci/run', 'make deps ' ],
    '' => [ 'util/{demo,lib/LLMDemo.pm}', 'make' ],
    'demo' => [ 't/demo.t', 'util/demo' ],
    'demo-chat' => [ 't/demo_chat.t', 'demo-chat' ],
    'bench-ir' => [ 't/bench_ir.t', 'bench-ir' ],
    # what .ci/run has of the first as bench-quick, with more rounds
    (map { $_ => [ 't/bench_driver.t', 'benchmarks' ] } qw(bench bench-full)),
    'bench-tools' => [ 'Makefile', 'check: all bench-tools' ],
    'versions' => [ 'util/check-deep', 'util/versions' ],
    'deb' => [ 'util/check-package', 'util/package' ],
    'dist' => [ 'util/{check-package,package}', 'util/dist' ],
    'install' => 'here',
);

# page, what the command is like, who runs it, the word that shows it
my @ELSEWHERE = (
    [ qr{^benchmarks/}, qr{^build/llm-bench }, 't/bench_docs.t',
        'llm-bench' ],
    [ qr{^t/clients/}, qr{^t/clients/run }, 't/clients_run.t',
        'clients/run' ],
    # which write the lock files that this one installs from
    [ qr{^t/clients/}, qr{^(?:cd t/clients/|npm |pip-compile )},
        't/clients/install', 'requirements.txt' ],
    [ qr{^docs/faq\.md$}, qr{^curl }, 't/faq.t', "lang => 'sh'" ],
    [ qr{^examples/chat/}, qr{^nginx -c \$PWD/examples/chat/nginx\.conf$},
        't/examples{,_chat}.t', 'chat/nginx.conf' ],
    [ qr{^packaging/}, qr{^util/deps }, 'util/check-package', 'util/' ],
    [ qr{^packaging/}, qr{^(?:install|systemctl|logrotate) },
        'packaging/check-installed', 'logrotate' ],
    [ qr{^docs/operations\.md$}, qr{llm-mock|^mock=|llm-bench|^kill |^until },
        't/operations.t', "'sh'" ],
    [ qr{^docs/operations\.md$}, qr{^mv }, 't/operations.t', "'sh'" ],
);


# the commands of a block, each whole, without comments

sub commands {
    my ($text) = @_;
    my @found;
    my $open = '';

    for my $line (split /\n/, $text) {
        $open .= $open eq '' ? $line : "\n$line";

        my $bare = $open =~ s/'[^']*'|"(?:\\.|[^"\\])*"//gsr;

        next if $bare =~ /['"]/ || $bare =~ /\\\z/;

        $open =~ s/(?:^|\s+)\#[^'"]*\z// if $bare =~ /(?:^|\s)\#/;
        push @found, $open if $open =~ /\S/;
        $open = '';
    }

    push @found, $open if $open ne '';

    return @found;
}


sub output {
    my ($command) = @_;
    open my $fh, '-|', 'sh', '-c', "exec 2>&1; $command"
        or die "$command: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return ($text // '', $?);
}


# a test that must be there and speak of it; of several names one

sub run_by {
    my ($name, $files, $word) = @_;
    my @there = grep { -f } glob "$root/$files";

    return fail("$name: run by $files, which is not there") if !@there;

    return like(join("\n", map { slurp($_) } @there), qr/\Q$word\E/,
        "$name: run by $files");
}


# make: the target is there, and its recipe is run by somebody

sub make {
    my ($name, $command) = @_;
    my ($target) = $command =~ /^make(?: ([a-z][\w-]*)(?!\S*=))?/;
    my $by = $MADE{ $target // '' };

    return fail("$name: nobody is known to run it") if !$by;
    return run_by($name, @$by) && dry($name, $target) if ref $by;

    # nothing is built here, and nothing installed but below a folder
    my ($output, $status) = output("cd '$root' && make -o build/"
        . "ngx_llm_stream_module.so $target DESTDIR='$tmp/dest'");

    is($status, 0, "$name: runs") or diag($output);

    return ok(scalar(glob "$tmp/dest/*/*/*/*/ngx_llm_stream_module.so"
        . " $tmp/dest/*/*/*/ngx_llm_stream_module.so"),
        "$name: the module is there");
}


sub dry {
    my ($name, $target) = @_;
    my ($output, $status) = output("cd '$root' && make -n "
        . ($target // '') . ' >/dev/null');

    return is($status, 0, "$name: make knows how") || diag($output);
}


# a command of curl, sent to this nginx instead of the port that it names

sub asks {
    my ($t, $name, $command) = @_;
    my $port = $t->port(0);
    my $run = $command =~ s{\bhttp://[\w.-]+(?::\d+)?(?=[/'"\s]|\z)}
                           {http://127.0.0.1:$port}gr;
    my ($output, $status) = output(
        $run =~ s/^curl/curl --fail --max-time 120 -s/r);

    is($status, 0, "$name: runs") or diag($run, $output);
    unlike($output, qr/^\s*\z/, "$name: an answer");
    like($output, qr/Lorem/, "$name: of the mock")
        if $command =~ /completions|message/;

    return;
}


# curl, at an nginx with the configuration that stands before it on the page

sub curl {
    my ($name, $command, $conf) = @_;

    return fail("$name: no configuration before it") if !defined $conf;

    my $t = LLMTest->new;
    my ($config) = mocked($t, $conf, key => 'sk-CANARY-key');

    $t->canary('sk-CANARY-key');
    $t->config($config)->start;

    asks($t, $name, $command);
    $t->finish;

    return;
}


# what deletes old answers, in a folder of its own

sub find {
    my ($name, $command) = @_;
    my ($from, $days) = $command =~ m{^find (/\S+) .*-mtime \+(\d+)};

    return fail("$name: not understood") if !defined $days;

    my $dir = "$tmp/found";
    my @old = map { "$dir/$_" } qw(a.txt .llm_stream.1.2);

    make_path($dir);

    for my $file ("$dir/new.txt", @old) {
        open my $fh, '>', $file or die "$file: $!\n";
        close $fh;
    }

    utime time - 86_400 * ($days + 2), time - 86_400 * ($days + 2), @old;

    my ($output, $status) = output($command =~ s/\Q$from\E/$dir/r);

    is("$status$output", '0', "$name: runs");
    ok(!-e $old[1], "$name: deletes what is old");
    ok(-e "$dir/new.txt", "$name: and nothing else");

    return;
}


sub command {
    my ($page, $line, $command, $conf) = @_;
    my ($short) = $command =~ /^(.{1,50})/;
    my $name = "$page, line $line: $short";

    for my $row (@ELSEWHERE) {
        my ($where, $what, $file, $word) = @$row;

        return run_by($name, $file, $word)
            if $page =~ $where && $command =~ $what;
    }

    return make($name, $command) if $command =~ /^make\b/;
    return curl($name, $command, $conf) if $command =~ /^curl /;
    return find($name, $command) if $command =~ /^find /;

    return fail("$name: nobody runs it; see the top of this test");
}


# the configuration that stands before a line, and the last of its port

sub before {
    my ($page, $line, $text) = @_;
    my ($port) = $text =~ m{\bhttp://[\w.-]+:(\d+)};
    my @blocks = grep { $_->{line} < $line } blocks($pages{$page}, 'nginx');
    my ($same) = grep { defined $port && $_->{text} =~ /listen [^;]*\b$port;/ }
        reverse @blocks;
    my $found = $same // $blocks[-1];

    return $found ? $found->{text} : undef;
}


subtest 'commands' => sub {
    my $count = 0;

    for my $page (sort keys %pages) {
        for my $block (blocks($pages{$page}, qw(sh bash shell console))) {
            for my $command (commands($block->{text})) {
                $count++;
                command($page, $block->{line}, $command,
                    before($page, $block->{line}, $command));
            }
        }
    }

    cmp_ok($count, '>', 15, 'there are some');
};


# the commands of curl in the comment at the top of a configuration

sub at_the_top {
    my ($text) = @_;
    my ($top) = $text =~ /\A((?:\#[^\n]*\n)+)/ or return;
    my $code = join '', map { /^\#   (.*\n)/ ? $1 : "\n" }
        split /(?<=\n)/, $top;

    return grep { /^curl / } commands($code);
}


subtest 'examples' => sub {
    my $count = 0;

    for my $file (map { s{.*/}{}r } glob "$root/examples/*.conf") {
        my $text = slurp("$root/examples/$file");

        for my $command (at_the_top($text)) {
            my $t = LLMTest->new;
            my $own = $t->mock;
            my %names = map { $_ => 1 }
                $text =~ m{\b(?:https://|server )([a-z][\w.-]*\.[a-z]+)\b}g;

            start($t, $file,
                hosts => { map { $_ => hosted($t, $_) } keys %names },
                change => sub {
                    my $at = 'server ' . $own->address . ';';
                    return $_[0] =~ s/\bserver [\d.]+:\d+;/$at/gr;
                });
            asks($t, "$file: " . ($command =~ /^(.{1,50})/)[0], $command);
            $t->finish;
            $count++;
        }
    }

    cmp_ok($count, '>=', 8, 'there are some');
};


# fetch of a page, from this nginx, with what the page would know

sub fetched {
    my ($page, $block) = @_;
    my $name = "$page, line $block->{line}";
    my ($path) = $block->{text} =~ m{\bfetch\("https?://[^/"]+(/[^"]*)"}
        or return;
    my $conf = before($page, $block->{line}, '')
        // return fail("$name: no configuration before it");
    my $t = LLMTest->new;
    my ($config) = mocked($t, $conf, key => 'sk-CANARY-key');

    $t->config($config)->start;

    my $url = 'http://127.0.0.1:' . $t->port(0) . $path;
    my $file = "$tmp/fetch.mjs";

    open my $fh, '>:encoding(UTF-8)', $file or die "$file: $!\n";
    print {$fh} "const token = 'x', model = 'gpt-4o-mini',\n"
        . "    messages = [{ role: 'user', content: 'Hello' }];\n"
        . $block->{text} =~ s/fetch\("[^"]+"/fetch("$url"/r
        . "\nconsole.log(answer.status, await answer.text());\n";
    close $fh or die "$file: $!\n";

    my ($output, $status) = output("node '$file'");

    is($status, 0, "$name: runs") or diag($output);
    like($output, qr/^200 .*Lorem.*\[DONE\]/s, "$name: a stream");
    $t->finish;

    return;
}


subtest 'JavaScript' => sub {
    my $count = 0;

    for my $page (sort keys %pages) {
        for my $block (blocks($pages{$page}, qw(js javascript mjs))) {
            my $file = "$tmp/" . ++$count . '.mjs';

            open my $fh, '>:encoding(UTF-8)', $file or die "$file: $!\n";
            print {$fh} $block->{text};
            close $fh or die "$file: $!\n";

            my ($output, $status) = output("node --check '$file'");

            is($status, 0, "$page, line $block->{line}") or diag($output);
            fetched($page, $block);
        }
    }

    cmp_ok($count, '>=', 2, 'there are some');
};


subtest 'JSON' => sub {
    my $count = 0;

    for my $page (sort keys %pages) {
        for my $block (blocks($pages{$page}, 'json')) {
            my $value = eval { JSON::PP->new->decode($block->{text}) };

            ok($value, "$page, line $block->{line}") or diag($@);
            $count++;
        }
    }

    cmp_ok($count, '>=', 1, 'there are some');
};


# and what none of them could run would be seen

subtest 'the test itself' => sub {
    is_deeply([ commands("a 'x\ny'  # z\n\nb \\\n  c\n# d\n") ],
        [ "a 'x\ny'", "b \\\n  c" ], 'commands of a block');
    is(scalar(grep { 'docs/x.md' =~ $_->[0] && 'rm -r x' =~ $_->[1] }
        @ELSEWHERE), 0, 'an unknown one has no row');
};
