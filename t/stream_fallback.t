#!/usr/bin/perl

# llm_stream_fallback non_stream: when streaming fails before the first
# content, the same request once without a stream, for every provider's
# dialect and its clients; what the client gets is what it gets of a provider
# that answers a streaming request with one JSON document.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Ending qw(wire);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $json = JSON::PP->new->utf8->canonical;
my $true = JSON::PP::true;
my $n = 0;

my $PROMPT = [ { role => 'user', content => 'A stream, please.' } ];
my $NATIVE = 'v1beta/models/m:streamGenerateContent?alt=sse&';
my $SAYS = '{"error":{"message":"You must be verified to stream this model.",'
    . '"type":"invalid_request_error","param":"stream","code":"unsupported",'
    . '"status":"INVALID_ARGUMENT"}}';
my $HTML = '<html>no stream</html>';

# of each dialect: its answer, an error inside a stream, the request of its
# own client (none: it has none), and the members it asks a stream with
my %DIALECT = (
    openai => [ 'openai/answer-text.json',
        'data: {"error":{"message":"Busy.","code":503}}',
        { model => 'm', messages => $PROMPT, stream => $true,
            stream_options => { include_usage => $true } } ],
    'openai-completions' => [ 'openai-completions/answer.json',
        'data: {"error":{"message":"Busy.","code":503}}',
        { model => 'm', prompt => 'A stream.', stream => $true } ],
    'openai-responses' => [ 'responses/answer-text.json',
        'data: {"type":"error","code":"server_error","message":"Busy."}',
        { model => 'm', input => 'A stream.', stream => $true,
            stream_options => { include_obfuscation => $true } } ],
    anthropic => [ 'anthropic/answer-text.json',
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
            . '"overloaded_error","message":"Overloaded"}}',
        { model => 'm', max_tokens => 9, messages => $PROMPT,
            stream => $true } ],
    gemini => [ 'gemini/answer.json', 'data: {"error":{"code":503,'
        . '"message":"Busy.","status":"UNAVAILABLE"}}',
        { contents => [ { role => 'user', parts => [ { text => 'A.' } ] } ] }
    ],
    ollama => [ 'ollama/answer.json', '{"error":"busy"}',
        { model => 'm', messages => $PROMPT } ],
    'ollama-generate' => [ 'ollama-generate/answer.json',
        '{"error":"busy"}', { model => 'm', prompt => 'A stream.' } ],
    flowise => [ 'flowise/answer-text.json',
        "message:\ndata:{\"event\":\"error\",\"data\":\"Error: busy\"}",
        { question => 'A stream.', streaming => $true } ],
    cohere => [ 'cohere/answer-text.json',
        'data: {"message":"the model is busy","id":"e-1"}' ],
);


sub location {
    my ($path, $provider, $client, $more) = @_;

    return <<"EOT";
        location /$path/ {
            llm_stream $provider;
            llm_stream_client $client;
            $more
        }
EOT
}


my $to = 'http://%%UPSTREAM%%';
my $locations = location('off', "openai $to", 'simple',
        'llm_stream_fallback off;')
    . location('path', "gemini $to/v1beta/models/m:streamGenerateContent",
        'simple', '')
    . location('event', "openai $to", 'openai', 'llm_stream_gate event;')
    . location('retry', "openai $to", 'simple', 'llm_stream_next_upstream '
        . 'http_503 stream_error invalid;')
    . location('both', 'openai http://both', 'simple',
        'llm_stream_next_upstream stream_error;')
    . location('short', "openai $to", 'simple',
        'llm_stream_first_token_timeout %%MS_3000%%;')
    . location('variable', 'gemini http://$arg_host', 'simple', '')
    . location('params', "openai $to", 'simple',
        'llm_stream_param user "\"$arg_n\""; llm_stream_model other; '
        . 'llm_stream_set_header X-N $arg_n;')
    . location('get', "openai $to", 'simple',
        'llm_stream_prompt $arg_prompt;')
    . location('page', "openai $to", 'simple', 'error_page 502 503 = @page;');

for my $dialect (sort keys %DIALECT) {
    for my $client ('simple', 'openai', 'text', $dialect) {
        next if $client eq 'cohere'
            || ($client eq $dialect && $client eq 'openai');

        $locations .= location("$dialect/$client", "$dialect $to", $client,
            'llm_stream_model m;');
    }
}

$locations .= location('openai/openai', "openai $to", 'openai', '');

