#!/usr/bin/perl

# Secrets of sign-in stay where they belong: canaries for the secret and the
# token, through good and bad sign-ins, refusals that quote them, dead and
# deaf services, at debug level: they are in no log, no answer, no variable,
# no file, and not in the environment of the workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find ();
use Test::More;

use LLMTest;
use LLMTest::Auth qw(provider open_call auth_error reasons CLIENTS);
use LLMTest::Chat qw(reply);
use LLMTest::Clock;
use LLMTest::Upstream;

my %SECRET = (file => 'CANARY-file-%3f&+9A', env => 'CANARY-env-7b2C');
my $TOKEN = 'CANARY-token-0d4e.61b8';

# secrets as they are written in a form
my @ALL = (values %SECRET, $TOKEN, 'CANARY-file-%253f%26%2B9A');

my @NAMES = qw(model request_model client upstream ttft duration chunks chars
    bytes_in bytes_out chars_per_second chunks_per_second chunk_size itl
    tokens_in tokens_out tokens_cached tokens_reasoning tokens_source finish
    end error);
my $vars = join ' ', (map { "\$llm_stream_$_" } @NAMES),
    (map { "\$upstream_$_" } qw(addr status response_time header_time
        connect_time bytes_sent bytes_received cache_status)),
    (map { "\$upstream_http_$_" } qw(authorization www_authenticate
        content_type x_echo)),
    (map { "\$sent_http_$_" } qw(authorization www_authenticate x_echo));

my $t = LLMTest->new;
my $u = $t->upstream;
my $identity = $t->upstream;
my $clock = LLMTest::Clock->new($t);     # stands still but for "silent"
my @answers;

$t->canary(@ALL);
$t->write_file('canary', "$SECRET{file}\n");

my %how = (
    file => provider('file', url => 'http://%%UPSTREAM_2%%/t',
        client_secret => 'file:%%DIR%%/canary', timeout => '300ms'),
    env => provider('env', url => 'http://%%UPSTREAM_2%%/t',
        format => 'json', client_secret => 'env:LLM_TEST_CANARY',
        timeout => '300ms'),
);

my @cases = qw(good refused garbage notoken badtoken large reset silent
    status quoted);
my $CONF = <<'ENDOFCONF';
%%GLOBALS%%
worker_processes 2;
events { }
http {
    %%HTTP%%
    log_format all "$request_uri $status VARS";
    access_log %%DIR%%/vars.log all;
    add_header X-All "VARS" always;
BLOCKS
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /plain { return 200 "VARS\n"; }
LOCATIONS
    }
}
ENDOFCONF

# blocks of their own for each case: a failed sign-in makes the next one wait
my ($blocks, $locations) = ('', '');

for my $how (sort keys %how) {
    for my $case (@cases) {
        $blocks .= $how{$how} =~ s/provider $how /provider ${how}_$case /r;
        $locations .= <<"ENDOFCONF" for CLIENTS;
location /$how/$case/$_ {
    llm_stream openai http://%%UPSTREAM%%;
    llm_stream_client $_;
    llm_stream_auth ${how}_$case;
}
ENDOFCONF
    }
}

$CONF =~ s/BLOCKS\n/$blocks/;
$CONF =~ s/LOCATIONS\n/$locations/;
$CONF =~ s/VARS/$vars/g;
$t->config($CONF);

{
    local $ENV{LLM_TEST_CANARY} = $SECRET{env};
    $t->start(env => $clock->env);
}


sub say_answer {
    my ($body) = @_;

    return [ send => LLMTest::Upstream::answer(200, $body, 'Content-Type' =>
        'application/json', 'X-Echo' => "$TOKEN $SECRET{file}") ];
}


sub echo {
    my ($status) = @_;

    return [ send => LLMTest::Upstream::answer($status, '{"error":{"message":'
        . "\"Bad token: $TOKEN. Go away.\",\"type\":\"x\",\"param\":null,"
        . "\"code\":\"$TOKEN\"}}", 'Content-Type' => 'application/json',
        'WWW-Authenticate' => "Bearer error=\"$TOKEN\"") ];
}


# a call, after which the answer is kept for the search
sub call {
    my ($path, $client, $meanwhile) = @_;
    my $s = open_call($t, $path, client => $client);

    $meanwhile->() if $meanwhile;

    my $r = $s->result;

    push @answers, [ $path, join "\n", $r->{body},
        map { "@$_" } @{ $r->{header_list} } ];

    return $r;
}

