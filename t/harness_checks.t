#!/usr/bin/perl

# The helper library's checks at the end of a test, and its cleaning up: each
# case runs a small test of its own and looks at what that says, and at what
# it leaves behind.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $count = 0;

my $head = <<'EOT';
use strict;
use warnings;
use Test::More;
use LLMTest;

my $t = LLMTest->new(module => 0, PLAN);
my $u = $t->upstream;

$t->config(<<'CONF')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://%%UPSTREAM%%; proxy_buffering off; }
        location /plain { return 200 "hello\n"; }
    }
}
CONF

print '# pids ', join(' ', $t->pid, $t->workers, $u->pid), "\n";
print '# dir ', $t->dir, "\n";
EOT


# starts a test made of the head and these lines; the process and its output

sub start_test {
    my ($body, %o) = @_;
    my $file = "$dir/" . ++$count . '.t';
    my $text = $head =~ s/PLAN/$o{plan} || ''/er;

    open my $fh, '>', $file or die "$file: $!";
    print $fh $text, $body, "\n";
    close $fh or die "$file: $!";

    # the limits of a test that is to fail need not be long
    my $proc = LLMTest::Proc->spawn(
        cmd => [ $^X, "-I$FindBin::Bin/lib", $file ],
        stdout => "$file.out", stderr => "$file.out",
        env => { LLM_TEST_SLOW => $o{slow} // 1, TMPDIR => $dir },
    );

    return ($proc, "$file.out");
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/ = undef;
    my $text = readline $fh // '';
    close $fh;

    return $text;
}


# its exit status and output

sub run_test {
    my ($body, %o) = @_;
    my ($proc, $out) = start_test($body, %o);
    my $status = $proc->wait_exit(60);

    die 'the test does not end' if !defined $status;

    return ($status, slurp($out));
}


sub pids {
    my ($output) = @_;
    my ($pids) = $output =~ /^# pids (.*)$/m;

    return split ' ', $pids // '';
}


sub nothing_left {
    my ($output, $name) = @_;
    my @pids = pids($output);
    my ($temp) = $output =~ /^# dir (.*)$/m;

    cmp_ok(scalar @pids, '>=', 3, "$name: there were processes");
    ok(wait_for(sub { !grep { kill(0, $_) } @pids }),
        "$name: no process is left");
    return $temp;
}


subtest 'a good test' => sub {
    my ($status, $output) = run_test(<<'EOT');
is($t->get('/plain')->{status}, 200, 'answer');
EOT

    is($status, 0, 'succeeds') or diag($output);
    like($output, qr/^1\.\.5$/m, 'with the four checks');

    my $temp = nothing_left($output, 'good');
    ok(!-e $temp, 'nor the directory');
};


subtest 'with a plan' => sub {
    my ($status, $output) = run_test(<<'EOT', plan => 'plan => 1');
is($t->get('/plain')->{status}, 200, 'answer');
EOT

    is($status, 0, 'succeeds') or diag($output);
    like($output, qr/\A1\.\.5$/m, 'the plan has the checks in it');

    ($status) = run_test("ok(1);\n", plan => 'plan => 2');
    isnt($status, 0, 'a test less fails');
};


subtest 'a test that fails' => sub {
    my ($status, $output) = run_test("ok(0, 'bad');\n");

    isnt($status, 0, 'fails');
    like($output, qr/^not ok 1 - bad$/m, 'for its own reason');
    nothing_left($output, 'failed');
};


subtest 'skip_all' => sub {
    my ($status, $output) = run_test("plan(skip_all => 'why');\n");

    is($status, 0, 'succeeds');
    like($output, qr/^1\.\.0 # SKIP why$/m, 'is skipped');
    unlike($output, qr/^(?:not )?ok/m, 'without checks');
    nothing_left($output, 'skipped');
};


my $killed = <<'EOT';
my ($worker) = $t->workers;
kill 'KILL', $worker;
$t->wait_log(qr/exited on signal 9/);
ok(1, 'a test');
EOT

subtest 'an alert' => sub {
    my ($status, $output) = run_test($killed);

    isnt($status, 0, 'fails');
    like($output, qr/^not ok \d+ - no alerts in the error log$/m, 'is found');
    like($output, qr/\[alert\] .* exited on signal 9/, 'is shown');

    ($status, $output)
        = run_test("\$t->allow_log(qr/exited on signal 9/);\n$killed");
    is($status, 0, 'may be allowed') or diag($output);

    ($status, $output)
        = run_test("\$t->allow_log(qr/something else/);\n$killed");
    isnt($status, 0, 'only by its own words');

    ($status, $output) = run_test(<<'EOT');
$t->get('/plain?[alert]%20[crit]');
ok(1, 'a test');
EOT
    is($status, 0, 'the word in a request is none') or diag($output);
};


subtest 'findings of other tools' => sub {
    my %finding = (
        'nginx.stderr' => 'a.c:3:5: runtime error: signed integer overflow',
        'mock1.stderr' => 'SUMMARY: AddressSanitizer: heap-use-after-free a.c',
        'valgrind.12.log' => '==12== ERROR SUMMARY: 2 errors from 1 contexts',
        'valgrind.13.log' => '==13== Invalid read of size 8',
    );

    for my $name (sort keys %finding) {
        my ($status, $output) = run_test(<<"EOT");
\$t->write_file('$name', "$finding{$name}\\n");
ok(1, 'a test');
EOT

        isnt($status, 0, "$name: fails");
        like($output, qr/^not ok \d+ - no findings of valgrind/m,
            "$name: is found");
        like($output, qr/\Q$name: $finding{$name}\E/, "$name: is shown");
    }

    my ($status, $output) = run_test(<<'EOT');
$t->write_file('valgrind.12.log', "==12== ERROR SUMMARY: 0 errors\n");
ok(1, 'a test');
EOT
    is($status, 0, 'no error is none') or diag($output);
};


subtest 'a secret in a log' => sub {
    my %leak = (
        'access log' => q{$t->get('/plain?key=sk-CANARY-1');},
        'error log' =>
            q{$t->http('GET', '/plain', { 'X-Key' => 'sk-CANARY-1' });},
        'output of nginx -t' => q{$t->check_config("sk-CANARY-1 on;");},
    );

    for my $name (sort keys %leak) {
        my ($status, $output) = run_test(<<"EOT");
\$t->canary('sk-CANARY-1');
$leak{$name}
ok(1, 'a test');
EOT

        isnt($status, 0, "$name: fails");
        like($output, qr/^not ok \d+ - no secret in a log$/m,
            "$name: is found");
    }

    my ($status, $output) = run_test(<<'EOT');
$t->canary('sk-CANARY-1');
$t->write_file('key.txt', 'sk-CANARY-1');
$t->get('/plain?key=another');
ok(1, 'a test');
EOT
    is($status, 0, 'a file that is no log may have it') or diag($output);
};


subtest 'nginx that does not quit' => sub {
    my ($status, $output) = run_test(<<'EOT', slow => 0.1);
kill 'STOP', $t->workers;
ok(1, 'a test');
EOT

    isnt($status, 0, 'fails');
    like($output, qr/^not ok \d+ - nginx quit when asked to$/m, 'is said');
    nothing_left($output, 'stuck');
};


subtest 'a live stream at the end' => sub {
    my ($status, $output) = run_test(<<'EOT');
my $s = $t->open(path => '/');
my ($p) = $u->take;
$p->sse_head;
is($s->read_headers, 200, 'a stream');
EOT

    is($status, 0, 'is no fault') or diag($output);
    nothing_left($output, 'live');
};


subtest 'a test that dies' => sub {
    my ($status, $output) = run_test("ok(1, 'a test');\ndie 'on purpose';\n");

    isnt($status, 0, 'fails');
    like($output, qr/on purpose/, 'says why');
    nothing_left($output, 'died');
};


my $stuck = <<'EOT';
$| = 1;
print "# ready\n";
my $s = $t->open(path => '/');
$s->read_headers(100);
EOT

for my $signal (qw(INT TERM KILL)) {
    subtest "a test ended by SIG$signal" => sub {
        my ($proc, $out) = start_test($stuck);

        ok(wait_for(sub { slurp($out) =~ /# ready/ }), 'runs');
        kill $signal, $proc->pid;

        my $status = $proc->wait_exit(30);
        isnt($status // 0, 0, 'fails');
        nothing_left(slurp($out), $signal);
    };
}


subtest 'a test that makes a second object' => sub {
    my ($status, $output) = run_test(<<'EOT');
{
    my $other = LLMTest->new(module => 0);
    $other->config("%%GLOBALS%%\nevents { }\n")->start;
    print '# other ', $other->pid, "\n";
}
is($t->get('/plain')->{status}, 200, 'the first one goes on');
EOT

    is($status, 0, 'succeeds') or diag($output);
    like($output, qr/^1\.\.9$/m, 'with the checks of both');

    my ($pid) = $output =~ /^# other (\d+)$/m;
    ok($pid && !kill(0, $pid), 'the second is gone');
};


done_testing();
