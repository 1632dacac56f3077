#!/usr/bin/perl

# The logs: llm_stream_log's line for each kind of ending and level, and the
# formats of examples/logs, which have every variable and stay JSON whatever
# clients and providers say.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(delta finish usage reply answer_reply json);

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $root = $t->root;

my $FORMATS = slurp('examples/logs/llm_stream_log_formats.conf');
my ($TABLE) = slurp('src/nginx/ngx_llm_stream_variables.c')
    =~ /ngx_llm_stream_vars\[\] = \{(.*?)^\};/ms;
my %KIND = $TABLE =~ /ngx_llm_stream_var\((\w+), (\w+)\)/g;

my $BODY = '{"stream":true,"model":"asked-1","messages":[{"role":"user",'
    . '"content":"hi"}]}';
my @USAGE = map { "data: $_\n\n" } delta('abcd'), delta('ef'), finish(),
    usage(11, 7, 3, 2), '[DONE]';
my $CUT = LLMTest::Upstream::stream('data: ' . delta('abc') . "\n\n");


sub slurp {
    my ($file) = @_;

    open my $fh, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    include %%ROOT%%/examples/logs/llm_stream_log_formats.conf;
    log_format ids "$request_id";
    access_log %%DIR%%/text.log llm_stream;
    access_log %%DIR%%/json.log llm_stream_json;
    access_log %%DIR%%/ids.log ids;
    llm_stream_limit_zone $http_x_key zone=keys:64k rate=1t/m;
    llm_stream_log all;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        server_name logs.example.com;

        location /all { llm_stream openai http://%%UPSTREAM%%; }
        location /simple {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_client simple;
        }
        location /errors {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_log errors;
        }
        location /off {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_log off;
        }
        location /limited {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_limit zone=keys;
        }
        location /dead { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }
        location /slow {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_first_token_timeout 100ms;
        }
        location /second {
            llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = @second;
        }
        location /refused {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_max_messages 1;
            error_page 400 = @second;
        }
        location @second { llm_stream openai http://%%UPSTREAM%%; }
        location /blocked {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_redact name=abc regex=abc action=block;
        }
        location /plain { return 200 "plain\n"; }
    }
}
EOT


# ask($path, $bytes of the provider, %options of http): what is logged of one
# request: the lines of llm_stream, the JSON lines, the lines of text

sub ask {
    my ($path, $bytes, %o) = @_;
    my %mark = map { $_ => $t->log_mark($_) } qw(error.log json.log text.log
        ids.log);

    $u->script(['request'], [ send => $bytes ], ['close']) if $bytes;
    $t->http($o{method} // 'POST', $path, $o{headers}, $o{body} // $BODY, %o)
        ->{stream}->conn->close;
    $t->wait_log(qr/./, file => 'ids.log', from => $mark{'ids.log'});

    return logged(%mark);
}


sub logged {
    my (%mark) = @_;
    my ($id) = $t->_log_since($mark{'ids.log'}, 'ids.log') =~ /^(.*)$/m;

    return {
        id => $id,
        lines => [ grep { /llm_stream ended/ } split /\n/,
            $t->_log_since($mark{'error.log'}) ],
        json => [ split /\n/, $t->_log_since($mark{'json.log'},
            'json.log') ],
        text => [ split /\n/, $t->_log_since($mark{'text.log'},
            'text.log') ],
    };
}


subtest 'the formats have every variable' => sub {
    my ($text) = $FORMATS =~ /^log_format llm_stream\n(.*?);\n/ms;
    my ($json) = $FORMATS =~ /^log_format llm_stream_json (.*?);\n/ms;
    my %map = $FORMATS
        =~ /^map \$llm_stream_(\w+) \$llm_json_(\w+) \{\s+default/mg;
    my @names = sort keys %KIND;

    cmp_ok(scalar @names, '>', 20, 'the table was found');
    is_deeply([ sort $text =~ /\$llm_stream_(\w+)/g ], \@names, 'text');
    is_deeply([ sort grep { $_ ne 'status' }
        $json =~ /\$llm_(?:stream|json)_(\w+)/g ], \@names, 'JSON');

    for my $name (@names) {
        like($json, $KIND{$name} eq 'word' ? qr/"$name":"\$llm_stream_$name"/
            : qr/"$name":\$llm_json_$name\b/, "$name: as its kind");
        is($map{$name}, $name, "$name: its map") if $KIND{$name} ne 'word';
    }
};


# the line's parts, as a hash

sub parts {
    my ($line) = @_;
    my %p;

    (@p{qw(level end error status chunks bytes id)}, my $rest) = ($line // '')
        =~ /\[(\w+)\]\ [\d#]+:\ \*\d+\ llm_stream\ ended:\ (\w+),
            \ "(\w*)",\ upstream\ status\ (\d+),\ (\d+)\ chunks,
            \ (\d+)\ bytes\ read,\ request\ id\ "(\w+)"(.*),\ client:\ 127
            .*,\ server:\ logs\.example\.com,/x or return {};

    ($p{ttft}) = $rest =~ s/^, ttft (\d+\.\d{3})//;
    $p{ttft} = $1 if $p{ttft};
    $p{total} = $rest =~ s/^, total (\d+\.\d{3})// ? $1 : 'none';
    $p{tokens} = $rest =~ s/^, tokens ([^,]* by \w+)// ? $1 : undef;
    $rest =~ s/^ while [a-z ]+//;
    $p{rest} = $rest;

    return \%p;
}


subtest 'a stream that ends well' => sub {
    my $l = ask('/all', LLMTest::Upstream::stream(@USAGE));
    my $p = parts($l->{lines}[0]);
    my $v = json($l->{json}[0]);

    is(scalar @{ $l->{$_} }, 1, "one line, $_") for qw(lines json text);
    is($p->{level}, 'notice', 'level');
    is($p->{end}, 'complete', 'ending');
    is($p->{error}, '', 'no error');
    is($p->{status}, 200, 'status');
    is($p->{chunks}, 2, 'chunks');
    is($p->{bytes}, length join('', @USAGE), 'bytes');
    is($p->{id}, $l->{id}, 'the request id that others see');
    is($p->{tokens}, '11 in 7 out by usage', 'tokens');
    is($p->{rest}, '', 'and no more');

    is($v->{request_id}, $l->{id}, 'JSON: the same id');
    is($v->{ttft}, $p->{ttft} + 0, 'JSON: the same time');
    is($v->{chunks}, 2, 'JSON: the same chunks');
    cmp_ok($p->{total}, '>=', $p->{ttft}, 'in all');
    is($v->{status}, 200, 'JSON: status');
    is($v->{redacted}, undef, 'JSON: a number that is not there');
    is($v->{error}, '', 'JSON: a word that is not there');
    like($l->{text}[0], qr/ $l->{id} logs\.example\.com 200 end=complete /,
        'text');
    like($l->{text}[0], qr/ error=- finish="stop" limit=- asked="asked-1" /,
        'text: words');

    $l = ask('/all', answer_reply('abc'), body => $BODY =~ s/true/false/r);
    is(parts($l->{lines}[0])->{tokens}, '9 in 3 out by usage', 'one answer');

    $l = ask('/all', reply('abc'));
    is(parts($l->{lines}[0])->{tokens}, undef, 'no tokens, none said');
};


my @CASES = (
    # path, the provider, level, end, error, options
    [ '/all', $CUT, 'error', 'truncated', 'upstream_truncated' ],
    [ '/all', LLMTest::Upstream::answer(429, '{"error":{"message":"m"}}'),
        'info', 'upstream_error', 'upstream_error' ],
    [ '/all', LLMTest::Upstream::answer(401, '{"error":{"message":"m"}}'),
        'warn', 'upstream_error', 'upstream_error' ],
    [ '/simple', LLMTest::Upstream::stream('data: {"error":{"message":"m",'
        . "\"code\":429}}\n\n"), 'warn', 'upstream_error', 'upstream_error' ],
    [ '/all', LLMTest::Upstream::answer(200, '<p>', 'Content-Type' =>
        'text/html'), 'error', 'invalid', 'upstream_content_type' ],
    [ '/dead', '', 'error', 'unreachable', 'upstream_connect' ],
    [ '/all', '', 'info', 'rejected', 'invalid_json', body => 'x' ],
    [ '/all', '', 'info', 'rejected', 'method_not_allowed',
        method => 'GET' ],
    [ '/limited', $CUT, 'error', 'truncated', 'upstream_truncated',
        headers => { 'X-Key' => 'k' } ],
    [ '/limited', '', 'info', 'limit', 'rate_limit_exceeded',
        headers => { 'X-Key' => 'k' } ],
);


subtest 'what does not' => sub {
    for my $case (@CASES) {
        my ($path, $bytes, $level, $end, $error, %o) = @$case;
        my $l = ask($path, $bytes, %o);
        my $p = parts($l->{lines}[0]);
        my $v = json($l->{json}[0]);
        my $name = "$path, $error";

        is(scalar @{ $l->{$_} }, 1, "$name: one line, $_")
            for qw(lines json text);
        is("$p->{level} $p->{end} $p->{error}", "$level $end $error", $name);
        is("$v->{end} $v->{error}", "$end $error", "$name: JSON");
        is($p->{id}, $l->{id}, "$name: request id");
    }

    $u->script(['request'], ['wait_close']);
    my $p = parts(ask('/slow', '')->{lines}[0]);
    is($p->{error}, 'upstream_timeout_header', 'a slow provider');
    is($p->{ttft}, '', 'no time to a first token');
    cmp_ok($p->{total}, '>=', 0.09, 'but one in all');
};


subtest 'the client leaves' => sub {
    my %mark = map { $_ => $t->log_mark($_) } qw(error.log json.log text.log
        ids.log);

    $u->script(['request'], [ send => $CUT =~ s/0\r\n\r\n\z//r ],
        ['wait_close']);

    my $s = $t->open(method => 'POST', path => '/all', body => $BODY);

    $s->read_event;
    $s->conn->close;
    $t->wait_log(qr/./, file => 'ids.log', from => $mark{'ids.log'});

    my $l = logged(%mark);
    my $p = parts($l->{lines}[0]);

    is(scalar @{ $l->{lines} }, 1, 'one line');
    is("$p->{level} $p->{end} $p->{chunks}", 'info client_abort 1', 'of it');

    %mark = map { $_ => $t->log_mark($_) } keys %mark;
    $t->open(method => 'POST', path => '/all', body => $BODY,
        head_only => 1)->close;
    $t->wait_log(qr/./, file => 'ids.log', from => $mark{'ids.log'});
    $l = logged(%mark);
    $p = parts($l->{lines}[0]);
    is("$p->{level} $p->{end} $p->{error}",
        'info client_abort client_abort', 'before its body came');
    is(json($l->{json}[0])->{end}, 'client_abort', 'JSON knows it, too');
};


subtest 'levels' => sub {
    is(scalar @{ ask('/errors', reply('a'))->{lines} }, 0, 'errors: complete');
    is(scalar @{ ask('/errors', $CUT)->{lines} }, 1, 'errors: truncated');
    is(scalar @{ ask('/errors', '', body => 'x')->{lines} }, 1,
        'errors: refused');
    is(scalar @{ ask('/off', reply('a'))->{lines} }, 0, 'off: complete');
    is(scalar @{ ask('/off', $CUT)->{lines} }, 0, 'off: truncated');
    is(scalar @{ ask('/off', '', body => 'x')->{lines} }, 0, 'off: refused');

    my $l = ask('/blocked', reply('xabc'));
    my $p = parts($l->{lines}[0]);
    is("$p->{level} $p->{end} $p->{error}", 'notice blocked ', 'blocked');
    is(json($l->{json}[0])->{redacted}, 1, 'its matches');

    is(scalar @{ ask('/plain', '')->{lines} }, 0, 'a location not of ours');
};


subtest 'a second location' => sub {
    my $l = ask('/second', reply('a'));
    my @p = map { parts($_) } @{ $l->{lines} };

    is(join(' ', map { "$_->{level}:$_->{end}" } @p),
        'error:unreachable notice:complete', 'two providers, two lines');
    is($p[0]{id}, $p[1]{id}, 'one request');
    is(scalar @{ $l->{$_} }, 1, "one line, $_") for qw(json text);

    $l = ask('/refused', reply('a'), body => $BODY =~ s/\}\]/},{}]/r);
    is(join(' ', map { parts($_)->{end} } @{ $l->{lines} }), 'complete',
        'refused by the first: one line');
};


# what is in a line of JSON, whatever it was given

sub is_json {
    my ($l, $name) = @_;
    my ($line) = @{ $l->{json} };
    my $v = json($line);

    is(scalar @{ $l->{$_} }, 1, "$name: one line, $_") for qw(json text);
    is(ref $v, 'HASH', "$name: JSON") or diag($line);
    unlike($l->{text}[0], qr/[^\x20-\x7e]/, "$name: text is plain");

    for my $key (sort keys %KIND) {
        my $want = $KIND{$key} eq 'word' ? qr/^".*"\z/
            : qr/^(?:null|\d+(?:\.\d+)?)\z/;
        my ($value) = $line =~ /"$key":("(?:[^"\\]|\\.)*"|[^,}]+)/;

        like($value, $want, "$name: $key");
    }

    return $v;
}


subtest 'hostile names' => sub {
    my %asked = ('a\"b\\\\c' => 'a"b\\c', 'a\u2028\ud83d\ude00b' =>
        "a\x{2028}\x{1f600}b", '\",\"end\":\"complete' => '","end":"complete',
        'x\"} {\"y' => 'x"} {"y', '$status %s' => '$status %s',
        'a\nb' => '', "\xff\xfe" => '', "\xc0\xaf" => '', 'a\u0000b' => '');

    for my $name (sort keys %asked) {
        my $short = $name =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ger;
        my $v = is_json(ask('/all', ($asked{$name} // '') ne ''
            ? reply('hi') : '', body => "{\"model\":\"$name\","
            . '"messages":[{}]}'), "asked $short");

        is($v->{request_model}, $asked{$name}, "asked $short: as it is")
            if defined $asked{$name};
    }

    my @served = ('a\"b\\\\c', 'x\r\ny', 'x\u0000y', 'm' x 5000,
        "\xc3\xa9" x 200, "\xff", "a\xe9b", "\xed\xa0\x80", '\ud800',
        "\xf0\x9f\x98", '\",\"end\":\"x');

    for my $name (@served) {
        my $short = substr $name, 0, 12;
        $short =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;

        is_json(ask('/simple', LLMTest::Upstream::stream(map {
            s/"model":"mock-1"/"model":"$name"/r } @USAGE)),
            "served $short");
        is_json(ask('/all', LLMTest::Upstream::stream(map {
            s/"finish_reason":"stop"/"finish_reason":"$name"/r } @USAGE)),
            "finish $short");
    }
};


subtest 'nothing is known' => sub {
    my $v = is_json(ask('/plain', ''), 'a location not of ours');

    is($v->{chunks}, undef, 'a number');
    is($v->{end}, '', 'a word');

    for my $raw ("nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET /all?\xff\xfe HTTP/1.1\r\nHost: a\xff\r\n\r\n",
        "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    {
        is_json(ask('/', '', raw => $raw), 'raw');
    }

    is_json(ask('/simple', reply('hi'), proto => 'h2', port => 1), 'HTTP/2');
};


subtest 'the directive' => sub {
    my $conf = "%%GLOBALS%%\nevents { }\nhttp {\n%%HTTP%%\n"
        . "llm_stream_log VALUE;\nserver { }\n}\n";
    my ($status, $output) = $t->check_config($conf =~ s/VALUE/some/r);

    isnt($status, 0, 'another value');
    like($output, qr/invalid value "some" in .*check-\d+\.conf:/, 'why');

    ($status, $output) = $t->check_config($conf
        =~ s/VALUE/all; llm_stream_log off/r);
    isnt($status, 0, 'twice');
    like($output, qr/"llm_stream_log" directive is duplicate/, 'why');
};


unlike($t->error_log, qr/asked-1|mock-1/, 'no model in the error log');
$t->finish;
