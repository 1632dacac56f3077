#!/usr/bin/perl

# Honest endings: what the provider says inside a 200.  Error events at every
# place, events that cannot be read or are too large, what comes after the
# end, an answer where a stream was asked for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(clients streaming hello wire shown chunk answer_json);
use LLMTest::SSE;
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);

$t->config(LLMTest::Ending::conf(
    small => 'llm_stream_max_event_size 4k; llm_stream_buffer_size 4k;',
    shallow => 'llm_stream_max_depth 16;',
))->start;

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);
my $HEAD = LLMTest::Upstream::sse_head();
my $CONVERTED_END = qr/^(?: \[DONE\] | \{"done":true\}
    | \{"type":"done","data":\{"full_text":"Hello","finish_reason":"stop",
        "usage":\{.*\}\}\} )$/x;
my $LAST = "0\r\n\r\n";


sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


# an answer of these events, one chunk each, with its last chunk

sub answered {
    return [ send => $HEAD . chunked(@_) . $LAST ];
}


# the case that these events give this client

sub ends {
    my ($name, $client, $events, %want) = @_;
    my @over = $want{code} ? () : (['close']);
    my $s = $e->run($client, [ answered(@$events), @over ],
        group => $want{group});

    return [ "$name, $client", $s, %want ];
}


# Error events: before anything was shown they are the status they should
# have been; later they are the client's last event.  An openai client gets
# the provider's own bytes, once, and never a [DONE] after it.

my @errors = (
    [ '{"error":{"message":"It is the fault of them.","type":"server_error",'
        . '"param":null,"code":429}}', '429', 429 ],
    [ '{"error":{"code":"rate_limit_exceeded",'
        . '"message":"It is too much for them.",'
        . '"type":"tokens"},"x":1}', 'rate_limit_exceeded', 429 ],
    [ '{"error":{"message":"It is the fault of them.","type":"x",'
        . '"code":503}}', '503', 503 ],
    [ '{"error":{"message":"It is the fault of them.","type":"strange",'
        . '"code":"strange"}}', 'strange', 502 ],
    [ '{"error":{"message":"It is the fault of them.","type":"x",'
        . '"code":200}}', '200', 502 ],
    [ '{"id":"c1","error":{"message":"It is broken at theirs.","code":500},'
        . '"choices":[{"index":0,"delta":{"content":""},'
        . '"finish_reason":"error"}]}', '500', 500 ],
);

for my $row (@errors) {
    my ($json, $code, $status) = @$row;

    for my $form ([ plain => "data: $json\n\n" ],
        [ named => "event: error\ndata: $json\n\n" ],
        [ spaced => "data:$json\r\n\r\n" ])
    {
        my ($how, $event) = @$form;
        my @cases;

        for my $k (0 .. 3) {
            my @before = @ITEMS[ 0 .. $k - 1 ];

            for my $client (clients()) {
                next if $client eq 'answer';

                # CRLF in, LF out
                push @cases, ends("after $k events", $client,
                    [ wire(@before), $event, $k % 2 ? "data: [DONE]\n\n"
                        : () ],
                    items => \@before, code => $code, status => $status,
                    said => $event =~ s/\r\n/\n/gr, said_body => $json,
                    logged => 'upstream_error');
            }
        }

        $e->judge("$how error, code $code (error-event-first error-event-mid"
            . ' error-then-done)', @cases);
    }
}


# The same result however it was cut: the error in a read of its own.

{
    my $json = $errors[0][0];
    my @cases;

    for my $k (1 .. 3) {
        my @before = @ITEMS[ 0 .. $k - 1 ];

        for my $client (streaming()) {
            my $s = $e->run($client, [ [ cut => $HEAD
                . chunked(wire(@before)), chunked("data: $json\n\n"),
                chunked("data: [DONE]\n\n") . $LAST ] ]);

            push @cases, [ "after $k events, $client", $s,
                items => \@before, code => '429', status => 429,
                said => "data: $json\n\n", said_body => $json,
                logged => 'upstream_error' ];
        }
    }

    $e->judge('an error in a read of its own (error-event-mid)', @cases);
}


# Errors of other shapes are errors too.

for my $row (
    [ 'a string', '{"error":"It is their fault."}' ],
    [ 'flat', '{"object":"error","message":"It is their fault.",'
        . '"type":"x","code":500}' ])
{
    my ($name, $json) = @$row;
    my @cases;

    for my $client (streaming()) {
        my $s = $e->run($client, [ answered(wire(@ITEMS[ 0, 1 ]),
            "data: $json\n\n") ]);
        my $shown = shown($client, @ITEMS[ 0, 1 ]);

        # after an unclean end nginx waits for the client before it logs
        $s->close;

        my $log = $e->logged($s) || { end => 'nothing' };

        push @cases, "$client: end $log->{end}"
            if $log->{end} ne 'upstream_error';
        push @cases, "$client: a terminator: " . $s->body
            if $s->body =~ /DONE|"done":true\}\n\n\z.*"content"|"type":"done"/;
        push @cases, "$client: not what was shown"
            if index($s->body, $shown) != 0;
    }

    $e->all_good("an error that is $name (error-event-mid)", @cases);
}


