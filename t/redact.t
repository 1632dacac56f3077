#!/usr/bin/perl

# llm_stream_redact over a real nginx: every client dialect masks and blocks,
# in the same dialect and between dialects, as a stream and as one answer;
# across events, over HTTP/2, in tool arguments; a list of words and its
# reload; what the log and the variables say, and that no byte of what
# matched is ever in them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta finish events reply answer answer_reply json);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $CARD = '4111 1111 1111 1111';

$t->canary($CARD, '1111 1111', 'ann@mail.example', 'dragonfly', 'forbidden');
$t->write_file('words', "# ours\nDragonfly\nfoo bar\n");

my @CLIENTS = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise simple typed text);

my %BODY = (
    (map { $_ => '"messages":[{"role":"user","content":"hi"}],'
        . '"max_tokens":5' } qw(openai anthropic ollama simple typed text)),
    'openai-completions' => '"prompt":"hi"',
    'openai-responses' => '"input":"hi"',
    'gemini' => '"contents":[{"role":"user","parts":[{"text":"hi"}]}]',
    'ollama-generate' => '"prompt":"hi"', 'flowise' => '"question":"hi"',
);

my $RULES = <<'EOT';
    llm_stream_redact name=card "regex=\b(?:\d[ -]?){15}\d\b"
                      in=content,reasoning,tool_args;
    llm_stream_redact name=mail "regex=[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
                      with=<mail> max=64;
    llm_stream_redact name=words words=%%DIR%%/words with=#;
    llm_stream_redact name=stop regex=forbidden action=block
                      "with=Not \"said\" here." in=content,tool_args;
EOT

my $locations = join '', map { <<"EOT" } @CLIENTS;
        location "/$_/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
            llm_stream_model m;
        }
EOT

my $SOURCE = <<"EOT";
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format end '\$llm_stream_end \$llm_stream_redacted \$llm_stream_held'
                   ' \$llm_stream_tokens_source \$llm_stream_error';
    access_log %%DIR%%/end.log end;
$RULES
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
$locations
        location /off/ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_redact off;
        }
        location /log/ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_redact name=count regex=dragonfly action=log;
        }
        location /anthropic-in/ {
            llm_stream anthropic http://%%UPSTREAM%%;
            llm_stream_client anthropic;
        }
        location /slow/ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_redact name=slow
                "regex=(?:a{1,9}){1,9}(?:a{1,9}){1,9}(?:a|aa){1,20}!" max=300;
        }
    }
}
EOT

$t->config($SOURCE)->start;


# ask($client, $bytes of the provider, stream => 0): the client's answer

