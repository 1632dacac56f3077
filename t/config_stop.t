#!/usr/bin/perl

# llm_stream_stop in the configuration: what nginx -t takes and refuses, with
# the line and the reason, and which level counts where.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;
use LLMTest::Lockstep qw(chat_role chat_text chat_finish chat_request sse
    DONE);
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $c = LLMTest::Config->new($t, warnings => 0, joined => 1,
    handler => 'llm_stream openai http://%%UPSTREAM%%;');


my $long = 'x' x 256;
my @many = map { "s$_" } 1 .. 64;

for my $good ('off', 'a', '"a b" c', '"\n"', '"\n\nUser:" "</s>"', '"off "',
    q{'"'}, "\xd1\x81\xd1\x82\xd0\xbe\xd0\xbf", "\"$long\"",
    "@many", 'a a', 'a ab abc', '$host', 'OFF')
{
    $c->accepted("llm_stream_stop " . substr($good, 0, 40),
        location => "llm_stream_stop $good;");
}

my %bad = (
    '""' => 'has an empty string', 'a ""' => 'has an empty string',
    'a off' => 'has "off" beside other strings',
    'off a' => 'has "off" beside other strings',
    "${long}x" => 'has a string longer than 256 bytes',
    "@many s65" => 'has more than 64 strings',
    "a\xff" => 'has a string that is not UTF-8',
    "\xed\xa0\x80" => 'has a string that is not UTF-8',
    "\xd1" => 'has a string that is not UTF-8',
);

for my $args (sort keys %bad) {
    $c->refused("llm_stream_stop $args;",
        qr/"llm_stream_stop" directive $bad{$args}/,
        name => 'llm_stream_stop ' . substr $args, 0, 40);
}

$c->refused('llm_stream_stop;',
    qr/invalid number of arguments in "llm_stream_stop"/);
$c->refused('if ($host) { llm_stream_stop a; }',
    qr/"llm_stream_stop" directive is not allowed here/);

for my $first ('a', 'off') {
    for my $place (qw(http server location)) {
        $c->refused('llm_stream_stop b;',
            qr/"llm_stream_stop" directive is duplicate/,
            $place => "llm_stream_stop $first;\nllm_stream_stop b;",
            name => "twice in $place, $first first");
    }
}

$c->accepted('in all contexts', map { $_ => "llm_stream_stop $_ a;" }
    qw(http server location));


# Which counts: a text that has a string of every level.

my $locations = join "\n", map {
    "location /$_->[0] {\nllm_stream openai http://%%UPSTREAM%%;\n$_->[1]\n}"
} [ 'none', '' ], [ 'own', 'llm_stream_stop Own More;' ],
    [ 'off', 'llm_stream_stop off;' ];

my $more = "$locations\nlocation /outer {\nllm_stream_stop Outer;\n"
    . "location /outer/none {\nllm_stream openai http://%%UPSTREAM%%;\n}\n}";

$t->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { worker_connections 64; }
http {
    %%HTTP%%
    llm_stream_stop Http;
    server { listen 127.0.0.1:%%PORT_0%%; $more }
    server { listen 127.0.0.1:%%PORT_1%%; llm_stream_stop Server; $more }
    server { listen 127.0.0.1:%%PORT_2%%; llm_stream_stop off; $more }
}
EOT

my %want = (
    none => [ 'Own Outer Server ', 'Own Outer ', 'Own Outer Server Http' ],
    own => [ '', '', '' ],
    off => [ ('Own Outer Server Http') x 3 ],
    'outer/none' => [ ('Own ') x 3 ],
);

for my $path (sort keys %want) {
    for my $port (0 .. 2) {
        $u->script(['request'], [ send => LLMTest::Upstream::stream(sse(
            chat_role, chat_text('Own Outer Server Http'), chat_finish,
            DONE)) ], ['close']);

        my $r = $t->post("/$path", chat_request(), port => $port,
            headers => { 'Content-Type' => 'application/json' });
        my $text = join '', $r->{body} =~ /"content":"([^"]*)"/g;

        is($text, $want{$path}[$port], "/$path, server $port");
    }
}


$t->finish;
