#!/usr/bin/perl

# docs/operations.md, many nodes behind a balancer: three nginx, as the page
# has them.  Tokens come one by one through it, heartbeats too, a client that
# leaves is noticed, a node that is down is left out, and a key stays at its
# node.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Guide;

my $PATH = '/v1/chat/completions';
my $HEADING = 'Many nodes behind a balancer';

use constant { GATE => 5, BEAT => 15, PATIENCE => 120 };

my $t = LLMTest->new(log_level => 'info');

# of all three; it stands still, so that no limit is one for the machine
my $clock = LLMTest::Clock->new($t);

# each node has a provider of its own, which tells who was asked
my (@nodes, @mocks);

for my $n (0, 1) {
    my $node = LLMTest->new(log_level => 'info');

    push @mocks, $node->mock;
    push @nodes, $node->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location $PATH {
            llm_stream openai http://%%MOCK%%;
            llm_stream_first_token_timeout 10m;
            llm_stream_gate event @{[ GATE ]}s;
            llm_stream_heartbeat @{[ BEAT ]}s;
        }
    }
}
EOT
}

my $g = LLMTest::Guide->new($t, 'docs/operations.md',
    at => { map { ('10.0.0.1' . ($_ + 1) . ':8080')
        => '127.0.0.1:' . $nodes[$_]->port(0) } 0, 1 });

$t->config($g->conf({ 80 => $g->block($HEADING) }))
    ->start(env => $clock->env);


# the mock that has a stream of that id

sub mock_of {
    my ($id) = @_;

    return $t->wait_for(sub {
        my ($mock) = grep {
            grep { $_->{id} eq $id } @{ $_->stats->{streams} || [] } } @mocks;
        return $mock;
    });
}


subtest 'streams' => sub {
    my %s = map { $_ => $g->ask($PATH, port => 80, mock => "lockstep=$_") }
        qw(one two);
    my %asked;

    for my $id (sort keys %s) {
        my $mock = mock_of($id);

        $asked{ $mock->port } = 1;
        ok(LLMTest::Guide::streams($s{$id}, $mock, $id),
            "$id: each token when it comes");
    }

    is(keys %asked, 2, 'each node has one');

    for my $id (sort keys %s) {
        mock_of($id)->ack($id, 100);
        is($s{$id}->wait_end, 'complete', "$id: complete");
    }
};


subtest 'heartbeats' => sub {
    my $s = $g->ask($PATH, port => 80,
        mock => 'fault=stall-after-headers id=silent');
    my $mock = mock_of('silent');
    my ($n) = grep { $mocks[$_] == $mock } 0, 1;
    my ($patience) = $g->block($HEADING) =~ /proxy_read_timeout (\d+)s;/;
    my $beats = 0;

    is($patience, PATIENCE, 'the limit of the balancer');

    # the node has the provider's header when it answers what comes later
    ok($t->wait_for(sub { $mock->stats('silent')->{bytes} }), 'a header');
    is($nodes[$n]->get('/')->{status}, 404, 'which the node has');
    $clock->advance(GATE);
    is($s->read_headers(30), 200, 'it passes');

    while ($beats * BEAT <= 1.5 * PATIENCE) {
        $clock->advance(BEAT);

        my $item;

        do { $item = $s->read_event(30, comments => 1) }
            while $item && ($item->{comment} // '') ne 'hb';

        last if !$item;
        $beats++;
    }

    cmp_ok($beats * BEAT, '>', 1.5 * PATIENCE, 'they pass, and it waits');
    $s->close;
};


subtest 'a client that leaves' => sub {
    my $s = $g->ask($PATH, port => 80, mock => 'lockstep=left');
    my $mock = mock_of('left');

    ok(LLMTest::Guide::streams($s, $mock, 'left'), 'a stream');
    $s->abort;
    ok($mock->wait(id => 'left', end => 1), 'the provider');
    is($mock->stats('left')->{end}, 'aborted', 'sees it');
};


subtest 'a key stays at its node' => sub {
    my $hash = $g->block($HEADING, n => 1);
    my %asked;

    $t->config($g->conf({ 80 => $hash }));
    ok($t->reload, 'reloaded');

    # the ports decide where a key goes: so many that no node is without any
    for my $key (1 .. 40) {
        $_->reset for @mocks;

        for (1 .. 3) {
            is($g->get($PATH, port => 80, mock => 'tokens=1',
                headers => { Authorization => "Bearer key$key" })->{status},
                200, "key $key");
        }

        my @n = map { $_->stats->{requests} } @mocks;
        is_deeply([ sort @n ], [ 0, 3 ], "key $key: one node");
        $asked{ $n[0] ? 0 : 1 } = 1;
    }

    is(keys %asked, 2, 'and both have some');
};


subtest 'a node that is down' => sub {
    $t->config($g->conf({ 80 => $g->block($HEADING) }));
    ok($t->reload, 'reloaded');
    ok($nodes[0]->stop, 'one is stopped');
    $mocks[1]->reset;

    is($g->get($PATH, port => 80, mock => 'tokens=1')->{status}, 200,
        'the other one answers') for 1 .. 4;
    is($mocks[1]->stats->{requests}, 4, 'all of them');
};
