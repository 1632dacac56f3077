#!/usr/bin/perl

# Tests for limits in time where nobody else would end the request: a client
# that is gone but whose leaving is ignored, an error's body that never ends
# while the total time runs out, a total that leaves no time for another peer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;

my $t = LLMTest->new;
my $clock = LLMTest::Clock->new($t);
my $u = $t->upstream;

$t->config(<<'EOT')->start(env => $clock->env);
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format end '$request_id $status $llm_stream_end $llm_stream_error';
    access_log %%DIR%%/end.log end;

    upstream two { server %%UPSTREAM%%; server %%UPSTREAM%%; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location /gone {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_ignore_client_abort on;
            llm_stream_first_token_timeout 5s;
            llm_stream_idle_timeout 5s;
        }
        location /held {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_ignore_client_abort on;
            llm_stream_idle_timeout 5s;
            llm_stream_coalesce time=50ms;
        }
        location /total {
            llm_stream openai http://two;
            llm_stream_total_timeout 3s;
            llm_stream_next_upstream error timeout invalid http_500;
        }
    }
}
EOT

# every limit still holds for a client that is gone

for my $events (0, 1) {
    my $s = ask('h2', 1, '/gone');
    my ($p) = $u->take;

    if ($events) {
        $p->sse_head;
        $p->event('{"id":"1","choices":[{"index":0,"delta":{"content":"x"}}]}');
        ok($s->read_event, 'a stream');
    }

    $s->close;
    seen();
    ok($p->stat && !$p->stat->{closed}, "goes on, after $events events");
    $clock->advance(6);
    ok($p->wait_close, "given up at the limit, after $events events");
}

# what a stage holds for it does not outlast them

{
    my $s = ask('h2', 1, '/held');
    my ($p) = $u->take;

    $p->sse_head;
    $p->event(qq({"id":"1","choices":[{"index":0,"delta":{"content":"$_"}}]}))
        for qw(x y);
    ok($s->read_event, 'a stream with something held');
    $p->drained;
    $s->close;
    seen();
    $clock->advance(6);
    ok($p->wait_close, 'given up, though a stage has been due for longer');
}

# an error whose body never ends is answered with its status, once

my $s = ask('h1', 0, '/total');
my ($p) = $u->take;
$p->send("HTTP/1.1 401 x\r\nContent-Type: application/json\r\n"
    . "Content-Length: 500\r\n\r\n{\"error");
$p->drained;
seen();
$clock->advance(4);
seen();
$clock->advance(2);
is($s->status, 401, 'an error without an end: its status');
$s->read_all;
is($s->ended, 'complete', 'an error without an end: a whole answer');
$p->close;

# the total time is the request's: no other peer is asked when it is over

$s = ask('h1', 0, '/total');
($p) = $u->take;
$p->sse_head;
$p->drained;
seen();
$clock->advance(4);
is($s->status, 504, 'the total is over: 504');
$s->read_all;
like($s->body, qr/"stream_too_long"/, 'the total is over: says so');
ok($t->wait_log(qr/504 limit stream_too_long/, file => 'end.log'),
    'the total is over: logged');
is(scalar($u->connections), 5, 'one connection a request');


# the worker has seen all that came before this

sub seen {
    $t->get('/') for 1 .. 2;
    return;
}


sub ask {
    my ($proto, $port, $path) = @_;
    return $t->open(proto => $proto, port => $port, method => 'POST',
        path => $path, body => { model => 'm', stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });
}
