package LLMTest::UpstreamLoop;

# The child process behind LLMTest::Upstream: one select() loop over the
# control socket, the listening socket and the connections.  Each connection
# has a queue of operations; the control side orders operations and waits for
# conditions.  It decides nothing on its own.

use strict;
use warnings;

use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET unpack_sockaddr_in);
use Storable ();

use LLMTest::Conn;
use LLMTest::HTTP1;
use LLMTest::SockDiag qw(peer_has_read);
use LLMTest::Wait qw(now select_bits);

# while a condition without a descriptor is watched (the peer's receive
# queue), in seconds
use constant POLL => 0.0002;


sub new {
    my ($class, %o) = @_;

    return bless {
        listen => $o{listen}, ctl => $o{ctl}, tls => $o{tls}, in => '',
        conns => [], scripts => [], each => [], waiters => [], run => 1,
        by_fd => {}, watched => {}, rbits => '', wbits => '',
    }, $class;
}


# until the control side is gone

sub run {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    while ($self->{run}) {
        $self->_turn;
    }

    return;
}


sub _turn {
    my ($self) = @_;
    my $read = $self->{rbits};

    vec($read, fileno $self->{ctl}, 1) = 1;
    vec($read, fileno $self->{listen}, 1) = 1 if $self->{listen};

    my ($r, $w) = select_bits($read, $self->{wbits}, $self->_wake);
    my %ready = map { $_ => 1 } @$r, @$w;

    # only those with something to do: there may be a thousand
    my @busy = (values %{ $self->{watched} },
        grep { defined } @{ $self->{by_fd} }{ keys %ready });

    push @busy, $self->_commands if $ready{ fileno $self->{ctl} };
    push @busy, $self->_accept
        if $self->{listen} && $ready{ fileno $self->{listen} };

    for my $c (@busy) {
        $self->_serve($c);
        $self->_interest($c);
    }

    $self->_answer;

    return;
}


# what select() is to say of this connection next time

