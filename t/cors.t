#!/usr/bin/perl

# llm_stream_cors: the preflight, which no provider, no credential and no
# limit hears of; and who may read an answer, whoever made it: the stream, one
# document, errors of the module, of nginx, of the provider, and what an
# error_page leads to.  Only an origin that is configured is ever named.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Ending qw(answer_json hello wire);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $APP = 'https://app.example';
my $OTHER = 'http://localhost:3000';
my $EVIL = 'https://evil.example';

# what a provider says of origins counts for nothing
my @THEIRS = ('Access-Control-Allow-Origin' => '*',
    'access-control-allow-credentials' => 'true',
    'Access-Control-Expose-Headers' => 'Server', 'Vary' => 'X-Theirs',
    'X-Request-Id' => 'r1', 'x-ratelimit-remaining-tokens' => 7);

my $stream = LLMTest::Upstream::sse_head(@THEIRS)
    . join('', map { LLMTest::Upstream::chunk($_) } wire(hello()))
    . "0\r\n\r\n";
my $broken = LLMTest::Upstream::sse_head(@THEIRS)
    . join('', map { LLMTest::Upstream::chunk($_) } (wire(hello()))[ 0, 1 ]);
my $answer = LLMTest::Upstream::answer(200, answer_json('Hello'),
    'Content-Type' => 'application/json', @THEIRS);
my $refusal = LLMTest::Upstream::answer(429,
    '{"error":{"message":"Slow down.","type":"t","param":null,"code":"c"}}',
    'Content-Type' => 'application/json', 'Retry-After' => 7, @THEIRS);


# more lines than nginx keeps in one piece of its list
my @MANY = map { sprintf 'x-ratelimit-%03d', $_ } 1 .. 50;
my $many = LLMTest::Upstream::answer(200, answer_json('Hello'),
    'Content-Type' => 'application/json', (map { $_ => 1 } @MANY),
    'Vary' => 'Accept, origin', @THEIRS);

my $star = LLMTest::Upstream::answer(200, answer_json('Hello'),
    'Content-Type' => 'application/json', 'Vary' => '*');

my %says = (star => [ [ send => $star ] ], many => [ [ send => $many ] ], stream => [ [ send => $stream ] ],
    broken => [ [ send => $broken ], ['close'] ],
    answer => [ [ send => $answer ] ], refusal => [ [ send => $refusal ] ]);
my %provider = map { $_ => $t->upstream(each => $says{$_}) } sort keys %says;

$t->set(map { ("AT_\U$_" => $provider{$_}->address) } keys %provider);
$t->write_file('users', "user:{PLAIN}secret\n");

my $CORS = "llm_stream_cors $APP $OTHER credentials;";
my $USE = "llm_stream openai http://%%AT_STREAM%%; $CORS";
my $DEAD = 'llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;';

