#!/usr/bin/perl

# docs/faq.md, what arrives and when: each wrong set-up shows its fault, and
# the page's own configuration does not.  The errors of the page are
# t/faq_errors.t's, who may ask and for what t/faq_access.t's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Guide;

my $PATH = '/v1/chat/completions';

# the module behind a proxy of the page
my $NODE = <<"EOT";
location $PATH {
    llm_stream openai https://api.openai.com;
}
EOT


# guide(%options of the guide): nginx and a mock of its own for each question

sub guide {
    my (%o) = @_;
    my $t = LLMTest->new;
    my $mock = $t->mock(tls => 1,
        tls_name => 'api.openai.com,llm.example.com');
    my $g = LLMTest::Guide->new($t, 'docs/faq.md', %o,
        hosts => { 'api.openai.com' => $mock });

    return ($t, $g, $mock);
}


subtest 'a proxy in front that buffers' => sub {
    my ($t, $g, $mock) = guide();
    my $fix = $g->block('The text appears all at once');
    my $bare = LLMTest::Guide::without($fix, qr/_buffering|gzip|_version/);
    my $ignores = 'proxy_ignore_headers X-Accel-Buffering;';
    my $gzip = 'gzip on; gzip_types text/event-stream; gzip_proxied any;';
    my %headers = (headers => { 'Accept-Encoding' => 'gzip' });

    my %wrong = (
        'HTTP/1.0' => $bare
            =~ s/\}\n\z/$ignores\nproxy_http_version 1.0; }\n/r,
        'gzip' => $bare =~ s/\}\n\z/$ignores\n$gzip }\n/r,
    );

    $g->again({ 8080 => $NODE, 80 => $bare });
    my $s = $g->ask($PATH, port => 80, mock => 'lockstep=obeys');
    ok(LLMTest::Guide::streams($s, $mock, 'obeys'),
        'nothing set: the header of the module is obeyed');
    $s->close;

    for my $name (sort keys %wrong) {
        my $id = 'w' . lc $name =~ s/\W//gr;

        $g->again({ 8080 => $NODE, 80 => $wrong{$name} });
        $s = $g->ask($PATH, port => 80, mock => "lockstep=$id", %headers);
        ok(LLMTest::Guide::holds($s, $mock, $id, 4), "$name: nothing comes");
        $mock->ack($id, 100);
        is($s->wait_end, 'complete', "$name: then all of it");
    }

    # in a server with that gzip
    $fix =~ s/^(location)/$ignores\n$gzip\n$1/;
    $g->again({ 8080 => $NODE, 80 => $fix });
    $s = $g->ask($PATH, port => 80, mock => 'lockstep=right', %headers);
    ok(LLMTest::Guide::streams($s, $mock, 'right'),
        'as the page says: each token when it comes');
    $mock->ack('right', 100);
    is($s->wait_end, 'complete', 'to the end');
    is($s->header('x-content-type-options'), 'nosniff', 'with nosniff');
    $t->finish;
};


subtest 'no stream was asked for, or none was sent' => sub {
    my ($t, $g, $mock) = guide();

    $g->again({ 8080 => $NODE });

    my $r = $g->get($PATH, stream => 0);
    like($r->{headers}{'content-type'}, qr{^application/json}, 'one answer');
    ok($t->wait_log(qr/^200 "complete" "-" chunks=1 /, file => 'guide.log'),
        'and the log shows one chunk');

    my $mark = $t->log_mark('guide.log');
    $r = $g->get($PATH, mock => 'fault=json-200');
    my @text = grep { LLMTest::Guide::shown($_) ne '' } @{ $r->{events} };
    like($r->{headers}{'content-type'}, qr{^text/event-stream}, 'a stream');
    is(scalar @text, 1, 'of one piece');
    ok($t->wait_log(qr/^200 "complete" "-" chunks=1 /, from => $mark,
        file => 'guide.log'), 'the log shows one chunk here, too');

    $mark = $t->log_mark('guide.log');
    $g->get($PATH, mock => 'tokens=7');
    ok($t->wait_log(qr/^200 "complete" "-" chunks=7 /, from => $mark,
        file => 'guide.log'), 'and seven where they came one by one');
    $t->finish;
};


# the command of the page, its output through a pipe; the process and the pipe

