package LLMTest::Upstream;

# The provider played by the test itself: a raw TCP (or TLS) server in a
# child process, driven over a socket pair in lock-step or by scripts laid
# out beforehand.  This side is the remote control; the child's loop is
# LLMTest::UpstreamLoop.  Nothing is sent that the test did not order.

use strict;
use warnings;

use IO::Socket::INET;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC SOMAXCONN);
use Storable ();

use LLMTest::Proc;
use LLMTest::UpstreamLoop;
use LLMTest::Wait qw(now limit deadline readable);


# new(port => N, tls => { cert, key, client_ca }, each => [ops]): listens and
# starts the child.  Without a port a free one is taken.

sub new {
    my ($class, %o) = @_;

    my $listen = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $o{port} // 0,
        Listen => SOMAXCONN, ReuseAddr => 1, Blocking => 0,
    ) or die "listen: $!";

    socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $self = bless {
        port => $listen->sockport, ctl => $here, in => '', id => 0,
        accepted => 0, replies => {}, owner => $$,
    }, $class;

    $self->{proc} = LLMTest::Proc->fork_child(
        sub {
            LLMTest::UpstreamLoop->new(
                listen => $listen, ctl => $there, %o)->run;
        },
        keep => [ $listen, $there ], name => 'upstream',
    );

    CORE::close($listen);
    CORE::close($there);

    $self->each_request(@{ $o{each} }) if $o{each};

    return $self;
}


sub port    { my ($self) = @_; return $self->{port} }
sub address { my ($self) = @_; return "127.0.0.1:$self->{port}" }
sub pid     { my ($self) = @_; return $self->{proc}->pid }


# Operations, for scripts: [ request ] (wait until a whole request is there),
# [ send => bytes ], [ cut => pieces... ] (each sent when the peer has read
# the one before), [ drained ] (wait until the peer has read all),
# [ hold ] (wait for the test's go), [ wait_close ], [ close ], [ reset ],
# [ half_close ], [ stop_reading ], [ start_reading ].
#
# script(@ops) is what the next connection without one does; call it again
# for the connection after it.  each_request(@ops) is done for every request
# on connections that have nothing else to do.

sub script {
    my ($self, @ops) = @_;

    $self->_call('script', ops => \@ops);

    return $self;
}


sub each_request {
    my ($self, @ops) = @_;

    $self->_call('each', ops => \@ops);

    return $self;
}


# the next connection, as a LLMTest::Upstream::Peer; undef on timeout

sub accept {
    my ($self, $seconds) = @_;
    my $n = $self->{accepted} + 1;

    $self->_call('connected', conn => $n, limit => $seconds) or return;
    $self->{accepted} = $n;

    return $self->peer($n);
}


# take($seconds): the next connection and the request that came on it

sub take {
    my ($self, $seconds) = @_;
    my $peer = $self->accept($seconds) or return;

    return ($peer, $peer->request($seconds));
}


# the n-th connection from 1, whether it exists or not

sub peer {
    my ($self, $n) = @_;

    return bless { upstream => $self, conn => $n }, 'LLMTest::Upstream::Peer';
}


# the number of connections so far

sub connections {
    my ($self) = @_;

    return $self->_call('count')->{count};
}


# no more connections: from now on they are refused

sub refuse {
    my ($self) = @_;

    $self->_call('refuse');

    return;
}


sub stop {
    my ($self) = @_;

    return if $self->{stopped}++;

    CORE::close(delete $self->{ctl});
    $self->{proc}->wait_exit(5);
    $self->{proc}->stop(2, 'TERM');

    return;
}


# one command and its answer; nothing when its condition did not come true

sub _call {
    my ($self, $command, %args) = @_;
    my $id = ++$self->{id};

    $args{limit} = limit($args{limit});

    my $message = Storable::freeze({ %args, command => $command, id => $id });
    _write_all($self->{ctl}, pack('N/a', $message));

    # the child keeps the limit; a little more for its answer
    my $until = now() + $args{limit} + limit(5);

    while (!$self->{replies}{$id}) {
        readable(fileno $self->{ctl}, $until)
            or die "upstream: no answer to $command\n";
        $self->_read_replies or die "upstream: the child is gone\n";
    }

    my $reply = delete $self->{replies}{$id};

    die "upstream: $reply->{error}\n" if $reply->{error};
    return if $reply->{timeout};
    return $reply;
}


sub _read_replies {
    my ($self) = @_;

    sysread($self->{ctl}, my $bytes, 65536) or return 0;
    $self->{in} .= $bytes;

    while (length $self->{in} >= 4) {
        my $size = unpack 'N', $self->{in};
        last if length $self->{in} < 4 + $size;

        my $reply = Storable::thaw(substr $self->{in}, 4, $size);
        substr $self->{in}, 0, 4 + $size, '';
        $self->{replies}{ $reply->{id} } = $reply;
    }

    return 1;
}


sub _write_all {
    my ($fh, $bytes) = @_;
    my $done = 0;

    while ($done < length $bytes) {
        my $n = syswrite $fh, $bytes, length($bytes) - $done, $done;
        die "upstream: $!\n" if !defined $n;
        $done += $n;
    }

    return;
}


