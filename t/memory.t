#!/usr/bin/perl

# A stream of a million events costs what a stream of ten costs, a client
# that does not read stops the upstream instead of filling the worker, and
# nothing an upstream can send before the answer grows.  Looked at from
# outside: the worker's resident set, and what the mock provider could send.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

# descriptors for a thousand clients here, and twice as many in nginx
use constant FILES => 4096;

# Started again with a higher limit, which nginx and the mock inherit, if it
# is not enough and can be raised.
BEGIN {
    if (POSIX::sysconf(POSIX::_SC_OPEN_MAX()) < FILES
        && !$ENV{LLM_TEST_FILES}++)
    {
        exec 'sh', '-c', "ulimit -n \$(ulimit -Hn); ulimit -n @{[ FILES ]};"
            . ' exec "$0" "$@"', $^X, $0, @ARGV;
    }
}

use LLMTest;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_request sse
    DONE);
use LLMTest::Wait qw(deadline now slow);

use constant { KB => 1024, MB => 1024 * 1024 };

# valgrind's own memory hides nginx's, and a million events take minutes
my $valgrind = $ENV{TEST_NGINX_VALGRIND};
my $events = $valgrind ? 20_000 : 1_000_000;
my $stalled = $valgrind ? 20
    : POSIX::sysconf(POSIX::_SC_OPEN_MAX()) < FILES ? 200 : 1000;

diag('under valgrind: fewer events and clients, RSS is not judged')
    if $valgrind;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $u = $t->upstream;

my $locations = join '', map { <<"EOT" } qw(openai simple typed text);
        location = /$_ {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client $_;
        }
        location = /upstream/$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
            llm_stream_gate content;
        }
EOT

# anthropic: translated; fallback: after an error page, with two contexts
$locations .= <<'EOT';
        location = /anthropic {
            llm_stream anthropic http://%%MOCK%%;
            llm_stream_client openai;
        }
        location = /fallback {
            llm_stream anthropic http://127.0.0.1:%%DEAD_PORT%%;
            llm_stream_client openai;
            error_page 502 = @other;
        }
        location @other {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client openai;
        }
        location = /plain {
            proxy_pass http://%%MOCK%%/v1/chat/completions;
            proxy_buffering off;
            proxy_http_version 1.1;
        }
EOT

# the sockets are small, so that the kernel's memory is not what is measured
$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    log_format end '\$status "\$llm_stream_end" "\$llm_stream_error" '
                   '\$llm_stream_chunks \$request_uri';
    access_log %%DIR%%/end.log end;
    http2_max_concurrent_streams 128;
    send_timeout 600s;
    llm_stream_total_timeout off;

    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=16k;
$locations
    }

    server {
        %%LISTEN_H2_1%%
$locations
    }
}
EOT


# a stream from the mock; its options are the model's name

sub ask {
    my ($client, $options, %o) = @_;

    my $prompt = delete $o{prompt} // 'hello';

    return $t->open(%o, method => 'POST', path => "/$client", keep => 0,
        body => chat_request(model => "mock:$options",
            messages => [ { role => 'user', content => $prompt } ]));
}


# A new worker, which has nothing left over from earlier tests that would
# hide what it needs now; then every kind of stream once, so that what nginx
# allocates for its own life is there before anything is measured.

sub fresh {
    $t->reload or die 'no reload';
    $t->wait_for(sub { my @workers = $t->workers; @workers == 1 })
        or die 'the old worker stays';

    for my $client (qw(openai simple typed text)) {
        for my $port (0, 1) {
            ask($client, 'tokens=2000,burst=500', port => $port,
                proto => $port ? 'h2' : 'h1')->read_all;
        }
    }

    # its line in the log has an id: OpenSSL makes it, once it is all there
    my $mark = $t->log_mark('end.log');
    my $left = ask('openai', 'tokens=9,itl=600000');
    $left->read_headers;
    $left->abort;
    wait_end(qr{"client_abort".* /openai}, $mark) or die 'no end';

    return;
}


sub grown {
    my ($before, $limit, $name) = @_;
    my $now = $t->rss;

    return ok($now, "$name (not judged)") if $valgrind;

    # no number: cmp_ok would only say it when it fails
    note("$name: " . ($now - $before) / KB . ' kB');

    return cmp_ok($now - $before, '<', $limit, $name);
}


# Reads bytes without looking at their framing, which perl is too slow for,
# until the end or $n bytes; the last ones are left in {tail}.

sub drain {
    my ($s, $n, $code) = @_;
    my $conn = $s->conn;
    my $read = 0;

    $s->{tail} //= '';

    while ($read < $n) {
        my $bytes = $conn->read_some(deadline(60)) // last;

        $read += length $bytes;
        $s->{tail} = substr $s->{tail} . $bytes, -200;
        $code->($read) if $code;

        last if $s->{tail} =~ /\r\n0\r\n\r\n\z/;
    }

    return $read;
}


