#!/usr/bin/perl

# How a stream ends and what llm_stream_store leaves of it: a file when it is
# complete, else nothing, whoever ended it, the provider, the client, a limit
# or a worker that goes.  The clock of nginx stands still but for what a test
# says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(events finish);
use LLMTest::Clock;
use LLMTest::Disk;
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $disk = LLMTest::Disk->new($t);
my $clock = LLMTest::Clock->new($t);
my $u = $t->upstream;
my $dir = $disk->dir;

my $chat = '{"model":"m","messages":[{"role":"user","content":"hi"}],S}';
my $text = 'x' x 6000;
my %env = (%{ $disk->env }, %{ $clock->env },
    LD_PRELOAD => "$clock->{library}:" . $disk->env->{LD_PRELOAD});


sub config {
    my ($main) = @_;
    my $locations = '';

    for my $form (qw(text events)) {
        $locations .= <<"EOT";
        location /$form {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/\$arg_f $form;

            location /$form/idle { 
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_idle_timeout 10s;
            }
            location /$form/total { 
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_total_timeout 10s;
            }
            location /$form/plain { 
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_client text;
            }
            location /$form/typed { 
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_client typed;
            }
        }
EOT
    }

    return <<"EOT" =~ s/ +$//mgr;
%%GLOBALS%%
worker_processes 1;
$main
events { worker_connections 1024; }
http {
    %%HTTP%%
    log_format end '\$arg_f \$status \$llm_stream_end';
    access_log %%DIR%%/end.log end;
    llm_stream_client openai;
    llm_stream_heartbeat off;
    llm_stream_max_event_size 100k;
    llm_stream_max_response_size 100k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location = /mirrored {
            llm_stream openai http://%%UPSTREAM%%;
            mirror /shadow;
        }
        location = /shadow {
            internal;
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/shadow;
        }
$locations
    }
}
EOT
}

$t->config(config(''))->start(env => \%env);


sub begin {
    my ($path, $file, %o) = @_;
    my $stream = $o{answer} ? 'false' : 'true';
    my $s = $t->open(proto => $o{proto} // 'h1', method => 'POST',
        port => ($o{proto} // 'h1') eq 'h2' ? 1 : 0, path => "$path?f=$file",
        headers => { 'Content-Type' => 'application/json' },
        body => $chat =~ s/S(?=\})/"stream":$stream/r);
    my ($p) = $u->take or die 'no request';

    return ($s, $p);
}


# a stream under way, with so much said that a part of it is in a file

sub live {
    my ($path, $file, %o) = @_;
    my ($s, $p) = begin($path, $file, %o);
    my $before = grep { /TEMP/ } $disk->files;

    $p->sse_head;
    $p->chunk((events($o{short} ? 'short' : $text))[ 0, 1 ]);
    $s->read_until(qr/short|x/) // die 'no text';
    $t->wait_for(sub { $before < grep { /TEMP/ } $disk->files })
        or die 'no temporary file' if !$o{short};

    return ($s, $p);
}

begin_whole('text', 'first');

my $fds = $t->fds;


