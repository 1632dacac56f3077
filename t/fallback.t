#!/usr/bin/perl

# A second provider: by error_page to a named location, and by
# llm_stream_next_upstream.  Each kind of failure against each class, which
# requests may be sent again and which never, what comes back when nobody is
# left.  The client sees one clean stream or one honest failure.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(clients streaming hello wire shown answer_json);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $first = $t->upstream;
my $second = $t->upstream;
my $third = $t->upstream;
my $e = LLMTest::Ending->new($t, $first);

my @CLASSES = qw(error timeout stale http_429 http_500 http_503 http_529
    stream_error invalid);

# A group of locations, /GROUP/CLIENT and @GROUP_CLIENT.

sub group {
    my ($name, $url, $more) = @_;
    my $text = '';

    for my $client (streaming()) {
        my $inside = "llm_stream openai http://$url;\n"
            . "            llm_stream_client $client;\n            $more";

        $inside =~ s/\@SECOND/\@second_$client/g;
        $text .= "        location /$name/$client { $inside }\n";
    }

    return $text;
}


my $locations = join '',
    group('page', '%%UPSTREAM%%',
        'error_page 429 500 502 503 504 529 = @SECOND;'),
    group('page_dead', '127.0.0.1:%%DEAD_PORT%%',
        'error_page 502 = @SECOND;'),
    group('page_narrow', '%%UPSTREAM%%', 'error_page 500 = @SECOND;'),
    group('page_content', '%%UPSTREAM%%',
        'llm_stream_gate content; error_page 429 502 = @SECOND;'),
    group('page_on', '%%UPSTREAM%%', 'error_page 429 = @SECOND;'
        . ' llm_stream_intercept_errors on;'),
    group('page_off', '%%UPSTREAM%%', 'error_page 429 502 = @SECOND;'
        . ' llm_stream_intercept_errors off;'),
    group('document', '%%UPSTREAM%%', 'error_page 429 503 /sorry;'),
    group('document_on', '%%UPSTREAM%%', 'error_page 429 503 /sorry;'
        . ' llm_stream_intercept_errors on;'),
    group('none', 'both', 'llm_stream_next_upstream off;'),
    group('default', 'both', ''),
    group('dead', 'dead_first', ''),
    group('dead_off', 'dead_first', 'llm_stream_next_upstream off;'),
    group('dead_timeout', 'dead_first', 'llm_stream_next_upstream timeout;'),
    group('all', 'both', "llm_stream_next_upstream @CLASSES;"),
    group('content', 'both', "llm_stream_next_upstream @CLASSES;"
        . ' llm_stream_gate content;'),
    group('three', 'all_three', 'llm_stream_next_upstream http_429 http_503'
        . ' stream_error;'),
    group('two_tries', 'all_three', 'llm_stream_next_upstream http_429'
        . ' http_503; llm_stream_next_upstream_tries 2;'),
    (map { group("only_$_", 'both', "llm_stream_next_upstream $_;") }
        @CLASSES);

for my $client (streaming()) {
    $locations .= <<"EOT";
        location \@second_$client {
            llm_stream openai http://%%UPSTREAM_2%%;
            llm_stream_client $client;
        }
EOT
}

