#!/usr/bin/perl

# The documentation against the code: every directive, default, context,
# variable, fault, class of next_upstream, dialect and header list; every
# piece of configuration passes nginx -t; every make target and every link
# is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use LLMTest;
use LLMTest::Docs qw(pages blocks placed);

# bytes of memory
use constant PAGE => POSIX::sysconf(POSIX::_SC_PAGESIZE());

my $t = LLMTest->new;
my $root = $t->root;
my ($cert, $key) = $t->tls_cert('localhost');

my %docs = pages($root);

my $conf_c = slurp('src/nginx/ngx_llm_stream_conf.c');
my $faults_c = slurp('src/wire/llm_fault.c');
my $log_c = slurp('src/nginx/ngx_llm_stream_log.c');
my $directives = $docs{'docs/directives.md'};
my $LOGS = "$root/examples/logs";
my $variables = $docs{'docs/variables.md'};

$t->write_file('key', "sk-docs\n");
$t->write_file('include.conf', "proxy_set_header Authorization \"x\";\n");
$t->write_file('passwords', "secret\n");
$t->write_file('words', "secret\n");


sub slurp {
    my ($file) = @_;

    open my $fh, '<:encoding(UTF-8)', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


sub same {
    my ($got, $expected, $name) = @_;
    my @got = sort @$got;
    my @expected = sort @$expected;

    cmp_ok(scalar @expected, '>', 0, "$name: found in the code");
    is_deeply(\@got, \@expected, $name);

    return;
}


# the array of the C source from its name to the brace that ends it

sub array {
    my ($text, $name) = @_;
    my ($body) = $text =~ /\b\Q$name\E\[\w*\]\s*=\s*\{(.*?)^\};/ms;

    die "no array $name\n" if !defined $body;

    return $body;
}


# the first column of the table rows whose first cell is `code`

sub first_column {
    my ($text) = @_;

    return $text =~ /^\| `([^`]+)` \|/mg;
}


# directives: name => [context, entry]

my %code;
my $module_c = slurp('ngx_llm_stream_module.c');

while ($module_c =~ /ngx_llm_stream_directive\("(\w*)",\s*([A-Z_0-9|]+)/g) {
    my ($name, $flags) = ("llm_stream$1", $2);

    $code{$name} = $flags =~ /^NGX_LLM_STREAM_ANY\b/
        ? 'http, server, location'
        : $flags =~ /_LIF_CONF/ ? 'location, if in location, limit_except'
        : 'location';
}

while ($module_c =~ /ngx_string\("(llm_stream\w+)"\),\s*
                     NGX_HTTP_MAIN_CONF\|NGX_CONF_(?:BLOCK|TAKE)/gx)
{
    $code{$1} = 'http';
}

my %entry = $directives =~ /^## (llm_stream\w*)\n(.*?)(?=^## |\z)/msg;


subtest 'directives' => sub {
    same([ keys %entry ], [ keys %code ], 'every one has an entry');

    my ($contents) = $directives =~ /\A(.*?)^## /ms;

    for my $name (sort keys %code) {
        my ($syntax, $default, $context) = ($entry{$name} // '')
            =~ /^```\nSyntax:  (.*)\nDefault: (.*)\nContext: (.*)\n```\n/m;

        like($syntax // '', qr/^$name .*(?:;|\{ \.\.\. \})$/,
            "$name: syntax");
        like($default // '', qr/^(?:$name \S.*;|[^;]+)$/, "$name: default");
        is($context, $code{$name}, "$name: context");
        like($contents, qr/\(#$name\)/, "$name: in the overview");
    }
};


# milliseconds or bytes of a value in a configuration

sub number {
    my ($value) = @_;
    my %unit = ('' => 1, ms => 1, s => 1000, m => 60_000, h => 3_600_000,
        k => 1024, M => 1024 * 1024);

    return { on => 1, off => 0 }->{$value} if $value =~ /^o(?:n|ff)$/;

    my ($n, $unit) = $value =~ /^(\d+)([a-zM]*)$/ or return $value;

    return $n * $unit{$unit};
}


# "4k|8k": a page of memory, as nginx writes it

sub of_the_platform {
    my ($default) = @_;

    return $default =~ s/\b4k\|8k\b/(PAGE \/ 1024) . 'k'/er;
}


subtest 'defaults' => sub {
    my ($depth) = slurp('src/wire/llm_json.h')
        =~ /define LLM_JSON_DEPTH +(\d+)/;
    my %merged;

    for my $text (map { slurp(s{^\Q$root\E/}{}r) } glob "$root/src/nginx/*.c")
    {
        while ($text =~ /ngx_conf_merge_(\w*?)_?value\(
                         conf->(?:upstream\.)?(\w+),\s*
                         prev->[\w.]+,\s*([^;]+?)\)\s*;/gx)
        {
            $merged{$2} = [ $1, $3 ];
        }
    }

    my $checked = 0;

    for my $name (sort keys %entry) {
        my ($value) = of_the_platform($entry{$name})
            =~ /^Default: $name (.*);$/m or next;
        my $found = $merged{ $name =~ s/^llm_stream_//r } or next;
        my ($type, $expected) = @$found;

        next if $type =~ /bitmask|ptr/ || $expected eq 'NGX_CONF_UNSET';

        $expected =~ s/LLM_JSON_DEPTH/$depth/;
        $expected =~ s/^"(.*)"$/$1/;
        $expected =~ s/^\(size_t\) ngx_pagesize$/PAGE/e;
        $expected =~ s/^NGX_LLM_STREAM_LOG_(\w+)$/lc $1/e;
        $expected = $1 * $2 if $expected =~ /^(\d+) \* (\d+)$/;
        $value =~ s/m$/M/ if $type eq 'size';

        is(number($value), $expected, "$name: $value");
        $checked++;
    }

    cmp_ok($checked, '>=', 18, 'enough were compared');

    my $lines = join "\n", map { of_the_platform($_) }
        $directives =~ /^Default: (llm_stream.*;)$/mg;

    passes("http {\n$lines\n}", 'all together');
};


subtest 'next_upstream' => sub {
    my @mask = array($conf_c, 'ngx_llm_stream_next_masks')
        =~ /ngx_string\("(\w+)"\)/g;

    same([ first_column($entry{llm_stream_next_upstream}) ], \@mask,
        'every class');
};


subtest 'headers' => sub {
    my @passed = array(slurp('src/nginx/ngx_llm_stream_header.c'),
        'ngx_llm_stream_allowed') =~ /ngx_string\("([\w-]+)"\)/g;
    my @never = array($conf_c, 'ngx_llm_stream_never')
        =~ /ngx_string\("([\w-]+)"\)/g;
    my ($allowed_text, $never_text) = $entry{llm_stream_pass_header}
        =~ /These pass without it:(.*?)\n\n(These never pass.*?)\n\n/s;

    for my $case ([ $allowed_text, \@passed ], [ $never_text, \@never ]) {
        my ($text, $names) = @$case;
        my @named = map { lc s/\*$//r }
            grep { $_ ne 'nginx -t' } $text =~ /`([^`]+)`/g;

        same(\@named, $names, 'the list');
    }

    my @dropped = array(slurp('src/nginx/ngx_llm_stream_send.c'),
        'ngx_llm_stream_dropped') =~ /"([\w-]+\*)"/g;
    my ($sent) = $entry{llm_stream_set_header} =~ /begins with (.*?)\.\n/s;

    same([ map { lc "$_*" } $sent =~ /`([^`]+)`/g ], \@dropped,
        'prefixes that are not passed on');

    my @foreign = array(slurp('src/nginx/ngx_llm_stream_send.c'),
        'ngx_llm_stream_foreign') =~ /"([\w-]+\*)"/g;
    my ($own) = $entry{llm_stream_set_header} =~ /starts with\n(.*?)\.\n/s;

    same([ map { lc "$_*" } $own =~ /`([^`]+)`/g ], \@foreign,
        'prefixes of other dialects');
};


