package LLMBench::Files;

# Reading whole files, of /proc too.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(slurp);


# the bytes of a file, '' if it cannot be read

sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or return '';
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text // '';
}


1;
