#!/usr/bin/perl

# The body that the provider receives: spliced, every byte that need not
# change is the client's.  What is set (stream, include_usage, model,
# llm_stream_param), bodies of all sizes and ways of arriving, the body made
# of a GET's prompt.  Headers: t/request_headers.t, addresses:
# t/request_url.t.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 ();
use Test::More;

use LLMTest;
use LLMTest::Chat qw(reply json);
use LLMTest::Wait qw(slow);

my $t = LLMTest->new;
my $u = $t->upstream(each => [ [ send => reply('hi') ] ]);

my $conf = <<'EOT';
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    client_max_body_size 40m;

    map $llm_stream_request_model $mapped {
        default       "";
        gpt-4o        vendor/gpt-4o;
        ~^claude-(.*) other/$1;
        héhé          "quo\"te\\";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%

        location /openai {
            llm_stream openai http://%%UPSTREAM%%;
        }

        location /simple {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
        }

        location /no-usage {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
        }

        location /no-usage-simple {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
            llm_stream_usage off;
        }

        location /model {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_model fixed-model;
        }

        location /mapped {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_model $mapped;
        }

        location /param {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_param temperature 0.50;
            llm_stream_param user "\"$arg_user\"";
            llm_stream_param top_p 1 if_absent;
            llm_stream_param metadata "{ \"a\": [1, null] }";
        }

        location /param-model {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_param messages
                "[{\"role\":\"user\",\"content\":\"fixed\"}]";
            llm_stream_param model "\"from-param\"" if_absent;
        }

        location /file {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_model m;
            client_body_buffer_size 1k;
        }

        location /file-only {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_model m;
            client_body_in_file_only clean;
        }

        location /prompt {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_prompt $arg_message;
            llm_stream_model from-conf;
            llm_stream_param temperature 0;
        }

        location /say {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_usage off;
            llm_stream_prompt "Translate: $arg_message!";
        }
    }
}
EOT

utf8::encode($conf);
$t->config($conf)->start;

my $MESSAGES = '"messages":[{"role":"user","content":"hi"}]';
my $USAGE = '"stream_options":{"include_usage":true}';


# sent($path, $body, %options of open): what the provider received for it

