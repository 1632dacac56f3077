#!/usr/bin/perl

# The entrants with many locations: what `entrant` says, what nginx.conf has
# and what README.md tells are one thing, and each variant, asked in its own
# way (dialect, TLS, HTTP/2, gzip), hands on every token of the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../benchmarks/lib",
    "$FindBin::Bin/../benchmarks";

use File::Temp ();
use IO::Uncompress::Gunzip qw(gunzip);
use Test::More;

use BenchFrames ();
use LLMBench::Entrant;
use LLMTest::Client;
use LLMTest::H2;
use LLMTest::Mock;

use constant TOKENS => 5;

my $root = LLMBench::Entrant::root();
my $folders = "$root/benchmarks/entrants";
my $dir = File::Temp->newdir('llmtest-XXXXXXXX', TMPDIR => 1);
my $mock = LLMTest::Mock->new(root => $root, log => "$dir/mock");

# the one provider whose requests no client of nginx makes
my $COHERE = '{"model":"m","messages":[{"role":"user","content":"hi"}],'
    . '"stream":true}';

$mock->defaults('text=marker marker=zz tokens=' . TOKENS);

for my $name (qw(features pairs defaults front)) {
    subtest "$name, as written" => sub { written($name) };
    subtest $name => sub { works($name) };
}

subtest 'what nginx entrants have in common' => \&common;
subtest 'pairs has every pair' => \&every_pair;

done_testing();


# The prefixes of the three files of a folder are the same.

sub written {
    my ($name) = @_;
    my $entrant = LLMBench::Entrant->new($name);
    my @variants = $entrant->variants;
    my %asked = map { $_->{prefix} => 1 } @variants;
    my %names = map { $_->{name} =~ s/\A\w+://r => 1 } @variants;
    my $conf = slurp("$folders/$name/nginx.conf");
    my %there = map { $_ => 1 } $conf =~ m{^ +location (/\S*)/ \{$}mg;
    my $readme = slurp("$folders/$name/README.md");

    is_deeply([ sort keys %there ], [ sort keys %asked ],
        'each prefix has a location, and the other way round');
    is(scalar keys %names, scalar @variants, 'names are said once');

    for my $variant (@variants) {
        my $base = $variant->{base} // '';
        ok($names{$base}, "$variant->{name}: is compared with a variant")
            or diag("base: $base");
    }

    return if $name eq 'pairs';

    is_deeply([ sort $readme =~ m{^\| `(/\S+)` }mg ], [ sort keys %asked ],
        'README.md has each prefix');

    return;
}


sub works {
    my ($name) = @_;
    my $entrant = LLMBench::Entrant->new($name);
    my $why = $entrant->install;

    plan(skip_all => $why) if defined $why;

    $entrant->start($mock->address);

    for my $variant ($entrant->variants) {
        my $answer = ask($entrant, $variant)->result;
        my $packed = ($answer->{headers}{'content-encoding'} // '') eq 'gzip';
        my $body = $answer->{body};

        gunzip(\$answer->{body}, \$body) if $packed;

        # marks as they come first: a last event may repeat them
        my @marks = ($body =~ /zz:0:(\d+)/g)[0 .. TOKENS - 1];

        is("@{[ map { $_ // '' } @marks ]}", join(' ', 0 .. TOKENS - 1),
            "$variant->{name}: every token") or diag(substr $body, 0, 400);
        is($answer->{ended}, 'complete', 'and an end');
        is($packed, $variant->{name} =~ /-gzip\z/ ? 1 : '', 'gzip')
            if $name eq 'defaults';
    }

    $entrant->stop;

    return;
}


sub ask {
    my ($entrant, $variant) = @_;
    my ($port) = $entrant->base_url($variant) =~ /:(\d+)/;
    my ($path, $body) = $variant->{dialect} eq 'cohere'
        ? ('/v2/chat', $COHERE) : BenchFrames::request($variant->{dialect});
    my %request = (method => 'POST', path => "$variant->{prefix}$path",
        headers => { 'Content-Type' => 'application/json',
            map { split /=/, $_, 2 } $entrant->headers($variant) },
        body => $body);
    my $tls = $variant->{scheme} ne 'https' ? undef
        : { ca => "$root/build/bench/front/cert.pem", name => 'localhost',
            alpn => [ $variant->{http} eq '2' ? 'h2' : 'http/1.1' ] };
    my @to = (port => $port, $tls ? (tls => $tls) : ());

    return LLMTest::H2->new(@to)->request(%request)
        if $variant->{http} eq '2';
    return LLMTest::Client->request(@to, %request);
}


# Every nginx that is compared begins the same way.

sub common {
    for my $file (glob "$folders/*/nginx.conf") {
        my $text = slurp($file);
        my ($name) = $file =~ m{([^/]+)/nginx\.conf\z};

        like($text, qr{^worker_processes \@WORKERS\@;$}m, "$name: workers");

        for my $part (qw(head http keepalive)) {
            like($text, qr{^\s*include \@ENTRANT\@/\.\./nginx-$part\.conf;$}m,
                "$name: nginx-$part.conf");
        }
    }

    return;
}


sub every_pair {
    my %have = map { $_->{name} =~ s/\Apairs://r => 1 }
        LLMBench::Entrant->new('pairs')->variants;
    my %want;

    for my $up (BenchFrames::upstreams()) {
        $want{"$up-$_"} = 1 for 'plain', BenchFrames::clients();
    }

    is_deeply([ sort keys %have ], [ sort keys %want ], 'as bench-ir counts');

    return;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}
