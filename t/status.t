#!/usr/bin/perl

# llm_stream_status: which format a client gets, by which methods, with which
# header; labels that no format may break at; JSON and Prometheus' text say
# the same, value by value; a zone with nothing in it, and a full one; what
# nginx -t takes and refuses.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Uncompress::Gunzip ();
use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Config;
use LLMTest::Metrics;

my $t = LLMTest->new(log_level => 'info');
my $mock = $t->mock;
my $many = join '', map { "location /many/$_/ { llm_stream openai"
    . " http://%%MOCK%%; }\n" } 1 .. 260;

# a location that has to be escaped
my $HOSTILE = "/q\"\\</script>\x{c3}\x{a9}/";

$t->config(<<"EOT" =~ s/HOSTILE/$HOSTILE =~ s{(["\\])}{\\$1}gr/er)->start;
%%GLOBALS%%
worker_processes 2;
events { }
http {
    %%HTTP%%
    llm_stream_zone metrics:8m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        server_name "llm.example";

        location /v1/ { llm_stream openai http://%%MOCK%%; }
        location "HOSTILE" { llm_stream openai http://%%MOCK%%; }
        location /dead/ { llm_stream openai http://127.0.0.1:%%DEAD_PORT%%; }

        location = /status { llm_stream_status; }
        location = /json { llm_stream_status json; }
        location = /html { llm_stream_status html; }
        location = /prometheus { llm_stream_status prometheus; }
        location = /gzip {
            llm_stream_status;
            gzip on;
            gzip_vary on;
            gzip_min_length 1;
            gzip_types text/plain application/json;
        }
        location = /if {
            llm_stream_status json;
            if (\$arg_x) { set \$y 1; }
        }
        location = /except {
            llm_stream_status json;
            limit_except GET { deny all; }
        }
        location = /charset { llm_stream_status; charset koi8-r; }
    }
}
EOT

my %TYPE = (prometheus => 'text/plain; version=0.0.4; charset=utf-8',
    json => 'application/json', html => 'text/html; charset=utf-8');
my %FORMAT = reverse %TYPE;


sub ask {
    my ($path, %o) = @_;
    my $s = $t->open(method => $o{method} // 'GET', path => $path,
        headers => [ map { [ Accept => $_ ] } ref $o{accept}
            ? @{ $o{accept} } : $o{accept} // (), ],
        ($o{h2} ? (proto => 'h2', port => 1) : ()));

    $s->wait_end;

    return $s;
}


sub chat {
    my ($path, $model, $options) = @_;
    my $s = $t->open(method => 'POST', path => $path,
        headers => { 'X-Mock' => $options // '' },
        body => { model => $model, stream => JSON::PP::true(),
            messages => [ { role => 'user', content => 'hi' } ] });

    $s->wait_end;

    return $s->status;
}


# what is asked for, and what of it is the best

my @ACCEPT = (
    [ undef, 'prometheus' ],
    [ '*/*', 'prometheus' ],
    [ '', 'prometheus' ],
    [ 'text/plain', 'prometheus' ],
    [ 'text/html', 'html' ],
    [ 'application/json', 'json' ],
    [ 'Application/JSON', 'json' ],
    [ 'application/json; charset=utf-8', 'json' ],
    [ 'text/*', 'prometheus' ],
    [ 'application/*', 'json' ],
    [ 'image/png', 'prometheus' ],
    [ 'application/jso', 'prometheus' ],
    [ 'application/jsonp', 'prometheus' ],

    # Prometheus 2 and 3, browsers, libraries
    [ 'application/openmetrics-text;version=1.0.0,application/openmetrics-'
        . 'text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,'
        . '*/*;q=0.1', 'prometheus' ],
    [ 'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,'
        . 'application/openmetrics-text;version=0.0.1;q=0.5,text/plain;'
        . 'version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;'
        . 'q=0.3,*/*;q=0.2', 'prometheus' ],
    [ 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,'
        . 'image/webp,image/apng,*/*;q=0.8,application/signed-exchange;'
        . 'v=b3;q=0.7', 'html' ],
    [ 'application/json, text/plain, */*', 'json' ],
    [ 'application/json, text/javascript, */*; q=0.01', 'json' ],

    # weights
    [ 'text/html;q=0.5, application/json;q=0.6', 'json' ],
    [ 'text/html;q=0.5,application/json;q=0.499', 'html' ],
    [ 'application/json;q=0.1, */*;q=0.2', 'prometheus' ],
    [ 'text/plain;q=0, */*', 'html' ],
    [ 'text/plain;q=0,text/html;q=0,*/*', 'json' ],
    [ 'text/*;q=0.9,text/html;q=0.1,application/json;q=0.5', 'prometheus' ],
    [ 'text/*;q=0.3,*/*;q=0.5', 'json' ],
    [ 'text/html;q=0', 'prometheus' ],
    [ '*/*;q=0', 'prometheus' ],
    [ 'text/html ; Q=1.000 , application/json', 'html' ],
    [ 'text/html;level=1;q=0.4,application/json;q=0.5', 'json' ],
    [ 'text/html;q=1;ext=x, application/json;q=0.9', 'html' ],
    [ [ 'text/html;q=0.2', 'application/json;q=0.3' ], 'json' ],

    # what is no weight, no range
    [ 'text/html;q=1.5,application/json;q=0.1', 'json' ],
    [ 'text/html;q=-1,application/json;q=0.1', 'json' ],
    [ 'text/html;q=,application/json;q=0.1', 'json' ],
    [ 'text/html;q=0.1234,application/json;q=0.1', 'json' ],
    [ ',,;;q=1,;,text/html', 'html' ],
    [ '"', 'prometheus' ],
    [ 'text/plain;a="x,text/html;q=1";q=0.1,application/json;q=0.2', 'json' ],
    [ 'text/plain;a="\\",text/html";q=0.1,application/json;q=0.2', 'json' ],
    [ '*', 'prometheus' ],
    [ '/*', 'prometheus' ],
    [ '*/html', 'prometheus' ],
    [ 'text/', 'prometheus' ],
    [ join(',', ('a/b') x 1500) . ',text/html', 'html' ],
);

subtest 'Accept' => sub {
    for my $case (@ACCEPT) {
        my ($accept, $want) = @$case;
        my $name = substr ref $accept ? "@$accept" : $accept // 'none', 0, 70;
        my $s = ask('/status', accept => $accept);

        is($s->status, 200, "$name: answered");
        is($s->header('content-type'), $TYPE{$want}, "$name: $want");
        is($s->header('vary'), 'Accept', "$name: Vary");
    }
};


subtest 'a format that is said' => sub {
    for my $format (sort keys %TYPE) {
        for my $accept (undef, map { s/;.*//r } values %TYPE) {
            my $s = ask("/$format", accept => $accept);

            is($s->header('content-type'), $TYPE{$format},
                "$format to " . ($accept // 'whom'));
            is($s->header('vary'), undef, "$format: without Vary");
        }
    }

    is(ask('/if?x=1')->header('content-type'), $TYPE{json}, 'in an if');
    is(ask('/except')->status, 200, 'with limit_except');
    is(ask('/except', method => 'POST')->status, 403, 'which refuses');
};


subtest 'methods, header' => sub {
    for my $h2 (0, 1) {
        my $name = $h2 ? 'h2' : 'h1';

        for my $format (sort keys %TYPE) {
            my $s = ask("/$format", h2 => $h2);
            my $length = $s->header('content-length');

            is($s->header('cache-control'), 'no-store', "$name, $format");
            is($s->header('x-content-type-options'), 'nosniff',
                "$name, $format: not to be guessed");
            is($length, length $s->body, "$name, $format: its length");

            my $head = ask("/$format", method => 'HEAD', h2 => $h2);

            is($head->status, 200, "$name, $format: HEAD");
            is($head->body, '', "$name, $format: HEAD has no body");
            is($head->header('content-type'), $TYPE{$format},
                "$name, $format: HEAD has the type");
            ok($head->header('content-length') > 100,
                "$name, $format: HEAD has a length");
        }

        for my $method (qw(POST PUT DELETE OPTIONS PATCH)) {
            is(ask('/status', method => $method, h2 => $h2)->status, 405,
                "$name: $method is refused");
        }
    }

    my $s = $t->open(method => 'GET', path => '/json', body => 'x' x 5000);

    $s->wait_end;
    is($s->status, 200, 'a body is read and thrown away');
    is($t->open(on => $s, method => 'GET', path => '/json')->status, 200,
        'and the connection goes on');
    is(ask('/charset')->header('content-type'), $TYPE{prometheus},
        'another charset changes nothing');
};


# what is counted, with labels as bad as they come

utf8::encode(my $bad = "m\"\\</script>\x{2028}\x{1f600}{},=\x{e9}");
utf8::decode(my $model = $bad);

chat('/v1/chat/completions', 'plain', 'tokens=4 usage=force');
chat('/v1/chat/completions', $model, 'tokens=3');
chat('/v1/chat/completions', 'x' x 250, 'tokens=1');
chat('/dead/chat/completions', $model);
chat('/v1/chat/completions', 'refused', 'status=429');
chat('/q%22%5c%3c/script%3e%c3%a9/chat/completions', 'plain', 'tokens=2');
LLMTest::Metrics->wait_sum($t, 6, 'requests_total', path => '/prometheus');


# what JSON says, as samples of Prometheus

my %LABELS = (requests => ['end'], errors => ['error'],
    cache_hits => ['type'], tokens => [ 'type', 'source' ],
    upstream_errors => ['class']);

sub flat {
    my ($m, $json) = @_;
    my %out = (sample('zone_lost_total', {}) => $json->{zone}{lost});

    for my $s (@{ $json->{series} }) {
        my %on = map { $_ => delete $s->{$_} } qw(server location upstream
            model);

        utf8::encode($_) for values %on;

        my $open = delete $s->{open};

        is(defined $open, $on{model} eq 'other' ? 1 : '',
            'what is open is known of "other"') if $on{model} eq 'other'
            || defined $open;
        $out{ sample('streams_open', { %on, model => undef }) } = $open
            if defined $open;

        for my $name (keys %$s) {
            if (ref $s->{$name} && $s->{$name}{buckets}) {
                flat_hist(\%out, $m, \%on, $name, $s->{$name});

            } else {
                flat_counter(\%out, "${name}_total", \%on, $s->{$name},
                    @{ $LABELS{$name} || [] });
            }
        }
    }

    return \%out;
}


sub flat_counter {
    my ($out, $name, $on, $value, $label, @labels) = @_;

    if (!ref $value) {
        $out->{ sample($name, $on) } = $value;
        return;
    }

    flat_counter($out, $name, { %$on, $label => $_ }, $value->{$_}, @labels)
        for keys %$value;

    return;
}


sub flat_hist {
    my ($out, $m, $on, $name, $h) = @_;

    $name .= '_seconds' if ($m->type("${name}_seconds") // '') eq 'histogram';
    $out->{ sample("${name}_$_", $on) } = $h->{$_} for qw(sum count);
    $out->{ sample("${name}_bucket", { %$on, le => $_->{le} // '+Inf' }) }
        = $_->{count} for @{ $h->{buckets} };

    return;
}


sub sample {
    my ($name, $labels) = @_;

    return join ' ', $name, map { "$_=$labels->{$_}" }
        grep { defined $labels->{$_} } sort keys %$labels;
}


sub samples_of {
    my ($m) = @_;
    my %out;

    for my $name ($m->names) {
        next if $name =~ /zone_age/;

        $out{ sample($name =~ s/^nginx_llm_stream_//r, $_->{labels}) }
            = 0 + $_->{value} for $m->samples($name);
    }

    return \%out;
}


my $text = ask('/prometheus')->body;
my $metrics = LLMTest::Metrics::parse($text);
my $json = JSON::PP->new->utf8->decode(ask('/json')->body);

subtest 'JSON and Prometheus agree' => sub {
    is($json->{version}, 1, 'version');
    is($json->{zone}{series}, scalar @{ $json->{series} }, 'series');
    cmp_ok($json->{age}, '>', 0, 'age');

    my $from_json = flat($metrics,
        JSON::PP->new->utf8->decode(ask('/json')->body));
    my $from_text = samples_of($metrics);

    cmp_ok(scalar keys %$from_text, '>', 1000, 'samples');
    is_deeply($from_json, $from_text, 'value by value');
};


subtest 'labels' => sub {
    my %seen = map { $_->{model} => 1 } @{ $json->{series} };

    ok($seen{$model}, 'JSON: a model with everything');
    ok((grep { length == 64 && /^x+$/ } keys %seen), 'a long one is cut');
    ok(!$seen{refused}, 'a model that was refused has no series');
    is($metrics->sum('requests_total', model => $bad), 1, 'as in the text');
    is($metrics->sum('requests_total', location => $HOSTILE), 1,
        'a location with everything');
    unlike(ask('/json')->body, qr/\xe2\x80\xa8/, 'no raw line separator');
    is(index(ask('/html')->body, '\\</script>'), -1, 'nor a label in HTML');
};


subtest 'the text' => sub {
    my ($family, %done);

    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP (\w+) \S/) {
            ok(!$done{$1}++, "$1: once");
            $family = $1;
            next;
        }

        next if $line =~ /^# TYPE \Q$family\E (?:counter|gauge|histogram)$/;
        $line =~ /^\Q$family\E(?:_bucket|_sum|_count)?(?=[ {])/
            or fail("$family: together: $line");
    }

    for my $name (keys %{ $metrics->{type} }) {
        like($metrics->type($name), $name =~ /_total$/ ? qr/^counter$/
            : qr/^(?:gauge|histogram)$/, "$name: its type");
        ok(length $metrics->help($name), "$name: its help");
    }

    is(substr($text, -1), "\n", 'a line feed at the end');
};


subtest 'histograms' => sub {
    for my $s (@{ $json->{series} }) {
        for my $name (grep { ref $s->{$_} && $s->{$_}{buckets} } keys %$s) {
            my $h = $s->{$name};
            my @b = @{ $h->{buckets} };
            my $on = "$name of " . $s->{model} =~ s{[^ -~]}{?}gr;

            ok(!(grep { $b[$_]{count} < $b[ $_ - 1 ]{count} } 1 .. $#b),
                "$on: counts rise");
            ok(!(grep { $b[$_]{le} <= $b[ $_ - 1 ]{le} } 1 .. $#b - 1),
                "$on: bounds rise");
            is($b[-1]{le}, undef, "$on: the last one has no bound");
            is($b[-1]{count}, $h->{count}, "$on: is all");

            for my $p (50, 90, 99) {
                is(defined $h->{"p$p"}, $h->{count} > 0 ? 1 : '',
                    "$on: p$p if there are any") or next;
                next if !$h->{count};
                my ($in) = grep { !defined $b[$_]{le}
                    || $b[$_]{count} >= $p / 100 * $h->{count} } 0 .. $#b;
                my $low = $in ? $b[ $in - 1 ]{le} : 0;
                my $high = $b[$in]{le} // $low;

                ok($h->{"p$p"} >= $low && $h->{"p$p"} <= $high,
                    "$on: p$p in its bucket");
            }
        }
    }
};


subtest 'gzip' => sub {
    for my $accept (map { s/;.*//r } @TYPE{qw(prometheus json html)}) {
        my $s = $t->open(method => 'GET', path => '/gzip', headers => {
            Accept => $accept, 'Accept-Encoding' => 'gzip' });

        $s->wait_end;
        is($s->header('content-encoding'), 'gzip', "$accept: compressed");
        ok((grep { lc $_->[0] eq 'vary' && $_->[1] =~ /Accept\b(?!-)/ }
            @{ $s->header_list }), "$accept: Vary is kept");

        my $body = $s->body;

        ok(IO::Uncompress::Gunzip::gunzip(\$body => \my $plain),
            "$accept: can be read");
        is(LLMTest::Metrics::parse($plain)->sum('requests_total'), 6,
            'and is whole') if $accept eq 'text/plain';
    }
};


# nothing to show, and as much as there can be

for my $case ([ 'no location', '', 0 ], [ 'too many', $many, 256 ]) {
    my ($name, $locations, $series) = @$case;

    subtest $name => sub {
        my $other = LLMTest->new(log_level => 'info');

        $other->set(MOCK => $mock->address);
        $other->config(<<"EOT")->start;
%%GLOBALS%%
worker_processes 1;
events { }
http {
    %%HTTP%%
    llm_stream_zone metrics:8m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LISTEN_H2_1%%
        location = /metrics { llm_stream_status; }
        location = /json { llm_stream_status json; }
        location = /html { llm_stream_status html; }
        $locations
    }
}
EOT

        for my $o ([], [ proto => 'h2', port => 1 ]) {
            my $r = $other->get('/json', @$o);

            ok($r->{complete}, 'JSON is whole');
            is(scalar @{ JSON::PP->new->utf8->decode($r->{body})->{series} },
                $series, "$series series");
            $r = $other->get('/metrics', @$o, limit => 60);
            ok($r->{complete}, 'the text is whole');

            my @found = LLMTest::Metrics::parse($r->{body})
                ->samples('streams_open');

            is(scalar @found, $series, 'in the text, too');
            ok($other->get('/html', @$o)->{complete}, 'the page is whole');
        }

        $other->finish;
    };
}


my $ZONE = 'llm_stream_zone metrics:1m;';
my $c = LLMTest::Config->new($t, http => $ZONE, joined => 1);

subtest 'nginx -t' => sub {
    $c->accepted("llm_stream_status $_", location => "llm_stream_status $_;")
        for '', qw(prometheus json html);
    $c->accepted('the zone behind it', http => '',
        location => 'llm_stream_status;', more => "}\n$ZONE\nserver {");
    $c->accepted('two of them', location => 'llm_stream_status;',
        more => 'location /b { llm_stream_status json; }');

    $c->refused('llm_stream_status xml;', 'unknown format "xml"');
    $c->refused('llm_stream_status JSON;', 'unknown format "JSON"');
    $c->refused('llm_stream_status json html;',
        'invalid number of arguments');
    $c->refused("llm_stream_status;\nllm_stream_status json;",
        'is duplicate');
    $c->refused("llm_stream openai http://127.0.0.1:1;\nllm_stream_status;",
        'cannot be used where another directive answers requests');
    $c->refused("proxy_pass http://127.0.0.1:1;\nllm_stream_status;",
        'cannot be used where another directive answers requests');
    $c->refused('llm_stream_status;', 'another directive answers',
        location => "llm_stream_status;\n"
            . 'llm_stream openai http://127.0.0.1:1;');
    $c->refused('llm_stream_status;', 'another directive answers',
        location => "llm_stream_status;\nproxy_pass http://127.0.0.1:1;");
    $c->refused('llm_stream_status;', 'no "llm_stream_zone" for', http => '',
        location => 'llm_stream_status;');
    $c->refused('llm_stream_status;', 'directive is not allowed here',
        server => 'llm_stream_status;');
};


$t->finish;
