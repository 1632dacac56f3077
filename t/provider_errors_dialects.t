#!/usr/bin/perl

# The providers' answers of 400 and above in every dialect: the status, the
# same bytes for a client of the same dialect and the client's own words for
# the others, the time to wait as header and as Gemini's RetryInfo, lists
# around an error, 529, and nothing of a key that is the server's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $json = JSON::PP->new->utf8;

my @providers = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere);
my @clients = qw(openai openai-responses anthropic gemini ollama flowise
    simple typed text);
my $locations = '';

for my $name (@providers) {
    for my $client (@clients, grep { /-completions|-generate/ } $name) {
        for my $key ('', 'llm_stream_api_key sk-server-secret;') {
            my $group = $key ? 'ours' : 'own';

            $locations .= <<"EOT";
        location "/$group/$name/$client/" {
            llm_stream $name http://%%UPSTREAM%%;
            llm_stream_client $client;
            llm_stream_model m;
            $key
        }
EOT
        }
    }
}

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
    }
}
EOT

my $chat = '{"messages":[{"role":"user","content":"hi"}],"max_tokens":5}';
my %body = (
    'openai-completions' => '{"prompt":"hi"}',
    'openai-responses' => '{"input":"hi"}',
    'gemini' => '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
    'ollama-generate' => '{"prompt":"hi"}', 'flowise' => '{"question":"hi"}',
);

# a provider's error: what it means, as each dialect says it
my %say = (
    'openai' => sub { { error => { message => $_[0], type => $_[2],
        param => undef, code => $_[3] } } },
    'anthropic' => sub { { type => 'error', error => { type => $_[4],
        message => $_[0] }, request_id => 'req_1' } },
    'gemini' => sub { { error => { code => $_[1], message => $_[0],
        status => $_[5] } } },
    'ollama' => sub { { error => $_[0] } },
    'flowise' => sub { { statusCode => $_[1], success => JSON::PP::false,
        message => $_[0], stack => {} } },
    'cohere' => sub { { message => $_[0] } },
);
$say{'openai-completions'} = $say{'openai-responses'} = $say{openai};
$say{'ollama-generate'} = $say{ollama};

# message, status, OpenAI's type and code, Anthropic's type, Gemini's status
my @errors = (
    [ 'Bad "thing" here.', 400, 'invalid_request_error', undef,
        'invalid_request_error', 'INVALID_ARGUMENT' ],
    [ 'No such model.', 404, 'invalid_request_error', 'model_not_found',
        'not_found_error', 'NOT_FOUND' ],
    [ 'Slow down.', 429, 'requests', 'rate_limit_exceeded',
        'rate_limit_error', 'RESOURCE_EXHAUSTED' ],
    [ 'Broken.', 500, 'server_error', undef, 'api_error', 'INTERNAL' ],
    [ 'Busy.', 503, 'server_error', 'overloaded', 'overloaded_error',
        'UNAVAILABLE' ],
    [ 'Busy.', 529, 'server_error', 'overloaded', 'overloaded_error',
        'UNAVAILABLE' ],
    [ 'Not your key.', 401, 'invalid_request_error', 'invalid_api_key',
        'authentication_error', 'UNAUTHENTICATED' ],
);


