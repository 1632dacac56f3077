#!/usr/bin/perl

# From the windows' records to ratios and the table, on records that are made
# here.

use strict;
use warnings;

use FindBin ();
use Test::More;

use lib "$FindBin::Bin/../benchmarks/lib";

use LLMBench::Summary;
use LLMBench::Table;

compared();
variants();
wrong();
frontier();
table();

done_testing();


sub compared {
    my $summary = summary(
        window(entrant => 'plain', round => 1, cpu => 10, delay => 30),
        window(entrant => 'lua', round => 1, cpu => 15, delay => 34),
        window(entrant => 'lua', round => 2, cpu => 99, delay => 99,
            void => [ 'steal 9.0 %' ]),
        window(entrant => 'lua', round => 2, cpu => 36, delay => 40),
        window(entrant => 'plain', round => 2, cpu => 20, delay => 31),
        window(entrant => 'plain', round => 3, cpu => 5, delay => 99,
            void => [ 'steal 9.0 %' ]),
        window(entrant => 'lua', round => 3, cpu => 100, delay => 34),
    );
    my ($plain, $lua) = rows($summary);

    is($plain->{entrant}, 'plain', 'rows are in the order of the first round');
    is_deeply([ @$plain{qw(valid void)} ], [ 2, 1 ], 'what counts is counted');
    is($plain->{compared}, undef, 'nothing is compared with itself');
    is_deeply([ @$lua{qw(valid void cpu_us_per_event)} ], [ 3, 1, 36 ],
        'void windows have no part in a median');
    is_deeply($lua->{compared}{cpu_us_per_event}{ratios}, [ 1.5, 1.8 ],
        'ratios are of rounds in which both count');
    is($lua->{compared}{cpu_us_per_event}{ratio}, 1.65, 'their median');
    is($lua->{compared}{event_delay_p50_us}{difference}, 6.5,
        'delays are told apart by difference');
    is_deeply($lua->{delay}, [ 34, 40, 40 ],
        'percentiles are those of all valid windows\' events');

    my ($ratio) = grep { $_->{metric} eq 'cpu_us_per_event' }
        @{ $summary->ratios };

    is_deeply([ @$ratio{qw(scenario cell entrant base rounds void)} ],
        [ 'S1', '10 streams', 'lua', 'plain', 2, 1 ],
        'ratios.json says what of what');
    is_deeply([ @$ratio{qw(low high)} ], [ undef, undef ],
        'two rounds have no interval');

    intervals();
    same_rewrite();

    return;
}


sub same_rewrite {
    my $summary = summary(map {
        window(entrant => 'plain', round => $_, cpu => 10),
        window(entrant => 'module-simple', round => $_, cpu => 12),
        window(entrant => 'lua', round => $_, cpu => 16),
        window(entrant => 'node', round => $_, cpu => 60, kept_up => 0.7),
    } 1 .. 7);
    my (undef, undef, $lua, $node) = rows($summary);
    my ($ratio) = grep { $_->{metric} eq 'cpu_of_the_same_rewrite' }
        @{ $summary->ratios };

    is($lua->{module}{ratio}, 0.75, 'the module over who does the same');
    is($node->{module}, undef, 'if it kept up');
    is_deeply([ @$ratio{qw(entrant base rounds ratio)} ],
        [ 'module-simple', 'lua', 7, 0.75 ], 'ratios.json has it');
    like(LLMBench::Table::text($summary, {}, []),
        qr{^[ ]+the\ same\ rewrite,\ CPU\ of\ module-simple\ /\ CPU\ of:
           \ lua\ 0\.75\ \[0\.75,\ 0\.75\]$}mx, 'and the table');

    return;
}


sub intervals {
    my $summary = summary(map {
        window(entrant => 'plain', round => $_, cpu => 10),
        window(entrant => 'lua', round => $_, cpu => 15 + $_ / 10),
        window(entrant => 'node', round => $_, cpu => 20, kept_up => 0.7),
        window(entrant => 'njs', round => $_, cpu => 30,
            cpu_window => $_ == 3 ? 'run' : 'steady')
    } 1 .. 9);
    my (undef, $lua, $node, $njs) = rows($summary);
    my $c = $lua->{compared}{cpu_us_per_event};

    cmp_ok($c->{low}, '<', $c->{ratio}, 'more rounds have one');
    cmp_ok($c->{high}, '>', $c->{ratio}, 'around the median');
    is($node->{compared}{cpu_us_per_event}, undef,
        'who did not keep up is not compared');
    is($node->{kept_up}, 0.7, 'but told');
    is(scalar @{ $njs->{compared}{cpu_us_per_event}{ratios} }, 8,
        'a steady window is not compared with a whole run');

    return;
}


sub variants {
    my $summary = summary(
        window(entrant => 'plain', round => 1, cpu => 10),
        window(entrant => 'features:plain', base => 'plain', round => 1,
            cpu => 20),
        window(entrant => 'features:log', base => 'plain', round => 1,
            cpu => 30),
        window(entrant => 'features:coalesce', base => 'plain', round => 1,
            cpu => 60, token => 18),
    );
    my (undef, $own, $log, $joined) = rows($summary);

    is($own->{compared}, undef, 'the base of a folder is compared with none');
    is($log->{compared}{cpu_us_per_event}{ratio}, 1.5,
        'a variant is compared with its folder\'s base');
    is($joined->{compared}{cpu_us_per_event}{ratio}, 3,
        'what joins events has fewer of them');
    is($joined->{compared}{cpu_us_per_token}{ratio}, 0.9,
        'but not fewer tokens');
    like(LLMBench::Table::text($summary, {}, []),
        qr{^features:coalesce .*3\.00\ \(n=1\)\ +0\.90\ }mx,
        'both are in the table');

    return;
}


