#!/usr/bin/perl

# llm_stream_zone: what is counted of every kind of ending.  Each has a
# location of its own, so that every number is exact: it is what the access
# log says by the variables, and what the client and the mock have seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(events reply usage);
use LLMTest::Clock;
use LLMTest::Conn;
use LLMTest::Metrics;

my $TRUE = JSON::PP::true;
my $NEXT = 'llm_stream_next_upstream http_429 http_503 stream_error invalid '
    . 'timeout error; llm_stream_next_upstream_tries 2; '
    . 'llm_stream_retry_budget off;';

my @VARIABLES = qw(end error chunks chars bytes_in bytes_out tokens_in
    tokens_out tokens_cached tokens_reasoning tokens_source ttft duration itl
    chars_per_second held redacted limit);

# name => [ lines of the location, the request, what is wanted ].  The
# request: mock, stream, method, body, twice, late (seconds that are let pass
# when the provider's header is there).  Wanted: end, error, and what of the
# counters by cause is not 0.

my %CASES = (
    complete => [ '', {}, { end => 'complete' } ],
    paced => [ '', { mock => 'tokens=6 itl=12 usage=force' },
        { end => 'complete' } ],
    reasons => [ '', { mock => 'tokens=4 reasoning=3 usage=force' },
        { end => 'complete' } ],
    calls => [ '', { mock => 'tools=2' }, { end => 'complete' } ],
    answer => [ '', { stream => 0 }, { end => 'complete', streams => 0 } ],
    translated => [ 'llm_stream_client simple;', {}, { end => 'complete' } ],
    estimated => [ 'llm_stream_limit zone=wide;', { mock => 'usage=off' },
        { end => 'complete' } ],
    held => [ 'llm_stream_stop lorem-ipsum;', {}, { end => 'complete' } ],
    cut_off => [ '', { mock => 'fault=fin-chunked-incomplete at=4' },
        { end => 'truncated', error => 'upstream_truncated',
            class => 'truncated' } ],
    reset => [ '', { mock => 'fault=rst-mid-event at=4' },
        { end => 'truncated', error => 'upstream_reset',
            class => 'truncated' } ],
    s500 => [ '', { mock => 'status=500' },
        { end => 'upstream_error', error => 'upstream_error',
            class => 'http_5xx' } ],
    s429 => [ '', { mock => 'status=429' },
        { end => 'upstream_error', error => 'upstream_error',
            class => 'http_429' } ],
    s404 => [ '', { mock => 'status=404' },
        { end => 'upstream_error', error => 'upstream_error',
            class => 'http_4xx' } ],
    event => [ '', { mock => 'fault=error-event-mid at=4' },
        { end => 'upstream_error', error => 'upstream_error',
            class => 'stream_error' } ],
    event_first => [ '', { mock => 'fault=error-event-first' },
        { end => 'upstream_error', error => 'upstream_error',
            class => 'stream_error' } ],
    html => [ '', { mock => 'fault=html-200' },
        { end => 'invalid', error => 'upstream_content_type',
            class => 'invalid' } ],
    first => [ 'llm_stream_first_token_timeout 60s;',
        { mock => 'fault=stall-after-headers', late => 61 },
        { end => 'timeout', error => 'upstream_timeout_first_event',
            class => 'timeout' } ],
    beats => [ 'llm_stream_heartbeat 20ms; llm_stream_gate off;
            llm_stream_first_token_timeout 60s;',
        { mock => 'fault=stall-after-headers', late => 61 },
        { end => 'timeout', error => 'upstream_timeout_first_event',
            class => 'timeout', beats => 1 } ],
    too_large => [ 'llm_stream_max_response_size 300;', { stream => 0 },
        { end => 'limit', error => 'response_too_large', class => 'invalid',
            streams => 0 } ],
    method => [ '', { method => 'PUT' },
        { end => 'rejected', error => 'method_not_allowed', streams => 0 } ],
    bad_json => [ '', { body => '{' },
        { end => 'rejected', error => 'invalid_json', streams => 0 } ],
    big => [ 'client_max_body_size 10;', {},
        { end => 'rejected', error => 'request_too_large', streams => 0 } ],
    limited => [ 'llm_stream_limit zone=narrow;', { twice => 1 },
        { end => 'limit', error => 'rate_limit_exceeded', limited => 1 } ],
    no_room => [ "set \$k '@{['$request_id' x 32]}'; set \$long '"
        . '$k' x 40 . "'; llm_stream_limit zone=tiny;", {},
        { end => 'limit', error => 'server_busy', limited => 1 } ],
    before => [ 'limit_req zone=one;', { twice => 1 },
        { end => 'limit', error => 'rate_limit_exceeded', streams => 1 } ],
    busy => [ 'limit_req zone=busy; limit_req_status 503;', { twice => 1 },
        { end => 'limit', error => 'server_busy', streams => 1 } ],
    blocked => [ 'llm_stream_redact name=w regex=ipsum action=block;',
        {}, { end => 'blocked' } ],
    masked => [ 'llm_stream_redact name=w regex=ipsum;', {}, { end => 'complete' } ],
);


