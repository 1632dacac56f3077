package LLMTest::Docs;

# The pages of the project for the tests: which there are, their blocks of
# code, and how a piece of configuration on a page becomes a whole one, with
# mocks in the providers' places.  It knows no single page.

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Example qw(hosted);

our @EXPORT_OK = qw(slurp pages blocks placed mocked http_directives);

# what stands in which block of nginx, if not in a location
my %PLACE = (
    (map { $_ => 'main' } qw(load_module worker_shutdown_timeout
        worker_processes worker_rlimit_nofile thread_pool env user pid
        events http)),
    (map { $_ => 'http' } qw(map geo split_clients upstream log_format
        limit_conn_zone limit_req_zone map_hash_bucket_size
        map_hash_max_size server_names_hash_bucket_size server)),
    (map { $_ => 'server' } qw(location listen server_name
        ssl_certificate ssl_certificate_key http2)),
);


sub slurp {
    my ($file) = @_;

    open my $fh, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/ = undef;
    my $text = readline $fh;
    close $fh;

    return $text;
}


# pages($root): name => text, of every page for readers

sub pages {
    my ($root) = @_;
    my @files = map { glob "$root/$_" } qw(*.md docs/*.md benchmarks/*.md
        benchmarks/*/README.md examples/README.md examples/*/README.md
        packaging/README.md packaging/*/README.md mock_upstream/README.md
        t/clients/README.md);

    return map { s{^\Q$root\E/}{}r => slurp($_) } grep { -f } @files;
}


# blocks($text, words => "sh", ...): all blocks of these languages, each with
# its language, its text and the line of its first line

sub blocks {
    my ($text, @words) = @_;
    my %wanted = map { $_ => 1 } @words;
    my @found;

    while ($text =~ /^([ ]*)```([^`\n]*)\n(.*?)^\1```$/msg) {
        my ($indent, $word, $block) = ($1, $2, $3);
        my $line = 2 + (substr($text, 0, $-[0]) =~ tr/\n//);

        next if !$wanted{$word};

        $block =~ s/^$indent//mg;
        push @found, { word => $word, text => $block, line => $line };
    }

    return @found;
}


# the statements of a configuration: text up to its semicolon or last brace

sub statements {
    my ($text) = @_;
    my @found;

    while ($text =~ /\G(?:\s|\#[^\n]*\n)*([^\s#].*?)/gcs) {
        my $start = $-[1];
        my $depth = 0;

        pos($text) = $start;

        while ($text =~ /\G(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\#[^\n]*
                         |\$\{|([{};])|[^{};"'\#\$]+|\$)/gcsx)
        {
            next if !defined $1;
            $depth += { '{' => 1, '}' => -1, ';' => 0 }->{$1};
            last if $depth == 0;
        }

        push @found, substr $text, $start, (pos($text) // length $text)
            - $start;
        last if !defined pos $text;
    }

    return @found;
}


# http_directives($root): those of the module that stand in http only

sub http_directives {
    my ($root) = @_;
    my $table = slurp("$root/ngx_llm_stream_module.c");

    return $table =~ /ngx_string\("(llm_stream\w+)"\),\s*
                      NGX_HTTP_MAIN_CONF\|NGX_CONF_(?:BLOCK|TAKE)/gx;
}


# placed($root, $text, listen => what a server without a listen gets, http =>
# qr/what stands there/): a whole configuration with %%GLOBALS%% and %%HTTP%%,
# each statement where it may stand

sub placed {
    my ($root, $text, %o) = @_;
    my %place = (%PLACE, map { $_ => 'http' } http_directives($root));
    my @all = map { [ (/^(\S+)/)[0], $_ ] } statements($text);
    my $servers = grep { ($place{ $_->[0] } // '') eq 'server' } @all;
    my %part = map { $_ => '' } qw(main http server location);

    for my $item (@all) {
        my ($word, $statement) = @$item;
        my $place = $place{$word} // ($servers ? 'server' : 'location');

        next if $word eq 'load_module';

        $place = 'http' if $o{http} && $statement =~ $o{http};
        $statement =~ s/^server \{/server {\n    listen $o{listen};/
            if $word eq 'server' && $o{listen} && $statement !~ /\blisten /;
        $part{$place} .= "$statement\n";
    }

    my $location = $part{location} eq '' ? ''
        : "location /docs/test {\n$part{location}}\n";
    my $server = "$part{server}$location" eq '' ? ''
        : "server { " . ($part{server} =~ /^listen /m ? ''
            : 'listen ' . ($o{listen} // '127.0.0.1:%%PORT_1%%') . ';')
            . "\n$part{server}$location}\n";
    my $main = $part{main};

    $main .= "http { }\n" if $main !~ /^http \{/m;
    $main = "events { }\n$main" if $main !~ /^events\b/m;
    $main =~ s/^http \{/http {\n%%HTTP%%\n$part{http}$server/m;

    return "%%GLOBALS%%\n$main";
}


# mocked($t, $text, key => content of all files of keys): the configuration
# and { name => mock }: every https provider is a mock of that name over TLS,
# every http one a plain mock; files and ports are of this machine

sub mocked {
    my ($t, $text, %o) = @_;
    my ($dir, $ca) = ($t->dir, $t->tls_ca);
    my $http = "%%HTTP%%\nllm_stream_ssl_trusted_certificate $ca;\n";
    my %mock;

    while ($text =~ s{file:/etc/nginx/(\S+);}{file:$dir/$1;}) {
        $t->write_file($1, "$o{key}\n");
    }

    $text =~ s{(proxy_ssl_trusted_certificate) /\S+;}{$1 $ca;}g;
    $text =~ s{/var/log/nginx/}{$dir/}g;
    $text =~ s{\blisten [\d.:]+;}{listen 127.0.0.1:%%PORT_0%%;}g;

    for my $name ($text =~ m{\bhttps://([a-z][\w.-]*\.[a-z]+)}g) {
        next if $mock{$name};

        $mock{$name} = hosted($t, $name);
        my $address = '127.0.0.1:' . $mock{$name}->tls_port;

        $text =~ s/\bserver \Q$name\E:443;/server $address;/
            or $http .= "upstream $name { server $address; }\n";
    }

    for my $place ($text =~ m{\b(?:http://|server )([\d.]+:\d+)}g) {
        $mock{plain} //= $t->mock;
        $text =~ s/\Q$place\E/$mock{plain}->address/ge;
    }

    my $config = placed($t->root, $text, listen => '127.0.0.1:%%PORT_0%%');

    return ($config =~ s/^%%HTTP%%$/$http/mr, \%mock);
}


1;
