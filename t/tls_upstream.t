#!/usr/bin/perl

# TLS to the provider: the certificate and its name are checked before a byte
# of the request, with its key, is written; SNI; client certificates;
# connections kept alive, and never used for another name; clear text where
# the handshake should be; an end that TLS does not vouch for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open3 ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply events delta error_is json);
use LLMTest::Wait qw(slow);

my $KEY = 'sk-CANARY-tls-5ecret';
my $t = LLMTest->new;

# nginx 1.29.7 and later pool connections unless told not to
$t->set(NO_KEEPALIVE => $t->has_version('1.29.7') ? 'keepalive 0;' : '');
my @each = (each => [ [ send => reply('hi') ] ]);

$t->canary($KEY);

my %up = (
    good => $t->upstream(tls => 'provider.test', @each),
    self => $t->upstream(tls => tls('provider.test', self_signed => 1), @each),
    other => $t->upstream(tls => tls('provider.test', ca => 'other'), @each),
    expired => $t->upstream(tls => tls('provider.test', expired => 1), @each),
    a => $t->upstream(tls => 'a.test', @each),
    asks => $t->upstream(tls =>
        { %{ tls('provider.test') }, client_ca => $t->tls_ca }, @each),
    step => $t->upstream(tls => 'provider.test'),
    plain => $t->upstream,
);
my $mock = $t->mock(tls => 1);
my ($cert, $key) = $t->tls_cert('client.test');
my $locked = encrypted($key, 'pass-CANARY-phrase');

