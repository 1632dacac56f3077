#!/usr/bin/perl

# The metrics against everybody else: 2,000 requests of many kinds, with
# faults, aborts and refusals, through four workers and across two reloads.
# What the metrics say, series by series, is what the access log says, which
# is what the clients saw and what the mock did.  While it runs, no count goes
# down.  At the end a worker is killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);
use LLMTest::Metrics;
use LLMTest::MixedLoad;
use LLMTest::Wait qw(wait_for);

use constant REQUESTS => $ENV{TEST_NGINX_VALGRIND} ? 400 : 2000;
use constant AT_ONCE => 80;
use constant MODELS => qw(alpha beta/2 gamma:3b);

# class of nginx_llm_stream_upstream_errors_total, where the error says it
my %CLASS = (upstream_connect => 'connect', upstream_truncated => 'truncated',
    upstream_reset => 'truncated', upstream_empty => 'truncated',
    upstream_content_type => 'invalid', upstream_invalid_event => 'invalid',
    upstream_invalid_stream => 'invalid', upstream_timeout_idle => 'timeout');

# what a histogram has of a line of the log: its name there
my %HISTOGRAM = (time_to_first_token_seconds => 'ttft',
    request_duration_seconds => 'duration',
    characters_per_second => 'chars_per_second', held_bytes => 'held');

my $seed = $ENV{LLM_TEST_SEED} // time;

srand $seed;
diag("seed $seed");

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $load = LLMTest::MixedLoad->new($t, mock => $mock, models => [MODELS]);
my @reads;              # every scrape: { sample => value } of what only grows
my $last;


# locations of the kinds' paths, each with what its series is called

