#!/usr/bin/perl

# The helper library's hold on the mock provider, through plain nginx: start,
# control requests, lock-step, waiting for what it saw, its end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my $t = LLMTest->new(module => 0);
my $mock = $t->mock(tls => 1);

$t->set(CA => $t->tls_ca);

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    proxy_http_version 1.1;
    proxy_buffering off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            proxy_pass http://%%MOCK%%;
        }

        location /tls/ {
            proxy_pass https://%%MOCK_TLS%%/;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate %%CA%%;
            proxy_ssl_name localhost;
        }
    }
}
EOT

my $path = '/v1/chat/completions';
my $request = {
    model => 'mock', stream => JSON::PP::true(),
    messages => [ { role => 'user', content => 'hi' } ],
};


sub chat {
    my ($options) = @_;

    return $t->open(method => 'POST', path => $path, body => $request,
        headers => { 'X-Mock' => $options });
}


subtest 'a stream' => sub {
    my $r = chat('tokens=3')->result;

    is($r->{status}, 200, 'status');
    ok($r->{complete}, 'complete');
    is($r->{events}[-1]{data}, '[DONE]', 'terminator');
    is($t->post("/tls$path", $request)->{status}, 200, 'over TLS');

    my ($seen) = $mock->requests(1);
    is($seen->{path}, $path, 'the last request');
    is($mock->stats->{requests}, 2, 'counted');
};


subtest 'lock-step' => sub {
    my $s = chat('lockstep=step tokens=10');
    my $seen = 0;

    while (my $event = $s->read_event) {
        $seen++;
        last if $event->{data} eq '[DONE]';
        is($mock->stats('step')->{events}, $seen, "event $seen, no more")
            if $seen < 4;
        $mock->ack('step');
    }

    cmp_ok($seen, '>=', 11, 'all events');
    is($s->wait_end, 'complete', 'ended');
};


subtest 'waiting' => sub {
    is($mock->wait(open => 5, limit => 0.05), undef, 'in vain');

    my $s = chat('lockstep=gone tokens=10');
    ok($mock->wait(id => 'gone', events => 1), 'for an event');
    my $before = $mock->stats->{aborts};
    $s->abort;
    ok($mock->wait(id => 'gone', end => 1), 'for an end');
    ok($mock->wait(aborts => $before + 1), 'for an abort');
};


subtest 'scripts, replays, defaults' => sub {
    $mock->script('two', <<'EOT');
head 200 text/event-stream
chunk "data: 1\n\n"
chunk "data: 2\n\n"
last
EOT

    my $r = chat('script=two')->result;
    is(join(' ', map { $_->{data} } @{ $r->{events} }), '1 2', 'script')
        or diag($r->{body});

    $mock->replay('three', "data: 3\n\ndata: [DONE]\n\n");
    $r = chat('replay=three')->result;
    is($r->{body}, "data: 3\n\ndata: [DONE]\n\n", 'replay');

    $mock->defaults('script=two');
    is($t->post($path, $request)->{events}[0]{data}, 1, 'defaults');

    $mock->reset;
    is($mock->stats->{requests}, 0, 'reset');
    isnt($t->post($path, $request)->{events}[0]{data}, 1, 'of them too');
};


subtest 'what is refused' => sub {
    ok(!eval { $mock->defaults('no_such=1'); 1 }, 'an unknown option');
    like($@, qr/no_such/, 'is named');
    ok(!eval { $mock->stats('nobody'); 1 }, 'an unknown stream');
};


subtest 'the end' => sub {
    ok($mock->alive, 'it runs');
    $mock->stop;
    ok(!$mock->alive, 'no longer');
    is($t->post($path, $request)->{status}, 502, 'indeed');
};
