package BenchFrames;

# What bench-ir's provider and clients say: for each upstream dialect a stream
# with events as long and as varied as that provider sends them, for each
# client dialect the smallest request.  It must never depend on anything but
# the number of an event, so that two runs send the same bytes.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(upstreams clients stream request text);

my @upstreams = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise cohere);

my @clients = qw(openai openai-completions openai-responses anthropic gemini
    ollama ollama-generate flowise simple typed text);

my $MESSAGES = '"messages":[{"role":"user","content":"hi"}]';
my $OPENAI = ['/v1/chat/completions',
    "{\"model\":\"m\",$MESSAGES,\"stream\":true}"];

my %request = (
    'openai' => $OPENAI,
    'openai-completions' => ['/v1/completions',
        '{"model":"m","prompt":"hi","stream":true}'],
    'openai-responses' => ['/v1/responses',
        '{"model":"m","input":"hi","stream":true}'],
    'anthropic' => ['/v1/messages',
        "{\"model\":\"m\",\"max_tokens\":99,$MESSAGES,\"stream\":true}"],
    'gemini' => ['/v1beta/models/m:streamGenerateContent?alt=sse',
        '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'],
    'ollama' => ['/api/chat', "{\"model\":\"m\",$MESSAGES}"],
    'ollama-generate' => ['/api/generate', '{"model":"m","prompt":"hi"}'],
    'flowise' => ['/api/v1/prediction/m',
        '{"question":"hi","streaming":true}'],
    'simple' => $OPENAI,
    'typed' => $OPENAI,
    'text' => $OPENAI,
);

my $CHUNK = '"id":"chatcmpl-D8EA5nZ0hOZP7LH1T8J9NNIiYa8n1",'
    . '"object":"chat.completion.chunk","created":1770853433,'
    . '"model":"gpt-4.1-2025-04-14","service_tier":"default",'
    . '"system_fingerprint":"fp_8b22347a3e"';
my $CMPL = '"id":"cmpl-CKzHhit4D82m3cp2zRTC2fpTNlJCX",'
    . '"object":"text_completion","created":1759118173';
my $RESPONSE = '"id":"resp_079fceed100a827c0068e011e9cefc81969ea6a843546705e6"'
    . ',"object":"response","created_at":1759515113,'
    . '"model":"gpt-4.1-2025-04-14"';
my $ITEM = 'msg_079fceed100a827c0068e011ea7d388196a588ec8cf09b1364';

# each: type of the body, event 0 (what comes before the first text), text
# event k, what comes behind the last
my %stream = (
    'openai' => [
        'text/event-stream; charset=utf-8',
        sub { openai('{"role":"assistant","content":"","refusal":null}',
            'null', 0) },
        sub { openai('{"content":"' . text($_[0]) . '"}', 'null', $_[0]) },
        sub { openai('{}', '"stop"', 0) . "data: [DONE]\n\n" },
    ],

    # the shorter chunks that the first figures of this project were made of
    'openai-short' => [
        'text/event-stream',
        sub { '' },
        sub { short(text($_[0])) },
        sub { finish_short() },
    ],

    'openai-completions' => [
        'text/event-stream',
        sub { '' },
        sub { completion(text($_[0]), 'null') },
        sub { completion('', '"stop"') . "data: [DONE]\n\n" },
    ],

    'openai-responses' => [
        'text/event-stream; charset=utf-8',
        sub { responses_begin() },
        sub { named('response.output_text.delta', $_[0] + 4,
            "\"item_id\":\"$ITEM\",\"output_index\":0,\"content_index\":0,"
            . '"delta":"' . text($_[0]) . '","logprobs":[],"obfuscation":"'
            . padding($_[0]) . '"') },
        sub { responses_end($_[0]) },
    ],

    'anthropic' => [
        'text/event-stream; charset=utf-8',
        sub { anthropic_begin() },
        sub { sse('content_block_delta', '{"type":"content_block_delta",'
            . '"index":0,"delta":{"type":"text_delta","text":"'
            . text($_[0]) . '"}' . ' ' x length(padding($_[0])) . '}') },
        sub { anthropic_end() },
    ],

    'gemini' => [
        'text/event-stream',
        sub { gemini('', 1, '') },
        sub { gemini(text($_[0]), 1 + $_[0], '') },
        sub { gemini('', 2, '"finishReason": "STOP",') },
    ],

    'ollama' => [
        'application/x-ndjson',
        sub { ollama(0, '"message":{"role":"assistant","content":""}') },
        sub { ollama($_[0], '"message":{"role":"assistant","content":"'
            . text($_[0]) . '"}') },
        sub { ollama_end('"message":{"role":"assistant","content":""}') },
    ],

    'ollama-generate' => [
        'application/x-ndjson',
        sub { ollama(0, '"response":""') },
        sub { ollama($_[0], '"response":"' . text($_[0]) . '"') },
        sub { ollama_end('"response":""') },
    ],

    'flowise' => [
        'text/event-stream',
        sub { flowise('start', '""') },
        sub { flowise('token', '"' . text($_[0]) . '"') },
        sub { flowise('metadata', '{"chatId":"c","sessionId":"s"}')
            . flowise('end', '"[DONE]"') },
    ],

    'cohere' => [
        'text/event-stream',
        sub { cohere_begin() },
        sub { sse('content-delta', '{"type":"content-delta","index":0,'
            . '"delta":{"message":{"content":{"text":"' . text($_[0])
            . '"}}}}') },
        sub { cohere_end() },
    ],
);


