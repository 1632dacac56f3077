#!/usr/bin/perl

# llm_stream_status and Prometheus: promtool has nothing to say about the
# text, and a real Prometheus that scrapes nginx answers PromQL with the
# numbers that the clients and the mock have counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Metrics;
use LLMTest::Prometheus;

LLMTest::Prometheus::need();

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;

$t->config(<<'EOT')->start;
%%GLOBALS%%
worker_processes 2;
events { }
http {
    %%HTTP%%
    llm_stream_zone metrics:8m;
    log_format sent '$llm_stream_request_model $body_bytes_sent';
    access_log %%DIR%%/sent.log sent;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name llm.example;

        location /v1/ { llm_stream openai http://%%MOCK%%; }
        location /dead/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }
        location = /metrics { llm_stream_status; }
    }
}
EOT

my $prometheus = LLMTest::Prometheus->new($t, scrape => $t->port(0));


# one request, to its end

sub chat {
    my ($location, $model, $options) = @_;
    my $s = $t->open(method => 'POST', path => "/$location/chat/completions",
        headers => { 'X-Mock' => $options // '' },
        body => { model => $model, stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    $s->wait_end;

    return;
}


# what the scraped numbers are to be, as PromQL adds them up

my $hostile = "a\"b\\c</script>\x{e9}\x{2028}{}";

utf8::encode(my $wire = $hostile);

chat('v1', 'model-a', 'tokens=5 usage=force') for 1 .. 3;
chat('v1', 'model-b', 'tokens=7 usage=force');
chat('v1', $hostile, 'tokens=2');
chat('v1', 'model-a', 'tokens=5 fault=fin-chunked-incomplete');
chat('v1', 'no-such-model', 'status=500');
chat('dead', 'model-a');

# with the framing of HTTP/1.1, as nginx counts
my ($sent) = $t->wait_log(qr/^model-b (\d+)$/m, file => 'sent.log')
    =~ /^model-b (\d+)$/m;

my %WANT = (
    'sum(nginx_llm_stream_requests_total)' => 8,
    'sum(nginx_llm_stream_requests_total{location="/v1/"})' => 7,
    'sum(nginx_llm_stream_requests_total{end="complete",model="model-a"})'
        => 3,
    'sum(nginx_llm_stream_requests_total{end="truncated",model="model-a"})'
        => 1,
    'sum(nginx_llm_stream_requests_total{end="unreachable",'
        . 'location="/dead/",model="other"})' => 1,
    'sum(nginx_llm_stream_errors_total{error="upstream_error",'
        . 'model="other"})' => 1,
    'sum(nginx_llm_stream_upstream_errors_total{class="http_5xx"})' => 1,
    'sum(nginx_llm_stream_streaming_requests_total{server="llm.example"})'
        => 8,
    'sum(nginx_llm_stream_tokens_total{type="output",source="usage",'
        . 'model="model-a"})' => 15,
    'sum(nginx_llm_stream_tokens_total{type="output",source="usage",'
        . 'model="model-b"})' => 7,
    'sum(nginx_llm_stream_sent_bytes_total{model="model-b"})' => $sent,
    'sum(nginx_llm_stream_chunks_total{model="model-b"})' => 7,
    'sum(nginx_llm_stream_time_to_first_token_seconds_count'
        . '{model="model-b"})' => 1,
    'sum(nginx_llm_stream_inter_token_latency_seconds_count'
        . '{model="model-b"})' => 6,
    'sum(nginx_llm_stream_chunk_size_characters_bucket{le="+Inf",'
        . 'model="model-b"})' => 7,
    'sum(nginx_llm_stream_streams_open)' => 0,
    'nginx_llm_stream_zone_lost_total' => 0,
    'up{job="nginx_llm_stream"}' => 1,
);

LLMTest::Metrics->wait_sum($t, 8, 'requests_total');

subtest 'PromQL' => sub {
    # the scrape that has all of it has the rest, too

    $prometheus->wait_value('sum(nginx_llm_stream_requests_total)', 8);

    for my $expr (sort keys %WANT) {
        is($prometheus->wait_value($expr, $WANT{$expr}), $WANT{$expr}, $expr);
    }
};


# labels come back as they were sent

subtest 'labels' => sub {
    my @found;

    # nothing has a value after a scrape that failed
    $t->wait_for(sub { @found = $prometheus->query(
        'nginx_llm_stream_requests_total{end="complete"} > 0') }, 60);

    my %seen = map { $_->{metric}{model} => $_ } @found;

    ok($seen{$hostile}, 'a model with characters that have to be escaped')
        or diag(join ' ', sort keys %seen);
    is_deeply([ sort keys %{ $found[0]{metric} } ], [ sort qw(__name__ end
        instance job location model server upstream) ], 'all labels');
};


# a histogram is one for Prometheus: a quantile lies within its buckets

subtest 'quantiles' => sub {
    for my $name (qw(time_to_first_token_seconds inter_token_latency_seconds
        request_duration_seconds chunk_size_characters))
    {
        my $q = $t->wait_for(sub {
            $prometheus->value('histogram_quantile(0.5, sum by (le) '
                . "(nginx_llm_stream_${name}_bucket))");
        }, 60) // 'none';

        like($q, qr/^[\d.e-]+$/, "$name: $q");
    }
};


# a client goes away, and a scrape later it is known

subtest 'while a stream runs' => sub {
    my $s = $t->open(method => 'POST', path => '/v1/chat/completions',
        headers => { 'X-Mock' => 'lockstep=one tokens=3' },
        body => { model => 'model-b', stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    is($prometheus->wait_value('sum(nginx_llm_stream_streams_open)', 1), 1,
        'it is open');
    $s->close;
    is($prometheus->wait_value('sum(nginx_llm_stream_requests_total'
        . '{end="client_abort"})', 1), 1, 'it was left');
    is($prometheus->wait_value('sum(nginx_llm_stream_streams_open)', 0), 0,
        'none is open');
};


subtest 'promtool' => sub {
    my $text = $t->get('/metrics')->{body};
    my ($status, $said) = LLMTest::Prometheus->promtool($t,
        [ 'check', 'metrics' ], $text);

    is($status, 0, 'check metrics');
    is($said, '', 'no word of its linter');

    ($status, $said) = LLMTest::Prometheus->promtool($t,
        [ 'check', 'metrics' ], $text =~ s/^# HELP .*\n//mr);
    isnt("$status $said", '0 ', 'which has one when there is reason');
};

ok($prometheus->stop, 'Prometheus ended when asked to');


$t->finish;
