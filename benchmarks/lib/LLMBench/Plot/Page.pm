package LLMBench::Plot::Page;

# A page with panels side by side, drawn by gnuplot as SVG and PNG: title,
# panels, legend, formula and footer.  It owns gnuplot's language: whatever
# comes from a result file goes through text(), which no text can leave.  It
# knows nothing of what the panels show.
#
# A figure:
#
#   name      of the files
#   title     says what is shown
#   formula   of the figure, in one sentence
#   footer    what to keep in mind
#   columns   panels side by side
#   panel     [width, height] of one panel's axes, in pixels
#   left, right   room beside the axes of each panel (right is optional)
#   legend    [[style, label], ...], may be missing
#   panels    [{ title, set => [commands], plot => [clauses] }, ...]

use strict;
use warnings;

use Exporter qw(import);
use File::Temp ();
use POSIX ();

our @EXPORT_OK = qw(text clip log_range log_tics number draw found);

use constant TOP => 62;         # room above the first panel: the title
use constant ABOVE => 30;       # and above each: its own title
use constant BELOW => 52;       # tics and the axis' name
use constant LEGEND => 300;
use constant LINE => 15;

# what is drawn: end of the name, gnuplot's terminal, font, its size, and that
# of the title (SVG knows a family's name only)
my @KINDS = (
    ['svg', 'svg', 'sans-serif', 12, 'sans-serif'],
    ['png', 'pngcairo', 'Sans', 9, 'Sans:Bold'],
);


# A string of gnuplot's that stands for these characters: in single quotes
# nothing has a meaning, neither backquotes nor backslashes, and the terminals
# are told not to look for markup.  A single quote becomes an apostrophe:
# gnuplot's own way to write one fails at the beginning of a string.

sub text {
    my ($text) = @_;

    $text =~ s/[^[:print:]]/ /g;
    $text =~ s/'/\x{2019}/g;

    return "'$text'";
}


# At most so many characters.

sub clip {
    my ($text, $length) = @_;

    return length $text <= $length ? $text
        : substr($text, 0, $length - 1) . "\x{2026}";
}


# As people read it on an axis: 2000000 is 2 M.

sub number {
    my ($n) = @_;

    for my $unit ([1e9, 'G'], [1e6, 'M'], [1e4, 'k']) {
        next if $n < $unit->[0];

        my $of = $unit->[1] eq 'k' ? 1e3 : $unit->[0];
        return sprintf '%g %s', $n / $of, $unit->[1];
    }

    return sprintf '%g', $n;
}


# A range for a logarithmic axis that holds all values with a little room.

sub log_range {
    my (@values) = grep { $_ > 0 } @_;
    my ($low, $high) = (sort { $a <=> $b } @values)[0, -1];

    return (1, 10) if !@values;
    return ($low / 1.25, $high * 1.25);
}


# The marks for such a range, as gnuplot wants them: 1, 2 and 5 of a decade,
# or its beginning only if there are many.

sub log_tics {
    my ($low, $high) = @_;
    my ($from, $to) = map { POSIX::floor(log($_) / log 10) } $low, $high;
    my @steps = log($high / $low) / log(10) > 2.6 ? (1) : (1, 2, 5);

    @steps = (1, 1.5, 2, 3, 4, 5, 7) if $high / $low < 8;
    @steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if $high / $low < 3;

    my @tics;

    for my $power ($from .. $to) {
        push @tics, grep { $_ >= $low && $_ <= $high }
            map { $_ * 10 ** $power } @steps;
    }

    return '(' . join(', ', map { text(number($_)) . " $_" } @tics) . ')';
}


# Whether there is a gnuplot; what it answers is of no interest.

sub found {
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        open STDOUT, '>', '/dev/null' or POSIX::_exit(1);
        open STDERR, '>', '/dev/null' or POSIX::_exit(1);
        { no warnings 'exec'; exec { 'gnuplot' } 'gnuplot', '--version' }
        POSIX::_exit(1);
    }

    waitpid $pid, 0;
    return $? == 0;
}


# Writes NAME.svg and NAME.png of the figure into the directory, where its
# data files are; dies with gnuplot's words.

sub draw {
    my ($dir, $figure) = @_;

    for my $kind (@KINDS) {
        my $file = "$figure->{name}.$kind->[0]";

        _gnuplot($dir, _script($figure, $kind, "$file.new"));

        rename "$dir/$file.new", "$dir/$file"
            or die "$dir/$file: $!\n";
    }

    return;
}


sub _gnuplot {
    my ($dir, $script) = @_;
    my $file = File::Temp->new(SUFFIX => '.gp');

    binmode $file, ':encoding(UTF-8)';
    print {$file} $script;
    close $file or die "$file: $!\n";

    my $pid = open(my $said, '-|') // die "fork: $!\n";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT or POSIX::_exit(1);
        chdir $dir or POSIX::_exit(1);
        { no warnings 'exec'; exec { 'gnuplot' } 'gnuplot', '-d', "$file" }
        print "gnuplot: $!\n";
        POSIX::_exit(1);
    }

    my $words = do { local $/ = undef; <$said> } // '';

    close $said or die "gnuplot: $words\n";
    return;
}


