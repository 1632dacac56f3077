package LLMTest::Limit;

# Token-rate limits in a test: requests of a key, and what is left in its
# bucket.  Time stands still (LLMTest::Clock), so that nothing flows off but
# by the test's will.  It owns no process.

use strict;
use warnings;

use JSON::PP ();

use LLMTest::Wait qw(wait_for);

my $reader = JSON::PP->new->utf8;


# new($t): of an nginx whose locations have llm_stream_limit with the key
# $http_x_key

sub new {
    my ($class, $t) = @_;

    return bless { t => $t, cost => {}, fresh => 0, asked => 0 }, $class;
}


# ask($path, key => KEY, mock => options, headers => {}, proto, port, on,
#     members of the body): sends a request; its stream

sub ask {
    my ($self, $path, %o) = @_;
    my %body = (model => 'm-1', stream => JSON::PP::true,
        messages => [ { role => 'user', content => $o{text} // 'hello' } ],
        %{ $o{body} || {} });

    $self->{asked}++;

    return $self->{t}->open(method => 'POST', path => $path,
        proto => $o{proto} // 'h1', port => $o{port} // 0,
        body => $o{raw_body} // \%body, headers => {
            'Content-Type' => 'application/json',
            (defined $o{key} ? ('X-Key' => $o{key}) : ()),
            (defined $o{mock} ? ('X-Mock' => $o{mock}) : ()),
            %{ $o{headers} || {} } });
}


# how many were sent

sub asked { my ($self) = @_; return $self->{asked} }


# the whole answer

sub get {
    my ($self, $path, %o) = @_;
    my $s = $self->ask($path, %o);

    $s->wait_end;

    return $s->result;
}


# What is left of a key's bucket, in tokens.  It is asked by a request that
# the provider refuses: that has used nothing.

sub left {
    my ($self, $path, $key) = @_;
    my $cost = $self->{cost}{$path} //= do {
        my $r = $self->_probe($path, 'fresh-' . $self->{fresh}++);
        $r->{headers}{'x-ratelimit-limit-tokens'}
            - $r->{headers}{'x-ratelimit-remaining-tokens'};
    };
    my $r = $self->_probe($path, $key);

    return $r->{status} == 400
        ? $r->{headers}{'x-ratelimit-remaining-tokens'} + $cost : undef;
}


# settled($path, $key, $left): waits until so much is left; what is

sub settled {
    my ($self, $path, $key, $left) = @_;
    my $got;

    wait_for(sub {
        $got = $self->left($path, $key);
        return defined $got && $got == $left;
    });

    return $got;
}


sub _probe {
    my ($self, $path, $key) = @_;

    return $self->get($path, key => $key, mock => 'status=400',
        body => { model => 'probe', max_tokens => 1 });
}


# tokens that the provider says it used, by the bytes of a stream

sub usage {
    my ($body) = @_;
    my $total;

    for my $data ($body =~ /^data: (\{.*\})$/mg) {
        my $usage = $reader->decode($data)->{usage} or next;

        $total = $usage->{prompt_tokens} + $usage->{completion_tokens};
    }

    return $total;
}


1;
