#!/usr/bin/perl

# Tests of the mock's identity service and of models that want its tokens,
# over raw sockets: each of its options, and what it says that it saw.  See
# mock.t for how to choose the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw(decode_json);
use MockRaw;
use Test::More;

plan skip_all => 'no llm-mock: build it first or set LLM_MOCK'
    if !available();

my $mock = main_mock('--tokens', 3);

my $json = "Content-Type: application/json\r\n";
my $form = "Content-Type: application/x-www-form-urlencoded\r\n";
my $evolution = '{"keyId":"the id","secret":"the secret"}';
my $oauth = 'grant_type=client_credentials&client_id=the%20id'
    . '&client_secret=the+secret';


# one sign-in: bytes and how they ended

sub raw {
    my ($options, %o) = @_;
    my $s = dial();

    put($s, request($options, path => '/api/v1/auth/token', headers => $json,
        body => $evolution, %o));

    return get($s);
}


# the same: status and the body's JSON, if it is any

sub sign_in {
    my ($bytes) = raw(@_);
    my ($status) = $bytes =~ /\AHTTP\/1\.\d (\d+)/;
    my $body = $bytes =~ /^Transfer-Encoding: chunked\r$/m
        ? join '', chunks(body_of($bytes)) : body_of($bytes);

    return ($status, scalar eval { decode_json($body) });
}


sub status_of {
    my ($status) = sign_in(@_);

    return $status;
}


# a call of a model: its status

sub call {
    my ($token, $options, %o) = @_;
    my $header = defined $token ? "Authorization: Bearer $token\r\n" : '';
    my $bytes = ask("token=1,$options", headers => $header, %o);

    return $bytes =~ /\AHTTP\/1\.1 (\d+)/ ? $1 : $bytes;
}


sub counted { return control('GET', 'stats')->{identity} }


subtest 'a token' => sub {
    my ($status, $answer) = sign_in(undef);

    is($status, 200, 'status');
    is_deeply([ sort keys %$answer ],
        [qw(access_token expires_in token_type)], 'members');
    is($answer->{token_type}, 'Bearer', 'type');
    is($answer->{expires_in}, 3600, 'life');
    like($answer->{access_token}, qr/\Amock-token-1-[0-9a-f]{32}\z/, 'token');

    my ($second) = (sign_in(undef))[1]{access_token};
    like($second, qr/\Amock-token-2-/, 'another one');
    isnt(substr($second, 13), substr($answer->{access_token}, 13),
        'which cannot be guessed');

    is(call($answer->{access_token}, ''), 200, 'the first is good');
    is(call($second, ''), 200, 'the second, too');
    is(call("${second}0", ''), 401, 'more than it is not');
    is(call(substr($second, 0, -1), ''), 401, 'less is not');
    is(call('mock-token-3-' . substr($second, 13), ''), 401,
        'nor one of later');
    is(call('mock-token-0-', ''), 401, 'nor one of never');
    is(call(undef, ''), 401, 'nor none');
    is(call($second, 'token=0'), 200, 'nobody asks: a token');
    is(call(undef, 'token=0'), 200, 'nobody asks: none');

    is_deeply(counted(), { requests => 2, issued => 2, refused => 0,
        accepted => 2, rejected => 5 }, 'counted');
    is(control('GET', 'stats?id=identity')->{path}, '/api/v1/auth/token',
        'the record');
    is(control('GET', 'requests?last=20')->[0]{body}, $evolution,
        'the request');
};


