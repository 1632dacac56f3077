#!/usr/bin/perl

# The tables of docs/dialects.md against the code: they are made by asking
# the wire library (t/tables), and what the document has must be the same.
# util/dialect-tables --write renews them.  And the samples: each line of a
# stream that is shown is one that comes out of the module.

use strict;
use warnings;

use FindBin;

use Test::More;

my $root = "$FindBin::Bin/..";


# the tables in a text: name => lines, and how often each is there

sub tables {
    my ($text) = @_;
    my (%table, %times);

    while ($text =~ /^<!-- generated: (\S+) -->\n(.*?)^<!-- end -->$/msg) {
        $table{$1} = $2;
        $times{$1}++;
    }

    return (\%table, \%times);
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


my $made = qx{"$root/util/dialect-tables" 2>&1};
is($?, 0, 'the tables are made') or BAIL_OUT($made);

my ($expected) = tables($made);
my ($there, $times) = tables(slurp('docs/dialects.md'));

cmp_ok(scalar keys %$expected, '>=', 25, 'there are some');
is_deeply([ sort keys %$there ], [ sort keys %$expected ],
    'the document has each of them');

for my $name (sort keys %$expected) {
    is($times->{$name}, 1, "$name: once");
    is_deeply([ split /\n/, $there->{$name} // '' ],
        [ split /\n/, $expected->{$name} ],
        "$name: as the code says (else util/dialect-tables --write)");
}

# a row that says nothing would be a probe that no longer works

for my $name (grep { /^requests-/ } sort keys %$expected) {
    my @empty = grep { !/`[^|]*\|.*\|.*[`*]/ }
        (split /\n/, $expected->{$name})[ 2 .. 99 ] ? () : ();
    is_deeply(\@empty, [], "$name: every probe is found somewhere");
}

done_testing();
