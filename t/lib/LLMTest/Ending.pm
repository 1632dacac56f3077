package LLMTest::Ending;

# How a stream must end, for every client dialect: what a provider sends,
# what of it each client must have been shown, and what an honest end looks
# like there.  Written from the specification, apart from the C encoders, so
# that it can judge them.  It owns no process: it scripts an
# LLMTest::Upstream and asks an LLMTest's nginx.
#
# An upstream stream is a list of items:
#   [ 'role' ]            the first chunk, without content
#   [ text => BYTES ]     a chunk with content (no character to be escaped)
#   [ finish => WORD ]    the chunk with the finish reason
#   [ 'done' ]            [DONE]
#   [ raw => BYTES, { client => bytes } ]   anything else, and what clients
#                         that are named there see of it (openai: as it came)

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::More;

use LLMTest::Upstream;
use LLMTest::Wait qw(now slow wait_for);

our @EXPORT_OK = qw(clients streaming hello wire shown chunk answer_json
    error_event pass_time);

# path and "stream" of the request; answer: one JSON document in the
# provider's dialect, gathered: one JSON document made of a stream
my %CLIENT = (
    openai => { path => 'openai', stream => 1 },
    simple => { path => 'simple', stream => 1 },
    typed => { path => 'typed', stream => 1 },
    text => { path => 'text', stream => 1 },
    answer => { path => 'openai', stream => 0 },
    gathered => { path => 'typed', stream => 0 },
);

# $llm_stream_end for each code
my %END = (
    (map { $_ => 'truncated' } qw(upstream_reset upstream_truncated
        upstream_empty)),
    (map { $_ => 'invalid' } qw(upstream_protocol upstream_content_type
        upstream_encoding upstream_redirect upstream_invalid_stream
        upstream_invalid_event)),
    (map { $_ => 'timeout' } qw(upstream_timeout_header
        upstream_timeout_first_event upstream_timeout_idle)),
    (map { $_ => 'limit' } qw(event_too_large stream_too_long
        response_too_large)),
    (map { $_ => 'unreachable' } qw(upstream_connect upstream_tls
        upstream_connect_timeout upstream_unavailable upstream_dns
        upstream_tls_verify)),
    upstream_error => 'upstream_error',
    client_abort => 'client_abort',
);

# the HTTP status that goes with a code while nothing was sent
my %STATUS = (
    (map { $_ => 504 } qw(upstream_timeout_header upstream_connect_timeout
        upstream_timeout_first_event upstream_timeout_idle stream_too_long)),
    upstream_unavailable => 503,
);

my $ID = '"id":"c1","object":"chat.completion.chunk","created":1700000000,'
    . '"model":"m"';


# the word in $llm_stream_end that goes with a code

sub end_of {
    my ($code) = @_;

    return $END{$code} // "no end for $code";
}


sub clients   { return qw(openai simple typed text answer gathered) }
sub streaming { return qw(openai simple typed text) }


# hello(@texts): a whole stream, "Hel" and "lo" if nothing is said

sub hello {
    my (@texts) = @_;

    @texts = ('Hel', 'lo') if !@texts;

    return (['role'], (map { [ text => $_ ] } @texts), [ finish => 'stop' ],
        ['done']);
}


# chunk($delta, $finish): one event of the provider's, delta being JSON

sub chunk {
    my ($delta, $finish, %o) = @_;
    my $reason = defined $finish ? "\"$finish\"" : 'null';
    my $index = $o{index} // 0;

    return "data: {$ID,\"choices\":[{\"index\":$index,\"delta\":$delta,"
        . "\"finish_reason\":$reason}]}\n\n";
}


# wire(@items): each item's bytes from the provider

sub wire {
    my (@items) = @_;

    return map { _wire(@$_) } @items;
}


sub _wire {
    my ($kind, $value) = @_;

    return chunk('{"role":"assistant","content":""}') if $kind eq 'role';
    return chunk("{\"content\":\"$value\"}") if $kind eq 'text';
    return chunk('{}', $value) if $kind eq 'finish';
    return "data: [DONE]\n\n" if $kind eq 'done';
    return $value if $kind eq 'raw';

    die "no item $kind";
}


