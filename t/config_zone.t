#!/usr/bin/perl

# nginx -t and llm_stream_zone: what it takes and refuses, and where it may
# stand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new(log_level => 'info');
my $HTTP = 'llm_stream openai http://127.0.0.1:1;';
my $ZONE = 'llm_stream_zone counts:1m;';
my $c = LLMTest::Config->new($t, location => $HTTP);

$c->accepted($_, http => "llm_stream_zone $_;")
    for 'counts:1m', 'counts:32k', 'a-b.c:65536', 'x:2M';

$c->accepted('behind its locations', more => '} ' . $ZONE . ' server {');
$c->accepted('without a location of ours', http => $ZONE, location => ' ');
$c->accepted('beside others', http => "$ZONE\n"
    . 'llm_stream_limit_zone $host zone=tokens:1m rate=1t/m;');

my %bad = (
    '' => 'invalid number of arguments',
    'counts:1m other:1m' => 'invalid number of arguments',
    (map { ($_ => qr/invalid zone size "\Q$_\E"/) } 'counts', 'counts:',
        ':1m', 'counts:x', 'counts:1x', 'counts:-1', 'zone=counts'),
    'counts:4k' => qr/zone "counts:4k" is too small/,
    'counts:0' => qr/zone "counts:0" is too small/,
);

for my $args (sort keys %bad) {
    $c->refused("llm_stream_zone $args;", qr/$bad{$args}/,
        http => "llm_stream_zone $args;");
}

$c->refused('llm_stream_zone other:1m;',
    qr/"llm_stream_zone" directive is duplicate/, name => 'twice',
    http => "$ZONE\nllm_stream_zone other:1m;");
$c->refused($ZONE,
    qr/zone "counts" is already declared for a different use/,
    name => 'the name of another kind of zone',
    http => 'limit_req_zone $host zone=counts:1m rate=1r/m;' . "\n$ZONE");
$c->refused($ZONE,
    qr/zone "counts" is already declared for a different use/,
    name => 'the name of a zone of limits',
    http => 'llm_stream_limit_zone $host zone=counts:1m rate=1t/m;'
        . "\n$ZONE");

for my $place (qw(main server location)) {
    $c->refused($ZONE, qr/directive is not allowed here/, $place => $ZONE,
        name => "in $place");
}

$t->finish;
