#!/usr/bin/perl

# docs/faq.md, who may ask and for what: CORS, keys, paths, sizes, names,
# certificates, limits.  Each wrong set-up shows its fault, and the page's own
# configuration does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Guide;

my $PATH = '/v1/chat/completions';


sub guide {
    my (%o) = @_;
    my $t = LLMTest->new;
    my $mock = $t->mock(tls => 1, args => $o{args},
        tls_name => 'api.openai.com,api.anthropic.com,llm.example.com');
    my $g = LLMTest::Guide->new($t, 'docs/faq.md', %o,
        hosts => { map { $_ => $mock } @{ $o{names}
            || [ 'api.openai.com' ] } });

    return ($t, $g, $mock);
}


sub status {
    my ($g, $path, %o) = @_;

    return $g->get($path, %o)->{status};
}


sub error_code {
    my ($t, $code) = @_;

    return ok($t->wait_log(qr/^\d+ "\S*" "$code"/, file => 'guide.log'),
        "logged: $code");
}


subtest 'CORS' => sub {
    my ($t, $g) = guide();
    my $fix = $g->block('The browser says CORS');
    my $origin = 'https://app.example.com';
    my %asks = (Origin => $origin,
        'Access-Control-Request-Method' => 'POST',
        'Access-Control-Request-Headers' => 'content-type');

    $g->again({ 8080 => LLMTest::Guide::without($fix, qr/_cors/) });

    my $port = $t->port(8080);
    my $r = $t->http('OPTIONS', $PATH, \%asks, undef, port => $port);
    is($r->{status}, 405, 'without: the preflight is refused');
    $r = $g->get($PATH, headers => { Origin => $origin });
    is($r->{headers}{'access-control-allow-origin'}, undef,
        'and nothing allows the answer');

    $g->again({ 8080 => $fix });
    $r = $t->http('OPTIONS', $PATH, \%asks, undef, port => $port);
    is($r->{status}, 204, 'with it: allowed');
    $r = $g->get($PATH, headers => { Origin => $origin });
    is($r->{headers}{'access-control-allow-origin'}, $origin, 'and read');

    for my $other ('http://127.0.0.1:3000', "$origin/") {
        $r = $t->http('OPTIONS', $PATH, { %asks, Origin => $other }, undef,
            port => $port);
        is($r->{status}, 403, "$other is another origin");
    }

    $g->again({ 8080 => $fix
        =~ s/\}\n\z/    add_header Access-Control-Allow-Origin \$http_origin;
}\n/r });
    $r = $g->get($PATH, headers => { Origin => $origin });
    my @allowed = grep { lc $_->[0] eq 'access-control-allow-origin' }
        @{ $r->{header_list} };
    is(scalar @allowed, 2, 'with an add_header there are two');
    $t->finish;
};


subtest 'a key that is refused' => sub {
    my ($t, $g, $mock) = guide(
        args => [ '--require-key', LLMTest::Guide::key() ]);
    my $fix = $g->block('The key is refused though it is right');
    my $key = LLMTest::Guide::key();
    my %theirs = (headers => { Authorization => 'Bearer sk-theirs' });

    for my $case ([ "\"$key\"\n", 0 ], [ "Bearer $key\n", 1 ]) {
        $t->write_file('guide.key', $case->[0]);
        my ($status) = $t->check_config($g->conf({ 8080 => $fix }));
        is($status, $case->[1], "nginx -t: $case->[1]");
    }

    $t->write_file('guide.key', "\"$key\"\n");
    $g->again({ 8080 => $fix });
    is(status($g, $PATH), 401, 'quotes in the file: refused');
    $t->write_file('guide.key', "$key\n");

    $g->again({ 8080 => LLMTest::Guide::without($fix, qr/_api_key/) });
    is(status($g, $PATH, %theirs), 401, 'without: the key of the client');
    my ($sent) = $mock->requests(1);
    my ($had) = grep { lc $_->[0] eq 'authorization' } @{ $sent->{headers} };
    is($had->[1], 'Bearer sk-theirs', 'was sent');

    $g->again({ 8080 => $fix });
    is(status($g, $PATH, %theirs), 200, 'as the page says');

    $t->write_file('guide.key', "sk-old\n");
    $g->again({ 8080 => $fix });
    my $r = $g->get($PATH);
    is($r->{status}, 401, 'an old key');
    unlike($r->{body}, qr/sk-old/, 'of which the client sees nothing');
    $t->write_file('guide.key', "$key \r\n\n");
    is(status($g, $PATH), 401, 'a new one in the file is not seen');
    $g->again({ 8080 => $fix });
    is(status($g, $PATH), 200, 'until a reload, line ends or not');
    $t->finish;
};


