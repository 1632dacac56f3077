#!/usr/bin/perl

# Event k is readable at the client before the upstream sends event k+1: a
# scripted upstream that sends the next event only when the client has
# confirmed the one before, in every client dialect, over HTTP/1.1 and
# HTTP/2, with and without TLS on either side, with every gate.  What comes
# in one read leaves in one write.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_request sse shown
    DONE);

use constant EVENTS => 200;

my @CLIENTS = qw(openai simple typed text);
my @PROTOS = ([ h1 => 0 ], [ h1s => 1 ], [ h2 => 2 ], [ h2s => 3 ]);

my $t = LLMTest->new(log_level => 'info');
my $opened = 0;
my $plain = $t->upstream;
my $secure = $t->upstream(tls => 'provider.test');
my ($cert, $key) = $t->tls_cert('localhost');

$t->set(CERT => $cert, KEY => $key, CA => $t->tls_ca);

my $locations = '';

for my $client (@CLIENTS) {
    my %location = (
        "/event/$client" => [ 'http://%%UPSTREAM%%', 'gate event' ],
        "/off/$client" => [ 'http://%%UPSTREAM%%', 'gate off' ],
        "/content/$client" => [ 'http://%%UPSTREAM%%', 'gate content' ],
        "/tls/$client" => [ 'https://%%UPSTREAM_2%%', 'gate event' ],
        "/gzip/$client" => [ 'http://%%UPSTREAM%%', 'gate event', <<'EOT' ],
            gzip on;
            gzip_types text/event-stream text/plain;
            gzip_min_length 0;
            gzip_proxied any;
EOT
    );

    for my $path (sort keys %location) {
        my ($url, $gate, $more) = @{ $location{$path} };

        $more //= '';
        $locations .= <<"EOT";
        location = $path {
            llm_stream openai $url;
            llm_stream_client $client;
            llm_stream_$gate;
$more
        }
EOT
    }
}

my $listeners = join '', map { <<"EOT" }

    server {
        $_
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
$locations
    }
EOT
    'listen 127.0.0.1:%%PORT_0%%;', 'listen 127.0.0.1:%%PORT_1%% ssl;',
    '%%LISTEN_H2_2%%', '%%LISTEN_H2S_3%%';

my $config = <<"EOT";
%%GLOBALS%%
WORKERS
events { worker_connections 512; }
http {
    %%HTTP%%
    log_format end '\$status "\$llm_stream_end" \$request_uri \$pid';
    access_log %%DIR%%/end.log end;
    llm_stream_ssl_trusted_certificate %%CA%%;
    llm_stream_ssl_name provider.test;
$listeners
}
EOT

$t->config($config =~ s/WORKERS/worker_processes 1;/r)->start;


# the text of event k: unlike any other, with everything that needs escapes

sub text_of {
    my ($k) = @_;

    return "tok$k é\"\\ 日🙂";
}


sub bytes_of {
    my ($text) = @_;

    utf8::encode($text);

    return $text;
}


# reads what the client shows of one text, and nothing more than it

sub read_text {
    my ($client, $s, $text) = @_;

    if ($client eq 'text') {
        my $bytes = $s->read_bytes(length bytes_of($text)) // return;
        return shown($client, { data => $bytes });
    }

    return shown($client, scalar $s->read_event);
}


# sends the request and the beginning of a stream, up to where the first
# text can come

sub begin {
    my ($client, $where, %o) = @_;
    my $u = $o{upstream} || $plain;
    my $s = $t->open(%o, method => 'POST', path => "/$where/$client",
        body => chat_request(),
        headers => { 'Content-Type' => 'application/json',
            %{ $o{headers} || {} } });
    my ($p) = $u->take or die 'no request at the upstream';

    $opened++;
    $p->sse_head;

    if ($where eq 'off' && $client ne 'text') {
        is($s->read_headers, 200, "$client: the header before any event");
    }

    $p->event(chat_role());

    if ($client eq 'openai' && $where ne 'content') {
        my $event = $s->read_event || {};
        is($event->{data}, chat_role(), "$client: the role chunk at once");

    } elsif ($client eq 'typed' && $where ne 'content') {
        is($s->read_event->json->{type}, 'metadata',
            "$client: the metadata at once");
    }

    if ($where eq 'content') {
        ok(!$s->has_headers, "$client: the gate is closed");
    }

    return ($s, $p);
}


# with the gate at content the first chunk's event comes with the first text

sub read_held {
    my ($client, $where, $s) = @_;

    $s->read_event if $where eq 'content' && $client =~ /^(?:openai|typed)$/;

    return;
}


