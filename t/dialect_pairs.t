#!/usr/bin/perl

# Every upstream dialect with every client dialect, through nginx: text in
# lock-step (event k is read before the provider sends event k + 1), a stream
# and one answer, tool calls, reasoning, usage, types and headers, heartbeats
# only where there are comments, and one JSON answer where a stream was asked
# for.  The provider is the mock; what clients get is read by MockReader,
# which knows the dialects from their descriptions alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use MockReader;
use Test::More;

use LLMTest;
use LLMTest::Ending;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $json = JSON::PP->new->utf8;

my @upstreams = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere);
my @clients = qw(openai openai-completions openai-responses anthropic gemini
    gemini-array ollama ollama-generate flowise simple typed text);

my $chat = '"model":"m","messages":[{"role":"user","content":"hi"}]';
my $contents = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]';
my $model = '/v1beta/models/m:';

# Of each client: the body (S is the stream member), more of the path for a
# stream and for an answer, the type of a stream, and what it cannot say.
my %client = (
    'openai' => { body => "{$chat,S,"
        . '"stream_options":{"include_usage":true}}' },
    'openai-completions' => { body => '{"model":"m","prompt":"hi",S,'
        . '"stream_options":{"include_usage":true}}',
        no => [qw(calls reasoning)] },
    'openai-responses' => { body => '{"model":"m","input":"hi",S}' },
    'anthropic' => { body => "{$chat,S,\"max_tokens\":99}" },
    'gemini' => { body => "{$contents}", done => 0,
        path => "${model}streamGenerateContent?alt=sse",
        answer => "${model}generateContent", beat => qr/\n\n\n\n/ },
    'gemini-array' => { body => "{$contents}", done => 0,
        path => "${model}streamGenerateContent",
        answer => "${model}generateContent",
        type => qr{^application/json\b}, comments => 0 },
    'ollama' => { body => "{$chat,S}", type => qr{^application/x-ndjson\b},
        comments => 0 },
    'ollama-generate' => { body => '{"model":"m","prompt":"hi",S}',
        type => qr{^application/x-ndjson\b}, comments => 0,
        no => [qw(calls)] },
    'flowise' => { body => '{"question":"hi",T}', stop => 1, ids => 0,
        path => '/api/v1/prediction/m' },
    'simple' => { body => "{$chat,S}", stop => 1,
        no => [qw(calls reasoning usage)] },
    'typed' => { body => "{$chat,S}", no => [qw(calls reasoning)] },
    'text' => { body => "{$chat,S}", stop => 1, done => 0, comments => 0,
        no => [qw(calls reasoning usage)], type => qr{^text/plain\b} },
);

# what a provider cannot say: reasoning and calls at all, ids of calls, and
# other finish reasons than "stop"; bare: no event before the first token
my %upstream = (
    'openai-completions' => { no => [qw(calls reasoning)], bare => 1 },
    'ollama-generate' => { no => [qw(calls)], bare => 1 },
    'ollama' => { bare => 1 }, 'gemini' => { bare => 1 },
    'flowise' => { stop => 1, ids => 0 },
);

sub conf {
    my ($prefix, $extra) = @_;
    my $locations = '';

    for my $upstream (@upstreams) {
        for my $client (@clients) {
            my $dialect = $client eq 'gemini-array' ? 'gemini' : $client;

            $locations .= <<"EOT";
        location "$prefix/$upstream/$client/" {
            llm_stream $upstream http://provider;
            llm_stream_client $dialect;
            $extra
        }
EOT
        }
    }

    return $locations;
}

my $locations = conf('', '') . conf('/beat', 'llm_stream_heartbeat 50ms;');

$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    llm_stream_heartbeat off;
    llm_stream_set_header X-Mock \$http_x_mock;
    upstream provider { server %%MOCK%%; keepalive 200; }
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        add_header X-Pair "\$llm_stream_upstream>\$llm_stream_client" always;
$locations
    }
}
EOT

my @pairs = map { my $u = $_; map { [ $u, $_ ] } @clients } @upstreams;


sub ask {
    my ($pair, $options, %o) = @_;
    my ($upstream, $name) = @$pair;
    my $c = $client{$name};
    my $stream = $o{answer} ? 'false' : 'true';
    my $body = $c->{body} =~ s/S(?=[,}])/"stream":$stream/r;
    my $path = $o{answer} && $c->{answer} || $c->{path} || '';

    $body =~ s/T(?=[,}])/"streaming":$stream/;

    return $t->open(method => 'POST', body => $body,
        path => ($o{group} // '') . "/$upstream/$name/$path",
        headers => { 'Content-Type' => 'application/json',
            'X-Mock' => $options });
}


# can($pair, what): both can say it

sub can {
    my ($pair, $what) = @_;

    return !grep { $_ eq $what } @{ $upstream{ $pair->[0] }{no} || [] },
        @{ $client{ $pair->[1] }{no} || [] };
}


