#!/usr/bin/perl

# What the benchmarks compare does the same work: every entrant that this
# project has written gives its client what the provider said, wherever the
# bytes were cut, one event at a time, over connections that are kept.  Those
# that speak simple give the same events.  What cannot be had here (Lua, njs,
# Node) is skipped with a word.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../benchmarks/lib";

use File::Temp ();
use JSON::PP ();
use Test::More;

use LLMBench::Entrant;
use LLMTest::Client;
use LLMTest::Mock;

# clients at once
use constant CLIENTS => 6;

my $root = LLMBench::Entrant::root();
my $dir = File::Temp->newdir('llmtest-XXXXXXXX', TMPDIR => 1);
my $mock = LLMTest::Mock->new(root => $root, log => "$dir/mock");
my $json = JSON::PP->new->utf8->canonical;

my %endpoint = (anthropic => '/v1/messages');

# Everything that JSON can escape or must, in words.
my $HARD = join ' ', "\"quotes\"", '\\back\\slash', "line\nfeed", "tab\tand",
    "\x{1}control", "del\x{7f}", '</script>', "\x{e9}t\x{e9}",
    "\x{1F600}\x{1F469}\x{200D}\x{1F680}", "\x{2028}line\x{2029}", "\x{85}",
    'data: x', '[DONE]', '{"content":"x"}', "end";

# what the mock is asked for: options and, of an echo, the message
my @WORK = (
    [ 'characters of many bytes', 'text=unicode tokens=50' ],
    [ 'a byte a write', 'text=unicode tokens=12 fault=byte-by-byte' ],
    [ 'a byte a write, CRLF',
        'text=unicode tokens=5 eol=crlf fault=byte-by-byte' ],
    [ 'all that is escaped', 'text=echo', $HARD ],
    [ 'the same a byte a write', 'text=echo fault=byte-by-byte', $HARD ],
    [ 'many events a write', 'text=lorem tokens=64 burst=16' ],
    [ 'several tokens an event', 'text=unicode tokens=40 per_event=4' ],
    [ 'events of 20 kB', 'text=lorem tokens=4 size=20000' ],
    [ 'comments and usage', 'text=lorem tokens=8 comments=2 usage=force' ],
    [ 'other things between',
        'text=lorem tokens=6 reasoning=3 tools=1 logprobs=1' ],
    [ 'a refusal', 'text=lorem tokens=6 refusal=1' ],
);

for my $name (qw(plain module-off module-openai module-simple
    module-anthropic lua njs node))
{
    subtest $name => sub { entrant($name) };
}

done_testing();


sub entrant {
    my ($name) = @_;
    my $entrant = LLMBench::Entrant->new($name);
    my $why = $entrant->install;

    plan(skip_all => $why) if defined $why;

    $entrant->start($mock->address);

    my ($variant) = $entrant->variants;
    my @to = ($entrant->port, $variant->{dialect});

    connections_are_kept(@to);
    comes_at_once($name, @to);
    stamps_arrive(@to);
    goes_with_its_client($name, @to);
    says_the_same($_, @to) for @WORK;
    tells_of_a_cut($name, @to) if $variant->{dialect} eq 'simple';

    $entrant->stop;

    return;
}


# asks for a stream; options for the mock, the message

