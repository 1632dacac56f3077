#!/usr/bin/perl

# docs/dialects.md against the code.  The tables are made by asking the wire
# library (t/tables), and what the document has must be the same;
# util/dialect-tables --write renews them.  The samples are what comes out of
# the module with the mock as its provider.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my $t = LLMTest->new;
my $root = $t->root;

open my $fh, '<', "$root/docs/dialects.md" or die "docs/dialects.md: $!\n";
my $text = do { local $/ = undef; readline $fh };
close $fh;


# the tables in a text: name => lines, and how often each is there

sub tables {
    my ($from) = @_;
    my (%table, %times);

    while ($from =~ /^<!-- generated: (\S+) -->\n(.*?)^<!-- end -->$/msg) {
        $table{$1} = [ split /\n/, $2 ];
        $times{$1}++;
    }

    return (\%table, \%times);
}


subtest 'tables' => sub {
    my $made = qx{"$root/util/dialect-tables" 2>&1};
    is($?, 0, 'they can be made') or diag($made);

    my ($expected) = tables($made);
    my ($there, $times) = tables($text);

    cmp_ok(scalar keys %$expected, '>=', 25, 'there are some');
    is_deeply([ sort keys %$there ], [ sort keys %$expected ],
        'the document has each of them');

    for my $name (sort keys %$expected) {
        is($times->{$name}, 1, "$name: once");
        is_deeply($there->{$name}, $expected->{$name},
            "$name: as the code says (else util/dialect-tables --write)");
    }

    # a member that goes nowhere is one that is not asked for rightly

    for my $name (grep { /^requests-/ } sort keys %$expected) {
        my @rows = @{ $expected->{$name} };

        cmp_ok(@rows, '>=', 4, "$name: has rows");

        for my $row (@rows[ 2 .. $#rows ]) {
            my (undef, $what, @cells) = split / ?\| ?/, $row;

            ok(scalar(grep { /`|as it is/ } @cells),
                "$name: $what is carried somewhere");
        }
    }
};


# samples: what is asked of each client's dialect

my $MESSAGES = '"messages":[{"role":"user","content":"hi"}]';

my %ask = (
    'openai' => [ '', "{\"stream\":true,$MESSAGES}" ],
    'openai-completions' => [ '', '{"stream":true,"prompt":"hi"}' ],
    'openai-responses' => [ '', '{"stream":true,"input":"hi"}' ],
    'anthropic' => [ '', "{\"stream\":true,\"max_tokens\":9,$MESSAGES}" ],
    'gemini' => [ 'm:streamGenerateContent?alt=sse',
        '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}' ],
    'ollama' => [ '', "{$MESSAGES}" ],
    'ollama-generate' => [ '', '{"prompt":"hi"}' ],
    'flowise' => [ 'prediction/f', '{"streaming":true,"question":"hi"}' ],
    'cohere' => [ '', "{\"model\":\"m\",\"stream\":true,$MESSAGES}" ],
    'simple' => [ '', "{$MESSAGES}" ],
    'simple answer' => [ '', "{\"stream\":false,$MESSAGES}" ],
    'typed' => [ '', "{$MESSAGES}" ],
    'typed answer' => [ '', "{\"stream\":false,$MESSAGES}" ],
    'text' => [ '', "{$MESSAGES}" ],
);


subtest 'samples' => sub {
    my $mock = $t->mock;
    my $address = $mock->address;
    my $said = 'tokens=2 id=1 created=1700000000';
    my $locations = '';

    for my $client (grep { !/ |cohere/ } sort keys %ask) {
        $locations .= "location /$client/ { llm_stream openai"
            . " http://$address; llm_stream_client $client;"
            . " llm_stream_model gpt-test;"
            . " llm_stream_set_header X-Mock \"$said\"; }\n";
    }

    $t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        $locations

        location /cohere/ {
            proxy_pass http://$address/v2/chat;
            proxy_set_header X-Mock "$said";
        }
    }
}
EOT

    my %sample;

    while ($text =~ /^<!-- sample[\w-]*: (.*?) -->\n```\n(.*?)^```$/msg)
    {
        $sample{$1} = $2;
    }

    is_deeply([ sort keys %sample ], [ sort keys %ask ], 'all are there');

    for my $name (sort keys %sample) {
        my ($client) = split / /, $name;
        my ($path, $body) = @{ $ask{$name} };
        my $r = $t->http('POST', "/$client/$path", {}, $body);
        my $is = $r->{body};
        my @pieces = map { quotemeta } split /…/, $sample{$name}, -1;

        $pieces[-1] =~ s/\\\n\z/\\n?/;
        my $shown = join '.*?', @pieces;

        is($r->{status}, 200, "$name: answered");
        like($is, qr/\A$shown\z/s, "$name: as it is shown");
    }
};

$t->finish;
