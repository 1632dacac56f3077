package LLMBench::Entrant;

# One entrant: a folder of benchmarks/entrants, or one of the two that need
# none: `direct` (the client asks the mock itself) and `relay` (llm-relay, the
# price of a hop).  It owns the entrant's process and its directory, and it
# alone reads the file `entrant`.  It knows nothing of loads and figures.
# benchmarks/entrants/README.md says what a folder consists of.
#
#     my $entrant = LLMBench::Entrant->new('plain');
#     my $why = $entrant->install;        # why it cannot be had here, if so
#     $entrant->start('127.0.0.1:8001');  # the mock; dies with nginx's words
#     ... $entrant->port, $entrant->pid ...
#     $entrant->stop;
#
# NAME-again is a second instance of NAME: the control.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;

use LLMBench::Files qw(slurp);
use LLMTest::Nginx;
use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);

# how long a server may take until it listens, and an installation, in
# seconds
use constant START_LIMIT => 120;
use constant INSTALL_LIMIT => 900;

# what an executable ends with that cannot do its work here
use constant SKIP => 77;

my $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');

my %BUILT_IN = (
    direct => { label => 'direct, no proxy' },
    relay => { label => 'relay: recv and send, nothing else' },
);


# new(NAME, cores => "0": the processor cores it may run on, else any;
#     tool => [a program and its arguments]: nginx runs under it, as one
#     process)

sub new {
    my ($class, $name, %o) = @_;
    my $base = $name =~ s/-again\z//r;
    my $folder = "$ROOT/benchmarks/entrants/$base";

    my $self = bless {
        name => $name, base => $base, folder => $folder,
        cores => $o{cores}, tool => $o{tool} // [], key => {},
        variants => [], headers => [],
    }, $class;

    if ($BUILT_IN{$base}) {
        $self->{key} = $BUILT_IN{$base};

    } else {
        die "no entrant $base: no file $base/entrant in "
            . "benchmarks/entrants\n" if !-f "$folder/entrant";
        $self->_read;
    }

    return $self;
}


sub root   { return $ROOT }
sub name   { my ($self) = @_; return $self->{name} }
sub folder { my ($self) = @_; return $self->{folder} }
sub port   { my ($self) = @_; return $self->{port} }


# the process whose tree is the entrant; undef for direct

sub pid {
    my ($self) = @_;

    return $self->{proc} ? $self->{proc}->pid : undef;
}


sub is_nginx { my ($self) = @_; return defined $self->{key}{nginx} }


