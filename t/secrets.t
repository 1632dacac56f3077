#!/usr/bin/perl

# Secrets stay where they belong.  A canary key, given in each way, through
# everything that can happen at debug level: it reaches the provider and
# nothing else, no log, no answer, no header, no variable, no file.  Prompts
# and completions are in no line of the error log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta finish reply answer_reply json CLIENTS);

my %KEY = (
    file => 'sk-CANARY-file-3f9A', env => 'sk-CANARY-env-7b2C',
    literal => 'sk-CANARY-literal-5d1E', header => 'sk-CANARY-header-8a4F',
);
my $PROMPT = 'PROMPT-marker-61f0';
my $COMPLETION = 'COMPLETION-marker-9c27';

my @NAMES = qw(model request_model client upstream ttft duration chunks chars
    bytes_in bytes_out chars_per_second chunks_per_second chunk_size itl
    tokens_in tokens_out tokens_cached tokens_reasoning tokens_source finish
    end error);
my $all = join ' ', map { "\$llm_stream_$_" } @NAMES;

my $CONF = <<'EOT';
%%GLOBALS%%
env LLM_TEST_CANARY;
events { }
http {
    %%HTTP%%
    log_format all "$request_uri $status $upstream_status $upstream_addr
        $upstream_http_www_authenticate $sent_http_x_all ALL";
    access_log %%DIR%%/vars.log all;
    add_header X-All "ALL" always;

    upstream both {
        server 127.0.0.1:%%DEAD_PORT%%;
        server %%UPSTREAM%%;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        client_body_buffer_size 1k;
        client_max_body_size 64k;
        error_page 503 = @other;

LOCATIONS
        location /plain { return 200 "ALL\n"; }
        location @other {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key env:LLM_TEST_CANARY;
        }
    }
}
EOT

my %how = (
    file => 'llm_stream_api_key file:%%DIR%%/canary;',
    env => 'llm_stream_api_key env:LLM_TEST_CANARY;',
    literal => "llm_stream_api_key $KEY{literal};",
    header => "llm_stream_set_header Authorization 'Bearer $KEY{header}';",
);

my $locations = '';

for my $how (sort keys %how) {
    for my $case ([ '', 'http://%%UPSTREAM%%' ], [ '-both', 'http://both' ],
        [ '-dead', 'http://127.0.0.1:%%DEAD_PORT%%' ],
        [ '-tls', 'https://%%UPSTREAM_2%%' ],
        [ '-clear', 'https://%%UPSTREAM%%' ],
        [ '-silent', 'http://%%UPSTREAM%%' ])
    {
        # how long the others take is not the matter
        my $limit = $case->[0] eq '-silent'
            ? 'llm_stream_first_token_timeout 200ms;' : '';

        for my $client (CLIENTS) {
            $locations .= <<"EOT";
        location /$how$case->[0]/$client {
            llm_stream openai $case->[1];
            llm_stream_client $client;
            $limit
            llm_stream_max_event_size 4k;
            $how{$how}
        }
EOT
        }
    }
}

$CONF =~ s/ALL/$all/g;
$CONF =~ s/LOCATIONS\n/$locations/;

$ENV{LLM_TEST_CANARY} = $KEY{env};

my ($t, $u);
my @answers;


# an nginx of its own for each level of logging

sub begin {
    my ($level) = @_;

    $t = LLMTest->new(log_level => $level);
    $u = $t->upstream;
    $t->upstream(tls => { _pair($t->tls_cert('a.test', self_signed => 1)) });
    $t->canary(values %KEY);
    $t->write_file('canary', "$KEY{file}\n");
    $t->config($CONF)->start;
    @answers = ();

    return;
}


sub _pair { return (cert => $_[0], key => $_[1]) }


# ask($path, [ operations of the provider ]): keeps the answer for the
# search; returns it and what the provider got

