#!/usr/bin/perl

# What the provider of each dialect receives, besides what the call itself
# says (t/request_pairs.t): path, Accept, versions, the credential in the
# header that is the provider's own, nothing of the client's other headers,
# models and members that the configuration sets, members that the provider
# cannot say, and bodies of the provider's own dialect byte for byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Ending;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream(each => [ [ send =>
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}" ], ['close'] ]);
my $json = JSON::PP->new->utf8->canonical;

# the provider's path for a stream and for an answer, and its credential
my %provider = (
    'openai' => [ '/v1/chat/completions', undef,
        'authorization' => 'Bearer KEY' ],
    'openai-completions' => [ '/v1/completions', undef,
        'authorization' => 'Bearer KEY' ],
    'openai-responses' => [ '/v1/responses', undef,
        'authorization' => 'Bearer KEY' ],
    'anthropic' => [ '/v1/messages', undef, 'x-api-key' => 'KEY' ],
    'gemini' => [ '/v1beta/models/m-1:streamGenerateContent?alt=sse',
        '/v1beta/models/m-1:generateContent', 'x-goog-api-key' => 'KEY' ],
    'ollama' => [ '/api/chat', undef, 'authorization' => 'Bearer KEY' ],
    'ollama-generate' => [ '/api/generate', undef,
        'authorization' => 'Bearer KEY' ],
    'flowise' => [ '/api/v1/prediction/m-1', undef,
        'authorization' => 'Bearer KEY' ],
    'cohere' => [ '/v2/chat', undef, 'authorization' => 'Bearer KEY' ],
    'azure' => [ '/openai/v1/chat/completions', undef, 'api-key' => 'KEY' ],
    'mistral' => [ '/v1/chat/completions', undef,
        'authorization' => 'Bearer KEY' ],
    'openrouter' => [ '/api/v1/chat/completions', undef,
        'authorization' => 'Bearer KEY' ],
    'deepseek' => [ '/chat/completions', undef,
        'authorization' => 'Bearer KEY' ],
    'groq' => [ '/openai/v1/chat/completions', undef,
        'authorization' => 'Bearer KEY' ],
);
my @providers = sort keys %provider;
my @credentials = qw(authorization x-api-key api-key x-goog-api-key);

my $locations = '';

for my $name (@providers) {
    for my $client (qw(openai anthropic gemini ollama), $name) {
        next if $locations =~ m{"/$name/$client/"}
            || $client eq 'cohere' || $client =~ /^(?:azure|mistral
            |openrouter|deepseek|groq)$/x;
        $locations .= <<"EOT";
        location "/$name/$client/" {
            llm_stream $name http://%%UPSTREAM%%;
            llm_stream_client $client;
        }
EOT
    }

    $locations .= <<"EOT";
        location "/ours/$name/" {
            llm_stream $name http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_api_key SERVER;
            llm_stream_model m-1;
        }
        location "/url/$name/" {
            llm_stream $name http://%%UPSTREAM%%/own/path?x=1;
            llm_stream_client openai;
        }
        location "/drop/$name/" {
            llm_stream $name http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_unsupported drop;
        }
EOT
}

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
        location /model/gemini {
            llm_stream gemini http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_model "a/b?c#d %\$arg_m";
        }
        location /model/flowise {
            llm_stream flowise http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_model flow/1;
        }
        location /param/anthropic {
            llm_stream anthropic http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_param max_tokens 7;
            llm_stream_param temperature 0.1 if_absent;
            llm_stream_param top_k 3 if_absent;
            llm_stream_param metadata '{"user_id":"u"}';
        }
        location /param/gemini {
            llm_stream gemini http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_param generationConfig '{"topK":2}';
            llm_stream_param labels '{"a":"b"}' if_absent;
        }
    }
}
EOT

my %say = ('Content-Type' => 'application/json');
my @chat = (model => 'm-1', messages => [ { role => 'user',
    content => 'hi' } ]);
my %ask = (
    openai => {@chat}, anthropic => { @chat, max_tokens => 9 },
    ollama => {@chat},
    gemini => { contents => [ { role => 'user', parts => [ {
        text => 'hi' } ] } ] },
);


# the request that the provider gets: { head, method, path, headers, list,
# body, answer }; {} for none

sub sent {
    my ($path, $body, $headers, %o) = @_;
    my $before = $u->connections;
    my $r = $t->http('POST', $path, { %say, %{ $headers || {} } },
        ref $body ? $json->encode($body) : $body, %o);

    return { answer => $r } if $u->connections == $before;
    return { %{ $u->peer($before + 1)->request }, answer => $r };
}


