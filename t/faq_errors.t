#!/usr/bin/perl

# docs/faq.md, the table of errors: it has every code of a provider that the
# module knows, and each that can be built on one machine comes about by the
# cause that the page gives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Socket qw(inet_aton pack_sockaddr_in);
use Test::More;

use LLMTest;
use LLMTest::Guide;
use LLMTest::Mock;

my $HEADING = '502, 504, or an error at the end of the stream';

my $t = LLMTest->new;
my $mock = $t->mock(tls => 1, tls_name => 'other.example.com');
my $g = LLMTest::Guide->new($t, 'docs/faq.md');
my @cert = $t->tls_cert('localhost');

my %in_page = map { $_->[0] =~ s/`//gr => $_->[1] } $g->rows($HEADING);

# a server that takes no connection: its queue is full
socket my $full, Socket::PF_INET(), Socket::SOCK_STREAM(), 0
    or die "socket: $!";
bind $full, pack_sockaddr_in(0, inet_aton('127.0.0.1')) or die "bind: $!";
listen $full, 0 or die "listen: $!";

my ($full_port) = Socket::unpack_sockaddr_in(getsockname $full);
my @queue;

for (1 .. 3) {
    socket my $s, Socket::PF_INET(), Socket::SOCK_STREAM(), 0
        or die "socket: $!";
    $s->blocking(0);
    connect $s, pack_sockaddr_in($full_port, inet_aton('127.0.0.1'));
    push @queue, $s;
}

$t->set(FULL_PORT => $full_port);

# code => its causes, each the location's URL (the mock's if empty), what the
# mock does, more directives, the provider's word

my $tls_fault = LLMTest::Mock->new(root => $t->root, log => $t->dir . '/tls',
    cert => $cert[0], key => $cert[1],
    args => ['--fault', 'tls-plaintext-first']);

my %CASES = (
    upstream_connect => [ [ 'http://127.0.0.1:%%DEAD_PORT%%' ] ],
    upstream_connect_timeout => [ [ 'http://127.0.0.1:%%FULL_PORT%%', '',
        'llm_stream_connect_timeout 300ms;' ],
        [ 'https://%%MOCK%%', '', 'llm_stream_connect_timeout 1s;' ] ],
    upstream_dns => [ [ 'http://$host_of_nobody' ] ],
    upstream_unavailable => [ [ 'http://all_down' ] ],
    upstream_tls => [ [ 'https://127.0.0.1:' . $tls_fault->tls_port ] ],
    upstream_tls_verify => [ [ 'https://%%MOCK_TLS%%' ] ],
    upstream_auth => [ [ '', '', 'llm_stream_auth nobody;' ] ],
    upstream_reset => [ [ '', 'fault=rst-before-headers' ] ],
    upstream_protocol => [ [ '', 'fault=not-http' ] ],
    upstream_content_type => [ [ '', 'fault=html-200' ],
        [ '', 'dialect=ollama' ] ],
    upstream_encoding => [ [ '', 'fault=gzip-unasked' ] ],
    upstream_redirect => [ [ '', 'fault=s3xx' ] ],
    upstream_empty => [ [ '', 'fault=s204-empty variant=2' ] ],
    upstream_invalid_stream => [ [ '', 'dialect=anthropic fault=json-200' ] ],
    upstream_invalid_event => [ [ '', 'fault=invalid-json-event',
        'llm_stream_client simple;' ] ],
    upstream_truncated => [ [ '', 'fault=fin-chunked-incomplete' ],
        [ '', 'dialect=openai', '', 'anthropic' ] ],
    upstream_error => [ [ '', 'fault=s5xx' ] ],
    upstream_timeout_header => [ [ '', 'fault=stall-before-headers',
        'llm_stream_first_token_timeout 500ms;' ] ],
    upstream_timeout_first_event => [ [ '', 'fault=stall-after-headers',
        'llm_stream_first_token_timeout 3s;' ] ],
    upstream_timeout_idle => [ [ '', 'fault=stall-mid',
        'llm_stream_idle_timeout 500ms;' ] ],
);

# [ name of the location, code, cause ]
my @asked = map { my $code = $_; my $n = 0;
    map { [ "$code/" . ++$n, $code, $_ ] } @{ $CASES{$code} } }
    sort keys %CASES;

my $locations = join '', map {
    my ($url, undef, $more, $provider) = @{ $_->[2] };

    $url ||= 'http://%%MOCK%%';
    $provider ||= 'openai';
    $more ||= '';
    "location /$_->[0] { llm_stream $provider $url; $more }\n";
} @asked;

$t->config(<<"EOT")->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format guide '\$status "\$llm_stream_error" \$uri';
    access_log %%DIR%%/guide.log guide;
    llm_stream_next_upstream off;
    llm_stream_connect_timeout 60s;
    llm_stream_client openai;
    upstream all_down { server 127.0.0.1:%%DEAD_PORT%% down;
        server 127.0.0.1:%%DEAD_PORT%% down; }
    llm_stream_auth_provider nobody {
        url http://127.0.0.1:%%DEAD_PORT%%/token;
        client_id a;
        client_secret file:%%DIR%%/guide.key;
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set \$host_of_nobody nobody.example.com;
$locations
    }
}
EOT


subtest 'every code of a provider is in the page' => sub {
    open my $fh, '<', $t->root . '/src/wire/llm_fault.c' or die "$!\n";
    my @codes = do { local $/ = undef; readline($fh) =~ /"(upstream_\w+)",/g };
    close $fh;

    cmp_ok(scalar @codes, '>', 15, 'there are some');
    is_deeply([ sort keys %in_page ], [ sort @codes ], 'all of them');
    is_deeply([ sort keys %CASES ], [ sort @codes ], 'and built here');
};


for my $case (@asked) {
    my ($name, $code, $cause) = @$case;
    my $r = $t->post("/$name", { model => 'm-1', max_tokens => 9,
        stream => JSON::PP::true(), messages => [ { role => 'user',
        content => 'hello' } ] },
        headers => { 'X-Mock' => $cause->[1] // '' });

    like($r->{status}, $r->{body} =~ /^(?:data|event):/m ? qr/^200$/
        : qr/^50[0-4]$/, "$name: the status");
    ok($t->wait_log(qr{^\d+ "$code" /$name}, file => 'guide.log'),
        "$name: by the cause that the page gives")
        or diag($t->read_file('guide.log') =~ m{^(.*/$name)$}m);
    like($r->{body}, $code eq 'upstream_error' ? qr/"error"/ : qr/"$code"/,
        "$name: and the client is told");
}
