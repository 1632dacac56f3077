package LLMTest::Example;

# The configurations of examples/ for the tests: starts nginx with one of
# them, changed in nothing but the lines marked CHANGE, paths and ports, and
# asks it what its users would.  It knows no single example.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::More;

use LLMTest::Chat qw(json);
use MockReader;

our @EXPORT_OK = qw(start hosted ask chat text_of last_request to_provider
    to_client CREDENTIALS);

# all headers that a client may have a key in
use constant CREDENTIALS => qw(authorization x-api-key x-goog-api-key
    api-key);

my $KEY = 'sk-CANARY-key';
my $THEIRS = 'sk-of-the-client';

my @HELLO = (messages => [ { role => 'user', content => 'Hello' } ]);

# client => path, body of a stream, what makes one answer of it
my %ASK = (
    'openai' => [ '/v1/chat/completions', { @HELLO }, 'stream' ],
    'openai-responses' => [ '/v1/responses', { input => 'Hello' },
        'stream' ],
    'anthropic' => [ '/v1/messages', { @HELLO, max_tokens => 9 },
        'stream' ],
    'gemini' => [ '/v1beta/models/%s:streamGenerateContent?alt=sse',
        { contents => [ { parts => [ { text => 'Hello' } ] } ] }, 'path' ],
    'ollama' => [ '/api/chat', { @HELLO }, 'stream' ],
    'ollama-generate' => [ '/api/generate', { prompt => 'Hello' },
        'stream' ],
    'flowise' => [ '/api/v1/prediction/%s', { question => 'Hello' },
        'streaming' ],
);


# start($t, $file, hosts => { name => mock }, change => sub { ... }, files =>
# { name => secret }, text => sub { ... }): nginx with that example.  The
# marked lines go through the first sub; files of secrets have that content, or
# the key.  The second sub gets all of it, for a time or a rate that a test
# cannot wait for.

