#!/usr/bin/perl

# llm_stream_padding over nginx: every event of every client's stream as long
# as promised, the same text in it, also for an error; nothing for what is no
# stream; and a provider's own padding replaced where it is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my %CLIENT = (
    openai => 'sse', 'openai-responses' => 'sse', anthropic => 'sse',
    gemini => 'sse', ollama => 'ndjson', 'ollama-generate' => 'ndjson',
    flowise => 'sse', simple => 'sse', typed => 'sse',
);

my $t = LLMTest->new;
my $mock = $t->mock;

my $locations = join '', map { <<"EOT" } sort keys %CLIENT;
        location /$_/bucket {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client $_;
            llm_stream_padding bucket=128;
        }
        location /$_/plain {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client $_;
            llm_stream_padding off;
        }
        location /$_/auto {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client $_;
        }
EOT

$t->config(<<'EOT' =~ s/LOCATIONS/$locations/r)->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
LOCATIONS
        location /text {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client text;
            llm_stream_padding bucket=256;
        }
        location /outer/ {
            llm_stream_padding bucket=64;
            llm_stream_client simple;

            location /outer/same {
                llm_stream openai http://%%MOCK%%;
            }
            location /outer/other {
                llm_stream openai http://%%MOCK%%;
                llm_stream_padding bucket=256;
            }
            location /outer/off {
                llm_stream openai http://%%MOCK%%;
                llm_stream_padding off;
            }
            location /outer/auto {
                llm_stream openai http://%%MOCK%%;
                llm_stream_padding auto;
            }
        }
        location /responses {
            llm_stream openai-responses http://%%MOCK%%;
            llm_stream_client simple;
        }
    }
}
EOT


# what a client of the dialect sends

sub body {
    my ($client, $stream) = @_;
    my $flag = $stream ? JSON::PP::true() : JSON::PP::false();
    my $text = 'x';

    return { contents => [ { role => 'user', parts => [ { text => $text } ] } ] }
        if $client eq 'gemini';
    return { question => $text, streaming => $flag } if $client eq 'flowise';

    return { model => 'm', stream => $flag, max_tokens => 99,
        $client eq 'ollama-generate' ? (prompt => $text)
        : $client eq 'openai-responses' ? (input => $text)
        : (messages => [ { role => 'user', content => $text } ]) };
}


sub ask {
    my ($path, $says, %o) = @_;
    my ($client) = $path =~ m{^/([^/]+)};

    if ($client eq 'gemini') {
        $path .= '/v1beta/models/m:' . ($o{answer} ? 'generateContent'
            : 'streamGenerateContent?alt=sse');
    }

    $mock->reset;
    $mock->defaults("seed=7,id=pad,created=1700000000,$says");

    return $t->post($path, body($client, !$o{answer}), %{ $o{open} || {} })
        if !$o{padded};

    # by what was in one read with the first padding nothing is told
    $mock->defaults("seed=7,lockstep=pad,created=1700000000,$says,pad=1");

    my $s = $t->open(method => 'POST', path => $path,
        body => body($client, 1));

    $mock->wait(id => 'pad', events => 1);
    $mock->ack('pad', 2);
    $s->read_some;
    $mock->ack('pad', 1000);

    return $s->result;
}


sub events {
    my ($body, $framing) = @_;

    return $framing eq 'sse' ? $body =~ /\G(.*?\n\n)/gs
                             : $body =~ /\G(.*?\n)/gs;
}


# without comment lines, and without spaces at the end of lines

sub bare {
    my ($body, $framing) = @_;

    $body =~ s/^:.*\n//mg;
    $body =~ s/ +$//mg;

    # what is made anew for each answer
    $body =~ s/"(?:id|response_id|item_id|chatMessageId|chatId|sessionId)"
               :"[^"]*"//gx;
    $body =~ s/"(?:msg|resp|chatcmpl|rs|fc)[-_]\w+"//g;
    $body =~ s/"(?:created|created_at|completed_at)":[^,}]+//g;
    $body =~ s/"\w+_duration":\d+//g;

    return $body;
}


for my $client (sort keys %CLIENT) {
    my $framing = $CLIENT{$client};

    for my $says ('tokens=12', 'tokens=6,fault=error-event-mid') {
        my $plain = ask("/$client/plain", $says);
        my $got = ask("/$client/bucket", $says);
        my @events = events($got->{body}, $framing);
        my @odd = grep { length($_) % 128 } @events;

        cmp_ok(scalar @events, '>', 1, "$client, $says: events");
        is(scalar @odd, 0, "$client, $says: all multiples of 128 bytes");
        is(length join('', @events), length $got->{body},
            "$client, $says: and nothing else");
        is(bare($got->{body}, $framing), bare($plain->{body}, $framing),
            "$client, $says: the same stream");
        is($got->{complete}, $plain->{complete}, "$client, $says: its end");
    }

    # what the provider pads, and what it does not

    my $auto = ask("/$client/auto", 'tokens=30', padded => 1);
    my $plain = ask("/$client/plain", 'tokens=30', padded => 1);

    if ($client eq 'openai') {
        is($auto->{body}, $plain->{body}, "$client: auto, as it came");

    } else {
        cmp_ok(length $auto->{body}, '>', length $plain->{body},
            "$client: auto, what is lost is replaced");
        is(bare($auto->{body}, $framing), bare($plain->{body}, $framing),
            "$client: auto, the same stream");
    }

    $auto = ask("/$client/auto", 'tokens=30,itl=2');
    $plain = ask("/$client/plain", 'tokens=30,itl=2');
    is(bare($auto->{body}, 'none'), bare($plain->{body}, 'none'),
        "$client: auto, a provider that does not pad");
    unlike($auto->{body}, qr/^:| $/m, "$client: nothing added");

    my $answer = ask("/$client/bucket", 'tokens=5', answer => 1);
    unlike($answer->{body}, qr/^:|  /m, "$client: one JSON answer");
}

# what a level says, and what the one below it

for my $row ([ same => 64 ], [ other => 256 ]) {
    my ($name, $bucket) = @$row;
    my @events = events(ask("/outer/$name", 'tokens=5')->{body}, 'sse');

    is(scalar(grep { length($_) % $bucket } @events), 0,
        "$name: multiples of $bucket");
    cmp_ok(scalar(grep { length($_) == $bucket } @events), '>', 3,
        "$name: and no more");
}

unlike(ask("/outer/$_", 'tokens=5')->{body}, qr/^:/m, "$_: not padded")
    for qw(off auto);

my $h2 = ask('/simple/bucket', 'tokens=5', open => { proto => 'h2',
    port => 1 });
is(scalar(grep { length($_) % 128 } events($h2->{body}, 'sse')), 0, 'HTTP/2');

is(ask('/text', 'tokens=3,text=digits')->{body} =~ tr/ //c,
    length(ask('/text', 'tokens=3,text=digits')->{body} =~ s/ //gr),
    'text is as it was');
unlike(ask('/text', 'tokens=3')->{body}, qr/^:/m, 'text has no padding');

like(ask('/responses', 'tokens=30', padded => 1)->{body}, qr/^:/m,
    'a provider of openai-responses, lost padding');

$t->finish;
