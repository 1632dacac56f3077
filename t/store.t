#!/usr/bin/perl

# What llm_stream_store stores: the text of every dialect, as a stream and as
# one answer, or the bytes that the client got; where, under which name, and
# that nothing a client says leads it anywhere else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use MockReader;
use Test::More;

use LLMTest;
use LLMTest::Chat qw(events reply answer_reply);
use LLMTest::Disk;
use LLMTest::Upstream;

my $t = LLMTest->new(log_level => 'info');
my $disk = LLMTest::Disk->new($t);
my $mock = $t->mock;
my $u = $t->upstream;
my $other = $t->upstream;
my $dir = $disk->dir;

my @upstreams = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere);
my $chat = '"model":"m","messages":[{"role":"user","content":"hi"}]';
my $contents = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]';
my $model = '/v1beta/models/m:';

# the body of each client (S is the stream member), its path
my %client = (
    'openai' => { body => "{$chat,S}" },
    'openai-completions' => { body => '{"model":"m","prompt":"hi",S}' },
    'openai-responses' => { body => '{"model":"m","input":"hi",S}' },
    'anthropic' => { body => "{$chat,S,\"max_tokens\":99}" },
    'gemini' => { body => "{$contents}",
        path => "${model}streamGenerateContent?alt=sse&",
        answer => "${model}generateContent?" },
    'gemini-array' => { body => "{$contents}",
        path => "${model}streamGenerateContent?" },
    'ollama' => { body => "{$chat,S}" },
    'ollama-generate' => { body => '{"model":"m","prompt":"hi",S}' },
    'flowise' => { body => '{"question":"hi",T}',
        path => '/api/v1/prediction/m?' },
    'simple' => { body => "{$chat,S}" },
    'typed' => { body => "{$chat,S}" },
    'text' => { body => "{$chat,S}" },
);

my $locations = '';

for my $upstream (@upstreams) {
    for my $client (sort keys %client) {
        my $dialect = $client =~ s/-array//r;

        for my $form (qw(text events)) {
            $locations .= <<"EOT";
        location "/$form/$upstream/$client/" {
            llm_stream $upstream http://provider;
            llm_stream_client $dialect;
            llm_stream_store %%STORE%%/\$arg_f $form;
        }
EOT
        }
    }
}

$t->config(<<"EOT")->start(env => $disk->env);
%%GLOBALS%%
worker_processes 1;
events { worker_connections 4096; }
http {
    %%HTTP%%
    log_format end '\$arg_f \$status \$llm_stream_end';
    access_log %%DIR%%/end.log end;
    llm_stream_client openai;
    llm_stream_set_header X-Mock \$http_x_mock;
    upstream provider { server %%MOCK%%; keepalive 200; }
    upstream both { server %%UPSTREAM%%; server %%UPSTREAM_2%% backup; }
    map \$arg_f \$stored { "" ""; default "\$arg_f.txt"; }
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        llm_stream_store %%STORE%%/server/\$arg_f;
$locations
        location = /inherited {
            llm_stream openai http://provider;
        }
        location = /off {
            llm_stream openai http://provider;
            llm_stream_store off;
        }
        location = /named {
            llm_stream openai http://provider;
            llm_stream_store %%STORE%%/\$stored;
        }
        location = /relative {
            llm_stream openai http://provider;
            llm_stream_store store/relative.txt text;
        }
        location ~ (?s)^/raw/(.*)\$ {
            llm_stream openai http://provider;
            llm_stream_store %%STORE%%/\$1;
        }
        location = /scripted {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/\$arg_f;
        }
        location = /page {
            llm_stream openai http://%%UPSTREAM%%;
            llm_stream_store %%STORE%%/page/first.txt;
            error_page 429 502 = \@second;
        }
        location \@second {
            llm_stream openai http://%%UPSTREAM_2%%;
            llm_stream_store %%STORE%%/page/\$arg_form.txt;
        }
        location = /next {
            llm_stream openai http://both;
            llm_stream_store %%STORE%%/next/\$arg_f events;
            llm_stream_next_upstream http_500 stream_error invalid;
        }
        location = /threads {
            llm_stream openai http://provider;
            llm_stream_store %%STORE%%/\$arg_f;
            aio threads=\$arg_pool;
        }
    }
}
EOT


