package LLMTest::Disk;

# The folder of llm_stream_store for a test: what is in it, how a stored file
# comes to be, and a library for nginx under which the disk fails or waits
# (t/lib/disk.c says how).  It owns that folder and the library.

use strict;
use warnings;

use File::Find ();

use LLMTest::Wait qw(wait_for);


# new($t): %%STORE%% is the folder; $t->start(env => $disk->env)

sub new {
    my ($class, $t) = @_;
    my $dir = $t->dir;
    my $self = bless { dir => "$dir/store", library => "$dir/disk.so",
        hold => "$dir/hold" }, $class;

    mkdir $self->{dir} or die "$self->{dir}: $!";
    $t->set(STORE => $self->{dir});

    my ($status, $output) = $t->_run($ENV{CC} || 'cc', '-O2', '-shared',
        '-fPIC', '-o', $self->{library}, $t->root . '/t/lib/disk.c', '-ldl');
    die "no disk: $output\n" if $status;

    return $self;
}


sub dir { my ($self) = @_; return $self->{dir} }


sub env {
    my ($self) = @_;
    my @preload = grep { $_ } $ENV{TEST_NGINX_PRELOAD}, $self->{library};

    return { LD_PRELOAD => join(':', @preload),
        LLM_TEST_DISK => $self->{hold} };
}


# from now on writes to /slow/ wait; go() lets them

sub hold {
    my ($self) = @_;

    open my $fh, '>', $self->{hold} or die "$self->{hold}: $!";
    close $fh;

    return;
}


sub go {
    my ($self) = @_;

    unlink $self->{hold};

    return;
}


# the bytes of a file, undef if it is not there

sub bytes {
    my ($self, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/$name" or return;
    local $/ = undef;
    my $bytes = readline $fh;
    close $fh;

    return $bytes;
}


# the same when it is there; undef if it does not come

sub wait_bytes {
    my ($self, $name) = @_;

    wait_for(sub { -e "$self->{dir}/$name" }) or return;

    return $self->bytes($name);
}


# the names of all files below the folder, sorted; temporary ones as "TEMP"

sub files {
    my ($self, $below) = @_;
    my $root = $self->{dir} . (defined $below ? "/$below" : '');
    my @found;

    return if !-d $root;

    File::Find::find({ no_chdir => 1, wanted => sub {
        push @found, $File::Find::name =~ s{^\Q$root\E/}{}r if !-d;
    } }, $root);

    my @names = sort map { s{(^|/)\.llm_stream\.\d+\.\d{10}$}{$1TEMP}r }
        @found;

    return @names;
}


# waits until these are the files, and no other; what there is if they are not

sub wait_files {
    my ($self, $below, @expected) = @_;
    my $want = join ' ', sort @expected;

    wait_for(sub { join(' ', $self->files($below)) eq $want });

    return join ' ', $self->files($below);
}


1;