sub upstreams {
    return @upstreams;
}


sub clients {
    return @clients;
}


# path and body
sub request {
    my ($client) = @_;
    return @{ $request{$client} };
}


# type, and the subs of the beginning, of text event k = 1.., of the end of a
# stream of n; "-unlike" behind the name: each event has a member of its own,
# so that the module cannot profit from the one before
sub stream {
    my ($name) = @_;

    my $unlike = $name =~ s/-unlike\z//;
    my ($type, $begin, $event, $end) = @{ $stream{$name} };

    return ($type, $begin, $event, $end) unless $unlike;

    return ($type, $begin, sub {
        my ($k) = @_;
        return $event->($k) =~ s/\{/{"n$k":0,/r;
    }, $end);
}


# a token, as long as they are
sub text {
    my ($k) = @_;
    return sprintf 'tok%04d ', $k;
}


# against traffic analysis: of another length each time
sub padding {
    my ($k) = @_;
    return substr 'GyBg7v6jvrZFq0', 0, $k * 5 % 13 + 1;
}


sub sse {
    my ($type, $data) = @_;
    return "event: $type\ndata: $data\n\n";
}


sub openai {
    my ($delta, $finish, $k) = @_;

    return "data: {$CHUNK,\"choices\":[{\"index\":0,\"delta\":$delta,"
        . "\"logprobs\":null,\"finish_reason\":$finish}],\"obfuscation\":\""
        . padding($k) . "\"}\n\n";
}


sub short {
    my ($text) = @_;

    return 'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",'
        . '"created":1700000000,"model":"m","choices":[{"index":0,'
        . "\"delta\":{\"content\":\"$text\"},\"logprobs\":null,"
        . "\"finish_reason\":null}]}\n\n";
}


sub finish_short {
    return 'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",'
        . '"created":1700000000,"model":"m","choices":[{"index":0,"delta":'
        . "{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
}


sub completion {
    my ($text, $finish) = @_;

    return "data: {$CMPL,\"choices\":[{\"text\":\"$text\",\"index\":0,"
        . "\"logprobs\":null,\"finish_reason\":$finish}],"
        . "\"model\":\"babbage:2023-07-21-v2\",\"usage\":null}\n\n";
}


sub named {
    my ($type, $n, $members) = @_;

    return sse($type,
        "{\"type\":\"$type\",\"sequence_number\":$n,$members}");
}


sub responses_begin {
    return named('response.created', 0,
            "\"response\":{$RESPONSE,\"status\":\"in_progress\","
            . '"output":[],"usage":null}')
        . named('response.output_item.added', 1, '"output_index":0,"item":'
            . "{\"id\":\"$ITEM\",\"type\":\"message\","
            . '"status":"in_progress","content":[],"role":"assistant"}')
        . named('response.content_part.added', 2, "\"item_id\":\"$ITEM\","
            . '"output_index":0,"content_index":0,"part":'
            . '{"type":"output_text","annotations":[],"logprobs":[],'
            . '"text":""}');
}


sub responses_end {
    my ($n) = @_;

    my $said = join '', map { text($_) } 1 .. $n;
    my $part = '{"type":"output_text","annotations":[],"logprobs":[],'
        . "\"text\":\"$said\"}";
    my $item = "{\"id\":\"$ITEM\",\"type\":\"message\","
        . "\"status\":\"completed\",\"content\":[$part],"
        . '"role":"assistant"}';
    my $at = "\"item_id\":\"$ITEM\",\"output_index\":0,\"content_index\":0";

    return named('response.output_text.done', $n + 5,
            "$at,\"text\":\"$said\",\"logprobs\":[]")
        . named('response.content_part.done', $n + 6, "$at,\"part\":$part")
        . named('response.output_item.done', $n + 7,
            "\"output_index\":0,\"item\":$item")
        . named('response.completed', $n + 8,
            "\"response\":{$RESPONSE,\"status\":\"completed\","
            . "\"output\":[$item],\"usage\":{\"input_tokens\":13,"
            . '"output_tokens":9,"total_tokens":22}}');
}


sub anthropic_begin {
    return sse('message_start', '{"type":"message_start","message":{"model":'
            . '"claude-sonnet-4-20250514","id":"msg_015ZdAGWSyZwVr5WxHaN3vaf"'
            . ',"type":"message","role":"assistant","content":[],'
            . '"stop_reason":null,"stop_sequence":null,"usage":'
            . '{"input_tokens":19,"output_tokens":1}}}')
        . sse('content_block_start', '{"type":"content_block_start",'
            . '"index":0,"content_block":{"type":"text","text":""}}');
}


sub anthropic_end {
    return sse('content_block_stop', '{"type":"content_block_stop",'
            . '"index":0}')
        . sse('message_delta', '{"type":"message_delta","delta":'
            . '{"stop_reason":"end_turn","stop_sequence":null},"usage":'
            . '{"output_tokens":9}}')
        . sse('message_stop', '{"type":"message_stop"}');
}


sub gemini {
    my ($text, $n, $finish) = @_;

    my $out = 31 + $n;
    my $all = 53 + $out;

    return 'data: {"candidates": [{"content": {"parts": [{"text": "'
        . "$text\"}],\"role\": \"model\"},$finish\"index\": 0}],"
        . '"usageMetadata": {"promptTokenCount": 18,"candidatesTokenCount": '
        . "$out,\"totalTokenCount\": $all,\"promptTokensDetails\": "
        . '[{"modality": "TEXT","tokenCount": 18}],"thoughtsTokenCount": 35,'
        . '"serviceTier": "standard"},"modelVersion": "gemini-2.5-flash",'
        . "\"responseId\": \"ru1garvBEoOiqtsP2fznmQw\"}\r\n\r\n";
}


# Go leaves zeros at the end of a fraction out
sub ollama {
    my ($k, $members) = @_;

    my $fraction = sprintf '%06d', $k * 31_710 % 1_000_000;
    $fraction =~ s/0+\z//;
    my $time = sprintf '2024-05-24T20:%02d:%02d%s%sZ', $k / 1800,
        $k / 30 % 60, $fraction eq '' ? '' : '.', $fraction;

    return "{\"model\":\"llama3\",\"created_at\":\"$time\",$members,"
        . "\"done\":false}\n";
}


sub ollama_end {
    my ($members) = @_;

    return '{"model":"llama3","created_at":"2024-05-24T20:46:47.872905Z",'
        . "$members,\"done_reason\":\"stop\",\"done\":true,"
        . '"total_duration":1897385625,"load_duration":1631208,'
        . '"prompt_eval_count":17,"prompt_eval_duration":313560000,'
        . "\"eval_count\":50,\"eval_duration\":1577990000}\n";
}


sub flowise {
    my ($event, $data) = @_;
    return "message:\ndata:{\"event\":\"$event\",\"data\":$data}\n\n";
}


sub cohere_begin {
    return sse('message-start',
            '{"id":"6cd6ce61-bb3b-46f6-907e-fcfab45e51b6",'
            . '"type":"message-start","delta":{"message":'
            . '{"role":"assistant","content":[],"tool_plan":"",'
            . '"tool_calls":[],"citations":[]}}}')
        . sse('content-start', '{"type":"content-start","index":0,"delta":'
            . '{"message":{"content":{"type":"text","text":""}}}}');
}


sub cohere_end {
    return sse('content-end', '{"type":"content-end","index":0}')
        . sse('message-end', '{"type":"message-end","delta":'
            . '{"finish_reason":"COMPLETE","usage":{"billed_units":'
            . '{"input_tokens":7,"output_tokens":109},"tokens":'
            . '{"input_tokens":69,"output_tokens":110}}}}')
        . "data: [DONE]\n\n";
}


1;
