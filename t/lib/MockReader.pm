package MockReader;

# Readers of every dialect that llm-mock speaks, written from the dialects'
# descriptions and from nothing else: the mock writes with the project's own
# encoders, so what reads it here must share no code with them.
#
# read_stream(dialect, bytes) and read_answer(dialect, bytes) return what was
# said: { text, reasoning, signature, refusal, calls => [{id, name, args}],
# links, finish, input, output, thoughts, id, model, done, errors, seqs }; text
# and finish are of choice 0, texts and finishes have all by index.  A stream
# that breaks a rule of its dialect's life cycle dies.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT = qw(read_stream read_answer frames sse_events);

my $json = JSON::PP->new->utf8;

my %finish = (
    end_turn => 'stop', max_tokens => 'length', tool_use => 'tool_calls',
    refusal => 'content_filter', STOP => 'stop', MAX_TOKENS => 'length',
    SAFETY => 'content_filter', COMPLETE => 'stop', TOOL_CALL => 'tool_calls',
);

my %stream = (
    'openai' => \&_openai, 'openai-completions' => \&_openai,
    'openai-responses' => \&_responses, 'anthropic' => \&_anthropic,
    'gemini' => \&_gemini, 'gemini-array' => \&_gemini,
    'ollama' => \&_ollama, 'ollama-generate' => \&_ollama,
    'flowise' => \&_flowise, 'cohere' => \&_cohere,
);

my %answer = (
    'openai' => \&_openai_answer, 'openai-completions' => \&_openai_answer,
    'openai-responses' => \&_responses_answer,
    'anthropic' => \&_anthropic_answer, 'gemini' => \&_gemini,
    'ollama' => \&_ollama, 'ollama-generate' => \&_ollama,
    'flowise' => \&_flowise_answer, 'cohere' => \&_cohere_answer,
);

# The events of an event stream: [type or undef, data].

sub sse_events {
    my ($bytes) = @_;

    my @events;
    my ($type, @data);

    for my $line (split /\r\n|\r|\n/, $bytes, -1) {
        if ($line eq '') {
            push @events, [$type, join "\n", @data] if @data;
            ($type, @data) = (undef);

        } elsif ($line =~ /\Adata: ?(.*)\z/s) {
            push @data, $1;

        } elsif ($line =~ /\Aevent: ?(.*)\z/s) {
            $type = $1;
        }
    }

    die "an event without its blank line\n" if @data;

    return @events;
}

# The frames of a stream: [type or undef, JSON value or "[DONE]"].

sub frames {
    my ($dialect, $bytes) = @_;

    return map { [undef, $_] } @{ $json->decode($bytes) }
        if $dialect eq 'gemini-array';

    return map { [undef, $json->decode($_)] } split /\r?\n/, $bytes
        if $dialect =~ /\Aollama/;

    return map { [$_->[0], $_->[1] eq '[DONE]' ? $_->[1]
        : $json->decode($_->[1])] } sse_events($bytes);
}

sub _new {
    my ($dialect) = @_;

    return { dialect => $dialect, text => '', reasoning => '', refusal => '',
        calls => [], links => [], errors => [], texts => [], finishes => [],
        seqs => [], done => 0 };
}

