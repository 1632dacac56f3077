#!/usr/bin/perl

# What a request may ask for: the limit of output that the provider receives,
# in its own member and every other byte as it came; requests for more answers
# or messages than there may be, refused in the client's dialect; the system
# message of a prompt; inherited, overridden and off; and on a fallback.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply error_is);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream(each => [ [ send =>
    "HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\n{}" ], ['close'] ]);
my $json = JSON::PP->new->utf8->canonical;

my @providers = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise cohere mistral vllm);
my @clients = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise simple typed text);

my $locations = '';

for my $provider (@providers) {
    for my $client (@clients) {
        $locations .= <<"EOT";
        location "/$provider/$client/" {
            llm_stream $provider http://%%UPSTREAM%%;
            llm_stream_client $client;
        }
EOT
    }
}

my $conf = <<"EOT";
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_model m;
    llm_stream_usage off;
    llm_stream_max_output_tokens 100;
    llm_stream_max_choices 2;
    llm_stream_max_messages 3;
    llm_stream_unsupported drop;

    map \$arg_who \$system {
        default "";
        child   "Use short words.";
        coder   "C%2B%2B only";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
        location "/off/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_output_tokens off;
            llm_stream_max_choices off;
            llm_stream_max_messages off;
        }
        location "/more/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_output_tokens 500;
            llm_stream_max_choices 3;
            llm_stream_max_messages 4;
        }
        location "/param/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_param max_tokens "\$arg_max";
        }
        location "/options/" {
            llm_stream ollama http://%%UPSTREAM%%;
            llm_stream_client \$arg_c;
            llm_stream_param options '{"num_ctx":9,"num_predict":\$arg_max}';
        }
        location "/absent/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_param max_completion_tokens 40 if_absent;
        }
        location "/fallback/" {
            llm_stream openai http://%%UPSTREAM%%;
            error_page 503 = \@second;
        }
        location \@second {
            llm_stream anthropic http://%%UPSTREAM%%;
            llm_stream_max_output_tokens 30;
        }
        location "/fallback-flow/" {
            llm_stream flowise http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_unsupported error;
            error_page 503 = \@third;
        }
        location \@third {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client openai;
            llm_stream_max_output_tokens off;
        }
        location "/fallback-choices/" {
            llm_stream openai http://%%UPSTREAM%%;
            error_page 503 = \@one;
        }
        location \@one {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_choices 1;
        }
        location "/prompt/" {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_messages 1;
            llm_stream_prompt \$arg_q;
            llm_stream_system "Answer in C++,\n  \\"briefly\\": 100%41.\xff Да!";

            location "/prompt/none/" {
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_system "";
            }
            location "/prompt/map/" {
                llm_stream anthropic http://%%UPSTREAM%%;
                llm_stream_system \$system;
            }
            location "/prompt/arg/" {
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_system "Be \$arg_s.";
            }
            location "/prompt/literal/" {
                llm_stream openai http://%%UPSTREAM%%;
                llm_stream_prompt "1+1 %41";
            }
            location "/prompt/large/" {
                llm_stream gemini http://%%UPSTREAM%%;
                llm_stream_system "LARGE";
            }
        }
    }
}
EOT

my $large = join ' ', 1 .. 800;

$conf =~ s/\$arg_c;/ollama;/;
$conf =~ s/LARGE/$large/;
utf8::encode($conf);
$conf =~ s/\xc3\xbf/\xff/;
$t->config($conf)->start;


sub sent {
    my ($path, $body, %o) = @_;
    my $before = $u->connections;
    my $r = $t->http($o{method} // 'POST', $path,
        { 'Content-Type' => 'application/json' },
        ref $body ? $json->encode($body) : $body);
    my $n = $u->connections;

    return { answer => $r } if $n == $before;

    my @got = map { $u->peer($_)->request->{body} } $before + 1 .. $n;

    return { body => $got[-1], first => $got[0], answer => $r };
}


sub body_of {
    my ($path, $body, %o) = @_;
    my $q = sent($path, $body, %o);

    return $q->{body} // "nothing: $q->{answer}{status} $q->{answer}{body}";
}


###############################################################################
# the limit of output

