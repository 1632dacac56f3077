package LLMTest::Faults;

# The table of faults: what the mock does wrong, and what each must come to
# for a client, whatever dialects the two speak; and the run of the whole
# table for some upstream dialects.  Written from the specification, apart
# from the C encoders.  It owns no process.
#
# A row: [ fault, options of the mock, code, %want ].  The code is what the
# client is told ('' : success, undef: a failure with any code).  want:
#   status    while nothing was sent, if it is not 502 (or 504)
#   others    the code for all clients that do not speak as the provider
#   provider  the code is the provider's own
#   text      the text shown, if it is not so many tokens; undef: any
#   tokens    shown before the fault
#   group     of locations; those with a timer have no other limit of time
#   kept      the connection to the provider may be used again
#   light     options instead, where the row is run for many pairs
#   mine      the status for a client that speaks as the provider
#   said      the provider's finish reason came first
#   begun     the client may have been told of the beginning
#   skip      dialects of providers for which the row says nothing
#   DIALECT   { code, and what else is different for that provider }
#   else      the same for all but openai

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Wait qw(slow);

our @EXPORT_OK = qw(fault_rows apart TOKENS);

use constant TOKENS => 4;


# Events are counted from 1, the beginning: a fault at event 3, the mock's
# default, comes after one token.

my $first = 'at=1';
my @sent = (tokens => 1);
my @whole = (tokens => TOKENS, kept => 1);
my @any = (text => undef, kept => 1);

# A provider whose stream begins with events of its own before that: some
# clients are told of the beginning, so that a status comes too late.
# Some errors are but a sentence, whatever they mean.
my %plain = (status => 502);
my @begun = ('openai-responses' => { begun => 1 },
    'cohere' => { begun => 1, %plain },
    map { $_ => \%plain } qw(ollama ollama-generate flowise));

# the beginning of the huge event is sent apart
my @more = (else => { text => undef });

# a document is a line, too
my %fine = (code => '', tokens => TOKENS);

# no finish is known without the last event
my %cut = (code => 'upstream_truncated');



# faults that need more than one request through one location

sub apart {
    return qw(tls-alert tls-plaintext-first stale-keepalive
        early-error-while-sending);
}


# fault_rows($strict): the rows; strict: nginx's parser takes no bare LF
# after a chunk's size (since 1.29.4)

sub fault_rows {
    my ($strict) = @_;

    return (_before(), _statuses(), _types(), _cuts(), _framing($strict),
        _times(), _sizes(), _contents(), _headers());
}


sub _before {
    return (
        [ 'rst-before-headers', '', 'upstream_reset' ],
        [ 'fin-before-headers', '', 'upstream_reset' ],
        [ 'fin-in-headers', '', 'upstream_protocol' ],
        [ 'fin-in-headers', 'byte=5', 'upstream_protocol' ],
        [ 'not-http', '', 'upstream_protocol' ],
        [ 'header-too-big', '', 'upstream_protocol' ],
        [ 'header-too-big', 'count=10000', 'upstream_protocol' ],
        [ 'header-invalid-byte', '', 'upstream_protocol' ],
        [ 'header-invalid-byte', 'variant=2', 'upstream_protocol' ],
        [ 'header-invalid-byte', 'variant=3', 'upstream_protocol' ],
        [ 'cl-and-te', '', 'upstream_protocol' ],
        [ 'cl-and-te', 'variant=2', 'upstream_protocol' ],
        [ 'cl-and-te', 'variant=3', 'upstream_protocol' ],
        [ 'stall-before-headers', '', 'upstream_timeout_header',
            group => 'first' ],
        [ 'interim-100', '', '', @whole ],
        [ 'interim-103', 'count=3', '', @whole ],
        [ 'interim-103', 'count=1000', 'upstream_protocol' ],
        [ 'status-101', '', 'upstream_protocol' ],
    );
}


sub _statuses {
    return (
        [ 's429', '', 'rate_limit_exceeded', status => 429, provider => 1,
            kept => 1 ],
        [ 's401', '', 'invalid_api_key', status => 401, provider => 1,
            kept => 1, gemini => { mine => 400 } ],
        [ 's401', 'variant=2', 'invalid_api_key', status => 403, provider => 1,
            kept => 1 ],
        [ 's400', '', undef, status => 400, provider => 1, kept => 1 ],
        [ 's400', 'variant=2', 'model_not_found', status => 404, provider => 1,
            kept => 1 ],
        [ 's400', 'variant=3', 'context_length_exceeded', status => 413,
            provider => 1, kept => 1 ],
        [ 's400', 'variant=4', undef, status => 422, provider => 1, kept => 1 ],
        [ 's5xx', '', undef, status => 500, provider => 1, kept => 1 ],
        [ 's5xx', 'variant=2', undef, status => 502, provider => 1, kept => 1 ],
        [ 's5xx', 'variant=3', 'overloaded', status => 503, provider => 1,
            kept => 1 ],
        [ 's529', '', 'overloaded', status => 529, provider => 1, kept => 1 ],
        [ 's3xx', '', 'upstream_redirect' ],
        [ 's3xx', 'variant=3', 'upstream_redirect' ],
        [ 's204-empty', '', 'upstream_empty' ],
        [ 's204-empty', 'variant=2', 'upstream_empty' ],
        [ 's204-empty', 'variant=3', 'upstream_empty' ],
    );
}


