#!/usr/bin/perl

# Connections to the provider: used again after an answer that was whole and
# nothing but whole, closed after everything else, so that no byte of one
# answer is ever taken for another's.  A pooled connection that the provider
# had closed costs a retry, not an error; a request that a fresh connection
# took is never sent twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_usage
    chat_request sse DONE);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock(tls => 1, tls_name => 'provider.test');

# behind the certificate, which would not be valid yet
my $clock = LLMTest::Clock->new($t);
my $u = $t->upstream;

$t->set(CA => $t->tls_ca);

# each case has a pool of its own
use constant POOLS => 120;

my ($pools, $locations) = ('', '');

for my $n (1 .. POOLS) {
    $pools .= "    upstream u$n { server %%UPSTREAM%%; keepalive 4; }\n";
    $locations .= <<"EOT";
        location /u$n {
            llm_stream openai http://u$n;
            llm_stream_max_event_size 64k;
        }
        location /idle/u$n {
            llm_stream openai http://u$n;
            llm_stream_idle_timeout 300ms;
        }
        location /off/u$n {
            llm_stream openai http://u$n;
            llm_stream_next_upstream off;
        }
EOT
}

$t->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { worker_connections 512; }
http {
    %%HTTP%%
    log_format end '\$status "\$llm_stream_end" "\$llm_stream_error" '
                   '\$request_uri';
    access_log %%DIR%%/end.log end;
    keepalive_requests 10000;
    client_body_buffer_size 16k;

    upstream mock { server %%MOCK%%; keepalive 4; }
    upstream tls { server %%MOCK_TLS%%; keepalive 4; }
    upstream two {
        server %%UPSTREAM%%;
        server %%UPSTREAM%%;
        keepalive 4;
    }
$pools

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /turn {
            return 204;
        }
        location /mock {
            llm_stream openai http://mock;
        }
        location /simple {
            llm_stream openai http://mock;
            llm_stream_client simple;
        }
        location /text {
            llm_stream openai http://mock;
            llm_stream_client text;
            llm_stream_gate off;
            llm_stream_connect_timeout 7s;
            llm_stream_first_token_timeout 8s;
            llm_stream_idle_timeout 9s;
        }
        location /tls {
            llm_stream openai https://tls;
            llm_stream_ssl_trusted_certificate %%CA%%;
            llm_stream_ssl_name provider.test;
        }
        location /two {
            llm_stream openai http://two;
        }
$locations
    }

    server {
        %%LISTEN_H2_1%%

        location /mock {
            llm_stream openai http://mock;
        }
    }
}
EOT

my ($pool, $count) = (0, 0);


# a pool that nothing was in before

sub fresh {
    die 'too few pools' if ++$pool > POOLS;

    return "/u$pool";
}


# What the next connections do; a subtest that did not use all of them, since
# it failed, must not leave them to the next.

my $scripts = 0;

sub script {
    my (@ops) = @_;

    $scripts++;
    $u->script(@ops);

    return;
}


sub end_of_case {
    my $taken = $u->connections;

    for ($taken + 1 .. $scripts) {
        my $s = $t->open(method => 'POST', path => fresh(),
            body => chat_request());
        $u->peer($_)->request;
        $s->close;
    }

    $scripts = $u->connections;
    $u->accept(0.1) while $u->{accepted} < $scripts;

    return;
}


sub case {
    my ($name, $code) = @_;

    subtest $name => sub {
        $code->();
        end_of_case();
    };

    return;
}


my @TEXT = (chat_role(), chat_text('hello'), chat_finish('stop'), DONE);
my $GOOD = LLMTest::Upstream::stream(sse(@TEXT));

# the same, not in one read
my @GOOD = good_ops();

# what must never be seen in another's answer
my $POISON = LLMTest::Upstream::stream(sse(chat_text('poison'), DONE));


sub good_ops {
    my $at = index $GOOD, 'hello';

    return ([ send => substr $GOOD, 0, $at ], [ 'drained' ],
        [ send => substr $GOOD, $at ]);
}


# A stream of the mock as often as said; how many connections it saw.

