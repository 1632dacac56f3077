#!/usr/bin/perl

# A picture of 10 MB in a request that is translated: its base64 reaches the
# provider as it came, the worker needs little more time than proxy_pass
# does, and at most one copy more of memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use Test::More;

use LLMTest;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my @to = qw(anthropic gemini ollama openai-responses);
my $small = 'iVBORw0KGgoA';
my $big = $small . 'QUJD' x 2_500_000;
my $locations = join '', map { <<"EOT" } @to;
        location /$_ {
            llm_stream $_ http://%%MOCK%%;
            llm_stream_client openai;
        }
EOT

$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    client_max_body_size 64m;
    client_body_buffer_size 32m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
        location /plain {
            proxy_pass http://%%MOCK%%/v1/chat/completions;
            proxy_buffering off;
        }
    }
}
EOT


sub body_with {
    my ($data) = @_;

    return '{"model":"m","messages":[{"role":"user","content":[{"type":'
        . '"text","text":"What is this?"},{"type":"image_url","image_url":{'
        . '"url":"data:image/png;base64,' . $data . '"}}]}],"stream":true}';
}


sub ask {
    my ($path, $data) = @_;
    my $r = $t->post("/$path", body_with($data), headers => {
        'Content-Type' => 'application/json' }, limit => 60);

    return $r;
}


# nanoseconds that the worker ran, and its most resident memory in bytes

my ($worker) = $t->workers;

sub new_worker {
    my $old = $worker;

    $t->reload;
    $t->wait_for(sub {
        my @workers = $t->workers;
        $worker = $workers[0];
        return @workers == 1 && $worker != $old;
    });

    return;
}

sub ran {
    open my $fh, '<', "/proc/$worker/schedstat" or return;

    return (split ' ', readline $fh)[0];
}

sub most {
    open my $fh, '<', "/proc/$worker/status" or return;
    my ($kb) = map { /^VmHWM:\s+(\d+)/ } readline $fh;

    return $kb * 1024;
}

for my $name (@to) {
    my $r = ask($name, $small);
    my ($seen) = $mock->requests(1);
    my $want = $seen->{body} =~ s/\Q$small\E/$big/r;

    like($seen->{body}, qr/\Q$small\E/, "$name: a small one arrives");

    $r = ask($name, $big);
    ($seen) = $mock->requests(1);

    is($r->{status}, 200, "$name: answered");
    is($seen->{body_length}, length $want, "$name: length");
    is($seen->{body_sha256}, sha256_hex($want), "$name: every byte");
}


SKIP: {
    skip 'time and memory mean nothing under valgrind', 2
        if $ENV{TEST_NGINX_VALGRIND};
    skip 'no schedstat', 2 if !defined ran();

    my %time;

    for my $round (1 .. 7) {
        for my $name ('plain', @to) {
            my $before = ran();

            ask($name, $big);
            push @{ $time{$name} }, ran() - $before;
        }
    }

    my %median = map { $_ => (sort { $a <=> $b } @{ $time{$_} })[3] }
        keys %time;
    my ($slowest) = sort { $median{$b} <=> $median{$a} } @to;
    my $ratio = $median{$slowest} / $median{plain};

    diag(sprintf 'a picture of 10 MB: proxy_pass %.1f ms, %s; the slowest '
        . 'is %.2f times it', $median{plain} / 1e6, join(', ', map {
        sprintf '%s %.1f ms', $_, $median{$_} / 1e6 } @to),
        $ratio);
    cmp_ok($ratio, '<', 6, 'worker time against proxy_pass');

    my %most;

    # each in a worker of its own, which holds no memory of other requests
    for my $name ('plain', @to) {
        new_worker();
        ask($name, $small);

        my $before = most();

        ask($name, $big);
        $most{$name} = most() - $before;
    }

    my ($largest) = sort { $most{$b} <=> $most{$a} } @to;

    diag(sprintf 'memory at most: proxy_pass %.1f MB, %s', $most{plain}
        / 1e6, join ', ', map { sprintf '%s %.1f MB', $_, $most{$_} / 1e6 }
        @to);
    cmp_ok($most{$largest}, '<', $most{plain} + 1.2 * length $big,
        'at most one copy more');
}

$t->finish;
