#!/usr/bin/perl

# Stop strings: every client's answer ends as its provider would end it, and
# the provider, which would go on, sees its connection closed at once.  The
# provider is scripted: it says nothing more after the string and waits, so
# that nothing but the string can have ended the answer.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use MockReader;
use Test::More;

use LLMTest;
use LLMTest::Ending qw(wire answer_json);
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_usage sse DONE);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $spare = $t->upstream;
my $mock = $t->mock;
my $json = JSON::PP->new->utf8;
my $n = 0;

my $chat = '"model":"m","messages":[{"role":"user","content":"hi"}]';
my $contents = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]';
my $model = '/v1beta/models/m:';

# Of each client: the body (S is the stream member), the path, and how the
# bytes of a stream and of an answer end.
my %client = (
    'openai' => { body => "{$chat,S}",
        end => qr/"delta":\{\},[^\n]*"finish_reason":"stop"\}\]\}\n\n
            data:\ \[DONE\]\n\n\z/x,
        answer => qr/"finish_reason":"stop"/ },
    'openai-completions' => { body => '{"model":"m","prompt":"hi",S}',
        end => qr/"finish_reason":"stop"[^\n]*\n\ndata: \[DONE\]\n\n\z/,
        answer => qr/"finish_reason":"stop"/ },
    'openai-responses' => { body => '{"model":"m","input":"hi",S}',
        end => qr/event:\ response\.completed\ndata:[^\n]*
            "status":"completed"[^\n]*\n\n\z/x,
        answer => qr/"status":"completed"/ },
    'anthropic' => { body => "{$chat,S,\"max_tokens\":99}",
        end => qr/"stop_reason":"stop_sequence","stop_sequence":"<⏹>"\},
            "usage":[^\n]*\n\nevent:\ message_stop\ndata:[^\n]*\n\n\z/x,
        answer => qr/"stop_reason":"stop_sequence",
            "stop_sequence":"<⏹>"/x },
    'gemini' => { body => "{$contents}",
        path => "${model}streamGenerateContent?alt=sse",
        one => "${model}generateContent",
        end => qr/"finishReason":"STOP"[^\n]*\n\n\z/,
        answer => qr/"finishReason":"STOP"/ },
    'gemini-array' => { body => "{$contents}",
        path => "${model}streamGenerateContent",
        end => qr/"finishReason":"STOP"[^\n]*\]\z/ },
    'ollama' => { body => "{$chat,S}",
        end => qr/"done":true,"done_reason":"stop"[^\n]*\n\z/,
        answer => qr/"done":true,"done_reason":"stop"/ },
    'ollama-generate' => { body => '{"model":"m","prompt":"hi",S}',
        end => qr/"done":true,"done_reason":"stop"[^\n]*\n\z/,
        answer => qr/"done":true,"done_reason":"stop"/ },
    'flowise' => { body => '{"question":"hi",T}',
        path => '/api/v1/prediction/m',
        end => qr/"event":"end"[^\n]*\n\n\z/, answer => qr/"text":"One two <"/ },
    'simple' => { body => "{$chat,S}", end => qr/data: \{"done":true\}\n\n\z/,
        answer => qr/One two </ },
    'typed' => { body => "{$chat,S}",
        end => qr/"full_text":"One two <","finish_reason":"stop"[^\n]*\n\n\z/,
        answer => qr/"finish_reason":"stop"/ },
    'text' => { body => "{$chat,S}", end => qr/\AOne two <\z/,
        answer => qr/\AOne two <\n?\z/ },
);


my $locations = '';

for my $name (sort keys %client) {
    my $dialect = $name =~ s/-array//r;

    $locations .= <<"EOT";
        location "/$name/" {
            llm_stream openai http://provider;
            llm_stream_client $dialect;
        }
EOT
}

my @upstreams = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise cohere);

for my $upstream (@upstreams) {
    for my $name (sort keys %client) {
        my $dialect = $name =~ s/-array//r;

        $locations .= <<"EOT";
        location "/mock/$upstream/$name/" {
            llm_stream $upstream http://mock;
            llm_stream_client $dialect;
            llm_stream_set_header X-Mock "text=echo";
        }
EOT
    }
}

