#!/usr/bin/perl

# What is sent again, and to whom: each class of failure with one server and
# with several, what never is, how a provider's word for or against it counts,
# and what the client gets when it is given up: the last status and body that
# a provider gave, nothing of a failed attempt.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Ending qw(clients streaming hello wire answer_json);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $first = $t->upstream;
my $second = $t->upstream;
my $e = LLMTest::Ending->new($t, $first);

my @STATUSES = (408, 409, 429, 500, 502, 503, 504, 529);
my $ALL = join ' ', 'error timeout stale http_403 http_404', (map { "http_$_" }
    @STATUSES), 'stream_error invalid';

sub group {
    my ($name, $url, $more) = @_;

    return join '', map { <<"EOT" } streaming();
        location /$name/$_ {
            llm_stream openai http://$url;
            llm_stream_client $_;
            $more
        }
EOT
}


sub next_is {
    my ($classes, $more) = @_;

    return "llm_stream_next_upstream $classes; " . ($more // '');
}


$t->config(LLMTest::Ending::conf(
    main => <<'EOT',
    llm_stream_retry_budget off;
    llm_stream_total_timeout %%MS_30000%%;

    upstream one { server %%UPSTREAM%%; }
    upstream pooled { server %%UPSTREAM%%; keepalive 4; }
    upstream dead_next {
        server %%UPSTREAM%% max_fails=0;
        server 127.0.0.1:%%DEAD_PORT%% backup max_fails=0;
    }
    upstream both {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
    upstream counted {
        server %%UPSTREAM%% max_fails=1 fail_timeout=600s;
        server %%UPSTREAM_2%% backup max_fails=0;
    }
    upstream equal {
        server %%UPSTREAM%% fail_timeout=600s;
        server %%UPSTREAM_2%% backup fail_timeout=600s;
    }
EOT
    server => join('',
        group('default', '%%UPSTREAM%%', ''),
        group('all', '%%UPSTREAM%%', next_is($ALL)),
        group('name', 'localhost:%%PORT_NAME%%', next_is($ALL)),
        group('one', 'one', next_is($ALL)),
        group('variable', '$arg_host', next_is($ALL)),
        group('pooled', 'pooled', next_is($ALL)),
        group('content', '%%UPSTREAM%%',
            next_is($ALL, 'llm_stream_gate content;')),
        group('short', '%%UPSTREAM%%', next_is($ALL,
            'llm_stream_gate content; llm_stream_first_token_timeout '
            . '%%MS_2000%%;')),
        group('tries_1', '%%UPSTREAM%%',
            next_is($ALL, 'llm_stream_next_upstream_tries 1;')),
        group('tries_3', '%%UPSTREAM%%',
            next_is($ALL, 'llm_stream_next_upstream_tries 3;')),
        group('both', 'both', next_is($ALL)),
        group('both_4', 'both',
            next_is($ALL, 'llm_stream_next_upstream_tries 4;')),
        group('both_3', 'both',
            next_is($ALL, 'llm_stream_next_upstream_tries 3;')),
        group('counted', 'counted', next_is($ALL)),
        group('equal_4', 'equal',
            next_is($ALL, 'llm_stream_next_upstream_tries 4;')),
        group('dead_next', 'dead_next', next_is($ALL)),
        (map { group("only_$_", '%%UPSTREAM%%', next_is($_)) }
            qw(error timeout stale stream_error invalid http_403 http_404),
            map { "http_$_" } @STATUSES),
        '        location /page/simple {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
            llm_stream_next_upstream http_429;
            error_page 429 = @page;
        }
        location @page {
            llm_stream openai http://%%UPSTREAM_2%%;
            llm_stream_client simple;
        }
')) =~ s/%%PORT_NAME%%/$first->port/ger)->start;

my @GOOD = hello('Sec', 'ond');
my @GOOD_WIRE = wire(@GOOD);

# so that a test takes no longer than it must
my @SOON = ('Retry-After-Ms' => 1);


sub status {
    my ($status, %o) = @_;
    my $name = $o{name} // "c$status";
    my $body = $o{body} // "{\"error\": {\"message\":\"No, says $name.\","
        . "\"type\":\"their\",\"param\":null,\"code\":\"$name\"} }";

    return [ send => LLMTest::Upstream::answer($status, $body,
        'Content-Type' => 'application/json', @SOON,
        @{ $o{headers} || [] }) ];
}


sub sse {
    return LLMTest::Upstream::sse_head(@SOON)
        . join('', map { LLMTest::Upstream::chunk($_) } @_);
}


sub whole { return [ send => sse(@_) . "0\r\n\r\n" ] }


sub good {
    my ($client) = @_;

    return $client eq 'answer'
        ? [ send => LLMTest::Upstream::answer(200, answer_json('Second'),
            'Content-Type' => 'application/json') ]
        : whole(@GOOD_WIRE);
}


sub event {
    my ($code) = @_;

    return "data: {\"error\":{\"message\":\"No, it says.\",\"type\":\"their\","
        . "\"param\":null,\"code\":$code}}\n\n";
}


# attempts($client, $group, [ @ops ], ...): a request whose attempts at the
# first server go like this; the stream, when it has ended

sub attempts {
    my ($client, $group, @attempts) = @_;

    $first->script(['request'], @$_, ['close']) for @attempts;

    my $s = $e->send_request($client, group => $group);

    $s->wait_end;

    return $s;
}


# complaints about anything but this number of requests to the servers, and
# the end that is wanted: success if nothing is said

sub bad_case {
    my ($client, $group, $attempts, %o) = @_;
    my @before = ($first->connections, $second->connections);
    my $s = attempts($client, $group, @$attempts);
    my @bad;

    if ($o{code}) {
        $o{logged} //= 'upstream_error' if $o{code} !~ /^upstream_/;
        push @bad, $e->complaints($s, level => 'info|warn|error', %o);

    } else {
        push @bad, $e->complaints($s, items => \@GOOD, again => 1);
    }

    my $sent = join ' ', $first->connections - $before[0],
        $second->connections - $before[1];
    my $want = $o{sent} // scalar @$attempts . ' 0';

    push @bad, "sent $sent, not $want" if $sent ne $want;

    # what was not asked for must not answer the next case
    while ($first->connections < $before[0] + @$attempts) {
        IO::Socket::INET->new(PeerAddr => $first->address)
            or die "connect: $!";
        $first->accept(1);
    }

    return map { "$group, $client: $_" } @bad;
}


# One server: each status and each failure of a stream, asked again when its
# class is named and not otherwise.

for my $status (@STATUSES) {
    my @bad;

    for my $client (clients()) {
        push @bad, bad_case($client, "only_http_$status",
            [ [ status($status) ], [ good($client) ] ]);
        push @bad, bad_case($client, 'only_stream_error',
            [ [ status($status) ] ], code => "c$status", status => $status);
    }

    $e->all_good("R2: $status", @bad);
}


{
    my %fails = (
        stream_error => [ [ whole(event(429)) ], [ whole(event(503)) ] ],
        invalid => [ [ whole() ], [ [ send => sse() . "zz\r\n" ] ],
            [ [ send => "SSH-2.0-x\r\n" ] ], [ [ send => sse() ] ] ],
    );

    for my $class (sort keys %fails) {
        my $other = $class eq 'invalid' ? 'stream_error' : 'invalid';
        my @bad;

        for my $ops (@{ $fails{$class} }) {
            for my $client (streaming()) {
                push @bad, bad_case($client, "only_$class",
                    [ $ops, [ good($client) ] ]);

                my $before = $first->connections;
                my $s = attempts($client, "only_$other", $ops);

                push @bad, "$other, $client: not a failure"
                    if $s->status < 400;
                push @bad, "$other, $client: sent again"
                    if $first->connections != $before + 1;
            }
        }

        $e->all_good("R3: $class", @bad);
    }
}


$e->all_good('R1: what was sent and not answered is not sent again',
    map { bad_case($_, 'all', [ [] ], code => 'upstream_reset') } clients());

$e->all_good('403 and 404 are for other servers only',
    map { bad_case($_, 'all', [ [ status(404) ] ], code => 'c404',
        status => 404) } clients());

$e->all_good('nothing by default',
    map { bad_case($_, 'default', [ [ status(503) ] ], code => 'c503',
        status => 503) } clients());


# Whatever the server's address is made of.

for my $group (qw(one name pooled all)) {
    $e->all_good("one server: $group",
        map { bad_case($_, $group, [ [ status(503) ], [ good($_) ] ]) }
        clients());
}


{
    $first->script(['request'], @$_, ['close']) for [ status(503) ],
        [ good('simple') ];

    my $s = $t->open(method => 'POST', path => '/variable/simple?host='
        . $first->address, body => { stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    $s->wait_end;
    is($s->body, LLMTest::Ending::shown('simple', @GOOD),
        'one server: of a URL with variables');
}


# The role, and all that came before content, is gone with its attempt.

{
    my @role = wire(['role']);
    my @early = (
        [ [ send => sse(@role) ] ],
        [ whole(@role, event(503)) ],
        [ whole(": ping\n\n", @role, event(429)) ],
        [ whole(@role) ],
    );
    my @bad;

    for my $ops (@early) {
        push @bad, bad_case($_, 'content', [ $ops, [ good($_) ] ])
            for streaming(), 'gathered';
    }

    push @bad, bad_case($_, 'short', [ [ [ send => sse(@role) ],
        ['wait_close'] ], [ good($_) ] ]) for streaming();

    $e->all_good('R3: what was held is discarded', @bad);
}


# Content, reasoning or a tool call: never again.

{
    my @role = wire(['role']);
    my %content = (
        text => wire([ text => 'Hel' ]),
        reasoning => LLMTest::Ending::chunk('{"reasoning_content":"Hm."}'),
        tool => LLMTest::Ending::chunk('{"tool_calls":[{"index":0,"id":"t",'
            . '"type":"function","function":{"name":"f","arguments":""}}]}'),
    );
    my @bad;

    for my $what (sort keys %content) {
        for my $client (streaming(), 'gathered') {
            for my $end ('', event(503)) {
                my $before = $first->connections;

                attempts($client, 'content', [ [ send => sse(@role,
                    $content{$what}, $end) ] ]);
                push @bad, "$what, $client: sent again"
                    if $first->connections != $before + 1;
            }
        }
    }

    $e->all_good('R4: never after content', @bad);
}


# The provider's word.

{
    my @no = (headers => [ 'X-Should-Retry' => 'false' ]);
    my @yes = (headers => [ 'x-should-retry' => 'True' ]);
    my @bad;

    for my $client (clients()) {
        push @bad, bad_case($client, 'all', [ [ status(503, @no) ] ],
            code => 'c503', status => 503);
        push @bad, bad_case($client, 'only_http_503',
            [ [ status(400, @yes) ], [ good($client) ] ]);
        push @bad, bad_case($client, 'only_http_503', [ [ status(400) ] ],
            code => 'c400', status => 400);
        push @bad, bad_case($client, 'only_invalid', [ [ status(503, @yes) ] ],
            code => 'c503', status => 503);
    }

    $e->all_good('x-should-retry', @bad);
}


# Given up: the last status and the last body, as often as was allowed.

{
    my @bad;

    for my $client (clients()) {
        push @bad, bad_case($client, 'all',
            [ [ status(500) ], [ status(429, name => 'last') ] ],
            code => 'last', status => 429,
            said => status(429, name => 'last')->[1] =~ s/.*\r\n\r\n//sr);
        push @bad, bad_case($client, 'tries_1', [ [ status(500) ] ],
            code => 'c500', status => 500);
        push @bad, bad_case($client, 'tries_3', [ [ status(500) ],
            [ status(500) ], [ status(503, name => 'last') ] ],
            code => 'last', status => 503);
        push @bad, bad_case($client, 'tries_3',
            [ [ status(500) ], [ status(429) ], [ good($client) ] ]);
    }

    $e->all_good('the last status and body', @bad);
}


# After an answer comes none: the client is told the answer.

{
    my @bad;

    for my $group ('dead_next') {
        for my $client (clients()) {
            push @bad, bad_case($client, $group,
                [ [ status(429, headers => [ 'Retry-After' => 7 ]) ] ],
                code => 'c429', status => 429,
                said => status(429)->[1] =~ s/.*\r\n\r\n//sr);
        }

        for my $client (streaming()) {
            push @bad, bad_case($client, $group, [ [ whole(event(503)) ] ],
                code => '503', status => 503);
        }

        my $s = attempts('simple', $group, [ [ send =>
            LLMTest::Upstream::answer(429, '{"error":{"message":"x"}}',
                'Content-Type' => 'application/json',
                'Retry-After' => 7) ] ]);

        push @bad, "$group: no Retry-After"
            if ($s->header('retry-after') // '') ne '7';
    }

    # the second attempt at the same server is closed without a byte
    push @bad, bad_case($_, 'all', [ [ status(429) ], [] ], code => 'c429',
        status => 429) for clients();

    $e->all_good('the original answer when nobody else answers', @bad);
}


# Two servers: each once and no more, unless more attempts are allowed; then
# in turn, and the wait is before the first is asked again.

{
    my @bad;

    for my $client (clients()) {
        my $no = status(503, name => 'second');

        $second->each_request($no, ['close']);
        push @bad, bad_case($client, 'both', [ [ status(503) ] ],
            code => 'second', status => 503, sent => '1 1');
        push @bad, bad_case($client, 'both_4', [ [ status(503) ],
            [ status(500) ] ], code => 'second', status => 503,
            sent => '2 2');
        push @bad, bad_case($client, 'both_3', [ [ status(503) ],
            [ status(500, name => 'third') ] ], code => 'third',
            status => 500, sent => '2 1');
        push @bad, bad_case($client, 'both_4', [ [ status(503) ],
            [ good($client) ] ], sent => '2 1');
    }

    $e->all_good('two servers', @bad);

    # both count as failed after the first round: the answer is still theirs
    my $s = attempts('simple', 'equal_4', [ status(503) ]);

    like($s->body, qr/"code":"second"/, 'two that have failed');
    ok((grep { /no live upstreams/ } $e->error_lines($s)),
        'and are not asked');
}


# What a client asks wrongly, a model that is not there, takes no server away
# from the others; as in nginx all else does.

{
    $second->each_request(whole(@GOOD_WIRE), ['close']);

    $e->all_good('403 and 404 do not count as failures of a server',
        map { bad_case('simple', 'counted', [ [ status($_) ] ],
            sent => '1 1') } 404, 403, 404, 503);
    $e->all_good('503 does',
        bad_case('simple', 'counted', [], sent => '0 1'));
}


# error_page has its turn when nobody is asked again.

{
    $second->each_request(whole(@GOOD_WIRE), ['close']);

    my @bad = bad_case('simple', 'page', [ [ status(429) ],
        [ status(429) ] ], sent => '2 1');

    push @bad, bad_case('simple', 'page', [ [ status(429) ],
        [ good('simple') ] ]);

    $e->all_good('error_page after the last attempt', @bad);
}


$t->finish;
