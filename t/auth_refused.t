#!/usr/bin/perl

# A token that the model refuses: renewed once for all that were refused with
# it, and the request sent again, with its whole body, unless something was
# sent to the client; a second refusal is the provider's and goes to the
# client; one that is refused for ever costs little.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask open_call bearer
    counts CLIENTS);
use LLMTest::Clock;
use LLMTest::Chat qw(delta reply);
use LLMTest::Upstream;
use LLMTest::Wait qw(wait_for);

my $t = LLMTest->new(log_level => 'info');

# so long that no block renews its token by itself while the clock is turned
my $mock = $t->mock(args => [ '--life', 100_000 ]);
my $u = $t->upstream;
my $clock = LLMTest::Clock->new($t);
my $STREAMS = 100;

# what clients are told of 401 and 403: providers quote credentials
my $REFUSED = qr/"message":"The provider reported an error."/;

my @BLOCKS = qw(once many ever scripted pool failing leaves-h1 leaves-h2);

$t->write_file('secret', 'the-secret');
$t->config(conf(
    main => 'worker_processes 4;',
    http => join('', map { provider($_, $_ eq 'many' ? (timeout => '1000s',
        url => 'http://%%UPSTREAM%%/t') : ()) } @BLOCKS)
        . 'upstream pool { server %%UPSTREAM%% max_fails=1; keepalive 4; }',
    server => join('', map { location("/$_", auth => $_) } @BLOCKS)
        . join('', map { location("/client/$_", client => $_,
        auth => 'once') } CLIENTS)
        . location('/to-upstream', auth => 'scripted',
            to => 'http://%%UPSTREAM%%')
        . location('/to-pool', auth => 'pool', to => 'http://pool')
        . location('/intercepted', auth => 'ever',
            more => 'error_page 401 = @fallback; '
                . 'llm_stream_intercept_errors on;')
        . location('@fallback', more => 'llm_stream_api_key of-fallback; '
            . 'llm_stream_set_header X-Mock token=0;'),
    listen => 'listen 127.0.0.1:%%PORT_0%% reuseport; '
        . 'client_body_buffer_size 1k; client_max_body_size 4m;',
))->start(env => $clock->env);


sub refusal {
    my ($status, $body) = @_;

    return LLMTest::Upstream::answer($status, $body // '{"error":{"message":'
        . '"Your token is over.","type":"their_error","param":null,"code":'
        . '"their_code"}}', 'Content-Type' => 'application/json');
}


for my $status (401, 403) {
    subtest "revoked, $status" => sub {
        $mock->defaults("token=1 token_status=$status");

        for my $client (CLIENTS) {
            my %o = (client => $client);

            is(ask($t, "/client/$client", %o)->{status}, 200,
                "$client: good");
            my $before = counts($mock);
            $mock->revoke;
            $clock->advance(70);

            my $r = ask($t, "/client/$client", %o);
            my $after = counts($mock);

            is($r->{status}, 200, "$client: no failure");
            ok($r->{complete}, "$client: a whole stream");
            is($after->{issued}, $before->{issued} + 1, "$client: renewed");
            is($after->{rejected}, $before->{rejected} + 1,
                "$client: refused once");
            is($after->{accepted}, $before->{accepted} + 1,
                "$client: sent again");
        }
    };
}


subtest 'a large body is sent again' => sub {
    $mock->defaults('token=1');
    my $text = join ' ', map { "word-$_" } 1 .. 60_000;
    my $body = { model => 'm', stream => JSON::PP::true(),
        messages => [ { role => 'user', content => $text } ] };

    ask($t, '/once');
    $mock->revoke;
    $clock->advance(70);

    my $r = $t->post('/once', $body, headers => { 'X-Mock' => 'tokens=2' });
    my ($one, $two) = grep { $_->{path} =~ /completions$/ }
        $mock->requests(3);

    is($r->{status}, 200, 'answered');
    cmp_ok($two->{body_length}, '>', length $text, 'as large as it was');
    is($one->{body_sha256}, $two->{body_sha256}, 'the same');
};


