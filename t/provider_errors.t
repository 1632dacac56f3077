#!/usr/bin/perl

# The provider's answers of 400 and above: their own status, for a client of
# the same dialect the same bytes, for the others the same error in their
# words; a neutral body for what is no JSON, and for 401 and 403 when the key
# is ours, because providers quote the key there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta reply error_is code_of json CLIENTS);

my $t = LLMTest->new;
my $u = $t->upstream;

my $by_client = join '', map { <<"EOT" } CLIENTS;
        location /$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
        }

        location /key/$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
            llm_stream_api_key sk-ours;
        }
EOT

$t->config(<<'EOT' =~ s/BY_CLIENT\n/$by_client/r)->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format ends "$request_uri $status $llm_stream_end $llm_stream_error";

    upstream kept {
        server %%UPSTREAM%%;
        keepalive 1;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        access_log %%DIR%%/ends.log ends;
        error_page 400 401 429 500 502 503 504 /50x.html;
BY_CLIENT
        location /kept { llm_stream openai http://kept; }

        location /intercept {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_intercept_errors on;
            error_page 429 /own;
        }

        location = /own {
            return 200 "the user's own page\n";
        }

        location = /50x.html {
            return 200 "never for what a provider says\n";
        }

        location /headers {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_hide_header X-RateLimit-Limit;
            llm_stream_pass_header X-Custom;
        }
    }
}
EOT