sub url_of {
    my ($client, $stream) = @_;

    return '' if $client ne 'gemini';
    return $stream ? 'v1beta/models/m-1:streamGenerateContent?alt=sse'
        : 'v1beta/models/m-1:generateContent';
}


subtest 'paths, Accept, versions' => sub {
    for my $name (@providers) {
        my ($stream, $answer) = @{ $provider{$name} };

        for my $client (sort keys %ask) {
            for my $streams (1, 0) {
                my $q = sent("/$name/$client/" . url_of($client, $streams),
                    { %{ $ask{$client} }, $client eq 'gemini' ? ()
                    : (stream => $streams ? JSON::PP::true
                    : JSON::PP::false) });
                my $what = "$client to $name, " . ($streams ? 'a stream'
                    : 'an answer');
                my $body = eval { $json->decode($q->{body}) } || {};

                # another dialect's answer is made of a stream
                my $asks = $streams || $name ne $client
                    && !($client eq 'openai' && $name =~ /^(?:azure
                    |mistral|openrouter|deepseek|groq)$/x);

                is($q->{path}, $asks ? $stream : $answer // $stream,
                    "$what: path");
                like($q->{headers}{accept} // '', !$asks
                    ? qr{^application/json} : $name =~ /^ollama/
                    ? qr{^application/x-ndjson} : qr{^text/event-stream},
                    "$what: Accept");
                is($q->{headers}{'anthropic-version'}, $name eq 'anthropic'
                    ? '2023-06-01' : undef, "$what: version");
                is($q->{headers}{'content-type'}, 'application/json',
                    "$what: Content-Type");
                is($q->{headers}{'content-length'}, length $q->{body},
                    "$what: length");
                is($body->{ $name eq 'flowise' ? 'streaming' : 'stream' },
                    $name eq 'gemini' ? undef : $asks ? JSON::PP::true
                    : JSON::PP::false, "$what: the member");
                is($body->{model}, $name =~ /^(?:gemini|flowise)$/ ? undef
                    : 'm-1', "$what: model");
            }
        }

        is(sent("/url/$name/", $ask{openai})->{path}, '/own/path?x=1',
            "$name: the path of the URL");
    }
};


subtest 'who asks for counts' => sub {
    for my $name (@providers) {
        my $q = sent("/$name/openai/", { @chat, stream => JSON::PP::true });
        my $body = $json->decode($q->{body});
        my $asked = $name !~ /^(?:openai-responses|anthropic|gemini|ollama.*
            |flowise|cohere|mistral)$/x;

        is_deeply($body->{stream_options}, $asked
            ? { include_usage => JSON::PP::true } : undef, $name);
    }
};


###############################################################################
# the credential

my %key = (
    'authorization' => [ { Authorization => 'Bearer KEY' } ],
    'x-api-key' => [ { 'X-Api-Key' => 'KEY' } ],
    'api-key' => [ { 'Api-Key' => 'KEY' } ],
    'x-goog-api-key' => [ { 'X-Goog-Api-Key' => 'KEY' } ],
    '?key=' => [ {}, 'key=KEY' ],
);

sub credentials_of {
    my ($q) = @_;

    return join ', ', map { lc($_->[0]) . ": $_->[1]" } grep {
        my $name = lc $_->[0];
        grep { $_ eq $name } @credentials } @{ $q->{list} };
}

subtest 'the credential' => sub {
    for my $name (@providers) {
        my (undef, undef, $header, $value) = @{ $provider{$name} };

        for my $from (sort keys %key) {
            my ($headers, $query) = @{ $key{$from} };
            my $client = $from =~ /goog|\?/ ? 'gemini'
                : $from eq 'x-api-key' ? 'anthropic' : 'openai';
            my $path = url_of($client, 1);
            my $q = sent("/$name/$client/$path" . ($query
                ? ($path =~ /\?/ ? '&' : '?') . $query : ''),
                { %{ $ask{$client} }, $client eq 'gemini' ? ()
                : (stream => JSON::PP::true) }, $headers);

            is(credentials_of($q), "$header: $value",
                "$from of a client of $client to $name");
            unlike($q->{path}, qr/KEY/, 'and not in the path');
        }

        my $q = sent("/ours/$name/", $ask{openai}, { map {
            %{ $key{$_}[0] } } sort keys %key });

        is(credentials_of($q), "$header: " . $value =~ s/KEY/SERVER/r,
            "$name: ours, and none of the client's");
    }
};


