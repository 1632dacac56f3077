#!/usr/bin/perl

# Token-rate limits: what is reserved, what is settled at each ending, what a
# client is told, and how the bucket fills again.  Time stands still unless
# the test turns the clock, so every figure is exact.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Limit;
use LLMTest::Wait qw(wait_for);

# tokens of a request that says "hello", as the estimate has it: what opens
# the answer, a message, five letters
use constant HELLO => POSIX::ceil((3000 + 4000 + 5 * 240) / 1000);
use constant BIG => 1_000_000;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $clock = LLMTest::Clock->new($t);
my $l = LLMTest::Limit->new($t);

my @CLIENTS = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise simple typed text);

my $clients = join '', map {
    "        location /to/$_ { llm_stream openai http://%%MOCK%%;\n"
        . "            llm_stream_client $_; llm_stream_model m-1;\n"
        . "            llm_stream_limit zone=small; }\n"
} @CLIENTS;

my $conf = <<"EOT";
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    log_format limit '\$request_id \$http_x_name \$status \$llm_stream_limit '
        '\$llm_stream_end \$llm_stream_error '
        '\$llm_stream_tokens_in \$llm_stream_tokens_out '
        '\$llm_stream_tokens_source';
    access_log %%DIR%%/limit.log limit;

    llm_stream_limit_zone \$http_x_key zone=big:1m rate=60t/m;
    llm_stream_limit_zone \$http_x_key zone=small:1m rate=600t/m;
    llm_stream_limit_zone \$http_x_other zone=other:1m rate=10t/s;
    llm_stream_limit_zone \$http_x_key zone=full:64k rate=1t/m;
    llm_stream_limit_zone \$http_x_key zone=tiny:32k rate=600t/m;
    llm_stream_limit_zone "@{[ '\$http_x_key' x 10 ]}" zone=long:1m rate=10t/s;

    upstream two { server %%MOCK%%; server %%UPSTREAM%% backup; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        llm_stream_limit zone=big burst=@{[ BIG ]};

        location /big/ { llm_stream openai http://%%MOCK%%; }
        location /anthropic/ { llm_stream anthropic http://%%MOCK%%; }
        location /gemini/ { llm_stream gemini http://%%MOCK%%;
            llm_stream_stop END; }
        location /stop/ { llm_stream anthropic http://%%MOCK%%;
            llm_stream_stop END; }
        location /translate/ { llm_stream anthropic http://%%MOCK%%;
            llm_stream_client openai; }
        location /small/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small; }
        location /long/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=long; }
        location /full/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=full burst=@{[ BIG ]}; }
        location /tiny/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=tiny; }
        location /both/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small; llm_stream_limit zone=other; }
        location /off/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit off; }
        location /dead/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;}
        location /fallback/ { llm_stream openai http://%%MOCK%%;
            error_page 503 = \@second; }
        location /refit/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small;
            error_page 503 = \@second; }
        location /mirrored/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small; mirror /shadow; }
        location = /shadow { internal; llm_stream openai http://%%MOCK%%; }
        location /limited/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small;
            error_page 429 = \@free; }
        location \@second { llm_stream openai http://%%MOCK%%;
            llm_stream_set_header X-Mock \$http_x_second;
            llm_stream_limit zone=small; }
        location \@free { llm_stream openai http://%%MOCK%%;
            llm_stream_limit off; }
        location /next/ { llm_stream openai http://two;
            llm_stream_next_upstream http_500; }
        location /content/ { llm_stream anthropic http://%%MOCK%%;
            llm_stream_gate content; }
        location /late/ { llm_stream openai http://%%MOCK%%;
            llm_stream_first_token_timeout 100ms; }
        location /up/ { llm_stream openai http://%%UPSTREAM%%; }
$clients
    }
}
EOT

my $u = $t->upstream;
$t->config($conf)->start(env => $clock->env);

my $name = 0;


# what the log says of a request

sub logged {
    my ($id) = @_;
    my $line = $t->wait_log(qr/ \Q$id\E /, file => 'limit.log');

    return $line && $line =~ / \Q$id\E (.*)$/ ? $1 : undef;
}


# a request whose log line can be found; its result with {log}

sub got {
    my ($path, %o) = @_;
    my $id = 'n' . ++$name;

    $o{headers}{'X-Name'} = $id;
    my $r = $l->get($path, %o);
    $r->{log} = logged($id);

    return $r;
}


