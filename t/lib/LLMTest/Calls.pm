package LLMTest::Calls;

# One and the same call, rich in what it holds, as the SDK of each dialect
# sends it: what a client of dialect A asks must reach a provider of dialect
# B as the SDK of B would have said it.  Written from the providers'
# documentation, apart from the C writers, so that it can judge them.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

our @EXPORT_OK = qw(call dialects IMAGE);

use constant IMAGE => 'aWNvbg==';

my $true = JSON::PP::true;
my $SCHEMA = { type => 'object', required => ['city'],
    properties => { city => { type => 'string' } } };
my $ANSWER = { type => 'object', required => ['ok'],
    properties => { ok => { type => 'boolean' } } };
my $ABOUT = "The weather of a \x{dc}\"city\".";


sub dialects { return qw(openai openai-responses anthropic gemini ollama
    cohere) }


# call($dialect, %with): the body of a stream's request.  with: image (data
# URL), link (image by link), tools (definition, a call and its result),
# choice ("required", "none", a function's name), schema (JSON schema),
# sampling (temperature), limit (tokens), stop

sub call {
    my ($dialect, %with) = @_;
    my $make = __PACKAGE__->can('_' . ($dialect =~ s/-/_/gr));

    return $make->(%with);
}


sub _function {
    return { name => 'get_weather', description => $ABOUT,
        parameters => $SCHEMA };
}


sub _openai {
    my (%with) = @_;

    return {
        model => 'm', stream => $true,
        stream_options => { include_usage => $true },
        messages => [
            { role => 'system', content => 'Be brief.' },
            { role => 'user', content => _openai_content(%with) },
            $with{tools} ? (
                { role => 'assistant', $with{bare} ? () : (content => undef),
                    tool_calls => [ { id => 'call_1', type => 'function',
                    function => { name => 'get_weather',
                    arguments => '{"city":"Paris"}' } } ] },
                { role => 'tool', tool_call_id => 'call_1',
                    content => 'sunny' },
                { role => 'user', content => 'And there?' }) : (),
        ],
        $with{tools} ? (tools => [ { type => 'function',
            function => _function() } ]) : (),
        $with{choice} ? (tool_choice => $with{choice} =~ /^[rn]/
            ? $with{choice} : { type => 'function',
            function => { name => $with{choice} } }) : (),
        $with{schema} ? (response_format => { type => 'json_schema',
            json_schema => { name => 'answer', schema => $ANSWER } }) : (),
        $with{sampling} ? (temperature => 0.5) : (),
        $with{limit} ? (max_completion_tokens => $with{limit}) : (),
        $with{stop} ? (stop => [ 'END', "a\nb" ]) : (),
    };
}


sub _openai_content {
    my (%with) = @_;

    return 'What is this?' if !$with{image} && !$with{link};
    return [
        { type => 'text', text => 'What is this?' },
        $with{image} ? { type => 'image_url', image_url => { url
            => 'data:image/png;base64,' . IMAGE } } : (),
        $with{link} ? { type => 'image_url', image_url => { url
            => 'https://pictures.example/a.png' } } : (),
    ];
}


sub _openai_responses {
    my (%with) = @_;

    return {
        model => 'm', stream => $true, instructions => 'Be brief.',
        input => [
            { type => 'message', role => 'user', content => [
                { type => 'input_text', text => 'What is this?' },
                $with{image} ? { type => 'input_image', image_url
                    => 'data:image/png;base64,' . IMAGE } : (),
                $with{link} ? { type => 'input_image', image_url
                    => 'https://pictures.example/a.png' } : (),
            ] },
            $with{tools} ? (
                { type => 'function_call', call_id => 'call_1',
                    name => 'get_weather',
                    arguments => '{"city":"Paris"}' },
                { type => 'function_call_output', call_id => 'call_1',
                    output => 'sunny' },
                { type => 'message', role => 'user', content => [
                    { type => 'input_text', text => 'And there?' } ] })
                : (),
        ],
        $with{tools} ? (tools => [ { type => 'function',
            %{ _function() } } ]) : (),
        $with{choice} ? (tool_choice => $with{choice} =~ /^[rn]/
            ? $with{choice} : { type => 'function',
            name => $with{choice} }) : (),
        $with{schema} ? (text => { format => { type => 'json_schema',
            name => 'answer', schema => $ANSWER } }) : (),
        $with{sampling} ? (temperature => 0.5) : (),
        $with{limit} ? (max_output_tokens => $with{limit}) : (),
    };
}