subtest "the client's other headers" => sub {
    my %own = (
        'X-Stainless-Lang' => 'js', 'Anthropic-Version' => '2099-01-01',
        'Anthropic-Beta' => 'tools-1', 'OpenAI-Organization' => 'org-1',
        'X-Goog-Api-Client' => 'gl-1', 'Cookie' => 'a=b',
        'X-Forwarded-For' => '1.2.3.4', 'HTTP-Referer' => 'https://x',
    );
    my @pairs = ([ 'anthropic', 'openai' ], [ 'openai', 'anthropic' ],
        [ 'ollama', 'gemini' ], [ 'gemini', 'ollama' ]);

    for my $pair (@pairs) {
        my ($name, $client) = @$pair;
        my $q = sent("/$name/$client/" . url_of($client, 1),
            $ask{$client}, \%own);
        my %left = map { lc $_->[0] => $_->[1] } @{ $q->{list} };

        is($left{'anthropic-version'}, $name eq 'anthropic' ? '2023-06-01'
            : undef, "$client to $name: the version is ours");
        ok(!defined $left{$_}, "$client to $name: no $_")
            for qw(anthropic-beta openai-organization x-goog-api-client
            cookie);
    }

    my $q = sent('/anthropic/anthropic/', $ask{anthropic}, \%own);

    is($q->{headers}{'anthropic-beta'}, 'tools-1', 'the same dialect: kept');
};


###############################################################################
# what the configuration sets

subtest 'models in the path' => sub {
    my $path = sent('/model/gemini?m=1', { @chat,
        stream => JSON::PP::true })->{path};

    is($path, '/v1beta/models/a%2Fb%3Fc%23d%20%251'
        . ':streamGenerateContent?alt=sse', 'llm_stream_model, escaped');
    is(sent('/model/flowise', {@chat})->{path},
        '/api/v1/prediction/flow%2F1', "Flowise's id");

    my @evil = ([ '..a/b..' => '..a%2Fb..' ], [ 'a?b=c' => 'a%3Fb%3Dc' ],
        [ "a#\x{e9}" => 'a%23%C3%A9' ]);

    for my $case (@evil) {
        my $q = sent('/gemini/openai/', { @chat, model => $case->[0],
            stream => JSON::PP::true });

        like($q->{path} =~ s/%3D/=/r, qr{^/v1beta/models/\Q@{[
            $case->[1] =~ s/%3D/=/r ]}\E:stream}, "the client's $case->[0]");
    }

    for my $model ('..', '.', '', '../../x', 'a/..', 'models/..') {
        my $q = sent('/gemini/openai/', { @chat, model => $model });

        ok(!defined $q->{path} || $q->{path} !~ m{\.\.|/\.?:},
            "no model \"$model\"");
        is($q->{answer}{status}, 400, "400: \"$model\"");
    }

    is(sent('/ollama/gemini/v1beta/models/a%2Fb:generateContent',
        $ask{gemini})->{body} =~ /"model":"([^"]*)"/ && $1, 'a/b',
        "a model of Gemini's path, for the body");
};


subtest 'members that are set' => sub {
    my $body = $json->decode(sent('/param/anthropic', { @chat,
        max_completion_tokens => 50, temperature => 0.9,
        metadata => { a => 'b' } })->{body});

    is($body->{max_tokens}, 7, 'wins over a translated member');
    is($body->{temperature}, 0.9, 'if_absent: it is there');
    is($body->{top_k}, 3, 'if_absent: it is not');
    is_deeply($body->{metadata}, { user_id => 'u' }, 'an object');

    my $q = sent('/param/gemini', { @chat, temperature => 1 });

    $body = $json->decode($q->{body});
    is_deeply($body->{generationConfig}, { topK => 2 }, 'the whole member');
    is_deeply($body->{labels}, { a => 'b' }, 'if_absent');
    is(scalar(() = $q->{body} =~ /generationConfig/g), 1, 'once');
};


subtest "Mistral's and older names" => sub {
    my $body = $json->decode(sent('/mistral/openai/', { @chat, seed => 5,
        max_completion_tokens => 50 })->{body});

    is_deeply([ @$body{qw(random_seed max_tokens seed
        max_completion_tokens)} ], [ 5, 50, undef, undef ], 'mistral');

    for my $name (qw(deepseek openrouter)) {
        $body = $json->decode(sent("/$name/openai/", { @chat, seed => 5,
            max_completion_tokens => 50 })->{body});
        is_deeply([ @$body{qw(seed max_tokens max_completion_tokens)} ],
            [ 5, 50, undef ], $name);
    }
};