sub _types {
    return (
        [ 'html-200', '', 'upstream_content_type' ],
        [ 'json-200', '', '', @whole ],
        [ 'json-as-sse', '', 'upstream_invalid_stream',
            map { $_ => \%fine } qw(ollama ollama-generate) ],
        [ 'error-event-first', '', undef, status => [ 500, 502 ],
            provider => 1, @begun ],
        [ 'error-event-first', 'variant=2', undef, status => [ 500, 502 ],
            provider => 1, @begun, else => { status => [ 503, 529 ] } ],
        [ 'error-event-first', 'variant=3', '429', status => 429,
            provider => 1, @begun ],
        [ 'error-event-first', 'variant=3,status=503', '503',
            status => [ 503, 529 ], provider => 1, @begun ],
        [ 'error-event-first', 'variant=4', 'rate_limit_exceeded',
            status => 429, provider => 1, @begun ],
        [ 'gzip-unasked', '', 'upstream_encoding' ],
        [ 'gzip-unasked', 'variant=2', 'upstream_encoding' ],
        [ 'gzip-unasked', 'variant=3', 'upstream_encoding' ],
        [ 'gzip-unasked', 'variant=4', 'upstream_encoding' ],
        [ 'gzip-bomb', 'limit=3m', 'upstream_encoding' ],
        [ 'gzip-bomb', 'variant=2', 'upstream_encoding' ],
        [ 'gzip-bomb', 'variant=3', 'upstream_encoding' ],
        [ 'charset-other', '', 'upstream_content_type' ],
    );
}


sub _cuts {
    return (
        [ 'rst-mid-event', '', 'upstream_reset', @sent ],
        [ 'rst-mid-event', $first, 'upstream_reset', @begun ],
        [ 'rst-mid-utf8', '', 'upstream_reset', @sent ],
        [ 'rst-mid-utf8', 'byte=1', 'upstream_reset', @sent ],
        [ 'rst-mid-utf8', 'byte=3', 'upstream_reset', @sent ],
        [ 'fin-chunked-incomplete', '', 'upstream_truncated', @sent ],
        [ 'last-chunk-no-terminator', '', 'upstream_truncated', @sent ],
        [ 'close-delimited-no-terminator', '', 'upstream_truncated', @sent ],
        [ 'close-delimited-mid-event', '', 'upstream_truncated', @sent ],
        [ 'close-delimited-mid-event', $first, 'upstream_truncated', @begun ],
        [ 'tls-no-close-notify', '', 'upstream_truncated', @sent ],
        [ 'tls-no-close-notify', '', 'upstream_truncated', @sent,
            group => 'tls' ],
        [ 'done-without-finish', '', '', @whole, gemini => \%cut ],
        [ 'finish-without-done', '', '', @whole,
            (map { $_ => \%cut } qw(openai-responses flowise)),
            map { $_ => { %cut, said => 1 } } qw(ollama
                ollama-generate) ],
        [ 'half-close', '', 'upstream_truncated', @sent ],
    );
}


sub _framing {
    my ($strict) = @_;

    return (
        [ 'chunk-bad-size', '', 'upstream_protocol', @sent ],
        [ 'chunk-bad-size', $first, 'upstream_protocol' ],
        # nginx's own parser decides: before 1.29.4 a bare LF is let through
        [ 'chunk-bad-size', 'variant=2', $strict
            ? ('upstream_protocol', @sent) : ('', @whole) ],
        [ 'chunk-bad-size', 'variant=3', '', @whole ],
        [ 'chunk-bad-size', 'variant=4', 'upstream_protocol', tokens => 2 ],
        [ 'chunk-overflow', '', 'upstream_protocol', @sent ],
        [ 'chunk-overflow', $first, 'upstream_protocol' ],
        [ 'chunk-overflow', 'variant=2', 'upstream_protocol', @sent ],
        [ 'chunk-overflow', 'variant=3', 'upstream_protocol', @sent ],
        [ 'chunk-huge-extension', '', 'upstream_protocol', @sent ],
        [ 'data-after-last-chunk', '', '', tokens => TOKENS ],
        [ 'cl-too-big', '', '', tokens => TOKENS,
            gemini => { %cut, said => 1 } ],
        [ 'cl-too-small', '', '', tokens => TOKENS,
            map { $_ => \%cut } qw(openai-responses gemini ollama
                ollama-generate flowise) ],
        [ 'cl-too-small', 'limit=1000', 'upstream_truncated', text => undef,
            light => 'limit=100', 'openai' => { light => 'limit=1000' },
            'openai-completions' => { light => 'limit=450' } ],
        [ 'trailers', '', '', @whole ],
        [ 'trailers', 'limit=100000', '', @whole,
            gemini => { code => 'upstream_protocol', said => 1 } ],
        [ 'http10-ok', '', '', tokens => TOKENS ],
        [ 'connection-close-ok', '', '', tokens => TOKENS ],
    );
}


