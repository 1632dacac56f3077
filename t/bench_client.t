#!/usr/bin/perl

# llm-bench against the mock: it counts what the mock sent, starts requests
# when it is told to, ends as it says, and tells failures by their words.  Both
# engines, one process and several.  That its times are true is tested by
# bench_relay.t, and what stands between it and the mock in
# bench_client_proxy.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use IO::Socket::IP;
use LLMTest::Load;
use LLMTest::Mock;
use LLMTest::Wait qw(wait_for);
use Test::More;

my $root = "$FindBin::Bin/..";

plan skip_all => 'no llm-bench: make bench-tools'
    if !-x LLMTest::Load::binary($root);

my $dir = tempdir(CLEANUP => 1);
my $mock = LLMTest::Mock->new(root => $root, log => "$dir/mock",
    args => ['--set', 'text=stamp']);
my $url = 'http://' . $mock->address;

# A run: what the mock is to do, and the client's arguments.

sub load {
    my ($options, @args) = @_;

    $mock->reset;
    $mock->defaults($options);

    return LLMTest::Load->run(root => $root, dir => $dir, url => $url,
        args => \@args);
}

# The figures that a correct run is known by.

sub counts {
    my ($r) = @_;
    my ($j, $p) = ($r->{json}, $r->{json}{proxy});

    return { (map { $_ => $j->{$_} } qw(completed failed)),
        (map { $_ => $p->{$_} }
            qw(events tokens lost duplicated reordered corrupted)) };
}

sub expected {
    my ($requests, $tokens) = @_;

    return { completed => $requests, failed => 0, lost => 0,
        events => $requests * $tokens, tokens => $requests * $tokens,
        duplicated => 0, reordered => 0, corrupted => 0 };
}

sub sum {
    my $sum = 0;

    $sum += $_ for @_;

    return $sum;
}

my @modes = (
    ['curl'], ['raw'], ['curl', '--processes', 2], ['raw', '--processes', 3],
);

###############################################################################
# counts

for my $mode (@modes) {
    my ($engine, @more) = @$mode;
    my @args = ('--engine', $engine, @more);

    subtest "@args: counts" => sub {
        my $r = load('tokens=20', @args, '--num-prompts', 30,
            '--num-warmups', 3, '--stamps', 20, '--save-detailed');
        my ($j, $p, $stats) = ($r->{json}, $r->{json}{proxy}, $mock->stats);

        is($r->{status}, 0, 'all is well');
        is($r->{err}, '', 'nothing on stderr, which is no terminal');
        is_deeply(counts($r), expected(30, 20), 'what the mock sent');
        is($stats->{complete}, 33, 'warm-up requests are not counted');
        is($j->{total_output_tokens}, 600, 'usage');
        is($j->{max_output_tokens_per_s} <= 600
            && $j->{max_output_tokens_per_s} > 0, 1, 'tokens of a second');
        is(sum(map { scalar @$_ } @{ $j->{itls} }), 30 * 19, 'gaps');
        is(scalar(grep { $_ ne '' } @{ $j->{errors} }), 0, 'no errors');
        is(scalar @{ $j->{$_} }, 30, "$_: one for each")
            for qw(ttfts itls latencies start_times queue_times errors
                input_lens output_lens);
        is($p->{event_delay_us}{count}, 600, 'delays');
        is($p->{first_event_delay_us}{count}, 30, 'first delays');
        is($p->{schedule_delay_us}{count}, 30, 'schedule');
        is($p->{event_bytes}{count}, 600, 'bytes of events');
        is($p->{read_bytes}{count}, $p->{reads}, 'reads');
        cmp_ok($p->{reads}, '<=', 600, 'no more reads than events');
        cmp_ok($p->{event_bytes}{mean} * 600, '<', $p->{bytes},
            'bytes of events are not all');
        like($r->{out}, qr/^Successful requests: +30$/m, 'the table');
    };

    subtest "@args: other streams" => sub {
        my $r = load('tokens=20,per_event=5', @args, '--num-prompts', 4,
            '--stamps', 100);

        is_deeply([@{ counts($r) }{qw(events tokens lost)}], [80, 400, 0],
            'an event is not a token');

        $r = load('tokens=7,size=200', @args, '--num-prompts', 4,
            '--stamps', 7);
        is_deeply(counts($r), expected(4, 7), 'filler');

        $r = load('tokens=6', @args, '--num-prompts', 4, '--stamps', 8);
        is($r->{json}{proxy}{lost}, 8, 'what the mock was not told to send');

        $r = load('tokens=5,reasoning=3', @args, '--num-prompts', 4,
            '--stamps', 5);
        is_deeply([@{ counts($r) }{qw(events tokens lost)}], [32, 20, 0],
            'reasoning is content');

        $r = load('tokens=9,text=lorem', @args, '--num-prompts', 4);
        is_deeply([@{ counts($r) }{qw(events tokens lost)}], [36, 36, undef],
            'without stamps');
    };
}

