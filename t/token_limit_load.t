#!/usr/bin/perl

# Token-rate limits with many clients, several workers, workers that are
# killed, reloads and a full zone: nothing is ever counted twice or lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Limit;
use LLMTest::Wait qw(wait_for);

use constant BIG => 1_000_000;
use constant HELLO_PRICE => 3000 + 4000 + 5 * 240;
use constant HELLO => POSIX::ceil(HELLO_PRICE / 1000);
use constant PATH => '/v1/chat/completions';
use constant SMALL => '/small/chat/completions';

my $seed = $ENV{LLM_TEST_SEED} // time;

srand $seed;
diag("seed $seed");

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $clock = LLMTest::Clock->new($t);
my $l = LLMTest::Limit->new($t);


sub conf {
    my (%o) = @_;
    my $workers = $o{workers} // 2;
    my $rate = $o{rate} // '1t/m';
    my $key = $o{key} // '$http_x_key';

    return <<"EOT";
%%GLOBALS%%
worker_processes $workers;
events { worker_connections 2048; }
http {
    %%HTTP%%
    log_format limit '\$http_x_name \$status \$llm_stream_limit \$pid';
    access_log %%DIR%%/limit.log limit;
    llm_stream_limit_zone $key zone=big:1m rate=$rate;
    llm_stream_limit_zone \$http_x_key zone=small:1m rate=1000t/m;
    llm_stream_limit_zone \$http_x_key zone=tiny:32k rate=1000t/m;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport backlog=1024;

        location /v1 { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=big burst=@{[ BIG ]}; }
        location /small { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=small; }
        location /tiny { llm_stream openai http://%%MOCK%%;
            llm_stream_limit zone=tiny; }
    }
}
EOT
}


$t->config(conf())->start(env => $clock->env);


