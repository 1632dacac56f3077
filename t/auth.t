#!/usr/bin/perl

# Sign-in: what is sent to the identity service, to the byte; the token on
# its way to the model, and no credential of the client's beside it; clients
# of every dialect, streams and answers; one token for all of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Auth qw(conf provider location ask bearer counts CLIENTS);

my $t = LLMTest->new;
my $mock = $t->mock;
my $json = JSON::PP->new->utf8;

# what needs to be written otherwise in a form, in JSON, in HTTP
my $EURO = "\xe2\x82\xac";
my $ODD = "100%&+=\"\\;#?/<>~-._'{}$EURO\xc3\xa9";

$t->write_file('secret', "the-secret\n");
$t->write_file('odd', "$ODD\n");
$t->write_file('odd-id', "id $ODD");
$ENV{LLM_TEST_SECRET} = 'from env%&';

my %odd = (client_id => 'file:%%DIR%%/odd-id',
    client_secret => 'file:%%DIR%%/odd');
my %env = (client_id => 'env:LLM_TEST_SECRET',
    client_secret => 'env:LLM_TEST_SECRET');
my $token_url = 'http://%%MOCK%%/api/v1/auth/token';

my %block = (
    form => {},
    json => { format => 'json' },
    scope => { scope => '"a b&c"' },
    jsonscope => { format => 'json', scope => '"a b\"c"' },
    evolution => { type => 'evolution', url => $token_url },
    oddform => {%odd},
    oddjson => { format => 'json', %odd },
    oddevolution => { type => 'evolution', url => $token_url, %odd },
    env => {%env},
    query => { url => 'http://%%MOCK%%/x/oauth2/token?a=b%20c&d' },
);

my @PROVIDERS = qw(openai openai-completions openai-responses anthropic
    gemini ollama ollama-generate flowise cohere evolution azure openrouter);

$t->config(conf(
    main => 'env LLM_TEST_SECRET;',
    http => 'upstream both { server 127.0.0.1:%%DEAD_PORT%%; '
        . 'server %%MOCK%%; }'
        . join('', map { provider($_, %{ $block{$_} }) } sort keys %block),
    server => join('', map { location("/to-$_", auth => $_) }
        sort keys %block) . join('', map { location("/$_", client => $_,
        auth => 'form') } CLIENTS) . join('', map {
        location("/of-$_", auth => 'form')
        =~ s/llm_stream openai/llm_stream $_/r } @PROVIDERS)
        . location('/both', auth => 'form', to => 'http://both'),
))->start;


# the request to the identity service that this path makes

sub sign_in {
    my ($name) = @_;
    my $before = counts($mock)->{requests};
    my $r = ask($t, "/to-$name");

    is($r->{status}, 200, "$name: answered");
    is(counts($mock)->{requests}, $before + 1, "$name: one sign-in");

    my ($q) = grep { $_->{path} =~ /token$/ } reverse $mock->requests(2);

    return $q;
}


subtest 'the request' => sub {
    my $q = sign_in('form');

    is($q->{method}, 'POST', 'method');
    is($q->{path}, '/oauth2/token', 'path');
    is($q->{version}, '1.1', 'version');
    is($q->{body}, 'grant_type=client_credentials&client_id=the-id'
        . '&client_secret=the-secret', 'body');
    is_deeply({ map { lc $_->[0] => $_->[1] } @{ $q->{headers} } }, {
        host => $mock->address, accept => 'application/json',
        connection => 'close', 'content-length' => length $q->{body},
        'content-type' => 'application/x-www-form-urlencoded',
    }, 'its header, and nothing else');
    is(scalar @{ $q->{headers} }, 5, 'each line once');

    $q = sign_in('json');
    is($q->{body}, '{"grant_type":"client_credentials",'
        . '"client_id":"the-id","client_secret":"the-secret"}', 'JSON: body');
    is({ map { lc $_->[0] => $_->[1] } @{ $q->{headers} } }->{'content-type'},
        'application/json', 'JSON: type');

    $q = sign_in('evolution');
    is($q->{path}, '/api/v1/auth/token', 'Evolution: path');
    is($q->{body}, '{"keyId":"the-id","secret":"the-secret"}',
        'Evolution: body');
    is({ map { lc $_->[0] => $_->[1] } @{ $q->{headers} } }->{'content-type'},
        'application/json', 'Evolution: type');

    $q = sign_in('query');
    is("$q->{path}?$q->{query}", '/x/oauth2/token?a=b%20c&d',
        'path and query as they were given');
};


subtest 'scope' => sub {
    my $q = sign_in('scope');
    is($q->{body}, 'grant_type=client_credentials&client_id=the-id'
        . '&client_secret=the-secret&scope=a%20b%26c', 'form');

    $q = sign_in('jsonscope');
    is_deeply($json->decode($q->{body}), {
        grant_type => 'client_credentials', client_id => 'the-id',
        client_secret => 'the-secret', scope => 'a b"c' }, 'JSON');
};


