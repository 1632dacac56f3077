#!/usr/bin/perl

# nginx's own limits with streams, as docs/limits.md has them: limit_conn holds
# its slot as long as a stream lasts and frees it at every ending; limit_req
# counts the start of a stream; both refuse in the client's dialect.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(error_is CLIENTS);
use LLMTest::Clock;
use LLMTest::Limit;
use LLMTest::Wait qw(wait_for);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $clock = LLMTest::Clock->new($t);
my $l = LLMTest::Limit->new($t);

my $clients = join '', map {
    "location /conn/$_ { llm_stream openai http://%%MOCK%%;\n"
        . "llm_stream_client $_; limit_conn streams 1; }\n"
        . "location /req/$_ { llm_stream openai http://%%MOCK%%;\n"
        . "llm_stream_client $_; limit_req zone=asks; }\n"
} CLIENTS;

$t->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    limit_conn_zone \$http_x_key zone=streams:1m;
    limit_req_zone \$http_x_key zone=asks:1m rate=1r/s;
    limit_conn_status 429;
    limit_req_status 429;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location /default/ { llm_stream openai http://%%MOCK%%;
            limit_conn streams 1; limit_conn_status 503; }
        location /dead { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            limit_conn streams 1; }
        location /both { llm_stream openai http://%%MOCK%%;
            limit_conn streams 1; error_page 503 = \@other; }
        location \@other { llm_stream openai http://%%MOCK%%;
            llm_stream_set_header X-Mock \$http_x_second; }
        $clients
    }
}
EOT


sub status {
    my ($path, $key, @more) = @_;

    return $l->get($path, key => $key, mock => 'tokens=1', @more)->{status};
}


# the slot is free again
sub freed {
    my ($key) = @_;

    return wait_for(sub { status('/conn/openai', $key) == 200 });
}


subtest 'limit_conn: held as long as the stream lasts' => sub {
    for my $proto (qw(h1 h2)) {
        my @proto = (proto => $proto, port => $proto eq 'h2' ? 1 : 0);
        my $s = $l->ask('/conn/openai', key => $proto, @proto,
            mock => "lockstep=$proto tokens=3");

        is($s->status, 200, "$proto: a stream");

        for my $n (1 .. 4) {
            is(status('/conn/openai', $proto, @proto), 429,
                "$proto: another one is refused, after $n events");
            $mock->ack($proto, 1);
            $s->read_event;
        }

        is(status('/conn/openai', "$proto-2", @proto), 200,
            "$proto: not with another key");
        $mock->ack($proto, 10);
        $s->wait_end;
        ok($s->complete, "$proto: complete");
        ok(freed($proto), "$proto: free again");
    }
};


subtest 'limit_conn: free at every ending' => sub {
    my %cases = (
        'the provider refuses' => [ '/conn/openai', 'status=400' ],
        'the provider is over its limit' => [ '/conn/openai', 'fault=s429' ],
        'an error first' => [ '/conn/openai', 'fault=error-event-first' ],
        'an error later' => [ '/conn/openai', 'fault=error-event-mid' ],
        'cut off' => [ '/conn/openai', 'fault=fin-chunked-incomplete' ],
        'reset' => [ '/conn/openai', 'fault=rst-mid-event' ],
        'no stream' => [ '/conn/openai', 'fault=html-200' ],
        'nobody there' => [ '/dead', '' ],
        'another provider' => [ '/both', 'status=503' ],
    );

    for my $case (sort keys %cases) {
        my ($path, $mock_options) = @{ $cases{$case} };

        $l->get($path, key => $case, mock => $mock_options,
            headers => { 'X-Second' => 'tokens=1' });
        ok(freed($case), $case);
    }

    for my $case ('fault=stall-before-headers', 'fault=stall-after-headers',
        'fault=stall-mid', 'lockstep=left')
    {
        my $id = $case =~ s/.*[=-]//r;
        my $s = $l->ask('/conn/openai', key => $case, mock => "$case id=$id");

        ok($mock->wait(id => $id, events => 0), "$case: a stream");
        is(status('/conn/openai', $case), 429, "$case: holds the slot");
        $s->close;
        ok(freed($case), "$case: the client leaves");
    }
};


subtest 'in the dialect' => sub {
    for my $client (CLIENTS) {
        my $s = $l->ask("/conn/$client", key => $client,
            mock => "lockstep=d$client");

        ok($mock->wait(id => "d$client", events => 1), "$client: a stream");
        error_is($l->get("/conn/$client", key => $client),
            client => $client, status => 429, name => "$client, limit_conn",
            code => 'rate_limit_exceeded', type => 'rate_limit_error');
        $s->close;

        is(status("/req/$client", "r$client"), 200, "$client: the first");
        error_is($l->get("/req/$client", key => "r$client"),
            client => $client, status => 429, name => "$client, limit_req",
            code => 'rate_limit_exceeded', type => 'rate_limit_error');
        $clock->advance(1);
        is(status("/req/$client", "r$client"), 200, "$client: a second later");
    }

    my $s = $l->ask('/default/', key => 'default', mock => 'lockstep=def');
    is($s->status, 200, 'a stream');
    error_is($l->get('/default/', key => 'default'), client => 'openai',
        status => 503, code => 'server_busy', name => 'the default');
    $s->close;
};


subtest 'limit_req: a stream counts once' => sub {
    my $s = $l->ask('/req/openai', key => 'long', mock => 'lockstep=long');

    is($s->status, 200, 'a stream');
    is(status('/req/openai', 'long'), 429, 'another one at once: refused');
    $clock->advance(1);
    is(status('/req/openai', 'long'), 200, 'a second later: not');
    $mock->ack('long', 100);
    $s->wait_end;
    ok($s->complete, 'the first one goes on to its end');
};


$t->finish;
