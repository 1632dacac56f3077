#!/usr/bin/perl

# llm_stream_total_timeout holds for a client that does not read, too, whatever
# else is overdue for it meanwhile: the provider's silence, and text that a
# stage has joined.  The clock of nginx stands still but for what a test says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(wire);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $clock = LLMTest::Clock->new($t);

$t->config(<<'EOT')->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    log_format end '$uri $llm_stream_end';
    access_log %%DIR%%/end.log end;
    llm_stream_client simple;
    llm_stream_buffer_size 8k;
    llm_stream_total_timeout 30s;
    llm_stream_idle_timeout off;
    llm_stream_heartbeat off;
    send_timeout 600s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /alive { return 204; }
        location /plain { llm_stream openai http://%%UPSTREAM%%; }
        location /idle {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_idle_timeout 10s;
        }
        location /joined {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_coalesce boundary=line max_delay=100ms;
        }
    }
}
EOT

my @EVENT = wire([ text => 'word ' x 1000 ]);
my $ALL = LLMTest::Upstream::stream(wire(['role']), (@EVENT) x 2000,
    wire([ finish => 'stop' ], ['done']));


for my $path (qw(plain idle joined)) {
    my $s = $t->open(method => 'POST', path => "/$path", rcvbuf => 4096,
        body => { stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });
    my $peer = $u->accept;

    $peer->request;
    $peer->order([ send => $ALL ]);
    ok($peer->wait_stalled(0.3), "$path: a client that does not read");

    for (1 .. 7) {
        $clock->advance(9);
        $t->get('/alive') for 1 .. 2;
    }

    $s->wait_end(60);
    like($t->wait_log(qr{^/$path }, file => 'end.log') // '', qr/ limit/,
        "$path: the whole time is over");
    cmp_ok(length $s->body, '<', 8_000_000, "$path: the rest is not read");
    $peer->close;
}


$t->finish;