sub curl {
    my ($t, $id, $command) = @_;
    my $port = $t->port(8080);

    $command =~ s/:8080/:$port/;
    $command =~ s/\bcurl /curl -s -H 'X-Mock: lockstep=$id' /;

    my $pid = open my $out, '-|', 'sh', '-c', "exec $command"
        or die "curl: $!";

    return ($pid, $out);
}


sub readable {
    my ($out, $seconds) = @_;

    return IO::Select->new($out)->can_read($seconds) ? 1 : 0;
}


subtest 'curl without -N' => sub {
    my ($t, $g, $mock) = guide();
    my $command = $g->block('The text appears all at once', lang => 'sh');

    $g->again({ 8080 => $NODE });

    for my $case ([ gathers => $command =~ s/-N //r, 0 ],
        [ shows => $command, 1 ])
    {
        my ($id, $line, $at_once) = @$case;
        my ($pid, $out) = curl($t, $id, $line);

        ok($mock->wait(id => $id, events => 1), "$id: asked");
        $mock->ack($id, 2);
        $mock->wait(id => $id, events => 3);
        is(readable($out, $at_once ? 60 : 0.5), $at_once,
            $at_once ? "$id: with -N" : "$id: without -N");
        $mock->ack($id, 100);

        my $all = join '', readline $out;
        like($all, qr/\[DONE\]/, "$id: all of it in the end");
        close $out;
    }

    $t->finish;
};


# minutes pass on a clock that the test turns: two times are compared

subtest 'cut off after 60 seconds' => sub {
    my ($t, $g, $mock) = guide();
    my $clock = LLMTest::Clock->new($t);
    my $heading = 'The answer is cut off after 60 seconds';
    my $fix = $g->block($heading);
    my $front = <<'EOT';
location / {
    proxy_pass http://127.0.0.1:8080;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 60s;
}
EOT

    $t->config($g->conf({ 80 => $front, 8080
        => LLMTest::Guide::without($fix, qr/heartbeat|gate/) }));
    $t->start(env => $clock->env);

    my $s = $g->ask($PATH, port => 80, mock => 'fault=stall-after-headers');
    ok($mock->wait(requests => 1), 'the provider is asked, and silent');
    $clock->advance(61);
    is($s->status, 504, 'the gate waits: the proxy gives up');
    ok($t->wait_log(qr/^499 "client_abort"/, file => 'guide.log'),
        'and to the module the client left');

    # as many heartbeats as are longer than the proxy's patience
    $g->again({ 80 => $front, 8080 => $fix });

    for my $mock_options ('fault=stall-after-headers', 'lockstep=thinks') {
        my $mark = $t->log_mark;
        my $beats = 0;

        $s = $g->ask($PATH, port => 80, mock => $mock_options);

        # from the provider's header the gate waits for 5 s, or for an event
        $t->wait_log(qr/llm_stream upstream status 200/, from => $mark);
        $clock->advance(6) if $mock_options !~ /lockstep/;
        is($s->status, 200, "$mock_options: the header");

        for (1 .. 6) {
            $clock->advance(16);
            $s->read_until(qr/^: hb\n/m) or last;
            $beats++;
        }

        is($beats, 6, "$mock_options: with heartbeats it waits");
        next if $mock_options !~ /lockstep/;

        $mock->ack('thinks', 100);
        is($s->wait_end, 'complete', 'and the answer comes');
        like($s->body, qr/\[DONE\]/, 'with its end');
    }

    $t->finish;
};


subtest 'complete and no text' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('The stream is complete but has no text');

    $g->again({ 8080 => $block });

    my $r = $g->get('/chat', mock => 'reasoning=5 tokens=0 finish=length');
    is($r->{status}, 200, 'a model that used up its tokens');
    is($r->{body}, '', 'says nothing');
    ok($t->wait_log(qr/^200 "complete" "-" chunks=5 finish=length/,
        file => 'guide.log'), 'and the log shows why');

    my ($sent) = $mock->requests(1);
    like($sent->{body}, qr/"max_completion_tokens":4000/,
        'the page asks for more tokens');

    my $mark = $t->log_mark('guide.log');
    is($g->get('/chat', mock => 'tools=1')->{body}, '', 'a tool call');
    ok($t->wait_log(qr/^200 "complete" "-" chunks=5 finish=tool_calls/,
        from => $mark, file => 'guide.log'), 'is one of the reasons');
    $t->finish;
};