my $BODY = '{"messages":[{"role":"user","content":"hi"}]}';
my $STREAM = $BODY =~ s/^\{/{"stream":true,/r;
my $ERROR = '{ "error": {"message":"No \"way\" \u00e9, é: 1<2", "type":'
    . '"invalid_request_error","param":"messages","code":"bad_thing"},'
    . '"x":1.0}' . "\n";


sub ask {
    my ($path, $bytes, %o) = @_;

    $u->script(['request'], [ send => $bytes ], ['close']);

    return $t->post($path, $o{body} // $BODY, %{ $o{open} || {} });
}


sub failed {
    my ($status, $body, @headers) = @_;

    return LLMTest::Upstream::answer($status, $body,
        'Content-Type' => 'application/json', @headers);
}


# what the client is told: message and code of an error in its dialect

sub said {
    my ($client, $body) = @_;

    return ($body =~ s/\n\z//r, undef) if $client eq 'text';

    my $v = json($body) // {};
    my $e = $client eq 'openai' ? $v->{error}
        : $client eq 'typed' ? $v->{data} : $v;

    return ($client eq 'simple' ? $e->{error} : $e->{message}, $e->{code});
}


for my $client (CLIENTS) {
    subtest "$client: JSON" => sub {
        my $message = "No \"way\" \x{e9}, \x{e9}: 1<2";
        utf8::encode($message) if $client eq 'text';

        for my $status (400, 404, 408, 409, 413, 422, 429, 499, 500, 502,
            503, 504, 529, 599)
        {
            for my $body ($BODY, $STREAM) {
                my $name = "$status" . ($body eq $STREAM ? ', stream' : '');
                my $r = ask("/$client", failed($status, $ERROR),
                    body => $body);

                is($r->{status}, $status, "$name: status");
                is($r->{headers}{'content-length'}, length $r->{body},
                    "$name: length");
                like($r->{headers}{'content-type'}, $client eq 'text'
                    ? qr{^text/plain} : qr{^application/json},
                    "$name: type");
                ok($r->{complete}, "$name: complete");

                if ($client eq 'openai') {
                    is($r->{body}, $ERROR, "$name: byte for byte");
                    next;
                }

                my ($text, $code) = said($client, $r->{body});
                is($text, $message, "$name: the message");
                is($code, 'bad_thing', "$name: the code")
                    if $client ne 'text';
            }
        }
    };

    subtest "$client: not JSON" => sub {
        my @bodies = (
            [ HTML => '<html><h1>502 Bad Gateway sk-x</h1></html>',
                'text/html' ],
            [ 'HTML that says JSON' => '<html>sk-x</html>',
                'application/json' ],
            [ text => "upstream sk-x failed\n", 'text/plain' ],
            [ nothing => '', 'text/plain' ],
            [ 'half of it' => '{"error":{"message":"sk-x', 'application/json' ],
            [ 'a string' => '"sk-x"', 'application/json' ],
            [ 'invalid UTF-8' => "{\"error\":{\"message\":\"sk-x\xff\"}}",
                'application/json' ],
            [ 'two documents' => '{"error":"sk-x"}{"a":1}',
                'application/json' ],
        );

        for my $case (@bodies) {
            my ($name, $body, $type) = @$case;

            for my $status (404, 500, 529) {
                my $r = ask("/$client", LLMTest::Upstream::answer($status,
                    $body, 'Content-Type' => $type));

                error_is($r, client => $client, status => $status,
                    code => 'upstream_error', name => "$status, $name");
                unlike($r->{body}, qr/sk-x/, "$status, $name: not a byte");
            }
        }

        my $r = ask("/$client", LLMTest::Upstream::answer(500, 'sk-x',
            'Content-Type' => 'application/json',
            'Content-Encoding' => 'gzip'));
        error_is($r, client => $client, status => 500,
            code => 'upstream_error', name => 'compressed');
        ok(!exists $r->{headers}{'content-encoding'},
            'compressed: the header does not pass');
    };

    subtest "$client: 401 and 403" => sub {
        my $body = '{"error":{"message":"Incorrect API key provided: '
            . 'sk-ou**rs.","type":"invalid_request_error","param":null,'
            . '"code":"invalid_api_key"}}';

        for my $status (401, 403) {
            my $r = ask("/$client", failed($status, $body,
                'WWW-Authenticate' => 'Bearer realm="sk-ou"'));
            is($r->{status}, $status, "$status: status");
            is((said($client, $r->{body}))[0],
                'Incorrect API key provided: sk-ou**rs.',
                "$status: the client's own key: what the provider says");
            is($r->{body}, $body, "$status: byte for byte")
                if $client eq 'openai';

            $r = ask("/key/$client", failed($status, $body,
                'WWW-Authenticate' => 'Bearer realm="sk-ou"'));
            error_is($r, client => $client, status => $status,
                name => "$status, our key");
            unlike($r->{body} . join('', map { "@$_" }
                @{ $r->{header_list} }), qr/sk-ou/,
                "$status, our key: nothing of it");

            $r = ask("/key/$client", LLMTest::Upstream::stream(
                "data: $body\n\n"), body => $STREAM);
            is($r->{status}, 401, "$status, in a 200: status");
            unlike($r->{body}, qr/sk-ou/, "$status, in a 200: nothing of it");

            $r = ask("/key/$client", LLMTest::Upstream::stream(
                map { "data: $_\n\n" } delta('some'), $body),
                body => $STREAM);
            like($r->{body}, qr/some/, "$status, after content: that");
            unlike($r->{body}, qr/sk-ou|\[DONE\]|\{"done":true\}/,
                "$status, after content: nothing of it");
        }

        my $r = ask("/key/$client", failed(404, $ERROR));
        is((said($client, $r->{body}))[0] =~ s/ .*//r, 'No',
            'others pass with our key too');
    };
}


# the shapes that providers with this interface really send
subtest 'other shapes' => sub {
    my %shapes = (
        '{"error":"model not loaded"}' => 'model not loaded',
        '{"object":"error","message":"too long","type":"BadRequestError",'
            . '"param":null,"code":400}' => 'too long',
        '{"message":"no such route"}' => 'no such route',
        '{"detail":"Unauthorized"}' => 'Unauthorized',
        '{"detail":[{"loc":["body"],"msg":"field required"}]}'
            => 'field required',
        '{"error":{"message":"m","code":429,"metadata":{"raw":"x"}}}' => 'm',
        '{"error":{"code":503,"message":"overloaded","status":'
            . '"UNAVAILABLE"}}' => 'overloaded',
    );

    for my $body (sort keys %shapes) {
        for my $client (CLIENTS) {
            my $r = ask("/$client", failed(400, $body));

            is($r->{status}, 400, "$client, $body: status");
            is($client eq 'openai' ? $r->{body}
                : (said($client, $r->{body}))[0], $client eq 'openai'
                ? $body : $shapes{$body}, "$client, $body");
        }
    }

    for my $client (CLIENTS) {
        my $r = ask("/$client", failed(400, '{"unknown":[1,2]}'));

        if ($client eq 'openai') {
            is($r->{body}, '{"unknown":[1,2]}', 'unknown: the same bytes');
            next;
        }

        error_is($r, client => $client, status => 400,
            code => 'upstream_error', name => "$client, unknown");
    }
};


subtest 'however it comes' => sub {
    my $head = "Content-Type: application/json\r\n";
    my $long = '{"error":{"message":"' . 'x' x 40_000 . '"}}';
    my %ways = (
        'in chunks' => [ "HTTP/1.1 429 No\r\n${head}Transfer-Encoding: "
            . "chunked\r\n\r\n" . join('', map { LLMTest::Upstream::chunk($_) }
            $ERROR =~ /(.{1,5})/gs) . "0\r\n\r\n", $ERROR ],
        'to the close' =>
            [ "HTTP/1.0 429 No\r\n$head\r\n$ERROR", $ERROR ],
        'after a 100' => [ "HTTP/1.1 100 Continue\r\n\r\n"
            . failed(429, $ERROR), $ERROR ],
        'as an event stream' => [ LLMTest::Upstream::answer(429, $ERROR,
            'Content-Type' => 'text/event-stream'), $ERROR ],
        'a long one' => [ failed(429, $long), $long ],
    );

    for my $way (sort keys %ways) {
        for my $proto ([ h1 => 0 ], [ h2 => 1 ]) {
            my $r = ask('/openai', $ways{$way}[0],
                open => { proto => $proto->[0], port => $proto->[1] });

            is($r->{status}, 429, "$way, $proto->[0]: status");
            is($r->{body}, $ways{$way}[1], "$way, $proto->[0]: bytes");
        }
    }

    my %cut = (
        'less than its length' => failed(429, $ERROR) =~ s/.{20}\z//sr,
        'cut in a chunk' => "HTTP/1.1 429 No\r\n${head}Transfer-Encoding: "
            . "chunked\r\n\r\n40\r\n{\"error\":{",
    );

    for my $way (sort keys %cut) {
        for my $client (CLIENTS) {
            error_is(ask("/$client", $cut{$way}), client => $client,
                status => 429, code => 'upstream_error',
                name => "$client, $way");
        }
    }

    # more than is kept of an error: never a part of it
    my $huge = '{"error":{"message":"' . 'x' x 200_000 . '"}}';
    my $r = ask('/openai', failed(500, $huge));
    is($r->{status}, 500, 'a huge one: status');
    ok($r->{body} eq $huge || (code_of('openai', $r->{body}) // '')
        eq 'upstream_error', 'a huge one: whole, or not at all');

    $r = ask('/openai', failed(600, $ERROR));
    is($r->{status}, 502, 'no such class of status') if $r->{status} != 600;
};


subtest 'headers' => sub {
    my %pass = ('Retry-After' => '7', 'retry-after-ms' => '7000',
        'x-should-retry' => 'false', 'x-request-id' => 'req-1',
        'x-ratelimit-remaining-tokens' => '0',
        'anthropic-ratelimit-requests-limit' => '5',
        'openai-processing-ms' => '12');
    my %drop = ('Set-Cookie' => 'a=b', 'Location' => 'http://x/',
        'X-Accel-Redirect' => '/own', 'Access-Control-Allow-Origin' => '*',
        'X-Accel-Buffering' => 'yes', 'Server' => 'provider',
        'Strict-Transport-Security' => 'max-age=1', 'Alt-Svc' => 'h3',
        'X-Powered-By' => 'x', 'Refresh' => '0; url=http://x/');

    for my $status (200, 429, 503) {
        my $bytes = $status == 200 ? reply('hi') : failed($status, $ERROR);
        my $lines = join '', map { "$_->[0]: $_->[1]\r\n" }
            map { [ %$_ ] } map { my $h = $_; map { { $_ => $h->{$_} } }
            sort keys %$h } \%pass, \%drop;
        my $r = ask('/openai', $bytes =~ s/\r\n/\r\n$lines/r);

        is($r->{status}, $status, "$status: status");
        is($r->{headers}{ lc $_ }, $pass{$_}, "$status: $_")
            for sort keys %pass;

        for my $name (sort keys %drop) {
            isnt($r->{headers}{ lc $name } // '', $drop{$name},
                "$status: no $name");
        }
    }

    my $r = ask('/headers', failed(429, $ERROR, 'X-RateLimit-Limit' => 5,
        'X-RateLimit-Reset' => 6, 'X-Custom' => 'c', 'X-Other' => 'o'));
    ok(!exists $r->{headers}{'x-ratelimit-limit'}, 'llm_stream_hide_header');
    is($r->{headers}{'x-ratelimit-reset'}, 6, 'another one');
    is($r->{headers}{'x-custom'}, 'c', 'llm_stream_pass_header');
    ok(!exists $r->{headers}{'x-other'}, 'no other');
};


subtest 'around it' => sub {
    my $r = ask('/intercept', failed(429, $ERROR));
    is($r->{body}, "the user's own page\n", 'llm_stream_intercept_errors');
    $r = ask('/intercept', failed(500, $ERROR));
    is($r->{body}, $ERROR, 'without an error_page for it: passes');
    is($r->{status}, 500, 'with its status');

    my $before = $u->connections;
    $u->script(map { ([ 'request' ], [ send => failed(429, $ERROR) ]) }
        1 .. 3);
    for my $n (1 .. 3) {
        is($t->post('/kept', $BODY)->{body}, $ERROR, "kept alive: answer $n");
    }
    is($u->connections, $before + 1, 'kept alive: one connection');

    $u->script(['request'], [ send => failed(429, $ERROR) ], ['close']);
    my $s = $t->open(method => 'POST', path => '/openai', body => $BODY);
    is($s->result->{status}, 429, 'the client\'s connection');
    $u->script(['request'], [ send => failed(429, $ERROR) ], ['close']);
    $s = $t->open(method => 'POST', path => '/openai', body => $BODY,
        on => $s);
    is($s->result->{status}, 429, 'is usable afterwards');

    my $mark = $t->log_mark('ends.log');
    ask('/openai?ends', failed(529, $ERROR));
    is($t->wait_log(qr/ends/, file => 'ends.log', from => $mark),
        '/openai?ends 529 upstream_error upstream_error', 'how it ended');
};
