#!/usr/bin/perl

# A stop string in the middle of what one read brings, in chunks of its own:
# the client has its end at once, and the provider, which would go on, is left
# at once.  Time stands still, so no timer can do it instead.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Lockstep qw(chat_role chat_text sse);
use LLMTest::Upstream;

my $t = LLMTest->new;
my $u = $t->upstream;
my $clock = LLMTest::Clock->new($t);

$t->config(<<'EOT')->start(env => $clock->env);
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        llm_stream_stop END;

        location /event/ { llm_stream openai http://%%UPSTREAM%%; }
        location /content/ { llm_stream openai http://%%UPSTREAM%%;
            llm_stream_gate content; }
    }
}
EOT

for my $gate (qw(event content)) {
    my @chunks = map { LLMTest::Upstream::chunk(sse($_)) } chat_role,
        map { chat_text($_) } 'One', ' END', ' two', ' three';
    my $number = $u->connections + 1;

    $u->script(['request'],
        [ send => join '', LLMTest::Upstream::sse_head(), @chunks ]);

    my $s = $t->open(method => 'POST', path => "/$gate/", headers => {
        'Content-Type' => 'application/json' },
        body => { model => 'm', stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    $s->wait_end;
    is($s->ended, 'complete', "$gate: ended well");
    like($s->body, qr/"One".*"finish_reason":"stop".*\[DONE\]/s,
        "$gate: up to the string");
    unlike($s->body, qr/two/, "$gate: nothing behind it");
    ok($u->peer($number)->wait_close, "$gate: the provider is left");
}

$t->finish;
