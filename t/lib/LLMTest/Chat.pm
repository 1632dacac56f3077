package LLMTest::Chat;

# Chat completions for the tests: what a provider of the openai dialect
# sends, as bytes, and what an error looks like in each client dialect.  It
# owns no connection and no process.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::More;

use LLMTest::Upstream;

our @EXPORT_OK = qw(delta finish usage events reply answer answer_reply
    error_is code_of json fields CLIENTS);

use constant CLIENTS => qw(openai simple typed text);

my $HEAD = '"id":"chatcmpl-1","object":"chat.completion.chunk",'
    . '"created":1700000000,"model":"mock-1"';

my $reader = JSON::PP->new->utf8->allow_nonref;


# the value, or nothing when these are no JSON document

sub json {
    my ($text) = @_;

    return scalar eval { $reader->decode($text // '') };
}


# a chunk with this text (given as the inside of a JSON string)

sub delta {
    my ($text, $choice) = @_;

    $choice //= 0;

    return "{$HEAD,\"choices\":[{\"index\":$choice,\"delta\":"
        . "{\"content\":\"$text\"},\"finish_reason\":null}]}";
}


sub finish {
    my ($reason, $choice) = @_;

    $choice //= 0;
    $reason //= 'stop';

    return "{$HEAD,\"choices\":[{\"index\":$choice,\"delta\":{},"
        . "\"finish_reason\":\"$reason\"}]}";
}


sub usage {
    my ($in, $out, $cached, $reasoning) = @_;

    return "{$HEAD,\"choices\":[],\"usage\":{\"prompt_tokens\":$in,"
        . "\"completion_tokens\":$out,\"total_tokens\":" . ($in + $out)
        . ',"prompt_tokens_details":{"cached_tokens":' . ($cached // 0)
        . '},"completion_tokens_details":{"reasoning_tokens":'
        . ($reasoning // 0) . '}}}';
}


# the blocks of a complete stream with these texts

sub events {
    my (@texts) = @_;
    my $role = "{$HEAD,\"choices\":[{\"index\":0,\"delta\":{\"role\":"
        . '"assistant","content":""},"finish_reason":null}]}';

    return map { "data: $_\n\n" }
        $role, (map { delta($_) } @texts), finish(), '[DONE]';
}


# the same as the provider's whole HTTP answer

sub reply {
    my (@texts) = @_;

    return LLMTest::Upstream::stream(events(@texts));
}


# one JSON answer, with odd spacing so that a rewritten one is not the same

sub answer {
    my ($text) = @_;

    return '{ "id": "chatcmpl-2", "object":"chat.completion","created":'
        . '1700000001,  "model":"mock-1","choices":[{"index":0,"message":'
        . "{\"role\":\"assistant\",\"content\":\"$text\",\"refusal\":null},"
        . '"logprobs":null,"finish_reason":"stop"}],"usage":{'
        . '"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},'
        . '"system_fingerprint":"fp_1","x_unknown":[1.50,"\/"]}' . "\n";
}


sub answer_reply {
    my ($text) = @_;

    return LLMTest::Upstream::answer(200, answer($text),
        'Content-Type' => 'application/json');
}


# the error code that a body of this dialect names; text has none

sub code_of {
    my ($client, $body) = @_;
    my $value = json($body);

    return if ref $value ne 'HASH';

    return $value->{code} if $client eq 'simple';

    my $inner = $value->{ $client eq 'typed' ? 'data' : 'error' };

    return ref $inner eq 'HASH' ? $inner->{code} : undef;
}


# error_is($result, client => ..., status => N, code => ..., name => ...,
# type => ..., param => ...): an answer made by the module itself: status,
# content type, length and the shape of the client's dialect, nothing of
# nginx's HTML

sub error_is {
    my ($r, %o) = @_;
    my $client = $o{client};
    my $name = $o{name};
    my $type = $client eq 'text'
        ? qr{^text/plain} : qr{^application/json};

    is($r->{status}, $o{status}, "$name: status");
    like($r->{headers}{'content-type'} // '', $type, "$name: type");
    is($r->{headers}{'content-length'} // '', length $r->{body},
        "$name: length") if !$o{h2};
    unlike($r->{body}, qr/<\w+>|nginx/i, "$name: no page of nginx's");
    ok($r->{complete}, "$name: complete");

    if ($client eq 'text') {
        like($r->{body}, qr/^[A-Z][^\n{}]+\.\n\z/, "$name: a sentence");
        return;
    }

    my $value = json($r->{body});

    is_deeply(fields($value), _shape($client), "$name: shape")
        or diag("    $r->{body}");

    my $said = ref $value ne 'HASH' ? {} : $client eq 'openai'
        ? $value->{error} : $client eq 'typed' ? $value->{data} : $value;
    $said = {} if ref $said ne 'HASH';
    my $message = $client eq 'simple' ? $said->{error} : $said->{message};

    is($said->{code}, $o{code}, "$name: code") if $o{code};
    like($message // '', qr/\w+ \w+.*\.\z/, "$name: a sentence");

    if ($client ne 'simple') {
        is($said->{type}, $o{type}, "$name: error type") if $o{type};
    }

    if ($client eq 'openai' && exists $o{param}) {
        is($said->{param}, $o{param}, "$name: member");
    }

    return;
}


# the names of the members, sorted, those of objects inside as "name.inner"

sub fields {
    my ($value) = @_;
    my @names;

    return $value if ref $value ne 'HASH';

    for my $name (sort keys %$value) {
        my $inner = $value->{$name};

        push @names, ref $inner eq 'HASH'
            ? map { "$name.$_" } sort keys %$inner : $name;
    }

    return \@names;
}


sub _shape {
    my ($client) = @_;
    my %shape = (
        openai => [qw(error.code error.message error.param error.type)],
        simple => [qw(code done error)],
        typed => [qw(data.code data.message data.type type)],
    );

    return $shape{$client};
}


1;