# the whole completion as the provider's one JSON document

sub answer_json {
    my ($text, $finish) = @_;

    $finish //= 'stop';

    return '{"id":"c1","object":"chat.completion","created":1700000000,'
        . '"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
        . "\"content\":\"$text\"},\"finish_reason\":\"$finish\"}],"
        . '"usage":{"prompt_tokens":1,"completion_tokens":2,'
        . '"total_tokens":3}}';
}


# shown($client, @items): the body bytes a streaming client must have got
# when these items came whole

sub shown {
    my ($client, @items) = @_;
    my ($out, $text, $finish) = ('', '', undef);

    return join '', wire(@items) if $client eq 'openai';

    for my $item (@items) {
        my ($kind, $value, $seen) = @$item;

        if ($kind eq 'raw') {
            $out .= ref $seen ? $seen->{$client} // '' : '';
            next;
        }

        $out .= 'data: {"type":"metadata","data":{"id":"c1","model":"m",'
            . "\"created\":1700000000}}\n\n"
            if $client eq 'typed' && $kind ne 'done'
            && $out !~ /"metadata"/;

        if ($kind eq 'text') {
            $text .= $value;
            $out .= _shown_text($client, $value);

        } elsif ($kind eq 'finish') {
            $finish = $value;

        } elsif ($kind eq 'done') {
            $out .= _shown_done($client, $text, $finish);
        }
    }

    return $out;
}


sub _shown_text {
    my ($client, $text) = @_;

    return $text if $client eq 'text';
    return "data: {\"content\":\"$text\",\"done\":false}\n\n"
        if $client eq 'simple';
    return "data: {\"type\":\"token\",\"data\":{\"token\":\"$text\"}}\n\n";
}


sub _shown_done {
    my ($client, $text, $finish) = @_;
    my $reason = defined $finish ? "\"$finish\"" : 'null';

    return '' if $client eq 'text';
    return "data: {\"done\":true}\n\n" if $client eq 'simple';
    return "data: {\"type\":\"done\",\"data\":{\"full_text\":\"$text\","
        . "\"finish_reason\":$reason,\"usage\":null}}\n\n";
}


# a pattern for the last event of a stream that failed with this code

sub error_event {
    my ($client, $code) = @_;
    my $say = qr/"[A-Z][^"\\]{15,200}\."/;
    my $type = qr/"type":"[a-z_]+"/;
    my $is = qr/"code":"\Q$code\E"/;
    my %data = (
        openai => qr/\{"error":\{"message":$say,$type,"param":null,$is\}\}/,
        simple => qr/\{"error":$say,$is,"done":true\}/,
        typed => qr/\{"type":"error","data":\{"message":$say,$type,$is\}\}/,
    );

    die "no error event for $client" if !$data{$client};

    return qr/data: $data{$client}\n\n/;
}


# Lets that many milliseconds pass (as long as the configuration's %%MS_n%%).
# Not to wait for something: only where the passing of time is what is tested.

sub pass_time {
    my ($ms) = @_;
    my $until = now() + $ms * slow() / 1000;

    wait_for(sub { now() >= $until }, $ms / 1000 + 5);

    return;
}


# new($t, $upstream): the test and its scripted upstream

sub new {
    my ($class, $t, $u) = @_;

    return bless { t => $t, u => $u, n => 0, scripts => 0 }, $class;
}


# The configuration: every client dialect in every group, a group being more
# directives: conf(slow => "llm_stream_idle_timeout %%MS_500%%;", ...) gives
# /openai ... and /slow/openai ...  %%MS_n%% is n milliseconds, longer under
# valgrind.  Not groups: main (more in http), server (more in server),
# provider (the URL).

