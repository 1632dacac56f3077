package LLMTest::MixedLoad;

# Many requests of many kinds at once, and what their clients saw of them.  A
# kind says what is asked and how it has to end; what the metrics make of it
# is the test's.  It owns its streams, and no nginx.

use strict;
use warnings;

use LLMTest::Dialects qw(request read_client);

# Of each kind: the weight; the location; the client's dialect; what the mock
# is told; how it ends for the log; and for the client: "whole" (a good
# answer), "error" (anything else), "any", "left", "refused" (a status).
my @KINDS = (
    { name => 'openai', weight => 14, to => '/openai/openai',
        client => 'openai' },
    { name => 'anthropic', weight => 6, to => '/openai/anthropic',
        client => 'anthropic' },
    { name => 'responses', weight => 5, to => '/anthropic/openai-responses',
        client => 'openai-responses' },
    { name => 'typed', weight => 5, to => '/gemini/typed',
        client => 'typed' },
    { name => 'ollama', weight => 5, to => '/ollama/ollama',
        client => 'ollama' },
    { name => 'text', weight => 3, to => '/openai/text', client => 'text' },
    { name => 'h2', weight => 6, to => '/openai/openai',
        client => 'openai', proto => 'h2' },
    { name => 'answer', weight => 6, to => '/openai/openai',
        client => 'openai', answer => 1 },
    { name => 'answer-anthropic', weight => 3, to => '/anthropic/openai',
        client => 'openai', answer => 1 },
    { name => 'reasoning', weight => 3, to => '/anthropic/openai',
        client => 'openai', mock => 'reasoning=2' },
    { name => 'beat', weight => 1, to => '/beat', client => 'openai',
        mock => 'ttft=250' },
    { name => 'redact', weight => 3, to => '/redact', client => 'openai',
        mock => 'text=digits', tokens => 9, cut => 1 },
    { name => 'stop', weight => 3, to => '/stop', client => 'openai',
        mock => 'text=digits,itl=10', tokens => 3000, cut => 1,
        aborts => 1 },
    { name => 'retry', weight => 6, to => '/retry', client => 'openai' },
    { name => 'fallback', weight => 4, to => '/fallback',
        client => 'openai' },
    { name => 'left', weight => 6, to => '/openai/openai',
        client => 'openai', saw => 'left', events => 4,
        end => 'client_abort' },
    { name => 'left-h2', weight => 2, to => '/openai/openai',
        client => 'openai', proto => 'h2', saw => 'left', events => 4,
        end => 'client_abort' },
    { name => 'left-typed', weight => 2, to => '/gemini/typed',
        client => 'typed', saw => 'left', events => 3,
        end => 'client_abort' },
    { name => 'limited', weight => 4, to => '/limited', client => 'openai',
        saw => 'refused', end => 'limit', status => 429 },
    { name => 'bad-json', weight => 2, to => '/openai/openai',
        client => 'openai', saw => 'refused', end => 'rejected',
        status => 400, body => '{"model":' },
    { name => 'method', weight => 1, to => '/openai/openai',
        client => 'openai', saw => 'refused', end => 'rejected',
        status => 405, method => 'GET' },
    { name => 'dead', weight => 2, to => '/dead', client => 'openai',
        saw => 'refused', end => 'unreachable', status => 502 },
    (map { { name => $_->[0], weight => 1, to => '/openai/openai',
        client => 'openai', mock => "fault=$_->[1]",
        saw => $_->[2] ? 'error' : 'any', end => $_->[2] } } (
        [ 's429', 's429', 'upstream_error' ],
        [ 's500', 's5xx', 'upstream_error' ],
        [ 's401', 's401', 'upstream_error' ],
        [ 'rst', 'rst-mid-event', 'truncated' ],
        [ 'fin', 'fin-chunked-incomplete', 'truncated' ],
        [ 'no-end', 'last-chunk-no-terminator', 'truncated' ],
        [ 'event', 'error-event-mid', 'upstream_error' ],
        [ 'first', 'error-event-first', 'upstream_error' ],
        [ 'html', 'html-200', 'invalid' ],
        [ 'empty', 's204-empty', 'truncated' ],
        [ 'json', 'invalid-json-event' ],
        [ 'utf8', 'invalid-utf8' ],
    )),
    { name => 'stall', weight => 1, to => '/idle', client => 'openai',
        mock => 'fault=stall-mid', saw => 'error', end => 'timeout' },
);


# new($t, mock => $mock, models => [...], seed => N)

sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, mock => $o{mock}, models => $o{models},
        n => 0, done => [] }, $class;

    $self->{pot} = [ map { my $kind = $_;
        map { $kind } 1 .. $kind->{weight} } @KINDS ];

    return $self;
}


sub kinds { return @KINDS }
sub done { my ($self) = @_; return @{ $self->{done} } }


# the next n kinds: every one in the end as often as its weight says

sub draw {
    my ($self, $n) = @_;
    my @drawn;

    while (@drawn < $n) {
        $self->{bag} = [ sort { rand() <=> rand() } @{ $self->{pot} } ]
            if !@{ $self->{bag} || [] };
        push @drawn, shift @{ $self->{bag} };
    }

    return @drawn;
}


# begin($kind, model => NAME, hold => 1 (until it is told to go on)): sends
# the request

sub begin {
    my ($self, $kind, %o) = @_;
    my $n = ++$self->{n};
    my $name = "$kind->{name}-$n";
    my $model = $o{model} // $self->{models}[ $n % @{ $self->{models} } ];
    my ($more, $body) = request($kind->{client}, answer => $kind->{answer});
    my $tokens = $kind->{tokens} // 1 + $n % 12;
    my $mock = "id=$name,tokens=$tokens" . (defined $kind->{mock}
        ? ",$kind->{mock}" : '');

    $mock = "lockstep=$name,tokens=" . ($tokens = 50)
        if $o{hold} || ($kind->{saw} // '') eq 'left';
    $body =~ s/"model":"m"/"model":"$model"/;

    my $s = $self->{t}->open(method => $kind->{method} // 'POST',
        path => "$kind->{to}$more", body => $kind->{body} // $body,
        headers => [ [ 'X-Mock' => $mock ], [ 'X-Name' => $name ],
            [ 'X-Key' => $o{key} // 'one' ] ],
        $kind->{proto} ? (proto => $kind->{proto}, port => 1) : ());

    return { kind => $kind, name => $name, model => $model, s => $s,
        held => $o{hold}, tokens => $tokens };
}


# end($request): reads it to its end, or leaves; what the client saw

sub end {
    my ($self, $q) = @_;
    my $s = $q->{s};
    my $kind = $q->{kind};

    if (($kind->{saw} // '') eq 'left') {
        $self->_leave($q);

    } else {
        $self->{mock}->ack($q->{name}, 1000) if $q->{held};
        $s->wait_end(30);
        $q->{status} = $s->status;
        $q->{why} = $s->why;
        $q->{body} = $s->body;
        $q->{wire} = _wire($s) if !$kind->{proto};
        $q->{beats} = () = $q->{body} =~ /^: hb$/mg;
        $q->{bad} = $self->_bad($q);
    }

    $q->{sent} = $self->{mock}->stats($q->{name})
        if $q->{read} || ($kind->{saw} // '') eq 'left';
    $s->close;
    delete $q->{s};
    push @{ $self->{done} }, $q;

    return $q;
}


# goes after some tokens, which are all that the provider has sent by then

sub _leave {
    my ($self, $q) = @_;
    my $s = $q->{s};
    my $events = $q->{kind}{events};

    $self->{mock}->wait(id => $q->{name}, events => 1)
        or die "$q->{name}: not asked\n";
    $self->{mock}->ack($q->{name}, $events - 1);
    $q->{bad} = "$q->{name}: not $events events"
        if $s->read_events($events) != $events;
    $s->close;
    $self->{mock}->wait(id => $q->{name}, end => 1)
        or $q->{bad} = "$q->{name}: the provider did not see it leave";

    return;
}


# bytes of the body as it was on the wire, with its framing

sub _wire {
    my ($s) = @_;
    my $raw = $s->raw_bytes;

    return length($raw) - index($raw, "\r\n\r\n") - 4;
}


# why this is not what such a client has to see; nothing if it is

sub _bad {
    my ($self, $q) = @_;
    my $kind = $q->{kind};
    my $saw = $kind->{saw} // 'whole';
    my $is = "$q->{name}: status " . ($q->{status} // 'none')
        . ", $q->{why}";

    if ($saw eq 'refused') {
        return ($q->{status} // 0) == $kind->{status} ? undef : $is;
    }

    my $r = eval { read_client($kind->{client}, $q->{body}, $kind->{answer}) };

    if ($saw eq 'error') {
        return ($q->{status} // 0) == 200 && $r && $r->{done}
            && !@{ $r->{errors} || [] } ? $is : undef;
    }

    return if $saw eq 'any' && $q->{status} == 200;
    return "$is: $@" if !$r;
    return $is if $q->{status} != 200 || $q->{why} ne 'complete';

    $q->{read} = $r;

    return;
}


1;
