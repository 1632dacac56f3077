#!/usr/bin/perl

# The configurations of examples/: each starts as it is but for the lines
# marked CHANGE and for paths and ports, and does what it says, with the mock
# in the providers' place.  Hosted providers are reached over TLS, by their
# names, with certificates that are checked.  Those that are no single
# provider's are in t/examples_setups.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);
use LLMTest::Example qw(start hosted ask chat text_of last_request
    to_provider to_client CREDENTIALS);
use MockReader;

my $PATH = '/v1/chat/completions';
my $KEY = 'sk-CANARY-key';


# the marked line of a server of one's own gets the mocks' addresses

sub at {
    my (@mocks) = @_;

    return sub {
        my ($line) = @_;
        my $n = 0;

        return $line =~ s/\bserver [\d.]+:\d+;/
            'server ' . $mocks[$n++]->address . ';'/ger;
    };
}


# a request of the size that images have

sub takes_images {
    my ($t, $mock) = @_;
    my $r = ask($t, body => { messages => [ { role => 'user',
        content => 'x' x 5_000_000 } ] });

    is($r->{status}, 200, 'a large request');
    cmp_ok(last_request($mock)->{body_length}, '>', 5_000_000, 'whole');

    return;
}


subtest 'all are here' => sub {
    my $root = LLMTest->root;
    my @there = sort map { s{^\Q$root\E/examples/}{}r }
        glob "$root/examples/*.conf $root/examples/*/nginx.conf";

    is_deeply(\@there, [ sort map { "$_.conf" } qw(anthropic any-client azure
        browser-eventsource chat/nginx evolution fallback flowise gemini
        ollama ollama-bot openai openrouter openrouter-browser router tasks
        vllm) ],
        'each has its test');

    for my $name (qw(anthropic azure evolution flowise gemini ollama
        ollama-bot openai openrouter openrouter-browser tasks vllm))
    {
        open my $fh, '<', "$root/examples/$name.conf" or die "$name: $!\n";
        my ($minutes) = join('', readline $fh)
            =~ /^ +llm_stream_first_token_timeout (\d+)m;$/m;
        close $fh;

        cmp_ok($minutes // 0, '>', 2, "$name.conf: waits for a slow model");
    }
};


subtest 'openai.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.openai.com');
    my %is = (host => 'api.openai.com', tls => 1, query => '',
        key => [ authorization => "Bearer $KEY" ]);

    start($t, 'openai.conf', hosts => { 'api.openai.com' => $mock });

    for my $case ([ 'openai', $PATH ], [ 'openai-responses',
        '/v1/responses' ])
    {
        my ($client, $path) = @$case;

        to_provider($t, $mock, $client, %is, path => $path,
            model => 'gpt-4o-mini', sent => { model => 'gpt-4o-mini' });
        to_client($t, $mock, $client, model => 'gpt-4o-mini');
    }

    is($t->get('/v1/models')->{status}, 404, 'and nothing else');
    takes_images($t, $mock);
    $t->finish;
};


subtest 'openrouter.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'openrouter.ai');
    my %is = (host => 'openrouter.ai', tls => 1, query => '',
        path => '/api/v1/chat/completions',
        key => [ authorization => "Bearer $KEY" ],
        headers => { 'http-referer' => 'https://example.com',
            'x-openrouter-title' => 'Example chat' });

    start($t, 'openrouter.conf', hosts => { 'openrouter.ai' => $mock });

    for my $case ([ 'gpt-4o-mini', 'openai/gpt-4o-mini' ],
        [ 'openai/gpt-4o-mini', 'openai/gpt-4o-mini' ],
        [ 'mistralai/mistral-nemo', 'mistralai/mistral-nemo' ],
        [ '', 'openai/gpt-4o-mini' ])
    {
        my ($asked, $model) = @$case;

        to_provider($t, $mock, 'openai', %is, name => "'$asked'",
            model => $asked, sent => { model => $model });
    }

    to_provider($t, $mock, 'anthropic', %is, model => 'a/b',
        sent => { model => 'a/b' });
    to_client($t, $mock, $_) for qw(openai anthropic);

    takes_images($t, $mock);
    $t->finish;
};


