package MockRaw;

# Raw sockets against llm-mock: starts it, sends requests as bytes, reads
# answers as bytes, asks its control side.  It knows HTTP and SSE only as far
# as its own few lines, so that nothing can hide a fault of the mock.  It must
# never interpret what a test wants to see untouched.

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Socket qw(SOL_SOCKET SO_RCVBUF);

our @EXPORT = qw(available start stop main_mock dial put get body request ask
    head_of body_of chunks stream events delta_text control wait_for ack
    chunk_of memory);

# The command may have arguments, as in "valgrind -q llm-mock".
my @command = split ' ', $ENV{LLM_MOCK} || 'build/llm-mock';

# Seconds for anything that has to happen; only a failure takes that long.
my $limit = $ENV{LLM_MOCK_LIMIT} || 30;

my $mock;

# Is there a mock to test?

sub available {
    local $SIG{PIPE} = 'IGNORE';
    return system("command -v '$command[0]' >/dev/null 2>&1") == 0;
}

# Starts the mock that all functions talk to when no port is given, and sets
# a limit for the whole test.

sub main_mock {
    my (@arguments) = @_;

    $SIG{PIPE} = 'IGNORE';
    $SIG{ALRM} = sub { die "the whole test took too long\n" };
    alarm 40 * $limit;
    $mock = start(@arguments);

    return $mock;
}

# Starts a mock and returns { pid, port, tls, in, out }.  It ends when its
# standard input does, so it cannot outlive this process.

