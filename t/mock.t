#!/usr/bin/perl

# Tests of the mock provider itself, over raw sockets: what it promises to
# send, byte by byte, and what it says it saw.  Nothing of nginx is used here.
# The command is taken from LLM_MOCK (it may have arguments, as in "valgrind -q
# llm-mock") or is build/llm-mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Socket qw(SOL_SOCKET);
use MockRaw;
use Test::More;

plan skip_all => 'no llm-mock: build it first or set LLM_MOCK'
    if !available();

my $dir = tempdir(CLEANUP => 1);
my $mock = main_mock('--tokens', 3, '--created', 1);

###############################################################################
# streams

my $lead = 'data: {"id":"chatcmpl-%s","object":"chat.completion.chunk",'
    . '"created":1,"model":"%s","service_tier":"default",'
    . '"system_fingerprint":"fp_mock","choices":[';

sub event {
    my ($id, $choices, $rest, $model) = @_;

    return sprintf($lead, $id, $model // 'm') . $choices . ']' . ($rest // '')
        . "}\n\n";
}

sub choice {
    my ($delta, $finish) = @_;

    return sprintf '{"index":0,"delta":%s,"logprobs":null,'
        . '"finish_reason":%s}', $delta, $finish // 'null';
}

my $role = '{"role":"assistant","content":"","refusal":null}';

subtest 'a stream, byte by byte' => sub {
    my $raw = ask('id=a1');

    like($raw, qr/\AHTTP\/1\.1 200 OK\r\n/, 'status line');
    like($raw, qr/\r\nContent-Type: text\/event-stream; charset=utf-8\r\n/,
        'type');
    like($raw, qr/\r\nTransfer-Encoding: chunked\r\n/, 'chunked');

    is_deeply([chunks(body_of($raw))], [
        event('a1', choice($role)),
        event('a1', choice('{"content":"Lorem"}')),
        event('a1', choice('{"content":" ipsum"}')),
        event('a1', choice('{"content":" dolor"}')),
        event('a1', choice('{}', '"stop"')),
        "data: [DONE]\n\n",
    ], 'one chunk an event');

    my $usage = '"usage":{"prompt_tokens":12,"completion_tokens":1,'
        . '"total_tokens":13,"prompt_tokens_details":{"cached_tokens":0,'
        . '"audio_tokens":0},"completion_tokens_details":'
        . '{"reasoning_tokens":0,"audio_tokens":0,'
        . '"accepted_prediction_tokens":0,'
        . '"rejected_prediction_tokens":0}}';

    is(stream('id=a2,tokens=1', usage => 1),
        event('a2', choice($role), ',"usage":null')
        . event('a2', choice('{"content":"Lorem"}'), ',"usage":null')
        . event('a2', choice('{}', '"stop"'), ',"usage":null')
        . event('a2', '', ",$usage") . "data: [DONE]\n\n", 'with usage');
};

subtest 'one JSON object' => sub {
    my $raw = ask('id=b1', plain => 1);

    my ($length) = head_of($raw) =~ /^Content-Length: (\d+)\r$/m;
    is($length, length body_of($raw), 'Content-Length');
    like(head_of($raw), qr/^Content-Type: application\/json\r$/m, 'type');

    my $json = decode_json(body_of($raw));
    is($json->{object}, 'chat.completion', 'object');
    is($json->{choices}[0]{message}{content}, 'Lorem ipsum dolor', 'text');
    is($json->{choices}[0]{finish_reason}, 'stop', 'finish reason');
    is($json->{usage}{total_tokens}, 12 + 3, 'usage');

    $json = decode_json(body_of(scalar ask(
        'tools=2,tokens=2,reasoning=1,logprobs=1', plain => 1,
        more => '"n":2')));
    is(scalar @{ $json->{choices} }, 2, 'two choices');
    my $message = $json->{choices}[1]{message};
    is($message->{reasoning_content}, ' elit,', 'reasoning');
    is(decode_json($message->{tool_calls}[1]{function}{arguments})->{n}, 1,
        'arguments are JSON');
    is(scalar @{ $json->{choices}[0]{logprobs}{content} }, 2, 'logprobs');
    is($json->{choices}[0]{finish_reason}, 'tool_calls', 'finish reason');

    $json = decode_json(body_of(scalar ask('refusal=1', plain => 1)));
    is($json->{choices}[0]{message}{content}, undef, 'refusal: no content');
    is($json->{choices}[0]{message}{refusal}, 'Lorem ipsum dolor',
        'refusal: text');
};

subtest 'requests that are refused' => sub {
    my @cases = (
        [404, 'path', path => '/v1/models'],
        [405, 'method', method => 'GET', body => ''],
        [400, 'no JSON', body => '{"model":'],
        [400, 'more than JSON', body => body() . 'x'],
        [400, 'no object', body => '[]'],
        [400, 'no messages', body => '{"model":"m"}'],
        [400, 'empty messages', body => '{"model":"m","messages":[]}'],
        [400, 'messages no array', body => '{"model":"m","messages":{}}'],
        [400, 'no model', body => '{"messages":[{"role":"user"}]}'],
        [400, 'model no string', body => '{"model":1,"messages":[]}'],
        [400, 'stream no boolean', body => body(more => '"stream":"yes"')],
        [400, 'n out of range', more => '"n":129'],
        [400, 'nothing', body => ''],
    );

    for my $case (@cases) {
        my ($status, $name, %o) = @$case;
        my $raw = ask(undef, %o);
        like($raw, qr/\AHTTP\/1\.1 $status /, $name);
        my $error = decode_json(body_of($raw))->{error};
        is_deeply([sort keys %$error], [qw(code message param type)],
            "$name: OpenAI's shape");
    }

    like(scalar ask('nonsense=1'), qr/\AHTTP\/1\.1 400 .*unknown option/s,
        'unknown option');
    like(scalar ask('tokens=x'), qr/\AHTTP\/1\.1 400 .*bad value/s,
        'bad value');
    like(scalar ask('fault=nonsense'), qr/\AHTTP\/1\.1 400 .*unknown fault/s,
        'unknown fault');
    like(scalar ask(undef, path => '/some/prefix/chat/completions'),
        qr/\AHTTP\/1\.1 200 /, 'another prefix is served');

    for my $bad ("GET / HTTP/2.0\r\n\r\n", "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5x\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    {
        my $s = dial();
        put($s, $bad);
        like(scalar get($s), qr/\AHTTP\/1\.1 400 /,
            'not HTTP: ' . ($bad =~ s/\r\n/|/gr));
    }
};

###############################################################################
# options

subtest 'texts' => sub {
    is(delta_text(stream('text=digits')), '1 2 3', 'digits');
    is(delta_text(stream('text=echo')), 'hello big world', 'echo');
    is(delta_text(stream('text=echo', messages =>
        '{"role":"user","content":"first"},{"role":"user","content":'
        . '[{"type":"text","text":"a \u00e9"},{"type":"image_url",'
        . '"image_url":{"url":"x"}},{"type":"text","text":" b"}]},'
        . '{"role":"assistant","content":"no"}')), "a \x{e9} b",
        'echo of parts of the last user message');
    is(delta_text(stream('text=marker,marker=zz')),
        '<zz:0:0><zz:0:1><zz:0:2>', 'marker');
    is(delta_text(stream('text=echo,size=4')), 'hello big world',
        'echo in pieces of 4 bytes');

    my @texts = map { $_->{choices}[0]{delta}{content} }
        grep { ref && @{ $_->{choices} } } events(
        stream('tokens=300,size=7'));
    is(scalar(grep { length == 7 } @texts[1 .. 300]), 300, '7 bytes a token');

    like(delta_text(stream('text=unicode,tokens=19')),
        qr/Gr\x{fc}\x{df}e .*\x{1f600}.*"quoted" back\\slash\ttab|tab\there/s,
        'unicode');
    is(delta_text(stream('text=unicode,tokens=500,size=1')) =~ tr/\x{fffd}//,
        0, 'no character is cut');
    is(delta_text(stream('per_event=3,tokens=1')), 'Lorem ipsum dolor',
        'three tokens an event');
};

subtest 'kinds of deltas' => sub {
    my $text = stream('reasoning=2');
    is(delta_text($text, 'reasoning_content'), 'Lorem ipsum', 'reasoning');
    is(delta_text($text), 'Lorem ipsum dolor', 'then content');
    is(delta_text(stream('reasoning=2,reasoning_name=reasoning'),
        'reasoning'), 'Lorem ipsum', 'reasoning under another name');

    $text = stream('refusal=1');
    is(delta_text($text, 'refusal'), 'Lorem ipsum dolor', 'refusal');
    is(delta_text($text), '', 'no content beside it');

    my (%name, %arguments, $finish);

    for my $e (grep { ref } events(stream('tools=2'))) {
        for my $call (@{ $e->{choices}[0]{delta}{tool_calls} // [] }) {
            $name{ $call->{index} } //= $call->{function}{name};
            $arguments{ $call->{index} } .= $call->{function}{arguments};
        }

        $finish = $e->{choices}[0]{finish_reason};
    }

    is_deeply(\%name, { 0 => 'get_weather', 1 => 'get_weather' }, 'tools');
    is_deeply([map { decode_json($_)->{n} } @arguments{ 0, 1 }], [0, 1],
        'their arguments');
    is($finish, 'tool_calls', 'their finish reason');

    my @tokens = map { $_->{choices}[0]{logprobs}
        ? $_->{choices}[0]{logprobs}{content}[0] : () }
        grep { ref } events(stream('logprobs=1'));
    is($tokens[1]{token}, ' ipsum', 'logprobs');
    is_deeply($tokens[1]{bytes}, [unpack 'C*', ' ipsum'], 'their bytes');

    my @pads = map { $_->{obfuscation} } grep { ref } events(
        stream('pad=1,seed=5'));
    is(scalar(grep { defined && /\A[A-Za-z0-9]{1,16}\z/ } @pads), 5, 'pad');
    is_deeply([map { $_->{obfuscation} } grep { ref }
        events(stream('pad=1,seed=5'))], \@pads, 'a seed gives the same');

    $text = stream('text=marker,marker=x', more => '"n":2');
    is(delta_text($text, 'content', 0), '<x:0:0><x:0:1><x:0:2>', 'choice 0');
    is(delta_text($text, 'content', 1), '<x:1:0><x:1:1><x:1:2>', 'choice 1');
    is_deeply([map { $_->{choices}[0]{index} } grep { ref } events($text)],
        [(0, 1) x 5], 'choices take turns');
};

subtest 'usage' => sub {
    my %expected = (
        'usage=on' => [0, 1], 'usage=off' => [0, 0],
        'usage=force' => [1, 1], 'usage=finish' => [1, 1],
    );

    for my $option (sort keys %expected) {
        for my $asked (0, 1) {
            my $n = grep { ref && $_->{usage} }
                events(stream($option, usage => $asked));
            is($n, $expected{$option}[$asked], "$option, asked $asked");
        }
    }

    my ($last) = grep { ref && $_->{usage} } events(stream('usage=finish'));
    is($last->{choices}[0]{finish_reason}, 'stop', 'on the finish chunk');
};

subtest 'what a stream looks like' => sub {
    my @seq = map { $_->{mock}{seq} } grep { ref } events(stream('stamp=1'));
    is_deeply(\@seq, [1 .. 5], 'stamped with numbers');

    is(() = stream('comments=2') =~ /^: keep-alive\n\n/mg, 12, 'comments');
    like(stream('eol=crlf'), qr/\}\r\n\r\ndata: \[DONE\]\r\n\r\n\z/, 'crlf');
    like(stream('eol=cr'), qr/\}\r\rdata: \[DONE\]\r\r\z/, 'cr');
    like(stream('finish=length'), qr/"finish_reason":"length"/, 'finish');
    is_deeply((events(stream(undef, model => 'mock:tokens=1,id=mm')))[0]
        {model}, 'mock:tokens=1,id=mm', 'model is echoed');
    is(scalar events(stream('tokens=2', model => 'mock:tokens=1')), 5,
        'header wins over model');
    is(scalar events(stream(undef, model => 'mock:tokens=1')), 4,
        'model counts');

    my $raw = ask('framing=length,stamp=1,pad=1,comments=1', keep => 1,
        headers => "Connection: close\r\n");
    my ($length) = head_of($raw) =~ /^Content-Length: (\d+)\r$/m;
    is($length, length body_of($raw), 'framing=length');

    $raw = ask('framing=close', keep => 1);
    unlike(head_of($raw), qr/Content-Length|Transfer-Encoding/,
        'framing=close');
    like($raw, qr/data: \[DONE\]\n\n\z/, 'is complete');

    $raw = ask('http10=1', keep => 1);
    like($raw, qr/\AHTTP\/1\.0 200 .*data: \[DONE\]\n\n\z/s, 'http10');
    like(scalar ask(undef, minor => 0),
        qr/\AHTTP\/1\.1 200 (?:(?!chunked).)*data: \[DONE\]\n\n\z/s,
        'no chunks for an HTTP/1.0 client');
    like(scalar ask('close=1', keep => 1), qr/^Connection: close\r$/m,
        'close');

    like(head_of(scalar ask('big_header=5000')),
        qr/^x-mock-big: b{5000}\r$/m, 'big_header');
    like(head_of(scalar ask('extra_header=X-One:1 '
        . 'extra_header=X-Two:a%2Cb%20c')),
        qr/^X-One: 1\r\nX-Two: a,b c\r$/m, 'extra_header');

    $raw = ask('status=503,retry_after=7,should_retry=false');
    like($raw, qr/\AHTTP\/1\.1 503 /, 'status');
    like($raw, qr/^Retry-After: 7\r\nx-should-retry: false\r$/m, 'retry');
    is(decode_json(body_of($raw))->{error}{code}, 'overloaded', 'its error');
};

