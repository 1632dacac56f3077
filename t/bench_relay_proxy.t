#!/usr/bin/perl

# llm-relay as a proxy: bytes, ends of connections, peers that do not read,
# many clients, and what it makes of answers in any pieces.  The test is
# client and server at once, over raw sockets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use IO::Socket::INET;
use LLMTest::Proc;
use LLMTest::Relay;
use LLMTest::Wait qw(deadline readable wait_for);
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Test::More;

my $root = "$FindBin::Bin/..";
my $binary = LLMTest::Relay::binary($root);

plan skip_all => "no $binary: make bench-tools" if !-x $binary;

$SIG{PIPE} = 'IGNORE';

my $dir = tempdir(CLEANUP => 1);
my $server = IO::Socket::INET->new(Listen => 4096, LocalAddr => '127.0.0.1')
    or die "listen: $!";

# Options that change nothing, but have the relay read the answers.
my @reading = ('--stall', '1000000000:1');

my $relay;

sub relay_with {
    my (@args) = @_;

    $relay = LLMTest::Relay->new(root => $root, log => "$dir/relay",
        to => '127.0.0.1:' . $server->sockport, args => \@args);

    return $relay;
}

# Both ends of a connection through the relay.

sub both {
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $relay->port) or die "connect: $!";

    readable(fileno $server, deadline()) or die "the relay does not connect\n";

    return ($client, scalar $server->accept);
}

sub put {
    my ($s, $bytes) = @_;
    my $at = 0;

    while ($at < length $bytes) {
        my $n = syswrite $s, $bytes, length($bytes) - $at, $at;
        die "write: $!" if !defined $n;
        $at += $n;
    }

    return;
}

# Reads n bytes, or to the end: bytes and "eof", "reset" or nothing.

sub get {
    my ($s, $n) = @_;
    my $bytes = '';

    while (!defined $n || length $bytes < $n) {
        readable(fileno $s, deadline()) or return ($bytes, 'timeout');
        my $got = sysread $s, $bytes, 65536, length $bytes;
        return ($bytes, 'reset') if !defined $got;
        return ($bytes, 'eof') if !$got;
    }

    return ($bytes, '');
}

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

sub stamp {
    my ($k) = @_;
    my $said = sprintf '%06x.%014x.%08x', $k, 5, 0;

    return sprintf 'data: {"text":"~%s.%02x;"}' . "\n\n", $said,
        unpack('%8C*', $said);
}

my $head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

# Answers of every framing, one behind the other.

my @answers = (
    "HTTP/1.1 100 Continue\r\n\r\n",
    $head . chunk('one') . chunk('two' x 50_000) . "0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree",
    "HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n"
        . "4;ext=1\r\nfour\r\n0\r\nTrailer: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nto the end",
);

