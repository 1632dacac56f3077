package LLMTest::Conn;

# One byte connection, plain TCP or TLS, never blocking: every read and write
# has a deadline and says in status() what became of it.  It knows nothing of
# HTTP.  Both the clients and the scripted upstream stand on it.
#
# status: "ok", "timeout", "eof" (orderly end), "reset" (RST), "truncated"
# (TLS connection ended without close_notify), "error: ..." (all else).

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR EINPROGRESS ECONNRESET EPIPE);
use IO::Socket::INET;
use IO::Socket::SSL;
use Scalar::Util qw(weaken);
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF SO_SNDBUF SO_ERROR AF_INET
    SOCK_STREAM IPPROTO_TCP TCP_NODELAY inet_aton pack_sockaddr_in);

use LLMTest::Wait qw(now deadline readable writable);

use constant READ_SIZE => 65536;

my %open;       # all connections, weak, so that a test's end can close them


# connect(port => N, host => ADDRESS, rcvbuf => BYTES, sndbuf => BYTES,
#         tls => { alpn, ca, name, cert, key }, limit => SECONDS)
# Dies when there is no connection; a failed TLS handshake too.

sub connect_to {
    my ($class, %o) = @_;
    my $until = deadline($o{limit});

    my $sock = IO::Socket::INET->new;
    $sock->socket(AF_INET, SOCK_STREAM, 0) or die "socket: $!";
    $sock->blocking(0);
    $sock->setsockopt(SOL_SOCKET, SO_RCVBUF, $o{rcvbuf}) if $o{rcvbuf};
    $sock->setsockopt(SOL_SOCKET, SO_SNDBUF, $o{sndbuf}) if $o{sndbuf};
    $sock->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);

    my $to = pack_sockaddr_in($o{port}, inet_aton($o{host} // '127.0.0.1'));

    if (!CORE::connect($sock, $to)) {
        die "connect to port $o{port}: $!\n" if $! != EINPROGRESS;
        writable(fileno $sock, $until)
            or die "connect to port $o{port}: timed out\n";

        my $error = unpack 'i', $sock->getsockopt(SOL_SOCKET, SO_ERROR);
        if ($error) {
            local $! = $error;
            die "connect to port $o{port}: $!\n";
        }
    }

    my $self = $class->from_socket($sock);
    $self->_tls_client($o{tls}, $until) if $o{tls};

    return $self;
}


# takes over a connected socket

sub from_socket {
    my ($class, $sock) = @_;

    $sock->blocking(0);

    my $self = bless {
        sock => $sock, status => 'ok', sent => 0, received => 0, owner => $$,
    }, $class;

    $open{ 0 + $self } = $self;
    weaken($open{ 0 + $self });

    return $self;
}


sub fd     { my ($self) = @_; return fileno $self->{sock} }
sub status { my ($self) = @_; return $self->{status} }
sub sock   { my ($self) = @_; return $self->{sock} }


sub is_open {
    my ($self) = @_;

    return defined $self->{sock};
}


sub _tls_client {
    my ($self, $o, $until) = @_;

    my %args = (
        SSL_startHandshake  => 0,
        SSL_hostname        => $o->{name} // 'localhost',
        SSL_verify_mode     => SSL_VERIFY_NONE,
    );

    $args{SSL_alpn_protocols} = $o->{alpn} if $o->{alpn};
    $args{SSL_cert_file} = $o->{cert} if $o->{cert};
    $args{SSL_key_file} = $o->{key} if $o->{key};

    if ($o->{ca}) {
        $args{SSL_verify_mode} = SSL_VERIFY_PEER;
        $args{SSL_ca_file} = $o->{ca};
        $args{SSL_verifycn_scheme} = 'http';
        $args{SSL_verifycn_name} = $o->{name} // 'localhost';
    }

    IO::Socket::SSL->start_SSL($self->{sock}, %args)
        or die "TLS: $SSL_ERROR\n";
    $self->{tls} = 'connect_SSL';

    while (!$self->handshake) {
        die "TLS handshake: $self->{status}\n" if $self->{status} ne 'ok';
        $self->_await($until) or die "TLS handshake: timed out\n";
    }

    return;
}


# makes an accepted connection a TLS one; handshake() does the rest

sub tls_server {
    my ($self, %o) = @_;

    IO::Socket::SSL->start_SSL(
        $self->{sock},
        SSL_server          => 1,
        SSL_startHandshake  => 0,
        SSL_cert_file       => $o{cert},
        SSL_key_file        => $o{key},
        SSL_verify_mode     => $o{client_ca}
            ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
            : SSL_VERIFY_NONE,
        ($o{client_ca} ? (SSL_ca_file => $o{client_ca}) : ()),
    ) or die "TLS: $SSL_ERROR\n";

    $self->{tls} = 'accept_SSL';

    return;
}


# one step of the handshake: true when it is done

sub handshake {
    my ($self) = @_;
    my $method = $self->{tls};

    return 1 if !$method || $self->{ready};

    if ($self->{sock}->$method) {
        $self->{ready} = 1;
        return 1;
    }

    if ($SSL_ERROR != SSL_WANT_READ && $SSL_ERROR != SSL_WANT_WRITE) {
        $self->{status} = "error: $SSL_ERROR";

    } else {
        $self->{want} = $SSL_ERROR == SSL_WANT_WRITE ? 'write' : 'read';
    }

    return 0;
}


sub alpn {
    my ($self) = @_;

    return $self->{tls} && $self->{sock}
        ? $self->{sock}->alpn_selected : undef;
}


# the name the client asked for by SNI

sub sni {
    my ($self) = @_;

    return $self->{tls} && $self->{sock}
        ? $self->{sock}->get_servername : undef;
}


sub _await {
    my ($self, $until) = @_;

    return writable($self->fd, $until) if ($self->{want} // '') eq 'write';
    return readable($self->fd, $until);
}


# read_some($until): whatever comes first, at most 64 kB, waiting until the
# deadline; nothing when status() is no longer "ok"

sub read_some {
    my ($self, $until) = @_;

    return if !$self->{sock};

    while (1) {
        my $bytes = $self->try_read;

        return $bytes if defined $bytes;
        return if $self->{status} ne 'ok';

        if (!$self->_await($until)) {
            $self->{status} = 'timeout';
            return;
        }
    }
}


# what is there now, without waiting; nothing if there is nothing, or when
# status() is no longer "ok"

sub try_read {
    my ($self) = @_;

    return if !$self->{sock};

    $self->{status} = 'ok' if $self->{status} eq 'timeout';

    my $n = sysread($self->{sock}, my $bytes, READ_SIZE);

    if ($n) {
        $self->{received} += $n;
        return $bytes;
    }

    if (defined $n) {
        $self->{status} = 'eof';
        return;
    }

    $self->_failed('read');

    return;
}


# write($bytes, $until): the number of bytes the kernel took.  Less than all
# with status "timeout", "reset" or an error.

sub write {
    my ($self, $bytes, $until) = @_;
    my $done = 0;

    while ($done < length $bytes && $self->{sock}) {
        my $n = $self->try_write($bytes, $done);

        if (defined $n) {
            $done += $n;
            next;
        }

        last if $self->{status} ne 'ok';

        my $ready = $self->{want} eq 'read'
            ? readable($self->fd, $until) : writable($self->fd, $until);

        if (!$ready) {
            $self->{status} = 'timeout';
            last;
        }
    }

    return $done;
}


sub try_write {
    my ($self, $bytes, $from) = @_;

    return if !$self->{sock};

    $self->{status} = 'ok' if $self->{status} eq 'timeout';

    my $n = syswrite($self->{sock}, $bytes, length($bytes) - $from, $from);

    if (defined $n) {
        $self->{sent} += $n;
        return $n;
    }

    $self->_failed('write');

    return;
}


# tells "try later" from the end of the connection

sub _failed {
    my ($self, $what) = @_;
    my $errno = $! + 0;
    my $text = "$!";

    $self->{want} = $what;

    if ($self->{tls}) {
        if ($SSL_ERROR == SSL_WANT_READ || $SSL_ERROR == SSL_WANT_WRITE) {
            $self->{want} = $SSL_ERROR == SSL_WANT_WRITE ? 'write' : 'read';
            return;
        }
    }

    return if $errno == EAGAIN || $errno == EWOULDBLOCK || $errno == EINTR;

    if ($errno == ECONNRESET || $errno == EPIPE) {
        $self->{status} = 'reset';

    } elsif ($self->{tls} && "$SSL_ERROR" =~ /eof/i) {
        $self->{status} = 'truncated';

    } else {
        $self->{status} = 'error: ' . ($self->{tls} ? $SSL_ERROR : $text);
    }

    return;
}


# an orderly end: close_notify, FIN

sub close {
    my ($self) = @_;
    my $sock = delete $self->{sock} or return;

    delete $open{ 0 + $self };

    # a handshake that failed leaves a plain socket behind
    if ($sock->isa('IO::Socket::SSL')) {
        $sock->close(SSL_fast_shutdown => 1, SSL_ctx_free => 1);

    } else {
        CORE::close($sock);
    }

    return;
}


# the end as a crashed program leaves it: RST, no close_notify

sub abort {
    my ($self) = @_;
    my $sock = delete $self->{sock} or return;

    delete $open{ 0 + $self };
    setsockopt($sock, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0);

    if ($sock->isa('IO::Socket::SSL')) {
        $sock->close(SSL_no_shutdown => 1, SSL_ctx_free => 1);

    } else {
        CORE::close($sock);
    }

    return;
}


# close_notify and FIN, while reading goes on

sub half_close {
    my ($self) = @_;

    return if !$self->{sock};

    Net::SSLeay::shutdown($self->{sock}->_get_ssl_object) if $self->{tls};

    return shutdown($self->{sock}, 1);
}


# closes every connection of this process that a test left open

sub close_all {
    for my $self (grep { defined } values %open) {
        $self->close if $self->{owner} == $$;
    }

    return;
}


sub DESTROY {
    my ($self) = @_;

    return if !$self->{sock} || $self->{owner} != $$;

    local ($@, $!, $?);
    $self->close;

    return;
}


1;
