package LLMTest;

# The entry of the integration tests' helper library: write a config, start
# nginx, request, read, stop.  It owns the temporary directory, the ports and
# the life of nginx, and ends every test file with the checks that must hold
# whatever was tested.  Clients, mock and scripted upstream are files of
# their own.  See t/harness.t for everything in use.
#
# Environment: TEST_NGINX_BINARY, TEST_NGINX_MODULE (empty: built in),
# TEST_NGINX_VALGRIND=1, TEST_NGINX_PRELOAD (LD_PRELOAD for nginx alone),
# TEST_NGINX_LEAVE=1 (keep the directory), TEST_NGINX_CATLOG=1 (print the
# error log), LLM_MOCK, LLM_TEST_SLOW (factor on all limits).

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use Scalar::Util qw(weaken);
use Test::More;

use parent 'LLMTest::Nginx';

use LLMTest::Cert;
use LLMTest::Checks;
use LLMTest::Client;
use LLMTest::Conn;
use LLMTest::Upstream;
use LLMTest::Wait;

# the checks of finish(), which count as tests
use constant CHECKS => 4;

my $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my %live;           # objects not yet finished, weak
my $planned = 0;
my $maker = 0;      # the process whose END makes the plan


# new(plan => N (without the library's own checks), module => 0 | FILE,
#     modules => [more files to load], log_level => "debug")

sub new {
    my ($class, %o) = @_;

    my $self = bless {
        dir => File::Temp::tempdir('llmtest-XXXXXXXX', TMPDIR => 1),
        root => $ROOT, owner => $$, level => $o{log_level} // 'debug',
        ports => {},
        modules => [ $o{modules} ? @{ $o{modules} } : () ],
        allowed => [], canaries => [], set => {}, upstreams => [],
        checked => 0, quit_ok => 1,
    }, $class;

    chmod 0755, $self->{dir};
    $self->{cert} = LLMTest::Cert->new($self->{dir});
    $self->_choose_module($o{module});

    if (defined $o{plan}) {
        plan(tests => $o{plan} + CHECKS);
        $planned = 1;
    }

    $maker ||= $$;
    $live{ 0 + $self } = $self;
    weaken($live{ 0 + $self });

    return $self;
}


sub root { return $ROOT }
sub dir  { my ($self) = @_; return $self->{dir} }


# the module under test: a file to load, or nothing

sub _choose_module {
    my ($self, $given) = @_;
    my $module = $given // $ENV{TEST_NGINX_MODULE}
        // 'build/ngx_llm_stream_module.so';

    return if !$module;

    $module = "$ROOT/$module" if $module !~ m{^/};
    die "no module $module: build it, or set TEST_NGINX_MODULE\n"
        if !-f $module;

    push @{ $self->{modules} }, $module;

    return;
}


# A free port for each number, the same on every call.  The socket that found
# it stays bound, not listening: no one else is given the port, while nginx
# can listen on it, since both sockets have SO_REUSEADDR.

sub port {
    my ($self, $n) = @_;

    $n //= 0;

    if (!$self->{ports}{$n}) {
        my $sock = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp',
            ReuseAddr => 1,
        ) or die "no free port: $!";

        $self->{ports}{$n} = { sock => $sock, number => $sock->sockport };
    }

    return $self->{ports}{$n}{number};
}


# a port where nobody listens, for refused connections

sub dead_port {
    my ($self) = @_;

    return $self->port('dead');
}


# set(NAME => value): %%NAME%% in configurations

sub set {
    my ($self, %values) = @_;

    %{ $self->{set} } = (%{ $self->{set} }, %values);

    return $self;
}


# starts the mock provider: %%MOCK%% (and %%MOCK_TLS%% with tls => 1)