sub _interest {
    my ($self, $c) = @_;
    my $fd = $c->{fd};
    my ($read, $write) = (0, 0);

    # another may have the number by now
    return if ($self->{by_fd}{$fd} // 0) != $c;

    delete $self->{watched}{$fd};

    if (!$c->{io}->is_open) {
        delete $self->{by_fd}{$fd};

    } elsif (!$c->{ready}) {
        $write = ($c->{io}{want} // '') eq 'write';
        $read = !$write;

    } else {
        $read = !$c->{closed} && !$c->{deaf};
        $write = $c->{out} ne '';
        $self->{watched}{$fd} = $c if $c->{watching};
    }

    vec($self->{rbits}, $fd, 1) = $read ? 1 : 0;
    vec($self->{wbits}, $fd, 1) = $write ? 1 : 0;

    return;
}


# when to look again at the latest

sub _wake {
    my ($self) = @_;
    my $at = now() + 3600;

    for my $w (@{ $self->{waiters} }) {
        $at = $w->{until} if $w->{until} < $at;

        if ($w->{command} eq 'stalled') {
            my $c = $self->{conns}[ $w->{conn} - 1 ] or next;
            my $quiet = $c->{moved} + $w->{quiet};
            $at = $quiet if $quiet < $at && $quiet > now();
        }
    }

    if (%{ $self->{watched} }) {
        my $soon = now() + POLL;
        $at = $soon if $soon < $at;
    }

    return $at;
}


# the new connections

sub _accept {
    my ($self) = @_;
    my $old = @{ $self->{conns} };

    while (my $sock = $self->{listen}->accept) {
        $sock->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);

        my $io = LLMTest::Conn->from_socket($sock);
        my ($peer_port) = unpack_sockaddr_in($sock->peername);

        $io->tls_server(%{ $self->{tls} }) if $self->{tls};

        my $c = {
            io => $io, fd => $io->fd, ready => !$self->{tls}, out => '',
            requests => [],
            taken => 0, scripted => 0, received => 0, moved => now(),
            peer_port => $peer_port, port => $sock->sockport,
            ops => shift @{ $self->{scripts} } || [], asked => 0,
            http => _parser(),
        };

        # from the start: a fast sender could be through before
        my ($op) = @{ $c->{ops} };
        $c->{deaf} = $op && $op->[0] eq 'stop_reading';

        push @{ $self->{conns} }, $c;
        $self->{by_fd}{ $c->{fd} } = $c;
    }

    return @{ $self->{conns} }[ $old .. $#{ $self->{conns} } ];
}


sub _parser {
    my $body = '';
    my $http = LLMTest::HTTP1->new(kind => 'request',
        on_body => sub { $body .= $_[0] });

    $http->{body} = \$body;

    return $http;
}


# reading, writing and operations of one connection, as far as they go now

sub _serve {
    my ($self, $c) = @_;
    my $io = $c->{io};

    return if !$io->is_open;

    if (!$c->{ready}) {
        if (!$io->handshake) {
            _over($c, 'tls') if $io->status ne 'ok';
            return;
        }
        $c->{ready} = 1;
    }

    _read($c) if !$c->{closed} && !$c->{deaf};

    while (1) {
        _flush($c);
        last if $c->{out} ne '' || !$c->{io}->is_open;
        last if !$self->_step($c);
    }

    return;
}


sub _read {
    my ($c) = @_;

    while (defined(my $bytes = $c->{io}->try_read)) {
        $c->{received} += length $bytes;
        _feed($c, $bytes);
    }

    my $status = $c->{io}->status;

    if ($status ne 'ok') {
        _over($c, $status eq 'eof' ? 'fin' : $status);
    }

    return;
}


sub _feed {
    my ($c, $bytes) = @_;

    while (1) {
        my $http = $c->{http};

        $http->feed($bytes);

        if ($http->state eq 'bad') {
            $c->{failed} //= 'bad request: ' . $http->error;
            return;
        }

        return if !$http->done;

        push @{ $c->{requests} },
            { %{ $http->head }, body => ${ $http->{body} }, at => now() };

        $bytes = $http->rest;
        $c->{http} = _parser();

        return if $bytes eq '';
    }
}


# the other side ended the connection

sub _over {
    my ($c, $how) = @_;

    $c->{closed} //= { how => $how, at => now() };

    # after a reset nothing can be sent; after a FIN it still can
    if ($how ne 'fin') {
        $c->{failed} //= $how if $c->{out} ne '';
        $c->{out} = '';
        $c->{io}->close;
    }

    return;
}


sub _flush {
    my ($c) = @_;

    while ($c->{out} ne '' && $c->{io}->is_open) {
        my $n = $c->{io}->try_write($c->{out}, 0);

        if (defined $n) {
            substr $c->{out}, 0, $n, '';
            $c->{moved} = now();
            next;
        }

        _over($c, $c->{io}->status) if $c->{io}->status ne 'ok';
        return;
    }

    return;
}


# one operation of the queue; true if it is done and the next may begin

sub _step {
    my ($self, $c) = @_;

    if (!@{ $c->{ops} }) {
        return 0 if !@{ $self->{each} }
            || $c->{scripted} >= @{ $c->{requests} };
        $c->{scripted}++;
        $c->{ops} = [ map { [@$_] } @{ $self->{each} } ];
        return 1;
    }

    my ($name, @args) = @{ $c->{ops}[0] };
    my $method = "_op_$name";

    if (!$self->can($method)) {
        $c->{failed} = "no operation $name";
        $c->{ops} = [];
        return 0;
    }

    return 0 if !$self->$method($c, @args);

    shift @{ $c->{ops} };

    return 1;
}


sub _op_request {
    my ($self, $c) = @_;

    if ($c->{scripted} < @{ $c->{requests} }) {
        $c->{scripted}++;
        return 1;
    }

    return _give_up($c);
}


sub _op_send {
    my ($self, $c, $bytes) = @_;

    $c->{out} .= $bytes;

    return 1;
}


# the pieces go one by one, each when the peer's receive queue is empty

sub _op_cut {
    my ($self, $c, @pieces) = @_;

    return 0 if !$self->_op_drained($c);

    my (undef, $piece, @rest) = @{ $c->{ops}[0] };

    if (!defined $piece) {
        return 1;
    }

    $c->{ops}[0] = [ 'cut', @rest ];
    $c->{out} .= $piece;
    _flush($c);
    $c->{watching} = 1;

    return 0;
}


sub _op_drained {
    my ($self, $c) = @_;

    $c->{watching} = 0;
    return 1 if !$c->{io}->is_open
        || peer_has_read($c->{port}, $c->{peer_port});
    $c->{watching} = 1;

    return 0;
}


sub _op_hold {
    my ($self, $c) = @_;

    return 0 if !$c->{go};
    $c->{go}--;

    return 1;
}


sub _op_wait_close {
    my ($self, $c) = @_;

    return $c->{closed} ? 1 : 0;
}


sub _op_close {
    my ($self, $c) = @_;

    $c->{io}->close;

    return 1;
}


sub _op_reset {
    my ($self, $c) = @_;

    $c->{io}->abort;

    return 1;
}


sub _op_half_close {
    my ($self, $c) = @_;

    $c->{io}->half_close;

    return 1;
}


sub _op_stop_reading {
    my ($self, $c) = @_;

    $c->{deaf} = 1;

    return 1;
}


sub _op_start_reading {
    my ($self, $c) = @_;

    $c->{deaf} = 0;

    return 1;
}


# what was waited for can no longer come

sub _give_up {
    my ($c) = @_;

    return 0 if !$c->{closed};

    $c->{failed} //= "closed: $c->{closed}{how}";

    return 1;
}


# the control side; the connections that got something to do

sub _commands {
    my ($self) = @_;
    my @busy;

    if (!sysread $self->{ctl}, $self->{in}, 65536, length $self->{in}) {
        $self->{run} = 0;
        return;
    }

    while (length $self->{in} >= 4) {
        my $size = unpack 'N', $self->{in};
        last if length $self->{in} < 4 + $size;

        my $m = Storable::thaw(substr $self->{in}, 4, $size);
        substr $self->{in}, 0, 4 + $size, '';
        $m->{until} = now() + $m->{limit};
        push @busy, $self->_command($m);
    }

    return @busy;
}


# what is done at once is answered at once; conditions become waiters.  The
# connections it is about.

sub _command {
    my ($self, $m) = @_;
    my $command = $m->{command};
    my $c = $m->{conn} ? $self->{conns}[ $m->{conn} - 1 ] : undef;

    if ($command eq 'script') {
        push @{ $self->{scripts} }, $m->{ops};

    } elsif ($command eq 'each') {
        $self->{each} = $m->{ops};

    } elsif ($command eq 'refuse') {
        CORE::close(delete $self->{listen}) if $self->{listen};

    } elsif ($command eq 'count') {
        $m->{reply} = { count => scalar @{ $self->{conns} } };

    } elsif (!$c && $command =~ /^(?:push|go|stat)$/) {
        $m->{reply} = { error => "no connection $m->{conn}" };

    } elsif ($command eq 'push') {
        push @{ $c->{ops} }, @{ $m->{ops} };

    } elsif ($command eq 'go') {
        $c->{go}++;

    } elsif ($command eq 'stat') {
        $m->{reply} = { stat => _stat($c) };

    } else {
        push @{ $self->{waiters} }, $m;
        return;
    }

    $self->_reply($m, $m->{reply} || {});

    # a new way to answer requests is for all
    return @{ $self->{conns} } if $command eq 'each';
    return $c || ();
}


# conditions that have come true, and those whose time is over

sub _answer {
    my ($self) = @_;
    my @waiting;

    for my $m (@{ $self->{waiters} }) {
        my $c = $self->{conns}[ $m->{conn} - 1 ];
        my $method = "_when_$m->{command}";
        my $reply = $c ? $self->$method($c, $m) : undef;

        if ($reply) {
            $self->_reply($m, $reply);

        } elsif (now() >= $m->{until}) {
            $self->_reply($m, { timeout => 1 });

        } else {
            push @waiting, $m;
        }
    }

    $self->{waiters} = \@waiting;

    return;
}


sub _when_connected {
    my ($self, $c) = @_;

    return $c->{ready} || $c->{closed} ? { ok => 1 } : undef;
}


sub _when_request {
    my ($self, $c) = @_;

    if ($c->{taken} >= @{ $c->{requests} }) {
        return $c->{closed} ? { request => undef } : undef;
    }

    my $request = $c->{requests}[ $c->{taken}++ ];
    $c->{scripted} = $c->{taken} if $c->{scripted} < $c->{taken};

    return { request => $request };
}


sub _when_idle {
    my ($self, $c) = @_;

    return { stat => _stat($c) } if !$c->{io}->is_open;
    return if @{ $c->{ops} } || $c->{out} ne '';

    return { stat => _stat($c) };
}


sub _when_closed {
    my ($self, $c) = @_;

    return $c->{closed} ? { stat => _stat($c) } : undef;
}


sub _when_stalled {
    my ($self, $c, $m) = @_;

    return if $c->{out} eq '' || now() < $c->{moved} + $m->{quiet};

    return { stat => _stat($c) };
}


sub _stat {
    my ($c) = @_;

    return {
        sent => $c->{io}{sent}, pending => length $c->{out},
        received => $c->{received}, requests => scalar @{ $c->{requests} },
        closed => $c->{closed}, failed => $c->{failed},
        ops => scalar @{ $c->{ops} },
        sni => $c->{ready} ? $c->{io}->sni : undef,
    };
}


sub _reply {
    my ($self, $m, $reply) = @_;
    my $bytes = pack 'N/a', Storable::freeze({ %$reply, id => $m->{id} });
    my $done = 0;

    while ($done < length $bytes) {
        my $n = syswrite $self->{ctl}, $bytes, length($bytes) - $done, $done;

        if (!defined $n) {
            $self->{run} = 0;
            return;
        }

        $done += $n;
    }

    return;
}


1;