subtest '200 clients at once' => sub {
    my $most = 100;
    my $each = $most + HELLO;

    # all wait for the test after their first event
    my @streams = map { $l->ask(SMALL, key => 'crowd',
        mock => "lockstep=crowd$_", body => { max_tokens => $most }) }
        1 .. 200;
    my @passed = grep { $_->status == 200 } @streams;
    my @refused = grep { $_->status == 429 } @streams;

    is(@passed + @refused, 200, 'each is answered');
    is(scalar @passed, int(1000 / $each), 'as many pass as there is room for');
    cmp_ok(@passed * $each, '<=', 1000 + $each, 'within one reservation');
    is($mock->stats->{requests}, scalar @passed,
        'the provider was not asked by the others');

    my ($least) = sort { $a <=> $b }
        map { $_->header('x-ratelimit-remaining-tokens') } @passed;
    is($least, 1000 - @passed * $each, 'what the last one was told');
    is(scalar(grep { !($_->header('retry-after') // 0) } @refused), 0,
        'the others are told when to come again');
    $_->close for @streams;

    # each was asked and said no letter
    my $used = POSIX::ceil(@passed * HELLO_PRICE / 1000);
    is($l->settled(SMALL, 'crowd', 1000 - $used), 1000 - $used,
        'and all is settled');
};


# the pids that have logged since the start
sub pids {
    my %seen = map { $_ => 1 }
        $t->read_file('limit.log') =~ / (\d+)$/mg;

    return keys %seen;
}


# Equality: a whole answer costs what the provider says.  An aborted one costs
# what the module had been sent by then, by the estimate; lock-step makes that
# known, 240/1000 tokens for each letter of the alphabet.

subtest 'the sum of all' => sub {
    my $letters = 0;
    my $asked = 0;
    my $usage = 0;
    my @streams;

    for my $n (1 .. 60) {
        my $tokens = 1 + int rand 40;
        my $abort = $n % 2;
        my $seen = $abort ? int rand($tokens + 1) : $tokens;

        $mock->script("sum$n", join "\n", 'head 200 text/event-stream',
            map { "ack\nchunk \"data: {\\\"id\\\":\\\"1\\\",\\\"choices\\\":"
                . '[{\"index\":0,\"delta\":{\"content\":\"abcdefghij\"}}]}'
                . '\n\n"' } 1 .. $tokens) if $abort;

        push @streams, [ $abort, $seen, $l->ask(PATH, key => 'sum',
            headers => { 'X-Name' => "sum$n" },
            mock => $abort ? "script=sum$n id=sum$n" : "tokens=$tokens",
            body => { model => $abort ? 'cut' : 'm', max_tokens => 50,
                stream_options => { include_usage => JSON::PP::true } }),
            "sum$n" ];
    }

    for my $item (@streams) {
        my ($abort, $seen, $s, $id) = @$item;

        if (!$abort) {
            $s->wait_end;
            $usage += LLMTest::Limit::usage($s->body) // die 'no usage';
            next;
        }

        $mock->wait(id => $id, events => 0) or die "no $id";
        $mock->ack($id, $seen);
        $s->read_events($seen) == $seen or die "no $seen events";
        $s->close;
        $asked++;
        $letters += 10 * $seen;
    }

    my $used = POSIX::ceil($usage
        + ($asked * HELLO_PRICE + $letters * 240) / 1000);

    is($l->settled(PATH, 'sum', BIG - $used), BIG - $used,
        'is what the mock has sent');
    cmp_ok(scalar pids(), '==', 2, 'by both workers');
};


# requests that have ended

sub logged {
    return scalar(() = $t->read_file('limit.log') =~ /\n/g);
}


# waits until the worker with this pid is replaced
sub kill_worker {
    my ($pid) = @_;

    kill 'KILL', $pid;

    return wait_for(sub {
        my @now = $t->workers;
        return @now == 2 && !grep { $_ == $pid } @now;
    });
}


subtest 'a killed worker' => sub {
    $t->allow_log(qr/exited on signal 9/);

    $mock->script('kill', join "\n", 'head 200 text/event-stream',
        (map { 'chunk "data: {\"id\":\"1\",\"choices\":[{\"index\":0,'
            . '\"delta\":{\"content\":\"abcdefghij\"}}]}\n\n"' } 1 .. 7),
        'stall');

    for my $n (1 .. 16) {
        my $s = $l->ask(PATH, key => 'kill', mock => 'script=kill',
            body => { model => 'cut' });

        is(scalar $s->read_events(7), 7, "stream $n");
        $s->close;
    }

    # and these are held
    my @held = map { $l->ask(PATH, key => 'killed', mock => 'script=kill',
        body => { model => 'cut' }) } 1 .. 16;
    my $events = 0;

    $events += $_->read_events(7) for @held;
    is($events, 16 * 7, 'every stream has come as far');

    my $used = POSIX::ceil(16 * (HELLO_PRICE + 70 * 240) / 1000);
    is($l->settled(PATH, 'kill', BIG - $used), BIG - $used,
        'aborts are settled');

    # whole answers of the same key
    my $whole = 0;

    for (1 .. 10) {
        my $r = $l->get(PATH, key => 'killed', mock => 'tokens='
            . (1 + int rand 50), body => { max_tokens => 60,
                stream_options => { include_usage => JSON::PP::true } });

        $whole += LLMTest::Limit::usage($r->{body});
    }

    # before the workers are gone that answered them; what asks for the rest
    # of the bucket takes of it, too, until its worker is done with it
    my $left = BIG - 16 * (HELLO + 512) - $whole;
    is($l->settled(PATH, 'killed', $left), $left,
        'whole answers are settled');
    ok(wait_for(sub { logged() == $l->asked - @held }), 'and all but the held');

    for my $pid ($t->workers) {
        ok(kill_worker($pid), "worker $pid is killed");
    }

    is($l->settled(PATH, 'killed', BIG - $used - $whole),
        BIG - $used - $whole, 'and so is what dead workers had counted');
    ok(!grep({ ($_->wait_end // '') eq 'complete' } @held),
        'their streams broke');
};


# A worker that was to leave is replaced by nobody: the others have to find
# what it had reserved.

subtest 'a killed worker that nobody replaces' => sub {
    my @old = $t->workers;
    my @held = map { $l->ask(PATH, key => 'old', mock => 'script=kill',
        body => { model => 'cut' }) } 1 .. 16;

    $_->read_events(7) for @held;
    ok($t->reload, 'reloaded');

    my $reserved = 16 * (HELLO + 512);
    is($l->left(PATH, 'old'), BIG - $reserved, 'all is reserved');

    # those that have a stream are still there
    my %now = map { $_ => 1 } $t->workers;
    my @leaving = grep { $now{$_} } @old;
    cmp_ok(scalar @leaving, '>', 0, 'streams hold their workers');
    kill 'KILL', @leaving;
    ok(wait_for(sub { $t->workers == 2 }), 'they are gone');
    is($l->left(PATH, 'old'), BIG - $reserved,
        'in the same second nobody looks');

    $clock->advance(2);

    my $used = 16 * (HELLO_PRICE + 70 * 240) / 1000;
    is($l->settled(PATH, 'old', BIG - $used), BIG - $used,
        'then it is settled with what they had counted');
};


subtest 'reload' => sub {
    my $s = $l->ask(PATH, key => 'reload', mock => 'lockstep=reload',
        body => { max_tokens => 1000 - HELLO });

    is($s->status, 200, 'a stream');
    $t->config(conf(rate => '60000t/m'));
    ok($t->reload, 'reloaded');

    my $r = $l->get(PATH, key => 'reload', mock => 'status=400',
        body => { model => 'probe', max_tokens => 1 });

    is($r->{headers}{'x-ratelimit-remaining-tokens'}, BIG - 1001 - HELLO,
        'the reservation of the old worker holds');
    is($r->{headers}{'x-ratelimit-reset-tokens'}, '2s', 'the rate is new');

    $s->close;
    is($l->settled(PATH, 'reload', BIG - HELLO), BIG - HELLO,
        'the old worker settles it');

    $t->allow_log(qr/uses the ".*" key while previously/);
    $t->config(conf(key => '$http_x_other'));
    ok(!$t->reload, 'another key for a zone is refused');
    like($t->error_log, 
        qr/ "big" uses the "\$http_x_other" key while previously it used /,
        'with the reason');
    $t->config(conf());
    ok($t->reload, 'and the old one works on');
    is($l->left(PATH, 'reload'), BIG - HELLO, 'with what it knew');
};


subtest 'a full zone' => sub {
    my %status;
    my @held;

    # idle keys make room for others
    for my $n (1 .. 400) {
        $status{ $l->get('/tiny/chat/completions', mock => 'status=400',
            key => "key-$n-" . 'x' x 60)->{status} }++;
    }

    is_deeply(\%status, { 400 => 400 }, 'the oldest go');

    # keys in use do not
    $t->allow_log(qr/could not allocate memory in llm_stream_limit_zone/);

    for my $n (1 .. 400) {
        my $s = $l->ask('/tiny/chat/completions', key => "held-$n-" . 'x' x 60,
            mock => "lockstep=tiny$n");

        push @held, $s;
        last if $s->status != 200;
    }

    my $last = $held[-1];
    is($last->status, 503, 'all in use: 503, after ' . @held);
    $last->wait_end;
    like($last->body, qr/"server_busy"/, 'in the dialect');
    is($last->header('Retry-After'), 1, 'when to come again');
    ok($t->wait_log(qr/ 503 rejected \d+$/, file => 'limit.log'),
        'the variable says that it was refused');
    cmp_ok(scalar @held, '>', 20, 'not too soon');
    like($t->error_log, qr/\[crit\].*could not allocate memory in \w+ "tiny"/,
        'logged');
    $_->close for @held;

    ok(wait_for(sub { $l->get('/tiny/chat/completions', key => 'late',
        mock => 'status=400')->{status} == 400 }), 'there is room again');
};


$t->finish;
