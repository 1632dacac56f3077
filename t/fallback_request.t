#!/usr/bin/perl

# A second provider gets the whole request again: bodies in memory and in a
# temporary file, rewritten for the second location's own model, key and
# parameters.  Pooled connections that turn out to be closed.  Timers of the
# first attempt are not those of the second.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(hello wire);
use LLMTest::Upstream;
use LLMTest::Wait qw(slow);

my $t = LLMTest->new;
my $first = $t->upstream;
my $pooled = $t->upstream;
my $late = $t->upstream;
my $mock = $t->mock;
my $e = LLMTest::Ending->new($t, $first);

# it moves when the test says so: two times are compared below
my $clock = LLMTest::Clock->new($t);

# the client's own key nginx itself logs, at debug level
$t->canary('sk-CANARY-first', 'sk-CANARY-second');

$t->config(LLMTest::Ending::conf(
    main => <<'EOT',
    client_max_body_size 32m;
    upstream both {
        server %%UPSTREAM%% max_fails=0;
        server %%MOCK%% backup max_fails=0;
    }
    upstream with_late {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM_3%% backup max_fails=0;
    }
    upstream one_pooled {
        server %%UPSTREAM_2%% max_fails=0;
        keepalive 4;
    }
    llm_stream_heartbeat off;
EOT
    server => <<'EOT',
        location /memory {
            client_body_buffer_size 8m;
            llm_stream openai http://both;
            llm_stream_next_upstream http_503;
        }
        location /file {
            client_body_buffer_size 8k;
            llm_stream openai http://both;
            llm_stream_next_upstream http_503;
        }
        location /always_file {
            client_body_in_file_only clean;
            llm_stream openai http://both;
            llm_stream_next_upstream stream_error;
        }
        location /memory_page {
            client_body_buffer_size 8m;
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key sk-CANARY-first;
            llm_stream_model first-model;
            llm_stream_param top_p 0.25;
            llm_stream_param user '"first"';
            llm_stream_set_header X-First 1;
            error_page 429 502 503 504 = @second;
        }
        location /file_page {
            client_body_buffer_size 8k;
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key sk-CANARY-first;
            llm_stream_model first-model;
            error_page 429 502 503 504 = @second;
        }
        location @second {
            llm_stream openai http://%%MOCK%%;
            llm_stream_api_key sk-CANARY-second;
            llm_stream_model second-model;
            llm_stream_param temperature 0.5;
            llm_stream_set_header X-Second 2;
        }
        location /direct {
            client_body_buffer_size 8m;
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key sk-CANARY-second;
            llm_stream_model second-model;
            llm_stream_param temperature 0.5;
            llm_stream_set_header X-Second 2;
        }
        location = /get {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
            llm_stream_prompt $arg_message;
            llm_stream_model first-model;
            error_page 429 502 503 = @second_get;
        }
        location @second_get {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client simple;
            llm_stream_prompt $arg_message;
            llm_stream_model second-model;
        }
        location /stale {
            llm_stream openai http://one_pooled;
        }
        location /stale_off {
            llm_stream openai http://one_pooled;
            llm_stream_next_upstream error timeout;
        }
        location /late/openai {
            llm_stream openai http://with_late;
            llm_stream_next_upstream http_503;
            llm_stream_first_token_timeout %%MS_500%%;
            llm_stream_total_timeout off;
        }
        location /late/typed {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client typed;
            llm_stream_first_token_timeout %%MS_500%%;
            llm_stream_total_timeout %%MS_700%%;
            llm_stream_heartbeat %%MS_300%%;
            error_page 503 504 = @late;
        }
        location @late {
            llm_stream openai http://%%UPSTREAM_3%%;
            llm_stream_client typed;
            llm_stream_first_token_timeout off;
            llm_stream_total_timeout off;
        }
        location /budget/openai {
            llm_stream openai http://with_late;
            llm_stream_next_upstream http_503;
            llm_stream_next_upstream_timeout %%MS_300%%;
        }
EOT
))->start(env => $clock->env);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $BUSY = LLMTest::Upstream::answer(503, '{"error":{"message":"Busy.",'
    . '"type":"t","param":null,"code":"busy"}}',
    'Content-Type' => 'application/json');
my $ERROR = LLMTest::Upstream::stream(
    "data: {\"error\":{\"message\":\"Busy.\",\"code\":503}}\n\n");
my @ITEMS = hello();
my @GOOD = ([ send => LLMTest::Upstream::stream(wire(@ITEMS)) ]);


# a request body of about n bytes, every part of it different