sub _read {
    my ($self) = @_;
    my $file = "$self->{folder}/entrant";

    open my $fh, '<:encoding(UTF-8)', $file or die "$file: $!\n";

    while (my $line = readline $fh) {
        chomp $line;
        next if $line =~ /^\s*(?:#|\z)/;

        my ($key, $value) = $line =~ /^(\w+)=(.*)\z/
            or die "$file:$.: not key=value: $line\n";

        if ($key eq 'variant') {
            push @{ $self->{variants} }, _variant($value, "$file:$.");

        } elsif ($key eq 'header') {
            push @{ $self->{headers} }, $value;

        } else {
            $self->{key}{$key} = $value;
        }
    }

    close $fh;

    return;
}


# "NAME prefix=/a mock=tools=1 label=what it is": label takes the rest

sub _variant {
    my ($text, $where) = @_;
    my %variant;

    $variant{label} = $1 if $text =~ s/\s+label=(.*)\z//;

    my ($name, @keys) = split ' ', $text;

    die "$where: a variant needs a name\n" if !defined $name;
    $variant{name} = $name;

    for my $item (@keys) {
        my ($key, $value) = $item =~ /^(prefix|dialect|listen|http|mock|stamps
            |base|held|header)=(.*)\z/x or die "$where: unknown: $item\n";

        if ($key eq 'header') {
            push @{ $variant{headers} }, $value;

        } else {
            $variant{$key} = $value;
        }
    }

    return \%variant;
}


# What a client can ask of this entrant: one or more of { entrant, name
# ("features:replace"), label, dialect, prefix, scheme, http (1.1 or 2), mock
# (options), stamps (0: its text is not what the mock said), held (1: held.log
# says what its stages held), base (the variant
# that its CPU is compared with; undef: plain), headers }.

sub variants {
    my ($self) = @_;
    my $key = $self->{key};

    my @rows = @{ $self->{variants} };
    @rows = ({}) if !@rows;

    return map { {
        entrant => $self,
        name => defined $_->{name} ? "$self->{name}:$_->{name}"
            : $self->{name},
        label => $_->{label} // $_->{name} // $key->{label}
            // $self->{name},
        dialect => $_->{dialect} // $key->{dialect} // 'openai',
        prefix => $_->{prefix} // $key->{prefix} // '',
        scheme => ($_->{listen} // '') eq 'tls' ? 'https'
            : $key->{scheme} // 'http',
        listen => $_->{listen} // '',
        http => $_->{http} // '1.1',
        mock => $_->{mock} // '',
        stamps => $_->{stamps} // $key->{stamps} // 1,
        base => $_->{base} // $key->{base}, held => $_->{held} // 0,
        headers => $_->{headers} || [],
    } } @rows;
}


# where to send requests of a variant to

sub base_url {
    my ($self, $variant) = @_;
    my $port = $variant->{listen} eq 'tls' ? $self->{tls_port}
        : $self->{port};

    return "$variant->{scheme}://127.0.0.1:$port$variant->{prefix}";
}


# The headers that clients of a variant have to send, NAME=VALUE; it must run.

sub headers {
    my ($self, $variant) = @_;

    return map { s/\@UPSTREAM\@/$self->{upstream}/gr }
        @{ $self->{headers} }, @{ $variant->{headers} };
}


# Installs what the entrant needs into build/bench/NAME.  Nothing if it can
# be had, else the reason in one line; dies when an installation goes wrong.

sub install {
    my ($self) = @_;

    return $self->_no_relay if $self->{base} eq 'relay';

    if (defined $self->{key}{nginx} && !-x LLMTest::Nginx::binary()) {
        return 'no nginx ' . LLMTest::Nginx::binary();
    }

    return if !defined $self->{key}{install};

    my $dir = $self->_install_dir;
    my $log = "$dir/install.log";

    File::Path::make_path($dir);
    unlink $log;

    my $proc = LLMTest::Proc->spawn(name => "install $self->{base}",
        cmd => [ "$self->{folder}/$self->{key}{install}", $dir ],
        env => $self->_environment, stdout => $log, stderr => $log);
    my $status = $proc->wait_exit(INSTALL_LIMIT);

    if (!defined $status) {
        $proc->stop(5, 'TERM');
        return 'its installation does not end';
    }

    return if $status == 0;

    my $text = slurp($log);
    my ($line) = $text =~ /([^\n]+)\n*\z/;

    return $line // 'it cannot be had here' if $status >> 8 == SKIP;

    die "$self->{base}: install failed:\n$text";
}


sub relay { return $ENV{LLM_RELAY} || "$ROOT/build/llm-relay" }


sub _no_relay {
    return -x relay() ? () : 'no ' . File::Basename::basename(relay());
}


sub _install_dir {
    my ($self) = @_;

    return "$ROOT/build/bench/$self->{base}";
}


# what programs of the folder find in their environment

sub _environment {
    my ($self) = @_;

    return {
        LLM_BENCH_INSTALL => $self->_install_dir,
        TEST_NGINX_BINARY => LLMTest::Nginx::binary(),
    };
}


# start("HOST:PORT" of the mock): returns when it listens

sub start {
    my ($self, $upstream) = @_;

    $self->{upstream} = $upstream;

    if ($self->{base} eq 'direct') {
        ($self->{port}) = $upstream =~ /:(\d+)\z/;
        return $self;
    }

    die "$self->{name} runs already\n" if $self->{proc};

    $self->{dir} = File::Temp->newdir('llmbench-XXXXXXXX', TMPDIR => 1);
    chmod 0755, $self->{dir};

    return $self->_start_relay($upstream) if $self->{base} eq 'relay';

    $self->_find_ports;

    if ($self->is_nginx) {
        $self->_start_nginx($upstream);

    } else {
        $self->_spawn("$self->{folder}/$self->{key}{start}", $self->{dir},
            $self->{port}, $upstream);
    }

    $self->_wait_listening;

    return $self;
}


# Free ports; the sockets that found them stay bound, not listening, so that
# no one else is given them.

sub _find_ports {
    my ($self) = @_;

    for my $name (qw(port tls_port)) {
        my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => 0, Proto => 'tcp', ReuseAddr => 1)
            or die "no free port: $!\n";

        push @{ $self->{held} }, $sock;
        $self->{$name} = $sock->sockport;
    }

    return;
}


sub _start_relay {
    my ($self, $upstream) = @_;
    my $out = "$self->{dir}/stdout";

    $self->_spawn(relay(), '--listen', 0, '--to', $upstream);

    ($self->{port}) = wait_for(sub {
        return slurp($out) =~ /^listening http=(\d+)\n/m ? $1
            : $self->{proc}->alive ? 0 : die $self->_words;
    }, START_LIMIT) or die $self->_words;

    return $self;
}


sub _start_nginx {
    my ($self, $upstream) = @_;
    my %value = $self->_placeholders($upstream);
    my $names = join '|', keys %value;

    for my $file (glob "$self->{folder}/*.conf") {
        my $text = slurp($file);

        # a binary that has the module built in loads nothing
        $text =~ s/^\s*load_module\s+\@MODULE\@;.*\n//mg
            if $value{MODULE} eq '';
        $text =~ s/\@($names)\@/$value{$1}/g;

        _write("$self->{dir}/" . File::Basename::basename($file), $text);
    }

    my @tool = @{ $self->{tool} };

    $self->_spawn(@tool, LLMTest::Nginx::binary(), '-p', "$self->{dir}/",
        '-c', "$self->{dir}/$self->{key}{nginx}",
        '-e', "$self->{dir}/error.log",
        @tool ? ('-g', 'master_process off;') : ());

    return;
}


sub _placeholders {
    my ($self, $upstream) = @_;
    my $module = module();

    return (
        PORT => $self->{port}, TLS_PORT => $self->{tls_port},
        UPSTREAM => $upstream, DIR => $self->{dir}, MODULE => $module,
        MODULES => _modules_path(), ENTRANT => $self->{folder},
        INSTALL => $self->_install_dir, WORKERS => 1,
    );
}


# the module's file; empty when it is built into nginx

sub module {
    my $module = $ENV{TEST_NGINX_MODULE}
        // 'build/ngx_llm_stream_module.so';

    return $module eq '' || $module =~ m{^/} ? $module : "$ROOT/$module";
}


# what nginx -V says, configure arguments and all

sub nginx_build {
    my $binary = LLMTest::Nginx::binary();

    return scalar qx{\Q$binary\E -V 2>&1};
}


sub _modules_path {
    my ($path) = nginx_build() =~ /--modules-path=(\S+)/;

    return $path // '';
}


sub _spawn {
    my ($self, @cmd) = @_;

    unshift @cmd, 'taskset', '-c', $self->{cores} if defined $self->{cores};

    $self->{proc} = LLMTest::Proc->spawn(cmd => \@cmd,
        name => $self->{name}, stdout => "$self->{dir}/stdout",
        stderr => "$self->{dir}/stderr", env => $self->_environment);

    return;
}


sub _wait_listening {
    my ($self) = @_;

    my $how = wait_for(sub {
        return 'gone' if !$self->{proc}->alive;
        return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port}, Timeout => 1) && 'listens';
    }, START_LIMIT) // 'does not listen';

    die "$self->{name} did not start ($how):\n" . $self->_words
        if $how ne 'listens';

    return;
}


