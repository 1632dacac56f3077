#!/usr/bin/perl

# The client's bytes never depend on where the upstream's were cut, nor on
# the framing they came in; openai to openai every event passes with its own
# bytes.  The exhaustive cuts are a unit test (t/unit): here whole nginx has
# a sample of them, with the HTTP framing that the library does not see.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_usage
    chat_request sse DONE);

my @CLIENTS = qw(openai simple typed text);

# bytes of a stream that is also sent byte by byte
use constant SMALL => 700;

# how many recorded streams are cut, chosen by the seed
use constant SAMPLE => 12;

my $seed = $ENV{LLM_TEST_SEED} // int rand 1e9;
srand $seed;
diag("LLM_TEST_SEED=$seed");

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;

my $locations = join '', map { <<"EOT" } @CLIENTS;
        location = /$_ {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client $_;
        }
EOT

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_padding off;

    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
        location = /small {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_buffer_size 4k;
        }
    }
}
EOT


# what the client gets when the upstream sends these pieces and closes

sub run {
    my ($client, $pieces, %o) = @_;

    $u->script([ 'request' ], [ cut => @$pieces ], [ 'close' ]);

    my $s = $t->open(method => 'POST', path => "/$client",
        body => chat_request(%{ $o{request} || {} }));
    my $r = $s->result;

    $u->accept;
    $s->close;

    return $r;
}


# the same as one string, for comparing

sub outcome {
    my ($r) = @_;

    return join "\n", $r->{status} // 'no answer', $r->{ended},
        $r->{headers}{'content-type'} // '', $r->{body};
}


# The pieces of an answer in each framing.  A number of bytes is the size of
# the HTTP chunks; without one, the whole is one chunk.

sub head {
    my ($line) = @_;

    return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n$line\r\n";
}


sub chunked {
    my ($body, @sizes) = @_;
    my $bytes = head("Transfer-Encoding: chunked\r\n");
    my $at = 0;

    while ($at < length $body) {
        my $n = @sizes ? $sizes[ rand @sizes ] : length $body;
        my $part = substr $body, $at, $n;

        $bytes .= LLMTest::Upstream::chunk($part);
        $at += length $part;
    }

    return "${bytes}0\r\n\r\n";
}


sub with_length {
    my ($body) = @_;

    return head('Content-Length: ' . length($body) . "\r\n") . $body;
}


sub closed {
    my ($body) = @_;

    return head("Connection: close\r\n") . $body;
}


# a string in two at an offset, or in many at several

sub cut_at {
    my ($bytes, @at) = @_;
    my @pieces;
    my $from = 0;

    for my $to (sort { $a <=> $b } @at) {
        next if $to <= $from || $to >= length $bytes;
        push @pieces, substr $bytes, $from, $to - $from;
        $from = $to;
    }

    return [ @pieces, substr $bytes, $from ];
}


# The ways a stream is sent: name and pieces.  A body that ends in order
# without its last chunk is another stream, so the closed framing is tried
# only where the stream says itself that it is finished.

sub ways {
    my ($body) = @_;
    my $whole = chunked($body);
    my $length = with_length($body);
    my $head = length head("Transfer-Encoding: chunked\r\n");
    my $fine = chunked($body, 1 .. 40);
    my @ways = (
        [ 'chunks of one byte', [ chunked($body, 1) ] ],
        [ 'chunks of some bytes', [ $fine ] ],
        [ 'with a length', [ $length ] ],
    );

    for my $i (1 .. 2) {
        my $at = $head + int rand(length($whole) - $head);
        push @ways, [ "two pieces at $at", cut_at($whole, $at) ];
        $at = 1 + int rand length $length;
        push @ways, [ "length, two pieces at $at", cut_at($length, $at) ];
    }

    push @ways, [ 'chunks of some bytes, cut',
        cut_at($fine, map { int rand length $fine } 1 .. 8) ];

    if ($body =~ /^data: ?\[DONE\]/m) {
        my $closed = closed($body);

        push @ways, [ 'closed', [ $closed ] ],
            [ 'closed, cut', cut_at($closed, int rand length $closed) ];
    }

    return @ways;
}


