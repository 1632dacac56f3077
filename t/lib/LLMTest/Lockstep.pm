package LLMTest::Lockstep;

# Chunks of the chat-completions dialect as a provider sends them, and what
# each client dialect shows of a text: for lock-step tests, where the test
# decides every byte.  It makes strings and reads events; it sends nothing.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

our @EXPORT_OK = qw(chat_role chat_text chat_finish chat_usage chat_request
    sse shown DONE);

use constant DONE => '[DONE]';

my $json = JSON::PP->new->utf8->canonical;


# a request body; more members by name

sub chat_request {
    my (%more) = @_;

    return $json->encode({
        model => 'm-1', stream => JSON::PP::true,
        messages => [ { role => 'user', content => 'hello' } ], %more,
    });
}


# The data of one event each.  Texts are characters, not bytes.

sub chat_role {
    return _chunk('"role":"assistant","content":""', 'null');
}


sub chat_text {
    my ($text) = @_;

    return _chunk('"content":' . _string($text), 'null');
}


sub chat_finish {
    my ($reason) = @_;

    return _chunk('', _string($reason // 'stop'));
}


sub chat_usage {
    my ($in, $out) = @_;

    return _lead() . sprintf '[],"usage":{"prompt_tokens":%d,'
        . '"completion_tokens":%d,"total_tokens":%d}}', $in, $out, $in + $out;
}


# the bytes of events with this data

sub sse {
    my (@data) = @_;

    return join '', map { "data: $_\n\n" } @data;
}


# shown($client, $event): the text an event of a client's stream shows; ''
# for an event without text, undef for what is not one

sub shown {
    my ($client, $event) = @_;

    return if !$event;
    return _decode($event->{data}) if $client eq 'text';

    my $data = $event->json;

    return if ref $data ne 'HASH';
    return $data->{content} if $client eq 'simple';

    if ($client eq 'typed') {
        return $data->{type} eq 'token' ? $data->{data}{token} : '';
    }

    my $choice = ($data->{choices} || [])->[0] or return '';

    return $choice->{delta}{content} // '';
}


sub _decode {
    my ($bytes) = @_;

    utf8::decode($bytes);

    return $bytes;
}


sub _lead {
    return '{"id":"chatcmpl-1","object":"chat.completion.chunk",'
        . '"created":1700000000,"model":"m-1","choices":';
}


sub _chunk {
    my ($delta, $finish) = @_;

    return _lead() . '[{"index":0,"delta":{' . $delta
        . '},"finish_reason":' . $finish . '}]}';
}


sub _string {
    my ($text) = @_;

    return substr $json->encode([$text]), 1, -1;
}


1;
