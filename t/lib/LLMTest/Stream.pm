package LLMTest::Stream;

# One response as it arrives, whatever carries it: the reading half that
# HTTP/1 and HTTP/2 share.  It owns the body bytes, the marks of where they
# were cut, and the turning of bytes into events.  A subclass gives
# _pump($until): read once, hand in what came, true if there was progress.
#
# No reader dies on a timeout: it returns nothing (undef) and why() tells
# "timeout" from the end.  ended() is undef while the response goes on, then
#   complete    the message ended as its framing demands (last chunk, all of
#               the content length, END_STREAM)
#   closed      the connection ended in order and only that ends the message
#   eof         the connection ended before the message did
#   reset       RST, or RST_STREAM (h2: its code is in rst())
#   truncated   TLS ended without close_notify
#   bad ...     what came was not HTTP; "error ..." for all else

use strict;
use warnings;

use LLMTest::SSE;
use LLMTest::Wait qw(now deadline);

# how many marks are remembered when nothing is kept
use constant FEW => 64;


sub _init {
    my ($self, %o) = @_;

    $self->{buf} = '';          # body bytes from offset {base} on
    $self->{base} = 0;
    $self->{pos} = 0;           # offset up to which the test has read
    $self->{keep} = $o{keep} // 1;
    $self->{limit} = $o{limit};
    $self->{cuts} = [];         # HTTP chunks or DATA frames
    $self->{ncuts} = 0;
    $self->{reads} = [];        # socket reads that brought body bytes
    $self->{queue} = [];
    $self->{format} = $o{format};
    $self->{started} = now();

    return;
}


# the head; reads it if it is not there yet.  Returns the status.

sub read_headers {
    my ($self, $seconds) = @_;
    my $until = $self->_until($seconds);

    while (!$self->{head}) {
        return if !$self->_more($until);
    }

    return $self->{head}{status};
}


sub status  { my ($self) = @_; return scalar $self->read_headers }
sub reason  { my ($self) = @_; return $self->_head_member('reason') }
sub headers { my ($self) = @_; return $self->_head_member('headers') }
sub header_list { my ($self) = @_; return $self->_head_member('list') }


sub header {
    my ($self, $name) = @_;
    my $headers = $self->headers or return;

    return $headers->{ lc $name };
}


# the response's head has arrived, without waiting or reading

sub has_headers {
    my ($self) = @_;

    return defined $self->{head};
}