$t->canary('pass-CANARY-phrase');
$t->write_file('passwords', "wrong\npass-CANARY-phrase\n");
$t->set(CA => $t->tls_ca, CERT => $cert, CERT_KEY => $key,
    LOCKED => $locked, KEY => $KEY,
    map { uc($_) => $up{$_}->address } keys %up);

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_api_key %%KEY%%;
    llm_stream_ssl_trusted_certificate %%CA%%;

    upstream provider.test { server %%GOOD%%; }
    upstream kept { server %%GOOD%%; keepalive 4; }
    upstream both { server %%A%%; keepalive 4; }
    upstream mixed {
        server %%SELF%% max_fails=0;
        server %%GOOD%% max_fails=0;
        %%NO_KEEPALIVE%%
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        client_body_buffer_size 4m;
        client_max_body_size 4m;
        llm_stream_ssl_name provider.test;

        location /good { llm_stream openai https://%%GOOD%%; }
        location /self { llm_stream openai https://%%SELF%%; }
        location /other { llm_stream openai https://%%OTHER%%; }
        location /expired { llm_stream openai https://%%EXPIRED%%; }
        location /step { llm_stream openai https://%%STEP%%; }
        location /plain { llm_stream openai https://%%PLAIN%%; }
        location /to-http { llm_stream openai http://%%GOOD%%; }
        location /variable { llm_stream openai https://$arg_to; }

        location /wrong-name {
            llm_stream openai https://%%GOOD%%;
            llm_stream_ssl_name another.test;
        }

        location /no-sni {
            llm_stream openai https://%%GOOD%%;
            llm_stream_ssl_server_name off;
        }

        location /named {
            llm_stream openai https://%%GOOD%%;
            llm_stream_ssl_name $arg_name;
        }

        location /off {
            llm_stream openai https://%%SELF%%;
            llm_stream_ssl_verify off;
            llm_stream_ssl_name whatever.test;
        }

        location /system {
            llm_stream openai https://%%GOOD%%;
            llm_stream_ssl_trusted_certificate "";
        }

        location /kept { llm_stream openai https://kept; }

        location /both-a {
            llm_stream openai https://both;
            llm_stream_ssl_name a.test;
        }

        location /both-b {
            llm_stream openai https://both;
            llm_stream_ssl_name b.test;
        }

        location /both-any {
            llm_stream openai https://both;
            llm_stream_ssl_name $arg_name;
        }

        location /both-off {
            llm_stream openai https://both;
            llm_stream_ssl_name b.test;
            llm_stream_ssl_verify off;
        }

        location /mixed { llm_stream openai https://mixed; }

        location /mixed-off {
            llm_stream openai https://mixed;
            llm_stream_next_upstream off;
        }

        location /asks {
            llm_stream openai https://%%ASKS%%;
            llm_stream_ssl_certificate %%CERT%%;
            llm_stream_ssl_certificate_key %%CERT_KEY%%;
        }

        location /asks-nothing { llm_stream openai https://%%ASKS%%; }

        location /asks-locked {
            llm_stream openai https://%%ASKS%%;
            llm_stream_ssl_certificate %%CERT%%;
            llm_stream_ssl_certificate_key %%LOCKED%%;
            llm_stream_ssl_password_file %%DIR%%/passwords;
        }

        location /asks-variable {
            llm_stream openai https://%%ASKS%%;
            llm_stream_ssl_certificate $arg_cert;
            llm_stream_ssl_certificate_key $arg_key;
        }

        location /mock {
            llm_stream openai https://%%MOCK_TLS%%;
            llm_stream_ssl_name localhost;
        }

        location /mock-simple {
            llm_stream openai https://%%MOCK_TLS%%;
            llm_stream_ssl_name localhost;
            llm_stream_client simple;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /host { llm_stream openai https://provider.test; }

        location /host-var {
            set $host_name provider.test;
            llm_stream openai https://$host_name;
        }

        location /address { llm_stream openai https://%%GOOD%%; }
    }
}
EOT

my $BODY = '{"model":"m","messages":[{"role":"user","content":"hi"}]}';
my $STREAM = $BODY =~ s/^\{/{"stream":true,/r;


sub tls {
    my ($name, %o) = @_;
    my ($c, $k) = $t->tls_cert($name, %o);

    return { cert => $c, key => $k };
}


# a copy of the key file under a pass phrase

sub encrypted {
    my ($file, $pass) = @_;
    my $pid = IPC::Open3::open3(undef, my $out, undef, 'openssl', 'pkey',
        '-in', $file, '-aes256', '-passout', "pass:$pass", '-out',
        "$file.locked");

    waitpid $pid, 0;
    die "openssl: $?" if $?;

    return "$file.locked";
}


# the last connection of a provider

sub last_peer {
    my ($u) = @_;

    return $u->peer($u->connections);
}


# the request is answered, on a new connection of this provider

sub answered {
    my ($name, $path, $u, %o) = @_;
    my $before = $u->connections;
    my $r = $t->post($path, $BODY, %o);

    is($r->{status}, 200, "$name: answered") or diag($r->{body});
    is($u->connections, $before + 1, "$name: a new connection");

    my $q = last_peer($u)->request(2) || { headers => {} };
    is($q->{headers}{authorization}, "Bearer $KEY", "$name: with the key");

    return last_peer($u)->stat;
}


# the peer is refused, and not one byte of the request reached it

sub refused {
    my ($name, $path, $u, %o) = @_;
    my $before = $u->connections;
    my $mark = $t->log_mark;
    my $r = $t->post($path, $BODY, port => $o{port} // 0);

    error_is($r, client => 'openai', status => 502,
        code => $o{code} // 'upstream_tls_verify', name => $name);
    cmp_ok($u->connections, '>', $before, "$name: a connection was made");

    for my $n ($before + 1 .. $u->connections) {
        ok($u->peer($n)->wait_close, "$name: and closed");
        is($u->peer($n)->stat->{received}, 0, "$name: nothing was sent");
    }

    ok($t->wait_log($o{log}, from => $mark, limit => 20), "$name: log says it")
        if $o{log};

    return;
}


subtest 'verified' => sub {
    is(answered('our CA', '/good', $up{good})->{sni}, 'provider.test',
        'SNI by default');
    is(answered('another name', '/named?name=provider.test',
        $up{good})->{sni}, 'provider.test', 'SNI: by a variable');
    is(answered('no SNI', '/no-sni', $up{good})->{sni}, undef,
        'no SNI where it is off');
    is(answered('a host', '/host', $up{good}, port => 2)->{sni},
        'provider.test', 'SNI: the host of the URL');
    is(answered('a host by a variable', '/host-var', $up{good},
        port => 2)->{sni}, 'provider.test', 'SNI: the host of the URL');
    is(answered('an address by a variable', '/variable?to='
        . $up{good}->address, $up{good})->{sni}, 'provider.test', 'SNI');
};


subtest 'refused' => sub {
    refused('self-signed', '/self', $up{self}, log => qr/verify error/);
    refused('another CA', '/other', $up{other}, log => qr/verify error/);
    refused('expired', '/expired', $up{expired},
        log => qr/verify error.*expired/);
    refused('wrong name', '/wrong-name', $up{good},
        log => qr/does not match "another\.test"/);
    refused('wrong name by a variable', '/named?name=x.test', $up{good});
    refused('the address is no name of it', '/address', $up{good},
        port => 2);
    refused('unknown to the system', '/system', $up{good});
    refused('self-signed by a variable', '/variable?to='
        . $up{self}->address, $up{self});

    # a failed one leaves no session behind that would be resumed
    refused('self-signed again', '/self', $up{self}) for 1 .. 2;
    refused('wrong name again', '/wrong-name', $up{good}) for 1 .. 2;
};


subtest 'verify off' => sub {
    is(answered('self-signed', '/off', $up{self})->{sni}, 'whatever.test',
        'SNI all the same');
    like($t->error_log, qr/\[warn\].*llm_stream_ssl_verify/,
        'with a warning at start');
    refused('but not elsewhere', '/self', $up{self});
};


subtest 'another peer' => sub {
    for my $n (1 .. 4) {
        my @before = map { $up{$_}->connections } qw(self good);

        is($t->post('/mixed', $BODY)->{status}, 200, "request $n");
        is($up{good}->connections, $before[1] + 1, 'by the good one');
        last_peer($up{good})->request;
    }

    is((grep { $up{self}->peer($_)->stat->{received} }
        1 .. $up{self}->connections), 1,
        'the other one got nothing but the request of "verify off"');

    # both peers are tried in turn, whichever it begins with
    my %seen = map { $_->{status} => 1 }
        map { $t->post('/mixed-off', $BODY) } 1 .. 2;
    ok($seen{502}, 'llm_stream_next_upstream off: the first one decides');
};


subtest 'kept alive' => sub {
    my $before = $up{good}->connections;

    is($t->post('/kept', $BODY)->{status}, 200, "request $_") for 1 .. 4;
    is($up{good}->connections, $before + 1, 'one connection');
    is(last_peer($up{good})->stat->{requests}, 4, 'for all of them');
};


# the certificate is a.test's: on a connection that was verified for that
# name, a request meant for b.test would reach a stranger
subtest 'two names on one address' => sub {
    my $before = $up{a}->connections;

    is($t->post('/both-a', $BODY)->{status}, 200, 'the first name');
    is(last_peer($up{a})->stat->{sni}, 'a.test', 'its SNI');

    my $requests = all_requests($up{a});

    for my $path ('/both-b', '/both-any?name=b.test') {
        my $r = $t->post($path, $BODY);

        error_is($r, client => 'openai', status => 502,
            code => 'upstream_tls_verify', name => $path);
        is(all_requests($up{a}), $requests, "$path: nothing was sent");
    }

    is($t->post('/both-any?name=a.test', $BODY)->{status}, 200,
        'the first name by a variable');

    # what was accepted unverified must not serve those who verify
    is($t->post('/both-off', $BODY)->{status}, 200, 'unverified');
    is(last_peer($up{a})->stat->{sni}, 'b.test', 'with its own SNI');
    $requests = all_requests($up{a});
    error_is($t->post('/both-b', $BODY), client => 'openai', status => 502,
        code => 'upstream_tls_verify', name => 'verified after it');
    is(all_requests($up{a}), $requests, 'nothing was sent');
};


sub all_requests {
    my ($u) = @_;
    my $n = 0;

    $n += $u->peer($_)->stat->{requests} for 1 .. $u->connections;

    return $n;
}


subtest 'client certificate' => sub {
    answered('with one', '/asks', $up{asks});
    answered('its key under a pass phrase', '/asks-locked', $up{asks});
    answered('by variables', "/asks-variable?cert=$cert&key=$key",
        $up{asks});

    # TLS 1.3 asks for it after the handshake: an alert in place of an answer
    $t->allow_log(qr{SSL_read\(\) failed .*certificate required});

    my $requests = all_requests($up{asks});
    my $r = $t->post('/asks-nothing', $BODY);
    error_is($r, client => 'openai', status => 502, name => 'without one');
    is(all_requests($up{asks}), $requests, 'without one: no request');
};


subtest 'clear text' => sub {
    my $evil = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        . "Content-Length: 17\r\n\r\n{\"evil\":\"CLEAR\"}\n";
    my @scripts = (
        [ 'at once' => [ send => $evil ], ['close'] ],
        [ 'and waits' => [ send => $evil ], ['wait_close'] ],
        [ 'no HTTP' => [ send => "220 mail.test ESMTP\r\n" ], ['close'] ],
        [ 'nothing' => ['close'] ],
    );

    for my $case (@scripts) {
        my ($name, @ops) = @$case;
        my $mark = $t->log_mark;

        $up{plain}->script(@ops);

        my $r = $t->post('/plain', $BODY);
        error_is($r, client => 'openai', status => 502,
            code => 'upstream_tls', name => $name);
        unlike($r->{body}, qr/evil|CLEAR|ESMTP/, "$name: not a byte of it");
        ok($t->wait_log(qr/\[error\].*upstream_tls/, from => $mark),
            "$name: log says it");
    }

    # a reset may come before the connection is seen to be there
    $up{plain}->script(['reset']);
    my $reset = $t->post('/plain', $BODY);
    error_is($reset, client => 'openai', status => 502, name => 'reset');
    like($reset->{body}, qr/"upstream_(?:tls|connect|reset)"/, 'reset: code');

    $mock->defaults('fault=tls-plaintext-first');
    my $r = $t->post('/mock', $STREAM);
    error_is($r, client => 'openai', status => 502, code => 'upstream_tls',
        name => 'the mock\'s');
    $mock->reset;

    $mock->defaults('fault=tls-alert');
    error_is($t->post('/mock', $STREAM), client => 'openai', status => 502,
        code => 'upstream_tls', name => 'an alert');
    $mock->reset;

    is($t->post('/to-http', $BODY)->{status}, 502,
        'http to a port of TLS is no stream');
};


# CVE-2026-1642: when the connect and the clear text are seen in one turn of
# the event loop, the answer is read before the handshake.  The worker is
# stopped while both requests come in; the second one keeps it busy after
# the connect of the first.
subtest 'clear text before the handshake begins' => sub {
    my $evil = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        . "Content-Length: 17\r\n\r\n{\"evil\":\"CLEAR\"}\n";
    my ($worker) = $t->workers;
    my $busy = '{"messages":[' . '{"a":1},' x 100_000 . '0';
    my (%status, %code);

    for my $n (1 .. 30 / slow()) {
        $up{plain}->script([ send => $evil ], ['wait_close']);
        kill 'STOP', $worker;

        my $s = $t->open(method => 'POST', path => '/plain', body => $BODY);
        my $b = $t->open(method => 'POST', path => '/plain',
            body => substr($busy, 0, 300_000) . '!');

        kill 'CONT', $worker;

        my $r = $s->result;
        $status{ $r->{status} }++;
        $code{ (json($r->{body}) // {})->{error}{code} // $r->{body} }++;
        $b->result;
    }

    is_deeply([ keys %status ], [502], 'never taken for an answer');
    is_deeply([ keys %code ], ['upstream_tls'], 'but for what it is');
};


subtest 'the end of TLS' => sub {
    for my $client ('/mock', '/mock-simple') {
        for my $at (0, 1, 5) {
            my $s = $t->open(method => 'POST', path => $client,
                body => $STREAM, headers => { 'X-Mock' =>
                    "fault=tls-no-close-notify at=$at tokens=9" });
            my $r = $s->result;
            my $name = "$client, cut at $at";

            unlike($r->{body}, qr/\[DONE\]|\{"done":true\}/,
                "$name: no terminator");

            if ($r->{status} == 200) {
                like($r->{body}, qr/upstream_truncated[^\n]*\n\n\z/,
                    "$name: an error at the end");
                is($r->{ended}, 'complete', "$name: and an orderly end");

            } else {
                error_is($r, status => 502, code => $at == 1
                    ? 'upstream_empty' : 'upstream_truncated',
                    client => $client eq '/mock' ? 'openai' : 'simple',
                    name => $name);
            }
        }
    }

    # the terminator is there: what comes after it is of no interest
    my $s = $t->open(method => 'POST', path => '/step', body => $STREAM);
    my $p = last_peer_of($up{step});
    $p->request;
    $p->send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        . join '', events('hi'));
    $p->reset;
    my $r = $s->result;
    like($r->{body}, qr/data: \[DONE\]\n\n\z/, 'after [DONE]: complete');
    is($r->{ended}, 'complete', 'after [DONE]: an orderly end');
};


sub last_peer_of {
    my ($u) = @_;

    return $u->accept;
}


subtest 'event by event' => sub {
    for my $proto ([ h1 => 0 ], [ h2 => 1 ]) {
        my $s = $t->open(method => 'POST', path => '/step', body => $STREAM,
            proto => $proto->[0], port => $proto->[1]);
        my $p = last_peer_of($up{step});
        my $seen = 0;

        $p->request;
        $p->sse_head;

        for my $n (1 .. 50) {
            $p->event(delta("n$n"));
            my $e = $s->read_event or last;
            $seen++ if $e->{data} eq delta("n$n");
        }

        is($seen, 50, "$proto->[0]: each before the next is sent");

        $p->chunk(grep { !/"delta":\{"(?:role|content)"/ } events());
        $p->last_chunk;
        $s->wait_end;
        like($s->body, qr/\[DONE\]\n\n\z/, "$proto->[0]: complete");
        $p->close;
    }
};
