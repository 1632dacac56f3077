#!/usr/bin/perl

# Sign-in over TLS: the certificate and its name are checked before a byte of
# the secret is written, SNI is the host of the address, and a failure is
# told to the client and the log; and an identity service at an IPv6 address.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask bearer auth_error reasons);
use LLMTest::Mock;

my $SECRET = 'sk-CANARY-secret-31c7';
my $TOKEN = 'CANARY-token-58d2';
my $ANSWER = LLMTest::Upstream::answer(200,
    "{\"access_token\":\"$TOKEN\",\"expires_in\":3600}",
    'Content-Type' => 'application/json');

my $t = LLMTest->new;
my @each = (each => [ [ send => $ANSWER ], ['close'] ]);

$t->canary($SECRET, $TOKEN);
$t->write_file('secret', $SECRET);

my %up = (
    good => $t->upstream(tls => 'localhost', @each),
    address => $t->upstream(tls => '127.0.0.1', @each),
    self => $t->upstream(tls => pair('localhost', self_signed => 1), @each),
    other => $t->upstream(tls => pair('localhost', ca => 'other'), @each),
    expired => $t->upstream(tls => pair('localhost', expired => 1), @each),
    name => $t->upstream(tls => 'another.test', @each),
    clear => $t->upstream,
);
my $mock = $t->mock(tls => 1);
my $six = loopback6() && LLMTest::Mock->new(root => $t->root,
    log => $t->dir . '/mock6', args => [ '--address', '::1' ]);

$t->set(CA => $t->tls_ca);


# has this machine the address ::1?

sub loopback6 {
    open my $fh, '<', '/proc/net/if_inet6' or return 0;
    my $found = grep { /^0{31}1 / } readline $fh;
    close $fh;

    return $found;
}


sub pair {
    my ($name, %o) = @_;
    my ($cert, $key) = $t->tls_cert($name, %o);

    return { cert => $cert, key => $key };
}


# blocks: the upstream, the host of the address, what must be in the reason
# (nothing: it works), and what else the block says
my %block = (
    good => [ 'good', 'localhost' ],
    address => [ 'address', '127.0.0.1' ],
    self => [ 'self', 'localhost', qr/certificate|self.signed/i ],
    other => [ 'other', 'localhost', qr/certificate/i ],
    expired => [ 'expired', 'localhost', qr/certificate/i ],
    wrongname => [ 'name', 'localhost', qr/certificate|match/i ],
    wrongaddress => [ 'good', '127.0.0.1', qr/certificate|match/i ],
    system => [ 'good', 'localhost', qr/certificate/i,
        ssl_trusted_certificate => undef ],
    unverified => [ 'self', 'localhost', undef, ssl_verify => 'off' ],
    unnamed => [ 'name', 'localhost', undef, ssl_verify => 'off' ],
    clear => [ 'clear', 'localhost', qr/SSL|TLS/ ],
);

$t->config(conf(
    http => join('', map {
        my ($to, $host, undef, %more) = @{ $block{$_} };

        provider($_, url => "https://$host:" . $up{$to}->port . '/t',
            ssl_trusted_certificate => '%%CA%%', %more);
    } sort keys %block) . provider('mock',
        url => 'https://localhost:' . $mock->tls_port . '/oauth2/token',
        ssl_trusted_certificate => '%%CA%%') . provider('six',
        url => 'http://[::1]:' . ($six ? $six->port : 1) . '/oauth2/token'),
    server => join '', map { location("/$_", auth => $_) } sort keys %block,
        qw(mock six),
))->start;


for my $name (sort keys %block) {
    my ($to, $host, $why) = @{ $block{$name} };

    subtest $name => sub {
        my $before = $up{$to}->connections;
        my $calls = $mock->stats->{requests};
        $up{clear}->script([ send => $ANSWER ], ['close'])
            if $name eq 'clear';

        my $r = ask($t, "/$name");
        my $peer = $up{$to}->peer($before + 1);

        is($up{$to}->connections, $before + 1, 'one connection');

        if ($why) {
            auth_error($r, 'openai', 'the client');
            is($mock->stats->{requests}, $calls, 'the model is not asked');
            is($peer->stat->{requests}, 0, 'no request was sent');

            my @reasons = reasons($t, $name);
            is(scalar @reasons, 1, 'one line in the log');
            like($reasons[0] // '', $why, 'it says why');
            return;
        }

        is($r->{status}, 200, 'answered');
        is_deeply([ bearer($mock) ], ["Bearer $TOKEN"], 'with the token');
        is($peer->request->{headers}{host}, "$host:" . $up{$to}->port,
            'host');
        is_deeply([ reasons($t, $name) ], [], 'nothing in the log');
    };
}


subtest 'the secret stays here' => sub {
    for my $to (qw(other expired clear)) {
        for my $n (1 .. $up{$to}->connections) {
            is($up{$to}->peer($n)->stat->{requests}, 0,
                "$to, connection $n: no request");
        }
    }
};


subtest 'the name that is asked for' => sub {
    is(ask($t, '/mock')->{status}, 200, 'answered');

    my ($q) = grep { $_->{path} =~ /token$/ } reverse $mock->requests(2);
    is($q->{sni}, 'localhost', 'SNI');
};


subtest 'IPv6' => sub {
    if (!$six) {
        ok(!loopback6(), 'this machine has no IPv6');
        return;
    }

    is(ask($t, '/six')->{status}, 200, 'answered');
    like(join('|', bearer($mock)), qr/\ABearer mock-token-1-\w+\z/,
        'with a token');
};