sub _script {
    my ($figure, $kind, $out) = @_;
    my (undef, $terminal, $font, $size) = @$kind;
    my $page = _measure($figure);
    my ($width, $height) = @$page{qw(width height)};

    my @script = (
        'set encoding utf8',
        "set terminal $terminal size $width,$height noenhanced "
            . "font '$font,$size' background 'white'",
        "set output '$out'",
        'set multiplot',
        _words($figure, $page, @$kind[3, 4])
    );

    for my $i (0 .. $#{ $figure->{panels} }) {
        my $panel = $figure->{panels}[$i];

        push @script, 'reset', _place($figure, $page, $i),
            'set datafile separator comma', 'set tics nomirror',
            "set grid lt 1 lw 0.6 lc rgb '#d8d8d8'",
            'set title ' . text(clip($panel->{title},
                int $figure->{panel}[0] / 7)) . " font ',$size' "
                . 'offset 0,-0.4',
            @{ $panel->{set} },
            'plot ' . join ", \\\n    ", @{ $panel->{plot} };
    }

    return join("\n", @script, 'unset multiplot') . "\n";
}


# Pixels of the whole page.

sub _measure {
    my ($figure) = @_;
    my $panels = @{ $figure->{panels} };
    my $columns = $panels < $figure->{columns} ? $panels
        : $figure->{columns};
    my $rows = POSIX::ceil($panels / $columns);
    my $beside = $figure->{legend} ? LEGEND : 10;

    my $width = $columns * ($figure->{left} + $figure->{panel}[0]
        + ($figure->{right} // 12)) + $beside;
    my $tall = $rows * (ABOVE + $figure->{panel}[1] + BELOW);

    my $legend = ABOVE + LINE * 1.3 * (1 + @{ $figure->{legend} || [] });
    $tall = $legend if $legend > $tall;

    my @formula = _wrap($figure->{formula}, int($width / 6.4));

    return { width => $width, columns => $columns, tall => $tall,
        formula => \@formula,
        height => TOP + $tall + LINE * (@formula + 2) };
}


# Margins of panel i, as shares of the page counted from below.

sub _place {
    my ($figure, $page, $i) = @_;
    my ($wide, $high) = @{ $figure->{panel} };
    my $row = int($i / $page->{columns});
    my $step = $figure->{left} + $wide + ($figure->{right} // 12);

    my $x = ($i % $page->{columns}) * $step + $figure->{left};
    my $y = TOP + $row * (ABOVE + $high + BELOW) + ABOVE;

    my %at = (
        lmargin => $x / $page->{width},
        rmargin => ($x + $wide) / $page->{width},
        tmargin => 1 - $y / $page->{height},
        bmargin => 1 - ($y + $high) / $page->{height}
    );

    return map { sprintf 'set %s at screen %.5f', $_, $at{$_} }
        sort keys %at;
}


# All that is not a panel, as a plot of nothing over the whole page: title,
# legend, formula, footer.

sub _words {
    my ($figure, $page, $size, $bold) = @_;
    my ($width, $height) = @$page{qw(width height)};
    my $small = $size * 0.85;
    my @legend = @{ $figure->{legend} || [] };
    my @script;

    my $put = sub {
        my ($words, $x, $y, $font) = @_;
        push @script, sprintf 'set label %s at screen %.5f,%.5f font %s',
            text($words), $x / $width, 1 - $y / $height, $font;
    };

    my ($title, $under) = split /\n/, $figure->{title}, 2;

    $put->($title, 14, 20, sprintf "'%s,%g'", $bold, $size * 1.25);
    $put->($under, 14, 42, "',$size'") if defined $under;

    my $y = TOP + $page->{tall} + 6;

    for my $line (@{ $page->{formula} }) {
        $put->($line, 14, $y, "',$small' tc rgb '#444444'");
        $y += LINE;
    }

    $put->($figure->{footer}, 14, $y + 4, "',$small' tc rgb '#888888'");

    push @script, 'unset border', 'unset tics', 'set xrange [0:1]',
        'set yrange [0:1]', 'set lmargin 0', 'set rmargin 0',
        'set tmargin 0', 'set bmargin 0',
        sprintf('set key at screen %.5f,%.5f left top Left reverse '
            . "samplen 3.5 spacing 1.2 font ',%g'",
            1 - (LEGEND - 6) / $width, 1 - (TOP + ABOVE - 8) / $height,
            $small),
        'plot NaN notitle' . join '', map { ", \\\n    keyentry with "
            . "$_->[0] title " . text(clip($_->[1], 42)) } @legend;

    return @script;
}


sub _wrap {
    my ($text, $width) = @_;
    my @lines = ('');

    for my $word (split ' ', $text) {
        push @lines, '' if length($lines[-1]) + length($word) > $width;
        $lines[-1] .= $lines[-1] eq '' ? $word : " $word";
    }

    return @lines;
}


1;