sub sent {
    my ($path, $body, %o) = @_;
    my $before = $u->connections;
    my $r = $t->http($o{method} // 'POST', $path, $o{headers}, $body, %o);

    if ($u->connections == $before) {
        diag("nothing was sent: $path: " . ($r->{status} // '-')
            . " $r->{body}");
        return { body => '', headers => {}, status => $r->{status} };
    }

    my $request = $u->peer($before + 1)->request;
    $request->{status} = $r->{status};
    $request->{answer} = $r;

    return $request;
}


# the body without a member that may stand first, last or alone

sub without {
    my ($body, $member) = @_;

    return $body =~ s/\Q$member\E,|,\Q$member\E|\Q$member\E//r;
}


subtest 'what is right already stays' => sub {
    my %same = (
        'no stream asked for' => [ '/openai', "{\"model\":\"m\",$MESSAGES}" ],
        'stream: false' =>
            [ '/openai', "{$MESSAGES,\"stream\":false,\"model\":\"m\"}" ],
        'stream: null' => [ '/openai', "{$MESSAGES,\"stream\":null}" ],
        'stream and usage asked for' =>
            [ '/openai', "{\"stream\":true,$USAGE,$MESSAGES}" ],
        'spaces' => [ '/openai', "\r\n {\t\"stream\" : true ,\n"
            . " \"stream_options\" : { \"include_usage\" : true } ,\n\n"
            . " $MESSAGES }\r\n\t " ],
        'odd members' => [ '/openai', "{$MESSAGES,\"a\":1.500e+01,\"b\":"
            . '"\/\u00e9\ud83d\ude00","c":{"model":"x","stream":1},"c":0,'
            . '"":[],"n":-0.0,"big":123456789012345678901234567890}' ],
        'stream_options without stream' =>
            [ '/openai', "{$MESSAGES,\"stream_options\":{\"x\":1}}" ],
        'usage off' => [ '/no-usage', "{\"stream\":true,$MESSAGES}" ],
        'usage off, asked for' =>
            [ '/no-usage', "{\"stream\":true,$USAGE,$MESSAGES}" ],
        'usage off, not wanted' => [ '/no-usage', "{\"stream\":true,"
            . "\"stream_options\":{\"include_usage\":false},$MESSAGES}" ],
        'the same model' =>
            [ '/model', "{\"model\":\"fixed-model\",$MESSAGES}" ],
        'a model without a row in the map' =>
            [ '/mapped', "{\"model\":\"un\\u006bnown\",$MESSAGES}" ],
        'no model at all' => [ '/mapped', "{$MESSAGES}" ],
    );

    for my $name (sort keys %same) {
        my ($path, $body) = @{ $same{$name} };
        my $q = sent($path, $body);

        is($q->{body}, $body, $name);
        is($q->{headers}{'content-length'}, length $body, "$name: length");
    }
};


# where a member is added is the module's choice: all else stays
subtest 'usage is asked for' => sub {
    my %added = (
        first => "{\"stream\":true,$MESSAGES}",
        'after a space' => "{ \"stream\" : true , $MESSAGES , \"x\":[ ] }",
        'stream last' => "{$MESSAGES,\"stream\":true}",
    );

    for my $name (sort keys %added) {
        my $q = sent('/openai', $added{$name});

        is(without($q->{body}, $USAGE), $added{$name}, "$name: all else");
        is(() = $q->{body} =~ /include_usage/g, 1, "$name: once");
        is_deeply(json($q->{body})->{stream_options},
            { include_usage => JSON::PP::true }, "$name: there");
    }

    my %changed = (
        'false' => [ "{\"stream_options\": { \"include_usage\" : false },"
            . "\"stream\":true,$MESSAGES}", 'include_usage" : false',
            'include_usage" : true' ],
        'wrong type' => [ "{\"stream_options\":{\"include_usage\":\"x\"},"
            . "\"stream\":true,$MESSAGES}", '"x"', 'true' ],
        'null' => [ "{\"stream\":true,\"stream_options\": null ,$MESSAGES}",
            ': null', ': {"include_usage":true}' ],
    );

    for my $name (sort keys %changed) {
        my ($body, $from, $to) = @{ $changed{$name} };

        is(sent('/openai', $body)->{body}, $body =~ s/\Q$from\E/$to/r, $name);
    }

    for my $inside ('"include_obfuscation":false', '"a":{},"b":1', '') {
        my $body = "{$MESSAGES,\"stream_options\":{$inside},"
            . '"stream":true}';
        my $q = sent('/openai', $body);

        is(without($q->{body}, '"include_usage":true'), $body,
            "in options of {$inside}: all else");
        is_deeply(json($q->{body})->{stream_options}{include_usage},
            JSON::PP::true, "in options of {$inside}: there");
    }

    my $q = sent('/openai', "{\"stream\":true,\"stream_options\":{},"
        . "\"stream_options\":{\"include_usage\":false},$MESSAGES}");
    unlike($q->{body}, qr/false|\{\}/, 'duplicates are all changed');
    is(() = $q->{body} =~ /"include_usage":true/g, 2, 'each of them');
};


subtest 'stream is asked for' => sub {
    my $q = sent('/simple', "{\"model\":\"m\",$MESSAGES}");
    my $body = json($q->{body});

    is($body->{stream}, JSON::PP::true, 'added');
    is($body->{stream_options}{include_usage}, JSON::PP::true, 'with usage');
    is(without(without($q->{body}, $USAGE), '"stream":true'),
        "{\"model\":\"m\",$MESSAGES}", 'all else stays');

    # one answer for the client is gathered from a stream
    $q = sent('/simple', "{\"stream\" : false,$MESSAGES}");
    is(without($q->{body}, $USAGE), "{\"stream\" : true,$MESSAGES}",
        'false becomes true');

    $q = sent('/no-usage-simple', "{\"stream\":false,\"s\":false,$MESSAGES,"
        . '"stream":null,"\u0073tream":false}');
    is($q->{body}, "{\"stream\":true,\"s\":false,$MESSAGES,"
        . '"stream":true,"\u0073tream":true}',
        'duplicates are all replaced, escaped names too');

    $q = sent('/no-usage-simple', '{"messages":[{"role":"user","content":'
        . '"a \"stream\":false","stream":false}]}');
    is(without($q->{body}, '"stream":true'), '{"messages":[{"role":"user",'
        . '"content":"a \"stream\":false","stream":false}]}',
        'what looks like it inside a message stays');
};


subtest 'the model' => sub {
    my $q = sent('/model', "{ \"model\" : \"m\\\"x\" , $MESSAGES }");
    is($q->{body}, "{ \"model\" : \"fixed-model\" , $MESSAGES }", 'replaced');

    $q = sent('/model', "{$MESSAGES}");
    is(without($q->{body}, '"model":"fixed-model"'), "{$MESSAGES}", 'added');
    is(json($q->{body})->{model}, 'fixed-model', 'there');

    $q = sent('/model', "{\"model\":\"a\",\"x\":{\"model\":\"b\"},$MESSAGES,"
        . '"mo\u0064el":"c","model":null}');
    is($q->{body}, '{"model":"fixed-model","x":{"model":"b"},' . "$MESSAGES,"
        . '"mo\u0064el":"fixed-model","model":"fixed-model"}',
        'duplicates are all replaced');

    my %mapped = (
        'gpt-4o' => 'vendor/gpt-4o',
        'gpt-\u0034o' => 'vendor/gpt-4o',
        'claude-3.5' => 'other/3.5',
        "h\x{c3}\x{a9}h\x{c3}\x{a9}" => 'quo\"te\\\\',
        'h\u00e9h\u00E9' => 'quo\"te\\\\',
    );

    for my $model (sort keys %mapped) {
        $q = sent('/mapped', "{\"model\":\"$model\",$MESSAGES}");
        is($q->{body}, "{\"model\":\"$mapped{$model}\",$MESSAGES}",
            "by a map: $mapped{$model}");
    }

    # a proxy and the provider must see the same one of two
    $q = sent('/mapped', "{\"model\":\"x\",\"model\":\"gpt-4o\",$MESSAGES}");
    is($q->{body}, '{"model":"vendor/gpt-4o","model":"vendor/gpt-4o",'
        . "$MESSAGES}", 'by a map: the last of duplicates counts');
};


subtest 'llm_stream_param' => sub {
    my $q = sent('/param?user=u1', "{\"stream\":true,$MESSAGES}");
    is_deeply(json($q->{body}), { stream => JSON::PP::true, user => 'u1',
        temperature => 0.5, top_p => 1, metadata => { a => [ 1, undef ] },
        messages => [ { role => 'user', content => 'hi' } ] }, 'added');
    like($q->{body}, qr/"temperature":0\.50/, 'as it is configured');
    like($q->{body}, qr/"metadata":\{ "a": \[1, null\] \}/, 'an object too');
    like($q->{body}, qr/\Q"stream":true,$MESSAGES\E/, 'all else stays');

    my $body = '{ "temperature" :  {"x":[2]} ,"user":null, "top_p": 0.1 ,'
        . "$MESSAGES,\"metadata\":\"\",\"temperature\":1}";
    $q = sent('/param?user=u2', $body);
    is($q->{body}, '{ "temperature" :  0.50 ,"user":"u2", "top_p": 0.1 ,'
        . "$MESSAGES,\"metadata\":{ \"a\": [1, null] },"
        . '"temperature":0.50}', 'replaced, but if_absent');

    $q = sent('/param?user=u3', "{$MESSAGES,\"top_p\":null}");
    is(json($q->{body})->{top_p}, undef, 'if_absent: null is there');
    is(() = $q->{body} =~ /top_p/g, 1, 'if_absent: once');

    is(sent('/param?user=u4', "{$MESSAGES,\"\\u0075ser\":1}")->{body}
        =~ s/.*(\\u0075ser":"u4").*/$1/sr, '\u0075ser":"u4"', 'escaped name');

    $q = sent('/param-model', '{"messages":[]}');
    is_deeply(json($q->{body}), { model => 'from-param', messages =>
        [ { role => 'user', content => 'fixed' } ] }, 'messages and model');

    $q = sent('/param-model', '{"model":"mine"}');
    is_deeply(json($q->{body}), { model => 'mine', messages =>
        [ { role => 'user', content => 'fixed' } ] }, 'messages added');

    # the value of a variable must not break the document
    my $before = $u->connections;
    my $mark = $t->log_mark;
    my $r = $t->post('/param?user=a"b', "{$MESSAGES}");
    is($r->{status}, 500, 'a variable that makes it invalid is refused');
    is($u->connections, $before, 'and nothing is sent');
    ok($t->wait_log(qr/llm_stream_param.*user/, from => $mark), 'log says it');
};


subtest 'bodies of all sizes' => sub {
    my $tail = ",\"x\":\"" . ('0123456789abcde\n' x 400) . '"}';
    my $big = "{\"model\":\"old\",$MESSAGES$tail";
    my $expected = $big =~ s/old/m/r;

    for my $path ('/file', '/file-only') {
        my $q = sent($path, "{\"model\":\"old\",$MESSAGES}");
        is($q->{body}, "{\"model\":\"m\",$MESSAGES}", "$path: small");
        is(sent($path, $big)->{body}, $expected, "$path: more");
    }

    # the head first, so that the body is read into a buffer of its own
    my $s = $t->open(method => 'POST', path => '/file', body => $big,
        head_only => 1);
    $s->send(substr $big, $_ * 100, 100) for 0 .. length($big) / 100;
    $s->result;
    is($u->peer($u->connections)->request->{body}, $expected, 'in pieces');

    $s = $t->open(method => 'POST', path => '/file', body => '{"model":""}',
        head_only => 1);
    $s->send($_) for split //, '{"model":""}';
    is($s->result->{status}, 400, 'byte by byte: read to its end');

    my $q = sent('/file', undef, chunked => [ split /(?<=,)/, $big ]);
    is($q->{body}, $expected, 'chunked, to a file');
    is($q->{headers}{'content-length'}, length $expected, 'with a length');
    ok(!exists $q->{headers}{'transfer-encoding'}, 'which is not chunked');

    $q = sent('/model', undef, chunked => [ '{"model":', '"x",', $MESSAGES,
        '}' ]);
    is($q->{body}, "{\"model\":\"fixed-model\",$MESSAGES}", 'chunked, small');

    for my $path ('/file', '/model') {
        $s = $t->open(proto => 'h2', port => 1, method => 'POST',
            path => $path, end_stream => 0);
        $s->send_data(substr($big, 0, 1000), 0);
        $s->send_data(substr($big, 1000), 1);
        is($s->result->{status}, 200, "HTTP/2 without a length: $path");

        my $p = $u->peer($u->connections);
        $q = $p ? $p->request : { body => '', headers => {} };
        is($q->{body}, $path eq '/file' ? $expected
            : $big =~ s/old/fixed-model/r, "HTTP/2: $path: spliced");
        is($q->{headers}{'content-length'}, length $q->{body},
            "HTTP/2: $path: length");
    }
};


subtest '10 MB with an image' => sub {
    my $image = MIME::Base64::encode_base64(
        pack('N*', map { $_ * 2654435761 % 4294967296 } 1 .. 1_966_080), '');
    my $body = '{"model":"old","messages":[{"role":"user","content":['
        . '{"type":"text","text":"what is it?"},{"type":"image_url",'
        . '"image_url":{"url":"data:image/png;base64,' . $image
        . '"}}]}],"stream":false}';
    my $expected = $body =~ s/old/fixed-model/r;

    cmp_ok(length $body, '>', 10_000_000, 'as large as that');

    for my $case ([ '/model' ], [ '/model', 'h2' ], [ '/simple' ]) {
        my ($path, $proto) = @$case;
        my $q = sent($path, $body, $proto
            ? (proto => $proto, port => 1) : (), limit => 20);
        my $name = "$path " . ($proto // 'h1');

        is($q->{status}, 200, "$name: answered");

        my $want = $path eq '/model' ? $expected
            : $body =~ s/"stream":false/"stream":true/r;
        my $got = $path eq '/model' ? $q->{body}
            : without($q->{body}, $USAGE);

        ok($got eq $want, "$name: every byte");
        is($q->{headers}{'content-length'}, length $q->{body},
            "$name: length");
    }
};


subtest 'GET with a prompt' => sub {
    my %prompts = (
        'hello' => 'hello',
        'a+b' => 'a b',
        'a%2Bb%20c%2fd' => 'a+b c/d',
        '%C3%A9t%c3%a9' => 'été',
        "\x{c3}\x{a9}" => 'é',
        '%F0%9F%98%80' => "\x{1F600}",
        'say+%22hi%22%5C' => 'say "hi"\\',
        'a%0D%0Ab%09c' => "a\r\nb\tc",
        '%7B%22role%22:%22system%22%7D' => '{"role":"system"}',
        '%22}],%22model%22:%22evil' => '"}],"model":"evil',
        '%E2%80%A8' => "\x{2028}",
        'x%00y' => "x\0y",
        'a%FFb' => "a\x{fffd}b",
        '100%' => '100%',
        '50%zz' => '50%zz',
        '%2525' => '%25',
    );

    for my $query (sort keys %prompts) {
        my $q = sent("/prompt?x=1&message=$query&y=2", undef,
            method => 'GET');

        is_deeply(json($q->{body}), { stream => JSON::PP::true,
            model => 'from-conf', temperature => 0, messages =>
            [ { role => 'user', content => $prompts{$query} } ] },
            "message=$query") or diag("    $q->{body}");
    }

    my $q = sent('/prompt?message=hi', undef, method => 'GET');
    is($q->{method}, 'POST', 'sent as POST');
    is($q->{path}, '/v1/chat/completions', 'without the arguments');
    is($q->{headers}{'content-type'}, 'application/json', 'type');
    is($q->{headers}{'content-length'}, length $q->{body}, 'length');
    like($q->{answer}{body}, qr/^data: \{"content":"hi","done":false\}\n\n/,
        'a GET without llm_stream_client is answered as to EventSource');

    $q = sent('/say?message=good+day', undef, method => 'GET');
    is(json($q->{body})->{messages}[0]{content}, 'Translate: good day!',
        'part of a text');

    $q = sent('/say?message=' . ('%F0%9F%98%80' x 300), undef,
        method => 'GET');
    is(json($q->{body})->{messages}[0]{content}, 'Translate: '
        . ("\x{1F600}" x 300) . '!', 'a long one');

    $q = sent('/prompt?message=hi', undef, method => 'GET', proto => 'h2',
        port => 1);
    is(json($q->{body})->{messages}[0]{content}, 'hi', 'HTTP/2');

    # a body wins over the prompt; without one the prompt is there for it
    $q = sent('/prompt?message=hi', "{\"a\":1,$MESSAGES}");
    is(json($q->{body})->{a}, 1, 'POST with a body');
    $q = sent('/prompt?message=hello', '');
    is(json($q->{body})->{messages}[0]{content}, 'hello',
        'POST without a body');
};


subtest 'what was sent has the length it says' => sub {
    my @bodies;

    srand(7);

    for my $n (1 .. 40 / slow()) {
        my $pad = join '', map { chr 97 + int rand 26 } 1 .. rand 300;
        my $body = "{\"model\":\"$pad\",\"a\":\"$pad\",\"temperature\":$n,"
            . "$MESSAGES,\"model\":\"$n\",\"user\":[" . ('[],' x rand 9)
            . '0]}';

        my $q = sent('/param?user=z', $body);
        push @bodies, $n if length $q->{body} == 0
            || $q->{headers}{'content-length'} != length $q->{body}
            || !json($q->{body});
    }

    is_deeply(\@bodies, [], 'for all of them (seed 7)');
};
