package LLMBench::Rig;

# What entrants are measured with: the mock provider, the client's program,
# and on which processor cores each of them runs.  It owns the mock's process
# and knows the machine (cores, descriptors, stolen time); it knows nothing
# of entrants.

use strict;
use warnings;

use POSIX ();

use LLMBench::Entrant;
use LLMTest::Mock;
use LLMTest::Proc;

# What runs beside a measurement must not make mock and client late, nor they
# each other; the mock goes first.  As of nice and, of the real-time
# scheduler, mock and client.  Only root may; others measure without.
use constant { PRIORITY => -10, MOCK_FIRST => 2, CLIENT_THEN => 1 };


# new(dir => where logs may be written): the mock is started

sub new {
    my ($class, %o) = @_;
    my $self = bless { dir => $o{dir}, root => LLMBench::Entrant::root() },
        $class;

    # everything that is started inherits it
    $self->{priority} = POSIX::nice(PRIORITY) ? PRIORITY : 0;

    die "no ", $self->client, ": make bench builds it\n"
        if !-x $self->client;

    $self->{cores} = _cores(_allowed_cores());
    $self->{mock} = LLMTest::Mock->new(root => $self->{root},
        log => "$o{dir}/llm-mock");
    _pin($self->{mock}->pid, $self->{cores}{mock});
    $self->{real_time} = defined $self->{cores}{mock}
        && _is_done('chrt', '-a', '-f', '-p', MOCK_FIRST,
            $self->{mock}->pid);

    return $self;
}


sub mock    { my ($self) = @_; return $self->{mock} }
sub client  { my ($self) = @_; return _built('LLM_BENCH', 'llm-bench') }
sub program { my ($self) = @_; return _built('LLM_MOCK', 'llm-mock') }
sub dir     { my ($self) = @_; return $self->{dir} }


sub _built {
    my ($variable, $name) = @_;
    my $file = $ENV{$variable} || "build/$name";

    return $file =~ m{^/} ? $file : LLMBench::Entrant::root() . "/$file";
}


# The cores of { proxy, mock, client } as taskset wants them, and how many
# processes the client may be.  With one core there is nothing to pin.

sub cores { my ($self) = @_; return $self->{cores} }


sub _cores {
    my (@core) = @_;

    return { client_processes => 1 } if @core < 2;

    return { proxy => $core[0], mock => $core[1], client => $core[1],
        client_processes => 1 } if @core < 4;

    return { proxy => $core[0], mock => $core[1],
        client => join(',', @core[2 .. $#core]),
        client_processes => @core - 2 };
}


# the cores that this process may run on

sub _allowed_cores {
    open my $fh, '<', '/proc/self/status' or return;
    my ($list) = map { /^Cpus_allowed_list:\s*(\S+)/ ? $1 : () } readline $fh;
    close $fh;

    return map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list // '';
}


sub pinning {
    my ($self) = @_;
    my $cores = $self->{cores};

    return 'nothing pinned: one core' if !defined $cores->{proxy};
    return "proxy on core $cores->{proxy}"
        . ($self->{priority} ? " (priority $self->{priority})" : '')
        . ", mock on core $cores->{mock}, client on core $cores->{client}"
        . ($self->{real_time} ? ' (both real-time)' : '');
}


# every thread of a process that runs already

sub _pin {
    my ($pid, $cores) = @_;

    die "cannot pin process $pid to core $cores\n"
        if defined $cores && !_is_done('taskset', '-a', '-p', '-c', $cores,
            $pid);

    return;
}


# runs a command of which only the success matters

sub _is_done {
    my (@cmd) = @_;
    my $status = LLMTest::Proc->spawn(cmd => \@cmd)->wait_exit;

    return defined $status && $status == 0;
}


# how the client is started: on its cores, ahead of others

sub client_command {
    my ($self) = @_;
    my $cores = $self->{cores}{client};

    return (
        defined $cores ? ('taskset', '-c', $cores) : (),
        $self->{real_time} ? ('chrt', '-f', CLIENT_THEN) : (),
        $self->client,
    );
}


# options for all requests that follow

sub defaults {
    my ($self, $text) = @_;

    return if ($self->{defaults} // '') eq $text;

    $self->{mock}->defaults($text);
    $self->{defaults} = $text;

    return;
}


# Waits until no stream of the mock is open: all of them were given up when
# their clients left.  How many are.

sub open_streams {
    my ($self) = @_;

    return 0 if $self->{mock}->wait(open => 0);
    return $self->{mock}->stats->{open};
}


# how many descriptors a process may have open, and may allow itself

sub descriptors {
    open my $fh, '<', '/proc/self/limits' or return;
    my ($limits) = grep { /^Max open files/ } readline $fh;
    close $fh;

    my ($soft, $hard) = ($limits // '') =~ /(\d+)\s+(\d+)/;

    return wantarray ? ($soft, $hard) : $soft;
}


# allows all that follows as many as it may have

sub raise_descriptors {
    my ($soft, $hard) = descriptors();

    return if !defined $hard || $soft == $hard;

    system('prlimit', '--pid', $$, "--nofile=$hard:$hard") == 0
        or print STDERR "prlimit failed: at most $soft descriptors\n";

    return;
}


# stolen and all time of the machine so far, in ticks

sub ticks {
    open my $fh, '<', '/proc/stat' or return (0, 0);
    my (undef, @ticks) = split ' ', readline $fh;
    close $fh;

    my $all = 0;
    $all += $_ for @ticks[0 .. 7];

    return ($ticks[7], $all);
}


sub stop {
    my ($self) = @_;

    $self->{mock}->stop;

    return;
}


1;
