#!/usr/bin/perl

# The disk of llm_stream_store: full, slow, not to be written to.  One line
# in the log, no file left, and a client that notices nothing: it never waits
# for the disk, and its request may be over long before a thread is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(events reply delta);
use LLMTest::Disk;
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $disk = LLMTest::Disk->new($t);
my $u = $t->upstream;
my $dir = $disk->dir;

my $text = 'x' x 6000;
my $chat = '{"model":"m","messages":[{"role":"user","content":"hi"}],'
    . '"stream":true}';

$t->config(<<"EOT")->start(env => $disk->env);
%%GLOBALS%%
worker_processes 1;
thread_pool one threads=1 max_queue=1;
events { worker_connections 1024; }
http {
    %%HTTP%%
    log_format end '\$arg_f \$status \$llm_stream_end';
    access_log %%DIR%%/end.log end;
    llm_stream_client openai;
    llm_stream_heartbeat off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location = /text {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/\$arg_f;
        }
        location = /events {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/\$arg_f events;
        }
        location = /one {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/\$arg_f;
            aio threads=one;
        }
    }
}
EOT

# whether the module writes by threads
my ($module) = grep { /ngx_llm_stream/ } @{ $t->{modules} };
my $threads = $module ? threaded($module) : $t->build =~ /--with-threads/;


sub threaded {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/ = undef;

    return readline($fh) =~ /ngx_thread_task_post/ ? 1 : 0;
}


# a request, and its provider's side

sub begin {
    my ($form, $file, %o) = @_;
    my $s = $t->open(%o, method => 'POST', path => "/$form?f=$file",
        headers => { 'Content-Type' => 'application/json' }, body => $chat);
    my ($p) = $u->take or die 'no request';

    return ($s, $p);
}


# all of an answer at once

sub whole {
    my ($p, @texts) = @_;

    $p->send(reply(@texts));

    return join '', events(@texts);
}


# the request is over: not its client's side of it, nginx's

sub logged {
    my ($file, $end) = @_;

    return $t->wait_log(qr/^\Q$file\E 200 $end$/, file => 'end.log');
}


# Nothing of nginx is left over: the first streams open what it keeps.

begin_and_end('text', 'first');

my $fds = $t->fds;


sub begin_and_end {
    my ($form, $file) = @_;
    my ($s, $p) = begin($form, $file);

    whole($p, $text);
    $s->wait_end;
    $p->close;
    ok(defined $disk->wait_bytes($file), "$file: stored");

    return;
}


sub no_fd_left {
    my ($name) = @_;

    ok($t->wait_for(sub { $t->fds <= $fds }, 20), "$name: no descriptor")
        or diag($t->fds . " instead of $fds");

    return;
}


# What can fail, what the log says, whether there is a temporary file before.

my @faults = (
    [ full => qr/write\(\) "[^"]+" failed \(28: / ],
    [ late => qr/close\(\) "[^"]+" failed \(28: / ],
    [ emfile => qr/open\(\) "[^"]+" failed \(24: / ],
    [ readonly => qr/open\(\) "[^"]+" failed \(30: / ],
    [ denied => qr/open\(\) "[^"]+" failed \(13: / ],
    [ stuck => qr/rename\(\) "[^"]+" failed \(5: / ],
    [ 'first/below' => qr/(?:open|mkdir)\(\) "[^"]+" failed \(20: / ],
);