sub finish {
    my ($client, $s, $p, $name) = @_;

    $p->event(chat_finish('stop'), DONE);
    $p->last_chunk;

    my $text = $s->read_all // '';

    is($s->why, 'complete', "$name: ended properly");

    if ($client eq 'openai') {
        like($text, qr/\ndata: \[DONE\]\n\n\z/, "$name: the terminator");

    } elsif ($client ne 'text') {
        like($text, qr/\ndata: \{.*"done"[^\n]*\n\n\z/,
            "$name: the terminator");
    }

    $p->close;

    return;
}


sub lock_step {
    my ($client, $where, %o) = @_;
    my $name = delete $o{name} // "$client $where";
    my $n = delete $o{events} // EVENTS;
    my ($s, $p) = begin($client, $where, %o);
    my $seen = 0;

    for my $k (1 .. $n) {
        $p->event(chat_text(text_of($k)));
        read_held($client, $where, $s) if $k == 1;

        my $text = read_text($client, $s, text_of($k));

        last if !defined $text || $text ne text_of($k);
        $seen++;
    }

    is($seen, $n, "$name: each event before the next is sent")
        or diag($s->why // 'no reason');

    finish($client, $s, $p, $name);

    return $s;
}


for my $pair (@PROTOS) {
    my ($proto, $port) = @$pair;

    for my $client (@CLIENTS) {
        subtest "lock-step, $client over $proto" => sub {
            lock_step($client, 'event', proto => $proto, port => $port);
        };
    }
}


for my $client (@CLIENTS) {
    for my $gate (qw(off content)) {
        subtest "lock-step, $client, gate $gate" => sub {
            lock_step($client, $gate, events => 20);
            lock_step($client, $gate, events => 20, proto => 'h2s',
                port => 3, name => "$client $gate h2s");
        };
    }

    subtest "lock-step, $client, TLS to the upstream" => sub {
        lock_step($client, 'tls', upstream => $secure);
        lock_step($client, 'tls', upstream => $secure, events => 50,
            proto => 'h2s', port => 3, name => "$client tls h2s");
    };
}


# The end of an event and the begin of the next in one read; the CR LF of the
# HTTP chunk not yet there; one event over many reads.

subtest 'an event leaves as soon as its last byte is there' => sub {
    for my $client (@CLIENTS) {
        my ($s, $p) = begin($client, 'event');
        my $whole = sse(map { chat_text(text_of($_)) } 1 .. 20);
        my $size = length($whole) / 20;
        my ($sent, $seen) = (0, 0);

        # texts of 1 .. 9 are a byte shorter than the others
        my @ends;
        push @ends, $+[0] while $whole =~ /\n\n/g;

        for my $k (1 .. 20) {
            my $to = $ends[ $k - 1 ] + ($k < 20 ? int $size / 2 : 0);
            my $part = substr $whole, $sent, $to - $sent;
            my $chunk = LLMTest::Upstream::chunk($part);

            # without the line end of the chunk
            $p->send(($k > 1 ? "\r\n" : '') . substr $chunk, 0, -2);
            $sent = $to;

            my $text = read_text($client, $s, text_of($k));
            last if !defined $text || $text ne text_of($k);
            $seen++;
        }

        is($seen, 20, "$client: half of the next event holds nothing up");
        $p->send("\r\n");
        finish($client, $s, $p, $client);
    }
};


# In one write of the upstream, hence in one read of nginx (they are far
# smaller than its buffer), hence in one HTTP chunk or DATA frame.

subtest 'what comes in one read leaves in one write' => sub {
    for my $pair (@PROTOS) {
        my ($proto, $port) = @$pair;

        for my $client (@CLIENTS) {
            my ($s, $p) = begin($client, 'event', proto => $proto,
                port => $port);
            my $k = 0;

            for my $n (1, 2, 20) {
                my @texts = map { text_of(++$k) } 1 .. $n;
                my $before = () = $s->chunks;

                $p->event(map { chat_text($_) } @texts);

                my $text = join '', map {
                    read_text($client, $s, $_) // '(nothing)' } @texts;
                my $after = () = $s->chunks;

                is($text, join('', @texts), "$proto, $client: $n");
                is($after - $before, 1, "$proto, $client: $n in one");
            }

            finish($client, $s, $p, "$proto, $client");
        }
    }
};


# nginx 1.22 keeps an HTTP/2 header back in its TLS buffer until a body byte
# comes; a text client has none it may be given before the first token.

subtest 'the header, gate off, with a silent upstream' => sub {
    for my $pair (@PROTOS) {
        my ($proto, $port) = @$pair;

        for my $client (qw(openai simple typed)) {
            my $s = $t->open(proto => $proto, port => $port,
                method => 'POST', path => "/off/$client",
                body => chat_request());
            my ($p) = $plain->take;

            $opened++;
            $p->sse_head;
            is($s->read_headers, 200, "$client over $proto: the header");
            is($s->header('content-type'),
                'text/event-stream; charset=utf-8', "$client: its type");

            $p->event(chat_text('x'));

            # what stands before it, if anything, is no event
            my $event = $s->read_event;
            $event = $s->read_event if $client eq 'typed';
            is(shown($client, $event), 'x', "$client over $proto: an event");
            $s->close;
            ok($p->wait_close, "$client over $proto: closed");
        }
    }
};


# With other gates the status must not be sent before it is known.

subtest 'the gates hold the header' => sub {
    for my $gate (qw(event content)) {
        my $s = $t->open(method => 'POST', path => "/$gate/openai",
            body => chat_request());
        my ($p) = $plain->take;

        $opened++;
        $p->sse_head;
        $p->chunk(": a comment\n\n") for 1 .. 3;
        $p->drained;
        $p->event(chat_role()) if $gate eq 'content';
        $p->drained;

        # nginx answers another request: it has handled what it read
        my $other = $t->open(method => 'POST', path => '/nowhere',
            body => '');
        is($other->status, 404, "$gate: another answer");
        $s->poll;
        ok(!$s->has_headers, "$gate: no header yet");

        $p->event(chat_text('x'));
        is($s->read_headers, 200, "$gate: with the first event");
        $s->read_event if $gate eq 'content';
        is(shown('openai', scalar $s->read_event), 'x', "$gate: it");
        finish('openai', $s, $p, $gate);
    }
};


# Compression would delay events and tell their lengths: it is not done even
# where the configuration asks for it.

subtest 'gzip does not delay' => sub {
    for my $client (@CLIENTS) {
        my $s = lock_step($client, 'gzip', events => 50,
            headers => { 'Accept-Encoding' => 'gzip' });

        is($s->header('content-encoding'), undef, "$client: not compressed");
    }
};


subtest 'an HTTP/1.0 client' => sub {
    for my $client (@CLIENTS) {
        my ($s, $p) = begin($client, 'event', http10 => 1);
        my $seen = 0;

        for my $k (1 .. 50) {
            $p->event(chat_text(text_of($k)));
            my $text = read_text($client, $s, text_of($k)) // last;
            $seen++ if $text eq text_of($k);
        }

        is($seen, 50, "$client: each event before the next is sent");
        is($s->framing, 'close', "$client: no chunks");

        $p->event(chat_finish('stop'), DONE);
        $p->last_chunk;
        is($s->wait_end, 'closed', "$client: ended by a close");
        $p->close;
    }
};


subtest 'every stream was complete' => sub {
    my @lines;

    $t->wait_for(sub {
        @lines = grep { !m{/nowhere} } end_lines();
        return @lines >= $opened;
    });
    my @bad = grep { !/^200 "complete" / } @lines;

    # those the test closed itself
    my @closed = grep { m{^(?:200|499) "client_abort" /off/} } @bad;

    is(scalar @lines, $opened, 'all are logged');
    is(scalar @closed, 12, 'closed by the client');
    is(scalar @bad, 12, 'and no other')
        or diag(join "\n", @bad);
};


subtest 'two workers' => sub {
    my $two = $config =~ s/WORKERS/worker_processes 2;/r;

    # the kernel deals the connections out
    $two =~ s/(listen [^;]*%%PORT_\d%%[^;]*);/$1 reuseport;/g;
    $t->stop;
    $t->config($two)->start;

    my $mark = end_lines();
    my @streams = map { [ begin($CLIENTS[ $_ % 4 ], 'event'), $_ ] } 0 .. 15;
    my $seen = 0;

    for my $k (1 .. 20) {
        for my $x (@streams) {
            my ($s, $p, $i) = @$x;
            my $client = $CLIENTS[ $i % 4 ];

            $p->event(chat_text("s$i " . text_of($k)));
            my $text = read_text($client, $s, "s$i " . text_of($k));
            $seen++ if defined $text && $text eq "s$i " . text_of($k);
        }
    }

    is($seen, 320, 'each event before the next is sent');
    finish($CLIENTS[ $_->[2] % 4 ], $_->[0], $_->[1], "stream $_->[2]")
        for @streams;

    my @lines;

    $t->wait_for(sub {
        @lines = end_lines();
        return @lines >= $mark + 16;
    });

    splice @lines, 0, $mark;

    my %pids = map { /^200 "complete" \S+ (\d+)$/ ? ($1 => 1) : () } @lines;

    is(scalar @lines, 16, 'all are logged');
    is(scalar keys %pids, 2, 'both workers had some');
};


sub end_lines {
    return split /\n/, $t->read_file('end.log');
}
