package LLMTest::SSE;

# Turns body bytes into events, for assertions: text/event-stream after the
# WHATWG grammar, NDJSON line by line, anything else as it comes.  Written
# apart from the C framer on purpose, so that it can judge it.
#
# An event is a hash (with a method json): event, data, id, retry, and
# start and end, its place in the stream in bytes (from the first byte of its
# first line to the one after its empty line).  A comment is an item with
# comment => TEXT; a block without data that sets nothing gives no item.

use strict;
use warnings;

# new("sse" | "ndjson" | "raw")

sub new {
    my ($class, $format) = @_;

    return bless {
        format => $format // 'sse', in => '', at => 0, scanned => 0,
        bom => 1, last_id => '', items => [],
    }, $class;
}


# the format a response's content type calls for

sub format_of {
    my ($type) = @_;

    $type //= '';

    return 'sse' if $type =~ m{^text/event-stream\b}i;
    return 'ndjson' if $type =~ m{^application/(?:x-)?(?:ndjson|jsonl)\b}i;
    return 'raw';
}


# parse($bytes [, $format]): all events of a complete body, no comments

sub parse {
    my ($bytes, $format) = @_;

    return grep { !defined $_->{comment} } items($bytes, $format);
}


# the same with the comments

sub items {
    my ($bytes, $format) = @_;
    my $self = __PACKAGE__->new($format);

    return ($self->feed($bytes), $self->finish);
}


# feed($bytes): the items these bytes complete

sub feed {
    my ($self, $bytes) = @_;

    $self->{in} .= $bytes;

    my $method = "_$self->{format}";
    $self->$method;

    my @items = @{ $self->{items} };
    $self->{items} = [];

    return @items;
}


# what the end of the stream completes: an NDJSON line without a line feed;
# an SSE event without its empty line is dropped, as the grammar demands

sub finish {
    my ($self) = @_;

    return if $self->{format} ne 'ndjson' || $self->{in} !~ /\S/;
    return $self->feed("\n");
}


# the bytes that belong to no item yet

sub rest {
    my ($self) = @_;

    return $self->{in};
}


sub _raw {
    my ($self) = @_;

    return if $self->{in} eq '';

    my $start = $self->{at};

    $self->{at} += length $self->{in};
    $self->_item(data => $self->{in}, start => $start, end => $self->{at});
    $self->{in} = '';

    return;
}


sub _ndjson {
    my ($self) = @_;

    while ((my $end = index $self->{in}, "\n", $self->{scanned}) >= 0) {
        my $start = $self->{at};
        my $line = substr $self->{in}, 0, $end + 1, '';

        $self->{at} += length $line;
        $self->{scanned} = 0;
        $line =~ s/\r?\n\z//;

        $self->_item(data => $line, start => $start, end => $self->{at})
            if $line =~ /\S/;
    }

    $self->{scanned} = length $self->{in};

    return;
}


sub _sse {
    my ($self) = @_;
    my $pos = 0;

    if ($self->{bom}) {
        return if length $self->{in} < 3
            && "\xEF\xBB\xBF" =~ /^\Q$self->{in}\E/;
        $pos = 3 if $self->{in} =~ /^\xEF\xBB\xBF/;
        $self->{bom} = 0;
    }

    pos($self->{in}) = $pos + $self->{scanned};

    while ($self->{in} =~ /([\r\n])/g) {
        my $end = $-[1];

        # the LF of a CR LF that was taken as the end of line already
        if ($1 eq "\n" && $self->{cr} && $end == $pos) {
            my $last = $self->{items}[-1];
            $self->{cr} = 0;
            $pos++;
            $last->{end}++ if $last && $last->{end} == $self->{at} + $end;
            next;
        }

        $self->{cr} = $1 eq "\r";
        $self->_line(substr($self->{in}, $pos, $end - $pos),
            $self->{at} + $pos, $self->{at} + $end + 1);
        $pos = $end + 1;
    }

    $self->{cr} = 0 if $pos < length $self->{in};
    substr $self->{in}, 0, $pos, '';
    $self->{at} += $pos;
    $self->{scanned} = length $self->{in};

    return;
}


sub _line {
    my ($self, $line, $start, $end) = @_;

    if ($line eq '') {
        $self->_dispatch($end);
        return;
    }

    if ($line =~ /^: ?(.*)$/s) {
        $self->_item(comment => $1, start => $start, end => $end);
        return;
    }

    my ($field, $value) = $line =~ /^([^:]*)(?:: ?(.*))?$/s;
    my $block = $self->{block} //= { start => $start };

    $value //= '';

    if ($field eq 'data') {
        push @{ $block->{lines} }, $value;

    } elsif ($field eq 'event') {
        $block->{event} = $value;

    } elsif ($field eq 'id' && $value !~ /\0/) {
        $self->{last_id} = $value;

    } elsif ($field eq 'retry' && $value =~ /^\d+$/) {
        $block->{retry} = $value;
    }

    return;
}


sub _dispatch {
    my ($self, $end) = @_;
    my $block = delete $self->{block} or return;

    return if !$block->{lines} && !defined $block->{retry};

    my $name = $block->{event} // '';

    $self->_item(
        event => $name eq '' ? 'message' : $name,
        data => $block->{lines} ? join("\n", @{ $block->{lines} }) : undef,
        id => $self->{last_id}, retry => $block->{retry},
        start => $block->{start}, end => $end,
    );

    return;
}


sub _item {
    my ($self, %item) = @_;

    push @{ $self->{items} }, bless \%item, 'LLMTest::SSE::Event';

    return;
}


package LLMTest::SSE::Event;

use JSON::PP ();


# the data as a Perl value; nothing if it is not JSON ([DONE], say)

sub json {
    my ($self) = @_;
    my $reader = JSON::PP->new->utf8->allow_nonref;

    return if !defined $self->{data};
    return scalar eval { $reader->decode($self->{data}) };
}


1;
