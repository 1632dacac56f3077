package LLMTest::Load;

# The load client, build/llm-bench: runs it and gives what it said.  LLM_BENCH
# is another binary.  It owns the files of its runs; it knows no figure.

use strict;
use warnings;

use JSON::PP qw(decode_json);

use LLMTest::Proc;
use LLMTest::Wait qw(limit);

my $runs = 0;


sub binary {
    my ($root) = @_;
    my $binary = $ENV{LLM_BENCH} || 'build/llm-bench';

    return $binary =~ m{^/} ? $binary : "$root/$binary";
}


# start(root, dir => where files go, url, args => [...]): a run that goes on,
# for end() below

sub start {
    my ($class, %o) = @_;
    my $self = bless { base => "$o{dir}/load" . ++$runs }, $class;

    $self->{proc} = LLMTest::Proc->spawn(name => 'llm-bench',
        stdout => "$self->{base}.out", stderr => "$self->{base}.err",
        cmd => [binary($o{root}), '--base-url', $o{url}, '--save-result',
            '--result-filename', "$self->{base}.json", @{ $o{args} || [] }]);

    return $self;
}


# waits for its end: the exit status (128 + N: a signal ended it; undef: it
# does not end), the table, what went to stderr, the JSON as text and read

sub end {
    my ($self) = @_;
    my $status = $self->{proc}->wait_exit(limit(60));
    my $text = _slurp("$self->{base}.json");

    return {
        status => defined $status
            ? ($status & 127 ? 128 + ($status & 127) : $status >> 8) : undef,
        out => _slurp("$self->{base}.out"),
        err => _slurp("$self->{base}.err"),
        text => $text,
        json => $text eq '' ? undef : decode_json($text),
    };
}


sub signal {
    my ($self, $name) = @_;

    return $self->{proc}->signal($name);
}


# the ids of the processes that it has started

sub children {
    my ($self) = @_;
    my $pid = $self->{proc}->pid;

    return split / /, _slurp("/proc/$pid/task/$pid/children");
}


# a whole run

sub run {
    my ($class, %o) = @_;

    return $class->start(%o)->end;
}


sub _slurp {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/ = undef;

    return readline($fh) // '';
}


1;