sub location {
    my ($name, $provider, $more, $to) = @_;

    $to //= 'http://%%MOCK%%';

    return "location $name { set \$loc $name; llm_stream $provider $to;\n"
        . ($more // '') . " }\n";
}


sub conf {
    my $file = $t->root . '/examples/logs/llm_stream_log_formats.conf';
    my $json = do { local (@ARGV, $/) = $file; readline };

    $json =~ s/(log_format) llm_stream_json escape=json\n\s+'\{/$1 load
        escape=json '{"name":"\$http_x_name","loc":"\$loc",/;

    return <<"EOT" . join('',
%%GLOBALS%%
worker_processes 4;
worker_shutdown_timeout 30m;
events { worker_connections 1024; }
http {
    %%HTTP%%
    $json
    access_log %%DIR%%/load.log load;
    llm_stream_zone metrics:4m;
    llm_stream_limit_zone \$http_x_key zone=keys:64k rate=1t/m;
    llm_stream_log all;
    llm_stream_next_upstream error timeout;

    upstream both {
        server 127.0.0.1:%%DEAD_PORT%% max_fails=0;
        server %%MOCK%%;
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        access_log off;
        location = /metrics { llm_stream_status prometheus; }
    }

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport backlog=1024;
        %%LISTEN_H2_1%%
        server_name load.example.com;
EOT
        location('/openai/openai', 'openai', 'llm_stream_client openai;'),
        location('/openai/anthropic', 'openai',
            'llm_stream_client anthropic;'),
        location('/openai/text', 'openai', 'llm_stream_client text;'),
        location('/anthropic/openai-responses', 'anthropic',
            'llm_stream_client openai-responses;'),
        location('/anthropic/openai', 'anthropic',
            'llm_stream_client openai;'),
        location('/gemini/typed', 'gemini', 'llm_stream_client typed;'),
        location('/ollama/ollama', 'ollama', 'llm_stream_client ollama;'),
        location('/beat', 'openai',
            'llm_stream_heartbeat 100ms; llm_stream_gate off;'),
        location('/redact', 'openai', 'llm_stream_redact name=five '
            . 'regex=5;'),
        location('/stop', 'openai', 'llm_stream_stop " 7";'),
        location('/retry', 'openai', '', 'http://both'),
        location('/limited', 'openai', 'llm_stream_limit zone=keys burst=1000;'),
        location('/idle', 'openai', 'llm_stream_idle_timeout 200ms;'),
        location('/dead', 'openai', '', 'http://127.0.0.1:%%DEAD_PORT%%'),
        location('/fallback', 'openai', 'error_page 502 = @second;',
            'http://127.0.0.1:%%DEAD_PORT%%'),
        location('@second', 'openai'), "}\n}\n");
}


sub scrape {
    my $m = LLMTest::Metrics->get($t, port => 2);
    my %now;

    for my $name ($m->names) {
        next if $name =~ /_streams_open$|_age_seconds$|_info$/;

        for my $s ($m->samples($name)) {
            my $l = $s->{labels};

            $now{ join ' ', $name, map { "$_=$l->{$_}" } sort keys %$l }
                = $s->{value};
        }
    }

    push @reads, \%now;
    $last = $m;

    return $m;
}


# for nginx a stream ends a little later than for its client

sub open_are {
    my ($n, $name) = @_;

    ok(wait_for(sub { scrape()->sum('streams_open') == $n }), $name)
        or diag('    ' . $last->sum('streams_open') . ", not $n");

    return;
}


# what went down since the read before, or is below nothing

sub fallen {
    my @bad;

    for my $i (1 .. $#reads) {
        my ($before, $now) = @reads[ $i - 1, $i ];

        push @bad, map { "read $i: $_: $before->{$_}, "
            . ($now->{$_} // 'gone') } grep { !defined $now->{$_}
            || $now->{$_} < $before->{$_} || $now->{$_} < 0 } keys %$before;
    }

    return @bad;
}


$t->config(conf())->start;

# one good answer for each model and place, so that each has a series

sub warm_up {
    my %seen;

    for my $kind ($load->kinds) {
        next if $kind->{name} =~ /^(?:dead|bad|method)/
            || $seen{ $kind->{to} }++;

        for my $model (MODELS) {
            $load->end($load->begin({ %$kind, mock => undef, name => 'warm',
                saw => 'whole', end => undef, aborts => 0, tokens => 2 },
                model => $model, key => "warm-$model"));
        }
    }

    # and all that there is to be had with the key of the others, and more: it
    # takes hours until the bucket has some again
    my ($limited) = grep { $_->{name} eq 'limited' } $load->kinds;

    $load->end($load->begin({ %$limited, saw => 'whole', end => undef,
        tokens => 2500 }));

    return;
}


sub wave {
    my ($n) = @_;
    my @open = map { $load->begin($_) } $load->draw($n);

    scrape();
    $load->end($_) for @open;

    return;
}


sub run {
    my ($held) = grep { $_->{name} eq 'anthropic' } $load->kinds;
    my $waves = REQUESTS / AT_ONCE;

    warm_up();
    scrape();

    for my $n (1 .. $waves) {
        wave(AT_ONCE);

        next if $n != int($waves / 3) && $n != int(2 * $waves / 3);

        # streams that begin before a reload and end after it
        my @held = map { $load->begin($held, hold => 1) } 1 .. 12;

        $_->{s}->read_event for @held;
        open_are(12, 'streams are open');
        ok($t->reload, "reloaded after wave $n");
        open_are(12, 'and are still');
        wave(AT_ONCE);
        $load->end($_) for @held;
    }

    return;
}


my @lines;              # the access log's, as hashes
my %expected;           # series => { sample => value }


# the line of each request, once all are there

sub read_log {
    my $n = $load->done;

    wait_for(sub { $n <= (() = $t->read_file('load.log') =~ /\n/g) }, 60);
    @lines = map { json($_) // die "no JSON: $_\n" }
        split /\n/, $t->read_file('load.log');

    return scalar @lines;
}


sub add {
    my ($series, $sample, $n) = @_;

    $expected{$series}{$sample} += $n if $n;

    return;
}


# the class of an attempt that failed, by its line

sub class {
    my ($v) = @_;
    my ($status) = $v->{peer_status} =~ /(\d+)\z/;

    return $CLASS{ $v->{error} } if $v->{error} ne 'upstream_error';
    return $status == 429 ? 'http_429' : $status >= 500 ? 'http_5xx'
        : $status >= 400 ? 'http_4xx' : 'stream_error';
}


# what a line has to have added to its series

sub count {
    my ($v, $q) = @_;
    my $refused = $v->{end} eq 'rejected' || $v->{loc} eq '/dead';
    my $series = join ' ', @$v{qw(loc upstream)},
        $refused ? 'other' : $v->{request_model};
    my ($peers) = $v->{peer} =~ /([^:]*:[^ ]*(?:, [^ ]*)*)\z/;
    my $again = () = ($peers // '') =~ /,/g;

    add($series, "requests_total end=$v->{end}", 1);
    add($series, "errors_total error=$v->{error}", $v->{error} ne '');
    add($series, 'streaming_requests_total', $v->{end} ne 'rejected'
        && !$q->{kind}{answer});
    add($series, "$_->[0]_total", $v->{ $_->[1] }) for
        [ chunks => 'chunks' ], [ characters => 'chars' ],
        [ received_bytes => 'bytes_in' ], [ sent_bytes => 'bytes_out' ],
        [ redactions => 'redacted' ];
    add($series, 'limit_rejections_total', $v->{limit} eq 'rejected');
    add($series, 'retries_total', $again);
    add($series, 'heartbeats_total', $q->{beats});
    add($series, 'upstream_errors_total class=connect', $again);
    add($series, 'upstream_errors_total class=' . class($v), 1)
        if $v->{error} =~ /^upstream/;

    for my $type (qw(in out cached reasoning)) {
        my $source = $v->{tokens_source} eq 'estimate' ? 'estimate' : 'usage';
        my $name = { in => 'input', out => 'output' }->{$type} // $type;

        add($series, "tokens_total source=$source type=$name",
            $v->{"tokens_$type"});
    }

    for my $name (sort keys %HISTOGRAM) {
        my $value = $v->{ $HISTOGRAM{$name} };

        next if !defined $value || $name eq 'held_bytes' && !$value;
        add($series, "${name}_count", 1);
        add($series, "${name}_sum", $value);
    }

    add($series, 'chunk_size_characters_count', $v->{chunks});
    add($series, 'chunk_size_characters_sum', $v->{chars});
    add($series, 'inter_token_latency_seconds_count',
        $v->{chunks} > 1 ? $v->{chunks} - 1 : 0);

    return if $v->{loc} ne '@second';

    # where it was before: no peer, and no line of its own
    my $before = '/fallback openai other';

    add($before, $_, 1) for 'requests_total end=unreachable',
        'errors_total error=upstream_connect', 'streaming_requests_total',
        'upstream_errors_total class=connect',
        'request_duration_seconds_count';

    return;
}


# what the metrics have: series => { sample => value }, without zeros

sub have {
    my ($m) = @_;
    my %have;

    for my $name ($m->names) {
        next if $name =~ /_bucket$|_open$|_zone_|_info$/;

        for my $s ($m->samples($name)) {
            my %l = %{ $s->{labels} };
            my ($server, @series) = delete @l{qw(server location upstream
                model)};
            my $sample = join ' ', $name =~ s/^nginx_llm_stream_//r,
                map { "$_=$l{$_}" } sort keys %l;

            is($server, 'load.example.com', "$sample: server")
                if $server ne 'load.example.com';
            $have{"@series"}{$sample} = $s->{value} if $s->{value} != 0;
        }
    }

    return \%have;
}


# in which samples a series is not what the log says

sub differences {
    my ($h, $series) = @_;
    my $e = $expected{$series};
    my %both = (%{ $h // {} }, %$e);

    # gaps have no line, and the first place of a fallback no time
    delete @both{'inter_token_latency_seconds_sum',
        $series =~ m{^/fallback} ? 'request_duration_seconds_sum' : ()};

    return grep { abs(($h->{$_} // 0) - ($e->{$_} // 0)) > 1e-6 }
        sort keys %both;
}


subtest 'the load' => sub {
    run();
    cmp_ok(scalar $load->done, '>=', REQUESTS, 'so many requests');

    my @bad = grep { defined } map { $_->{bad} } $load->done;

    is(scalar @bad, 0, 'each client has seen what it had to')
        or diag(map { "    $_\n" } @bad[ 0 .. ($#bad > 20 ? 20 : $#bad) ]);
    is(read_log(), scalar $load->done, 'each has a line in the access log');
};


subtest 'the log is what the clients saw' => sub {
    my %line = map { $_->{name} => $_ } @lines;
    my @bad;

    for my $q ($load->done) {
        my $v = $line{ $q->{name} } or die "no line of $q->{name}\n";
        my $kind = $q->{kind};
        my %want = (end => $kind->{end} // ($kind->{saw} ? $v->{end}
            : 'complete'), client => $kind->{client});

        $want{status} = $q->{status} if $q->{status};
        $want{bytes_out} = $q->{wire} if defined $q->{wire};
        $want{chunks} = 3 if $kind->{name} =~ /^left/;
        $want{error} = '' if $want{end} eq 'complete';
        $want{bytes_in} = $q->{sent}{body}
            if $q->{sent} && !$kind->{aborts};
        $want{redacted} = 1 if $kind->{name} eq 'redact';

        if (my $r = $q->{read}) {
            $want{chunks} = $q->{tokens} + ($kind->{name} eq 'reasoning'
                ? 2 : 0) if !$kind->{answer} && !$kind->{cut};
            $want{chars} = length($r->{text}) + length($r->{reasoning} // '')
                if !$kind->{cut};
            $want{tokens_in} = $r->{input} if defined $r->{input};
            $want{tokens_out} = $r->{output} if defined $r->{output};
        }

        push @bad, map { "$q->{name}: $_ " . ($v->{$_} // 'null')
            . ", not $want{$_}" } grep { ($v->{$_} // '') ne $want{$_} }
            sort keys %want;
    }

    is(scalar @bad, 0, 'each line') or diag(map { "    $_\n" }
        @bad[ 0 .. ($#bad > 30 ? 30 : $#bad) ]);
};


subtest 'the metrics are what the log says' => sub {
    my %of = map { $_->{name} => $_ } $load->done;
    my $n = @lines + grep { $_->{loc} eq '@second' } @lines;

    LLMTest::Metrics->wait_sum($t, $n, 'requests_total', port => 2);
    count($_, $of{ $_->{name} }) for @lines;

    my $have;

    # a worker writes one number after the other
    wait_for(sub {
        $have = have(scrape());
        return !grep { differences($have->{$_}, $_) } keys %expected;
    });

    is_deeply([ sort keys %$have ], [ sort keys %expected ], 'the series');

    for my $series (sort keys %expected) {
        my ($h, $e) = ($have->{$series}, $expected{$series});
        my @bad = differences($h, $series);

        is(scalar @bad, 0, $series) or diag(map { "    $_: "
            . ($h->{$_} // 0) . ', the log: ' . ($e->{$_} // 0) . "\n" }
            @bad);
    }
};


subtest 'the metrics are what the provider did' => sub {
    my $m = scrape();

    ok($mock->wait(open => 0), 'it has seen all ends');

    my $s = $mock->stats;
    my $asked = $m->sum('requests_total')
        - $m->sum('requests_total', end => 'rejected')
        - $m->sum('limit_rejections_total') + $m->sum('retries_total')
        - $m->sum('upstream_errors_total', class => 'connect');

    is($asked, $s->{requests}, 'attempts');
    is($m->sum('requests_total', end => 'client_abort')
        + $m->sum('requests_total', end => 'timeout')
        + grep({ $_->{kind}{aborts} } $load->done), $s->{aborts}, 'what it saw aborted');
    is($s->{complete} + $s->{aborts} + $s->{faults}, $s->{requests},
        'each had an end');
    is($s->{open}, 0, 'none is open');
};


subtest 'all the time' => sub {
    open_are(0, 'no stream is open');

    my @bad = fallen();
    my $m = $last;

    cmp_ok(scalar @reads, '>', REQUESTS / AT_ONCE, 'reads');
    is(scalar @bad, 0, 'nothing goes down') or diag(map { "    $_\n" }
        @bad[ 0 .. ($#bad > 20 ? 20 : $#bad) ]);
    is($m->sum('zone_lost_total'), 0, 'nothing was lost');

    my $wrong = 0;
    my $checked = 0;

    for my $name (grep { /_bucket$/ } $m->names) {
        my %last;
        my %top;

        for my $s ($m->samples($name)) {
            my %l = %{ $s->{labels} };
            my $le = delete $l{le};
            my $series = join ' ', map { "$_=$l{$_}" } sort keys %l;

            $wrong++ if $s->{value} < ($last{$series} // 0);
            $last{$series} = $s->{value};
            $top{$series} = $s->{value} if $le eq '+Inf';
            $checked++;
        }

        for my $s ($m->samples($name =~ s/_bucket$/_count/r)) {
            my $series = join ' ', map { "$_=$s->{labels}{$_}" }
                sort keys %{ $s->{labels} };

            $wrong++ if $s->{value} != ($top{$series} // -1);
        }
    }

    is($wrong, 0, 'histograms are monotone up to their count');
    cmp_ok($checked, '>', 1000, 'which were some');
    is($m->sum('request_duration_seconds_count'), $m->sum('requests_total'),
        'every request has a duration');
};


# a worker that is killed takes no count with it, and leaves no stream open

subtest 'a killed worker' => sub {
    $t->allow_log(qr/exited on signal 9/);

    my ($kind) = grep { $_->{name} eq 'anthropic' } $load->kinds;
    my $before = scrape();
    my @held = map { $load->begin($kind, hold => 1) } 1 .. 16;

    $_->{s}->read_event for @held;

    open_are(16, 'streams are open');

    my ($pid) = $t->workers;

    kill 'KILL', $pid;
    ok(wait_for(sub {
        my @now = $t->workers;
        return @now == 4 && !grep { $_ == $pid } @now;
    }), 'it is replaced');

    # the others have no end
    my @left;

    ok(wait_for(sub {
        for my $q (@held) {
            1 while $q->{s}->poll;
        }

        @left = grep { !$_->{s}->ended } @held;

        return scrape()->sum('streams_open') == @left;
    }), 'streams are open, those of the others');
    $load->end($_) for @left;

    my $m = LLMTest::Metrics->wait_sum($t, $before->sum('requests_total')
        + @left, 'requests_total', port => 2);

    is($m->sum('requests_total'), $before->sum('requests_total') + @left,
        'the others are counted');
    is(scalar(my @bad = fallen()), 0, 'nothing went down');
    ok(wait_for(sub { scrape()->sum('streams_open') == 0 }),
        'and none is open');
};


$t->finish;