for my $case ([[], 'passing'], [\@reading, 'reading']) {
    my ($args, $name) = @$case;

    subtest "$name: bytes" => sub {
        relay_with(@$args);
        my ($c, $s) = both();
        my $request = "POST / HTTP/1.1\r\n\r\n" . join '', map { chr }
            0 .. 255;

        put($c, $request);
        is((get($s, length $request))[0], $request, 'to the server');

        put($s, $_) for @answers;
        shutdown $s, 1;
        my ($bytes, $end) = get($c);
        ok($bytes eq join('', @answers), 'to the client');
        is($end, 'eof', 'and its end');

        ($c, $s) = both();
        put($s, $_) for split //, join '', map { substr $_, 0, 4000 } @answers;
        put($s, 'zz');
        shutdown $s, 1;
        ($bytes) = get($c);
        ok($bytes eq join('', map { substr $_, 0, 4000 } @answers) . 'zz',
            'a byte at a time, and what is no HTTP');

        is($relay->stop->{connections}, 2, 'connections');
    };

    subtest "$name: ends" => sub {
        relay_with(@$args);
        my ($c, $s) = both();

        put($c, 'request');
        shutdown $c, 1;
        is(join(' ', get($s)), 'request eof', 'half-close of the client');
        put($s, $answers[3]);
        is((get($c, length $answers[3]))[0], $answers[3],
            'the other half is open');
        shutdown $s, 1;
        is(join(' ', get($c)), ' eof', 'and ends');

        ($c, $s) = both();
        shutdown $s, 1;
        is(join(' ', get($c)), ' eof', 'half-close of the server');
        put($c, 'more');
        shutdown $c, 1;
        is(join(' ', get($s)), 'more eof', 'the other half is open');

        for my $who (0, 1) {
            my @ends = both();
            setsockopt $ends[$who], SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
            close $ends[$who];
            is(join(' ', get($ends[1 - $who])), ' reset',
                ('client', 'server')[$who] . ' resets');
        }

        is($relay->stop->{broken}, 2, 'broken connections');
    };

    subtest "$name: a client that does not read" => sub {
        relay_with(@$args);
        my ($c, $s) = both();
        my $bytes = $head . join '', map { chunk($_ x 10_000) } 'a' .. 'z';
        my ($sent, $at) = (0, 0);

        # until nothing is taken any more
        $s->blocking(0);
        for (my $until = deadline(2); ;) {
            my ($some) = substr $bytes, $at;
            my $n = syswrite $s, $some;

            if (!defined $n) {
                last if !LLMTest::Wait::writable(fileno $s, deadline(0.3));
                next;
            }

            ($sent, $at) = ($sent + $n, $at + $n);

            # the same chunks again and again
            $at = length $head if $at == length $bytes;
            last if $sent > 200_000_000;
        }

        cmp_ok($sent, '<', 200_000_000, "stops the server ($sent bytes)");
        cmp_ok(memory(), '<', 20_000, 'and is not kept in memory');

        shutdown $s, 1;
        my ($got, $end) = (0, '');

        while (!$end) {
            (my $some, $end) = get($c, 1 << 20);
            $got += length $some;
        }

        is("$got $end", "$sent eof", 'all of it came');
        ok($relay->stop, 'ends well');
    };
}

sub memory {
    open my $f, '<', '/proc/' . $relay->pid . '/status' or die "status: $!";
    my ($kb) = join('', readline $f) =~ /^VmRSS:\s+(\d+) kB/m;

    return $kb;
}

sub descriptors {
    opendir my $d, '/proc/' . $relay->pid . '/fd' or die "fd: $!";

    return scalar grep { /^\d/ } readdir $d;
}

subtest 'many clients' => sub {
    relay_with('--delay', 1);
    my $before = descriptors();
    my $memory;

    for my $round (1 .. 4) {
        my @pairs = map { [both()] } 1 .. 400;

        put($_->[0], 'request') for @pairs;
        put($_->[1], $head . chunk(stamp(1)) . "0\r\n\r\n") for @pairs;

        my $length = length $head . chunk(stamp(1)) . "0\r\n\r\n";
        my @bad = grep { (get($_->[0], $length))[1] } @pairs;
        is(scalar @bad, 0, "round $round: all served");
        cmp_ok(descriptors(), '>=', $before + 800, "round $round: at once");

        close $_->[$round % 2] for @pairs;
        @pairs = ();
        ok(wait_for(sub { descriptors() == $before }),
            "round $round: nothing stays open");
        $memory //= memory();
    }

    cmp_ok(memory(), '<', $memory + 1000, 'nor in memory');

    my $did = $relay->stop;
    is($did->{events}, 1600, 'events');
    is($did->{delay_us}{count}, 1600, 'of each its delay');
};

# Stamps of what comes through when the answer comes a byte at a time.