sub connections {
    my ($n, $path, $options, %o) = @_;
    my $request = delete $o{request} || {};
    my (%connections, $client);

    for my $i (1 .. $n) {
        my $id = "keep-$path-" . ++$count;
        my $r = $t->post($path, chat_request(
            model => "mock:id=$id,$options", %$request), %o);

        return "not complete: $r->{ended}, status $r->{status}"
            if $r->{status} != 200 || $r->{ended} ne 'complete';

        $connections{ $mock->stats($id)->{connection} }++;
    }

    return scalar keys %connections;
}


subtest 'used again' => sub {
    my $answer = { request => { stream => JSON::PP::false } };
    my @asked = (request =>
        { stream_options => { include_usage => JSON::PP::true } });

    # name, path, the mock's options, the request's
    for my $case (
        [ 'a stream in many reads', '/mock', 'tokens=20,itl=0.3' ],
        [ 'a stream in one read', '/mock', 'tokens=3,burst=100' ],
        [ 'with a length', '/mock', 'tokens=20,itl=0.3,framing=length' ],
        [ 'in one read, with a length', '/mock', 'tokens=3,framing=length' ],
        [ 'usage asked for', '/mock', 'tokens=20,itl=0.3', @asked ],
        [ 'simple', '/simple', 'tokens=20,itl=0.3' ],
        [ 'text, with limits of its own', '/text', 'tokens=20,itl=0.3' ],
        [ 'no stream', '/mock', 'tokens=5', %$answer ],
        [ 'HTTP/2', '/mock', 'tokens=20,itl=0.3', proto => 'h2', port => 1 ],
        [ 'TLS', '/tls', 'tokens=20,itl=0.3' ],
        [ 'TLS, in one read', '/tls', 'tokens=3,burst=100' ],
        [ 'comments', '/mock', 'tokens=20,comments=3,itl=0.3' ],
        [ 'trailers', '/mock', 'tokens=5,itl=0.3,fault=trailers' ],
    ) {
        my ($name, $path, $options, %o) = @$case;
        my $n = 40;
        my $used = connections($n, $path, $options, %o);

        # a client may have the end before nginx has the last chunk, and ask
        # again: then there is one more, of no more than the pool's
        ok($used =~ /^\d+$/ && $used <= 4, "$name: used again")
            or diag("$used connections for $n requests");
    }

    is(connections(5, '/mock', 'tokens=5,framing=close'), 5,
        'a close-delimited stream is not');
    is(connections(5, '/mock', 'tokens=5,close=1'), 5,
        'nor one with Connection: close');
    is(connections(5, '/mock', 'tokens=5,http10=1'), 5, 'nor HTTP/1.0');
};


# also the client's own connection

subtest 'the client\'s connection' => sub {
    my $s = $t->open(method => 'POST', path => '/mock',
        body => chat_request());

    is($s->wait_end, 'complete', 'the first');

    for my $n (2 .. 5) {
        $s = $t->open(method => 'POST', path => '/mock', on => $s,
            body => chat_request());
        is($s->wait_end, 'complete', "number $n");
    }
};


# An answer that is not whole, or more than whole: the connection is closed
# by nginx, though the provider leaves it open, and the next request has one
# of its own.  name, bytes of the answer, what the client must see.

my $error = '{"error":{"message":"no","type":"server_error","code":null}}';
my $body = sse(@TEXT);
my $long = chat_text('x' x 100_000);

