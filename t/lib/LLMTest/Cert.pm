package LLMTest::Cert;

# Certificates for the tests, made by the openssl command once per test file
# and name: a small CA, certificates it signed, and self-signed ones.  They
# live in the test's temporary directory and are valid for two days.

use strict;
use warnings;

use POSIX ();


sub new {
    my ($class, $dir) = @_;

    return bless { dir => $dir, made => {} }, $class;
}


# the CA's certificate and key files

sub ca {
    my ($self, $name) = @_;

    $name //= 'ca';

    if (!$self->{made}{$name}) {
        my ($cert, $key) = $self->_files($name);

        $self->_run('req', '-x509', _new_key($key), '-days', 2,
            '-subj', "/CN=llm test $name", '-out', $cert,
            '-addext', 'basicConstraints=critical,CA:TRUE',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign');

        $self->{made}{$name} = [ $cert, $key ];
    }

    return @{ $self->{made}{$name} };
}


# cert($host, self_signed => 1, ca => NAME, expired => 1): certificate and key
# files for this host name (or IP address, or several with commas between),
# signed by the CA unless said otherwise

sub cert {
    my ($self, $host, %o) = @_;
    my $by = $o{self_signed} ? 'self' : $o{ca} // 'ca';
    my $name = ("$host.$by" . ($o{expired} ? '.expired' : ''))
        =~ s/[^A-Za-z0-9.-]/_/gr;

    if (!$self->{made}{$name}) {
        my ($cert, $key) = $self->_files($name);
        my @hosts = split /,/, $host;
        my $alt = 'subjectAltName=' . join ',',
            map { (/^[0-9.]+$/ ? 'IP:' : 'DNS:') . $_ } @hosts;
        my @subject = ('-subj', "/CN=$hosts[0]");

        if ($o{self_signed}) {
            $self->_run('req', '-x509', _new_key($key), '-days', 2, @subject,
                '-addext', $alt, '-out', $cert);

        } else {
            $self->_sign($by, $o{expired} ? -1 : 2, $cert, $key, $alt,
                @subject);
        }

        $self->{made}{$name} = [ $cert, $key ];
    }

    return @{ $self->{made}{$name} };
}


sub _sign {
    my ($self, $by, $days, $cert, $key, $alt, @subject) = @_;
    my ($ca, $ca_key) = $self->ca($by);
    my $extensions = "$cert.ext";

    open my $fh, '>', $extensions or die "$extensions: $!";
    print $fh "$alt\nbasicConstraints=CA:FALSE\n";
    close $fh or die "$extensions: $!";

    $self->_run('req', _new_key($key), @subject, '-out', "$cert.csr");
    $self->_run('x509', '-req', '-in', "$cert.csr", '-CA', $ca,
        '-CAkey', $ca_key, '-CAcreateserial', '-days', $days,
        '-extfile', $extensions, '-out', $cert);

    return;
}


sub _files {
    my ($self, $name) = @_;

    return ("$self->{dir}/$name.crt", "$self->{dir}/$name.key");
}


sub _new_key {
    my ($key) = @_;

    return ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-nodes', '-keyout', $key);
}


sub _run {
    my ($self, @args) = @_;
    my $log = "$self->{dir}/openssl.out";

    open my $out, '>>', $log or die "$log: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>&', $out);
        open(STDERR, '>&', $out);
        exec 'openssl', @args or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    die "openssl $args[0] failed, see $log\n" if $?;

    return;
}


1;
