package LLMTest::Checks;

# What must hold after every test, whatever it tested: nothing grave in the
# error log, no finding of valgrind or a sanitizer, no secret in a log.  Each
# check returns the lines that speak against it; an empty list is success.

use strict;
use warnings;

use File::Find ();

# how many offending lines are shown
use constant SHOWN => 40;

# what memcheck and the sanitizers print; memcheck's stacks come with findings
# only
my $FINDING = qr/
    ERROR\ SUMMARY:\ [1-9] | \bInvalid\ (?:read|write|free)\b
    | Conditional\ jump\ or\ move\ depends\ on | Mismatched\ free
    | definitely\ lost\ in\ loss | ^==\d+==\s+(?:at|by)\ 0x
    | SUMMARY:\ \w*Sanitizer | ERROR:\ \w*Sanitizer | runtime\ error:
/x;


# alert, crit and emerg lines of an error log but those a test allows

sub grave_lines {
    my ($file, @allowed) = @_;

    return _grep($file, sub {
        my ($line) = @_;

        return 0 if $line !~
            m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?:alert|crit|emerg)\]};
        return !grep { $line =~ $_ } @allowed;
    });
}


sub findings {
    my ($dir) = @_;
    my @files = _files($dir, qr/(?:^valgrind.*|\.stderr)$/);

    return map { _grep($_, sub { $_[0] =~ $FINDING }) } @files;
}


# lines of any log with one of the secrets in it

sub leaks {
    my ($dir, @secrets) = @_;
    my @files = _files($dir, qr/(?:\.log|\.stdout|\.stderr|\.out)$/);

    return if !@secrets;

    my $any = join '|', map { quotemeta } @secrets;

    return map { _grep($_, sub { $_[0] =~ /$any/ }) } @files;
}


sub _files {
    my ($dir, $name) = @_;
    my @files;

    File::Find::find({
        no_chdir => 1,
        wanted => sub {
            my $base = $File::Find::name =~ s{^.*/}{}r;
            push @files, $File::Find::name
                if -f $File::Find::name && $base =~ $name;
        },
    }, $dir);

    @files = sort @files;

    return @files;
}


sub _grep {
    my ($file, $wanted) = @_;
    my @found;

    open my $fh, '<:raw', $file or return;

    while (my $line = readline $fh) {
        next if !$wanted->($line);
        chomp $line;
        push @found, ($file =~ s{^.*/}{}r) . ": $line";
        last if @found >= SHOWN;
    }

    close $fh;

    return @found;
}


1;
