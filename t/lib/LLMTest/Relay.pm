package LLMTest::Relay;

# The proxy with known delays and faults, build/llm-relay: starts it, ends it,
# and gives what it says it did.  LLM_RELAY is another binary.

use strict;
use warnings;

use JSON::PP qw(decode_json);

use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);


sub binary {
    my ($root) = @_;
    my $binary = $ENV{LLM_RELAY} || 'build/llm-relay';

    return $binary =~ m{^/} ? $binary : "$root/$binary";
}


# new(root, to => "HOST:PORT", log => file name without ending,
#     args => [options])

sub new {
    my ($class, %o) = @_;
    my $out = "$o{log}.stdout";

    unlink $out;

    my $self = bless {
        out => $out,
        proc => LLMTest::Proc->spawn(
            cmd => [binary($o{root}), '--to', $o{to}, '--parent-pipe',
                @{ $o{args} || [] }],
            stdin_pipe => 1, stdout => $out, stderr => "$o{log}.stderr",
            name => 'llm-relay'),
    }, $class;

    my $line = wait_for(sub {
        return (_lines($out))[0] || (!$self->{proc}->alive && 'gone');
    });

    ($self->{port}) = ($line // '') =~ /^listening http=(\d+)$/
        or die "llm-relay did not start, see $o{log}.stderr\n";

    return $self;
}


sub _lines {
    my ($file) = @_;

    CORE::open(my $fh, '<', $file) or return;
    my @lines = grep { /\n\z/ } readline $fh;
    CORE::close($fh);

    return @lines;
}


sub port  { my ($self) = @_; return $self->{port} }
sub pid   { my ($self) = @_; return $self->{proc}->pid }
sub alive { my ($self) = @_; return $self->{proc}->alive }


# ends it: what it did, or nothing if it did not end as it should

sub stop {
    my ($self) = @_;

    return if !$self->{proc}->stop(60, 'TERM') || $self->{proc}{status};

    my @lines = _lines($self->{out});

    return decode_json($lines[1] // return);
}


1;