sub begin_whole {
    my ($form, $file) = @_;
    my ($s, $p) = live("/$form", $file);
    my @events = events($text);

    $p->chunk(@events[ 2 .. $#events ]);
    $p->last_chunk;
    $s->wait_end;
    $s->close;
    $p->close;

    is($disk->wait_bytes($file), $form eq 'text' ? $text
        : join('', @events), "$file: stored");
    unlink "$dir/$file";

    return;
}


# name => [ path behind the form, what $llm_stream_end says, how ]

my %ending = (
    'closed' => [ '', 'truncated', sub { $_[1]->last_chunk } ],
    'reset' => [ '', 'truncated', sub { $_[1]->reset } ],
    'error event' => [ '', 'upstream_error', sub {
        $_[1]->event('{"error":{"message":"x","type":"server_error",'
            . '"param":null,"code":"x"}}');
    } ],
    'bad framing' => [ '', 'invalid', sub { $_[1]->send("zz\r\n") } ],
    'too large' => [ '', 'limit', sub {
        $_[1]->chunk('data: "' . 'x' x 150_000);
    } ],
    'bad event' => [ '/typed', 'invalid', sub { $_[1]->event('{no') } ],
    'idle' => [ '/idle', 'timeout', sub { $clock->advance(10) } ],
    'total' => [ '/total', 'limit', sub { $clock->advance(10) } ],
    'unclean' => [ '/plain', 'truncated', sub {
        $_[1]->last_chunk;
        $_[0]->wait_end;
        $_[0]->close;       # nginx lingers
    } ],
    'left' => [ '', 'client_abort', sub { $_[0]->close } ],
    'left by RST' => [ '', 'client_abort', sub { $_[0]->abort } ],
);

for my $name (sort keys %ending) {
    my ($path, $end, $how) = @{ $ending{$name} };
    my $file = $name =~ s/ /-/gr;

    for my $form (qw(text events)) {
        for my $proto (qw(h1 h2)) {
            for my $short (0, 1) {
                my $case = "$name, $form, $proto" . ($short ? ', short' : '');
                my $mark = $t->log_mark('end.log');
                my ($s, $p) = live("/$form$path", $file, proto => $proto,
                    short => $short);

                $how->($s, $p);

                ok($t->wait_log(qr/^\Q$file\E \d+ $end$/, file => 'end.log',
                    from => $mark), "$case: $end");
                is($disk->wait_files, '', "$case: nothing is stored");
                $s->close;
                $p->close;
            }
        }
    }
}

# no answer at all, one that is an error, one that is too large

for my $case ([ status => sub { $_[0]->answer(500, '{"error":{}}') }, 500 ],
    [ nothing => sub { $_[0]->close }, 502 ],
    [ page => sub { $_[0]->answer(200, '<html>' . 'x' x 9000,
        'Content-Type' => 'text/html') }, 502 ],
    [ 'first event an error' => sub {
        $_[0]->sse_head;
        $_[0]->event('{"error":{"message":"x","type":"rate_limit_error",'
            . '"param":null,"code":"rate_limit_exceeded"}}');
        $_[0]->last_chunk;
    }, 429 ],
    [ 'large answer' => sub {
        $_[0]->sse_head;
        $_[0]->chunk((events(('x' x 40_000) x 4))[ 0 .. 4 ]);
    }, 502, 1 ])
{
    my ($name, $how, $status, $answer) = @$case;

    for my $form (qw(text events)) {
        my ($s, $p) = begin("/$form", 'none', answer => $answer);

        $how->($p);
        is($s->status, $status, "$name, $form: $status");
        $s->wait_end;
        is($disk->wait_files, '', "$name, $form: nothing is stored");
        $s->close;
        $p->close;
    }
}

# what is complete: also without [DONE], also when its client leaves then

for my $form (qw(text events)) {
    my ($s, $p) = live("/$form", "no-done-$form");

    $p->event(finish());
    $p->last_chunk;
    $s->wait_end;
    ok(defined $disk->wait_bytes("no-done-$form"),
        "$form: finished without its last word");
    $s->close;
    $p->close;

    ($s, $p) = live("/$form", "had-$form");
    $p->event(finish(), '[DONE]');
    $s->read_until(qr/\[DONE\]\n\n/);
    $s->abort;
    ok(defined $disk->wait_bytes("had-$form"),
        "$form: the client left when it had all");
    $p->close;

    unlink map { "$dir/$_-$form" } qw(no-done had);
}

ok($t->wait_for(sub { $t->fds <= $fds }, 20), 'no descriptor is left')
    or diag($t->fds . " instead of $fds");
unlike($t->error_log, qr/cannot store|gives up/, 'none of it was a fault');


# A mirror's answer is left behind its header: what came with it is no whole.

{
    my $s = $t->open(method => 'POST', path => '/mirrored?f=mirrored',
        body => $chat =~ s/S(?=\})/"stream":true/r);
    my @p = map { ($u->take)[0] or die 'no request' } 1, 2;

    for my $p (@p) {
        $p->sse_head;
        $p->chunk((events('short'))[ 0, 1 ]);
    }

    # whichever of them it is
    ok($t->wait_for(sub {
        @p = grep { !$_->wait_close(0.1) } @p;
        return @p == 1;
    }), 'the mirror is left');
    $p[0]->event(finish(), '[DONE]');
    $p[0]->last_chunk;
    is($s->wait_end, 'complete', 'not what is mirrored');
    begin_whole('text', 'after-mirror');
    is($disk->wait_files, '', 'of the mirror nothing is stored');
    $s->close;
    $_->close for @p;
}


# A reload: the old worker stores what it began.

{
    my @live = map { [ $_, live("/$_", "reload-$_") ] } qw(text events);

    ok($t->reload, 'reload');
    begin_whole('text', 'new-worker');

    for my $x (@live) {
        my ($form, $s, $p) = @$x;
        my @events = events($text);

        $p->chunk(@events[ 2 .. $#events ]);
        $p->last_chunk;
        $s->wait_end;
        is($disk->wait_bytes("reload-$form"), $form eq 'text' ? $text
            : join('', @events), "$form: stored by the old worker");
        $s->close;
        $p->close;
    }

    ok($t->wait_for(sub { $t->workers == 1 }), 'the old worker is gone');
    is($disk->wait_files(undef, 'reload-events', 'reload-text'),
        'reload-events reload-text', 'reload: no other file');
    unlink map { "$dir/reload-$_" } qw(text events);
}


# Workers that go in the middle of a stream.

for my $how ('TERM', 'QUIT', 'KILL') {
    $t->config(config($how eq 'QUIT' ? 'worker_shutdown_timeout 200ms;' : ''));
    ok($t->reload, "$how: reload");
    $t->wait_for(sub { $t->workers == 1 });
    $t->allow_log(qr/exited on signal 9/);

    my ($worker) = $t->workers;
    my @live = map { [ live("/$_", "gone-$_") ] } qw(text events);

    my $mark = $t->log_mark;

    kill $how, $worker;

    if ($how eq 'QUIT') {
        ok($t->wait_log(qr/$worker#\d+: gracefully shutting down/,
            from => $mark), "$how: it is to leave");
        $clock->advance(0.2);
    }

    for my $x (@live) {
        my ($s, $p) = @$x;

        isnt($s->wait_end // 'timeout', 'complete', "$how: not complete");
        $s->close;
        $p->close;
    }

    ok($t->wait_for(sub {
        my @now = $t->workers;
        return @now == 1 && $now[0] != $worker;
    }), "$how: another worker");

    my @left = $how eq 'KILL' ? qw(TEMP TEMP) : ();

    is($disk->wait_files(undef, @left), "@left", $how eq 'KILL'
        ? 'KILL: temporary files' : "$how: nothing is left");
    unlink glob "$dir/.llm_stream.*";

    begin_whole('text', 'gone-text');
}


# A process that has no master.

{
    $t->stop;
    $t->config(config('master_process off;'));
    $t->start(env => \%env);

    my ($s, $p) = live('/text', 'single');

    $t->signal('TERM');
    ok(defined $t->wait_exit(20), 'a single process: gone');
    $s->close;
    $p->close;
    is($disk->wait_files, '', 'a single process: nothing is left');
}


$t->finish;
