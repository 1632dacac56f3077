#!/usr/bin/perl

# The mock's table of faults, row by row, through every client dialect: one
# table says what each must come to.  The names are those of the project's
# list of faults; a fault of the mock without a row here fails the test.
# Exact bytes are the business of endings_*.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Ending qw(streaming);
use LLMTest::Faults qw(apart fault_rows TOKENS);

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock(tls => 1, tls_name => 'provider.test');
my $e = LLMTest::Ending->new($t, undef);

$t->set(CA => $t->tls_ca, UPSTREAM => $mock->address);

$t->config(LLMTest::Ending::conf(
    main => <<'EOT',
    llm_stream_heartbeat off;
    client_max_body_size 64m;
    client_body_buffer_size 64m;
    upstream secure { server %%MOCK_TLS%%; }
EOT
    first => 'llm_stream_first_token_timeout %%MS_2000%%;',
    idle => 'llm_stream_idle_timeout %%MS_1000%%;',
    total => 'llm_stream_total_timeout %%MS_1000%%;',
    small => 'llm_stream_max_event_size 64k;',
    server => join '', map { <<"EOT" } streaming()))->start;
        location /tls/$_ {
            llm_stream openai https://secure;
            llm_stream_client $_;
            llm_stream_ssl_name provider.test;
            llm_stream_ssl_trusted_certificate %%CA%%;
        }
EOT

my $tokens = TOKENS;
my @rows = fault_rows($t->has_version('1.29.4'));
my @clients = (streaming(), 'gathered');
my %listed = map { $_->[0] => 1 } @rows, map { [$_] } apart();
my @mocks = @{ JSON::PP->new->decode(
    $t->http('GET', '/mock/faults', undef, undef,
        port => $mock->port)->{body}) };

is_deeply([ sort keys %listed ], [ sort @mocks ],
    'a row for each fault of the mock, and none for others');


# the tokens of a good stream, by which the texts are judged