subtest 'refused for ever' => sub {
    my $failed = "token=1 life=0 says=3600";

    $mock->defaults($failed);
    my $before = counts($mock);
    my $r = ask($t, '/ever');

    is($r->{status}, 401, "the provider's status");
    like($r->{body}, $REFUSED, 'and no word that may hold a token');
    is(counts($mock)->{rejected}, $before->{rejected} + 2, 'two tries');
    is(counts($mock)->{issued}, $before->{issued} + 2, 'one renewal');

    # from now on it is not renewed at once
    $before = counts($mock);
    is(ask($t, '/ever')->{status}, 401, 'again') for 1 .. 20;
    is(counts($mock)->{issued}, $before->{issued}, 'no renewal');
    is(counts($mock)->{rejected}, $before->{rejected} + 20, 'one try each');

    my @times;

    for my $second (1 .. 200) {
        $clock->advance(1);
        $before = counts($mock)->{issued};
        ask($t, '/ever');
        push @times, $second if counts($mock)->{issued} > $before;
    }

    cmp_ok(scalar @times, '>=', 5, 'it is tried now and then');
    cmp_ok(scalar @times, '<=', 10, 'but rarely');
    cmp_ok($times[-1] - $times[-2], '>=', 31, 'and more rarely');

    is(ask($t, '/intercepted')->{status}, 200, 'error_page 401 helps');
    is_deeply([ bearer($mock) ], ['Bearer of-fallback'], 'another key');

    $mock->defaults('token=1');
    $clock->advance(61);
    is(ask($t, '/ever')->{status}, 200, 'well at last');
};


subtest 'twice' => sub {
    $mock->defaults('');
    my $before = counts($mock)->{issued};

    $u->script(['request'], [ send => refusal(401) ], ['close']);
    $u->script(['request'], [ send => refusal(403) ], ['close']);
    my $r = ask($t, '/to-upstream');

    is($r->{status}, 403, "the second one's status");
    like($r->{body}, $REFUSED, 'and no word that may hold a token');
    is(counts($mock)->{issued}, $before + 2, 'a token and a renewal');

    my @tokens = map { $u->peer($_)->request->{headers}{authorization} }
        1, 2;
    isnt($tokens[1], $tokens[0], 'with another token');
    like($tokens[1], qr/^Bearer mock-token-/, 'of the service');
};


subtest 'once something was sent' => sub {
    $clock->advance(61);
    my $before = counts($mock)->{issued};
    my $calls = $u->connections;
    my $error = '{"error":{"message":"The token is over.","type":"x",'
        . '"param":null,"code":401}}';

    $u->script(['request'], [ send => LLMTest::Upstream::stream(
        'data: ' . delta('Hel') . "\n\n", "data: $error\n\n") ], ['close']);
    my $r = ask($t, '/to-upstream');

    is($r->{status}, 200, 'it began well');
    like($r->{body}, qr/Hel/, 'with a text');
    like($r->{body}, $REFUSED, 'and ended as an error');
    unlike($r->{body}, qr/\[DONE\]/, 'not as a success');
    is($u->connections, $calls + 1, 'not sent again');
    is(counts($mock)->{issued}, $before, 'not renewed');
};


subtest 'other statuses are no refusal' => sub {
    my $before = counts($mock)->{issued};
    my $calls = $u->connections;

    for my $status (400, 402, 404, 407, 429, 500) {
        $u->script(['request'], [ send => refusal($status) ], ['close']);
        is(ask($t, '/to-upstream')->{status}, $status, $status . ' as it is');
    }

    is($u->connections, $calls + 6, 'one try each');
    is(counts($mock)->{issued}, $before, 'no renewal');
};


subtest 'a peer that refuses a token is not down' => sub {
    $clock->advance(61);

    for (1 .. 3) {
        # it says that it closes, or the second try may go there as well
        $u->script(['request'], [ send => refusal(401)
            =~ s/\r\n/\r\nConnection: close\r\n/r ], ['close']);
        $u->script(['request'], [ send => reply('hi') ], ['close']);
        is(ask($t, '/to-pool')->{status}, 200, 'the group of one goes on');
        $clock->advance(120);
    }
};