sub conf {
    my (%o) = @_;
    my $http = delete $o{main} // '';
    my $server = delete $o{server} // '';
    my $provider = delete $o{provider} // 'http://provider';
    my $locations = '';

    $o{''} //= '';

    for my $group (sort keys %o) {
        for my $client (streaming()) {
            $locations .= _location($group eq '' ? $client : "$group/$client",
                "llm_stream openai $provider;\n"
                . "            llm_stream_client $client;\n"
                . "            $o{$group}");
        }
    }

    my $text = <<"EOT";
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    log_format ending '\$arg_n \$status \$llm_stream_end \$llm_stream_error '
        '\$llm_stream_finish \$llm_stream_chunks';
    access_log %%DIR%%/ending.log ending;
    upstream provider { server %%UPSTREAM%%; keepalive 16; }
    $http
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        %%LISTEN_H2_1%%
        $server
$locations
    }
}
EOT

    $text =~ s/%%MS_(\d+)%%/int($1 * slow()) . 'ms'/ge;

    return $text;
}


sub _location {
    my ($path, $inside) = @_;

    return "        location /$path {\n            $inside\n        }\n";
}


# ask($client, \@ops, %o): scripts the next connection of the provider to
# read the request and then do the operations; sends a request.  Returns the
# stream, which carries its number in {n}, that connection's in {peer}.
# o: group, more (members of the request), and what open() takes.

sub ask {
    my ($self, $client, $ops, %o) = @_;

    my $peer = $self->{u}->connections + 1;

    $self->{u}->script(['request'], @$ops);
    $self->{scripts}++;

    my $s = $self->send_request($client, %o);
    $s->{peer} = $peer;

    return $s;
}


# run($client, \@ops, %o): the same, waits for the end of the response and,
# unless the provider ends the connection itself, for nginx to close it.  If
# it does not the stream says so in {kept}, and the connection is closed, so
# that it does not serve the next case.

sub run {
    my ($self, $client, $ops, %o) = @_;
    my $s = $self->ask($client, $ops, %o);

    $s->wait_end($o{limit});
    $self->settle($s) if $ops->[-1][0] !~ /^(?:close|reset)$/;

    return $s;
}


# the second half of it, for streams that wait side by side

sub settle {
    my ($self, $s) = @_;
    my $peer = $self->{u}->peer($s->{peer});

    $s->wait_end;

    return if $peer->wait_close($self->{impatient} ? 0.1 : undef);

    # the file has failed: no need to wait that long again
    $self->{impatient} = 1;
    $s->{kept} = 1;
    $peer->close if $self->{u}->connections >= $s->{peer};

    return;
}


sub send_request {
    my ($self, $client, %o) = @_;
    my $who = $CLIENT{$client} or die "no client $client";
    my $group = delete $o{group};
    my $path = ($group ? "/$group" : '') . "/$who->{path}";
    my $n = ++$self->{n};
    my $t = $self->{t};
    my @marks = ($t->log_mark, $t->log_mark('ending.log'));
    my $more = delete $o{more} // {};
    my $body = delete $o{body} // {
        model => 'm', messages => [ { role => 'user', content => 'hi' } ],
        stream => $who->{stream} ? JSON::PP::true() : JSON::PP::false(),
        %$more,
    };

    my $s = $t->open(method => 'POST', path => "$path?n=$n", body => $body,
        %o);

    @$s{qw(n client mark log_mark)} = ($n, $client, @marks);

    return $s;
}


# what the log of endings says of a request: status, end, error, finish,
# chunks; undef if it says nothing

sub logged {
    my ($self, $s) = @_;
    my $line = $self->{t}->wait_log(qr/^$s->{n} /, file => 'ending.log',
        from => $s->{log_mark}) // return;
    my @words = split ' ', $line;

    return { status => $words[1], end => $words[2], error => $words[3],
        finish => $words[4], chunks => $words[5] };
}


# the lines of the error log, of the levels given, that belong to a request

sub error_lines {
    my ($self, $s, $levels) = @_;
    my $text = $self->{t}->_log_since($s->{mark});

    $levels //= 'warn|error';

    return grep { /\[(?:$levels)\]/ && /\?n=$s->{n} HTTP/ }
        split /\n/, $text;
}