sub body {
    my ($n, %more) = @_;
    my $text = join ' ', map { sprintf 'word%07d', $_ } 1 .. $n / 12;

    return $json->encode({ model => 'mock', stream => JSON::PP::true(),
        messages => [ { role => 'user', content => "$text \x{e9}" } ],
        zzz => [ 1, 'unknown', { a => undef } ], %more });
}


# sends a body; the first provider's request, the mock's record of its own,
# and the response

sub both {
    my ($path, $body, $ops) = @_;
    my $n = $first->connections + 1;

    $first->script(['request'], @$ops, ['close']);
    $mock->reset;

    my $r = $t->http('POST', $path, { 'Content-Type' => 'application/json',
        Authorization => 'Bearer sk-of-client' }, $body);
    my $request = $first->peer($n)->request;
    my @seen = $mock->requests;

    is($r->{status}, 200, "$path: status") or diag($r->{body});
    ok($r->{complete}, "$path: complete");
    is($r->{events}[-1]{data}, '[DONE]', "$path: terminator");
    is(scalar @seen, 1, "$path: one request to the second");

    return ($request, $seen[0], $r);
}


# The same location: byte for byte the same, whatever its size and place.

for my $row (
    [ '/memory', 200 ], [ '/memory', 100_000 ], [ '/memory', 2_000_000 ],
    [ '/file', 20_000 ], [ '/file', 2_000_000 ], [ '/always_file', 200 ],
    [ '/always_file', 1_000_000 ])
{
    my ($path, $size) = @$row;

    subtest "next_upstream: $path, $size bytes" => sub {
        my ($request, $seen) = both($path, body($size),
            [ [ send => $path eq '/always_file' ? $ERROR : $BUSY ] ]);

        is($seen->{body_sha256}, sha256_hex($request->{body}),
            'the second got the same body');
        cmp_ok(length $request->{body}, '>=', $size, 'all of it');
        is($request->{headers}{'content-length'}, length $request->{body},
            'with its length');

        # too large to be decoded in reasonable time
        my ($messages) = body($size) =~ /("messages":\[\{.*?\}\])/s;

        ok(index($request->{body}, $messages) > 0, 'the messages');
        like($request->{body}, qr/"zzz":\[1,"unknown",\{"a":null\}\]/,
            'the unknown member');
    };
}


# Another location: the client's own body, rewritten for that location, with
# nothing of the first in it.

for my $row ([ '/memory_page', 500 ], [ '/memory_page', 500_000 ],
    [ '/file_page', 30_000 ], [ '/file_page', 500_000 ])
{
    my ($path, $size) = @$row;

    subtest "error_page: $path, $size bytes" => sub {
        my ($request, $seen) = both($path, body($size), [ [ send => $BUSY ] ]);
        my $to_first = $json->decode($request->{body});
        my %expected = (%{ $json->decode(body($size)) },
            model => 'second-model', temperature => 0.5,
            stream_options => { include_usage => JSON::PP::true() });
        my $headers = $json->encode($seen->{headers});

        is($to_first->{model}, 'first-model', 'the first\'s model');
        is($request->{headers}{authorization}, 'Bearer sk-CANARY-first',
            'the first\'s key');
        like($headers, qr/Bearer sk-CANARY-second/, 'the second\'s key');
        unlike($headers, qr/CANARY-first|of-client|X-First/i,
            'nothing of the first in its header');
        like($headers, qr/X-Second/i, 'its own header');

        # what such a location makes of that body when it is asked directly
        my $sent = direct($size);

        is($seen->{body_sha256}, sha256_hex($sent), 'the body, rewritten')
            or diag($seen->{body});
        is_deeply($json->decode($sent), \%expected, 'as expected');
    };
}


sub direct {
    my ($size) = @_;
    my $n = $first->connections + 1;

    $first->script(['request'], @GOOD, ['close']);
    $t->http('POST', '/direct', { 'Content-Type' => 'application/json' },
        body($size));

    return $first->peer($n)->request->{body};
}


# A GET's prompt is made a request again by the second location.

subtest 'error_page: a GET with a prompt' => sub {
    my $n = $first->connections + 1;

    $first->script(['request'], [ send => $BUSY ], ['close']);
    $mock->reset;

    my $r = $t->get('/get?message=hi%20there');
    my ($seen) = $mock->requests;
    my $to_first = $json->decode($first->peer($n)->request->{body});
    my $to_second = $json->decode($seen->{body});

    is($r->{status}, 200, 'status');
    is($r->{events}[-1]{data}, '{"done":true}', 'terminator');
    is($to_first->{model}, 'first-model', 'the first\'s model');
    is($to_second->{model}, 'second-model', 'the second\'s');
    is_deeply($to_second->{messages}, $to_first->{messages}, 'messages');
    is($to_second->{messages}[-1]{content}, 'hi there', 'the prompt');
    is($seen->{method}, 'POST', 'a POST to the provider');
};