sub start {
    my (@arguments) = @_;

    pipe my $child_in, my $in or die "pipe: $!";
    pipe my $out, my $child_out or die "pipe: $!";

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        close $in;
        close $out;
        open STDIN,  '<&', $child_in  or die "stdin: $!";
        open STDOUT, '>&', $child_out or die "stdout: $!";
        exec @command, '--parent-pipe', @arguments or die "exec: $!";
    }

    close $child_in;
    close $child_out;

    my $line = readline $out;
    my ($port, $tls) = ($line // '') =~ /^listening http=(\d+) tls=(\d+)\n\z/
        or die 'llm-mock did not start: ' . ($line // 'no output');

    return { pid => $pid, port => $port, tls => $tls, in => $in,
        out => $out };
}

sub stop {
    my ($m, $signal) = @_;

    kill $signal, $m->{pid} if $signal;
    close $m->{in} if !$signal;

    local $SIG{ALRM} = sub { kill 'KILL', $m->{pid} };
    my $left = alarm $limit;
    waitpid $m->{pid}, 0;
    my $status = $?;
    alarm $left;

    return $status;
}

# Memory of the main mock in kilobytes; undef without /proc.

sub memory {
    open my $f, '<', "/proc/$mock->{pid}/status" or return;
    my ($kb) = join('', readline $f) =~ /^VmRSS:\s+(\d+) kB/m;

    return $kb;
}

sub dial {
    my ($port, %options) = @_;

    my $s = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack 'l', $options{rcvbuf}
        if $options{rcvbuf};
    $s->connect(Socket::pack_sockaddr_in($port // $mock->{port},
        Socket::inet_aton('127.0.0.1'))) or die "connect: $!";

    return $s;
}

sub put {
    my ($s, $bytes) = @_;

    my $at = 0;

    while ($at < length $bytes) {
        my $n = syswrite $s, $bytes, length($bytes) - $at, $at;
        return if !defined $n;
        $at += $n;
    }

    return 1;
}

# Reads until the bytes match, or until the end when there is no pattern.
# Returns the bytes and how it ended: "match", "eof", "reset".

sub get {
    my ($s, $pattern, $bytes) = @_;

    $bytes //= '';
    my $deadline = time + $limit;
    my $select = IO::Select->new($s);

    for (;;) {
        return wantarray ? ($bytes, 'match') : $bytes
            if defined $pattern && $bytes =~ $pattern;

        die "not what was waited for in $limit s: ", substr($bytes, -300), "\n"
            if !$select->can_read($limit) || time > $deadline;

        my $n = sysread $s, $bytes, 65536, length $bytes;

        if (!defined $n) {
            return wantarray ? ($bytes, 'reset') : $bytes;
        }

        if ($n == 0) {
            return wantarray ? ($bytes, 'eof') : $bytes;
        }
    }

    return;
}

my $hello = '{"role":"user","content":"hello big world"}';

sub body {
    my (%o) = @_;

    my $more = $o{more} ? ",$o{more}" : '';
    my $stream = $o{plain} ? '' : ',"stream":true';
    $stream .= ',"stream_options":{"include_usage":true}' if $o{usage};

    return sprintf '{"model":"%s","messages":[%s]%s%s}', $o{model} // 'm',
        $o{messages} // $hello, $stream, $more;
}

sub request {
    my ($mock_options, %o) = @_;

    my $body = $o{body} // body(%o);
    my $close = $o{keep} ? '' : "Connection: close\r\n";
    my $x = defined $mock_options ? "X-Mock: $mock_options\r\n" : '';

    return sprintf "%s %s HTTP/1.%d\r\nHost: mock\r\n%s%s%s"
        . "Content-Length: %d\r\n\r\n%s", $o{method} // 'POST',
        $o{path} // '/v1/chat/completions', $o{minor} // 1, $close, $x,
        $o{headers} // '', length $body, $body;
}

# One request on a connection of its own, read to its end.

sub ask {
    my ($mock_options, %o) = @_;

    my $s = dial($o{port});
    put($s, request($mock_options, %o));

    return get($s);
}

sub head_of { return $_[0] =~ /\A(.*?\r\n)\r\n/s ? $1 : '' }
sub body_of { return $_[0] =~ /\A.*?\r\n\r\n(.*)\z/s ? $1 : '' }

# The chunks of a chunked body; dies on anything that is not well-formed.

sub chunks {
    my ($bytes) = @_;

    my @chunks;

    while ($bytes =~ /\G([0-9a-f]+)\r\n/gc) {
        my $n = hex $1;
        last if $n == 0;
        push @chunks, substr $bytes, pos $bytes, $n;
        pos($bytes) += $n;
        $bytes =~ /\G\r\n/gc or die "no CRLF after a chunk\n";
    }

    die "no last chunk\n" if substr($bytes, pos $bytes // 0) ne "\r\n";

    return @chunks;
}

sub stream { return join '', chunks(body_of(scalar ask(@_))) }

# The JSON of each event, "[DONE]" as such.

sub events {
    my ($text) = @_;

    my @events;

    for my $block (split /(?:\r\n|\r|\n){2}/, $text) {
        for my $line (split /\r\n|\r|\n/, $block) {
            push @events, $1 eq '[DONE]' ? $1 : decode_json($1)
                if $line =~ /\Adata: (.*)\z/s;
        }
    }

    return @events;
}

sub delta_text {
    my ($text, $member, $choice) = @_;

    $member //= 'content';

    my @deltas = map { $_->{delta}{$member} // '' }
        grep { $_->{index} == ($choice // 0) }
        map { @{ $_->{choices} } } grep { ref } events($text);

    return join '', @deltas;
}

sub control {
    my ($method, $path, $body, %o) = @_;

    my $raw = ask(undef, method => $method, path => "/mock/$path",
        body => $body // '', port => $o{port});
    my ($status) = $raw =~ /\AHTTP\/1\.1 (\d+)/;
    my $json = decode_json(body_of($raw));

    return wantarray ? ($json, $status) : $json;
}

sub wait_for {
    my ($condition, $ms) = @_;

    $ms //= 1000 * $limit;

    my ($json, $status) = control('GET', "wait?$condition&timeout=$ms");

    return wantarray ? ($json, $status) : $status == 200;
}

sub ack { return control('POST', "ack?id=$_[0]&n=" . ($_[1] // 1)) }

sub chunk_of { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

1;
