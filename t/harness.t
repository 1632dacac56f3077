#!/usr/bin/perl

# The helper library itself, against plain nginx: its life cycle, the HTTP/1
# client over TCP and TLS, the scripted upstream.  If this fails, no other
# failure means anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Wait qw(now);

my $t = LLMTest->new(module => 0);
my $u = $t->upstream;
my $secure = $t->upstream(tls => 'provider.test');
my ($cert, $key) = $t->tls_cert('localhost');

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca);

my $config = <<'EOT';
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    proxy_http_version 1.1;
    proxy_buffering off;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;

        location / {
            proxy_pass http://%%UPSTREAM%%;
        }

        location /secure {
            proxy_pass https://%%UPSTREAM_2%%;
            proxy_ssl_trusted_certificate %%CA%%;
            proxy_ssl_verify on;
            proxy_ssl_server_name on;
            proxy_ssl_name provider.test;
        }

        location /plain {
            return 200 "hello\n";
        }

        location /empty {
            return 204;
        }

        location /dead {
            proxy_pass http://127.0.0.1:%%DEAD_PORT%%;
        }
    }
}
EOT

$t->config($config)->start;


subtest 'life cycle' => sub {
    my $master = $t->pid;

    like($t->build, qr{nginx/\d}, 'version');
    ok($t->has_version('1.22.0'), 'has_version: old enough');
    ok(!$t->has_version('9.0.0'), 'has_version: too new');

    is(scalar(my @w = $t->workers), 1, 'one worker');
    ok(kill(0, $master), 'the master runs');
    cmp_ok($t->rss, '>', 1e6, 'resident set');
    cmp_ok($t->fds, '>', 3, 'descriptors');

    is($t->port(3), $t->port(3), 'a port stays the same');
    isnt($t->port(3), $t->port(4), 'ports differ');

    my ($status, $output) = $t->check_config($config);
    is($status, 0, 'check_config: good');

    ($status, $output) = $t->check_config("%%GLOBALS%%\nno_such_thing on;\n");
    isnt($status, 0, 'check_config: bad');
    like($output, qr/unknown directive "no_such_thing" in \S+:\d+/,
        'check_config: where and why');

    ok(!eval { $t->expand('%%NO_SUCH%%'); 1 }, 'unknown placeholder');

    ok($t->stop, 'stop');
    ok(!kill(0, $master), 'the master is gone');
    is(scalar(@w = $t->workers), 0, 'no worker');

    $t->start;
    isnt($t->pid, $master, 'start again');
};


subtest 'a bad configuration does not start' => sub {
    my $bad = LLMTest->new(module => 0);

    $bad->allow_log(qr/no_such_thing/);
    $bad->config("%%GLOBALS%%\nno_such_thing on;\n");

    ok(!eval { $bad->start; 1 }, 'start dies');
    like($@, qr/no_such_thing/, 'and says why');
    $bad->finish;
};


subtest 'HTTP/1: simple answers' => sub {
    my $r = $t->get('/plain');

    is($r->{status}, 200, 'status');
    is($r->{reason}, 'OK', 'reason');
    is($r->{headers}{'content-length'}, 6, 'headers');
    is($r->{body}, "hello\n", 'body');
    ok($r->{complete}, 'complete');

    $r = $t->http('HEAD', '/plain');
    is($r->{body}, '', 'HEAD: no body');
    ok($r->{complete}, 'HEAD: complete');

    is($t->get('/empty')->{ended}, 'complete', 'status 204');
    is($t->get('/dead')->{status}, 502, 'dead port');

    my $first = $t->open(path => '/plain');
    is($first->result->{body}, "hello\n", 'first on a connection');
    my $second = $t->open(path => '/plain', on => $first);
    is($second->result->{body}, "hello\n", 'second on it');

    my $s = $t->open(raw => "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n" x 2);
    $s->read_all;
    $s = $t->open(raw => '', on => $s);
    is($s->result->{body}, "hello\n", 'pipelined');
    $s->half_close;
    ok($s->wait_close, 'the server closes after us');
};


