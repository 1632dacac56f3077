#!/usr/bin/perl

# What a provider of each dialect receives for the call of a client of each
# dialect: the same call as that provider's own SDK sends it, compared as
# JSON.  The calls are those of LLMTest::Calls.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Calls qw(call dialects);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $json = JSON::PP->new->utf8->canonical;

my @clients = grep { $_ ne 'cohere' } dialects();
my $locations = '';
my $n = 0;

for my $upstream (dialects()) {
    $locations .= <<"EOT" for @clients;
        location "/$upstream/$_/" {
            llm_stream $upstream http://%%MOCK%%;
            llm_stream_client $_;
        }
EOT
}

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_set_header X-N \$http_x_n;
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
    }
}
EOT


# what the provider received: its JSON, and the answer to the client

sub received {
    my ($upstream, $client, $call) = @_;
    my $path = $client eq 'gemini'
        ? 'v1beta/models/m:streamGenerateContent?alt=sse' : '';
    my $r = $t->http('POST', "/$upstream/$client/$path",
        { 'Content-Type' => 'application/json', 'X-N' => ++$n },
        $json->encode($call));
    my ($seen) = $mock->requests(1);
    my %headers = map { lc $_->[0] => $_->[1] }
        @{ ($seen // {})->{headers} // [] };

    return ({}, $r) if ($headers{'x-n'} // 0) != $n;

    # the mock has made characters of it
    return (JSON::PP->new->decode($seen->{body}), $r, $seen);
}


# Responses: the short forms of an input written out

sub items {
    my ($call) = @_;

    $call->{input} = [ { role => 'user', content => $call->{input} } ]
        if !ref $call->{input};

    for my $item (grep { exists $_->{role} } @{ $call->{input} }) {
        $item->{type} //= 'message';
        $item->{content} = [ { type => 'input_text',
            text => $item->{content} } ] if !ref $item->{content};

        for my $part (@{ $item->{content} }) {
            delete $part->{detail} if ($part->{detail} // '') eq 'auto';
        }
    }

    return $call;
}


# Responses is strict unless told not to be, the others the other way round.

sub strict {
    my ($upstream, $client, $want) = @_;

    $want->{tools}[0]{strict} = JSON::PP::false
        if $upstream eq 'openai-responses' && $client ne $upstream;

    return;
}


# same($name, { with }, what is different): each pair that can say it

sub same {
    my ($name, $with, %o) = @_;

    for my $upstream (dialects()) {
        next if $o{not}{$upstream};

        for my $client (@clients) {
            next if $o{not_from}{$client};

            # Anthropic's clients always say a limit
            my %call = ($client eq 'anthropic' ? (limit => 4096) : (),
                %$with);
            my ($have, $r) = received($upstream, $client,
                call($client, %call));
            my $want = call($upstream, %call);

            $have = items($have) if $upstream eq 'openai-responses';

            $o{fix}->($upstream, $client, $want) if $o{fix};
            is_deeply($have, $want, "$client to $upstream: $name")
                or diag("    $r->{status} " . $json->encode($have) . "\n    "
                . $json->encode($want) . "\n    "
                . substr $r->{body}, 0, 200);
        }
    }

    return;
}


same('a text', {});
same('an image', { image => 1 });
same('tools, a call and its result', { tools => 1 }, fix => \&strict);
same('a tool that must be called', { tools => 1, choice => 'required' },
    fix => \&strict, not => { ollama => 1 }, not_from => { ollama => 1 });
same('a tool that must not', { tools => 1, choice => 'none' },
    fix => \&strict, not => { ollama => 1 }, not_from => { ollama => 1 });
same('which tool must be called', { tools => 1, choice => 'get_weather' },
    fix => \&strict, not => { ollama => 1, cohere => 1 },
    not_from => { ollama => 1 });
same('a schema', { schema => 1 }, fix => sub {
    my ($upstream, $client, $want) = @_;

    # the others have no name for it
    return if $client =~ /^openai/;
    $want->{response_format}{json_schema}{name} = 'response'
        if $upstream eq 'openai';
    $want->{text}{format}{name} = 'response'
        if $upstream eq 'openai-responses';
});
same('sampling', { sampling => 1, limit => 100 });
same('stop strings', { stop => 1 }, not => { 'openai-responses' => 1 },
    not_from => { 'openai-responses' => 1 });
same('a link', { link => 1 }, not => { ollama => 1 },
    not_from => { ollama => 1 });

$t->finish;