my $conf = <<"EOT";
%%GLOBALS%%
worker_processes 1;
events { worker_connections 512; }
http {
    %%HTTP%%
    log_format stop '\$arg_n \$status \$llm_stream_end \$llm_stream_finish '
        '\$llm_stream_tokens_source \$llm_stream_held "\$llm_stream_error"';
    access_log %%DIR%%/stop.log stop;
    llm_stream_heartbeat off;
    llm_stream_stop "<⏹>" "\\n\\nUser:" "😀!";
    upstream mock { server %%MOCK%%; keepalive 4; }
    upstream provider { server %%UPSTREAM%%; keepalive 4; }
    upstream two {
        server %%UPSTREAM%%;
        server %%UPSTREAM_2%% backup;
        keepalive 4;
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
$locations
        location /fallback/ {
            llm_stream openai http://two;
            llm_stream_next_upstream error timeout invalid stream_error
                http_500 http_502;
            error_page 500 502 504 = \@spare;
        }
        location /content/ {
            llm_stream openai http://two;
            llm_stream_gate content;
            error_page 500 502 504 = \@spare;
        }
        location /off/ {
            llm_stream openai http://provider;
            llm_stream_stop off;
        }
        location /other/ {
            llm_stream openai http://provider;
            llm_stream_stop other "longer" "longer still";
        }
        location \@spare { llm_stream openai http://%%UPSTREAM_2%%; }
    }
}
EOT

utf8::encode($conf);
$t->config($conf)->start;


# asks as a client; the provider does these operations.  The stream, and the
# provider's side of it.

sub ask {
    my ($name, $ops, %o) = @_;
    my $c = $client{ $name =~ s{.*/}{}r } || $client{openai};
    my $answer = delete $o{answer};
    my $truth = $answer ? 'false' : 'true';
    my $body = $c->{body} =~ s/S(?=[,}])/"stream":$truth/r;
    my $path = $answer && $c->{one} || $c->{path} || '/';
    my $number = $u->connections + 1;

    $body =~ s/T(?=[,}])/"streaming":$truth/;
    $path .= $path =~ /\?/ ? "&n=" . ++$n : "?n=" . ++$n;

    if (defined(my $hi = delete $o{hi})) {
        utf8::encode($hi);
        $body =~ s/"hi"/"$hi"/;
    }

    $u->script(['request'], @$ops) if $ops;

    my $mark = $t->log_mark('stop.log');
    my $s = $t->open(method => 'POST', path => "/$name$path", body => $body,
        headers => { 'Content-Type' => 'application/json' }, %o);

    @$s{qw(n log_mark)} = ($n, $mark);

    return ($s, $u->peer($number));
}


sub logged {
    my ($s) = @_;

    return $t->wait_log(qr/^$s->{n} /, file => 'stop.log',
        from => $s->{log_mark}) =~ s/\A\d+ //r =~ s/\n//r;
}


# what the provider sends, and goes on waiting

sub events {
    return [ send => LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk(sse(@_)) ];
}


# what a client of openai was told: its text, and the finish reason

sub said {
    my ($bytes) = @_;
    my $r = read_stream('openai', $bytes);

    return [ $r->{text}, $r->{finish}, $r->{done} ];
}


# ok_cut($name, $s, $peer): it ended well, and the provider was left

sub ok_cut {
    my ($what, $s, $peer) = @_;

    ok_end($what, $s);
    ok($peer->wait_close, "$what: the provider's connection is closed");

    return;
}


sub ok_end {
    my ($what, $s, $source) = @_;

    $source //= 'estimate';

    $s->wait_end(30);
    is($s->status, 200, "$what: status");
    is($s->ended, 'complete', "$what: ended well");
    like(logged($s), qr/\A200 complete stop $source \d+ "-"\z/,
        "$what: logged");

    return;
}


# Every client dialect, by HTTP/1.1, by HTTP/2, and with one answer.

my @said = (chat_role, map { chat_text($_) } 'One ', 'two <', '<⏹> three');

