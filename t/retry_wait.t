#!/usr/bin/perl

# The wait before a server is asked again: as long as the provider says,
# whichever way it says it; not at all where another server is left, or where
# it would last longer than is allowed; and how everything that can happen
# meanwhile ends it.  The clock of nginx stands still but for what a test
# says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(hello wire shown);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $second = $t->upstream;
my $clock = LLMTest::Clock->new($t);
my $n = 0;

my @ITEMS = hello('Good');
my $GOOD = LLMTest::Upstream::sse_head()
    . join('', map { LLMTest::Upstream::chunk($_) } wire(@ITEMS))
    . "0\r\n\r\n";

my $CLASSES = 'llm_stream_next_upstream http_429 http_503 stream_error '
    . 'invalid;';

sub location {
    my ($path, $more, $to, $provider) = @_;

    $to //= '%%UPSTREAM%%';
    $provider //= 'openai';

    return <<"EOT";
        location $path {
            llm_stream $provider http://$to;
            llm_stream_client simple;
            llm_stream_gate content;
            $more
        }
EOT
}


my $locations = location('/default', '')
    . location('/gemini', 'llm_stream_model m;', undef, 'gemini')
    . location('/long', 'llm_stream_next_upstream_timeout 100s;')
    . location('/three', 'llm_stream_next_upstream_timeout 3s;')
    . location('/many', 'llm_stream_next_upstream_tries 9;')
    . location('/total', 'llm_stream_total_timeout 3s; '
        . 'llm_stream_next_upstream_timeout 100s;')
    . location('/silent', 'llm_stream_first_token_timeout 2s;')
    . location('/ignore', 'llm_stream_ignore_client_abort on;')
    . location('/limit', 'llm_stream_limit zone=all;')
    . location('/both', '', 'both')
    . location('/both_4', 'llm_stream_next_upstream_tries 4;', 'both');

$t->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    log_format end '\$arg_n \$status \$llm_stream_end '
        '\$llm_stream_tokens_in \$upstream_status';
    access_log %%DIR%%/end.log end;
    $CLASSES
    llm_stream_retry_budget off;
    llm_stream_limit_zone all zone=all:1m rate=99t/m;

    upstream both {
        server %%UPSTREAM%% max_fails=0;
        server %%UPSTREAM_2%% backup max_fails=0;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location /alive { return 204; }
$locations
    }
}
EOT


sub refusal {
    my (@headers) = @_;

    return LLMTest::Upstream::answer(429,
        '{"error":{"message":"Too many.","type":"t","param":null,'
        . '"code":"slow"}}', 'Content-Type' => 'application/json', @headers);
}


# sends a request; the first attempt is answered like this

sub begin {
    my ($path, $bytes, %o) = @_;

    $n++;
    $u->script(['request'], [ send => $bytes ]);

    my $s = $t->open(method => 'POST', path => "$path?n=$n", body => {
        stream => JSON::PP::true(),
        messages => [ { role => 'user', content => 'hi' } ] }, %o);
    my $peer = $u->accept or die 'no connection';

    @$s{qw(peer n)} = ($peer, $n);

    return $s;
}


# the worker has seen all that there was to see

sub settled {
    $t->get('/alive') for 1 .. 3;

    return;
}


sub waiting {
    my ($s, $mark) = @_;

    return $t->wait_log(qr/waits (\d+) ms to ask.*n=$s->{n} HTTP/,
        from => $mark);
}


sub date { return $t->get('/alive')->{headers}{date} }


# waits_for($s, $seconds, $name): not sent again before, but then

sub waits_for {
    my ($s, $seconds, $name) = @_;
    my $before = $u->connections;
    my $line = waiting($s);

    like($line, qr/waits @{[ $seconds * 1000 ]} ms/, "$name: it waits");
    $clock->advance($seconds - 0.01);
    settled();
    is($u->connections, $before, "$name: not before");
    ok(!$s->has_headers, "$name: nothing for the client");
    $clock->advance(0.02);

    return again($s, $name);
}


# the next attempt is there, and is answered

