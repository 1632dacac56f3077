#!/usr/bin/perl

# Tests of the mock provider in every dialect: paths, streams, answers, errors
# and faults, read by the readers of MockReader, which know the dialects from
# their descriptions alone.  See mock.t for how to choose the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw(decode_json);
use LLMTest::Stamp qw(stamps);
use MIME::Base64 qw(decode_base64);
use MockRaw;
use MockReader;
use Test::More;

plan skip_all => 'no llm-mock: build it first or set LLM_MOCK'
    if !available();

my $mock = main_mock('--tokens', 3, '--created', 1700000000);

my $hello = '[{"role":"user","content":"hello big world"}]';
my $parts = '[{"role":"user","parts":[{"text":"hello big world"}]}]';

# Of each dialect: path and body of a stream and of an answer, type of both,
# what it cannot say.  %s in a body is the stream member.

my %dialects = (
    'openai' => {
        path => '/v1/chat/completions',
        body => qq({"model":"m","messages":$hello,"stream":%s,)
            . '"stream_options":{"include_usage":true}}',
        id => 'chatcmpl-x', type => 'text/event-stream; charset=utf-8',
        signature => 0,
    },
    'openai-completions' => {
        path => '/v1/completions',
        body => '{"model":"m","prompt":"hello big world","stream":%s,'
            . '"stream_options":{"include_usage":true}}',
        id => 'cmpl-x', type => 'text/event-stream', tools => 0,
        reasoning => 0, links => 0, refusal => 0,
    },
    'openai-responses' => {
        path => '/v1/responses',
        body => '{"model":"m","input":"hello big world","stream":%s}',
        id => 'resp_x', type => 'text/event-stream; charset=utf-8',
    },
    'anthropic' => {
        path => '/v1/messages',
        body => qq({"model":"m","messages":$hello,"stream":%s,)
            . '"max_tokens":100}',
        id => 'msg_x', type => 'text/event-stream; charset=utf-8',
        refusal => 'text', refusal_finish => 'content_filter',
    },
    'gemini' => {
        path => '/v1beta/models/m:streamGenerateContent?alt=sse',
        answer_path => '/v1beta/models/m:generateContent',
        body => qq({"contents":$parts}),
        id => 'x', type => 'text/event-stream', done => 0, refusal => 'text',
    },
    'gemini-array' => {
        path => '/v1beta/models/m:streamGenerateContent',
        body => qq({"contents":$parts}),
        id => 'x', type => 'application/json; charset=UTF-8', done => 0,
        refusal => 'text',
    },
    'ollama' => {
        path => '/api/chat',
        body => qq({"model":"m","messages":$hello,"stream":%s}),
        type => 'application/x-ndjson', signature => 0, links => 0,
        refusal => 'text',
    },
    'ollama-generate' => {
        path => '/api/generate',
        body => '{"model":"m","prompt":"hello big world","stream":%s}',
        type => 'application/x-ndjson', tools => 0, signature => 0,
        links => 0, refusal => 'text',
    },
    'flowise' => {
        path => '/api/v1/prediction/m',
        body => '{"question":"hello big world","streaming":%s}',
        id => 'x', type => 'text/event-stream', model => 0, signature => 0,
        refusal => 'text', length => 'stop', ids => 0,
    },
    'cohere' => {
        path => '/v2/chat',
        body => qq({"model":"m","messages":$hello,"stream":%s}),
        id => 'x', type => 'text/event-stream', model => 0, signature => 0,
        refusal => 'text',
    },
);

my @streams = sort keys %dialects;
my @answers = grep { $_ ne 'gemini-array' } @streams;

sub request_of {
    my ($name, %o) = @_;

    my $d = $dialects{$name};
    my $stream = $o{plain} ? 'false' : 'true';
    my $body = $d->{body} =~ s/%s/$stream/r;

    return (path => $o{plain} && $d->{answer_path} || $d->{path},
        body => $body, %o);
}

sub raw_of { return scalar ask($_[1], request_of($_[0])) }

sub bytes_of { return join '', chunks(body_of(raw_of(@_))) }

sub streamed { return read_stream($_[0], bytes_of(@_)) }

sub answered {
    my ($name, $options) = @_;

    return read_answer($name,
        body_of(scalar ask($options, request_of($name, plain => 1))));
}

sub has {
    my ($name, $what) = @_;

    return $dialects{$name}{$what} // 1;
}

# The same of a stream and of an answer.

sub each_way {
    my ($options, $check) = @_;

    $check->($_, "$_, a stream", streamed($_, $options)) for @streams;
    $check->($_, "$_, an answer", answered($_, $options)) for @answers;

    return;
}

###############################################################################
# what is said

subtest 'text, finish reason, usage, ids' => sub {
    each_way('id=x', sub {
        my ($name, $what, $r) = @_;

        is($r->{text}, 'Lorem ipsum dolor', "$what: text");
        is($r->{finish}, 'stop', "$what: finish reason");
        is($r->{done}, $what =~ /answer/ ? $r->{done} : has($name, 'done'),
            "$what: ends once");
        cmp_ok($r->{input} // 4, '>', 3, "$what: input");
        is($r->{output}, $name eq 'flowise' ? $r->{output} : 3,
            "$what: output");
        is($r->{model}, 'm', "$what: model") if has($name, 'model');
        is($r->{id}, $dialects{$name}{id}, "$what: id")
            if $dialects{$name}{id};
    });

    is(streamed('anthropic', '')->{first_input}, 12,
        'anthropic: input from the start');
    is(streamed('flowise', '')->{output}, 3, 'flowise: output');
};

subtest 'stamps' => sub {
    each_way('text=stamp,itl=0.1', sub {
        my ($name, $what, $r) = @_;
        my @stamps = eval { stamps($r->{text}) };

        is_deeply([map { $_->{k} } @stamps], [1 .. 3], "$what: each token")
            or diag($@);
        is(scalar(grep { $_->{late} == 0 } @stamps), 0, "$what: how late");
    });
};

subtest 'heads' => sub {
    for my $name (@streams) {
        like(head_of(raw_of($name, 'id=x')),
            qr/^Content-Type:\ \Q$dialects{$name}{type}\E\r\n/mx,
            "$name: type");
        like(head_of(scalar ask('id=x', request_of($name, plain => 1))),
            qr/^Content-Type: application\/json/m, "$name: type of an answer");
    }

    like(head_of(raw_of('anthropic', 'id=x')), qr/^request-id: req_x\r$/m,
        'anthropic: request-id');
    like(head_of(raw_of('gemini', '')),
        qr/^content-disposition: attachment\r$/m, 'gemini');
    like(head_of(raw_of('flowise', '')), qr/^X-Accel-Buffering: no\r$/m,
        'flowise');
};

subtest 'reasoning' => sub {
    each_way('reasoning=2', sub {
        my ($name, $what, $r) = @_;
        my $expected = has($name, 'reasoning') ? 'Lorem ipsum' : '';

        return if $what eq 'flowise, an answer';
        is($r->{reasoning}, $expected, "$what: reasoning");
        is($r->{text}, 'Lorem ipsum dolor', "$what: then text");
        is($r->{signature}, 'bW9jay1zaWduYXR1cmU=', "$what: signature")
            if has($name, 'signature') && $expected;
        is($r->{output}, $expected ? 5 : 3, "$what: tokens");
        is($r->{thoughts}, 2, "$what: of reasoning")
            if $expected && $r->{thoughts};
    });

    is(streamed('anthropic', 'reasoning=1,signature=0')->{signature}, undef,
        'without signature');
};

subtest 'tools' => sub {
    each_way('tools=2', sub {
        my ($name, $what, $r) = @_;

        if (!has($name, 'tools')) {
            is($r->{finish}, 'stop', "$what: has none");
            return;
        }

        is_deeply([map { $_->{name} } @{ $r->{calls} }],
            ['get_weather', 'get_weather'], "$what: names");
        is_deeply([map { $_->{args} } @{ $r->{calls} }],
            [map { { location => 'Paris', unit => 'celsius', n => $_ } }
            0, 1], "$what: arguments");
        is_deeply([map { $_->{id} } @{ $r->{calls} }],
            ['call_mock_0_0', 'call_mock_0_1'], "$what: ids")
            if has($name, 'ids');
        is($r->{finish}, $name eq 'flowise' ? 'stop' : 'tool_calls',
            "$what: finish reason");
        is($r->{text}, '', "$what: no text");
    });

    is(streamed($_, 'tools=1,tokens=2')->{text}, 'Lorem ipsum',
        "$_: text and tools") for @streams;
};

subtest 'refusals, citations, reasons' => sub {
    each_way('refusal=1', sub {
        my ($name, $what, $r) = @_;
        my $how = has($name, 'refusal');

        is($how eq '1' ? $r->{refusal} : $r->{text},
            'Lorem ipsum dolor', "$what: refusal") if $how;
        is($r->{finish}, $dialects{$name}{refusal_finish} // 'stop',
            "$what: its reason");
    });

    each_way('citations=2', sub {
        my ($name, $what, $r) = @_;

        is_deeply($r->{links}, [map { "https://mock.example/source/$_" }
            1, 2], "$what: citations") if has($name, 'links');
        is($r->{text}, 'Lorem ipsum dolor', "$what: text");
    });

    each_way('finish=length', sub {
        my ($name, $what, $r) = @_;

        is($r->{finish}, $dialects{$name}{length} // 'length',
            "$what: length");
    });

    each_way('usage=off', sub {
        my ($name, $what, $r) = @_;

        is($r->{output} || undef, undef, "$what: usage=off");
    });

    my ($with, $without) = map {
        read_stream('openai-completions', join '', chunks(body_of(scalar
            ask($_, path => '/v1/completions',
            body => '{"model":"m","prompt":"p","stream":true}'))))->{output}
        } 'usage=force', '';

    is($with, 3, 'completions: usage=force');
    is($without, undef, 'completions: usage is asked for');
};

subtest 'texts and choices' => sub {
    for my $name (@streams) {
        is(streamed($name, 'text=echo')->{text}, 'hello big world',
            "$name: echo");
        like(streamed($name, 'text=unicode,tokens=20')->{text},
            qr/Gr\x{fc}\x{df}e .*\x{1f600}.*"quoted" back\\slash\ttab|tab\t/s,
            "$name: unicode");
        is(streamed($name, 'text=marker,marker=q,tokens=2')->{text},
            '<q:0:0><q:0:1>', "$name: marker");
    }

    my %asks = (
        'openai-completions' => sub { $_[0] =~ s/"model"/"n":2,"model"/r },
        'gemini' => sub { $_[0] =~
            s/\A\{/{"generationConfig":{"candidateCount":2},/r },
    );

    for my $name (sort keys %asks) {
        my %request = request_of($name);
        my $body = $asks{$name}->($request{body});

        for my $plain (0, 1) {
            %request = request_of($name, plain => $plain);
            my $raw = ask('text=marker,marker=q,tokens=2', %request,
                body => $plain ? $body =~ s/true,/false,/r : $body);
            my $r = $plain ? read_answer($name, body_of($raw))
                : read_stream($name, join '', chunks(body_of($raw)));
            is_deeply($r->{texts}, ['<q:0:0><q:0:1>', '<q:1:0><q:1:1>'],
                "$name: two choices");
            is_deeply([map { /\Astop\z/i ? 1 : 0 } @{ $r->{finishes} }],
                [1, 1], "$name: both finish");
        }
    }
};

###############################################################################
# how it is sent

subtest 'marks, lengths, line ends' => sub {
    for my $name (@streams) {
        my $seqs = streamed($name, 'stamp=1,pad=1')->{seqs};
        cmp_ok(scalar @$seqs, '>=', 4, "$name: stamped");
        is_deeply([sort { $a <=> $b } @$seqs], $seqs, "$name: in order");

        my $raw = raw_of($name, 'framing=length,stamp=1,pad=1,seed=3');
        my ($length) = head_of($raw) =~ /^Content-Length: (\d+)\r$/m;
        is($length, length body_of($raw), "$name: framing=length");
        is(read_stream($name, body_of($raw))->{text}, 'Lorem ipsum dolor',
            "$name: and complete");
        is(bytes_of($name, 'id=x,seed=1'), bytes_of($name, 'id=x,seed=1'),
            "$name: the same again");

        my $lines = $name !~ /ollama|array/;
        my $how = $lines ? qr/\AHTTP\/1\.1 200 / : qr/\AHTTP\/1\.1 400 /;
        like(raw_of($name, 'comments=2'), $how, "$name: comments");
        like(raw_of($name, 'eol=cr'), $how, "$name: eol=cr");
        is(read_stream($name, bytes_of($name, 'eol=crlf'))->{text},
            'Lorem ipsum dolor', "$name: eol=crlf");
    }

    like(bytes_of('gemini', ''), qr/\}\r\n\r\n\z/, 'gemini sends CRLF');
    like(bytes_of('gemini', 'eol=lf'), qr/\}\n\n\z/, 'unless told not to');
    like(bytes_of('anthropic', 'comments=2'),
        qr/\A(?:: keep-alive\n\n){2}event: message_start\n/, 'comments');
    like(bytes_of('flowise', ''), qr/\Amessage:\ndata:\{"event":"start"/,
        'flowise');
};

subtest 'lock-step' => sub {
    for my $name (@streams) {
        control('POST', 'reset');
        my $s = dial();
        put($s, request('lockstep=L,tokens=2,text=digits',
            request_of($name), keep => 1));

        my $bytes = get($s, qr/\r\n\r\n[0-9a-f]+\r\n/);
        my $events = 1;

        while (control('GET', 'stats?id=L')->{end} eq 'open') {
            my (undef, $status) = wait_for('id=L&events=' . ($events + 1),
                5);
            is($status, 504, "$name: event " . ($events + 1) . ' waits');
            ack('L');
            $events++;
            wait_for("id=L&events=$events", 2000);
            last if $events > 8;
        }

        $bytes = get($s, qr/\r\n0\r\n\r\n\z/, $bytes);
        my @chunks = chunks(body_of($bytes));
        is(scalar @chunks, $events, "$name: an event is a chunk");
        is(read_stream($name, join '', @chunks)->{text}, '1 2',
            "$name: all of it");
        is(scalar(grep { /"1"/ && /" 2"/ } @chunks[0 .. $#chunks - 1]), 0,
            "$name: a token an event");
    }
};

subtest 'pace and bursts' => sub {
    for my $name ('anthropic', 'ollama', 'gemini') {
        my $id = "p-$name";
        my @sent = map { $_->[1]{mock}{sent} }
            frames($name, bytes_of($name, "tokens=5,itl=4,ttft=10,stamp=1,"
                . "id=$id"));
        my $start = control('GET', "stats?id=$id")->{started} * 1e6;

        cmp_ok($sent[0], '>=', $start + 10000 - 1, "$name: first token");
        cmp_ok($sent[-1], '>=', $start + 10000 + 4 * 4000 - 1,
            "$name: the last");
    }

    my @chunks = chunks(body_of(raw_of('ollama', 'tokens=50,burst=10')));
    is(scalar @chunks, 51, 'ollama: an event a chunk in a burst');
};

subtest 'constant memory' => sub {
    plan skip_all => 'no /proc' if !memory();

    # openai-responses repeats the whole at its end, so it must grow
    for my $name (grep { $_ ne 'openai-responses' } @streams) {
        my @kb;

        for my $tokens (500, 20_000) {
            my $raw = raw_of($name, "tokens=$tokens,burst=50,text=digits");
            like($raw, qr/" $tokens"/, "$name: $tokens tokens");
            push @kb, memory();
        }

        cmp_ok($kb[1] - $kb[0], '<', 1024, "$name: no growth");
    }
};

###############################################################################
# paths

subtest 'paths' => sub {
    my %paths = (
        'openai' => [qw(/v1/chat/completions /openai/v1/chat/completions
            /compatible-mode/v1/chat/completions /api/v1/chat/completions
            /chat/completions
            /openai/deployments/d/chat/completions?api-version=1)],
        'openai-completions' => [qw(/v1/completions /completions)],
        'openai-responses' => [qw(/v1/responses /openai/v1/responses)],
        'anthropic' => [qw(/v1/messages /api/v1/messages)],
        'gemini' => ['/v1/models/m:streamGenerateContent?alt=sse',
            '/v1/projects/p/locations/l/publishers/google/models/m:'
            . 'streamGenerateContent?key=k&alt=sse'],
        'ollama' => [qw(/api/chat /prefix/api/chat)],
        'ollama-generate' => [qw(/api/generate)],
        'flowise' => [qw(/api/v1/prediction/1234-5678)],
        'cohere' => [qw(/v2/chat /cohere/v2/chat)],
    );

    for my $name (sort keys %paths) {
        for my $path (@{ $paths{$name} }) {
            my $raw = ask('', request_of($name), path => $path);
            is(read_stream($name, join '', chunks(body_of($raw)))->{text},
                'Lorem ipsum dolor', "$name: $path");
        }
    }

    for my $name (@answers) {
        my $raw = ask("dialect=$name", request_of($name),
            path => '/elsewhere?alt=sse');
        is(read_stream($name, join '', chunks(body_of($raw)))->{text},
            'Lorem ipsum dolor', "$name: by dialect=");
    }

    is(streamed('gemini', '')->{model}, 'm', 'the model of the path');
    my $raw = ask('', request_of('gemini'), path =>
        '/v1beta/models/mock%3Atokens=1:streamGenerateContent?alt=sse');
    is(read_stream('gemini', join '', chunks(body_of($raw)))->{text},
        'Lorem', 'options in it');
    $raw = ask('', path => '/openai/deployments/mine/chat/completions',
        body => qq({"messages":$hello}));
    is(decode_json(body_of($raw))->{model}, 'mine', 'a deployment');

    for my $path (qw(/v1/models /api/tags /v1/prediction/ /v1beta/models/m
        /api/v1/prediction/a/b))
    {
        like(scalar ask('', path => $path), qr/\AHTTP\/1\.1 404 /, $path);
    }

    like(scalar ask('dialect=nonsense'), qr/\AHTTP\/1\.1 400 .*bad value/s,
        'no such dialect');

    $raw = ask('', method => 'GET', body => '',
        path => '/api/v1/chatflows-streaming/1234');
    is(body_of($raw), '{"isStreaming":true}', 'flowise: can it stream?');
    like(scalar ask('', path => '/api/v1/chatflows-streaming/1234'),
        qr/\AHTTP\/1\.1 405 /, 'a GET only');

    # what a body that says nothing of a stream gets
    for my $name ('openai', 'anthropic', 'cohere', 'ollama', 'flowise') {
        my %request = request_of($name);
        my $body = $request{body} =~ s/,"stream(?:ing)?":true//r;
        my $type = $name eq 'ollama' ? 'x-ndjson' : 'json';
        like(head_of(scalar ask('', %request, body => $body)),
            qr/^Content-Type: application\/$type/m, "$name: its default");
    }
};

###############################################################################
# errors

# Status, and what the body says, of each dialect: the shape is checked by
# hand, it is what clients look for.

my %shapes = (
    'openai' => sub { $_[0]{error}{message} && exists $_[0]{error}{param} },
    'anthropic' => sub { $_[0]{type} eq 'error' && $_[0]{error}{type}
        && $_[0]{error}{message} },
    'gemini' => sub { $_[0]{error}{status} =~ /\A[A-Z_]+\z/
        && $_[0]{error}{code} >= 400 && $_[0]{error}{message} },
    'gemini-array' => sub { $_[0][0]{error}{status} =~ /\A[A-Z_]+\z/
        && $_[0][0]{error}{message} },
    'ollama' => sub { !ref $_[0]{error} && length $_[0]{error} },
    'flowise' => sub { $_[0]{statusCode} == $_[1]
        && defined $_[0]{message} },
    'cohere' => sub { defined $_[0]{message} },
);

$shapes{$_} = $shapes{openai} for 'openai-completions', 'openai-responses';
$shapes{'ollama-generate'} = $shapes{ollama};

sub error_ok {
    my ($name, $raw, $status, $what) = @_;

    like($raw, qr/\AHTTP\/1\.1 $status /, "$name: $what");
    my $body = eval { decode_json(body_of($raw)) };
    ok($body && $shapes{$name}->($body, $status), "$name: $what: shape")
        or diag(body_of($raw));

    return $body;
}

subtest 'errors' => sub {
    for my $name (@streams) {
        error_ok($name, raw_of($name, "status=$_"), $_, "status=$_")
            for 400, 403, 404, 413, 429, 500, 503;
        error_ok($name, raw_of($name, 'fault=s5xx'), 500, 's5xx');
        error_ok($name, raw_of($name, 'fault=s429'), 429, 's429');
        error_ok($name, raw_of($name, 'nonsense=1'), 400, 'a bad option');
        error_ok($name, scalar ask('', request_of($name), body => '{'),
            400, 'no JSON');
        error_ok($name, scalar ask('', request_of($name),
            body => '{"model":"m"}'), 400, 'nothing asked')
            if $name !~ /ollama/;   # there it loads a model
        error_ok($name, scalar ask('', request_of($name), method => 'GET',
            body => ''), 405, 'GET');

        my $hint = raw_of($name, 'status=429,retry_after=7');

        if ($name =~ /gemini/) {
            like(body_of($hint), qr/"retryDelay": *"7s"/,
                "$name: when to come again");
            unlike(head_of($hint), qr/retry-after/i, "$name: no header");
        } else {
            like(head_of($hint), qr/^Retry-After: 7\r$/m,
                "$name: when to come again");
        }

        my $raw = raw_of($name, 'fault=s401');
        my $status = $name =~ /gemini/ ? 400 : 401;
        error_ok($name, $raw, $status, 's401');
    }

    is(decode_json(body_of(raw_of('anthropic', 'fault=s529')))
        ->{error}{type}, 'overloaded_error', 'anthropic: s529');
    is(decode_json(body_of(raw_of('anthropic', 'status=429')))
        ->{error}{type}, 'rate_limit_error', 'anthropic: 429');
    is(decode_json(body_of(raw_of('gemini', 'status=429')))
        ->{error}{status}, 'RESOURCE_EXHAUSTED', 'gemini: 429');
    is(decode_json(body_of(raw_of('gemini', 'fault=s401')))
        ->{error}{details}[0]{reason}, 'API_KEY_INVALID', 'gemini: a key');
    like(body_of(scalar ask('fault=s401', request_of('anthropic'),
        headers => "x-api-key: sk-ant-secret-secret-1234\r\n")),
        qr/sk-ant-s\*+1234/, 'a key is quoted, whatever its header');
};

subtest 'keys' => sub {
    my $m = start('--tokens', 3, '--require-key', 'K');
    my @ways = (
        [headers => "Authorization: Bearer K\r\n"],
        [headers => "x-api-key: K\r\n"], [headers => "api-key: K\r\n"],
        [headers => "x-goog-api-key: K\r\n"], [query => 'key=K'],
    );

    for my $way (@ways) {
        my ($how, $what) = @$way;
        my %request = (request_of('gemini'), port => $m->{port});
        $request{path} .= "&$what" if $how eq 'query';
        $request{headers} = $what if $how eq 'headers';
        like(scalar ask('', %request), qr/\AHTTP\/1\.1 200 /,
            $what =~ s/\r\n//r);
        $request{$_} &&= $request{$_} =~ s/([ =])K\b/$1L/r
            for 'headers', 'path';
        error_ok('gemini', scalar ask('', %request), 400,
            'another ' . $what =~ s/\r\n//r);
    }

    error_ok($_, scalar ask('', request_of($_), port => $m->{port}),
        /gemini/ ? 400 : 401, 'no key') for @streams;
    is(stop($m), 0, 'ended well');
};

###############################################################################
# faults

# Bytes of a stream with that fault, without the chunks' frame; how it ended.

sub faulty {
    my ($name, $options) = @_;

    my ($raw, $how) = ask($options, request_of($name));
    my $body = body_of($raw);

    return ($raw, $how, $body) if $body !~ /\A[0-9a-f]+\r\n/;

    my $bytes = '';

    while ($body =~ /\G([0-9a-f]+)\r\n/gc) {
        $bytes .= substr $body, pos $body, hex $1;
        last if hex $1 == 0 || pos($body) + hex $1 > length $body;
        pos($body) += hex $1;
        $body =~ /\G\r\n/gc;
    }

    return ($raw, $how, $bytes);
}

# The frames of it, those that are none left out.

sub loose {
    my ($name, $bytes) = @_;

    my @data = $name eq 'gemini-array' ? split /,\r\n/, $bytes =~
        s/\A\[|\]\z//gr
        : $name =~ /ollama/ ? split /\n/, $bytes
        : map { $_->[1] } sse_events("$bytes\n\n");

    return map { my $e = eval { decode_json($_) }; $e // $_ } @data;
}

# Which faults make no sense where, by the dialect.

my %senseless = (
    'openai-responses' => ['done-without-finish', 'content-after-finish'],
    'gemini' => ['finish-without-done'],
    'gemini-array' => ['finish-without-done', 'eol-variants',
        'endless-comment'],
    'ollama' => ['eol-variants', 'endless-comment', 'index-order',
        'content-after-finish'],
    'flowise' => ['index-order', 'done-without-finish',
        'content-after-finish'],
);

$senseless{'ollama-generate'} = $senseless{ollama};

subtest 'faults that make no sense' => sub {
    my @all = qw(done-without-finish content-after-finish eol-variants
        finish-without-done endless-comment index-order);

    for my $name (@streams) {
        my %no = map { $_ => 1 } @{ $senseless{$name} // [] };

        for my $fault (@all) {
            my $raw = ask("fault=$fault,limit=20k", request_of($name));

            if ($no{$fault}) {
                error_ok($name, $raw, 400, $fault);
                like($raw, qr/$fault/, "$name: $fault is named");
            } else {
                like($raw, qr/\AHTTP\/1\.1 200 /, "$name: $fault");
            }
        }
    }
};

# Of each fault: options, how the connection ends, what is so of the bytes.
# $_[0] is the dialect, $_[1] the bytes, $_[2] the frames that are JSON.

my $first = qr/"Lorem"/;

my @faults = (
    ['error-event-first', 'eof', sub { $_[1] !~ $first
        && $_[1] =~ /The mock failed/ }],
    ['error-event-first,variant=4', 'eof', sub { $_[1] !~ $first
        && $_[1] =~ /The mock failed/ }],
    ['error-event-mid', 'eof', sub { $_[1] =~ /"Lorem".*The mock failed/s
        && $_[1] !~ /ipsum/ }],
    ['error-then-done', 'eof', sub { $_[1] =~
        /"Lorem".*The\ mock\ failed.*(?:message_stop|DONE|"done":true
        |response\.completed|"finishReason":"STOP")/sx }],
    ['rst-mid-event', 'reset', sub { $_[1] =~ $first
        && $_[1] !~ /\n\z/ && $_[1] !~ /dolor/ }],
    ['rst-mid-utf8', 'reset', sub { $_[1] =~ /na\xc3\xafve \xf0\x9f\z/ }],
    ['fin-chunked-incomplete', 'eof', sub { $_[1] =~ $first
        && $_[1] !~ /ipsum/ }],
    ['close-delimited-no-terminator', 'eof', sub { $_[1] =~ $first
        && $_[1] !~ /ipsum/ }],
    ['close-delimited-mid-event', 'eof', sub { $_[1] =~ $first
        && $_[1] !~ /dolor/ }],
    ['last-chunk-no-terminator', 'eof', sub { $_[1] =~ $first
        && $_[1] !~ /ipsum/ }],
    ['byte-by-byte', 'eof', sub {
        read_stream($_[0], $_[1])->{text} eq 'Lorem ipsum dolor' }],
    ['slow-trickle,gap=0.01,tokens=1', 'eof', sub {
        read_stream($_[0], $_[1])->{text} eq 'Lorem' }],
    ['huge-event,limit=200k', 'eof', sub {
        my ($h) = $_[1] =~ /(h{32000}(?:h{32000}){4,}h*)/;
        length $h > 190000 && length $h <= 204801 }],
    ['endless-line,limit=100k', 'eof', sub { $_[1] =~ $first
        && $_[1] =~ /l{32000}l{32000}l{30000}\z/ }],
    ['tiny-events-burst,count=5000', 'eof', sub { @{ $_[2] } >= 5004 }],
    ['invalid-json-event', 'eof', sub {
        grep { !ref && /\A\{"/ && /broken\z|"b\z/ } @{ $_[2] } }],
    ['invalid-json-event,variant=2', 'eof', sub {
        $_[1] =~ /upstream says no/ }],
    ['invalid-json-event,variant=3', 'eof', sub { $_[1] =~ /\} tail/ }],
    ['invalid-utf8', 'eof', sub { $_[1] =~ /" bad\xffbyte"/ }],
    ['invalid-utf8,variant=2', 'eof', sub {
        $_[1] =~ /" over\xc0\xaflong"/ }],
    ['invalid-utf8,variant=3', 'eof', sub {
        $_[1] =~ /cut \xe2\x82(?:\r?\n|,)/ }],
    ['invalid-utf8,variant=4', 'eof', sub {
        $_[1] =~ /half\xed\xa0\xbdpair/ }],
    ['nul-bom', 'eof', sub { $_[1] =~ /\A\xef\xbb\xbf/
        && $_[1] =~ /nul\\u0000 bom\xef/ }],
    ['nul-bom,variant=2', 'eof', sub { $_[1] =~ /raw\0nul/ }],
    ['nul-bom,variant=3', 'eof', sub { $_[1] =~ /.\xef\xbb\xbf/s
        && $_[1] =~ /unseen/ }],
    ['dup-finish', 'eof', \&two_ends],
    ['events-after-done', 'eof', sub {
        $_[1] =~ /dolor.*" after done".*" after done"/s }],
    ['unknown-event-type', 'eof', sub {
        1 == grep { 'mock.unknown' eq ($_->{type} // $_->{event} // '') }
            grep { ref } @{ $_[2] } }],
    ['key-order-dup', 'eof', sub { $_[1] =~ /"\\u0\S+" order"/
        && $_[1] =~ /"(\w+)":" first","\1":" second"/ }],
    ['deep-json,count=5000', 'eof', sub {
        $_[1] =~ /"deep":\[{5000}(?!\])/ }],
    ['deep-json,count=9,variant=2', 'eof', sub {
        $_[1] =~ /"deep":\[{9}\]{9}\}/ }],
    ['type-confusion', 'eof', sub { 20 <= grep { ref } @{ $_[2] } }],
    ['newline-injection', 'eof', sub {
        $_[0] =~ /flowise|cohere/ || $_[1] =~ /evil\\r\\nx-injected/ }],
    ['done-without-finish', 'eof', sub {
        $_[1] !~ /"(?:finish_reason|done_reason|finishReason)":"
            |message_delta|message-end/x && ($_[0] =~ /gemini/
            || $_[1] =~ /DONE|"done":true|message_stop/) }],
    ['finish-without-done', 'eof', sub { $_[1] !~
        /DONE|"done":true|message_stop|response\.completed/
        && $_[1] =~ /dolor/ }],
    ['content-after-finish', 'eof', sub { $_[1] =~
        /(?:message_delta|message-end|"(?:finish_reason|finishReason)":"s)
        .*"\ late".*(?:DONE|message_stop|\z)/sxi }],
    ['index-order', 'eof', sub { $_[1] =~
        /index":1\b.*" one".*" zero".*index":7\b.*" seven"/s
        || $_[1] =~ /" one".*index":1\b.*" zero".*" seven".*index":7\b/s }],
    ['eol-variants', 'eof', sub { $_[1] =~ /\}\r\n\r\n\z|\]\r\n\r\n\z/ }],
    ['eol-variants,variant=2', 'eof', sub { $_[1] =~ /\r\r\z/
        && $_[1] !~ /\n/ }],
    ['eol-variants,variant=3', 'eof', sub {
        $_[1] =~ /\}\n\n/ && $_[1] =~ /\}\r\n\r\n/ && $_[1] =~ /\}\r\r/ }],
    ['gzip-unasked', 'eof', sub {
        require IO::Uncompress::Gunzip;
        my $text;
        IO::Uncompress::Gunzip::gunzip(\$_[1] => \$text);
        read_stream($_[0], $text)->{text} eq 'Lorem ipsum dolor' }],
    ['json-200', 'eof', sub { $_[0] eq 'gemini-array'
        || read_answer($_[0], $_[1])->{text} eq 'Lorem ipsum dolor' }],
);

# Every frame of the end is there twice.

sub two_ends {
    my ($name, $bytes, $frames) = @_;
    my $end = { 'openai' => 'DONE', 'openai-completions' => 'DONE',
        'openai-responses' => '"type":"response.completed"',
        'anthropic' => '"type":"message_stop"', 'cohere' => 'DONE',
        'flowise' => 'DONE' }->{$name}
        // ($name =~ /gemini/ ? 'finishReason' : '"done":true');

    return 2 == (() = $bytes =~ /\Q$end\E/g);
}

subtest 'faults' => sub {
    for my $name (@streams) {
        my %no = map { $_ => 1 } @{ $senseless{$name} // [] };

        for my $row (@faults) {
            my ($fault, $end, $check) = @$row;
            next if $no{ $fault =~ s/,.*//r };

            my $id = "$name-$fault" =~ s/[^a-z0-9]/-/gr;
            my ($raw, $how, $bytes) = faulty($name, "fault=$fault,id=$id");
            my @frames = eval { loose($name, $bytes) };

            is($how, $end, "$name: $fault: $how");
            ok(eval { $check->($name, $bytes, \@frames) },
                "$name: $fault: bytes") or diag($@, substr $bytes, 0, 3000);
        }
    }
};

subtest 'faults at a place' => sub {
    for my $name (@streams) {
        for my $at (1 .. 7) {
            my ($raw, $how) = faulty($name, "fault=rst-mid-event,at=$at");
            is($how, 'reset', "$name: at=$at");
            unlike($raw, qr/\r\n0\r\n\r\n/, "$name: at=$at: no last chunk");
        }

        my ($raw) = faulty($name, 'fault=chunk-bad-size');
        like($raw, qr/\r\nzz\r\n/, "$name: chunk-bad-size");
    }

    for my $name (@streams) {
        control('POST', 'reset');
        my $s = dial();
        put($s, request('fault=heartbeat-only,gap=1,id=h',
            request_of($name)));
        my $beat = $name =~ /ollama|array/ ? qr/(?:1\r\n\n\r\n){3}/
            : qr/(?:: keep-alive\r?\n\r?\n\r\n[0-9a-f]+\r\n){3}/;
        like(scalar get($s, $beat), $beat, "$name: heartbeat-only");
        close $s;
        ok(wait_for('aborts=1&open=0'), "$name: abort noticed");
    }
};

###############################################################################
# embeddings

subtest 'embeddings' => sub {
    my $embed = sub {
        my ($path, $body, $options) = @_;
        return decode_json(body_of(scalar ask($options // '', path => $path,
            body => $body)));
    };

    my $path = '/v1/embeddings';
    my $r = $embed->($path, '{"model":"e","input":["one","two","one"]}');

    is($r->{object}, 'list', 'object');
    is($r->{model}, 'e', 'model');
    is_deeply([map { $_->{index} } @{ $r->{data} }], [0 .. 2], 'indexes');

    my @v = map { $_->{embedding} } @{ $r->{data} };
    is(scalar @{ $v[0] }, 256, 'dimensions');
    is_deeply($v[0], $v[2], 'the same input, the same vector');

    my ($length, $product) = (0, 0);
    $length += $_ * $_ for @{ $v[0] };
    $product += $v[0][$_] * $v[1][$_] for 0 .. 255;
    cmp_ok(abs($length - 1), '<', 1e-5, 'of length 1');
    cmp_ok(abs $product, '<', 0.5, 'another input, another vector');

    my $one = $embed->('/openai/v1/embeddings', '{"model":"e","input":"one",'
        . '"encoding_format":"base64","dimensions":8}');
    my @packed = unpack 'f<*', decode_base64($one->{data}[0]{embedding});
    my $plain = $embed->($path, '{"model":"e","input":"one",'
        . '"dimensions":8}')->{data}[0]{embedding};
    is(scalar @packed, 8, 'base64');
    is(scalar(grep { abs($packed[$_] - $plain->[$_]) > 1e-7 } 0 .. 7), 0,
        'the same numbers');
    is_deeply($embed->($path, '{"model":"e","input":"one"}')
        ->{data}[0]{embedding}, $v[0], 'a string alone');
    is(scalar @{ $embed->($path, '{"model":"e","input":[1,2,3]}')->{data} },
        1, 'a list of tokens is one input');
    is(scalar @{ $embed->($path, '{"model":"e","input":[[1],[2]]}')
        ->{data} }, 2, 'two lists are two');
    is(scalar @{ $embed->($path, '{"model":"e","input":"x"}',
        'dimensions=16')->{data}[0]{embedding} }, 16, 'dimensions=');

    $r = $embed->('/api/embed', '{"model":"e","input":["one","two"]}');
    is(scalar @{ $r->{embeddings} }, 2, 'ollama');
    is_deeply($r->{embeddings}[0], $v[0], 'ollama: the same vector');

    for my $body ('{"input":"x"}', '{"model":"e"}', '[]', '{"model":"e",',
        '{"model":"e","input":[]}', '{"model":"e","input":7}',
        '{"model":"e","input":"x","dimensions":0}')
    {
        like(scalar ask('', path => $path, body => $body),
            qr/\AHTTP\/1\.1 400 /, "refused: $body");
    }

    like(scalar ask('status=429', path => $path,
        body => '{"model":"e","input":"x"}'), qr/\AHTTP\/1\.1 429 /,
        'an error');
    like(scalar ask('fault=rst-mid-event', path => $path,
        body => '{"model":"e","input":"x"}'), qr/\[[-0-9.,e]+\z/, 'a fault');
};

is(stop($mock), 0, 'the mock ended without an error');

done_testing();
