package LLMTest::SockDiag;

# Whether what was sent on a TCP connection of this machine has been read by
# its peer's program: asked of the kernel over netlink (sock_diag), which
# costs microseconds however many connections there are.  Where that is not
# to be had, /proc/net/tcp says it, written out whole for every look,
# TIME_WAIT and all: milliseconds, or a second on a busy machine.

use strict;
use warnings;

use Errno qw(ENOENT);
use Socket qw(AF_INET IPPROTO_TCP SOCK_RAW inet_aton);

use Exporter 'import';

use constant {
    AF_NETLINK => 16, NETLINK_SOCK_DIAG => 4, SOCK_DIAG_BY_FAMILY => 20,
    NLM_F_REQUEST => 1, NLMSG_ERROR => 2, ANY => 0xffffffff,
    TCP_LISTEN => 10,
};

our @EXPORT_OK = qw(peer_has_read);

my ($netlink, $owner);
my $there = eval { _queues(1, 1); 1 };


# peer_has_read($local, $remote): true if nothing that was sent from the first
# port lies unread, or not yet acknowledged, at the second one

sub peer_has_read {
    my ($local, $remote) = @_;

    return _in_proc($local, $remote) if !$there;

    my (undef, $unacked) = _queues($local, $remote);
    my ($unread) = _queues($remote, $local);

    return $unacked || $unread ? 0 : 1;
}


# of the socket with these two ports (both on 127.0.0.1) the bytes not read by
# its program and the bytes not yet acknowledged by its peer; () if there is
# no such socket; dies without sock_diag

sub _queues {
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

    # struct inet_diag_msg, behind its header: idiag_state, idiag_rqueue,
    # idiag_wqueue
    my ($state, @queues) = unpack 'x16 x C x2 x48 x4 LL', $reply;

    # the connection is gone, and this is who listens on its port
    return if $state == TCP_LISTEN;
    return @queues;
}


sub _in_proc {
    my ($ours, $theirs) = map { sprintf '%04X', $_ } @_;

    open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";

    while (my $line = readline $fh) {
        my ($local, $remote, $tx, $rx) = $line =~
            /^\s*\d+: \w+:(\w+) \w+:(\w+) \w\w (\w+):(\w+) / or next;

        return 0 if $local eq $ours && $remote eq $theirs && hex $tx;
        return 0 if $local eq $theirs && $remote eq $ours && hex $rx;
    }

    return 1;
}


1;