sub ask {
    my ($path, $ops, %o) = @_;
    my $before = $u->connections;

    $u->script($o{refused} ? () : ['request'], @$ops) if $ops;

    my $r = $t->http($o{method} // 'POST', $path, $o{headers},
        $o{body} // "{\"stream\":true,\"model\":\"m\",\"messages\":[{\"role\""
        . ":\"user\",\"content\":\"$PROMPT\"}]}", %{ $o{open} || {} });

    delete $r->{stream};     # closes the connection
    push @answers, [ $path, $r ];

    # where nginx did not wait for the provider this has to
    my $q = ($o{silent} || $u->connections > $before) && !$o{refused}
        ? $u->peer($before + 1)->request : {};

    return ($r, $q);
}


# what the client can see: nothing of any key

sub answers_clean {
    my ($name) = @_;
    my @leaks;

    for my $case (@answers) {
        my ($path, $r) = @$case;
        my $text = join "\n", $r->{body},
            map { "@$_" } @{ $r->{header_list} };

        push @leaks, "$path: $text" if $text =~ /CANARY/;
    }

    is_deeply(\@leaks, [], "$name: no key in an answer");

    return;
}


# every file of the directory, but where the key was put by hand

sub files_with {
    my ($re) = @_;
    my @found;

    File::Find::find({ no_chdir => 1, wanted => sub {
        my $name = $File::Find::name;

        return if !-f $name || $name =~ m{/(?:canary|[\w-]+\.conf)\z};

        my $bytes = $t->read_file(substr $name, 1 + length $t->dir);
        push @found, $name if $bytes =~ $re;
    } }, $t->dir);

    return @found;
}


begin('debug');


for my $how (sort keys %how) {
    my $key = $KEY{$how};
    my $error = "{\"error\":{\"message\":\"Incorrect API key provided: $key. "
        . "Find yours at ...\",\"type\":\"invalid_request_error\","
        . '"param":null,"code":"invalid_api_key"}}';
    my $events = sub {
        return LLMTest::Upstream::stream(map { "data: $_\n\n" } @_);
    };

    subtest "a key by $how" => sub {
        for my $client (CLIENTS) {
            my $path = "/$how/$client";
            my ($r, $q) = ask($path, [ [ send => reply('hi') ], ['close'] ]);
            is($r->{status}, 200, "$client: a stream");
            is($q->{headers}{authorization}, "Bearer $key",
                "$client: the provider gets it");

            ($r, $q) = ask($path, [ [ send => answer_reply('hi') ],
                ['close'] ], body => '{"messages":[{}],"stream":false}');
            is($r->{status}, 200, "$client: an answer");
            is($q->{headers}{authorization}, "Bearer $key",
                "$client: the provider gets it");

            # a header set by hand is not known to be a key
            if ($how ne 'header') {
                for my $status (401, 403) {
                    ($r) = ask($path, [ [ send => LLMTest::Upstream::answer(
                        $status, $error, 'Content-Type' =>
                        'application/json', 'WWW-Authenticate' =>
                        "Bearer $key") ], ['close'] ]);
                    is($r->{status}, $status, "$client: $status");
                }

                ($r) = ask($path, [ [ send => $events->($error) ],
                    ['close'] ]);
                is($r->{status}, 401, "$client: 401 in a 200");

                ($r) = ask($path, [ [ send => $events->(delta('x'),
                    $error) ], ['close'] ]);
                is($r->{status}, 200, "$client: 401 after content");
            }

            for my $case ([ 'cut off' => [ send => substr reply('x'), 0,
                -60 ], ['close'] ], [ reset => ['reset'] ],
                [ 'not HTTP' => [ send => "nonsense\r\n\r\n" ], ['close'] ],
                [ HTML => [ send => LLMTest::Upstream::answer(200, '<p>',
                'Content-Type' => 'text/html') ], ['close'] ],
                [ silent => ['wait_close'] ], [ redirect => [ send =>
                LLMTest::Upstream::answer(302, '', Location => '/x') ],
                ['close'] ], [ large => [ send => $events->(delta('x'),
                delta('x' x 9000)) ], ['close'] ])
            {
                my ($name, @ops) = @$case;

                (undef, $q) = ask($name eq 'silent' ? "/$how-silent/$client"
                    : $path, \@ops, silent => $name eq 'silent');
                is($q->{headers}{authorization}, "Bearer $key",
                    "$client, $name: the provider got it");
            }

            my %more = ("/$how-dead/$client" => 502,
                "/$how-tls/$client" => 502);

            for my $to (sort keys %more) {
                ($r) = ask($to);
                is($r->{status}, $more{$to}, "$to: status");
            }

            ($r, $q) = ask("/$how-clear/$client",
                [ [ send => reply('x') ], ['close'] ], refused => 1);
            is($r->{status}, 502, "$client: clear text instead of TLS");

            ($r, $q) = ask("/$how-both/$client",
                [ [ send => reply('hi') ], ['close'] ]);
            is($r->{status}, 200, "$client: after a dead peer");
            is($q->{headers}{authorization}, "Bearer $key",
                "$client: the second peer gets it");

            is((ask($path, undef, body => $_))[0]{status}, 400,
                "$client: refused: " . substr $_, 0, 20)
                for "x$PROMPT", "{\"stream\":\"$PROMPT\"}",
                "{\"messages\":\"$PROMPT\"}",
                "{\"model\":\"a\\n$PROMPT\",\"messages\":[{}]}";
            is((ask($path, undef, body => 'x' x 70_000))[0]{status}, 413,
                "$client: too large");
            is((ask($path, undef, method => 'PUT'))[0]{status}, 405,
                "$client: a method");
        }

        # the client leaves
        my $before = $u->connections;
        my $s = $t->open(method => 'POST', path => "/$how/openai",
            body => '{"stream":true,"messages":[{}]}');
        my $p = $u->peer($before + 1);
        $p->request;
        $p->sse_head;
        $p->event(delta('x'));
        $s->read_event;
        $s->abort;
        ok($p->wait_close, 'aborted');

        ok(!(grep { $_->[1]{body} =~ /$PROMPT/ } @answers),
            'no prompt in an answer');
        answers_clean($how);
    };
}


