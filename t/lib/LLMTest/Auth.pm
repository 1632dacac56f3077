package LLMTest::Auth;

# Sign-in to the provider, for the tests: blocks of the configuration,
# requests in each client's dialect, what an answer to a failed sign-in looks
# like there, and what the mock's identity service saw.  Written from the
# specification, apart from the module.  It owns no process.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::More;

use LLMTest::Client;
use LLMTest::Wait qw(wait_for);

our @EXPORT_OK = qw(conf provider location ask open_call auth_error counts
    sign_ins bearer reasons reload CLIENTS MESSAGE);

use constant CLIENTS => qw(openai anthropic gemini ollama simple);
use constant MESSAGE => 'The proxy could not sign in to the provider.';

my $json = JSON::PP->new->utf8;
my @MESSAGES = (model => 'm', messages => [ { role => 'user',
    content => 'hi' } ]);
my $STREAM = JSON::PP::true();

my %BODY = (
    openai => { @MESSAGES, stream => $STREAM },
    anthropic => { @MESSAGES, stream => $STREAM, max_tokens => 99 },
    gemini => { contents => [ { role => 'user', parts => [ { text => 'hi' }
        ] } ] },
    ollama => {@MESSAGES},
    simple => { @MESSAGES, stream => $STREAM },
);


# conf(main, http, server, listen): the configuration with these parts; a
# block of the name "main" and a location for each client unless they are
# given

sub conf {
    my (%o) = @_;
    my $http = $o{http} // provider('main');
    my $server = $o{server} // join '', map { location("/$_",
        client => $_, auth => 'main') } CLIENTS;
    my $listen = $o{listen} // 'listen 127.0.0.1:%%PORT_0%%;';

    return '%%GLOBALS%%' . ($o{main} // '')
        . "\nevents { worker_connections 8192; }\nhttp {\n%%HTTP%%\n"
        . "log_format end '\$uri \$status \"\$llm_stream_end\" "
        . "\"\$llm_stream_error\" \$pid';\n"
        . "access_log %%DIR%%/end.log end;\n"
        . "$http\nserver {\n$listen\n%%LISTEN_H2_1%%\n$server\n}\n}\n";
}


# provider($name, directive => value, ...): a block that signs in to the
# mock; undef leaves a directive out

sub provider {
    my ($name, %o) = @_;
    my %is = (type => 'oauth2', url => 'http://%%MOCK%%/oauth2/token',
        client_id => 'the-id', client_secret => 'file:%%DIR%%/secret', %o);

    return "llm_stream_auth_provider $name {\n" . join('', map {
        "    $_ $is{$_};\n" } grep { defined $is{$_} } sort keys %is)
        . "}\n";
}


# location($path, client, auth, to (address of the model), more)

sub location {
    my ($path, %o) = @_;
    my $to = $o{to} // 'http://%%MOCK%%';
    my $client = $o{client} // 'openai';
    my $auth = $o{auth} ? "llm_stream_auth $o{auth};" : '';
    my $more = $o{more} // '';

    return <<"EOT";
location $path {
    llm_stream openai $to;
    llm_stream_client $client;
    llm_stream_set_header X-Mock \$http_x_mock;
    $auth
    $more
}
EOT
}


# open_call($t, $path, client, mock (its options), headers, body, ...): a
# chat request on its way; ask() waits for its answer

sub open_call {
    my ($t, $path, %o) = @_;
    my $client = delete $o{client} // 'openai';
    my @headers = LLMTest::Client::header_pairs(delete $o{headers});
    my $mock = delete $o{mock};

    push @headers, [ 'X-Mock' => $mock ] if $mock;
    $path .= '/v1beta/models/m:streamGenerateContent?alt=sse'
        if $client eq 'gemini';

    return $t->open(method => 'POST', path => $path, headers => \@headers,
        body => $BODY{$client}, %o);
}


sub ask {
    my ($t, $path, %o) = @_;

    return open_call($t, $path, %o)->result($o{limit});
}


# the answer to a request for which there is no token, in the client's
# dialect

sub auth_error {
    my ($r, $client, $name) = @_;
    my $value = eval { $json->decode($r->{body}) };

    $name //= $client;
    is($r->{status}, 502, "$name: status");
    like($r->{headers}{'content-type'} // '', qr{^application/json},
        "$name: type");
    ok($r->{complete}, "$name: complete");
    is_deeply($value, _error_body($client), "$name: body")
        or diag("    $r->{body}");

    return;
}


sub _error_body {
    my ($client) = @_;

    return { error => { message => MESSAGE, type => 'server_error',
        param => undef, code => 'upstream_auth' } } if $client eq 'openai';
    return { type => 'error', error => { type => 'api_error',
        message => MESSAGE } } if $client eq 'anthropic';
    return { error => { code => 502, message => MESSAGE,
        status => 'UNAVAILABLE' } } if $client eq 'gemini';
    return { error => MESSAGE } if $client eq 'ollama';
    return { error => MESSAGE, code => 'upstream_auth',
        done => JSON::PP::true() };
}


# reloads, and waits until the workers of before are gone: none of them can
# take a request any more

sub reload {
    my ($t) = @_;
    my %old = map { $_ => 1 } $t->workers;

    return $t->reload && wait_for(sub { !grep { $old{$_} } $t->workers });
}


# the counters of the mock's identity service: requests, issued, refused,
# accepted, rejected

sub counts {
    my ($mock) = @_;

    # the answer without the list of streams
    return $mock->wait(requests => 0)->{identity};
}


# the records of requests to it, the oldest first

sub sign_ins {
    my ($mock) = @_;

    return grep { $_->{id} eq 'identity' } @{ $mock->stats->{streams} };
}


# the Authorization headers of the newest request to a model

sub bearer {
    my ($mock) = @_;
    my ($q) = grep { $_->{path} =~ /completions$/ }
        reverse $mock->requests(64);

    return map { $_->[1] } grep { lc $_->[0] eq 'authorization' }
        @{ $q->{headers} };
}


# the reasons that the error log gives for a block, all of them or those
# after a mark

sub reasons {
    my ($t, $name, $mark) = @_;
    my $text = $t->_log_since($mark // 0);

    return $text =~ /\[error\].* llm_stream auth "\Q$name\E" failed: (.*)$/mg;
}


1;
