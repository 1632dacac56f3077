#!/usr/bin/perl

# The helper library's event parser: the grammar of text/event-stream and
# NDJSON, at every cut.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest::SSE;

# name, bytes, the items expected: event/data/id, or a comment after a colon
my @sse = (
    [ 'LF', "data: a\n\ndata: b\n\n", 'message/a/ message/b/' ],
    [ 'CR LF', "data: a\r\n\r\ndata: b\r\n\r\n", 'message/a/ message/b/' ],
    [ 'CR', "data: a\r\rdata: b\r\r", 'message/a/ message/b/' ],
    [ 'mixed', "data: a\rdata: b\r\ndata: c\n\r", "message/a\nb\nc/" ],
    [ 'no space', "data:a\n\n", 'message/a/' ],
    [ 'two spaces', "data:  a\n\n", 'message/ a/' ],
    [ 'no colon', "data\n\n", 'message//' ],
    [ 'two empty lines of data', "data\ndata\n\n", "message/\n/" ],
    [ 'name and id', "event: e\nid: 1\ndata: a\n\ndata: b\n\n",
        'e/a/1 message/b/1' ],
    [ 'id with a zero byte', "id: 1\0\ndata: a\n\n", 'message/a/' ],
    [ 'comments', ": hi\n:\ndata: a\n: mid\n\n",
        ':hi : :mid message/a/' ],
    [ 'no data', "event: e\n\ndata: a\n\n", 'message/a/' ],
    [ 'empty lines', "\n\n\ndata: a\n\n\n\n", 'message/a/' ],
    [ 'no end', "data: a\n\ndata: b\n", 'message/a/' ],
    [ 'unknown field', "foo: x\nDATA: y\ndata: a\n\n", 'message/a/' ],
    [ 'byte order mark', "\xEF\xBB\xBFdata: a\n\n", 'message/a/' ],
    [ 'mark in the middle', "data: a\n\n\xEF\xBB\xBFdata: b\n\n",
        'message/a/' ],
    [ 'colons in data', "data: {\"a\": \"b:c\"}\n\n",
        'message/{"a": "b:c"}/' ],
);

my @ndjson = (
    [ 'lines', "{\"a\":1}\n{\"a\":2}\n", '{"a":1} {"a":2}' ],
    [ 'CR LF and blank lines', "1\r\n\r\n \n2\n", '1 2' ],
    [ 'no last LF', "1\n2", '1 2' ],
);


sub shown {
    return join ' ', map {
        defined $_->{comment} ? ":$_->{comment}"
            : defined $_->{event} ? "$_->{event}/$_->{data}/$_->{id}"
            : $_->{data}
    } @_;
}


# the items when the bytes come in these pieces

sub in_pieces {
    my ($format, @pieces) = @_;
    my $parser = LLMTest::SSE->new($format);
    my @items = map { $parser->feed($_) } @pieces;

    return shown(@items, $parser->finish);
}


for my $case (map({ [ 'sse', @$_ ] } @sse), map { [ 'ndjson', @$_ ] } @ndjson) {
    my ($format, $name, $bytes, $expected) = @$case;
    my %seen;

    $seen{ in_pieces($format, $bytes) } = 'whole';
    $seen{ in_pieces($format, split //, $bytes) } = 'byte by byte';

    for my $cut (1 .. length($bytes) - 1) {
        my $got = in_pieces($format, substr($bytes, 0, $cut),
            substr $bytes, $cut);
        $seen{$got} //= "cut at $cut";
    }

    is_deeply([ keys %seen ], [$expected], "$format: $name")
        or diag(explain(\%seen));
}


subtest 'places' => sub {
    my $bytes = ": c\ndata: a\n\n\ndata: b\r\n\r\ndata: c\n\n";
    my @items = LLMTest::SSE::items($bytes);

    is_deeply(
        [ map { substr $bytes, $_->{start}, $_->{end} - $_->{start} } @items ],
        [ ": c\n", "data: a\n\n", "data: b\r\n\r\n", "data: c\n\n" ],
        'start and end');
    is(scalar(my @events = LLMTest::SSE::parse($bytes)), 3, 'no comments');
};


subtest 'formats and JSON' => sub {
    is(LLMTest::SSE::format_of('text/event-stream; charset=utf-8'), 'sse',
        'event stream');
    is(LLMTest::SSE::format_of('application/x-ndjson'), 'ndjson', 'NDJSON');
    is(LLMTest::SSE::format_of('application/json'), 'raw', 'JSON');
    is(LLMTest::SSE::format_of(undef), 'raw', 'none');

    my ($good, $bad)
        = LLMTest::SSE::parse("data: {\"a\":[1]}\n\ndata: [DONE]\n\n");
    is($good->json->{a}[0], 1, 'data as JSON');
    is($bad->json, undef, 'data that is none');
};


done_testing();
