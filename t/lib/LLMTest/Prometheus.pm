package LLMTest::Prometheus;

# A real Prometheus that scrapes nginx, and promtool.  It owns the process,
# on a loopback port of its own, with its configuration and data in the
# test's directory.  Without the package a test fails, and says what to
# install.

use strict;
use warnings;

use JSON::PP ();

use LLMTest::Client;
use LLMTest::Proc;
use LLMTest::Wait qw(wait_for);


# need(): dies where the package is not installed

sub need {
    for my $name (qw(prometheus promtool)) {
        die "no $name: run \"make deps\", or install Debian's package"
            . " prometheus\n"
            if !grep { -x "$_/$name" } split /:/, $ENV{PATH} // '';
    }

    return;
}


# new($t, scrape => port of nginx, path => '/metrics', job => name): starts
# it, and waits until it can be asked

sub new {
    my ($class, $t, %o) = @_;

    need();

    my $dir = $t->dir . '/prometheus';
    my $port = $t->port('prometheus');
    my $job = $o{job} // 'nginx_llm_stream';
    my $path = $o{path} // '/metrics';

    mkdir $dir or die "$dir: $!\n";

    my $config = $t->write_file('prometheus/prometheus.yml', <<"EOT");
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: $job
    metrics_path: $path
    static_configs:
      - targets: ['127.0.0.1:$o{scrape}']
EOT

    my $self = bless { port => $port,
        proc => LLMTest::Proc->spawn(name => 'prometheus',
            stdout => "$dir/stdout", stderr => "$dir/stderr", cmd => [
                'prometheus', "--config.file=$config",
                "--storage.tsdb.path=$dir/data",
                "--web.listen-address=127.0.0.1:$port", '--log.level=warn',
                '--no-storage.tsdb.wal-compression',
            ]) }, $class;

    wait_for(sub {
        return !$self->{proc}->alive || ($self->_get('/-/ready') // 0) == 200;
    }, 60);

    die "prometheus did not start, see $dir/stderr\n"
        if !$self->{proc}->alive;

    return $self;
}


# status and body

sub _get {
    my ($self, $path) = @_;
    my $r = eval {
        LLMTest::Client->request(port => $self->{port}, method => 'GET',
            path => $path)->result;
    } or return;

    return wantarray ? ($r->{status}, $r->{body}) : $r->{status};
}


# query($promql): the results, a list of { metric => labels, value => [time,
# text] }; dies with what is wrong with it

sub query {
    my ($self, $expr) = @_;

    $expr =~ s/([^A-Za-z0-9_])/sprintf '%%%02X', ord $1/ge;

    my ($status, $body) = $self->_get("/api/v1/query?query=$expr");
    my $answer = JSON::PP->new->utf8->decode($body // '{}');

    die(($answer->{error} // 'no answer') . "\n")
        if ($answer->{status} // '') ne 'success';

    my $result = $answer->{data}{result};

    return $answer->{data}{resultType} eq 'vector' ? @$result : $result;
}


# value($promql): the one value, or nothing

sub value {
    my ($self, $expr) = @_;
    my @found = $self->query($expr);

    return @found == 1 ? $found[0]{value}[1] : undef;
}


# wait_value($promql, $want): the value, when it is that or at last

sub wait_value {
    my ($self, $expr, $want, $seconds) = @_;
    my $value;

    wait_for(sub {
        $value = $self->value($expr);
        return defined $value && $value == $want;
    }, $seconds // 60);

    return $value;
}


sub stop {
    my ($self) = @_;

    return $self->{proc}->stop(60, 'TERM');
}


# promtool(arguments; in => text): exit status and what it printed

sub promtool {
    my ($class, $t, $args, $in) = @_;

    need();

    my $file = $t->write_file('promtool.in', $in // '');
    my $out = $t->dir . '/promtool.out';

    unlink $out;

    my $proc = LLMTest::Proc->spawn(name => 'promtool', stdout => $out,
        stderr => $out, cmd => [ '/bin/sh', '-c', 'exec promtool "$@" <"$0"',
            $file, @$args ]);
    my $status = $proc->wait_exit(60);

    return ($status // 'timeout', $t->read_file('promtool.out'));
}


1;