###############################################################################
# when requests start

for my $mode (@modes) {
    my ($engine, @more) = @$mode;
    my @args = ('--engine', $engine, @more);

    subtest "@args: load" => sub {
        # long enough for the last process to begin before the first ends
        my $r = load('tokens=5,itl=25', @args, '--num-prompts', 40,
            '--max-concurrency', 6, '--stamps', 5);

        is_deeply(counts($r), expected(40, 5), 'closed loop');
        is($r->{json}{max_concurrent_requests}, 6, 'as many as allowed');
        is($mock->stats->{connections}, 6, 'connections are used again');

        $r = load('tokens=5,itl=2', @args, '--num-prompts', 6,
            '--max-concurrency', 1, '--stamps', 5);
        is($r->{json}{max_concurrent_requests}, 1, 'one at a time');

        $r = load('tokens=2', @args, '--num-prompts', 21, '--stamps', 2,
            '--request-rate', 100, '--burstiness', 'inf', '--save-detailed');

        my @start = @{ $r->{json}{start_times} };
        my $late = $r->{json}{proxy}{schedule_delay_us}{max} / 1e6 + 2e-6;
        my @off = map { abs($start[$_] - $start[0] - $_ / 100) } 0 .. 20;

        is(scalar(grep { $_ > $late } @off), 0,
            'open loop: due at equal distances, late by what it says');
    };
}

subtest 'arrivals by seed' => sub {
    my @plan = map {
        my $r = load('tokens=1', '--num-prompts', 10, '--request-rate', 200,
            '--seed', $_, '--save-detailed');
        my $late = $r->{json}{proxy}{schedule_delay_us}{max} / 1e6;
        my @start = @{ $r->{json}{start_times} };

        [$late, map { $_ - $start[0] } @start];
    } 1, 1, 2;
    my $off = sub {
        my ($x, $y) = @plan[@_];

        return scalar grep {
            abs($x->[$_] - $y->[$_]) > $x->[0] + $y->[0] + 2e-6
        } 1 .. 10;
    };

    is($off->(0, 1), 0, 'the same for the same seed');
    ok($off->(0, 2) || $plan[0][0] + $plan[2][0] > 0.005,
        'others for another one');
};

###############################################################################
# what is written

