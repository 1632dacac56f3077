#!/usr/bin/perl

# The HTML page of llm_stream_status, without a browser: that it is well
# formed whatever is counted, that no label is markup, that its policy names
# the style and the script that it has, and that its numbers are those of the
# other formats.  What its script does is seen by t/clients/page.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_base64);
use Encode qw(decode encode);
use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Wait qw(wait_for);

# labels of at most 64 bytes, each of which is markup somewhere
my @HOSTILE = (
    q{<script>alert(1)</script>},
    q{</script><img src=x onerror=alert(1)>},
    q{"><b id=data>'&amp;&lt;<!--},
    "\x{5e9}\x{5dc}\x{5d5}\x{5dd} \x{202e}gpt \x{1f999}",
    'm' x 64,
);

my %VOID = map { $_ => 1 } qw(meta link input);
my $json = JSON::PP->new->utf8;

my $t = LLMTest->new(log_level => 'info');

$t->mock;


sub start {
    my ($locations) = @_;

    $t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_zone counts:4m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name "a<b>.example";
        $locations
        location = /html { llm_stream_status html; }
        location = /json { llm_stream_status json; }
        location = /any { llm_stream_status; }
    }
}
EOT

    return;
}


sub ask {
    my ($model, $options) = @_;

    return $t->open(method => 'POST', path => '/v1/chat/completions',
        headers => { 'X-Mock' => $options // 'tokens=3' },
        body => { model => $model, stream => JSON::PP::true,
            messages => [ { role => 'user', content => 'Hello' } ] },
    )->result;
}


sub page { return $t->open(path => '/html')->result }


# what is between the tags of a block, as bytes

sub block {
    my ($body, $tag) = @_;
    my @found = $body =~ m{<$tag>(.*?)</$tag>}gs;

    is(scalar @found, 1, "one $tag");

    return $found[0];
}


# The tags in their order, after the texts of style and scripts are gone.
# Returns what is wrong with them.

sub wrong {
    my ($body) = @_;
    my (@open, @wrong, %ids);

    $body =~ s{(<(style|script)\b[^>]*>).*?(</\2>)}{$1$3}gs;
    $body =~ s/^<!DOCTYPE html>\n// or push @wrong, 'no doctype';

    while ($body =~ /([^<]*)(?:<([^>]*)>)?/g) {
        my ($text, $tag) = ($1, $2);

        push @wrong, "\"$text\"" if $text =~ />|&(?!\w+;|#\d+;)/;
        next if !defined $tag;

        if ($tag =~ m{^/(\w+)$}) {
            my $name = pop @open // 'nothing';
            push @wrong, "/$1 in $name" if $name ne $1;

        } elsif ($tag =~ /^(\w+)((?: [\w-]+(?:="[^"<>]*")?)*)$/) {
            my ($name, $rest) = ($1, $2);

            push @open, $name if !$VOID{$name};
            push @wrong, "style= of $name" if $rest =~ / (?:style|on\w+)=/;
            push @wrong, "id $1 again"
                if $rest =~ / id="([^"]*)"/ && $ids{$1}++;

        } else {
            push @wrong, "<$tag>";
        }
    }

    push @wrong, map { "$_ is open" } @open;

    while ($body =~ / aria-labelledby="([^"]*)"/g) {
        push @wrong, "no id $1" if !$ids{$1};
    }

    return @wrong;
}


# the rows of a table: lists of texts

