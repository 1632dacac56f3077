#!/usr/bin/perl

# llm_stream_zone: workers that come, end and are killed, reloads, more models
# than there is room for, hostile names, and zones that are full.  No count is
# lost or made up, and nothing stays open.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Metrics;
use LLMTest::Wait qw(wait_for);

my @OPEN = ('streams_open');

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $more = '';

sub config {
    my (%o) = @_;
    my $zone = $o{zone} // 'counts:1m';
    my $main = $o{main} // 'worker_processes 2;';

    return <<"EOT";
%%GLOBALS%%
$main
events { }
http {
    %%HTTP%%
    llm_stream_zone $zone;
    server {
        listen 127.0.0.1:%%PORT_0%% @{[ $o{listen} // '' ]};
        server_name zone.example;
        location /v1/ { llm_stream openai http://%%MOCK%%; }
        location /given/ { llm_stream openai http://%%MOCK%%;
            llm_stream_model \$http_x_model; }
        location ~ "^/odd\\"name\\\\d+/" {
            llm_stream openai http://%%MOCK%%; }
        @{[ $o{more} // '' ]}
        location = /metrics { llm_stream_status prometheus; access_log off; }
    }
}
EOT
}

$t->config(config())->start;


sub ask {
    my ($path, %o) = @_;

    return $t->open(method => 'POST', path => "$path/chat/completions",
        body => { model => $o{model} // 'm-1', stream => JSON::PP::true,
            messages => [ { role => 'user', content => 'hello' } ] },
        headers => { 'Content-Type' => 'application/json',
            'X-Mock' => $o{mock} // 'tokens=2', %{ $o{headers} || {} } });
}


sub total {
    my ($want, $name, %with) = @_;

    return LLMTest::Metrics->wait_sum($t, $want, $name, %with);
}


# a stream that stands still behind its first events

my $held = 0;

sub hold {
    my $id = 'held-' . ++$held;
    my $s = ask('/v1', mock => "tokens=50 lockstep=$id", @_);

    $mock->wait(id => $id, events => 1);
    $mock->ack($id, 3);
    $s->read_events(4);

    return ($s, $id);
}


# more than there are

sub release {
    my ($s, $id) = @_;

    $mock->ack($id, 1000);
    $s->wait_end;

    return;
}


my $ended = 0;

subtest 'a reload' => sub {
    ask('/v1')->wait_end for 1 .. 6;

    my @held = map { [ hold() ] } 1 .. 4;

    # an end is counted a little after the stream is no longer open
    total(6, 'requests_total');

    my $before = total(4, @OPEN);

    is($before->sum('requests_total'), 6, 'ended');
    is($before->sum(@OPEN), 4, 'open');
    ok($t->reload, 'reloaded');

    my $m = total(4, @OPEN);

    is($m->sum('requests_total'), 6, 'counts are kept');
    is($m->sum(@OPEN), 4, 'streams of old workers are open');

    ask('/v1')->wait_end for 1 .. 6;
    release(@$_) for @held;
    $m = total(16, 'requests_total');
    is_deeply($m->by('end', 'requests_total'), { complete => 16 },
        'all are counted');
    is($m->sum('chunks_total'), 12 * 2 + 4 * 50, 'and all their chunks');
    is(total(0, @OPEN)->sum(@OPEN), 0, 'nothing is open');
    $ended = 16;
};


subtest 'a killed worker' => sub {
    $t->allow_log(qr/exited on signal 9/);

    my @held = map { [ hold() ] } 1 .. 8;
    my $chunks = 12 * 2 + 4 * 50 + 8 * 3;
    my $m = total($chunks, 'chunks_total');

    is($m->sum('chunks_total'), $chunks, 'what has passed is counted');
    is(total(8, @OPEN)->sum(@OPEN), 8, 'open');

    my @old = wait_for(sub { my @w = $t->workers; @w == 2 && \@w });

    kill 'KILL', @{ $old[0] };
    $_->[0]->wait_end for @held;

    my %old = map { $_ => 1 } @{ $old[0] };

    ok(wait_for(sub { my @w = $t->workers;
        @w == 2 && !grep { $old{$_} } @w }), 'others are there');

    $m = total(0, @OPEN);
    is($m->sum(@OPEN), 0, 'what it had open is not');
    is($m->sum('requests_total'), $ended, 'nor has it ended');
    is($m->sum('chunks_total'), $chunks, 'and still is');

    ask('/v1')->wait_end for 1 .. 6;
    $ended += 6;
    $m = total($ended, 'requests_total');
    is($m->sum('requests_total'), $ended, 'the next ones go on');
    is($m->sum('chunks_total'), $chunks + 12, 'with their counts');
    is($m->sum(@OPEN), 0, 'nothing is open');
};


subtest 'names' => sub {
    my %names = ('a"b\\c,{}=' => 'a"b\\c,{}=', '</script>' =>
        '</script>', "\x{e9}\x{2028}\x{1f600}" =>
        "\x{e9}\x{2028}\x{1f600}", 'none' => 'none', "x\x{85}y" => 'x?y',
        ('n' x 100) => 'n' x 64, 'a' . "\x{e9}" x 40 => 'a' . "\x{e9}" x 31);

    for my $name (sort keys %names) {
        utf8::encode(my $shown = $names{$name});
        ask('/v1', model => $name)->wait_end;
        $ended++;

        my $m = total(1, 'requests_total', model => $shown);

        is($m->sum('requests_total', model => $shown), 1, $shown);
    }

    ask('/given', headers => { 'X-Model' => "bad\xff\xc3name" })->wait_end;
    $ended++;

    my $m = total($ended, 'requests_total');

    is($m->sum('requests_total'), $ended, 'bytes that are no UTF-8');
    ok(utf8::decode(my $text = join '', map { $_->{labels}{model} }
        $m->samples('requests_total')), 'are never shown');

    ask('/odd"name7')->wait_end;
    $ended++;
    $m = total($ended, 'requests_total');
    is_deeply([ grep { /odd/ } keys %{ $m->by('location',
        'requests_total') } ], [ '^/odd"name\\d+/' ], 'a location');
};


subtest 'models that nobody has accepted' => sub {
    my $m = LLMTest::Metrics->get($t);
    my $series = () = $m->samples('requests_total', end => 'complete');

    for my $n (1 .. 20) {
        ask('/v1', model => "made-up-$n", mock => 'status=404')->wait_end;
    }

    $ended += 20;
    $m = total($ended, 'requests_total');

    is(scalar(() = $m->samples('requests_total', end => 'complete')),
        $series, 'have no series');
    is($m->sum('requests_total', model => 'other', location => '/v1/'), 20,
        'they are others');

    ask('/v1', mock => 'status=500')->wait_end;
    $ended++;
    $m = total($ended, 'requests_total');
    is($m->sum('requests_total', model => 'm-1', end => 'upstream_error'),
        1, 'one that was accepted before has its own');
};


subtest 'more models than there is room for' => sub {
    my $models = 300;

    for my $n (1 .. $models) {
        ask('/v1', model => "flood-$n")->wait_end;
    }

    $ended += $models;

    my $m = total($ended, 'requests_total');
    my $series = () = $m->samples('requests_total', end => 'complete');
    my $own = $m->sum('requests_total', model => qr/^flood-/);
    my $other = $m->sum('requests_total', model => 'other',
        location => '/v1/', end => 'complete');

    is($m->sum('requests_total'), $ended, 'every request is counted');
    is($series, 224, 'series are bounded, and leave room for locations');
    is($own + $other, $models, 'what has no room is among the others');
    is($m->sum('chunks_total', model => 'other', location => '/v1/'),
        2 * $other, 'with all it has');
    is($m->sum('zone_lost_total'), 0, 'nothing was lost');
};


subtest 'a reload with other locations' => sub {
    $more = join '', map { "location /new$_/ {"
        . ' llm_stream openai http://%%MOCK%%; }' } 1 .. 31;
    $t->config(config(more => $more));
    ok($t->reload, 'reloaded');
    ask("/new$_")->wait_end for 1, 31;
    $ended += 2;

    my $m = total($ended, 'requests_total');

    is_deeply([ map { scalar(() = $m->samples('streams_open',
        location => "/new$_/")) } 1 .. 31 ], [ (1) x 31 ],
        'each has its series at once');
    is($m->sum('requests_total', location => '/new31/', model => 'm-1',
        end => 'complete') + $m->sum('requests_total',
        location => '/new31/', model => 'other', end => 'complete'), 1,
        'and counts');

    # two more than there is room for: they are not counted, and that is said

    $more .= join '', map { "location /new$_/ {"
        . ' llm_stream openai http://%%MOCK%%; }' } 32 .. 34;
    $t->config(config(more => $more));
    ok($t->reload, 'reloaded');
    ok($t->wait_log(qr/llm_stream_zone "counts" has no room for location /),
        'the log says which');
    ask('/new34')->wait_end for 1 .. 3;
    $m = total(3, 'zone_lost_total');
    is($m->sum('zone_lost_total'), 3, 'lost');
    is($m->sum('requests_total'), $ended, 'not counted');
    ok($t->wait_log(qr/llm_stream_zone "counts" is full/), 'that is said');
};


subtest 'another size' => sub {
    $t->config(config(zone => 'counts:2m'));
    ok($t->reload, 'reloaded');

    my $m = total(0, 'requests_total');

    is($m->sum('requests_total'), 0, 'it begins anew');
    ask('/v1')->wait_end;
    is(total(1, 'requests_total')->sum('requests_total'), 1, 'and counts');
};


subtest 'a small zone' => sub {
    ok($t->stop, 'stopped');
    $t->config(config(main => 'worker_processes 1;', zone => 'counts:32k',
        more => join '', map { "location /few$_/ {"
            . ' llm_stream openai http://%%MOCK%%; }' } 1 .. 20))->start;

    my $from = length $t->error_log;

    ask("/few$_")->wait_end for 1 .. 20;

    my $m;

    wait_for(sub {
        $m = LLMTest::Metrics->get($t);
        return $m->sum('zone_lost_total') + $m->sum('requests_total') == 20;
    });

    my $lost = $m->sum('zone_lost_total');

    ok($lost > 0 && $lost < 20, "some are lost: $lost");
    is($m->sum('requests_total'), 20 - $lost, 'the others are not');
    is($m->sum('chunks_total'), 2 * (20 - $lost), 'with what they have');
    is($m->sum(@OPEN), 0, 'nothing is open');
    is(scalar(() = substr($t->error_log, $from) =~ /is full, requests are not counted/g),
        1, 'one line of it');
};


# those of a large machine: each has blocks of its own

subtest 'many workers' => sub {
    ok($t->stop, 'stopped');
    $t->config(config(main => 'worker_processes 80;', zone => 'counts:2m',
        listen => 'reuseport'))->start;
    ask('/v1')->wait_end for 1 .. 400;

    my $m = total(400, 'requests_total');

    is($m->sum('requests_total'), 400, 'all is counted');
    is($m->sum('zone_lost_total'), 0, 'nothing was lost');
};


subtest 'one process' => sub {
    ok($t->stop, 'stopped');
    $t->config(config(main => 'master_process off;'))->start;
    ask('/v1')->wait_end for 1 .. 3;
    is(total(3, 'requests_total')->sum('requests_total'), 3, 'it counts');

    my ($s, $id) = hold();
    my $mark = $t->log_mark;

    $t->signal('HUP');
    ok($t->wait_log(qr/reconfiguring/, from => $mark), 'reloaded');
    release($s, $id);

    # nginx itself has few connections left then

    my $m = total(4, 'requests_total');

    is($m->sum('requests_total'), 4, 'and goes on after a reload');
    is($m->sum(@OPEN), 0, 'nothing is open');
};

$t->finish;
