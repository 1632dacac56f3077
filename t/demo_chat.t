#!/usr/bin/perl

# make demo-chat: it serves the chat page and what the page asks until it is
# ended, at the port that was asked for, shows what a provider's fault does,
# and leaves nothing however it ends.  What the page does in a browser is
# tested by make check-clients.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use LLMTest::Client;
use LLMTest::Demo qw(root start output errors descendants nothing_left);
use LLMTest::Wait qw(wait_for);

my $question = '{"model":"m","stream":true,"stream_options":'
    . '{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}';


# a run that serves; its port, or nothing if it has ended

sub serving {
    my ($run) = @_;

    wait_for(sub {
        return output($run) =~ /\n/ || !$run->{proc}->alive;
    });

    $run->{pids}{$_} = 1 for descendants($run->{proc}->pid);

    return output($run) =~ m{^http://127\.0\.0\.1:(\d+)/ }m ? $1 : undef;
}


sub demo {
    my (%env) = @_;

    return start([ root() . '/util/demo-chat' ], env => \%env);
}


sub get {
    my ($port, $path, %o) = @_;

    return LLMTest::Client->request(port => $port, path => $path, %o)->result;
}


# a free port; the socket that found it stays bound, so that it remains free

my @held;

sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Proto => 'tcp', ReuseAddr => 1)
        or die "no free port: $!\n";

    push @held, $socket;

    return $socket->sockport;
}


subtest 'the page and its requests' => sub {
    my $run = demo();
    my $port = serving($run) or return fail('it serves: ' . errors($run));
    my $page = get($port, '/');

    like($page->{body}, qr/<script type="module" src="chat\.js">/, 'a page');
    like($page->{headers}{'content-security-policy'} // '',
        qr/^default-src 'none'/, 'with the policy of the example');
    is(get($port, '/chat.js')->{headers}{'content-type'},
        'application/javascript', 'its script');

    my $stream = get($port, '/v1/chat/completions', method => 'POST',
        body => $question);

    like($stream->{body}, qr/"content":"Lorem".*"content":" ipsum"/s,
        'a stream');
    like($stream->{body}, qr/"completion_tokens":120\b/, 'with its usage');
    like($stream->{body}, qr/data: \[DONE\]\n\n\z/, 'to its end');
    like(get($port, '/chat?message=Hello')->{body},
        qr/^data: \{"content":"Lorem","done":false\}$/m,
        'another for EventSource');

    ok($run->{proc}->alive, 'and it goes on');
    $run->{proc}->signal('INT');
    is($run->{proc}->wait_exit >> 8, 130, 'Ctrl-C ends it');
    is(errors($run), '', 'without a word');
    nothing_left($run, 'Ctrl-C');
};


subtest 'a port of your own, and a fault' => sub {
    my $port = free_port();
    my $run = demo(PORT => $port, FAULT => 'fin-chunked-incomplete');

    is(serving($run), $port, 'the port');
    like(get($port, '/chat?message=Hello')->{body},
        qr/"code":"upstream_truncated","done":true\}\n\n\z/, 'the fault');

    my $other = demo(PORT => $port);

    is(serving($other), undef, 'a second one at the same port: does not');
    isnt($other->{proc}->wait_exit, 0, 'its exit status');
    like(errors($other), qr/\Q$port\E/, 'and why');
    nothing_left($other, 'the second');

    $run->{proc}->signal('TERM');
    is($run->{proc}->wait_exit >> 8, 143, 'TERM ends it');
    nothing_left($run, 'TERM');
};


subtest 'by make, as a terminal ends it' => sub {
    my $run = start([ 'make', '-s', '-C', root(), 'demo-chat' ]);

    ok(serving($run), 'it serves');
    kill 'INT', -$run->{proc}->pid;
    isnt($run->{proc}->wait_exit, 0, 'exit status');
    nothing_left($run, 'make');
};


subtest 'what does not go well' => sub {
    my $run = demo(PORT => 'http');

    is($run->{proc}->wait_exit >> 8, 2, 'a wrong port: exit status');
    like(errors($run), qr/^usage: make demo-chat/, 'a wrong port: usage');
    nothing_left($run, 'a wrong port');

    $run = demo(TEST_NGINX_BINARY => '/bin/false');
    is($run->{proc}->wait_exit >> 8, 1, 'no nginx: exit status');
    like(errors($run), qr/^nginx did not start/, 'no nginx: why');
    nothing_left($run, 'no nginx');

    # the mock goes away under it
    $run = demo();
    ok(serving($run), 'it serves');

    my ($mock) = grep { command_of($_) =~ /llm-mock/ } keys %{ $run->{pids} };

    kill 'TERM', $mock;
    is($run->{proc}->wait_exit >> 8, 1, 'without its mock: exit status');
    like(errors($run), qr/^llm-mock has ended/, 'without its mock: why');
    nothing_left($run, 'without its mock');
};


sub command_of {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/cmdline" or return '';
    my $line = readline $fh;
    close $fh;

    return $line // '';
}


done_testing();
