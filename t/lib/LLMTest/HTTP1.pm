package LLMTest::HTTP1;

# An incremental parser of one HTTP/1.x message, request or response, strict
# about framing: what a lenient client would forgive is an error here.  It
# owns no socket.  Body bytes go to the on_body callback as they come.
#
# state: "head", "length", "size", "data", "data-end", "trailers", "close"
# (body until the connection ends), "done", "bad".

use strict;
use warnings;

my %NO_BODY = (204 => 1, 304 => 1);

# RFC 9110, section 5.6.2
my $TOKEN = qr/[!#\$%&'*+.^_`|~0-9A-Za-z-]+/;


# new(kind => "request" or "response", method => of the request answered,
#     on_body => sub { my ($bytes) = @_ }, on_chunk => sub { my ($size) = @_ })

sub new {
    my ($class, %o) = @_;

    return bless {
        kind => $o{kind}, method => $o{method} // 'GET',
        on_body => $o{on_body} || sub { },
        on_chunk => $o{on_chunk} || sub { },
        state => 'head', in => '', informational => [], trailers => [],
    }, $class;
}


sub state       { my ($self) = @_; return $self->{state} }
sub error       { my ($self) = @_; return $self->{error} }
sub head        { my ($self) = @_; return $self->{head} }
sub framing     { my ($self) = @_; return $self->{framing} }
sub trailers    { my ($self) = @_; return $self->{trailers} }
sub early       { my ($self) = @_; return $self->{informational} }


sub done {
    my ($self) = @_;

    return $self->{state} eq 'done';
}


# bytes after the end of the message, or not yet understood

sub rest {
    my ($self) = @_;

    return $self->{in};
}


sub feed {
    my ($self, $bytes) = @_;

    $self->{in} .= $bytes;

    while ($self->{state} ne 'done' && $self->{state} ne 'bad') {
        my $step = '_' . $self->{state} =~ tr/-/_/r;
        last if !$self->$step;
    }

    return;
}


# the connection ended in order: does that end the message?

sub eof {
    my ($self) = @_;

    $self->{state} = 'done' if $self->{state} eq 'close';

    return $self->{state} eq 'done';
}


sub _bad {
    my ($self, $why) = @_;

    $self->{state} = 'bad';
    $self->{error} = $why;

    return 0;
}


sub _head {
    my ($self) = @_;
    my $end = index $self->{in}, "\r\n\r\n";

    if ($end < 0) {
        return $self->_bad('bare LF in the head')
            if $self->{in} =~ /(?<!\r)\n/;
        return 0;
    }

    my $text = substr $self->{in}, 0, $end + 4, '';
    my ($first, @lines) = split /\r\n/, $text;
    my $head = { raw => $text, list => [] };

    if ($self->{kind} eq 'response') {
        ($head->{version}, $head->{status}, $head->{reason})
            = $first =~ m{^HTTP/(1\.[01]) (\d{3}) ?(.*)$}
            or return $self->_bad("bad status line: $first");

    } else {
        ($head->{method}, $head->{path}, $head->{version})
            = $first =~ m{^([A-Z]+) (\S+) HTTP/(1\.[01])$}
            or return $self->_bad("bad request line: $first");
    }

    my $headers = $head->{headers} = {};

    for my $line (@lines) {
        my ($name, $value) = $line =~ /^($TOKEN):[ \t]*(.*?)[ \t]*$/
            or return $self->_bad("bad header line: $line");
        push @{ $head->{list} }, [ $name, $value ];
        $name = lc $name;
        $headers->{$name} = exists $headers->{$name}
            ? "$headers->{$name}, $value" : $value;
    }

    if ($self->{kind} eq 'response' && $head->{status} < 200
        && $head->{status} != 101)
    {
        push @{ $self->{informational} }, $head;
        return 1;
    }

    $self->{head} = $head;

    return $self->_frame($head);
}


# RFC 9112, section 6.3

sub _frame {
    my ($self, $head) = @_;
    my $h = $head->{headers};

    if ($self->{kind} eq 'response'
        && ($self->{method} eq 'HEAD' || $NO_BODY{ $head->{status} }))
    {
        return $self->_set('none', 'done');
    }

    if (defined $h->{'transfer-encoding'}) {
        return $self->_bad("transfer-encoding $h->{'transfer-encoding'}")
            if lc $h->{'transfer-encoding'} ne 'chunked';
        return $self->_bad('transfer-encoding and content-length')
            if defined $h->{'content-length'};
        return $self->_set('chunked', 'size');
    }

    if (defined $h->{'content-length'}) {
        return $self->_bad("content-length $h->{'content-length'}")
            if $h->{'content-length'} !~ /^\d+$/;
        $self->{left} = $h->{'content-length'};
        return $self->_set('length', $self->{left} ? 'length' : 'done');
    }

    return $self->_set('none', 'done') if $self->{kind} eq 'request';
    return $self->_set('close', 'close');
}


sub _set {
    my ($self, $framing, $state) = @_;

    $self->{framing} = $framing;
    $self->{state} = $state;

    return 1;
}


sub _length {
    my ($self) = @_;

    return 0 if !$self->_take;
    return 1 if $self->{left};

    return $self->_set('length', 'done');
}


sub _close {
    my ($self) = @_;

    if ($self->{in} ne '') {
        my $bytes = $self->{in};
        $self->{in} = '';
        $self->{on_body}->($bytes);
    }

    return 0;
}


sub _size {
    my ($self) = @_;

    if ($self->{in} !~ /\n/) {
        return $self->_bad('bad chunk size line')
            if $self->{in} !~ /^[0-9A-Fa-f]{0,16}(?:;[^\r\n]*)?\r?$/;
        return 0;
    }

    $self->{in} =~ s/^([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n//
        or return $self->_bad('bad chunk size line');

    $self->{left} = hex $1;

    if ($self->{left} == 0) {
        $self->{state} = 'trailers';
        return 1;
    }

    $self->{on_chunk}->($self->{left});
    $self->{state} = 'data';

    return 1;
}


sub _data {
    my ($self) = @_;

    return 0 if !$self->_take;

    $self->{state} = 'data-end' if !$self->{left};

    return 1;
}


sub _data_end {
    my ($self) = @_;

    return 0 if length $self->{in} < 2 && $self->{in} =~ /^\r?$/;

    $self->{in} =~ s/^\r\n// or return $self->_bad('no CRLF after a chunk');
    $self->{state} = 'size';

    return 1;
}


sub _trailers {
    my ($self) = @_;

    $self->{in} =~ s/^([^\r\n]*)\r\n// or do {
        return $self->_bad('bad trailer') if $self->{in} =~ /(?<!\r)\n/;
        return 0;
    };

    if ($1 eq '') {
        $self->{state} = 'done';
        return 1;
    }

    push @{ $self->{trailers} }, $1;

    return 1;
}


# hands out at most the {left} bytes of the body or chunk

sub _take {
    my ($self) = @_;

    return 0 if $self->{in} eq '';

    my $bytes = substr $self->{in}, 0, $self->{left}, '';
    $self->{left} -= length $bytes;
    $self->{on_body}->($bytes);

    return 1;
}


1;