sub ended    { my ($self) = @_; return $self->{ended} }
sub why      { my ($self) = @_; return $self->{ended} // $self->{why} }
sub received { my ($self) = @_; return $self->{base} + length $self->{buf} }


# the message ended properly

sub complete {
    my ($self) = @_;

    return ($self->{ended} // '') eq 'complete' ? 1 : 0;
}


# all body bytes received so far (those kept, with keep => 0)

sub body {
    my ($self) = @_;

    return $self->{buf};
}


# the bytes received but not yet read by the test

sub unread {
    my ($self) = @_;

    return substr $self->{buf}, $self->{pos} - $self->{base};
}


# HTTP chunks or DATA frames: hashes of start, end (offsets in the body; the
# end as announced, perhaps not all received), at (time)

sub chunks { my ($self) = @_; return @{ $self->{cuts} } }
sub reads  { my ($self) = @_; return @{ $self->{reads} } }


# the same as strings

sub chunk_bytes {
    my ($self) = @_;

    return map { substr $self->{buf}, $_->{start} - $self->{base},
        $_->{end} - $_->{start} } @{ $self->{cuts} };
}


# read_event($seconds, comments => 1): the next event, undef at the end or
# on timeout.  Beside what LLMTest::SSE says it carries chunk (the number of
# the HTTP chunk or DATA frame that brought its last byte), read (the same
# for socket reads), at (the time of it) and raw.

sub read_event {
    my ($self, $seconds, %o) = @_;
    my $until = $self->_until($seconds);

    while (1) {
        while (my $event = shift @{ $self->{queue} }) {
            $self->_consume($event->{end}, 1);
            return $event if $o{comments} || !defined $event->{comment};
        }

        next if $self->_parse;
        return if !$self->_more($until) && !$self->_parse;
    }
}


# read_events($n, $seconds): n events, fewer if the stream ended

sub read_events {
    my ($self, $n, $seconds) = @_;
    my @events;

    while (@events < $n) {
        my $event = $self->read_event($seconds) or last;
        push @events, $event;
    }

    return @events;
}


# everything to the end, as a list of events

sub rest_events {
    my ($self, $seconds) = @_;
    my @events;

    while (my $event = $self->read_event($seconds)) {
        push @events, $event;
    }

    return @events;
}


# read_until(qr/.../, $seconds): body bytes from where the test stands up to
# and with the match

sub read_until {
    my ($self, $re, $seconds) = @_;
    my $until = $self->_until($seconds);

    while (1) {
        if ($self->unread =~ $re) {
            return $self->_take($+[0]);
        }

        return if !$self->_more($until);
    }
}


sub read_bytes {
    my ($self, $n, $seconds) = @_;
    my $until = $self->_until($seconds);

    while ($self->received - $self->{pos} < $n) {
        return if !$self->_more($until);
    }

    return $self->_take($n);
}


# whatever is there, or the next bytes to come

sub read_some {
    my ($self, $seconds) = @_;
    my $until = $self->_until($seconds);

    while ($self->received == $self->{pos}) {
        return if !$self->_more($until);
    }

    return $self->_take($self->received - $self->{pos});
}


# reads to the end of the response; the limit is on silence, not on the
# whole.  Returns the whole body, undef if the end did not come.

sub read_all {
    my ($self, $seconds) = @_;

    while (!$self->{ended}) {
        $self->_more($self->_until($seconds)) or last;
        $self->_take($self->received - $self->{pos}) if !$self->{keep};
    }

    return if !$self->{ended};
    return $self->{buf};
}


# reads and counts matches of a string, keeping nothing, until there were n
# or the stream ended: for streams too long to be kept.  Returns the count.

sub skip_count {
    my ($self, $string, $n, $seconds) = @_;
    my $count = 0;

    while ($count < $n) {
        my $unread = $self->unread;
        my $last = 0;
        my $at = 0;

        while ($count < $n && ($at = index $unread, $string, $last) >= 0) {
            $last = $at + length $string;
            $count++;
        }

        $self->_take($last) if $last;
        last if $count >= $n;
        $self->_more($self->_until($seconds)) or last;
    }

    return $count;
}


# reads what the kernel has, without waiting; true if there was anything

sub poll {
    my ($self) = @_;

    return $self->_more(now());
}


# waits for the end of the response; returns ended()

sub wait_end {
    my ($self, $seconds) = @_;

    $self->read_all($seconds);

    return $self->{ended};
}


# the whole as the hash that LLMTest's http() returns

sub result {
    my ($self, $seconds) = @_;

    $self->read_all($seconds);

    my $head = $self->{head} || {};
    my $format = $self->_format;

    return {
        status => $head->{status}, reason => $head->{reason},
        headers => $head->{headers} || {}, header_list => $head->{list} || [],
        body => $self->{buf}, complete => $self->complete,
        ended => $self->{ended} // 'timeout',
        events => $format eq 'raw' ? []
            : [ LLMTest::SSE::parse($self->{buf}, $format) ],
        chunks => [ $self->chunk_bytes ], stream => $self,
    };
}


sub _head_member {
    my ($self, $name) = @_;

    $self->read_headers;

    return $self->{head} ? $self->{head}{$name} : undef;
}


sub _until {
    my ($self, $seconds) = @_;

    return deadline($seconds // $self->{limit});
}


sub _more {
    my ($self, $until) = @_;

    return 0 if $self->{ended};
    return 1 if $self->_pump($until);

    $self->{why} = $self->{ended} // 'timeout';

    return 0;
}


sub _format {
    my ($self) = @_;

    return $self->{format} if $self->{format};

    my $head = $self->{head} || {};

    return LLMTest::SSE::format_of($head->{headers}{'content-type'});
}


# gives the parser what it has not seen; true if that made items

sub _parse {
    my ($self) = @_;

    return 0 if !$self->{head};

    if (!$self->{parser}) {
        $self->{parser} = LLMTest::SSE->new($self->_format);
        $self->{parsed} = $self->{origin} = $self->{pos};
    }

    my $have = $self->received;
    my @items;

    if ($self->{parsed} < $have) {
        @items = $self->{parser}->feed(
            substr $self->{buf}, $self->{parsed} - $self->{base});
        $self->{parsed} = $have;
    }

    if ($self->{ended} && !$self->{finished}) {
        $self->{finished} = 1;
        push @items, $self->{parser}->finish;
    }

    for my $item (@items) {
        $item->{$_} += $self->{origin} for qw(start end);
        $item->{raw} = substr $self->{buf}, $item->{start} - $self->{base},
            $item->{end} - $item->{start};
        $self->_place($item);
    }

    push @{ $self->{queue} }, @items;

    return scalar @items;
}


# which chunk and which read brought the item's last byte

sub _place {
    my ($self, $item) = @_;

    for my $kind ([ cuts => 'chunk' ], [ reads => 'read' ]) {
        my ($list, $name) = ($self->{ $kind->[0] }, $kind->[1]);

        for my $mark (reverse @$list) {
            next if $mark->{start} >= $item->{end};
            $item->{$name} = $mark->{n};
            $item->{at} = $mark->{at};
            last;
        }
    }

    return;
}


sub _take {
    my ($self, $n) = @_;
    my $bytes = substr $self->{buf}, $self->{pos} - $self->{base}, $n;

    $self->_consume($self->{pos} + $n, 0);

    return $bytes;
}


sub _consume {
    my ($self, $to, $by_event) = @_;

    $self->{pos} = $to;

    # bytes read in another way: the events after them begin anew
    if (!$by_event) {
        delete $self->{parser};
        $self->{queue} = [];
    }

    if (!$self->{keep} && $to - $self->{base} >= 65536
        && (!$self->{parser} || $self->{parsed} >= $to))
    {
        substr $self->{buf}, 0, $to - $self->{base}, '';
        $self->{base} = $to;
    }

    return;
}


# for the subclass: a new chunk or frame begins, of this announced size

sub _on_cut {
    my ($self, $size) = @_;
    my $start = $self->received;

    push @{ $self->{cuts} }, {
        n => $self->{ncuts}++, start => $start, end => $start + $size,
        at => now(),
    };

    shift @{ $self->{cuts} } if !$self->{keep} && @{ $self->{cuts} } > FEW;

    return;
}


# for the subclass: body bytes

sub _on_body {
    my ($self, $bytes, $read) = @_;
    my $last = $self->{reads}[-1];
    my $start = $self->received;

    if (!$last || $last->{n} != $read) {
        push @{ $self->{reads} }, { n => $read, start => $start, at => now() };
        shift @{ $self->{reads} }
            if !$self->{keep} && @{ $self->{reads} } > FEW;
    }

    $self->{buf} .= $bytes;

    return;
}


1;