# complaints($stream, %want): what is wrong with how a response ended, as
# strings.  want:
#   items     what came whole before the end
#   code      of the failure; not given: success
#   opened    the header had been sent, even if nothing was shown
#   status    while nothing was sent, if it is not the code's own
#   body      bytes that must be the whole body
#   said      the provider's error event (or body), which an openai client
#             gets as it came; said_body: the same as an HTTP body
#   logged    the code in the logs, if it is not the one the client is told
#   level     of the line in the error log ("info|warn", or "none")
#   again     it is a second attempt: the log may speak of the first
#   http10    the client speaks HTTP/1.0
#   log => 0  do not look into the logs

sub complaints {
    my ($self, $s, %want) = @_;
    my $r = $s->result($want{limit});

    # an HTTP/1.0 client sees only that the connection ends
    $r->{complete} ||= $want{http10} && $r->{ended} eq 'closed';

    my @bad = defined $want{code}
        ? _bad_failure($s->{client}, $r, %want)
        : _bad_success($s->{client}, $r, %want);

    # nginx may wait for the client to close before it logs (lingering)
    $s->close if !$r->{complete}
        || lc($r->{headers}{connection} // '') eq 'close';

    push @bad, $self->_bad_log($s, $r, %want) if $want{log} // 1;
    push @bad, 'the upstream connection was kept' if $s->{kept};

    return @bad;
}


sub _bad_success {
    my ($client, $r, %want) = @_;
    my @bad = _bad_status($r, 200);

    push @bad, "ended: $r->{ended}" if !$r->{complete};

    if (defined $want{body}) {
        push @bad, _differ($r->{body}, $want{body});

    } elsif ($client eq 'gathered') {
        my ($text) = $r->{body} =~ /"full_text":"([^"]*)"/;
        my $all = join '', map { $_->[0] eq 'text' ? $_->[1] : () }
            @{ $want{items} };
        push @bad, _differ($text // $r->{body}, $all);

    } elsif ($client ne 'answer') {
        push @bad, _differ($r->{body}, shown($client, @{ $want{items} }));
    }

    return @bad;
}


sub _bad_status {
    my ($r, $wanted) = @_;
    my $have = $r->{status} // 'none';

    return $have eq $wanted ? () : "status $have, not $wanted";
}


sub _bad_failure {
    my ($client, $r, %want) = @_;
    my $single = $client =~ /^(?:answer|gathered)$/;
    my $shown = $single ? '' : shown($client, @{ $want{items} || [] });

    return _bad_http_error($client, $r, %want)
        if $shown eq '' && !$want{opened};

    # nginx < 1.23 sends a header only with a body: one comment
    my $body = $r->{body};
    $body =~ s/\A: \w+\n// if $want{opened};

    my @bad = _bad_status($r, 200);

    if ($client eq 'text') {
        push @bad, 'a proper end' if $r->{complete} && !$want{http10};
        push @bad, "ended: $r->{ended}"
            if $r->{ended} !~ /^(?:eof|reset|complete|closed)$/;
        push @bad, _differ($body, $shown);
        return @bad;
    }

    push @bad, "ended: $r->{ended}" if !$r->{complete};

    if (index($body, $shown) != 0) {
        push @bad, _differ($body, $shown);
        return @bad;
    }

    my $rest = substr $body, length $shown;
    my $event = error_event($client, $want{code});

    if (defined $want{said} && $client eq 'openai') {
        push @bad, _differ($rest, $want{said});

    } elsif ($rest !~ /\A$event\z/) {
        push @bad, "no error event $want{code}: " . _printable($rest);
    }

    return @bad;
}


# a status, and a body in the client's dialect that tells the code

