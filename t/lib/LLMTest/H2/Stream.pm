package LLMTest::H2::Stream;

# One request on an HTTP/2 connection.  Reading is LLMTest::Stream's, the
# chunks being DATA frames; sending keeps to the server's windows.

use strict;
use warnings;

use parent 'LLMTest::Stream';

use LLMTest::Client;
use LLMTest::HPACK;

use constant { END_STREAM => 0x1, END_HEADERS => 0x4, CANCEL => 8 };


# made by LLMTest::H2::request()

sub new {
    my ($class, $h2, $id, %o) = @_;
    my $self = bless {
        h2 => $h2, id => $id, window => $h2->{peer}{INITIAL_WINDOW_SIZE},
        auto => ($o{window} // 'auto') ne 'manual',
        owns => !$o{on}, trailers => [], early => [],
    }, $class;

    $self->_init(%o);

    return $self;
}


sub id          { my ($self) = @_; return $self->{id} }
sub h2          { my ($self) = @_; return $self->{h2} }
sub conn        { my ($self) = @_; return $self->{h2}->conn }
sub auto_window { my ($self) = @_; return $self->{auto} }
sub trailers    { my ($self) = @_; return @{ $self->{trailers} } }
sub early       { my ($self) = @_; return @{ $self->{early} } }


# the code of the RST_STREAM received, undef if there was none

sub rst { my ($self) = @_; return $self->{rst} }


sub send_request {
    my ($self, %o) = @_;
    my $h2 = $self->{h2};
    my $body = $o{body};
    my $open = defined $o{end_stream} && !$o{end_stream};
    my @headers = map { [ lc $_->[0], $_->[1] ] }
        LLMTest::Client::header_pairs($o{headers});

    push @headers, [ 'content-length', length $body ]
        if defined $body && !$open
        && !grep { $_->[0] eq 'content-length' } @headers;

    my $block = LLMTest::HPACK::encode(
        [ ':method', $o{method} // 'GET' ], [ ':scheme', $h2->{scheme} ],
        [ ':path', $o{path} // '/' ],
        [ ':authority', $o{host_header} // 'localhost' ], @headers);

    my $end = defined $body || $open ? 0 : END_STREAM;
    my $type = 'HEADERS';

    while (1) {
        my $part = substr $block, 0, 16384, '';
        my $last = $block eq '' ? END_HEADERS : 0;

        $h2->send_frame($type, $end | $last, $self->{id}, $part);
        last if $last;
        ($type, $end) = ('CONTINUATION', 0);
    }

    $self->send_data($body, !$open) if defined $body;

    return;
}


# send_data($bytes, $end): as the windows allow; the number of bytes sent

sub send_data {
    my ($self, $bytes, $end) = @_;
    my $h2 = $self->{h2};
    my $until = $self->_until(undef);
    my $sent = 0;

    while (1) {
        my $n = length($bytes) - $sent;

        for my $most ($h2->{window}, $self->{window},
            $h2->{peer}{MAX_FRAME_SIZE})
        {
            $n = $most if $most < $n;
        }

        if ($n > 0 || $sent == length $bytes) {
            my $last = $sent + $n == length $bytes;

            $h2->send_frame('DATA', $end && $last ? END_STREAM : 0,
                $self->{id}, substr $bytes, $sent, $n);
            $_->{window} -= $n for $h2, $self;
            $sent += $n;

            return $sent if $last;
            next;
        }

        # an answer before the end of the request may end it
        return $sent if $self->{ended} || !$h2->pump($until);
    }
}


sub window_update {
    my ($self, $n) = @_;

    return $self->{h2}->window_update($n, $self->{id});
}


sub reset {
    my ($self, $code) = @_;

    return $self->{h2}->send_frame('RST_STREAM', 0, $self->{id},
        pack 'N', $code // CANCEL);
}


# The client leaves: with its connection if that was made for this request
# alone, else with RST_STREAM.

sub close {
    my ($self) = @_;

    return $self->{owns} ? $self->{h2}->close : $self->reset;
}


sub abort {
    my ($self) = @_;

    return $self->{owns} ? $self->{h2}->abort : $self->reset;
}


sub _pump {
    my ($self, $until) = @_;

    return $self->{h2}->pump($until);
}


# From the connection.

sub on_headers {
    my ($self, $pairs, $end) = @_;

    if ($self->{head}) {
        push @{ $self->{trailers} }, @$pairs;

    } else {
        $self->_on_head(@$pairs);
    }

    $self->{ended} //= 'complete' if $end;

    return;
}


sub _on_head {
    my ($self, @pairs) = @_;
    my $head = { reason => '', list => [], headers => {} };

    for my $pair (@pairs) {
        my ($name, $value) = @$pair;

        if ($name eq ':status') {
            $head->{status} = $value;
            next;
        }

        push @{ $head->{list} }, $pair;
        $head->{headers}{$name} = exists $head->{headers}{$name}
            ? "$head->{headers}{$name}, $value" : $value;
    }

    if (($head->{status} // 0) < 200) {
        push @{ $self->{early} }, $head;

    } else {
        $self->{head} = $head;
    }

    return;
}


sub on_data {
    my ($self, $data, $end, $read) = @_;

    if ($data ne '') {
        $self->_on_cut(length $data);
        $self->_on_body($data, $read);
    }

    $self->{ended} //= 'complete' if $end;

    return;
}


sub on_reset {
    my ($self, $code) = @_;

    $self->{rst} //= $code;

    # NO_ERROR after the whole answer only says: send me no more
    $self->{ended} //= 'reset';

    return;
}


sub on_over {
    my ($self, $status) = @_;

    $self->{ended} //= $status;

    return;
}


1;
