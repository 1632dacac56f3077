package LLMTest::Guide;

# The configurations of a page of docs/ for the tests: takes the blocks out of
# the page by their heading and makes a whole nginx.conf of them, in which
# addresses, files and, if asked for, times are others and nothing else.  So
# what a page says and what its test runs cannot part.  It knows no page.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use LLMTest::Chat qw(json);

my $KEY = 'sk-CANARY-guide';

# where a statement without a place of its own stands
my %PLACE = (
    (map { $_ => 'main' } qw(worker_shutdown_timeout worker_processes
        worker_rlimit_nofile error_log)),
    (map { $_ => 'events' } qw(events)),
    (map { $_ => 'http' } qw(map upstream log_format limit_conn_zone
        limit_req_zone llm_stream_zone llm_stream_auth_provider
        llm_stream_limit_zone resolver server)),
    location => 'server',
);


# new($t, "docs/faq.md", hosts => { name => mock with TLS }, at => { address
# in the page => address }, scale => N (times in blocks are N times shorter),
# own_ca => 1 (the mocks' CA is trusted only where a block says so))

sub new {
    my ($class, $t, $file, %o) = @_;

    open my $fh, '<:encoding(UTF-8)', $t->root . "/$file"
        or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    $t->write_file('guide.key', "$KEY\n");
    $t->canary($KEY);

    return bless { t => $t, file => $file, text => $text,
        hosts => {}, at => {}, %o }, $class;
}


sub key { return $KEY }


sub headings {
    my ($self) = @_;

    return $self->{text} =~ /^## (.*)$/mg;
}


# what stands under a heading

sub section {
    my ($self, $heading) = @_;
    my ($text) = $self->{text} =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms;

    die "$self->{file}: no heading \"$heading\"\n" if !defined $text;

    return $text;
}


# block($heading, lang => "nginx", n => 0): the n-th of that language there

sub block {
    my ($self, $heading, %o) = @_;
    my $lang = $o{lang} // 'nginx';
    my $n = $o{n} // 0;
    my @found = $self->section($heading) =~ /^```$lang\n(.*?)^```$/msg;

    die "$self->{file}: \"$heading\" has no $lang block $n\n"
        if !defined $found[$n];

    return $found[$n];
}


# the rows of the first table under a heading, as lists of cells