sub bytewise {
    my ($body) = @_;

    return [ split //, chunked($body) ];
}


# all clients; openai in all ways, the others in some, chosen by the seed

sub same_for_all {
    my ($name, $body, %o) = @_;
    my @bad;

    for my $client (@{ $o{clients} || \@CLIENTS }) {
        my $whole = outcome(run($client, [ chunked($body) ], %o));
        my @ways = ways($body);

        push @ways, [ 'byte by byte', bytewise($body) ]
            if length $body <= SMALL;

        splice @ways, int rand @ways, 1
            while $client ne 'openai' && @ways > 4;

        for my $way (@ways) {
            my ($how, $pieces) = @$way;
            my $cut = outcome(run($client, $pieces, %o));

            push @bad, "$client, $how:\n$cut\nwhole:\n$whole"
                if $cut ne $whole;
        }
    }

    ok(!@bad, "$name: the same however it is cut")
        or diag(substr join("\n---\n", @bad), 0, 3000);

    return;
}


# The fixtures of the project, or streams made here if they are not there.

sub fixtures {
    my $dir = $t->root . '/t/fixtures/openai';
    my %fixture;

    for my $file (glob "$dir/*.sse") {
        my ($name) = $file =~ m{([^/]+)\.sse$};
        $fixture{$name} = slurp($file);
    }

    $fixture{made} = sse(chat_role(),
        (map { chat_text("text $_ \x{e9}\x{1f642}\n") } 1 .. 10),
        chat_finish('stop'), chat_usage(3, 4), DONE);

    return %fixture;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/ = undef;
    my $bytes = readline $fh;
    close $fh;

    return $bytes;
}


my %fixture = fixtures();

subtest 'fixtures' => sub {
    cmp_ok(scalar keys %fixture, '>=', 1, 'there are some');

    for my $name (sort keys %fixture) {
        same_for_all($name, $fixture{$name});
    }
};


# Streams of real providers, where there are any.

my @RECORDED = qw(openai-chat openrouter azure-openai deepseek groq xai vllm);
my $recorded = $t->root . '/../shared/recorded';

sub recorded {
    my @files = grep { -s $_ <= 8000 }
        map { glob "$recorded/$_/*.sse" } @RECORDED;
    my @sample;

    while (@files && @sample < SAMPLE) {
        push @sample, splice @files, int rand @files, 1;
    }

    return @sample;
}


subtest 'recorded streams' => sub {
    plan(skip_all => 'there are none: ../shared/recorded is missing')
        if !-d $recorded;

    for my $file (recorded()) {
        my ($name) = $file =~ m{([^/]+/[^/]+)$};
        same_for_all($name, slurp($file), clients => [qw(openai typed)]);
    }
};


# One answer, assembled from a stream, is the same too.

subtest 'a client that does not stream' => sub {
    for my $name (grep { $fixture{$_} } qw(made text usage tools-parallel)) {
        same_for_all($name, $fixture{$name},
            request => { stream => JSON::PP::false });
    }
};


# What openai to openai must look like: the upstream's events with their own
# data, up to the terminator; the usage chunk only for those who asked for
# it.  Judged by a parser of its own.

sub expected {
    my ($body, $usage) = @_;
    my @events;

    $body .= "\n\n" if $body !~ /(?:\n\n|\r\r|\r\n\r\n)\z/;

    for my $event (LLMTest::SSE::parse($body)) {
        my $data = $event->json;

        next if !$usage && ref $data eq 'HASH' && $data->{usage}
            && ref $data->{choices} eq 'ARRAY' && !@{ $data->{choices} };

        push @events, "$event->{event}: $event->{data}";
        last if $event->{data} =~ /^\[DONE\]/;
    }

    return @events;
}


sub lossless {
    my ($name, $body) = @_;

    for my $usage (0, 1) {
        my %request = $usage
            ? (stream_options => { include_usage => JSON::PP::true }) : ();
        my $r = run('openai', [ chunked($body, 1 .. 300) ],
            request => \%request);
        my @got = map { "$_->{event}: $_->{data}" } @{ $r->{events} };

        is_deeply(\@got, [ expected($body, $usage) ],
            "$name, usage " . ($usage ? 'asked for' : 'not asked for'));
        is($r->{ended}, 'complete', "$name: ended properly");
    }

    return;
}


# those that say themselves that all is well

sub sound {
    my ($body) = @_;
    my @events = LLMTest::SSE::parse("$body\n\n");
    my $done = grep { $_->{data} =~ /^\[DONE\]/ } @events;
    my $text = $body;

    return 0 if !$done || !utf8::decode($text);

    for my $event (@events) {
        last if $event->{data} =~ /^\[DONE\]/;

        my $data = $event->json;

        return 0 if ref $data ne 'HASH' || ref $data->{choices} ne 'ARRAY'
            || $data->{error} || $event->{event} eq 'error';
    }

    return 1;
}


subtest 'lossless: fixtures' => sub {
    my @names = grep { sound($fixture{$_}) } sort keys %fixture;

    cmp_ok(scalar @names, '>=', 1, 'there are some');
    lossless($_, $fixture{$_}) for @names;
};


subtest 'lossless: recorded streams' => sub {
    plan(skip_all => 'there are none: ../shared/recorded is missing')
        if !-d $recorded;

    for my $file (map { glob "$recorded/$_/*.sse" } @RECORDED) {
        my $body = slurp($file);
        my ($name) = $file =~ m{([^/]+/[^/]+)$};

        next if $name =~ m{/responses-} || !sound($body);
        lossless($name, $body);
    }
};


subtest 'the usage chunk' => sub {
    my @texts = (chat_role(), chat_text('a'), chat_finish('stop'));
    my $usage = chat_usage(3, 4);
    my $other = $usage =~ s/"usage":\{.*\}/"moderation":{"x":1}}/r;
    my $null = $usage =~ s/"usage":\{.*\}/"usage":null}/r;
    my $asked = { stream_options => { include_usage => JSON::PP::true } };
    my $not = { stream_options => { include_usage => JSON::PP::false } };

    for my $case (
        [ 'not asked for', {}, [ @texts, $usage, DONE ], [ @texts, DONE ] ],
        [ 'declined', $not, [ @texts, $usage, DONE ], [ @texts, DONE ] ],
        [ 'asked for', $asked, [ @texts, $usage, DONE ],
            [ @texts, $usage, DONE ] ],
        [ 'before the finish', {}, [ @texts[ 0, 1 ], $usage, $texts[2], DONE ],
            [ @texts, DONE ] ],
        [ 'other chunks without choices', {},
            [ @texts, $other, $null, DONE ], [ @texts, $other, $null, DONE ] ],
    ) {
        my ($name, $request, $in, $out) = @$case;
        my $r = run('openai', [ chunked(sse(@$in)) ], request => $request);

        is($r->{body}, sse(@$out), $name);
    }

    # usage beside choices is a part of an event that passes as a whole
    my $both = chat_finish('stop') =~ s/\}\z/,"usage":{"prompt_tokens":1}}/r;
    my @in = (@texts[ 0, 1 ], $both, DONE);
    my $r = run('openai', [ chunked(sse(@in)) ]);
    is($r->{body}, sse(@in), 'on the finish chunk');
};


