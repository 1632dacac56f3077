#!/usr/bin/perl

# The set-ups of docs/migrate.md: each piece of nginx configuration on that
# page is started with mocks in the providers' places, over TLS and by name,
# and asked as its clients would.  What the page says of them holds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);
use LLMTest::Docs qw(slurp blocks mocked);
use LLMTest::Example qw(text_of last_request CREDENTIALS);

my $KEY = 'sk-CANARY-key';
my %HOST = (openai => 'api.openai.com', claude => 'api.anthropic.com');

my $root = LLMTest->root;
my $page = slurp("$root/docs/migrate.md");
my @blocks = blocks($page, 'nginx');


# the heading that a line of the page stands below

sub section {
    my ($line) = @_;
    my @lines = split /\n/, $page;
    my ($heading) = grep { /^## / } reverse @lines[ 0 .. $line - 1 ];

    return $heading =~ s/^## //r;
}


# the header by which the clients of a configuration say who they are

sub credential {
    my ($text) = @_;
    my ($name, $value) = $text =~ /^map \s \$http_(\w+) \s \$team \s \{
        \s+ default \s+ ""; \s+ "? ([^";\n]+?) "? \s+ red;/mx
        or return;

    return ($name =~ tr/_/-/r => $value);
}


sub ask {
    my ($t, $headers, %more) = @_;

    return $t->post('/v1/chat/completions', { model => 'gpt-4o-mini',
        stream => JSON::PP::true(),
        messages => [ { role => 'user', content => 'Hello' } ], %more },
        headers => { 'X-Api-Key' => 'sk-of-the-client', %$headers });
}


sub whole {
    my ($r) = @_;

    return $r->{events}[-1] && $r->{events}[-1]{data} eq '[DONE]';
}


# the provider is reached by its name, with our key and no other

sub asked {
    my ($mock, $name, $who) = @_;
    my $q = last_request($mock);
    my $header = $name eq 'claude' ? 'x-api-key' : 'authorization';
    my $key = $name eq 'claude' ? $KEY : "Bearer $KEY";

    is($q->{headers}{host}, $HOST{$name}, "$name: the host");
    is($q->{sni}, $HOST{$name}, "$name: the name in TLS");
    is($q->{headers}{$header}, $key, "$name: our key");
    is(scalar(grep { defined $q->{headers}{$_} } CREDENTIALS), 1,
        "$name: and no other");
    unlike(join("\n", %{ $q->{headers} }), qr/\Q$who\E/,
        "$name: nor the team's") if defined $who;

    return;
}


# a key for each team, a limit for each team, a provider when one fails

sub teams {
    my ($t, $text, $name, $who, %mock) = @_;
    my %red = ($name => $who);

    is(ask($t, {})->{status}, 401, 'nobody');
    is(ask($t, { $name => 'of-somebody' })->{status}, 401, 'a wrong key');
    is($mock{openai}->stats->{requests}, 0, 'neither was sent');

    ok(whole(ask($t, \%red)), 'a stream to its end');
    asked($mock{openai}, 'openai', $who);
    is(last_request($mock{openai})->{json}{model}, 'gpt-4o-mini',
        'the model');

    $mock{openai}->defaults('status=503');
    my $r = ask($t, \%red);

    ok(whole($r), 'one fails: a stream of the other');
    like(text_of($r), qr/^Lorem ipsum/, 'in the dialect of the client');
    asked($mock{claude}, 'claude', $who);
    is(last_request($mock{claude})->{json}{model}, 'claude-sonnet-4-5',
        'its model');
    $mock{openai}->defaults('usage=off tokens=1');
    $mock{claude}->defaults('tokens=1');

    my $n = 0;

    do { $r = ask($t, \%red, messages => [ { role => 'user',
        content => 'word ' x 40_000 } ]) }
        while $r->{status} == 200 && $n++ < 20;

    cmp_ok($n, '>', 0, 'a team has its tokens');
    is($r->{status}, 429, 'and no more');
    like($r->{headers}{'x-ratelimit-limit-tokens'} // '', qr/^100000/,
        'by the rate that the page says');
    like(json($r->{body})->{error}{code}, qr/rate_limit/, 'it is told so');

    return;
}


# what the page says of a stream that is broken off

sub broken_off {
    my ($t, $mock, $ours) = @_;

    $mock->defaults('fault=close-delimited-no-terminator framing=close');
    my $r = ask($t, {});

    is($r->{status}, 200, 'a stream that the provider breaks off');
    ok(!whole($r), 'is not whole');
    ok($r->{complete}, 'and ends as HTTP does');

    my $last = json($r->{events}[-1]{data}) // {};

    $ours ? is($last->{error}{code}, 'upstream_truncated', 'with an error')
        : ok(!$last->{error}, 'without a word');

    return;
}


cmp_ok(scalar @blocks, '>=', 5, 'there are some');

for my $block (@blocks) {
    my ($section, $text) = (section($block->{line}), $block->{text});
    my $ours = $text =~ /\bllm_stream\s/;

    subtest "$section, line $block->{line}" => sub {
        my $t = LLMTest->new;
        my ($name, $who) = credential($text);

        $t->canary($KEY) if $ours;
        $text =~ s/sk-the-key/$KEY/g;

        my ($config, $at) = mocked($t, $text, key => $KEY);
        my %mock = map { $_ => $at->{ $HOST{$_} } } keys %HOST;

        $t->config($config)->start;

        if (defined $who) {
            teams($t, $text, $name, $who, %mock);

        } else {
            ok(whole(ask($t, {})), 'a stream to its end');
            is(last_request($mock{openai})->{path}, '/v1/chat/completions',
                'the path');

            $ours ? asked($mock{openai}, 'openai')
                : is(last_request($mock{openai})->{headers}{authorization},
                    "Bearer $KEY", 'the key');
            broken_off($t, $mock{openai}, $ours);
        }

        $t->finish;
    };
}
