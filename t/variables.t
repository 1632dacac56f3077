#!/usr/bin/perl

# $llm_stream_*: every variable after every kind of ending, in locations that
# are not ours, while the stream still runs, in maps and headers; and names
# of models with bytes that no log and no header may take as they are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta finish usage events reply answer answer_reply
    json CLIENTS);
use LLMTest::Ending qw(pass_time);

my @NAMES = qw(model request_model client upstream ttft duration chunks chars
    bytes_in bytes_out chars_per_second chunks_per_second chunk_size itl
    held tokens_in tokens_out tokens_cached tokens_reasoning tokens_source finish
    end error);

my $t = LLMTest->new;
my $u = $t->upstream;
my $mock = $t->mock;
my $format = join ' ', map { "$_=[\$llm_stream_$_]" } @NAMES;
my $json = join ',', map { "\"$_\":\"\$llm_stream_$_\"" } @NAMES;
my $headers = join '', map { "add_header X-$_ \$llm_stream_$_ always;\n" }
    @NAMES;
my $by_client = join '', map { <<"EOT" } CLIENTS;
        location /$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
        }
EOT

$t->write_file('html/static.txt', "static\n");

$t->config(<<'EOT' =~ s/FORMAT/$format/r =~ s/JSON/$json/r
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format all "status=[$status] sent=[$body_bytes_sent] FORMAT";
    log_format json escape=json '{JSON}';
    log_format few "$request_uri $llm_stream_error";
    limit_req_zone $server_name zone=one:64k rate=1r/m;

    map $llm_stream_end $ended {
        volatile;
        default  "other";
        ""       "not yet";
        complete "well";
    }

    map $llm_stream_end $ended_once {
        default  "other";
        ""       "not yet";
        complete "well";
    }

    map $llm_stream_request_model $asked {
        default "someone";
        ""      "nobody";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        server_name localhost;
        root %%DIR%%/html;
        access_log %%DIR%%/vars.log all;
        access_log %%DIR%%/json.log json;
        access_log %%DIR%%/errors.log few if=$llm_stream_error;
BY_CLIENT
        location /mock { llm_stream openai http://%%MOCK%%; }
        location /dead { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }

        location /times {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_first_token_timeout 100ms;
        }

        location /limits {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_event_size 1k;
            client_max_body_size 1k;
        }

        location /sent-model {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_model other-model;
        }

        location /headers {
            HEADERS
            add_header X-Ended $ended;
            add_header X-Ended-Once $ended_once;
            llm_stream openai http://%%UPSTREAM%%;
            access_log %%DIR%%/vars.log all;
            access_log %%DIR%%/ended.log ended;
        }

        location /early {
            set $x "$llm_stream_model$llm_stream_end$llm_stream_bytes_out";
            if ($llm_stream_client = simple) {
                return 500;
            }
            if ($llm_stream_chunks) {
                return 500;
            }
            add_header X-Early "[$x]";
            add_header X-Asked $asked;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /fallback {
            llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = @second;
        }

        location @second {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_model second-model;
        }

        location /to-plain {
            llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = @plain;
        }

        location @plain {
            HEADERS
            return 200 "plain\n";
        }

        location /403 {
            deny all;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /503 {
            limit_req zone=one;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /plain {
            HEADERS
            return 200 "plain [$llm_stream_model$llm_stream_chunks]\n";
        }

        location /static {
            HEADERS
        }

        location /proxy {
            HEADERS
            proxy_pass http://127.0.0.1:%%PORT_0%%/plain;
            proxy_set_header X-Model "[$llm_stream_model]";
        }

        location /auth-request {
            auth_request /auth;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location = /auth {
            HEADERS
            return 204;
        }
    }
}
EOT
    =~ s/HEADERS/$headers/gr =~ s/BY_CLIENT\n/$by_client/r
    =~ s/(log_format few)/log_format ended "\$ended \$llm_stream_end";\n$1/r
    )->start;

my $BODY = '{"stream":true,"model":"asked-1","messages":[{"role":"user",'
    . '"content":"hi"}]}';
my @USAGE = map { "data: $_\n\n" } delta('\u00e9\ud83d\ude00'),
    delta('a\n'), delta(''), finish(), usage(11, 7, 3, 2), '[DONE]';


sub parsed {
    my ($line) = @_;

    return { $line =~ /(\w+)=\[(.*?)\](?= |\z)/g };
}


# the variables of the one request that the code makes

sub logged {
    my ($code, $file) = @_;
    my $mark = $t->log_mark('vars.log');

    $code->();

    return parsed($t->wait_log(qr/./, file => 'vars.log', from => $mark)
        // '');
}


# ask($path, $bytes of the provider, %options of open): variables, answer

sub ask {
    my ($path, $bytes, %o) = @_;
    my $r;

    $u->script(['request'], [ send => $bytes ], ['close']) if $bytes;

    my $v = logged(sub {
        $r = $t->http($o{method} // 'POST', $path, $o{headers},
            exists $o{body} ? $o{body} : $BODY, %o);

        # a connection that nginx closes is logged when the client has, too
        $r->{stream}->conn->close;
    });

    return wantarray ? ($v, $r) : $v;
}


# opens a request and takes its connection at the provider

my $taken = 0;


sub start {
    my (%o) = @_;

    while ($taken < $u->connections) {
        $u->accept;
        $taken++;
    }

    my $s = $t->open(method => 'POST', body => $BODY, %o);
    my $p = $u->accept;

    $taken++;
    $p->request;

    return ($s, $p);
}


sub vars_are {
    my ($v, $name, %want) = @_;

    for my $key (sort keys %want) {
        if (ref $want{$key}) {
            like($v->{$key} // '', $want{$key}, "$name: $key");

        } else {
            is($v->{$key}, $want{$key}, "$name: $key");
        }
    }

    return;
}


sub none {
    my ($v, $name) = @_;

    is(join(' ', grep { ($v->{$_} // '') ne '-' } @NAMES), '',
        "$name: none has a value");

    return;
}


my $NUMBER = qr/^\d+\z/;
my $TIME = qr/^\d+\.\d{3}\z/;
my $RATE = qr/^(?:\d+(?:\.\d+)?|-)\z/;


for my $client (CLIENTS) {
    subtest "$client: a complete stream" => sub {
        my ($v, $r) = ask("/$client", LLMTest::Upstream::stream(@USAGE));

        is($r->{status}, 200, 'answered');
        vars_are($v, 'complete', status => 200, model => 'mock-1',
            request_model => 'asked-1', client => $client,
            upstream => 'openai', ttft => $TIME, duration => $TIME,
            chunks => 2, chars => 4, bytes_in => length join('', @USAGE),
            chars_per_second => $RATE, chunks_per_second => $RATE,
            chunk_size => qr/^2(?:\.0+)?\z/, itl => $TIME, tokens_in => 11,
            tokens_out => 7, tokens_cached => 3, tokens_reasoning => 2,
            tokens_source => 'usage', finish => 'stop', end => 'complete',
            error => '-');

        cmp_ok($v->{ttft}, '<=', $v->{duration}, 'times: in order');
        cmp_ok($v->{bytes_out}, '>=', length $r->{body}, 'bytes_out');
        cmp_ok($v->{bytes_out}, '<=', length($r->{body}) + 200,
            'bytes_out: little more than the body');
    };
}


subtest 'other protocols, one connection' => sub {
    my ($v, $r) = ask('/simple', LLMTest::Upstream::stream(@USAGE),
        proto => 'h2', port => 1);
    vars_are($v, 'HTTP/2', chunks => 2, chars => 4, end => 'complete',
        bytes_in => length join('', @USAGE), client => 'simple');
    cmp_ok($v->{bytes_out}, '>=', length $r->{body}, 'HTTP/2: bytes_out');

    my @sent;
    my $s;

    for my $n (1 .. 3) {
        $u->script(['request'], [ send => reply('hi') ], ['close']);
        my $v = logged(sub {
            $s = $t->open(method => 'POST', path => '/openai', on => $s,
                body => $BODY);
            $s->result;
        });
        push @sent, $v->{bytes_out};
    }

    is($sent[1], $sent[0], 'the second on a connection counts its own bytes');
    is($sent[2], $sent[0], 'the third too');
};


subtest 'without usage' => sub {
    my $v = ask('/openai', reply('hi'));

    vars_are($v, 'none said', chunks => 1, chars => 2, itl => '-',
        chars_per_second => '-', chunks_per_second => '-', ttft => $TIME,
        finish => 'stop', end => 'complete', tokens_cached => '-',
        tokens_reasoning => '-');
    isnt($v->{tokens_source}, 'usage', 'none said: source');
    is($v->{tokens_source} eq 'estimate', $v->{tokens_out} ne '-',
        'a number only with its source');

    $v = ask('/openai', LLMTest::Upstream::stream(map { "data: $_\n\n" }
        finish('content_filter'), '[DONE]'));
    vars_are($v, 'no content', chunks => 0, chars => 0, ttft => '-',
        itl => '-', chunk_size => '-', finish => 'content_filter',
        end => 'complete', duration => $TIME);
};


subtest 'one JSON answer' => sub {
    my $body = $BODY =~ s/"stream":true,//r;

    for my $client (CLIENTS) {
        my $v = ask("/$client", answer_reply('abc'), body => $body);
        vars_are($v, "$client: JSON", status => 200, model => 'mock-1',
            request_model => 'asked-1', client => $client, tokens_in => 9,
            tokens_out => 3, tokens_source => 'usage', finish => 'stop',
            end => 'complete', error => '-', chars => 3,
            bytes_in => length answer('abc'));
    }

    my $v = ask('/simple', LLMTest::Upstream::stream(@USAGE),
        body => $BODY =~ s/true/false/r);
    vars_are($v, 'gathered', chunks => 2, chars => 4, tokens_in => 11,
        end => 'complete');
};


subtest 'models' => sub {
    vars_are(scalar ask('/sent-model', LLMTest::Upstream::stream(
        map { s/"model":"mock-1"/"model":"served-2"/r } @USAGE)),
        'three of them', request_model => 'asked-1', model => 'served-2');

    my $v = ask('/sent-model', failed());
    vars_are($v, 'what was sent, before any is served',
        request_model => 'asked-1', model => 'other-model');

    $v = ask('/openai', failed(), body => '{"messages":[{}]}');
    vars_are($v, 'no model', request_model => '-', model => '-');
};


sub failed {
    return LLMTest::Upstream::answer(429, '{"error":{"message":"m"}}',
        'Content-Type' => 'application/json');
}


subtest 'endings' => sub {
    my $some = "data: " . delta('abc') . "\n\n";
    my @cases = (
        [ 'upstream_error', 'upstream_error', '/openai', failed(), 429, 0 ],
        [ 'upstream_error', 'upstream_error', '/simple',
            LLMTest::Upstream::stream($some, "data: {\"error\":{\"message\":"
            . "\"m\"}}\n\n"), 200, 1 ],
        [ 'truncated', 'upstream_truncated', '/simple',
            LLMTest::Upstream::stream($some), 200, 1 ],
        [ 'truncated', 'upstream_truncated', '/text',
            LLMTest::Upstream::stream($some), 200, 1 ],
        [ 'unreachable', 'upstream_connect', '/dead', '', 502, 0 ],
        [ 'invalid', 'upstream_content_type', '/openai',
            LLMTest::Upstream::answer(200, '<p>', 'Content-Type' =>
            'text/html'), 502, 0 ],
        [ 'invalid', 'upstream_redirect', '/openai',
            LLMTest::Upstream::answer(302, '', Location => '/x'), 502, 0 ],
        [ 'limit', 'event_too_large', '/limits', LLMTest::Upstream::stream(
            $some, 'data: ' . delta('x' x 5000) . "\n\n"), 200, 1 ],
    );

    for my $case (@cases) {
        my ($end, $error, $path, $bytes, $status, $chunks) = @$case;
        my $v = ask($path, $bytes);

        vars_are($v, "$end, $path", status => $status, end => $end,
            error => $error, chunks => $chunks, chars => 3 * $chunks,
            finish => '-', request_model => 'asked-1', upstream => 'openai',
            duration => $TIME, ttft => $chunks ? $TIME : '-');
    }

    $u->script(['request'], ['wait_close']);
    vars_are(scalar ask('/times', ''), 'timeout', status => 504,
        end => 'timeout', error => qr/^upstream_timeout_\w+$/,
        chunks => 0, ttft => '-', duration => qr/^\d+\.(?!000)\d{3}\z/);

    like($t->wait_log(qr{^/times}, file => 'errors.log') // '',
        qr{^/times upstream_timeout}, 'access_log if=$llm_stream_error');
    unlike($t->read_file('errors.log'), qr/^\S+ -$/m, 'and only with one');
};


subtest 'the client leaves' => sub {
    for my $proto ([ h1 => 0 ], [ h2 => 1 ]) {
        my @o = (path => '/simple', proto => $proto->[0],
            port => $proto->[1]);

        my $v = logged(sub {
            my ($s, $p) = start(@o);
            $p->sse_head;
            $p->event(delta('abc'));
            $s->read_event;
            $s->conn->close;
            $p->wait_close;
        });
        vars_are($v, "$proto->[0], in the stream", end => 'client_abort',
            error => 'client_abort', chunks => 1, chars => 3, ttft => $TIME,
            finish => '-');

        $v = logged(sub {
            my ($s, $p) = start(@o);
            $s->conn->close;
            $p->wait_close;
        });
        vars_are($v, "$proto->[0], before the answer", status => 499,
            end => 'client_abort', error => 'client_abort', chunks => 0,
            ttft => '-', bytes_in => qr/^[0-]\z/);
    }

    my $v = logged(sub {
        $t->open(method => 'POST', path => '/openai', body => $BODY,
            head_only => 1)->close;
    });
    vars_are($v, 'before its body', status => qr/^4\d\d\z/,
        request_model => '-', chunks => qr/^[0-]\z/);
};


subtest 'refused requests' => sub {
    my @cases = (
        [ 400, 'rejected', 'invalid_json', '/openai', 'x' ],
        [ 400, 'rejected', 'invalid_request', '/openai', '{"stream":1}' ],
        [ 413, 'rejected', 'request_too_large', '/limits', 'x' x 2000 ],
        [ 405, 'rejected', 'method_not_allowed', '/openai', undef, 'GET' ],
        [ 403, 'rejected', 'unauthorized', '/403', $BODY ],
    );

    for my $case (@cases) {
        my ($status, $end, $error, $path, $body, $method) = @$case;
        my $v = ask($path, '', body => $body, method => $method);

        vars_are($v, "$status $error", status => $status, end => $end,
            error => $error, client => 'openai', upstream => 'openai',
            request_model => '-', finish => '-', ttft => '-',
            tokens_in => '-');
    }

    ask('/503', reply('hi'));
    vars_are(scalar ask('/503', ''), 'limit_req', status => 503,
        error => qr/^\w+\z/, end => qr/^\w+\z/);
};


subtest 'in locations that are not ours' => sub {
    my %paths = ('/plain' => 200, '/static.txt' => 200, '/proxy' => 200,
        '/nothing' => 404, '/static' => 404);

    for my $path (sort keys %paths) {
        for my $proto ([ h1 => 0 ], [ h2 => 1 ]) {
            my $mark = $t->log_mark('vars.log');
            my $r = $t->get($path, proto => $proto->[0],
                port => $proto->[1]);

            is($r->{status}, $paths{$path}, "$path, $proto->[0]: status");
            is_deeply([ grep { /^x-/ } sort keys %{ $r->{headers} } ], [],
                "$path, $proto->[0]: no header");
            none(parsed($t->wait_log(qr/./, file => 'vars.log',
                from => $mark)), "$path, $proto->[0]");
        }
    }

    for my $raw ("GET /openai HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
        "GET /openai HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        'GET /' . 'x' x 40_000 . " HTTP/1.1\r\nHost: a\r\n\r\n")
    {
        my $v = logged(sub { $t->open(raw => $raw)->result });

        like($v->{status}, qr/^4\d\d\z/, 'a bad request: status');
        none($v, 'a bad request');
    }

    my ($v, $r) = ask('/to-plain', '');
    is($r->{body}, "plain\n", 'error_page to a plain location');
    is($v->{status}, 200, 'its status');

    ($v, $r) = ask('/auth-request', reply('hi'));
    is($r->{status}, 200, 'a subrequest in a plain location');
    vars_are($v, 'after it', end => 'complete', chunks => 1);
};


subtest 'a second provider' => sub {
    my $v = ask('/fallback', LLMTest::Upstream::stream(@USAGE));

    vars_are($v, 'fallback', status => 200, end => 'complete', error => '-',
        chunks => 2, model => 'mock-1', request_model => 'asked-1',
        tokens_in => 11);
};


subtest 'while it runs' => sub {
    my $mark = $t->log_mark('ended.log');
    my ($s, $p) = start(path => '/headers');

    $p->sse_head;
    $p->event(delta('abc'));
    is($s->read_headers, 200, 'header');

    my %want = ('x-model' => 'mock-1', 'x-request_model' => 'asked-1',
        'x-client' => 'openai', 'x-upstream' => 'openai',
        'x-chunks' => 1, 'x-chars' => 3, 'x-end' => undef,
        'x-error' => undef, 'x-finish' => undef, 'x-tokens_in' => undef,
        'x-ended' => 'not yet', 'x-ended-once' => 'not yet');

    is($s->header($_), $want{$_}, $_) for sort keys %want;
    like($s->header('x-duration'), $TIME, 'x-duration');

    $p->chunk(map { "data: $_\n\n" } finish(), '[DONE]');
    $p->last_chunk;
    $s->wait_end;
    is($t->wait_log(qr/./, file => 'ended.log', from => $mark),
        'well complete', 'and at the end, in a volatile map too');
    $p->close;

    my ($v, $r) = ask('/early', reply('hi'));
    is($r->{status}, 200, 'in the rewrite phase');
    is($r->{headers}{'x-early'}, '[]', 'nothing is known there');
    is($r->{headers}{'x-asked'}, 'someone', 'but later');

    ($v, $r) = ask('/headers', failed());
    is($r->{status}, 429, 'an error: status');
    is($r->{headers}{'x-request_model'}, 'asked-1', 'an error: model');
    ($v, $r) = ask('/headers', '', body => 'x');
    is($r->{status}, 400, 'a refusal: status');
    is($r->{headers}{'x-client'}, 'openai', 'a refusal: client');
};


subtest 'times' => sub {
    # each token is sent when the one before was seen, and a while later
    my $v = logged(sub {
        my $s = $t->open(method => 'POST', path => '/mock', body => $BODY,
            headers => { 'X-Mock' => 'tokens=6 lockstep=times text=digits' });

        $s->read_event;
        pass_time(70);

        for (1 .. 6) {
            pass_time(30);
            $mock->ack('times');
            $s->read_event;
        }

        $mock->ack('times', 9);
        $s->wait_end;
    });

    vars_are($v, 'paced', end => 'complete', chunks => 6);
    cmp_ok($v->{ttft}, '>=', 0.08, 'TTFT: not before it was sent');
    cmp_ok($v->{itl}, '>=', 0.02, 'ITL: the mean gap');
    cmp_ok($v->{itl}, '<=', $v->{duration}, 'ITL: less than all');
    cmp_ok($v->{duration}, '>=', $v->{ttft} + 5 * $v->{itl} - 0.02,
        'duration: all of it');
    like($v->{chunks_per_second}, qr/^\d+(?:\.\d+)?\z/, 'a rate');
    cmp_ok($v->{chunks_per_second}, '>', 0, 'which is some');
    cmp_ok($v->{chunks_per_second}, '<=', 50, 'but not more than was sent');
    cmp_ok($v->{chars_per_second}, '>=', $v->{chunks_per_second},
        'in characters too');
};


subtest 'names with odd bytes' => sub {
    my $mark = $t->log_mark('json.log');
    my $utf8 = "m\x{e9}\x{4e2d}\x{1f600}";
    utf8::encode($utf8);

    my %names = ('a\"b\\\\c' => 'a"b\\c', $utf8 => $utf8,
        '[x] y=[z' => '[x] y=[z', '$host %s %n' => '$host %s %n',
        '\u2028' => "\xe2\x80\xa8", 'a\u0000b' => '', 'a\nb' => '');

    for my $name (sort keys %names) {
        $u->script(['request'], [ send => reply('hi') ], ['close'])
            if $names{$name} ne '';
        $t->post('/openai', "{\"model\":\"$name\",\"messages\":[{}]}");

        my $line = $t->wait_log(qr/./, file => 'json.log', from => $mark);
        my $v = json($line);

        ok(ref $v, "$name: the log line is JSON") or diag("    $line");
        utf8::encode(my $got = ($v // {})->{request_model} // '');
        is($got, $names{$name}, "$name: request_model");
        $mark = $t->log_mark('json.log');
    }

    # the provider is as little to be trusted as the client
    my %served = ('x\r\nX-Evil: 1' => 0, 'x\ny' => 0, 'x\u0000y' => 0,
        'x\u007fy' => 0, 'a\"b' => 1, 'm' x 5000 => 0);

    for my $name (sort keys %served) {
        my $short = substr $name, 0, 20;
        my ($v, $r) = ask('/headers', LLMTest::Upstream::stream(
            map { s/"model":"mock-1"/"model":"$name"/r } @USAGE));

        is($r->{status}, 200, "$short: answered");
        ok(!exists $r->{headers}{'x-evil'}, "$short: no header of its own");
        unlike($r->{headers}{'x-model'} // '', qr/[\x00-\x1f\x7f]/,
            "$short: nothing in a header that does not belong there");
        cmp_ok(length($r->{headers}{'x-model'} // ''), '<=', 256,
            "$short: bounded");
        is($r->{headers}{'x-model'}, 'a"b', "$short: else as it is")
            if $served{$name};
    }
};