subtest 'requests as the upstream sees them' => sub {
    my $s = $t->open(method => 'POST', path => '/x?y=1',
        headers => [ [ 'X-A' => 1 ], [ 'X-A' => 2 ] ], body => { b => 1 });
    my ($p, $q) = $u->take;

    is($q->{method}, 'POST', 'method');
    is($q->{path}, '/x?y=1', 'path');
    is($q->{body}, '{"b":1}', 'JSON body');
    is($q->{headers}{'content-type'}, 'application/json', 'its type');
    is($q->{headers}{'x-a'}, '1, 2', 'header twice');

    $p->answer(404, 'gone', 'X-B' => 'c');
    my $r = $s->result;
    is($r->{status}, 404, 'status');
    is($r->{headers}{'x-b'}, 'c', 'header');
    is($r->{body}, 'gone', 'body');
    $p->close;

    $s = $t->open(method => 'POST', path => '/', chunked => [ 'ab', 'cd' ]);
    $p = $u->accept;
    is($p->request->{body}, 'abcd', 'chunked request');
    $p->answer(200, '');
    is($s->result->{ended}, 'complete', 'empty answer');

    $s = $t->open(method => 'POST', path => '/', body => 'x' x 10,
        head_only => 1, headers => { Expect => '100-continue' });
    $t->wait_for(sub { $s->poll; return scalar(my @early = $s->early) });
    is(($s->early)[0]{status}, 100, '100 Continue');
    $s->send('x' x 10);
    $p = $u->accept;
    is($p->request->{body}, 'x' x 10, 'body after it');
    $p->answer(200, 'ok');
    is($s->result->{body}, 'ok', 'answered');
};


for my $case ([ h1 => 0 ], [ h1s => 1 ]) {
    my ($proto, $port) = @$case;

    subtest "lock-step over $proto" => sub {
        lock_step(proto => $proto, port => $port);
    };
}


sub lock_step {
    my (%o) = @_;
    my $s = $t->open(%o, path => '/stream');
    my ($p) = $u->take;
    my $seen = 0;

    $p->sse_head;
    is($s->read_headers, 200, 'head before any event');
    is($s->header('content-type'), 'text/event-stream', 'type');

    for my $n (1 .. 50) {
        $p->event("event $n");
        my $event = $s->read_event or last;
        $seen++ if $event->{data} eq "event $n";
    }

    is($seen, 50, 'each event before the next is sent');

    $p->event('a', 'b');
    my ($a, $b) = $s->read_events(2);
    is("$a->{data}$b->{data}", 'ab', 'two in one write');
    is($a->{chunk}, $b->{chunk}, 'leave in one chunk');
    is($a->{read}, $b->{read}, 'and arrive in one read');

    $p->event('c');
    my $c = $s->read_event;
    is($c->{chunk}, $a->{chunk} + 1, 'the next one in the next');
    cmp_ok($c->{at}, '>=', $a->{at}, 'and later');

    $p->last_chunk;
    is($s->read_event, undef, 'no more');
    is($s->why, 'complete', 'ended properly');
    ok($s->complete, 'complete');
    is(scalar(my @all = LLMTest::SSE::parse($s->body)), 53, 'the whole body');

    $p->close;
    return;
}


subtest 'cuts arrive as they were made' => sub {
    my $s = $t->open(path => '/');
    my ($p) = $u->take;
    my @bytes = split //, "data: xyz\n\n";

    $p->sse_head;
    ok($p->send_cut(map { LLMTest::Upstream::chunk($_) } @bytes), 'sent');
    is($s->read_event->{data}, 'xyz', 'one event');
    is_deeply([ $s->chunk_bytes ], \@bytes, 'in as many chunks');
    $p->reset;
};


subtest 'a connection that is no more has been read' => sub {
    my $s = LLMTest::Client->request(port => $u->port);
    my $p = $u->accept;

    $s->half_close;
    ok($p->wait_close, 'the peer ends it');
    $p->half_close;
    ok($s->wait_close, 'we do');
    ok($p->drained, 'nothing is left on it');
    $p->close;
};


subtest 'endings' => sub {
    my %ends = (
        close => [ 'eof', sub { $_[0]->close } ],
        reset => [ 'eof', sub { $_[0]->reset } ],
        half_close => [ 'eof', sub { $_[0]->half_close } ],
        last_chunk => [ 'complete', sub { $_[0]->last_chunk } ],
        part => [ 'eof', sub { $_[0]->send("10\r\nda"); $_[0]->close } ],
    );

    for my $name (sort keys %ends) {
        my ($ended, $code) = @{ $ends{$name} };
        my $s = $t->open(path => '/');
        my ($p) = $u->take;

        $p->sse_head;
        $p->event('one');
        is($s->read_event->{data}, 'one', "$name: first event");
        $code->($p);
        is($s->read_event, undef, "$name: no second");
        is($s->ended, $ended, "$name: $ended");
        is($s->complete, $ended eq 'complete' ? 1 : 0, "$name: complete");
    }

    my $s = $t->open(path => '/', http10 => 1);
    my ($p) = $u->take;
    $p->sse_head;
    $p->event('one');
    is($s->read_event->{data}, 'one', 'HTTP/1.0: event');
    is($s->framing, 'close', 'HTTP/1.0: no chunks');
    $p->last_chunk;
    is($s->wait_end, 'closed', 'HTTP/1.0: ended by close');
};