# U+FFFD for each maximal part of a character, as the Unicode standard and
# browsers have it, also when the cut is inside it.

subtest 'invalid UTF-8 is repaired' => sub {
    my %bad = (
        "\xFF" => "\xEF\xBF\xBD",
        "\xC3(" => "\xEF\xBF\xBD(",
        "\xE6\x97(" => "\xEF\xBF\xBD(",
        "\xF0\x9F\x99(" => "\xEF\xBF\xBD(",
        "\x80\x80" => "\xEF\xBF\xBD\xEF\xBF\xBD",
        "\xC0\x80" => "\xEF\xBF\xBD\xEF\xBF\xBD",
        "\xED\xA0\x80" => "\xEF\xBF\xBD" x 3,
        "\xF4\x90\x80\x80" => "\xEF\xBF\xBD" x 4,
        "\xE6\x97\xA5" => "\xE6\x97\xA5",
    );

    for my $bytes (sort keys %bad) {
        my $chunk = chat_text('<here>');
        my $in = $chunk =~ s/<here>/[$bytes]/r;
        my $want = "[$bad{$bytes}]";
        my $body = sse(chat_role(), $in, chat_finish('stop'), DONE);
        my $at = index $body, '[' . $bytes;
        my $hex = unpack 'H*', $bytes;
        my %out = map { $_ => run($_, [ chunked($body) ])->{body} } @CLIENTS;

        is($out{openai}, sse(chat_role(), $chunk =~ s/<here>/$want/r,
            chat_finish('stop'), DONE), "$hex: openai");
        is($out{text}, $want, "$hex: text");
        like($out{simple}, qr/^data: \{"content":"\Q$want\E","done":false\}$/m,
            "$hex: simple");
        like($out{typed}, qr/"token":"\Q$want\E"/, "$hex: typed");

        # every cut in and around it
        for my $client (@CLIENTS) {
            my $length = with_length($body);
            my $from = length($length) - length($body) + $at;
            my @cut = map { $from + $_ } 0 .. length($bytes) + 2;

            is(run($client, cut_at($length, @cut))->{body}, $out{$client},
                "$hex: $client, cut");
        }
    }
};