sub rows {
    my ($self, $heading, $n) = @_;
    my @tables = $self->section($heading) =~ /((?:^\|.*\n)+)/mg;
    my @rows = map { [ map { s/^\s+|\s+$//gr } split /\|/, s/^\||\|$//gr ] }
        split /\n/, $tables[ $n // 0 ];

    return @rows[ 2 .. $#rows ];
}


# the block without the lines that match: the wrong set-up

sub without {
    my ($block, @patterns) = @_;

    for my $re (@patterns) {
        my $left = join '', grep { !/$re/ } $block =~ /^.*\n/mg;

        die "nothing to take away: $re\n" if $left eq $block;
        $block = $left;
    }

    return $block;
}


# conf({ port in the page => block, ... }, http => "...", main => "..."): the
# configuration.  A block that is a location stands in a server of that port.

sub conf {
    my ($self, $blocks, %o) = @_;
    my $t = $self->{t};
    my %part = (main => $o{main} // '', events => '', http => $o{http} // '');

    for my $port (sort keys %$blocks) {
        my $server = '';

        for my $statement (_statements($self->_faked($blocks->{$port}))) {
            my ($word) = $statement =~ /^(\S+)/;
            my $place = $PLACE{$word} // 'server';

            $statement =~ s/\{/"{\nlisten 127.0.0.1:" . $t->port($port) . ';'/e
                if $word eq 'server' && $statement !~ /^\s*listen/m;

            $place eq 'server' ? $server .= $statement
                : ($part{$place} .= $statement);
        }

        $part{http} .= 'server { listen 127.0.0.1:' . $t->port($port)
            . ";\n$server}\n" if $server ne '';
    }

    $part{events} ||= "events { }\n";

    return "%%GLOBALS%%\n$part{main}$part{events}http {\n%%HTTP%%\n"
        . $self->_common . "$part{http}}\n";
}


# again(as conf has them): nginx goes on with that, or starts

sub again {
    my ($self, @conf) = @_;
    my $t = $self->{t};

    $t->config($self->conf(@conf));

    return $t->pid ? ok($t->reload, 'reloaded') : $t->start;
}


# what every configuration has: names of hosts that lead to mocks, a log

sub _common {
    my ($self) = @_;
    my $http = 'log_format guide \'$status "$llm_stream_end" '
        . '"$llm_stream_error" chunks=$llm_stream_chunks '
        . 'finish=$llm_stream_finish out=$llm_stream_tokens_out '
        . "source=\$llm_stream_tokens_source \$uri';\n"
        . "access_log %%DIR%%/guide.log guide;\n";

    my %hosts = %{ $self->{hosts} };

    $http .= 'llm_stream_ssl_trusted_certificate ' . $self->{t}->tls_ca . ";\n"
        if %hosts && !$self->{own_ca};

    for my $host (sort keys %hosts) {
        next if $self->{groups}{$host};
        $http .= "upstream $host { server 127.0.0.1:"
            . $hosts{$host}->tls_port . '; ' . $self->no_keepalive . " }\n";
    }

    return $http;
}


# nginx 1.29.7 and later pool connections unless told not to

sub no_keepalive {
    my ($self) = @_;

    return $self->{t}->has_version('1.29.7') ? 'keepalive 0;' : '';
}


# files, hosts and ports that are there

sub _faked {
    my ($self, $text) = @_;
    my $t = $self->{t};
    my $dir = $t->dir;

    $self->{groups} = { map { $_ => 1 } $text =~ /^\s*upstream (\S+) \{/mg };

    $text =~ s{\b(listen|server)(\s+)(?:127\.0\.0\.1:)?(\d+)(?=[ ;])}{
        "$1${2}127.0.0.1:" . $t->port($3)}ge;
    $text =~ s{(http://127\.0\.0\.1:)(\d+)}{ $1 . $t->port($2) }ge;
    # after the ports of the page: these are real ones
    $text =~ s{\bserver ([a-z][\w.-]*):443;}{
        'server 127.0.0.1:' . $self->{hosts}{$1}->tls_port . ';'}ge;
    for my $address (sort keys %{ $self->{at} }) {
        $text =~ s/\b\Q$address\E\b/$self->{at}{$address}/g;
    }

    $text =~ s{file:/[^\s;]+}{file:$dir/guide.key}g;
    $text =~ s{/var/(?:log|lib)/\w+/}{$dir/}g;
    $text =~ s{(_trusted_certificate\s+)/[^\s;]+}{$1 . $t->tls_ca}ge;

    my ($cert, $key) = $t->tls_cert('localhost');

    $text =~ s{(ssl_certificate\s+)/[^\s;]+}{$1$cert}g;
    $text =~ s{(ssl_certificate_key\s+)/[^\s;]+}{$1$key}g;
    $text =~ s{(?<=\s)(\d+)([sm])(?=;)}{
        int(1000 * $1 * ($2 eq 'm' ? 60 : 1) / $self->{scale}) . 'ms'}ge
        if $self->{scale};

    return $text;
}


# statements as these pages write them: each begins a line, and all that is
# part of it is indented, but its last brace

sub _statements {
    my ($text) = @_;

    $text =~ s/^\s*#.*\n//mg;

    return $text =~ /^([^\s}].*\n(?:(?:[ \t].*|\}.*)?\n)*)/mg;
}


# ask($path, mock => options, stream => 0, more of LLMTest's open): a chat
# request to the server of that port in the page; its stream

sub ask {
    my ($self, $path, %o) = @_;
    my $stream = exists $o{stream} && !$o{stream}
        ? JSON::PP::false : JSON::PP::true;
    my %headers = ('Content-Type' => 'application/json',
        (defined $o{mock} ? ('X-Mock' => $o{mock}) : ()),
        %{ $o{headers} || {} });

    return $self->{t}->open(method => 'POST', body => { model => 'm-1',
        stream => $stream, messages => [ { role => 'user',
        content => 'hello' } ], %{ $o{json} || {} } }, %o,
        path => $path, headers => \%headers,
        port => $self->{t}->port($o{port} // 8080));
}


sub get {
    my ($self, $path, %o) = @_;
    my $s = $self->ask($path, %o);

    $s->wait_end;

    return $s->result;
}


# shown($event): the text of an event of a stream of openai, simple or none

sub shown {
    my ($event) = @_;
    my $data = $event && json($event->{data}) or return '';

    return $data->{content} // '' if !$data->{choices};
    return $data->{choices}[0]{delta}{content} // '';
}


# streams($s, $mock, $id): each event can be read before the mock sends the
# one behind it; true if that is so for three of them

sub streams {
    my ($s, $mock, $id) = @_;

    $mock->wait(id => $id, events => 1) or return 0;

    for my $n (2 .. 4) {
        $mock->ack($id, 1);
        $mock->wait(id => $id, events => $n) or return 0;

        while (1) {
            my $event = $s->read_event or return 0;
            last if shown($event) ne '';
        }
    }

    return 1;
}


# holds($s, $mock, $id, $n): the mock has sent n events, and the client has
# none of their text; true if that is so

sub holds {
    my ($s, $mock, $id, $n) = @_;

    $mock->wait(id => $id, events => 1) or return 0;
    $mock->ack($id, $n - 1);
    $mock->wait(id => $id, events => $n) or return 0;

    while (my $event = $s->read_event(0.3)) {
        return 0 if shown($event) ne '';
    }

    return $s->ended ? 0 : 1;
}


1;
