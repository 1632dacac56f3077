package LLMTest::H2;

# An HTTP/2 client at the level of frames, where the test decides what is
# sent and when the windows open.  It answers on its own only SETTINGS and
# PING, and with automatic windows (the default) gives back what it read.
# A connection carries any number of LLMTest::H2::Stream.

use strict;
use warnings;

use Scalar::Util qw(weaken);

use LLMTest::Conn;
use LLMTest::H2::Stream;
use LLMTest::HPACK;
use LLMTest::Wait qw(now deadline);

use constant PREFACE => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

my @TYPES = qw(DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING
    GOAWAY WINDOW_UPDATE CONTINUATION);
my %TYPE = map { $TYPES[$_] => $_ } 0 .. $#TYPES;

my %SETTING = (
    HEADER_TABLE_SIZE => 1, ENABLE_PUSH => 2, MAX_CONCURRENT_STREAMS => 3,
    INITIAL_WINDOW_SIZE => 4, MAX_FRAME_SIZE => 5, MAX_HEADER_LIST_SIZE => 6,
);
my %SETTING_NAME = reverse %SETTING;

use constant {
    END_STREAM => 0x1, ACK => 0x1, END_HEADERS => 0x4, PADDED => 0x8,
    PRIORITIZED => 0x20,
};


# new(port => N, tls => {...}, settings => { INITIAL_WINDOW_SIZE => N, ... },
#     window => "manual", rcvbuf => BYTES, limit => SECONDS): connects, sends
# the preface and SETTINGS, does not wait for the server's