subtest 'EventSource, and its GET' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('405 for a GET');
    my $js = $g->block('EventSource asks again and again', lang => 'js');

    like($js, qr/if \(data\.done\) source\.close\(\);/, 'the page closes');
    $g->again(
        { 8080 => LLMTest::Guide::without($block, qr/_prompt/) });

    my $port = $t->port(8080);
    is($t->get('/chat?message=Hello', port => $port)->{status}, 405,
        'without a prompt: 405');

    $g->again({ 8080 => $block });

    my $r = $t->get('/chat?message=Hello', port => $port);
    is($r->{status}, 200, 'with one: a stream');
    ok($r->{events}[-1]->json->{done}, 'whose last event says so');

    $mock->defaults('fault=error-event-mid');
    $r = $t->get('/chat?message=Hello', port => $port);
    my $last = $r->{events}[-1]->json;
    ok($last->{error} && $last->{done}, 'an error is a last event, too');
    $t->finish;
};


subtest 'token counts' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('The token counts are missing');

    for my $case ([ off => '-', '-' ], [ on => 20, 'usage' ]) {
        my ($usage, $out, $source) = @$case;
        my $mark = $t->log_mark('guide.log');

        $g->again(
            { 8080 => $block =~ s/(_usage +)on/$1$usage/r });
        my $r = $g->get($PATH);
        ok($t->wait_log(qr/^200 .* out=$out source=$source /, from => $mark,
            file => 'guide.log'), "usage $usage: $out");
        unlike($r->{body}, qr/"usage":\{/, 'the client did not ask for it');
    }

    my $r = $g->get($PATH, json => { stream_options => { include_usage =>
        JSON::PP::true() } });
    like($r->{body}, qr/"usage":\{/, 'here it did');

    # what needs a count makes an estimate of it
    my $mark = $t->log_mark('guide.log');
    $g->again({ 8080 => $block =~ s/(_usage +)on;/$1off;
        llm_stream_limit zone=z;/r },
        http => "llm_stream_limit_zone \$uri zone=z:1m rate=100000t/m;\n");
    $g->get($PATH, mock => 'usage=off');
    ok($t->wait_log(qr/^200 .* out=\d+ source=estimate /, from => $mark,
        file => 'guide.log'), 'no usage, and a limit: an estimate');
    $t->finish;
};


subtest 'a client that leaves' => sub {
    my ($t, $g, $mock) = guide();
    my $fix = $g->block('Is an answer paid for when the client leaves?');

    for my $case ([ hidden => $fix =~ s/(client_abort) off/$1 on/r, 0 ],
        [ passed => $fix, 1 ])
    {
        my ($id, $front, $noticed) = @$case;

        $g->again({ 80 => $front, 8080 => $NODE });

        my $s = $g->ask($PATH, port => 80, mock => "lockstep=$id");
        ok(LLMTest::Guide::streams($s, $mock, $id), "$id: a stream");
        $s->abort;

        # the provider waits for an acknowledgement, so nobody writes
        my $ended = $mock->wait(id => $id, end => 1,
            limit => $noticed ? 60 : 0.5);

        is($ended ? 1 : 0, $noticed, "$id: the provider is told");
        is($mock->stats($id)->{end}, $noticed ? 'aborted' : 'open',
            "$id: what it sees");
        $mock->ack($id, 100);
        ok($mock->wait(id => $id, end => 1), "$id: over");
    }

    $t->finish;
};


subtest 'only six streams' => sub {
    my ($t, $g, $mock) = guide();
    my $block = $g->block('Only six streams at once in a browser');

    $block =~ s/ http2;/;\n    http2 on;/ if $t->has_version('1.25.1');
    $g->again({ 443 => $block });

    my $h2 = $t->h2(port => $t->port(443),
        tls => { ca => $t->tls_ca, name => 'localhost' });
    my %s = map { ("six$_" => $g->ask($PATH, on => $h2, port => 443,
        mock => "lockstep=six$_")) } 1 .. 20;

    for my $id (sort keys %s) {
        ok(LLMTest::Guide::streams($s{$id}, $mock, $id), "$id: live");
    }

    is($mock->stats->{open}, 20, 'all at once, on one connection');
    $h2->close if $h2->can('close');
    $t->finish;
};
