package LLMBench::Scenario;

# The scenarios S1 to S13 as data: who takes part, which loads, how long and
# how often, for each of the levels quick, bench and full.  It owns the
# arithmetic of a load (how many events are due until when) and nothing that
# runs.
#
# A cell is { name, x (its number in plots), streams, rounds, few => {
# entrant => rounds }, entrants (else the scenario's), load and more =>
# [llm-bench's arguments], stream and mock (the mock's options), stamps
# (tokens of a stream), variants (of folders that have some: those whose names
# match), seconds (until the last event is due), length (of a stream, the
# same), offered (events per second) } and marks:
#
#   open      requests arrive at a rate; else all streams are one wave
#   fresh     entrants are started anew for each window (memory)
#   recover   descriptors and memory of the entrant are looked at afterwards
#   failing   requests are meant to fail
#   soak      memory is sampled while it runs
#   held      the entrant's log says what its stages held back
#   demanding left out if it is too much for mock and client without a proxy
#   fill      time that is left in the end goes to more rounds of it
#   unpaced   how long it takes is the entrant's matter: `seconds` is a guess

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(scenarios levels);

# seconds between the starts of two streams of a wave
use constant START_GAP => 0.001;

my @FLOORS = qw(direct relay plain);
my @MODULE = qw(module-openai module-simple);
my @CORE = (@FLOORS, 'module-off', @MODULE, 'module-anthropic');
my @PEERS = qw(lua njs node);

# as far away from plain as the others are
my @CONTROL = qw(plain-again);

my @GATEWAYS = qw(portkey litellm bifrost);
my @FEW = (@FLOORS, @MODULE, 'lua', 'njs');
my @HELD = (@FLOORS, @MODULE, 'lua', 'node');

# nginx needs two descriptors for a stream; the rest is its own
use constant OWN_DESCRIPTORS => 100;


# the dialect pairs that a run of limited time has
my $FROM_OR_TO_OPENAI = qr/\Apairs:(?:openai-(?!completions-|responses-).*
    |.*-(?:openai|plain))\z/x;


sub levels { return qw(quick bench full) }


# scenarios($level, $descriptors): the scenarios of a level, in order, each
# { id, title, entrants, cells, stop_merged }.  $descriptors is how many a
# process may have open here: it bounds the number of streams.

sub scenarios {
    my ($level, $descriptors) = @_;
    my %at = map { $_ => $level eq $_ } levels();
    my @all = (
        _latency(\%at), _rate(\%at), _quiet(\%at, $descriptors),
        _bursts(\%at), _fragments(\%at), _features(\%at), _pairs(\%at),
        _faults(\%at), _defaults(\%at), _soak(\%at), _front(\%at),
        _held_back(\%at),
    );

    return grep { @{ $_->{cells} } } @all;
}


# the most streams that a proxy can hold with so many descriptors

sub _streams_limit {
    my ($descriptors) = @_;

    return int(($descriptors - OWN_DESCRIPTORS) / 2);
}


# what an entrant is given before its first window: pages, pools, compilers

sub warm_up {
    return { _wave(20, itl => 5, seconds => 0.3) };
}


# the load that the client's own cost is told from, without a proxy

sub head_room {
    return { _wave(200, itl => 20, seconds => 1.5) };
}


# Gateways take part where one core is enough for them.

sub _latency {
    my ($at) = @_;
    my @streams = $at->{quick} ? (10) : (1, 10, 50);

    return { id => 'S1', title => 'latency',
        entrants => $at->{quick} ? [ @FEW, @CONTROL ]
            : [ @CORE, @PEERS, @CONTROL ],
        cells => [ map { {
            _open($_, tokens => 20, itl => 20,
                seconds => $at->{quick} ? 1.5 : 2),
            rounds => $at->{full} ? 20 : $at->{bench} && $_ == 10 ? 4 : 2,
            $_ <= 10 && !$at->{quick}
                ? (entrants => [ @CORE, @PEERS, @GATEWAYS, @CONTROL ]) : (),
        } } @streams ] };
}


# The sweep.  Its cell of 200 streams has more rounds: ratios are told from
# it.  It ends where plain nginx begins to merge events: from there on CPU per
# event falls while latency rises, and says nothing.

