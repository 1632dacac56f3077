package LLMTest::DialectFaults;

# The run of the table of faults (LLMTest::Faults) for some upstream
# dialects and every client dialect of the list: many requests at a time
# through one nginx and one mock.  What clients have been shown is read here
# from the dialects' descriptions, apart from the C encoders.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Ending;
use LLMTest::Faults qw(fault_rows TOKENS);
use LLMTest::SSE;
use LLMTest::Wait qw(slow wait_for);

our @EXPORT_OK = qw(run_faults look);

# how many requests are on their way at a time
use constant AT_ONCE => 60;

my @CLIENTS = qw(openai openai-responses anthropic gemini ollama simple);

my $json = JSON::PP->new->utf8;
my $MESSAGES = '"model":"m","messages":[{"role":"user","content":"hi"}]';

my %ASK = (
    'openai' => [ '', "{$MESSAGES,\"stream\":true}" ],
    'openai-responses' => [ '',
        '{"model":"m","input":"hi","stream":true}' ],
    'anthropic' => [ '', "{$MESSAGES,\"stream\":true,\"max_tokens\":99}" ],
    'gemini' => [ '/v1beta/models/m:streamGenerateContent',
        '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
        'alt=sse' ],
    'ollama' => [ '', "{$MESSAGES}" ],
    'simple' => [ '', "{$MESSAGES,\"stream\":true}" ],
);

my %TYPE = (
    'ollama' => qr{^application/x-ndjson},
);

# Google's words for a status, and the numbers that go with them
my %CANONICAL = (
    INVALID_ARGUMENT => qr/^400$/, UNAUTHENTICATED => qr/^401$/,
    PERMISSION_DENIED => qr/^403$/, NOT_FOUND => qr/^404$/,
    RESOURCE_EXHAUSTED => qr/^429$/, INTERNAL => qr/^500$/,
    UNIMPLEMENTED => qr/^(?:405|501)$/, UNAVAILABLE => qr/^50[23]$/,
    DEADLINE_EXCEEDED => qr/^504$/, UNKNOWN => qr/^[45]\d\d$/,
);

# what the mock's manual says makes no sense in a dialect
my %SENSELESS = (
    'openai-responses' => [qw(done-without-finish content-after-finish)],
    'gemini' => [qw(finish-without-done)],
    'ollama' => [qw(eol-variants endless-comment index-order
        content-after-finish)],
    'flowise' => [qw(index-order done-without-finish
        content-after-finish)],
);
$SENSELESS{'ollama-generate'} = $SENSELESS{ollama};


###############################################################################
# what a client was shown

my %READ = (
    'openai' => \&_openai, 'openai-responses' => \&_responses,
    'anthropic' => \&_anthropic, 'gemini' => \&_gemini,
    'ollama' => \&_ollama, 'simple' => \&_simple,
);


# look($client, $body, $type): { text, done (terminators), finish (reasons
# said), errors => [...], last (what came last: text, finish, done, error),
# bad => [what breaks the dialect] }.  An error is { code, type, status,
# message }, what of it the dialect has.