sub wrong {
    is_deeply([ summary(window(entrant => 'plain', round => 1))->wrong ], [],
        'nothing wrong');
    is_deeply([ summary(window(entrant => 'relay', round => 1,
        faults => { lost => 2 }), window(entrant => 'relay', round => 2,
        faults => { lost => 1, corrupted => 4 }))->wrong ],
        [ 'S1 10 streams, relay: 4 corrupted, 3 lost' ],
        'what was done to events is added up');
    is_deeply([ summary(window(entrant => 'node', round => 1, failed => 3,
        void => [ '3 requests failed' ]))->wrong ],
        [ 'node: no valid window: 3 requests failed' ],
        'an entrant whose requests always fail is wrong');
    is_deeply([ summary(window(entrant => 'node', round => 1,
        void => [ 'steal 3.0 %' ]))->wrong ], [],
        'one that had bad luck is not');
    is_deeply([ summary(window(entrant => 'node', round => 1, failed => 3,
        void => [ '3 requests failed' ]), window(entrant => 'node',
        round => 2))->wrong ], [], 'nor one that failed once');

    return;
}


sub frontier {
    my %fast = (scenario => 'S2', cell => '400 streams', offered => 20_000);
    my %slow = (scenario => 'S2', cell => '200 streams', offered => 10_000);
    my $summary = summary(
        window(%slow, entrant => 'plain', round => 1, delay => 900),
        window(%slow, entrant => 'njs', round => 1, delay => 4000),
        window(%fast, entrant => 'plain', round => 1, delay => 900),
        window(%fast, entrant => 'njs', round => 1, delay => 60_000),
    );
    my %best = map { $_->[0] => $_->[1] } $summary->frontier;

    is_deeply($best{plain}{1}, [ 20_000, 1 ],
        'an entrant that is never late: at least the fastest load');
    is($best{njs}{1}, undef, 'one that is always later than a bound');
    ok(!$best{njs}{5}[1], 'one that is late at the fastest');
    is($best{njs}{5}[0], 10_000, 'has its place below it');
    is_deeply([ summary(window(%slow, entrant => 'plain', round => 1))
        ->frontier ], [], 'one load is no sweep');

    return;
}


sub table {
    my $summary = summary(
        window(scenario => 'S0', cell => 'direct', entrant => 'curl',
            round => 1, client => 12.5, delay => 20),
        window(entrant => 'plain', round => 1, cpu => 10, delay => 30),
        window(entrant => 'module-simple', round => 1, cpu => 11,
            delay => 38.25, faults => { lost => 5 },
            memory_kb => [ map { [ $_, 1000 + 10 * $_ ] } 1 .. 100 ],
            recovery => { fds_before => 9, fds_after => 10, kb_before => 1000,
                kb_after => 1100, open_upstream => 0 }),
        window(entrant => 'plain', round => 2, void => [ 'steal 9.0 %' ]),
        window(entrant => 'litellm', round => 1, kept_up => 0.756, delay => 90),
    );
    my $text = LLMBench::Table::text($summary, { S1 => 'latency' },
        [ 'bifrost: not to be had' ]);

    like($text, qr/^client: curl 12\.50 us\/event/, 'what the client needs');
    like($text, qr/^S1 latency: 10 streams, 500 events\/s$/m, 'the cell');
    like($text, qr/^plain +1 \(1\) +30\.0 \/ 30\.0 \/ 30\.0 /m, 'the floor');
    like($text, qr/^module-simple .* \+8\.2 .* 1\.10 .* 5\/0\/0\/0$/m,
        'an entrant beside it');
    like($text, qr/^litellm +1 \(0\) +90.0 .* kept up with 76 % /m,
        'one that one core is not enough for');
    like($text, qr/descriptors 9 -> 10, memory 1000 -> 1100 kB/,
        'what it was left with');
    like($text, qr/growth \+600\.0 kB\/min/, 'and how memory grew');
    like($text, qr/^left out:\n  bifrost: not to be had$/m, 'who is missing');
    like($text, qr/^void windows: 1 of 5 /m, 'how many did not count');
    like($text, qr/^  S1 10 streams, plain, round 2: steal 9\.0 %$/m,
        'and why');
    like($text, qr/^WRONG:\n  S1 10 streams, module-simple: 5 lost$/m,
        'what must not be');
    like($text, qr/^$_: /m, "the formula of $_")
        for 'event delay', 'TTFT', 'events/read', 'CPU us/event', 'ratio',
            'kB/stream';

    return;
}


sub rows {
    my ($summary) = @_;

    return @{ ($summary->cells)[0][2] };
}


sub summary {
    my $summary = LLMBench::Summary->new;

    $summary->add($_) for @_;

    return $summary;
}


sub window {
    my (%o) = @_;
    my $void = $o{void} // [];
    my $delay = $o{delay} // 30;

    return {
        scenario => $o{scenario} // 'S1', cell => $o{cell} // '10 streams',
        entrant => $o{entrant}, label => $o{entrant}, base => $o{base},
        round => $o{round}, position => 1, offered_eps => $o{offered} // 500,
        valid => !@$void, void => $void, faults => $o{faults} // {},
        memory_kb => $o{memory_kb}, recovery => $o{recovery},
        kept_up => $o{kept_up},
        result => { median_ttft_ms => 1, completed => 10,
            failed => $o{failed} // 0, duration => 2, proxy => {
                events_per_read => 1,
                event_delay_us => { count => 10, p50 => $delay,
                    hist => [ [ $delay, 10 ] ] },
                cpu => { window => $o{cpu_window} // 'steady',
                    proxy_us_per_event => $o{cpu},
                    proxy_s_per_mtok => $o{token} // $o{cpu},
                    client_us_per_event => $o{client} },
            } },
    };
}
