#!/usr/bin/perl

# Honest endings: what the provider says in its status and header.  Errors
# pass with their own status and words; what is neither a stream nor JSON is
# a 502; headers that could steer nginx or a browser never pass.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(clients streaming hello wire answer_json);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $e = LLMTest::Ending->new($t, $u);

$t->write_file('secret/file', "THE INTERNAL FILE\n");

$t->config(LLMTest::Ending::conf(
    keyed => 'llm_stream_api_key sk-test;',
    hide => 'llm_stream_hide_header x-request-id;'
        . ' llm_stream_hide_header X-RateLimit-Limit-Requests;',
    pass => 'llm_stream_pass_header X-Custom;'
        . ' llm_stream_pass_header Server-Timing;',
    server => 'location /internal/ { internal; alias %%DIR%%/secret/; }',
))->start;

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);
my $JSON = answer_json('Hello');


sub chunked {
    return join '', map { LLMTest::Upstream::chunk($_) } @_;
}


sub sse {
    my (@headers) = @_;

    return LLMTest::Upstream::sse_head(@headers) . chunked(@WIRE)
        . "0\r\n\r\n";
}


sub error_body {
    my ($code, $message) = @_;

    # not how we would write it: spaces, another order, a member more
    return "{ \"error\": {\"code\": \"$code\", \"type\": \"their_type\",\n"
        . "  \"message\": \"$message\", \"param\": \"p\", \"x\": [1] } }";
}


# Errors: the status, and for the same dialect every byte of the body.  The
# provider's own code is what other dialects are told.

my @errors = (
    [ 's400', 400, 'context_length_exceeded', 'info|warn|error' ],
    [ 's400', 404, 'model_not_found', 'info|warn|error' ],
    [ 's400', 413, 'request_too_large', 'info|warn|error' ],
    [ 's400', 422, 'unprocessable', 'info|warn|error' ],
    [ 's400', 418, 'teapot', 'info|warn|error' ],
    [ 's429', 429, 'rate_limit_exceeded', 'info|warn|error' ],
    [ 's5xx', 500, 'server_error', 'error' ],
    [ 's5xx', 502, 'bad_gateway', 'error' ],
    [ 's5xx', 503, 'overloaded', 'error' ],
    [ 's5xx', 504, 'gateway_timeout', 'error' ],
    [ 's529', 529, 'overloaded', 'warn|error' ],
    [ 's401: the key is the client\'s', 401, 'invalid_api_key',
        'warn|error' ],
    [ 's401: the key is the client\'s', 403, 'permission_denied',
        'warn|error' ],
);

for my $row (@errors) {
    my ($name, $status, $code, $level) = @$row;
    my $body = error_body($code, 'It is their fault.');
    my @cases;

    for my $client (clients()) {
        my $head = "HTTP/1.1 $status X\r\nContent-Type: application/json\r\n";

        for my $framing (
            [ length => $head . 'Content-Length: ' . length($body)
                . "\r\n\r\n$body" ],
            [ chunked => $head . "Transfer-Encoding: chunked\r\n\r\n"
                . chunked(split /(?<=,)/, $body) . "0\r\n\r\n" ],
            [ close => "${head}Connection: close\r\n\r\n$body" ])
        {
            my ($how, $bytes) = @$framing;
            my $s = $e->run($client, [ [ send => $bytes ], ['close'] ]);

            push @cases, [ "$client, $how", $s, code => $code,
                status => $status, said => $body, end => 'upstream_error',
                logged => 'upstream_error', level => $level ];
        }
    }

    $e->judge("$name: status $status", @cases);
}


# An error's body that is no JSON, or none: the status with our words.