subtest 'variables' => sub {
    my @vars = array(slurp('src/nginx/ngx_llm_stream_variables.c'),
        'ngx_llm_stream_vars') =~ /ngx_llm_stream_var\((\w+),/g;
    my @named = map { /^\$llm_stream_(\w+)$/ ? $1 : () }
        $variables =~ /^\| `([^`]+)` \| (?!means|`)/mg;

    same(\@named, \@vars, 'every one has a row');
};


subtest 'faults' => sub {
    my (@rows, %ends);

    while ($faults_c =~ /\[LLM_FAULT_(\w+)\]\s*=\s*llm_fault_row\("(\w+)",
                         \s*((?:"[^"]*"\s*)+),\s*"(\w+)",\s*(\w+),
                         \s*(\d+)\)/gx)
    {
        my ($fault, $code, $text, $type, $end, $status)
            = ($1, $2, $3, $4, lc $5, $6);

        $ends{$end} = 1;
        next if $fault eq 'NONE';

        $text = join '', $text =~ /"([^"]*)"/g;
        push @rows, "| `$code` | `$end` | $status | `$type` | $text |";
    }

    my ($ends) = $variables =~ /^(\| `\$llm_stream_end` \| means.*?)\n\n/ms;
    my ($faults) = $variables
        =~ /^(\| `\$llm_stream_error` \| `\$llm_stream_end`.*?)\n\n/ms;
    my @listed = split /\n/, $faults;

    same([ @listed[ 2 .. $#listed ] ], \@rows, 'every one has its row');
    # one that is no fault
    $ends{lc $1} = 1 while $log_c =~ /ctx->end = [^;]*?LLM_END_(\w+)/g;

    same([ grep { !/^\$/ } first_column($ends) ], [ keys %ends ],
        'every ending');
};


subtest 'dialects' => sub {
    my ($table) = $docs{'docs/dialects.md'} =~ /^(\| name \|.*?)\n<!--/ms;
    my %client = $table =~ /^\| \[`([\w-]+)`\]\(#[\w-]+\) \| (\w+) \|/mg;
    my ($syntax) = $entry{llm_stream_client} =~ /^Syntax:  \w+ (.*);$/m;

    # t/docs_dialects.t has this table from the code

    same([ split / \| /, $syntax ],
        [ 'auto', grep { $client{$_} eq 'yes' } keys %client ],
        'llm_stream_client');

    my @providers = array(slurp('src/wire/llm_provider.c'), 'llm_providers')
        =~ /\.name = llm_str\("([\w-]+)"\)/g;
    my ($named) = $entry{llm_stream} =~ /a dialect, (.*?)\./s;

    same([ (grep { $_ ne 'openai' } $named =~ /`([\w-]+)`/g), 'openai' ],
        \@providers, 'llm_stream');
};


# the rows by which auto decides: paths, headers, in the order of the code

subtest 'auto' => sub {
    my $code = slurp('src/nginx/ngx_llm_stream_client.c');
    my ($table) = $docs{'docs/dialects.md'} =~ /^(\| by \| if \|.*?)\n\n/ms;

    for my $case ([ path => 'ngx_llm_stream_paths' ],
        [ header => 'ngx_llm_stream_hints' ])
    {
        my ($by, $name) = @$case;
        my @code = array($code, $name) =~ /ngx_string\("([^"]+)"\)/g;
        my @docs = map { /`([^`]+)`/g } $table =~ /^\| $by \| (.*?) \|/mg;

        is_deeply(\@docs, \@code, "$by: all, in their order");
    }
};


# files, hosts and ports that are there

sub faked {
    my ($text) = @_;
    my $dir = $t->dir;
    my %group = map { $_ => 1 } $text =~ /^\s*upstream (\S+) \{/mg;
    $text =~ s{words=/[^\s;]+}{words=$dir/words}g;

    $text =~ s{(?:file:/|env:)[^\s;]+}{file:$dir/key}g;
    $text =~ s{^(\s*include )\S*/([^\s/;]+)}{$1 . (-f "$LOGS/$2"
        ? "$LOGS/$2" : "$dir/include.conf")}mge;
    $text =~ s{(_certificate\s+)/[^\s;]+}{$1$cert}g;
    $text =~ s{(_certificate_key\s+)/[^\s;]+}{$1$key}g;
    $text =~ s{(_log\s+)/[^\s;]+}{$1$dir/docs.log}g;
    $text =~ s{(listen\s+)[^\s;]+}{$1 . '127.0.0.1:' . $t->port(0)}ge;
    $text =~ s{(https?://)([\w-]+(?:\.[\w-]+)*\.[a-z]+)(?=[/:;?\s])}
              {$1 . ($group{$2} ? $2 : '127.0.0.1')}ge;
    $text =~ s{^(\s*server )[a-z][\w.-]*(:\d+)}{${1}127.0.0.1$2}mg;

    return $text;
}


# nginx accepts it, each statement put where it may stand

sub passes {
    my ($text, $name) = @_;
    my $config = placed($root, faked($text), http => qr/\Q$LOGS\E/);
    my ($status, $output) = $t->check_config($config);

    is($status, 0, $name) or diag($output, $config);

    return;
}


subtest 'configurations' => sub {
    my $count = 0;

    for my $file (sort keys %docs) {
        for my $block (blocks($docs{$file}, 'nginx')) {
            $count++;
            passes($block->{text}, "$file, line $block->{line}");
        }
    }

    cmp_ok($count, '>', 15, 'there are some');

    my ($status) = $t->check_config("%%GLOBALS%%\nevents { }\nhttp {\n"
        . "%%HTTP%%\nserver { location / {\nllm_stream_nosuch on;\n}}}\n");
    isnt($status, 0, 'and a wrong one would be seen');
};


# nginx's module for it is not there: its own directives are taken out, and
# the attributes are headers, so that nginx knows their variables

subtest 'opentelemetry' => sub {
    my @blocks = $docs{'docs/logs.md'} =~ /^```nginx otel\n(.*?)^```$/msg;

    is(scalar @blocks, 1, 'there is one');

    my ($block) = @blocks;
    my $n = $block =~ s/^(\s*)otel_span_attr(\s+[\w.]+\s)/$1add_header$2/mg;

    cmp_ok($n, '>', 8, 'attributes');
    $block =~ s/^\s*otel_exporter \{.*?\}\n//msg;
    $block =~ s/^(\s*)otel_span_name\s/$1add_header X-Name /m;
    $block =~ s/^\s*otel_(?:trace|trace_context)\s[^;]*;\n//mg;
    unlike($block, qr/otel_(?!module)/, 'no other directive of that module');
    passes($block, 'the rest');

    my @known = first_column($docs{'docs/logs.md'} =~ s/`, `/` | x\n| `/gr);
    my %known = map { $_ => 1 } $block =~ /\$llm_stream_(\w+)/g,
        map { /^\$llm_stream_(\w+)/ ? $1 : () } @known;

    same([ grep { $known{$_} } keys %known ], [ array(slurp(
        'src/nginx/ngx_llm_stream_variables.c'), 'ngx_llm_stream_vars')
        =~ /ngx_llm_stream_var\((\w+),/g ],
        'every variable has an attribute, or is named as having none');
};


subtest 'make' => sub {
    my %targets = map { $_ => 1 } slurp('Makefile') =~ /^([a-z][\w-]*):/mg;

    for my $file (sort keys %docs) {
        my %named;

        for my $code ($docs{$file} =~ /^```sh\n(.*?)^```$/msg,
            $docs{$file} =~ /(?<!`)`([^`\n]+)`/g)
        {
            $named{$_} = 1 for $code =~ /^make ([a-z][\w-]*)(?!\S*=)/mg;
        }

        ok($targets{$_}, "$file: make $_") for sort keys %named;
        ok(keys %named >= 4, "$file: names some") if $file eq 'README.md';
    }
};


# the anchor that GitHub makes of a heading

sub anchor {
    my ($heading) = @_;

    $heading = lc $heading;
    $heading =~ s/[^\w\- ]//g;
    $heading =~ tr/ /-/;

    return $heading;
}


subtest 'links' => sub {
    my $count = 0;

    for my $file (sort keys %docs) {
        my ($folder) = $file =~ m{^(.*/)?};
        my $text = $docs{$file} =~ s/^```.*?^```$//msgr;

        while ($text =~ /\]\(([^)\s]+)\)/g) {
            my ($path, $anchor) = $1 =~ /^([^#]*)(?:#(.*))?$/;

            next if $path =~ /^https?:/;

            $path = $path eq '' ? $file : ($folder // '') . $path;
            $count++;

            ok(-e "$root/$path", "$file: $path");
            next if !defined $anchor;

            my %anchors = map { anchor($_) => 1 }
                slurp($path) =~ /^#+ (.*)$/mg;
            ok($anchors{$anchor}, "$file: $path#$anchor");
        }
    }

    cmp_ok($count, '>', 30, 'there are some');
};
