#!/usr/bin/perl

# All controls at once: coalescing, stop strings, redaction, padding,
# heartbeats, storing, token rates, CORS, the limit of output and the budget
# of retries in one location, for every client dialect as a stream and as one
# answer, over HTTP/1.1 and HTTP/2, in the provider's dialect and between
# two, and for every ending.  What a client reads is what was said, once; a
# file is there for what is complete and holds the same; what was reserved is
# settled with what was used.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Dialects qw(%client @clients request read_client);
use LLMTest::Disk;
use LLMTest::Ending;
use LLMTest::Limit;

use constant { BURST => 1_000_000, BUCKET => 128 };

my $t = LLMTest->new(log_level => 'info');
my $disk = LLMTest::Disk->new($t);
my $mock = $t->mock;
my $l = LLMTest::Limit->new($t);
my $clock = LLMTest::Clock->new($t);
my @upstreams = qw(openai anthropic);

my $SAID = 'Grüße, мир 😀 and card 1234-5678 in one sentence. 你好 then';
my $SHOWN = $SAID =~ s/1234-5678/***/r;

my $locations = '';

for my $upstream (@upstreams, 'flowise') {
    for my $name (@clients) {
        my $dialect = $name =~ s/-array//r;

        $locations .= <<"EOT";
        location "/$upstream/$name/" {
            llm_stream $upstream http://provider;
            llm_stream_client $dialect;
        }
        location "/short/$upstream/$name/" {
            llm_stream $upstream http://provider;
            llm_stream_client $dialect;
            llm_stream_max_output_tokens 5;
        }
EOT
    }
}

$t->config(<<"EOT")->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    log_format end '\$http_x_key|\$status|\$llm_stream_end|'
        '\$llm_stream_tokens_source|\$llm_stream_tokens_in|'
        '\$llm_stream_tokens_out|\$llm_stream_held|\$llm_stream_redacted|';
    access_log %%DIR%%/end.log end;

    llm_stream_limit_zone \$http_x_key zone=keys:1m rate=1t/m;
    llm_stream_limit zone=keys burst=${\BURST};
    llm_stream_model \$http_x_key;
    llm_stream_unsupported drop;
    llm_stream_set_header X-Mock \$http_x_mock;
    llm_stream_idle_timeout 60s;

    llm_stream_coalesce time=20ms size=24 boundary=word max_delay=60ms;
    llm_stream_stop "<END>" "never said";
    llm_stream_redact name=card "regex=\\d{4}-\\d{4}";
    llm_stream_redact name=bad regex=forbidden action=block with=No.;
    llm_stream_padding bucket=${\BUCKET};
    llm_stream_heartbeat 20ms;
    llm_stream_store %%STORE%%/\$http_x_key text;
    llm_stream_cors https://app.example credentials;
    llm_stream_max_output_tokens 1000;
    llm_stream_next_upstream error http_503;
    llm_stream_retry_budget 10%;
    llm_stream_fallback non_stream;

    upstream provider { server %%MOCK%%; keepalive 200; }
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        %%LISTEN_H2_1%%
        location /probe {
            llm_stream openai http://provider;
            llm_stream_store off;
        }
$locations
    }
}
EOT

# coalescing and heartbeats need a clock that runs; it is put forward where a
# provider falls silent
$clock->run;

my $asked = 0;


# every way to ask, as requests that are under way