subtest 'evolution.conf' => sub {
    my $t = LLMTest->new;
    my ($name, $identity)
        = ('foundation-models.api.cloud.ru', 'iam.api.cloud.ru');
    my %secret = ('evolution.id' => 'CANARY-id',
        'evolution.secret' => 'CANARY-secret');
    my $mock = hosted($t, "$name,$identity", '--set', 'token=1'
        . " identity_id=$secret{'evolution.id'}"
        . " identity_secret=$secret{'evolution.secret'}");
    my %is = (host => $name, tls => 1, path => $PATH, query => '',
        key => [ authorization => qr/^Bearer mock-token-/ ],
        headers => { 'x-project-id' => 'my-project-id' });

    start($t, 'evolution.conf', files => \%secret,
        hosts => { $name => $mock, $identity => $mock });

    $mock->defaults('identity=500');

    for my $client (qw(openai anthropic)) {
        my $r = ask($t, client => $client);

        is($r->{status}, 502, "$client: no sign-in");
        like(json($r->{body})->{error}{message}, qr/could not sign in/,
            "$client: and why");
    }

    my ($q) = $mock->requests;
    is($q->{path}, '/api/v1/auth/token', 'where it was tried');
    is($q->{sni}, $identity, 'by which name');
    is_deeply(json($q->{body}), { keyId => $secret{'evolution.id'},
        secret => $secret{'evolution.secret'} }, 'with the key');

    $mock->defaults('');
    ok($t->wait_for(sub { ask($t)->{status} == 200 }), 'it tries again');

    for my $client (qw(openai anthropic)) {
        to_provider($t, $mock, $client, %is, model => 'a/b',
            sent => { model => 'a/b' });
    }

    is($mock->stats->{identity}{issued}, 1, 'one token for all');
    $mock->revoke;
    is(ask($t)->{status}, 200, 'a token that is no longer good');
    is($mock->stats->{identity}{issued}, 2, 'costs another');

    takes_images($t, $mock);
    to_client($t, $mock, $_) for qw(openai anthropic);
    $t->finish;
};


subtest 'anthropic.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.anthropic.com');
    my %is = (host => 'api.anthropic.com', tls => 1, query => '',
        path => '/v1/messages', key => [ 'x-api-key' => $KEY ],
        headers => { 'anthropic-version' => '2023-06-01' });

    start($t, 'anthropic.conf', hosts => { 'api.anthropic.com' => $mock });

    for my $case ([ 'gpt-4o' => 'claude-sonnet-4-5' ],
        [ 'gpt-4o-mini' => 'claude-haiku-4-5' ],
        [ 'claude-opus-4-5' => 'claude-opus-4-5' ])
    {
        my ($asked, $model) = @$case;

        to_provider($t, $mock, 'openai', %is, name => $asked,
            model => $asked, sent => { model => $model,
                max_tokens => 16_000 });
        is_deeply(last_request($mock)->{json}{messages}, [ { role => 'user',
            content => 'Hello' } ], "$asked: the message");
    }

    to_provider($t, $mock, 'openai', %is, name => 'a limit of its own',
        body => { max_completion_tokens => 77 }, sent => { max_tokens => 77 });
    to_provider($t, $mock, 'openai-responses', %is);
    to_provider($t, $mock, 'anthropic', %is, sent => { max_tokens => 9 });
    to_client($t, $mock, $_) for qw(openai openai-responses anthropic);

    my $before = $mock->stats->{requests};
    my $r = ask($t, model => 'gpt-4o', body => { n => 2 });
    is($r->{status}, 400, 'what it cannot say');
    is(json($r->{body})->{error}{code}, 'unsupported_parameter', 'why');
    is(json($r->{body})->{error}{param}, 'n', 'which');
    is($mock->stats->{requests}, $before, 'not sent');

    my $list = json($t->get('/v1/models')->{body});
    is(scalar @{ $list->{data} || [] }, 2, 'the list of models');

    takes_images($t, $mock);
    $t->finish;
};