sub wait_end {
    my ($re, $from) = @_;

    return $t->wait_log($re, file => 'end.log', from => $from // 0);
}


for my $client (qw(openai simple)) {
    subtest "$events events, $client" => sub {
        fresh();

        my $mark = $t->log_mark('end.log');
        my $s = ask($client, "tokens=$events,burst=200", rcvbuf => 256 * KB);
        my ($most, $next) = (0, 0);

        is($s->read_headers, 200, 'a stream');

        # an event is 50 bytes at least
        my $read = drain($s, 1000 * 300);
        my $before = $t->rss;

        $read += drain($s, 1e12, sub {
            return if $_[0] < $next;
            my $rss = $t->rss;
            $most = $rss if $rss > $most;
            $next = $_[0] + 5 * MB;
        });

        like($s->{tail}, qr/done|DONE/, 'to its end');
        cmp_ok($read, '>', 30 * $events, 'as long as it is');
        like(wait_end(qr{ /$client}, $mark),
            qr/^200 "complete" "-" $events /, 'every one of them');

        grown($before, MB, 'grown at the end');
        cmp_ok($most - $before, '<', MB, 'grown in between')
            if !$valgrind;
        $s->close;
    };
}


subtest 'over HTTP/2' => sub {
    fresh();

    my $n = $events / 10;
    my $mark = $t->log_mark('end.log');
    my $s = ask('openai', "tokens=$n,burst=200", proto => 'h2', port => 1);

    is($s->skip_count('data: {', 1000), 1000, 'a stream');

    my $before = $t->rss;

    $s->read_all(60);
    is($s->ended, 'complete', 'to its end');
    like(wait_end(qr{ /openai}, $mark), qr/^200 "complete" "-" $n /,
        'every one of them');
    grown($before, MB, 'grown');
};


# The worker waits for nothing but events: it is not one that waits for the
# processor.

sub sleeps {
    my ($pid) = $t->workers;

    open my $fh, '<', "/proc/$pid/stat" or return 0;
    my $line = readline $fh // '';
    close $fh;

    return $line =~ /\) S /;
}


# The mock's counter stands still: it looked the same for as long as it takes
# to send megabytes, while the mock answered and the worker had nothing to do.

sub stands_still {
    my ($quiet) = @_;
    my ($last, $since) = (-1, now());

    return $t->wait_for(sub {
        my $sent = $mock->stats->{bytes_sent};

        if ($sent != $last || !sleeps()) {
            ($last, $since) = ($sent, now());
            return;
        }

        return now() - $since >= $quiet * slow() ? $last || '0 but true'
            : undef;
    }, 60);
}


for my $proto (qw(h1 h2)) {
    subtest "a client that stops reading, $proto" => sub {
        fresh();

        my $before = $t->rss;

        for my $client (qw(openai simple typed text)) {
            my $start = $mock->stats->{bytes_sent};
            my $s = ask($client, "tokens=100m,burst=100,sndbuf=16k",
                proto => $proto, port => $proto eq 'h2' ? 1 : 0,
                rcvbuf => 4 * KB, window => 'manual');

            $s->read_headers;

            my $sent = stands_still(0.2);
            ok($sent, "$client: the upstream stops sending");
            cmp_ok($sent - $start, '<', 64 * MB, "$client: soon");
            cmp_ok($sent, '>', $start, "$client: after it began");
            is($mock->stats->{open}, 1, "$client: it is still open");
            grown($before, MB, "$client: grown");

            # on it goes
            if ($proto eq 'h2') {
                $s->h2->window_update(1 << 20);
                $s->window_update(1 << 20);
                $s->read_bytes(512 * KB);

            } else {
                drain($s, MB);
            }

            ok($t->wait_for(sub { $mock->stats->{bytes_sent} > $sent }),
                "$client: and goes on when the client does");
            $s->abort;
            ok($mock->wait(open => 0), "$client: until it leaves");
        }
    };
}


# Streams whose next token is a long way off.  Both are measured in a worker
# that is new, with everything for the first request there already.

sub quiet {
    my ($client, $prompt) = @_;
    my @held;

    fresh();
    ask($client, 'tokens=1', prompt => $prompt)->read_all;

    my $before = $t->rss;

    for my $n (1 .. $stalled) {
        my $s = ask($client, 'tokens=9,itl=600000', prompt => $prompt);
        push @held, $s;
        $s->read_headers;
    }

    my $each = ($t->rss - $before) / $stalled;

    $_->abort for @held;
    ok($mock->wait(open => 0, limit => 60), "$client: all are gone");
    note("$client: $each bytes each");

    return $each;
}


# Prompts that are read with the header, into two buffers, into a file: what
# the provider's request was made of is gone when that was sent.  The holes
# that it leaves in the heap are filled by the next requests, not all of them.

my %over_plain = (openai => 4, anthropic => 6, fallback => 16);

