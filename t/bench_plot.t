#!/usr/bin/perl

# benchmarks/plot over results that are made here: files, numbers, and what
# must not get into gnuplot's hands.

use strict;
use utf8;
use warnings;

use File::Temp ();
use FindBin;
use IPC::Open3 ();
use JSON::PP ();

use Test::More;

my $plot = "$FindBin::Bin/../benchmarks/plot";
my $json = JSON::PP->new->utf8->canonical;
my @names = qw(delay-spectrum cpu-per-event memory ttft chunk-sizes ratios);

# entrant => [label, delay of an event in us, processor time in us]
my %entrant = (
    'direct' => ['direct, no proxy', 18, undef],
    'plain' => ['nginx proxy_pass, unbuffered', 45, 21],
    'plain-again' => ['nginx proxy_pass, unbuffered', 46, 21.3],
    'module-openai' => ['module, openai to openai', 47, 22.4],
    'module-simple' => ['module, openai to simple', 49, 23.5],
    'lua' => ['nginx + Lua body filter, cjson', 62, 33],
    'njs' => ['nginx + njs body filter', 85, 55],
    'node' => ['Node http, JSON.parse of each event', 120, 71],
    'portkey' => ['Portkey gateway 1.9.19', 420, 260],
    'litellm' => ['LiteLLM proxy 1.50', 2600, 1450],
);

my $gnuplot = grep { -x "$_/gnuplot" } split /:/, $ENV{PATH};
my $count = 0;

realistic();
merged();
rounds();
hostile();
missing();
without_gnuplot();

done_testing();


# A whole run, as the driver would leave it: all plots are there and are
# pictures.

sub realistic {
    my $dir = directory();
    my (@lines, @ratios);

    for my $cell (['S1', 10, 500], ['S1', 50, 2500], ['S2', 100, 5000],
        ['S2', 400, 20_000], ['S2', 1500, 75_000], ['S4', 1000, 1000],
        ['S4', 10_000, 10_000], ['S6', 20, 1000])
    {
        for my $round (1 .. 3) {
            push @lines, map { window($_, $round, @$cell) }
                sort keys %entrant;
        }
    }

    for my $name (grep { !/^(?:direct|plain)\z/ } sort keys %entrant) {
        my $ratio = $entrant{$name}[2] / $entrant{plain}[2];

        push @ratios, map { ratio('S2', "$_ streams", $name,
            map { $ratio * $_ } 0.93, 0.97, 0.99, 1, 1.01, 1.04, 1.12) }
            100, 1500;
    }

    # the client's own cost is no entrant's
    push @lines, { %{ window('plain', 1, 'S0', 200, 9000) },
        entrant => 'raw' };
    results($dir, \@lines, \@ratios);
    spurt("$dir/meta.json", '{"machine":{"cores":2}}');

    my ($status, $said) = run($plot, $dir);

    unlike(slurp("$dir/plots/$_.dat"), qr/\braw\b/,
        "$_ does not show the client's head-room") for @names;

    SKIP: {
        skip 'no gnuplot', 5 if !$gnuplot;

        is($status, 0, 'a whole run is drawn');
        is($said, '', 'nothing to say of it');
        is_deeply([bad_pictures($dir, @names)], [], 'all are pictures');
        is_deeply([grep { slurp("$dir/plots/$_.svg")
            !~ />shared 2 cores: ratios, not records</ } @names], [],
            'with what to keep in mind');
        is_deeply([grep { points($dir, $_) < 18 } @names[0 .. 3]], [],
            'with points of all entrants in all cells');
    }

    is_deeply([grep { !-s "$dir/plots/$_.dat" } @names], [],
        'all have their numbers');

    my @rows = rows($dir, 'ratios', what => 'median');

    is($rows[0]{entrant}, 'plain-again', 'the control is the first row');
    is(scalar @rows, 16, 'each entrant in each cell has a median');

    my ($steady) = rows($dir, 'memory', entrant => 'plain',
        streams => 10_000);
    near($steady->{steady_mib}, 20 + 10_000 * 18 / 1024, 'memory in MiB');

    my ($cost) = rows($dir, 'cpu-per-event', entrant => 'lua',
        offered_eps => 20_000);
    is($cost->{windows}, 3, 'the windows of a cell are counted');
    near($cost->{us_per_event}, 33 * 1.01, 'the median of three windows');
    near($cost->{q1}, 33 * 1.005, 'the first quartile');
    near($cost->{q3}, 33 * 1.015, 'the third quartile');

    return;
}


# Two windows of very different sizes: a mean of their percentiles would be
# far from the percentile of all.  A void window has other values, too.

