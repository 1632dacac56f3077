#!/usr/bin/perl

# One JSON answer where the client did not ask for a stream, whatever the
# provider sends; a stream where the client asked for one and the provider
# sends one JSON answer; what happens when it is too large; and the bodies of
# the provider's errors.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta finish usage events reply answer answer_reply
    error_is code_of json CLIENTS);

my $t = LLMTest->new;
my $u = $t->upstream;
my $true = JSON::PP::true;

my $by_client = join '', map { <<"EOT" } CLIENTS;
        location /$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
        }

        location /small/$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
            llm_stream_max_response_size 2k;
        }

        location /key/$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
            llm_stream_api_key sk-ours;
        }
EOT

$t->config(<<'EOT' =~ s/BY_CLIENT\n/$by_client/r)->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
BY_CLIENT
    }
}
EOT

my $MESSAGES = '"messages":[{"role":"user","content":"hi"}]';


# ask($path, $answer of the provider, stream => 0 | 1, ...): the client's
# answer; the provider closes after its bytes

sub ask {
    my ($path, $bytes, %o) = @_;
    my $stream = !defined $o{stream} ? ''
        : $o{stream} ? '"stream":true,' : '"stream":false,';
    my $more = $o{more} // '';

    $u->script(['request'], [ send => $bytes ], ['close']);

    return $t->post($path, "{$stream$more$MESSAGES}", %{ $o{open} || {} });
}


sub chunked {
    my ($type, @pieces) = @_;

    return "HTTP/1.1 200 OK\r\nContent-Type: $type\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n"
        . join('', map { LLMTest::Upstream::chunk($_) } @pieces)
        . "0\r\n\r\n";
}


sub closed {
    my ($type, $body) = @_;

    return "HTTP/1.0 200 OK\r\n" . ($type ? "Content-Type: $type\r\n" : '')
        . "\r\n$body";
}


sub whole {
    my ($r, $name, $type) = @_;

    is($r->{status}, 200, "$name: status");
    like($r->{headers}{'content-type'}, $type // qr{^application/json},
        "$name: type");
    is($r->{headers}{'content-length'}, length $r->{body}, "$name: length");
    ok($r->{complete}, "$name: complete");

    return json($r->{body});
}


# the texts, the finish reason and the last event of a stream