subtest 'the JSON' => sub {
    my $r = load('tokens=4,itl=2', '--num-prompts', 3, '--stamps', 4,
        '--metric-percentiles', '50,99.9', '--label', 'a "label"',
        '--proxy-pid', $mock->pid);
    my @keys = (qw(date label backend endpoint_type model_id num_prompts
        request_rate burstiness max_concurrency duration completed failed
        total_input_tokens total_output_tokens request_throughput
        request_goodput output_throughput total_token_throughput
        max_output_tokens_per_s max_concurrent_requests errors_summary
        formulas proxy),
        map { ("mean_$_", "median_$_", "std_$_", "p50_$_", "p99.9_$_") }
            qw(ttft_ms tpot_ms itl_ms e2el_ms));
    my @proxy = qw(schema engine libcurl http_version processes events tokens
        bytes reads event_throughput byte_throughput events_per_read aborted
        bytes_per_read lost duplicated reordered corrupted stalls cpu memory);
    my @hists = qw(ttft_role_ms event_delay_us first_event_delay_us
        mock_emit_lag_us client_lag_us schedule_delay_us event_bytes
        read_bytes);
    my ($j, $p) = ($r->{json}, $r->{json}{proxy});

    is_deeply([grep { !exists $j->{$_} } @keys], [], "vLLM's keys");
    is_deeply([grep { !exists $p->{$_} } @proxy, @hists], [], 'ours');
    is($j->{label}, 'a "label"', 'the label');
    is($j->{request_rate}, 'inf', 'no rate');
    is_deeply([grep { !exists $j->{formulas}{$_} }
        qw(ttft tpot itl e2el event_delay)], [], 'formulas');

    for my $name (@hists) {
        my $h = $p->{$name};

        is(sum(map { $_->[1] } @{ $h->{hist} }), $h->{count},
            "$name: its buckets are all of it");
        ok($h->{min} <= $h->{mean} && $h->{mean} <= $h->{max}
            && $h->{p50} <= $h->{'p99.9'}, "$name: in order");
    }

    is($p->{memory}{streams} // 3, 3, 'streams whose memory was read');
    is($p->{cpu}{events} <= 12 && $p->{cpu}{proxy_s} >= 0, 1,
        'processor time of the proxy');
};

# All streams of the wave talk long before the first one ends.

for my $n (1, 2) {
    subtest "the steady window, $n processes" => sub {
        my $r = load('tokens=150,itl=20', '--num-prompts', 10, '--stamps', 150,
            '--processes', $n, '--proxy-pid', $mock->pid);
        my $p = $r->{json}{proxy};

        is($p->{cpu}{window}, 'steady', 'is found');
        cmp_ok($p->{cpu}{events}, '>=', 300, 'holds most events');
        cmp_ok($p->{cpu}{events}, '<', 1500, 'but not all');
        cmp_ok($p->{cpu}{wall_s}, '<', $r->{json}{duration},
            'and is shorter than the run');
        cmp_ok($p->{cpu}{proxy_s}, '>', 0, 'processor time of the proxy');
        cmp_ok($p->{cpu}{client_s}, '>', 0, 'and of the client');
        cmp_ok($p->{cpu}{client_wait_s}, '<=', $p->{client_wait_s},
            'what the client waited for a processor');
        is($p->{memory}{streams}, 10, 'memory with all streams');

        $r = load('tokens=5,itl=1', '--num-prompts', 20, '--stamps', 5,
            '--max-concurrency', 4, '--proxy-pid', $mock->pid,
            '--processes', $n);
        is($r->{json}{proxy}{cpu}{window}, 'run', 'several waves: none');

        # one ends before the other begins
        my $late = load('tokens=10,itl=2', '--num-prompts', 2, '--ramp', 4,
            '--processes', $n, '--proxy-pid', $mock->pid);

        is($late->{json}{proxy}{cpu}{window}, 'run', 'a late one: none');
        is($r->{json}{proxy}{cpu}{events}, 100, 'then all events');
    };
}

###############################################################################
# ends

# Of each: options of the mock, the words of curl and of raw.

my @failures = (
    ['status=502', 'HTTP 502', 'HTTP 502'],
    ['fault=s429', 'HTTP 429', 'HTTP 429'],
    ['fault=html-200', 'no event', 'no event'],
    ['fault=finish-without-done', 'no terminator', 'no terminator'],
    ['fault=error-event-mid', 'error event: server_error',
        'error event: server_error'],
    ['fault=invalid-json-event', 'invalid event', 'invalid event'],
    ['fault=invalid-utf8', 'event is not UTF-8', 'event is not UTF-8'],
    ['fault=rst-mid-event', 'Failure when receiving data from the peer',
        'Connection reset by peer'],
    ['fault=fin-chunked-incomplete', 'Transferred a partial file',
        'closed within the body'],
    ['fault=fin-before-headers',
        'Server returned nothing (no headers, no data)',
        'closed before an answer'],
    ['fault=chunk-bad-size', 'Failure when receiving data from the peer',
        "bad HTTP: a chunk's size"],
    ['fault=stall-mid', 'timeout', 'timeout'],
    ['fault=stall-before-headers', 'timeout', 'timeout'],
);

for my $failure (@failures) {
    my ($options, @words) = @$failure;

    for my $engine (qw(curl raw)) {
        my $r = load("tokens=8,$options", '--engine', $engine,
            '--num-prompts', 3, '--stamps', 8, '--timeout',
            $options =~ /stall/ ? 0.2 : 60);

        is_deeply([$r->{status}, $r->{json}{errors_summary}],
            [1, { shift @words => 3 }], "$engine, $options");
    }
}

# streams that look odd and are complete

for my $options (qw(fault=byte-by-byte fault=done-without-finish
    fault=eol-variants fault=stale-keepalive fault=interim-100 framing=close
    framing=length http10=1 fault=trailers comments=3 burst=4)) {
    for my $engine (qw(curl raw)) {
        my $r = load("tokens=8,limit=500,$options", '--engine', $engine,
            '--num-prompts', 6, '--max-concurrency', 3, '--stamps', 8);

        is_deeply([$r->{status}, counts($r)], [0, expected(6, 8)],
            "$engine, $options");
    }
}

subtest 'a body that does not fit into a socket' => sub {
    for my $engine (qw(curl raw)) {
        my $r = load('tokens=3', '--engine', $engine, '--num-prompts', 4,
            '--stamps', 3, '--max-concurrency', 2,
            '--random-input-len', 400_000);

        is_deeply(counts($r), expected(4, 3), $engine);
        is(scalar(grep { $_->{body_length} > 2_000_000 } $mock->requests(4)),
            4, 'all of it was sent');
    }

    # libcurl does not always read it when it cannot write any more
    my $r = load('tokens=3,fault=early-error-while-sending', '--engine',
        'raw', '--num-prompts', 4, '--random-input-len', 400_000);

    is_deeply($r->{json}{errors_summary}, { 'HTTP 413' => 4 },
        'raw: an answer before its end');
};

subtest 'gzip' => sub {
    my @args = ('--num-prompts', 3, '--stamps', 8);
    my @asks = ('--header', 'Accept-Encoding=gzip');
    my $gzip = 'tokens=8,fault=gzip-unasked';

    is_deeply(counts(load($gzip, @args, @asks)), expected(3, 8),
        'is inflated for a client that takes it');
    is_deeply(load($gzip, @args)->{json}{errors_summary},
        { 'no event' => 3 }, 'not for others');
    is_deeply(load($gzip, @args, @asks, '--engine', 'raw')
        ->{json}{errors_summary}, { 'the body is encoded' => 3 },
        'raw: never');
};

subtest 'nobody listens' => sub {
    my $sock = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0,
        Proto => 'tcp') or die "no socket: $!";
    my %o = (root => $root, dir => $dir,
        url => 'http://127.0.0.1:' . $sock->sockport);

    for my $engine ([curl => "Couldn't connect to server"],
        [raw => 'Connection refused'])
    {
        my $r = LLMTest::Load->run(%o, args => ['--engine', $engine->[0],
            '--num-prompts', 4]);

        is_deeply([$r->{status}, $r->{json}{errors_summary}],
            [1, { $engine->[1] => 4 }], $engine->[0]);
        is($r->{json}{proxy}{events}, 0, 'and nothing came');
    }
};