subtest 'an endless refusal' => sub {
    $mock->defaults('');
    $clock->advance(200);
    my $n = $u->connections;

    $u->script(['request'], [ send => "HTTP/1.1 401 No\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n5\r\nshort" ], ['wait_close']);
    $u->script(['request'], [ send => reply('hi') ], ['close']);
    is(ask($t, '/to-upstream')->{status}, 200, 'is not read to its end');
    is($u->connections, $n + 2, 'sent again');
};


# the request waits for the second token when it goes
for my $protocol ('h1', 'h2') {
    subtest "a client that leaves while it is renewed, $protocol" => sub {
        my $path = "/leaves-$protocol";

        $mock->defaults('token=1');
        is(ask($t, $path)->{status}, 200, 'a token');
        $mock->revoke;
        $mock->defaults('token=1 identity=stall');
        $clock->advance(200);

        my $before = counts($mock);
        my $mark = $t->log_mark('end.log');
        my $s = open_call($t, $path, $protocol eq 'h2'
            ? (on => $t->h2(port => 1)) : ());

        ok($mock->wait(sign_ins => $before->{requests} + 1), 'it waits');
        is(counts($mock)->{rejected}, $before->{rejected} + 1, 'refused');
        $protocol eq 'h2' ? $s->reset : $s->abort;
        like($t->wait_log(qr{^$path }, file => 'end.log', from => $mark)
            // '', qr{^$path 499 }, 'it is noticed');
        is(counts($mock)->{rejected}, $before->{rejected} + 1,
            'no model was asked again');

        # the renewal is given up, and tried again after a second
        $clock->advance(70);
        ok($mock->wait(id => 'identity', end => 1), 'its time is over');
        ok($t->wait_log(qr/auth "leaves-$protocol" failed: /),
            'and the worker knows');
        $mock->defaults('token=1');
        $clock->advance(2);
        is(ask($t, $path)->{status}, 200, 'all is well');
    };
}


subtest 'refused, and no other token to have' => sub {
    $mock->defaults('token=1');
    is(ask($t, '/failing')->{status}, 200, 'a token');
    $mock->revoke;
    $mock->defaults('token=1 identity=500');
    $clock->advance(61);

    my $r = ask($t, '/failing');
    ok($r->{status} == 502 || $r->{status} == 401, 'an honest failure')
        or diag("status $r->{status}");
    $mock->defaults('token=1');
    $clock->advance(2);
    is(ask($t, '/failing')->{status}, 200, 'well again');
};


# Workers that wait for another one's sign-in look again from time to time.

$clock->run;

subtest "$STREAMS streams at once" => sub {
    my $n = $u->connections;

    # of the mock's service, by the upstream that waits for the test
    my $token = sub {
        my $r = $t->post('/oauth2/token', 'grant_type=client_credentials'
            . '&client_id=a&client_secret=b', port => $mock->port,
            headers => { 'Content-Type' =>
                'application/x-www-form-urlencoded' });

        return [ send => LLMTest::Upstream::answer(200, $r->{body}) ];
    };

    $mock->defaults('token=1');
    $u->script(['request'], $token->(), ['close']);
    is(ask($t, '/many')->{status}, 200, 'a token');

    $mock->revoke;
    $u->script(['request'], ['hold'], $token->(), ['close']);

    my $before = counts($mock);
    my @h2 = map { $t->h2(port => 1) } 1 .. 4;
    my @streams = map { open_call($t, '/many', mock => 'tokens=3',
        $_ % 2 ? (on => $h2[ $_ / 2 % 4 ]) : ()) } 1 .. $STREAMS;

    # the renewal takes longer than it takes to start them all
    ok(wait_for(sub {
        return counts($mock)->{rejected} >= $before->{rejected} + $STREAMS;
    }), 'all are refused');
    $u->peer($n + 2)->go;

    my @results = map { $_->result } @streams;
    my $after = counts($mock);
    my @bad = grep { ($_->{status} // 0) != 200 || !$_->{complete} }
        @results;

    ok(!@bad, 'no client has failed')
        or diag(map { "    $_->{status} $_->{body}\n" } @bad);
    is($u->connections, $n + 2, 'one renewal');
    is($after->{accepted}, $before->{accepted} + $STREAMS, 'all sent again');
    is($after->{rejected}, $before->{rejected} + $STREAMS, 'once each');
};
