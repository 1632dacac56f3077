package LLMTest::Mock;

# The mock provider, build/llm-mock: starts it, ends it, and speaks to its
# control requests.  What it does with a chat request is chosen in the
# request itself (header X-Mock, or the model name), see its own manual.

use strict;
use warnings;

use JSON::PP ();

use LLMTest::Client;
use LLMTest::Proc;
use LLMTest::Wait qw(wait_for limit);


# new(root, log => file name without ending, cert, key (TLS too),
#     args => [more arguments])

sub new {
    my ($class, %o) = @_;
    my $binary = $ENV{LLM_MOCK} || 'build/llm-mock';
    my $out = "$o{log}.stdout";

    $binary = "$o{root}/$binary" if $binary !~ m{^/};
    die "no mock $binary: build it, or set LLM_MOCK\n" if !-x $binary;

    my @cmd = ($binary, '--port', 0, '--parent-pipe');

    push @cmd, '--tls-port', 0, '--cert', $o{cert}, '--key', $o{key}
        if $o{cert};
    push @cmd, @{ $o{args} || [] };

    my $self = bless {
        proc => LLMTest::Proc->spawn(cmd => \@cmd, stdin_pipe => 1,
            stdout => $out, stderr => "$o{log}.stderr", name => 'llm-mock'),
    }, $class;

    my $line = wait_for(sub {
        return _listening($out) || (!$self->{proc}->alive && 'gone');
    });

    die "llm-mock did not start, see $o{log}.stderr\n"
        if ($line // 'gone') eq 'gone';

    ($self->{port}) = $line =~ /\bhttp=(\d+)/;
    ($self->{tls_port}) = $line =~ /\btls=(\d+)/;

    return $self;
}


sub _listening {
    my ($file) = @_;

    CORE::open(my $fh, '<', $file) or return;
    my ($line) = grep { /^listening .*\n/ } readline $fh;
    CORE::close($fh);

    return $line;
}


sub port     { my ($self) = @_; return $self->{port} }
sub tls_port { my ($self) = @_; return $self->{tls_port} }
sub address  { my ($self) = @_; return "127.0.0.1:$self->{port}" }
sub pid      { my ($self) = @_; return $self->{proc}->pid }


# what it saw: in all, or of the stream with that id

sub stats {
    my ($self, $id) = @_;

    return $self->_json('GET', '/mock/stats', id => $id);
}


# the last n requests, the newest last

sub requests {
    my ($self, $n) = @_;
    my $list = $self->_json('GET', '/mock/requests', last => $n // 100);

    return ref $list eq 'HASH' ? @{ $list->{requests} || [] } : @$list;
}


# allows the stream n more of the steps that wait for an ack

sub ack {
    my ($self, $id, $n) = @_;

    return $self->_ok('POST', '/mock/ack', '', id => $id, n => $n // 1);
}


# wait(id => ID, events => N) | (id => ID, end => 1) | (open => N)
# | (aborts => N) | (requests => N) [, limit => SECONDS]: what the mock says
# when it is so; undef if it did not come true

sub wait {
    my ($self, %o) = @_;
    my $seconds = limit(delete $o{limit});
    my $answer = $self->_request('GET', '/mock/wait', undef, $seconds + 5,
        %o, timeout => int $seconds * 1000);

    return if $answer->{status} != 200;
    return _decode($answer->{body}) // 1;
}


sub script {
    my ($self, $name, $text) = @_;

    return $self->_ok('PUT', "/mock/script/$name", $text);
}


sub replay {
    my ($self, $name, $bytes) = @_;

    return $self->_ok('PUT', "/mock/replay/$name", $bytes);
}


# options ("key=value ...") for every request that does not say otherwise

sub defaults {
    my ($self, $text) = @_;

    return $self->_ok('POST', '/mock/defaults', $text);
}


# makes the identity service's tokens bad; how many of them were good

sub revoke {
    my ($self) = @_;

    return _decode($self->_request('POST', '/mock/revoke', '')->{body})
        ->{revoked};
}


sub reset {
    my ($self) = @_;

    return $self->_ok('POST', '/mock/reset', '');
}


sub alive {
    my ($self) = @_;

    return $self->{proc}->alive;
}


sub stop {
    my ($self) = @_;

    $self->{proc}->stop(5, 'TERM');

    return;
}


sub _json {
    my ($self, $method, $path, %query) = @_;
    my $answer = $self->_request($method, $path, undef, undef, %query);

    die "llm-mock: $method $path: $answer->{status} $answer->{body}\n"
        if $answer->{status} != 200;

    return _decode($answer->{body});
}


sub _ok {
    my ($self, $method, $path, $body, %query) = @_;
    my $answer = $self->_request($method, $path, $body, undef, %query);

    die "llm-mock: $method $path: $answer->{status} $answer->{body}\n"
        if $answer->{status} !~ /^2/;

    return 1;
}


sub _request {
    my ($self, $method, $path, $body, $seconds, %query) = @_;
    my @query = map { "$_=$query{$_}" }
        grep { defined $query{$_} } sort keys %query;

    $path .= '?' . join '&', @query if @query;

    my $answer = LLMTest::Client->request(
        port => $self->{port}, method => $method, path => $path,
        body => $body, headers => { Connection => 'close' },
    )->result($seconds);

    die "llm-mock: no answer to $method $path: $answer->{ended}\n"
        if !$answer->{status};

    return $answer;
}


sub _decode {
    my ($text) = @_;
    my $reader = JSON::PP->new->utf8->allow_nonref;

    return scalar eval { $reader->decode($text) };
}


1;