sub read_stream {
    my ($dialect, $bytes) = @_;

    my $r = _new($dialect);

    for my $frame (frames($dialect, $bytes)) {
        my ($type, $e) = @$frame;

        die "something behind the end\n" if $r->{done} && $e ne '[DONE]';

        push @{ $r->{seqs} }, $e->{mock}{seq} if ref $e && $e->{mock};
        $stream{$dialect}->($r, $e, $type);
    }

    die "a block was left open\n" if %{ $r->{open} // {} };

    return _ended($r);
}

sub read_answer {
    my ($dialect, $bytes) = @_;

    my $r = _new($dialect);

    $answer{$dialect}->($r, $json->decode($bytes));

    return _ended($r);
}

# What all readers leave to the end.

sub _ended {
    my ($r) = @_;

    for my $call (grep { defined } @{ $r->{calls} }) {
        $call->{args} = $json->decode($call->{args}) if !ref $call->{args};
    }

    $r->{text} = $r->{texts}[0] if defined $r->{texts}[0];
    $r->{finish} //= $r->{finishes}[0];
    $r->{finish} = $finish{ $r->{finish} } // $r->{finish}
        if defined $r->{finish};

    return $r;
}

sub _openai {
    my ($r, $e) = @_;

    return $r->{done}++ if $e eq '[DONE]';
    return push @{ $r->{errors} }, $e->{error} if $e->{error};

    die "another object: $e->{object}\n" if $e->{object} ne
        ($r->{dialect} eq 'openai' ? 'chat.completion.chunk'
        : 'text_completion');

    @$r{qw(id model)} = @$e{qw(id model)};
    _openai_usage($r, $e->{usage});

    for my $c (@{ $e->{choices} }) {
        my $d = $c->{delta} // { content => $c->{text} };
        my $i = $c->{index};

        $r->{texts}[$i] .= $d->{content} // '';
        $r->{reasoning} .= $d->{reasoning_content} // '';
        $r->{refusal} .= $d->{refusal} // '';
        $r->{finishes}[$i] = $c->{finish_reason} if $c->{finish_reason};
        push @{ $r->{links} }, map { $_->{url_citation}{url} }
            @{ $d->{annotations} // [] };

        for my $call (@{ $d->{tool_calls} // [] }) {
            my $own = $r->{calls}[$call->{index}] //= { args => '' };
            $own->{id} //= $call->{id};
            $own->{name} //= $call->{function}{name};
            $own->{args} .= $call->{function}{arguments};
        }
    }

    return;
}

sub _openai_usage {
    my ($r, $u) = @_;

    return if !$u;

    @$r{qw(input output)} = @$u{qw(prompt_tokens completion_tokens)};
    $r->{thoughts} = $u->{completion_tokens_details}{reasoning_tokens};

    return;
}

sub _openai_answer {
    my ($r, $e) = @_;

    @$r{qw(id model)} = @$e{qw(id model)};
    _openai_usage($r, $e->{usage});
    $r->{done} = 1;

    for my $c (@{ $e->{choices} }) {
        my $m = $c->{message} // { content => $c->{text} };
        my $i = $c->{index};

        $r->{texts}[$i] = $m->{content} // '';
        $r->{finishes}[$i] = $c->{finish_reason};
        $r->{reasoning} .= $m->{reasoning_content} // '';
        $r->{refusal} .= $m->{refusal} // '';
        push @{ $r->{links} }, map { $_->{url_citation}{url} }
            @{ $m->{annotations} // [] };
        push @{ $r->{calls} }, map { { id => $_->{id},
            name => $_->{function}{name}, args => $_->{function}{arguments}
            } } @{ $m->{tool_calls} // [] };
    }

    return;
}

# OpenAI Responses: every item opens and closes, every *.done repeats what the
# deltas said, numbers rise by one.

sub _responses {
    my ($r, $e, $type) = @_;

    die "event: $type, type: $e->{type}\n" if $type ne $e->{type};
    die "number $e->{sequence_number}\n"
        if $e->{sequence_number} != ($r->{number}++ // 0);

    my ($i, $what) = ($e->{output_index} // -1, $type =~ s/\Aresponse\.//r);
    my $item = $i >= 0 ? $r->{items}[$i] : undef;

    if ($what eq 'created') {
        @$r{qw(id model)} = @{ $e->{response} }{qw(id model)};

    } elsif ($what eq 'output_item.added') {
        die "item $i is there\n" if $item;
        $r->{items}[$i] = { said => '', %{ $e->{item} } };
        $r->{open}{$i} = 1;
        push @{ $r->{calls} }, { id => $e->{item}{call_id},
            name => $e->{item}{name}, args => '' }
            if $e->{item}{type} eq 'function_call';

    } elsif ($what eq 'content_part.added') {
        $item->{said} = '';

    } elsif ($what =~ /\.delta\z/) {
        die "no item $i\n" if !$r->{open}{$i};
        $item->{said} .= $e->{delta};
        $r->{texts}[0] .= $e->{delta} if $what =~ /output_text/;
        $r->{reasoning} .= $e->{delta} if $what =~ /reasoning/;
        $r->{refusal} .= $e->{delta} if $what =~ /refusal/;
        $r->{calls}[-1]{args} .= $e->{delta} if $what =~ /arguments/;

    } elsif ($what =~ /_(?:text|arguments)\.done\z|refusal\.done\z/) {
        my $all = $e->{text} // $e->{arguments} // $e->{refusal};
        die "done says $all\n" if $all ne $item->{said};

    } elsif ($what eq 'output_text.annotation.added') {
        push @{ $r->{links} }, $e->{annotation}{url};

    } elsif ($what eq 'output_item.done') {
        die "item $i is not open\n" if !delete $r->{open}{$i};
        $r->{signature} = $e->{item}{encrypted_content}
            if $e->{item}{encrypted_content};

    } elsif ($what =~ /\A(?:completed|incomplete)\z/) {
        my $whole = _new('openai-responses');
        _responses_answer($whole, $e->{response});
        die "the whole says $whole->{texts}[0]\n"
            if ($whole->{texts}[0] // '') ne ($r->{texts}[0] // '');
        @$r{qw(finish input output thoughts)} =
            @$whole{qw(finish input output thoughts)};
        $r->{done}++;

    } elsif ($type eq 'error') {
        push @{ $r->{errors} }, $e->{error} // $e;

    } elsif ($what eq 'failed') {
        push @{ $r->{errors} }, $e->{response}{error};
    }

    return;
}

sub _responses_answer {
    my ($r, $e) = @_;

    die "object $e->{object}\n" if $e->{object} ne 'response';
    @$r{qw(id model)} = @$e{qw(id model)};
    $r->{finish} = $e->{status} eq 'completed' ? 'stop'
        : $e->{incomplete_details}{reason};
    $r->{finish} = { max_output_tokens => 'length' }->{ $r->{finish} }
        // $r->{finish};
    $r->{done} = 1;

    if (my $u = $e->{usage}) {
        @$r{qw(input output)} = @$u{qw(input_tokens output_tokens)};
        $r->{thoughts} = $u->{output_tokens_details}{reasoning_tokens};
    }

    for my $item (@{ $e->{output} }) {
        if ($item->{type} eq 'function_call') {
            push @{ $r->{calls} }, { id => $item->{call_id},
                name => $item->{name}, args => $item->{arguments} };
            $r->{finish} = 'tool_calls' if $r->{finish} eq 'stop';
        }

        $r->{signature} //= $item->{encrypted_content};
        $r->{reasoning} .= $_->{text} for @{ $item->{summary} // [] };

        for my $part (@{ $item->{type} eq 'message' ? $item->{content}
            : [] })
        {
            $r->{texts}[0] .= $part->{text} // '';
            $r->{refusal} .= $part->{refusal} // '';
            push @{ $r->{links} }, map { $_->{url} }
                @{ $part->{annotations} // [] };
        }
    }

    return;
}

sub _anthropic {
    my ($r, $e, $type) = @_;

    die "event: $type, type: $e->{type}\n" if $type ne $e->{type};

    if ($type eq 'message_start') {
        die "a second start\n" if $r->{id};
        @$r{qw(id model)} = @{ $e->{message} }{qw(id model)};
        $r->{first_input} = $e->{message}{usage}{input_tokens};

    } elsif ($type eq 'content_block_start') {
        die "block $e->{index}\n"
            if %{ $r->{open} // {} } || $e->{index} != ($r->{blocks}++ // 0);
        $r->{open}{ $e->{index} } = 1;
        push @{ $r->{calls} }, { args => '', %{ $e->{content_block} } }
            if $e->{content_block}{type} eq 'tool_use';

    } elsif ($type eq 'content_block_delta') {
        my $d = $e->{delta};
        die "block $e->{index} is not open\n" if !$r->{open}{ $e->{index} };
        $r->{texts}[0] .= $d->{text} if $d->{type} eq 'text_delta';
        $r->{reasoning} .= $d->{thinking} if $d->{type} eq 'thinking_delta';
        $r->{signature} .= $d->{signature} if $d->{signature};
        $r->{calls}[-1]{args} .= $d->{partial_json}
            if $d->{type} eq 'input_json_delta';
        push @{ $r->{links} }, $d->{citation}{url} if $d->{citation};

    } elsif ($type eq 'content_block_stop') {
        die "block $e->{index} is not open\n"
            if !delete $r->{open}{ $e->{index} };

    } elsif ($type eq 'message_delta') {
        $r->{finish} = $e->{delta}{stop_reason};
        _anthropic_usage($r, $e->{usage});

    } elsif ($type eq 'message_stop') {
        $r->{done}++;

    } elsif ($type eq 'error') {
        push @{ $r->{errors} }, $e->{error};
    }

    return;
}

sub _anthropic_usage {
    my ($r, $u) = @_;

    return if !$u || !defined $u->{output_tokens};

    $r->{input} = ($u->{input_tokens} // $r->{first_input})
        + ($u->{cache_read_input_tokens} // 0)
        + ($u->{cache_creation_input_tokens} // 0);
    $r->{output} = $u->{output_tokens};
    $r->{thoughts} = $u->{output_tokens_details}{thinking_tokens};

    return;
}

sub _anthropic_answer {
    my ($r, $e) = @_;

    die "type $e->{type}\n" if $e->{type} ne 'message';
    @$r{qw(id model finish)} = @$e{qw(id model stop_reason)};
    _anthropic_usage($r, $e->{usage});
    $r->{done} = 1;

    for my $b (@{ $e->{content} }) {
        $r->{texts}[0] .= $b->{text} // '';
        $r->{reasoning} .= $b->{thinking} // '';
        $r->{signature} //= $b->{signature};
        push @{ $r->{links} }, map { $_->{url} } @{ $b->{citations} // [] };
        push @{ $r->{calls} }, { id => $b->{id}, name => $b->{name},
            args => $b->{input} } if $b->{type} eq 'tool_use';
    }

    return;
}

# Gemini: a chunk and the one answer have the same shape.

sub _gemini {
    my ($r, $e) = @_;

    return push @{ $r->{errors} }, $e->{error} if $e->{error};

    $r->{id} //= $e->{responseId};
    $r->{model} //= $e->{modelVersion};

    if (my $u = $e->{usageMetadata}) {
        $r->{input} = $u->{promptTokenCount};
        $r->{thoughts} = $u->{thoughtsTokenCount};
        $r->{output} = ($u->{candidatesTokenCount} // 0)
            + ($u->{thoughtsTokenCount} // 0);
    }

    for my $c (@{ $e->{candidates} // [] }) {
        my $i = $c->{index} // 0;

        die "a role $c->{content}{role}\n"
            if ($c->{content}{role} // 'model') ne 'model';

        for my $p (@{ $c->{content}{parts} // [] }) {
            $r->{signature} //= $p->{thoughtSignature};

            if ($p->{functionCall}) {
                push @{ $r->{calls} }, $p->{functionCall};
            } elsif ($p->{thought}) {
                $r->{reasoning} .= $p->{text} // '';
            } else {
                $r->{texts}[$i] .= $p->{text} // '';
            }
        }

        push @{ $r->{links} }, map { $_->{web}{uri} }
            @{ $c->{groundingMetadata}{groundingChunks} // [] };
        push @{ $r->{links} }, map { $_->{uri} }
            @{ $c->{citationMetadata}{citationSources}
               // $c->{citationMetadata}{citations} // [] };

        if ($c->{finishReason}) {
            $r->{finishes}[$i] = $c->{finishReason};
            $r->{finishes}[$i] = 'tool_calls'
                if $c->{finishReason} eq 'STOP' && @{ $r->{calls} };
        }
    }

    return;
}

sub _ollama {
    my ($r, $e) = @_;

    return push @{ $r->{errors} }, $e->{error} if $e->{error};

    die "a time $e->{created_at}\n"
        if $e->{created_at} !~ /\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z\z/;

    my $m = $e->{message} // { content => $e->{response},
        thinking => $e->{thinking} };

    $r->{model} = $e->{model};
    $r->{texts}[0] .= $m->{content};
    $r->{reasoning} .= $m->{thinking} // '';
    push @{ $r->{calls} }, map { { id => $_->{id},
        name => $_->{function}{name}, args => $_->{function}{arguments} } }
        @{ $m->{tool_calls} // [] };

    if ($e->{done}) {
        $r->{done}++;
        $r->{finish} = $e->{done_reason};
        $r->{finish} = 'tool_calls'
            if ($r->{finish} // '') eq 'stop' && @{ $r->{calls} };
        @$r{qw(input output)} = @$e{qw(prompt_eval_count eval_count)};
    }

    return;
}

sub _flowise {
    my ($r, $e) = @_;

    my ($type, $d) = @$e{qw(event data)};

    $r->{texts}[0] .= $d if $type eq 'token';
    $r->{reasoning} .= $d if $type eq 'thinking';
    push @{ $r->{errors} }, $d if $type eq 'error';
    $r->{finish} = 'stop', $r->{done}++ if $type eq 'end';
    $r->{id} = $d->{chatMessageId} if $type eq 'metadata';
    @$r{qw(input output)} = @$d{qw(input_tokens output_tokens)}
        if $type eq 'usageMetadata';
    push @{ $r->{calls} }, map { { name => $_->{tool},
        args => $_->{toolInput} } } @$d if $type eq 'calledTools';
    push @{ $r->{links} }, map { $_->{metadata}{source} } @$d
        if $type eq 'sourceDocuments';

    return;
}

sub _flowise_answer {
    my ($r, $e) = @_;

    $r->{texts}[0] = $e->{text};
    $r->{id} = $e->{chatMessageId};
    $r->{finish} = 'stop';
    $r->{done} = 1;
    push @{ $r->{calls} }, map { { name => $_->{tool},
        args => $_->{toolInput} } } @{ $e->{calledTools} // [] };
    push @{ $r->{links} }, map { $_->{metadata}{source} }
        @{ $e->{sourceDocuments} // [] };

    return;
}

sub _cohere {
    my ($r, $e, $type) = @_;

    return $r->{done}++ if $e eq '[DONE]';
    die "event: $type, type: $e->{type}\n" if $type ne $e->{type};

    my $m = $e->{delta}{message};

    if ($type eq 'message-start') {
        $r->{id} = $e->{id};

    } elsif ($type eq 'content-start') {
        $r->{open}{ $e->{index} } = 1;

    } elsif ($type eq 'content-delta') {
        die "block $e->{index} is not open\n" if !$r->{open}{ $e->{index} };
        $r->{texts}[0] .= $m->{content}{text} // '';
        $r->{reasoning} .= $m->{content}{thinking} // '';

    } elsif ($type eq 'content-end') {
        delete $r->{open}{ $e->{index} };

    } elsif ($type eq 'tool-call-start') {
        push @{ $r->{calls} }, { id => $m->{tool_calls}{id},
            name => $m->{tool_calls}{function}{name},
            args => $m->{tool_calls}{function}{arguments} };

    } elsif ($type eq 'tool-call-delta') {
        $r->{calls}[-1]{args} .= $m->{tool_calls}{function}{arguments};

    } elsif ($type eq 'citation-start') {
        push @{ $r->{links} }, $m->{citations}{sources}[0]{document}{url};

    } elsif ($type eq 'message-end') {
        $r->{finish} = $e->{delta}{finish_reason};
        push @{ $r->{errors} }, $e->{delta}{error} // 'ERROR'
            if ($r->{finish} // '') eq 'ERROR';
        @$r{qw(input output)} =
            @{ $e->{delta}{usage}{tokens} // {} }{qw(input_tokens
            output_tokens)};
    }

    return;
}

sub _cohere_answer {
    my ($r, $e) = @_;

    @$r{qw(id finish)} = @$e{qw(id finish_reason)};
    @$r{qw(input output)} =
        @{ $e->{usage}{tokens} // {} }{qw(input_tokens output_tokens)};
    $r->{done} = 1;

    for my $part (@{ $e->{message}{content} // [] }) {
        $r->{texts}[0] .= $part->{text} // '';
        $r->{reasoning} .= $part->{thinking} // '';
    }

    push @{ $r->{calls} }, map { { id => $_->{id},
        name => $_->{function}{name}, args => $_->{function}{arguments} } }
        @{ $e->{message}{tool_calls} // [] };
    push @{ $r->{links} }, map { $_->{sources}[0]{document}{url} }
        @{ $e->{message}{citations} // [] };

    return;
}

1;