# limit_req counts requests a minute: time stands still
$t->config(<<"EOT")->start(env => LLMTest::Clock->new($t)->env);
%%GLOBALS%%
worker_processes 1;
events { worker_connections 1024; }
http {
    %%HTTP%%
    limit_req_zone \$binary_remote_addr zone=limited:64k rate=1r/m;
    limit_req_zone \$binary_remote_addr zone=spent:64k rate=1r/m;
    limit_req_status 429;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        error_page 418 /nowhere;

        location /stream { $USE }
        location /answer { llm_stream openai http://%%AT_ANSWER%%; $CORS }
        location /broken { llm_stream openai http://%%AT_BROKEN%%; $CORS }
        location /429 { llm_stream openai http://%%AT_REFUSAL%%; $CORS }
        location /dead { $DEAD $CORS }
        location /anthropic {
            llm_stream openai http://%%AT_STREAM%%;
            llm_stream_client anthropic;
            $CORS
        }
        location /events {
            $USE
            llm_stream_client simple;
            llm_stream_prompt \$arg_message;
        }
        location /any {
            llm_stream openai http://%%AT_STREAM%%;
            llm_stream_cors *;
        }
        location /plain { llm_stream openai http://%%AT_STREAM%%; }
        location /many {
            llm_stream openai http://%%AT_MANY%%;
            llm_stream_pass_header Vary;
            $CORS
        }
        location /star {
            llm_stream openai http://%%AT_STAR%%;
            llm_stream_pass_header Vary;
            $CORS
        }
        location /off { $DEAD llm_stream_cors off; }
        location /proxied { proxy_pass http://%%AT_ANSWER%%; $CORS }
        location /vary {
            $USE
            llm_stream_pass_header Vary;
        }

        location /basic {
            $USE
            auth_basic "who";
            auth_basic_user_file %%DIR%%/users;
        }
        location /asks { $USE auth_request /who; }
        location = /who { internal; return 403; }
        location /denied { $USE deny all; }
        location /large { $USE client_max_body_size 10; }
        location /limited { $USE limit_req zone=limited; }
        location /spent { $USE limit_req zone=spent; }
        location /only_post { $USE limit_except POST { deny all; } }
        location /if { $USE if (\$arg_x) { set \$y 1; } }
        location /return { $USE return 402 "no\\n"; }
        location /moved { rewrite ^ /stream last; }

        location /fallback { $DEAD $CORS error_page 502 = \@unsaid; }
        location /fallback_off { $DEAD $CORS error_page 502 = \@off; }
        location /fallback_own { $DEAD $CORS error_page 502 = \@own; }
        location /fallback_bad { $DEAD $CORS error_page 502 = \@dead; }
        location /fallback_proxy { $DEAD $CORS error_page 502 = \@proxy; }
        location /document { $DEAD $CORS error_page 502 /sorry; }
        location /uncrossed { $DEAD error_page 502 /sorry; }
        location \@unsaid { llm_stream openai http://%%AT_STREAM%%; }
        location \@off {
            llm_stream openai http://%%AT_STREAM%%;
            llm_stream_cors off;
        }
        location \@own {
            llm_stream openai http://%%AT_STREAM%%;
            llm_stream_cors https://own.example;
        }
        location \@dead { $DEAD }
        location \@proxy { proxy_pass http://%%AT_ANSWER%%; }
        location /sorry { return 503 "sorry\\n"; }
    }
}
EOT

my $CHAT = { model => 'm', stream => JSON::PP::true(),
    messages => [ { role => 'user', content => 'hi' } ] };
my %PROTO = (h1 => [], h2 => [ proto => 'h2', port => 1 ]);


# what an answer says of origins, in one line; Vary as a sorted list

sub marks {
    my ($s) = @_;
    my (%of, @vary);

    for my $pair (@{ $s->header_list || [] }) {
        my ($name, $value) = (lc $pair->[0], $pair->[1]);

        push @{ $of{$1} }, $value if $name =~ /^access-control-(.*)/;
        push @vary, split /\s*,\s*/, lc $value if $name eq 'vary';
    }

    $of{vary} = \@vary if @vary;

    return join '; ', map { "$_: " . join ', ', sort @{ $of{$_} } }
        grep { $_ ne 'expose-headers' } sort keys %of;
}


sub exposed {
    my ($s) = @_;

    return [ sort split /, /,
        lc($s->header('access-control-expose-headers') // '') ];
}


sub ask {
    my ($path, $origin, %o) = @_;
    my @headers = map { [ Origin => $_ ] }
        ref $origin ? @$origin : $origin // ();
    my $s = $t->open(method => 'POST', path => $path, body => $CHAT, %o,
        headers => [ @headers, @{ $o{headers} || [] },
            [ 'Content-Type' => 'application/json' ] ]);

    $s->wait_end;

    return $s;
}


sub preflight {
    my ($path, $origin, %o) = @_;
    my $asks = delete $o{asks} // 'authorization,content-type';
    my $s = ask($path, $origin, method => 'OPTIONS', body => undef, %o,
        headers => [ [ 'Access-Control-Request-Method' => $o{wants}
            // 'POST' ], map { [ 'Access-Control-Request-Headers' => $_ ] }
                ref $asks ? @$asks : $asks ]);

    return $s;
}


sub connections {
    my $n = 0;

    $n += $_->connections for values %provider;

    return $n;
}


my $READS = "allow-credentials: true; allow-origin: $APP; vary: origin";
my $ASKED = 'access-control-request-headers, access-control-request-method';


# every answer, to the page that may and to one that may not

my @ANSWERS = (
    [ 'a stream', '/stream', 200 ],
    [ 'an answer', '/answer', 200 ],
    [ 'a stream that breaks', '/broken', 200 ],
    [ 'another dialect', '/anthropic', 200 ],
    [ 'an EventSource', '/events?message=hi', 200, method => 'GET',
        body => undef ],
    [ 'the provider refuses', '/429', 429 ],
    [ 'no provider', '/dead', 502 ],
    [ 'a bad request', '/stream', 400, body => '{"model":' ],
    [ 'too large', '/large', 413 ],
    [ 'no POST', '/stream', 405, method => 'GET', body => undef ],
    [ 'OPTIONS, no preflight', '/stream', 405, method => 'OPTIONS',
        body => undef ],
    [ 'auth_basic', '/basic', 401 ],
    [ 'auth_request', '/asks', 403 ],
    [ 'deny', '/denied', 403 ],
    [ 'limit_req', '/spent', 429 ],
    [ 'limit_except', '/only_post', 403, method => 'PUT' ],
    [ 'return', '/return', 402 ],
    [ 'in an if', '/if?x=1', 200 ],
    [ 'behind a rewrite', '/moved', 200 ],
    [ 'a fallback', '/fallback', 200 ],
    [ 'a fallback that fails', '/fallback_bad', 502 ],
    [ 'a fallback by proxy_pass', '/fallback_proxy', 200 ],
    [ 'a document', '/document', 502 ],
);

# the one request that it lets through
ask('/spent', $APP);

for my $proto (sort keys %PROTO) {
    for my $case (@ANSWERS) {
        my ($what, $path, $status, %o) = @$case;
        my $name = "$proto, $what";

        %o = (%o, @{ $PROTO{$proto} });

        my $s = ask($path, $APP, %o);

        is($s->status, $status, "$name: $status");

        # "vary" of proxy_pass is the provider's, and kept
        my $kept = $what =~ /proxy_pass/ ? ', x-theirs' : '';

        is(marks($s), "$READS$kept", "$name: may be read");

        for my $origin (undef, $EVIL, 'null') {
            $s = ask($path, $origin, %o);
            is($s->status, $status, "$name: the same to "
                . ($origin // 'no origin'));
            is(marks($s), "vary: origin$kept", "$name: not for "
                . ($origin // 'no origin'));
        }
    }
}

is(marks(ask('/stream', $OTHER)), $READS =~ s/\Q$APP\E/$OTHER/r,
    'each of the origins, by its own name');


# what a page may read of the header

is_deeply(exposed(ask('/stream', $APP)),
    [qw(x-ratelimit-remaining-tokens x-request-id)], 'exposed: what passes');
is_deeply(exposed(ask('/429', $APP)), [qw(retry-after
    x-ratelimit-remaining-tokens x-request-id)], 'exposed: Retry-After');
is_deeply(exposed(ask('/dead', $APP)), [], 'exposed: nothing there');
is_deeply(exposed(ask('/stream', $EVIL)), [], 'exposed: not to others');
is(marks(ask('/vary', $APP)), "$READS, x-theirs", 'a Vary that is there');
is(scalar(grep { lc $_->[0] eq 'vary' } @{ ask('/vary', $APP)
    ->header_list }), 1, 'is one with it');


is_deeply(exposed(ask('/many', $APP)), [ sort @MANY,
    qw(x-ratelimit-remaining-tokens x-request-id) ], 'exposed: many');
is(marks(ask('/many', $APP)), $READS =~ s/origin$/accept, origin, x-theirs/r,
    'a Vary that says it');
is(marks(ask('/star', $APP)), $READS =~ s/origin$/*/r,
    'a Vary that says all');


# other configurations

is(marks(ask('/any', $APP)), 'allow-origin: *', 'any: to a page');
is(marks(ask('/any')), 'allow-origin: *', 'any: to nobody');
is(marks(ask('/any', [ $APP, $EVIL ])), 'allow-origin: *', 'any: to two');
is(marks(ask('/plain', $APP)), '', 'off: nothing');
is(marks(ask('/off', $APP)), '', 'off, said: nothing');
is(marks(ask('/proxied', $APP)), marks(ask('/proxied')),
    'not a location of llm_stream: nothing');
is(marks(ask('/uncrossed', $APP)), '', 'off: nor behind an error_page');
is(marks(ask('/fallback_off', $APP)), '', 'a fallback with off');
is(marks(ask('/fallback_own', $APP)), 'vary: origin',
    'a fallback with others: not the first ones');
is(marks(ask('/fallback_own', 'https://own.example')),
    'allow-origin: https://own.example; vary: origin',
    'a fallback with others: those');
is(marks(ask('/sorry', $APP)), '', 'the document alone');


# who is not the page

for my $origin ("$APP/", "$APP:443", "$APP.evil.example", "$APP\@evil.example",
    'https://evil.example#https://app.example', 'http://app.example',
    'https://APP.example', 'https://app.exampl', "x$APP", 'app.example', '*',
    "$APP, $APP", "$APP $EVIL", 'x' x 4000, [ $APP, $APP ], [ $APP, $EVIL ],
    [ $EVIL, $APP ])
{
    my $who = ref $origin ? "@$origin" : substr $origin, 0, 60;

    for my $proto (sort keys %PROTO) {
        my $s = ask('/stream', $origin, @{ $PROTO{$proto} });

        is($s->status, 200, "$proto, $who: served");
        is(marks($s), 'vary: origin', "$proto, $who: but not to be read");
        $s = preflight('/stream', $origin, @{ $PROTO{$proto} });
        is($s->status, 403, "$proto, $who: refused");
        is(marks($s), "vary: $ASKED, origin", "$proto, $who: unnamed");
    }
}


# The preflight: nobody else hears of it.

my $before = connections();
my $may = "allow-credentials: true; allow-headers: authorization,content-type;"
    . " allow-methods: POST; allow-origin: $APP; max-age: 7200; vary: $ASKED,"
    . ' origin';

for my $proto (sort keys %PROTO) {
    for my $path (qw(/stream /429 /dead /basic /asks /denied /limited /limited
        /spent /large /only_post /if?x=1 /moved /fallback /anthropic))
    {
        my $s = preflight($path, $APP, @{ $PROTO{$proto} });

        is($s->status, 204, "$proto, $path: answered");
        is($s->body, '', "$proto, $path: nothing but a header");
        ok($s->complete, "$proto, $path: complete");
        is(marks($s), $may, "$proto, $path: what is allowed");
        is_deeply(exposed($s), [], "$proto, $path: nothing to expose");

        $s = preflight($path, $EVIL, @{ $PROTO{$proto} });
        is($s->status, 403, "$proto, $path: refused");
        is(marks($s), "vary: $ASKED, origin", "$proto, $path: says no more");
    }
}

is(preflight('/stream', undef)->status, 405, 'without an origin: none');
is(preflight('/plain', $APP)->status, 405, 'off: none');
is(preflight('/off', $APP)->status, 405, 'off, said: none');
is(preflight('/events', $APP)->header('access-control-allow-methods'),
    'GET, POST', 'with a prompt: GET too');
is(marks(preflight('/any', $EVIL)), 'allow-headers: authorization,'
    . 'content-type; allow-methods: POST; allow-origin: *; max-age: 7200; '
    . "vary: $ASKED", 'any');
is(connections(), $before, 'no provider was asked');
is(preflight('/proxied', $APP)->status, 200, 'but by proxy_pass');
is(ask('/limited', $APP)->status, 200, 'nor was it counted');
is(ask('/limited', $APP)->status, 429, 'as a request is');


# with a body, and the connection goes on

{
    my $s = preflight('/stream', $APP, body => 'x' x 1000);

    is($s->status, 204, 'a preflight with a body');
    $s = preflight('/stream', $EVIL, on => $s);
    is($s->status, 403, 'on the same connection');
    $s = ask('/stream', $APP, on => $s);
    is($s->status, 200, 'and the request behind it');
}


# names of headers: those asked for, if they are any

for my $names ('x-stainless-lang,x-stainless-os,anthropic-version,x-api-key',
    'Content-Type, Authorization', "a ,\tb", 'x!#$%&\'*+-.^_`|~1',
    'x' x 2048)
{
    is(preflight('/stream', $APP, asks => $names)
        ->header('access-control-allow-headers'), $names,
        'allowed: ' . substr $names, 0, 60);
}

for my $names ('', ',', 'a,', ',a', 'a,,b', 'a b', 'a:b', 'a;b', '"a"', '<a>',
    "caf\xc3\xa9", "a\x01", 'a/b', 'x' x 2049, [ 'a', 'b' ])
{
    my $s = preflight('/stream', $APP, asks => $names);

    is($s->status, 204, 'asked for no names: answered');
    is($s->header('access-control-allow-headers'), undef,
        'not given back: ' . (ref $names ? 'twice' : substr $names, 0, 60));
}

is(preflight('/stream', $APP, asks => [])
    ->header('access-control-allow-headers'), undef, 'none asked for');
is(preflight('/stream', $APP, wants => 'DELETE')
    ->header('access-control-allow-methods'), 'POST',
    'a method that the location has not');


$t->finish;