sub start {
    my ($t, $file, %o) = @_;
    my $dir = $t->dir;
    my $text = _slurp($t->root . "/examples/$file");
    my $marked = 0;

    $t->write_file('mime.types', 'types { text/html html; text/css css;'
        . " application/javascript js; }\n");

    $text = $o{text}->($text) if $o{text};

    $text =~ s{^(.*?)\s+\# CHANGE$}{ $marked++; _changed($t, $1, %o) }mge;
    cmp_ok($marked, '>=', 1, "$file: has marked lines");
    cmp_ok($marked, '<=', 3, "$file: not more than three");

    # paths and ports
    $text =~ s/^load_module .*;$/%%GLOBALS%%/m or die "$file: load_module\n";
    $text =~ s/\blisten [\d.:]+;/listen 127.0.0.1:%%PORT_0%%;/;
    $text =~ s{/etc/nginx/mime\.types}{$dir/mime.types};
    $text =~ s{/var/log/nginx/}{$dir/}g;
    $text = _mocked($t, $file, $text, %{ $o{hosts} || {} });

    unlike($text =~ s/^\s*#.*$//mgr, qr{\s/(?:etc|srv|usr|var)/},
        "$file: no other path");

    return $t->config($text)->start;
}


sub _changed {
    my ($t, $line, %o) = @_;

    if ($line =~ s{file:/\S*/(\S+);}{'file:' . $t->dir . "/$1;"}e) {
        my ($name, $secret) = ($1, ($o{files} || {})->{$1} // $KEY);

        $t->write_file($name, "$secret\n");
        $t->canary($secret);
    }

    $line =~ s{root /srv/ngx_llm_stream/}{'root ' . $t->root . '/'}e;

    return $o{change} ? $o{change}->($line) : $line;
}


# the names of the providers lead to the mocks

sub _mocked {
    my ($t, $file, $text, %hosts) = @_;
    my %groups = map { $_ => 1 } $text =~ /^\s*upstream (\S+) \{/mg;
    my $trust = 'ssl_trusted_certificate ' . $t->tls_ca . ';';
    my $http = "llm_stream_$trust\n";

    for my $host (sort keys %hosts) {
        my $address = '127.0.0.1:' . $hosts{$host}->tls_port;

        if ($groups{$host}) {
            $text =~ s/\bserver \Q$host\E:443;/server $address;/
                or die "$file: no server $host\n";

        } else {
            $http .= "upstream $host { server $address; }\n";
        }
    }

    $text =~ s/^( *llm_stream_auth_provider \S+ \{)$/$1 $trust/mg;
    $text =~ s/^http \{$/http {\n%%HTTP%%\n$http/m or die "$file: http\n";

    return $text;
}


sub _slurp {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


# the mock of a provider that is reached over TLS, by that name

sub hosted {
    my ($t, $name, @args) = @_;

    return $t->mock(tls => 1, tls_name => $name, args => \@args);
}


# ask($t, client => "openai", model => ..., answer => 1, path => ...,
# body => { more members }): a request as a client of that dialect makes it,
# with keys of its own in every header

sub ask {
    my ($t, %o) = @_;
    my ($path, $body, $switch) = @{ $ASK{ $o{client} // 'openai' } };
    my $model = $o{model} // 'any';
    my $wanted = $o{answer} ? JSON::PP::false() : JSON::PP::true();
    my %body = (%$body, %{ $o{body} || {} });

    if ($path !~ s/%s/$model/) {
        $body{model} = $model;
    }

    if ($switch ne 'path') {
        $body{$switch} = $wanted;

    } elsif ($o{answer}) {
        $path =~ s/streamGenerateContent.*/generateContent/;
    }

    return $t->post($o{path} // $path, \%body, headers => {
        map { $_ => $_ eq 'authorization' ? "Bearer $THEIRS" : $THEIRS }
            CREDENTIALS });
}


# a chat request with the one header that OpenAI's clients send

sub chat {
    my ($t, $model, %o) = @_;
    my $stream = $o{answer} ? JSON::PP::false() : JSON::PP::true();

    return $t->post('/v1/chat/completions',
        { model => $model, stream => $stream, @HELLO },
        headers => { Authorization => 'Bearer of-the-client' });
}


sub text_of {
    my ($r) = @_;

    return join '', map { json($_->{data})->{choices}[0]{delta}{content}
        // '' } grep { $_->{data} ne '[DONE]' } @{ $r->{events} };
}


# the last request that a mock got: member of its body, or a header

sub last_request {
    my ($mock) = @_;
    my ($request) = $mock->requests(1);

    return if !$request;

    my %headers = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };

    return { %$request, headers => \%headers,
        json => json($request->{body}) };
}


# to_provider($t, $mock, client, model => asked for, host, path, answer_path,
# query, key => [header, value], sent => { member => value }, headers =>
# { name => value }): a stream and one answer, each as this client should
# get it, and each request as this provider should

sub to_provider {
    my ($t, $mock, $client, %o) = @_;

    for my $answer (0, 1) {
        my $how = ($o{name} // $client) . ($answer ? ', answer' : ', stream');
        my $r = ask($t, %o, client => $client, answer => $answer,
            path => $o{at});
        my $said = eval { $answer ? read_answer($client, $r->{body})
            : read_stream($client, $r->{body}) } // { text => "$@" };

        is($r->{status}, 200, "$how: status");
        like($said->{text}, qr/^Lorem ipsum/, "$how: text");
        is($said->{finish}, 'stop', "$how: finished");

        _asked(last_request($mock), $how, %o,
            path => $answer && $o{answer_path} || $o{path});
    }

    my %connections = map { $_->{connection} => 1 } $mock->requests(2);

    is(keys %connections, 1, "$client: over one connection");

    return;
}


# the request is what this provider is to get

sub _asked {
    my ($q, $how, %o) = @_;
    my ($header, $value) = @{ $o{key} || [ 'none', undef ] };

    is($q->{path}, $o{path}, "$how: path");
    is($q->{query} // '', $o{query} // '', "$how: query")
        if exists $o{query};
    is($q->{headers}{host}, $o{host}, "$how: host");
    is($q->{sni}, $o{host}, "$how: SNI") if $o{tls};

    for my $name (CREDENTIALS) {
        my $is = $name eq $header ? $value : undef;

        ref $is ? like($q->{headers}{$name}, $is, "$how: $name")
            : is($q->{headers}{$name}, $is, "$how: $name");
    }

    unlike(_json_text($q), qr/\Q$THEIRS\E/, "$how: no key of the client");

    for my $name (sort keys %{ $o{headers} || {} }) {
        is($q->{headers}{$name}, $o{headers}{$name}, "$how: $name");
    }

    for my $name (sort keys %{ $o{sent} || {} }) {
        is($q->{json}{$name}, $o{sent}{$name}, "$how: sent $name");
    }

    return;
}


sub _json_text {
    my ($value) = @_;

    return JSON::PP->new->canonical->allow_nonref->encode($value);
}


# client => what an error of the provider is in its dialect: the body of an
# answer, and an event of a stream if that is another thing

my %ERROR = (
    'openai' => sub { ref $_[0]{error} eq 'HASH'
        && length $_[0]{error}{message} && exists $_[0]{error}{param} },
    'anthropic' => sub { $_[0]{type} eq 'error'
        && $_[0]{error}{type} =~ /_error$/ && length $_[0]{error}{message} },
    'gemini' => sub { ref $_[0]{error} eq 'HASH'
        && $_[0]{error}{code} =~ /^\d+$/ && length $_[0]{error}{status} },
    'ollama' => sub { exists $_[0]{error} && !ref $_[0]{error}
        && length $_[0]{error} },
    'flowise' => sub { $_[0]{success} ? 0 : length $_[0]{message} },
);
$ERROR{'openai-responses'} = $ERROR{openai};

my %ERROR_EVENT = (%ERROR,
    'openai-responses' => sub {
        $_[0]{type} =~ /^(?:error|response\.failed)$/ },
    'flowise' => sub { $_[0]{event} eq 'error' && length $_[0]{data} },
);


sub _is_error {
    my ($kinds, $client, $value) = @_;

    return ref $value eq 'HASH' && eval { $kinds->{$client}->($value) };
}


# to_client($t, $mock or [ mocks ], client, errors => [ options of the mock ],
# ...): errors of the provider, before a stream and inside one, in the dialect
# of the client and without the key

sub to_client {
    my ($t, $mock, $client, %o) = @_;
    my @mocks = ref $mock eq 'ARRAY' ? @$mock : $mock;
    my %status = ('status=429 retry_after=7' => 429, 'status=503' => 503,
        'fault=s401' => qr/40[01]/);

    for my $options (@{ $o{errors} || [ sort keys %status ] }) {
        my $status = $status{$options};

        $_->defaults($options) for @mocks;

        for my $answer (0, 1) {
            my $how = "$client, $options" . ($answer ? ', answer' : '');
            my $r = ask($t, %o, client => $client, answer => $answer,
                path => $o{at});

            like($r->{status}, qr/^$status$/, "$how: the status");
            ok(_is_error(\%ERROR, $client, json($r->{body})),
                "$how: in its dialect") or diag("    $r->{body}");
            unlike($r->{body}, qr/CANARY/, "$how: no key");
        }
    }

    $_->defaults('fault=error-event-mid') for @mocks;

    my $r = ask($t, %o, client => $client, path => $o{at});
    my @frames = eval { frames($client, $r->{body}) };

    is($r->{status}, 200, "$client: an error in the middle");
    like($r->{body}, qr/Lorem/, "$client: comes after text");
    ok(_is_error(\%ERROR_EVENT, $client, $frames[-1][1]),
        "$client: in its dialect, and as the end") or diag("    $r->{body}");

    $_->defaults('') for @mocks;

    return;
}


1;
