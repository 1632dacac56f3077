#!/usr/bin/perl

# What a client must not send: broken JSON, wrong types, too much, too deep,
# half a body, a model name that is no name.  Each gets a clear error in the
# client's own dialect, nothing goes to the provider, the connection and the
# worker live on.  The same for refusals made by nginx itself in such a
# location; other locations keep nginx's pages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply error_is json CLIENTS);

my $t = LLMTest->new;
my $u = $t->upstream(each => [ [ send => reply('hi') ] ]);

$t->write_file('htpasswd', "u:{PLAIN}p\n");

my $by_client = join '', map { <<"EOT" } CLIENTS;
    location /$_/ {
        llm_stream openai http://%%UPSTREAM%%;
        llm_stream_client $_;
        client_max_body_size 100k;

        location /$_/prompt {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_prompt \$arg_q;
        }

        location /$_/403 {
            deny all;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /$_/401 {
            auth_basic realm;
            auth_basic_user_file %%DIR%%/htpasswd;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /$_/429 {
            limit_req zone=req_$_;
            limit_req_status 429;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /$_/503 {
            limit_req zone=req_$_;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /$_/conn {
            limit_conn conn_$_ 1;
            limit_conn_status 429;
            llm_stream openai http://%%UPSTREAM_2%%;
        }

        location /$_/return {
            if (\$arg_no) {
                return 403;
            }
            llm_stream openai http://%%UPSTREAM%%;
        }
    }
EOT

my $zones = join '', map { <<"EOT" } CLIENTS;
    limit_req_zone \$server_name zone=req_$_:64k rate=1r/m;
    limit_conn_zone \$server_name zone=conn_$_:64k;
EOT

my $held = $t->upstream;
my $conf = <<'EOT';
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format named "model=[$llm_stream_request_model]";
    limit_req_zone $server_name zone=plain:64k rate=1r/m;
ZONES
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        server_name localhost;
BY_CLIENT
        location /v1/chat/completions {
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /events {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_prompt $arg_q;
        }

        location /depth {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_depth 8;
        }

        location /slow {
            llm_stream openai http://%%UPSTREAM%%;
            client_body_timeout 300ms;
        }

        location /model {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_set_header X-Model $llm_stream_request_model;
            access_log %%DIR%%/named.log named;
        }

        location /text {
            return 403 "my own text\n";
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /page {
            error_page 400 405 413 = @page;
            client_max_body_size 1k;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location @page {
            return 418 "my own page\n";
        }

        location /auth-request {
            auth_request /auth;
            llm_stream openai http://%%UPSTREAM%%;
        }

        location = /auth {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_0%%/needs-auth;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }

        location /needs-auth {
            auth_basic inner;
            auth_basic_user_file %%DIR%%/htpasswd;
        }

        location /other {
            client_max_body_size 1k;
            proxy_pass http://127.0.0.1:%%DEAD_PORT%%;
        }

        location /other/403 { deny all; }
        location /other/503 { limit_req zone=plain; }
    }
}
EOT

$conf =~ s/ZONES\n/$zones/;
$conf =~ s/BY_CLIENT\n/$by_client/;
$t->config($conf)->start;

my ($worker) = $t->workers;
my $GOOD = '{"messages":[{"role":"user","content":"hi"}]}';


# posts and expects this error and nothing at the provider

sub refused {
    my ($path, $body, %o) = @_;
    my $before = $u->connections;
    my $r = $t->http($o{method} // 'POST', $path, $o{headers}, $body,
        %{ $o{open} || {} });

    error_is($r, %o, name => $o{name});
    is($u->connections, $before, "$o{name}: nothing is sent");

    return $r;
}


my %not_json = (
    'nothing' => '', 'a space' => ' ', 'null' => 'null', 'a number' => '42',
    'a string' => '"messages"', 'an array' => '[{"messages":[]}]',
    'a form' => 'messages=hi&model=x', 'cut short' => '{"messages":[',
    'cut in a string' => '{"messages":["', 'an open brace' => '{',
    'two documents' => "$GOOD$GOOD", 'text behind it' => "$GOOD x",
    'a comma too many' => '{"messages":[{}],}', 'no colon' => '{"messages"}',
    'single quotes' => q({'messages':[{}]}),
    'no quotes' => '{messages:[{}]}',
    'a leading zero' => '{"messages":[{}],"n":01}',
    'NaN' => '{"messages":[{}],"n":NaN}',
    'a wrong bracket' => '{"messages":[{}}',
    'a bad escape' => '{"messages":[{}],"s":"\q"}',
    'half an escape' => '{"messages":[{}],"s":"\u12"}',
    'a control byte' => "{\"messages\":[{}],\"s\":\"\x01\"}",
    'a line end in a string' => "{\"messages\":[{}],\"s\":\"a\nb\"}",
    'a NUL' => "{\"messages\":[{}]}\0", 'a byte order mark' => "\xef\xbb\xbf"
        . $GOOD, 'a comment' => "{\"messages\":[{}]/**/}",
    'invalid UTF-8' => "{\"messages\":[{\"content\":\"a\xff\"}]}",
    'half a character' => "{\"messages\":[{\"content\":\"a\xe2\x82\"}]}",
    'overlong UTF-8' => "{\"messages\":[{\"content\":\"\xc0\xaf\"}]}",
    'UTF-16' => join('', map { "$_\0" } split //, $GOOD),
    'gzip' => "\x1f\x8b\x08\0\0\0\0\0\0\3\xabV*K-*\xce\xcc\xcfS\xb2",
);

my @wrong = (
    [ stream => '{"stream":"yes",M}' ], [ stream => '{M,"stream":1}' ],
    [ stream => '{M,"stream":[]}' ], [ model => '{"model":5,M}' ],
    [ model => '{"model":{"a":1},M}' ], [ model => '{"model":["x"],M}' ],
    [ model => '{"model":true,M}' ], [ messages => '{"messages":{}}' ],
    [ messages => '{"messages":"hi"}' ], [ messages => '{"messages":1}' ],
    [ messages => '{"messages":[]}' ], [ messages => '{"messages":null}' ],
    [ messages => '{"model":"m"}' ], [ messages => '{}' ],
    [ messages => '{"MESSAGES":[{}]}' ],
    [ stream_options => '{M,"stream_options":[]}' ],
    [ stream_options => '{M,"stream_options":"x"}' ],
    [ stream => '{M,"\u0073tream":"yes"}' ],
);


for my $client (CLIENTS) {
    subtest "$client: broken JSON" => sub {
        for my $name (sort keys %not_json) {
            refused("/$client/x", $not_json{$name}, client => $client,
                status => 400, code => 'invalid_json', param => undef,
                type => 'invalid_request_error', name => $name);
        }
    };

    subtest "$client: wrong types" => sub {
        for my $case (@wrong) {
            my ($member, $body) = @$case;
            my $text = $body =~ s/\bM\b/"messages":[{}]/r;
            my $r = refused("/$client/x", $text, client => $client,
                status => 400, code => 'invalid_request',
                type => 'invalid_request_error', param => $member,
                name => $body);

            like($r->{body}, qr/\b$member\b/, "$body: names the member");
        }
    };

    subtest "$client: too much, too deep" => sub {
        my $deep = '{"messages":[{}],"x":' . '[' x 5000 . ']' x 5000 . '}';

        refused("/$client/x", $deep, client => $client, status => 400,
            name => 'depth 5001');
        refused("/$client/x", '{"messages":' . '[' x 50_000,
            client => $client, status => 400, name => 'brackets only');
        refused("/$client/x", '{"a":' x 10_000, client => $client,
            status => 400, name => 'braces only');

        my $big = '{"messages":[{}],"x":"' . 'x' x 110_000 . '"}';
        my %ways = (
            'with a length' => {},
            'chunked' => { chunked => [ $big =~ /(.{1,9000})/gs ] },
            'HTTP/2' => { proto => 'h2', port => 1 },
        );

        for my $way (sort keys %ways) {
            refused("/$client/x", $ways{$way}{chunked} ? undef : $big,
                client => $client, status => 413,
                code => 'request_too_large', h2 => $way eq 'HTTP/2' ? 1 : 0,
                open => $ways{$way}, name => "too large, $way");
        }

        refused("/$client/x", undef, client => $client, status => 413,
            code => 'request_too_large', name => 'too large, not even sent',
            open => { raw => "POST /$client/x HTTP/1.1\r\nHost: x\r\n"
                . "Expect: 100-continue\r\nContent-Length: 99999999\r\n"
                . "\r\n" });
    };

    subtest "$client: wrong method" => sub {
        for my $method (qw(GET PUT DELETE PATCH OPTIONS)) {
            refused("/$client/x", $method eq 'PUT' ? $GOOD : undef,
                method => $method, client => $client, status => 405,
                code => 'method_not_allowed', name => $method);
        }

        my $r = $t->http('HEAD', "/$client/x");
        is($r->{status}, 405, 'HEAD: status');
        is($r->{body}, '', 'HEAD: no body');
        ok($r->{complete}, 'HEAD: complete');

        $r = $t->http('HEAD', "/$client/prompt?q=hi");
        is($r->{status}, 405, 'HEAD with a prompt: not sent either');

        refused("/$client/prompt$_", undef, method => 'GET',
            client => $client, status => 400, param => 'prompt',
            name => "no prompt: '$_'") for '', '?q=', '?x=1';
    };

    subtest "$client: refusals of nginx" => sub {
        refused("/$client/403", $GOOD, client => $client, status => 403,
            code => 'unauthorized', name => 'deny');

        my $r = refused("/$client/401", $GOOD, client => $client,
            status => 401, code => 'unauthorized', name => 'auth_basic');
        is($r->{headers}{'www-authenticate'}, 'Basic realm="realm"',
            'auth_basic: what it asks for');
        is($t->post("/$client/401", $GOOD, headers =>
            { Authorization => 'Basic dTpw' })->{status}, 200,
            'auth_basic: with the password');

        is($t->post("/$client/429", $GOOD)->{status}, 200, 'limit_req: 1');
        refused("/$client/429", $GOOD, client => $client, status => 429,
            code => 'rate_limit_exceeded', name => 'limit_req_status 429');
        refused("/$client/503", $GOOD, client => $client, status => 503,
            name => 'limit_req');
        refused("/$client/503", $GOOD, client => $client, status => 503,
            h2 => 1, open => { proto => 'h2', port => 1 },
            name => 'limit_req, HTTP/2');
        refused("/$client/return?no=1", $GOOD, client => $client,
            status => 403, name => 'return without a text');

        my $s = $t->open(method => 'POST', path => "/$client/conn",
            body => $GOOD);
        my $p = $held->accept;
        refused("/$client/conn", $GOOD, client => $client, status => 429,
            code => 'rate_limit_exceeded', name => 'limit_conn');
        $p->request;
        $p->send(reply('hi'));
        is($s->result->{status}, 200, 'limit_conn: the first goes on');
        $p->close;
    };

    subtest "$client: the connection lives on" => sub {
        my %cases = (
            400 => [ "/$client/x", 'x' ], 405 => [ "/$client/x", 'x', 'PUT' ],
            403 => [ "/$client/403", $GOOD ],
            429 => [ "/$client/429", $GOOD ],
        );

        for my $status (sort keys %cases) {
            my ($path, $body, $method) = @{ $cases{$status} };
            my $s = $t->open(method => $method // 'POST', path => $path,
                body => $body);
            my $r = $s->result;

            is($r->{status}, $status, "after $status");
            unlike($r->{headers}{connection} // '', qr/close/,
                "after $status: no Connection: close");

            $s = $t->open(method => 'POST', path => "/$client/x",
                body => $GOOD, on => $s);
            is($s->result->{status}, 200, "after $status: usable");
        }

        my $h2 = $t->h2(port => 1);
        for my $body ('x', $GOOD, '{"messages":0}', $GOOD) {
            my $r = $t->open(on => $h2, method => 'POST',
                path => "/$client/x", body => $body)->result;
            is($r->{status}, $body eq $GOOD ? 200 : 400, "HTTP/2: $body");
        }
    };
}


subtest 'the client is known before it is served' => sub {
    refused('/v1/chat/completions', 'x', client => 'openai', status => 400,
        code => 'invalid_json', name => 'auto: by the path');
    refused('/v1/chat/completions', undef, method => 'GET',
        client => 'openai', status => 405, name => 'auto: by the path, GET');
    refused('/events', undef, method => 'GET', client => 'simple',
        status => 400, name => 'auto: GET');
    refused('/events', 'x', client => 'openai', status => 400,
        name => 'auto: POST');
};


subtest 'depth' => sub {
    my $ok = '{"messages":[{}],"x":' . '[' x 7 . ']' x 7 . '}';

    is($t->post('/depth', $ok)->{status}, 200, 'at the limit');
    refused('/depth', '{"messages":[{}],"x":' . '[' x 8 . ']' x 8 . '}',
        client => 'openai', status => 400, name => 'over it');
    refused('/depth', '{"messages":[' . '{"a":' x 7 . '1' . '}' x 7 . ']}',
        client => 'openai', status => 400, name => 'objects, over it');
    is($t->post('/depth', '{"messages":[' . '{"a":' x 6 . '1' . '}' x 6
        . ']}')->{status}, 200, 'objects, at the limit');
};


subtest 'the name of a model' => sub {
    my %bad = (
        'CR LF' => 'a\r\nX-Evil: 1', 'LF' => 'a\nb', 'CR' => 'a\u000db',
        'NUL' => 'a\u0000b', 'tab' => 'a\tb', 'DEL' => "a\x7fb",
        'DEL, escaped' => 'a\u007fb', 'escape' => 'a\u001b[31mb',
        'a request' => 'm\r\n\r\nGET /x HTTP/1.1', 'long' => 'm' x 257,
        'long, escaped' => '\u0061' x 257,
    );

    for my $name (sort keys %bad) {
        my $body = "{\"model\":\"$bad{$name}\",\"messages\":[{}]}";

        refused('/model', $body, client => 'openai', status => 400,
            code => 'invalid_request', param => 'model', name => $name);
    }

    my %good = (
        'vendor/model:free@v1+x_y-z.2' => 'vendor/model:free@v1+x_y-z.2',
        'a\u002fb' => 'a/b', 'say \"hi\" \\\\' => 'say "hi" \\',
        'm' x 256 => 'm' x 256, 'x: y' => 'x: y', '%0d%0a' => '%0d%0a',
        '$host' => '$host',
    );

    for my $name (sort keys %good) {
        my $before = $u->connections;
        my $r = $t->post('/model',
            "{\"model\":\"$name\",\"messages\":[{}]}");

        is($r->{status}, 200, "$name: passes");
        is($u->connections, $before + 1, "$name: sent");

        my $q = $u->peer($before + 1)->request;
        is($q->{headers}{'x-model'}, $good{$name}, "$name: in a header");
        is(json($q->{body})->{model}, $good{$name}, "$name: in the body");
    }

    # a line is written after the answer
    my $wanted = keys(%bad) + keys %good;
    my @lines;

    $t->wait_for(sub {
        @lines = split /\n/, $t->read_file('named.log');
        return @lines >= $wanted;
    });

    is(scalar @lines, $wanted, 'one log line each');
    is((grep { !/^model=\[[ -~]*\]$/ } @lines), 0, 'of plain characters');
    is((grep { $_ eq 'model=[-]' } @lines), scalar keys %bad,
        'with no name that was refused');
};


subtest 'half a body' => sub {
    my $n = 0;
    my %ends = (
        close => sub { $_[0]->close }, reset => sub { $_[0]->abort },
        'half-close' => sub { $_[0]->half_close; $_[0]->result },
    );

    for my $name (sort keys %ends) {
        for my $sent ('', '{"messages":[{"ro') {
            my $before = $u->connections;
            my $mark = $t->log_mark('access.log');
            my $s = $t->open(method => 'POST', body => $GOOD,
                path => '/openai/x?half-' . ++$n, head_only => 1);

            $s->send($sent);
            $ends{$name}->($s);

            like($t->wait_access_log(qr/\?half-$n /, from => $mark),
                qr/" (?:400|499) /, "$name after '$sent': logged");
            is($u->connections, $before, "$name after '$sent': not sent");
        }
    }

    for my $part ("5\r\n{\"mes", "5\r\n", "zz\r\n", "5\r\n{\"mesXX",
        "fffffffffffffffff\r\n")
    {
        my $before = $u->connections;
        my $s = $t->open(raw => "POST /openai/x HTTP/1.1\r\nHost: x\r\n"
            . "Transfer-Encoding: chunked\r\n\r\n$part");

        $s->half_close;
        $s->wait_close;
        ok(($s->status // 400) >= 400, "chunked: " . $part =~ s/\s+/ /gr);
        is($u->connections, $before, 'not sent');
    }

    for my $end ('rst', 'close') {
        my $before = $u->connections;
        my $mark = $t->log_mark('access.log');
        my $h2 = $t->h2(port => 1);
        my $s = $t->open(on => $h2, method => 'POST',
            path => '/openai/x?half-' . ++$n, end_stream => 0);

        $s->send_data('{"messages":[', 0);
        $end eq 'rst' ? $s->reset : $h2->conn->close;
        ok($t->wait_access_log(qr/\?half-$n /, from => $mark),
            "HTTP/2, $end: logged");
        is($u->connections, $before, "HTTP/2, $end: not sent");
    }

    my $mark = $t->log_mark('access.log');
    my $s = $t->open(method => 'POST', path => '/slow', body => $GOOD,
        head_only => 1);
    $s->send('{"mess');
    ok($s->wait_close, 'too slow: the connection is closed');
    like($t->wait_access_log(qr{/slow}, from => $mark), qr/" 408 /,
        'too slow: 408');

    is($t->post('/openai/x', $GOOD)->{status}, 200, 'all goes on');
};


subtest 'what is the user\'s own stays' => sub {
    my $r = $t->post('/text', $GOOD);
    is($r->{status}, 403, 'return with a text: status');
    is($r->{body}, "my own text\n", 'return with a text: body');
    unlike($r->{headers}{'content-type'}, qr/json/, 'and its type');

    for my $case ([ 'x', 'POST' ], [ $GOOD, 'PUT' ],
        [ 'x' x 2000, 'POST' ])
    {
        $r = $t->http($case->[1], '/page', {}, $case->[0]);
        is($r->{status}, 418, "error_page: $case->[1]: status");
        is($r->{body}, "my own page\n", "error_page: $case->[1]: body");
    }

    $r = refused('/auth-request', $GOOD, client => 'openai', status => 401,
        code => 'unauthorized', name => 'auth_request');
    like($r->{headers}{'www-authenticate'} // '', qr/Basic realm="inner"/,
        'auth_request: what it asks for');
};


subtest 'other locations' => sub {
    my %paths = ('/nothing' => 404, '/other' => 502, '/other/403' => 403,
        '/other/503' => 404);

    for my $path (sort keys %paths) {
        my $r = $t->get($path);

        is($r->{status}, $paths{$path}, "$path: status");
        is($r->{headers}{'content-type'}, 'text/html', "$path: type");
        like($r->{body}, qr/<center>nginx/, "$path: nginx's page");
    }

    my $r = $t->get('/other/503');
    is($r->{status}, 503, 'limit_req: status');
    like($r->{body}, qr/<center>nginx/, "limit_req: nginx's page");

    $r = $t->post('/other', 'x' x 2000);
    is($r->{status}, 413, 'too large: status');
    like($r->{body}, qr/<center>nginx/, "too large: nginx's page");

    $r = $t->open(raw => "GET / HTTP/1.1\r\n\r\n")->result;
    is($r->{status}, 400, 'no Host: status');
    like($r->{body}, qr/<center>nginx/, "no Host: nginx's page");
};


is(($t->workers)[0], $worker, 'it is the same worker still');