my @texts = do {
    my $s = $e->send_request('openai', more => { model
        => "mock:tokens=$tokens" });
    my @list = grep { defined && $_ ne '' }
        map { ($_->json // {})->{choices}[0]{delta}{content} }
        @{ $s->result->{events} };

    is(scalar @list, $tokens, 'tokens of a good stream');
    $e->check('a good stream', $s, body => $s->body);
    @list;
};


# What a client has been shown: { text, done (number of terminators), code
# (of an error event or document), last (what came last) }

sub look {
    my ($client, $r) = @_;
    my $see = { text => '', done => 0, last => '' };

    if ($client eq 'text') {
        $see->{text} = $r->{body} if $r->{status} == 200;
        return $see;
    }

    my @values = @{ $r->{events} } ? @{ $r->{events} }
        : { data => $r->{body} };

    for my $event (@values) {
        if (($event->{data} // '') eq '[DONE]') {
            $see->{done}++;
            $see->{last} = 'done';
            next;
        }

        my $json = eval { JSON::PP->new->utf8->decode($event->{data}) };
        see($client, $see, $json) if ref $json eq 'HASH';
    }

    return $see;
}


sub see {
    my ($client, $see, $json) = @_;
    my $data = $json->{data};

    $see->{last} = 'text';

    if ($client eq 'openai') {
        my ($choice) = grep { ref eq 'HASH' && ($_->{index} // 0) eq '0' }
            ref $json->{choices} eq 'ARRAY' ? @{ $json->{choices} } : ();
        my $delta = $choice && $choice->{delta};
        my $text = ref $delta eq 'HASH' ? $delta->{content} : undef;

        $see->{text} .= $text if defined $text && !ref $text;
        see_error($see, $json->{error}) if ref $json->{error};

    } elsif ($client eq 'simple') {
        $see->{text} .= $json->{content} // '';
        see_error($see, $json) if defined $json->{error};

        if ($json->{done} && !defined $json->{error}) {
            $see->{done}++;
            $see->{last} = 'done';
        }

    } elsif ($json->{type} eq 'error') {
        see_error($see, $data);

    } elsif ($json->{type} eq 'done') {
        $see->{done}++;
        $see->{last} = 'done';
        $see->{text} = $data->{full_text} if $client eq 'gathered';

    } elsif ($json->{type} eq 'token') {
        $see->{text} .= $data->{token};
    }

    return;
}


sub see_error {
    my ($see, $error) = @_;

    $see->{code} = $error->{code};
    $see->{last} = 'error';

    return;
}


# the request of one client of one row

sub ask {
    my ($row, $client) = @_;
    my ($fault, $options, undef, %want) = @$row;
    my $n = $fault eq 'total-too-long' ? '' : ",tokens=$tokens";

    return $e->send_request($client, group => $want{group}, more => {
        model => "mock:fault=$fault$n" . ($options && ",$options") });
}


# complaints about it

sub bad_row {
    my ($row, $client, $s) = @_;
    my (undef, undef, $code, %want) = @$row;
    my $r = $s->result(60);
    my $failed = $want{provider} || $code;

    if (exists $want{others} && $client ne 'openai') {
        ($code, $failed) = ($want{others}, 1);
    }

    my @bad = $failed ? bad_failure($client, $r, $code, %want)
        : bad_success($client, $r);

    push @bad, bad_text($client, $r, $failed, %want);
    push @bad, bad_words($s, $failed && ($want{provider}
        ? 'upstream_error' : $code), $r);

    return map { "$client: $_" } @bad;
}


my $patience;


sub bad_connections {
    my %want = @_;

    return if $want{kept} || $mock->wait(open_connections => 0,
        limit => $patience);

    # it has failed: no need to wait that long again
    $patience = 0.2;

    return 'an upstream connection is kept';
}


sub bad_success {
    my ($client, $r) = @_;
    my $see = look($client, $r);
    my @bad;

    push @bad, "status $r->{status}" if $r->{status} != 200;
    push @bad, "ended: $r->{ended}" if !$r->{complete};
    push @bad, "code $see->{code}" if defined $see->{code};

    if ($client ne 'text') {
        push @bad, "$see->{done} terminators" if $see->{done} != 1;
        push @bad, "last: $see->{last}" if $see->{last} ne 'done';
    }

    return @bad;
}


sub bad_failure {
    my ($client, $r, $code, %want) = @_;
    my $see = look($client, $r);
    my $sent = shows($client, %want);
    my @bad;

    if (!$sent) {
        my @status = ref $want{status} ? @{ $want{status} }
            : $want{status} // (($code // '')
                =~ /^(?:upstream_timeout|stream_too)/ ? 504 : 502);

        push @bad, "status $r->{status}, not @status"
            if !grep { $_ == $r->{status} } @status;

    } else {
        push @bad, "status $r->{status}" if $r->{status} != 200;
    }

    if ($client eq 'text' && $sent) {
        push @bad, 'a proper end' if $r->{complete};
        return @bad;
    }

    push @bad, "ended: $r->{ended}" if !$r->{complete};
    push @bad, "$see->{done} terminators" if $see->{done};

    return @bad if $client eq 'text';

    push @bad, "last: $see->{last}" if $see->{last} ne 'error';
    push @bad, 'code ' . ($see->{code} // 'none') . ", not $code"
        if defined $code && ($see->{code} // '') ne $code;

    return @bad;
}


# whether the client's header was sent before the fault

sub shows {
    my ($client, %want) = @_;

    return 0 if $client eq 'gathered';
    return $want{tokens} || exists $want{text};
}


sub bad_text {
    my ($client, $r, $failed, %want) = @_;
    my $text = look($client, $r)->{text};

    if (exists $want{text}) {
        return 'no text' if !$failed && $text eq '';
        return;
    }

    my $n = $client eq 'gathered' && $failed ? 0 : $want{tokens} // 0;
    my $wanted = join '', @texts[ 0 .. $n - 1 ];

    return $text eq $wanted ? () : "text \"$text\", not \"$wanted\"";
}


# the logs, and the headers that never pass

sub bad_words {
    my ($s, $error, $r) = @_;
    my @bad;

    $s->close if !$r->{complete};

    my $log = $e->logged($s) or return 'nothing in the access log';
    my $end = $error ? LLMTest::Ending::end_of($error) : 'complete';

    push @bad, "logged $log->{end}, not $end" if $log->{end} ne $end;
    push @bad, "logged error $log->{error}"
        if $log->{error} ne ($error || '-');
    push @bad, 'nothing in the error log'
        if $error && !grep { /\Q$error\E/ }
        $e->error_lines($s, 'info|warn|error');

    for my $name (qw(set-cookie location x-accel-redirect x-mock-trailer
        access-control-allow-origin content-encoding link x-hop alt-svc))
    {
        push @bad, "$name passes" if defined $r->{headers}{$name};
    }

    push @bad, 'an event of another name'
        if grep { $_->{event} =~ /injected/ } @{ $r->{events} };

    return @bad;
}


for my $row (@rows) {
    my ($fault, $options, $code, %want) = @$row;
    my $name = join ' ', $fault, $options || (),
        $want{group} ? "($want{group})" : ();
    my %streams;

    # those that wait for a timer wait side by side
    if (($want{group} // '') =~ /^(?:first|idle|total)$/) {
        $streams{$_} = ask($row, $_) for @clients;
    }

    $e->all_good($name,
        (map { bad_row($row, $_, $streams{$_} // ask($row, $_)) } @clients),
        bad_connections(%want));
}


# On the TLS port, before there is a request.

for my $fault (qw(tls-alert tls-plaintext-first)) {
    $mock->defaults("fault=$fault");

    my @cases = map { [ $_, $e->send_request($_, group => 'tls'),
        code => 'upstream_tls' ] } @clients;

    $e->judge($fault, @cases);
    $mock->defaults('');
}

$mock->reset;


# The second request on a connection that the provider closes just then.

for my $variant (1, 2) {
    my (@cases, @model);

    @model = (model => "mock:fault=stale-keepalive,variant=$variant");

    for my $client (@clients) {
        for my $n (1 .. 3) {
            my $s = $e->send_request($client, more => {@model});
            my $r = $s->result;

            push @cases, map { "$client, request $n: $_" }
                bad_success($client, $r);
        }
    }

    $e->all_good("stale-keepalive variant=$variant", @cases);
}


# The provider answers before it has read the request: its status and words
# count, not that the rest could not be written.

for my $variant (1 .. 3) {
    my $status = $variant == 2 ? 400 : 413;
    my @bad;

    $mock->defaults("fault=early-error-while-sending,variant=$variant");

    for my $client (@clients) {
        my $s = $e->send_request($client,
            more => { padding => 'x' x 6_000_000 });
        my $r = $s->result;

        push @bad, "$client: status $r->{status}"
            if $r->{status} != $status;
    }

    $mock->defaults('');
    $e->all_good("early-error-while-sending variant=$variant", @bad);
}


$t->finish;