subtest 'gemini.conf' => sub {
    my $t = LLMTest->new;
    my $name = 'generativelanguage.googleapis.com';
    my $mock = hosted($t, $name);
    my %is = (host => $name, tls => 1, key => [ 'x-goog-api-key' => $KEY ]);

    start($t, 'gemini.conf', hosts => { $name => $mock });

    for my $case ([ 'gpt-4o' => 'gemini-2.5-flash' ],
        [ 'gpt-4o-mini' => 'gemini-2.5-flash-lite' ],
        [ 'gemini-2.5-pro' => 'gemini-2.5-pro' ])
    {
        my ($asked, $model) = @$case;
        my $path = "/v1beta/models/$model:streamGenerateContent";

        to_provider($t, $mock, 'openai', %is, name => $asked, path => $path,
            query => 'alt=sse', model => $asked, sent => { model => undef });
    }

    to_provider($t, $mock, 'gemini', %is, model => 'gemini-2.5-pro',
        path => '/v1beta/models/gemini-2.5-pro:streamGenerateContent',
        answer_path => '/v1beta/models/gemini-2.5-pro:generateContent');
    to_client($t, $mock, $_) for qw(openai anthropic gemini);

    takes_images($t, $mock);
    $t->finish;
};


subtest 'ollama.conf' => sub {
    my $t = LLMTest->new;
    my $mock = $t->mock;
    my %is = (host => 'localhost', path => '/api/chat', query => '');

    start($t, 'ollama.conf', change => at($mock));

    for my $case ([ 'gpt-4o' => 'llama3.2' ],
        [ 'claude-sonnet-4-5' => 'llama3.2' ],
        [ 'gpt-oss:20b' => 'gpt-oss:20b' ], [ 'qwen3:8b' => 'qwen3:8b' ])
    {
        my ($asked, $model) = @$case;

        for my $client (qw(openai anthropic ollama)) {
            to_provider($t, $mock, $client, %is, name => "$client, $asked",
                model => $asked, sent => { model => $model,
                    keep_alive => '30m' });
        }
    }

    to_provider($t, $mock, 'ollama', %is, name => 'a time of its own',
        body => { keep_alive => '5m' }, sent => { keep_alive => '5m' });
    to_provider($t, $mock, 'gemini', %is, model => 'gemini-2.5-flash',
        sent => { model => 'llama3.2' });
    to_client($t, $mock, $_) for qw(openai anthropic gemini ollama);

    for my $path (qw(/api/tags /api/version /v1/models)) {
        $t->get($path);

        my $q = last_request($mock);
        is($q->{path}, $path, "$path: Ollama answers");
        is($q->{headers}{host}, 'localhost', "$path: to a name of its own");
    }

    takes_images($t, $mock);
    $t->finish;
};


subtest 'flowise.conf' => sub {
    my $t = LLMTest->new;
    my $mock = $t->mock;
    my $id = '11111111-2222-4333-8444-555555555555';
    my %is = (host => 'flowise', path => "/api/v1/prediction/$id",
        query => '', key => [ authorization => "Bearer $KEY" ],
        sent => { question => 'Hello', model => undef });

    start($t, 'flowise.conf', change => at($mock));

    for my $client (qw(openai anthropic flowise)) {
        to_provider($t, $mock, $client, %is, model => 'of-the-client');
        to_client($t, $mock, $client);
    }

    my $before = $mock->stats->{requests};
    my $r = $t->get("/api/v1/chatflows-streaming/$id");
    is_deeply(json($r->{body}), { isStreaming => JSON::PP::true() },
        "what Flowise's clients ask first");
    is($mock->stats->{requests}, $before, 'is answered here');
    is($t->get('/api/v1/chatflows')->{status}, 405, 'and nothing else');

    takes_images($t, $mock);
    $t->finish;
};