my %said = (
    openai => sub { { messages => hi(), @_ ? (max_completion_tokens => $_[0])
        : () } },
    'openai-completions' => sub { { prompt => 'hi', @_ ? (max_tokens => $_[0])
        : () } },
    'openai-responses' => sub { { input => 'hi', @_ ? (max_output_tokens =>
        $_[0]) : () } },
    anthropic => sub { { messages => hi(), @_ ? (max_tokens => $_[0])
        : () } },
    gemini => sub { { contents => [ { role => 'user', parts => [ { text =>
        'hi' } ] } ], @_ ? (generationConfig => { maxOutputTokens => $_[0] })
        : () } },
    ollama => sub { { messages => hi(), @_ ? (options => { num_predict =>
        $_[0] }) : () } },
    'ollama-generate' => sub { { prompt => 'hi', @_ ? (options => {
        num_predict => $_[0] }) : () } },
    flowise => sub { { question => 'hi', @_ ? (overrideConfig => { maxTokens
        => $_[0] }) : () } },
);

my %limit = (
    (map { $_ => sub { $_[0]{max_completion_tokens} } } qw(openai vllm)),
    (map { $_ => sub { $_[0]{max_tokens} } } qw(openai-completions anthropic
        cohere mistral)),
    'openai-responses' => sub { $_[0]{max_output_tokens} },
    gemini => sub { $_[0]{generationConfig}{maxOutputTokens} },
    (map { $_ => sub { $_[0]{options}{num_predict} } } qw(ollama
        ollama-generate)),
    flowise => sub { $_[0]{overrideConfig}{maxTokens} },
);

sub hi { return [ { role => 'user', content => 'hi' } ] }

sub path_of {
    my ($provider, $client) = @_;

    return "/$provider/$client/" . ($client eq 'gemini'
        ? 'v1beta/models/m:streamGenerateContent?alt=sse' : '');
}