subtest 'forms of the request' => sub {
    my $who = 'identity_id=the%20id,identity_secret=the%20secret';
    my %oauth = (path => '/x/oauth2/token');
    my @good = (
        [ 'Evolution' ],
        [ 'Evolution, escapes', body =>
            '{"secret":"\u0074he secret","keyId":"the\u0020id"}' ],
        [ 'form', %oauth, headers => $form, body => $oauth ],
        [ 'form with a scope', %oauth, headers => $form,
            body => "scope=a+b&$oauth" ],
        [ 'JSON', %oauth, body => '{"grant_type":"client_credentials",'
            . '"client_id":"the id","client_secret":"the secret"}' ],
    );
    my @bad = (
        [ 401, 'another id', body => '{"keyId":"x","secret":"the secret"}' ],
        [ 401, 'another secret', body => '{"keyId":"the id","secret":"x"}' ],
        [ 401, 'no secret', body => '{"keyId":"the id"}' ],
        [ 401, 'no string', body => '{"keyId":"the id","secret":1}' ],
        [ 401, 'words of OAuth for Evolution', body =>
            '{"client_id":"the id","client_secret":"the secret"}' ],
        [ 400, 'no JSON', body => '{"keyId":' ],
        [ 400, 'more than JSON', body => $evolution . 'x' ],
        [ 400, 'a list', body => '[]' ],
        [ 400, 'nothing', body => '' ],
        [ 400, 'no type', headers => '' ],
        [ 400, 'a form for Evolution', headers => $form, body => $oauth ],
        [ 400, 'another grant', %oauth, headers => $form,
            body => 'grant_type=password&client_id=the+id' ],
        [ 400, 'no grant', %oauth,
            body => '{"client_id":"the id","client_secret":"the secret"}' ],
        [ 401, 'form, another secret', %oauth, headers => $form,
            body => "client_secret=x&$oauth" ],
        [ 405, 'GET', method => 'GET', body => '' ],
    );

    is(status_of($who, @$_[1 .. $#$_]), 200, $_->[0]) for @good;

    for my $case (@bad) {
        my ($wanted, $name, %o) = @$case;
        my ($status, $answer) = sign_in($who, %o);
        is($status, $wanted, $name);
        like($answer->{error}, qr/^invalid_/, "$name: error");
        ok(!exists $answer->{access_token}, "$name: no token");
    }

    like(raw('identity_id=%E2%82%AC%2C%22', body =>
        '{"keyId":"\u20ac,\"","secret":"s"}'), qr/ 200 /, 'any character');
    like(raw('nonsense=1'), qr/ 400 .*unknown option/s, 'unknown option');
    like(raw('identity=maybe'), qr/ 400 .*bad value/s, 'bad value');
};


subtest 'what it may do instead' => sub {
    control('POST', 'reset');

    is(status_of('identity=401'), 401, 'identity=401');
    is(status_of('identity=500'), 500, 'identity=500');
    is_deeply(counted(), { requests => 2, issued => 0, refused => 2,
        accepted => 0, rejected => 0 }, 'counted as refused');

    my ($status, $answer) = sign_in('identity=garbage');
    is($status, 200, 'garbage: status');
    is($answer, undef, 'garbage: no JSON');

    ($status, $answer) = sign_in('identity=no-token');
    is($status, 200, 'no-token: status');
    is_deeply([ sort keys %$answer ], [qw(expires_in token_type)],
        'no-token: members');
    is(counted()->{issued}, 0, 'none was issued');

    my $bytes = raw('identity=oversized');
    is(length body_of($bytes), 1048576, 'oversized: length');
    is(call(decode_json(body_of($bytes))->{access_token}, ''), 200,
        'oversized: token');
    is(length body_of(scalar raw('identity=oversized,limit=65000')), 65000,
        'oversized: a length of ours');

    my ($nothing, $end) = raw('identity=reset');
    is("$nothing$end", 'reset', 'reset');

    my $s = dial();
    put($s, request('identity=stall', path => '/auth/token',
        headers => $json, body => $evolution));
    $bytes = get($s, qr/\{"access_token":"mock-token-/);
    my ($length) = $bytes =~ /^Content-Length: (\d+)\r$/m;
    cmp_ok(length body_of($bytes), '<', $length, 'stall');
    close $s;
    ok(wait_for('id=identity&end=1'), 'it is over when the client goes');
    is(control('GET', 'stats?id=identity')->{end}, 'aborted', 'as an abort');
};


subtest 'slow' => sub {
    for my $case ([ 'identity=slow', 1 ], [ 'identity_delay=120', 0.12 ],
        [ 'identity=slow,identity_delay=150', 0.15 ],
        [ 'identity=401,identity_delay=130', 0.13 ])
    {
        my ($options, $least) = @$case;
        raw($options);
        my $record = control('GET', 'stats?id=identity');
        cmp_ok($record->{first_sent} - $record->{started}, '>=', $least,
            $options);
    }
};


subtest 'how it is sent' => sub {
    my %like = (
        'framing=length' => qr/^Content-Length: \d+\r\n.*^Connection: cl/ms,
        'framing=chunked' => qr/^Transfer-Encoding: chunked\r\n.*\r\n10\r\n/ms,
        'framing=close' => qr/(?<!chunked)\r\nConnection: close\r\n\r\n\{/,
        'http10=1,framing=chunked' => qr/\AHTTP\/1\.0 200 /,
        'extra_header=X-A:b' => qr/^X-A: b\r$/m,
    );

    for my $options (sort keys %like) {
        like(raw($options), $like{$options}, $options);
        is(status_of("$options,bytewise=1,gap=0.1"), 200,
            "$options, bytewise");
    }

    ok((sign_in('framing=chunked'))[1]{access_token}, 'chunks are whole');
    unlike(scalar raw('framing=close'), qr/^Content-Length/m, 'no length');

    my $s = dial();
    put($s, request('identity=ok', path => '/auth/token', headers => $json,
        body => $evolution, keep => 1));
    get($s, qr/"Bearer"\}\z/);
    put($s, request('token=1'));
    like(scalar get($s), qr/\AHTTP\/1\.1 401 /, 'the connection lives on');
};


subtest 'lives' => sub {
    is((sign_in('life=77.9'))[1]{expires_in}, 77, 'rounded down');
    is((sign_in('life=0'))[1]{expires_in}, 0, 'none');

    for my $says ('-1', '"x"', '"3600"', 'null', '0.5', '[1]') {
        is_deeply((sign_in("says=$says"))[1]{expires_in},
            JSON::PP->new->allow_nonref->decode($says), "says $says");
    }

    like(scalar raw('says=1e400'), qr/"expires_in":1e400,/, 'says 1e400');
    ok(!exists +(sign_in('says=none'))[1]{expires_in}, 'says nothing');

    my $token = (sign_in('life=0.4,says=3600'))[1]{access_token};
    my $status = call($token, '');

    # one that is over before it is used proves nothing, and cannot be
    # helped on a slow machine
    for (1 .. 20) {
        last if $status == 200;
        $token = (sign_in('life=0.4,says=3600'))[1]{access_token};
        $status = call($token, '');
    }

    is($status, 200, 'a short life begins');
    1 while call($token, '') == 200;
    is(call($token, ''), 401, 'and ends');
};


subtest 'models that want a token' => sub {
    my %paths = (
        '/v1/chat/completions' => qr/"error":\{"message".*invalid_api_key/,
        '/v1/messages' => qr/"type":"error".*authentication_error/,
        '/v1beta/models/m:streamGenerateContent?alt=sse' =>
            qr/"status":"UNAUTHENTICATED"/,
        '/api/chat' => qr/\{"error":"/,
        '/v1/embeddings' => qr/"error":\{"message"/,
    );

    for my $path (sort keys %paths) {
        my $bytes = ask('token=1', path => $path);
        like($bytes, qr/\AHTTP\/1\.1 401 /, "$path: status");
        like(body_of($bytes), $paths{$path}, "$path: body");
        like(scalar ask('token=1,token_status=403', path => $path),
            qr/\AHTTP\/1\.1 403 /, "$path: another status");
    }

    my ($key) = (sign_in(undef))[1]{access_token};
    my $bytes = ask('token=1', headers => "x-api-key: $key\r\n");
    like($bytes, qr/\AHTTP\/1\.1 401 /, 'only as a bearer token');
};


subtest 'tokens that are revoked' => sub {
    control('POST', 'revoke');
    my @tokens = map { (sign_in(undef))[1]{access_token} } 1 .. 3;
    sign_in('life=0');

    is_deeply(scalar control('POST', 'revoke'), { revoked => 3 }, 'counted');
    is(call($_, ''), 401, 'a bad one') for @tokens;
    is_deeply(scalar control('POST', 'revoke'), { revoked => 0 }, 'no more');
    is(call((sign_in(undef))[1]{access_token}, ''), 200, 'a new one');
};


subtest 'control' => sub {
    control('POST', 'reset');
    control('POST', 'defaults', 'token=1 identity=500');
    is(call(undef, ''), 401, 'defaults');
    is(status_of(undef), 500, 'of the service, too');
    ok(wait_for('sign_ins=1', 1), 'a sign-in is waited for');
    ok(!wait_for('sign_ins=2', 1), 'in vain');
    ok(!wait_for('issued=1', 1), 'a token, in vain');
    my ($token) = (sign_in('identity=ok'))[1]{access_token};
    ok(wait_for('issued=1', 1), 'a token');

    control('POST', 'reset');
    is_deeply(counted(), { requests => 0, issued => 0, refused => 0,
        accepted => 0, rejected => 0 }, 'reset');
    is(call($token, ''), 200, 'a good token stays good');
    is(call($token, '', method => 'GET'), 405, 'methods are looked at first');
};

is(stop($mock), 0, 'the mock ended');

done_testing();
