#!/usr/bin/perl

# The configurations of examples/: each starts as it is but for the lines
# marked CHANGE and for paths and ports, and does what it says, with the mock
# in the providers' place.  Hosted providers are reached over TLS, by their
# names, with certificates that are checked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);
use MockReader;

my $PATH = '/v1/chat/completions';


# start($file, hosts => { name => mock }, change => sub { ... }): nginx with
# that example.  The marked lines go through the sub.

sub start {
    my ($t, $file, %o) = @_;
    my $dir = $t->dir;
    my $text = slurp($t->root . "/examples/$file");
    my $marked = 0;
    my %groups = map { $_ => 1 } $text =~ /^\s*upstream (\S+) \{/mg;

    $t->write_file('key', "sk-CANARY-key\n");
    $t->write_file('mime.types', "types { text/html html; }\n");
    $t->canary('sk-CANARY-key');

    $text =~ s{^(.*?)\s+\# CHANGE$}{ $marked++; changed($t, $1, %o) }mge;
    cmp_ok($marked, '>=', 1, "$file: has marked lines");
    cmp_ok($marked, '<=', 3, "$file: not more than three");

    # paths and ports
    $text =~ s/^load_module .*;$/%%GLOBALS%%/m or die "$file: load_module\n";
    $text =~ s/\blisten [\d.:]+;/listen 127.0.0.1:%%PORT_0%%;/;
    $text =~ s{/etc/nginx/mime\.types}{$dir/mime.types};
    $text =~ s{/var/log/nginx/}{$dir/}g;

    # the names of the providers lead to the mocks
    my $http = 'llm_stream_ssl_trusted_certificate ' . $t->tls_ca . ";\n";

    for my $host (sort keys %{ $o{hosts} || {} }) {
        my $address = '127.0.0.1:' . $o{hosts}{$host}->tls_port;

        if ($groups{$host}) {
            $text =~ s/\bserver \Q$host\E:443;/server $address;/
                or die "$file: no server $host\n";

        } else {
            $http .= "upstream $host { server $address; }\n";
        }
    }

    $text =~ s/^http \{$/http {\n%%HTTP%%\n$http/m or die "$file: http\n";

    unlike($text =~ s/^\s*#.*$//mgr, qr{\s/(?:etc|srv|usr|var)/},
        "$file: no other path");

    return $t->config($text)->start;
}


sub changed {
    my ($t, $line, %o) = @_;
    my $dir = $t->dir;

    $line =~ s{file:/\S+;}{file:$dir/key;};
    $line =~ s{root /\S+;}{'root ' . $t->root . '/examples/browser;'}e;

    return $o{change} ? $o{change}->($line) : $line;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


sub hosted {
    my ($t, $name) = @_;

    return $t->mock(tls => 1, tls_name => $name);
}


sub chat {
    my ($t, $model, %o) = @_;
    my $stream = $o{answer} ? JSON::PP::false() : JSON::PP::true();

    return $t->post($PATH, { model => $model, stream => $stream,
        messages => [ { role => 'user', content => 'Hello' } ] },
        headers => { Authorization => 'Bearer of-the-client' });
}


sub text_of {
    my ($r) = @_;

    return join '', map { json($_->{data})->{choices}[0]{delta}{content}
        // '' } grep { $_->{data} ne '[DONE]' } @{ $r->{events} };
}


# the last request that a mock got: member of its body, or a header

sub last_request {
    my ($mock) = @_;
    my ($request) = $mock->requests(1);

    return if !$request;

    my %headers = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };

    return { %$request, headers => \%headers,
        json => json($request->{body}) };
}


subtest 'all are here' => sub {
    my $root = LLMTest->root;
    my @there = sort map { s{^.*/}{}r } glob "$root/examples/*.conf";

    is_deeply(\@there, [ sort qw(any-client.conf anthropic.conf openai.conf
        browser-eventsource.conf fallback.conf router.conf) ],
        'each has its test');
};


subtest 'openai.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.openai.com');

    start($t, 'openai.conf', hosts => { 'api.openai.com' => $mock });

    my $r = chat($t, 'gpt-4o-mini');
    my $q = last_request($mock);

    is($r->{status}, 200, 'a stream');
    is($r->{events}[-1]{data}, '[DONE]', 'to its end');
    like(text_of($r), qr/^Lorem ipsum/, 'text');
    is($q->{headers}{authorization}, 'Bearer sk-CANARY-key', 'our key');
    is($q->{headers}{host}, 'api.openai.com', 'host');
    is($q->{sni}, 'api.openai.com', 'SNI');

    $r = chat($t, 'gpt-4o-mini', answer => 1);
    like(json($r->{body})->{choices}[0]{message}{content}, qr/^Lorem/,
        'one answer');

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


subtest 'anthropic.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.anthropic.com');

    start($t, 'anthropic.conf', hosts => { 'api.anthropic.com' => $mock });

    for my $case ([ 'gpt-4o' => 'claude-sonnet-4-5' ],
        [ 'gpt-4o-mini' => 'claude-haiku-4-5' ],
        [ 'claude-opus-4-5' => 'claude-opus-4-5' ])
    {
        my ($asked, $model) = @$case;
        my $r = chat($t, $asked);
        my $q = last_request($mock);

        is($r->{status}, 200, "$asked: a stream");
        is($r->{events}[-1]{data}, '[DONE]', "$asked: in OpenAI's dialect");
        like(text_of($r), qr/^Lorem ipsum/, "$asked: text");
        is($q->{path}, '/v1/messages', "$asked: Anthropic's path");
        is($q->{headers}{'x-api-key'}, 'sk-CANARY-key', "$asked: our key");
        is($q->{headers}{authorization}, undef, "$asked: not the client's");
        is($q->{headers}{'anthropic-version'}, '2023-06-01',
            "$asked: the version");
        is($q->{json}{model}, $model, "$asked: the model");
        is_deeply($q->{json}{messages}, [ { role => 'user',
            content => 'Hello' } ], "$asked: the message");
    }

    my $r = chat($t, 'gpt-4o', answer => 1);
    like(json($r->{body})->{choices}[0]{message}{content}, qr/^Lorem/,
        'one answer');

    $r = $t->post('/v1/responses', { model => 'gpt-4o', input => 'Hello',
        stream => JSON::PP::true() });
    like(read_stream('openai-responses', $r->{body})->{text},
        qr/^Lorem ipsum/, 'responses');

    $r = $t->post('/v1/messages', { model => 'x', max_tokens => 9,
        messages => [ { role => 'user', content => 'Hello' } ],
        stream => JSON::PP::true() });
    like(read_stream('anthropic', $r->{body})->{text}, qr/^Lorem ipsum/,
        "Anthropic's own");

    my $before = $mock->stats->{requests};
    $r = $t->post($PATH, { model => 'gpt-4o', n => 2,
        messages => [ { role => 'user', content => 'Hello' } ] });
    is($r->{status}, 400, 'what it cannot say');
    is(json($r->{body})->{error}{code}, 'unsupported_parameter', 'why');
    is(json($r->{body})->{error}{param}, 'n', 'which');
    is($mock->stats->{requests}, $before, 'not sent');

    my $list = json($t->get('/v1/models')->{body});
    is(scalar @{ $list->{data} || [] }, 2, 'the list of models');

    $t->finish;
};


subtest 'any-client.conf' => sub {
    my $t = LLMTest->new;
    my $ollama = $t->mock;
    my $gemini = hosted($t, 'generativelanguage.googleapis.com');
    my @messages = (messages => [ { role => 'user', content => 'Hello' } ]);
    my %stream = (stream => JSON::PP::true());
    my %ask = (
        'openai' => [ $PATH, { @messages, %stream } ],
        'openai-responses' => [ '/v1/responses',
            { input => 'Hello', %stream } ],
        'anthropic' => [ '/v1/messages',
            { @messages, %stream, max_tokens => 9 } ],
        'gemini' => [ '/v1beta/models/x:streamGenerateContent?alt=sse',
            { contents => [ { parts => [ { text => 'Hello' } ] } ] } ],
        'ollama' => [ '/api/chat', { @messages } ],
        'ollama-generate' => [ '/api/generate', { prompt => 'Hello' } ],
    );

    start($t, 'any-client.conf',
        hosts => { 'generativelanguage.googleapis.com' => $gemini },
        change => sub {
            my $address = $ollama->address;
            return $_[0] =~ s/server [\d.:]+;/server $address;/r;
        });

    my $all = sub {
        my ($mock, $path, $how) = @_;

        for my $client (sort keys %ask) {
            my $r = $t->post(@{ $ask{$client} });
            my $q = last_request($mock);

            is($r->{status}, 200, "$client: $how");
            is($q->{path}, $path, "$client: asked there");
            like(eval { read_stream($client, $r->{body})->{text} } // $@,
                qr/^Lorem ipsum/, "$client: gets it in its own dialect");
        }
    };

    $all->($ollama, '/api/chat', 'Ollama answers');
    is(last_request($ollama)->{json}{model}, 'llama3.2', 'its model');
    is($gemini->stats->{requests}, 0, 'not Gemini');

    $t->get('/api/tags');
    is(last_request($ollama)->{path}, '/api/tags',
        'what is no completion goes to Ollama as it is');

    $ollama->defaults('fault=error-event-first');
    $all->($gemini,
        '/v1beta/models/gemini-2.5-flash:streamGenerateContent',
        'Ollama fails, Gemini answers');
    is(last_request($gemini)->{headers}{'x-goog-api-key'}, 'sk-CANARY-key',
        'with our key');

    $ollama->stop;
    $all->($gemini,
        '/v1beta/models/gemini-2.5-flash:streamGenerateContent',
        'Ollama is gone');

    $t->finish;
};