subtest 'the path' => sub {
    my ($t, $g, $mock) = guide();
    my $fix = $g->block('The provider says 404');

    $g->again({ 8080 => $fix =~ s{(com)/v1/chat/\w+;}{$1/v1;}r });
    is(status($g, '/whole'), 404, 'a part of it is all of it');
    is(($mock->requests(1))[0]{path}, '/v1', 'and was asked for');

    $g->again({ 8080 => $fix });
    is(status($g, $_), 200, "$_: as the page says") for $PATH, '/whole';
    $t->finish;
};


subtest 'sizes' => sub {
    my ($t, $g) = guide();
    my $fix = $g->block('413 with images or long conversations');
    my @large = ($PATH, json => { messages => [ { role => 'user',
        content => 'x' x 2_000_000 } ] });

    $g->again(
        { 8080 => LLMTest::Guide::without($fix, qr/client_max/) });
    is(status($g, @large), 413, 'two megabytes');
    error_code($t, 'request_too_large');

    $g->again({ 8080 => $fix });
    is(status($g, @large), 200, 'as the page says');
    $t->finish;
};


subtest 'what a provider cannot do' => sub {
    my ($t, $g) = guide(names => ['api.anthropic.com']);
    my $fix = $g->block('400: the provider cannot do what the request asks');
    my @asks = ($PATH, json => { n => 2 });

    $g->again(
        { 8080 => LLMTest::Guide::without($fix, qr/_unsupported/) });
    my $r = $g->get(@asks);
    is($r->{status}, 400, 'two answers');
    like($r->{body}, qr/\\"n\\"/, 'the member is named');
    error_code($t, 'unsupported_parameter');

    $g->again({ 8080 => $fix });
    is(status($g, @asks), 200, 'as the page says');
    $t->finish;
};


subtest 'a provider that cannot stream' => sub {
    my ($t, $g, $mock) = guide();
    my $fix = $g->block('A provider that cannot stream');

    $g->again({ 8080 => $fix });
    my $r = $g->get($PATH);
    is($r->{status}, 200, 'the client asks for a stream');
    like($r->{headers}{'content-type'}, qr{^text/event-stream}, 'and has it');
    like(($mock->requests(1))[0]{body}, qr/"stream":false/,
        'of one answer');
    $t->finish;
};


subtest 'certificates' => sub {
    my ($t, $g, $mock) = guide(own_ca => 1, names => ['llm.example.com']);
    my $heading = 'The certificate cannot be verified';
    my $own = $g->block($heading);
    my $named = $g->block($heading, n => 1);

    $g->again(
        { 8080 => LLMTest::Guide::without($own, qr/_trusted/) });
    is(status($g, $PATH), 502, 'a CA of your own');
    error_code($t, 'upstream_tls_verify');

    $g->again({ 8080 => $own });
    is(status($g, $PATH), 200, 'as the page says');

    my $mark = $t->log_mark('guide.log');
    $g->again(
        { 8080 => LLMTest::Guide::without($named, qr/_ssl_name/) });
    is(status($g, $PATH), 502, 'a group of another name');
    ok($t->wait_log(qr/"upstream_tls_verify"/, from => $mark,
        file => 'guide.log'), 'is the reason');

    $g->again({ 8080 => $named });
    is(status($g, $PATH), 200, 'as the page says');

    my ($sent) = $mock->requests(1);
    my %headers = map { lc $_->[0] => $_->[1] } @{ $sent->{headers} };
    is($headers{host}, 'llm.example.com', 'and Host is right');
    $t->finish;
};


