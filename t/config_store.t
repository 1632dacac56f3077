#!/usr/bin/perl

# llm_stream_store in a configuration: what it takes and what it refuses, with
# the line and the reason; and which level's holds where.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;
use LLMTest::Chat qw(reply);
use LLMTest::Disk;

my $t = LLMTest->new(log_level => 'info');
my $disk = LLMTest::Disk->new($t);
my $u = $t->upstream;

my $HTTP = 'llm_stream openai http://%%UPSTREAM%%;';
my $c = LLMTest::Config->new($t, handler => $HTTP,
    http => 'llm_stream_client openai;');
my $PATH = '%%STORE%%/x';


my @good = ($PATH, "$PATH text", "$PATH events", "$PATH-\$host.txt",
    "\"$PATH/\${host}/\$request_id\" events", 'store/below-the-prefix', 'off',
    "$PATH/..x/x..y/...", './off');

my @bad = (
    [ '', 'invalid number of arguments in "llm_stream_store"' ],
    [ "$PATH text events", 'invalid number of arguments' ],
    [ "$PATH texts", 'invalid value "texts", it must be "text" or "events"' ],
    [ "$PATH \"\"", 'invalid value ""' ],
    [ "$PATH off", 'invalid value "off"' ],
    [ 'off text', '"off" takes no form' ],
    [ '""', 'does not name a file' ],
    [ '%%STORE%%/', 'does not name a file' ],
    [ '$arg_f', 'begins with a variable' ],
    [ '${arg_f}/x', 'begins with a variable' ],
    [ '../x', 'the path "[^"]+/\.\./x" has a "\.\."' ],
    [ '/a/../x', 'has a "\.\."' ], [ '/a/..', 'has a "\.\."' ],
    [ '/a/.llm_stream.$host', 'has the name of a temporary file' ],
    [ '/$host/../x', 'has a "\.\."' ],
    [ "\"/a\tb\"", 'has a control character' ],
    [ "\"/a\x7f\"", 'has a control character' ],
    [ '/a/$no_such_variable', 'unknown "no_such_variable" variable' ],
    [ '/a/${host', 'closing bracket' ], [ '/a/$', 'invalid variable name' ],
);

for my $level (qw(http server location)) {
    $c->accepted("$level, $_", $level => "llm_stream_store $_;") for @good;

    $c->refused("llm_stream_store $_->[0];", $_->[1],
        $level => "llm_stream_store $_->[0];", name => "$level, $_->[0]")
        for @bad;

    $c->refused("llm_stream_store $_->[1];", 'is duplicate', $level =>
        "llm_stream_store $_->[0];\nllm_stream_store $_->[1];",
        name => "$level, $_->[0], $_->[1]")
        for [ $PATH, "$PATH events" ], [ 'off', $PATH ], [ $PATH, 'off' ];
}

$c->refused("if (\$host) {\nllm_stream_store $PATH; }",
    'directive is not allowed here');

# below a prefix that no answer could be stored under

{
    my $file = $t->write_file('prefix.conf',
        $t->expand($c->text(location => 'llm_stream_store x;')));
    my $prefix = $t->dir . '/store/../';
    my ($status, $output) = $t->_run($t->binary, '-t', '-p', $prefix, '-c',
        $file, '-e', "$prefix/check.log");

    isnt($status, 0, 'a prefix with ..: refused');
    like($output, qr{the path "\Q$prefix\Ex" has a "\.\."},
        'a prefix with ..: why');
}

for my $aio ('aio threads;', 'aio threads=mine;', 'aio threads=$host;',
    'aio off;')
{
    next if $t->build !~ /--with-threads/;

    $c->accepted($aio, main => 'thread_pool mine threads=1;',
        location => "$aio\nllm_stream_store $PATH;");
}


# What is inherited, what is not.

my %where = (
    '/' => 'http', '/server' => 'http', '/own' => 'own', '/own/below' => 'own',
    '/own/other' => 'other', '/off' => '', '/off/below' => '',
    '/off/on' => 'on', '/if' => 'http', '/own/off' => '',
);

$t->config($c->text(http => 'llm_stream_store %%STORE%%/http;', more => <<"EOT"));
location = /server { $HTTP }
location /own {
    $HTTP
    llm_stream_store %%STORE%%/own;
    location = /own/below { $HTTP }
    location = /own/other {
        $HTTP
        llm_stream_store %%STORE%%/other text;
    }
    location = /own/off { $HTTP llm_stream_store off; }
}
location /off {
    $HTTP
    llm_stream_store off;
    location = /off/below { $HTTP }
    location = /off/on { $HTTP llm_stream_store %%STORE%%/on; }
}
location = /if { $HTTP if (\$host) { set \$x 1; } }
EOT
$t->start;

is_deeply(stored($_), [ $where{$_} || () ], "where: $_")
    for sort keys %where;

$t->stop;
$t->config($c->text(http => 'llm_stream_store %%STORE%%/http;',
    server => 'llm_stream_store %%STORE%%/server;'))->start;
is_deeply(stored('/'), ['server'], 'the server\'s overrides that of http');

$t->stop;
$t->config($c->text(http => 'llm_stream_store %%STORE%%/http;',
    server => 'llm_stream_store off;'))->start;
is_deeply(stored('/'), [], 'off in the server');


# the names of the files that a request leaves

sub stored {
    my ($path) = @_;

    $u->script([ 'request' ], [ send => reply('x') ]);

    my $s = $t->open(method => 'POST', path => $path,
        body => { model => 'm', stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    $s->wait_end;
    $s->close;

    # where nothing is to come there is nothing to wait for
    $t->wait_for(sub { grep { $_ ne 'TEMP' } $disk->files }, 5)
        if ($where{$path} // 'x') ne '';

    my @files = $disk->files;

    unlink map { $disk->dir . "/$_" } @files;

    return \@files;
}


$t->finish;
