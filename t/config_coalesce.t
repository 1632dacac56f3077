#!/usr/bin/perl

# nginx -t of llm_stream_coalesce: what it takes and what it must refuse, with
# the line and the reason; in every context, inherited, overridden and off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new;
my $c = LLMTest::Config->new($t,
    handler => 'llm_stream openai http://127.0.0.1:1;');


my @good = ('off', 'time=40ms', 'time=1s', 'time=1m', 'size=1', 'size=1024',
    'boundary=word', 'boundary=sentence', 'boundary=line',
    'time=40ms size=64 boundary=word max_delay=100ms',
    'max_delay=1m boundary=line', 'time=50ms max_delay=50ms',
    'size=9 time=200ms', 'time=40');

my @bad = (
    [ '', qr/invalid number of arguments in "llm_stream_coalesce"/ ],
    [ 'on', qr/invalid parameter "on"/ ],
    [ '""', qr/invalid parameter ""/ ],
    [ 'off time=40ms', qr/invalid parameter "off"/ ],
    [ 'time=40ms off', qr/invalid parameter "off"/ ],
    [ '40ms', qr/invalid parameter "40ms"/ ],
    [ 'Time=40ms', qr/invalid parameter "Time=40ms"/ ],
    (map { [ "time=$_", qr/invalid parameter "time=$_"/ ] }
        '', '0', '-1', 'soon', '61s', '2m', '5x', '40ms,'),
    (map { [ "size=$_", qr/invalid parameter "size=$_"/ ] }
        '', '0', '-1', '1025', '64k', 'big', '99999999999999999999'),
    (map { [ "boundary=$_", qr/invalid parameter "boundary=$_"/ ] }
        '', 'words', 'Word', 'character', 'off', 'wor'),
    (map { [ "boundary=word max_delay=$_",
        qr/invalid parameter "max_delay=$_"/ ] } '', '0', '61s', 'never'),
    [ 'time=1s time=2s', qr/duplicate parameter "time=2s"/ ],
    [ 'size=1 size=1', qr/duplicate parameter "size=1"/ ],
    [ 'boundary=word boundary=line',
        qr/duplicate parameter "boundary=line"/ ],
    [ 'time=1s max_delay=2s max_delay=3s',
        qr/duplicate parameter "max_delay=3s"/ ],
    [ 'max_delay=100ms', qr/needs "time", "size" or "boundary"/ ],
    [ 'time=200ms max_delay=100ms',
        qr/"max_delay" that is less than its "time"/ ],
);

for my $args (@good) {
    $c->accepted("llm_stream_coalesce $args",
        location => "llm_stream_coalesce $args;");
}

for my $case (@bad) {
    my ($args, $why) = @$case;

    $c->refused($args eq '' ? 'llm_stream_coalesce;'
        : "llm_stream_coalesce $args;", $why);
}

my $on = 'llm_stream_coalesce time=40ms;';
my $off = 'llm_stream_coalesce off;';

for my $place (qw(http server location)) {
    $c->accepted("on in $place", $place => $on);
    $c->accepted("off in $place", $place => $off);
    $c->refused('llm_stream_coalesce size=0;', qr/invalid parameter "size=0"/,
        $place => 'llm_stream_coalesce size=0;', name => "in $place");
    $c->refused('llm_stream_coalesce size=8;',
        qr/"llm_stream_coalesce" directive is duplicate/,
        $place => "$_\nllm_stream_coalesce size=8;",
        name => "twice in $place, $_") for $on, $off;
}

$c->accepted('in all of them', http => $on, server => $off, location => $on);

$t->finish;