subtest 'host not found' => sub {
    my ($t, $g) = guide();
    my $fix = $g->block('"host not found in upstream" when nginx starts');
    my $name = 'provider.invalid';
    my ($status, $output) = $t->check_config($g->conf({ 8080 =>
        "location / {\n    llm_stream openai https://$name;\n}\n" }));

    isnt($status, 0, 'a name that is not there');
    like($output, qr/host not found in upstream "\Q$name\E"/, 'is said');

    ($status, $output) = $t->check_config($g->conf({ 8080 =>
        $fix =~ s/api\.openai\.com/$name/r }));
    is($status, 0, 'as the page says: nginx starts') or diag($output);

    # a group of the name of a variable's value is taken for it
    $g->again({ 8080 => $fix });
    is(status($g, $PATH), 200, 'and asks the provider');
    $t->finish;
};


subtest 'limits' => sub {
    my ($t, $g, $mock) = guide();
    my $fix = $g->block('500 or 503 under load');

    for my $case ([ 503, LLMTest::Guide::without($fix, qr/_conn_status/) ],
        [ 429, $fix ])
    {
        my ($status, $block) = @$case;

        $g->again({ 8080 => $block });
        my $s = $g->ask($PATH, mock => "lockstep=l$status");
        ok($mock->wait(id => "l$status", events => 1), 'a stream');
        is(status($g, $PATH), $status, "the next one gets $status");
        $s->close;
        $t->wait_for(sub { $mock->stats->{open} == 0 });
    }

    $t->finish;
};


subtest 'connections' => sub {
    my ($t, $g, $mock) = guide();
    my $node = "location $PATH {\n"
        . "    llm_stream openai https://api.openai.com;\n}\n";

    $t->allow_log(qr/worker_connections are not enough/);

    my %seen;
    my $round = 0;

    # some for nginx itself, and an even or an odd number for streams; who
    # gets which depends on how fast all are, so perhaps more than once
    for my $n ((12, 13) x 10) {
        my $mark = $t->log_mark;

        last if keys %seen == 3;

        $round++;
        $g->again(
            { 8080 => "events { worker_connections $n; }\n$node" });

        my @s = map { $g->ask($PATH, mock => "lockstep=c$round-$_") } 1 .. 8;

        ok($t->wait_log(qr/\[alert\].* worker_connections are not enough/,
            from => $mark), "$n: the log says so");
        $t->wait_for(sub { grep { $_->poll; $_->has_headers
            && $_->status == 500 } @s }, 1);
        $seen{ $_->has_headers ? $_->status : 'none' } = 1 for @s;
        $_->close for @s;
        ok($t->wait_for(sub { $mock->stats->{open} == 0 }), "$n: over");
    }

    is_deeply([ sort keys %seen ], [ 200, 500, 'none' ],
        'clients are served, get 500, or wait');

    $g->again({ 8080 => $node });
    my @s = map { $g->ask($PATH, mock => "lockstep=d$_") } 1 .. 8;
    ok($mock->wait(id => "d$_", events => 1), "enough: stream $_") for 1 .. 8;
    $t->finish;
};


subtest 'every block of the page is run' => sub {
    my $t = LLMTest->new;
    my $page = LLMTest::Guide->new($t, 'docs/faq.md');
    my $tests = '';

    for my $file (glob "$FindBin::Bin/faq*.t") {
        open my $fh, '<', $file or die "$file: $!\n";
        local $/ = undef;
        $tests .= readline $fh;
        close $fh;
    }

    for my $heading ($page->headings) {
        my $blocks = () = $page->section($heading) =~ /^```nginx$/mg;
        my $named = index($tests, "'$heading'") >= 0;

        ok(!$blocks || $named, "$heading: run");
    }
};