subtest 'a read that times out' => sub {
    my $s = $t->open(path => '/');
    my ($p) = $u->take;

    $p->sse_head;
    is($s->read_headers, 200, 'head');
    is($s->read_event(0.05), undef, 'nothing yet');
    is($s->why, 'timeout', 'because of the time');
    is($s->ended, undef, 'not ended');
    is($p->wait_close(0.05), undef, 'nobody closed');

    $p->event('late');
    is($s->read_event->{data}, 'late', 'goes on after it');
    $p->last_chunk;
    is($s->wait_end, 'complete', 'and ends');
};


subtest 'the client leaves' => sub {
    for my $how (qw(close abort)) {
        my $s = $t->open(path => '/');
        my ($p) = $u->take;

        $p->sse_head;
        $p->event('one');
        $s->read_event;

        my $at = now();
        $s->$how;
        my $closed = $p->wait_close;

        like($closed->{how}, qr/^(?:fin|reset)$/, "$how: the upstream sees it");
        cmp_ok($closed->{at}, '>=', $at, "$how: after it happened");
    }
};


subtest 'reading in other ways' => sub {
    my $s = $t->open(path => '/');
    my ($p) = $u->take;

    $p->head(200, 'Content-Type' => 'application/x-ndjson');
    $p->chunk("{\"a\":1}\n{\"a\":2}\r\n{\"a\"");
    is($s->read_event->json->{a}, 1, 'NDJSON');
    is($s->read_event->json->{a}, 2, 'NDJSON, CR LF');
    is($s->read_event(0.05), undef, 'NDJSON, half a line');
    $p->chunk(":3}");
    $p->last_chunk;
    is($s->read_event->json->{a}, 3, 'NDJSON, last line without LF');
    is($s->read_event, undef, 'NDJSON, end');

    $s = $t->open(path => '/');
    ($p) = $u->take;
    $p->head(200, 'Content-Type' => 'text/plain');
    $p->chunk('some');
    is($s->read_event->{data}, 'some', 'text: what is there');
    $p->chunk('thing else, and then');
    is($s->read_until(qr/e\w/), 'thing el', 'read_until');
    is($s->read_bytes(4), 'se, ', 'read_bytes');
    is($s->read_some, 'and then', 'read_some');
    is($s->body, 'something else, and then', 'body has all');
    is($s->received, 24, 'counted');
    $p->last_chunk;
    is($s->read_until(qr/never/), undef, 'read_until at the end');

    $s = $t->open(path => '/', keep => 0);
    ($p) = $u->take;
    $p->sse_head;
    $p->chunk("data: $_\n\n" x 1000) for 1 .. 20;
    is($s->skip_count("\n\n", 19_000), 19_000, 'skip_count');
    is($s->read_event->{data}, 20, 'an event after it');
    cmp_ok(length $s->body, '<', $s->received, 'not all is kept');
    $p->last_chunk;
    is($s->skip_count("\n\n", 10_000), 999, 'skip_count to the end');
    ok($s->complete, 'which was proper');
};


subtest 'scripts and several connections' => sub {
    my $before = $u->connections;
    my $answer = LLMTest::Upstream::stream("data: 1\n\n", "data: 2\n\n");

    $u->script([ 'request' ], [ send => $answer ], [ 'close' ]);
    $u->script([ 'request' ], [ send => substr $answer, 0, -5 ], [ 'reset' ]);

    my $r = $t->get('/a');
    is(scalar @{ $r->{events} }, 2, 'first script');
    ok($r->{complete}, 'complete');
    is_deeply($r->{chunks}, [ "data: 1\n\ndata: 2\n\n" ], 'in one chunk');

    $r = $t->get('/b');
    is($r->{ended}, 'eof', 'second script: cut off');

    is($u->connections, $before + 2, 'two connections');
    is($u->accept->request->{path}, '/a', 'the first');
    is($u->accept->request->{path}, '/b', 'the second');

    $u->each_request([ send => LLMTest::Upstream::answer(200, 'each') ]);
    is($t->get('/c')->{body}, 'each', 'each request');
    is($t->get('/d')->{body}, 'each', 'each request again');
    $u->each_request;
    $u->accept->request for 1 .. 2;

    $u->script([ 'request' ], [ 'hold' ], [ send => $answer ]);
    my $s = $t->open(path => '/e');
    my $p = $u->accept;
    is($p->request->{path}, '/e', 'held');
    is($s->read_headers(0.05), undef, 'not answered');
    $p->go;
    is($s->read_event->{data}, 1, 'let go');

    my @s = map { $t->open(path => "/$_") } 1 .. 3;
    my %peer;
    for (@s) {
        my $peer = $u->accept;
        $peer{ $peer->request->{path} } = $peer;
    }
    $peer{"/$_"}->answer(200, "for $_") for 3, 1, 2;
    is(join('|', map { $_->result->{body} } @s), 'for 1|for 2|for 3',
        'three at once');
};