for my $fault (@faults) {
    my ($folder, $line) = @$fault;

    for my $form (qw(text events)) {
        for my $proto ('h1', 'h2') {
            my $name = "$folder, $form, $proto";
            my $mark = $t->log_mark;
            my $file = "$folder/$form-$proto";
            my ($s, $p) = begin($form, $file, proto => $proto,
                port => $proto eq 'h2' ? 1 : 0);

            # in two halves: the first is written while the stream goes on
            my @events = events($text, 'more', $text);
            $p->sse_head;
            $p->chunk(@events[ 0, 1 ]);
            $s->read_event for 1, 2;

            ok($t->wait_log($line, from => $mark), "$name: at once")
                if $folder =~ /full|emfile|readonly|denied|below/
                && ($form eq 'events' || $folder ne 'full');

            $p->chunk(@events[ 2 .. $#events ]);
            $p->last_chunk;
            $s->wait_end;

            is($s->body, join('', @events), "$name: the client has it all");
            is($s->ended, 'complete', "$name: complete");
            ok(logged($file, 'complete'), "$name: and is logged so");
            ok($t->wait_log(qr/\[error\] .*cannot store an answer: $line/,
                from => $mark), "$name: a line in the log");

            my $log = substr $t->error_log, $mark;
            my $lines = () = $log =~ /cannot store/g;

            is($lines, 1, "$name: one line");
            like($log, qr/"\Q$dir\E\/\Q$file\E"/, "$name: with the path");
            is($disk->wait_files(undef, 'first'), 'first',
                "$name: no file");
            $p->close;
        }
    }
}

no_fd_left('after all faults');


# Each batch is written while the stream goes on, under another name.

for my $form (qw(text events)) {
    my ($s, $p) = begin($form, "as-it-goes-$form");
    my @events = events($text, 'a', $text);

    $p->sse_head;
    $p->chunk(@events[ 0, 1 ]);
    $s->read_event for 1, 2;
    is($disk->wait_files(undef, 'TEMP', 'first'), 'TEMP first',
        "$form: there before the end, under another name");

    my ($temp) = glob "$dir/.llm_stream.*";

    ok($t->wait_for(sub { (-s $temp // 0) >= 4096 }), "$form: with bytes");
    is((stat $temp)[2] & oct(7777), oct(600), "$form: its owner's alone");

    $p->chunk(@events[ 2 .. $#events ]);
    $p->last_chunk;
    $s->wait_end;
    is($disk->wait_bytes("as-it-goes-$form"),
        $form eq 'text' ? "${text}a$text" : join('', @events),
        "$form: whole");
    ok(!-e $temp, "$form: it was renamed");
    unlink "$dir/as-it-goes-$form";
    $p->close;
}


SKIP: {
    skip 'the module has no threads', 1 if !$threads;

    slow();
}


sub slow {
    mkdir "$dir/slow" or die "mkdir: $!";

    # the client has it all and its request is over while a thread waits

    for my $form (qw(text events)) {
        for my $proto ('h1', 'h2') {
            my $name = "slow, $form, $proto";
            my ($s, $p) = begin($form, "slow/$form-$proto", proto => $proto,
                port => $proto eq 'h2' ? 1 : 0);

            $disk->hold;

            my $body = whole($p, $text, 'a', $text);
            $s->wait_end;
            is($s->body, $body, "$name: the client does not wait");
            ok(logged("slow/$form-$proto", 'complete'), "$name: nor nginx");
            is($disk->wait_files('slow', 'TEMP'), 'TEMP',
                "$name: not yet stored");
            $s->close;
            $p->close;

            # another one meanwhile
            begin_and_end($form, "quick-$form-$proto");
            unlink "$dir/quick-$form-$proto";

            $disk->go;
            is($disk->wait_bytes("slow/$form-$proto"),
                $form eq 'text' ? "${text}a$text" : $body,
                "$name: stored in the end");
            unlink "$dir/slow/$form-$proto";
        }
    }

    # a client that leaves meanwhile

    my ($s, $p) = begin('text', 'slow/left');

    $disk->hold;
    $p->sse_head;
    $p->chunk((events($text, 'a'))[ 0, 1 ]);
    $s->read_event for 1, 2;
    is($disk->wait_files('slow', 'TEMP'), 'TEMP', 'a thread writes');
    $s->abort;
    ok($t->wait_log(qr/^slow\/left \d+ client_abort$/, file => 'end.log'),
        'the client left, the request is over');
    $p->close;
    $disk->go;
    is($disk->wait_files('slow'), '', 'left: nothing is stored');

    # so slow that a megabyte waits

    for my $form (qw(text events)) {
        my $mark = $t->log_mark;

        ($s, $p) = begin($form, "slow/behind-$form");
        $disk->hold;

        # event by event, so that the thread has begun
        my @events = events($text, (('y' x 60_000) x 20), 'z');
        $p->sse_head;
        $p->chunk(@events[ 0, 1 ]);
        $s->read_event for 1, 2;
        is($disk->wait_files('slow', 'TEMP'), 'TEMP',
            "behind, $form: a thread writes");
        $p->chunk(@events[ 2 .. $#events ]);
        $p->last_chunk;
        $s->wait_end;

        is($s->body, join('', @events), "behind, $form: the client's");
        ok(logged("slow/behind-$form", 'complete'), "behind, $form: complete");
        ok($t->wait_log(qr/llm_stream gives up storing to "[^"]+behind-$form"/,
            from => $mark), "behind, $form: given up");
        $disk->go;
        is($disk->wait_files('slow'), '', "behind, $form: nothing is stored");
        $p->close;
    }

    # one answer of as much is no reason

    ($s, $p) = begin('text', 'slow/big');
    $disk->hold;
    whole($p, 'y' x 900_000);
    $s->wait_end;
    $disk->go;
    is($disk->wait_bytes('slow/big'), 'y' x 900_000, 'a big event is stored');
    unlink "$dir/slow/big";
    $s->close;
    $p->close;

    queue();
    no_fd_left('after a slow disk');
    leave();

    return;
}


# More than the pool's queue holds.

sub queue {
    my $mark = $t->log_mark;
    my @running;

    $disk->hold;

    for my $n (1 .. 4) {
        my ($s, $p) = begin('one', "slow/queue-$n");
        my $body = whole($p, $text);

        $s->wait_end;
        is($s->body, $body, "queue, $n: the client's");
        ok(logged("slow/queue-$n", 'complete'), "queue, $n: complete");
        $p->close;
    }

    ok($t->wait_log(qr/thread pool "one" queue overflow/, from => $mark),
        'queue: too many');
    $disk->go;

    # what does not fit is dropped, also in the end; the rest is stored
    my @left;

    ok($t->wait_for(sub {
        my $dropped = () = $t->error_log =~ /"one" queue overflow/g;

        @left = $disk->files('slow');
        return @left + $dropped == 4 && !grep { /TEMP/ } @left;
    }), 'queue: done') or diag("@left");
    ok(@left >= 1 && @left < 4, 'queue: some are stored') or diag("@left");
    is(scalar(grep { $disk->bytes("slow/$_") ne $text } @left), 0,
        'queue: and those are whole');
    unlink map { "$dir/slow/$_" } @left;

    return;
}


# nginx is told to leave while a thread waits: what is whole is stored.

sub leave {
    my ($s, $p) = begin('text', 'slow/leave');

    $disk->hold;
    whole($p, $text, 'a', $text);
    $s->wait_end;
    is($disk->wait_files('slow', 'TEMP'), 'TEMP', 'leaving: a thread writes');
    $s->close;
    $p->close;

    $t->quit;
    ok($t->wait_log(qr/gracefully shutting down/), 'leaving: it was told to');
    $disk->go;
    ok(defined $t->wait_exit(20), 'leaving: gone');
    is($disk->bytes('slow/leave'), "${text}a$text", 'leaving: it is stored');
    is(scalar(grep { /TEMP/ } $disk->files), 0, 'leaving: nothing else');

    return;
}


$t->finish;