for my $size (10, 10 * KB, 100 * KB) {
    subtest "streams that wait, a prompt of $size bytes" => sub {
        my $prompt = 'x' x $size;
        my $plain = quiet('plain', $prompt);

        for my $client (sort keys %over_plain) {
            my $each = quiet($client, $prompt);
            my $over = $over_plain{$client} + ($size > 10 ? 4 : 0);

            next if $valgrind;
            cmp_ok($each, '<=', $plain + $over * KB,
                "$client: bytes each, beside plain proxy_pass");
        }
    };
}


# What one such client costs: all that nginx has for its connection, its
# request, the upstream connection and the events in between.

sub hold {
    my ($name, $code) = @_;

    fresh();

    my $before = $t->rss;
    my @held = $code->();

    ok($mock->wait(open => $stalled, limit => 60), "$name: all are there");
    ok(stands_still(0.3), "$name: the upstream stops sending");

    my $rss = $t->rss;
    my $each = ($rss - $before) / $stalled;

    if ($valgrind) {
        pass("$name: $each bytes each (not judged)");

    } else {
        note("$name: $each bytes each");
        cmp_ok($each, '<=', 64 * KB, "$name: bytes each");
    }

    stands_still(0.1);
    cmp_ok(abs($t->rss - $rss), '<', MB, "$name: and it stays")
        if !$valgrind;

    $_->abort for @held;
    ok($mock->wait(open => 0, limit => 60), "$name: all are gone");

    return;
}


for my $client (qw(openai typed)) {
    subtest "$stalled clients that do not read, $client, HTTP/1.1" => sub {
        hold($client, sub {
            return map { ask($client, 'tokens=100m,burst=100,sndbuf=16k',
                rcvbuf => 4 * KB) } 1 .. $stalled;
        });
    };
}


subtest "$stalled streams that are not read, HTTP/2" => sub {
    hold('h2', sub {
        my @h2;

        for my $n (1 .. $stalled) {
            push @h2, $t->h2(port => 1, window => 'manual')
                if ($n - 1) % 100 == 0;
            push @{ $h2[-1]{held} }, ask('openai',
                'tokens=100m,burst=100,sndbuf=16k', on => $h2[-1],
                window => 'manual');
        }

        return @h2;
    });
};


# Nothing of it goes to the client, and nothing of it stays.

subtest 'comments before the first token' => sub {
    fresh();

    my %storm = (
        'one after another' => sse_chunks(": keepalive\n\n", 100_000, 1),
        'many in a chunk' => sse_chunks(": keepalive\n\n", 100_000, 1000),
        'without an empty line' => sse_chunks(": k\n", 100_000, 100),
        'one without an end' => sse_chunks(':' . 'x' x 1000, 10_000, 1),
        'blocks without data' => sse_chunks("id: 1\nevent: x\n\n", 100_000,
            100),
    );

    for my $name (sort keys %storm) {
        for my $client (qw(openai simple)) {
            my $before = $t->rss;
            my $s = $t->open(method => 'POST', path => "/upstream/$client",
                body => chat_request());
            my ($p) = $u->take;

            $p->sse_head;
            $p->send($storm{$name}, 60);
            $p->drained(60);
            $s->poll;
            ok(!$s->has_headers, "$name, $client: nothing is sent");
            grown($before, 256 * KB, "$name, $client: grown");

            $p->chunk("\n\n") if $name =~ /end/;
            $p->event(chat_text('x'), chat_finish('stop'), DONE);
            $p->last_chunk;
            is($s->wait_end, 'complete', "$name, $client: the stream");
            like($s->body, qr/"content":"x"/, "$name, $client: its text");
            unlike($s->body, qr/^:|keepalive|^id/m, "$name, $client: alone");
            $p->close;
        }
    }
};


# HTTP chunks of n times this string, all together $count of it

sub sse_chunks {
    my ($string, $count, $n) = @_;

    return LLMTest::Upstream::chunk($string x $n) x ($count / $n);
}


subtest 'answers 1xx before the 200' => sub {
    my $interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    my $stream = LLMTest::Upstream::stream(
        sse(chat_text('x'), chat_finish('stop'), DONE));

    # some are skipped
    $u->script([ 'request' ], [ send => $interim x 5
        . "HTTP/1.1 100 Continue\r\n\r\n$stream" ], [ 'close' ]);
    my $r = $t->post('/upstream/openai', chat_request());
    is($r->{status}, 200, 'a few: the stream');
    is($r->{ended}, 'complete', 'a few: complete');
    is($r->{headers}{link}, undef, 'a few: their headers are dropped');
    $u->accept;

    # without an end they are no answer
    fresh();

    my $before = $t->rss;

    for my $name ('at once', 'one by one') {
        my $s = $t->open(method => 'POST', path => '/upstream/openai',
            body => chat_request());
        my ($p) = $u->take;

        if ($name eq 'at once') {
            $p->order([ send => $interim x 100_000 . $stream ]);

        } else {
            $p->order([ cut => ($interim) x 2000 ]);
        }

        is($s->status, 502, "$name: 502");
        like($s->read_all, qr/"code":"upstream_protocol"/, "$name: its code");
        ok($p->wait_close, "$name: closed");
        grown($before, 256 * KB, "$name: grown");
    }
};