sub merged {
    my $dir = directory();
    my @lines = map { window('plain', $_, 'S1', 10, 500) } 1 .. 3;
    my @delay = (hist([10, 989], [20, 1]), hist([1000, 9], [5000, 1]),
        hist([99_999, 100_000]));

    for my $i (0 .. 2) {
        my $proxy = $lines[$i]{result}{proxy};

        $proxy->{event_delay_us} = $delay[$i];
        $proxy->{ttft_ms} = $delay[$i];
        $proxy->{read_bytes} = hist([100 + $i, 1]);
        $proxy->{event_bytes} = hist([100, 2]);
    }

    $lines[2]{valid} = JSON::PP::false;
    results($dir, \@lines, []);

    my ($status, $said) = run($plot, $dir);
    like($said, qr/^ratios: not drawn/m, 'a plot of nothing is not written');
    ok(!-e "$dir/plots/ratios.dat", 'nor is its file');
    unlike(slurp("$dir/plots/delay-spectrum.dat"), qr/99999|100000/,
        'a void window is left out');

    # 990 values are at most 20, 999 at most 1000, 1000 at most 5000
    my %at = map { $_->{nines} => $_ } rows($dir, 'delay-spectrum');

    is($at{0}{delay_us}, 10, 'percentile 0');
    is($at{1}{delay_us}, 10, 'percentile 90');
    is($at{2}{delay_us}, 20, 'percentile 99');
    is($at{'2.05'}{delay_us}, 1000, 'percentile 99.1');
    is($at{3}{delay_us}, 1000, 'percentile 99.9');
    is($at{3}{percentile}, 99.9, 'and it is called so');
    is($at{3}{events}, 1000, 'of all events');
    ok(!$at{'3.05'}, 'no percentile that there are too few events for');

    is_deeply([ map { [@$_{qw(ttft_ms percent)}] } rows($dir, 'ttft') ],
        [[10, 98.9], [20, 99], [1000, 99.9], [5000, 100]],
        'the distribution of TTFT');

    # 100 and 101 fall in the bin from 2^6.5 to 2^6.75
    my @sizes = rows($dir, 'chunk-sizes', what => 'read_bytes');

    is(scalar @sizes, 1, 'sizes of reads are in one bin');
    is($sizes[0]{percent}, 100, 'all of them');
    ok($sizes[0]{from_bytes} <= 100 && $sizes[0]{to_bytes} > 101,
        'and in the right one');

    return;
}


# Ratios are shown beside their control, where there are the most rounds.

sub rounds {
    my $dir = directory();
    my @ratios = (
        ratio('S7', '200 streams', 'features:replace', (1.2) x 9),
        map { (ratio('S2', "$_ streams", 'plain-again', (1) x $_),
            ratio('S2', "$_ streams", 'lua', 1, 9, (1.5) x ($_ - 2) )) }
            3, 2, 5, 6, 4);

    # what an entrant has that took part in one round
    delete @{ $ratios[-1] }{qw(low high)};

    results($dir, [window('plain', 1, 'S1', 10, 500)],
        [@ratios, { %{ $ratios[-1] }, metric => 'ttft' }]);

    my ($status, $said) = run($plot, $dir);
    unlike($said, qr/\bat \S+ line/, 'one round has no interval: no warning');

    my @rows = rows($dir, 'ratios', what => 'median');

    is_deeply([map { "$_->{cell} $_->{entrant}" } @rows],
        [map { ("$_ streams plain-again", "$_ streams lua") } 3, 2, 5, 6, 4],
        'cells with a control, and only processor time');
    is_deeply([@{ $rows[-1] }{qw(low high)}], [1.5, 1.5],
        'one round has no interval');

    SKIP: {
        skip 'no gnuplot', 1 if !$gnuplot;

        my @titles = slurp("$dir/plots/ratios.svg")
            =~ /<text>S2 [^<]*: (\d+) streams/g;
        is_deeply(\@titles, [3, 5, 6, 4], 'the four with the most rounds');
    }

    return;
}


# Labels come from files of others: they are shown, and nothing else.