my @BAD = (
    [ 'bytes after the last chunk', "$GOOD$POISON", 'complete' ],
    [ 'a byte after the last chunk', "$GOOD\n", 'complete' ],
    [ 'events after [DONE]', LLMTest::Upstream::stream(
        $body, sse(chat_text('poison'))), 'complete' ],
    [ 'events after [DONE], and no end', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk($body . sse(chat_text('poison'))),
        'complete' ],
    [ 'no last chunk', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk($body), 'complete' ],
    [ 'no last chunk, more than is drained', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk($body)
        . LLMTest::Upstream::chunk('x' x 10_000) x 20, 'complete' ],
    [ 'bytes after the length', "HTTP/1.1 200 OK\r\n"
        . "Content-Type: text/event-stream\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body$POISON",
        'complete' ],
    [ 'an error event in the middle', LLMTest::Upstream::stream(
        sse(@TEXT[ 0, 1 ], $error, DONE)), 'error' ],
    [ 'an error event, and more', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk(sse(@TEXT[ 0, 1 ], $error)), 'error' ],
    [ 'a bad chunk', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk(sse(@TEXT[ 0, 1 ])) . "zz\r\n$POISON",
        'error' ],
    [ 'no finish and no terminator', LLMTest::Upstream::stream(
        sse(@TEXT[ 0, 1 ])), 'error' ],
    [ 'an event over the limit', LLMTest::Upstream::stream(
        sse(@TEXT[ 0, 1 ], $long, @TEXT[ 2, 3 ])), 'error' ],
    [ 'silence', LLMTest::Upstream::sse_head()
        . LLMTest::Upstream::chunk(sse(@TEXT[ 0, 1 ])), 'error' ],
    [ 'HTML', LLMTest::Upstream::answer(200, '<p>', 'Content-Type' =>
        'text/html') . $POISON, 502 ],
    [ 'an encoding', "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n"
        . "Content-Type: text/event-stream\r\nContent-Length: 3\r\n\r\nabc",
        502 ],
    [ 'a redirect', LLMTest::Upstream::answer(302, '', 'Location' =>
        'http://127.0.0.1/') . $POISON, 502 ],
    [ 'two lengths', "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
        . "Content-Length: 4\r\n\r\nabc", 502 ],
    [ 'an error, and bytes after it', LLMTest::Upstream::answer(429,
        $error, 'Content-Type' => 'application/json') . $POISON, 429 ],
);

# what the client has when nothing but time ends it
my %LATE = ('events after [DONE], and no end' => qr/\[DONE\]/,
    'no last chunk' => qr/\[DONE\]/, silence => qr/hello/);

# In one read, and in two with the first event in one of its own.

sub bad_ops {
    my ($bytes, $cut) = @_;
    my $at = $cut ? index $bytes, 'hello' : 0;

    return [ send => $bytes ] if $at <= 0;
    return ([ send => substr $bytes, 0, $at ], [ 'drained' ],
        [ send => substr $bytes, $at ]);
}