# CR LF, CR and a mixture of them give the bytes that LF gives.

subtest 'line ends' => sub {
    my $body = sse(chat_role(), (map { chat_text("line $_") } 1 .. 5),
        chat_finish('stop'), DONE);

    # an event of two lines: a LF taken for an empty line would cut it
    $body =~ s/,("created":\d+,"model":"m-1","choices":\S+line 3)/,\ndata: $1/
        or die 'no event to break';

    my @eols = ("\n", "\r", "\r\n");
    my $n = 0;
    my %as = (
        'CR LF' => $body =~ s/\n/\r\n/gr,
        'CR' => $body =~ s/\n/\r/gr,
        'mixed' => $body =~ s/\n/$eols[ $n++ % 3 ]/gr,
        'BOM' => "\xEF\xBB\xBF$body",
        'comments' => ": a\n\n" . $body =~ s/^data/: b\ndata/gmr,
        'no space' => $body =~ s/^data: /data:/gmr,
    );

    for my $client (@CLIENTS) {
        my $whole = outcome(run($client, [ chunked($body) ]));

        for my $name (sort keys %as) {
            my $want = $whole;

            # lossless, down to the space that need not be there
            $want =~ s/^data: /data:/gm
                if $client eq 'openai' && $name eq 'no space';

            # bytes with every line end in a read of its own
            my $length = with_length($as{$name});
            my @ends;
            push @ends, $-[0], $+[0]
                while $length =~ /[\r\n](?=[^\0])/g;

            is(outcome(run($client, [ chunked($as{$name}) ])), $want,
                "$client: $name");
            is(outcome(run($client, cut_at($length, @ends))), $want,
                "$client: $name, cut at the line ends");
        }
    }

    same_for_all($_, $as{$_}, clients => [qw(openai text)])
        for 'CR LF', 'CR', 'mixed';
};


# The buffer is smaller than the event: it comes in as many reads as it takes.

subtest 'an event larger than the buffer' => sub {
    my @in = (chat_role(), chat_text('x' x 300_000), chat_text('y' x 5000),
        chat_finish('stop'), DONE);

    for my $way ([ 'one chunk', chunked(sse(@in)) ],
        [ 'many chunks', chunked(sse(@in), 100 .. 3000) ],
        [ 'a length', with_length(sse(@in)) ])
    {
        my $r = run('small', [ $way->[1] ]);

        ok($r->{body} eq sse(@in), "$way->[0]: whole");
        is($r->{ended}, 'complete', "$way->[0]: ended properly");
    }
};