sub _anthropic {
    my (%with) = @_;
    my @images = (
        $with{image} ? { type => 'image', source => { type => 'base64',
            media_type => 'image/png', data => IMAGE } } : (),
        $with{link} ? { type => 'image', source => { type => 'url',
            url => 'https://pictures.example/a.png' } } : (),
    );

    return {
        model => 'm', stream => $true, system => 'Be brief.',
        max_tokens => $with{limit} // 4096,
        messages => [
            { role => 'user', content => @images ? [ { type => 'text',
                text => 'What is this?' }, @images ] : 'What is this?' },
            $with{tools} ? (
                { role => 'assistant', content => [ { type => 'tool_use',
                    id => 'call_1', name => 'get_weather',
                    input => { city => 'Paris' } } ] },
                { role => 'user', content => [ { type => 'tool_result',
                    tool_use_id => 'call_1', content => 'sunny' },
                    { type => 'text', text => 'And there?' } ] }) : (),
        ],
        $with{tools} ? (tools => [ { name => 'get_weather',
            description => $ABOUT, input_schema => $SCHEMA } ]) : (),
        $with{choice} ? (tool_choice => $with{choice} eq 'required'
            ? { type => 'any' } : $with{choice} eq 'none'
            ? { type => 'none' } : { type => 'tool',
            name => $with{choice} }) : (),
        $with{schema} ? (output_config => { format => {
            type => 'json_schema', schema => $ANSWER } }) : (),
        $with{sampling} ? (temperature => 0.5) : (),
        $with{stop} ? (stop_sequences => [ 'END', "a\nb" ]) : (),
    };
}


sub _gemini {
    my (%with) = @_;
    my %config = (
        $with{schema} ? (responseMimeType => 'application/json',
            responseJsonSchema => $ANSWER) : (),
        $with{sampling} ? (temperature => 0.5) : (),
        $with{limit} ? (maxOutputTokens => $with{limit}) : (),
        $with{stop} ? (stopSequences => [ 'END', "a\nb" ]) : (),
    );

    return {
        systemInstruction => { parts => [ { text => 'Be brief.' } ] },
        contents => [
            { role => 'user', parts => [ { text => 'What is this?' },
                $with{image} ? { inlineData => { mimeType => 'image/png',
                    data => IMAGE } } : (),
                $with{link} ? { fileData => { mimeType => 'image/png',
                    fileUri => 'https://pictures.example/a.png' } } : (),
            ] },
            $with{tools} ? (
                { role => 'model', parts => [ { functionCall => {
                    id => 'call_1', name => 'get_weather',
                    args => { city => 'Paris' } } } ] },
                { role => 'user', parts => [ { functionResponse => {
                    id => 'call_1', name => 'get_weather',
                    response => { result => 'sunny' } } },
                    { text => 'And there?' } ] }) : (),
        ],
        $with{tools} ? (tools => [ { functionDeclarations => [ {
            name => 'get_weather', description => $ABOUT,
            parametersJsonSchema => $SCHEMA } ] } ]) : (),
        $with{choice} ? (toolConfig => { functionCallingConfig =>
            $with{choice} eq 'required' ? { mode => 'ANY' }
            : $with{choice} eq 'none' ? { mode => 'NONE' }
            : { mode => 'ANY', allowedFunctionNames =>
            [ $with{choice} ] } }) : (),
        %config ? (generationConfig => \%config) : (),
    };
}


sub _ollama {
    my (%with) = @_;
    my %options = (
        $with{sampling} ? (temperature => 0.5) : (),
        $with{limit} ? (num_predict => $with{limit}) : (),
        $with{stop} ? (stop => [ 'END', "a\nb" ]) : (),
    );

    return {
        model => 'm', stream => $true,
        messages => [
            { role => 'system', content => 'Be brief.' },
            { role => 'user', content => 'What is this?',
                $with{image} ? (images => [ IMAGE ]) : () },
            $with{tools} ? (
                { role => 'assistant', content => '', tool_calls => [ {
                    id => 'call_1', function => { name => 'get_weather',
                    arguments => { city => 'Paris' } } } ] },
                { role => 'tool', tool_name => 'get_weather',
                    tool_call_id => 'call_1', content => 'sunny' },
                { role => 'user', content => 'And there?' }) : (),
        ],
        $with{tools} ? (tools => [ { type => 'function',
            function => _function() } ]) : (),
        $with{schema} ? (format => $ANSWER) : (),
        %options ? (options => \%options) : (),
    };
}


sub _cohere {
    my (%with) = @_;
    my $openai = _openai(%with, bare => 1);

    return {
        model => 'm', stream => $true, messages => $openai->{messages},
        $with{tools} ? (tools => $openai->{tools}) : (),
        $with{choice} ? (tool_choice => uc $with{choice}) : (),
        $with{schema} ? (response_format => { type => 'json_object',
            json_schema => $ANSWER }) : (),
        $with{sampling} ? (temperature => 0.5) : (),
        $with{limit} ? (max_tokens => $with{limit}) : (),
        $with{stop} ? (stop_sequences => [ 'END', "a\nb" ]) : (),
    };
}


1;