# A pooled connection that the provider closes when the request is on its
# way: nothing of an answer came, so a new connection is tried, once.
# (stale-keepalive)

sub stale {
    my ($name, $group, $ops, $next, %want) = @_;
    my $before = $pooled->connections;

    $pooled->script(['request'], @GOOD, ['request'], @$ops);

    my $s = $e->send_request('openai', group => $group);
    $e->check("$name: the first request", $s, items => \@ITEMS);

    $pooled->script(['request'], @$next) if $next;

    $s = $e->send_request('openai', group => $group);
    $e->check($name, $s, again => 1, $want{code} ? %want
        : (items => \@ITEMS));
    is($pooled->connections - $before, $next ? 2 : 1, "$name: connections");

    return if !$next;

    my $peer = $pooled->peer($before + 1);
    my @bodies = map { $_->request->{body} }
        $peer, $peer, $pooled->peer($before + 2);
    is($bodies[2], $bodies[1], "$name: the same request");

    return;
}


stale('stale-keepalive: FIN', 'stale', [ ['close'] ], [ @GOOD, ['close'] ]);
stale('stale-keepalive: RST', 'stale', [ ['reset'] ], [ @GOOD, ['close'] ]);
stale('stale-keepalive: twice', 'stale', [ ['close'] ], [ ['close'] ],
    code => 'upstream_reset');
stale('stale-keepalive: not asked for', 'stale_off', [ ['close'] ], undef,
    code => 'upstream_reset');
stale('stale-keepalive: a byte came', 'stale',
    [ [ send => 'H' ], ['close'] ], undef, code => 'upstream_protocol');
stale('stale-keepalive: a status came', 'stale',
    [ [ send => $BUSY ], ['close'] ], undef, code => 'busy', status => 503,
    said => $BUSY =~ s/.*\r\n\r\n//sr, logged => 'upstream_error');


# The timers of the first attempt.

sub forward {
    my ($seconds) = @_;

    $clock->advance($seconds * slow());

    # nginx has seen the time, and done what was due, before this is answered
    $t->get('/nothing');

    return;
}


subtest 'next_upstream: each attempt has its own time' => sub {
    my $s = $e->ask('openai', [], group => 'late');
    my $peer = $first->peer($s->{peer});

    ok($peer->request, 'the first is asked');
    forward(0.35);
    $peer->send($BUSY);
    $peer->close;

    my ($next, $request) = $late->take;
    ok($request, 'the second is asked');
    forward(0.35);
    $next->send($GOOD[0][1]);

    $e->check('complete', $s, items => \@ITEMS, again => 1);
    $next->close;
};


for my $how ('a status', 'its timer') {
    subtest "error_page after $how: no timer of the first is left" => sub {
        my $s = $e->ask('typed', [], group => 'late');
        my $peer = $first->peer($s->{peer});

        ok($peer->request, 'the first is asked');
        $how eq 'a status' ? $peer->send($BUSY) : forward(0.6);

        my ($next, $request) = $late->take;
        ok($request, 'the second is asked');
        ok($peer->wait_close, 'the first is closed');

        # longer than first-token, total and heartbeat time of the first
        $next->sse_head;
        $next->chunk((wire(@ITEMS))[ 0, 1 ]);
        ok($s->read_events(2), 'the first events');
        forward(1.2);
        $s->poll;
        is($s->ended, undef, 'it is not ended');

        $next->chunk((wire(@ITEMS))[ 2 .. 4 ]);
        $next->last_chunk;
        $e->check('complete, and no heartbeat', $s, items => \@ITEMS,
            again => 1);
        $next->close;
    };
}


# llm_stream_next_upstream_timeout: no second attempt after it.

subtest 'next_upstream_timeout' => sub {
    my $before = $late->connections;
    my $s = $e->ask('openai', [], group => 'budget');
    my $peer = $first->peer($s->{peer});

    $peer->request;
    $peer->send($BUSY);

    my ($next) = $late->take;
    $next->send($GOOD[0][1]);
    $e->check('in time: the second is asked', $s, items => \@ITEMS,
        again => 1);
    $peer->close;
    $next->close;

    $s = $e->ask('openai', [], group => 'budget');
    $peer = $first->peer($s->{peer});
    $peer->request;
    forward(0.4);
    $peer->send($BUSY);
    $e->check('too late: the first one\'s status', $s, code => 'busy',
        status => 503, said => $BUSY =~ s/.*\r\n\r\n//sr,
        logged => 'upstream_error');
    is($late->connections, $before + 1, 'the second is not asked');
    $peer->close;
};


$t->finish;
