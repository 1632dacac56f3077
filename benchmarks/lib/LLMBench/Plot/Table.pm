package LLMBench::Plot::Table;

# The numbers of one plot as a file that people and programs read: a line of
# names, then lines of values with commas between, one block for each line of
# the plot with two empty lines before the next, so that gnuplot finds it by
# its index.  It knows nothing of what the numbers are.

use strict;
use warnings;


sub new {
    my ($class, @columns) = @_;
    return bless { columns => \@columns, blocks => [] }, $class;
}


# Adds a block of rows (each a list of as many values as there are columns,
# undef where there is none) and returns its index.

sub add {
    my ($self, @rows) = @_;

    push @{ $self->{blocks} }, \@rows;
    return $#{ $self->{blocks} };
}


# gnuplot's word for one block and the columns that are named, in their order;
# [NAME => FACTOR] is a column times that.

sub using {
    my ($self, $file, $index, @names) = @_;
    my %at = map { $self->{columns}[$_] => $_ + 1 }
        0 .. $#{ $self->{columns} };

    return "'$file' index $index using " . join ':', map { ref
        ? "(\$$at{ $_->[0] }*$_->[1])" : $at{$_} } @names;
}


sub write_to {
    my ($self, $path) = @_;

    open my $out, '>:encoding(UTF-8)', $path or die "$path: $!\n";
    print {$out} '# ', join(',', @{ $self->{columns} }), "\n";

    print {$out} join "\n\n\n", map { join "\n", map { _line(@$_) } @$_ }
        @{ $self->{blocks} };

    print {$out} "\n";
    close $out or die "$path: $!\n";

    return;
}


# What would end a field or a line becomes a space.

sub _line {
    my (@values) = @_;

    return join ',', map { my $v = $_ // ''; $v =~ s/[^[:print:]]|[",#]/ /g;
        $v =~ /\A-?\d+\.\d+(?:e-?\d+)?\z/ ? sprintf('%.6g', $v) : $v } @values;
}


1;