subtest 'IPv6' => sub {
    plan skip_all => 'no ::1 here'
        if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

    my $six = LLMTest::Mock->new(root => $root, log => "$dir/six",
        args => ['--address', '::1', '--set', 'text=stamp tokens=3']);

    for my $engine (qw(curl raw)) {
        my $r = LLMTest::Load->run(root => $root, dir => $dir,
            url => 'http://[::1]:' . $six->port, args => [
                '--num-prompts', 2, '--stamps', 3, '--engine', $engine]);

        is_deeply(counts($r), expected(2, 3), $engine);
    }

    $six->stop;
};

###############################################################################
# leaving early

for my $mode (@modes) {
    my ($engine, @more) = @$mode;
    my @args = ('--engine', $engine, @more);

    subtest "@args: clients that leave" => sub {
        my $r = load('tokens=9,fault=stall-mid', @args, '--num-prompts', 12,
            '--stamps', 9, '--request-cancellation-rate', 100,
            '--request-cancellation-delay', 0.2);

        is($r->{status}, 0, 'is no failure');
        is($r->{json}{proxy}{aborted}, 12, 'all left');
        is($r->{json}{completed} + $r->{json}{failed}, 0, 'and nothing else');
        is($r->{json}{proxy}{lost}, 0, 'what nobody waited for is not lost');
        ok($mock->wait(aborts => 12), 'the mock saw them go');

        $r = load('tokens=3', @args, '--num-prompts', 200, '--stamps', 3,
            '--request-cancellation-rate', 30, '--max-concurrency', 8,
            '--request-cancellation-delay', 60);
        is_deeply(counts($r), expected(200, 3), 'none stays for that long');
    };

    for my $signal ([INT => 130], [TERM => 143]) {
        subtest "@args: SIG$signal->[0]" => sub {
            $mock->reset;
            $mock->defaults('tokens=9,fault=stall-mid,at=6');

            my $run = LLMTest::Load->start(root => $root, dir => $dir,
                url => $url, args => [@args, '--num-prompts', 6,
                    '--stamps', 9, '--max-concurrency', 4]);

            ok($mock->wait(requests => 4), 'requests are out');
            ok(wait_for(sub { $mock->stats->{events_sent} >= 4 * 5 }),
                'and their streams stand');
            $run->signal($signal->[0]);

            my $r = $run->end;

            is($r->{status}, $signal->[1], 'the exit status says it');
            is($r->{json}{proxy}{aborted}, 4, 'those that were open');
            ok($r->{json}{proxy}{stopped}, 'the result says it');
            like($r->{out}, qr/^Content events: +[0-9]+$/m, 'the table');
        };
    }
}