# what it said, and its error log

sub _words {
    my ($self) = @_;

    return join '', map { slurp("$self->{dir}/$_") }
        qw(stdout stderr error.log);
}


# what a variant's log says of each request so far: the bytes of text that its
# stages held back, at most ("held.log", lines of a path and a number)

sub held {
    my ($self, $variant) = @_;
    my $log = $self->{dir} ? slurp("$self->{dir}/held.log") : '';

    return $log =~ m{^\Q$variant->{prefix}\E/\S* (\d+)$}mg;
}


sub alive {
    my ($self) = @_;

    return 1 if $self->{base} eq 'direct';
    return $self->{proc} && $self->{proc}->alive;
}


# Open descriptors of all its processes.

sub fds {
    my ($self) = @_;
    my $n = 0;

    for my $pid (_tree($self->pid // ())) {
        opendir my $dh, "/proc/$pid/fd" or next;
        $n += grep { /^\d+$/ } readdir $dh;
        closedir $dh;
    }

    return $n;
}


# Memory that its processes share with no file, in kB, as llm-bench counts it.

sub memory_kb {
    my ($self) = @_;
    my $kb = 0;

    for my $pid (_tree($self->pid // ())) {
        $kb += $1 if slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
    }

    return $kb;
}


# the processes below these, and these

sub _tree {
    my (@pids) = @_;
    my @children;

    for my $pid (@pids) {
        for my $file (glob "/proc/$pid/task/*/children") {
            push @children, split ' ', slurp($file);
        }
    }

    return @pids, @children ? _tree(@children) : ();
}


sub stop {
    my ($self) = @_;

    if ($self->{proc}) {
        $self->{proc}->stop(5, 'TERM');
        delete $self->{proc};
    }

    delete $self->{held};

    return;
}


# every file of the folder that decides what is measured

sub files {
    my ($self) = @_;

    return grep { -f && !/README/ } glob "$self->{folder}/*";
}


# and those that all nginx entrants include

sub shared_files { return glob "$ROOT/benchmarks/entrants/*.conf" }


sub _write {
    my ($file, $text) = @_;

    open my $fh, '>:raw', $file or die "$file: $!\n";
    print {$fh} $text;
    close $fh or die "$file: $!\n";

    return;
}


1;