sub ask {
    my ($port, $dialect, $options, $message) = @_;

    return LLMTest::Client->request(port => $port, method => 'POST',
        path => $endpoint{$dialect} // '/v1/chat/completions',
        headers => { 'X-Mock' => $options,
            'Content-Type' => 'application/json' },
        body => $json->encode({ model => 'm', max_tokens => 99,
            stream => JSON::PP::true,
            messages => [ { role => 'user',
                content => $message // 'hi' } ] }));
}


# the text of an event; undef if it says none

sub text_of {
    my ($event, $dialect) = @_;
    my $said = $event->json;

    return if ref $said ne 'HASH';

    my $delta = $dialect eq 'simple' ? $said : $dialect eq 'anthropic'
        ? $said->{delta} : ($said->{choices} // [])->[0]{delta};

    $delta = {} if ref $delta ne 'HASH';

    my $text = $dialect eq 'anthropic' ? $delta->{text}
        : $delta->{content} // $delta->{refusal};

    return defined $text && $text ne '' ? $text : undef;
}


sub texts {
    my ($answer, $dialect) = @_;

    return [ grep { defined } map { text_of($_, $dialect) }
        @{ $answer->{events} } ];
}


sub connections_are_kept {
    my ($port, $dialect) = @_;
    my $before = $mock->stats->{connections};

    for (1 .. 4) {
        my $answer = ask($port, $dialect, 'tokens=2')->result;
        is($answer->{ended}, 'complete', 'an answer') or return;
    }

    is($mock->stats->{connections} - $before, 1,
        'four requests, one connection to the provider');

    return;
}


# Each event is with the client before the provider sends the next.

sub comes_at_once {
    my ($name, $port, $dialect) = @_;
    my $id = "step-$name";
    my $stream = ask($port, $dialect, "tokens=5 lockstep=$id text=lorem");
    my $came = 0;

    # the first event is the role's
    $mock->wait(id => $id, events => 1) or fail('a first event');

    for my $k (1 .. 5) {
        $mock->ack($id);

        while (my $event = $stream->read_event) {
            last if defined text_of($event, $dialect) && ++$came == $k;
        }
    }

    is($came, 5, 'each event comes at once') or diag($stream->why);

    $mock->ack($id, 100);
    is($stream->result->{ended}, 'complete', 'and the stream ends');

    return;
}


sub stamps_arrive {
    my ($port, $dialect) = @_;
    my @streams = map { ask($port, $dialect, 'text=stamp tokens=50') }
        1 .. CLIENTS;

    for my $stream (@streams) {
        my $answer = $stream->result;
        my $text = join '', @{ texts($answer, $dialect) };
        my @good;

        while ($text =~ /\G~(([0-9a-f]{6})\.[0-9a-f]{14}\.[0-9a-f]{8})
            \.([0-9a-f]{2});/gcx)
        {
            push @good, hex $2 if unpack('%8C*', $1) == hex $3;
        }

        is(pos $text // 0, length $text, 'nothing but stamps');
        is_deeply(\@good, [ 1 .. 50 ], 'each stamp once, in order, whole');
    }

    return;
}


# A client that leaves takes its request to the provider along.

sub goes_with_its_client {
    my ($name, $port, $dialect) = @_;
    my $id = "left-$name";
    my $stream = ask($port, $dialect, "tokens=100000 itl=20 id=$id");

    ok($stream->read_event, 'a stream has begun');
    $stream->abort;
    ok($mock->wait(id => $id, end => 1), 'its client leaves, and it ends')
        or return;
    is($mock->stats($id)->{end}, 'aborted', 'before its time');

    return;
}


# What the client gets is what one gets who asks the provider itself.

sub says_the_same {
    my ($work, $port, $dialect) = @_;
    my ($what, @asked) = @$work;
    my $want = texts(ask($mock->port, 'openai', @asked)->result, 'openai');
    my @streams = map { ask($port, $dialect, @asked) } 1 .. CLIENTS;

    cmp_ok(scalar @$want, '>', 1, "$what: the provider speaks");

    for my $answer (map { $_->result } @streams) {
        my $good = is_deeply(texts($answer, $dialect), $want, $what);
        my $last = $answer->{events}[-1];
        my $end = $dialect eq 'openai' ? '[DONE]'
            : $dialect eq 'simple' ? '{"done":true}'
            : '{"type":"message_stop"}';

        is($answer->{ended}, 'complete', 'the answer is whole');
        is($last && $last->{data}, $end, 'the end is said');
        last if !$good;
    }

    return;
}


# A provider that breaks off: what was said comes, and no end.  The module
# says that it is an error; of the others it is noted what they say.

sub tells_of_a_cut {
    my ($name, $port, $dialect) = @_;

    for my $fault (qw(fin-chunked-incomplete rst-mid-event
        last-chunk-no-terminator))
    {
        my $answer = ask($port, $dialect,
            "text=lorem tokens=9 fault=$fault at=5 gap=20")->result;
        my @said = @{ $answer->{events} };
        my $last = @said ? $said[-1]->json : {};
        my $told = defined $last->{error}
            ? "error $last->{code}, $answer->{ended}"
            : "no error, $answer->{ended}";

        # three: event 1 is the role's, and 5 is cut
        is(scalar @{ texts($answer, $dialect) }, 3,
            "$fault: what was said before");
        is(scalar(grep { $_->{data} eq '{"done":true}' } @said), 0,
            "$fault: no end is made up");
        note("$name, $fault: $told");

        like($told, qr/^error upstream_\w+, complete$/, "$fault: an error")
            if $name eq 'module-simple';
    }

    return;
}