for my $name (sort keys %client) {
    my $c = $client{$name};

    for my $how (qw(h1 h2 answer)) {
        next if $how eq 'answer' && !$c->{answer};

        my @o = $how eq 'h2' ? (proto => 'h2', port => 1)
            : $how eq 'answer' ? (answer => 1) : ();
        my ($s, $peer) = ask($name, [ events(@said) ], @o);

        ok_cut("$name, $how", $s, $peer);

        my $bytes = $s->body;

        utf8::decode(my $whole = $bytes);
        unlike($whole, qr/three/, "$name, $how: nothing behind it");
        unlike($whole, qr/⏹/, "$name, $how: nothing of it")
            if $name ne 'anthropic';

        if ($how eq 'answer') {
            like($whole, $c->{answer}, "$name: one answer");
            next;
        }

        like($whole, $c->{end}, "$name, $how: its end");

        if ($name !~ /^(?:simple|typed|text)$/) {
            is(read_stream($name, $bytes)->{text}, 'One two <',
                "$name, $how: its text");
        }
    }
}


# Every provider's dialect to every client's.

for my $upstream (@upstreams) {
    my @bad;

    for my $name (sort keys %client) {
        my ($s) = ask("mock/$upstream/$name", undef,
            hi => 'over the river 😀! and far away');

        $s->wait_end;
        utf8::decode(my $whole = $s->body);

        my $log = logged($s);
        my $text = $name eq 'text' ? $whole
            : $name =~ /^(?:simple|typed)$/
            ? join '', $whole =~ /"(?:content|token)":"([^"]*)"/g
            : eval { read_stream($name, $s->body)->{text} } // "unread: $@";

        push @bad, "$name: $text" if $text !~ /over the river \z/;
        push @bad, "$name: $log"
            if $log !~ /\A200 complete stop estimate \d+ "-"\z/;
        push @bad, "$name: $whole" if $whole =~ /far away/;
    }

    LLMTest::Ending->all_good("$upstream to every client", @bad);
}


# The same string, whatever the events: across them, in escapes, in pairs of
# surrogates, in the last event before the end, with the finish reason.

my %way = (
    'across events' => [ map { chat_text($_) } 'ab', "\n", "\nUs", 'er', ':' ],
    'halves of a pair' => [ map { chat_text('X') =~ s/"X"/"$_"/r }
        'ab\\ud83d', '\\uDE00\\u0021' ],
    'in escapes' => [ map { chat_text('X') =~ s/"X"/"$_"/r }
        'ab\\n', '\\u000a\\u0055ser', ':' ],
    'before the end' => [ chat_text("ab\n\nUser:"), chat_finish(),
        chat_usage(3, 4), DONE ],
    'all of it in one event' => [ chat_text("ab\n\nUser: more \n\nUser:") ],
    'with the finish reason' => [ chat_text("ab\n\nUser:")
        =~ s/"finish_reason":null/"finish_reason":"length"/r ],
);

for my $what (sort keys %way) {
    my ($s, $peer) = ask('openai', [ events(chat_role, @{ $way{$what} }) ]);

    ok_cut($what, $s, $peer);
    is_deeply(said($s->body), [ 'ab', 'stop', 1 ], "$what: the text");
}

# bytes by the few, each read by itself

{
    my $bytes = sse(chat_role, @{ $way{'across events'} });
    my ($s, $peer) = ask('openai', [
        [ send => LLMTest::Upstream::sse_head() ],
        [ cut => map { LLMTest::Upstream::chunk($_) }
            $bytes =~ /(.{1,7})/gs ] ]);

    ok_cut('in small reads', $s, $peer);
    is_deeply(said($s->body), [ 'ab', 'stop', 1 ], 'in small reads: text');
}

# a provider's JSON document, as a stream and as one answer

