#!/usr/bin/perl

# The retry budget: so many of an upstream's requests are sent again and no
# more, counted over all its locations, in the last ten seconds; what is safe
# to send again is not counted.  The clock of nginx stands still but for what
# a test says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(hello wire answer_json);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my @u = map { $t->upstream } 1, 2;
my $clock = LLMTest::Clock->new($t);

# each test has upstreams of its own, and with them budgets
my @NAMES = qw(default half off all shared named time stream);

sub location {
    my ($path, $to, $more) = @_;

    return <<"EOT";
        location $path {
            llm_stream openai http://$to;
            llm_stream_next_upstream error http_503 stream_error;
            $more
        }
EOT
}


my $upstreams = join '', map { <<"EOT" } @NAMES;
    upstream $_ {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
EOT

my $locations = location('/default', 'default', '')
    . location('/half', 'half', 'llm_stream_retry_budget 50%;')
    . location('/off', 'off', 'llm_stream_retry_budget off;')
    . location('/all', 'all', 'llm_stream_retry_budget 100%;')
    . location('/shared', 'shared', '')
    . location('/shared_too', 'shared', '')
    . location('/time', 'time', '')
    . location('/stream', 'stream', '')
    . location('/variable', '$arg_to', '')
    . location('/dead', 'refused', '')
    . location('/fallback', '%%UPSTREAM%%', 'llm_stream_fallback '
        . 'non_stream; llm_stream_next_upstream off;');

$t->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    llm_stream_client openai;
$upstreams
    upstream refused {
        server 127.0.0.1:%%DEAD_PORT%% max_fails=0;
        server %%UPSTREAM%% backup max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
    }
}
EOT

my $BUSY = [ send => LLMTest::Upstream::answer(503,
    '{"error":{"message":"Busy, it says.","type":"t","param":null,'
        . '"code":"busy"}}', 'Content-Type' => 'application/json') ];
my $GOOD = [ send => LLMTest::Upstream::sse_head()
    . join('', map { LLMTest::Upstream::chunk($_) } wire(hello()))
    . "0\r\n\r\n" ];


# statuses($path, $number): how many requests ended with each status

sub statuses {
    my ($path, $number) = @_;
    my %seen;

    for (1 .. $number) {
        my $r = $t->post($path, { messages => [ { role => 'user',
            content => 'hi' } ], stream => JSON::PP::true() });

        $seen{ $r->{status} }++;
        $seen{own} += $r->{status} == 503 && $r->{body} =~ /"code":"busy"/;
    }

    return { 200 => 0, 503 => 0, own => 0, %seen };
}


sub sent_again {
    my ($path, $number, $again, $name) = @_;
    my $seen = statuses($path, $number);

    is($seen->{200}, $again, "$name: $again of $number are sent again");
    is($seen->{own}, $number - $again,
        "$name: the others get what was answered");

    return;
}


$u[0]->each_request($BUSY, ['close']);
$u[1]->each_request($GOOD, ['close']);

sent_again('/default', 30, 10, 'some in any case');
like($t->wait_log(qr/\[warn\].*retry budget is spent/) // '',
    qr/spent: 10 of the last 11 requests/, 'the log says so');
sent_again('/default', 80, 1, 'then a tenth');
sent_again('/default', 20, 2, 'then a tenth, on');
sent_again('/half', 60, 30, 'half');
sent_again('/all', 60, 60, 'all');
sent_again('/off', 60, 60, 'off');

sent_again('/shared', 8, 8, 'an upstream, here');
sent_again('/shared_too', 8, 2, 'and there');
sent_again('/shared', 8, 0, 'and here');

sent_again('/time', 12, 10, 'now');
$clock->advance(4.9);
sent_again('/time', 5, 0, 'a while later');
$clock->advance(20);
sent_again('/time', 12, 10, 'much later');

sent_again('/variable?to=named', 15, 10, 'a URL with variables');


# errors inside a stream count as well

$u[0]->each_request([ send => LLMTest::Upstream::sse_head()
    . LLMTest::Upstream::chunk('data: {"error":{"message":"No, it says.",'
        . "\"code\":503}}\n\n") . "0\r\n\r\n" ], ['close']);
is(statuses('/stream', 15)->{200}, 10, 'an error in a stream');


# a server that takes no byte is left at no cost

$u[0]->each_request($GOOD, ['close']);
is(statuses('/dead', 40)->{200}, 40, 'refused connections');
$u[0]->each_request($BUSY, ['close']);
$u[1]->each_request($GOOD, ['close']);
cmp_ok(statuses('/dead', 10)->{200}, '==', 10, 'and leave the budget whole');


# without a stream: a fallback is a second request

$u[0]->each_request([ send => LLMTest::Upstream::sse_head() . "0\r\n\r\n" ],
    ['close']);
statuses('/fallback', 15);
is(scalar(() = $t->error_log =~ /asking once without.*fallback/g), 10,
    'a fallback counts');


$t->finish;
