#!/usr/bin/perl

# nginx -t for llm_stream_retry_budget and llm_stream_fallback: what they take,
# what they refuse, with the line and the reason, in every context; and what
# is inherited, overridden and switched off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Clock;
use LLMTest::Config;
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $u = $t->upstream;
my $c = LLMTest::Config->new($t, warnings => 0, joined => 1,
    handler => 'llm_stream openai http://127.0.0.1:1;');

my %TAKES = (
    retry_budget => [ [qw(10% 1% 100% off)], [
        [ '0%', 'must be from 1% to 100%' ],
        [ '101%', 'must be from 1% to 100%' ],
        [ '99999999999999999999%', 'invalid value' ],
        [ '10', 'invalid value "10"' ], [ '%', 'invalid value "%"' ],
        [ '-1%', 'invalid value "-1%"' ], [ '1.5%', 'invalid value' ],
        [ '10%%', 'invalid value' ], [ 'on', 'invalid value "on"' ],
        [ 'OFF', 'invalid value' ], [ '""', 'invalid value ""' ] ] ],
    fallback => [ [qw(non_stream off)], [
        [ 'on', 'invalid value "on"' ], [ 'stream', 'invalid value' ],
        [ '""', 'invalid value ""' ] ] ],
);


for my $name (sort keys %TAKES) {
    my ($good, $bad) = @{ $TAKES{$name} };
    my $directive = "llm_stream_$name";

    for my $value (@$good) {
        for my $place (qw(http server location)) {
            $c->accepted("$directive $value in $place",
                $place => "$directive $value;");
        }
    }

    $c->refused("$directive $_->[0];", $_->[1]) for @$bad;
    $c->refused("$directive;", 'invalid number of arguments');
    $c->refused("$directive $good->[0] $good->[1];",
        'invalid number of arguments');
    $c->refused("$directive $good->[0];", 'directive is not allowed here',
        more => "location /if { if (\$host) {\n$directive $good->[0];\n} }");

    for my $place (qw(http server location)) {
        $c->refused("$directive  $good->[0];\n$directive $good->[1];",
            'is duplicate', $place => "$directive  $good->[0];\n"
                . "$directive $good->[1];");
    }
}


# What holds in the end, seen by what is done: a fallback is a second request,
# and so are the eleven first ones of a budget that is off.

sub location {
    my ($path, $more) = @_;

    return "location $path { llm_stream openai http://$_[2]; $more }\n";
}


# a budget is of ten seconds: time stands still
my $clock = LLMTest::Clock->new($t);

$t->config(<<"EOT" =~ s/%%LOC\((\S+), '([^']*)', (\w+)\)%%/location($1, $2, $3)/ger)->start(env => $clock->env);
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    upstream a { server %%UPSTREAM%%; }
    upstream b { server %%UPSTREAM%%; }
    upstream c { server %%UPSTREAM%%; }
    upstream d { server %%UPSTREAM%%; }
    upstream e { server %%UPSTREAM%%; }
    llm_stream_fallback non_stream;
    llm_stream_retry_budget off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LOC(/inherited, '', a)%%
        %%LOC(/off, 'llm_stream_fallback off;', b)%%
        %%LOC(/few, 'llm_stream_retry_budget 1%;', c)%%
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        llm_stream_fallback off;
        llm_stream_retry_budget 1%;
        %%LOC(/inherited, '', d)%%
        %%LOC(/on, 'llm_stream_fallback non_stream;', e)%%
    }
}
EOT

$u->each_request([ send => LLMTest::Upstream::sse_head() . "0\r\n\r\n" ],
    ['close']);

for my $case ([ 0, '/inherited', 26 ], [ 0, '/off', 13 ], [ 0, '/few', 23 ],
    [ 1, '/inherited', 13 ], [ 1, '/on', 23 ])
{
    my ($port, $path, $sent) = @$case;
    my $before = $u->connections;

    $t->open(port => $port, method => 'POST', path => $path, body => {
        stream => JSON::PP::true(),
        messages => [ { role => 'user', content => 'hi' } ] })->wait_end
        for 1 .. 13;
    is($u->connections - $before, $sent, "server $port, $path");
}


$t->finish;
