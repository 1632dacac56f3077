package LLMTest::Stamp;

# The stamps of the mock (text=stamp), read from a text by what its manual
# says of them, and by no code of the mock.

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(sum);

our @EXPORT_OK = qw(stamps);


# stamps($text, $size): of each stamp { k, made, late }, times in nanoseconds.
# size: bytes of a token, with its filler.  Dies of anything else in the text.

sub stamps {
    my ($text, $size) = @_;
    my @stamps;

    my $filler = substr join('', 'a' .. 'z') x (1 + ($size // 0) / 26), 0,
        ($size // 35) - 35;

    while ($text =~ /\G~((\p{Hex}{6})\.(\p{Hex}{14})\.(\p{Hex}{8}))\.
        (\p{Hex}{2});\Q$filler\E/gcx)
    {
        my ($said, $k, $made, $late, $sum) = ($1, $2, $3, $4, $5);

        die "capitals in $said\n" if $said =~ /[A-F]/;
        die "wrong sum of $said: $sum\n"
            if hex $sum != sum(unpack 'C*', $said) % 256;

        push @stamps, { k => hex $k, late => hex $late,
            made => hex(substr $made, 0, 6) << 32 | hex substr $made, 6 };
    }

    die 'no stamp: ', substr($text, pos $text // 0, 60), "\n"
        if (pos $text // 0) != length $text;

    return @stamps;
}


1;
