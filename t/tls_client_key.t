#!/usr/bin/perl

# Tests for a client certificate with variables and an encrypted key: every
# location keeps the passwords that were read for it, also one that shares
# the TLS settings of its server with others (they were freed with the
# configuration once; valgrind sees it, and the key cannot be opened).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;

my $t = LLMTest->new;
my $u = $t->upstream(tls => 'localhost');
my ($cert, $key) = $t->tls_cert('client');
my $sealed = $t->dir . '/sealed.key';

is(system('openssl', 'pkey', '-aes128', '-passout', 'pass:open sesame',
    '-in', $key, '-out', $sealed), 0, 'an encrypted key')
    or BAIL_OUT('openssl cannot encrypt a key');

$t->write_file('passwords', "wrong one\nopen sesame\n");
$t->set(CERT => $cert, SEALED => $sealed, CA => $t->tls_ca);

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    map $host $cert { default %%CERT%%; }
    map $host $key { default %%SEALED%%; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        llm_stream_ssl_trusted_certificate %%CA%%;
        llm_stream_ssl_name localhost;
        llm_stream_ssl_certificate $cert;
        llm_stream_ssl_certificate_key $key;
        llm_stream_ssl_password_file %%DIR%%/passwords;

        location /first { llm_stream openai https://%%UPSTREAM%%; }
        location /second { llm_stream openai https://%%UPSTREAM%%; }
        location /third { llm_stream openai https://%%UPSTREAM%%; }
    }
}
EOT

for my $path (qw(/first /second /third)) {
    my $s = $t->open(method => 'POST', path => $path, body => {
        model => 'm', messages => [ { role => 'user', content => 'hi' } ] });
    my ($p) = $u->take;

    ok($p, "$path: a connection") or next;
    $p->send(LLMTest::Upstream::answer(200, '{"choices":[]}'));
    is($s->status, 200, "$path: answered");
    $s->read_all;
    $p->close;
}