for my $x (map { [ @$_, 0 ], $_->[1] =~ /hello/ ? [ @$_, 1 ] : () } @BAD) {
    my ($name, $bytes, $what, $cut) = @$x;
    my $late = $LATE{$name};

    $name .= ', in two reads' if $cut;

    case("not after: $name", sub {
        my $path = ($name =~ /^silence/ ? '/idle' : '') . fresh();

        script([ 'request' ], bad_ops($bytes, $cut), [ 'wait_close' ]);
        script([ 'request' ], @GOOD, [ 'wait_close' ]);

        my $s = $t->open(method => 'POST', path => $path,
            body => chat_request());

        if ($late) {
            ok($s->read_until($late), 'so much');
            $clock->advance(1);
        }

        my $r = $s->result;
        my $first = $u->accept;

        ok($first->wait_close, 'the connection is closed');
        unlike($r->{body}, qr/poison/, 'nothing of what is too much');

        if ($what eq 'complete') {
            is($r->{body}, $body, 'a whole stream');
            is($r->{ended}, 'complete', 'which ended properly');

        } elsif ($what eq 'error') {
            # before anything was sent it may be an HTTP error
            like($r->{body}, $r->{status} == 200 ? qr/hello.*\{"error":/s
                : qr/^\{"error":/, 'an error');
            unlike($r->{body}, qr/\[DONE\]/, 'no terminator');

        } else {
            is($r->{status}, $what, "status $what");
        }

        $r = $t->post($path, chat_request());
        is($r->{body}, $body, 'the next one is whole');
        ok($u->accept, 'on another connection');
        is($first->stat->{requests}, 1, 'not on the first');
    });
}


# Bytes that come while the connection is in the pool.

case('bytes on an idle connection', sub {
    my $path = fresh();

    script([ 'request' ], @GOOD, [ 'hold' ], [ send => $POISON ],
        [ 'wait_close' ]);
    script([ 'request' ], @GOOD, [ 'wait_close' ]);

    is($t->post($path, chat_request())->{body}, $body, 'a stream');
    my $first = $u->accept;

    is($first->wait_close(0.05), undef, 'the connection is kept');
    $first->go;
    ok($first->wait_close, 'until there is something on it');
    is($t->post($path, chat_request())->{body}, $body, 'another');
    ok($u->accept, 'on another connection');
});


case('not after the client left', sub {
    my $path = fresh();

    script();

    my $s = $t->open(method => 'POST', path => $path,
        body => chat_request());
    my ($first) = $u->take;

    $first->sse_head;
    $first->event(@TEXT[ 0, 1 ]);
    $s->read_events(2);
    $s->close;
    ok($first->wait_close, 'the connection is closed');

    script([ 'request' ], @GOOD, [ 'wait_close' ]);
    is($t->post($path, chat_request())->{body}, $body, 'the next is whole');
    ok($u->accept, 'on another connection');
});


# The provider closes as soon as it has said all.

case('closed right after the end', sub {
    my %answer = (
        '[DONE]' => LLMTest::Upstream::sse_head()
            . LLMTest::Upstream::chunk($body),
        'the last chunk' => $GOOD,
        'the length' => "HTTP/1.1 200 OK\r\n"
            . "Content-Type: text/event-stream\r\n"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body",
    );

    for my $name (sort keys %answer) {
        for my $cut (0, 1) {
            my $path = fresh();

            for my $n (1 .. 3) {
                my $mark = $t->log_mark('end.log');

                script([ 'request' ], bad_ops($answer{$name}, $cut),
                    [ 'close' ]);

                my $r = $t->post($path, chat_request());
                is($r->{body}, $body, "$name, $n: whole");
                is($r->{ended}, 'complete', "$name, $n: complete");
                like($t->wait_log(qr/ $path$/, file => 'end.log',
                    from => $mark), qr/^200 "complete" "-" /,
                    "$name, $n: logged");
                $u->accept;
            }
        }
    }
});


# The provider had closed the pooled connection when the request was
# written: it read the request, perhaps, but answered nothing.

my $large = chat_request(
    messages => [ { role => 'user', content => 'y' x 300_000 } ]);

for my $how (qw(close reset)) {
    for my $size ('small', 'large') {
        case("a stale connection: $how, a $size request", sub {
            my $path = fresh();
            my $request = $size eq 'small' ? chat_request() : $large;

            script([ 'request' ], @GOOD, [ 'request' ], [$how]);
            script([ 'request' ], @GOOD, [ 'wait_close' ]);

            is($t->post($path, $request)->{body}, $body, 'the first');

            my $mark = $t->log_mark('end.log');
            my $r = $t->post($path, $request);
            is($r->{status}, 200, 'the second');
            is($r->{body}, $body, 'is whole');
            is($r->{ended}, 'complete', 'ended properly');
            like($t->wait_log(qr/ $path$/, file => 'end.log', from => $mark),
                qr/^200 "complete" "-" /, 'and is logged so');

            my ($old, $new) = ($u->accept, $u->accept);
            is($old->stat->{requests}, 2, 'it was tried on the pooled one');

            if ($new) {
                is($new->stat->{requests}, 1, 'and sent once more');

                my @sent = map { ($_ || {})->{body} // '' }
                    $old->request(0.1), $old->request(0.1), $new->request;
                ok($sent[1] ne '' && $sent[2] eq $sent[1], 'as it was');
            }
        });
    }

    case("a stale connection: $how, not retried", sub {
        my $path = '/off' . fresh();

        script([ 'request' ], @GOOD, [ 'request' ], [$how]);
        is($t->post($path, chat_request())->{body}, $body, 'the first');

        my $before = $u->connections;
        my $r = $t->post($path, chat_request());
        is($r->{status}, 502, 'llm_stream_next_upstream off: status 502');
        like($r->{body}, qr/"code":"upstream_reset"/, 'its code');
        is($u->connections, $before, 'on no other connection');
        is($u->accept->stat->{requests}, 2, 'it was tried once');
    });

    # the request on the new connection is not sent a third time
    case("a stale connection: $how, twice", sub {
        my $path = fresh();
        my $before = $u->connections;

        script([ 'request' ], @GOOD, [ 'request' ], [$how]);
        script([ 'request' ], [$how]);
        script([ 'request' ], @GOOD, [ 'wait_close' ]);

        is($t->post($path, chat_request())->{body}, $body, 'the first');

        my $r = $t->post($path, chat_request());
        is($r->{status}, 502, 'status 502');
        like($r->{body}, qr/"code":"upstream_reset"/, 'its code');
        is($u->connections, $before + 2, 'two connections');
    });

    # not at once: the request was taken, and may have been worked on
    case("a pooled connection, later: $how", sub {
        my $path = fresh();
        my $before = $u->connections;

        script([ 'request' ], @GOOD);
        is($t->post($path, chat_request())->{body}, $body, 'the first');

        my $pooled = $u->accept;
        my $s = $t->open(method => 'POST', path => $path,
            body => chat_request());

        ok($pooled->request && $pooled->request, 'it has the second');
        $clock->advance(1.1);

        # timers have their turn behind what came, so before the second
        is($t->get('/turn')->{status}, 204, 'nginx has seen it') for 1, 2;
        $pooled->$how;

        is($s->result->{status}, 502, 'status 502');
        is($u->connections, $before + 1, 'not retried');
    });

    # one byte of an answer: it is not stale, the request was taken
    case("a pooled connection that answered: $how", sub {
        my $path = fresh();
        my $before = $u->connections;

        script([ 'request' ], @GOOD, [ 'request' ],
            [ send => 'HTTP/1.1 20' ], [ 'drained' ], [$how]);
        script([ 'request' ], @GOOD, [ 'wait_close' ]);
        is($t->post($path, chat_request())->{body}, $body, 'the first');

        my $r = $t->post($path, chat_request());
        is($r->{status}, 502, 'status 502');
        is($u->connections, $before + 1, 'not retried');
        is($u->accept->stat->{requests}, 2, 'the request was there once');
    });

    # the same with a whole header, when nothing was sent to the client yet
    case("a pooled connection that began to answer: $how", sub {
        my $path = fresh();
        my $before = $u->connections;

        script([ 'request' ], @GOOD, [ 'request' ],
            [ send => LLMTest::Upstream::sse_head() ], [ 'drained' ], [$how]);
        script([ 'request' ], @GOOD, [ 'wait_close' ]);
        is($t->post($path, chat_request())->{body}, $body, 'the first');

        my $r = $t->post($path, chat_request());
        is($r->{status}, 502, 'status 502');
        is($u->connections, $before + 1, 'not retried');
    });

    # a fresh connection took the request: it may be billed
    for my $location ('one peer', 'two peers') {
        case("a fresh connection: $how, $location", sub {
            my $path = $location eq 'one peer' ? fresh() : '/two';
            my $before = $u->connections;

            script([ 'request' ], [$how]);
            script([ 'request' ], @GOOD, [ 'wait_close' ]);

            my $r = $t->post($path, chat_request());
            is($r->{status}, 502, 'status 502');
            like($r->{body}, qr/"code":"upstream_reset"/, 'its code');
            is($u->connections, $before + 1, 'not retried');
            is($u->accept->stat->{requests}, 1, 'the request was there');
        });
    }
}


# The close of an idle connection is seen before the next request, or at it.

case('closed while idle', sub {
    my $path = fresh();

    for my $how (qw(close reset)) {
        for my $n (1 .. 5) {
            script([ 'request' ], @GOOD, [ 'hold' ], [$how]);

            my $r = $t->post($path, chat_request());
            is($r->{body}, $body, "$how, $n: whole");

            my $p = $u->accept;
            $p->go;
            $p->wait_idle;
        }
    }
});