sub _times {
    # no event is whole before the limits have passed, which are scaled, too
    my $gap = 'gap=' . 300 * slow();

    return (
        [ 'stall-after-headers', '', 'upstream_timeout_first_event',
            group => 'first' ],
        [ 'stall-mid', '', 'upstream_timeout_idle', @sent, group => 'idle' ],
        [ 'heartbeat-only', '', 'upstream_timeout_first_event',
            group => 'first' ],
        [ 'heartbeat-only', 'at=3', 'upstream_timeout_idle', @sent,
            group => 'idle' ],
        [ 'heartbeat-only', 'at=3,variant=2', 'upstream_timeout_idle', @sent,
            group => 'idle' ],
        [ 'slow-trickle', $gap, 'upstream_timeout_first_event',
            group => 'first' ],
        [ 'slow-trickle', "at=3,$gap", 'upstream_timeout_idle', @sent,
            group => 'idle' ],
        [ 'total-too-long', '', 'stream_too_long', text => undef,
            group => 'total' ],
    );
}


sub _sizes {
    return (
        [ 'huge-event', '', 'event_too_large', @sent, @more ],
        [ 'huge-event', $first, 'event_too_large', @more ],
        [ 'huge-event', 'limit=65536', 'event_too_large', @sent, @more,
            group => 'small' ],
        [ 'endless-line', '', 'event_too_large', @sent, group => 'small' ],
        [ 'endless-comment', 'limit=4m', 'upstream_truncated', @sent,
            group => 'small', light => 'limit=200k' ],
        [ 'tiny-events-burst', 'count=20000', '', @whole,
            light => 'count=1000' ],
        [ 'byte-by-byte', '', '', @whole ],
        [ 'many-events-total', 'tokens=5000', '', @any,
            light => 'tokens=300' ],
    );
}


sub _contents {
    return (
        [ 'error-event-mid', '', undef, @sent, status => [ 500, 502 ],
            provider => 1 ],
        [ 'error-event-mid', 'variant=2', undef, @sent, status => [ 500, 502 ],
            provider => 1 ],
        [ 'error-event-mid', 'variant=3', '429', @sent, status => 429,
            provider => 1 ],
        [ 'error-event-mid', 'variant=4', 'rate_limit_exceeded', @sent,
            status => 429, provider => 1 ],
        [ 'error-then-done', '', undef, @sent, status => [ 500, 502 ],
            provider => 1 ],
        [ 'error-then-done', 'variant=3,at=1', '429', status => 429,
            provider => 1, @begun ],
        [ 'invalid-json-event', '', '', @any,
            others => 'upstream_invalid_event' ],
        [ 'invalid-json-event', 'variant=2', '', @any,
            others => 'upstream_invalid_event' ],
        [ 'invalid-json-event', 'variant=3', '', @any,
            others => 'upstream_invalid_event' ],
        [ 'invalid-utf8', '', '', @any ],
        [ 'invalid-utf8', 'variant=2', '', @any ],
        [ 'invalid-utf8', 'variant=3', '', @any,
            others => 'upstream_invalid_event' ],
        [ 'invalid-utf8', 'variant=4', '', @any ],
        [ 'eol-variants', '', '', @whole ],
        [ 'eol-variants', 'variant=2', '', @whole ],
        [ 'eol-variants', 'variant=3', '', @whole ],
        [ 'eol-variants', 'variant=4', '', @whole ],
        [ 'nul-bom', '', '', @any ],
        [ 'nul-bom', 'variant=3', '', @any,
            map { $_ => { others => 'upstream_invalid_event' } }
                qw(ollama ollama-generate) ],
        [ 'dup-finish', '', '', @whole ],
        [ 'content-after-finish', '', '', @any ],
        [ 'events-after-done', '', '', @whole, gemini => { text => undef } ],
        [ 'events-after-done', 'count=2000', '', tokens => TOKENS,
            gemini => { text => undef } ],
        [ 'index-order', '', '', @any, gemini => { %cut, said => 1 } ],
        [ 'index-order', 'count=300', '', @any,
            gemini => { %cut, said => 1 } ],
        [ 'unknown-event-type', '', '', @whole ],
        [ 'key-order-dup', '', '', @any ],
        [ 'deep-json', '', '', @any, others => 'upstream_invalid_event' ],
        [ 'deep-json', 'variant=2', '', @any,
            others => 'upstream_invalid_event' ],
        [ 'type-confusion', '', '', @any ],
        [ 'newline-injection', '', '', @whole ],
    );
}


sub _headers {
    return (
        [ 'x-accel', '', '', @whole ],
        [ 'hop-headers', '', '', @whole ],
    );
}


1;