sub stream_is {
    my ($r, $client, $text, $name) = @_;

    is($r->{status}, 200, "$name: status");
    like($r->{headers}{'content-type'}, $client eq 'text'
        ? qr{^text/plain} : qr{^text/event-stream}, "$name: type");
    ok($r->{complete}, "$name: complete");
    ok(!exists $r->{headers}{'content-length'}, "$name: no length");

    my @data = map { $_->{data} } @{ $r->{events} };

    if ($client eq 'text') {
        is($r->{body}, $text, "$name: text");
        return;
    }

    my $last = pop @data;
    my @values = map { json($_) } @data;
    my %texts = (
        openai => sub { join '', map { $_->{choices}[0]{delta}{content}
            // '' } grep { @{ $_->{choices} } } @_ },
        simple => sub { join '', map { $_->{content} // '' } @_ },
        typed => sub { join '', map { $_->{data}{token} // '' } @_ },
    );

    is($texts{$client}->(@values), $text, "$name: text");

    if ($client eq 'openai') {
        is($last, '[DONE]', "$name: terminator");
        is((grep { ($_->{choices}[0]{finish_reason} // '') eq 'stop' }
            @values), 1, "$name: one finish reason");

    } elsif ($client eq 'simple') {
        is_deeply(json($last), { done => $true }, "$name: terminator");

    } else {
        is(json($last)->{type}, 'done', "$name: terminator");
        is(json($last)->{data}{full_text}, $text, "$name: full text");
        is(json($last)->{data}{finish_reason}, 'stop', "$name: finish");
    }

    return;
}


subtest 'openai: the provider\'s own JSON' => sub {
    my $body = answer('hi \u00e9 \ud83d\ude00');
    my $long = answer('x' x 50_000);
    my %ways = (
        'with a length' => [ $body, answer_reply('hi \u00e9 \ud83d\ude00') ],
        'in chunks' => [ $body, chunked('application/json',
            $body =~ /(.{1,7})/gs) ],
        'to the close' => [ $body, closed('application/json', $body) ],
        'with a charset' => [ $body,
            chunked('application/json; charset=utf-8', $body) ],
        'type in capitals' => [ $body,
            chunked('Application/JSON', $body) ],
        'without a type' => [ $body, closed('', $body) ],
        'a long one' => [ $long, chunked('application/json',
            $long =~ /(.{1,9999})/gs) ],
        'a BOM of spaces' => [ "\r\n  $body",
            closed('application/json', "\r\n  $body") ],
    );

    for my $name (sort keys %ways) {
        for my $stream (undef, 0) {
            my $r = ask('/openai', $ways{$name}[1], stream => $stream);

            whole($r, $name);
            is($r->{body}, $ways{$name}[0], "$name: byte for byte");
        }
    }

    my $r = ask('/openai', answer_reply('x'), open =>
        { proto => 'h2', port => 1 });
    is($r->{body}, answer('x'), 'HTTP/2');
    $r = ask('/openai', answer_reply('x'), open => { http10 => 1 });
    is($r->{body}, answer('x'), 'HTTP/1.0');
};


subtest 'gathered from the stream that was asked for' => sub {
    my @texts = ('Hel', 'lo \"w\"', '\n', '\ud83d', '\ude00', '', '\u00e9/');
    my $text = "Hello \"w\"\n\x{1F600}\x{e9}/";
    my @events = map { "data: $_\n\n" } (map { delta($_) } @texts),
        delta('of another choice', 1), finish(), usage(9, 3, 2, 1), '[DONE]';
    my $bytes = LLMTest::Upstream::stream(@events);

    my $value = whole(ask('/simple', $bytes, stream => 0), 'simple');
    is_deeply($value, { content => $text, done => $true }, 'simple: value');

    $value = whole(ask('/typed', $bytes, stream => 0), 'typed');
    is_deeply($value, { type => 'done', data => { full_text => $text,
        finish_reason => 'stop', id => 'chatcmpl-1', model => 'mock-1',
        usage => { prompt_tokens => 9, completion_tokens => 3,
            total_tokens => 12 } } }, 'typed: value');

    my $r = ask('/text', $bytes, stream => 0);
    whole($r, 'text', qr{^text/plain; charset=utf-8$});
    utf8::encode(my $utf8 = $text);
    is($r->{body}, $utf8, 'text: body');

    for my $client (qw(simple typed text)) {
        $r = ask("/$client", reply(), stream => 0);
        is($r->{status}, 200, "$client: without any text");
        like($r->{body}, $client eq 'text' ? qr/^\z/ : qr/""/,
            "$client: an empty one");
    }
};


subtest 'JSON where a stream was asked for' => sub {
    my $body = answer('hi \ud83d\ude00 \"x\"');
    my $text = "hi \x{1F600} \"x\"";
    my %ways = (
        'with a length' => LLMTest::Upstream::answer(200, $body,
            'Content-Type' => 'application/json'),
        'in chunks' => chunked('application/json', $body =~ /(.{1,5})/gs),
        'to the close' => closed('application/json', $body),
        'charset' => closed('application/json;charset=UTF-8', $body),
    );

    for my $client (CLIENTS) {
        my $want = $text;
        utf8::encode($want) if $client eq 'text';

        for my $way (sort keys %ways) {
            stream_is(ask("/$client", $ways{$way}, stream => 1), $client,
                $want, "$client, $way");
        }

        next if $client eq 'openai';

        # and one answer of it for who wants one
        my $r = ask("/$client", $ways{'with a length'}, stream => 0);
        my $value = whole($r, "$client, one answer", qr/json|plain/);
        is($client eq 'text' ? $r->{body} : $client eq 'simple'
            ? $value->{content} : $value->{data}{full_text}, $want,
            "$client, one answer: text");
    }

    my $r = ask('/openai', $ways{'with a length'}, stream => 1);
    unlike($r->{body}, qr/prompt_tokens/, 'usage nobody asked for');
    $r = ask('/openai', $ways{'with a length'}, stream => 1,
        more => '"stream_options":{"include_usage":true},');
    like($r->{body}, qr/"choices":\[\],"usage":\{"prompt_tokens":9,/,
        'usage that was asked for');
    is((json($r->{events}[0]{data}))->{object}, 'chat.completion.chunk',
        'chunks are called chunks');
    is((json($r->{events}[0]{data}))->{id}, 'chatcmpl-2', 'with the id');

    $r = ask('/typed', $ways{'with a length'}, stream => 1);
    is_deeply((json($r->{events}[0]{data})), { type => 'metadata', data =>
        { id => 'chatcmpl-2', model => 'mock-1', created => 1700000001 } },
        'typed: metadata');
    is(json($r->{events}[-1]{data})->{data}{usage}{prompt_tokens}, 9,
        'typed: usage');
};


# what one answer must say, from a stream nobody asked for
subtest 'openai: a stream although none was asked for' => sub {
    my $head = '"id":"c-9","object":"chat.completion.chunk","created":17,'
        . '"model":"m-9","system_fingerprint":"fp"';
    my $chunk = sub {
        return map { "data: {$head,\"choices\":[$_]}\n\n" } @_;
    };
    my $choice = sub {
        my ($delta, $index, $finish) = @_;

        return '{"index":' . ($index // 0) . ",\"delta\":{$delta},"
            . '"finish_reason":' . ($finish ? "\"$finish\"" : 'null') . '}';
    };
    my $gather = sub {
        my ($name, @choices) = @_;

        return whole(ask('/openai', LLMTest::Upstream::stream(
            $chunk->(@choices), "data: [DONE]\n\n")), $name);
    };

    my $v = $gather->('text', $choice->('"role":"assistant","content":""'),
        $choice->('"content":"a\n"'), $choice->('"content":"\u00e9"'),
        $choice->('', 0, 'length'));
    is($v->{object}, 'chat.completion', 'object');
    is($v->{id}, 'c-9', 'id');
    is($v->{created}, 17, 'created');
    is($v->{model}, 'm-9', 'model');
    is(scalar @{ $v->{choices} }, 1, 'one choice');
    is($v->{choices}[0]{message}{role}, 'assistant', 'role');
    is($v->{choices}[0]{message}{content}, "a\n\x{e9}", 'content');
    is($v->{choices}[0]{finish_reason}, 'length', 'finish reason');
    is($v->{choices}[0]{index}, 0, 'index');

    $v = $gather->('n=2', $choice->('"content":"b"', 1),
        $choice->('"content":"a"', 0), $choice->('"content":"B"', 1),
        $choice->('', 1, 'length'), $choice->('"content":"A"', 0),
        $choice->('', 0, 'stop'));
    is_deeply([ map { [ $_->{index}, $_->{message}{content},
        $_->{finish_reason} ] } @{ $v->{choices} } ],
        [ [ 0, 'aA', 'stop' ], [ 1, 'bB', 'length' ] ], 'n=2: choices');

    my $call = sub { return '"tool_calls":[' . join(',', @_) . ']' };
    $v = $gather->('tools',
        $choice->('"role":"assistant","content":null'),
        $choice->($call->('{"index":0,"id":"call_a","type":"function",'
            . '"function":{"name":"f","arguments":""}}')),
        $choice->($call->('{"index":0,"function":{"arguments":"{\"x\":"}}')),
        $choice->($call->('{"index":1,"id":"call_b","type":"function",'
            . '"function":{"name":"g","arguments":"{}"}}')),
        $choice->($call->('{"index":0,"function":{"arguments":"1}"}}')),
        $choice->('', 0, 'tool_calls'));
    is_deeply($v->{choices}[0]{message}{tool_calls}, [
        { id => 'call_a', type => 'function',
            function => { name => 'f', arguments => '{"x":1}' } },
        { id => 'call_b', type => 'function',
            function => { name => 'g', arguments => '{}' } } ],
        'tools: calls');
    is($v->{choices}[0]{message}{content}, undef, 'tools: no content');
    is($v->{choices}[0]{finish_reason}, 'tool_calls', 'tools: finish');

    for my $name (qw(reasoning_content reasoning)) {
        $v = $gather->($name, $choice->("\"$name\":\"th\""),
            $choice->("\"$name\":\"ink\""), $choice->('"content":"a"'),
            $choice->('', 0, 'stop'));
        my $message = $v->{choices}[0]{message};
        is($message->{reasoning_content} // $message->{reasoning}, 'think',
            "$name: kept");
        is($message->{content}, 'a', "$name: content");
    }

    $v = $gather->('refusal', $choice->('"refusal":"I "'),
        $choice->('"refusal":"cannot"'), $choice->('', 0, 'stop'));
    is($v->{choices}[0]{message}{refusal}, 'I cannot', 'refusal: kept');
    is($v->{choices}[0]{message}{content}, undef, 'refusal: no content');

    my $r = ask('/openai', LLMTest::Upstream::stream(
        map { "data: $_\n\n" } delta('a'), finish(), usage(5, 2, 1, 1),
        '[DONE]'));
    $v = whole($r, 'usage');
    is($v->{usage}{prompt_tokens}, 5, 'usage: in');
    is($v->{usage}{completion_tokens}, 2, 'usage: out');
    is($v->{usage}{total_tokens}, 7, 'usage: total');

    for my $client (qw(simple typed text)) {
        $r = ask("/$client", LLMTest::Upstream::stream($chunk->(
            $choice->('"refusal":"I cannot"'), $choice->('', 0, 'stop')),
            "data: [DONE]\n\n"), stream => 0);
        like($r->{body}, qr/I cannot/, "$client: a refusal is said");
    }
};


# what one answer holds beside text is in the chunks made of it, too
subtest 'openai: JSON with more than text, as a stream' => sub {
    my $body = '{"id":"c-1","object":"chat.completion","created":3,'
        . '"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
        . '"content":null,"reasoning_content":"hm \u00e9","tool_calls":['
        . '{"id":"a","type":"function","function":{"name":"f","arguments":'
        . '"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"g",'
        . '"arguments":"{}"}}]},"finish_reason":"tool_calls"},{"index":1,'
        . '"message":{"role":"assistant","content":null,"refusal":"no \"w\""'
        . '},"finish_reason":"stop"}]}';
    my $r = ask('/openai', LLMTest::Upstream::answer(200, $body,
        'Content-Type' => 'application/json'), stream => 1);
    my @data = map { $_->{data} } @{ $r->{events} };
    my (%said, %calls);

    is(pop @data, '[DONE]', 'terminator');

    for my $choice (map { @{ json($_)->{choices} } } @data) {
        my $to = $said{ $choice->{index} } //= {};
        my $delta = $choice->{delta};

        $to->{$_} .= $delta->{$_} for grep { defined $delta->{$_} }
            qw(content reasoning_content refusal);
        $to->{finish} .= $choice->{finish_reason} // '';

        for my $call (@{ $delta->{tool_calls} // [] }) {
            my $c = $calls{ $call->{index} } //= {};

            $c->{id} //= $call->{id};
            $c->{name} //= $call->{function}{name};
            $c->{arguments} .= $call->{function}{arguments} // '';
        }
    }

    is($said{0}{reasoning_content}, "hm \x{e9}", 'reasoning');
    is($said{0}{content} // '', '', 'no content');
    is($said{0}{finish}, 'tool_calls', 'finish reason, once');
    is($said{1}{refusal}, 'no "w"', 'refusal of the second choice');
    is($said{1}{finish}, 'stop', 'its finish reason');
    is_deeply(\%calls, {
        0 => { id => 'a', name => 'f', arguments => '{"x":1}' },
        1 => { id => 'b', name => 'g', arguments => '{}' },
    }, 'tool calls');
};


subtest 'an answer that is none' => sub {
    my $json = answer('hello');
    my @bad = (
        [ 'cut in chunks' => substr(chunked('application/json', $json), 0,
            -30), qr/^upstream_(?:truncated|reset)$/ ],
        [ 'less than its length' => substr(answer_reply('x'), 0, -20),
            qr/^upstream_(?:truncated|reset)$/ ],
        [ 'cut at the close' => closed('application/json',
            substr $json, 0, 40), qr/^upstream_/ ],
        [ 'no JSON' => closed('application/json', 'Internal error'),
            qr/^upstream_invalid/ ],
        [ 'an array' => closed('application/json', '[]'),
            qr/^upstream_invalid/ ],
        [ 'empty' => LLMTest::Upstream::answer(200, '', 'Content-Type'
            => 'application/json'), qr/^upstream_empty$/ ],
        [ 'HTML' => LLMTest::Upstream::answer(200, '<html>secret</html>',
            'Content-Type' => 'text/html'), qr/^upstream_content_type$/ ],
        [ 'a cut stream' => LLMTest::Upstream::stream("data: "
            . delta('partial') . "\n\n"), qr/^upstream_truncated$/ ],
    );

    for my $client (CLIENTS) {
        for my $case (@bad) {
            my ($name, $bytes, $code) = @$case;

            # in the provider's own dialect JSON passes, whatever it says
            next if $client eq 'openai' && $name eq 'an array';

            my $r = ask("/$client", $bytes, stream => 0);

            error_is($r, client => $client, status => 502,
                name => "$client, $name");
            like(code_of($client, $r->{body}) // '', $code,
                "$client, $name: code") if $client ne 'text';
            unlike($r->{body}, qr/partial|secret|hello/,
                "$client, $name: nothing of it");
        }
    }

    # an error inside a 200 becomes the status that it means
    my $error = '{"error":{"message":"Slow down.","type":"tokens",'
        . '"param":null,"code":"rate_limit_exceeded"}}';

    for my $bytes (LLMTest::Upstream::stream("data: $error\n\n"),
        LLMTest::Upstream::stream('data: ' . delta('x') . "\n\n",
            "data: $error\n\n"),
        LLMTest::Upstream::answer(200, $error, 'Content-Type' =>
            'application/json'))
    {
        for my $client (CLIENTS) {
            my $r = ask("/$client", $bytes, stream => 0);

            is($r->{status}, 429, "$client: an error in a 200: status");
            like($r->{body}, qr/Slow down\./, "$client: what it says");
            is($r->{headers}{'content-length'}, length $r->{body},
                "$client: length");
        }
    }
};


subtest 'too large' => sub {
    my @big = map { 'x' x 100 } 1 .. 30;

    for my $client (CLIENTS) {
        my %ways = (
            'a stream' => reply(@big), 'JSON' => answer_reply(join '', @big),
        );

        for my $way (sort keys %ways) {
            my $r = ask("/small/$client", $ways{$way}, stream => 0);

            error_is($r, client => $client, status => 502,
                code => 'response_too_large', name => "$client, $way");
        }

        is(ask("/small/$client", reply(@big[0 .. 9]), stream => 0)
            ->{status}, 200, "$client: less than that");

        my $r = ask("/small/$client", reply(@big), stream => 1);
        is($r->{status}, 200, "$client: a stream is not bounded: status");
        is(() = $r->{body} =~ /x{100}/g, 30,
            "$client: a stream is not bounded: all tokens");
        ok($r->{complete}, "$client: a stream is not bounded: complete");
    }

    my $r = ask('/small/typed', LLMTest::Upstream::stream(
        map { "data: $_\n\n" } (map { delta($_) } @big), finish('length'),
        usage(1, 30), '[DONE]'), stream => 1);
    my $done = json($r->{events}[-1]{data});
    is($done->{type}, 'done', 'typed: done');
    ok(exists $done->{data}{full_text}, 'typed: full_text is there');
    is($done->{data}{full_text}, undef, 'typed: as null');
    is($done->{data}{full_text_omitted}, $true, 'typed: and said so');
    is($done->{data}{finish_reason}, 'length', 'typed: finish reason');
    is($done->{data}{usage}{completion_tokens}, 30, 'typed: usage');

    $r = ask('/small/typed', reply(@big[0 .. 9]), stream => 1);
    $done = json($r->{events}[-1]{data});
    is($done->{data}{full_text}, 'x' x 1000, 'typed: within the limit');
    ok(!exists $done->{data}{full_text_omitted}, 'typed: nothing omitted');
};