subtest 'azure.conf' => sub {
    my $t = LLMTest->new;
    my $name = 'my.openai.azure.com';
    my $mock = hosted($t, $name);
    my %is = (host => $name, tls => 1, key => [ 'api-key' => $KEY ]);
    my $dated = '/openai/deployments/gpt-4.1_mini-2/chat/completions';

    start($t, 'azure.conf', hosts => { $name => $mock });

    to_provider($t, $mock, 'openai', %is, model => 'gpt-4o-mini',
        path => '/openai/v1/chat/completions', query => '',
        sent => { model => 'gpt-4o-mini' });
    to_client($t, $mock, 'openai');

    to_provider($t, $mock, 'openai', %is, name => "Azure's own client",
        at => "$dated?api-version=2023-05-15", path => $dated,
        query => 'api-version=2024-10-21');
    to_client($t, $mock, 'openai', at => $dated);

    my $before = $mock->stats->{requests};

    for my $path ('/openai/deployments/a%3Fb=c/chat/completions',
        '/openai/deployments/a%2Fb/chat/completions', '/openai/files')
    {
        is(ask($t, path => $path)->{status}, 404, "$path: no deployment");
    }

    is($mock->stats->{requests}, $before, 'not sent');

    takes_images($t, $mock);
    $t->finish;
};


subtest 'vllm.conf' => sub {
    my $t = LLMTest->new;
    my @mocks = map { $t->mock } 1, 2;
    my $model = 'meta-llama/Llama-3.1-8B-Instruct';
    my %is = (host => 'vllm', path => $PATH, query => '',
        key => [ authorization => "Bearer $KEY" ],
        sent => { model => $model });

    # a slow machine must not make a server good again, nor end a pause
    my $at = at(@mocks);

    start($t, 'vllm.conf', change => sub {
        return $at->(@_) =~ s/(\bserver [^;]+);/$1 fail_timeout=1h;/gr;
    }, text => sub {
        return $_[0] =~ s/\bkeepalive_timeout \K\d+s;/60s;/r;
    });

    # the one that serves while the other is busy
    my $busy = $t->open(method => 'POST', path => $PATH, body => {
        model => 'any', stream => JSON::PP::true(), messages => [
            { role => 'user', content => 'Hello' } ] },
        headers => { 'X-Mock' => 'itl=60000' });
    is($busy->status, 200, 'one server has a stream');

    my ($free, $taken) = sort { $a->stats->{requests}
        <=> $b->stats->{requests} } @mocks;

    to_provider($t, $free, $_, %is) for qw(openai anthropic);
    is($taken->stats->{requests}, 1, 'the other got the rest');
    $busy->abort;
    ok($taken->wait(open => 0), 'and that one is free again');

    to_client($t, \@mocks, $_, errors => [ 'fault=s401' ])
        for qw(openai anthropic);

    my $before = $free->stats->{requests};
    $free->defaults('status=503');

    for (1 .. 4) {
        is(ask($t)->{status}, 200, 'one is out of order: the other answers');
    }

    is($free->stats->{requests}, $before + 1, 'and was asked at first');

    my $list = json($t->get('/v1/models')->{body});
    is_deeply([ map { $_->{id} } @{ $list->{data} || [] } ], [ $model ],
        'the list of models');

    takes_images($t, $taken);
    $t->finish;
};