subtest 'every client to every provider' => sub {
    for my $provider (@providers) {
        for my $client (sort keys %said) {
            my $what = "$client to $provider";

            for my $case ([ 7, 7 ], [ 100, 100 ], [ 101, 100 ], [ 9e15, 100 ],
                [ -1, 100 ], [ undef, 100 ])
            {
                my ($said, $want) = @$case;
                my $body = body_of(path_of($provider, $client),
                    $said{$client}->(defined $said ? $said : ()));
                my $value = eval { $json->decode($body) } // {};

                # Ollama's is none, and a flow cannot be told
                $want = undef if $provider eq 'flowise' && (!defined $said
                    || $said < 0 && $client =~ /^ollama/);

                is($limit{$provider}->($value), $want, "$what: "
                    . ($said // 'none')) or diag($body);
            }
        }
    }
};


subtest 'byte for byte' => sub {
    my $m = '"messages" : [ {"role":"user","content":"h\u0069"} ]';
    my @cases = (
        [ "/openai/openai/", "{ $m,\"max_tokens\" : 1e9 ,\"x\":1.50 }",
            "{\"model\":\"m\", $m,\"max_tokens\" : 100 ,\"x\":1.50 }" ],
        [ "/openai/openai/", "{ $m,\"Max_Tokens\":null}",
            "{\"model\":\"m\",\"max_completion_tokens\":100, $m,"
            . "\"Max_Tokens\":100}" ],
        [ "/mistral/openai/", "{$m,\"max_completion_tokens\":800}",
            "{\"model\":\"m\",$m,\"max_tokens\":100}" ],
        [ "/ollama/ollama/", "{$m,\"options\":{ \"a\":[1] },\"OPTIONS\":null}",
            "{\"model\":\"m\",$m,\"options\":{\"num_predict\":100, \"a\":[1] }"
            . ",\"OPTIONS\":{\"num_predict\":100}}" ],
        [ "/anthropic/anthropic/", "{$m,\"max_tokens\":9000,\"thinking\":"
            . "{\"type\":\"enabled\",\"budget_tokens\":8000}}",
            "{\"model\":\"m\",$m,\"max_tokens\":100,\"thinking\":"
            . "{\"type\":\"disabled\"}}" ],
        [ "/flowise/flowise/", "{\"question\":\"hi\" , \"overrideConfig\":{"
            . "\"maxTokens\":\"700\", \"b\":2}}",
            "{\"question\":\"hi\" , \"overrideConfig\":{"
            . "\"maxTokens\":100, \"b\":2}}" ],
        [ "/openai/openai/", "{\"model\":\"m\",$m,\"max_tokens\":99.5}",
            undef ],
    );

    for my $case (@cases) {
        my ($path, $body, $want) = @$case;

        is(body_of($path, $body), $want // $body, "$path $body");
    }
};


subtest 'inherited, overridden, off' => sub {
    my $body = { messages => hi(), max_tokens => 900 };

    is($json->decode(body_of('/more/', $body))->{max_tokens}, 500, 'more');
    is($json->decode(body_of('/off/', $body))->{max_tokens}, 900, 'off');
    is_deeply([ sort keys %{ $json->decode(body_of('/off/', { messages =>
        hi() })) } ], [qw(messages model)], 'off: nothing is added');
};


subtest 'llm_stream_param' => sub {
    my $body = { messages => hi() };

    for my $case ([ 5, 5 ], [ 900, 100 ], [ -1, 100 ], [ '"9e9"', 100 ],
        [ 'null', 100 ])
    {
        is_deeply($json->decode(body_of("/param/?max=$case->[0]",
            { %$body, max_completion_tokens => 70 }))->{max_tokens},
            $case->[1], "param $case->[0]");
        is_deeply($json->decode(body_of("/options/?max=$case->[0]", $body))
            ->{options}, { num_ctx => 9, num_predict => $case->[1] },
            "options $case->[0]") if $case->[0] ne '"9e9"';
    }

    is($json->decode(body_of('/absent/', $body))->{max_completion_tokens}, 40,
        'if_absent is before the limit');
    is($json->decode(body_of('/absent/', { %$body, max_completion_tokens =>
        200 }))->{max_completion_tokens}, 100, 'said');
};


subtest 'an object that is none' => sub {
    my $r = sent('/ollama/ollama/', { messages => hi(), options => [] });

    is($r->{body}, undef, 'nothing is sent');
    is($r->{answer}{status}, 400, 'status');
    like($r->{answer}{body}, qr/options/, 'the member');

    $r = sent(path_of('gemini', 'gemini'), { contents => [ { parts => [] } ],
        generationConfig => 'x' });

    is($r->{answer}{status}, 400, 'gemini: status');
    like($r->{answer}{body}, qr/generationConfig/, 'gemini: the member');
};


###############################################################################
# answers and messages

my %choices = (
    openai => [ [ 'n', { messages => hi(), n => 3 } ],
        [ 'best_of', { messages => hi(), best_of => 3, n => 1 } ],
        [ 'n', { messages => hi(), N => 3 } ],
        [ 'n', { messages => hi(), n => 1e300 } ] ],
    'openai-completions' => [ [ 'best_of', { prompt => 'hi', best_of => 4 } ],
        [ 'prompt', { prompt => [qw(a b c)] } ],
        [ 'prompt', { prompt => [qw(a b)], n => 2 } ] ],
    gemini => [ [ 'generationConfig.candidateCount', { contents => [ { parts
        => [] } ], generationConfig => { candidateCount => 3 } } ],
        [ 'generation_config.candidate_count', { contents => [ { parts => []
        } ], generation_config => { candidate_count => 3 } } ] ],
);

my %messages = (
    openai => [ 'messages', { messages => [ (@{ hi() }) x 4 ] } ],
    'openai-responses' => [ 'input', { input => [ (@{ hi() }) x 4 ] } ],
    anthropic => [ 'messages', { max_tokens => 1, messages => [ (@{ hi() })
        x 4 ] } ],
    gemini => [ 'contents', { contents => [ ({ parts => [] }) x 4 ] } ],
    ollama => [ 'messages', { messages => [ (@{ hi() }) x 4 ] } ],
    flowise => [ 'history', { question => 'q', history => [ ({ role =>
        'userMessage', content => 'hi' }) x 3 ] } ],
);


sub much {
    my ($client, $member, $body, $what) = @_;

    for my $provider (qw(openai anthropic), $client) {
        next if !grep { $_ eq $provider } @providers;

        my $r = sent(path_of($provider, $client), $body);

        is($r->{body}, undef, "$client to $provider, $what: nothing is sent");
        is($r->{answer}{status}, 400, "$client to $provider, $what: status");
        like($r->{answer}{body}, qr/\Q$member\E/,
            "$client to $provider, $what: $member");
    }

    return;
}


subtest 'too many answers' => sub {
    for my $client (sort keys %choices) {
        much($client, @$_, 'answers') for @{ $choices{$client} };
    }

    my $body = { messages => hi(), n => 3 };

    is($json->decode(body_of('/more/', $body))->{n}, 3, 'more');
    is($json->decode(body_of('/off/', { %$body, n => 99 }))->{n}, 99, 'off');
    is($json->decode(body_of('/openai/openai/', { %$body, n => 2 }))->{n}, 2,
        'not too many');
};


subtest 'too many messages' => sub {
    for my $client (sort keys %messages) {
        my ($member, $body) = @{ $messages{$client} };

        much($client, $member, $body, 'messages');

        for my $value (values %$body) {
            pop @$value if ref $value eq 'ARRAY';
        }

        like(body_of(path_of($client, $client), $body), qr/$member/,
            "$client: not too many");
    }

    my $body = { messages => [ (@{ hi() }) x 4 ] };

    is(@{ $json->decode(body_of('/more/', $body))->{messages} }, 4, 'more');
    push @{ $body->{messages} }, (@{ hi() }) x 500;
    is(@{ $json->decode(body_of('/off/', $body))->{messages} }, 504, 'off');
};


# Each client reads why.

subtest 'in the dialect of each client' => sub {
    for my $client (qw(openai simple typed text)) {
        my $r = sent("/openai/$client/", { messages => hi(), n => 3 });

        error_is($r->{answer}, client => $client, status => 400,
            code => 'invalid_request', type => 'invalid_request_error',
            param => 'n', name => $client);
    }

    my $r = sent('/openai/anthropic/', { max_tokens => 1, messages => [
        (@{ hi() }) x 4 ] });
    my $error = $json->decode($r->{answer}{body});

    is($error->{type}, 'error', 'anthropic: type');
    is($error->{error}{type}, 'invalid_request_error', 'anthropic: error');

    $r = sent(path_of('openai', 'gemini'), $choices{gemini}[0][1]);
    is($json->decode($r->{answer}{body})->{error}{status},
        'INVALID_ARGUMENT', 'gemini: status');
};


###############################################################################
# another location

subtest 'a fallback has its own limits' => sub {
    my $q = sent('/fallback/', { messages => hi(), max_completion_tokens =>
        900 });

    is($json->decode($q->{first})->{max_completion_tokens}, 100, 'first');
    is($json->decode($q->{body})->{max_tokens}, 30, 'second');
    isnt($q->{first}, $q->{body}, 'two requests');

    $q = sent('/fallback-flow/', { messages => hi(), max_tokens => 900,
        stop => [ 'END', "\n" ] });
    my $second = $json->decode($q->{body});

    is($json->decode($q->{first})->{overrideConfig}{maxTokens}, 100,
        'a flow first');
    is($second->{max_tokens} // $second->{max_completion_tokens}, 900,
        'without a limit then');
    is_deeply($second->{stop}, [ 'END', "\n" ],
        'stop strings go to the one that can');

    $q = sent('/fallback-choices/', { messages => hi(), n => 2 });
    is($q->{answer}{status}, 400, 'too many for the second');
    is($json->decode($q->{first})->{n}, 2, 'not for the first');
};


# What a provider cannot stop at is no reason to refuse.

subtest 'stop strings' => sub {
    for my $provider (qw(flowise openai-responses)) {
        my $q = sent("/$provider/openai/", { messages => hi(),
            stop => ['END'] });

        isnt($q->{body}, undef, "$provider: sent");
        unlike($q->{body} // '', qr/END/, "$provider: without them");
    }

    my $q = sent('/fallback-flow/', { messages => hi(), stop => [ ('x') x 40
        ] });
    is($q->{answer}{status}, 400, 'more than anybody needs');
    like($q->{answer}{body}, qr/unsupported_parameter/, 'why');
};


###############################################################################
# the system message

sub messages {
    my ($path) = @_;

    return $json->decode(body_of($path, undef, method => 'GET'));
}


subtest 'the system message of a prompt' => sub {
    my $user = { role => 'user', content => 'hi' };

    is_deeply(messages('/prompt/?q=hi')->{messages}, [ { role => 'system',
        content => "Answer in C++,\n  \"briefly\": 100%41.\x{fffd} Да!" },
        $user ], 'as it is written');
    is_deeply(messages('/prompt/none/?q=hi')->{messages}, [$user], 'empty');
    is_deeply(messages('/prompt/arg/?q=hi&s=brief+and%20%22kind%22')
        ->{messages}, [ { role => 'system', content =>
        'Be brief and "kind".' }, $user ], 'of an argument: decoded');
    is_deeply(messages('/prompt/literal/')->{messages}[1],
        { role => 'user', content => '1+1 %41' }, 'a prompt without one');

    is(messages('/prompt/map/?q=hi&who=child')->{system},
        'Use short words.', 'of a map');
    is(messages('/prompt/map/?q=hi&who=coder')->{system}, 'C++ only',
        'of a map: decoded');
    is(messages('/prompt/map/?q=hi')->{system}, undef, 'of a map: none');
    is(messages('/prompt/map/?q=hi')->{max_tokens}, 100, 'and the limit');

    is(messages('/prompt/large/?q=hi')->{systemInstruction}{parts}[0]{text},
        $large, 'a large one');

    my $body = '{"model":"m","messages":[{"role":"user","content":"hi"}],'
        . '"max_tokens":1}';

    is(body_of('/prompt/', $body), $body, 'not of a request with a body');
};

cmp_ok($u->connections, q(>), 500, "all of that was asked");
$t->finish;
