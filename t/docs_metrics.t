#!/usr/bin/perl

# docs/metrics.md and examples/monitoring against a running nginx: every
# metric has its row, with its type and its labels, and none is made up; what
# PromQL, alerts and the dashboard name is exposed; Prometheus understands
# each expression; each alert fires in promtool's tests; what the JSON is said
# to hold is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use LLMTest;
use LLMTest::Metrics;
use LLMTest::Prometheus;

LLMTest::Prometheus::need();

my @SERIES = qw(server location upstream model);

# labels whose values are words of the module
my @WORDS = qw(end error class type source);

my $t = LLMTest->new(log_level => 'info');
my $root = $t->root;
my $mock = $t->mock;

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    llm_stream_zone metrics:1m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { llm_stream openai http://%%MOCK%%; }
        location = /metrics { llm_stream_status; }
    }
}
EOT

my $prometheus = LLMTest::Prometheus->new($t, scrape => $t->port(0));

$t->post('/v1/chat/completions', { model => 'm', stream => JSON::PP::true(),
    messages => [ { role => 'user', content => 'hi' } ] });

my $live = LLMTest::Metrics->wait_sum($t, 1, 'requests_total');
my $docs = slurp('docs/metrics.md');


sub slurp {
    my ($file) = @_;

    open my $fh, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


# the labels of a sample, each with its values

sub labels_of {
    my ($name) = @_;
    my %labels;

    for my $sample ($live->samples($name)) {
        $labels{$_}{ $sample->{labels}{$_} } = 1
            for keys %{ $sample->{labels} };
    }

    return \%labels;
}


subtest 'metrics' => sub {
    my %row;

    my $type = qr/counter|gauge|histogram/;

    while ($docs =~ /^\| `(nginx_\w+)` \| ($type) \| (.*?) ?\| (.*) \|$/gm) {
        my ($name, $is_a, $labels, $is) = ($1, $2, $3, $4);

        ok(!$row{$name}, "$name: one row");
        $row{$name} = [ $is_a, join(' ', sort $labels =~ /`(\w+)`/g), $is ];
    }

    is_deeply([ sort keys %row ], [ sort keys %{ $live->{type} } ],
        'every metric has a row, and every row a metric');

    for my $name (sort keys %row) {
        my ($type, $labels, $is) = @{ $row{$name} };
        my %labels = %{ labels_of($type eq 'histogram' ? "${name}_bucket"
            : $name) };
        my @without = grep { !delete $labels{$_} } @SERIES;

        is($type, $live->type($name), "$name: type");
        is($labels, join(' ', sort keys %labels), "$name: labels");
        is($is =~ /without the labels/ ? 4 : $is =~ /without `model`/ ? 1 : 0,
            scalar @without, "$name: without " . join ' ', @without);
    }

    my ($classes) = $docs =~ /^(\| `class` \| is.*?)\n\n/ms;

    is_deeply([ sort $classes =~ /^\| `(?!class`)(\w+)`/mg ],
        [ sort keys %{ labels_of('upstream_errors_total')->{class} } ],
        'every class');
};


# PromQL: [where it stands, the expression]

my (@promql, @alerts);
my $alerts = slurp('examples/monitoring/alerts.yml');
my $dashboard = JSON::PP->new->utf8->decode(
    slurp('examples/monitoring/dashboard.json'));

for my $file (map { s{^\Q$root/\E}{}r } sort glob("$root/docs/*.md"),
    "$root/README.md")
{
    my $n = 0;
    my $text = slurp($file);

    push @promql, map { [ "$file, " . ++$n, $_ ] }
        $text =~ /^```promql\n(.*?)^```$/msg;
}

my $in_docs = @promql;

while ($alerts =~ /^ {6}- alert: (\w+)\n {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/gm)
{
    push @alerts, $1;
    push @promql, [ "alert $1", $2 // $3 ];
}

for my $panel (@{ $dashboard->{panels} }) {
    push @promql, map { [ "panel $panel->{title}", $_->{expr} ] }
        @{ $panel->{targets} };
}

for my $variable (@{ $dashboard->{templating}{list} }) {
    next if $variable->{type} ne 'query';

    my ($expr, $label) = $variable->{definition}
        =~ /^label_values\((.*), (\w+)\)$/ or die "no label_values\n";

    push @promql, [ "variable $variable->{name}",
        "count by ($label) ($expr)" ];
}


# what an expression names: metrics, [metric, label, value], labels of "by"

sub named {
    my ($expr) = @_;
    my (@metrics, @matchers, @by);
    my $string = qr/"(?:\\.|[^"\\])*"/;

    while ($expr =~ /\b(nginx_\w+|up\b)(?:\{((?:[^{}"]|$string)*)\})?/g) {
        my ($metric, $in) = ($1, $2 // '');

        push @metrics, $metric;
        push @matchers, [ $metric, $1, substr $2, 1, -1 ]
            while $in =~ /(\w+)\s*(?:=~|!~|!=|=)\s*($string)/g;
    }

    push @by, $1 =~ /\w+/g while $expr =~ /\bby \(([^)]*)\)/g;

    return (\@metrics, \@matchers, \@by);
}


sub check_names {
    my ($where, $expr) = @_;
    my ($metrics, $matchers, $by) = named($expr);
    my %known = map { $_ => 1 } qw(job instance);

    cmp_ok(scalar @$metrics, '>', 0, "$where: names a metric");

    for my $metric (grep { $_ ne 'up' } @$metrics) {
        ok(scalar $live->samples($metric), "$where: $metric is exposed");
        $known{$_} = 1 for keys %{ labels_of($metric) };
    }

    for my $matcher (grep { $_->[0] ne 'up' } @$matchers) {
        my ($metric, $label, $value) = @$matcher;
        my $values = labels_of($metric)->{$label};

        ok($values, "$where: $metric has $label");
        next if !grep { $_ eq $label } @WORDS;
        ok($values->{$_}, "$where: $label may be $_")
            for split /\|/, $value;
    }

    ok($known{$_}, "$where: by $_") for @$by;

    return;
}


subtest 'PromQL' => sub {
    cmp_ok($in_docs, '>=', 10, 'in the documentation');
    cmp_ok(scalar @alerts, '>=', 10, 'in alerts');
    is(scalar @alerts, scalar(() = $alerts =~ /- alert:/g), 'in all of them');

    for my $case (@promql) {
        my ($where, $expr) = @$case;

        check_names($where, $expr);

        $expr =~ s/\$__rate_interval/5m/g;
        $expr =~ s/\$(?:location|model)\b/.*/g;
        ok(eval { $prometheus->query($expr); 1 }, "$where: is understood")
            or diag($@);
    }

    ok(!eval { $prometheus->query('sum by (x'); 1 }, 'what is none is not');
};


subtest 'dashboard' => sub {
    my (%id, %name);

    for my $panel (@{ $dashboard->{panels} }) {
        ok(!$id{ $panel->{id} }++, "$panel->{title}: its own id");
        ok(length $panel->{description}, "$panel->{title}: a description");

        for my $of ($panel, @{ $panel->{targets} }) {
            is($of->{datasource}{uid}, '${datasource}',
                "$panel->{title}: the chosen data source");
        }
    }

    $name{ $_->{name} } = 1 for @{ $dashboard->{templating}{list} };
    is_deeply([ sort keys %name ], [qw(datasource location model)],
        'what can be chosen');

    my $text = slurp('examples/monitoring/dashboard.json');

    ok($name{$_}, "variable $_") for grep { !/^(?:__|llm_stream_)/ }
        $text =~ /\$\{?(\w+)/g;
};


sub promtool {
    my ($name, @args) = @_;
    my ($status, $said) = LLMTest::Prometheus->promtool($t, \@args);

    is($status, 0, $name) or diag($said);

    return;
}


subtest 'promtool' => sub {
    my $tests = slurp('t/monitoring/alerts_test.yml');

    promtool('rules', 'check', 'rules',
        "$root/examples/monitoring/alerts.yml");
    promtool('configuration', 'check', 'config',
        "$root/examples/monitoring/prometheus.yml");
    promtool('tests of the alerts', 'test', 'rules',
        "$root/t/monitoring/alerts_test.yml");

    like($tests, qr/alertname: $_\n +exp_alerts:\n/, "$_ has to fire")
        for @alerts;
};


subtest 'the documentation' => sub {
    my ($table) = $docs =~ /^(\| alert of .*?)\n\n/ms;

    is_deeply([ $table =~ /^\| (LlmStream\w+) \|/mg ], \@alerts,
        'every alert has its row');

    my ($yaml) = $docs =~ /^```yaml\n(.*?)^```$/ms;

    isnt(index(slurp('examples/monitoring/prometheus.yml'), $yaml), -1,
        'the scrape configuration is that of the example');

    my ($path) = $yaml =~ /metrics_path: (\S+)/;

    like($docs, qr/location = \Q$path\E \{/, 'and of the location');

    my ($sample) = $docs =~ /^```json\n(.*?)^```$/ms;
    my $have = JSON::PP->new->utf8->decode($t->get('/metrics',
        headers => { Accept => 'application/json' })->{body});

    has_members($have, JSON::PP->new->utf8->decode($sample), 'JSON');
};


sub has_members {
    my ($have, $want, $where) = @_;

    is(ref $have, ref $want, "$where: its kind")
        if ref $have || ref $want;

    if (ref $want eq 'HASH') {
        for my $name (sort keys %$want) {
            ok(exists $have->{$name}, "$where has $name");
            has_members($have->{$name}, $want->{$name}, "$where.$name");
        }
    }

    if (ref $want eq 'ARRAY') {
        has_members($have->[0], $_, "$where\[]") for @$want;
    }

    return;
}


$prometheus->stop;
$t->finish;