for my $answer (0, 1) {
    my ($s, $peer) = ask('openai', [ [ send => LLMTest::Upstream::answer(200,
        answer_json('ab\\n\\nUser: more'),
        'Content-Type' => 'application/json') ] ], answer => $answer);

    # it is whole, so that nobody need be left, and has its usage with it
    ok_end("a document, $answer", $s, 'usage');
    $peer->close;

    if ($answer) {
        my $choice = $json->decode($s->body)->{choices}[0];

        is($choice->{message}{content}, 'ab', 'a document: text');
        is($choice->{finish_reason}, 'stop', 'a document: finish reason');

    } else {
        is_deeply(said($s->body), [ 'ab', 'stop', 1 ], 'a stream of one');
    }
}


# In the very first event: the gate opens for it, nobody else is asked.

for my $group (qw(fallback content)) {
    my ($s, $peer) = ask($group, [ events(chat_text('<⏹> three')) ]);

    ok_cut("first event, $group", $s, $peer);
    is_deeply(said($s->body), [ '', 'stop', 1 ], "first event, $group");
    is($spare->connections, 0, "first event, $group: no fallback");
}


# What was held comes out when there was no string: at the end, before an
# error, and a connection that ended well is used again.

{
    my @all = (chat_role, chat_text("ab\n\nUse"), chat_finish('length'),
        chat_usage(3, 4), DONE);
    my ($s, $peer) = ask('openai', [ [ send => LLMTest::Upstream::stream(
        sse(@all)) ] ]);

    $s->wait_end;
    is_deeply(said($s->body), [ "ab\n\nUse", 'length', 1 ], 'held text');
    is(logged($s), '200 complete length usage 5 "-"', 'held text: logged');

    my $before = $u->connections;

    $peer->order(['request'], [ send => LLMTest::Upstream::stream(
        sse(@all)) ]);

    my ($again) = ask('openai', undef);

    $again->wait_end;
    is($again->ended, 'complete', 'on the same connection');
    is($u->connections, $before, 'which was kept');
    $peer->close;
}

{
    my ($s, $peer) = ask('openai', [ [ send => LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk(sse(chat_role, chat_text("ab\n\nUse"))) ],
        ['drained'], ['close'] ]);

    $s->wait_end;
    like($s->body, qr/"content":"ab"/, 'before it is known');
    like($s->body, qr/"content":"\\n\\nUse".*\n\ndata: \{"error"/,
        'held text before an error');
    like(logged($s), qr/\A200 truncated /, 'which it is');

    ($s, $peer) = ask('text', [ events(chat_role, chat_text("ab\n\nUse")),
        ['drained'], ['close'] ]);

    $s->wait_end;
    is($s->body, "ab\n\nUse", 'held text before an unclean end');
    isnt($s->ended, 'complete', 'which it is');
}


# off, other strings in a location, and the longest of two

{
    my ($s, $peer) = ask('off', [ [ send => LLMTest::Upstream::stream(
        sse(@said, chat_finish, DONE)) ] ]);

    $s->wait_end;
    is_deeply(said($s->body), [ 'One two <<⏹> three', 'stop', 1 ], 'off');
    is($s->body, sse(@said, chat_finish, DONE), 'off: not a byte is touched');
    $peer->close;

    ($s, $peer) = ask('other', [ events(@said, chat_text('a longer stil')),
        ['hold'], [ send => LLMTest::Upstream::chunk(sse(chat_text('e'))) ] ]);

    # all but what could become the longer one
    $s->read_until(qr/"content":"a "/);
    $peer->go;

    ok_cut('the shorter', $s, $peer);
    is_deeply(said($s->body), [ 'One two <<⏹> threea ', 'stop', 1 ],
        'the shorter: text');
}


# The client's connection is used again.

{
    my ($s, $peer) = ask('openai', [ events(@said) ]);

    ok_cut('first', $s, $peer);
    ok(!$s->header('connection') || $s->header('connection') ne 'close',
        'the client may ask again');

    my ($again, $peer_again) = ask('openai', [ events(@said) ], on => $s);

    ok_cut('second on one connection', $again, $peer_again);
    is($again->body =~ s/"(?:id|created)":[^,]*,//gr,
        $s->body =~ s/"(?:id|created)":[^,]*,//gr, 'the same again');
}


$t->finish;
