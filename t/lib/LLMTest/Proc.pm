package LLMTest::Proc;

# Child processes that never outlive the test.  It owns every process the
# library starts: each is a process group of its own, is known by its id, is
# ended in END and on SIGINT and SIGTERM, and by a small watchdog process
# when the test itself is killed hard.  Nothing is ever ended by name.

use strict;
use warnings;

use POSIX ();
use Scalar::Util qw(weaken);

use LLMTest::Wait qw(now limit wait_for);

my %live;           # pid => object (weak)
my $owner = 0;      # the process that may end what is in %live
my $watchdog;       # the pipe to the watchdog, writing end


# spawn(cmd => [...], stdout => FILE, stderr => FILE, env => {...},
#       stdin_pipe => 1): runs a program.  With stdin_pipe the writing end of
# its standard input stays here, in {stdin}: the program sees the end of file
# when the test is gone.

sub spawn {
    my ($class, %o) = @_;
    my ($in, $out);

    _ready();

    if ($o{stdin_pipe}) {
        pipe($in, $out) or die "pipe: $!";

    } else {
        CORE::open($in, '<', '/dev/null') or die "/dev/null: $!";
    }

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        _exec($in, %o);
    }

    CORE::close($in);

    my $self = $class->_register($pid, $o{name} // $o{cmd}[0]);
    $self->{stdin} = $out if $out;

    return $self;
}


# fork_child(sub { ... }, keep => [handles]): runs the sub in a child that
# holds no descriptor of the parent's but 0 to 2 and those in keep.  A socket
# left open in a child would hide a close from its peer.

sub fork_child {
    my ($class, $code, %o) = @_;

    _ready();

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        _detach(map { fileno $_ } @{ $o{keep} || [] });

        my $ok = eval { $code->(); 1 };
        print STDERR "child failed: $@" if !$ok;

        POSIX::_exit($ok ? 0 : 1);
    }

    return $class->_register($pid, $o{name} // 'child');
}


sub pid {
    my ($self) = @_;

    return $self->{pid};
}


# true while the process runs; its exit status is in {status} afterwards

sub alive {
    my ($self) = @_;

    return 0 if defined $self->{status};

    my $pid = waitpid($self->{pid}, POSIX::WNOHANG());

    return 1 if $pid == 0;

    $self->_gone($pid == $self->{pid} ? $? : -1);

    return 0;
}


sub signal {
    my ($self, $name) = @_;

    return 0 if !$self->alive;

    return kill($name, $self->{pid});
}


# waits for the end of the process; its status as in $?, nothing on timeout

sub wait_exit {
    my ($self, $seconds) = @_;

    wait_for(sub { !$self->alive }, $seconds);

    return $self->{status};
}


# sends each signal in turn until the process is gone; true when the first
# one sufficed.  KILL goes to the whole group, workers included.

sub stop {
    my ($self, $seconds, @signals) = @_;
    my $first = $signals[0] // '';

    for my $signal (@signals) {
        last if !$self->alive;
        kill($signal, $self->{pid});
        last if defined $self->wait_exit($seconds);
        $first = '';
    }

    if ($self->alive) {
        $self->_kill_group;
        $self->wait_exit;
        return 0;
    }

    # a worker whose master is dead
    kill('KILL', -$self->{pid});

    return $first ne '';
}


sub _kill_group {
    my ($self) = @_;

    kill('KILL', -$self->{pid}) or kill('KILL', $self->{pid});

    return;
}


sub _register {
    my ($class, $pid, $name) = @_;
    my $self = bless { pid => $pid, name => $name }, $class;

    # both sides do it, so that it is done whoever comes first
    POSIX::setpgid($pid, $pid);

    $live{$pid} = $self;
    weaken($live{$pid});
    _tell("+$pid\n");

    return $self;
}


sub _gone {
    my ($self, $status) = @_;

    $self->{status} = $status;
    delete $live{ $self->{pid} };
    _tell("-$self->{pid}\n");

    return;
}


sub _exec {
    my ($in, %o) = @_;
    my $cmd = $o{cmd};

    POSIX::setpgid(0, 0);
    _default_signals();

    open(STDIN, '<&', $in) or POSIX::_exit(126);
    open(STDOUT, '>>', $o{stdout} // '/dev/null') or POSIX::_exit(126);
    open(STDERR, '>>', $o{stderr} // '/dev/null') or POSIX::_exit(126);

    my $env = $o{env} || {};
    local @ENV{ keys %$env } = values %$env;

    { no warnings 'exec'; exec { $cmd->[0] } @$cmd }

    print STDERR "cannot run $cmd->[0]: $!\n";
    POSIX::_exit(127);
}


sub _detach {
    my (@keep) = @_;

    POSIX::setpgid(0, 0);
    _default_signals();

    %live = ();
    undef $watchdog;

    _let_go(@keep);

    return;
}


# Lets go of all inherited descriptors but 0 to 2 and these.  Each number is
# put on /dev/null, not closed: perl still has handles with these numbers,
# and counts them, so that a new handle of the same number would not really
# be closed by its close().

sub _let_go {
    my %keep = map { $_ => 1 } 0, 1, 2, @_;

    opendir(my $dir, '/proc/self/fd') or return;
    my @fds = grep { /^\d+$/ && !$keep{$_} } readdir $dir;
    closedir $dir;

    my $null = POSIX::open('/dev/null', POSIX::O_RDWR()) or return;

    for my $fd (@fds) {
        POSIX::dup2($null, $fd) if $fd != $null;
    }

    return;
}


sub _default_signals {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP QUIT PIPE CHLD);

    return;
}


# once per test process: the watchdog and the signal handlers

sub _ready {
    return if $owner == $$;

    $owner = $$;
    %live = ();

    pipe(my $read, my $write) or die "pipe: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        CORE::close($write);
        _watch($read);
        POSIX::_exit(0);
    }

    CORE::close($read);
    $watchdog = $write;

    # exit() runs END, which ends the children
    for my $signal (qw(INT TERM HUP)) {
        $SIG{$signal} = sub { exit 130 };
    }

    $SIG{PIPE} = 'IGNORE';

    return;
}


# the watchdog: learns the ids, and when its pipe breaks ends what is left

sub _watch {
    my ($read) = @_;
    my %pids;

    POSIX::setsid();
    $SIG{$_} = 'IGNORE' for qw(INT TERM HUP QUIT PIPE);

    # prove waits for the end of file of the test's output
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>', '/dev/null');
    open(STDERR, '>', '/dev/null');

    _let_go(fileno $read);

    while (my $line = readline $read) {
        if ($line =~ /^\+(\d+)$/) {
            $pids{$1} = 1;

        } elsif ($line =~ /^-(\d+)$/) {
            delete $pids{$1};
        }
    }

    kill('TERM', -$_) for keys %pids;
    wait_for(sub { !grep { kill(0, -$_) } keys %pids }, 2);
    kill('KILL', -$_) for keys %pids;

    return;
}


sub _tell {
    my ($line) = @_;

    syswrite($watchdog, $line) if $watchdog && $owner == $$;

    return;
}


sub DESTROY {
    my ($self) = @_;

    return if $owner != $$ || defined $self->{status};

    local ($@, $!, $?);
    $self->stop(3, 'TERM') if $self->alive;

    return;
}


END {
    if ($owner == $$) {
        local $?;
        for my $proc (grep { defined } values %live) {
            $proc->stop(3, 'TERM') if $proc->alive;
        }
    }
}


1;
