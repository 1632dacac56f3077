#!/usr/bin/perl

# What a provider of another dialect is asked, on the nginx side of it: where
# to, with which credential and headers, what is refused or dropped on the
# way, what wins over the translation, and what becomes of its errors.  Each
# is a sentence of docs/directives.md or docs/dialects.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);

my $t = LLMTest->new;
my $mock = $t->mock;
my $address = $mock->address;

# name => path of a stream, header of the credential, what is before it
my @PROVIDERS = (
    [ 'openai', '/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'openai-completions', '/v1/completions', 'authorization', 'Bearer ' ],
    [ 'openai-responses', '/v1/responses', 'authorization', 'Bearer ' ],
    [ 'anthropic', '/v1/messages', 'x-api-key', '' ],
    [ 'gemini', '/v1beta/models/m%2F1:streamGenerateContent?alt=sse',
        'x-goog-api-key', '' ],
    [ 'ollama', '/api/chat', 'authorization', 'Bearer ' ],
    [ 'ollama-generate', '/api/generate', 'authorization', 'Bearer ' ],
    [ 'flowise', '/api/v1/prediction/m%2F1', 'authorization', 'Bearer ' ],
    [ 'cohere', '/v2/chat', 'authorization', 'Bearer ' ],
    [ 'openrouter', '/api/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'azure', '/openai/v1/chat/completions', 'api-key', '' ],
    [ 'deepseek', '/chat/completions', 'authorization', 'Bearer ' ],
    [ 'mistral', '/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'groq', '/openai/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'xai', '/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'qwen', '/compatible-mode/v1/chat/completions', 'authorization',
        'Bearer ' ],
    [ 'evolution', '/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'vllm', '/v1/chat/completions', 'authorization', 'Bearer ' ],
    [ 'llama-cpp', '/v1/chat/completions', 'authorization', 'Bearer ' ],
);

my $own = join '', map { my ($name) = @$_; <<"EOT" } @PROVIDERS;
    location /to/$name/ { llm_stream $name http://$address; }
    location /key/$name/ {
        llm_stream $name http://$address;
        llm_stream_api_key sk-CANARY-own;
    }
EOT

$t->canary('sk-CANARY-own');

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        $own

        location /path/args/ {
            llm_stream gemini http://$address?key=k;
        }
        location /path/own/ {
            llm_stream gemini
                http://$address/x/fixed:streamGenerateContent?alt=sse;
        }
        location /path/set/ {
            llm_stream gemini http://$address;
            llm_stream_model models/set;
        }

        location /drop/ {
            llm_stream_unsupported drop;

            location /drop/error/ {
                llm_stream anthropic http://$address;
                llm_stream_unsupported error;
            }
            location /drop/inherited/ {
                llm_stream anthropic http://$address;
            }
        }

        location /param/ {
            llm_stream anthropic http://$address;
            llm_stream_param max_tokens 55;
            llm_stream_param temperature 0.5 if_absent;
            llm_stream_param top_k 7;
        }

        location /small/ {
            llm_stream openai http://$address;
            llm_stream_max_response_size 1k;
        }
    }
}
EOT

my $HI = '"messages":[{"role":"user","content":"hi"}]';
my $CHAT = 'v1/chat/completions';


# post("/to/anthropic/...", body, headers): the answer, and what the mock got

sub ask {
    my ($path, $body, $headers) = @_;
    my $before = $mock->stats->{requests};
    my $r = $t->http('POST', $path, $headers || {}, $body);

    return ($r) if $mock->stats->{requests} == $before;

    my ($q) = $mock->requests(1);
    my %headers;

    push @{ $headers{ lc $_->[0] } }, $_->[1] for @{ $q->{headers} };

    return ($r, { headers => { map { $_ => join '|', @{ $headers{$_} } }
        keys %headers }, json => json($q->{body}),
        path => $q->{path} . (length($q->{query} // '')
            ? "?$q->{query}" : '') });
}


subtest 'paths and credentials' => sub {
    my @credentials = (
        [ Authorization => 'Bearer sk-client' ], [ 'x-api-key' => 'sk-client' ],
        [ 'x-goog-api-key' => 'sk-client' ], [ 'api-key' => 'sk-client' ]);
    my @names = map { lc $_->[0] } @credentials;

    for my $row (@PROVIDERS) {
        my ($name, $path, $header, $prefix) = @$row;
        my $body = "{\"model\":\"m/1\",\"stream\":true,$HI}";

        for my $credential (@credentials) {
            my ($r, $q) = ask("/to/$name/$CHAT", $body, { @$credential });
            my $from = "$name, from $credential->[0]";

            is($r->{status}, 200, "$from: answered");
            is($q->{path}, $path, "$from: path");

            for my $other (@names) {
                is($q->{headers}{$other}, $other eq $header
                    ? $prefix . 'sk-client' : undef, "$from: $other");
            }
        }

        my (undef, $q) = ask("/key/$name/$CHAT", $body,
            { map { @$_ } @credentials });

        for my $other (@names) {
            is($q->{headers}{$other}, $other eq $header
                ? $prefix . 'sk-CANARY-own' : undef,
                "$name, a key of ours: $other");
        }
    }
};


subtest "Gemini's ?key=" => sub {
    my $body = '{"contents":[{"parts":[{"text":"hi"}]}]}';
    my (undef, $q) = ask('/to/anthropic/v1beta/models/m:generateContent'
        . '?key=sk-client', $body);

    is($q->{headers}{'x-api-key'}, 'sk-client', 'moved');
    is($q->{path}, '/v1/messages', 'and gone');

    (undef, $q) = ask('/key/anthropic/v1beta/models/m:generateContent'
        . '?key=sk-client', $body);
    is($q->{headers}{'x-api-key'}, 'sk-CANARY-own', 'not beside ours');
};


subtest 'a token of OAuth' => sub {
    my $token = { Authorization => 'Bearer token-1' };
    my %own = (
        anthropic => [ '/v1/messages', "{\"model\":\"m\",\"max_tokens\":9,$HI}",
            'x-api-key' ],
        gemini => [ '/v1beta/models/m:generateContent',
            '{"contents":[{"parts":[{"text":"hi"}]}]}', 'x-goog-api-key' ],
    );

    for my $name (sort keys %own) {
        my ($path, $body, $key) = @{ $own{$name} };
        my (undef, $q) = ask("/to/$name$path", $body, $token);

        is($q->{headers}{authorization}, 'Bearer token-1',
            "$name: stays where its own client put it");
        is($q->{headers}{$key}, undef, "$name: and is no key");

        (undef, $q) = ask("/to/$name$path", $body,
            { %$token, $key => 'key-1' });
        is($q->{headers}{$key}, 'key-1', "$name: a key beside it goes on");
        is($q->{headers}{authorization}, undef, "$name: then alone");

        (undef, $q) = ask("/key/$name$path", $body, $token);
        is($q->{headers}{authorization}, undef,
            "$name: not where the location has a key");
    }
};

subtest "the model in Gemini's path" => sub {
    my %path = (
        '/path/args/' => '/v1beta/models/m:streamGenerateContent'
            . '?alt=sse&key=k',
        '/path/own/' => '/x/fixed:streamGenerateContent?alt=sse',
        '/path/set/' => '/v1beta/models/set:streamGenerateContent?alt=sse',
    );

    for my $location (sort keys %path) {
        my ($r, $q) = ask("$location$CHAT", "{\"model\":\"m\",$HI}");

        is($r->{status}, 200, "$location: answered");
        is($q->{path}, $path{$location}, "$location: path");
        ok(!exists $q->{json}{model}, "$location: not in the body");
    }

    my (undef, $q) = ask('/to/gemini/' . $CHAT,
        "{\"model\":\"a/b?c:d\",$HI}");
    is($q->{path}, '/v1beta/models/a%2Fb%3Fc%3Ad:streamGenerateContent'
        . '?alt=sse', 'no way into another path');

    (undef, $q) = ask('/to/gemini/v1beta/models/m:generateContent',
        '{"contents":[{"parts":[{"text":"hi"}]}]}');
    is($q->{path}, '/v1beta/models/m:generateContent', 'one answer');

    (undef, $q) = ask('/to/gemini/v1beta/models/m:streamGenerateContent',
        '{"contents":[{"parts":[{"text":"hi"}]}]}');
    is($q->{path}, '/v1beta/models/m:streamGenerateContent', 'an array');

    for my $name (qw(gemini flowise)) {
        my ($r, $sent) = ask("/to/$name/$CHAT", "{$HI}");

        is($r->{status}, 400, "$name: no model");
        is(json($r->{body})->{error}{param}, 'model', "$name: named");
        is($sent, undef, "$name: not sent");
    }
};


subtest 'headers' => sub {
    my %meant = ('anthropic-beta' => 'b', 'openai-organization' => 'o',
        'x-stainless-lang' => 'l', 'x-goog-user-project' => 'p',
        'x-other' => 'x');
    my (undef, $q) = ask("/to/anthropic/$CHAT", "{\"model\":\"m\",$HI}",
        \%meant);

    is($q->{headers}{'anthropic-version'}, '2023-06-01', 'the version');
    is($q->{headers}{$_}, $_ eq 'x-other' ? 'x' : undef,
        "other dialects: $_") for sort keys %meant;

    (undef, $q) = ask('/to/anthropic/v1/messages',
        "{\"model\":\"m\",\"max_tokens\":5,$HI}",
        { %meant, 'anthropic-version' => '2099-01-01' });

    is($q->{headers}{'anthropic-version'}, '2099-01-01', "the client's");
    is($q->{headers}{$_}, $meant{$_}, "the same dialect: $_")
        for sort keys %meant;
};


subtest 'llm_stream_unsupported' => sub {
    my $body = "{\"model\":\"m\",\"n\":2,\"seed\":1,$HI}";
    my $mark = $t->log_mark;
    my ($r, $q) = ask("/drop/error/$CHAT", $body);
    my $error = json($r->{body})->{error};

    is($r->{status}, 400, 'error');
    is($error->{code}, 'unsupported_parameter', 'its code');
    is($error->{param}, 'n', 'its member');
    like($error->{message}, qr/"n" of the request/, 'its sentence');
    is($q, undef, 'not sent');

    my ($default) = ask("/to/anthropic/$CHAT", $body);
    is($default->{status}, 400, 'is the default');

    ($r) = ask('/to/openai/v1beta/models/m:generateContent',
        '{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":'
        . '{"topK":3}}');
    is($r->{status}, 200, 'what matters less is never refused');
    ok($t->wait_log(qr/dropped "top_k" of the request: upstream "openai"/,
        from => $mark), 'but logged');

    ($r, $q) = ask("/drop/inherited/$CHAT", $body);
    is($r->{status}, 200, 'drop, inherited');
    ok(!exists $q->{json}{n}, 'left out');
    ok($t->wait_log(qr/dropped "n" of the request: upstream "anthropic"/,
        from => $mark), 'and logged');
    ok($t->wait_log(qr/dropped "seed" of the request/, from => $mark),
        'like what matters less');

    # names may be the client's own
    ask("/to/anthropic/$CHAT",
        qq({"model":"m","a\x7fb\xc2\x9bc\xd1\x8f":1,$HI}));
    ok($t->wait_log(qr/dropped "a\?b\?c\xd1\x8f" of the request/,
        from => $mark), 'what a terminal takes for commands is not logged');
};


subtest 'llm_stream_param' => sub {
    my (undef, $q) = ask("/param/$CHAT", '{"model":"m","temperature":0.1,'
        . "\"max_tokens\":9,$HI}");

    is($q->{json}{max_tokens}, 55, 'wins over the translation');
    is($q->{json}{temperature}, 0.1, 'if_absent: the client said it');
    is($q->{json}{top_k}, 7, 'a member that the client has no word for');

    (undef, $q) = ask("/param/$CHAT", "{\"model\":\"m\",$HI}");
    is($q->{json}{max_tokens}, 55, 'also over a default');
    is($q->{json}{temperature}, 0.5, 'if_absent: nobody said it');
};


subtest 'habits of a provider' => sub {
    my $body = "{\"model\":\"m\",\"stream\":true,\"seed\":3,"
        . "\"max_completion_tokens\":9,$HI}";
    my (undef, $q) = ask("/to/openai/$CHAT", $body);

    ok($q->{json}{stream_options}{include_usage},
        'openai: asked for counts');

    (undef, $q) = ask("/to/mistral/$CHAT", $body);
    is_deeply([ sort keys %{ $q->{json} } ],
        [ qw(max_tokens messages model random_seed stream) ],
        'mistral: its own names, no stream_options');

    (undef, $q) = ask("/to/deepseek/$CHAT", $body);
    is($q->{json}{max_tokens}, 9, 'deepseek: max_tokens');
    is($q->{json}{seed}, 3, 'deepseek: seed');
};


subtest 'errors and when to try again' => sub {
    my $contents = '{"contents":[{"parts":[{"text":"hi"}]}]}';
    my $generate = 'v1beta/models/m:generateContent';

    $mock->defaults('status=429 retry_after=7');

    my ($r) = ask("/to/gemini/$CHAT", "{\"model\":\"m\",$HI}");
    is($r->{status}, 429, 'from gemini: status');
    is($r->{headers}{'retry-after'}, 7, 'from gemini: Retry-After');
    is(json($r->{body})->{error}{type}, 'requests',
        "from gemini: OpenAI's word");

    ($r) = ask("/to/openai/$generate", $contents);
    is($r->{status}, 429, 'to gemini: status');
    is($r->{headers}{'retry-after'}, 7, 'to gemini: Retry-After');
    is(json($r->{body})->{error}{status}, 'RESOURCE_EXHAUSTED',
        "to gemini: Google's word");
    is(json($r->{body})->{error}{details}[0]{retryDelay}, '7s',
        'to gemini: retryDelay');

    $mock->defaults('fault=s401');

    ($r) = ask("/to/gemini/$CHAT", "{\"model\":\"m\",$HI}");
    is($r->{status}, 401, "Gemini's 400 for a bad key");
    ($r) = ask("/to/gemini/$generate", $contents);
    is($r->{status}, 400, 'stays for its own clients');

    $mock->reset;
};


subtest 'llm_stream_max_response_size' => sub {
    $mock->defaults('tokens=200');

    my ($r) = ask('/small/v1/responses',
        '{"model":"m","stream":true,"input":"hi"}');
    my @types = map { $_->{event} } @{ $r->{events} };

    is($types[-1], 'response.failed', 'a stream of responses fails');
    like($r->{events}[-1]{data}, qr/response_too_large/, 'and says why');

    ($r) = ask('/small/v1/messages',
        "{\"model\":\"m\",\"max_tokens\":900,\"stream\":true,$HI}");
    is($r->{events}[-1]{event}, 'message_stop', 'that of anthropic does not');

    ($r) = ask('/small/v1/messages',
        "{\"model\":\"m\",\"max_tokens\":900,$HI}");
    is($r->{status}, 502, 'one answer does');
    is(json($r->{body})->{type}, 'error', 'in its dialect');

    $mock->reset;
};

$t->finish;