subtest 'pace' => sub {
    my $gap = 4000;

    for my $dist ('constant', 'uniform', 'normal', 'lognormal', 'gamma') {
        my $text = stream("tokens=10,itl=4,ttft=10,header_delay=5,stamp=1,"
            . "dist=$dist,seed=3,id=p-$dist");
        my @sent = map { $_->{mock}{sent} } grep { ref } events($text);
        my $start = control('GET', "stats?id=p-$dist")->{started} * 1e6;

        cmp_ok($sent[0], '>=', $start + 15000 - 1, "$dist: first token");
        is(scalar(grep { $sent[$_] < $sent[$_ - 1] } 1 .. $#sent), 0,
            "$dist: times rise");
        # from the start: the first may be late, and the others not
        cmp_ok($sent[10], '>=', $start + 15000 + ($dist eq 'constant'
            ? 9 * $gap : 1) - 1, "$dist: the rest later");
    }

    my $raw = ask('ttft=20,itl=5,id=json', plain => 1);
    my $s = control('GET', 'stats?id=json');
    cmp_ok($s->{first_sent}, '>=', $s->{started} + 0.035 - 1e-6,
        'a JSON answer takes as long');
};

###############################################################################
# HTTP

subtest 'connections are used again' => sub {
    my $s = dial();
    my $end = qr/\r\n0\r\n\r\n\z/;

    for (1 .. 3) {
        put($s, request('id=k', keep => 1));
        like(scalar get($s, $end), qr/\AHTTP\/1\.1 200 /, "answer $_");
    }

    put($s, join '', map { request("id=pipe$_", keep => 1) } 1 .. 3);
    my $raw = get($s, qr/pipe3.*\r\n0\r\n\r\n\z/s);
    is(() = $raw =~ /HTTP\/1\.1 200 OK\r\n/g, 3, 'pipelined');
    like($raw, qr/req_pipe1.*req_pipe2.*req_pipe3/s, 'in order');

    my %seen = map { $_->{connection} => 1 }
        @{ control('GET', 'requests?last=6') };
    is(scalar keys %seen, 1, 'one connection');
};

subtest 'bodies in pieces' => sub {
    my $body = body(more => '"pad":"' . 'x' x 300 . '"');

    my $s = dial();
    put($s, $_) or last for split //, request('tokens=1', body => $body);
    like(scalar get($s), qr/data: \[DONE\]/, 'one byte at a time');

    my $chunked = "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\n"
        . "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        . join('', map { chunk_of($_) } $body =~ /(.{1,17})/gs)
        . "0\r\nTrailer: x\r\n\r\n";

    $s = dial();
    put($s, $chunked);
    like(scalar get($s), qr/data: \[DONE\]/, 'chunked');

    $s = dial();
    put($s, $_) or last for split //, $chunked;
    like(scalar get($s), qr/data: \[DONE\]/, 'chunked, a byte at a time');

    my $r = control('GET', 'requests?last=1')->[0];
    is($r->{body}, $body, 'the body');
    is($r->{body_sha256}, sha256_hex($body), 'its digest');

    my $large = body(more => '"pad":"' . 'y' x 3_000_000 . '"');
    like(scalar ask(undef, body => $large), qr/data: \[DONE\]/, '3 MB');
    $r = control('GET', 'requests?last=1')->[0];
    is($r->{body_length}, length $large, 'its length');
    is($r->{body_sha256}, sha256_hex($large), 'its digest');
    is(length $r->{body}, 65536, 'what is kept of it');

    $s = dial();
    my ($head, $rest) = request(undef, headers => "Expect: 100-continue\r\n")
        =~ /\A(.*?\r\n\r\n)(.*)\z/s;
    put($s, $head);
    my $raw = get($s, qr/\r\n\r\n/);
    is($raw, "HTTP/1.1 100 Continue\r\n\r\n", '100 Continue');
    put($s, $rest);
    like(scalar get($s), qr/\AHTTP\/1\.1 200 /, 'and then the answer');

    like(scalar ask(undef, body => '', headers =>
        "Transfer-Encoding: chunked\r\n"), qr/\AHTTP\/1\.1 400 /,
        'two lengths');

    $s = dial();
    put($s, "POST / HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n");
    like(scalar get($s), qr/\AHTTP\/1\.1 413 /, 'more than 64 MB');
};

###############################################################################
# lock-step, scripts, replays

subtest 'lock-step' => sub {
    control('POST', 'reset');
    my $s = dial();
    put($s, request('lockstep=L,tokens=2,text=digits', keep => 1));

    my @expected = (qr/\A.*\r\n\r\n[0-9a-f]+\r\n.*"role"[^\n]*\n\n\r\n\z/s,
        qr/\A[0-9a-f]+\r\ndata: [^\n]*"1"[^\n]*\n\n\r\n\z/,
        qr/\A[0-9a-f]+\r\ndata: [^\n]*" 2"[^\n]*\n\n\r\n\z/,
        qr/\A[0-9a-f]+\r\ndata: [^\n]*"stop"[^\n]*\n\n\r\n\z/,
        qr/\Ae\r\ndata: \[DONE\]\n\n\r\n0\r\n\r\n\z/);

    for my $k (1 .. 5) {
        like(scalar get($s, $expected[$k - 1]), $expected[$k - 1],
            "event $k");
        last if $k == 5;

        my ($json, $status) = wait_for('id=L&events=' . ($k + 1), 20);
        is($status, 504, "event $k + 1 waits");
        is($json->{stream}{events}, $k, 'and is not sent');
        is(ack('L')->{acks}, $k, 'acknowledged');
    }

    ok(wait_for('id=L&end=1'), 'ended');
    is(control('GET', 'stats?id=L')->{end}, 'complete', 'complete');

    put($s, request('lockstep=M,tokens=9', keep => 1));
    get($s, qr/"role"/);
    ack('M', 4);
    my $raw = get($s, qr/consectetur|sit/);
    ok(wait_for('id=M&events=5'), 'four at once');

    my (undef, $status) = control('POST', 'ack?id=nobody');
    is($status, 404, 'nobody to acknowledge');
};

subtest 'scripts' => sub {
    my $script = <<'END';
# a comment
head 201 text/plain
chunk "one\n"
ack
send "4\r\nt\x77o\t\r\n"
sleep 1
chunk "q\"b\\z\0"
last
keep
END

    control('PUT', 'script/first', $script);
    my $s = dial();
    put($s, request('script=first,id=S', keep => 1));

    my $one = qr/\AHTTP\/1\.1\ 201\ .*^Content-Type:\ text\/plain\r\n.*\r\n
        \r\n4\r\none\n\r\n\z/smx;
    like(scalar get($s, $one), $one, 'up to the acknowledgement');
    my (undef, $status) = wait_for('id=S&events=2', 20);
    is($status, 504, 'then it waits');
    ack('S');
    is(scalar get($s, qr/0\r\n\r\n\z/), "4\r\ntwo\t\r\n6\r\nq\"b\\z\0\r\n"
        . "0\r\n\r\n", 'the rest');
    put($s, request('tokens=1'));
    like(scalar get($s), qr/DONE/, 'the connection lives');

    control('PUT', 'script/reset', "send \"half\"\nreset\n");
    my ($raw, $how) = ask('script=reset');
    is("$raw $how", 'half reset', 'reset');

    control('PUT', 'script/fin', "send \"a\"\nfin\nack\nclose\n");
    $s = dial();
    put($s, request('script=fin,id=F'));
    ($raw, $how) = get($s);
    is("$raw $how", 'a eof', 'fin');
    is(control('GET', 'stats?id=F')->{end}, 'open', 'the script goes on');
    ack('F');
    is(control('GET', 'stats?id=F')->{end}, 'complete', 'to its end');

    control('PUT', 'script/stall', "send \"a\"\nstall\n");
    $s = dial();
    put($s, request('script=stall,id=T'));
    get($s, qr/a/);
    close $s;
    ok(wait_for('id=T&end=1'), 'stall ends with the client');
    is(control('GET', 'stats?id=T')->{end}, 'aborted', 'as an abort');

    for my $bad ('jump', 'send', 'send "a', 'send "a" b', 'send "\q"',
        'send "\x1"', 'sleep', 'sleep x', 'close now')
    {
        my ($json, $code) = control('PUT', 'script/bad', "last\n$bad\n");
        is($code, 400, "bad step: $bad");
        like($json->{error}{message}, qr/line 2/, 'with its line');
    }

    like(scalar ask('script=nobody'), qr/\AHTTP\/1\.1 400 .*no script/s,
        'no such script');

    (undef, $status) = control('PUT', 'script/..%2fx', "last\n");
    is($status, 400, 'no such name');
};

subtest 'replays' => sub {
    my $bytes = join '', map { chr } 0 .. 255;

    control('PUT', 'replay/bytes', $bytes);

    my %cuts = (
        '' => [$bytes],
        'cut=10' => [substr($bytes, 0, 10), substr $bytes, 10],
        'cuts=1:2:100' => [substr($bytes, 0, 1), substr($bytes, 1, 1),
            substr($bytes, 2, 98), substr $bytes, 100],
        'cut=0' => [$bytes],
        'cut=256' => [$bytes],
        'bytewise=1,gap=0' => [split //, $bytes],
    );

    for my $option (sort keys %cuts) {
        my $raw = ask("replay=bytes,type=a/b,status=202,$option");
        like($raw, qr/\AHTTP\/1\.1 202 .*^Content-Type: a\/b\r$/sm,
            "head $option");
        is_deeply([chunks(body_of($raw))], $cuts{$option}, "cuts $option");
    }

    is(body_of(scalar ask('replay=bytes,cut=7,framing=length')), $bytes,
        'with length');
    is(body_of(scalar ask('replay=bytes,bytewise=1,gap=0,framing=close')),
        $bytes, 'until the end');

    my $s = dial();
    put($s, request('replay=bytes,cuts=5:9,ackcut=1,id=R,framing=length',
        keep => 1));
    my $raw = body_of(scalar get($s, qr/\r\n\r\n.{5}/s));
    is($raw, substr($bytes, 0, 5), 'first piece');
    ack('R');
    is(scalar get($s, qr/\A.{4}/s), substr($bytes, 5, 4), 'second piece');
    ack('R');
    is(scalar get($s, qr/\A.{247}/s), substr($bytes, 9), 'third piece');
    ok(wait_for('id=R&end=1'), 'complete');

    like(scalar ask('replay=bytes,cuts=9:5'), qr/\AHTTP\/1\.1 400 /,
        'cuts must rise');
    like(scalar ask('replay=nobody'), qr/\AHTTP\/1\.1 400 .*no replay/s,
        'no such replay');
    control('POST', 'reset');
    like(scalar ask('replay=bytes'), qr/\AHTTP\/1\.1 400 /, 'forgotten');
};

###############################################################################
# what it saw

subtest 'statistics' => sub {
    control('POST', 'reset');
    my $raw = ask('id=one', path => '/p/chat/completions?a=1&b=%20',
        headers => "X-Odd:  \x{e9}\xff  \r\n");
    ok(wait_for('open_connections=0&connections=1'), 'connection gone');

    my $s = control('GET', 'stats');
    is_deeply([@$s{qw(requests open connections open_connections complete
        aborts faults events_sent)}], [1, 0, 1, 0, 1, 0, 0, 6], 'counters');
    is($s->{bytes_sent}, length $raw, 'bytes');
    is($s->{body_sent}, length join(q{}, chunks(body_of($raw))),
        'bytes of the body');
    is($s->{streams}[0]{body}, $s->{body_sent}, 'those of the stream');

    my $one = $s->{streams}[0];
    is_deeply([@$one{qw(id path method end events bytes abort_at)}],
        ['one', '/p/chat/completions', 'POST', 'complete', 6, length $raw,
        undef], 'a stream');
    cmp_ok($one->{started}, '<=', $one->{first_sent}, 'first sent');
    cmp_ok($one->{first_sent}, '<=', $one->{ended}, 'ended');
    cmp_ok($one->{ended}, '<=', $s->{now}, 'now');

    my $r = control('GET', 'requests?last=5');
    is(scalar @$r, 1, 'control requests are no requests');
    is_deeply([@{ $r->[0] }{qw(method path query version body_length)}],
        ['POST', '/p/chat/completions', 'a=1&b=%20', '1.1', length body()],
        'a request');
    is_deeply([map { $_->[1] } grep { $_->[0] eq 'X-Odd' }
        @{ $r->[0]{headers} }], ["\x{fffd}\x{fffd}"], 'a header, repaired');
    is($r->[0]{connection}, $one->{connection}, 'its connection');

    ask('tokens=0') for 1 .. 270;
    is(scalar @{ control('GET', 'requests?last=300') }, 256,
        'the last 256 requests');
    $s = control('GET', 'stats');
    is(scalar @{ $s->{streams} }, 256, 'the last 256 streams');
    is($s->{requests}, 271, 'all are counted');

    my (undef, $status) = control('GET', 'stats?id=nobody');
    is($status, 404, 'no such stream');
    (undef, $status) = control('GET', 'nonsense');
    is($status, 404, 'no such control');
    (undef, $status) = control('POST', 'stats');
    is($status, 405, 'another method');
    (undef, $status) = wait_for('open=3', 10);
    is($status, 504, 'a wait that fails');
};

subtest 'aborts' => sub {
    control('POST', 'reset');

    # long before anything is sent, and between two events
    for my $options ('header_delay=3600000', 'ttft=3600000',
        'itl=3600000')
    {
        control('POST', 'reset');
        my $s = dial();
        put($s, request("id=idle,$options"));
        ok(wait_for('id=idle&open=1'), "$options: open");
        close $s;
        ok(wait_for('id=idle&end=1&aborts=1&open=0&open_connections=0'),
            "$options: noticed");
        my $stream = control('GET', 'stats?id=idle');
        is($stream->{end}, 'aborted', "$options: an abort");
        ok($stream->{abort_at}, "$options: with its time");
    }

    # the write side is blocked: nobody reads
    control('POST', 'reset');
    my $s = dial(undef, rcvbuf => 4096);
    put($s, request('id=full,tokens=1000000,sndbuf=8k'));
    get($s, qr/Lorem/);
    my (undef, $status) = wait_for('id=full&events=999999', 200);
    is($status, 504, 'blocked');
    close $s;
    ok(wait_for('id=full&end=1&aborts=1'), 'noticed while blocked');

    # reset
    control('POST', 'reset');
    $s = dial();
    put($s, request('id=rst,itl=3600000'));
    get($s, qr/Lorem/);
    setsockopt $s, SOL_SOCKET, Socket::SO_LINGER(), pack 'ii', 1, 0;
    close $s;
    ok(wait_for('id=rst&end=1&aborts=1'), 'a reset is noticed');

    # after the end it is none
    control('POST', 'reset');
    ask('id=fine');
    ok(wait_for('complete=1&open_connections=0'), 'complete');
    is(control('GET', 'stats')->{aborts}, 0, 'no abort');
};

subtest 'back-pressure' => sub {
    control('POST', 'reset');
    my $s = dial(undef, rcvbuf => 16384);
    put($s, request('id=slow,tokens=40000,text=digits,sndbuf=64k'));
    get($s, qr/"role"/);

    # nobody reads: what the kernel takes is taken, then nothing moves any more
    my ($before, $after) = (-1, 0);

    while ($before != $after && $after < 39_000) {
        wait_for('id=slow&events=39000', 50);
        ($before, $after) = ($after,
            control('GET', 'stats?id=slow')->{events});
    }

    cmp_ok($after, '<', 39_000, 'it does not go on');

    my $raw = get($s);
    like($raw, qr/" 40000".*\[DONE\]\n\n\r\n0\r\n\r\n\z/s,
        'it goes on when it is read');
    ok(wait_for('id=slow&end=1'), 'to the end');
    my $stream = control('GET', 'stats?id=slow');
    is($stream->{events}, 40003, 'all events');
    is($stream->{end}, 'complete', 'complete');
};

subtest 'constant memory' => sub {
    plan skip_all => 'no /proc' if !memory();

    # one event a write, then many: neither may leave anything behind
    for my $burst (1, 100) {
        my @kb;

        for my $tokens (2_000, 100_000) {
            my $s = dial();
            put($s, request("tokens=$tokens,burst=$burst"));
            my ($tail, $n) = ('', 0);

            while (my $got = sysread $s, my $bytes, 1 << 18) {
                $n += $got;
                $tail = substr $tail . $bytes, -100;
            }

            like($tail, qr/DONE\]\n\n\r\n0\r\n\r\n\z/, "$n bytes");
            push @kb, memory();
        }

        cmp_ok($kb[1] - $kb[0], '<', 1024, "burst=$burst: no growth");
    }
};

subtest 'many streams at once' => sub {
    control('POST', 'reset');
    my @sockets;

    for my $i (1 .. 200) {
        my $s = dial();
        put($s, request("id=m$i,lockstep=m$i,text=marker,tokens=2"));
        push @sockets, $s;
    }

    ok(wait_for('open=200'), 'all open');
    ack("m$_", 4) for 1 .. 200;

    my $good = 0;

    for my $i (1 .. 200) {
        my $text = delta_text(join '', chunks(body_of(
            scalar get($sockets[$i - 1]))));
        $good++ if $text eq "<m$i:0:0><m$i:0:1>";
    }

    is($good, 200, 'each got its own text');
    ok(wait_for('open=0&complete=200'), 'all complete');
};

###############################################################################
# the program

subtest 'command line' => sub {
    for my $bad (['--nonsense', 1], ['--tokens'], ['--tokens', 'x'],
        ['--script', "$dir/none"], ['--port', 70000], ['--fault', 'none'],
        ['--address', 'nowhere'], ['--tls-port', 0])
    {
        open my $saved, '>&', \*STDERR or die "dup: $!";
        open STDERR, '>', "$dir/err" or die "open: $!";
        my $m = eval { start(@$bad) };
        open STDERR, '>&', $saved or die "dup: $!";
        ok(!$m, "refused: @$bad");
        cmp_ok(-s "$dir/err", '>', 10, 'with a message');
    }

    1 while waitpid(-1, 1) > 0;

    open my $f, '>', "$dir/all" or die "open: $!";
    print {$f} qq{send "HTTP/1.1 200 OK\\r\\n\\r\\nscripted"\n};
    close $f;
    open $f, '>', "$dir/words" or die "open: $!";
    print {$f} 'from a file';
    close $f;

    my $m = start('--script', "$dir/all");
    is(body_of(scalar ask(undef, port => $m->{port}, path => '/any',
        method => 'GET', body => '')), 'scripted', '--script');
    is(stop($m, 'TERM'), 0, 'SIGTERM');

    $m = start('--text', "$dir/words", '--script-dir', $dir, '--replay-dir',
        $dir, '--require-key', 'K', '--set', 'tokens=4 id=zz');
    my @port = (port => $m->{port}, headers => "Authorization: Bearer K\r\n");
    is(delta_text(join '', chunks(body_of(scalar ask(undef, @port)))),
        'from a file from', '--text and --set');
    is(body_of(scalar ask('script=all', @port)), 'scripted', '--script-dir');
    is(join('', chunks(body_of(scalar ask('replay=words', @port)))),
        'from a file', '--replay-dir');
    like(scalar ask(undef, port => $m->{port}), qr/\AHTTP\/1\.1\ 401\ .*
        "invalid_api_key"/sx, '--require-key');
    is(stop($m, 'INT'), 0, 'SIGINT');

    $m = start('--itl', 3600000);
    my $s = dial($m->{port});
    put($s, request(undef));
    get($s, qr/Lorem/);
    is(stop($m), 0, 'ends with its parent, in the middle of a stream');
    my (undef, $how) = get($s);
    ok($how, 'the stream is cut');

    SKIP: {
        require IO::Socket::IP;
        my $probe = IO::Socket::IP->new(Listen => 1, LocalHost => '::1',
            LocalPort => 0);
        skip 'no IPv6', 2 if !$probe;

        for my $address ('::1', '[::1]') {
            $m = start('--address', $address);
            my $c = IO::Socket::IP->new(PeerHost => '::1',
                PeerPort => $m->{port});
            put($c, request(undef));
            like(scalar get($c), qr/DONE/, "IPv6: $address");
            stop($m);
        }
    }
};

is(stop($mock), 0, 'the mock ended without an error');

done_testing();