###############################################################################
# what the provider cannot say

subtest 'members that change the meaning' => sub {
    my $tool = { type => 'function', function => { name => 'f',
        parameters => { type => 'object' } } };
    my $link = [ { type => 'image_url', image_url => { url
        => 'https://x.example/a.png' } } ];
    my @rows = (
        [ 'anthropic', n => 2 ], [ 'openai-responses', n => 2 ],
        [ 'ollama', n => 2 ], [ 'cohere', n => 2 ], [ 'flowise', n => 2 ],
        [ 'openai-completions', tools => [$tool] ],
        [ 'ollama-generate', tools => [$tool] ],
        [ 'flowise', tools => [$tool] ],
        [ 'openai-completions', response_format => {
            type => 'json_object' } ],
        [ 'ollama', messages => [ { role => 'user', content => $link } ] ],
        [ 'flowise', messages => [ { role => 'user', content => 'hi' },
            { role => 'assistant', content => 'Oh,' } ] ],
    );

    for my $row (@rows) {
        my ($name, $member, $value) = @$row;
        my %call = (@chat, stream => JSON::PP::true, $member => $value);
        my $q = sent("/$name/openai/", \%call);
        my $error = eval { $json->decode($q->{answer}{body})->{error} }
            || {};

        is($q->{answer}{status}, 400, "$name, $member: refused");
        ok(!defined $q->{path}, 'and nobody asked');
        is($error->{code}, 'unsupported_parameter', 'with the code');
        like($error->{message} . ($error->{param} // ''),
            qr/\b\Q$member\E\b/, 'and the member');

        my $mark = $t->log_mark;

        $q = sent("/drop/$name/", \%call);
        ok(defined $q->{path}, "$name, $member: dropped");
        ok(defined $t->wait_log(qr/\[info\].*\Q$member\E/, from => $mark),
            'with a line in the log');
    }
};


subtest 'and those that do not' => sub {
    my @rows = (
        [ 'anthropic', frequency_penalty => 1 ], [ 'anthropic', seed => 1 ],
        [ 'openai-responses', seed => 1 ],
        [ 'ollama', logit_bias => { 1 => 1 } ],
        [ 'anthropic', odd_member => { a => 1 } ],
    );

    for my $row (@rows) {
        my ($name, $member, $value) = @$row;
        my $mark = $t->log_mark;
        my $q = sent("/$name/openai/", { @chat, $member => $value });

        ok(defined $q->{path}, "$name, $member: sent without");
        unlike($q->{body} // '', qr/\Q$member\E/, 'it is not there');
        ok(defined $t->wait_log(qr/\[info\].*\Q$member\E/, from => $mark),
            'the log says so');
    }
};


###############################################################################
# the same dialect: byte for byte

subtest 'byte for byte' => sub {
    my $chat = '"messages" : [ {"content":"hi \u00e9 \/","role":"user"} ]';
    my %odd = (
        'openai' => "{ \"x_odd\":1.50, $chat,\"model\":\"m-1\","
            . "\"stream\":false }\n",
        'openai-completions' => '{"prompt" : "hi", "x_odd":[1.0 ],'
            . '"model":"m-1","stream":false }',
        'openai-responses' => '{"input" : "hi", "x_odd":{ },'
            . '"model":"m-1","stream":true }',
        'anthropic' => "{\"max_tokens\":1.0e1, $chat, \"x_odd\":null,"
            . '"model":"m-1","stream":true}',
        'gemini' => '{"contents" : [{"parts":[{"text":"hi"}]}], "x_odd":1 }',
        'ollama' => "{\"x_odd\":1.50, $chat,\"model\":\"m-1\"}",
        'ollama-generate' => '{"prompt" : "hi", "x_odd":1.50,'
            . '"model":"m-1","stream":true }',
        'flowise' => '{"question" : "hi", "overrideConfig":{ "a":1.0},'
            . '"streaming":true }',
    );

    for my $name (sort keys %odd) {
        my $path = $name eq 'gemini' ? url_of('gemini', 1)
            : $name eq 'flowise' ? 'api/v1/prediction/m-1' : '';
        my $q = sent("/$name/$name/$path", $odd{$name});

        is($q->{body}, $odd{$name}, $name);
    }
};


###############################################################################
# the whole

cmp_ok($u->connections, q(>), 200,
    'all of that was asked');
$t->finish;