$t->config(<<"EOT" =~ s/%%MS_(\d+)%%/LLMTest::Wait::slow() * $1 . 'ms'/ger)
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    log_format end '\$arg_n \$status \$llm_stream_end \$llm_stream_upstream '
        '\$llm_stream_chars \$llm_stream_tokens_out';
    access_log %%DIR%%/end.log end;
    llm_stream_fallback non_stream;
    llm_stream_gate content;
    llm_stream_retry_budget off;

    upstream both {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM%% max_fails=0;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
$locations
        location \@page { return 418 "page\\n"; }
    }
}
EOT
    ->start;


sub fixture {
    my ($name) = @_;

    open my $fh, '<:raw', $t->root . "/t/fixtures/$name" or die "$name: $!";
    local $/ = undef;

    return scalar readline $fh;
}


sub answer {
    my ($body) = @_;

    return LLMTest::Upstream::answer(200, $body,
        'Content-Type' => 'application/json; charset=utf-8');
}


sub stream {
    my ($dialect, @pieces) = @_;

    return "HTTP/1.1 200 OK\r\nContent-Type: "
        . ($dialect =~ /ollama/ ? 'application/x-ndjson' : 'text/event-stream')
        . "\r\nTransfer-Encoding: chunked\r\n\r\n"
        . join '', map { LLMTest::Upstream::chunk($_) } @pieces;
}


# ask($path, $body, @answers): the client's result, and the requests that the
# provider has seen

sub ask {
    my ($path, $body, @answers) = @_;
    my $before = $u->connections;
    my @seen;

    $u->script(['request'], [ send => $_ ], ['close']) for @answers;
    $n++;

    my $query = $path =~ /\?/ ? "${path}n=$n" : "$path?n=$n";
    my $s = $t->open(ref $body ? (method => 'POST', body => $body)
        : (method => 'GET'), path => "/$query");

    $s->wait_end;

    for my $i (1 .. $u->connections - $before) {
        push @seen, scalar $u->peer($before + $i)->request;
    }

    return ($s->result, @seen);
}


# what is made anew for each answer

sub same {
    my ($body) = @_;

    $body =~ s/(?<=")(?:chatcmpl|cmpl|msg|resp|gen|rs|fc|call)[-_]\w+/ID/g;
    $body =~ s/"(?:created|created_at|completed_at)":(?:\d+|"[^"]*")/"at":0/g;
    $body =~ s/"(?:responseId|chatMessageId|id)":"[^"]*"/"id":""/g;

    return $body;
}


sub fallen { return $t->wait_log(qr/asking once without a stream.*n=$n\b/) }


for my $dialect (sort keys %DIALECT) {
    my ($file, $event, $native) = @{ $DIALECT{$dialect} };
    my $answer = answer(fixture($file));
    my %fails = (
        says => LLMTest::Upstream::answer(400, $SAYS,
            'Content-Type' => 'application/json'),
        event => stream($dialect, "$event\n\n") . "0\r\n\r\n",
        empty => stream($dialect) . "0\r\n\r\n",
        cut => stream($dialect),
        framing => stream($dialect) . "zz\r\n",
        html => LLMTest::Upstream::answer(200, $HTML,
            'Content-Type' => 'text/html'),
    );
    my @clients = ('simple', 'text', 'openai');

    push @clients, $dialect if $native && $dialect ne 'openai';

    for my $client (@clients) {
        my $own = $client eq $dialect;
        my $path = "$dialect/$client/" . ($client eq 'gemini' ? $NATIVE : '');
        my $body = $own ? $native : $DIALECT{openai}[2];

        subtest "$dialect for $client" => sub {
            my ($wanted, $asked) = ask($path, $body, $answer);

            is($wanted->{status}, 200, 'an answer at once is a stream');

            for my $fail (sort keys %fails) {
                my ($r, @seen) = ask($path, $body, $fails{$fail}, $answer);

                is(scalar @seen, 2, "$fail: sent twice");
                is($r->{status}, 200, "$fail: answered");
                is($r->{ended}, $wanted->{ended}, "$fail: to its end");
                is(same($r->{body}), same($wanted->{body}),
                    "$fail: nothing but the answer");
                ok(fallen(), "$fail: the log says so");
                judge($dialect, $fail, @seen);
            }
        };
    }
}


# the second request: the same, but for the stream