# A process of several that is gone must neither be missed nor waited for, and
# none must stay behind.

for my $gone (qw(child parent)) {
    subtest "two processes, a $gone is killed" => sub {
        $mock->reset;
        $mock->defaults('tokens=9,fault=stall-mid');

        my $run = LLMTest::Load->start(root => $root, dir => $dir,
            url => $url, args => ['--num-prompts', 4, '--processes', 2]);

        ok($mock->wait(requests => 4), 'requests are out');

        my @children = $run->children;

        is(scalar @children, 2, 'two processes beside the first');

        if ($gone eq 'parent') {
            $run->signal('KILL');
            is($run->end->{status}, 128 + 9, 'gone');

        } else {
            kill 'KILL', $children[1];

            my $r = $run->end;

            is($r->{status}, 1, 'failed');
            like($r->{err}, qr/^llm-bench: a process .* failed$/m, 'and why');
        }

        ok(wait_for(sub { !grep { kill 0, $_ } @children }),
            'the others are gone, too');
    };
}

subtest 'a share of the clients leaves' => sub {
    my $r = load('tokens=9,fault=stall-mid', '--num-prompts', 100,
        '--timeout', 5, '--request-cancellation-rate', 30,
        '--request-cancellation-delay', 0.1);
    my $left = $r->{json}{proxy}{aborted};

    is($left + $r->{json}{failed}, 100, 'the others wait to the end');
    cmp_ok(abs($left - 30), '<', 25, "$left of 100 for 30 %");
};

###############################################################################
# secrets, usage

subtest 'no secret of a header is shown' => sub {
    my $secret = 'sk-canary-4711';

    for my $engine (qw(curl raw)) {
        for my $status (200, 401) {
            my $r = load("tokens=2,status=$status", '--num-prompts', 2,
                '--engine', $engine, '--save-detailed',
                '--header', "Authorization=Bearer $secret");
            my ($request) = $mock->requests(1);

            is({ map { lc $_->[0] => $_->[1] }
                    @{ $request->{headers} } }->{authorization},
                "Bearer $secret", "$engine, $status: it is sent");
            unlike($r->{out} . $r->{err} . $r->{text}, qr/$secret/,
                'and not shown');
        }
    }
};

subtest 'usage of the command' => sub {
    for my $bad (['--no-such-option'], ['--dialect', 'none'],
        ['--extra-body', '[1]'], ['--base-url', 'ftp://x.test'],
        ['--engine', 'raw', '--base-url', 'https://x.test'])
    {
        my $r = LLMTest::Load->run(root => $root, dir => $dir, url => $url,
            args => $bad);

        is($r->{status}, 2, "@$bad: 2");
        like($r->{err}, qr/^llm-bench: .+/, 'and why');
        is($r->{out}, '', 'no table');
    }

    for my $asks (['--help', qr/--num-prompts/], ['--version', qr/^llm-bench/]) {
        my $r = LLMTest::Load->run(root => $root, dir => $dir, url => $url,
            args => [$asks->[0]]);

        is($r->{status}, 0, "$asks->[0]: 0");
        like($r->{out}, $asks->[1], 'on stdout');
    }

    my $r = load('tokens=1', '--num-prompts', 1, '--quiet');
    is($r->{out}, '', '--quiet: no table');
};

$mock->stop;
done_testing();