sub new {
    my ($class, %o) = @_;
    my $conn = LLMTest::Conn->connect_to(%o);

    if ($o{tls} && ($conn->alpn // '') ne 'h2') {
        die "the server did not choose h2\n";
    }

    my $self = bless {
        conn => $conn, in => '', hpack => LLMTest::HPACK->new,
        streams => {}, next_id => 1, frames => [], nread => 0,
        auto => ($o{window} // 'auto') ne 'manual', limit => $o{limit},
        scheme => $o{tls} ? 'https' : 'http',
        window => 65535, peer => { INITIAL_WINDOW_SIZE => 65535,
            MAX_FRAME_SIZE => 16384 },
    }, $class;

    $self->{conn}->write(PREFACE, deadline($o{limit}));
    $self->send_settings(%{ $o{settings} || {} });

    return $self;
}


sub conn { my ($self) = @_; return $self->{conn} }


# what the server set

sub peer_settings { my ($self) = @_; return $self->{peer} }


# the GOAWAY received: a hash of last, code, debug

sub goaway_received { my ($self) = @_; return $self->{goaway} }


# why the connection ended: as LLMTest::Conn's status; undef while it lives

sub ended { my ($self) = @_; return $self->{ended} }


# The frames received, DATA left out: hashes of type, flags, stream, length,
# payload, at.

sub frames {
    my ($self, $type) = @_;

    return grep { !$type || $_->{type} eq $type } @{ $self->{frames} };
}


# request(method, path, headers, body, end_stream => 0 (more to be sent),
#         window => "manual" for this stream alone, keep, format, limit)

sub request {
    my ($self, %o) = @_;
    my $id = $self->{next_id};

    $self->{next_id} += 2;

    my $stream = LLMTest::H2::Stream->new($self, $id, %o);

    $self->{streams}{$id} = $stream;
    weaken($self->{streams}{$id});

    $stream->send_request(%o);

    return $stream;
}


# Sending.

sub send_frame {
    my ($self, @frame) = @_;

    return $self->{conn}->write(_frame_bytes(@frame),
        deadline($self->{limit}));
}


sub _frame_bytes {
    my ($type, $flags, $stream, $payload) = @_;
    my $length = length $payload;

    return pack('CnCCN', $length >> 16, $length & 0xffff,
        $TYPE{$type} // $type, $flags, $stream) . $payload;
}


sub send_settings {
    my ($self, %settings) = @_;
    my $payload = join '', map { pack 'nN', $SETTING{$_} // $_, $settings{$_} }
        sort keys %settings;

    return $self->send_frame('SETTINGS', 0, 0, $payload);
}


# opens the window of the connection, or of a stream

sub window_update {
    my ($self, $n, $stream) = @_;

    return $self->send_frame('WINDOW_UPDATE', 0, $stream // 0, pack 'N', $n);
}


sub goaway {
    my ($self, $code, $last) = @_;

    return $self->send_frame('GOAWAY', 0, 0, pack 'NN', $last // 0,
        $code // 0);
}


# ping($seconds): true when the answer is there.  The server answers in
# order, so it has then read all that was sent before.

sub ping {
    my ($self, $seconds) = @_;
    my $until = deadline($seconds // $self->{limit});
    my $payload = pack 'NN', $$, ++$self->{pings};

    $self->send_frame('PING', 0, 0, $payload);

    while (!$self->{pong}{$payload}) {
        return 0 if !$self->pump($until);
    }

    return 1;
}


# wait_frame(TYPE, $seconds): the first frame of that type, from now or
# before; undef if none comes

sub wait_frame {
    my ($self, $type, $seconds) = @_;
    my $until = deadline($seconds // $self->{limit});

    while (1) {
        my ($frame) = $self->frames($type);
        return $frame if $frame;
        return if !$self->pump($until);
    }
}


# waits until the server closes the connection; true if it did

sub wait_close {
    my ($self, $seconds) = @_;
    my $until = deadline($seconds // $self->{limit});

    while (!$self->{ended}) {
        return 0 if !$self->pump($until);
    }

    return 1;
}


sub close { my ($self) = @_; $self->{conn}->close; return }
sub abort { my ($self) = @_; $self->{conn}->abort; return }


# Receiving: one read and all frames it completes.  True if there was
# anything.

sub pump {
    my ($self, $until) = @_;

    return 0 if $self->{ended};

    my $bytes = $self->{conn}->read_some($until);

    if (!defined $bytes) {
        my $status = $self->{conn}->is_open
            ? $self->{conn}->status : 'error closed';

        $self->_over($status =~ s/^error:/error/r) if $status ne 'timeout';
        return $status eq 'timeout' ? 0 : 1;
    }

    $self->{nread}++;
    $self->{in} .= $bytes;

    while (length $self->{in} >= 9) {
        my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $self->{in};
        my $length = $high << 16 | $low;

        last if length $self->{in} < 9 + $length;

        my $payload = substr $self->{in}, 9, $length;
        substr $self->{in}, 0, 9 + $length, '';

        $self->_frame($TYPES[$type] // $type, $flags, $stream & 0x7fffffff,
            $payload);
    }

    $self->_give_back;

    return 1;
}


# automatic windows: what one read brought is given back in one write

sub _give_back {
    my ($self) = @_;
    my $give = delete $self->{give} or return;

    $self->{conn}->write(
        join('', map { _frame_bytes('WINDOW_UPDATE', 0, $_,
            pack 'N', $give->{$_}) } sort keys %$give),
        deadline($self->{limit}));

    return;
}


# the connection is gone, and all its streams with it

sub _over {
    my ($self, $status) = @_;

    $self->{ended} //= $status;

    for my $stream (grep { defined } values %{ $self->{streams} }) {
        $stream->on_over($status);
    }

    return;
}


sub _frame {
    my ($self, $type, $flags, $id, $payload) = @_;
    my $method = "_on_" . lc $type;

    if ($type ne 'DATA') {
        push @{ $self->{frames} }, {
            type => $type, flags => $flags, stream => $id, at => now(),
            length => length $payload, payload => $payload,
        };
    }

    $self->$method($flags, $id, $payload) if $self->can($method);

    return;
}


sub _on_data {
    my ($self, $flags, $id, $payload) = @_;
    my $stream = $self->{streams}{$id};
    my $size = length $payload;
    my $data = _unpad($flags, $payload);

    if ($self->{auto} && $size) {
        $self->{give}{0} += $size;
        $self->{give}{$id} += $size
            if !($flags & END_STREAM) && $stream && $stream->auto_window;
    }

    $stream->on_data($data, $flags & END_STREAM, $self->{nread}) if $stream;

    return;
}


sub _on_headers {
    my ($self, $flags, $id, $payload) = @_;

    $payload = _unpad($flags, $payload);
    $payload = substr $payload, 5 if $flags & PRIORITIZED;

    $self->{block} = { id => $id, end => $flags & END_STREAM, bytes => '' };
    $self->_block($flags, $payload);

    return;
}


sub _on_continuation {
    my ($self, $flags, $id, $payload) = @_;

    $self->_block($flags, $payload);

    return;
}


sub _block {
    my ($self, $flags, $payload) = @_;
    my $block = $self->{block};

    $block->{bytes} .= $payload;
    return if !($flags & END_HEADERS);

    # also for streams nobody holds any more: the table must stay in step
    my @pairs = $self->{hpack}->decode($block->{bytes});
    my $stream = $self->{streams}{ $block->{id} };

    $stream->on_headers(\@pairs, $block->{end}) if $stream;

    return;
}


sub _on_rst_stream {
    my ($self, $flags, $id, $payload) = @_;
    my $stream = $self->{streams}{$id} or return;

    $stream->on_reset(unpack 'N', $payload);

    return;
}


sub _on_settings {
    my ($self, $flags, $id, $payload) = @_;

    return if $flags & ACK;

    my @pairs = unpack '(nN)*', $payload;

    while (my ($key, $value) = splice @pairs, 0, 2) {
        my $name = $SETTING_NAME{$key} // $key;

        if ($name eq 'INITIAL_WINDOW_SIZE') {
            for my $stream (grep { defined } values %{ $self->{streams} }) {
                $stream->{window} += $value - $self->{peer}{$name};
            }
        }

        $self->{peer}{$name} = $value;
    }

    $self->send_frame('SETTINGS', ACK, 0, '');

    return;
}


sub _on_ping {
    my ($self, $flags, $id, $payload) = @_;

    if ($flags & ACK) {
        $self->{pong}{$payload} = 1;
        return;
    }

    $self->send_frame('PING', ACK, 0, $payload);

    return;
}


sub _on_goaway {
    my ($self, $flags, $id, $payload) = @_;
    my ($last, $code) = unpack 'NN', $payload;

    $self->{goaway} = { last => $last & 0x7fffffff, code => $code,
        debug => substr $payload, 8 };

    return;
}


sub _on_window_update {
    my ($self, $flags, $id, $payload) = @_;
    my $owner = $id ? $self->{streams}{$id} : $self;

    $owner->{window} += unpack('N', $payload) & 0x7fffffff if $owner;

    return;
}


sub _unpad {
    my ($flags, $payload) = @_;

    return $payload if !($flags & PADDED);

    my $padding = ord $payload;

    return substr $payload, 1, length($payload) - 1 - $padding;
}


1;