sub _bad_http_error {
    my ($client, $r, %want) = @_;
    my $type = $client eq 'text' ? qr{^text/plain\b} : qr{^application/json\b};
    my @bad = _bad_status($r,
        $want{status} // $STATUS{ $want{code} } // 502);

    push @bad, "ended: $r->{ended}" if !$r->{complete};
    push @bad, 'type ' . ($r->{headers}{'content-type'} // 'none')
        if ($r->{headers}{'content-type'} // '') !~ $type;

    if (defined $want{said} && $client =~ /^(?:openai|answer)$/) {
        push @bad, _differ($r->{body}, $want{said_body} // $want{said});
        return @bad;
    }

    if ($client eq 'text') {
        push @bad, "body: $r->{body}"
            if $r->{body} !~ /\A[A-Z][^\n{}<>]{10,300}\n\z/;
        return @bad;
    }

    my $error = eval { JSON::PP->new->utf8->decode($r->{body}) };
    my $code = _error_code($client, $error);

    push @bad, 'body: ' . _printable($r->{body})
        if ($code // '') ne $want{code};

    return @bad;
}


# the code in an error document of the client's dialect, undef when it has
# another shape

sub _error_code {
    my ($client, $e) = @_;

    return if ref $e ne 'HASH';

    if ($client eq 'simple') {
        return if join(' ', sort keys %$e) ne 'code done error';
        return $e->{done} && !ref $e->{error} ? $e->{code} : undef;
    }

    if ($client =~ /^(?:typed|gathered)$/) {
        return if ($e->{type} // '') ne 'error'
            || join(' ', sort keys %{ $e->{data} || {} })
            ne 'code message type';
        return $e->{data}{code};
    }

    return if ref $e->{error} ne 'HASH'
        || join(' ', sort keys %{ $e->{error} })
        ne 'code message param type';
    return $e->{error}{code};
}


sub _bad_log {
    my ($self, $s, $r, %want) = @_;
    my $log = $self->logged($s) or return 'no line in the access log';
    my $code = $want{logged} // $want{code} // '-';
    my $end = $want{end} // ($code eq '-' ? 'complete' : $END{$code});
    my @bad;

    push @bad, "logged end $log->{end}, not $end" if $log->{end} ne $end;
    push @bad, "logged error $log->{error}, not $code"
        if $log->{error} ne $code;
    push @bad, "logged status $log->{status}"
        if $log->{status} != ($r->{status} // 0);

    my $level = $want{level} // ($code eq '-' ? 'none' : 'warn|error');

    if ($level ne 'none') {
        push @bad, "nothing at $level in the error log"
            if !grep { /\b\Q$code\E\b/ } $self->error_lines($s, $level);

    } elsif (!$want{again}) {
        my ($line) = grep { /llm_stream ended/ } $self->error_lines($s);
        push @bad, "error log: $line" if $line;
    }

    return @bad;
}


sub _differ {
    my ($have, $want) = @_;

    return if $have eq $want;

    my $at = 0;
    my $length = length $have < length $want ? length $have : length $want;

    $at++ while $at < $length
        && substr($have, $at, 1) eq substr $want, $at, 1;

    my $from = $at > 20 ? $at - 20 : 0;

    return "differs at byte $at: have \"..."
        . _printable(substr $have, $from, 120) . '" want "...'
        . _printable(substr $want, $from, 120) . '"';
}


sub _printable {
    my ($bytes) = @_;

    $bytes =~ s/\n/\\n/g;
    $bytes =~ s/\r/\\r/g;
    $bytes =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;

    return substr $bytes, 0, 300;
}


# judge($name, [ $which, $stream, %want ], ...): one test for many cases

sub judge {
    my ($self, $name, @cases) = @_;
    my @bad;

    for my $case (@cases) {
        my ($which, $s, %want) = @$case;

        push @bad, map { "$which: $_" } $self->complaints($s, %want);
    }

    return $self->all_good($name, @bad);
}


# check($name, $stream, %want): one test

sub check {
    my ($self, $name, $s, %want) = @_;

    return $self->all_good($name, $self->complaints($s, %want));
}


# all_good($name, @complaints): one test for many cases; at most ten shown

sub all_good {
    my ($self, $name, @bad) = @_;
    my $ok = ok(!@bad, $name);
    my $more = @bad > 10 ? @bad - 10 : 0;

    if (!$ok) {
        splice @bad, 10 if $more;
        push @bad, "and $more more" if $more;
        diag(map { "    $_\n" } @bad);
    }

    return $ok;
}


# how often the provider was connected to, against how often it should

sub connections_ok {
    my ($self, $name) = @_;

    return is($self->{u}->connections, $self->{scripts},
        $name // 'each request on a connection of its own');
}


1;
