package LLMTest::SockDiag;

# Asks the kernel about one TCP connection of this machine over netlink
# (sock_diag), which costs microseconds however many connections there are;
# /proc/net/tcp is written out whole for every look, TIME_WAIT and all.
#
# use LLMTest::SockDiag; also makes the scripted upstream of this test ask
# here whether its peer has read what was sent.  Where there is no sock_diag
# all stays as it was.

use strict;
use warnings;

use Errno qw(ENOENT);
use Socket qw(AF_INET IPPROTO_TCP SOCK_RAW inet_aton);

use LLMTest::UpstreamLoop;

use constant {
    AF_NETLINK => 16, NETLINK_SOCK_DIAG => 4, SOCK_DIAG_BY_FAMILY => 20,
    NLM_F_REQUEST => 1, NLMSG_ERROR => 2, ANY => 0xffffffff,
};

my ($netlink, $owner);


# queues($local, $remote): of the socket with these two ports (both on
# 127.0.0.1) the bytes not read by its program and the bytes not yet
# acknowledged by its peer; () if there is no such socket; dies without
# sock_diag

sub queues {
    my ($local, $remote) = @_;
    my $address = inet_aton('127.0.0.1');
    my $request = pack('CCCCL nn a16a16 LLL',
        AF_INET, IPPROTO_TCP, 0, 0, ANY, $local, $remote, $address, $address,
        0, ANY, ANY);

    # a child must not share the socket of its parent
    if (($owner // 0) != $$) {
        socket($netlink, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
            or die "sock_diag: $!\n";
        $owner = $$;
    }

    my $message = pack('LSSLL', 16 + length $request, SOCK_DIAG_BY_FAMILY,
        NLM_F_REQUEST, 1, 0) . $request;

    defined send($netlink, $message, 0) or die "sock_diag: $!\n";
    defined recv($netlink, my $reply, 8192, 0) or die "sock_diag: $!\n";

    my (undef, $type) = unpack 'LS', $reply;

    if ($type == NLMSG_ERROR) {
        my $error = -unpack 'x16 l', $reply;
        return if $error == ENOENT;
        die "sock_diag: error $error\n";
    }

    # struct inet_diag_msg, behind its header: idiag_rqueue, idiag_wqueue
    return unpack 'x16 x4 x48 x4 LL', $reply;
}


# as UpstreamLoop's own

sub _peer_has_read {
    my ($c) = @_;
    my (undef, $unacked) = queues($c->{port}, $c->{peer_port});
    my ($unread) = queues($c->{peer_port}, $c->{port});

    return $unacked || $unread ? 0 : 1;
}


sub import {
    my $there = eval { queues(1, 1); 1 };

    return if !$there;

    no warnings 'redefine';
    *LLMTest::UpstreamLoop::_peer_has_read = \&_peer_has_read;

    return;
}


1;
