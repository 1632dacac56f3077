#!/usr/bin/perl

# The page of llm_stream_status in a browser: starts nginx and the mock, has
# node/status-page.mjs look at the page, and stops and starts nginx when that
# wants it.  It knows nothing of the page.  Part of make check-clients; the
# pictures are in build/clients/page-*.png.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);

# what t/clients/install says when a registry could not be reached
use constant UNREACHABLE => 4;

# seconds
use constant PROGRAM_LIMIT => 120;

my $json = JSON::PP->new->utf8->canonical;
my $installed = system("$FindBin::Bin/install", 'browser', 'node') >> 8;

plan skip_all => 'a registry could not be reached'
    if $installed == UNREACHABLE;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;

$t->config(<<'EOC');
%%GLOBALS%%
worker_processes 2;
events { }
http {
    %%HTTP%%
    llm_stream_zone counts:1m;
    llm_stream_set_header X-Mock $http_x_mock;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name llm.example;
        location /v1/chat/completions { llm_stream openai http://%%MOCK%%; }
        location /v1/messages {
            llm_stream anthropic http://%%MOCK%%;
            llm_stream_client openai;
        }
        location /api/ {
            llm_stream ollama http://%%MOCK%%;
            llm_stream_client openai;
        }
        location = /status { llm_stream_status; }
    }
}
EOC
$t->start;

$t->write_file($_, '') for 'page.out', 'page.err';

my $proc = LLMTest::Proc->spawn(
    cmd => [ 'node', "$FindBin::Bin/node/status-page.mjs" ],
    name => 'status-page', stdin_pipe => 1,
    stdout => $t->dir . '/page.out', stderr => $t->dir . '/page.err');
my $seen = 0;
my $over = 0;

local $SIG{PIPE} = 'IGNORE';

reply($json->encode({ nginx => 'http://127.0.0.1:' . $t->port(0),
    mock => 'http://' . $mock->address }));

while (defined(my $line = heard())) {
    my $said = $json->decode($line);

    if ($said->{want}) {
        $said->{want} eq 'stop' ? $t->stop : $t->start;
        reply('done');

    } elsif ($said->{over}) {
        $over = 1;

    } else {
        ok($said->{ok}, $said->{name} // $said->{missing})
            or diag($said->{why} // '');
    }
}

ok($over, 'all of it was seen') or diag($t->read_file('page.err'));
$proc->stop(1, 'TERM');
$t->finish;


sub reply {
    my ($text) = @_;

    print { $proc->{stdin} } "$text\n";
    $proc->{stdin}->flush;

    return;
}


# the next line; nothing when the program is over, or takes too long

sub heard {
    my $line;

    wait_for(sub {
        my $gone = !$proc->alive;
        my @lines = $t->read_file('page.out') =~ /^(.*)\n/mg;

        $line = $lines[$seen] if $seen < @lines;

        return defined $line || $gone;
    }, PROGRAM_LIMIT);

    $seen++;

    return $line;
}
