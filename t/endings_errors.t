#!/usr/bin/perl

# Tests for the body of a provider's error that does not come as promised:
# broken framing, an early end, silence.  The status is what matters; a worker
# must never spin on such a connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my $t = LLMTest->new;
my $u = $t->upstream;

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_next_upstream error timeout invalid http_500;
            llm_stream_next_upstream_tries 1;
        }
        location /simple {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
        }
        location /alive { return 204; }
    }
}
EOT

my $HEAD = "HTTP/1.1 500 x\r\nContent-Type: application/json\r\n";
my $JSON = '{"error":{"message":"m","type":"server_error","param":null,'
    . '"code":"c"}}';

my @cases = (
    [ 'bad chunk size', "${HEAD}Transfer-Encoding: chunked\r\n\r\nZZ\r\n" ],
    [ 'chunked, cut', "${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{\"e" ],
    [ 'length, cut', "${HEAD}Content-Length: 500\r\n\r\n{\"error" ],
    [ 'no body', "${HEAD}Content-Length: 0\r\n\r\n" ],
    [ 'closed at once', "$HEAD\r\n" ],
    [ 'not JSON', "${HEAD}Content-Length: 6\r\n\r\n<html>" ],
);

for my $case (@cases) {
    my ($name, $bytes) = @$case;

    for my $how (qw(close reset)) {
        for my $path ('/v1/chat/completions', '/simple') {
            my $s = ask($path);
            my ($p) = $u->take;

            $p->send($bytes);
            $p->$how;

            my $what = "$name, $how, $path";
            is($s->status, 500, "$what: the provider's status");
            $s->read_all;
            like($s->body, qr/"upstream_error"/, "$what: a neutral body");
            is($s->ended, 'complete', "$what: a whole answer");
            is($t->get('/alive')->{status}, 204, "$what: the worker lives");
        }
    }
}

# a body that is whole although its connection broke is the provider's own

my $s = ask('/v1/chat/completions');
my ($p) = $u->take;

$p->send("${HEAD}\r\n$JSON");
$p->close;

is($s->status, 500, 'close-delimited: status');
$s->read_all;
is($s->body, $JSON, 'close-delimited: the bytes of the provider');

# silence in the middle of it

$s = ask('/v1/chat/completions');
($p) = $u->take;
$p->send("${HEAD}Content-Length: 500\r\n\r\n{\"error");

is($s->status, 500, 'silence: the status after a while');
$s->read_all;
is($s->ended, 'complete', 'silence: a whole answer');
$p->close;


sub ask {
    my ($path) = @_;
    return $t->open(method => 'POST', path => $path, body => { model => 'm',
        stream => JSON::PP::true(),
        messages => [ { role => 'user', content => 'hi' } ] });
}
