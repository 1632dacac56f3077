#!/usr/bin/perl

# llm-bench through nginx: every client dialect of the module, over HTTP/1.1
# and HTTP/2, with TLS and without.  What it counts is what the mock sent,
# whatever stands between.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Load;

my $root = "$FindBin::Bin/..";

plan skip_all => 'no llm-bench: make bench-tools'
    if !-x LLMTest::Load::binary($root);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock(args => ['--set', 'text=stamp']);
my ($cert, $key) = $t->tls_cert('localhost,127.0.0.1');

my @dialects = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise simple typed text);

# those that cannot say usage: events are counted instead
my %no_usage = map { $_ => 1 } qw(simple text);

$t->set(CERT => $cert, KEY => $key, LOCATIONS => join '', map { <<"EOT" }
        location /$_/ {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client $_;
        }
EOT
    @dialects);

my $config = <<'EOT';
%%GLOBALS%%
worker_processes 1;
events { }
http {
    log_format seen '$connection $server_protocol $uri';
    %%HTTP%%
    access_log %%DIR%%/seen.log seen;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        %%LISTEN_H2_2%%
        %%LISTEN_H2S_3%%
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;

EOT

$t->config($t->expand("$config%%LOCATIONS%%    }\n}\n"))->start;

# base-url of a way to nginx: plain, TLS, HTTP/2, HTTP/2 with TLS

sub url {
    my ($way, $path) = @_;
    my %port = ('http' => 0, 'https' => 1, 'h2c' => 2, 'h2' => 3);

    return ($way =~ /^(?:https|h2)$/ ? 'https' : 'http') . '://127.0.0.1:'
        . $t->port($port{$way}) . "/$path";
}

sub load {
    my ($way, $dialect, @args) = @_;

    return LLMTest::Load->run(root => $root, dir => $t->dir,
        url => url($way, $dialect), args => ['--dialect', $dialect,
            '--num-prompts', 10, '--max-concurrency', 5, @args]);
}

sub counts {
    my ($r) = @_;
    my ($j, $p) = ($r->{json}, $r->{json}{proxy});

    return { status => $r->{status}, completed => $j->{completed},
        output => $j->{total_output_tokens},
        (map { $_ => $p->{$_} }
            qw(events tokens lost duplicated reordered corrupted)) };
}

sub expected {
    my ($tokens, $usage) = @_;

    return { status => 0, completed => 10, output => 10 * $usage,
        events => 10 * $tokens, tokens => 10 * $tokens, lost => 0,
        duplicated => 0, reordered => 0, corrupted => 0 };
}

###############################################################################

for my $dialect (@dialects) {
    subtest $dialect => sub {
        for my $engine (qw(curl raw)) {
            $mock->reset;
            $mock->defaults('tokens=12,itl=1');

            my $r = load('http', $dialect, '--stamps', 12,
                '--engine', $engine);

            is_deeply(counts($r), expected(12, 12), "$engine: each token");
            is($mock->stats->{complete}, 10, 'and the mock sent them');
            is($r->{json}{endpoint_type}, $dialect, 'the dialect');
        }

        # two tokens an event: what usage says is not the events
        $mock->defaults('tokens=12,itl=1,per_event=2');

        my $r = load('http', $dialect, '--stamps', 24);
        my $n = $r->{json}{proxy}{events};

        is($r->{json}{proxy}{tokens}, 240, 'tokens of events of two');
        is($n, $dialect eq 'text' ? 240 : 120, 'their events');
        is($r->{json}{total_output_tokens}, $no_usage{$dialect} ? $n : 240,
            'what usage says, else events');

        $mock->defaults('tokens=12,fault=error-event-mid');
        $r = load('http', $dialect, '--stamps', 12);
        is_deeply([$r->{status}, $r->{json}{failed}], [1, 10],
            'an error is a failure');

        my ($words) = keys %{ $r->{json}{errors_summary} };

        like($words, $dialect eq 'text' ? qr/^Transferred a partial file$/
            : qr/^error event(?:: \S+)?$/, "as it is told: $words");
    };
}

subtest 'a message of more than one dialect is no stream of this one' => sub {
    $mock->reset;
    $mock->defaults('tokens=3');

    my $r = LLMTest::Load->run(root => $root, dir => $t->dir,
        url => url('http', 'openai'), args => ['--dialect', 'simple',
            '--num-prompts', 2]);

    is($r->{status}, 1, 'failed');
    is($r->{json}{proxy}{events}, 0, 'and nothing was taken for content');
};

###############################################################################
# protocols

subtest 'HTTP/2 and TLS' => sub {
    my $ca = $t->tls_ca;

    $mock->reset;
    $mock->defaults('tokens=12,itl=1');

    for my $way (['https'], ['h2c', '--http-version', 2],
        ['h2', '--http-version', 2])
    {
        my ($name, @args) = @$way;
        my $r = load($name, 'openai', '--stamps', 12, '--cacert', $ca, @args);

        is_deeply(counts($r), expected(12, 12), $name);
        is($r->{json}{proxy}{http_version}, @args ? '2' : '1.1', 'told');

        $r = load($name, 'openai', '--stamps', 12, '--cacert', $ca,
            '--processes', 2, @args);
        is_deeply(counts($r), expected(12, 12), "$name, two processes");
    }

    my $r = load('https', 'openai', '--http-version', 2, '--insecure');
    is_deeply($r->{json}{errors_summary}, { 'no HTTP/2' => 10 },
        'a server without HTTP/2 is not measured as one');

    # more than a connection has places for
    $r = load('h2c', 'openai', '--stamps', 12, '--http-version', 2,
        '--num-prompts', 150, '--max-concurrency', 130);
    is_deeply([@{ counts($r) }{qw(completed events)}], [150, 1800],
        'more streams than a connection has places');

    $r = load('https', 'openai', '--stamps', 12);
    is($r->{status}, 1, 'an unknown CA: failed');
    like((keys %{ $r->{json}{errors_summary} })[0], qr/certificate/,
        'and why');

    $r = load('https', 'openai', '--stamps', 12, '--insecure');
    is_deeply(counts($r), expected(12, 12), '--insecure');
};

# A stream that waits keeps its place on the one connection.

subtest 'HTTP/2 streams share a connection' => sub {
    $mock->reset;
    $mock->defaults('tokens=5,itl=2');

    # a path of its own: lines of former runs may still come
    my $r = LLMTest::Load->run(root => $root, dir => $t->dir,
        url => url('h2c', 'openai/shared'), args => ['--stamps', 5,
            '--http-version', 2, '--num-prompts', 10,
            '--max-concurrency', 10]);

    is_deeply(counts($r), expected(5, 5), 'all came');
    ok($t->wait_for(sub { 10 == seen() }), 'all in the log');

    my %connections = map { (split)[0] => 1 } seen();

    is(scalar keys %connections, 1, 'one connection');
    is(scalar(grep { !m{HTTP/2} } seen()), 0, 'of HTTP/2');
};

sub seen {
    my @lines = $t->read_file('seen.log') =~ m{^(.* /openai/shared/.*)\n}mg;

    return @lines;
}

# nginx behind a provider that cuts its streams

subtest 'broken streams over HTTP/2' => sub {
    $mock->reset;

    for my $fault (qw(rst-mid-event fin-chunked-incomplete status=502)) {
        $mock->defaults("tokens=9," . ($fault =~ /=/ ? $fault
            : "fault=$fault"));

        my $r = load('h2c', 'openai', '--stamps', 9, '--http-version', 2);

        is($r->{status}, 1, "$fault: failed");
        is($r->{json}{failed}, 10, 'each of them');
    }
};

$t->finish;
