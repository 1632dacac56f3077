#!/usr/bin/perl

# Where the request goes: every form of llm_stream's URL, variables, upstream
# groups, a resolver, addresses that are refused; and where llm_stream may
# stand: "if", limit_except, nested locations, what they inherit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Socket qw(inet_aton inet_pton AF_INET6 pack_sockaddr_in6 PF_INET6
    SOCK_STREAM);
use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply error_is code_of);
use LLMTest::Proc;

my $t = LLMTest->new;

# nginx 1.29.7 and later pool connections unless told not to
$t->set(NO_KEEPALIVE => $t->has_version('1.29.7') ? 'keepalive 0;' : '');
my $u = $t->upstream(each => [ [ send => reply('one') ] ]);
my $u2 = $t->upstream(each => [ [ send => reply('two') ] ]);
my $name_server = IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => 0) or die "no UDP port: $!";
my $dns = LLMTest::Proc->fork_child(\&serve_names,
    keep => [$name_server], name => 'dns');
my $has_ipv6 = has_ipv6();

$t->set(DNS => '127.0.0.1:' . $name_server->sockport,
    UP_PORT => $u->port, LISTEN6 => $has_ipv6
        ? 'listen [::1]:' . $t->port(6) : '# no IPv6 here');

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    merge_slashes off;

    upstream group {
        server %%UPSTREAM%%;
    }

    upstream pool {
        server %%UPSTREAM%%;
        keepalive 4;
    }

    upstream two {
        server %%UPSTREAM%%;
        server %%UPSTREAM_2%%;
        %%NO_KEEPALIVE%%
    }

    map $http_x_url $url { default $http_x_url; }
    map $http_x_name $provider {
        default "";
        one     %%UPSTREAM%%;
        two     %%UPSTREAM_2%%;
        group   group;
        port    group:8080;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        resolver %%DNS%% ipv6=off;
        resolver_timeout 1s;

        location /none { llm_stream openai http://%%UPSTREAM%%; }
        location /slash { llm_stream openai http://%%UPSTREAM%%/; }
        location /own { llm_stream openai http://%%UPSTREAM%%/a/b%20c; }
        location /query { llm_stream openai http://%%UPSTREAM%%?v=1&w=%20; }
        location /both { llm_stream openai http://%%UPSTREAM%%/p?v=1; }
        location /case { llm_stream openai HTTP://%%UPSTREAM%%/p; }
        location /group { llm_stream openai http://group; }
        location /group-path { llm_stream openai http://group/x; }
        location /pool { llm_stream openai http://pool; }
        location /two { llm_stream openai http://two; }
        location /dead { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }
        location /unix {
            llm_stream openai http://unix:%%DIR%%/s.sock:/u/v?w=1;
        }
        location /unix-own { llm_stream openai http://unix:%%DIR%%/s.sock; }

        location /v6 { llm_stream openai http://[::1]:%%PORT_6%%; }
        location /v6-var { llm_stream openai http://[::1]:$server_port$bad; }
        location /var { llm_stream openai http://$provider; }
        location /var-path { llm_stream openai http://$provider/p/$arg_p; }
        location ~ "(?s)^/var-uri/(.*)$" {
            llm_stream openai http://%%UPSTREAM%%/p/$1;
        }
        location /url { llm_stream openai $url; }
        location /named { llm_stream openai http://$arg_h:%%UP_PORT%%/n; }

        set $bad "";
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { llm_stream openai http://$http_x_host; }
        location /literal { llm_stream openai http://$provider; }
    }

    server {
        %%LISTEN6%%;
        listen unix:%%DIR%%/s.sock;
        location / {
            proxy_pass http://%%UPSTREAM%%;
            proxy_buffering off;
            proxy_set_header X-Host $http_host;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        llm_stream_usage off;
        llm_stream_param temperature 1;
        llm_stream_model server-model;

        location /if {
            llm_stream openai http://%%UPSTREAM%%/if-none;
            llm_stream_model outer;

            if ($http_x_to = two) {
                llm_stream openai http://%%UPSTREAM_2%%/if-two;
            }

            if ($http_x_to = same) {
                set $unused 1;
            }
        }

        location /only-if {
            if ($http_x_to = two) {
                llm_stream openai http://%%UPSTREAM_2%%;
            }
        }

        location /limit {
            llm_stream openai http://%%UPSTREAM%%/limit;
            llm_stream_prompt $arg_q;
            limit_except POST {
                deny all;
            }
        }

        location /except {
            limit_except GET {
                llm_stream openai http://%%UPSTREAM_2%%/except;
            }
            llm_stream openai http://%%UPSTREAM%%/outer;
            llm_stream_prompt $arg_q;
        }

        location /nest {
            llm_stream openai http://%%UPSTREAM%%/outer;
            llm_stream_model outer;
            llm_stream_param top_p 1;

            location /nest/none {
                llm_stream_model inner;
            }

            location /nest/own {
                llm_stream openai http://%%UPSTREAM_2%%/inner;
            }

            location /nest/all {
                llm_stream openai http://%%UPSTREAM_2%%/inner;
                llm_stream_model inner;
                llm_stream_param seed 1;
                llm_stream_client simple;
            }
        }

        location = /exact { llm_stream openai http://%%UPSTREAM%%/exact; }
        location ~ ^/v(\d)/x$ {
            llm_stream openai http://%%UPSTREAM%%/regex/$1;
        }

        location /named-location {
            try_files /nothing @llm;
        }

        location @llm {
            llm_stream openai http://%%UPSTREAM%%/at;
        }

        location /rewritten {
            rewrite ^ /exact;
        }
    }
}
EOT

my $BODY = '{"messages":[{"role":"user","content":"hi"}]}';


# what the first provider (or the one given) received; undef with the answer
# in list context when nothing came

sub sent {
    my ($path, %o) = @_;
    my $up = $o{up} // $u;
    my $before = $up->connections;
    my $r = $t->http($o{method} // 'POST', $path, $o{headers},
        ($o{method} // 'POST') eq 'POST' ? $BODY : undef, %o);

    if ($up->connections == $before) {
        return { path => '(nothing)', body => '', headers => {},
            answer => $r };
    }

    return { %{ $up->peer($before + 1)->request }, answer => $r };
}


sub has_ipv6 {
    socket(my $s, PF_INET6, SOCK_STREAM, 0) or return 0;
    my $ok = bind $s, pack_sockaddr_in6(0, inet_pton(AF_INET6, '::1'));
    close $s;

    return $ok;
}


# answers with 127.0.0.1 for good.test; no.test does not exist, broken.test
# is SERVFAIL, to silent.test nothing is said

sub serve_names {
    while ($name_server->recv(my $q, 512)) {
        my ($name, $at) = ('', 12);

        while (my $n = ord substr $q, $at, 1) {
            $name .= substr($q, $at + 1, $n) . '.';
            $at += $n + 1;
        }

        next if $name eq 'silent.test.';

        my $question = substr $q, 12, $at - 12 + 5;
        my $code = $name eq 'no.test.' ? 3 : $name eq 'broken.test.' ? 2 : 0;
        my $answer = $code ? '' : "\xc0\x0c" . pack('nnNn', 1, 1, 60, 4)
            . inet_aton('127.0.0.1');

        $name_server->send(substr($q, 0, 2) . pack('nnnnn', 0x8180 | $code,
            1, $code ? 0 : 1, 0, 0) . $question . $answer);
    }

    return;
}


subtest 'paths' => sub {
    my %paths = (
        '/none' => '/v1/chat/completions',
        '/none/more?and=args' => '/v1/chat/completions',
        '/slash' => '/',
        '/own' => '/a/b%20c',
        '/own/x/y?z=1' => '/a/b%20c',
        '/query' => '/v1/chat/completions?v=1&w=%20',
        '/query?x=2' => '/v1/chat/completions?v=1&w=%20',
        '/both' => '/p?v=1',
        '/case' => '/p',
        '/group' => '/v1/chat/completions',
        '/group-path' => '/x',
    );

    for my $path (sort keys %paths) {
        my $q = sent($path);

        is($q->{path}, $paths{$path}, $path);
        is($q->{answer}{status}, 200, "$path: answered");
        is($q->{headers}{host}, $path =~ /^.group/ ? 'group' : $u->address,
            "$path: Host");
    }
};


subtest 'groups' => sub {
    my $first = $u->connections + 1;
    $t->post('/pool', $BODY);
    my $p = $u->peer($first);
    $p->request;
    my $count = $u->connections;

    for my $n (1 .. 5) {
        is($t->post('/pool', $BODY)->{status}, 200, "pool: request $n");
        ok($p->request, 'on the same connection');
    }

    is($u->connections, $count, 'keepalive: no other connection');

    my @before = ($u->connections, $u2->connections);
    $t->post('/two', $BODY) for 1 .. 4;
    is($u->connections - $before[0], 2, 'two peers: half of them');
    is($u2->connections - $before[1], 2, 'two peers: the other half');

    error_is($t->post('/dead', $BODY), client => 'openai', status => 502,
        code => 'upstream_connect', name => 'nobody there');
};


subtest 'unix sockets' => sub {
    my $q = sent('/unix');

    is($q->{path}, '/u/v?w=1', 'with a path');
    is($q->{headers}{'x-host'}, 'localhost', 'Host as proxy_pass has it');

    $q = sent('/unix-own');
    is($q->{path}, '/v1/chat/completions', 'without a path');
};


subtest 'IPv6' => sub {
    plan(skip_all => 'this machine has no ::1') if !$has_ipv6;

    my $q = sent('/v6');
    is($q->{path}, '/v1/chat/completions', 'literal');
    is($q->{headers}{'x-host'}, '[::1]:' . $t->port(6), 'its Host');

    $q = sent('/url', headers =>
        { 'X-URL' => 'http://[::1]:' . $t->port(6) . '/v6/p' });
    is($q->{path}, '/v6/p', 'in a variable');
    is($q->{headers}{'x-host'}, '[::1]:' . $t->port(6), 'its Host');
};


subtest 'variables' => sub {
    my $q = sent('/var', headers => { 'X-Name' => 'one' });
    is($q->{path}, '/v1/chat/completions', 'an address: default path');
    is($q->{headers}{host}, $u->address, 'its Host');

    $q = sent('/var', headers => { 'X-Name' => 'two' }, up => $u2);
    is($q->{headers}{host}, $u2->address, 'another address');

    $q = sent('/literal', headers => { 'X-Name' => 'one' }, port => 1);
    is($q->{path}, '/v1/chat/completions', 'without a resolver');

    $q = sent('/var', headers => { 'X-Name' => 'group' });
    is($q->{path}, '/v1/chat/completions', 'the name of a group');
    is($q->{headers}{host}, 'group', 'its Host');

    $q = sent('/var-path?p=x%2fy', headers => { 'X-Name' => 'group' });
    is($q->{path}, '/p/x%2fy', 'a path with a variable');

    $q = sent('/var-uri/abc');
    is($q->{path}, '/p/abc', 'a variable in the path only');

    my $url = 'http://' . $u->address;

    for my $tail ('', '/', '/x?y=z', '?y=z') {
        $q = sent('/url', headers => { 'X-URL' => $url . $tail });
        is($q->{path}, $tail =~ m{^/} ? $tail : "/v1/chat/completions$tail",
            "the whole URL, ending in '$tail'");
        is($q->{headers}{host}, $u->address, 'its Host');
    }

    $q = sent('/url', headers => { 'X-URL' => 'http://' . $u->address },
        proto => 'h1');
    unlike($q->{answer}{body}, qr/\Q@{[ $u->address ]}\E/,
        'the answer does not tell the address');
};


subtest 'names' => sub {
    my $q = sent('/named?h=good.test');
    is($q->{path}, '/n', 'resolved');
    is($q->{headers}{host}, 'good.test:' . $u->port, 'Host is the name');

    for my $name (qw(no.test broken.test silent.test)) {
        my $before = $u->connections;
        my $r = $t->post("/named?h=$name", $BODY);

        error_is($r, client => 'openai', status => 502,
            code => 'upstream_dns', name => $name);
        unlike($r->{body}, qr/\Q$name\E/, "$name: not named in the body");
        is($u->connections, $before, "$name: no connection");
    }

    my $r = $t->post('/', $BODY, port => 1,
        headers => { 'X-Host' => 'good.test' });
    error_is($r, client => 'openai', status => 502, code => 'upstream_dns',
        name => 'a name without a resolver');
};


subtest 'what a variable must not do' => sub {
    my $ok = $u->address;
    my %urls = (
        'no URL' => '', 'no scheme' => $ok, 'other scheme' => "ftp://$ok",
        'no host' => 'http://', 'path only' => 'http:///x',
        'port 0' => 'http://127.0.0.1:0', 'port' => 'http://127.0.0.1:65536',
        'port word' => 'http://127.0.0.1:x', 'no port' => 'http://127.0.0.1:',
        'IPv6' => 'http://[::1', 'space in it' => "http://$ok/a b",
        'space in the host' => 'http://127.0.0.1 x/',
        'tab' => "http://$ok/a\tb",
    );

    for my $name (sort keys %urls) {
        my $before = $u->connections;
        my $r = $t->post('/url', $BODY,
            headers => { 'X-URL' => $urls{$name} });

        error_is($r, client => 'openai', name => $name,
            status => $r->{status} == 502 ? 502 : 500);
        unlike($r->{body}, qr/127\.0\.0|::1|ftp/, "$name: not in the body");
        is($u->connections, $before, "$name: nothing is sent");
    }

    for my $bad ('a%0d%0aX-Evil:1', 'a%0ab', 'a%0db', 'a%20b', 'a%7fb',
        'a%20HTTP/1.1%0d%0aHost:x%0d%0a%0d%0a')
    {
        my $before = $u->connections;
        my $mark = $t->log_mark;
        my $r = $t->post("/var-uri/$bad", $BODY);

        error_is($r, client => 'openai', status => 500, code => 'internal',
            name => "path $bad");
        is($u->connections, $before, "path $bad: nothing is sent");
        ok($t->wait_log(qr/\[error\].*invalid character/, from => $mark,
            limit => 20), "path $bad: the log says why");
    }
};


subtest 'if' => sub {
    my %to = (none => '/if-none', same => '/if-none');

    for my $to (sort keys %to) {
        my $q = sent('/if', port => 3, headers => { 'X-To' => $to });

        is($q->{path}, $to{$to}, "X-To: $to");
        like($q->{body}, qr/"model":"outer"/, "X-To: $to: model");
        like($q->{body}, qr/"temperature":1/, "X-To: $to: of the server");
    }

    my $q = sent('/if', port => 3, headers => { 'X-To' => 'two' },
        up => $u2);
    is($q->{path}, '/if-two', 'another provider');
    like($q->{body}, qr/"model":"outer"/, 'with the model of around');

    $q = sent('/only-if', port => 3, headers => { 'X-To' => 'two' },
        up => $u2);
    is($q->{answer}{status}, 200, 'in "if" only');
    is($t->get('/only-if', port => 3)->{status}, 404, 'not without it');
};


subtest 'limit_except' => sub {
    is(sent('/limit', port => 3)->{path}, '/limit', 'the method allowed');

    my $before = $u->connections;
    my $r = $t->get('/limit?q=hi', port => 3);
    is($r->{status}, 403, 'another method');
    is(code_of('simple', $r->{body}), 'unauthorized', 'in JSON');
    is($u->connections, $before, 'not sent');

    is(sent('/except', port => 3, up => $u2)->{path}, '/except',
        'with a handler of its own');
    is(sent('/except?q=hi', port => 3, method => 'GET')->{path}, '/outer',
        'the others');
};


subtest 'nested locations' => sub {
    my $q = sent('/nest', port => 3);
    is_deeply(LLMTest::Chat::json($q->{body}), { model => 'outer',
        top_p => 1, messages => [ { role => 'user', content => 'hi' } ] },
        'the outer one: its list of params, not that of the server');

    my $before = $u->connections + $u2->connections;
    my $r = $t->post('/nest/none', $BODY, port => 3);
    is($r->{status}, 404, 'as proxy_pass: the handler is not inherited');
    like($r->{headers}{'content-type'}, qr{text/html}, "nginx's own answer");
    is($u->connections + $u2->connections, $before, 'nothing is sent');

    $q = sent('/nest/own', port => 3, up => $u2);
    is($q->{path}, '/inner', 'its own provider');
    is_deeply(LLMTest::Chat::json($q->{body}), { model => 'outer',
        top_p => 1, messages => [ { role => 'user', content => 'hi' } ] },
        'all else inherited');

    $q = sent('/nest/all', port => 3, up => $u2);
    my $body = LLMTest::Chat::json($q->{body});
    is($body->{model}, 'inner', 'its own model');
    is($body->{seed}, 1, 'its own params');
    ok(!exists $body->{top_p}, 'and no others');
    like($q->{answer}{body}, qr/^data: \{"content":"two"/, 'its own client');
};


subtest 'other locations' => sub {
    my %paths = ('/exact' => '/exact', '/v7/x' => '/regex/7',
        '/named-location' => '/at', '/rewritten' => '/exact');

    for my $path (sort keys %paths) {
        my $q = sent($path, port => 3);

        is($q->{path}, $paths{$path}, $path);
        is($q->{answer}{status}, 200, "$path: answered");
    }
};


$dns->stop(2, 'TERM');
