#!/usr/bin/perl

# nginx -t of what limits a request: llm_stream_system, _max_output_tokens,
# _max_choices, _max_messages, in every context, and every wrong argument with
# its line and the reason.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new;
my $c = LLMTest::Config->new($t, warnings => 0,
    handler => 'llm_stream openai http://127.0.0.1:1;');


my $WRONG = [ [ '0', 'must be "off", or from 1' ], [ '-1', 'invalid number' ],
    [ '1k', 'invalid number' ], [ 'on', 'invalid number' ],
    [ '""', 'invalid number' ], [ '1.5', 'invalid number' ],
    [ '$arg_n', 'invalid number' ], [ '2147483648', 'must be "off"' ],
    [ '99999999999999999999', 'invalid number' ],
    [ '1 2', 'invalid number of arguments' ],
    [ '', 'invalid number of arguments' ] ];

my %directive = (
    llm_stream_max_output_tokens => [ [qw(1 2000 2147483647 off)], $WRONG ],
    llm_stream_max_choices => [ [qw(1 8 off)], $WRONG ],
    llm_stream_max_messages => [ [qw(1 100 off)], $WRONG ],
    llm_stream_system => [ [ 'brief', '""', '"a $arg_x b"', "\"two\nlines\"",
        q{'say "no"'} ], [ [ '$no_such', 'unknown "no_such" variable' ],
        [ '${host', 'closing bracket' ],
        [ 'a b', 'invalid number of arguments' ],
        [ '', 'invalid number of arguments' ] ] ],
);

for my $name (sort keys %directive) {
    my ($good, $wrong) = @{ $directive{$name} };

    for my $value (@$good) {
        $c->accepted("$name $value", location => "$name $value;");
    }

    for my $at (qw(http server location)) {
        $c->accepted("$name in $at", $at => "$name $good->[0];");
    }

    $c->accepted("$name in all", map { $_ => "$name $good->[0];" }
        qw(http server location));
    $c->refused("$name $good->[0];", 'is duplicate',
        location => "$name $good->[0];\n$name $good->[0];");

    for my $case (@$wrong) {
        $c->refused(join(' ', $name, grep { length } $case->[0]) . ';',
            $case->[1]);
    }
}

$t->finish;
