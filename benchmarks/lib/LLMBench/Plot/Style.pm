package LLMBench::Plot::Style;

# How an entrant looks in all plots of a run: its place in the order, colour
# by family, and a type of line and a marker that no other has near it, so
# that the pictures can be read without colour.  It knows only names.

use strict;
use warnings;

# family => shades, in the order of legends; names not told here come last
my @FAMILIES = (
    [qr/^(?:direct|relay)\b/, qw(4d4d4d 9a9a9a)],
    [qr/^plain\b/, qw(1f4fb4 74a3ea)],
    [qr/^(?:defaults|front)\b/, qw(0b7285 3bc0d6 08404b 8fd8e4)],
    [qr/^(?:module|features|pairs)\b/,
        qw(1a7f37 5cb96f 0b4a20 8fcf6a 2a9d8f 4a6b12 a9dcae)],
    [qr/^lua\b/, qw(f07800 f8ac5c)],
    [qr/^njs\b/, qw(d4ac00 ecd35a)],
    [qr/^node\b/, qw(d62728 ee7f7f)],
    [qr/^(?:portkey|litellm|bifrost)\b/, qw(6a3d9a b48ad8 3a1a63)],
    [qr/^/, qw(8c564b c49c94 222222)],
);

my @DASHES = ('solid', '"-"', '"_."', '"."', '"_ "', '"-.."');

# filled and open ones alternate
my @POINTS = (7, 8, 5, 6, 9, 4, 13, 12, 11, 10, 15, 14);


# new(names): all that are in the run.  A second instance comes right behind
# the first, since its name is longer.

sub new {
    my ($class, @names) = @_;
    my (%of, %members, %seen, @order);

    @names = sort grep { !$seen{$_}++ } @names;

    for my $i (0 .. $#FAMILIES) {
        my ($name, @shades) = @{ $FAMILIES[$i] };

        for my $member (grep { !$of{$_} && $_ =~ $name } @names) {
            my $nth = $members{$i}++;

            $of{$member} = {
                colour => $shades[$nth % @shades],
                dash => $DASHES[@order % @DASHES],
                point => $POINTS[@order % @POINTS],
            };

            push @order, $member;
        }
    }

    return bless { of => \%of, order => \@order }, $class;
}


# Those of the names that are given, in the order of legends.

sub order {
    my ($self, @names) = @_;
    my %wanted = map { $_ => 1 } @names;

    return grep { $wanted{$_} } @{ $self->{order} };
}


# Pieces of gnuplot's language.

sub colour {
    my ($self, $name) = @_;
    return "lc rgb '#$self->{of}{$name}{colour}'";
}


sub line {
    my ($self, $name) = @_;
    return $self->colour($name) . " lw 1.6 dt $self->{of}{$name}{dash}";
}


sub points {
    my ($self, $name) = @_;
    return "pt $self->{of}{$name}{point} ps 0.8";
}


1;