sub judge {
    my ($dialect, $name, $one, $two) = @_;
    my ($first, $second) = map { $json->decode($_->{body}) } $one, $two;
    my %head = map { lc $_->[0] => $_->[1] } @{ $two->{list} || [] };
    my $path = $one->{path};

    $path =~ s/:streamGenerateContent\?alt=sse/:generateContent/;
    is($two->{path}, $path, "$name: the path");

    ok(!$second->{ $dialect eq 'flowise' ? 'streaming' : 'stream' },
        "$name: no stream is asked");
    ok(exists $second->{stream}, "$name: and that is said")
        if $dialect =~ /ollama/;
    ok(!defined $second->{stream_options}, "$name: without options of one");

    my $accept = ref $two->{headers} ? $two->{headers}{accept} : $head{accept};
    is($accept, 'application/json', "$name: one answer is");

    delete @$_{qw(stream streaming stream_options)} for $first, $second;
    is_deeply($second, $first, "$name: the same call");

    return;
}


my $CALL = $DIALECT{openai}[2];
my $ANSWER = answer(fixture('openai/answer-text.json'));
my $EMPTY = stream('openai') . "0\r\n\r\n";

sub refusal {
    my ($status, $body) = @_;

    return LLMTest::Upstream::answer($status, $body // $SAYS,
        'Content-Type' => 'application/json');
}


subtest 'which statuses' => sub {
    for my $status (400, 404, 405, 415, 422, 501) {
        my ($r, @seen) = ask('openai/simple/', $CALL, refusal($status),
            $ANSWER);

        is(scalar @seen, 2, "$status that speaks of streams");
        is($r->{status}, 200, "$status: answered");

        ($r, @seen) = ask('openai/simple/', $CALL, refusal($status,
            '{"error":{"message":"No such thing."}}'));
        is(scalar @seen, 1, "$status that does not");
        is($r->{status}, $status, "$status: as it is");
    }

    for my $word ('The upstream said no.', 'up', 'Upstream: UPSTREAM') {
        my ($r, @seen) = ask('openai/simple/', $CALL, refusal(400,
            "{\"error\":{\"message\":\"$word\"}}"));

        is(scalar @seen, 1, "\"$word\" is no word of streams");

        ($r, @seen) = ask('openai/simple/', $CALL, refusal(400,
            "{\"error\":{\"message\":\"$word, no Stream.\"}}"), $ANSWER);
        is(scalar @seen, 2, "\"$word\" and one that is");
    }

    for my $status (401, 403, 402, 413, 429, 500, 503) {
        my ($r, @seen) = ask('openai/simple/', $CALL, refusal($status));

        is(scalar @seen, 1, "$status: never");
        is($r->{status}, $status, "$status: as it is");
    }

    my ($r, @seen) = ask('openai/simple/', $CALL, stream('openai',
        "data: {\"error\":{\"message\":\"No key.\",\"code\":401}}\n\n"));
    is(scalar @seen, 1, 'an event that stands for 401: no');

    ($r, @seen) = ask('openai/simple/', $CALL, LLMTest::Upstream::answer(302,
        'x', Location => 'http://127.0.0.1/stream'));
    is(scalar @seen, 1, 'a redirect: no');
};


subtest 'never' => sub {
    my ($role, $text) = wire([ 'role' ], [ text => 'Hel' ]);
    my ($r, @seen) = ask('openai/simple/', $CALL, stream('openai', $role,
        $text));

    is(scalar @seen, 1, 'after content');

    ($r, @seen) = ask('event/', $CALL, stream('openai', $role));
    like($r->{body}, qr/"role"/, 'what opens the gate');
    is(scalar @seen, 1, 'after a byte of it');

    ($r, @seen) = ask('off/', $CALL, $EMPTY);
    is(scalar @seen, 1, 'when it is off');

    ($r, @seen) = ask('path/', $CALL, $EMPTY);
    is(scalar @seen, 1, 'where the path of the URL asks for a stream');

    ($r, @seen) = ask('openai/openai/', { %$CALL, stream => JSON::PP::false },
        refusal(400));
    is(scalar @seen, 1, 'when none was asked for');

    ($r, @seen) = ask('openai/simple/', $CALL, $EMPTY, $EMPTY);
    is(scalar @seen, 2, 'twice');
    is($r->{status}, 502, 'and the second failure is told');

    ($r, @seen) = ask('openai/simple/', $CALL, $EMPTY, refusal(429));
    is($r->{status}, 429, 'as what it is');

    ($r, @seen) = ask('openai/simple/', $CALL, refusal(400), '');
    is($r->{status}, 400, 'and the first one when nobody answers');
    like($r->{body}, qr/"code":"unsupported"/, 'in its words');
};