sub ask {
    my ($name, $client, $status, $body, %o) = @_;

    $u->script(['request'], [ send => LLMTest::Upstream::answer($status,
        $body, 'Content-Type' => 'application/json', @{ $o{headers} || [] })
        ], ['close']);

    my $path = $client eq 'gemini' ? 'v1beta/models/m:generateContent' : '';

    return $t->http('POST', '/' . ($o{group} // 'own')
        . "/$name/$client/$path", { 'Content-Type' => 'application/json' },
        $body{$client} // $chat);
}


# { message, type, code, status } as a client's dialect says it

sub heard {
    my ($client, $body) = @_;

    return { message => $body =~ s/\n\z//r } if $client eq 'text';

    my $e = eval { $json->decode($body) };

    return {} if ref $e ne 'HASH';
    return { message => $e->{error}, code => $e->{code} }
        if $client eq 'simple';
    return { message => $e->{error} } if $client =~ /^ollama/;
    return { message => $e->{message}, status => $e->{statusCode} }
        if $client eq 'flowise';
    return $e->{type} eq 'error' ? $e->{data} : {} if $client eq 'typed';
    return $e->{type} eq 'error' ? $e->{error} : {} if $client eq 'anthropic';
    return { %{ $e->{error} }, word => $e->{error}{status},
        status => $e->{error}{code} } if $client eq 'gemini';
    return $e->{error};
}


for my $name (@providers) {
    subtest "$name: the same error in the client's words" => sub {
        for my $error (@errors) {
            my ($message, $status, $type, $code, $anthropic, $word)
                = @$error;
            my $body = $json->encode($say{$name}->(@$error)) . "\n ";

            for my $client (@clients) {
                my $r = ask($name, $client, $status, $body);
                my $what = "$client, $status";

                is($r->{status}, $status, "$what: status");

                # what the provider says nothing of is told by the status
                if ($client eq $name || $client eq 'openai-responses'
                    && $name eq $client)
                {
                    is($r->{body}, $body, "$what: its bytes");
                    next;
                }

                my $e = heard($client, $r->{body});

                is($e->{message}, $message, "$what: message");
                is($e->{type}, $anthropic, "$what: type")
                    if $client eq 'anthropic';
                is($e->{word}, $word, "$what: status word")
                    if $client eq 'gemini';
                is($e->{code}, $code, "$what: code")
                    if $client =~ /^openai/ && defined $code;
                is($e->{status}, $status, "$what: the status inside")
                    if $client eq 'flowise';
            }
        }
    };
}


subtest 'the time to wait' => sub {
    my $info = '{"error":{"code":429,"message":"Slow.","status":'
        . '"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/'
        . 'google.rpc.QuotaFailure"},{"@type":"type.googleapis.com/'
        . 'google.rpc.RetryInfo","retryDelay":"34.4s"}]}}';

    for my $client (@clients) {
        my $r = ask('gemini', $client, 429, $info);

        is($r->{headers}{'retry-after'}, 35, "$client: Gemini's, rounded up");
    }

    for my $name (grep { $_ ne 'gemini' } @providers) {
        my $r = ask($name, 'gemini', 429, $json->encode($say{$name}->(
            @{ $errors[2] })), headers => [ 'Retry-After' => 7 ]);
        my ($own) = map { $_->{retryDelay} // () } @{ (eval {
            $json->decode($r->{body}) } || {})->{error}{details} || [] };

        is($own, '7s', "$name to gemini: RetryInfo");
        is($r->{headers}{'retry-after'}, 7, "$name to gemini: the header");
    }
};


subtest 'a list around it' => sub {
    my $list = '[{ "error": {"code": 404, "message": "No such model.", '
        . "\"status\": \"NOT_FOUND\"}}\n]";

    for my $client (@clients) {
        my $r = ask('gemini', $client, 404, $list);

        is($r->{status}, 404, "$client: status");

        if ($client eq 'gemini') {
            is($r->{body}, $list, "$client: as it came");
            next;
        }

        is(heard($client, $r->{body})->{message}, 'No such model.',
            "$client: message");
    }
};


subtest "the server's key" => sub {
    $t->canary('sk-server-secret', 'sk-serv');

    for my $name (@providers) {
        for my $status ($name eq 'gemini' ? 400 : (401, 403)) {
            my @error = ('Incorrect API key provided: sk-serv**********ret.',
                $status, 'invalid_request_error', 'invalid_api_key',
                'authentication_error', 'UNAUTHENTICATED');
            my $value = $say{$name}->(@error);

            $value->{error}{details} = [ { '@type' =>
                'type.googleapis.com/google.rpc.ErrorInfo',
                reason => 'API_KEY_INVALID' } ] if $name eq 'gemini';

            for my $client (@clients) {
                my $r = ask($name, $client, $status, $json->encode($value),
                    group => 'ours');

                is($r->{status}, $status == 400 && $client ne 'gemini' ? 401
                    : $status, "$name to $client: $status");
                unlike($r->{body}, qr/sk-serv/, "$name to $client: hidden");
                like(heard($client, $r->{body})->{message}, qr/\w+ \w+.*\./,
                    "$name to $client: a sentence");
            }
        }
    }
};


subtest 'what is no error of any dialect' => sub {
    my @odd = ('<html><b>Bad gateway</b></html>', '', '[]', '"x"', '{}',
        '{"error":null}', 'null', '{"error":{"message":{"a":1}}}');

    for my $body (@odd) {
        for my $client (@clients) {
            my $name = $client eq 'anthropic' ? 'openai' : 'anthropic';
            my $r = ask($name, $client, 502, $body);

            is($r->{status}, 502, "$client, $body: status");
            like(heard($client, $r->{body})->{message} // '(none)',
                qr/\w+ \w+.*\./, "$client, $body: a sentence");
            unlike($r->{body}, qr/<b>/, "$client, $body: no page");
        }
    }
};

$t->finish;
