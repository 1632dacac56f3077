package LLMBench::StepByStep;

# Provider and client of an entrant in one process: it sends one event, waits
# until that event came out of the entrant, and only then sends the next.  So
# the entrant does the same work for each event whatever the machine is doing.
# It owns the provider's socket; what is said is BenchFrames'.
#
#     my $steps = LLMBench::StepByStep->new;
#     $entrant->start($steps->address);
#     $steps->stream($entrant->port, { frames => 'openai-short',
#         client => 'simple', prefix => '/a', length => 20 });

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

use BenchFrames ();

# how long anything may take, in seconds: nginx under a tool is slow
use constant LIMIT => 60;


sub new {
    my ($class) = @_;

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
        ReuseAddr => 1) // die "listen: $!\n";

    return bless { socket => $socket }, $class;
}


sub address {
    my ($self) = @_;

    return '127.0.0.1:' . $self->{socket}->sockport;
}


# A request that nginx refuses by itself: a connection that a count is cut at.

sub mark {
    my ($self, $port) = @_;
    my $client = _connect($port);

    print {$client} "no request\r\n\r\n";
    _read_all($client);

    return;
}


# One stream: { frames (a name of BenchFrames), client (the dialect of the
# request; what comes back is not looked at), prefix, length (text events) }.

sub stream {
    my ($self, $port, $stream) = @_;

    my $what = "$stream->{frames} to $stream->{client}";
    my ($type, $begin, $event, $end)
        = BenchFrames::stream($stream->{frames});
    my ($path, $body) = BenchFrames::request($stream->{client});
    my $client = _connect($port);

    _ask($client, "$stream->{prefix}$path", $body);

    my $server = $self->_accept($what);

    # each stream has a connection of its own, so that they do not differ
    print {$server} "HTTP/1.1 200 OK\r\nContent-Type: $type\r\n",
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

    my $first = $begin->();
    print {$server} _chunk($first) if $first ne '';

    for my $k (1 .. $stream->{length}) {
        my $text = BenchFrames::text($k);

        print {$server} _chunk($event->($k));
        _read_until($client, $what, $text);
    }

    print {$server} _chunk($end->($stream->{length})), "0\r\n\r\n";

    my $rest = _read_all($client);
    $rest =~ /(?:\A|\r\n)0\r\n\r\n\z/
        or die "$what: no orderly end: $rest\n";

    # nginx has closed its side, or does when this is closed
    close $server;

    return;
}


sub _accept {
    my ($self, $what) = @_;

    IO::Select->new($self->{socket})->can_read(LIMIT)
        or die "$what: no request came through\n";

    my $server = $self->{socket}->accept or die "accept: $!\n";

    $server->autoflush(1);
    $server->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    _read_request($server);

    return $server;
}


sub _connect {
    my ($port) = @_;

    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port) // die "connect: $!\n";

    $s->autoflush(1);

    return $s;
}


sub _ask {
    my ($s, $uri, $body) = @_;

    print {$s} "POST $uri HTTP/1.1\r\nHost: bench\r\n",
        "Connection: close\r\nContent-Type: application/json\r\n",
        'Content-Length: ', length $body, "\r\n\r\n", $body;

    return;
}


sub _chunk {
    my ($bytes) = @_;

    return sprintf "%x\r\n%s\r\n", length $bytes, $bytes;
}


sub _read_some {
    my ($s, $buf) = @_;

    IO::Select->new($s)->can_read(LIMIT)
        or die 'nothing came for ' . LIMIT . " s\n";

    return sysread $s, $$buf, 65536, length $$buf;
}


sub _read_until {
    my ($s, $what, $text) = @_;
    my $seen = '';

    while (index($seen, $text) < 0) {
        _read_some($s, \$seen)
            or die "$what: connection closed early: $seen\n";
    }

    return;
}


sub _read_request {
    my ($s) = @_;
    my $seen = '';

    while ($seen !~ /\r\n\r\n/
        || ($seen =~ /^Content-Length: (\d+)/mi
            && length($seen) < $1 + 4 + index $seen, "\r\n\r\n"))
    {
        _read_some($s, \$seen) or die "the request was cut: $seen\n";
    }

    return;
}


sub _read_all {
    my ($s) = @_;
    my $seen = '';

    1 while _read_some($s, \$seen);

    return $seen;
}


1;