subtest 'back-pressure' => sub {
    my $s = $t->open(path => '/', rcvbuf => 4096, keep => 0);
    my ($p) = $u->take;

    $p->sse_head;
    $p->order([ send => LLMTest::Upstream::chunk('x' x 20_000_000) ]);

    my $stat = $p->wait_stalled(0.2);
    cmp_ok($stat->{pending}, '>', 1_000_000, 'the upstream is held up');
    is($s->received, 0, 'the client has read nothing');

    $p->order([ send => "0\r\n\r\n" ]);
    is($s->wait_end, 'complete', 'it goes on when the client reads');
    is($s->received, 20_000_000, 'nothing is lost');
    ok($p->wait_idle, 'all sent');
};


subtest 'TLS' => sub {
    my $ca = $t->tls_ca;
    my %port = (proto => 'h1s', port => 1, path => '/plain');

    is($t->open(%port, tls => { ca => $ca })->result->{body}, "hello\n",
        'verified');
    ok(!eval { $t->open(%port, tls => { ca => $t->tls_ca('other') }); 1 },
        'another CA');
    like($@, qr/TLS handshake: .*verify/, 'is said');
    ok(!eval { $t->open(%port, tls => { ca => $ca, name => 'other' }); 1 },
        'another name');

    my $s = $t->open(path => '/secure');
    my $p = $secure->accept;
    ok($p, 'TLS to the upstream');
    is($p->request->{path}, '/secure', 'request');
    is($p->stat->{sni}, 'provider.test', 'server name');
    $p->sse_head;
    for my $n (1 .. 5) {
        $p->event($n);
        is($s->read_event->{data}, $n, "event $n");
    }
    $p->half_close;
    is($s->wait_end, 'eof', 'cut off');
    ok($p->wait_close, 'nginx closes too');
};


subtest 'reload' => sub {
    my ($old) = $t->workers;
    my $s = $t->open(path => '/');
    my ($p) = $u->take;

    $p->sse_head;
    $p->event(1);
    is($s->read_event->{data}, 1, 'a stream');

    ok($t->reload, 'reload');
    my @workers = $t->workers;
    is(scalar @workers, 2, 'the old worker stays for the stream');
    isnt($workers[1], $old, 'there is a new one');
    is($t->get('/plain')->{status}, 200, 'which answers');

    $p->event(2);
    is($s->read_event->{data}, 2, 'the stream lives');
    $p->last_chunk;
    ok($s->read_event || $s->complete, 'and ends');
    $s->close;
    ok($t->wait_for(sub { my @w = $t->workers; @w == 1 }), 'the old leaves');

    my $mark = $t->log_mark;
    $t->allow_log(qr/unknown directive "nonsense"/);
    $t->config("%%GLOBALS%%\nnonsense;\n");
    ok(!$t->reload, 'a bad configuration is refused');
    ok($t->wait_log(qr/nonsense/, from => $mark), 'with a line in the log');
    is($t->wait_log(qr/nonsense/, from => $t->log_mark, limit => 0.05), undef,
        'once');
    is($t->get('/plain')->{status}, 200, 'the old one goes on');
    $t->config($config);
};


subtest 'logs' => sub {
    $t->get('/plain?logged');
    like($t->wait_access_log(qr/logged/), qr{^127\.0\.0\.1 .* 200 6 },
        'access log');
    like($t->access_log, qr/logged/, 'as a whole');
    like($t->error_log, qr/\[debug\]/, 'error log is at debug level');
};


subtest 'refused' => sub {
    $u->refuse;
    is($t->get('/')->{status}, 502, 'no more connections');
};