subtest 'every character' => sub {
    my $q = sign_in('oddform');
    my @fields = split /&/, $q->{body}, -1;
    my %is = map { /\A(\w+)=(.*)\z/ ? ($1 => $2) : () } @fields;

    is(scalar @fields, 3, 'form: three fields');
    unlike($q->{body}, qr/[^A-Za-z0-9%&=_.~-]/, 'form: all is encoded');
    like($is{client_secret}, qr/\A100%25%26%2B%3D%22%5C%3B%23/,
        'form: as it must be');
    s/%([0-9A-F]{2})/chr hex $1/ge for values %is;
    is($is{client_secret}, $ODD, 'form: the secret');
    is($is{client_id}, "id $ODD", 'form: the id');

    my $characters = $ODD;
    utf8::decode($characters);

    $q = sign_in('oddjson');
    utf8::encode($q->{body});
    is_deeply($json->decode($q->{body}), {
        grant_type => 'client_credentials', client_id => "id $characters",
        client_secret => $characters }, 'JSON');

    $q = sign_in('oddevolution');
    utf8::encode($q->{body});
    is_deeply($json->decode($q->{body}), { keyId => "id $characters",
        secret => $characters }, 'Evolution');

    $q = sign_in('env');
    is($q->{body}, 'grant_type=client_credentials&client_id=from%20env%25%26'
        . '&client_secret=from%20env%25%26', 'of the environment');
};


subtest 'the token and nothing else' => sub {
    my $before = counts($mock)->{requests};
    my %theirs = ('Authorization' => 'Bearer sk-CANARY-client',
        'x-api-key' => 'sk-CANARY-client', 'api-key' => 'sk-CANARY-client',
        'x-goog-api-key' => 'sk-CANARY-client',
        'Cookie' => 'session=sk-CANARY-client',
        'Proxy-Authorization' => 'Basic sk-CANARY-client');

    for my $client (CLIENTS) {
        for my $name (sort keys %theirs) {
            my $r = ask($t, "/$client", client => $client,
                headers => { $name => $theirs{$name} });
            my ($q) = $mock->requests(1);

            is($r->{status}, 200, "$client, $name: answered");
            like(join('|', bearer($mock)),
                qr/\ABearer mock-token-\d+-[0-9a-f]{32}\z/,
                "$client, $name: the token");
            unlike(join("\n", map { "@$_" } @{ $q->{headers} },
                [ @{$q}{qw(path query body)} ]), qr/CANARY/,
                "$client, $name: not the client's");
        }
    }

    my $r = ask($t, '/openai?key=sk-CANARY-client&api_key=sk-CANARY-client');
    my ($q) = $mock->requests(1);
    is($r->{status}, 200, 'in the query: answered');
    is($q->{query}, '', 'in the query: not sent');

    is(counts($mock)->{requests}, $before, 'no other sign-in for all that');
};


subtest 'accepted by a model that asks' => sub {
    $mock->reset;
    $mock->defaults('token=1');

    for my $client (CLIENTS) {
        my $r = ask($t, "/$client", client => $client);

        is($r->{status}, 200, "$client: status");
        ok($r->{complete}, "$client: complete");
        like($r->{body}, qr/Lorem/, "$client: text");
    }

    my $r = $t->post('/openai', { model => 'm', stream =>
        JSON::PP::false(), messages => [ { role => 'user', content => 'x' }
        ] });
    is($r->{status}, 200, 'one answer: status');
    like($r->{body}, qr/"chat.completion"/, 'one answer: text');

    is_deeply(counts($mock), { requests => 0, issued => 0, refused => 0,
        accepted => scalar(@{ [CLIENTS] }) + 1, rejected => 0 },
        'the token of before is good for all');
};


subtest 'every provider' => sub {
    $mock->defaults('token=1');
    my $before = counts($mock);

    for my $name (@PROVIDERS) {
        my $r = ask($t, "/of-$name", headers =>
            { 'Authorization' => 'Bearer of-client', 'x-api-key' => 'x' });
        my ($q) = $mock->requests(1);
        my @keys = grep { $_->[0] =~ /authorization|api-?key/i }
            @{ $q->{headers} };

        is($r->{status}, 200, "$name: status");
        like($r->{body}, qr/Lorem/, "$name: text");
        is(scalar @keys, 1, "$name: one credential");
    }

    is(ask($t, '/both')->{status}, 200, 'after a dead peer') for 1 .. 2;
    is(counts($mock)->{rejected}, $before->{rejected}, 'none was refused');
    is(counts($mock)->{requests}, $before->{requests}, 'no sign-in more');
};


subtest 'HTTP/2' => sub {
    my $h2 = $t->h2(port => 1);
    my @streams = map { LLMTest::Auth::open_call($t, '/openai', on => $h2) }
        1 .. 5;

    is($_->result->{status}, 200, 'answered') for @streams;
    is(counts($mock)->{rejected}, 0, 'with the token');
};


subtest 'requests that are refused anyway' => sub {
    my $before = $mock->stats->{requests};

    is($t->get('/to-form')->{status}, 405, 'a method');
    is($t->post('/to-form', '{')->{status}, 400, 'a body');
    is($mock->stats->{requests}, $before, 'cost nothing');
};