sub told {
    my ($n, @args) = @_;

    relay_with(@args);
    my ($c, $s) = both();
    my $all = $head . chunk("data: {}\n\n")
        . join('', map { chunk(stamp($_)) } 1 .. $n)
        . chunk("data: [DONE]\n\n") . "0\r\n\r\n";

    put($s, $_) for split //, $all;
    shutdown $s, 1;

    my ($bytes) = get($c);
    like($bytes, qr/\A\Q$head\E.*data: \[DONE\]\n\n\r\n0\r\n\r\n\z/s,
        "@args: begins and ends as it should");

    return ($bytes, $relay->stop,
        join ' ', map { hex } $bytes =~ /~([0-9a-f]{6})\./g);
}

subtest 'lies' => sub {
    my ($bytes, $did, $told) = told(6, '--drop', 3);
    is($told, '1 2 4 5', 'drop');
    is("$did->{chunks} $did->{events} $did->{dropped}", '8 6 2', 'counted');

    (undef, $did, $told) = told(5, '--duplicate', 2);
    is($told, '1 2 2 3 4 4 5', 'duplicate');
    is($did->{duplicated}, 2, 'counted');

    (undef, $did, $told) = told(6, '--swap', 3);
    is($told, '1 2 4 3 5 6', 'swap; the last one has no other');
    is($did->{swapped}, 1, 'counted when done');

    ($bytes, $did) = told(80, '--corrupt', 2);
    my $good = join '', map { stamp($_) } 1 .. 80;
    my $came = join '', $bytes =~ /(data: \{"text.*?\}\n\n)/gs;
    is(length $came, length $good, 'corrupt: nothing is longer');

    my @wrong = grep { substr($came, $_, 1) ne substr $good, $_, 1 }
        0 .. length($good) - 1;
    is(scalar @wrong, 40, 'one byte in each second');
    is($did->{corrupted}, 40, 'counted');

    my $size = length stamp(1);
    my $first = index stamp(1), '~';
    my %places = map { $_ % $size - $first => 1 } @wrong;
    is_deeply([sort { $a <=> $b } keys %places], [0 .. 34],
        'each byte of a stamp has its turn');
};

subtest 'times' => sub {
    relay_with('--delay', 30, '--stall', '2:60');
    my ($c, $s) = both();

    put($s, $head . join('', map { chunk(stamp($_)) } 1 .. 3) . "0\r\n\r\n");
    close $s;

    my ($bytes, $end) = get($c);
    is(join(' ', map { hex } $bytes =~ /~([0-9a-f]{6})\./g), '1 2 3',
        'in order');
    like($bytes, qr/\r\n0\r\n\r\n\z/, 'all of it');
    is($end, 'eof', 'then the end');

    my $did = $relay->stop;
    is($did->{stalled}, 1, 'stalled');
    cmp_ok($did->{delay_us}{min}, '>=', 30_000, 'none sooner');

    my $late = 0;
    $late += $_->[1] for grep { $_->[0] >= 90_000 }
        @{ $did->{delay_us}{hist} };
    cmp_ok($late, '>=', 2, 'the stalled one and what is behind it later');
};

subtest 'a server that is not there' => sub {
    my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
    my $port = $free->sockport;
    close $free;

    $relay = LLMTest::Relay->new(root => $root, log => "$dir/relay",
        to => "127.0.0.1:$port");
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $relay->port);
    is(join(' ', get($c)), ' reset', 'is told to the client');
    ok($relay->alive, 'and harms nobody else');
    ok($relay->stop, 'ends well');
};

subtest 'arguments' => sub {
    for my $bad ([], ['--to', 'nowhere'], ['--to', '127.0.0.1:0'],
        ['--to', '127.0.0.1:1', '--drop', 0], ['--stall', '5'],
        ['--stall', '0:5'], ['--delay', '-1'], ['--delay', 'x'],
        ['--listen', 65536], ['--nonsense', 1], ['--to'])
    {
        my $p = LLMTest::Proc->spawn(cmd => [$binary, @$bad],
            stderr => "$dir/bad");
        is(($p->wait_exit // -1) >> 8, 2, "refused: @$bad");
    }

    ok(-s "$dir/bad", 'with a message');
};

done_testing();