# An event that is not JSON: passed where nothing is rewritten, else the end.

for my $row (
    [ 'invalid-json-event: cut off', '{"id":"x","choices":[{"index":0,'
        . '"delta":{"content":"b' ],
    [ 'invalid-json-event: no JSON', 'upstream says no' ],
    [ 'invalid-json-event: more after it',
        '{"choices":[{"index":0,"delta":{"content":"x"}}]} tail' ],
    [ 'invalid-json-event: a raw control byte',
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\tb\"}}]}" ],
    [ 'deep-json: open', '{"choices":[{"index":0,"delta":{"content":"x"},'
        . '"deep":' . '[' x 100000 ],
    [ 'deep-json: closed', '{"choices":[{"index":0,"delta":{"content":"x"},'
        . '"deep":' . '[' x 100000 . ']' x 100000 . '}]}' ],
    [ 'deep-json: over the limit set', '{"choices":[{"index":0,'
        . '"delta":{"content":"x"},"deep":' . '[' x 17 . ']' x 17 . '}]}',
        'shallow' ])
{
    my ($name, $data, $group) = @$row;
    my @cases;
    my $raw = [ raw => "data: $data\n\n" ];

    for my $k (0, 2) {
        my @before = @ITEMS[ 0 .. $k - 1 ];
        my @all = (@before, $raw, @ITEMS[ $k .. $#ITEMS ]);

        for my $client (streaming(), 'gathered') {
            push @cases, $client eq 'openai'
                ? ends("after $k events", $client, [ wire(@all) ],
                    group => $group, items => \@all)
                : ends("after $k events", $client, [ wire(@all) ],
                    group => $group, items => \@before,
                    code => 'upstream_invalid_event');
        }
    }

    $e->judge($name, @cases);
}


{
    my $deep = [ raw => chunk('{}') =~ s/"delta"/'"deep":' . '[' x 8
        . ']' x 8 . ',"delta"'/er ];
    my @all = (@ITEMS[ 0, 1 ], $deep, @ITEMS[ 2 .. 4 ]);
    my @cases = map { ends('', $_, [ wire(@all) ], group => 'shallow',
        items => \@all) } streaming();

    $e->judge('deep-json: under the limit set', @cases);
}


# Events against llm_stream_max_event_size, set to 4k.

sub sized {
    my ($size) = @_;
    my $empty = chunk('{"content":""}');

    return [ text => 'x' x ($size - length $empty) ];
}


{
    my @cases;

    for my $client (streaming(), 'gathered') {
        my @fits = (@ITEMS[ 0, 1 ], sized(4096 - 64), @ITEMS[ 2 .. 4 ]);
        my @over = (@ITEMS[ 0, 1 ], sized(4096 + 64), @ITEMS[ 2 .. 4 ]);

        push @cases, ends('fits', $client, [ wire(@fits) ],
            group => 'small', items => \@fits);
        push @cases, ends('over', $client, [ wire(@over) ],
            group => 'small', items => [ @ITEMS[ 0, 1 ] ],
            code => 'event_too_large');
        push @cases, ends('over, at first', $client,
            [ wire(@over[ 2 .. 4 ]) ], group => 'small',
            code => 'event_too_large');
    }

    $e->judge('an event over the limit (huge-event)', @cases);
}


{
    my @cases;

    for my $client (streaming()) {
        for my $bytes ('data: {"choices":[{"x":"', 'unknown-field: ',
            "event: ", 'no-colon')
        {
            # no end ever: nginx must give up, without reading on
            my $s = $e->run($client, [ [ send => $HEAD
                . chunked(@WIRE[ 0, 1 ], $bytes, ('l' x 4096) x 4) ] ],
                group => 'small');

            push @cases, [ "$client, '$bytes'", $s,
                items => [ @ITEMS[ 0, 1 ] ], code => 'event_too_large' ];
        }
    }

    $e->judge('a line without end (endless-line)', @cases);
}


{
    my @cases;
    my @lines = chunked(("data: x\n" x 400) x 4);

    for my $client (streaming()) {
        my $s = $e->run($client, [ [ send => $HEAD
            . chunked(@WIRE[ 0, 1 ]) . join '', @lines ] ],
            group => 'small');

        push @cases, [ $client, $s, items => [ @ITEMS[ 0, 1 ] ],
            code => 'event_too_large' ];
    }

    $e->judge('an event of many lines, without end (huge-event)', @cases);
}


# A comment of any length is skipped, in constant memory.

{
    my $comment = ': ' . 'c' x 65534;
    my @pieces = (LLMTest::Upstream::chunk($comment),
        (LLMTest::Upstream::chunk('c' x 65536)) x 63);
    my @cases;
    my $before = $t->rss;

    for my $client (streaming()) {
        my $s = $e->run($client, [ [ send => $HEAD
            . chunked(@WIRE[ 0, 1 ]) ],
            (map { [ send => $_ ] } @pieces),
            [ send => chunked("\n", @WIRE[ 2 .. 4 ]) . $LAST ], ['close'] ],
            group => 'small');

        push @cases, [ $client, $s, items => \@ITEMS ];
    }

    $e->judge('a comment of 4 MB (endless-comment)', @cases);

    SKIP: {
        skip 'memory means nothing under valgrind', 1
            if $ENV{TEST_NGINX_VALGRIND};

        cmp_ok($t->rss - $before, '<', 2e6,
            'endless-comment: no memory is taken');
    }
}


# After the terminator nothing is forwarded.  [DONE] without a finish reason
# is passed as it is.

my $late = chunk('{"content":"LATE"}');
my $done = "data: [DONE]\n\n";
my @untyped = (@ITEMS[ 0 .. 2 ], $ITEMS[4]);

for my $row (
    [ 'events-after-done', [ @WIRE, $late, $late ], \@ITEMS ],
    [ 'events-after-done: an error', [ @WIRE,
        "data: {\"error\":{\"message\":\"x\"}}\n\n" ], \@ITEMS ],
    [ 'events-after-done: bytes', [ @WIRE, 'x' x 1000 ], \@ITEMS ],
    [ 'dup-finish: [DONE] twice', [ @WIRE, $done ], \@ITEMS ],
    [ 'done-without-finish', [ wire(@untyped) ], \@untyped ],
    [ 'done-without-finish: nothing before it', [$done], [ ['done'] ] ],
    [ 'dup-finish', [ @WIRE[ 0 .. 3, 3, 4 ] ],
        [ @ITEMS[ 0 .. 3 ], @ITEMS[ 3, 4 ] ] ],
    [ 'content-after-finish', [ @WIRE[ 0 .. 3, 2, 4 ] ],
        [ @ITEMS[ 0 .. 3, 2, 4 ] ] ])
{
    my ($name, $events, $items) = @$row;
    my @cases;

    for my $client (streaming(), 'gathered') {
        push @cases, ends($name, $client, $events, items => $items);

        next if $client !~ /^(?:openai|simple)$/;

        my $s = $e->run($client, [ [ cut => $HEAD,
            map({ chunked($_) } @$events), $LAST ], ['close'] ]);

        push @cases, [ "$name, $client, cut", $s, items => $items ];
    }

    $e->judge($name, @cases);
}


# 64 kB behind [DONE] are drained at most; then the connection is closed.

{
    my @cases;

    for my $client (streaming()) {
        my $s = $e->run($client, [ [ send => $HEAD . chunked(@WIRE)
            . chunked(($late) x 1000) ] ]);

        push @cases, [ $client, $s, items => \@ITEMS ];
    }

    $e->judge('events-after-done: without end', @cases);
}


# Every choice must have its finish reason.

{
    my $finish = [ raw => chunk('{}', 'stop', index => 1) ];
    my $other = [ raw => chunk('{"content":"B"}', undef, index => 1) ];
    my @half = (@ITEMS[ 0, 1 ], $other, $ITEMS[3]);
    my @whole = (@half, $finish, $ITEMS[4]);
    my @cases;

    for my $client (streaming()) {
        push @cases, ends('one of two', $client, [ wire(@half) ],
            items => \@half, code => 'upstream_truncated');
        push @cases, ends('both', $client, [ wire(@half, $finish) ],
            items => \@whole);
    }

    $e->judge('two choices (last-chunk-no-terminator)', @cases);
}


# Members of any type: what is no string is no content, nothing breaks.

{
    my @deltas = map { chunk($_) } '{"content":1}', '{"content":null}',
        '{"content":["a"]}', '{"content":{"text":"a"}}', '{"content":true}',
        '{"role":7,"content":""}', '{"tool_calls":{}}',
        '{"tool_calls":[1,null]}', '{"refusal":false}', 'null', '[]',
        '"text"', '3';
    my @events = map { "data: $_\n\n" } '{"choices":{"index":0}}',
        '{"choices":null}', '{"choices":"x"}', '{"choices":[null,1,[]]}',
        '{"choices":[],"usage":[]}', '{"error":null,"choices":[]}',
        '{"choices":[],"usage":{"prompt_tokens":"1"}}', '{}',
        '{"id":5,"model":[],"created":"now","choices":[]}';
    my @all = (@ITEMS[ 0, 1 ], (map { [ raw => $_ ] } @deltas, @events),
        @ITEMS[ 2 .. 4 ]);
    my @cases;

    for my $client (streaming()) {
        push @cases, ends('', $client, [ wire(@all) ], items => \@all);
    }

    $e->judge('type-confusion', @cases);
}


# Line ends inside a value stay inside the client's event.

{
    my $evil = 'a\n\ndata: {\"injected\":true}\n\nevent: x\r\n\u0000z';
    my $model = 'm\r\nX-Injected: 1\n\ndata: evil\n\n';
    my @wire = map { s/"model":"m"/"model":"$model"/r } wire(['role'],
        [ text => $evil ], [ finish => 'stop\n\ndata: evil' ], ['done']);
    my @bad;

    for my $client (streaming(), 'gathered') {
        my $s = $e->run($client, [ answered(@wire), ['close'] ]);
        my $wanted = { openai => 4, simple => 2, typed => 3 }->{$client};
        my $log = $e->logged($s) || { end => 'nothing' };

        push @bad, "$client: end $log->{end}" if $log->{end} ne 'complete';
        push @bad, "$client: a header" if $s->header('x-injected');
        next if !$wanted;

        my @events = LLMTest::SSE::parse($s->body);
        push @bad, "$client: " . @events . ' events' if @events != $wanted;
        push @bad, "$client: an event of another name"
            if grep { $_->{event} ne 'message' } @events;
        push @bad, "$client: no JSON"
            if grep { $_->{data} ne '[DONE]' && !$_->json } @events;
    }

    $e->all_good('newline-injection', @bad);
}


# One JSON document where a stream was asked for becomes a stream.

{
    my $json = answer_json('Hello');
    my (@cases, @bad);

    for my $client (streaming()) {
        for my $type ('application/json', 'application/json; charset=utf-8') {
            my $s = $e->run($client, [ [ send => LLMTest::Upstream::answer(
                200, $json, 'Content-Type' => $type) ], ['close'] ]);

            push @cases, [ $client, $s, body => $s->body ];
            push @bad, map { "$client: $_" } bad_conversion($client, $s);
        }
    }

    $e->judge('json-200: a stream, complete', @cases);
    $e->all_good('json-200: with all its content', @bad);
}


sub bad_conversion {
    my ($client, $s) = @_;
    my $body = $s->body;
    my $text = '';
    my @bad;

    if ($client eq 'text') {
        return $body eq 'Hello' ? () : "body: $body";
    }

    push @bad, 'type ' . $s->header('content-type')
        if $s->header('content-type') !~ m{^text/event-stream};

    my @events = LLMTest::SSE::parse($body);
    my $last = pop @events;

    for my $json (grep { defined } map { $_->json } @events) {
        $text .= $client eq 'simple' ? $json->{content}
            : $client eq 'typed' ? $json->{data}{token} // ''
            : $json->{choices}[0]{delta}{content} // '';
    }

    push @bad, "text: $text" if $text ne 'Hello';
    push @bad, "last: $last->{data}" if $last->{data} !~ $CONVERTED_END;

    return @bad;
}


# A JSON document that is not one, or not a completion, is not.

for my $row (
    [ 'json-200: not JSON', '<html>SECRET</html>', 'upstream_invalid_stream' ],
    [ 'json-200: two documents', '{}{}', 'upstream_invalid_stream' ],
    [ 'json-200: an array', '[]', 'upstream_invalid_stream' ],
    [ 'json-200: no completion', '{"ok":true}', 'upstream_invalid_stream' ])
{
    my ($name, $body, $code) = @$row;
    my @cases;

    for my $client (streaming(), 'gathered') {
        my $s = $e->run($client, [ [ send => LLMTest::Upstream::answer(200,
            $body, 'Content-Type' => 'application/json') ], ['close'] ]);

        push @cases, [ $client, $s, code => $code ];
    }

    $e->judge($name, @cases);
}


# A JSON document that says it is a stream frames no event.

for my $row ([ 'an answer', answer_json('Hello') ],
    [ 'an error', '{"error":{"message":"x"}}' ],
    [ 'with line ends', "{\n\"a\": 1\n}\n" ])
{
    my ($name, $body) = @$row;
    my @cases;

    for my $client (streaming(), 'gathered') {
        my $s = $e->run($client, [ [ send => LLMTest::Upstream::answer(200,
            $body, 'Content-Type' => 'text/event-stream') ], ['close'] ]);

        push @cases, [ $client, $s, code => 'upstream_invalid_stream' ];
    }

    $e->judge("json-as-sse: $name", @cases);
}


$t->finish;
