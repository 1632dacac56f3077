package LLMTest::Config;

# nginx -t for the tests of directives: a configuration with some lines at
# each level, accepted without a warning, or refused with the reason and the
# number of the line at fault.  It owns no process and starts no nginx.

use strict;
use warnings;

use Test::More;

my @LEVELS = qw(main http server location more);


# new($t, handler => what each location begins with,
#     main, http, server, location => lines where a text gives none,
#     never => what nginx -t must not print,
#     warnings => 0 (they are not looked at),
#     joined => 1 (the reason and its line are one check))

sub new {
    my ($class, $t, %o) = @_;

    return bless { warnings => 1, %o, t => $t }, $class;
}


# a configuration with these lines at main, http, server and location level,
# and "more" behind the location

sub text {
    my ($self, %at) = @_;
    my %lines = map { $_ => $at{$_} // $self->{$_} // '' } @LEVELS;
    my $handler = $self->{handler} // '';

    return <<"EOT";
%%GLOBALS%%
$lines{main}
events { }
http {
%%HTTP%%
$lines{http}
server {
listen 127.0.0.1:%%PORT_0%%;
$lines{server}
location / {
$handler
$lines{location}
}
$lines{more}
}
}
EOT
}


sub accepted {
    my ($self, $name, %at) = @_;
    my ($status, $output) = $self->{t}->check_config($self->text(%at));

    is($status, 0, "$name: accepted") or diag($output);
    unlike($output, qr/\[(?:warn|error|crit|alert)\]/, "$name: without a warning")
        if $self->{warnings};
    $self->_never($name, $output);

    return;
}


# refused($lines, $why, lines at each level, name => ..., anywhere => 1 where
# nginx names no line): nginx -t refuses the last of these lines, which stand
# in the location if nothing says where, and says where and why

sub refused {
    my ($self, $lines, $why, %o) = @_;
    my $name = $o{name} // $lines;
    my $text = $self->text((grep { defined $o{$_} } @LEVELS) ? %o
        : (location => join "\n", $self->{location} // (), $lines));
    my ($status, $output) = $self->{t}->check_config($text);
    my ($message) = $output =~ /\[(?:emerg|crit)\] (.*)/s;
    my $n = $self->_line($text, $lines);

    $message //= $output;

    isnt($status, 0, "$name: refused");
    $self->_never($name, $output);

    if ($self->{joined}) {
        like($message, qr/$why.* in \S+:$n$/ms, "$name: why, line $n");
        return;
    }

    like($message, qr/$why/, "$name: why");

    # a variable is looked up when all is read: nginx names no line then
    like($message, qr/ in \S+:$n$/m, "$name: line $n")
        if !$o{anywhere} && $lines !~ /\$no_such/;

    return;
}


# where the last of these lines stands last

sub _line {
    my ($self, $text, $lines) = @_;
    my $last = (split /\n/, $self->{t}->expand($lines))[-1];
    my @text = split /\n/, $self->{t}->expand($text);
    my ($n) = grep { index($text[ $_ - 1 ], $last) >= 0 } reverse 1 .. @text;

    return $n // 'unknown';
}


sub _never {
    my ($self, $name, $output) = @_;

    unlike($output, $self->{never}, "$name: no secret") if $self->{never};

    return;
}


1;
