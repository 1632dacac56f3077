package LLMTest::Dialects;

# Every client dialect in a test: what such a client asks, and what it reads,
# by readers that know the dialects from their descriptions alone.  It owns
# no connection and no process.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

use MockReader;

our @EXPORT_OK = qw(%client @clients request read_client);

my $json = JSON::PP->new->utf8;

our @clients = qw(openai openai-completions openai-responses anthropic gemini
    gemini-array ollama ollama-generate flowise simple typed text);

my $chat = '"model":"m","messages":[{"role":"user","content":"hi"}]';
my $contents = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]';
my $model = '/v1beta/models/m:';

# Of each client: the body (S is the stream member), more of the path for a
# stream and for an answer, the type of a stream, and what it cannot say.
our %client = (
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


# request($client, text => what is asked, answer => 1): the path behind that
# of the location, and the body

sub request {
    my ($name, %o) = @_;
    my $c = $client{$name};
    my $stream = $o{answer} ? 'false' : 'true';
    my $text = $json->allow_nonref->encode($o{text} // 'hi');
    my $body = $c->{body} =~ s/S(?=[,}])/"stream":$stream/r;

    $body =~ s/T(?=[,}])/"streaming":$stream/;
    $body =~ s/"hi"/$text/;

    return ($o{answer} && $c->{answer} || $c->{path} || '', $body);
}


# the client's stream, or answer, as MockReader's hash

sub read_client {
    my ($name, $body, $answer) = @_;

    return _read_small($name, $body, $answer)
        if $name =~ /^(?:simple|typed|text)$/;
    return $answer ? read_answer($name =~ s/-array//r, $body)
        : read_stream($name, $body);
}


sub _read_small {
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


1;