sub _rate {
    my ($at) = @_;
    my @streams = $at->{quick} ? (200)
        : (50, 100, 200, 300, 400, 550, 700, 1000, 1500);
    my $seconds = $at->{quick} ? 1.5 : $at->{bench} ? 2 : 2.5;
    my $few = $at->{full} ? 20 : 4;
    my %point = (fill => 1,
        rounds => $at->{quick} ? 6 : $at->{bench} ? 16 : 80,
        $at->{quick} ? () : (entrants => [ @CORE, @PEERS, @CONTROL ],
            few => { map { $_ => $few } 'direct', 'relay', @PEERS }),
    );

    return { id => 'S2', title => 'CPU against rate', stop_merged => 1,
        entrants => [ @FEW, $at->{quick} ? () : 'node', @CONTROL ],
        cells => [ map { {
            _wave($_, itl => 20, seconds => $seconds),
            rounds => $at->{full} ? 8 : 2, demanding => $_ > 200,
            $_ == 200 ? %point : (),
        } } @streams ] };
}


sub _quiet {
    my ($at, $descriptors) = @_;
    my $most = _streams_limit($descriptors);
    my @streams = $at->{quick} ? () : (1000, 5000, 10_000);
    my %seen;

    return { id => 'S4', title => 'many quiet streams', entrants => [ @HELD ],
        cells => [ map { {
            _wave($_, itl => 1500, seconds => 4.5, gap => 0.0009),
            rounds => $at->{full} ? 3 : 1, fresh => 1, recover => 1,
        } } grep { !$seen{$_}++ } map { $_ > $most ? $most : $_ }
            @streams ] };
}


sub _bursts {
    my ($at) = @_;
    my $rounds = $at->{full} ? 10 : 2;

    return { id => 'S5', title => 'bursts', entrants => [ @FEW, @CONTROL ],
        cells => $at->{quick} ? [] : [
            { _wave(40, itl => 5, seconds => 2), rounds => $rounds,
                name => '40 streams, 5 ms between events' },
            { _wave(40, itl => 20, seconds => 2, burst => 4),
                rounds => $rounds, name => '40 streams, 4 events a write' },
            { _wave(40, itl => 20, seconds => 2, per_event => 5),
                rounds => $rounds, name => '40 streams, 5 tokens an event' },
            { _wave(40, itl => 20, seconds => 2, per_event => 20),
                rounds => $rounds, name => '40 streams, 20 tokens an event' },
        ] };
}


sub _fragments {
    my ($at) = @_;
    my $rounds = $at->{full} ? 10 : 2;

    return { id => 'S6', title => 'fragmentation',
        entrants => [ @FEW, @CONTROL ],
        cells => $at->{quick} ? [] : [
            { _wave(3, itl => 50, seconds => 2), rounds => $rounds,
                name => 'one byte a write', mock => 'fault=byte-by-byte',
                unpaced => 1 },
            { _wave(4, itl => 40, seconds => 2, burst => 64),
                rounds => $rounds, name => '64 events a write' },
            { _wave(4, itl => 40, seconds => 2), rounds => $rounds,
                name => 'events of 64 kB', mock => 'size=64k' },
        ] };
}


sub _features {
    my ($at) = @_;

    return { id => 'S7', title => 'what a feature costs',
        entrants => [ 'direct', 'relay', 'plain', 'features' ],
        cells => $at->{quick} ? [] : [
            { _wave(200, itl => 20, seconds => 1.5),
                rounds => $at->{full} ? 20 : 2 },
        ] };
}


sub _pairs {
    my ($at) = @_;

    return { id => 'S8', title => 'dialect pairs',
        entrants => [ 'direct', 'relay', 'plain', 'pairs' ],
        cells => $at->{quick} ? [] : [
            { _wave(100, itl => 20, seconds => 1.5),
                rounds => $at->{full} ? 10 : 2,
                $at->{full} ? () : (variants => $FROM_OR_TO_OPENAI) },
        ] };
}


sub _faults {
    my ($at) = @_;
    my $rounds = $at->{full} ? 5 : 1;

    return { id => 'S9', title => 'faults and aborts',
        entrants => [ @HELD ], cells => $at->{quick} ? [] : [
            { _open(200, tokens => 50, itl => 20, seconds => 4),
                rounds => $rounds, name => '30 % of clients leave',
                more => [ '--request-cancellation-rate', 30,
                    '--request-cancellation-delay', 0.5 ], recover => 1 },
            { _open(100, tokens => 50, itl => 20, seconds => 3),
                rounds => $rounds, name => 'reset within an event',
                mock => 'fault=rst-mid-event at=20', failing => 1,
                recover => 1, unpaced => 1, stamps => 0 },
        ] };
}