sub ask_all {
    my ($text, $mock_says, %o) = @_;
    my @asked;

    for my $upstream (@{ $o{upstreams} || \@upstreams }) {
        for my $name (@clients) {
            for my $answer ($o{stream_only} ? 0 : (0, 1)) {
                push @asked, map { ask($upstream, $name, $answer, $_, $text,
                    $mock_says, $o{group} // '') } qw(h1 h2);
            }
        }
    }

    return @asked;
}


sub ask {
    my ($upstream, $name, $answer, $proto, $text, $says, $group) = @_;
    my ($path, $body) = request($name, text => $text, answer => $answer);
    my $key = 'k' . $asked++;

    return { name => "$upstream > $name, " . ($answer ? 'answer' : 'stream')
            . ", $proto", client => $name, answer => $answer, key => $key,
        upstream => $upstream,
        s => $t->open(proto => $proto, port => $proto eq 'h2' ? 1 : 0,
            method => 'POST', path => "$group/$upstream/$name/$path",
            body => $body, headers => {
                'Content-Type' => 'application/json', 'X-Key' => $key,
                'X-Mock' => $says, Origin => 'https://app.example' }) };
}


# each(name, requests, \&check): what the client read, what the log says, the
# file, and what is left of the key's tokens; check returns complaints

sub each_one {
    my ($title, $end, $asked, $check) = @_;
    my @bad;

    for my $q (@$asked) {
        my $r = $q->{s}->result(60);
        my @words;

        $q->{r} = $r;
        $q->{s}->close;

        if (!$t->wait_log(qr/^$q->{key}\|/m, file => 'end.log')) {
            push @bad, "$q->{name}: not logged";
            next;
        }

        my ($line) = $t->read_file('end.log') =~ /^$q->{key}\|(.*)$/m;
        @{$q}{qw(status end source in out held redacted)} = split /\|/, $line;

        push @words, "$q->{end} in the log, status $q->{status}"
            if $q->{end} !~ /^(?:$end)$/;
        push @words, $check->($q, $r), shape($q, $r), settled($q), file($q);
        push @bad, map { "$q->{name}: $_" } @words;
    }

    LLMTest::Ending->all_good("$title (" . @$asked . ')', @bad);

    return;
}


# what holds for each answer whatever its end

sub shape {
    my ($q, $r) = @_;
    my @bad;

    push @bad, 'another origin is not let in'
        if ($r->{headers}{'access-control-allow-origin'} // '')
        ne 'https://app.example';
    push @bad, "$q->{held} bytes held"
        if $q->{held} ne '-' && $q->{held} > 128;
    push @bad, 'forbidden, or a card'
        if $r->{body} =~ /forbidd|card 1|1234-5678/;

    return @bad if $q->{answer} || $q->{client} =~ /^(?:text|gemini-array)$/
        || $r->{status} != 200;

    my $ends = $client{ $q->{client} }{type} ? qr/.*?\n/s : qr/.*?\n\n/s;
    my $body = $r->{body} =~ s/^: hb\n//gmr;

    # Gemini's heartbeat is blank lines
    $body =~ s/\n{3,}/\n\n/g;

    my @odd = grep { length() % BUCKET } $body =~ /\G($ends)/g;

    push @bad, scalar(@odd) . ' events of other lengths: '
        . substr $odd[0], 0, 100 if @odd;

    return @bad;
}


sub settled {
    my ($q) = @_;

    return 'no tokens: ' . join ' ', @{$q}{qw(source in out)}
        if $q->{status} == 200 && $q->{in} eq '-';

    my $used = ($q->{in} eq '-' ? 0 : $q->{in})
        + ($q->{out} eq '-' ? 0 : $q->{out});
    my $left = $l->left('/probe', $q->{key}) // return 'nothing left';
    my $off = BURST - $used - $left;

    # The probe and two estimates are rounded.  Of an answer that broke off,
    # a provider that begins with a word on its output is not believed.
    return if $off >= -3 && $off <= ($q->{end} =~ /complete|blocked/ ? 3 : 20);
    return "$left left of ${\BURST}, used $used";
}


# a file for what is complete, with the client's own text

sub file {
    my ($q) = @_;

    if ($q->{end} ne 'complete') {
        return 'a file' if defined $disk->bytes($q->{key});
        return;
    }

    my $bytes = $disk->wait_bytes($q->{key});

    return 'no file' if !defined $bytes;
    utf8::decode($bytes);

    return if !$q->{said} || $bytes eq $q->{said}{text};
    return "the file: $bytes";
}


# said($q, $r, $text, $finish): complaints of what the client read

sub said {
    my ($q, $r, $text, $finish) = @_;
    my $c = $client{ $q->{client} };
    my @bad;

    return "status $r->{status}, $r->{ended}"
        if $r->{status} != 200 || !$r->{complete};

    my $said = eval { read_client($q->{client}, $r->{body}, $q->{answer}) }
        or return "unreadable: $@" . substr $r->{body}, -300;

    $q->{said} = $said;
    push @bad, "text: $said->{text}"
        if $said->{text} !~ (ref $text ? $text : qr/\A\Q$text\E\z/);
    push @bad, 'finish: ' . ($said->{finish} // 'none')
        if !$c->{stop} && ($said->{finish} // '') !~ /^(?:$finish)$/;
    push @bad, "$said->{done} terminators"
        if !$q->{answer} && ($c->{done} // 1) && $said->{done} != 1;
    push @bad, 'an error' if @{ $said->{errors} };

    return @bad;
}


each_one('complete', 'complete', [ ask_all($SAID, 'text=echo,itl=3') ], sub {
    my ($q, $r) = @_;

    return (said($q, $r, $SHOWN, 'stop'), $q->{redacted} == 1 ? ()
        : "redacted $q->{redacted}", $q->{source} eq 'usage' ? ()
        : "tokens by $q->{source}", $q->{held} > 0 ? () : 'nothing held',
        ($q->{said}{output} // $q->{out}) == $q->{out} ? ()
        : "$q->{said}{output} tokens said");
});

each_one('a stop string', 'complete', [ ask_all("$SAID <END> and more",
    'text=echo,itl=3,size=4') ], sub {
    my ($q, $r) = @_;

    return (said($q, $r, "$SHOWN ", 'stop|stop_sequence'),
        $q->{answer} || $q->{source} eq 'estimate' ? ()
        : "tokens by $q->{source}");
});

each_one('blocked', 'blocked', [ ask_all("$SAID forbidden fruit",
    'text=echo,itl=3,size=4') ], sub {
    my ($q, $r) = @_;

    # a refusal is no text where a dialect has a place of its own for it
    return $q->{client} =~ /^openai(?:-responses)?$/
        ? (said($q, $r, "$SHOWN ", 'content_filter'),
            $q->{said}{refusal} eq 'No.' ? () : 'no refusal')
        : said($q, $r, "${SHOWN} No.", 'content_filter');
});

each_one('the limit of output', 'complete', [ ask_all(
    'one two three four five six seven eight nine ten eleven twelve',
    'text=echo,itl=3', upstreams => ['flowise'], group => '/short') ], sub {
    my ($q, $r) = @_;

    return said($q, $r, qr/\Aone two \S.*(?<! twelve)\z/, 'length');
});


# What breaks: an error that the client can read, or the status.

my %broken = (
    'closed' => [ 'fin-chunked-incomplete', 'truncated' ],
    'reset' => [ 'rst-mid-event', 'truncated' ],
    'an error event' => [ 'error-event-mid', 'upstream_error' ],
    'a stall' => [ 'stall-mid', 'timeout' ],
);

my %same;


# all streams have come as far as they will: what the mock has sent stays the
# same, look after look

sub silence {
    my ($n) = @_;
    my ($last, $looks) = ('', 0);

    return $t->wait_for(sub {
        my $stats = $mock->stats;
        my $sent = "$stats->{open} $stats->{bytes_sent}";

        $looks = $sent eq $last ? $looks + 1 : 0;
        $last = $sent;

        return $stats->{open} == $n && $looks >= 30;
    });
}


for my $name (sort keys %broken) {
    my ($fault, $end) = @{ $broken{$name} };

    my @asked = ask_all($SAID, "text=echo,itl=3,size=4,at=9,fault=$fault",
        stream_only => 1);

    if ($end eq 'timeout') {
        ok(silence(scalar @asked), "$name: all wait");
        $clock->advance(61);
    }

    each_one($name, $end, \@asked, sub {
        my ($q, $r) = @_;

        return "status $r->{status}" if $r->{status} != 200;

        my $said = eval { read_client($q->{client}, $r->{body}) };

        # an error may come while a block is open
        return $@ =~ /block was left open/ && $r->{body} =~ /error/ ? ()
            : "unreadable: $@" . substr $r->{body}, -300 if !$said;

        my @bad;

        push @bad, "text: $said->{text}"
            if $said->{text} eq '' || index($SHOWN, $said->{text});
        push @bad, 'an end as of a whole answer'
            if defined $said->{finish} && $said->{finish} ne 'error';
        push @bad, 'no error' if $q->{client} !~ /^(?:text|simple|typed)$/
            && !@{ $said->{errors} };

        # what came before was held, but none of it is lost
        push @{ $same{"$name, $q->{upstream}"}{ $said->{text} } },
            $q->{name} if $fault ne 'rst-mid-event';

        return @bad;
    });
}

LLMTest::Ending->all_good('each client was told the same',
    map { keys %{ $same{$_} } > 1 ? join '; ', $_, map { s/[^ -~]/?/gr }
        keys %{ $same{$_} } : () } sort keys %same);

my @left = ask_all($SAID, 'text=echo,itl=1000,tokens=400', stream_only => 1);

for my $q (@left) {
    $q->{s}->read_until(qr/Gr/) // diag("$q->{name}: no text");
    $q->{s}->abort;
}

each_one('the client leaves', 'client_abort', \@left, sub { });


$t->wait_for(sub { !grep { $_ eq 'TEMP' } $disk->files });
ok(!(grep { $_ eq 'TEMP' } $disk->files), 'no temporary file is left');
unlike($t->error_log, qr/forbidden|1234-5678/, 'nothing of it in the log');

$t->finish;