subtest 'browser-eventsource.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.openai.com');

    start($t, 'browser-eventsource.conf',
        hosts => { 'api.openai.com' => $mock });

    my $r = $t->get('/');
    is($r->{status}, 200, 'the page');
    like($r->{headers}{'content-type'}, qr{^text/html}, 'its type');
    like($r->{body}, qr/new EventSource\("chat\?message=/, 'its request');

    $r = $t->get('/chat?message=Why%20is+it%3F');
    my @data = map { json($_->{data}) } @{ $r->{events} };

    is($r->{status}, 200, 'a stream');
    is(join('', map { $_->{content} // '' } @data) =~ /^Lorem ipsum/, 1,
        'text');
    is_deeply($data[-1], { done => JSON::PP::true() }, 'to its end');

    my $json = last_request($mock)->{json};
    is_deeply($json->{messages}, [ { role => 'user',
        content => 'Why is it?' } ], 'the prompt');
    is($json->{model}, 'gpt-4o-mini', 'the model');
    is($json->{max_completion_tokens}, 1000, 'a parameter');

    $r = $t->get('/chat');
    is($r->{status}, 400, 'no prompt');
    is(json($r->{body})->{done}, JSON::PP::true(), 'in the same dialect');

    # a token, and then none for a long time
    $mock->defaults('itl=60000');
    my @open = map { $t->open(path => '/chat?message=x') } 1 .. 4;
    is($_->status, 200, 'one of four') for @open;

    $r = $t->get('/chat?message=x');
    is($r->{status}, 429, 'the fifth at once');
    is(json($r->{body})->{code}, 'rate_limit_exceeded', 'and why');
    unlike($t->access_log, qr/message=/, 'no prompt in the access log');

    $_->abort for @open;
    $t->finish;
};


subtest 'chat/nginx.conf: the page' => sub {
    my $t = LLMTest->new;
    my %type = ('' => 'text/html', 'chat.css' => 'text/css',
        map { $_ => 'application/javascript' } map { s{^.*/}{}r }
            glob $t->root . '/examples/chat/*.js');

    start($t, 'chat/nginx.conf',
        hosts => { 'api.openai.com' => hosted($t, 'api.openai.com') });

    cmp_ok(scalar keys %type, '>', 2, 'it has scripts');

    for my $name (sort keys %type) {
        my $r = $t->get("/$name");
        my $policy = $r->{headers}{'content-security-policy'} // '';

        is($r->{status}, 200, "'$name'");
        is($r->{headers}{'content-type'}, $type{$name}, "'$name': its type");
        like($policy, qr/^default-src 'none';/, "'$name': nothing is allowed");
        like($policy, qr/ script-src 'self';/, "'$name': but its scripts");
        unlike($policy, qr/unsafe|\*|https?:/, "'$name': and no more");
        is($r->{headers}{'x-content-type-options'}, 'nosniff',
            "'$name': nothing is guessed");
        unlike($r->{body}, qr{https?://|innerHTML|document\.write|\beval\b},
            "'$name': no other host, no text as HTML");
    }

    is($t->get("/$_")->{status}, 404, "not served: $_")
        for qw(nginx.conf README.md v1/models chat.js/ .git);

    $t->finish;
};


subtest 'chat/nginx.conf: what it asks' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.openai.com');

    start($t, 'chat/nginx.conf', hosts => { 'api.openai.com' => $mock });

    my $r = ask($t, model => 'gpt-test');
    my $q = last_request($mock);

    is($r->{events}[-1]{data}, '[DONE]', 'POST: a stream');
    is($q->{json}{model}, 'gpt-test', 'the model of the page');
    is($q->{json}{max_completion_tokens}, 2000, 'and our limit');
    is($q->{headers}{authorization}, "Bearer $KEY", 'the key');

    $r = $t->get('/chat?message=Why%20is+it%3F');
    my @data = map { json($_->{data}) } @{ $r->{events} };
    $q = last_request($mock);

    is_deeply($data[-1], { done => JSON::PP::true() }, 'GET: a stream');
    is_deeply($q->{json}{messages}, [ { role => 'user',
        content => 'Why is it?' } ], 'the question alone');
    is($q->{json}{model}, 'gpt-4o-mini', 'our model');
    is($q->{headers}{authorization}, "Bearer $KEY", 'the same key');

    is($t->get('/chat?message=' . 'x' x 20_000)->{status}, 200,
        'a long question');

    # a token, and then none for a long time
    $mock->defaults('itl=60000');
    my @open = map { $t->open(path => '/chat?message=x') } 1 .. 4;
    is($_->status, 200, 'one of four') for @open;

    $r = ask($t);
    is($r->{status}, 429, 'the fifth at once');
    is(json($r->{body})->{error}{code}, 'rate_limit_exceeded', 'and why');

    $_->abort for @open;
    is($mock->wait(open => 0) && 1, 1, 'all have gone');
    $mock->defaults('');

    # eight so far: three are left, and what time gives
    my ($refused) = grep { $_->{status} != 200 } map { ask($t) } 1 .. 30;
    is($refused && $refused->{status}, 429, 'too many in a minute');
    unlike($t->access_log, qr/message=/, 'no question in the access log');

    $t->finish;
};


subtest 'fallback.conf' => sub {
    my $t = LLMTest->new;
    my @own = map { $t->mock } 1, 2;
    my $mock = hosted($t, 'api.openai.com');
    my $n = 0;

    start($t, 'fallback.conf', hosts => { 'api.openai.com' => $mock },
        change => sub {
            return $_[0] =~ s/127\.0\.0\.1:\d+/$own[$n++]->address/ger;
        });
    is($n, 2, 'two servers');

    my $r = chat($t, 'any');
    is($r->{events}[-1]{data}, '[DONE]', 'a stream of our own');
    is($mock->stats->{requests}, 0, 'not of the hosted');

    my ($served) = grep { $_->stats->{requests} } @own;
    my $q = last_request($served);
    is($q->{json}{model}, 'llama-3.1-8b', 'its model');
    is($q->{headers}{authorization}, 'Bearer of-the-client', 'its key');

    $own[0]->defaults('fault=error-event-first');

    for (1, 2) {
        $r = chat($t, 'any');
        is($r->{status}, 200, 'one of the two fails');
        is($r->{events}[-1]{data}, '[DONE]', 'the other answers');
    }

    is($own[1]->stats->{requests} + $served->stats->{requests} >= 3, 1,
        'indeed');
    is($mock->stats->{requests}, 0, 'not the hosted');

    $own[1]->defaults('status=503');
    $r = chat($t, 'any');
    $q = last_request($mock);

    is($r->{status}, 200, 'both fail');
    is($r->{events}[-1]{data}, '[DONE]', 'the hosted answers');
    is(scalar(grep { $_->{data} =~ /error/ } @{ $r->{events} }), 0,
        'one clean stream');
    is($q->{json}{model}, 'gpt-4o-mini', 'its model');
    is($q->{json}{messages}[0]{content}, 'Hello', 'the same prompt');
    is($q->{headers}{authorization}, 'Bearer sk-CANARY-key', 'its key');

    $_->stop for @own;
    $r = chat($t, 'any');
    is($r->{events}[-1]{data}, '[DONE]', 'both are gone');
    is($mock->stats->{requests}, 2, 'the hosted answers');

    $t->finish;
};


subtest 'router.conf' => sub {
    # at debug level nginx itself logs the values of all variables
    my $t = LLMTest->new(log_level => 'info');
    my %mock = (openai => hosted($t, 'api.openai.com'),
        mistral => hosted($t, 'api.mistral.ai'), local => $t->mock);
    my %key = (openai => 'Bearer sk-CANARY-openai',
        mistral => 'Bearer sk-CANARY-mistral', local => undef);

    $t->canary('sk-CANARY-openai', 'sk-CANARY-mistral');

    start($t, 'router.conf', change => sub {
            my ($line) = @_;

            $line =~ s/^(\s*(openai|mistral)\s+)"\S+";/$1"sk-CANARY-$2";/;
            $line =~ s/server \S+;/'server ' . $mock{local}->address . ';'/e;
            return $line;
        }, hosts => { 'api.openai.com' => $mock{openai},
            'api.mistral.ai' => $mock{mistral} });

    for my $case ([ 'gpt-4o-mini', 'openai' ],
        [ 'mistral-small-latest', 'mistral' ], [ 'llama-3.1-8b', 'local' ],
        [ 'gpt-4o-mini', 'openai' ])
    {
        my ($model, $name) = @$case;
        my $mark = $t->log_mark('llm.log');
        my $r = chat($t, $model);
        my $q = last_request($mock{$name}) // {};

        is($r->{events}[-1]{data}, '[DONE]', "$model: a stream");
        is($q->{json}{model}, $model, "$model: by $name");
        is($q->{headers}{authorization}, $key{$name}, "$model: its key");

        my $line = $t->wait_log(qr/ provider=$name /, from => $mark,
            file => 'llm.log') // '';
        like($line, qr/ 200 complete error=- finish=stop /,
            "$model: logged how it ended");
        like($line, qr/ asked=\Q$model\E model=\Q$model\E /,
            "$model: logged the model");
        like($line, qr/ ttft=\d+\.\d{3} .* chunks=\d+ .* out=\d+ /,
            "$model: logged figures");
    }

    my %connections = map { $_->{connection} => 1 }
        $mock{openai}->requests(2);
    is($mock{openai}->stats->{requests}, 2, 'two requests to one');
    is(keys %connections, 1, 'over one connection');

    my $list = json($t->get('/v1/models')->{body});
    is(scalar @{ $list->{data} || [] }, 3, 'the list of models');

    $t->finish;
};


subtest 'any-client.conf' => sub {
    my $t = LLMTest->new;
    my $ollama = $t->mock;
    my $gemini = hosted($t, 'generativelanguage.googleapis.com');
    start($t, 'any-client.conf',
        hosts => { 'generativelanguage.googleapis.com' => $gemini },
        change => sub {
            my $address = $ollama->address;
            return $_[0] =~ s/server [\d.:]+;/server $address;/r;
        });

    my $all = sub {
        my ($mock, $path, $how) = @_;

        for my $client (qw(openai openai-responses anthropic gemini ollama
            ollama-generate))
        {
            my $r = ask($t, client => $client);
            my $q = last_request($mock);

            is($r->{status}, 200, "$client: $how");
            is($q->{path}, $path, "$client: asked there");
            like(eval { read_stream($client, $r->{body})->{text} } // $@,
                qr/^Lorem ipsum/, "$client: gets it in its own dialect");
        }
    };

    $all->($ollama, '/api/chat', 'Ollama answers');
    is($gemini->stats->{requests}, 0, 'not Gemini');

    my $q = last_request($ollama);
    is($q->{json}{model}, 'llama3.2', 'its model');
    is($q->{headers}{host}, 'localhost', 'by a name of its own');
    is_deeply([ grep { defined $q->{headers}{$_} } CREDENTIALS ], [],
        "without the client's keys");

    $t->get('/api/tags');
    $q = last_request($ollama);
    is($q->{path}, '/api/tags',
        'what is no completion goes to Ollama as it is');
    is($q->{headers}{host}, 'localhost', 'by that name');

    $ollama->defaults('fault=error-event-first');
    $all->($gemini,
        '/v1beta/models/gemini-2.5-flash:streamGenerateContent',
        'Ollama fails, Gemini answers');
    $q = last_request($gemini);
    is_deeply([ map { $q->{headers}{$_} // () } CREDENTIALS ], [ $KEY ],
        'with our key and no other');
    is($q->{headers}{'x-goog-api-key'}, $KEY, 'in its header');

    $ollama->stop;
    $all->($gemini,
        '/v1beta/models/gemini-2.5-flash:streamGenerateContent',
        'Ollama is gone');

    $t->finish;
};