sub rows {
    my ($body, $id) = @_;
    my ($table) = $body =~ m{<table id="$id">(.*?)</table>}s;
    my ($rows) = ($table // '') =~ m{<tbody>\n(.*)</tbody>}s;

    return map { [ map { text($_) } m{<t[hd][^>]*>(.*?)</t[hd]>}g ] }
        grep { length } split m{</tr>\n}, $rows // '';
}


sub text {
    my ($html) = @_;
    my %is = (lt => '<', gt => '>', amp => '&', quot => '"', '#39' => "'",
        '#8201' => "\x{2009}", '#8217' => "\x{2019}");

    $html =~ s{</?bdi>}{}g;

    return decode('UTF-8', $html) =~ s/&(#?\w+);/$is{$1}/gr;
}


sub facts {
    my ($body) = @_;

    return map { text($_) }
        $body =~ m{<div><dt>([^<]*)</dt><dd>([^<]*)</dd></div>}g;
}


sub data {
    my ($body) = @_;
    my ($data) = $body
        =~ m{<script type="application/json" id="data">(.*?)</script>}s;

    unlike($data, qr/</, 'no < in the data');

    return $json->decode($data);
}


sub thousands { return scalar reverse(reverse($_[0]) =~ s/(\d{3})\B/$1,/gr) }


# a second as milliseconds, as the page shows it

sub ms {
    my ($n) = @_;

    return "\x{2013}" if !defined $n;
    return $n < 0.00995 ? sprintf '%.1f', $n * 1000
        : thousands(int $n * 1000 + 0.5);
}


# what a row says, by the JSON of its series

sub expected {
    my ($s) = @_;
    my $sum = sub { my $n = 0; $n += $_ for @_; return $n };

    return [
        @{$s}{qw(model upstream location)}, $s->{server} || "\x{2013}",
        $s->{open} // "\x{2013}",
        thousands($sum->(values %{ $s->{requests} })),
        thousands($sum->(@{ $s->{requests} }{qw(truncated upstream_error
            invalid timeout unreachable internal)})),
        map({ my $h = $s->{$_}; map { ms($h->{$_}) } qw(p50 p90) }
            qw(time_to_first_token inter_token_latency)),
        map({ thousands($sum->(values %{ $s->{tokens}{$_} })) }
            qw(input output)),
        thousands($s->{chunks}),
    ];
}


start('');

subtest 'nothing to count' => sub {
    my $r = page();

    is($r->{status}, 200, 'status');
    is_deeply([ wrong($r->{body}) ], [], 'well formed');
    is_deeply([ rows($r->{body}, 'series') ], [], 'no row');
    is_deeply(data($r->{body})->{series}, [], 'no data');

    my %facts = facts($r->{body});

    is($facts{$_}, 0, $_) for 'Requests', 'Streams open', 'Output tokens';
    is($facts{$_}, "\x{2013}", $_) for 'Ended well', 'TTFT p50, ms';
};

subtest 'headers' => sub {
    my $r = page();
    my %policy = map { /^(\S+) (.*)$/ }
        split /; /, $r->{headers}{'content-security-policy'};

    is($policy{'default-src'}, q{'none'}, 'nothing by default');
    is($policy{'connect-src'}, q{'self'}, 'asks its own host only');

    for my $tag (qw(style script)) {
        my $hash = sha256_base64(block($r->{body}, $tag)) . '=';

        is($policy{"$tag-src"}, "'sha256-$hash'", "the hash of the $tag");
    }

    is($t->open(path => '/json')->result
        ->{headers}{'content-security-policy'}, undef, 'none of JSON');
    is($t->open(path => '/any', headers => { Accept => 'text/html' })
        ->result->{headers}{'content-security-policy'},
        $r->{headers}{'content-security-policy'}, 'by Accept');
};

$t->stop;
start(<<'EOT');
        location /v1/ {
            llm_stream openai http://%%MOCK%%;
            llm_stream_set_header X-Mock $http_x_mock;
        }
EOT

subtest 'hostile labels, and all numbers' => sub {
    is(ask($_)->{status}, 200, 'asked') for @HOSTILE, $HOSTILE[0];
    ask($HOSTILE[1], 'fault=fin-chunked-incomplete,tokens=5');
    ask($HOSTILE[2], 'status=429');

    # a request is counted when it is over for nginx, too
    my ($r, $series);
    wait_for(sub {
        $r = page();
        $series = $json->decode($t->open(path => '/json')->result->{body})
            ->{series};
        my %facts = facts($r->{body});
        return $facts{Requests} == 8 && $facts{'Streams open'} == 0;
    });

    is_deeply([ wrong($r->{body}) ], [], 'well formed');

    my @rows = rows($r->{body}, 'series');

    is_deeply([ sort map { $_->[0] } @rows ], [ sort 'other', @HOSTILE ],
        'the names are text');
    is_deeply(\@rows, [ map { expected($_) } @$series ],
        'the numbers are those of JSON');
    is_deeply(data($r->{body})->{series}, $series, 'and in the data');

    my %facts = facts($r->{body});

    is($facts{'Ended well'}, "75.0\x{2009}%", 'six of eight');

    my %ends = map { @{$_}[0, 1] } rows($r->{body}, 'ends');

    is($ends{complete}, 6, 'complete');
    is($ends{truncated}, 1, 'truncated');
    is($ends{upstream_error}, 1, 'upstream_error');
    is(scalar keys %ends, 11, 'all endings');
};

$t->stop;
start(join '', map {
    "location /<$_>/ { llm_stream openai http://%%MOCK%%; }\n" } 1 .. 256);

subtest 'a full zone' => sub {
    my $r = page();
    my @rows = rows($r->{body}, 'series');

    is_deeply([ wrong($r->{body}) ], [], 'well formed');
    is(scalar @rows, 256, 'all series');
    is(scalar(grep { @$_ != 14 } @rows), 0, 'of 14 columns');
    is($rows[255][2], '/<256>/', 'the last');
    is(join(',', sort { $a <=> $b } $r->{body} =~ / data-column="(\d+)"/g),
        join(',', 0 .. 13), 'each has a header');
    is(scalar @{ data($r->{body})->{series} }, 256, 'all data');
    cmp_ok(length $r->{body}, '<', 1_500_000, 'bytes');
};

$t->finish;