# the client's stream, or answer, as MockReader's hash

sub read_client {
    my ($name, $body, $answer) = @_;

    return read_small($name, $body, $answer)
        if $name =~ /^(?:simple|typed|text)$/;
    return $answer ? read_answer($name =~ s/-array//r, $body)
        : read_stream($name, $body);
}


sub read_small {
    my ($name, $body, $answer) = @_;
    my $r = { text => '', calls => [], errors => [], reasoning => '',
        done => 0 };

    if ($name eq 'text') {
        utf8::decode($r->{text} = $answer ? $body =~ s/\n\z//r : $body);
        return $r;
    }

    my @values = $answer ? $json->decode($body)
        : map { $json->decode($_->[1]) } sse_events($body);

    for my $e (@values) {
        my $data = $e->{data};

        die "something behind the end\n" if $r->{done};

        if ($name eq 'simple') {
            $r->{text} .= $e->{content} // '';
            $r->{done}++ if $e->{done};

        } elsif ($e->{type} eq 'token') {
            $r->{text} .= $data->{token};

        } elsif ($e->{type} eq 'done') {
            die "full_text is $data->{full_text}\n"
                if !$answer && $data->{full_text} ne $r->{text};
            $r->{text} = $data->{full_text};
            $r->{finish} = $data->{finish_reason};
            @$r{qw(input output)} = @{ $data->{usage} || {} }{qw(
                prompt_tokens completion_tokens)};
            $r->{done}++;
        }
    }

    return $r;
}


# each_pair(name, options, \&check, %o): one test; check returns complaints

sub each_pair {
    my ($name, $options, $check, %o) = @_;
    my @streams = map { [ $_, ask($_, $options, %o) ] } @pairs;
    my @bad;

    for my $item (@streams) {
        my ($pair, $s) = @$item;
        my $r = $s->result(60);
        my @words;

        if ($r->{status} != 200 || !$r->{complete}) {
            @words = ("$r->{status} $r->{ended}: "
                . substr $r->{body}, 0, 200);

        } else {
            my $said = eval { read_client($pair->[1], $r->{body},
                $o{answer}) };

            @words = $said ? $check->($pair, $said, $r)
                : ("unreadable: $@" . substr $r->{body}, -300);
        }

        push @bad, map { "$pair->[0] > $pair->[1]: $_" } @words;
    }

    LLMTest::Ending->all_good($name . ' (' . @pairs . ' pairs)', @bad);

    return;
}


sub differs {
    my ($what, $have, $want) = @_;

    return if ($have // '(none)') eq ($want // '(none)');
    return "$what " . ($have // 'none') . ', not ' . ($want // 'none');
}


###############################################################################
# text in lock-step

my $lock = 'tokens=3 text=digits';
my %say = ('1' => 1, ' 2' => 2, ' 3' => 3);

for my $upstream (@upstreams) {
    my @bad;

    for my $pair (grep { $_->[0] eq $upstream } @pairs) {
        push @bad, map { "$pair->[1]: $_" } lockstep($pair);
    }

    LLMTest::Ending->all_good("$upstream: unbuffered for each client", @bad);
}


# Each acknowledgement lets the mock send one token more, which must then be
# with the client before the next acknowledgement.

sub lockstep {
    my ($pair) = @_;
    my $id = "L-$pair->[0]-$pair->[1]";
    my $s = ask($pair, "$lock lockstep=$id");

    return 'the provider is not asked: ' . $s->result(1)->{body}
        if !$mock->wait(id => $id, events => 1);

    for my $token (1 .. 3) {
        $mock->ack($id) if $token > 1 || !$upstream{ $pair->[0] }{bare};
        return "token $token does not arrive: " . substr $s->body, 0, 300
            if !arrives($s, $token);
        return 'a token too early' if $s->body =~ /[ "]@{[ $token + 1 ]}"/;
    }

    $mock->ack($id, 20);

    my $r = $s->result(20);

    return "$r->{status} $r->{ended}" if !$r->{complete};

    my $said = eval { read_client($pair->[1], $r->{body}) }
        or return "unreadable: $@";

    return differs('text', $said->{text}, '1 2 3');
}


sub arrives {
    my ($s, $token) = @_;
    my $wanted = $token == 1 ? qr/(?:"|\A)1(?:"|\z)/
        : qr/ $token(?:"|\z)/;

    return $t->wait_for(sub { $s->poll; return $s->body =~ $wanted });
}


###############################################################################
# what is said, as a stream and as one answer

for my $answer (0, 1) {
    my $how = $answer ? 'one answer' : 'a stream';

    each_pair("$how: text, finish, usage, type", 'tokens=4 usage=force',
        sub {
            my ($pair, $said, $r) = @_;
            my $c = $client{ $pair->[1] };
            my @bad = (differs('text', $said->{text},
                'Lorem ipsum dolor sit'), differs('type', types($pair, $r,
                $answer), undef));

            push @bad, differs('finish', $said->{finish}, 'stop')
                if !$c->{stop};
            push @bad, differs('terminators', $said->{done}, 1)
                if ($c->{done} // 1) && !$answer;
            push @bad, differs('output', $said->{output}, 4)
                if can($pair, 'usage') && !($answer
                && ($pair->[1] eq 'flowise' || $pair->[0] eq 'flowise'));
            push @bad, differs('errors', scalar @{ $said->{errors} }, 0);
            push @bad, differs('dialects', $r->{headers}{'x-pair'},
                "$pair->[0]>" . ($pair->[1] =~ s/-array//r));
            push @bad, 'a length'
                if defined $r->{headers}{'content-length'} && !$answer;

            return @bad;
        }, answer => $answer);

    each_pair("$how: the token limit", 'tokens=2 finish=length', sub {
        my ($pair, $said) = @_;

        return if $client{ $pair->[1] }{stop};
        return differs('finish', $said->{finish},
            $pair->[0] eq 'flowise' ? 'stop' : 'length');
    }, answer => $answer);

    each_pair("$how: tool calls", 'tools=2 tokens=0', sub {
        my ($pair, $said) = @_;
        my @calls = @{ $said->{calls} };

        return differs('calls', scalar @calls, 0) if !can($pair, 'calls');
        return differs('calls', scalar @calls, 2) if @calls != 2;

        my @bad = map {
            my $args = $calls[$_]{args};
            differs('name', $calls[$_]{name}, 'get_weather'),
            differs('arguments', join(' ', map { "$_=$args->{$_}" }
                sort keys %$args), "location=Paris n=$_ unit=celsius")
        } 0, 1;

        # a call must be answered by its id
        push @bad, differs('ids', join(' ', map { $_->{id} // '' } @calls),
            'call_mock_0_0 call_mock_0_1')
            if ($upstream{ $pair->[0] }{ids} // 1)
            && ($client{ $pair->[1] }{ids} // 1)
            && $pair->[1] !~ /^gemini/;
        push @bad, differs('finish', $said->{finish}, 'tool_calls')
            if !$client{ $pair->[1] }{stop} && !$upstream{ $pair->[0] }{stop};

        return @bad;
    }, answer => $answer);

    each_pair("$how: reasoning", 'reasoning=2 tokens=3', sub {
        my ($pair, $said) = @_;
        my $can = can($pair, 'reasoning')
            && !($answer && $pair->[1] eq 'flowise');

        return (differs('reasoning', $said->{reasoning},
            $can ? 'Lorem ipsum' : ''),
            differs('text', $said->{text}, 'Lorem ipsum dolor'));
    }, answer => $answer);

    each_pair("$how: characters", 'text=unicode tokens=20', sub {
        my ($pair, $said) = @_;

        return $said->{text} =~ /Gr\x{fc}\x{df}e .*\x{1f600}.*"quoted"/s
            ? () : "text $said->{text}";
    }, answer => $answer);
}


sub types {
    my ($pair, $r, $answer) = @_;
    my $type = $r->{headers}{'content-type'} // 'none';
    my $c = $client{ $pair->[1] };
    my $want = $answer ? ($pair->[1] eq 'text' ? qr{^text/plain\b}
        : qr{^application/json\b}) : $c->{type} // qr{^text/event-stream\b};

    return $type if $type !~ $want;
    return "cache-control " . ($r->{headers}{'cache-control'} // 'none')
        if !$answer && $type =~ /event-stream/
        && ($r->{headers}{'cache-control'} // '') !~ /no-cache|no-store/;
    return;
}


###############################################################################
# one JSON answer where a stream was asked for

each_pair('an answer instead of a stream', 'fault=json-200 tokens=3', sub {
    my ($pair, $said, $r) = @_;
    my $c = $client{ $pair->[1] };

    return (differs('text', $said->{text}, 'Lorem ipsum dolor'),
        differs('type', types($pair, $r, 0), undef),
        ($c->{stop} ? () : differs('finish', $said->{finish}, 'stop')),
        (($c->{done} // 1) ? differs('ends', $said->{done}, 1) : ()));
});


###############################################################################
# a heartbeat is a comment, or two line ends: only where there are such

each_pair('heartbeats', 'tokens=2 itl=250', sub {
    my ($pair, $said, $r) = @_;
    my $c = $client{ $pair->[1] };
    my $beats = () = $r->{body} =~ ($c->{beat} // qr/^: hb\n/m);
    my $can = $c->{comments} // 1;

    return (differs('text', $said->{text}, 'Lorem ipsum'),
        ($c->{beat} && $r->{body} =~ /^:/m ? 'a comment' : ()),
        differs('heartbeats', $beats > 0 ? 1 : 0, $can));
}, group => '/beat');


ok($mock->wait(open => 0), 'no request is left at the provider');
$t->finish;
