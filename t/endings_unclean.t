#!/usr/bin/perl

# Tests for the ending that a text client cannot be told in words: the
# response must not end properly, also when the client is slow and the
# provider's connection closes long after the fault.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format end '$uri $status $llm_stream_end $llm_stream_error';
    access_log %%DIR%%/end.log end;
    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=8k;
        location / {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client text;
            llm_stream_buffer_size 2m;
        }
    }
}
EOT

my $EVENT = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"'
    . 'x' x 900 . "\"}}]}\n\n";

for my $slow (0, 1) {
    for my $first (qw(fault close)) {
        my $what = ($slow ? 'slow' : 'fast') . " client, $first first";
        my $s = $t->open(method => 'POST', path => "/$slow/$first",
            rcvbuf => 4096, body => { model => 'm',
                messages => [ { role => 'user', content => 'hi' } ] });
        my ($p) = $u->take;

        $p->sse_head;
        $p->chunk($EVENT x 1200);
        $p->chunk("data: {bad\n\n") if $first eq 'fault';

        if ($slow) {
            is($s->status, 200, "$what: 200");
            $p->drained;
        }

        $p->close;
        $s->read_all;
        is(length $s->body, 900 * 1200, "$what: all that came before");
        isnt($s->ended, 'complete', "$what: no proper end");
        like($t->wait_log(qr{^/$slow/$first }, file => 'end.log') // '',
            qr/(?:invalid|truncated) upstream_(?:invalid_event|truncated)$/,
            "$what: logged");
    }
}