sub ask {
    my ($client, $bytes, %o) = @_;
    my $stream = $o{stream} // 1;
    my $flag = $client =~ /gemini|flowise/ && !$stream ? ''
        : $stream ? '"stream":true,"streaming":true,' : '"stream":false,';
    my $path = '/' . ($o{at} // $client) . '/';

    $flag = '' if $client eq 'gemini';
    $flag =~ s/"streaming":true,// if $client ne 'flowise';
    $flag =~ s/"stream":true,// if $client eq 'flowise';

    $path .= 'v1beta/models/m:' . ($stream
        ? 'streamGenerateContent?alt=sse' : 'generateContent')
        if $client eq 'gemini';

    $u->script(['request'], [ send => $bytes ], ['close']);

    return $t->post($path, "{$flag$BODY{$client}}",
        headers => { 'Content-Type' => 'application/json' }, %o);
}


# a stream with these chunks, whole, and each in a piece of its own

sub stream {
    my (@chunks) = @_;

    return LLMTest::Upstream::stream(
        map { "data: $_\n\n" } @chunks, finish(), '[DONE]');
}


my @PIECES = ('Card 4111', ' 1111 ', '1111', ' 11', '11, mail ann', '@mail.ex',
    'ample, a DRAGON', 'fly and ', 'foo bar. \u0434\u0430');

for my $client (@CLIENTS) {
    for my $stream (1, 0) {
        my $name = "$client, " . ($stream ? 'stream' : 'answer');
        my $r = ask($client, reply(@PIECES), stream => $stream);

        is($r->{status}, 200, "$name: status");
        ok($r->{complete}, "$name: complete");
        unlike($r->{body}, qr/4111 |11 11|\bann\b|example|ragon|foo/i,
            "$name: nothing of it");

        my $text = join '', map { ref $_ ? '' : $_ } said($client, $r->{body},
            $stream);

        is($text, "Card ***, mail <mail>, a # and #. \xd0\xb4\xd0\xb0",
            "$name: the text");

        $r = ask($client, reply('Well, ', 'for', 'bid', 'den ', 'things'),
            stream => $stream);

        is($r->{status}, 200, "$name: blocked: status");
        ok($r->{complete}, "$name: blocked: complete");
        unlike($r->{body}, qr/forb|things/, "$name: blocked: nothing of it");
        like($r->{body}, qr/Not \\?"said\\?" here\./,
            "$name: blocked: the words");
        like($r->{body}, qr/content_filter|"refusal"|SAFETY|filter/,
            "$name: blocked: the finish")
            if $client !~ /^(?:flowise|simple|text|ollama)/;
    }
}


# the texts that a client reads

sub said {
    my ($client, $body, $stream) = @_;
    my @texts;

    return $body if $client eq 'text';

    my @docs = !$stream || $client =~ /^ollama/ ? map { json($_) }
        $stream ? split /\n/, $body : $body
        : map { json($_) } $body =~ /^data: ?(\{.*)$/mg;

    for my $d (grep { defined } @docs) {
        push @texts, grep { defined && !ref } (
            $client eq 'openai'
                ? map { ($_->{delta} // $_->{message} // {})->{content} }
                    @{ $d->{choices} || [] }
            : $client eq 'openai-completions'
                ? map { $_->{text} } @{ $d->{choices} || [] }
            : $client eq 'openai-responses'
                ? ($stream
                    ? ($d->{type} =~ /output_text\.delta/ ? $d->{delta} : ())
                    : map { map { $_->{text} } @{ $_->{content} || [] } }
                        @{ $d->{output} })
            : $client eq 'anthropic'
                ? ($stream ? ($d->{delta} || {})->{text}
                    : map { $_->{text} } @{ $d->{content} })
            : $client eq 'gemini'
                ? map { map { $_->{text} }
                    @{ ($_->{content} || {})->{parts} || [] } }
                    @{ $d->{candidates} || [] }
            : $client eq 'ollama' ? ($d->{message} || {})->{content}
            : $client eq 'ollama-generate' ? $d->{response}
            : $client eq 'flowise'
                ? ($stream ? (($d->{event} // '') eq 'token' ? $d->{data} : ())
                    : $d->{text})
            : $client eq 'simple'
                ? ($stream ? $d->{token} // $d->{text} // $d->{content}
                    : $d->{text} // $d->{content})
            : $stream ? ($d->{type} eq 'token' ? $d->{data}{token} : ())
                : $d->{data}{full_text});
    }

    utf8::encode($_) for @texts;

    return @texts;
}


# the whole of the rules' work is in the log and the variables, and no byte of
# what matched

sub ends {
    return split /\n/, $t->read_file('end.log');
}

{
    my $n = 4 * @CLIENTS;

    $t->wait_for(sub { my @found = ends(); return @found == $n });
    ask('openai', reply(@PIECES));
    ask('openai', reply('for', 'bidden'));
    ask('openai', reply('hello', ' you'), at => 'off');

    my @end = @{ $t->wait_for(sub {
        my @found = ends();
        return @found >= $n + 3 ? [ splice @found, $n ] : undef;
    }) };

    like($end[0], qr/^complete 4 [1-9]\d* estimate -$/, 'variables: masked');
    like($end[1], qr/^blocked 1 \d+ estimate -$/, 'variables: blocked');
    like($end[2], qr/^complete - 0 - -$/, 'variables: off');
    like($t->error_log, qr/\[notice\] .*redacted: card 1, mail 1, words 2 /,
        'the log: names and numbers');
    like($t->error_log, qr/llm_stream redacted: stop 1 /, 'the log: blocked');
}


# one dialect on both sides: nothing is held that can be no match any more,
# and without a rule, or with rules that only count, the bytes are those that
# came

{
    my $bytes = join '', events('A ', 'dragonfly', ' \u0434 x');

    is(ask('openai', LLMTest::Upstream::stream($bytes), at => 'off')->{body},
        $bytes, 'off: the bytes');
    is(ask('openai', LLMTest::Upstream::stream($bytes), at => 'log')->{body},
        $bytes, 'log: the bytes');
    ok($t->wait_for(sub {
        $t->error_log =~ /llm_stream redacted: count 1 /
    }), 'log: counted');

    my $r = ask('openai', answer_reply('a dragonfly'), at => 'log',
        stream => 0);

    like($r->{body}, qr/a dragonfly/, 'log: an answer');

    $r = ask('openai', answer_reply("no $CARD here"), stream => 0);
    is(json($r->{body})->{choices}[0]{message}{content}, 'no *** here',
        'one JSON answer on both sides');
}


# a provider of the client's own dialect that is not openai

{
    my @events = map { "event: $_->{type}\ndata: "
        . JSON::PP->new->utf8->encode($_) . "\n\n" } (
        { type => 'message_start', message => { id => 'm', type => 'message',
            role => 'assistant', content => [], model => 'c', usage => {
                input_tokens => 1, output_tokens => 1 } } },
        { type => 'content_block_start', index => 0, content_block => {
            type => 'text', text => '' } },
        (map { { type => 'content_block_delta', index => 0, delta => {
            type => 'text_delta', text => $_ } } } 'See ', 'ann@mail', '.exam',
            'ple now'),
        { type => 'content_block_stop', index => 0 },
        { type => 'content_block_start', index => 1, content_block => {
            type => 'tool_use', id => 't1', name => 'pay', input => {} } },
        (map { { type => 'content_block_delta', index => 1, delta => {
            type => 'input_json_delta', partial_json => $_ } } }
            '{"n":411111111', '1111111,"card', '":"4111 1111 ', '1111 1111"}'),
        { type => 'content_block_stop', index => 1 },
        { type => 'message_delta', delta => { stop_reason => 'tool_use' },
            usage => { output_tokens => 9 } },
        { type => 'message_stop' },
    );

    my $r = ask('anthropic', LLMTest::Upstream::stream(@events),
        at => 'anthropic-in');
    my @docs = map { json($_) } $r->{body} =~ /^data: (.*)$/mg;

    is(join('', said('anthropic', $r->{body}, 1)), 'See <mail> now',
        'anthropic on both sides: the text');
    is_deeply(json(join '', map { ($_->{delta} || {})->{partial_json} // '' }
        @docs), { n => '***', card => '***' },
        'anthropic on both sides: the arguments');
    is($docs[-1]{type}, 'message_stop', 'anthropic on both sides: the end');
}


# HTTP/2, and in lock-step: what can be no match any more is shown at once

{
    my $peer = $u->peer($u->connections + 1);
    my $s = $t->open(proto => 'h2', port => 1, method => 'POST',
        path => '/openai/', body => { stream => JSON::PP::true,
            messages => [ { role => 'user', content => 'hi' } ] });

    $peer->request;
    $peer->sse_head;
    $peer->event(delta('It is '));
    like($s->read_until(qr/"content":"It [^\n]*\n\n/) // '', qr/It /,
        'h2: text that cannot match goes out');
    $peer->event(delta($_)) for '4111 1111', ' 1111 1', '111', ' now ';
    like($s->read_until(qr/\*\*\*.*\n\n/) // '', qr/"\*\*\*/, 'h2: masked');
    $peer->event(delta('4111'));
    $peer->event(finish());
    $peer->event('[DONE]');
    $peer->last_chunk;
    $s->wait_end;

    is($s->ended, 'complete', 'h2: complete');
    is(join('', said('openai', $s->body, 1)), 'It is *** now 4111',
        'h2: the text');
    $peer->close;
}


# a blocked stream: the provider is left at once

{
    my $peer = $u->peer($u->connections + 1);
    my $s = $t->open(method => 'POST', path => '/openai/', body => {
        stream => JSON::PP::true,
        messages => [ { role => 'user', content => 'hi' } ] });

    $peer->request;
    $peer->sse_head;
    $peer->event(delta($_)) for 'Well ', 'forbidden', ' thing';
    $s->wait_end;

    is($s->ended, 'complete', 'blocked: complete');
    like($s->body, qr/"content_filter".*\[DONE\]/s, 'blocked: the end');
    ok($peer->wait_close, 'blocked: the provider is left');
    $peer->close;
}


# a search that would take too long: an error, and nothing unsearched

{
    my $r = ask('openai', reply('b ', 'a' x 120, ' c'), at => 'slow');

    like($r->{body}, qr/"content":"b "/, 'too long: what was before');
    unlike($r->{body}, qr/aaa/, 'too long: nothing unsearched');
    unlike($r->{body}, qr/\[DONE\]/, 'too long: an error');
    ok($t->wait_for(sub {
        $t->error_log =~ /\[error\] .*redact: rule "slow" took too long/
    }), 'too long: the log names the rule');
}


# Perl's own s///g, for patterns that both read alike, at random cuts

{
    my $match = JSON::PP->new->utf8->allow_nonref;
    my $text = 'call ann@mail.example, 4111111111111111 or x.y+z@a-b.cc; '
        . "\x{43f}\x{43e}\x{447}\x{442}\x{430}\@\x{44f}.\x{440}\x{444} "
        . "\x{1f468}\x{200d}\x{1f4bb} e\x{301} 4111-1111-1111-1111 \@ a\@b.c";
    my $want = $text =~ s/\b(?:\d[ -]?){15}\d\b/***/gr
        =~ s/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/<mail>/gr;

    utf8::encode($want);

    for my $round (1 .. 20) {
        my @pieces;
        my $rest = $text;

        push @pieces, substr $rest, 0, 1 + int rand 1 + $round, ''
            while length $rest;

        my $r = ask('openai', reply(map {
            $match->encode($_) =~ s/\A"|"\z//gr } @pieces));

        is(join('', said('openai', $r->{body}, 1)), $want,
            "as Perl says, $round");
    }
}


# a reload reads the list anew; one that is broken leaves the old rules

{
    is(join('', said('openai', ask('openai', reply('a moth'))->{body}, 1)),
        'a moth', 'before the reload');

    $t->write_file('words', "moth\n");
    $t->reload;

    is(join('', said('openai', ask('openai', reply('a MOTH', ' dragonf',
        'ly'))->{body}, 1)), 'a # dragonfly', 'after the reload');
}

$t->finish;