sub again {
    my ($s, $name, $bytes) = @_;
    my ($peer, $request) = $u->take;

    ok($request, "$name: sent again") or return;
    ok($s->{peer}->wait_close, "$name: the refused connection is closed");
    $peer->send($bytes // $GOOD);

    return ended($s, $name) if !$bytes;

    $s->{peer} = $peer;

    return;
}


sub ended {
    my ($s, $name) = @_;

    $s->wait_end;
    is($s->status, 200, "$name: a stream");
    is($s->body, shown('simple', @ITEMS), "$name: nothing of the refusal");

    return;
}


sub refused {
    my ($s, $name) = @_;
    my $before = $u->connections;

    $s->wait_end;
    is($s->status, 429, "$name: at once, the status");
    like($s->body, qr/"code":"slow"/, "$name: and the body");
    is($u->connections, $before, "$name: not sent again");

    return;
}


subtest 'as the provider says' => sub {
    my %says = (
        'Retry-After' => [ 2, 'Retry-After' => 2 ],
        'a fraction' => [ 1.25, 'Retry-After' => '1.25' ],
        'retry-after-ms' => [ 1.5, 'retry-after-ms' => 1500 ],
        'both' => [ 0.7, 'Retry-After' => 1, 'retry-after-ms' => '700.0' ],
        'both, turned' => [ 0.7, 'retry-after-ms' => 700,
            'Retry-After' => 1 ],
    );

    waits_for(begin('/default', refusal(@{ $says{$_} }[ 1 .. $#{ $says{$_} } ])),
        $says{$_}[0], $_) for sort keys %says;

    # nginx's own date, a minute on, where that is no other hour
    $clock->advance(60) while date() =~ /:59:/;
    my $date = date() =~ s/:(\d\d):/sprintf ':%02d:', $1 + 1/er;
    my $s = begin('/long', refusal('Retry-After' => $date));
    my ($ms) = waiting($s) =~ /waits (\d+) ms/;

    is($ms, 60_000, 'a date');
    $clock->advance($ms / 1000);
    again($s, 'a date');

    my $gemini = '{"error":{"code":429,"message":"Quota.","status":'
        . '"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/'
        . 'google.rpc.RetryInfo","retryDelay":"3.5s"}]}}';
    my $answer = '{"candidates":[{"content":{"parts":[{"text":"Good"}],'
        . '"role":"model"},"finishReason":"STOP","index":0}]}';

    $s = begin('/gemini', LLMTest::Upstream::answer(429, $gemini,
        'Content-Type' => 'application/json'));
    like(waiting($s), qr/waits 3500 ms/, 'in the body');
    $clock->advance(3.51);
    my ($peer) = $u->take;
    ok($peer, 'in the body: sent again') and $peer->send(
        LLMTest::Upstream::answer(200, $answer,
            'Content-Type' => 'application/json'));
    $s->wait_end;
    is($s->status, 200, 'in the body: answered');

    # an error inside a stream has the header's word, too
    $s = begin('/default', LLMTest::Upstream::sse_head('Retry-After' => 2)
        . LLMTest::Upstream::chunk('data: {"error":{"message":"Too many.",'
            . "\"code\":429}}\n\n"));
    waits_for($s, 2, 'in a stream');
};


subtest 'a time of its own' => sub {
    my %seen;

    for my $says ([], [ 'Retry-After' => 0 ], [ 'Retry-After' => 'soon' ],
        [ 'Retry-After' => -5 ], [ 'retry-after-ms' => 'x' ], ([]) x 5)
    {
        my $s = begin('/default', refusal(@$says));

        # it may be none at all
        my $line = $t->wait_log(qr/trying again.*n=$s->{n} HTTP/);

        ok($line, "@$says: again");
        settled();
        my ($ms) = $t->error_log
            =~ /waits (\d+) ms to ask.*n=$s->{n} HTTP/;
        $ms //= 0;
        $seen{$ms} = 1;
        cmp_ok($ms, '<', 500, "@$says: half a second at most");
        $clock->advance(0.5);
        again($s, "@$says");
    }

    cmp_ok(scalar keys %seen, '>', 3, 'another one each time');
};


subtest 'no time for it' => sub {
    refused(begin('/default', refusal('Retry-After' => 5)), 'five seconds');
    refused(begin('/default', refusal('Retry-After' => 99_999_999_999)),
        'for ever');
    refused(begin('/three', refusal('Retry-After' => 3)), 'the time given');
    refused(begin('/total', refusal('Retry-After' => 3)), 'the whole time');
    waits_for(begin('/three', refusal('Retry-After' => 2)), 2, 'within it');
    waits_for(begin('/long', refusal('Retry-After' => 90)), 90, 'a long one');

    my $s = begin('/many', refusal('Retry-After' => 2));

    my $mark = 0;

    for (1, 2) {
        like(waiting($s, $mark), qr/waits 2000 ms/, "$_: it waits");
        $mark = $t->log_mark;
        $clock->advance(2.01);
        again($s, "wait $_", refusal('Retry-After' => 2));
    }

    refused($s, 'all waits together');

    # what was waited counts against the time given
    $s = begin('/total', refusal('Retry-After' => 2));
    ok(waiting($s), 'it waits');
    $clock->advance(2.01);
    again($s, 'the first', refusal('Retry-After' => 1));
    refused($s, 'the second');
};


subtest 'other servers are asked at once' => sub {
    $second->each_request([ send => $GOOD ]);
    ended(begin('/both', refusal('Retry-After' => 60)), 'the second');

    $second->each_request([ send => refusal('retry-after-ms' => 1500) ]);
    waits_for(begin('/both_4', refusal('Retry-After' => 60)), 1.5,
        'the first again');
};


subtest 'a silent stream' => sub {
    my $s = begin('/silent', LLMTest::Upstream::sse_head('Retry-After' => 3));

    $s->{peer}->drained;
    settled();
    $clock->advance(2.01);
    waits_for($s, 3, 'silent');
};


subtest 'the client leaves' => sub {
    for my $proto (qw(h1 h2)) {
        my $s = begin('/default', refusal('Retry-After' => 4),
            $proto eq 'h2' ? (proto => 'h2', port => 1) : ());

        ok(waiting($s), "$proto: it waits");
        my $before = $u->connections;

        $s->close;
        ok($s->{peer}->wait_close, "$proto: closed");
        like($t->wait_log(qr/^$s->{n} /, file => 'end.log') // '',
            qr/ 499 client_abort /, "$proto: as what it is");
        $clock->advance(5);
        settled();
        is($u->connections, $before, "$proto: nobody is asked");
    }

    # an error is no answer, whether it came as a status or in a stream
    my $event = LLMTest::Upstream::sse_head('Retry-After' => 4)
        . LLMTest::Upstream::chunk('data: {"error":{"message":"Too many.",'
            . "\"code\":429}}\n\n");

    for my $bytes (refusal('Retry-After' => 4), $event) {
        my $s = begin('/limit', $bytes);

        ok(waiting($s), 'limited: it waits');
        $s->close;
        like($t->wait_log(qr/^$s->{n} /, file => 'end.log') // '',
            qr/ 499 client_abort - /, 'limited: no tokens are charged');
    }

    my $s = begin('/ignore', refusal('Retry-After' => 4));

    ok(waiting($s), 'ignored: it waits');
    $s->close;
    settled();
    $clock->advance(4.01);

    my ($peer) = $u->take;

    ok($peer, 'ignored: sent again') and $peer->send($GOOD);
    like($t->wait_log(qr/^$s->{n} /, file => 'end.log') // '',
        qr/ 502, 200$/, 'ignored: it ends');
};


subtest 'the refused connection says more, or ends' => sub {
    for my $op ([ send => 'x' x 100 ], ['close'], ['reset'], ['half_close']) {
        my $s = begin('/default', refusal('Retry-After' => 2));

        ok(waiting($s), "$op->[0]: it waits");
        $s->{peer}->run([$op]);
        settled();
        ok(!$s->has_headers, "$op->[0]: still");
        $clock->advance(2.01);

        my ($peer) = $u->take;

        ok($peer, "$op->[0]: sent again") and $peer->send($GOOD);
        ended($s, $op->[0]);
    }
};


subtest 'reload and quit' => sub {
    my $s = begin('/default', refusal('Retry-After' => 2));

    ok(waiting($s), 'it waits');
    ok($t->reload, 'reload');
    is(scalar(my @w = $t->workers), 2, 'the old worker stays');
    waits_for($s, 2, 'an old worker');
    $s->close;
    ok($t->wait_for(sub { my @now = $t->workers; return @now == 1 }),
        'and leaves');

    $s = begin('/default', refusal('Retry-After' => 2));
    ok(waiting($s), 'it waits');

    my $mark = $t->log_mark;

    $t->signal('QUIT');
    ok($t->wait_log(qr/gracefully shutting down/, from => $mark), 'quit');
    $clock->advance(2.01);
    again($s, 'quit');
    $s->close;
    ok(defined $t->wait_exit, 'and is gone');
};


$t->finish;
