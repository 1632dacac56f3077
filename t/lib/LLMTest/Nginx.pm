package LLMTest::Nginx;

# The nginx under test: which binary, how it is started (valgrind, preload),
# its master and workers, reload and end, its version, its logs as they grow.
# The base of LLMTest, which gives it {dir}, the temporary directory, and
# {root}, the project's.  It owns the process and the files in {dir}; it
# knows nothing of what the configuration says.

use strict;
use warnings;

use File::Basename ();
use File::Path ();

use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);

# how long nginx may take to end its connections and itself, in seconds
use constant QUIT_LIMIT => 30;


sub binary { return $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx' }


sub write_file {
    my ($self, $name, $bytes) = @_;
    my $file = "$self->{dir}/$name";

    File::Path::make_path(File::Basename::dirname($file));
    open my $fh, '>:raw', $file or die "$file: $!";
    print $fh $bytes;
    close $fh or die "$file: $!";

    return $file;
}


sub read_file {
    my ($self, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/$name" or return '';
    local $/ = undef;
    my $bytes = readline $fh;
    close $fh;

    return $bytes // '';
}


# the output of nginx -V

sub build {
    my ($self) = @_;

    return $self->{build} //= do {
        my (undef, $output) = $self->_run(binary(), '-V');
        $output;
    };
}


# has_version("1.25.1"): the nginx under test is that or newer

sub has_version {
    my ($self, $wanted) = @_;
    my ($have) = $self->build =~ m{nginx/(\d+\.\d+\.\d+)};

    return _number($have // '0.0.0') >= _number($wanted);
}


sub _number {
    my ($major, $minor, $patch) = split /\./, $_[0];

    return ($major * 1000 + $minor) * 1000 + ($patch // 0);
}


# runs a command; its exit status and its output, both streams together

sub _run {
    my ($self, @cmd) = @_;
    my $out = "$self->{dir}/run.out";

    unlink $out;

    my $proc = LLMTest::Proc->spawn(cmd => \@cmd, stdout => $out,
        stderr => $out, env => $self->_environment);
    my $status = $proc->wait_exit(120);

    die "$cmd[0] does not end\n" if !defined $status;

    my $text = $self->read_file('run.out');

    # for the search for secrets
    open my $fh, '>>:raw', "$self->{dir}/runs.out" or die "runs.out: $!";
    print $fh $text;
    close $fh;

    return ($status >> 8 || $status & 127, $text);
}


sub _environment {
    my ($self) = @_;

    return { LD_PRELOAD => $ENV{TEST_NGINX_PRELOAD} }
        if $ENV{TEST_NGINX_PRELOAD};
    return {};
}


# starts nginx and waits until it listens; dies with its words if it fails

sub start {
    my ($self, %o) = @_;
    my $dir = $self->{dir};
    my @cmd = (binary(), '-p', $dir, '-c', "$dir/nginx.conf",
        '-e', "$dir/error.log");

    die "nginx runs already\n" if $self->{proc} && $self->{proc}->alive;

    unshift @cmd, $self->_valgrind if $ENV{TEST_NGINX_VALGRIND};
    unlink "$dir/nginx.pid";

    $self->{proc} = LLMTest::Proc->spawn(cmd => \@cmd, name => 'nginx',
        stdout => "$dir/nginx.stdout", stderr => "$dir/nginx.stderr",
        env => { %{ $self->_environment }, %{ $o{env} || {} } });

    # the pid file is written when the sockets listen
    wait_for(sub {
        return -s "$dir/nginx.pid" || !$self->{proc}->alive;
    }, 100);

    if (!-s "$dir/nginx.pid") {
        die "nginx did not start:\n" . $self->read_file('nginx.stderr')
            . join('', grep { !/\[debug\]/ }
                $self->read_file('error.log') =~ /^(.*\n)/mg);
    }

    # answers need a worker; a single process is its own
    wait_for(sub { $self->_all_up($self->workers) })
        if $self->read_file('nginx.conf') !~ /master_process\s+off/;

    return $self;
}


# as many of these processes as the configuration has workers have made
# themselves ready: a worker is forked before it has its limits, its user and
# its modules, and says so in its title.  Valgrind hides that; there it is
# ready when it waits for events.

sub _all_up {
    my ($self, @pids) = @_;
    my ($wanted) = $self->read_file('nginx.conf')
        =~ /^\s*worker_processes\s+(\d+)/m;

    @pids = grep { $ENV{TEST_NGINX_VALGRIND}
        ? _proc($_, 'wchan') =~ /epoll/
        : _proc($_, 'cmdline') =~ /worker process/ } @pids;

    return @pids >= ($wanted // 1);
}


sub _proc {
    my ($pid, $name) = @_;

    open my $fh, '<', "/proc/$pid/$name" or return '';
    my $text = readline $fh // '';
    close $fh;

    return $text;
}


sub _valgrind {
    my ($self) = @_;
    my $suppressions = "$self->{root}/t/valgrind.supp";

    return (
        'valgrind', '--leak-check=full', '--errors-for-leak-kinds=definite',
        '--show-leak-kinds=definite', '--child-silent-after-fork=no',
        '--trace-children=yes', '--num-callers=30',
        "--log-file=$self->{dir}/valgrind.%p.log",
        (-f $suppressions ? "--suppressions=$suppressions" : ()),
    );
}


# the master's process id

sub pid {
    my ($self) = @_;

    return $self->{proc} ? $self->{proc}->pid : undef;
}


# the ids of the workers, those that are shutting down included

sub workers {
    my ($self) = @_;
    my $pid = $self->pid or return;

    open my $fh, '<', "/proc/$pid/task/$pid/children" or return;
    my $line = readline $fh // '';
    close $fh;

    my @pids = sort { $a <=> $b } split ' ', $line;

    return @pids;
}


sub signal {
    my ($self, $name) = @_;

    return $self->{proc}->signal($name);
}


# reload: true when the new workers run and the old ones know that they are
# to leave; false when the new configuration was refused

sub reload {
    my ($self, $seconds) = @_;
    my %old = map { $_ => 1 } $self->workers;
    my $mark = $self->log_mark;

    $self->signal('HUP');

    my $how = wait_for(sub {
        my @now = $self->workers;

        return 'refused' if $self->_log_since($mark) =~ /^\S+ \S+ \[emerg\]/m;
        return if !$self->_all_up(grep { !$old{$_} } @now);
        return if grep { $old{$_} && !$self->_is_leaving($_, $mark) } @now;
        return 'done';
    }, $seconds);

    return ($how // '') eq 'done' ? 1 : 0;
}


# a worker on its way out says so in its title, and in the log (valgrind
# hides the title); it may have done so at an earlier reload

sub _is_leaving {
    my ($self, $pid, $mark) = @_;

    return $self->{leaving}{$pid} ||= !-e "/proc/$pid"
        || _proc($pid, 'cmdline') =~ /is shutting down/
        || $self->_log_since($mark)
        =~ /\[notice\] $pid#\d+: gracefully shutting down/;
}


# asks nginx to leave when its connections are done, and returns at once

sub quit {
    my ($self) = @_;

    return $self->signal('QUIT');
}


# waits until nginx is gone; undef if it stays

sub wait_exit {
    my ($self, $seconds) = @_;

    return $self->{proc}->wait_exit($seconds);
}


# QUIT, then TERM; true when the first was enough

sub stop {
    my ($self) = @_;

    return 1 if !$self->{proc};
    return $self->{proc}->stop(QUIT_LIMIT, 'QUIT', 'TERM');
}


# the resident set of a process (a worker without it), in bytes

sub rss {
    my ($self, $pid) = @_;

    $pid //= ($self->workers)[0] // $self->pid;

    open my $fh, '<', "/proc/$pid/status" or return;
    my ($kb) = map { /^VmRSS:\s+(\d+) kB/ ? $1 : () } readline $fh;
    close $fh;

    return defined $kb ? $kb * 1024 : undef;
}


# the number of open descriptors of a process

sub fds {
    my ($self, $pid) = @_;

    $pid //= ($self->workers)[0] // $self->pid;

    opendir my $dh, "/proc/$pid/fd" or return;
    my $n = grep { /^\d+$/ } readdir $dh;
    closedir $dh;

    return $n;
}


# the error log's length, to look only at what comes after

sub log_mark {
    my ($self, $name) = @_;

    return -s "$self->{dir}/" . ($name // 'error.log') || 0;
}


sub _log_since {
    my ($self, $mark, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/" . ($name // 'error.log') or return '';
    seek $fh, $mark, 0;
    local $/ = undef;
    my $text = readline $fh // '';
    close $fh;

    return $text;
}


# wait_log(qr/.../, from => mark, file => "access.log", limit => seconds):
# the first line that matches, undef if none comes

sub wait_log {
    my ($self, $re, %o) = @_;
    my $mark = $o{from} // 0;

    return wait_for(sub {
        my $text = $self->_log_since($mark, $o{file});

        while ($text =~ /^(.*)\n/mg) {
            my $line = $1;
            $mark += length($line) + 1;
            return $line if $line =~ $re;
        }

        return;
    }, $o{limit});
}


1;