sub DESTROY {
    my ($self) = @_;

    return if $self->{owner} != $$;

    local ($@, $!, $?);
    $self->stop;

    return;
}


package LLMTest::Upstream::Peer;

# One connection of the upstream.  Methods that wait return true or a value,
# and nothing (undef) when the time limit passed.

# the next request: a hash with method, path, headers, list, body, raw

sub request {
    my ($self, $seconds) = @_;
    my $reply = $self->_call('request', limit => $seconds) or return;

    return $reply->{request};
}


# sends and waits until the kernel has taken all of it

sub send {
    my ($self, $bytes, $seconds) = @_;

    return $self->run([ [ send => $bytes ] ], $seconds);
}


# sends each piece after the peer has read the one before, so that the peer
# cannot see two of them in one read

sub send_cut {
    my ($self, @pieces) = @_;

    return $self->run([ [ cut => @pieces ] ]);
}


# waits until the peer has read everything sent

sub drained {
    my ($self, $seconds) = @_;

    return $self->run([ ['drained'] ], $seconds);
}


sub close {
    my ($self, $seconds) = @_;

    return $self->run([ ['close'] ], $seconds);
}


sub reset {
    my ($self, $seconds) = @_;

    return $self->run([ ['reset'] ], $seconds);
}


sub half_close {
    my ($self, $seconds) = @_;

    return $self->run([ ['half_close'] ], $seconds);
}


# orders operations and returns at once

sub order {
    my ($self, @ops) = @_;

    $self->_call('push', ops => \@ops);

    return $self;
}


# lets a script go on from its [ hold ]

sub go {
    my ($self) = @_;

    $self->_call('go');

    return $self;
}


# orders operations and waits until all are done

sub run {
    my ($self, $ops, $seconds) = @_;

    $self->_call('push', ops => $ops);

    return $self->wait_idle($seconds);
}


# waits until every operation ordered is done; true if they all succeeded

sub wait_idle {
    my ($self, $seconds) = @_;
    my $reply = $self->_call('idle', limit => $seconds) or return;

    return $reply->{stat}{failed} ? 0 : 1;
}


# waits until the other side ends the connection; a hash: how ("fin" or
# "reset") and at (monotonic time, to compare with LLMTest::Wait::now)

sub wait_close {
    my ($self, $seconds) = @_;
    my $reply = $self->_call('closed', limit => $seconds) or return;

    return $reply->{stat}{closed};
}


# waits until bytes are left to send and none went out for that long (s): the
# peer has stopped reading.  Returns the stat() of then.

sub wait_stalled {
    my ($self, $quiet, $seconds) = @_;
    my $reply = $self->_call('stalled', quiet => $quiet // 0.5,
        limit => $seconds) or return;

    return $reply->{stat};
}


# sent, pending (bytes), received, requests (number), closed, failed, sni

sub stat {
    my ($self) = @_;

    return $self->_call('stat')->{stat};
}


# Answers in the usual forms.

# the head of a chunked answer; headers as a list of names and values

sub head {
    my ($self, $status, @headers) = @_;

    return $self->send(_head($status, @headers,
        'Transfer-Encoding' => 'chunked'));
}


sub sse_head {
    my ($self, @headers) = @_;

    return $self->head(200, 'Content-Type' => 'text/event-stream', @headers);
}


sub chunk {
    my ($self, @pieces) = @_;

    return $self->send(join '', map { LLMTest::Upstream::chunk($_) } @pieces);
}


# each value one event in one chunk of its own, all in one write

sub event {
    my ($self, @data) = @_;

    return $self->chunk(map { "data: $_\n\n" } @data);
}


sub last_chunk {
    my ($self) = @_;

    return $self->send("0\r\n\r\n");
}


# a whole answer with a content length

sub answer {
    my ($self, $status, $body, @headers) = @_;

    return $self->send(LLMTest::Upstream::answer($status, $body, @headers));
}


sub _head {
    my ($status, @headers) = @_;
    my $text = "HTTP/1.1 $status " . ($status < 400 ? 'OK' : 'Error') . "\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n";
}


sub _call {
    my ($self, $command, %args) = @_;

    return $self->{upstream}->_call($command, conn => $self->{conn}, %args);
}


package LLMTest::Upstream;

# The same as byte strings, for scripts.

sub chunk {
    my ($bytes) = @_;

    return sprintf "%x\r\n%s\r\n", length $bytes, $bytes;
}


sub answer {
    my ($status, $body, @headers) = @_;

    return LLMTest::Upstream::Peer::_head($status, @headers,
        'Content-Length' => length $body) . $body;
}


# a whole chunked event stream: one chunk for each string

sub stream {
    my (@chunks) = @_;

    return sse_head() . join('', map { chunk($_) } @chunks) . "0\r\n\r\n";
}


sub sse_head {
    my (@headers) = @_;

    return LLMTest::Upstream::Peer::_head(200,
        'Content-Type' => 'text/event-stream', @headers,
        'Transfer-Encoding' => 'chunked');
}


1;