sub location {
    my ($name, $lines, $to) = @_;

    $to //= '%%MOCK%%';

    return "        location /$name/ { $lines\n"
        . "            llm_stream openai http://$to; }\n";
}


my $t = LLMTest->new(log_level => 'info');
my $clock = LLMTest::Clock->new($t);

# the case no_room
$t->allow_log(qr/could not allocate memory in llm_stream_limit_zone "tiny"/);

my $mock = $t->mock;
my $u = $t->upstream;
my $format = join ',', map { "\"$_\":\"\$llm_stream_$_\"" } @VARIABLES;
my $cases = join '', map { location($_, $CASES{$_}[0]) } sort keys %CASES;

$t->write_file('secret', 'the-secret');
$t->config(<<'EOT' =~ s/FORMAT/$format/r =~ s/CASES/$cases/r
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    llm_stream_zone counts:1m;
    llm_stream_limit_zone $server_name zone=wide:1m rate=1000000t/m;
    llm_stream_limit_zone $server_name zone=narrow:1m rate=1t/m;
    llm_stream_limit_zone $long zone=tiny:32k rate=1t/m;
    limit_req_zone $server_name zone=one:64k rate=1r/m;
    limit_req_zone $server_name zone=busy:64k rate=1r/m;
    limit_req_status 429;
    log_format all escape=json '{"uri":"$uri","status":"$status",FORMAT}';

    llm_stream_auth_provider good { url http://%%MOCK%%/oauth2/token;
        client_id x; client_secret file:%%DIR%%/secret; }
    llm_stream_auth_provider bad { url http://%%MOCK%%/wrong;
        client_id x; client_secret file:%%DIR%%/secret; }

    upstream pair { server 127.0.0.1:%%DEAD_PORT%%; server %%MOCK%% backup; }
    upstream pooled { server %%UPSTREAM%%; keepalive 4; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        server_name one.example;
        access_log %%DIR%%/all.log all;
        client_body_timeout 60s;
CASES
        location /dead/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }
        location /pair/ { llm_stream openai http://pair; NEXT }
        location /again/ { llm_stream openai http://%%UPSTREAM%%; NEXT }
        location /partial/ { llm_stream openai http://%%UPSTREAM%%;
            llm_stream_limit zone=wide; }
        location /leaves/ { llm_stream openai http://%%UPSTREAM%%; NEXT
            llm_stream_next_upstream_timeout 600s; }
        location /content/ { llm_stream openai http://%%UPSTREAM%%; NEXT
            llm_stream_gate content; }
        location /token/ { llm_stream openai http://%%MOCK%%;
            llm_stream_auth good; }
        location /no_token/ { llm_stream openai http://%%MOCK%%;
            llm_stream_auth bad; }
        location /pooled/ { llm_stream openai http://pooled; }
        location /abort/ { llm_stream openai http://%%MOCK%%; }
        location /upload/ { llm_stream openai http://%%MOCK%%; }
        location /chunked/ { llm_stream openai http://%%MOCK%%;
            client_max_body_size 10; }
        location /h2/ { llm_stream openai http://%%MOCK%%; }
        location /page/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = @second; }
        location @second { llm_stream openai http://%%MOCK%%; }
        location /away/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = /plain; }
        location = /plain { return 200 "plain\n"; }
        location /put/ { llm_stream openai http://%%MOCK%%;
            error_page 405 = @held; }
        location /sent/ { llm_stream openai http://%%MOCK%%;
            client_max_body_size 10; error_page 413 = @held; }
        location /sending/ { llm_stream openai http://%%MOCK%%;
            client_max_body_size 10; error_page 413 @held; }
        location /hidden/ { llm_stream openai http://%%MOCK%%;
            client_max_body_size 10; error_page 413 = @held; }
        location @held { proxy_pass http://%%UPSTREAM%%;
            proxy_read_timeout 1h;
            proxy_pass_request_body off; proxy_set_header Content-Length ''; }
        location /mirrored/ { llm_stream openai http://%%MOCK%%;
            mirror /mirror/; }
        location /mirror/ { internal;
            llm_stream openai http://%%MOCK%%/v1/chat/completions; }
        location ~ ^/(regex|other)/ { llm_stream openai http://%%MOCK%%; }
        location /outer/ {
            llm_stream openai http://%%MOCK%%;
            if ($arg_if) { llm_stream openai http://%%MOCK%%; }
            limit_except PUT { allow all; }
            location /outer/inner/ { llm_stream openai http://%%MOCK%%; }
        }
        location /over_429/ { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=narrow; error_page 429 = @held; }
        location /over_502/ { llm_stream openai http://%%MOCK%%;
            llm_stream_auth bad; error_page 502 = @held; }
        location /over_400/ { llm_stream openai http://%%MOCK%%;
            error_page 400 = @held; }
        location /over_405/ { llm_stream openai http://%%MOCK%%;
            error_page 405 = @held; }
        location = /metrics { llm_stream_status prometheus; access_log off; }
    }
}
EOT
    =~ s/NEXT/$NEXT/gr)->start(env => $clock->env);
$clock->run;


# a request as its hash says; its stream

sub ask {
    my ($path, %o) = @_;
    my $stream = $o{stream} // 1;
    my $body = $o{body} // { model => $o{model} // 'm-1',
        stream => $stream ? $TRUE : JSON::PP::false,
        messages => [ { role => 'user', content => 'hello' } ] };

    return $t->open(method => $o{method} // 'POST', path => $path,
        proto => $o{proto} // 'h1', port => $o{proto} ? 1 : 0,
        body => $body, headers => { 'Content-Type' => 'application/json',
            'X-Mock' => $o{mock} // 'tokens=5 usage=force' });
}


sub chat {
    my ($name, %o) = @_;

    return ask("/$name/chat/completions", %o);
}


# what the access log says of a location

sub lines {
    my ($name) = @_;

    return map { JSON::PP->new->utf8->decode($_) }
        grep { m{"uri":"/$name/} } split /\n/, $t->read_file('all.log');
}


sub total {
    my ($key, @lines) = @_;
    my $sum = 0;

    for (@lines) {
        $sum += $_->{$key} if $_->{$key} ne '';
    }

    return $sum;
}


sub number {
    my ($key, @lines) = @_;

    return scalar grep { $_->{$key} ne '' } @lines;
}


# the metrics of a location, when so many of its requests have ended

sub counted {
    my ($name, $n) = @_;

    return LLMTest::Metrics->wait_sum($t, $n, 'requests_total',
        location => "/$name/");
}


# a histogram is what these values are, in seconds or as they are

sub histogram {
    my ($m, $name, $key, $where, @lines) = @_;

    is($m->sum("${name}_count", @$where), number($key, @lines),
        "$name: how many");
    is(sprintf('%.3f', $m->sum("${name}_sum", @$where)),
        sprintf('%.3f', total($key, @lines)), "$name: their sum");

    return;
}


# Every metric of a location is what its lines in the log say.

sub same_as_log {
    my ($m, $name, @lines) = @_;
    my @where = (location => "/$name/");
    my (%end, %error, %tokens);

    $end{ $_->{end} }++ for @lines;
    $error{ $_->{error} }++ for grep { $_->{error} ne '' } @lines;

    is_deeply($m->by('end', 'requests_total', @where), \%end, 'endings');
    is_deeply($m->by('error', 'errors_total', @where), \%error, 'errors');

    my %plain = (chunks_total => 'chunks', characters_total => 'chars',
        received_bytes_total => 'bytes_in', sent_bytes_total => 'bytes_out',
        redactions_total => 'redacted',
        chunk_size_characters_count => 'chunks',
        chunk_size_characters_sum => 'chars');

    for (sort keys %plain) {
        is($m->sum($_, @where), total($plain{$_}, @lines), $_);
    }

    for my $type (qw(input output cached reasoning)) {
        my $key = { input => 'tokens_in', output => 'tokens_out' }->{$type}
            // "tokens_$type";

        $tokens{"$type $_->{tokens_source}"} += $_->{$key}
            for grep { $_->{$key} } @lines;
    }

    my %got = map { ("$_->{labels}{type} $_->{labels}{source}"
            => $_->{value}) } grep { $_->{value} != 0 }
        map { $m->samples('tokens_total', @where, model => $_) } qw(m-1 other);

    is_deeply(\%got, \%tokens, 'tokens');

    histogram($m, 'time_to_first_token_seconds', 'ttft', \@where, @lines);
    histogram($m, 'request_duration_seconds', 'duration', \@where, @lines);
    histogram($m, 'characters_per_second', 'chars_per_second', \@where,
        @lines);
    histogram($m, 'held_bytes', 'held', \@where,
        grep { $_->{held} } @lines);

    is($m->sum('limit_rejections_total', @where),
        scalar(grep { $_->{limit} eq 'rejected' } @lines), 'limited');
    is($m->sum('streams_open', @where), 0, 'nothing is open');

    return;
}


# the worker has the provider's header when it answers what came after it

sub too_late {
    my ($s, $name, %o) = @_;

    ok($mock->wait(id => $name, events => 0), 'a stream');
    ok($t->wait_for(sub { $mock->stats($name)->{bytes} }), 'its header');
    LLMTest::Metrics->get($t);
    ok($s->read_until(qr/^: hb$/m), 'a heartbeat') if $name eq 'beats';
    $clock->advance($o{late});

    return;
}


sub case {
    my ($name) = @_;
    my (undef, $o, $want) = @{ $CASES{$name} };
    my $n = $o->{twice} ? 2 : 1;

    for (1 .. $n) {
        my $s = chat($name, %$o, $o->{late}
            ? (mock => "$o->{mock} id=$name") : ());

        too_late($s, $name, %$o) if $o->{late};
        $s->wait_end;
    }

    my $m = counted($name, $n);
    my @lines = lines($name);
    my @where = (location => "/$name/");
    my $last = $lines[-1];
    my $gaps = 0;

    is(scalar @lines, $n, 'lines in the log') or return;
    same_as_log($m, $name, @lines);

    is($last->{end}, $want->{end}, 'ending');
    is($last->{error}, $want->{error} // '', 'error');
    is_deeply($m->by('class', 'upstream_errors_total', @where),
        $want->{class} ? { $want->{class} => 1 } : {}, 'upstream errors');
    is($m->sum('streaming_requests_total', @where), $want->{streams} // $n,
        'asked to stream');
    is($m->sum('retries_total', @where), 0, 'retries');
    is($m->sum('limit_rejections_total', @where), $want->{limited} // 0,
        'refused by a limit');

    $gaps += $_->{chunks} > 1 ? $_->{chunks} - 1 : 0
        for grep { $_->{chunks} } @lines;

    is($m->sum('inter_token_latency_seconds_count', @where), $gaps, 'gaps');

    if ($gaps && $n == 1) {
        is(int(1000 * $m->sum('inter_token_latency_seconds_sum', @where)
            / $gaps + 1e-6), $last->{itl} * 1000, 'mean gap');
    }

    my $beats = $m->sum('heartbeats_total', @where);

    ok($want->{beats} ? $beats > 0 : $beats == 0, "heartbeats: $beats");

    return;
}


for my $name (sort keys %CASES) {
    subtest $name => sub { case($name) };
}


subtest 'failures of a connection' => sub {
    chat('dead')->wait_end;

    my $m = counted('dead', 1);

    same_as_log($m, 'dead', lines('dead'));
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '/dead/'), { connect => 1 }, 'class');
    is_deeply([ map { $_->{labels}{model} } grep { $_->{value} }
        $m->samples('requests_total', location => '/dead/') ], ['other'],
        'a model that nobody has accepted is not shown');

    chat('pair')->wait_end;
    $m = counted('pair', 1);

    same_as_log($m, 'pair', lines('pair'));
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '/pair/'), { connect => 1 }, 'of the first server');
    is($m->sum('retries_total', location => '/pair/'), 1, 'one more attempt');
    is_deeply($m->by('end', 'requests_total', location => '/pair/'),
        { complete => 1 }, 'the request is complete');
};


sub error_reply {
    my ($status) = @_;

    return [ send => LLMTest::Upstream::answer($status,
        '{"error":{"message":"no","type":"x","code":"c"}}',
        'Content-Type' => 'application/json', 'Retry-After-Ms' => 1) ];
}


my %ANSWERS = (
    http_5xx => error_reply(503),
    http_429 => error_reply(429),
    stream_error => [ send => LLMTest::Upstream::stream(
        'data: {"error":{"message":"no","type":"server_error",'
        . "\"code\":\"server_error\"}}\n\n") ],
    invalid => [ send => LLMTest::Upstream::answer(200, 'x',
        'Content-Type' => 'text/html') ],
    http_4xx => error_reply(418),
);

for my $name (qw(again content)) {
    subtest "attempts that are followed by another: $name" => sub {
        my @where = (location => "/$name/");
        my %want;
        my $n = 0;

        for my $class (qw(http_5xx http_429 stream_error invalid)) {
            $u->script([ 'request' ], $ANSWERS{$class}, [ 'close' ]);
            $u->script([ 'request' ], [ send => reply('abc', 'de') ]);
            chat($name)->wait_end;

            $want{$class}++;

            my $m = counted($name, ++$n);

            is_deeply($m->by('class', 'upstream_errors_total', @where),
                \%want, $class);
            is($m->sum('retries_total', @where), $n, 'retries');
            same_as_log($m, $name, lines($name));
        }
    };
}


# a counter that wrapped would go down

subtest 'usage that no answer can have' => sub {
    my @where = (location => '/again/', type => 'output');
    my @blocks = events('abc');
    my $n = LLMTest::Metrics->get($t)->sum('requests_total',
        location => '/again/');

    splice @blocks, -1, 0, 'data: '
        . usage(5, '9223372036854775807') . "\n\n";

    for my $times (1 .. 2) {
        $u->script([ 'request' ],
            [ send => LLMTest::Upstream::stream(@blocks) ]);
        chat('again')->wait_end;
        is(counted('again', ++$n)->sum('tokens_total', @where),
            $times * 1e9, 'a billion each at most');
    }
};


subtest 'tokens of an identity service' => sub {
    my %o = (mock => 'tokens=3 token=1');
    my @where = (location => '/token/');

    chat('token', %o)->wait_end;
    $mock->revoke;
    chat('token', %o)->wait_end;

    my $m = counted('token', 2);

    same_as_log($m, 'token', lines('token'));
    is_deeply($m->by('end', 'requests_total', @where), { complete => 2 },
        'both are complete');
    is_deeply($m->by('class', 'upstream_errors_total', @where),
        { http_4xx => 1 }, 'the refused token');
    is($m->sum('retries_total', @where), 1, 'and another attempt');

    chat('no_token')->wait_end;
    $m = counted('no_token', 1);
    same_as_log($m, 'no_token', lines('no_token'));
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '/no_token/'), { auth => 1 }, 'no token');
};


subtest 'a pooled connection that is no more is no failure' => sub {
    $u->script([ 'request' ], [ send => reply('abc') ], [ 'hold' ],
        [ 'close' ]);

    my $before = $u->connections;

    chat('pooled')->wait_end;

    my $peer = $u->peer($before + 1);

    counted('pooled', 1);
    $u->script([ 'request' ], [ send => reply('def') ]);
    $peer->go;
    chat('pooled')->wait_end;

    my $m = counted('pooled', 2);

    same_as_log($m, 'pooled', lines('pooled'));
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '/pooled/'), {}, 'no upstream error');
    is($m->sum('retries_total', location => '/pooled/'), 0, 'no retry');
};


subtest 'clients that leave' => sub {
    my @where = (location => '/abort/');
    my $s = chat('abort', mock => 'tokens=50 lockstep=gone');

    ok($mock->wait(id => 'gone', events => 1), 'it begins');
    $mock->ack('gone', 3);
    ok($s->read_until(qr/(?:data: .*?){3}/s), 'three events');

    is(LLMTest::Metrics->wait_sum($t, 1, 'streams_open', @where)
        ->sum('streams_open', @where), 1, 'open');
    is(LLMTest::Metrics->get($t)->sum('requests_total', @where), 0,
        'not among those that ended');
    ok(LLMTest::Metrics->get($t)->sum('chunks_total', @where) > 0,
        'its chunks are counted already');

    $s->close;
    same_as_log(counted('abort', 1), 'abort', lines('abort'));

    $s = chat('abort', mock => 'fault=stall-before-headers lockstep=early');
    LLMTest::Metrics->wait_sum($t, 1, 'streams_open', @where);
    $s->close;
    same_as_log(counted('abort', 2), 'abort', lines('abort'));
    is_deeply(counted('abort', 2)->by('end', 'requests_total', @where),
        { client_abort => 2 }, 'how they ended');
    is_deeply(counted('abort', 2)->by('class', 'upstream_errors_total',
        @where), {}, 'no fault of the provider');
};


subtest 'a usage that says nothing of use' => sub {
    my $event = '{"model":"m-1","choices":[{"index":0,"delta":'
        . '{"content":"hello"},"finish_reason":"stop"}]}';
    my $usage = '{"model":"m-1","choices":[],"usage":{"prompt_tokens":0,'
        . '"completion_tokens":0,"prompt_tokens_details":'
        . '{"cached_tokens":5},"completion_tokens_details":'
        . '{"reasoning_tokens":3}}}';

    $u->script([ 'request' ], [ send => LLMTest::Upstream::stream(
        map { "data: $_\n\n" } $event, $usage, '[DONE]') ]);
    chat('partial')->wait_end;

    my ($line) = lines('partial');

    is($line->{tokens_source}, 'estimate', 'is not taken');
    same_as_log(counted('partial', 1), 'partial', $line);
};


subtest 'a client that leaves before the next attempt' => sub {
    my $mark = $t->log_mark;

    $u->script([ 'request' ], [ send => LLMTest::Upstream::answer(503, '{}',
        'Content-Type' => 'application/json', 'Retry-After-Ms' => 300_000) ],
        [ 'wait_close' ]);

    my $s = chat('leaves');

    ok($t->wait_log(qr/llm_stream waits 300000 ms/, from => $mark), 'it waits');
    $s->close;

    my $m = counted('leaves', 1);

    same_as_log($m, 'leaves', lines('leaves'));
    is_deeply($m->by('end', 'requests_total', location => '/leaves/'),
        { client_abort => 1 }, 'ending');
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '/leaves/'), { http_5xx => 1 }, 'the attempt failed');
    is($m->sum('retries_total', location => '/leaves/'), 0,
        'there was no other');
};


subtest 'uploads' => sub {
    my $s = LLMTest::Conn->connect_to(port => $t->port(0));

    $s->write("POST /upload/chat/completions HTTP/1.1\r\nHost: x\r\n"
        . "Content-Length: 100\r\n\r\n{");
    LLMTest::Metrics->wait_sum($t, 1, 'streams_open',
        location => '/upload/');
    $s->close;

    my $m = counted('upload', 1);

    same_as_log($m, 'upload', lines('upload'));
    is_deeply($m->by('end', 'requests_total', location => '/upload/'),
        { client_abort => 1 }, 'one that its client left');

    $s = LLMTest::Conn->connect_to(port => $t->port(0));
    $s->write("POST /chunked/chat/completions HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n");
    LLMTest::Metrics->wait_sum($t, 1, 'streams_open',
        location => '/chunked/');
    $s->write("20\r\n" . '{' x 32 . "\r\n");
    is(LLMTest::Metrics->wait_sum($t, 0, 'streams_open',
        location => '/chunked/')->sum('streams_open',
        location => '/chunked/'), 0, 'closed before its connection is');
    $s->close;
    $m = counted('chunked', 1);
    same_as_log($m, 'chunked', lines('chunked'));
    is_deeply($m->by('error', 'errors_total', location => '/chunked/'),
        { request_too_large => 1 }, 'one that is too large');
};


subtest 'HTTP/2' => sub {
    chat('h2', proto => 'h2')->wait_end;
    chat('h2', proto => 'h2', mock => 'status=500')->wait_end;
    same_as_log(counted('h2', 2), 'h2', lines('h2'));

    my $s = chat('h2', proto => 'h2', mock => 'tokens=50 lockstep=h2gone');

    ok($mock->wait(id => 'h2gone', events => 1), 'it begins');
    LLMTest::Metrics->wait_sum($t, 1, 'streams_open', location => '/h2/');
    $s->reset;
    same_as_log(counted('h2', 3), 'h2', lines('h2'));
};


subtest 'error pages' => sub {
    my $s = chat('page');

    $s->wait_end;
    is($s->status, 200, 'answered by the second location');

    my $m = LLMTest::Metrics->wait_sum($t, 1, 'requests_total',
        location => '@second');
    my ($line) = lines('page');

    is_deeply($m->by('end', 'requests_total', location => '/page/'),
        { unreachable => 1 }, 'the first location');
    is_deeply($m->by('end', 'requests_total', location => '@second'),
        { complete => 1 }, 'the second');
    is($m->sum('sent_bytes_total', location => '/page/'), 0,
        'the first has sent nothing');
    is($m->sum('sent_bytes_total', location => '@second'),
        $line->{bytes_out}, 'the second all');
    is_deeply($m->by('class', 'upstream_errors_total',
        location => '@second'), {}, 'which had no failed attempt');
    is($m->sum('retries_total', location => qr/page|second/), 0,
        'nor another');
    is($m->sum('streams_open', location => qr/page|second/), 0,
        'nothing is open');

    chat('away')->wait_end;
    $m = counted('away', 1);
    is_deeply($m->by('error', 'errors_total', location => '/away/'),
        { upstream_connect => 1 }, 'one that leads elsewhere');
    is($m->sum('sent_bytes_total', location => '/away/'), 0,
        'what another module has sent is not ours');
};


# refused before its body was read, and held by the page for it

my $chunked = "Transfer-Encoding: chunked\r\n\r\n";
my %HELD = (
    put => [ 'method_not_allowed', 'PUT', "Content-Length: 0\r\n\r\n" ],
    sent => [ 'request_too_large', 'POST', $chunked . "20\r\n" . '{' x 32 ],
    sending => [ 'request_too_large', 'POST', $chunked,
        "20\r\n" . '{' x 32 ],
    hidden => [ 'invalid_request', 'POST', $chunked,
        "20\r\n" . '{' x 32 ],
);

# those of the scripts before
$u->accept for 1 .. $u->connections;

for my $name (sort keys %HELD) {
    subtest "an error page that takes long: $name" => sub {
        my ($error, $method, $first, $rest) = @{ $HELD{$name} };
        my $s = LLMTest::Conn->connect_to(port => $t->port(0));

        $s->write("$method /$name/chat/completions HTTP/1.1\r\nHost: x\r\n"
            . $first);

        if ($rest) {
            LLMTest::Metrics->wait_sum($t, 1, 'streams_open',
                location => "/$name/");
            $s->write($rest);
        }

        my $peer = $u->accept;

        ok($peer->request, 'the page is asked for');

        if (!$rest) {
            is(LLMTest::Metrics->wait_sum($t, 0, 'streams_open',
                location => "/$name/")->sum('streams_open',
                location => "/$name/"), 0, 'it is not open at the first');
        }

        $peer->send(LLMTest::Upstream::answer(200, 'x'));
        $peer->close;
        $s->close;
        is_deeply(counted($name, 1)->by('error', 'errors_total',
            location => "/$name/"), { $error => 1 }, 'why it was refused');
    };
}


# What comes after a refusal is not the time of the location that refused.

my %OVER = (
    over_400 => { body => '{' },
    over_405 => { method => 'PUT' },
    over_429 => {},
    over_502 => {},
);

for my $name (sort keys %OVER) {
    subtest "a refusal, and a page of ten minutes: $name" => sub {
        my $n = 1;

        if ($name eq 'over_429') {
            # the bucket is full, then in debt
            $clock->advance(300);
            chat($name)->wait_end;
            counted($name, $n++);
        }

        my $s = chat($name, %{ $OVER{$name} });
        my $peer = $u->accept;

        ok($peer->request, 'the page is asked for');
        $clock->advance(600);
        $peer->send(LLMTest::Upstream::answer(200, 'x'));
        $peer->close;
        $s->wait_end;
        is($s->status, 200, 'and comes');

        my $m = counted($name, $n);
        my @where = (location => "/$name/");

        is($m->sum('request_duration_seconds_count', @where), $n, 'counted');
        cmp_ok($m->sum('request_duration_seconds_sum', @where), '<', 600,
            'without those minutes');
    };
}


subtest 'subrequests' => sub {
    chat('mirrored')->wait_end;

    my $m = counted('mirror', 1);

    is_deeply($m->by('end', 'requests_total', location => '/mirror/'),
        { client_abort => 1 }, 'the mirror, which nginx leaves');
    is($m->sum('sent_bytes_total', location => '/mirror/'), 0,
        'nobody gets its answer');

    $m = counted('mirrored', 1);
    same_as_log($m, 'mirrored', lines('mirrored'));
};


subtest 'names of locations' => sub {
    ask("/$_/chat/completions")->wait_end for qw(regex other outer/inner);
    ask('/outer/chat/completions?if=1')->wait_end;
    ask('/outer/chat/completions')->wait_end;

    my %want = ('^/(regex|other)/' => 2, '/outer/inner/' => 1,
        '/outer/' => 2);
    my $m;

    for my $location (sort keys %want) {
        $m = LLMTest::Metrics->wait_sum($t, $want{$location},
            'requests_total', location => $location);
        is($m->sum('requests_total', location => $location),
            $want{$location}, $location);
    }

    is_deeply([ sort { $a cmp $b } keys %{ $m->by('server',
        'requests_total') } ], ['one.example'], 'the server');
    is_deeply([ keys %{ $m->by('upstream', 'requests_total') } ],
        ['openai'], 'the provider');
    is($m->sum('zone_lost_total'), 0, 'nothing was lost');
    is($m->sum('streams_open'), 0, 'nothing is open');
};

$t->finish;
