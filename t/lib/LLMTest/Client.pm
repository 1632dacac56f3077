package LLMTest::Client;

# An HTTP/1.x client whose every step the test decides: it sends what it is
# told to and reads only when it is asked to.  Reading is LLMTest::Stream's.

use strict;
use warnings;

use parent 'LLMTest::Stream';

use LLMTest::Conn;
use LLMTest::HTTP1;
use LLMTest::Wait qw(deadline);


# request(port => N, tls => {...}, method, path, headers => {} or [[n, v]..],
#         body => BYTES, http10 => 1, chunked => 1 or [pieces], raw => BYTES,
#         head_only => 1 (content-length is sent, the body is not),
#         on => a finished stream whose connection is used again,
#         rcvbuf, keep => 0, limit, format)
# Sends the request and returns at once.

sub request {
    my ($class, %o) = @_;
    my $self = bless {}, $class;
    my $rest = '';

    $self->_init(%o);

    if ($o{on}) {
        $self->{conn} = $o{on}{conn};
        $rest = $o{on}{http}->rest;

    } else {
        $self->{conn} = LLMTest::Conn->connect_to(%o);
    }

    $self->{nread} = 0;
    $self->{method} = $o{method} // 'GET';
    $self->{http} = $self->_parser;

    $self->send(defined $o{raw} ? $o{raw} : _format_request(%o));
    $self->{raw} = '';
    $self->_feed($rest) if $rest ne '';

    return $self;
}


sub conn     { my ($self) = @_; return $self->{conn} }
sub framing  { my ($self) = @_; return $self->{http}->framing }
sub trailers { my ($self) = @_; return @{ $self->{http}->trailers } }
sub early    { my ($self) = @_; return @{ $self->{http}->early } }


# all bytes from the wire, head and framing included (with keep => 1)

sub raw_bytes {
    my ($self) = @_;

    return $self->{raw};
}


# bytes after the end of the response

sub extra {
    my ($self) = @_;

    return $self->{ended} ? $self->{http}->rest : '';
}


# send($bytes): the number the kernel took.  A connection that breaks here is
# no error yet: its answer may be waiting.

sub send {
    my ($self, $bytes) = @_;

    return $self->{conn}->write($bytes, $self->_until(undef));
}


sub send_chunk {
    my ($self, $bytes) = @_;

    return $self->send(sprintf "%x\r\n%s\r\n", length $bytes, $bytes);
}


sub send_last_chunk {
    my ($self) = @_;

    return $self->send("0\r\n\r\n");
}


sub close      { my ($self) = @_; $self->{conn}->close; return }
sub abort      { my ($self) = @_; $self->{conn}->abort; return }
sub half_close { my ($self) = @_; return $self->{conn}->half_close }


# true when the server ends the connection, whatever comes before that

sub wait_close {
    my ($self, $seconds) = @_;
    my $until = $self->_until($seconds);

    while ($self->{conn}->status =~ /^(?:ok|timeout)$/) {
        $self->_pump($until);
        return 0 if $self->{conn}->status eq 'timeout';
    }

    return 1;
}


sub _parser {
    my ($self) = @_;

    # the callbacks live no longer than the feed() that uses them
    return LLMTest::HTTP1->new(kind => 'response', method => $self->{method});
}


sub _feed {
    my ($self, $bytes) = @_;
    my $http = $self->{http};

    local $http->{on_body} = sub { $self->_on_body($_[0], $self->{nread}) };
    local $http->{on_chunk} = sub { $self->_on_cut($_[0]) };

    $self->{raw} .= $bytes if $self->{keep};
    $http->feed($bytes);
    $self->{head} = $http->head;

    if ($http->state eq 'bad') {
        $self->{ended} //= 'bad ' . $http->error;

    } elsif ($http->done) {
        $self->{ended} //= 'complete';
    }

    return;
}


sub _pump {
    my ($self, $until) = @_;
    my $bytes = $self->{conn}->read_some($until);

    if (defined $bytes) {
        $self->{nread}++;
        $self->_feed($bytes);
        return 1;
    }

    my $status = $self->{conn}->is_open
        ? $self->{conn}->status : 'error closed';

    return 0 if $status eq 'timeout';

    if ($status eq 'eof' && $self->{http}->eof) {
        $self->{ended} //= 'closed';
    }

    $self->{ended} //= $status =~ s/^error:/error/r;

    return 0;
}


sub _format_request {
    my (%o) = @_;
    my $method = $o{method} // 'GET';
    my $version = $o{http10} ? '1.0' : '1.1';
    my @headers = header_pairs($o{headers});
    my %given = map { lc $_->[0] => 1 } @headers;
    my $body = $o{body};

    unshift @headers, [ Host => $o{host_header} // 'localhost' ]
        if !$given{host} && !$o{http10};

    if ($o{chunked}) {
        push @headers, [ 'Transfer-Encoding' => 'chunked' ];

    } elsif (defined $body && !$given{'content-length'}) {
        push @headers, [ 'Content-Length' => length $body ];
    }

    my $text = "$method " . ($o{path} // '/') . " HTTP/$version\r\n"
        . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n";

    return $text if $o{head_only};

    if (ref $o{chunked}) {
        $text .= sprintf "%x\r\n%s\r\n", length, $_ for @{ $o{chunked} };
        return "${text}0\r\n\r\n";
    }

    return $text . ($body // '');
}


# headers as a hash or as a list of pairs, to a list of pairs

sub header_pairs {
    my ($headers) = @_;

    return @$headers if ref $headers eq 'ARRAY';
    return map { [ $_, $headers->{$_} ] } sort keys %{ $headers || {} };
}


1;