sub hostile {
    my $dir = directory();
    my $mark = "$dir/mark";
    my @labels = (
        "'; system('touch $mark'); '", "`touch $mark`", "\$(touch $mark)",
        "\"; system \"touch $mark\"; \"", "\\\\ \\' \\", "100 % %d %s %n",
        '{/Symbol a}_b^c @x ~y{.5-}', "a\nb\rsystem 'touch $mark'\n\t",
        '<script>&amp;<b>', "µ 東京 \x{2028}", '"', "'", '#',
        'x' x 300, '',
    );
    my (@lines, @ratios);

    for my $i (0 .. $#labels) {
        my $line = window('plain', 1, 'S1', 10, 500);

        $line->{label} = $labels[$i];
        $line->{entrant} = $i % 2 ? "$labels[$i]$i" : "e$i";
        $line->{cell} = $labels[$i % 3];

        push @lines, $line;
        push @ratios, map { ratio($labels[0], $labels[$i % 3], $_, 1, 1.2) }
            $line->{entrant}, 'plain-again';
    }

    results($dir, \@lines, \@ratios);

    my ($status, $said) = run($plot, $dir);

    ok(!-e $mark, 'no label is run as a command');
    unlike(slurp("$dir/plots/cpu-per-event.dat"), qr/[^\x20-\x7e\x80-\xff\n]/,
        'no label ends a line of numbers');
    is_deeply([grep { @{[split /,/, $_, -1]} != 9 }
        grep { length } split /\n/, slurp("$dir/plots/cpu-per-event.dat")],
        [], 'nor adds a field');

    SKIP: {
        skip 'no gnuplot', 4 if !$gnuplot;

        is($status, 0, 'and gnuplot draws them');
        is($said =~ s/^memory: not drawn: .*\n//r, '', 'without a word');
        is_deeply([bad_pictures($dir, grep { $_ ne 'memory' } @names)], [],
            'all are pictures');

        my $svg = slurp("$dir/plots/ttft.svg");

        is_deeply([grep { index($svg, $_) < 0 } '&lt;script>&amp;amp;&lt;b>',
            '{/Symbol a}_b^c @x', '100 % %d %s %n', '`touch ',
            "\\\\ \\\x{e2}\x{80}\x{99} \\"], [],
            'labels are shown as they are');
    }

    return;
}


# What is not there, or not to be read.

sub missing {
    my $dir = directory();

    my ($status, $said) = run($plot, $dir);
    isnt($status, 0, 'no results: fails');
    like($said, qr/results\.jsonl/, 'and says of what');

    ($status) = run($plot);
    is($status, 2, 'no directory: usage');

    my $line = window('plain', 1, 'S1', 10, 500);
    delete $line->{result}{proxy}{$_} for qw(cpu memory ttft_ms);
    $line->{result}{proxy}{event_delay_us} = { count => 0, hist => [] };

    results($dir, [$line], undef);
    open my $out, '>>', "$dir/results.jsonl" or die $!;
    print {$out} '{"scenario":"S1","ce';
    close $out or die $!;

    mkdir "$dir/plots";
    open $out, '>', "$dir/plots/ttft.svg" or die $!;
    close $out or die $!;

    ($status, $said) = run($plot, $dir);

    is_deeply([grep { $said !~ /^\Q$_\E: not drawn: \w/m }
        grep { $_ ne 'chunk-sizes' } @names], [], 'all say what is missing');
    like($said, qr/results\.jsonl:2: /, 'a line that was cut is told');
    ok(!-e "$dir/plots/ttft.svg", 'an old picture does not stay');
    ok(-s "$dir/plots/chunk-sizes.dat", 'what can be drawn is');

    return;
}


sub without_gnuplot {
    my $dir = directory();

    results($dir, [window('plain', 1, 'S1', 10, 500)], []);

    local $ENV{PATH} = "$dir/nothing";
    my ($status, $said) = run($^X, $plot, $dir);

    is($status, 77, 'without gnuplot: skipped');
    like($said, qr/no gnuplot/, 'and told');
    is_deeply([grep { -e "$dir/plots/$_" } map { ("$_.svg", "$_.png") }
        @names], [], 'no pictures');
    ok(-s "$dir/plots/ttft.dat", 'but the numbers');

    return;
}


# A line of results.jsonl with values that look like those of a machine.

sub window {
    my ($name, $round, $scenario, $streams, $eps) = @_;
    my ($label, $delay, $cpu) = @{ $entrant{$name} };
    my $load = 1 + 5 / (1 + $eps / 2000);
    my $merged = 1 + $eps / 60_000;
    my $reads = hist([253, 900], [506, int(900 * ($merged - 1))]);
    my $base = $name eq 'direct' ? 1 : 20;

    return {
        scenario => $scenario, cell => "$streams streams", x => $streams,
        entrant => $name, label => $label, round => $round, position => 1,
        valid => JSON::PP::true, void => [], offered_eps => $eps,
        achieved => 0.999, steal => 0.001, seconds => 3,
        result => { proxy => {
            events_per_read => $merged,
            event_delay_us => tail($delay * $merged * (1 + $round / 50)),
            ttft_ms => tail($delay / 250, 500),
            event_bytes => hist([253, 1000]), read_bytes => $reads,
            cpu => defined $cpu ? { window => 'steady', proxy_us_per_event =>
                $cpu * $load / (1 + 5 / 11) * (0.99 + $round / 100)
                * ($eps == 20_000 ? (1 + 5 / 11) / $load : 1) } : undef,
            memory => defined $cpu ? { streams => $streams, idle_kb =>
                $base * 1024, steady_kb => $base * 1024 + $streams * 18,
                after_kb => $base * 1024 + $streams * 12 } : undef,
        } },
    };
}


# A line of ratios.json.

sub ratio {
    my ($scenario, $cell, $entrant, @ratios) = @_;
    my ($low, $middle, $high) = (sort { $a <=> $b } @ratios)[0, @ratios / 2,
        -1];

    return { scenario => $scenario, cell => $cell, entrant => $entrant,
        metric => 'cpu_us_per_event', rounds => scalar @ratios, void => 0,
        ratio => $middle, low => $low, high => $high, ratios => \@ratios };
}


# A distribution with a long tail around a value.

sub tail {
    my ($value, $count) = @_;
    my (%sum, $u);

    for my $i (1 .. $count // 20_000) {
        $u = $i / (($count // 20_000) + 1);
        $sum{ sprintf '%.3g', $value * (0.7 + 0.25 * (-log(1 - $u)) ** 1.4) }++;
    }

    return hist(map { [$_ + 0, $sum{$_}] } sort { $a <=> $b } keys %sum);
}


sub hist {
    my @hist = grep { $_->[1] } @_;
    my $count = 0;
    $count += $_->[1] for @hist;

    return { count => $count, min => $hist[0][0], max => $hist[-1][0],
        hist => \@hist };
}


sub results {
    my ($dir, $lines, $ratios) = @_;

    spurt("$dir/results.jsonl", join '', map { $json->encode($_) . "\n" }
        @$lines);
    spurt("$dir/ratios.json", $json->encode($ratios)) if $ratios;

    return;
}


# Rows of a file of numbers as hashes, those that have these values.

sub rows {
    my ($dir, $name, %want) = @_;
    my ($head, @lines) = grep { length }
        split /\n/, slurp("$dir/plots/$name.dat");
    my @columns = split /,/, $head =~ s/^# //r;
    my @rows;

    for my $line (@lines) {
        my %row;
        @row{@columns} = split /,/, $line, -1;
        push @rows, \%row if !grep { $row{$_} ne $want{$_} } keys %want;
    }

    return @rows;
}


# Files that are not pictures of some size.

sub bad_pictures {
    my ($dir, @of) = @_;

    return grep { my $bytes = slurp("$dir/plots/$_") // '';
        length $bytes < 3000
            || $bytes !~ (/png\z/ ? qr/\A\x89PNG/ : qr{<svg.*</svg>\s*\z}s) }
        map { ("$_.svg", "$_.png") } @of;
}


# Markers of points in an SVG, those of its legend not counted.

sub points {
    my ($dir, $name) = @_;
    my $svg = slurp("$dir/plots/$name.svg");

    return ($svg =~ s/<use xlink:href='#gpPt//g) - keys %entrant;
}


sub near {
    my ($got, $want, $what) = @_;

    ok(defined $got && abs($got - $want) <= 1e-5 * $want,
        "$what: " . ($got // 'nothing') . " for $want");
    return;
}


sub run {
    my (@command) = @_;
    my $pid = IPC::Open3::open3(my $in, my $out, undef, @command);

    close $in or die $!;
    my $said = do { local $/ = undef; <$out> } // '';
    waitpid $pid, 0;

    return ($? >> 8, $said);
}


sub directory {
    my $dir = File::Temp::tempdir("bench-plot-XXXXXXXX", TMPDIR => 1,
        CLEANUP => !$ENV{TEST_NGINX_LEAVE});

    # a path with all that a shell would look at
    my $in = "$dir/it's a \$(run) `\"; #" . ++$count;
    mkdir $in or die "$in: $!";

    diag("kept: $in") if $ENV{TEST_NGINX_LEAVE};
    return $in;
}


sub slurp {
    my ($path) = @_;

    open my $in, '<:raw', $path or return;
    my $text = do { local $/ = undef; <$in> };
    close $in or die $!;

    return $text;
}


sub spurt {
    my ($path, $text) = @_;

    open my $out, '>:raw', $path or die "$path: $!";
    print {$out} $text;
    close $out or die "$path: $!";

    return;
}
