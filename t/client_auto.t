#!/usr/bin/perl

# Which dialect the client speaks when llm_stream_client does not say it: a
# test for each row of the decision table of docs/dialects.md, in its order;
# and what a path says where a dialect puts the model and the stream there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply);

my $t = LLMTest->new;
my $u = $t->upstream(each => [ [ send => reply('hello') ] ]);

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    add_header X-Client $llm_stream_client always;
    add_header X-Model "$llm_stream_request_model" always;
    llm_stream_model fixed;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { llm_stream openai http://%%UPSTREAM%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        llm_stream_client typed;
        location / { llm_stream openai http://%%UPSTREAM%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        llm_stream_prompt $arg_q;
        location / { llm_stream openai http://%%UPSTREAM%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        location /anthropic { llm_stream anthropic http://%%UPSTREAM%%; }
        location /gemini { llm_stream gemini http://%%UPSTREAM%%; }
        location /ollama { llm_stream ollama http://%%UPSTREAM%%; }
        location /generate { llm_stream ollama-generate http://%%UPSTREAM%%; }
        location /flowise { llm_stream flowise http://%%UPSTREAM%%; }
        location /cohere { llm_stream cohere http://%%UPSTREAM%%; }
    }
}
EOT

my $MESSAGES = '"messages":[{"role":"user","content":"hi"}]';
my $CONTENTS = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]';

# the dialect that the server took the client's to be, whatever came of it

sub client {
    my ($server, $method, $path, $headers, $body) = @_;
    my $r = $t->http($method, $path, $headers, $body,
        port => $server);

    return $r->{headers}{'x-client'} // '(none)';
}

subtest 'llm_stream_client says it' => sub {
    is(client(1, 'POST', '/v1/messages', { 'x-goog-api-key' => 'k' },
        "{$MESSAGES}"), 'typed', 'whatever path, header and body say');
};

subtest 'the path' => sub {
    my @rows = (
        [ '/v1/chat/completions', 'openai' ],
        [ '/openai/deployments/x/chat/completions?api-version=1', 'openai' ],
        [ '/v1/completions', 'openai-completions' ],
        [ '/v1/responses', 'openai-responses' ],
        [ '/v1/messages', 'anthropic' ],
        [ '/v1beta/models/m:generateContent', 'gemini' ],
        [ '/v1beta/models/m:streamGenerateContent?alt=sse', 'gemini' ],
        [ '/v1beta/models/m:streamGenerateContent', 'gemini' ],
        [ '/api/chat', 'ollama' ],
        [ '/api/generate', 'ollama-generate' ],
        [ '/api/v1/prediction/flow-1', 'flowise' ],
        [ '/api/v1/chatflows-streaming/flow-1', 'flowise' ],
    );

    for my $row (@rows) {
        my ($path, $dialect) = @$row;

        is(client(0, 'POST', $path, {}, '{}'), $dialect, "POST $path");
        is(client(0, 'POST', "/x$path", {}, '{}'), $dialect,
            "POST /x$path");
    }

    is(client(0, 'POST', '/v1/chat/completions/x', {}, "{$MESSAGES}"),
        'openai', 'a path that goes on is none of them');
    is(client(0, 'POST', '/v1/messages', { 'x-goog-api-key' => 'k' },
        "{$CONTENTS}"), 'anthropic', 'before header and body');
};

subtest 'the method' => sub {
    is(client(2, 'GET', '/chat?q=hi', {}, undef), 'simple', 'GET');
    is(client(2, 'GET', '/v1/chat/completions?q=hi', {}, undef), 'openai',
        'the path comes first');
    is(client(0, 'GET', '/chat', { 'anthropic-version' => '1' }, undef),
        'simple', 'before the headers');
};

subtest 'headers' => sub {
    is(client(0, 'POST', '/x', { 'anthropic-version' => '2023-06-01' },
        "{$CONTENTS}"), 'anthropic', 'anthropic-version, before the body');
    is(client(0, 'POST', '/x', { 'X-Goog-Api-Key' => 'k' }, "{$MESSAGES}"),
        'gemini', 'x-goog-api-key');
};

subtest 'the shape of the body' => sub {
    my @rows = (
        [ "{$CONTENTS}", 'gemini' ],
        [ '{"question":"hi"}', 'flowise' ],
        [ "{\"system\":\"s\",$MESSAGES}", 'anthropic' ],
        [ "{\"anthropic_version\":\"s\",$MESSAGES}", 'anthropic' ],
        [ "{\"options\":{},$MESSAGES}", 'ollama' ],
        [ "{\"keep_alive\":1,$MESSAGES}", 'ollama' ],
        [ "{$MESSAGES}", 'openai' ],
        [ '{"input":"hi"}', 'openai-responses' ],
        [ '{"prompt":"hi"}', 'openai-completions' ],
        [ '{"prompt":"hi","options":{}}', 'ollama-generate' ],
        [ '{"prompt":"hi","system":"s"}', 'ollama-generate' ],
        [ '{}', 'openai' ],
    );

    for my $row (@rows) {
        is(client(0, 'POST', '/x', {}, $row->[0]), $row->[1], $row->[0]);
    }

};

subtest 'the provider, where nothing else tells' => sub {
    my @rows = (
        [ '/anthropic', "{$MESSAGES}", 'anthropic' ],
        [ '/ollama', "{$MESSAGES}", 'ollama' ],
        [ '/gemini', "{$MESSAGES}", 'openai' ],
        [ '/gemini', "{$CONTENTS}", 'gemini' ],
        [ '/generate', '{"prompt":"hi"}', 'ollama-generate' ],
        [ '/flowise', '{"question":"hi"}', 'flowise' ],
        [ '/flowise', '{}', 'flowise' ],
        [ '/cohere', "{$MESSAGES}", 'openai' ],
        [ '/cohere', '{}', 'openai' ],
        [ '/anthropic', 'no json', 'anthropic' ],
    );

    for my $row (@rows) {
        my ($path, $body, $dialect) = @$row;

        is(client(3, 'POST', $path, {}, $body), $dialect, "$path $body");
    }

};

subtest "what Gemini's path says" => sub {
    my $model = sub {
        my ($path) = @_;
        my $r = $t->http('POST', $path, {}, "{$CONTENTS}",
            port => 0);

        return join ' ', $r->{status}, $r->{headers}{'x-model'} // '-',
            (split /;/, $r->{headers}{'content-type'})[0];
    };

    is($model->('/v1beta/models/m-1:streamGenerateContent?alt=sse'),
        '200 m-1 text/event-stream', 'a stream of events');
    is($model->('/v1beta/models/m-1:streamGenerateContent'),
        '200 m-1 application/json', 'a stream as an array');
    is($model->('/v1beta/models/m-1:streamGenerateContent?alt=json'),
        '200 m-1 application/json', 'another alt');
    is($model->('/v1beta/models/m%2D1:generateContent'),
        '200 m-1 application/json', 'one answer');
};

subtest "what Flowise's clients ask first" => sub {
    my $before = $u->connections;
    my $r = $t->http('GET', '/api/v1/chatflows-streaming/flow-1', {}, undef,
        port => 0);

    is($r->{status}, 200, 'answered');
    is($r->{headers}{'content-type'}, 'application/json', 'as JSON');
    is_deeply(JSON::PP->new->decode($r->{body}),
        { isStreaming => JSON::PP::true }, 'it streams');
    is($u->connections, $before, 'and no provider was asked');
};
