#!/usr/bin/perl

# Every recorded request of an SDK to a provider of every other dialect, with
# what that cannot say dropped: the provider gets JSON with each text of the
# conversation and each tool that it can be told of, for the same model; to a
# provider of its own dialect it goes byte for byte.  The recordings are not
# part of the project.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Ending;

my $from = "$FindBin::Bin/../../shared/recorded/requests";

plan skip_all => 'no recorded requests beside the project' if !-d $from;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream(each => [ [ send =>
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}" ], ['close'] ]);
my $json = JSON::PP->new->utf8;

my %dialect = (
    (map { $_ => 'openai' } qw(openai-chat azure-openai deepseek groq
        mistral openrouter vllm)),
    'openai-completions' => 'openai-completions',
    'openai-responses' => 'openai-responses',
    'anthropic-messages' => 'anthropic', 'gemini' => 'gemini',
    'ollama-chat' => 'ollama', 'ollama-generate' => 'ollama-generate',
);
my @providers = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere);
my %has_no_tools = map { $_ => 1 } qw(openai-completions ollama-generate
    flowise);

my $locations = '';

for my $name (@providers) {
    my %done;

    for my $client (grep { !$done{$_}++ } values %dialect) {
        $locations .= <<"EOT";
        location "/$name/$client/" {
            llm_stream $name http://%%UPSTREAM%%;
            llm_stream_client $client;
            llm_stream_unsupported drop;
            llm_stream_usage off;
        }
EOT
    }
}

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
    }
}
EOT


# all strings of a value

sub strings {
    my ($value) = @_;

    return map { strings($_) } @$value if ref $value eq 'ARRAY';
    return map { strings($_) } values %$value if ref $value eq 'HASH';
    return ref $value || !defined $value ? () : $value;
}


# what users and models said in words, whatever the dialect

sub texts {
    my ($call) = @_;
    my @turns = grep { defined } ($call->{system}, $call->{instructions},
        ref $call->{prompt} ? () : $call->{prompt});

    for my $turn (@{ $call->{messages} || [] }, @{ $call->{contents} || [] },
        ref $call->{input} ? @{ $call->{input} } : $call->{input} // ())
    {
        push @turns, ref $turn ? $turn->{content} // $turn->{parts} : $turn;
    }

    return map { !ref $_ ? $_ : ref $_ eq 'HASH' ? $_->{text} // ()
        : map { ref $_ eq 'HASH' && !$_->{thought} ? $_->{text} // () : () }
        @$_ } grep { defined } @turns;
}


# the functions that are offered

sub functions {
    my ($call) = @_;

    return map { $_->{function} ? $_->{function}{name}
        : $_->{functionDeclarations} || $_->{function_declarations}
        ? map { $_->{name} } @{ $_->{functionDeclarations}
            || $_->{function_declarations} }
        : $_->{input_schema} || ($_->{type} // '') eq 'function'
        ? $_->{name} : () } @{ $call->{tools} || [] };
}


sub sent {
    my ($name, $client, $bytes, $stream) = @_;
    my $before = $u->connections;
    my $path = $client ne 'gemini' ? '' : 'v1beta/models/gm:'
        . ($stream ? 'streamGenerateContent?alt=sse' : 'generateContent');
    my $r = $t->http('POST', "/$name/$client/$path",
        { 'Content-Type' => 'application/json' }, $bytes);

    return (undef, $r) if $u->connections == $before;
    return ($u->peer($before + 1)->request->{body}, $r);
}


sub complaints {
    my ($name, $client, $call, $bytes) = @_;
    my ($body, $r) = sent($name, $client, $bytes, 1);

    return "not sent: $r->{status} $r->{body}" if !defined $body;

    if ($name eq $client) {
        return $body eq $bytes ? () : "is $body";
    }

    my $got = eval { $json->decode($body) } or return "no JSON: $body";
    my $all = join "\n", strings($got);
    my @bad = map { index($all, $_) >= 0 ? () : "no text \"$_\"" }
        texts($call);
    my $model = $call->{model} // 'gm';

    push @bad, "model " . ($got->{model} // 'none')
        if $name !~ /^(?:gemini|flowise)$/ && $got->{model} ne $model;

    my %offered = map { $_ => 1 } functions($got);

    push @bad, map { $offered{$_} ? () : "no tool $_" } functions($call)
        if !$has_no_tools{$name};

    return @bad;
}


my $checks = 0;

for my $folder (sort keys %dialect) {
    for my $file (sort glob "$from/$folder/*.json") {
        my ($short) = $file =~ m{requests/(.*)};
        my $bytes = do { local $/; open my $fh, '<', $file or die; <$fh> };
        my $call = eval { $json->decode($bytes) };
        my @bad;

        next if ref $call ne 'HASH' || $short =~ /error-400/;

        # some folders hold the other dialects of a provider, too
        my $client = exists $call->{input} ? 'openai-responses'
            : exists $call->{prompt} && $dialect{$folder} eq 'openai'
            ? 'openai-completions' : $dialect{$folder};

        for my $name (@providers) {

            # a chat flow answers users only
            next if $name eq 'flowise' && $call->{messages}
                && $call->{messages}[-1]{role} eq 'assistant';

            push @bad, map { "$name: $_" }
                complaints($name, $client, $call, $bytes);
            $checks++;
        }

        LLMTest::Ending->all_good($short, @bad);
    }
}

diag("recorded requests: $checks translations");
$t->finish;
