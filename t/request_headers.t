#!/usr/bin/perl

# The head of the provider's request: the module's own lines, which of the
# client's go on and which never do, credentials, llm_stream_set_header.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply error_is);

my $t = LLMTest->new;
my $u = $t->upstream(each => [ [ send => reply('hi') ] ]);

$t->write_file('key', "sk-file-1\n");
$t->set(KEY => $t->dir . '/key');

$t->config(<<'EOT')->start(env => { LLM_TEST_KEY => 'sk-env-1' });
%%GLOBALS%%
env LLM_TEST_KEY;
events { }
http {
    %%HTTP%%

    map $http_x_tenant $tenant_key {
        default "";
        a       sk-tenant-a;
        b       sk-tenant-b;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        underscores_in_headers on;

        location /plain {
            llm_stream_client openai;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /key-file {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key file:%%KEY%%;
        }

        location /key-relative {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key file:key;
        }

        location /key-env {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key env:LLM_TEST_KEY;
        }

        location /key-literal {
            llm_stream_client openai;
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key sk-literal-1;
        }

        location /key-tenant {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key $tenant_key;
        }

        location /set {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_set_header X-New new;
            llm_stream_set_header X-Var "$arg_v-$request_method";
            llm_stream_set_header x-mine ours;
            llm_stream_set_header User-Agent "";
            llm_stream_set_header X-Never "$arg_none";
            llm_stream_set_header Cookie "a=b";
            llm_stream_set_header X-Model $llm_stream_request_model;
        }

        location /set-own {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_set_header Host api.example.com;
            llm_stream_set_header Content-Type "application/json; v=2";
            llm_stream_set_header Accept "";
            llm_stream_set_header Authorization "Bearer set";
            llm_stream_set_header Accept-Encoding gzip;
        }

        location /set-key {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key sk-literal-1;
            llm_stream_set_header Api-Key sk-azure;
        }

        location /set-other-key {
            llm_stream azure http://%%UPSTREAM%%;
            llm_stream_set_header Authorization "Bearer ours-1";
        }

        location /set-none {
            llm_stream azure http://%%UPSTREAM%%;
            llm_stream_set_header Authorization "";
        }

        location ~ "(?s)^/inject/(.*)$" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_set_header X-Path $1;
        }

        location ~ "(?s)^/inject-key/(.*)$" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_api_key $1;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        llm_stream_set_header X-Server s;
        llm_stream_api_key sk-server;
        llm_stream_model from-server;

        location /inherits {
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /own {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_set_header X-Own o;
            llm_stream_api_key off;
        }
    }
}
EOT

my $BODY = '{"messages":[{"role":"user","content":"hi"}]}';
my $STREAM = '{"stream":true,"messages":[{"role":"user","content":"hi"}]}';


sub sent {
    my ($path, %o) = @_;
    my $before = $u->connections;
    my $r = $t->post($path, $o{body} // $BODY, %o);

    if ($u->connections == $before) {
        diag("nothing was sent: $path: $r->{status} $r->{body}");
        return { body => '', headers => {}, list => [], answer => $r };
    }

    return { %{ $u->peer($before + 1)->request }, answer => $r };
}


# all values of a header, in their order

sub values_of {
    my ($q, $name) = @_;

    return [ map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{ $q->{list} } ];
}


subtest 'our own lines' => sub {
    my $q = sent('/plain?a=b', headers => [
        [ 'Content-Type' => 'text/plain' ], [ Accept => 'image/png' ],
        [ 'Accept-Encoding' => 'gzip, br' ], [ Host => 'evil.example' ],
        [ Connection => 'close, x-foo' ], [ TE => 'trailers' ],
    ]);
    my $h = $q->{headers};

    is($q->{method}, 'POST', 'method');
    is($q->{path}, '/v1/chat/completions', 'path');
    like($q->{raw}, qr{^POST /v1/chat/completions HTTP/1\.1\r\n}, 'version')
        if defined $q->{raw};
    is_deeply(values_of($q, 'Host'), [ $u->address ], 'Host: of the URL');
    is_deeply(values_of($q, 'Content-Type'), ['application/json'],
        'Content-Type');
    is_deeply(values_of($q, 'Accept-Encoding'), ['identity'],
        'Accept-Encoding');
    is_deeply(values_of($q, 'Content-Length'), [ length $q->{body} ],
        'Content-Length');
    is(scalar @{ values_of($q, 'Accept') }, 1, 'one Accept');
    like($h->{accept}, qr{application/json}, 'Accept: JSON');
    unlike($h->{accept}, qr{event-stream|image}, 'Accept: no more');
    ok(!exists $h->{$_}, "no $_") for qw(te transfer-encoding);
    unlike($h->{connection} // '', qr/x-foo|close/, 'Connection is ours');

    $q = sent('/plain', body => $STREAM, headers => { Accept => '*/*' });
    like($q->{headers}{accept}, qr{text/event-stream}, 'Accept of a stream');

    $q = sent('/plain', proto => 'h2', port => 1,
        host_header => 'other.example');
    is_deeply(values_of($q, 'Host'), [ $u->address ], 'HTTP/2: Host');
    ok(!(grep { $_->[0] =~ /^:/ } @{ $q->{list} }), 'HTTP/2: no :names');

    my $s = $t->open(method => 'POST', path => '/plain', body => $BODY,
        head_only => 1, headers => { Expect => '100-continue' });
    $s->send($BODY);
    is($s->result->{status}, 200, 'Expect: answered');
    my $got = $u->peer($u->connections)->request;
    ok(!exists $got->{headers}{expect}, 'and kept to us');
};


subtest 'what goes on' => sub {
    my @pass = (
        [ 'User-Agent' => 'sdk/1.2 (linux)' ],
        [ 'OpenAI-Organization' => 'org-1' ],
        [ 'OpenAI-Beta' => 'assistants=v2' ],
        [ 'anthropic-beta' => 'one' ], [ 'anthropic-beta' => 'two' ],
        [ 'HTTP-Referer' => 'https://app.example' ], [ 'X-Title' => 'app' ],
        [ 'Idempotency-Key' => '123' ], [ 'X-Stainless-Lang' => 'python' ],
        [ 'X-Request-ID' => 'r-1' ], [ 'traceparent' => '00-1-2-01' ],
        [ 'X_Underscore' => 'u' ], [ 'X-Bytes' => "caf\xc3\xa9 \xff" ],
        [ 'X-Empty' => '' ], [ 'Accept-Language' => 'de' ],
    );
    my $q = sent('/plain', headers => \@pass);

    for my $name (do { my %s; grep { !$s{$_}++ } map { $_->[0] } @pass }) {
        is_deeply(values_of($q, $name),
            [ map { $_->[1] } grep { $_->[0] eq $name } @pass ], $name);
    }

    $q = sent('/key-literal', headers => \@pass);
    is_deeply(values_of($q, 'anthropic-beta'), [ 'one', 'two' ],
        'with a key of ours too');
};


subtest 'what never goes on' => sub {
    my @never = qw(Cookie X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host
        X-Real-IP Forwarded Origin Referer Via Proxy-Authorization
        Proxy-Connection Sec-Fetch-Mode Sec-WebSocket-Key Last-Event-ID
        Range If-None-Match If-Modified-Since Upgrade Keep-Alive Trailer
        X-Api-Key api-key X-Goog-Api-Key Access-Control-Request-Method
        X-Accel-Redirect Content-Encoding);

    for my $path ('/plain', '/key-literal') {
        my $q = sent($path,
            headers => [ map { [ $_ => /api-key/i ? 'a-key' : 'leak-me' ] }
                @never ]);

        for my $name (@never) {
            is_deeply(values_of($q, $name), [], "$path: $name");
        }

        unlike(join("\n", map { "@$_" } @{ $q->{list} }), qr/leak-me/,
            "$path: by no other name");
    }

    my $q = sent('/plain', proto => 'h2', port => 1,
        headers => [ [ cookie => 'a=1' ], [ cookie => 'b=2' ],
            [ 'x-api-key' => 'k' ], [ 'user-agent' => 'h2' ] ]);
    is_deeply(values_of($q, 'cookie'), [], 'HTTP/2: cookies');
    is_deeply(values_of($q, 'x-api-key'), [], 'HTTP/2: x-api-key');
    is_deeply(values_of($q, 'user-agent'), ['h2'], 'HTTP/2: what passes');
};


subtest 'credentials' => sub {
    my %client = (headers => { Authorization => 'Bearer client-1' });

    is_deeply(values_of(sent('/plain', %client), 'Authorization'),
        ['Bearer client-1'], "the client's when there is none of ours");
    is_deeply(values_of(sent('/plain'), 'Authorization'), [],
        'none at all');

    my %keys = (
        '/key-file' => 'sk-file-1', '/key-relative' => 'sk-file-1',
        '/key-env' => 'sk-env-1', '/key-literal' => 'sk-literal-1',
    );

    for my $path (sort keys %keys) {
        is_deeply(values_of(sent($path), 'Authorization'),
            ["Bearer $keys{$path}"], $path);
        is_deeply(values_of(sent($path, %client), 'Authorization'),
            ["Bearer $keys{$path}"], "$path: never the client's");
    }

    for my $tenant (qw(a b)) {
        my $q = sent('/key-tenant', headers =>
            { 'X-Tenant' => $tenant, Authorization => 'Bearer client-1' });

        is_deeply(values_of($q, 'Authorization'),
            ["Bearer sk-tenant-$tenant"], "by a variable: $tenant");
    }

    # a key that turns out empty is still the rule that ours is sent
    my $q = sent('/key-tenant', %client);
    is_deeply(values_of($q, 'Authorization'), [],
        "by a variable that is empty: not the client's either");

    $q = sent('/set-key', %client, headers =>
        { Authorization => 'Bearer client-1', 'api-key' => 'client-2' });
    is_deeply(values_of($q, 'Authorization'), ['Bearer sk-literal-1'],
        'beside a header that is set');
    is_deeply(values_of($q, 'api-key'), ['sk-azure'], 'which is set');

    # a token in a header of its own is the location's key as well
    for my $header (['api-key' => 'client-2'],
        [Authorization => 'Bearer client-1'], ['x-api-key' => 'client-3'])
    {
        $q = sent('/set-other-key', headers => {@$header});
        is_deeply(values_of($q, 'Authorization'), ['Bearer ours-1'],
            "ours instead of the client's $header->[0]");
        is_deeply(values_of($q, $_), [], "no $_")
            for 'api-key', 'x-api-key';
    }

    $q = sent('/set-none', %client);
    is_deeply(values_of($q, 'api-key'), ['client-1'],
        'a header that is taken out is no key');

    for my $bad ('a%0d%0aX-Evil:1', 'a%0ab', 'a%7fb') {
        my $before = $u->connections;
        my $r = $t->post("/inject-key/$bad", $BODY);

        error_is($r, client => 'openai', status => 500, code => 'internal',
            name => "key $bad");
        is($u->connections, $before, "key $bad: nothing is sent");
    }
};


subtest 'llm_stream_set_header' => sub {
    my $q = sent('/set?v=1', body => '{"model":"m/1","messages":[{}]}',
        headers => [ [ 'X-Mine' => 'client' ], [ 'X-MINE' => 'again' ],
            [ 'User-Agent' => 'ua' ], [ 'X-Never' => 'x' ],
            [ Cookie => 'secret=1' ], [ 'X-Other' => 'o' ] ]);

    is_deeply(values_of($q, 'X-New'), ['new'], 'added');
    is_deeply(values_of($q, 'X-Var'), ['1-POST'], 'variables');
    is_deeply(values_of($q, 'X-Mine'), ['ours'], "instead of the client's");
    is_deeply(values_of($q, 'User-Agent'), [], 'empty: removed');
    is_deeply(values_of($q, 'X-Never'), [], 'empty by a variable: removed');
    is_deeply(values_of($q, 'Cookie'), ['a=b'], 'what would not pass');
    is_deeply(values_of($q, 'X-Model'), ['m/1'], 'of the request body');
    is_deeply(values_of($q, 'X-Other'), ['o'], 'others stay');
    is_deeply(values_of($q, 'Host'), [ $u->address ], 'Host stays');

    $q = sent('/set-own', headers =>
        { Authorization => 'Bearer client-1', Accept => 'x/y' });
    is_deeply(values_of($q, 'Host'), ['api.example.com'], 'Host');
    is_deeply(values_of($q, 'Content-Type'), ['application/json; v=2'],
        'Content-Type');
    is_deeply(values_of($q, 'Accept'), [], 'Accept: removed');
    is_deeply(values_of($q, 'Authorization'), ['Bearer set'],
        'Authorization');
    is_deeply(values_of($q, 'Accept-Encoding'), ['gzip'],
        'Accept-Encoding, which is then the user\'s doing');
    is_deeply(values_of($q, 'Content-Length'), [ length $q->{body} ],
        'Content-Length is ours');
};


subtest 'values that would end a header' => sub {
    my %bad = (
        'CR LF' => 'a%0d%0aX-Evil:%201', LF => 'a%0aX-Evil:1',
        CR => 'a%0dX-Evil:1', DEL => 'a%7fb',
        'a second request' => '%0d%0a%0d%0aGET%20/admin%20HTTP/1.1',
    );

    for my $name (sort keys %bad) {
        my $before = $u->connections;
        my $mark = $t->log_mark;
        my $r = $t->post("/inject/$bad{$name}", $BODY);

        error_is($r, client => 'openai', status => 500, code => 'internal',
            name => $name);
        is($u->connections, $before, "$name: nothing is sent");
        ok($t->wait_log(qr/\[error\].*X-Path/, from => $mark),
            "$name: the log names the header");
    }

    is_deeply(values_of(sent('/inject/a%20b%09c:d'), 'X-Path'),
        ["a b\tc:d"], 'space, tab and colon are fine');
};


subtest 'inheritance' => sub {
    my $q = sent('/inherits', port => 2,
        headers => { Authorization => 'Bearer client-1' });
    is_deeply(values_of($q, 'X-Server'), ['s'], 'header of the server');
    is_deeply(values_of($q, 'Authorization'), ['Bearer sk-server'],
        'key of the server');
    like($q->{body}, qr/"model":"from-server"/, 'model of the server');

    # as proxy_set_header: the level with one of its own has only these
    $q = sent('/own', port => 2,
        headers => { Authorization => 'Bearer client-1' });
    is_deeply(values_of($q, 'X-Server'), [], 'own headers: not inherited');
    is_deeply(values_of($q, 'X-Own'), ['o'], 'own headers');
    is_deeply(values_of($q, 'Authorization'), ['Bearer client-1'],
        'key off');
};