subtest 'one answer of a stream that failed' => sub {
    my %call = (%$CALL, stream => JSON::PP::false);
    my ($role) = wire([ 'role' ]);

    for my $fail ($EMPTY, refusal(400), stream('openai', $role)) {
        my ($r, @seen) = ask('openai/simple/', \%call, $fail, $ANSWER);

        is(scalar @seen, 2, 'sent twice');
        ok($json->decode($seen[0]{body})->{stream}, 'as a stream first');
        ok(!$json->decode($seen[1]{body})->{stream}, 'then not');
        is($r->{status}, 200, 'answered');
        ok($r->{complete}, 'whole');
    }
};


subtest 'with other attempts' => sub {
    my $busy = refusal(503, '{"error":{"message":"Busy, it says."}}')
        =~ s/\r\n/\r\nRetry-After-Ms: 1\r\n/r;
    my $event = stream('openai',
        "data: {\"error\":{\"message\":\"Busy.\",\"code\":503}}\n\n");

    my ($r, @seen) = ask('both/', $CALL, $event, $event, $ANSWER);
    is(scalar @seen, 3, 'after the other servers');
    is($r->{status}, 200, 'answered');

    ($r, @seen) = ask('retry/', $CALL, $EMPTY =~ s/\r\n/\r\nRetry-After-Ms: 1\r\n/r,
        $EMPTY, $ANSWER);
    is(scalar @seen, 3, 'after the same one again');
    is($r->{status}, 200, 'answered');

    ($r, @seen) = ask('retry/', $CALL, $busy, refusal(400), $busy);
    is(scalar @seen, 3, 'the last attempt');
    is($r->{status}, 503, 'and its status');

    # the answer has that time, too
    $u->script(['request'], [ send => stream('openai') ], ['wait_close'],
        ['close']);
    ($r, @seen) = ask('short/', $CALL, $ANSWER);
    is(scalar @seen, 2, 'a silent stream');
    is($r->{status}, 200, 'answered');

    ($r, @seen) = ask('page/', $CALL, $EMPTY, $EMPTY);
    is($r->{body}, "page\n", 'error_page comes last');
};


subtest 'what the request is made of' => sub {
    my ($r, @seen) = ask('params/', $CALL, $EMPTY, $ANSWER);
    my ($one, $two) = map { $json->decode($_->{body}) } @seen;

    is($two->{user}, $n, 'a parameter');
    is($two->{model}, 'other', 'the model');
    is_deeply([ map { $seen[$_]{headers}{'x-n'} } 0, 1 ], [ $n, $n ],
        'a header');

    ($r, @seen) = ask('get/?prompt=A+stream&', undef, $EMPTY, $ANSWER);
    is($r->{status}, 200, 'a GET');
    is_deeply($json->decode($seen[1]{body})->{messages},
        $json->decode($seen[0]{body})->{messages}, 'its prompt');

    my $gemini = answer(fixture('gemini/answer.json'));
    ($r, @seen) = ask('variable/?host=' . $u->address . '&', $CALL,
        stream('gemini') . "0\r\n\r\n", $gemini);
    is(scalar @seen, 2, 'a URL with variables');
    like($seen[1]{path}, qr/m:generateContent$/, 'its path');

    my $long = { %$CALL, messages => [ { role => 'user',
        content => 'word ' x 100_000 } ] };
    ($r, @seen) = ask('openai/simple/', $long, $EMPTY, $ANSWER);
    is(scalar @seen, 2, 'a long prompt');
    is_deeply($json->decode($seen[1]{body})->{messages}, $long->{messages},
        'goes twice');
};


subtest 'variables' => sub {
    my ($r) = ask('openai/simple/', $CALL, $EMPTY, $ANSWER);
    my $text = $json->decode(fixture('openai/answer-text.json'))
        ->{choices}[0]{message}{content};
    my $line = $t->wait_log(qr/^$n /, file => 'end.log');

    is($line, join(' ', $n, 200, 'complete', 'openai', length $text,
        $json->decode(fixture('openai/answer-text.json'))
        ->{usage}{completion_tokens}), 'of the second attempt');
};


subtest 'HTTP/2' => sub {
    $u->script(['request'], [ send => $_ ], ['close']) for $EMPTY, $ANSWER;

    my $s = $t->open(proto => 'h2', port => 1, method => 'POST',
        path => '/openai/simple/', body => $CALL);

    is($s->wait_end, 'complete', 'a whole stream');
    like($s->body, qr/"done":true/, 'of the answer');
};


$t->finish;
