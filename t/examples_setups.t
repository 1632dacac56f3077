#!/usr/bin/perl

# The set-ups that people ask for, of those that are no single provider's:
# chat in a browser, a bot, a service with tasks.  As t/examples.t runs the
# others: the files as they are but for marked lines, paths and ports, with
# the mock in the provider's place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);
use LLMTest::Example qw(start hosted last_request text_of CREDENTIALS);

my $KEY = 'sk-CANARY-key';
my $APP = 'https://app.example.com';
my @HELLO = (messages => [ { role => 'user', content => 'Hello' } ]);
my $TRUE = JSON::PP::true();


# a page's request, from the origin of the configuration or another

sub page {
    my ($t, $origin, $path, $body, %headers) = @_;

    return $t->http($body ? 'POST' : 'GET', $path,
        { Origin => $origin, %headers }, $body);
}


sub readable {
    my ($r) = @_;

    return $r->{headers}{'access-control-allow-origin'} // 'nobody';
}


subtest 'openrouter-browser.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'openrouter.ai');
    my $chat = '/v1/chat/completions';

    start($t, 'openrouter-browser.conf',
        hosts => { 'openrouter.ai' => $mock });

    my $r = page($t, $APP, '/chat?message=Why%20is+it%3F');
    my @data = map { json($_->{data}) } @{ $r->{events} };
    my $q = last_request($mock);

    is($r->{status}, 200, 'EventSource: a stream');
    is(readable($r), $APP, 'which the page may read');
    like(join('', map { $_->{content} // '' } @data), qr/^Lorem ipsum/,
        'the text');
    is_deeply($data[-1], { done => $TRUE }, 'to its end');
    is_deeply($q->{json}{messages},
        [ { role => 'user', content => 'Why is it?' } ], 'the prompt');
    is($q->{sni}, 'openrouter.ai', 'by its name');
    is($q->{path}, '/api/v1/chat/completions', 'and its path');
    is(readable(page($t, 'https://evil.example', '/chat?message=x')),
        'nobody', 'another page may not');

    $r = $t->http('OPTIONS', $chat, { Origin => $APP,
        'Access-Control-Request-Method' => 'POST',
        'Access-Control-Request-Headers' => 'content-type' });
    is($r->{status}, 204, 'fetch asks first');
    is($t->http('OPTIONS', $chat, { Origin => 'https://evil.example',
        'Access-Control-Request-Method' => 'POST' })->{status}, 403,
        'another page is refused');

    $r = page($t, $APP, $chat, { model => 'dear/model', stream => $TRUE,
        max_tokens => 50_000, @HELLO },
        Authorization => 'Bearer of-the-page');
    $q = last_request($mock);

    is($r->{status}, 200, 'fetch: a stream');
    is(readable($r), $APP, 'which the page may read');
    like(text_of($r), qr/^Lorem ipsum/, 'in the dialect of OpenAI');
    is($q->{json}{model}, 'openai/gpt-4o-mini', 'the page chooses no model');
    is($q->{json}{max_tokens}, 1000, 'nor how long it is');
    is_deeply([ map { $q->{headers}{$_} // () } CREDENTIALS ],
        [ "Bearer $KEY" ], 'the key is ours');

    my $before = $mock->stats->{requests};

    $r = page($t, $APP, $chat, { stream => $TRUE, n => 2, @HELLO });
    is($r->{status}, 400, 'two answers at once');
    $r = page($t, $APP, $chat, { stream => $TRUE,
        messages => [ ($HELLO[1][0]) x 41 ] });
    is($r->{status}, 400, 'too many messages');
    is($mock->stats->{requests}, $before, 'neither is sent');

    unlike($t->access_log, qr/message=/, 'no prompt in the access log');
    browser_limits($t, $mock);
    $t->finish;
};


# streams at once, requests and tokens of one address

sub browser_limits {
    my ($t, $mock) = @_;

    $mock->defaults('itl=60000');
    my @open = map { $t->open(path => '/chat?message=x') } 1 .. 4;
    is($_->status, 200, 'one of four') for @open;

    my $r = page($t, $APP, '/chat?message=x');
    is($r->{status}, 429, 'the fifth at once');
    is(readable($r), $APP, 'and the page sees it');
    is(json($r->{body})->{code}, 'rate_limit_exceeded', 'and why');
    $_->abort for @open;
    ok($mock->wait(open => 0), 'all four are gone');
    $mock->defaults('usage=off tokens=1');

    # a request goes out of the bucket that is longer than its prompt says
    my $long = { stream => $TRUE, messages => [ { role => 'user',
        content => 'word ' x 40_000 } ] };
    my ($last, $n) = ({ status => 200 }, 0);

    $last = page($t, $APP, '/v1/chat/completions', $long)
        while $last->{status} == 200 && $n++ < 20;

    is($last->{status}, 429, 'too many tokens');
    like($last->{headers}{'retry-after'} // '', qr/^\d+$/, 'until when');
    ok($last->{headers}{'x-ratelimit-limit-tokens'}, 'by the limit of tokens');

    return;
}


subtest 'ollama-bot.conf' => sub {
    my $t = LLMTest->new;
    my $mock = $t->mock;

    start($t, 'ollama-bot.conf', change => sub {
        my $address = $mock->address;
        return $_[0] =~ s/server [\d.:]+;/server $address;/r;
    });

    my $r = $t->get('/ask?message=Why%20is+it%3F');
    my $q = last_request($mock);

    is($r->{status}, 200, 'an answer');
    like($r->{headers}{'content-type'}, qr{^text/plain}, 'plain text');
    like($r->{body}, qr/\ALorem ipsum [\w ,.]*\z/, 'nothing but its text');
    ok($r->{complete}, 'to its end');
    is($q->{path}, '/api/chat', 'of Ollama');
    is($q->{headers}{host}, 'localhost', 'by a name of its own');
    is_deeply($q->{json}{messages}, [
        { role => 'system', content => 'Answer briefly, in plain text.' },
        { role => 'user', content => 'Why is it?' } ], 'what it was asked');
    is($q->{json}{model}, 'llama3.2', 'the model');
    is($q->{json}{keep_alive}, '30m', 'which stays in memory');
    is($q->{json}{options}{num_predict}, 1000, 'and how much at most');

    $mock->defaults('tokens=400');
    $r = $t->get('/ask?message=x');
    cmp_ok(scalar @{ $r->{chunks} }, '<', 100, 'pieces worth an edit');
    is(scalar split(' ', $r->{body}), 400, 'and no word is lost');

    $mock->defaults('itl=60000');
    my @open = map { $t->open(path => '/ask?message=x') } 1 .. 8;
    is($_->status, 200, 'one of eight') for @open;
    is($t->get('/ask?message=x')->{status}, 429, 'the ninth at once');
    $_->abort for @open;
    ok($mock->wait(open => 0), 'all eight are gone');

    $mock->defaults('fault=rst-mid-event');
    $r = $t->get('/ask?message=x');
    is($r->{status}, 200, 'one that breaks off');
    ok(!$r->{complete}, 'has no proper end');

    $mock->defaults('status=503');
    is($t->get('/ask?message=x')->{status}, 503, 'an error before is a status');
    is($t->get('/ask')->{status}, 400, 'no question');
    unlike($t->access_log, qr/message=/, 'no prompt in the access log');
    $t->finish;
};


subtest 'tasks.conf' => sub {
    my $t = LLMTest->new;
    my $mock = hosted($t, 'api.openai.com');
    my $ask = sub {
        my ($task, %more) = @_;

        return $t->post('/tasks', { stream => $TRUE, @HELLO, %more },
            headers => { defined $task ? ('X-Task' => $task) : () });
    };

    start($t, 'tasks.conf', hosts => { 'api.openai.com' => $mock });

    my $mark = $t->log_mark('tasks.log');
    my $r = $ask->('report-7');
    my @events = map { json($_->{data}) } @{ $r->{events} };
    my $q = last_request($mock);
    my $done = $events[-1]{data};
    my $text = join '', map { $_->{data}{token} // () } @events;

    is($r->{status}, 200, 'a stream');
    is($r->{headers}{'x-task'}, 'report-7', 'with the name of its task');
    is($events[0]{type}, 'metadata', 'first what it is');
    ok(length $events[0]{data}{id}, 'its id');
    is($events[0]{data}{model}, 'gpt-4o-mini', 'its model');
    is_deeply([ grep { $_->{type} ne 'token' } @events[ 1 .. $#events - 1 ] ],
        [], 'then its tokens');
    is($events[-1]{type}, 'done', 'then the end');
    is($done->{full_text}, $text, 'with the whole text');
    is($done->{finish_reason}, 'stop', 'why it ended');
    is($done->{usage}{completion_tokens}, 20, 'what it cost');
    is_deeply($q->{json}{metadata}, { task => 'report-7' },
        'OpenAI is told the task');
    is($q->{json}{store}, $TRUE, 'and keeps it');
    is($q->{headers}{authorization}, "Bearer $KEY", 'for our key');

    my $logged = json($t->wait_log(qr/"end"/, from => $mark,
        file => 'tasks.log'));
    is($logged->{task}, 'report-7', 'with the task');
    is($logged->{end}, 'complete', 'and how it ended');
    is($logged->{out}, 20, 'and its tokens');

    $r = $ask->('","x":"y');
    is($r->{status}, 200, 'a name that is none');
    like(last_request($mock)->{json}{metadata}{task} // '', qr/^[0-9a-f]{32}$/,
        'is not used');
    is_deeply([ keys %{ last_request($mock)->{json}{metadata} } ], [ 'task' ],
        'and adds nothing');

    $mock->defaults('fault=fin-chunked-incomplete');
    $r = $ask->('report-8');
    my $error = json($r->{events}[-1]{data});
    is($error->{type}, 'error', 'one that breaks off ends with an error');
    $mock->defaults('');

    $r = $ask->('report-9', stream => JSON::PP::false());
    is(json($r->{body})->{type}, 'done', 'one answer');
    $t->finish;
};
