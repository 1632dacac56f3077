package LLMDemo;

# What make demo and make demo-chat have in common: installs and builds what is
# missing, starts the mock provider and nginx on loopback, and stops both at
# every ending.  What nginx serves is the caller's.  It must never end a
# process that it has not started, and leaves nothing behind.
#
# Used on a bare Debian: only modules of perl-base until prepare() is done.

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Basename ();
use POSIX ();

our @EXPORT_OK = qw(prepare start_mock start_nginx serve root content);

my $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my $owner = $$;
my @running;        # [name, pid]
my $dir;            # temporary, removed at the end
my $held;           # the socket that keeps nginx's port ours

my $stopping = POSIX::SigSet->new(POSIX::SIGINT(), POSIX::SIGTERM(),
    POSIX::SIGHUP());


sub root { return $ROOT }


# Installs, builds, loads; modules that a bare Debian lacks only after that.
# Perl must not be left by a signal while it compiles: they wait.

sub prepare {
    $SIG{INT} = sub { exit 130 };
    $SIG{TERM} = sub { exit 143 };
    $SIG{HUP} = sub { exit 129 };
    $SIG{PIPE} = sub { exit 141 };

    if (!defined $ENV{TEST_NGINX_MODULE} || !$ENV{LLM_MOCK}) {
        install();
        build();
    }

    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $stopping);

    require File::Path;
    require File::Temp;
    require IO::Handle;
    require IO::Socket::INET;
    require JSON::PP;
    require Time::HiRes;

    binmode STDOUT, ':encoding(UTF-8)';
    STDOUT->autoflush(1);

    $dir = File::Temp::tempdir('llm-demo-XXXXXXXX', TMPDIR => 1);
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $stopping);

    return;
}


# Not one of ours to end: Ctrl-C reaches it through the terminal, and half
# an installation would be worse than one that goes on.

sub install {
    my $status = system "$ROOT/util/deps";

    exit 128 + ($status & 127) if $status > 0 && ($status & 127);
    exit 1 if $status;

    return;
}


sub build {
    my @make = ('make', '-s', '--no-print-directory', '-C', $ROOT);

    return if run(@make, '-q', 'all') == 0;

    print "building the module and the mock provider\n";
    run(@make, 'all') == 0 or exit 1;

    return;
}


# runs a command to its end; its status

sub run {
    my (@cmd) = @_;

    open my $null, '<', '/dev/null' or die "/dev/null: $!\n";

    my $pid = start($cmd[0], $null, undef, @cmd);

    waitpid $pid, 0;

    my $status = $?;

    pop @running;

    return $status;
}


# The signals wait while a process is started: the handler must know of it.
# Each is a process group of its own, so that Ctrl-C reaches it through us.
# Its output goes to files of that name, or where ours goes.

sub start {
    my ($name, $stdin, $files, @cmd) = @_;

    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $stopping);

    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $stopping);

        if (open(STDIN, '<&', $stdin)
            && (!$files || open(STDOUT, '>', "$files.out"))
            && (!$files || open(STDERR, '>', "$files.err")))
        {
            no warnings 'exec';
            exec { $cmd[0] } @cmd;
            print STDERR "cannot run $cmd[0]: $!\n";
        }

        POSIX::_exit(127);
    }

    POSIX::setpgid($pid, $pid);
    push @running, [ $name, $pid ];
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $stopping);

    return $pid;
}


# The mock provider with these options, and that fault if FAULT says so; the
# port that it listens on.

sub start_mock {
    my (%pace) = @_;
    my $mock = $ENV{LLM_MOCK} || "$ROOT/build/llm-mock";
    my @cmd = ($mock, '--port', 0, '--parent-pipe',
        map { ("--$_", $pace{$_}) } sort keys %pace);

    push @cmd, '--fault', $ENV{FAULT}, '--at', 10 if $ENV{FAULT};

    pipe(my $read, my $write) or die "pipe: $!\n";

    my $pid = start('llm-mock', $read, "$dir/llm-mock", @cmd);
    push @{ $running[-1] }, $write;

    my $port = wait_for($pid, sub {
        return content("$dir/llm-mock.out") =~ /\bhttp=(\d+).*\n/ ? $1 : 0;
    });

    return $port || failed('llm-mock did not start', 'llm-mock.err');
}


# nginx with the configuration that the sub makes of what comes first in it,
# the folder for its files and the port, which is a free one if none is wanted.
# The port that it listens on.

sub start_nginx {
    my ($conf, $wanted) = @_;
    my $nginx = $ENV{TEST_NGINX_BINARY} || $ENV{NGINX} || '/usr/sbin/nginx';
    my $module = $ENV{TEST_NGINX_MODULE}
        // 'build/ngx_llm_stream_module.so';

    $module = "$ROOT/$module" if $module ne '' && $module !~ m{^/};

    # bound but not listening: no one else is given the port meanwhile
    $held = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $wanted // 0,
        Proto => 'tcp', ReuseAddr => 1)
        or die 'no port ' . ($wanted // 'is free') . ": $!\n";

    my $port = $held->sockport;

    write_conf($conf->(globals($module), $dir, $port));

    open my $null, '<', '/dev/null' or die "/dev/null: $!\n";

    my $pid = start('nginx', $null, "$dir/nginx", $nginx, '-p', $dir,
        '-c', "$dir/nginx.conf", '-e', "$dir/error.log");

    my $up = wait_for($pid, sub { return -s "$dir/nginx.pid" });

    return $up ? $port : failed('nginx did not start', 'nginx.err');
}


sub globals {
    my ($module) = @_;
    my $load = $module eq '' ? '' : "load_module $module;";

    return <<"CONF";
$load
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
CONF
}


sub write_conf {
    my ($text) = @_;

    open my $fh, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!\n";
    print $fh $text;
    close $fh or die "$dir/nginx.conf: $!\n";

    return;
}


# the first true value of the condition; false when the process is gone, or
# after ten seconds

sub wait_for {
    my ($pid, $condition) = @_;
    my $until = Time::HiRes::time() + 10;

    while (Time::HiRes::time() < $until) {
        my $value = $condition->();
        return $value if $value;
        return if waitpid($pid, POSIX::WNOHANG()) != 0;
        Time::HiRes::sleep(0.01);
    }

    return;
}


sub content {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text // '';
}


sub failed {
    my ($what, $file) = @_;

    print STDERR "$what\n", content("$dir/$file");
    exit 1;
}


# Until one of what runs ends by itself, which is a fault, or a signal comes.

sub serve {
    while (1) {
        my $pid = waitpid -1, 0;

        next if $pid < 0;

        my ($gone) = grep { $_->[1] == $pid } @running or next;

        failed("$gone->[0] has ended", "$gone->[0].err");
    }
}


# asks a process to go, and insists after three seconds

sub stop {
    my ($pid) = @_;
    my $until = time + 3;

    require Time::HiRes;

    kill 'TERM', $pid;

    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        last if time > $until;
        Time::HiRes::sleep(0.01);
    }

    # its workers too, or itself
    kill 'KILL', -$pid;
    waitpid $pid, 0;

    return;
}


END {
    if ($$ == $owner) {
        local $?;
        $SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);

        stop($_->[1]) for reverse @running;
        File::Path::remove_tree($dir) if defined $dir;
    }
}


1;