sub look {
    my ($client, $body, $type) = @_;
    my $see = { text => '', done => 0, finish => [], errors => [],
        last => '', bad => [] };
    my @events = _events($body, $type);

    for my $event (@events) {
        my $data = $event->{data} // next;

        push @{ $see->{bad} }, 'something behind the end'
            if $see->{last} =~ /^(?:done|error)$/
            && !($client eq 'openai-responses' && $see->{last} eq 'error');

        if ($data eq '[DONE]') {
            $see->{done}++;
            $see->{last} = 'done';
            next;
        }

        my $value = eval { $json->decode($data) };

        if (ref $value ne 'HASH') {
            push @{ $see->{bad} }, 'not JSON: ' . substr $data, 0, 60;
            next;
        }

        $see->{last} = 'text';
        $see->{begun} = 1
            if $client =~ /^(?:openai|openai-responses|anthropic)$/;
        $READ{$client}->($see, $value, $event->{event} // '');
    }

    return $see;
}


sub _events {
    my ($body, $type) = @_;
    my $format = LLMTest::SSE::format_of($type);

    return $body eq '' ? () : { data => $body } if $format eq 'raw';

    my $reader = LLMTest::SSE->new($format);
    my @items = ($reader->feed($body), $reader->finish);

    push @items, { data => 'cut off: ' . $reader->rest }
        if $reader->rest ne '';

    return grep { !defined $_->{comment} } @items;
}


sub _error {
    my ($see, %error) = @_;

    push @{ $see->{errors} }, \%error;
    $see->{last} = 'error';
    push @{ $see->{bad} }, 'an error without a sentence'
        if ($error{message} // '') !~ /\w/;

    return;
}


sub _finish {
    my ($see, $reason, $done) = @_;

    if (defined $reason) {
        push @{ $see->{finish} }, $reason;
        $see->{last} = 'finish';
    }

    if ($done) {
        $see->{done}++;
        $see->{last} = 'done';
    }

    return;
}


sub _openai {
    my ($see, $e) = @_;

    if (ref $e->{error}) {
        push @{ $see->{bad} }, 'members of the error'
            if grep { !exists $e->{error}{$_} } qw(message type code);
        return _error($see, %{ $e->{error} });
    }

    for my $choice (ref $e->{choices} eq 'ARRAY' ? @{ $e->{choices} } : ()) {
        next if ref $choice ne 'HASH' || ($choice->{index} // 0) ne '0';

        my $delta = $choice->{delta} // $choice->{message};
        my $text = ref $delta eq 'HASH' ? $delta->{content} : undef;

        $see->{text} .= $text if defined $text && !ref $text;
        _finish($see, $choice->{finish_reason});
    }

    return;
}


sub _responses {
    my ($see, $e, $name) = @_;
    my $type = $e->{type} // '';

    push @{ $see->{bad} }, "event: $name, type $type"
        if $name ne 'message' && $name ne $type;

    return _error($see, %{ $e->{error} }) if !$type && ref $e->{error};

    if ($type eq 'error') {
        push @{ $see->{bad} }, 'no event: error' if $name ne 'error';
        push @{ $see->{bad} }, 'an error in one form only'
            if $see->{strict} && !ref $e->{error};
        return _error($see, %{ ref $e->{error} ? $e->{error} : $e });
    }

    if ($type eq 'response.failed') {
        return _error($see, %{ $e->{response}{error} || {} });
    }

    if ($type =~ /^response\.(completed|incomplete)$/) {
        return _finish($see, $1, 1);
    }

    $see->{text} .= $e->{delta}
        if $type eq 'response.output_text.delta' && defined $e->{delta}
        && !ref $e->{delta};

    return;
}


sub _anthropic {
    my ($see, $e, $name) = @_;
    my $type = $e->{type} // '';

    push @{ $see->{bad} }, "event: $name, type $type"
        if $name ne '' && $name ne $type && !_foreign($e, $name);

    if ($type eq 'error') {
        push @{ $see->{bad} }, 'type of the error'
            if ($e->{error}{type} // '')
            !~ /^(?:[a-z_]+_error|request_too_large)$/;
        return _error($see, %{ $e->{error} });
    }

    $see->{text} .= $e->{delta}{text}
        if $type eq 'content_block_delta' && ref $e->{delta} eq 'HASH'
        && defined $e->{delta}{text} && !ref $e->{delta}{text};

    _finish($see, $e->{delta}{stop_reason}) if $type eq 'message_delta';
    _finish($see, undef, 1) if $type eq 'message_stop';

    return;
}


# an event that nobody knows, of a provider of the same dialect

sub _foreign {
    my ($e, $name) = @_;

    return $name eq 'message' && !defined $e->{type};
}


sub _gemini {
    my ($see, $e) = @_;

    if (ref $e->{error}) {
        my $error = $e->{error};

        push @{ $see->{bad} }, 'members of the error'
            if ($error->{code} // '') !~ /^\d+$/
            || ($error->{code} // '')
            !~ ($CANONICAL{ $error->{status} // '' } // qr/^!/);
        return _error($see, status => $error->{code},
            message => $error->{message});
    }

    for my $c (ref $e->{candidates} eq 'ARRAY' ? @{ $e->{candidates} } : ())
    {
        next if ref $c ne 'HASH' || ($c->{index} // 0) ne '0';

        my $parts = ref $c->{content} eq 'HASH' ? $c->{content}{parts} : [];

        for my $part (ref $parts eq 'ARRAY' ? @$parts : ()) {
            $see->{text} .= $part->{text} if ref $part eq 'HASH'
                && defined $part->{text} && !ref $part->{text}
                && !$part->{thought};
        }

        _finish($see, $c->{finishReason}, 1) if $c->{finishReason};
    }

    return;
}


sub _ollama {
    my ($see, $e) = @_;

    if (defined $e->{error}) {
        push @{ $see->{bad} }, 'the error is no string' if ref $e->{error};
        return _error($see, message => $e->{error});
    }

    my $text = ref $e->{message} eq 'HASH' ? $e->{message}{content} : undef;

    $see->{text} .= $text if defined $text && !ref $text;
    _finish($see, $e->{done_reason}, $e->{done});

    return;
}


sub _simple {
    my ($see, $e) = @_;

    return _error($see, code => $e->{code}, message => $e->{error})
        if defined $e->{error};

    $see->{text} .= $e->{content} // '';
    _finish($see, undef, $e->{done});

    return;
}


###############################################################################
# the run

# run_faults(@upstreams): every row for these providers and all clients

sub run_faults {
    my (@upstreams) = @_;
    my $t = LLMTest->new(log_level => 'info');
    my $mock = $t->mock(tls => 1, tls_name => 'provider.test');
    my $self = bless { t => $t, mock => $mock, n => 0, checks => 0 },
        __PACKAGE__;

    $t->set(CA => $t->tls_ca);
    $t->config(_conf(@upstreams))->start;

    $self->_good(\@upstreams);

    my %cases;

    for my $row (fault_rows($t->has_version('1.29.4'))) {
        for my $upstream (@upstreams) {
            my $case = _case($row, $upstream) or next;

            push @{ $cases{ $case->{want}{group} // '' } }, $case;
        }
    }

    for my $group (sort keys %cases) {
        my @list = @{ $cases{$group} };
        my $step = int AT_ONCE / @CLIENTS;

        while (my @some = splice @list, 0, $step) {
            $self->_run(@some);
        }
    }

    ok($mock->wait(open => 0), 'no request is left at the provider');
    diag("faults: $self->{checks} checks of @upstreams for @CLIENTS");
    $t->finish;

    return;
}


sub _conf {
    my (@upstreams) = @_;
    my %groups = ('' => '', small => 'llm_stream_max_event_size 64k;',
        tls => 'llm_stream_ssl_name provider.test;'
            . ' llm_stream_ssl_trusted_certificate %%CA%%;',
        first => 'llm_stream_first_token_timeout %%MS_3000%%;',
        idle => 'llm_stream_idle_timeout %%MS_1000%%;',
        total => 'llm_stream_total_timeout %%MS_1000%%;');
    my $locations = '';

    for my $group (sort keys %groups) {
        my $url = $group eq 'tls' ? 'https://secure' : 'http://%%MOCK%%';

        for my $upstream (@upstreams) {
            $locations .= <<"EOT" for @CLIENTS;
        location "/x$group/$upstream/$_/" {
            llm_stream $upstream $url;
            llm_stream_client $_;
            $groups{$group}
        }
EOT
        }
    }

    my $text = <<"EOT";
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    log_format ending '\$arg_n \$status \$llm_stream_end '
        '\$llm_stream_error \$llm_stream_finish';
    access_log %%DIR%%/ending.log ending;
    llm_stream_heartbeat off;
    llm_stream_set_header X-Mock \$http_x_mock;
    upstream secure { server %%MOCK_TLS%%; }
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
$locations
    }
}
EOT

    $text =~ s/%%MS_(\d+)%%/int($1 * slow()) . 'ms'/ge;

    return $text;
}


# the row as it is for a provider, or nothing

sub _case {
    my ($row, $upstream) = @_;
    my ($fault, $options, $code, %want) = @$row;

    return if grep { $_ eq $fault } @{ $SENSELESS{$upstream} || [] };
    return if grep { $_ eq $upstream } @{ $want{skip} || [] };

    my @own = ($upstream ne 'openai' && $want{else}, $want{$upstream});

    for my $own (grep { $_ } @own) {
        %want = (%want, %$own);
        $code = $own->{code} if exists $own->{code};
    }

    return { fault => $fault, options => $want{light} // $options,
        upstream => $upstream, code => $code, want => \%want };
}


sub _ask {
    my ($self, $upstream, $client, $group, $mock) = @_;
    my ($path, $body, $query) = @{ $ASK{$client} };
    my $n = ++$self->{n};

    my $s = $self->{t}->open(method => 'POST', body => $body,
        path => "/x$group/$upstream/$client/$path?n=$n"
            . ($query ? "&$query" : ''),
        headers => { 'Content-Type' => 'application/json',
            'X-Mock' => $mock });

    @$s{qw(n client)} = ($n, $client);

    return $s;
}


# streams without a fault: by their texts the others are judged

sub _good {
    my ($self, $upstreams) = @_;

    for my $upstream (@$upstreams) {
        my $mark = $self->{t}->log_mark('ending.log');
        my %streams = map { $_ => $self->_ask($upstream, $_, '',
            'tokens=' . TOKENS) } @CLIENTS;
        my $log = $self->_logged($mark, values %streams);
        my @bad;

        for my $client (@CLIENTS) {
            my $s = $streams{$client};
            my $r = $s->result;
            my $see = look($client, $r->{body},
                $r->{headers}{'content-type'});

            push @bad, map { "$client: $_" } _bad_success($see, $r, 1),
                _bad_log($log->{ $s->{n} }, ''),
                $see->{text} eq 'Lorem ipsum dolor sit' ? ()
                : "text \"$see->{text}\"",
                ($r->{headers}{'content-type'} // '')
                =~ ($TYPE{$client} // qr{^text/event-stream}) ? ()
                : "type $r->{headers}{'content-type'}";
        }

        LLMTest::Ending->all_good("$upstream: good streams", @bad);
    }

    $self->{texts} = [ 'Lorem', ' ipsum', ' dolor', ' sit' ];

    return;
}


sub _run {
    my ($self, @cases) = @_;
    my $t = $self->{t};
    my @marks = ($t->log_mark('ending.log'), $t->log_mark);
    my (@streams, %of);

    for my $case (@cases) {
        my $n = $case->{fault} eq 'total-too-long' ? ''
            : ' tokens=' . TOKENS;

        for my $client (@CLIENTS) {
            my $s = $self->_ask($case->{upstream}, $client,
                $case->{want}{group} // '',
                "fault=$case->{fault}$n $case->{options}");

            push @streams, $s;
            push @{ $of{$case} }, $s;
        }
    }

    my $log = $self->_logged($marks[0], @streams);
    my %errors;

    for (split /\n/, $t->_log_since($marks[1])) {
        $errors{$2} .= "$1 $_\n"
            if /\[(info|notice|warn|error|crit)\].*\?n=(\d+)/;
    }

    for my $case (@cases) {
        my @bad;

        for my $s (@{ $of{$case} }) {
            push @bad, map { "$s->{client}: $_" } $self->_bad($case, $s,
                $log->{ $s->{n} }, $errors{ $s->{n} } // '');
        }

        LLMTest::Ending->all_good(join(' ', "$case->{upstream}:",
            $case->{fault}, $case->{options} || (),
            $case->{want}{group} ? "($case->{want}{group})" : ()), @bad);
    }

    return;
}


# the access log's words for these requests, when all are there

sub _logged {
    my ($self, $mark, @streams) = @_;
    my %log;

    for my $s (@streams) {
        my $r = $s->result(60);

        $s->close if !$r->{complete}
            || lc($r->{headers}{connection} // '') eq 'close';
    }

    wait_for(sub {
        %log = map { /^(\d+) (.*)/ ? ($1 => [ split ' ', $2 ]) : () }
            split /\n/, $self->{t}->_log_since($mark, 'ending.log');
        return !grep { !$log{ $_->{n} } } @streams;
    });

    $_->close for @streams;

    return \%log;
}


sub _bad {
    my ($self, $case, $s, $log, $errors) = @_;
    my %want = %{ $case->{want} };
    my $client = $s->{client};
    my $same = $client eq $case->{upstream};
    my $code = $case->{code};
    my $failed = $want{provider} || $code;
    my $r = $s->result;
    my $see = look($client, $r->{body}, $r->{headers}{'content-type'});
    my @bad;

    if (exists $want{others} && !$same) {
        ($code, $failed) = ($want{others}, 1);
    }

    my $logged = !$failed ? '' : $want{provider} ? 'upstream_error' : $code;

    @bad = $failed ? _bad_failure($see, $r, $code, $same, %want)
        : _bad_success($see, $r, !$same);
    push @bad, $self->_bad_text($see, $failed, %want);
    push @bad, _bad_log($log, $logged);
    push @bad, 'nothing in the error log'
        if $logged && $errors !~ /^(?:info|warn|error) .*\Q$logged\E/m;

    for my $name (qw(set-cookie location x-accel-redirect x-mock-trailer
        access-control-allow-origin content-encoding link x-hop alt-svc))
    {
        push @bad, "$name passes" if defined $r->{headers}{$name};
    }

    $self->{checks} += 6;

    return @bad;
}


sub _bad_success {
    my ($see, $r, $strict) = @_;
    my @bad = $strict ? @{ $see->{bad} } : ();

    push @bad, "status $r->{status}" if $r->{status} != 200;
    push @bad, "ended: $r->{ended}" if !$r->{complete};
    push @bad, 'error: ' . ($_->{code} // $_->{message} // '?')
        for @{ $see->{errors} };
    push @bad, "$see->{done} terminators" if $see->{done} != 1 && $strict;
    push @bad, "last: $see->{last}" if $see->{last} ne 'done' && $strict;

    return @bad;
}


sub _bad_failure {
    my ($see, $r, $code, $same, %want) = @_;
    my $error = $see->{errors}[0] || {};
    my $sent = $want{tokens} || exists $want{text}
        || $want{begun} && $r->{status} == 200 && $see->{begun};
    my @bad = $same ? () : @{ $see->{bad} };

    if ($sent) {
        push @bad, "status $r->{status}" if $r->{status} != 200;

    } else {
        my @status = ref $want{status} ? @{ $want{status} }
            : ($same ? $want{mine} : undef) // $want{status} // (($code // '')
                =~ /^(?:upstream_timeout|stream_too)/ ? 504 : 502);

        push @bad, "status $r->{status}, not @status"
            if !grep { $_ == $r->{status} } @status;
        push @bad, 'type ' . ($r->{headers}{'content-type'} // 'none')
            if ($r->{headers}{'content-type'} // '')
            !~ m{^application/json\b};
    }

    push @bad, "ended: $r->{ended}" if !$r->{complete};
    push @bad, "$see->{done} terminators" if $see->{done} && !$want{said};
    push @bad, "finish: @{ $see->{finish} }"
        if @{ $see->{finish} } && !$want{said};
    push @bad, "last: $see->{last}" if $see->{last} ne 'error';
    push @bad, 'code ' . ($error->{code} // 'none') . ", not $code"
        if defined $code && exists $error->{code} && !$want{provider}
        && ($error->{code} // '') ne $code;

    return @bad;
}


sub _bad_text {
    my ($self, $see, $failed, %want) = @_;

    return $failed || $see->{text} ne '' ? () : 'no text'
        if exists $want{text};

    my $wanted = join '', @{ $self->{texts} }[ 0 .. ($want{tokens} // 0)
        - 1 ];

    return $see->{text} eq $wanted ? ()
        : 'text "' . substr($see->{text}, 0, 60) . "\", not \"$wanted\"";
}


sub _bad_log {
    my ($log, $code) = @_;
    my $end = $code ? LLMTest::Ending::end_of($code) : 'complete';

    return 'nothing in the access log' if !$log;
    return "logged @$log[1, 2], not $end " . ($code || '-')
        if $log->[1] ne $end || $log->[2] ne ($code || '-');
    return;
}


1;