sub _defaults {
    my ($at) = @_;

    return { id => 'S10', title => 'what plain nginx does by default',
        entrants => [ 'direct', 'relay', 'plain', 'defaults' ],
        cells => $at->{quick} ? [] : [
            { _wave(20, itl => 20, seconds => 2.5),
                rounds => $at->{full} ? 10 : 2 },
        ] };
}


# Stages that hold text back: how much, and for how long.  A stamp is one word
# without a space: the worst that a word can be.

sub _held_back {
    my ($at) = @_;

    return { id => 'S13', title => 'what stages hold back',
        entrants => [ 'direct', 'features' ], cells => $at->{quick} ? [] : [
            { _wave(40, itl => 20, seconds => 2),
                name => '40 streams, 20 ms between events',
                rounds => $at->{full} ? 10 : 2, held => 1,
                variants => qr/\Afeatures:(?:plain|simple|stop|redact
                    |padding|controls|coalesce-.*)\z/x },
        ] };
}


sub _soak {
    my ($at) = @_;
    my $seconds = $at->{full} ? 1800 : 120;

    return { id => 'S11', title => 'soak',
        entrants => [ 'plain', 'module-simple' ],
        cells => $at->{quick} ? [] : [
            { _open(150, tokens => 50, itl => 20, seconds => $seconds,
                    burstiness => 1),
                rounds => 1, soak => 1, fresh => 1, recover => 1,
                more => [ '--request-cancellation-rate', 5,
                    '--request-cancellation-delay', 0.3 ] },
        ] };
}


sub _front {
    my ($at) = @_;

    return { id => 'S12', title => 'TLS and HTTP/2 in front',
        entrants => [ 'direct', 'relay', 'plain', 'front' ],
        cells => $at->{quick} ? [] : [
            { _wave(100, itl => 20, seconds => 2),
                rounds => $at->{full} ? 10 : 2 },
        ] };
}


# All streams at once, each of the same length: what is measured lies between
# the last start and the first end, `seconds` apart.  The starts are spread so
# that the streams' events are, too: the number of gaps that they are spread
# over has no divisor in common with the number of streams.

sub _wave {
    my ($streams, %o) = @_;
    my $itl = $o{itl} / 1000;
    my $burst = $o{burst} // 1;
    my $gaps = int($streams * ($o{gap} // START_GAP) / $itl) || 1;

    $gaps++ while _common($gaps, $streams) > 1 + $streams / 500;

    my $ramp = $gaps * $itl;
    my $steps = int(($o{seconds} + $ramp) / $itl) + 1;

    # the first write has the role, too
    my $tokens = $burst > 1 ? $steps * $burst - 1 : $steps;

    return (
        _stream(%o, tokens => $tokens), streams => $streams,
        name => _named($streams), x => $streams,
        load => [ '--num-prompts', $streams, '--max-concurrency', $streams,
            '--ramp', $ramp ],
        seconds => $ramp * ($streams - 1) / $streams + ($steps - 1) * $itl,
        length => ($steps - 1) * $itl,
        offered => $streams * $burst / $itl,
    );
}


sub _named {
    my ($streams) = @_;

    return $streams == 1 ? '1 stream' : "$streams streams";
}


sub _common {
    my ($m, $n) = @_;

    ($m, $n) = ($n, $m % $n) while $n;

    return $m;
}


# An open load: requests arrive at a rate, so many that on average `streams`
# are open.  At equal distances they would fall into step with the events, so
# that these came all at once, if streams and tokens had a common divisor: a
# stream has some tokens more.

sub _open {
    my ($streams, %o) = @_;

    $o{tokens}++ while _common($o{tokens}, $streams) > 1;

    my $itl = $o{itl} / 1000;
    my $length = $o{tokens} * $itl;
    my $rate = $streams / $length;
    my $n = int($rate * $o{seconds}) || 1;

    return (
        _stream(%o), streams => $streams, name => _named($streams),
        x => $streams,
        load => [ '--num-prompts', $n, '--request-rate',
            sprintf('%.6f', $rate),
            '--burstiness', $o{burstiness} // 'inf' ],
        seconds => ($n - 1) / $rate + ($o{tokens} - 1) * $itl,
        length => ($o{tokens} - 1) * $itl, open => 1,
        offered => $streams / $itl,
    );
}


# what one stream consists of

sub _stream {
    my (%o) = @_;
    my $per = $o{per_event} // 1;

    return (
        stamps => $o{tokens} * $per,
        stream => join(' ', "tokens=$o{tokens}", "itl=$o{itl}",
            $per > 1 ? "per_event=$per" : (),
            $o{burst} ? "burst=$o{burst}" : ()),
    );
}


1;