$t->config(LLMTest::Ending::conf(
    main => <<'EOT',
    llm_stream_retry_budget off;
    upstream both {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
    upstream dead_first {
        server 127.0.0.1:%%DEAD_PORT%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
    upstream all_three {
        server %%UPSTREAM%% weight=1000000 max_fails=0;
        server %%UPSTREAM_2%% max_fails=0;
        server %%UPSTREAM_3%% backup max_fails=0;
    }
EOT
    server => <<"EOT",
        location = /sorry { return 200 "sorry\\n"; }
        location = /get {
            llm_stream openai http://both;
            llm_stream_client simple;
            llm_stream_prompt \$arg_message;
        }
$locations
EOT
))->start;

my @GOOD = hello('Sec', 'ond');
my $GOOD = LLMTest::Upstream::sse_head('X-Request-Id' => 'of-second')
    . join('', map { LLMTest::Upstream::chunk($_) } wire(@GOOD))
    . "0\r\n\r\n";
my $GOOD_JSON = LLMTest::Upstream::answer(200, answer_json('Second'),
    'Content-Type' => 'application/json');

my @ITEMS = hello();
my @WIRE = wire(@ITEMS);


sub status {
    my ($status, %o) = @_;
    my $body = $o{body} // "{\"error\": {\"message\":\"No, says the first.\","
        . "\"type\":\"their\",\"param\":null,\"code\":\"c$status\"} }";

    return LLMTest::Upstream::answer($status, $body,
        'Content-Type' => 'application/json', 'X-Request-Id' => 'of-first',
        'Retry-After' => 7, @{ $o{headers} || [] });
}


sub sse {
    return LLMTest::Upstream::sse_head('X-Request-Id' => 'of-first')
        . join('', map { LLMTest::Upstream::chunk($_) } @_);
}


my $ERROR = "data: {\"error\":{\"message\":\"No, says the first.\","
    . "\"type\":\"their\",\"param\":null,\"code\":429}}\n\n";

# a failure: what the first provider does, the class it belongs to, and what
# the client is told when nobody else is asked
my %FAILS = (
    http_429 => [ [ [ send => status(429) ], ['close'] ], 'http_429',
        code => 'c429', status => 429 ],
    http_500 => [ [ [ send => status(500) ], ['close'] ], 'http_500',
        code => 'c500', status => 500 ],
    http_503 => [ [ [ send => status(503) ], ['close'] ], 'http_503',
        code => 'c503', status => 503 ],
    http_529 => [ [ [ send => status(529) ], ['close'] ], 'http_529',
        code => 'c529', status => 529 ],
    http_400 => [ [ [ send => status(400) ], ['close'] ], 'none',
        code => 'c400', status => 400 ],
    stream_error => [ [ [ send => sse($ERROR) . "0\r\n\r\n" ], ['close'] ],
        'stream_error', code => '429', status => 429 ],
    html => [ [ [ send => LLMTest::Upstream::answer(200, '<html>x</html>',
        'Content-Type' => 'text/html') ], ['close'] ], 'invalid',
        code => 'upstream_content_type' ],
    not_http => [ [ [ send => "SSH-2.0-x\r\n" ], ['close'] ], 'invalid',
        code => 'upstream_protocol' ],
    empty => [ [ [ send => sse() . "0\r\n\r\n" ], ['close'] ], 'invalid',
        code => 'upstream_empty' ],
    bad_chunk => [ [ [ send => sse() . "zz\r\n" ], ['close'] ], 'invalid',
        code => 'upstream_protocol' ],
    redirect => [ [ [ send => status(302) ], ['close'] ], 'invalid',
        code => 'upstream_redirect' ],
    reset => [ [ ['reset'] ], 'none', code => 'upstream_reset' ],
    fin => [ [ ['close'] ], 'none', code => 'upstream_reset' ],
);


# second_reached($name, $group, $client, $ops, %o): sends a request whose
# first provider does these operations (undef: it is not there); complaints
# about anything but one clean stream from the second, or, with want => {...},
# about anything but that failure and no second attempt

sub bad_case {
    my ($group, $client, $ops, %o) = @_;
    my @before = ($first->connections, $second->connections);
    my ($s, @bad);

    $second->each_request([ send => $client eq 'answer'
        ? $GOOD_JSON : $GOOD ], ['close']);

    $s = $ops ? $e->ask($client, $ops, group => $group, %{ $o{open} || {} })
        : $e->send_request($client, group => $group, %{ $o{open} || {} });
    $s->wait_end;

    if ($o{want}) {
        my %want = %{ $o{want} };

        $want{logged} //= 'upstream_error' if $want{code} !~ /^upstream_/;
        $want{level} //= 'info|warn|error';
        push @bad, $e->complaints($s, %want);

    } else {
        push @bad, $e->complaints($s, items => \@GOOD, again => 1);
        push @bad, 'headers of the first: ' . $s->header('x-request-id')
            if ($s->header('x-request-id') // '') eq 'of-first'
            || $s->header('retry-after');
    }

    my $sent = $second->connections - $before[1];
    my $wanted = $o{want} ? 0 : 1;

    push @bad, "$sent requests to the second" if $sent != $wanted;
    $sent = $first->connections - $before[0];
    push @bad, "$sent requests to the first" if $sent != ($ops ? 1 : 0);

    return map { "$client: $_" } @bad;
}


sub said {
    my ($name) = @_;
    my (undef, undef, %want) = @{ $FAILS{$name} };

    return (%want, said => status($want{status}) =~ s/.*\r\n\r\n//sr)
        if $name =~ /^http_/;
    return (%want, said => $ERROR, said_body => $ERROR =~ s/^data: |\n//gr)
        if $name eq 'stream_error';
    return %want;
}


# error_page

for my $name (sort keys %FAILS) {
    my ($ops, undef, %want) = @{ $FAILS{$name} };
    my $taken = $name ne 'http_400';
    my @bad;

    for my $client (clients()) {

        # a client of one JSON document asks for no stream
        next if $client eq 'answer'
            && $name =~ /^(?:stream_error|bad_chunk|empty)$/;

        push @bad, bad_case('page', $client, $ops,
            $taken ? () : (want => { said($name) }));
    }

    $e->all_good("error_page: $name " . ($taken ? 'goes on' : 'does not'),
        @bad);
}


$e->all_good('error_page: refused',
    map { bad_case('page_dead', $_, undef) } clients());

$e->all_good('error_page: only the statuses it names',
    (map { bad_case('page_narrow', $_, $FAILS{http_503}[0],
        want => { said('http_503') }) } clients()),
    (map { bad_case('page_narrow', $_, $FAILS{http_500}[0]) } clients()));


# After content there is no way back.

{
    my @bad;

    for my $client (streaming()) {
        for my $group (qw(page all content page_content)) {
            push @bad, map { "$group: $_" } bad_case($group, $client,
                [ [ send => sse(@WIRE[ 0, 1 ], $ERROR) . "0\r\n\r\n" ],
                    ['close'] ],
                want => { items => [ @ITEMS[ 0, 1 ] ], code => '429',
                    said => $ERROR });
            push @bad, map { "$group: $_" } bad_case($group, $client,
                [ [ send => sse(@WIRE[ 0, 1 ]) ], ['close'] ],
                want => { items => [ @ITEMS[ 0, 1 ] ],
                    code => 'upstream_truncated' });
        }
    }

    $e->all_good('no second attempt after the first content', @bad);

    @bad = map { bad_case($_, 'gathered',
        [ [ send => sse(@WIRE[ 0, 1 ], $ERROR) . "0\r\n\r\n" ], ['close'] ],
        want => { code => '429', status => 429 }) } qw(all content);
    push @bad, map { bad_case($_, 'gathered',
        [ [ send => sse(@WIRE[ 0, 1 ]) ], ['close'] ],
        want => { code => 'upstream_truncated' }) } qw(all content);

    $e->all_good('nor after content that was held', @bad);
}


# The role chunk is no content: held by gate content, it is thrown away.

{
    my @bad;

    for my $client (streaming()) {
        for my $group (qw(content page_content)) {
            push @bad, map { "$group: $_" } bad_case($group, $client,
                [ [ send => sse($WIRE[0], $ERROR) . "0\r\n\r\n" ],
                    ['close'] ]);
            push @bad, map { "$group: $_" } bad_case($group, $client,
                [ [ send => sse($WIRE[0]) ], ['close'] ]);

            # more than llm_stream_buffer_size, less than opens the gate;
            # the error comes with the third read
            push @bad, map { "$group, 7 kB: $_" } bad_case($group, $client,
                [ [ send => sse(($WIRE[0]) x (7000 / length sse($WIRE[0])),
                    $ERROR =~ s/"message":"\K/'x' x 2000/er)
                    . "0\r\n\r\n" ], ['close'] ]);
        }
    }

    $e->all_good('what was held of the first is not shown', @bad);
}


# llm_stream_next_upstream, class by class against failure by failure

for my $class (@CLASSES) {
    my @bad;

    for my $name (sort keys %FAILS) {
        my ($ops, $needs) = @{ $FAILS{$name} };

        for my $client (qw(openai text gathered)) {
            push @bad, map { "$name: $_" } bad_case("only_$class", $client,
                $ops, $needs eq $class ? () : (want => { said($name) }));
        }
    }

    $e->all_good("next_upstream $class: for its own failures only", @bad);
}


for my $group (qw(none default)) {
    my @bad;

    for my $name (sort keys %FAILS) {
        for my $client (qw(openai typed)) {
            push @bad, map { "$name: $_" } bad_case($group, $client,
                $FAILS{$name}[0], want => { said($name) });
        }
    }

    $e->all_good("next_upstream $group: nothing that was sent is sent again",
        @bad);
}


{
    my @bad;

    for my $name (sort keys %FAILS) {
        my ($ops, $needs) = @{ $FAILS{$name} };

        for my $client (clients()) {
            next if $client eq 'answer' && $name =~ /^(?:stream_error|empty)$/;

            push @bad, map { "$name: $_" } bad_case('all', $client, $ops,
                $needs eq 'none' ? (want => { said($name) }) : ());
        }
    }

    $e->all_good('next_upstream with all classes', @bad);
}


$e->all_good('next_upstream: refused, by default',
    map { bad_case('dead', $_, undef) } clients());
$e->all_good('next_upstream: refused, off', map { bad_case('dead_off', $_,
    undef, want => { code => 'upstream_connect' }) } clients());
$e->all_good('next_upstream: refused is no timeout', map {
    bad_case('dead_timeout', $_, undef,
        want => { code => 'upstream_connect' }) } clients());


# The provider's word against a second attempt.

{
    my @no = (headers => [ 'x-should-retry' => 'false' ]);
    my @yes = (headers => [ 'x-should-retry' => 'true' ]);
    my @bad;

    for my $client (clients()) {
        push @bad, bad_case('all', $client,
            [ [ send => status(503, @no) ], ['close'] ],
            want => { said('http_503') });
        push @bad, bad_case('all', $client,
            [ [ send => status(503, @yes) ], ['close'] ]);
    }

    $e->all_good('x-should-retry: false forbids it', @bad);
}


# Three providers: the last one's words come back when all have failed, and
# no one is asked more often than allowed.

{
    my @words = map { "{\"error\":{\"message\":\"No, says the $_.\","
        . "\"type\":\"t\",\"param\":null,\"code\":\"$_\"}}" }
        qw(first second third);
    my @bad;

    for my $client (streaming()) {
        my @before = map { $_->connections } $first, $second, $third;

        $second->each_request([ send => status(503, body => $words[1]) ],
            ['close']);
        $third->each_request([ send => status(429, body => $words[2]) ],
            ['close']);

        my $s = $e->run($client, [ [ send => status(429,
            body => $words[0]) ], ['close'] ], group => 'three');

        push @bad, map { "$client, three: $_" } $e->complaints($s,
            code => 'third', status => 429, said => $words[2],
            logged => 'upstream_error', level => 'info|warn|error');

        $s = $e->run($client, [ [ send => status(429,
            body => $words[0]) ], ['close'] ], group => 'two_tries');

        push @bad, map { "$client, two tries: $_" } $e->complaints($s,
            code => 'second', status => 503, said => $words[1],
            logged => 'upstream_error', level => 'info|warn|error');

        my @after = map { $_->connections } $first, $second, $third;
        my $asked = join ' ', map { $after[$_] - $before[$_] } 0 .. 2;

        push @bad, "$client: asked $asked" if $asked ne '2 2 1';
    }

    $e->all_good('the last provider\'s status and words', @bad);
}


{
    my @bad;
    my $words = '{"error":{"message":"No, says the second.","type":"t",'
        . '"param":null,"code":"of_second"}}';

    for my $client (streaming()) {
        $second->each_request([ send => status(503, body => $words) ],
            ['close']);

        my $s = $e->run($client, $FAILS{http_429}[0], group => 'page');

        push @bad, map { "$client: $_" } $e->complaints($s,
            code => 'of_second', status => 503, said => $words,
            logged => 'upstream_error', level => 'info|warn|error');
    }

    $e->all_good('error_page: the second fails too', @bad);
}


# llm_stream_intercept_errors: not set, only a named location takes errors
# over; on, every error_page does; off, none.  What is no provider's status
# (here a reset) goes to error_page in any case.

{
    my @bad;

    for my $client (clients()) {
        push @bad, map { "on: $_" } bad_case('page_on', $client,
            $FAILS{http_429}[0]);
        push @bad, map { "off: $_" } bad_case('page_off', $client,
            $FAILS{http_429}[0], want => { said('http_429') });
        push @bad, map { "off, a reset: $_" } bad_case('page_off', $client,
            $FAILS{reset}[0]);

        push @bad, map { "not set, a document: $_" } bad_case('document',
            $client, $FAILS{http_429}[0], want => { said('http_429') });

        next if $client eq 'answer';

        push @bad, map { "off, in a stream: $_" } bad_case('page_off',
            $client, $FAILS{stream_error}[0],
            want => { said('stream_error') });
        push @bad, map { "on, in a stream: $_" } bad_case('page_on', $client,
            $FAILS{stream_error}[0]);
    }

    for my $name (qw(http_429 http_503 stream_error)) {
        for my $client (streaming()) {
            my $s = $e->run($client, $FAILS{$name}[0],
                group => 'document_on');

            push @bad, "on, a document, $client: " . $s->status . ' '
                . $s->body if $s->body ne "sorry\n";
        }
    }

    $e->all_good('intercept_errors: on, off, not set', @bad);
}


# A GET may be sent twice in HTTP's eyes; a completion may not.

for my $name (qw(reset fin http_503 stream_error)) {
    my @before = ($first->connections, $second->connections);
    my ($ops) = @{ $FAILS{$name} };

    $first->script(['request'], @$ops);

    my $r = $t->get('/get?message=hi&n=get');
    my $sent = join ' ', $first->connections - $before[0],
        $second->connections - $before[1];

    is($sent, '1 0', "GET, $name: sent once");
    cmp_ok($r->{status}, '>=', 400, "GET, $name: an error");
}


$t->finish;
