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
use Test::More;

use LLMTest;
use LLMTest::Dialects qw(%client @clients request read_client);
use LLMTest::Ending;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;

my @upstreams = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere);

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
    my ($path, $body) = request($name, answer => $o{answer});

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


# each_pair(name, options, \&check, %o): one test; check returns complaints.
# lockstep: what the ids begin with; meanwhile: called for each stream, then
# all of them go on to their end

sub each_pair {
    my ($name, $options, $check, %o) = @_;
    my @streams = map { [ $_, ask($_, $options . ($o{lockstep}
        ? ' lockstep=' . id($o{lockstep}, $_) : ''), %o) ] } @pairs;
    my @bad;

    if ($o{lockstep}) {
        $o{meanwhile}->(@$_, id($o{lockstep}, $_->[0])) for @streams;
        $mock->ack(id($o{lockstep}, $_->[0]), 20) for @streams;
    }

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


sub id {
    my ($prefix, $pair) = @_;

    return join '-', $prefix, @$pair;
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
    my $id = id('L', $pair);
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

sub beats {
    my ($pair, $body) = @_;
    my $beats = () = $body =~ ($client{ $pair->[1] }{beat} // qr/^: hb\n/m);

    return $beats;
}


# The second token comes when all who can have a heartbeat have one.

my $patience;

each_pair('heartbeats', 'tokens=2', sub {
    my ($pair, $said, $r) = @_;
    my $c = $client{ $pair->[1] };
    my $beats = beats($pair, $r->{body});
    my $can = $c->{comments} // 1;

    return (differs('text', $said->{text}, 'Lorem ipsum'),
        ($c->{beat} && $r->{body} =~ /^:/m ? 'a comment' : ()),
        differs('heartbeats', $beats > 0 ? 1 : 0, $can));
}, group => '/beat', lockstep => 'B', meanwhile => sub {
    my ($pair, $s, $id) = @_;

    # the first token, for some behind another event
    $mock->wait(id => $id, events => 1);
    $mock->ack($id) if !$upstream{ $pair->[0] }{bare};
    return if !($client{ $pair->[1] }{comments} // 1);

    # it has failed: no need to wait that long again
    $t->wait_for(sub { $s->poll; return beats($pair, $s->body) }, $patience)
        or $patience = 0.1;
});


ok($mock->wait(open => 0), 'no request is left at the provider');
$t->finish;