subtest 'a key is for its own provider' => sub {
    my $before = $u->connections;

    $u->script(['request'], [ send => LLMTest::Upstream::answer(503,
        '{"error":{"message":"no"}}', 'Content-Type' =>
        'application/json') ], ['close']);

    my ($r, $q) = ask('/file/openai',
        [ [ send => reply('second') ], ['close'] ]);
    is($q->{headers}{authorization}, "Bearer $KEY{file}", 'the first');
    is($r->{status}, 200, 'another one answers');
    is($u->connections, $before + 2, 'after the first');

    $q = $u->peer($before + 2)->request;
    is_deeply([ map { $_->[1] } grep { lc $_->[0] eq 'authorization' }
        @{ $q->{list} } ], ["Bearer $KEY{env}"], 'with its own key only');

    ($r) = ask('/plain', undef, method => 'GET');
    is($r->{status}, 200, 'a plain location');
    answers_clean('both');
};


subtest 'no variable gives it' => sub {
    for my $name (qw(llm_stream_api_key llm_stream_key
        llm_stream_authorization))
    {
        my ($status, $output) = $t->check_config($CONF
            =~ s/location \/plain \{/$& set \$x \$$name;/r);

        isnt($status, 0, "\$$name: refused");
        like($output, qr/unknown "$name" variable/, "\$$name: unknown");
    }
};


subtest 'configuration' => sub {
    my ($status, $output) = $t->check_config($CONF);
    is($status, 0, 'nginx -t') or diag($output);
    unlike($output, qr/CANARY/, 'nginx -t: nothing of it');

    my @bad = ("llm_stream_api_key $KEY{literal};\nllm_stream_api_key "
        . "$KEY{literal};", "llm_stream_api_key '$KEY{literal} x';",
        "llm_stream_api_key $KEY{literal}\$nothing;",
        "llm_stream_set_header 'Bad Name' $KEY{header};",
        "llm_stream_set_header Content-Length $KEY{header};");

    for my $line (@bad) {
        ($status, $output) = $t->check_config($CONF
            =~ s/location \/plain \{/location \/bad { $line }\n$&/r);

        isnt($status, 0, "nginx -t refuses: " . $line =~ s/CANARY\S*/.../gr);
        unlike($output, qr/CANARY/, 'and does not quote it');
    }

    ok($t->reload, 'reload');
    my ($r, $q) = ask('/env/openai', [ [ send => reply('hi') ], ['close'] ]);
    is($q->{headers}{authorization}, "Bearer $KEY{env}", 'after a reload');
    $t->allow_log(qr/is duplicate/);
};


subtest 'no log, no file' => sub {
    ok($t->stop, 'stopped');

    my $log = $t->error_log;

    cmp_ok(() = $log =~ /\[debug\]/g, '>', 1000, 'the log is at debug level');
    like($t->read_file('vars.log'), qr/upstream_tls/, 'the access log too');
    is_deeply([ files_with(qr/CANARY/) ], [], 'no key in any file');

    my @ours = grep { /llm_stream/ } split /^/m, $log;
    cmp_ok(scalar @ours, '>', 50, 'lines of the module are there');
    note('this build of the module has no debug lines')
        if !grep { /\[debug\].*llm_stream/ } @ours;
    is_deeply([ grep { /$PROMPT/ } @ours ], [], 'no prompt in one of them');

    $t->finish;
};


# what a stream says, and what breaks in the middle of it, at info level
subtest 'prompts and completions' => sub {
    begin('info');

    my $marked = delta($COMPLETION);
    my @streams = (
        [ whole => reply($COMPLETION) ],
        [ cut => substr reply($COMPLETION, $COMPLETION), 0, -90 ],
        [ 'invalid JSON' => "data: {\"choices\":[$COMPLETION\n\n" ],
        [ 'a field' => "$COMPLETION: $COMPLETION\n\n" ],
        [ 'no JSON' => "data: $COMPLETION\n\n" ],
        [ 'invalid UTF-8' => "data: " . delta("$COMPLETION\xff") . "\n\n" ],
        [ 'too deep' => 'data: {"a":' . '[' x 300 . "\"$COMPLETION\"\n\n" ],
        [ 'too large' => 'data: ' . delta($COMPLETION x 500) . "\n\n" ],
        [ 'an error' => "data: {\"error\":{\"message\":\"$COMPLETION\"}}\n\n" ],
    );

    for my $client (CLIENTS) {
        for my $case (@streams) {
            my ($name, $bytes) = @$case;

            $bytes = LLMTest::Upstream::stream("data: $marked\n\n", $bytes)
                if $bytes !~ /^HTTP/;

            my ($r, $q) = ask("/file/$client", [ [ send => $bytes ],
                ['close'] ]);
            like($q->{body}, qr/$PROMPT/, "$client, $name: sent");
            like($r->{body}, qr/$COMPLETION/, "$client, $name: received");
        }

        for my $bytes ("HTTP/1.1 $COMPLETION\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            . "$COMPLETION\r\n", LLMTest::Upstream::answer(200,
            "<p>$COMPLETION</p>", 'Content-Type' => 'text/html'),
            LLMTest::Upstream::answer(200, $COMPLETION, 'Content-Type' =>
            'application/json'), LLMTest::Upstream::answer(500,
            "{\"error\":{\"message\":\"$COMPLETION\"}}", 'Content-Type' =>
            'application/json'))
        {
            my ($r) = ask("/file/$client", [ [ send => $bytes ],
                ['close'] ]);
            cmp_ok($r->{status}, '>=', 500, "$client: an error");
        }

        ask("/file/$client", undef, body => $_)
            for "$PROMPT", "{\"messages\":\"$PROMPT\"}",
            "{\"model\":\"\\n$PROMPT\",\"messages\":[{}]}",
            "{\"messages\":[\"$PROMPT" . 'x' x 5000;
    }

    ok($t->stop, 'stopped');
    like($t->error_log, qr/llm_stream ended/, 'endings are logged');
    unlike($t->error_log, qr/\[debug\]/, 'at info level');
    unlike($t->error_log, qr/$PROMPT/, 'no prompt in the error log');
    unlike($t->error_log, qr/$COMPLETION/, 'no completion in it');
    is_deeply([ files_with(qr/$PROMPT|$COMPLETION|CANARY/) ], [],
        'nor in any other file');
};
