package LLMBench::Meta;

# What a result was made with: programs with their sums, machine, pinning,
# configurations.  Everything is read from the thing itself, nothing is told
# by hand; names of the host and paths of the machine are not in it.

use strict;
use warnings;

use Digest::SHA ();
use File::Basename ();
use POSIX ();

use LLMBench::Entrant;
use LLMBench::Files qw(slurp);
use LLMBench::Rig;
use LLMTest::Nginx;


# collect($rig, [entrants], { more => ... }): a hash for JSON

sub collect {
    my ($rig, $entrants, $more) = @_;
    my $module = LLMBench::Entrant::module();
    my ($version) = LLMBench::Entrant::nginx_build() =~ m{nginx/(\S+)};

    return {
        schema => 1,
        date => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime),
        git => _git(),
        nginx => { version => $version,
            build => _clean(LLMBench::Entrant::nginx_build()),
            sha256 => _sum(LLMTest::Nginx::binary()) },
        module => $module eq '' ? 'built into nginx'
            : { sha256 => _sum($module) },
        client => { version => _says($rig->client, '--version'),
            sha256 => _sum($rig->client) },
        mock => { sha256 => _sum($rig->program) },
        relay => { sha256 => _sum(LLMBench::Entrant::relay()) },
        machine => _machine(),
        pinning => $rig->pinning,
        entrants => { map { $_->name => _sums($_->files) } @$entrants },
        shared => _sums(LLMBench::Entrant::shared_files()),
        %{ $more || {} },
    };
}


sub _machine {
    my %cpu = map { /^(model name|microcode)\s*:\s*(.*)/ ? ($1 => $2) : () }
        split /\n/, slurp('/proc/cpuinfo');
    my $cores = () = slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s+(\d+) kB/m;
    my ($system, undef, $release, undef, $kind) = POSIX::uname();
    my ($load) = split ' ', slurp('/proc/loadavg');

    return {
        system => $system, kernel => $release, architecture => $kind,
        cpu => $cpu{'model name'}, microcode => $cpu{microcode},
        cores => $cores, memory_kb => $memory,
        virtual => slurp('/proc/cpuinfo') =~ /^flags.*\bhypervisor\b/m
            ? 'yes' : 'no',
        load_average => $load, clock => _line('/sys/devices/system/'
            . 'clocksource/clocksource0/current_clocksource'),
        governor => _line('/sys/devices/system/cpu/cpu0/cpufreq/'
            . 'scaling_governor'),
        descriptors => scalar LLMBench::Rig::descriptors(),
        mitigations => { map { File::Basename::basename($_) => _line($_) }
            glob '/sys/devices/system/cpu/vulnerabilities/*' },
    };
}


# the sum of each of these files

sub _sums {
    return { map { File::Basename::basename($_) => _sum($_) } @_ };
}


sub _git {
    my $root = LLMBench::Entrant::root();
    my $commit = _says('git', '-C', $root, 'rev-parse', 'HEAD');

    return 'none' if !defined $commit || $commit !~ /\A[0-9a-f]+\z/;
    return $commit . (defined _says('git', '-C', $root, 'status',
        '--porcelain') ? ' and changes' : '');
}


# the first line that a program prints; undef if it prints nothing

sub _says {
    my (@cmd) = @_;

    open my $fh, '-|', @cmd or return;
    my $line = readline $fh;
    close $fh;
    chomp $line if defined $line;

    return defined $line ? _clean($line) : undef;
}


sub _sum {
    my ($file) = @_;

    return 'none' if !-f $file;
    return Digest::SHA->new(256)->addfile($file, 'b')->hexdigest;
}


# without the folder that the project is in

sub _clean {
    my ($text) = @_;
    my $root = LLMBench::Entrant::root();

    return $text =~ s/\Q$root\E/./gr;
}


sub _line {
    my ($line) = split /\n/, slurp($_[0]);

    return $line;
}


1;