for my $row (
    [ 's5xx: HTML', "HTTP/1.1 503 X\r\nContent-Type: text/html\r\n"
        . "Content-Length: 21\r\n\r\n<html>SECRET</html>\r\n", 503 ],
    [ 's5xx: no body', "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 500 ],
    [ 's5xx: cut JSON', "HTTP/1.1 500 X\r\nContent-Type: application/json"
        . "\r\nContent-Length: 99\r\n\r\n{\"error\":{\"SECRET", 500,
        ['close'] ],
    [ 's5xx: reset in the body', "HTTP/1.1 500 X\r\nContent-Length: 99"
        . "\r\n\r\n{\"error\":{\"SECRET", 500, ['drained'], ['reset'] ],
    [ 's529: no reason', "HTTP/1.1 529 \r\nContent-Length: 0\r\n\r\n", 529 ])
{
    my ($name, $bytes, $status, @ops) = @$row;
    my (@cases, @bad);

    for my $client (clients()) {
        my $s = $e->run($client, [ [ send => $bytes ],
            @ops ? @ops : (['close']) ]);

        push @cases, [ $client, $s, status => $status,
            code => 'upstream_error', level => 'info|warn|error' ];
        push @bad, "$client: " . $s->body if $s->body =~ /SECRET|</;
    }

    $e->judge($name, @cases);
    $e->all_good("$name: nothing of its body", @bad);
}


# With our key the words of 401 and 403 are replaced: they quote the key.

for my $status (401, 403) {
    my $body = error_body('invalid_api_key', 'Bad key: sk-te****ret.');
    my (@cases, @bad);

    for my $client (clients()) {
        my $s = $e->run($client, [ [ send => LLMTest::Upstream::answer(
            $status, $body, 'Content-Type' => 'application/json',
            'WWW-Authenticate' => 'Bearer realm="sk-te"') ], ['close'] ],
            group => 'keyed');

        push @cases, [ $client, $s, status => $status, log => 0,
            code => 'upstream_error' ];
        push @bad, $client if $s->body =~ /sk-te|Bad key/
            || $s->header('www-authenticate');
    }

    $e->judge("s401: our key, $status", @cases);
    $e->all_good("s401: our key, $status: not their words", @bad);
}


# Neither a stream nor an answer.

my $html = '<!DOCTYPE html><title>SECRET</title>';
my $found = "HTTP/1.1 302 Found\r\nLocation: http://SECRET.test/\r\n"
    . "Content-Length: 0\r\n\r\n";

my @unusable = (
    [ 'html-200', 'upstream_content_type', LLMTest::Upstream::answer(200,
        $html, 'Content-Type' => 'text/html; charset=utf-8') ],
    [ 'html-200: plain text', 'upstream_content_type',
        LLMTest::Upstream::answer(200, 'SECRET', 'Content-Type'
            => 'text/plain') ],
    [ 's204-empty: 204', 'upstream_empty',
        "HTTP/1.1 204 No Content\r\n\r\n" ],
    [ 's204-empty: length 0', 'upstream_empty', LLMTest::Upstream::answer(
        200, '', 'Content-Type' => 'text/event-stream') ],
    [ 's204-empty: length 0, JSON', 'upstream_empty',
        LLMTest::Upstream::answer(200, '', 'Content-Type'
            => 'application/json') ],
    [ 's204-empty: last chunk only', 'upstream_empty',
        LLMTest::Upstream::sse_head() . "0\r\n\r\n" ],
    [ 's204-empty: FIN after the header', 'upstream_empty',
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n", ['close'] ],
    [ 'gzip-unasked', 'upstream_encoding',
        sse('Content-Encoding' => 'gzip') ],
    [ 'gzip-unasked: br', 'upstream_encoding',
        sse('Content-Encoding' => 'br') ],
    [ 'gzip-unasked: twice', 'upstream_encoding',
        sse('Content-Encoding' => 'gzip, gzip') ],
    [ 'gzip-unasked: JSON', 'upstream_encoding', LLMTest::Upstream::answer(
        200, $JSON, 'Content-Type' => 'application/json',
        'Content-Encoding' => 'gzip') ],
    [ 'charset-other', 'upstream_content_type',
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-16"
            . "\r\nTransfer-Encoding: chunked\r\n\r\n" . chunked(@WIRE)
            . "0\r\n\r\n" ],
    [ 's3xx: 302', 'upstream_redirect', $found ],
    [ 's3xx: 307', 'upstream_redirect', $found =~ s/302 Found/307 X/r ],
    [ 's3xx: 308', 'upstream_redirect', $found =~ s/302 Found/308 X/r ],
    [ 's3xx: 304', 'upstream_redirect',
        "HTTP/1.1 304 Not Modified\r\nLocation: /SECRET\r\n\r\n" ],
    [ 's3xx: with a stream behind it', 'upstream_redirect',
        sse(Location => '/SECRET') =~ s/200 OK/301 X/r ],
);

for my $row (@unusable) {
    my ($name, $code, $bytes, @ops) = @$row;
    my (@cases, @bad);

    for my $client (clients()) {
        my $s = $e->run($client, [ [ send => $bytes ], @ops ]);

        push @cases, [ $client, $s, code => $code ];
        push @bad, $client
            if join(' ', map { @$_ } @{ $s->header_list || [] }, [ $s->body ])
            =~ /SECRET|<title|location/i;
    }

    $e->judge($name, @cases);
    $e->all_good("$name: nothing of it passes", @bad);
}


# Types and encodings that are fine.

for my $type ('text/event-stream', 'text/event-stream;charset=UTF-8',
    'TEXT/Event-Stream; charset="utf-8"', 'text/event-stream ; x=y')
{
    my $bytes = "HTTP/1.1 200 OK\r\nContent-Type: $type\r\n"
        . "Content-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"
        . chunked(@WIRE) . "0\r\n\r\n";
    my @cases;

    for my $client (streaming()) {
        push @cases, [ $client, $e->run($client, [ [ send => $bytes ],
            ['close'] ]), items => \@ITEMS ];
    }

    $e->judge("type $type", @cases);
}


# Headers.  What must pass, and what must not, in a stream and in an error.

my %pass = (
    'x-request-id' => 'req_1', 'openai-processing-ms' => '12',
    'x-ratelimit-limit-requests' => '60',
    'x-ratelimit-remaining-tokens' => '149984',
    'retry-after' => '2', 'retry-after-ms' => '1500',
    'x-should-retry' => 'true',
    'anthropic-ratelimit-requests-reset' => '2026-01-01T00:00:00Z',
);

my @never = (
    'Set-Cookie' => 'session=1', 'Alt-Svc' => 'h3=":443"',
    'Strict-Transport-Security' => 'max-age=1',
    'Access-Control-Allow-Origin' => '*',
    'Access-Control-Allow-Credentials' => 'true',
    'Location' => 'https://elsewhere.test/', 'X-Hop' => 'listed',
    'Connection' => 'x-hop', 'Keep-Alive' => 'timeout=5',
    'Proxy-Authenticate' => 'Basic', 'Content-Disposition' => 'attachment',
    'Link' => '</x>; rel=preload', 'Refresh' => '0; url=/x',
    'Upgrade' => 'h2c', 'Trailer' => 'X-T', 'Via' => '1.1 x',
    'X-Accel-Redirect' => '/internal/file', 'X-Accel-Buffering' => 'yes',
    'X-Accel-Charset' => 'koi8-r', 'X-Accel-Limit-Rate' => '1',
    'X-Accel-Expires' => '3600', 'Server' => 'provider',
    'Content-Security-Policy' => 'x', 'Date' => 'Thu, 01 Jan 1970',
    'WWW-Authenticate' => 'Bearer', 'X-Custom' => 'custom',
);


# what is wrong with the headers of a response

sub bad_headers {
    my ($s, %want) = @_;
    my %have = %{ $s->headers || {} };
    my %never = @never;
    my @bad;

    for my $name (sort keys %{ $want{pass} || {} }) {
        push @bad, "$s->{client}: no $name"
            if ($have{$name} // '') ne $want{pass}{$name};
    }

    for my $name (sort keys %never) {
        next if !defined $have{ lc $name };
        next if $want{pass} && defined $want{pass}{ lc $name };
        push @bad, "$s->{client}: $name passes"
            if index($have{ lc $name }, $never{$name}) >= 0;
    }

    push @bad, "$s->{client}: " . $s->body if $s->body =~ /INTERNAL/;

    return @bad;
}


{
    my (@cases, @bad);

    for my $client (clients()) {
        my $s = $e->run($client, [ [ send => $client eq 'answer'
            ? LLMTest::Upstream::answer(200, $JSON, %pass, @never,
                'Content-Type' => 'application/json')
            : sse(%pass, @never) ], ['close'] ]);

        push @cases, [ $client, $s, items => \@ITEMS ];
        push @bad, bad_headers($s, pass => \%pass);
    }

    $e->judge('x-accel, hop-headers: the stream is unharmed', @cases);
    $e->all_good('x-accel, hop-headers: only the allowed pass', @bad);

    (@cases, @bad) = ();
    my $body = error_body('rate_limit_exceeded', 'Wait a moment.');

    for my $client (clients()) {
        my $s = $e->run($client, [ [ send => LLMTest::Upstream::answer(429,
            $body, %pass, @never, 'Content-Type' => 'application/json') ],
            ['close'] ]);

        push @cases, [ $client, $s, code => 'rate_limit_exceeded',
            status => 429, said => $body, logged => 'upstream_error',
            level => 'info|warn|error' ];
        push @bad, bad_headers($s, pass => \%pass);
    }

    $e->judge('s429: with all headers', @cases);
    $e->all_good('s429: the retry headers pass, others not', @bad);
}


# A provider cannot make nginx buffer or slow down: X-Accel-* did nothing.
# The event is there before the next is sent.

{
    my $s = $e->ask('openai', [], more => { user => 'x-accel' });
    my $peer = $u->peer($s->{peer});
    my $seen = 0;

    $peer->request;
    $peer->sse_head(@never);

    for my $bytes (@WIRE) {
        $peer->chunk($bytes);
        $seen++ if ($s->read_event // {})->{data};
    }

    is($seen, @WIRE, 'x-accel: each event before the next');
    is($s->header('x-accel-buffering'), 'no', 'x-accel: ours is sent');
    $peer->last_chunk;
    is($s->wait_end, 'complete', 'x-accel: ended');
    $peer->close;
}


# hide_header and pass_header.

{
    my $s = $e->run('simple', [ [ send => sse(%pass, @never) ],
        ['close'] ], group => 'hide');
    my %have = %{ $s->headers };

    ok(!defined $have{'x-request-id'}, 'hide_header: a request id');
    ok(!defined $have{'x-ratelimit-limit-requests'},
        'hide_header: whatever its case');
    is($have{'x-ratelimit-remaining-tokens'}, 149984,
        'hide_header: only that');

    $s = $e->run('simple', [ [ send => sse(%pass, @never,
        'Server-Timing' => 'total;dur=1') ], ['close'] ],
        group => 'pass');
    %have = %{ $s->headers };

    is($have{'x-custom'}, 'custom', 'pass_header: one more');
    is($have{'server-timing'}, 'total;dur=1', 'pass_header: and another');
    $e->all_good('pass_header: nothing else', bad_headers($s,
        pass => { %pass, 'x-custom' => 'custom' }));

    for my $name (qw(Set-Cookie X-Accel-Redirect Location Content-Length
        Access-Control-Allow-Origin Content-Encoding Alt-Svc))
    {
        my ($status, $output) = $t->check_config(LLMTest::Ending::conf(
            '' => "llm_stream_pass_header $name;"));

        isnt($status, 0, "pass_header $name is refused");
        like($output, qr/pass_header\b.* in \S+:\d+|$name.* in \S+:\d+/,
            "pass_header $name: and says where");
    }
}


# Our own headers on a stream: never stored, never sniffed, no length.

for my $client (streaming()) {
    my $s = $e->run($client, [ [ send => sse() ], ['close'] ]);
    my %have = %{ $s->headers };
    my $type = $client eq 'text' ? 'text/plain; charset=utf-8'
        : 'text/event-stream; charset=utf-8';

    is($have{'content-type'}, $type, "headers, $client: type");
    is($have{'cache-control'}, 'no-store, no-transform',
        "headers, $client: no store");
    is($have{'x-content-type-options'}, 'nosniff',
        "headers, $client: no sniffing");
    ok(!defined $have{'content-length'}, "headers, $client: no length");
}


# An error's body in bad chunks: the status is known, the body does not
# matter.  The last test of the file: it has hung a worker.

for my $client ('openai', 'text') {
    my $s = $e->run($client, [ [ send => "HTTP/1.1 429 X\r\n"
        . "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n" ],
        ['close'] ]);

    $e->check("s429: bad chunks, $client", $s, status => 429,
        code => 'upstream_error', level => 'info|warn|error');
}


$t->finish;
