package LLMTest::Records;

# What somebody on the wire sees of TLS streams: the size and the time of each
# record of application data, never its content.  It owns its connections; TLS
# is spoken over memory, so that the bytes of the wire are in its hands.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Net::SSLeay;

use LLMTest::Wait qw(now limit);

use constant APPLICATION_DATA => 23;

Net::SSLeay::initialize();


# watch(port => N, together => N, requests => [ bytes, … ]): sends each
# request on a connection of its own, so many at a time, and reads until the
# server closes; for each request { records => [ [ time, bytes ], … ],
# text => what was read }

sub watch {
    my (%o) = @_;
    my $ctx = Net::SSLeay::CTX_new() or die "no TLS\n";
    my $select = IO::Select->new;
    my $end = now() + limit(60);
    my (@done, %open);
    my $next = 0;

    while ($next < @{ $o{requests} } || %open) {

        while ($next < @{ $o{requests} } && keys %open < $o{together}) {
            my $c = _connect($ctx, $o{port}, $o{requests}[$next]);

            $c->{at} = $next++;
            $open{ $c->{socket} } = $c;
            $select->add($c->{socket});
        }

        # for as long as it takes, if only one after the other does
        die "streams did not end\n" if now() > $end;

        for my $socket ($select->can_read(1)) {
            my $c = $open{$socket};

            next if _read($c);

            $select->remove($socket);
            delete $open{$socket};
            Net::SSLeay::free($c->{ssl});
            close $socket;
            $done[ $c->{at} ] = { records => $c->{records},
                text => $c->{text} };
            $end = now() + limit(60);
        }
    }

    Net::SSLeay::CTX_free($ctx);

    return \@done;
}


sub _connect {
    my ($ctx, $port, $request) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port) or die "connect: $!\n";
    my $ssl = Net::SSLeay::new($ctx);
    my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) }
        1 .. 2;

    Net::SSLeay::set_bio($ssl, $in, $out);
    Net::SSLeay::set_connect_state($ssl);

    my $c = { socket => $socket, ssl => $ssl, in => $in, out => $out,
        request => $request, wire => '', records => [], text => '' };

    Net::SSLeay::do_handshake($ssl);
    _send($c);

    return $c;
}


sub _send {
    my ($c) = @_;

    while (Net::SSLeay::BIO_pending($c->{out})) {
        my $bytes = Net::SSLeay::BIO_read($c->{out}, 16384);

        while (length $bytes) {
            my $n = syswrite $c->{socket}, $bytes;

            die "write: $!\n" if !defined $n;
            substr $bytes, 0, $n, '';
        }
    }

    return;
}


# false: the server closed

sub _read {
    my ($c) = @_;
    my $n = sysread $c->{socket}, my $bytes, 65536;

    return 0 if !$n;

    _see($c, $bytes);
    Net::SSLeay::BIO_write($c->{in}, $bytes);

    if ($c->{request} && Net::SSLeay::do_handshake($c->{ssl}) == 1) {
        Net::SSLeay::write($c->{ssl}, delete $c->{request});
    }

    _send($c);

    while (!$c->{request}) {
        my $text = Net::SSLeay::read($c->{ssl});

        last if !defined $text || $text eq '';
        $c->{text} .= $text;
    }

    return 1;
}


# the heads of the records, RFC 8446, section 5.1

sub _see {
    my ($c, $bytes) = @_;

    $c->{wire} .= $bytes;

    while (length $c->{wire} >= 5) {
        my ($type, undef, $n) = unpack 'Cnn', $c->{wire};

        last if length $c->{wire} < 5 + $n;

        substr $c->{wire}, 0, 5 + $n, '';

        # the handshake's own are encrypted, too
        push @{ $c->{records} }, [ now(), $n ]
            if $type == APPLICATION_DATA && !$c->{request};
    }

    return;
}


1;