sub told {
    my ($r) = @_;

    return join ' ', map { $r->{headers}{"x-ratelimit-$_-tokens"} // '-' }
        qw(limit remaining reset);
}


subtest 'reserved and settled' => sub {
    my $r = got('/big/chat/completions', key => 'a', mock => 'tokens=30',
        body => { max_tokens => 500,
            stream_options => { include_usage => JSON::PP::true } });
    my $used = LLMTest::Limit::usage($r->{body});

    is($r->{status}, 200, 'an answer');
    cmp_ok($used, '>', 30, 'the provider says its usage');
    is(told($r), join(' ', BIG, BIG - HELLO - 500,
        sprintf '%dm%ds', (HELLO + 500) / 60 * 60 / 60,
            (HELLO + 500) % 60), 'reserved: the request and max_tokens');
    is($l->settled('/big/chat/completions', 'a', BIG - $used), BIG - $used,
        'settled: what was used');
    like($r->{log}, qr/^200 passed complete - \d+ 30 usage$/, 'logged');

    $r = got('/big/chat/completions', key => 'a2', mock => 'tokens=30',
        body => { model => 'new' });
    is(BIG - $r->{headers}{'x-ratelimit-remaining-tokens'}, HELLO + 512,
        'no max_tokens, a new model: 512');
    $r = got('/big/chat/completions', key => 'a3', mock => 'tokens=30',
        body => { model => 'new', n => 2 });
    my $second = BIG - $r->{headers}{'x-ratelimit-remaining-tokens'};
    cmp_ok($second, '<', 512, 'a known model: what it said before');
    cmp_ok($second, '>=', 60, 'for each choice');
};


subtest 'no usage' => sub {
    my $r = got('/big/chat/completions', key => 'b', body => { model => 'x' },
        mock => 'usage=off text=echo');

    # "hello" and "hello", in one sum rounded once
    my $used = POSIX::ceil((8200 + 5 * 240) / 1000);

    is($r->{log}, '200 passed complete - ' . HELLO . ' 2 estimate',
        'the estimates');
    is($l->settled('/big/chat/completions', 'b', BIG - $used), BIG - $used,
        'are what is settled');

    for my $case ([ 'one JSON answer', '/big/chat/completions' ],
        [ 'gathered', '/translate/chat/completions' ])
    {
        $r = got($case->[1], key => $case->[0], mock => 'usage=off text=echo',
            body => { model => 'x', stream => JSON::PP::false });
        is($r->{log}, '200 passed complete - ' . HELLO . ' 2 estimate',
            "$case->[0]: the estimates");
        is($l->settled('/big/chat/completions', $case->[0], BIG - $used),
            BIG - $used, "$case->[0]: are what is settled");
    }
};


# What was used is known in lock-step: the letters that the client has seen.

sub cut_short {
    my ($key, $how) = @_;

    $mock->script("cut-$key", join "\n", 'head 200 text/event-stream',
        (map { 'chunk "data: {\"id\":\"1\",\"choices\":[{\"index\":0,'
            . "\\\"delta\\\":{\\\"content\\\":\\\"$_\\\"}}]}\\n\\n\"" }
            ('abcdefghij') x 10), $how);

    my $s = $l->ask('/big/chat/completions', key => $key,
        mock => "script=cut-$key id=$key",
        headers => { 'X-Name' => "cut-$key" }, body => { model => 'x' });

    is(scalar $s->read_events(10), 10, "$key: ten events");

    return $s;
}


subtest 'endings before the end' => sub {
    my $used = POSIX::ceil((8200 + 100 * 240) / 1000);
    my $s = cut_short('abort', 'stall');
    $s->close;
    is($l->settled('/big/chat/completions', 'abort', BIG - $used),
        BIG - $used, 'the client left: what it was sent');
    is(logged('cut-abort'), '200 passed client_abort client_abort '
        . HELLO . ' 24 estimate', 'logged');

    for my $how (qw(close reset)) {
        $s = cut_short($how, $how);
        $s->wait_end;
        is($l->settled('/big/chat/completions', $how, BIG - $used),
            BIG - $used, "the provider left, $how: what it had sent");
        is(logged("cut-$how"), '200 passed truncated upstream_'
            . ($how eq 'close' ? 'truncated ' : 'reset ') . HELLO
            . ' 24 estimate', 'logged');
    }

    # before the first byte: it was asked
    $s = $l->ask('/big/chat/completions', key => 'early',
        mock => 'fault=stall-before-headers id=early');
    ok($mock->wait(id => 'early', events => 0), 'the provider was asked');
    $s->close;
    ok($mock->wait(id => 'early', end => 1), 'and left');
    is($l->settled('/big/chat/completions', 'early', BIG - HELLO),
        BIG - HELLO, 'the client left before the answer: the request');

    # usage that comes first and grows: Anthropic's 1 is not the last word
    $mock->script('first', join "\n", 'head 200 text/event-stream',
        (map { s/"/\\"/gr =~ s/^(\w+) (.*)/chunk "event: $1\\ndata: $2\\n\\n"/r }
            'message_start {"type":"message_start","message":{"id":"m",'
            . '"type":"message","role":"assistant","model":"x","content":[],'
            . '"usage":{"input_tokens":20,"output_tokens":1}}}',
            'content_block_start {"type":"content_block_start","index":0,'
            . '"content_block":{"type":"text","text":""}}',
            ('content_block_delta {"type":"content_block_delta","index":0,'
            . '"delta":{"type":"text_delta","text":"abcdefghij"}}') x 10),
        'stall');
    $s = $l->ask('/anthropic/v1/messages', key => 'first',
        body => { model => 'x', max_tokens => 100 }, mock => 'script=first');
    is(scalar $s->read_events(12), 12, 'the provider said its input first');
    $s->close;
    is($l->settled('/big/chat/completions', 'first', BIG - 20 - 24),
        BIG - 20 - 24, 'that counts, and the estimate of the answer');

    # the same where a stop string ends the answer: the letters and "END"
    $mock->script('first', join "\n", 'head 200 text/event-stream',
        (map { s/"/\\"/gr =~ s/^(\w+) (.*)/chunk "event: $1\\ndata: $2\\n\\n"/r }
            'message_start {"type":"message_start","message":{"id":"m",'
            . '"type":"message","role":"assistant","model":"x","content":[],'
            . '"usage":{"input_tokens":20,"output_tokens":1}}}',
            'content_block_start {"type":"content_block_start","index":0,'
            . '"content_block":{"type":"text","text":""}}',
            'content_block_delta {"type":"content_block_delta","index":0,'
            . '"delta":{"type":"text_delta","text":"abcdefghijEND"}}'),
        'stall');
    my $r = $l->get('/stop/v1/messages', key => 'stop',
        body => { model => 'x', max_tokens => 100 }, mock => 'script=first');
    $used = POSIX::ceil((20_000 + 10 * 240 + 3 * 300) / 1000);
    like($r->{body}, qr/"stop_sequence":"END"/, 'a stop string');
    is($l->settled('/big/chat/completions', 'stop', BIG - $used), BIG - $used,
        'what the provider said of the input counts');

    # and of the output so far, with thoughts that were not shown
    $mock->script('first', join "\n", 'head 200 text/event-stream',
        (map { s/"/\\"/gr =~ s/(.*)/chunk "data: $1\\n\\n"/r }
            '{"candidates":[{"index":0,"content":{"role":"model","parts":'
            . '[{"text":"abcdefghij"}]}}],"usageMetadata":{"promptTokenCount":'
            . '20,"candidatesTokenCount":5,"thoughtsTokenCount":100,'
            . '"totalTokenCount":125}}',
            '{"candidates":[{"index":0,"content":{"role":"model","parts":'
            . '[{"text":"END"}]}}]}'),
        'stall');
    $r = $l->get('/gemini/v1beta/models/x:streamGenerateContent?alt=sse',
        key => 'gemini', mock => 'script=first', raw_body => { contents =>
            [ { role => 'user', parts => [ { text => 'hello' } ] } ] });
    is($r->{ended}, 'complete', 'a stop string');
    is($l->settled('/big/chat/completions', 'gemini', BIG - 125), BIG - 125,
        'what the provider said of the output counts');
};


subtest 'nothing used' => sub {
    my %cases = (
        'a provider refuses' => [ '/big/chat/completions', 'status=400',
            400 ],
        'a provider fails' => [ '/big/chat/completions', 'status=500', 500 ],
        'a provider is over its limit' => [ '/big/chat/completions',
            'fault=s429', 429 ],
        'an error in a stream, before content' => [ '/big/chat/completions',
            'fault=error-event-first', 500 ],
        'no stream at all' => [ '/big/chat/completions', 'fault=html-200',
            502 ],
        'not HTTP' => [ '/big/chat/completions', 'fault=not-http', 502 ],
        'closed' => [ '/big/chat/completions', 'fault=rst-before-headers',
            502 ],
        'nobody there' => [ '/dead/chat/completions', '', 502 ],
    );

    for my $case (sort keys %cases) {
        my ($path, $fault, $status) = @{ $cases{$case} };
        my $r = got($path, key => "0 $case", mock => $fault);

        is($r->{status}, $status, "$case: status");
        like($r->{headers}{'x-ratelimit-remaining-tokens'} // '', qr/^\d+$/,
            "$case: headers");
        is($l->settled('/big/chat/completions', "0 $case", BIG), BIG,
            "$case: all given back");
        like($r->{log}, qr/passed \w+ \w+ - - -$/, "$case: no tokens")
            if $status != 500;
    }

    my $r = got('/big/chat/completions', key => 'bad',
        raw_body => '{"messages":');
    is($r->{status}, 400, 'no JSON');
    is(told($r), '- - -', 'was not reserved for');
    is($l->left('/big/chat/completions', 'bad'), BIG, 'and costs nothing');
};


# The provider accepts, and fails before it says anything: with the header at
# the client (a role opens the gate) and without.

sub fails {
    my ($case, $path, $id, $error, $cost, $tokens) = @_;
    my $key = "fails $case";
    my $as = $key =~ s/\W+/-/gr;

    $l->get($path, key => $key, headers => { 'X-Name' => $as },
        mock => "script=$id", body => { model => 'x', max_tokens => 50 });
    is($l->settled('/big/chat/completions', $key, BIG - $cost), BIG - $cost,
        "$case: settled");
    like(logged($as), qr/ passed \w+ \Q$error\E \Q$tokens\E$/,
        "$case: logged");

    return;
}


subtest 'failures before the first content' => sub {
    my $role = 'chunk "data: {\"id\":\"1\",\"choices\":[{\"index\":0,'
        . '\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"';
    my $error = 'chunk "data: {\"error\":{\"message\":\"no\",\"type\":'
        . '\"server_error\",\"code\":null}}\n\n"';
    my %cases = (
        'an error' => [ 'upstream_error', $error ],
        'an error after the role' => [ 'upstream_error', $role, $error ],
        'an end' => [ 'upstream_empty', 'close' ],
        'an end after the role' => [ 'upstream_truncated', $role, 'close' ],
        'a reset' => [ 'upstream_reset', 'reset' ],
        'a reset after the role' => [ 'upstream_reset', $role, 'reset' ],
    );
    my $path = '/big/chat/completions';
    my $n = 0;

    for my $case (sort keys %cases) {
        my ($word, @steps) = @{ $cases{$case} };
        my $id = 'before' . ++$n;

        $mock->script($id, join "\n", 'head 200 text/event-stream', @steps);
        fails($case, $path, $id, $word, 0, '- - -');
    }

    $mock->script('none', join "\n", 'head 200 text/event-stream',
        'chunk "event: message_start\ndata: {\n\n"');
    fails('no event', '/translate/chat/completions', 'none',
        'upstream_invalid_event', 0, '- - -');

    # what the provider says that it used is not nothing
    $mock->script('said', join "\n", 'head 200 text/event-stream',
        map { s/"/\\"/gr =~ s/^(\w+) (.*)/chunk "event: $1\\ndata: $2\\n\\n"/r }
            'message_start {"type":"message_start","message":{"id":"m",'
            . '"type":"message","role":"assistant","model":"x","content":[],'
            . '"usage":{"input_tokens":20,"output_tokens":1}}}',
            'error {"type":"error","error":{"type":"overloaded_error",'
            . '"message":"no"}}');
    fails("usage before an error, $_", "/$_/v1/messages", 'said',
        'upstream_error', 21, '20 1 usage') for qw(anthropic content);

    my $s = $l->ask('/late/chat/completions', key => 'late',
        headers => { 'X-Name' => 'late' },
        mock => 'fault=stall-after-headers id=late');
    ok($mock->wait(id => 'late', events => 0), 'a stream');
    ok($t->wait_for(sub { $mock->stats('late')->{bytes} }), 'a header');
    is($l->left($path, 'nobody'), BIG, 'which the worker has seen');
    $clock->advance(0.2);
    $s->wait_end;
    is($s->status, 504, 'and nothing else');
    is($l->settled($path, 'late', BIG), BIG, 'late: settled');
    is(logged('late'), '504 passed timeout upstream_timeout_first_event '
        . '- - -', 'late: logged');

    # the client's doing is not the provider's
    $s = $l->ask($path, key => 'gone', headers => { 'X-Name' => 'gone' },
        mock => 'fault=stall-after-headers id=gone');
    ok($mock->wait(id => 'gone', events => 0), 'a stream');
    ok($t->wait_for(sub { $mock->stats('gone')->{bytes} }), 'a header');
    is($l->left($path, 'nobody'), BIG, 'which the worker has seen');
    $s->close;
    is($l->settled($path, 'gone', BIG - HELLO), BIG - HELLO,
        'the client left before any content: the request');
    is(logged('gone'), '499 passed client_abort client_abort ' . HELLO
        . ' 0 estimate', 'logged');
};


subtest 'refused, in every dialect' => sub {
    my $messages = { messages => [ { role => 'user', content => 'hello' } ] };
    my %body = (
        'openai-completions' => { prompt => 'hello', max_tokens => 600 },
        'openai-responses' => { input => 'hello',
            max_output_tokens => 600 },
        gemini => { contents => [ { parts => [ { text => 'hello' } ] } ],
            generationConfig => { maxOutputTokens => 600 } },
        ollama => { %$messages, options => { num_predict => 600 } },
        'ollama-generate' => { prompt => 'hello',
            options => { num_predict => 600 } },
        flowise => { question => 'hello',
            overrideConfig => { maxTokens => 600 } },
    );

    $t->canary('sk-of-a-client');

    for my $client (@CLIENTS) {
        my $key = "sk-of-a-client-$client";
        my $path = "/to/$client" . ($client eq 'gemini'
            ? '/models/m:streamGenerateContent' : '');
        my $body = { model => 'probe',
            %{ $body{$client} || { %$messages, max_tokens => 600 } } };
        my $s = $l->ask($path, key => $key, raw_body => $body,
            mock => "lockstep=$client");

        ok($mock->wait(id => $client, events => 1), "$client: the first");

        my $r = got($path, key => $key, raw_body => $body);
        my $wait = $r->{headers}{'retry-after'};

        is($r->{status}, 429, "$client: the second one");
        like($wait // '', qr/^[1-9]\d*$/, "$client: Retry-After");
        like(told($r), qr/^600 \d+ \d+m?\d*s$/, "$client: headers");
        like($r->{body}, qr/Too many requests\. Wait a moment and try again/,
            "$client: said");
        like($r->{body}, qr/rate_limit_exceeded|rate_limit_error
            |RESOURCE_EXHAUSTED/x, "$client: the kind")
            if $client !~ /^(?:text|ollama.*|flowise)$/;
        like($r->{body}, qr/"retryDelay":"\Q$wait\Es"/,
            "$client: in the body, too") if $client eq 'gemini';
        like($r->{log}, qr/^429 rejected limit rate_limit_exceeded/,
            "$client: logged");

        $s->close;
    }

    my @lines = $t->error_log =~ /^(.*limiting tokens.*)$/mg;
    like($lines[0] // '', qr/\[error\].* limiting tokens, room in \d+ ms by/,
        'a line in the error log');
    is(scalar(grep { /by zone "small", client/ } @lines), @CLIENTS,
        'one for each');
};


subtest 'time' => sub {
    my $ask = sub {
        return $l->get('/small/chat/completions', key => 'time',
            mock => 'status=400', body => { max_tokens => $_[0],
                model => 'probe' });
    };
    my $s = $l->ask('/small/chat/completions', key => 'time',
        mock => 'lockstep=time', body => { max_tokens => 600 - HELLO });

    is($s->status, 200, 'all of the bucket');
    is($s->header('x-ratelimit-remaining-tokens'), 0, 'none is left');
    is($s->header('x-ratelimit-reset-tokens'), '1m0s', 'for a minute');

    my $r = $ask->(10);
    is($r->{status}, 429, 'no room');
    is($r->{headers}{'retry-after'}, POSIX::ceil((HELLO + 10) / 10),
        'for so long');

    $clock->advance((HELLO + 10) / 10 - 0.002);
    is($ask->(10)->{status}, 429, 'a little less is not enough');
    $clock->advance(0.002);
    is($ask->(10)->{status}, 400, 'then there is');

    # what flowed off since is not given back: others may have had it
    $clock->advance(30);
    my $other = $l->ask('/small/chat/completions', key => 'time',
        mock => 'lockstep=other', body => { max_tokens => 200 - HELLO });
    is($other->status, 200, 'another one');
    $s->close;
    ok($mock->wait(id => 'time', end => 1), 'the first one leaves');
    is($l->settled('/small/chat/completions', 'time', 400), 400,
        'and the other has its tokens');
    $other->close;

    $clock->advance(3600);
    is($l->left('/small/chat/completions', 'time'), 600, 'full again');
};


# What flows off is room for others once, not once for each that is asked for:
# three of 200 that came to 8.2 each, of which 200 have flowed off.

subtest 'many at once' => sub {
    my $path = '/small/chat/completions';
    my @streams = map { $l->ask($path, key => 'many', mock => "lockstep=m$_",
        body => { model => 'x', max_tokens => 200 - HELLO }) } 1 .. 3;

    is($_->status, 200, 'one of them') for @streams;
    is($streams[2]->header('x-ratelimit-remaining-tokens'), 0,
        'all of the bucket');
    $clock->advance(20);

    for my $i (0 .. 2) {
        $streams[$i]->close;
        ok($mock->wait(id => 'm' . ($i + 1), end => 1), 'it leaves');
    }

    is($l->settled($path, 'many', 583), 583, 'what none has used is back');

    # what is settled flows off before what is reserved
    $clock->advance(3600);
    my $r = $l->get($path, key => 'many', mock => 'tokens=200',
        body => { model => 'many', max_tokens => 300,
            stream_options => { include_usage => JSON::PP::true } });
    my $used = LLMTest::Limit::usage($r->{body}) // 0;
    @streams = map { $l->ask($path, key => 'many', mock => "lockstep=n$_",
        body => { model => 'x', max_tokens => 150 - HELLO }) } 1 .. 2;
    is($_->status, 200, 'one beside a debt') for @streams;
    $clock->advance(10);
    $_->close for @streams;
    ok($mock->wait(id => "n$_", end => 1), 'it leaves') for 1 .. 2;
    my $left = int(600 - ($used - 100) - 2 * 8.2);
    is($l->settled($path, 'many', $left), $left, 'only the debt is less');
    $clock->advance(3600);
};


subtest 'debt' => sub {
    my $r = got('/small/chat/completions', key => 'debt',
        mock => 'tokens=5000', body => { model => 'x', max_tokens => 1 });

    is($r->{status}, 200, 'much more than was said');

    my $probe = sub { return $l->get('/small/chat/completions',
        key => 'debt', mock => 'status=400',
        body => { model => 'probe', max_tokens => 1 }) };
    my $refused = $probe->();

    is($refused->{status}, 429, 'is debt');
    is($refused->{headers}{'x-ratelimit-remaining-tokens'}, 0, 'none left');
    is($refused->{headers}{'x-ratelimit-reset-tokens'}, '2m0s',
        'of one bucket at most');

    $clock->advance(60);
    is($probe->()->{status}, 429, 'paid');
    $clock->advance((HELLO + 1) / 10);
    is($probe->()->{status}, 400, 'there is room again');
    $clock->advance(3600);
};


subtest 'more than the bucket' => sub {
    my $r = got('/small/chat/completions', key => 'huge', mock => 'tokens=3',
        body => { max_tokens => 100_000 });
    is($r->{status}, 200, 'a full bucket has room for any');
    is(told($r), '600 0 1m0s', 'and holds no more');
};


subtest 'keys and zones' => sub {
    my $r = got('/small/chat/completions', mock => 'tokens=3',
        body => { max_tokens => 600 });
    is($r->{status}, 200, 'no key: no limit');
    is(told($r), '- - -', 'no key: no headers');
    like($r->{log}, qr/^200 - complete/, 'no key: no status');
    $r = got('/long/chat/completions', key => 'k' x 7000, mock => 'tokens=3');
    is($r->{status}, 200, 'a key that is too long: no limit');
    is(told($r), '- - -', 'a key that is too long: no headers');
    like($t->error_log, qr/key is more than 65535 bytes, client/, 'but a line');
    $r = got('/off/chat/completions', key => 'k', mock => 'tokens=3');
    is(told($r), '- - -', 'off');
    like($r->{log}, qr/ usage$/, 'off: the usage of the provider');
    $r = got('/off/chat/completions', mock => 'tokens=3 usage=off');
    like($r->{log}, qr/ - - -$/, 'off: no estimate');

    # both must have room; a refused one gives back what it had taken
    my %both = (key => 'both', headers => { 'X-Other' => 'o' });
    my $s = $l->ask('/both/chat/completions', key => 'else',
        headers => { 'X-Other' => 'o' }, mock => 'lockstep=both',
        body => { max_tokens => 2 });
    is($s->status, 200, 'both have room');
    is($s->header('x-ratelimit-limit-tokens'), 10,
        'the one with the least is told');
    $r = got('/both/chat/completions', %both);
    is($r->{status}, 429, 'the second zone has none');
    is(told($r), '10 0 1s', 'and is told') or diag told($r);
    is($l->left('/small/chat/completions', 'both'), 600,
        'the first one has its tokens back');
    $s->close;
    $clock->advance(10);

    ok(wait_for(sub { $l->get('/both/chat/completions', %both,
        mock => 'status=400')->{status} == 400 }), 'given back');
};


subtest 'headers of the provider' => sub {
    my $r = got('/big/chat/completions', key => 'hdr', mock => 'tokens=2'
        . ' extra_header=x-ratelimit-remaining-tokens:7'
        . ' extra_header=X-RateLimit-Limit-Tokens:8'
        . ' extra_header=x-ratelimit-reset-tokens:9s'
        . ' extra_header=x-ratelimit-remaining-requests:3');
    is($r->{headers}{'x-ratelimit-limit-tokens'}, BIG, 'ours');
    is($r->{headers}{'x-ratelimit-remaining-requests'}, '9999, 3',
        'theirs');
    unlike(told($r), qr/,/, 'no doubles');

    $r = got('/off/chat/completions', key => 'hdr', mock => 'tokens=2'
        . ' extra_header=x-ratelimit-remaining-tokens:7');
    is($r->{headers}{'x-ratelimit-remaining-tokens'}, 7, 'theirs when off');
};


subtest 'another location, another provider' => sub {
    my $r = got('/fallback/chat/completions', key => 'fb',
        mock => 'status=503', headers => { 'X-Second' => 'tokens=4' },
        body => { max_tokens => 20, model => 'fb' });

    is($r->{status}, 200, 'the second location');
    is($r->{headers}{'x-ratelimit-limit-tokens'}, 600, 'its own limit');
    is($l->settled('/big/chat/completions', 'fb', BIG), BIG,
        'the first one is released');
    cmp_ok($l->left('/small/chat/completions', 'fb'), '<', 600,
        'the second one is settled');

    $r = got('/refit/chat/completions', key => 'refit', mock => 'status=503',
        headers => { 'X-Second' => 'tokens=4' }, body => { max_tokens => 600 });
    is($r->{status}, 200, 'released before the second one reserves');

    my $s = $l->ask('/small/chat/completions', key => 'lim',
        mock => 'lockstep=lim', body => { max_tokens => 600 });
    is($s->status, 200, 'a bucket is taken');
    $r = got('/limited/chat/completions', key => 'lim', mock => 'tokens=2');
    is($r->{status}, 200, 'error_page 429 leads to a location without');
    is(told($r), '- - -', 'with nothing of the first');
    is($r->{headers}{'retry-after'}, undef, 'nor its Retry-After');
    $s->close;

    $u->each_request([ send => join '', LLMTest::Upstream::stream(
        map { "data: $_\n\n" }
            '{"id":"1","choices":[{"index":0,"delta":{"content":"abcd"}}]}',
            '{"id":"1","choices":[{"index":0,"delta":{},'
                . '"finish_reason":"stop"}]}',
            '{"id":"1","choices":[],"usage":{"prompt_tokens":40,'
                . '"completion_tokens":2,"total_tokens":42}}',
            '[DONE]') ], ['close']);
    $r = got('/next/chat/completions', key => 'next', mock => 'status=500');
    is($r->{status}, 200, 'the next upstream');
    is($l->settled('/big/chat/completions', 'next', BIG - 42), BIG - 42,
        'is settled once, by what answered');
};


# What a model's answers teach: twice as much as the estimate, in and out.

subtest 'learning' => sub {
    my $letters = '{"id":"1","choices":[{"index":0,"delta":{"content":"'
        . 'abcdefghij' x 10 . '"}}]}';
    my $finish = '{"id":"1","choices":[{"index":0,"delta":{},'
        . '"finish_reason":"stop"}]}';
    my $ask = sub {
        my ($key, $model, @more) = @_;

        $u->each_request([ send => LLMTest::Upstream::stream(
            map { "data: $_\n\n" } $letters, $finish, @more, '[DONE]') ],
            ['close']);
        return got('/up/chat/completions', key => $key,
            body => { model => $model });
    };
    my $usage = sub {
        return sprintf '{"id":"1","choices":[],"usage":{"prompt_tokens":%d,'
            . '"completion_tokens":%d,"total_tokens":%d}}', @_, $_[0] + $_[1];
    };
    my $reserved = sub {
        my ($r) = @_;

        return BIG - $r->{headers}{'x-ratelimit-remaining-tokens'};
    };

    # a request is 8.2, the answer 24 by the estimate
    is($reserved->($ask->('l1', 'learn', $usage->(16, 48))), HELLO + 512,
        'a new model');
    is($reserved->($ask->('l2', 'learn')), 16 + 48, 'what it was last time');
    is($l->settled('/big/chat/completions', 'l2', BIG - 64), BIG - 64,
        'no usage: the estimate, corrected');

    $ask->('l3', 'learn', $usage->(16, 144));
    is($reserved->($ask->('l4', 'learn')), 16 + (48 + 144) / 2, 'the mean');

    # beyond all measure
    $ask->('l5', 'mad', $usage->(999_999_999_999, 1));
    my $r;
    ok(wait_for(sub { $r = $l->get('/big/chat/completions', key => 'l5');
        return $r->{status} == 429 }), 'is debt');
    is($r->{headers}{'x-ratelimit-reset-tokens'}, '555h33m20s',
        'of one bucket');
    $ask->('l6', 'mad');
    is($l->settled('/big/chat/completions', 'l6', BIG - 69), BIG - 69,
        'but it teaches no more than 8 times, or 1/8');

    $ask->('l7', "other-$_", $usage->(10, 20)) for 1 .. 64;
    is($reserved->($ask->('l8', 'learn')), HELLO + 512,
        '64 others later it is forgotten');
    is($reserved->($ask->('l9', 'other-64')), 10 + 20, 'they are not');
};


subtest 'a subrequest' => sub {
    my $r = got('/mirrored/chat/completions', key => 'mirror',
        mock => 'tokens=30', body => { max_tokens => 100 });

    is($r->{status}, 200, 'an answer');
    is($r->{headers}{'x-ratelimit-limit-tokens'}, 600, 'its own limit');

    my ($used) = map { $_->[0] + $_->[1] }
        [ $r->{log} =~ /complete - (\d+) (\d+) usage/ ];
    is($l->settled('/small/chat/completions', 'mirror', 600 - $used),
        600 - $used, 'settled');

    # nginx reads no more of it than comes with the header
    my $left;
    ok(wait_for(sub {
        $left = $l->left('/big/chat/completions', 'mirror');
        return $left >= BIG - $used && $left <= BIG - HELLO;
    }), 'and so is the mirrored one, by its own') or diag($left);
};


# A bucket of which something was taken is idle, but not worth nothing: as few
# of them as possible make room.  What it was is seen by what is left.

subtest 'streams in a full zone' => sub {
    my $path = '/full/chat/completions';
    my $room = 500;
    my $streams = 100;
    my $known = sub {
        my $r = $l->get($path, key => "idle$_[0]", mock => 'status=400',
            body => { model => 'probe', max_tokens => 1 });

        return $r->{status} == 400
            && $r->{headers}{'x-ratelimit-remaining-tokens'}
                < BIG - HELLO - 1;
    };

    $l->get($path, key => "idle$_", mock => 'tokens=1') for 1 .. $room;

    # each one that is asked for is the latest: the first that is not known
    # comes after all that are
    my $oldest = $room;
    $oldest-- while $oldest > 1 && $known->($oldest - 1);
    cmp_ok($oldest, '>', 1, 'the zone is full');

    my @held = map { $l->ask($path, key => 'held', mock => "lockstep=full$_",
        body => { max_tokens => 1 }) } 1 .. $streams;

    is(scalar(grep { $_->status == 200 } @held), $streams,
        'idle keys make room for each');
    $_->close for @held;
    ok($mock->wait(id => "full$streams", end => 1), 'they leave');

    # from the latest on
    my $lost = $oldest;
    $lost++ while $lost <= $room && $known->($lost);
    cmp_ok($room - $lost + 1, '<=', $streams + 5,
        'no more keys than streams are forgotten, but for a few');
};


subtest 'a client that is refused, in a full zone' => sub {
    my $path = '/tiny/chat/completions';
    my $ask = sub { return $l->get($path, key => 'debtor',
        mock => 'tokens=2000', body => { max_tokens => 600 }) };
    my %status;

    is($ask->()->{status}, 200, 'it used more than there was');

    for my $n (1 .. 400) {
        $l->get($path, key => "other$n", mock => 'tokens=1');
        $status{ $ask->()->{status} }++ if $n % 20 == 0;
    }

    is_deeply(\%status, { 429 => 20 }, 'who asks is not forgotten');
};


subtest 'other shapes' => sub {
    for my $case (
        [ 'one JSON answer', '/big/chat/completions', {},
            { stream => JSON::PP::false } ],
        [ 'over HTTP/2', '/big/chat/completions', { proto => 'h2',
            port => 1 }, {} ],
        [ 'between dialects', '/translate/chat/completions', {}, {} ],
        [ 'gathered', '/translate/chat/completions', {},
            { stream => JSON::PP::false } ],
    ) {
        my ($what, $path, $how, $body) = @$case;
        my $r = got($path, key => $what, mock => 'tokens=25', %$how,
            body => { max_tokens => 100, %$body });
        my ($in, $out) = $r->{log} =~ /complete - (\d+) (\d+) usage$/;

        is($r->{status}, 200, $what);
        is($out, 25, "$what: tokens") or diag $r->{log};
        is($l->settled('/big/chat/completions', $what, BIG - $in - 25),
            BIG - $in - 25, "$what: settled");
    }
};


$t->finish;
