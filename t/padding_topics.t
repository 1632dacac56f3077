#!/usr/bin/perl

# What somebody who reads the sizes and times of TLS records can tell: two
# topics that differ in nothing but the lengths of their words are told apart
# without padding, and are not with llm_stream_padding and
# llm_stream_coalesce.  The classifier is LLMTest::Boost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw(sum max min);
use Test::More;

use LLMTest;
use LLMTest::Boost qw(cross_auc auc);
use LLMTest::Records;

use constant { STREAMS => 1000, TOGETHER => 150, FOLDS => 5 };

# the rounds, in times of the first one's pace
use constant SLOWER => (1, 3, 6);

my $t = LLMTest->new;
my ($cert, $key) = $t->tls_cert('proxy.test');

$t->set(CERT => $cert, KEY => $key);

my $mock = $t->mock;
my $locations = join '', map { my $time = 100 * $_; <<"EOT" } SLOWER;
        location /padded/$_ {
            llm_stream openai http://%%MOCK%%;
            llm_stream_coalesce time=${time}ms;
            llm_stream_padding bucket=256;
        }
        location /openai/$_ {
            llm_stream openai http://%%MOCK%%;
            llm_stream_client openai;
            llm_stream_coalesce time=${time}ms;
            llm_stream_padding bucket=256;
        }
EOT

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { worker_connections 2048; }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate     %%CERT%%;
        ssl_certificate_key %%KEY%%;
        llm_stream_client simple;

        location /plain {
            llm_stream openai http://%%MOCK%%;
        }
$locations
    }
}
EOT


# the classifier itself

is(auc([ 1, 2, 3, 4 ], [ 0, 0, 1, 1 ]), 1, 'AUC of the right order');
is(auc([ 1, 2, 3, 4 ], [ 1, 1, 0, 0 ]), 0, 'of the wrong one');
is(auc([ 1, 1, 1, 1 ], [ 1, 0, 1, 0 ]), 0.5, 'of none');

srand 7;

my @seen = map { [ rand, $_ % 2 + rand 1.2, rand ] } 1 .. 200;

cmp_ok(cross_auc(\@seen, [ map { $_ % 2 } 1 .. 200 ], FOLDS), '>', 0.9,
    'it finds the column that tells');
cmp_ok(cross_auc([ map { [ rand, rand ] } 1 .. 400 ],
    [ map { $_ % 2 } 1 .. 400 ], FOLDS), '<', 0.6, 'and none in noise');


# Lengths of words in letters and how often, of two kinds of English text:
# everyday talk and medical writing.  Both have as many words an answer.

my %LENGTHS = (
    0 => [ 6, 18, 24, 20, 13, 8, 5, 3, 2, 1 ],
    1 => [ 3, 13, 15, 11, 10, 10, 10, 9, 8, 6, 3, 2 ],
);


sub answer {
    my ($topic) = @_;
    my $lengths = $LENGTHS{$topic};
    my $all = sum @{$lengths};
    my @words;

    for (1 .. 30 + int rand 16) {
        my $at = rand $all;
        my $n = 0;

        $n++ while ($at -= $lengths->[$n]) > 0;
        push @words, join '', map { chr 97 + int rand 26 } 0 .. $n;
    }

    return join ' ', @words;
}


sub request {
    my ($path, $text) = @_;
    my $body = '{"model":"m","stream":true,"messages":[{"role":"user",'
        . "\"content\":\"$text\"}]}";

    return "POST $path HTTP/1.1\r\nHost: proxy.test\r\nConnection: close\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


# a stream as an observer's row: how many records, how large, how far apart

sub row {
    my ($records) = @_;
    my @size = map { $_->[1] } @{$records};
    my @gap = map { $records->[$_][0] - $records->[ $_ - 1 ][0] }
        1 .. $#{$records};
    my @row = (scalar @size, sum(@size));

    for my $list (\@size, \@gap) {
        my @sorted = sort { $a <=> $b } @{$list};
        my $mean = sum(@sorted) / @sorted;

        push @row, $mean,
            sqrt(sum(map { ($_ - $mean)**2 } @sorted) / @sorted),
            map { $sorted[ $#sorted * $_ / 8 ] } 0 .. 8;
    }

    push @row, map { $size[$_] // 0 } 0 .. 9;

    return \@row;
}


sub listen_to {
    my ($path) = @_;
    my @topics = map { int rand 2 } 1 .. STREAMS;
    my @texts = map { answer($_) } @topics;
    my $seen = LLMTest::Records::watch(port => $t->port(0),
        together => TOGETHER,
        requests => [ map { request($path, $_) } @texts ]);
    my $whole = grep { $_->{text} =~ /"done":true|\[DONE\]/ } @{$seen};
    my $bytes = sum map { $_->[1] } map { @{ $_->{records} } } @{$seen};

    is($whole, STREAMS, "$path: all streams ended well");

    return (cross_auc([ map { row($_->{records}) } @{$seen} ], \@topics,
        FOLDS), $bytes);
}


# One round: a machine that is busy with other things blurs the times of all
# three, so one in which not even the plain streams are told apart is void, and
# the next one has more time for everything.

sub round {
    my ($slower) = @_;

    $mock->defaults(sprintf 'text=echo,itl=%d,dist=uniform,spread=%d',
        25 * $slower, 15 * $slower);

    my ($plain, $plain_bytes) = listen_to('/plain');
    my ($padded, $padded_bytes) = listen_to("/padded/$slower");
    my ($openai) = listen_to("/openai/$slower");

    diag(sprintf 'AUC %.3f plain, %.3f padded, %.3f to openai; %.2f of the '
        . 'bytes', $plain, $padded, $openai, $padded_bytes / $plain_bytes);

    return ($plain, $padded, $openai);
}


my ($plain, $padded, $openai);

for my $slower (SLOWER) {
    ($plain, $padded, $openai) = round($slower);
    last if $plain > 0.95;
}

cmp_ok($plain, '>', 0.95, 'without padding the topics are told apart');
cmp_ok($padded, '<', 0.60, 'with padding and coalescing they are not');
cmp_ok($openai, '<', 0.60, 'nor for a client of the same dialect');

$t->finish;