my $good = say_answer("{\"access_token\":\"$TOKEN\",\"expires_in\":3600}");
my %said = (
    good => [ $good, ['close'] ], refused => [ $good, ['close'] ],
    quoted => [ $good, ['close'] ],
    garbage => [ say_answer("<$TOKEN $SECRET{file}>"), ['close'] ],
    notoken => [ say_answer("{\"$TOKEN\":\"$SECRET{env}\"}"), ['close'] ],
    badtoken => [ say_answer("{\"access_token\":\"$TOKEN x\"}"), ['close'] ],
    large => [ say_answer("{\"access_token\":\"$TOKEN" . 'x' x 90_000
        . '"}'), ['close'] ],
    reset => [ [ send => "HTTP/1.1 200 OK\r\nX: $TOKEN" ], ['reset'] ],
    silent => [ [ send => "HTTP/1.1 200 OK\r\nX: $TOKEN\r\n" ],
        ['wait_close'] ],
    status => [ echo(403), ['close'] ],
);


for my $how (sort keys %how) {
    for my $case (@cases) {
        subtest "a secret by $how, $case" => sub {
            my $before = $identity->connections;

            my $peer = $identity->peer($before + 1);
            my $q;

            # what comes with the first call
            my $come = sub {
                $q = $peer->request;
                $clock->advance(0.5) if $case eq 'silent';
            };

            $identity->script(['request'], @{ $said{$case} });

            for my $client (CLIENTS) {
                my $path = "/$how/$case/$client";

                if ($case !~ /^(?:good|refused|quoted)$/) {
                    auth_error(call($path, $client, $q ? undef : $come),
                        $client);
                    next;
                }

                # renewed once, by an answer that brings the same token
                if ($case eq 'refused') {
                    $identity->script(['request'], @{ $said{good} });
                    $u->script(['request'], echo(401), ['close']) for 1 .. 2;

                # it may be renewed once for all of these
                } elsif ($case eq 'quoted') {
                    $identity->each_request(@{ $said{good} });
                    $u->each_request([ send =>
                        LLMTest::Upstream::stream("data: {\"error\":{"
                        . "\"message\":\"No $TOKEN\",\"code\":401}}\n\n") ],
                        ['close']);

                } else {
                    $u->script(['request'], [ send => reply('hi') ],
                        ['close']);
                }

                my $r = call($path, $client, $q ? undef : $come);
                is($r->{status}, { good => 200, refused => 401,
                    quoted => 401 }->{$case}, "$client: status");
                last if $case eq 'refused';
            }

            like($q->{body}, $how eq 'file'
                ? qr/client_secret=CANARY-file-%253f%26%2B9A\z/
                : qr/"client_secret":"\Q$SECRET{env}\E"/,
                'the service has got the secret');
        };
    }
}


subtest 'what clients saw' => sub {
    my $r = call('/plain', 'openai');
    is($r->{status}, 200, 'a page of variables');

    my @found = grep { $_->[1] =~ /CANARY/ } @answers;
    ok(!@found, 'no secret and no token in ' . @answers . ' answers')
        or diag(map { "    $_->[0]: $_->[1]\n" } @found);
};


subtest 'the model gets the token' => sub {
    my $q = $u->peer(1)->request;

    is($q->{headers}{authorization}, "Bearer $TOKEN", 'in its header');
    unlike($q->{raw} =~ s/Authorization: .*//r, qr/CANARY/i,
        'and nowhere else');
};


subtest 'the environment' => sub {
    my @workers = $t->workers;

    cmp_ok(scalar @workers, '>=', 2, 'workers');

    for my $pid (@workers) {
        open my $fh, '<:raw', "/proc/$pid/environ" or die "environ: $!";
        my $environ = join '', readline $fh;
        close $fh;

        # that of valgrind is the one that it was started with
        $environ = '' if $ENV{TEST_NGINX_VALGRIND};
        unlike($environ, qr/CANARY/, 'of a worker');
    }
};


subtest 'no variable gives them' => sub {
    for my $name (qw(llm_stream_auth llm_stream_token llm_stream_auth_token
        llm_stream_secret))
    {
        local $ENV{LLM_TEST_CANARY} = $SECRET{env};
        my ($status, $output) = $t->check_config($CONF
            =~ s/location \/plain \{/$& set \$x \$$name;/r);

        isnt($status, 0, "\$$name: refused");
        like($output, qr/unknown "$name" variable/, "\$$name: unknown");
        unlike($output, qr/CANARY/, "\$$name: no secret");
    }
};


subtest 'no log, no file' => sub {
    ok($t->reload, 'reload') or diag($t->error_log);
    ok($t->stop, 'stopped');

    my @found;

    File::Find::find({ no_chdir => 1, wanted => sub {
        my $name = $File::Find::name;

        return if !-f $name || $name =~ m{/(?:canary|[\w-]+\.conf)\z};

        my $bytes = $t->read_file(substr $name, 1 + length $t->dir);
        push @found, $name if $bytes =~ /CANARY-(?:file|env|token)/;
    } }, $t->dir);

    is_deeply(\@found, [], 'in no file');
    cmp_ok(() = $t->error_log =~ /\[debug\]/g, '>', 1000,
        'the log is at debug level');
    is(scalar(reasons($t, "file_$_")), 1, "$_: it says why")
        for qw(garbage notoken badtoken large reset silent status);
};
