#!/usr/bin/perl

# Tests of the mock's stamps (text=stamp), which measurements behind proxies
# rest on: numbers, times, width, check sum, in every shape of an answer.  See
# mock.t for how to choose the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw(decode_json);
use LLMTest::Stamp qw(stamps);
use LLMTest::Wait;
use MockRaw;
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

plan skip_all => 'no llm-mock: build it first or set LLM_MOCK'
    if !available();

my $mock = main_mock('--set', 'text=stamp');

sub nanoseconds { return int 1e9 * clock_gettime(CLOCK_MONOTONIC) }

sub told { return stamps(delta_text(stream(@_))) }

sub numbers { return [map { $_->{k} } @_] }

# What "late" says must be what the times say: without the lateness, stamps
# stand in the distances that were asked for.  In milliseconds.

sub due_gaps {
    my @due = map { $_->{made} - $_->{late} } @_;

    return [map { ($due[$_] - $due[$_ - 1]) / 1e6 } 1 .. $#due];
}

subtest 'numbers and times' => sub {
    my $before = nanoseconds();
    my @stamps = told('tokens=300');
    my $after = nanoseconds();

    is_deeply(numbers(@stamps), [1 .. 300], 'each token once, in order');

    my @wrong = grep { $stamps[$_]{made} < $stamps[$_ - 1]{made} }
        1 .. $#stamps;
    is(scalar @wrong, 0, 'no time before the one before');
    cmp_ok($stamps[0]{made}, '>=', $before, 'not before the request');
    cmp_ok($stamps[-1]{made}, '<=', $after, 'not after the answer');
    is(scalar(grep { $_->{late} } @stamps), 0, 'without a pace none is late');
};

subtest 'lateness' => sub {
    my @stamps = told('tokens=20,itl=3,ttft=5');
    is_deeply(due_gaps(@stamps), [(3) x 19], 'is behind the time it was due');
    cmp_ok($stamps[0]{late}, '>', 0, 'of the first token, too');

    @stamps = told('tokens=3,ttft=5');
    cmp_ok($stamps[0]{late}, '>', 0, 'ttft alone: the first token');
    is("$stamps[1]{late} $stamps[2]{late}", '0 0', 'and no other');

    my $s = dial();
    put($s, request('tokens=3,itl=0.5,lockstep=lock'));
    ack('lock', 5);
    @stamps = stamps(delta_text(join '', chunks(body_of(scalar get($s)))));
    is(scalar @stamps, 3, 'lock-step: all');
    is(scalar(grep { $_->{late} } @stamps), 0, 'lock-step: none is late');
};

sub stopped {
    open my $fh, '<', "/proc/$mock->{pid}/stat" or return;
    my $line = readline $fh;
    close $fh;

    return $line =~ /\) T /;
}

subtest 'the biggest lateness that there is' => sub {
    my ($s, $first);

    # nothing but time makes it late; one that came before was not
    for (1 .. 20) {
        $s = dial();
        put($s, request('tokens=2,itl=500'));
        $first = get($s, qr/~000001\./);
        kill 'STOP', $mock->{pid};
        LLMTest::Wait::wait_for(\&stopped);
        last if $first !~ /~000002\./
            && !LLMTest::Wait::readable(fileno $s, LLMTest::Wait::now());
        kill 'CONT', $mock->{pid};
    }

    my $until = nanoseconds() + 2**32 + 6e8;
    LLMTest::Wait::wait_for(sub { nanoseconds() > $until }, 60);
    kill 'CONT', $mock->{pid};

    my @stamps = stamps(delta_text(join '', chunks(body_of(
        scalar get($s, undef, $first)))));
    is($stamps[1]{late}, 2**32 - 1, 'ffffffff');
};

subtest 'filler, several a token, several choices' => sub {
    for my $size (1, 35, 36, 61, 100) {
        is_deeply(numbers(stamps(delta_text(stream("tokens=3,size=$size")),
            $size < 35 ? 35 : $size)), [1 .. 3], "size=$size");
    }

    my @stamps = told('tokens=4,per_event=5,itl=1');
    is_deeply(numbers(@stamps), [1 .. 20], 'per_event=5');
    is($stamps[$_]{made}, $stamps[$_ - 4]{made}, 'made with its event')
        for 4, 9, 14, 19;

    my $text = stream('tokens=4', more => '"n":2');
    is_deeply(numbers(stamps(delta_text($text, 'content', $_))), [1 .. 4],
        "choice $_") for 0, 1;

    $text = stream('tokens=2,reasoning=2,tools=1');
    is(delta_text($text, 'reasoning_content'), 'Lorem ipsum',
        'reasoning is not stamped');
    is_deeply(numbers(stamps(delta_text($text))), [1, 2], 'content is');
};

subtest 'a length that is announced' => sub {
    my $raw = ask('tokens=50,framing=length,itl=1');
    my ($length) = head_of($raw) =~ /^Content-Length: (\d+)\r$/m;

    is(length body_of($raw), $length, 'is right');

    my @stamps = stamps(delta_text(body_of($raw)));
    is_deeply(numbers(@stamps), [1 .. 50], 'all');
    is_deeply(due_gaps(@stamps), [(1) x 49], 'with the time it was sent');
};

subtest 'an answer that is no stream' => sub {
    my $before = nanoseconds();
    my $json = decode_json(body_of(scalar ask('tokens=3,itl=5,logprobs=1',
        plain => 1)));
    my $choice = $json->{choices}[0];
    my @stamps = stamps($choice->{message}{content});

    is_deeply(numbers(@stamps), [1 .. 3], 'all');
    cmp_ok($stamps[0]{made}, '>=', $before + 15e6, 'when it was written');
    cmp_ok($stamps[0]{late}, '>', 0, 'and how late');
    is(join('', map { $_->{token} } @{ $choice->{logprobs}{content} }),
        $choice->{message}{content}, 'the same wherever it is repeated');
};

stop($mock);
done_testing();
