package LLMTest::Metrics;

# The Prometheus text of llm_stream_status in a test: read, added up, waited
# for.  It is strict: a line that the format does not have is an error.  It
# owns no process.

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Wait qw(wait_for);

our @EXPORT_OK = qw(parse);

use constant PREFIX => 'nginx_llm_stream_';

my $number = qr/[+-]?(?:Inf|NaN|\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i;
my $pair = qr/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"/;


# parse($text): what was exposed; dies of a line that is none

sub parse {
    my ($text) = @_;
    my $self = bless { samples => {}, type => {}, help => {}, order => [] },
        __PACKAGE__;

    for my $line (split /\n/, $text) {
        next if $line eq '';

        if ($line =~ /^# (HELP|TYPE) (\w+) (.*)\z/) {
            die "second $1 of $2\n" if defined $self->{lc $1}{$2};
            $self->{lc $1}{$2} = $3;

        } else {
            _sample($self, $line);
        }
    }

    return $self;
}


sub _sample {
    my ($self, $line) = @_;

    my ($name, $in, $value)
        = $line =~ /^([a-zA-Z_:]\w*)(?:\{(.*)\})? ($number)\z/
        or die "no sample: $line\n";
    my %labels;

    for ($in //= '') {
        while (/\G$pair(?:,|\z)/gc) {
            die "label $1 twice: $line\n" if exists $labels{$1};
            $labels{$1} = _unescape($2);
        }

        die "bad labels: $line\n" if (pos // 0) != length;
    }

    my $key = join "\0", map { "$_\0$labels{$_}" } sort keys %labels;

    die "sample twice: $line\n" if $self->{seen}{$name}{$key}++;

    push @{ $self->{order} }, $name if !$self->{samples}{$name};
    push @{ $self->{samples}{$name} },
        { labels => \%labels, value => $value };

    return;
}


sub _unescape {
    my ($s) = @_;

    $s =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;

    return $s;
}


# get($t, path => '/metrics', port => 0): asks for it, now

sub get {
    my ($class, $t, %o) = @_;

    return parse(_text($t, %o));
}


sub _text {
    my ($t, %o) = @_;
    my $s = $t->open(method => 'GET', path => $o{path} // '/metrics',
        port => $o{port} // 0,
        headers => { Accept => 'text/plain' });

    $s->wait_end;

    my $r = $s->result;

    die "status $r->{status} of the metrics\n" if $r->{status} != 200;

    return $r->{body};
}


# full names, in the order of their first samples

sub names {
    my ($self) = @_;

    return @{ $self->{order} };
}


# type($name), help($name)

sub type {
    my ($self, $name) = @_;

    return $self->{type}{ _full($name) };
}


sub help {
    my ($self, $name) = @_;

    return $self->{help}{ _full($name) };
}


# samples($name, label => value ...): those with these labels; a value may be
# a regular expression.  The prefix of the name may be left out.

sub samples {
    my ($self, $name, %with) = @_;

    return grep {
        my $labels = $_->{labels};
        !grep { !_is($labels->{$_}, $with{$_}) } keys %with;
    } @{ $self->{samples}{ _full($name) } || [] };
}


# sum($name, label => value ...): of their values; 0 if there is none

sub sum {
    my ($self, $name, %with) = @_;
    my $sum = 0;

    $sum += $_->{value} for $self->samples($name, %with);

    return $sum;
}


# by($label, $name, label => value ...): sums by the value of one label, of
# what is not 0

sub by {
    my ($self, $label, $name, %with) = @_;
    my %by;

    for ($self->samples($name, %with)) {
        $by{ $_->{labels}{$label} // '' } += $_->{value} if $_->{value} != 0;
    }

    return \%by;
}


# wait_sum($t, $want, $name, label => value ...): asks until the sum is that;
# the metrics as they were then, or at last.  What a request has counted is
# there a moment after its end.  "path" and "port" go to get().

sub wait_sum {
    my ($class, $t, $want, $name, %with) = @_;
    my %o = map { $_ => delete $with{$_} } grep { exists $with{$_} }
        qw(path port);
    my $full = _full($name);
    my $text;

    # only these lines each time: there are thousands

    wait_for(sub {
        $text = _text($t, %o);
        my $few = join "\n", $text =~ /^($full[{ ].*)$/mg;
        return parse($few)->sum($name, %with) == $want;
    });

    return parse($text);
}


sub _full {
    my ($name) = @_;

    return $name =~ /^${\PREFIX}/ ? $name : PREFIX . $name;
}


sub _is {
    my ($have, $want) = @_;

    return 0 if !defined $have;
    return ref $want ? $have =~ $want : $have eq $want;
}


1;