sub ask {
    my ($path, $options, %o) = @_;

    return $t->open(method => 'POST', path => $path,
        body => $o{body} // "{$chat,\"stream\":true}",
        headers => { 'Content-Type' => 'application/json',
            'X-Mock' => $options });
}


sub pair {
    my ($form, $upstream, $name, $answer, $file, $options) = @_;
    my $c = $client{$name};
    my $stream = $answer ? 'false' : 'true';
    my $body = $c->{body} =~ s/S(?=[,}])/"stream":$stream/r;
    my $path = ($answer && $c->{answer}) || $c->{path} || '?';

    $body =~ s/T(?=[,}])/"streaming":$stream/;

    return ask("/$form/$upstream/$name/${path}f=$file", $options,
        body => $body);
}


# what the mock says, asked without nginx

sub said {
    my ($options) = @_;
    my $r = LLMTest::Client->request(port => $mock->port, method => 'POST',
        path => '/v1/chat/completions', body => "{$chat,\"stream\":true}",
        headers => { Connection => 'close', 'X-Mock' => $options })->result;
    my $text = read_stream('openai', $r->{body})->{text};

    utf8::encode($text);

    return $text;
}


# Every dialect to every other: a few tokens, and more than one batch.

for my $events (20, 100) {
    my $options = "text=unicode tokens=$events"
        . ($events == 100 ? ' per_event=20' : '');
    my $said = said($options);
    my (@running, @wrong);
    my $n = 0;

    for my $upstream (@upstreams) {
        # the long ones to one client of each kind are enough
        my @clients = $events == 20 ? sort keys %client
            : ($upstream =~ s/^cohere$/openai/r, 'text', 'openai-responses');

        for my $client (@clients) {
            for my $answer (0, 1) {
                for my $form (qw(text events)) {
                    my $file = "$events-" . ++$n;

                    push @running, { form => $form, file => $file,
                        name => "$upstream to $client, $answer, $form",
                        s => pair($form, $upstream, $client, $answer, $file,
                            $options) };
                }
            }
        }
    }

    for my $x (@running) {
        my $r = $x->{s}->result;
        my $stored = $disk->wait_bytes($x->{file});
        my $right = $x->{form} eq 'text' ? $said : $r->{body};

        push @wrong, "$x->{name}: $r->{status} $r->{ended}"
            if $r->{status} != 200 || $r->{body} eq '';
        push @wrong, "$x->{name}: not stored" if !defined $stored;
        push @wrong, "$x->{name}: another text"
            if defined $stored && $stored ne $right;
    }

    cmp_ok(length $said, '>', $events == 20 ? 20 : 5000,
        "$events events: a text");
    ok(!@wrong, "$events events: every pair is stored, text and events")
        or diag(join "\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]);
    is(scalar(grep { /TEMP/ } $disk->files), 0, "$events events: no other");
}


# What is text, what is not.

{
    my $r = ask('/named?f=kinds',
        'tokens=3 reasoning=4 tools=1 logprobs=1')->result;
    my $said = read_stream('openai', $r->{body});

    is($disk->wait_bytes('kinds.txt'), $said->{text},
        'text, no reasoning, no tool call');
    isnt($said->{reasoning}, '', 'there was reasoning');

    $r = ask('/named?f=refusal', 'refusal=1 tokens=3')->result;
    $said = read_stream('openai', $r->{body});
    is($disk->wait_bytes('refusal.txt'), $said->{text} . $said->{refusal},
        'a refusal is text');
    isnt($said->{refusal}, '', 'there was a refusal');

    ask('/named?f=calls', 'tokens=0 tools=2')->result;
    is($disk->wait_bytes('calls.txt'), '', 'no text: an empty file');

    ask('/named?f=length', 'tokens=3 finish=length')->result;
    ok(defined $disk->wait_bytes('length.txt'), 'cut at the length: complete');
}


# Where: inherited, off, empty names, folders, symbolic links, old files.

{
    is(ask('/inherited?f=a.txt', 'tokens=2')->result->{status}, 200,
        'the server\'s path');
    ok(defined $disk->wait_bytes('server/a.txt'), 'a folder is made');
    is((stat "$dir/server")[2] & oct(7777), oct(700), 'for its owner alone');
    is((stat "$dir/server/a.txt")[2] & oct(7777), oct(600), 'and so is a file');

    my $before = join ' ', $disk->files;
    ask('/off?f=b.txt', 'tokens=2')->result;
    ask('/named', 'tokens=2')->result;
    ask('/relative', 'tokens=2')->result;
    ok(defined $disk->wait_bytes('relative.txt'), 'below nginx\'s prefix');
    is($disk->wait_files(undef, split(/ /, $before), 'relative.txt'),
        join(' ', sort(split(/ /, $before), 'relative.txt')),
        'off, and an empty name: nothing');

    my $outside = $t->write_file('outside', 'precious');
    symlink $outside, "$dir/link" or die "symlink: $!";
    my $text = said('tokens=4 text=digits');

    ask('/raw/link', 'tokens=4 text=digits')->result;
    $t->wait_for(sub { !-l "$dir/link" });
    is($disk->bytes('link'), $text, 'a symbolic link is replaced');
    is($t->read_file('outside'), 'precious', 'and not followed');

    ask('/raw/link', 'tokens=5 text=digits')->result;
    my $longer = said('tokens=5 text=digits');
    ok($t->wait_for(sub { ($disk->bytes('link') // '') eq $longer }),
        'the last one wins');

    symlink "$dir/nowhere/at/all", "$dir/dangling" or die "symlink: $!";
}


# Hostile paths: the stream is whole, nothing is stored, the log has a line.

{
    my %hostile = (
        '../evil' => qr/the path has a "\.\."/,
        'a/../../evil' => qr/the path has a "\.\."/,
        '..' => qr/the path has a "\.\."/,
        'a/..' => qr/the path has a "\.\."/,
        '%0aevil' => qr/the path has a control character/,
        'x%7fevil' => qr/the path has a control character/,
        '.llm_stream.1.2' => qr/the path has the name of a temporary file/,
        'a/.llm_stream.' => qr/the path has the name of a temporary file/,
        'x' x 300 => qr/rename\(\) "\S+" failed \(36: /,
        'server' => qr/rename\(\) "\S+" failed \(21: /,
        '.' => qr/rename\(\) "\S+" failed \(\d+: /,
        'link/below' => qr/(?:open|mkdir)\(\) "\S+" failed \(20: /,
        'dangling/x' => qr/open\(\) "\S+" failed \(2: /,
    );

    for my $path (sort keys %hostile) {
        my $name = substr $path, 0, 20;
        my $before = join ' ', $disk->files;
        my $mark = $t->log_mark;

        # in the query, as nginx does not merge what is there
        my $r = $path =~ /%/ ? ask("/raw/$path", 'tokens=3')->result
            : ask("/text/openai/openai/?f=$path", 'tokens=3')->result;

        ok($r->{complete} && $r->{status} == 200, "$name: the client's");
        ok($t->wait_log(qr/\[error\] .*llm_stream .*$hostile{$path}/,
            from => $mark), "$name: a line in the log");
        is($disk->wait_files(undef, split / /, $before), $before,
            "$name: no file");
        ok(!-e $t->dir . '/evil', "$name: none outside");
    }

    is(ask('/text/openai/openai/?f=..x', 'tokens=3')->result->{status}, 200,
        'two points at the beginning of a name');
    ok(defined $disk->wait_bytes('..x'), 'are no way out');
}


# Another provider after one that failed: nothing of the first is stored.

{
    for my $form ('page', 'broken') {
        $u->script([ 'request' ], [ send => $form eq 'page'
            ? LLMTest::Upstream::answer(429, '{}') : "bad\r\n\r\n" ],
            ['close']);
        $other->script([ 'request' ], [ send => reply('second') ]);

        is(ask("/page?form=$form", '')->result->{status}, 200,
            "$form: from the second location");
        is($disk->wait_bytes("page/$form.txt"), 'second', "$form: stored");
        is($disk->wait_files('page', map { "$_.txt" } $form eq 'page'
            ? 'page' : qw(page broken)), join(' ', $form eq 'page'
            ? 'page.txt' : ('broken.txt', 'page.txt')),
            "$form: as that location has it, and no other");
    }

    my @role = (events('x'))[0];
    my $error = "data: {\"error\":{\"message\":\"x\",\"type\":"
        . "\"server_error\",\"code\":500}}\n\n";

    $u->script([ 'request' ], [ send => LLMTest::Upstream::stream($error) ]);
    $other->script([ 'request' ], [ send => reply('next') ]);
    my $r = ask('/next?f=error', '')->result;

    is($disk->wait_bytes('next/error'), $r->{body},
        'the next upstream: its answer');
    is($r->{body}, join('', events('next')), 'and that alone');
}


# Surrogates in two events, a choice more, another text behind the finish.

{
    $u->script([ 'request' ], [ send => reply('a\ud83d', '\ude00b',
        '\u00e9\ud83d') ]);
    ask('/scripted?f=pair', '')->result;
    is($disk->wait_bytes('pair'), "a\xf0\x9f\x98\x80b\xc3\xa9\xef\xbf\xbd",
        'halves of a character');

    $u->script([ 'request' ], [ send => answer_reply('one\nanswer') ]);
    my $r = ask('/scripted?f=answer', '', body => "{$chat}")->result;
    is($disk->wait_bytes('answer'), "one\nanswer", 'one JSON answer');
}


# Pools by name.

SKIP: {
    skip 'nginx without threads', 3 if $t->build !~ /--with-threads/;

    my $mark = $t->log_mark;

    ask('/threads?f=pool&pool=default', 'tokens=2')->result;
    ok(defined $disk->wait_bytes('pool'), 'aio threads with a variable');
    is(ask('/threads?f=nopool&pool=none', 'tokens=2')->result->{status}, 200,
        'a pool that is not there');
    ok(defined $disk->wait_bytes('nopool'), 'is the default one');
}


# Many at once, to one path and to each its own.

{
    my @streams = map { [ $_, ask("/named?f=many-$_",
        "text=marker marker=m$_ per_event=20 tokens=" . $_ % 40) ] }
        1 .. 200;
    my @wrong;

    for my $x (@streams) {
        my ($n, $s) = @$x;
        my $said = read_stream('openai', $s->result->{body})->{text};

        push @wrong, $n
            if ($disk->wait_bytes("many-$n.txt") // 'none') ne $said;
    }

    ok(!@wrong, 'many at once: each has its own') or diag("@wrong");

    my @same = map { ask('/named?f=same',
        "text=digits per_event=20 tokens=" . (100 + $_)) } 1 .. 20;
    my %right = map { read_stream('openai', $_->result->{body})->{text} => 1 }
        @same;

    ok(defined $disk->wait_bytes('same.txt'), 'many to one path');
    ok($t->wait_for(sub { !grep { /TEMP/ } $disk->files }), 'all are done');
    ok($right{ $disk->bytes('same.txt') }, 'one of them, not a mixture');
    is(scalar keys %right, 20, 'which are not the same');
}

$t->finish;