sub mock {
    my ($self, %o) = @_;

    require LLMTest::Mock;

    if ($o{tls}) {
        @o{qw(cert key)} = $self->tls_cert($o{tls_name} // 'localhost');
    }

    my $mock = LLMTest::Mock->new(%o, root => $ROOT,
        log => "$self->{dir}/mock" . @{ $self->{upstreams} });

    push @{ $self->{upstreams} }, $mock;
    $self->{set}{MOCK} //= '127.0.0.1:' . $mock->port;
    $self->{set}{MOCK_TLS} //= '127.0.0.1:' . $mock->tls_port
        if $mock->tls_port;

    return $mock;
}


# starts a scripted upstream: %%UPSTREAM%% is the first one's address,
# %%UPSTREAM_2%% the second's.  tls => 1 or "name" or { cert, key }.

sub upstream {
    my ($self, %o) = @_;

    if ($o{tls} && !ref $o{tls}) {
        my ($cert, $key)
            = $self->tls_cert($o{tls} eq '1' ? 'localhost' : $o{tls});
        $o{tls} = { cert => $cert, key => $key };
    }

    my $upstream = LLMTest::Upstream->new(%o);

    push @{ $self->{upstreams} }, $upstream;

    my $n = grep { $_->isa('LLMTest::Upstream') } @{ $self->{upstreams} };
    $self->{set}{ $n == 1 ? 'UPSTREAM' : "UPSTREAM_$n" } = $upstream->address;

    return $upstream;
}


# certificate and key file for a name; self_signed => 1, ca => "other"

sub tls_cert {
    my ($self, $host, %o) = @_;

    return $self->{cert}->cert($host, %o);
}


# the file of the CA that signs them

sub tls_ca {
    my ($self, $name) = @_;

    return ($self->{cert}->ca($name))[0];
}


# the configuration, with its placeholders, to nginx.conf

sub config {
    my ($self, $text) = @_;

    $self->write_file('nginx.conf', $self->expand($text));

    return $self;
}


# check_config($text): the exit status of nginx -t and what it printed

sub check_config {
    my ($self, $text) = @_;
    my $file = $self->write_file('check-' . ++$self->{checked} . '.conf',
        $self->expand($text));

    return $self->_run($self->binary, '-t', '-p', $self->{dir}, '-c', $file,
        '-e', "$self->{dir}/check.log");
}


sub expand {
    my ($self, $text) = @_;

    $text =~ s/%%([A-Z][A-Z0-9_]*)%%/$self->_value($1)/ge;

    # two HTTP/2 listeners of a server, one directive
    my @servers = split /(?=\bserver\s*\{)/, $text;

    for my $server (@servers) {
        my $n = 0;
        $server =~ s/(; http2 on;)/$n++ ? ';' : $1/ge;
    }

    return join '', @servers;
}


sub _value {
    my ($self, $name) = @_;

    return $self->{set}{$name} if defined $self->{set}{$name};
    return $self->{dir} if $name eq 'DIR';
    return $ROOT if $name eq 'ROOT';
    return $self->_globals if $name eq 'GLOBALS';
    return $self->_http if $name eq 'HTTP';
    return $self->port($1) if $name =~ /^PORT_(\d+)$/;
    return $self->_listen_h2($1, '') if $name =~ /^LISTEN_H2_(\d+)$/;
    return $self->_listen_h2($1, ' ssl') if $name =~ /^LISTEN_H2S_(\d+)$/;
    return $self->dead_port if $name eq 'DEAD_PORT';

    die "no value for %%$name%% in the configuration\n";
}


sub _globals {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $text = "daemon off;\npid $dir/nginx.pid;\n"
        . "error_log $dir/error.log $self->{level};\n";

    $text .= "user root;\n" if $> == 0;
    $text .= "load_module $_;\n" for @{ $self->{modules} };

    return $text;
}


sub _http {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $text = "access_log $dir/access.log;\n"
        . "client_body_temp_path $dir/client_body_temp;\n";

    for my $name (qw(proxy fastcgi uwsgi scgi)) {
        next if $self->build =~ /--without-http_${name}_module/;
        $text .= "${name}_temp_path $dir/${name}_temp;\n";
    }

    return $text;
}


sub _listen_h2 {
    my ($self, $n, $ssl) = @_;
    my $listen = 'listen 127.0.0.1:' . $self->port($n) . $ssl;

    return $self->has_version('1.25.1')
        ? "$listen; http2 on;" : "$listen http2;";
}


sub error_log  { my ($self) = @_; return $self->read_file('error.log') }
sub access_log { my ($self) = @_; return $self->read_file('access.log') }


sub wait_access_log {
    my ($self, $re, %o) = @_;

    return $self->wait_log($re, %o, file => 'access.log');
}


sub wait_for {
    my ($self, $condition, $seconds) = @_;

    return LLMTest::Wait::wait_for($condition, $seconds);
}


# a grave line in the error log that this test expects

sub allow_log {
    my ($self, @patterns) = @_;

    push @{ $self->{allowed} }, @patterns;

    return $self;
}


# a secret that must not appear in any log of this test

sub canary {
    my ($self, @secrets) = @_;

    push @{ $self->{canaries} }, @secrets;

    return $self;
}


# open(proto => "h1" | "h1s" | "h2" | "h2s", port => N or the number of a
# %%PORT_n%%, method, path, headers, body, ...): sends a request and returns
# its stream, see LLMTest::Client and LLMTest::H2.  A body that is a hash or
# a list is sent as JSON.  TLS: tls => { ca, name, cert, key }.

sub open {
    my ($self, %o) = @_;
    my $proto = $o{proto} // (_is_h2($o{on}) ? 'h2' : 'h1');

    $o{port} //= 0;
    $o{port} = $self->port($o{port}) if $o{port} < 10;
    $self->_json_body(\%o) if ref $o{body};

    if ($proto =~ /s$/) {
        $o{tls} = { alpn => [ $proto eq 'h2s' ? 'h2' : 'http/1.1' ],
            %{ $o{tls} || {} } };
    }

    return LLMTest::Client->request(%o) if $proto =~ /^h1s?$/;

    die "no protocol $proto\n" if $proto !~ /^h2s?$/;

    require LLMTest::H2;

    my $h2 = $o{on} || LLMTest::H2->new(%o);

    return $h2->request(%o);
}


sub _is_h2 {
    my ($on) = @_;

    return $on && $on->isa('LLMTest::H2');
}


# a HTTP/2 connection on which requests can be made: open(on => $h2, ...)

sub h2 {
    my ($self, %o) = @_;

    require LLMTest::H2;

    $o{port} = $self->port($o{port} // 0) if ($o{port} // 0) < 10;
    $o{tls} = { alpn => ['h2'], ref $o{tls} ? %{ $o{tls} } : () } if $o{tls};

    return LLMTest::H2->new(%o);
}


sub _json_body {
    my ($self, $o) = @_;
    my @headers = LLMTest::Client::header_pairs($o->{headers});

    $o->{body} = JSON::PP->new->utf8->canonical->encode($o->{body});

    push @headers, [ 'Content-Type' => 'application/json' ]
        if !grep { lc $_->[0] eq 'content-type' } @headers;

    $o->{headers} = \@headers;

    return;
}


# http($method, $path, $headers, $body, %options of open): the whole answer,
# a hash of status, reason, headers, header_list, body, complete (it ended
# properly), ended, events, chunks, stream

sub http {
    my ($self, $method, $path, $headers, $body, %o) = @_;

    return $self->open(%o, method => $method, path => $path,
        headers => $headers, body => $body)->result($o{limit});
}


sub get {
    my ($self, $path, %o) = @_;

    return $self->http('GET', $path, $o{headers}, undef, %o);
}


sub post {
    my ($self, $path, $body, %o) = @_;

    return $self->http('POST', $path, $o{headers}, $body, %o);
}


# ends everything and makes the checks; called at the end of the test file
# or of the object's life if the test does not

sub finish {
    my ($self) = @_;

    return if $self->{finished}++ || $self->{owner} != $$;

    delete $live{ 0 + $self };

    $self->_end_all;
    $self->_checks if !_skipped();

    diag($self->error_log) if $ENV{TEST_NGINX_CATLOG};

    if ($ENV{TEST_NGINX_LEAVE}) {
        diag("left: $self->{dir}");

    } else {
        File::Path::remove_tree($self->{dir});
    }

    return;
}


# Clients first, so that nginx has no reason to stay.  If it does stay, its
# upstreams go too; if that does not help either, it is a fault.

sub _end_all {
    my ($self) = @_;
    my $nginx = $self->{proc};

    LLMTest::Conn::close_all() if !grep { defined } values %live;

    if ($nginx && $nginx->alive) {
        $nginx->signal('QUIT');
        $nginx->wait_exit(5);
    }

    $_->stop for @{ $self->{upstreams} };

    if ($nginx && !defined $nginx->wait_exit($self->QUIT_LIMIT)) {
        $self->{quit_ok} = 0;
    }

    $nginx->stop($self->QUIT_LIMIT, 'TERM') if $nginx;

    return;
}


sub _checks {
    my ($self) = @_;

    _none('no alerts in the error log', LLMTest::Checks::grave_lines(
        "$self->{dir}/error.log", @{ $self->{allowed} }));
    _none('no findings of valgrind or a sanitizer',
        LLMTest::Checks::findings($self->{dir}));
    _none('no secret in a log', LLMTest::Checks::leaks(
        $self->{dir}, @{ $self->{canaries} }));
    ok($self->{quit_ok}, 'nginx quit when asked to');

    return;
}


sub _none {
    my ($name, @lines) = @_;

    ok(!@lines, $name) or diag(map { "    $_\n" } @lines);

    return;
}


sub _skipped {
    my $hub = Test2::API::test2_stack()->top;

    return ($hub->plan // '') eq 'SKIP';
}


sub DESTROY {
    my ($self) = @_;

    return if $self->{owner} != $$;

    local ($@, $!, $?);
    $self->finish;

    return;
}


# after the test, also after one that died: END runs before Test::More looks
# at the plan

END {
    my $status = $?;
    my @left = grep { defined && $_->{owner} == $$ } values %live;

    $_->finish for @left;

    done_testing()
        if $maker == $$ && !$planned && !$status && !_skipped();

    $? = $status;
}


1;
