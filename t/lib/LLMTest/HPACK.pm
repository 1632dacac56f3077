package LLMTest::HPACK;

# Header compression, RFC 7541: as much as a test client needs.  It encodes
# only literals without indexing and decodes everything a server may send,
# Huffman coding and the dynamic table included.

use strict;
use warnings;

# RFC 7541, appendix A: name and value of entries 1 to 61
my @STATIC = (
    [ ':authority', '' ], [ ':method', 'GET' ], [ ':method', 'POST' ],
    [ ':path', '/' ], [ ':path', '/index.html' ], [ ':scheme', 'http' ],
    [ ':scheme', 'https' ], [ ':status', '200' ], [ ':status', '204' ],
    [ ':status', '206' ], [ ':status', '304' ], [ ':status', '400' ],
    [ ':status', '404' ], [ ':status', '500' ], [ 'accept-charset', '' ],
    [ 'accept-encoding', 'gzip, deflate' ],
    map { [ $_, '' ] } qw(
        accept-language accept-ranges accept access-control-allow-origin age
        allow authorization cache-control content-disposition content-encoding
        content-language content-length content-location content-range
        content-type cookie date etag expect expires from host if-match
        if-modified-since if-none-match if-range if-unmodified-since
        last-modified link location max-forwards proxy-authenticate
        proxy-authorization range referer refresh retry-after server
        set-cookie strict-transport-security transfer-encoding user-agent
        vary via www-authenticate
    ),
);

# Appendix B: the lengths in bits of the codes of the bytes 0 to 255.  The
# code is canonical, so the codes follow from them.
my @LENGTHS = qw(
    13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
    28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
    6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6
    5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
    13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7
    7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
    15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5
    6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
    20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
    24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
    22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
    21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
    26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
    19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
    20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
    26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
);

my %byte_of = _codes();


sub _codes {
    my %byte;
    my ($code, $last) = (0, 0);

    for my $symbol (
        sort { $LENGTHS[$a] <=> $LENGTHS[$b] || $a <=> $b } 0 .. 255)
    {
        my $length = $LENGTHS[$symbol];
        $code <<= $length - $last;
        $last = $length;
        $byte{ sprintf '%0*b', $length, $code++ } = chr $symbol;
    }

    return %byte;
}


# one for each direction of a connection; new($table_size)

sub new {
    my ($class, $size) = @_;

    return bless { table => [], size => 0, max => $size // 4096 }, $class;
}


# a header block of the pairs, all literals without indexing

sub encode {
    my (@pairs) = @_;

    return join '', map { "\0" . _string($_->[0]) . _string($_->[1]) } @pairs;
}


sub _string {
    my ($bytes) = @_;

    return _integer(length $bytes, 7, 0) . $bytes;
}


# an integer in a prefix of so many bits; the flags are the bits above it

sub _integer {
    my ($n, $bits, $flags) = @_;
    my $max = (1 << $bits) - 1;

    return chr($flags | $n) if $n < $max;

    my $out = chr($flags | $max);

    for ($n -= $max; $n >= 128; $n >>= 7) {
        $out .= chr(128 | $n & 127);
    }

    return $out . chr $n;
}


# the pairs of a header block; dies if it is malformed

sub decode {
    my ($self, $block) = @_;
    my @pairs;

    while ($block ne '') {
        my $first = ord $block;

        if ($first & 0x80) {
            push @pairs, [ @{ $self->_entry(_take_integer(\$block, 7)) } ];

        } elsif ($first & 0x40) {
            my $pair = $self->_literal(\$block, 6);
            $self->_add($pair);
            push @pairs, $pair;

        } elsif ($first & 0x20) {
            $self->{max} = _take_integer(\$block, 5);
            $self->_evict;

        } else {
            push @pairs, $self->_literal(\$block, 4);
        }
    }

    return @pairs;
}


sub _literal {
    my ($self, $block, $bits) = @_;
    my $index = _take_integer($block, $bits);
    my $name = $index ? $self->_entry($index)->[0] : _take_string($block);

    return [ $name, _take_string($block) ];
}


sub _entry {
    my ($self, $index) = @_;
    my $entry = $index <= @STATIC
        ? $STATIC[ $index - 1 ] : $self->{table}[ $index - @STATIC - 1 ];

    die "HPACK: no entry $index\n" if !$index || !$entry;

    return $entry;
}


sub _add {
    my ($self, $pair) = @_;

    unshift @{ $self->{table} }, $pair;
    $self->{size} += _size($pair);
    $self->_evict;

    return;
}


sub _evict {
    my ($self) = @_;

    while ($self->{size} > $self->{max}) {
        $self->{size} -= _size(pop @{ $self->{table} });
    }

    return;
}


sub _size {
    my ($pair) = @_;

    return 32 + length($pair->[0]) + length $pair->[1];
}


sub _take_integer {
    my ($block, $bits) = @_;
    my $max = (1 << $bits) - 1;
    my $n = _take_byte($block) & $max;

    return $n if $n < $max;

    for (my $shift = 0;; $shift += 7) {
        my $byte = _take_byte($block);

        die "HPACK: integer too long\n" if $shift > 28;
        $n += ($byte & 127) << $shift;
        return $n if $byte < 128;
    }
}


sub _take_byte {
    my ($block) = @_;

    die "HPACK: block too short\n" if $$block eq '';

    return ord substr $$block, 0, 1, '';
}


sub _take_string {
    my ($block) = @_;
    my $huffman = ord($$block) & 0x80;
    my $length = _take_integer($block, 7);

    die "HPACK: string longer than block\n" if $length > length $$block;

    my $bytes = substr $$block, 0, $length, '';

    return $huffman ? _unhuffman($bytes) : $bytes;
}


sub _unhuffman {
    my ($bytes) = @_;
    my ($out, $code) = ('', '');

    for my $bit (split //, unpack 'B*', $bytes) {
        $code .= $bit;

        if (defined $byte_of{$code}) {
            $out .= $byte_of{$code};
            $code = '';
        }
    }

    # what is left must be the beginning of the code of all ones
    die "HPACK: bad Huffman padding\n" if $code !~ /^1{0,7}$/;

    return $out;
}


1;
