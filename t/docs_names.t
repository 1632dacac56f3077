#!/usr/bin/perl

# Every name and figure on every page and in every configuration: a directive
# or variable that is spoken of exists, a test that is spoken of exists, each
# defence of docs/security.md names its test, and figures of README.md are
# those of benchmarks/RESULTS.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest::Docs qw(slurp pages http_directives);

my $root = "$FindBin::Bin/..";
my %pages = pages($root);

my %texts = (%pages, map { s{^\Q$root\E/}{}r => slurp($_) }
    grep { -f } map { glob "$root/$_" } qw(examples/*.conf examples/*/*.conf
        examples/*/*.html packaging/debian/*.conf docs/img/*.svg));


sub directives {
    my $table = slurp("$root/ngx_llm_stream_module.c");
    my @names = $table =~ /ngx_llm_stream_directive\("(\w*)"/g;

    return ((map { "llm_stream$_" } @names), http_directives($root));
}


sub variables {
    my ($rows) = slurp("$root/src/nginx/ngx_llm_stream_variables.c")
        =~ /ngx_llm_stream_vars\[\w*\]\s*=\s*\{(.*?)^\};/ms;

    return map { "llm_stream_$_" } $rows =~ /ngx_llm_stream_var\((\w+),/g;
}


# the names that a text has and that are none of these: [ line, name ]

sub unknown {
    my ($text, $pattern, %known) = @_;
    my @found;

    # llm_stream_ssl_* stands for some, $llm_stream_... as well
    while ($text =~ /$pattern(?![\w*…]|\.\.\.)/g) {
        my $name = $1;

        next if $known{$name};
        push @found, '    line ' . (1 + (substr($text, 0, $-[0])
            =~ tr/\n//)) . ": $name";
    }

    return @found;
}


my $VARIABLE = qr/\$\{?(llm_stream_\w+)/;
my $DIRECTIVE = qr{(?<![\w\$\{./-])(llm_stream(?:_\w+)?)};


subtest 'directives and variables' => sub {
    # formats of logs have names of their own
    my %directive = map { $_ => 1 } directives(),
        map { /^\s*log_format\s+(\w+)/mg } values %texts;
    my %variable = map { $_ => 1 } variables();

    cmp_ok(scalar keys %directive, '>', 50, 'directives');
    cmp_ok(scalar keys %variable, '>', 20, 'variables');

    for my $file (sort keys %texts) {
        my @wrong = (unknown($texts{$file}, $VARIABLE, %variable),
            unknown($texts{$file}, $DIRECTIVE, %directive));

        is(join("\n", @wrong), '', $file);
    }

    is(scalar(() = unknown('a `llm_stream_nosuch` $llm_stream_nosuch;',
        $DIRECTIVE, %directive)), 1, 'a wrong directive would be seen');
    is(scalar(() = unknown('${llm_stream_nosuch}x llm_stream_*',
        $VARIABLE, %variable)), 1, 'a wrong variable would be seen');
};


subtest 'tests' => sub {
    my $count = 0;

    for my $page (sort keys %pages) {
        my %named = map { $_ => 1 }
            $pages{$page} =~ m{`((?:t|util|benchmarks)/[\w./-]+\.\w+)`}g;

        for my $file (sort keys %named) {
            next if $file =~ /NAME/;
            $count++;
            ok(-e "$root/$file", "$page: $file");
        }
    }

    cmp_ok($count, '>', 20, 'there are some');
};


subtest 'examples' => sub {
    for my $file (map { s{^\Q$root\E/}{}r } glob "$root/examples/*.conf") {
        like($pages{'README.md'}, qr{^\|.*\]\(\Q$file\E\) \|.*\w}m,
            "README.md has a row for $file");
    }
};


# the rows of a table, as lists of cells, below the row that begins so

sub rows {
    my ($text, $begin) = @_;
    my ($table) = $text =~ /^(\| \Q$begin\E \|.*?)\n\n/ms or return;
    my (undef, undef, @rows) = split /\n/, $table;

    return map { [ map { s/^\s+|\s+$//gr } (split /\|/, $_, -1)[ 1 .. 9 ] ] }
        map { $_ . ('|' x 9) } @rows;
}


subtest 'security' => sub {
    my $page = $pages{'docs/security.md'};
    my @defaults = rows($page, 'default');
    my @against = rows($page, 'by');

    cmp_ok(scalar @defaults, '>=', 10, 'defaults');
    cmp_ok(scalar @against, '>=', 8, 'denials of service');

    # what holds a row without a test is nginx's own
    for my $row (@defaults, @against) {
        like($row->[2], $row->[1] =~ /of nginx$/ ? qr/^$/ : qr{`t/\w},
            "its test: $row->[0]");
    }

    like($pages{'SECURITY.md'}, qr{\(docs/security\.md}, 'SECURITY.md leads to it');
};


# README.md has figures of RESULTS.md: rows of its tables as they are, and of
# scenarios the numbers that the line of the entrant has

sub scenario {
    my ($results, $name) = @_;
    my ($text) = $results =~ /^\Q$name\E [^\n]*\n(.*?)^(?:S\d+ |```)/ms;

    return $text // '';
}


subtest 'figures' => sub {
    my $results = $pages{'benchmarks/RESULTS.md'};
    my ($costs) = $pages{'README.md'} =~ /^## What it costs\n(.*?)^## /ms;
    my $count = 0;

    for my $name (qw(S1 S2)) {
        my $lines = scenario($results, $name);

        for my $row (rows($costs, $name)) {
            my ($entrant) = $row->[0] =~ /`([\w-]+)`/;
            my ($line) = $lines =~ /^(\Q$entrant\E .*)$/m;

            for my $figure (grep { length } @$row[ 1 .. $#$row ]) {
                like($line // '', qr/(?<=\s)\Q$figure\E(?=\s)/,
                    "$name, $entrant: $figure");
                $count++;
            }
        }
    }

    for my $row ($costs =~ /^(\|.*\d,\d.*\|)$/mg) {
        like($results, qr/^\Q$row\E$/m, "as it is: $row");
        $count++;
    }

    cmp_ok($count, '>=', 20, 'there are some');
};


done_testing();
