#!/usr/bin/perl

# docs/operations.md: its set-ups run as the page has them, but for addresses,
# files and shorter times; its figures, defaults and names of metrics are those
# of the benchmark, the reference and the code.  The page's fronts, a balancer
# with two nodes, are t/operations_nodes.t's.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Guide;
use LLMTest::Load;
use LLMTest::Wait qw(slow);

my $PATH = '/v1/chat/completions';
my $PAGE = 'docs/operations.md';


sub slurp {
    my ($file) = @_;

    open my $fh, '<:encoding(UTF-8)', LLMTest->root . "/$file"
        or die "$file: $!\n";
    local $/ = undef;

    return scalar readline $fh;
}


sub guide {
    my (%o) = @_;
    my $t = LLMTest->new(log_level => 'info');
    my $mock = $t->mock(tls => 1, tls_name => 'api.openai.com');
    my $g = LLMTest::Guide->new($t, $PAGE, %o,
        hosts => { 'api.openai.com' => $mock });

    return ($t, $g, $mock);
}


# one wait for a stream that the mock has begun

sub begun {
    my ($mock, @ids) = @_;

    ok($mock->wait(id => $_, events => 1), "$_: begun") for @ids;

    return;
}


subtest 'figures' => sub {
    my $page = slurp($PAGE);
    my $results = slurp('benchmarks/RESULTS.md');

    like($results, qr/17\.7\ with\ 1,000,\ 5,000\ and\ 9,950\ streams;
        \ the\ module\ 20\.7,\ 21\.0\ and\ 21\.0/x, 'memory of a stream');
    like($results, qr/^module-openai +21 .* 28\.68  /m, 'time of an event');
    like($results, qr/some 20 us are the kernel's/, 'of which the kernel');
    like($results, qr/60,000 instructions in the module and 30,000 in plain/,
        'a request');
    like($results, qr/carry 20,000 events a second here/, 'what was tried');

    for my $figure ('+1,211', '+3,117', '+7,545') {
        like($_, qr/ \Q$figure\E /, "$figure instructions")
            for $page, $results;
    }

    my $events = sprintf '%d,%03d', map { int $_ / 1000, $_ % 1000 }
        100 * int 10_000 / 28.7;

    like($page, qr/1 s \/ 28\.7 µs = \Q$events\E /, 'events a second');
    like($page, qr/17,400 \/ 50 = 348\./, 'streams on a core');
    is(17_400 / 20, 870, 'slower ones');
    is(10_000 * 21, 210_000, 'kB of 10,000 streams');
    like($page, qr/28,232 of them \(32768 to 60999\)/, 'ports');
    is(60_999 - 32_768 + 1, 28_232, 'so many');
    is(65_535 - 10_240 + 1, 55_296, 'and with more');
};


subtest 'limits in time' => sub {
    my ($t, $g, $mock) = guide(scale => 50 / slow());
    my $heading = 'Limits in time';
    my $reference = slurp('docs/directives.md');
    my $n = 0;

    for my $row ($g->rows($heading)) {
        my ($name) = $row->[1] =~ /^`(llm_stream_\w+)`/ or next;

        like($reference, qr/^Default: $name \Q$row->[2]\E;$/m,
            "$name: the default");
        $n++;
    }

    is($n, 5, 'each of the module');

    my @rows = $g->rows($heading, 1);

    for my $column (1 .. 3) {
        my $conf = join '', map { $_->[0] =~ s/`//gr . " $_->[$column];\n" }
            @rows;
        my ($status, $output)
            = $t->check_config($g->conf({ 8080 => $conf }));

        is($status, 0, "column $column is accepted") or diag($output);
    }

    # gate and heartbeat alone are short: the others would be limits for the
    # machine
    my $block = $g->block($heading) =~ s/_timeout +\K\d+[sm];/60m;/gr;

    $g->again({ 8080 => $block });

    my $s = $g->ask($PATH, mock => 'fault=stall-after-headers');
    my @said = map { $s->read_event(30, comments => 1)->{comment} } 1 .. 2;

    # nginx before 1.23 needs a line to send the header
    like("@said", qr/\A(?:open|hb) hb\z/,
        'a model that says nothing yet: a header and heartbeats');
    $s->close;
    $s = $g->ask($PATH, mock => 'lockstep=time');
    ok(LLMTest::Guide::streams($s, $mock, 'time'), 'and then it streams');
    $s->close;
    $t->finish;
};


subtest 'connections to the provider' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('Connections to the provider');
    my %count;

    my $new = LLMTest::Guide::without($block, qr/^ *keepalive/)
        =~ s/\{\n\K/$g->no_keepalive . "\n"/er;

    for my $case ([ kept => $block ], [ new => $new ]) {
        my ($name, $conf) = @$case;

        $g->again({ 8080 => $conf });
        $mock->reset;
        is($g->get($PATH)->{status}, 200, "$name: a stream") for 1 .. 5;

        my %seen = map { $_->{connection} => $_ } $mock->requests(5);
        $count{$name} = keys %seen;
        is($_->{sni}, 'api.openai.com', "$name: SNI") for values %seen;

        # one that was not read to its end is closed
        my $s = $g->ask($PATH, mock => "lockstep=$name");
        begun($mock, $name);
        $s->abort;
        ok($mock->wait(aborts => 1), "$name: closed with its client");
    }

    is_deeply(\%count, { kept => 1, new => 5 }, 'connections');
    $t->finish;
};


# the descriptors of a worker; streams that are open take that many each

subtest 'descriptors' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('Connections and descriptors');
    my $tls = $g->block('TLS and HTTP/2 for clients');

    $tls =~ s/ http2;/;\n    http2 on;/ if $t->has_version('1.25.1');
    $block =~ s/processes auto/processes 1/ or die 'no worker_processes';
    $g->again({ 8080 => "${block}location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n",
        443 => $tls });

    my ($worker) = $t->workers;

    # a worker that serves has set its limits and has all that it opens for
    # itself; the stream stays, as nginx closes what is over a little later
    my $first = $g->ask($PATH, mock => 'lockstep=first');
    begun($mock, 'first');

    open my $fh, '<', "/proc/$worker/limits" or die "limits: $!";
    my ($limit) = map { /^Max open files +(\d+)/ } readline $fh;
    close $fh;
    is($limit, 16_384, 'worker_rlimit_nofile');

    my $before = $t->fds($worker);
    my @s = map { $g->ask($PATH, mock => "lockstep=one$_") } 1 .. 10;
    begun($mock, map { "one$_" } 1 .. 10);
    is($t->fds($worker) - $before, 20, 'HTTP/1.1: two for a stream');
    $_->close for @s;
    ok($t->wait_for(sub { $t->fds($worker) == $before }), 'all closed');

    my $h2 = $t->h2(port => $t->port(443),
        tls => { ca => $t->tls_ca, name => 'localhost' });
    @s = map { $g->ask($PATH, on => $h2, port => 443,
        mock => "lockstep=two$_") } 1 .. 10;
    begun($mock, map { "two$_" } 1 .. 10);
    is($t->fds($worker) - $before, 11, 'HTTP/2: one, and one for all');
    ok(LLMTest::Guide::streams($s[0], $mock, 'two1'), 'which streams');
    $_->close for $first, @s;
    $t->finish;
};


# the session of one connection serves another one

subtest 'TLS sessions' => sub {
    my ($t, $g) = guide();
    my $tls = $g->block('TLS and HTTP/2 for clients');
    my $session = $t->dir . '/session';

    $tls =~ s/ http2;/;\n    http2 on;/ if $t->has_version('1.25.1');

    my $cacheless = LLMTest::Guide::without($tls, qr/session_cache/);
    my $ticketless = '    ssl_session_tickets off;';

    for my $case ([ 'Reused', 'as the page says', $tls ],
        [ 'Reused', 'by tickets', $cacheless ],
        [ 'Reused', 'by the cache', $tls =~ s/\{\n/{\n$ticketless\n/r ],
        [ 'New', 'by neither', $cacheless =~ s/\{\n/{\n$ticketless\n/r ])
    {
        my ($how, $name, $conf) = @$case;

        $g->again({ 443 => $conf });

        my $client = 'openssl s_client -tls1_2 -connect 127.0.0.1:'
            . $t->port(443);
        my ($out, $in) = map {
            scalar qx{$client -sess_$_ $session </dev/null 2>&1}
        } 'out', 'in';

        like($out, qr/^New, TLSv1\.2/m, "$name: a first connection");
        like($in, qr/^$how, TLSv1\.2/m, "$name: a second one");
    }

    $t->finish;
};


# what a request of 200 kB takes of the worker: while it waits for a header,
# and when its stream has begun

subtest 'long prompts' => sub {
    plan skip_all => 'valgrind\'s own memory hides nginx\'s'
        if $ENV{TEST_NGINX_VALGRIND} || $ENV{TEST_NGINX_PRELOAD};

    my ($t, $g, $mock) = guide();
    my @body = (json => { messages => [ { role => 'user',
        content => 'x' x 200_000 } ] });
    my %each;

    $g->again({ 8080 => "location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n" });
    is($g->get($PATH, @body)->{status}, 200, 'a stream');

    for my $case ([ waits => 'fault=stall-before-headers' ],
        [ begun => 'lockstep' ])
    {
        my ($name, $how) = @$case;
        my $before = $t->rss;
        my @s = map { $g->ask($PATH, @body, mock => $name eq 'waits'
            ? "$how id=$name$_" : "$how=$name$_") } 1 .. 20;

        ok($mock->wait(open => 20), "$name: all at the provider");

        if ($name eq 'begun') {
            ok(LLMTest::Guide::streams($s[$_ - 1], $mock, "$name$_"),
                "$name: stream $_") for 1 .. 20;
        }

        $each{$name} = ($t->rss - $before) / 20;
        $_->close for @s;
        ok($mock->wait(open => 0), "$name: over");
    }

    cmp_ok($each{waits}, '>', 150_000, 'held while it waits');
    cmp_ok($each{begun}, '<', 100_000, 'given back when it has begun');
    $t->finish;
};


# a stream that is open, with two tokens read

sub live {
    my ($g, $mock, $id, %o) = @_;
    my $s = $g->ask($PATH, mock => "lockstep=$id tokens=9", %o);

    ok(LLMTest::Guide::streams($s, $mock, $id), "$id: a stream");

    return $s;
}


sub ends {
    my ($s, $mock, $id) = @_;

    $mock->ack($id, 100);
    is($s->wait_end, 'complete', "$id: goes on to its end");
    like($s->body, qr/\[DONE\]/, "$id: whole");
    $s->close;

    return;
}


subtest 'reload' => sub {
    my ($t, $g, $mock) = guide(scale => 600 / slow());
    my $block = $g->block('Reload and shutdown');
    my $node = "location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n";

    $g->again({ 8080 => $node });
    my $s = live($g, $mock, 'long');
    $g->again({ 8080 => $node });
    is(scalar(my @w = $t->workers), 2, 'the old worker stays');
    ends($s, $mock, 'long');
    ok($t->wait_for(sub { my @left = $t->workers; return @left == 1 }),
        'and leaves');

    # the limit is that of the configuration the worker began with
    $g->again({ 8080 => $block . $node });
    $s = live($g, $mock, 'cut');
    $g->again({ 8080 => $block . $node });
    ok(defined $s->wait_end(30), 'after worker_shutdown_timeout it ends');
    isnt($s->ended, 'complete', 'without the end of HTTP');
    unlike($s->body, qr/\[DONE\]|error/, 'or any word of it');
    ok($t->wait_log(qr/"internal" "server_shutdown"/, file => 'guide.log'),
        'as the log says');
    $t->finish;
};


subtest 'shutdown' => sub {
    my ($t, $g, $mock) = guide();
    my $node = "location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n";
    my $unit = $g->block('Reload and shutdown', lang => 'ini');
    my ($signal) = $unit =~ /^KillSignal=SIG(\w+)$/m;

    $g->again({ 8080 => $node });
    my $s = live($g, $mock, 'quit');
    my $mark = $t->log_mark;
    $t->signal($signal);
    ok($t->wait_log(qr/gracefully shutting down/, from => $mark),
        "$signal: nginx is to leave");
    ends($s, $mock, 'quit');
    ok(defined $t->wait_exit(30), 'and is gone');

    # a worker that takes longer than a second or two is killed by its master
    $t->allow_log(qr/exited on signal 9/);
    $t->start;
    $s = live($g, $mock, 'term');
    $t->signal('TERM');
    ok(defined $t->wait_exit(30), 'TERM: gone at once');
    $s->wait_end;
    unlike($s->body, qr/\[DONE\]/, 'with its streams');
    $t->finish;
};


# runs a block of the page's commands

sub run_sh {
    my ($t, $text) = @_;
    my $dir = $t->dir;

    $text =~ s{/var/log/nginx/}{$dir/}g;
    $text =~ s{/run/nginx\.pid}{$dir/nginx.pid}g;
    $text =~ s{\bbuild/}{$t->root . '/build/'}ge;
    $text =~ s{(127\.0\.0\.1:|--port )(\d+)}{ $1 . $t->port($2) }ge;

    open my $out, '-|', 'sh', '-ec', "exec 2>&1\n$text" or die "sh: $!";
    my $output = join '', readline $out;
    my $ok = close $out;

    return ($ok, $output);
}


subtest 'log rotation' => sub {
    my ($t, $g, $mock) = guide();
    my $rotate = $g->block('Logs', lang => 'sh');
    my %conf = (http => 'log_format llm \'$uri $llm_stream_end\';'
        . " access_log %%DIR%%/llm.log llm;\n");
    my $node = "location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n";

    $g->again({ 8080 => $node }, %conf);
    is($g->get($PATH)->{status}, 200, 'a request before');
    ok($t->wait_log(qr/complete/, file => 'llm.log'), 'is in the log');

    my $old = live($g, $mock, 'old');
    $g->again({ 8080 => $node }, %conf);
    my $s = live($g, $mock, 'now');

    my ($ok, $output) = run_sh($t, $rotate);
    ok($ok, 'rotated') or diag($output);
    ok($t->wait_for(sub { -e $t->dir . '/llm.log' }), 'a new file');

    # the master has it first, each worker when it gets the word
    ok($t->wait_for(sub {
        return !grep { (readlink($_) // '') =~ /llm\.log\.1$/ }
            map { glob "/proc/$_/fd/*" } $t->workers;
    }), 'which all workers open');

    for my $case ([ now => $s ], [ old => $old ]) {
        my $n = () = $t->read_file('llm.log') =~ /complete/g;

        ends($case->[1], $mock, $case->[0]);
        ok($t->wait_for(sub { $n + 1
            == (() = $t->read_file('llm.log') =~ /complete/g) }),
            "$case->[0]: logged in the new file");
    }

    is(scalar(() = $t->read_file('llm.log.1') =~ /complete/g), 1,
        'and the old one has what was before');
    $t->finish;
};


subtest 'before production' => sub {
    my ($t, $g) = guide();
    my $heading = 'Before production';
    my $load = $g->block($heading, lang => 'sh');

    plan skip_all => 'no llm-bench: make bench-tools'
        if !-x LLMTest::Load::binary($t->root);

    # the amounts alone are smaller
    my %less = ('--num-prompts 1000' => '--num-prompts 20',
        '--max-concurrency 500' => '--max-concurrency 10',
        '--stamps 200' => '--stamps 20',
        'tokens=200 ttft=500 itl=20' => 'tokens=20 ttft=10 itl=1');

    for my $many (sort keys %less) {
        $load =~ s/\Q$many\E/$less{$many}/ or die "no $many";
    }

    $g->again({ 8080 => $g->block($heading) });

    my ($ok, $output) = run_sh($t, $load);
    ok($ok, 'the commands run') or diag($output);
    like($output, qr/^Successful requests: +20$/m, 'all are answered');
    like($output, qr{: +0 / 0 / 0 / 0$}m, 'nothing is lost');
    $t->finish;
};


subtest 'metrics' => sub {
    my %known = map { $_ => 1 } qw(requests_total errors_total streams_open
        zone_lost_total zone_age_seconds info),
        slurp('src/stage/llm_counts.c') =~ /"([a-z_]+_total)"/g,
        slurp('src/stage/llm_hist.c') =~ /llm_hist_str\("([a-z_]+)"\)/g;
    my @named = slurp($PAGE) =~ /`nginx_llm_stream_(\w+)`/g;

    cmp_ok(scalar @named, '>=', 10, 'there are some');
    ok($known{$_}, "nginx_llm_stream_$_") for @named;
};


subtest 'every command of the page is run' => sub {
    my $t = LLMTest->new;
    my $page = LLMTest::Guide->new($t, $PAGE);
    my @with = grep { $page->section($_) =~ /^```sh$/m } $page->headings;

    is_deeply(\@with, [ 'Logs', 'Before production' ], 'by this file');
};
