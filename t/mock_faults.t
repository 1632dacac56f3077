#!/usr/bin/perl

# Tests of the mock provider's table of faults: every fault gives the bytes
# and the end that its name promises.  See mock.t for how to choose the mock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use IO::Uncompress::Gunzip qw(gunzip);
use MockRaw;
use Test::More;

plan skip_all => 'no llm-mock: build it first or set LLM_MOCK'
    if !available();

my $dir = tempdir(CLEANUP => 1);
my $mock = main_mock('--tokens', 3, '--created', 1);

###############################################################################
# faults

my $cut = qr/\r\n[0-9a-f]+\r\ndata: \{(?:(?!\n\n).)+\z/s;

# Of each fault: name, options, how the connection must end ("" is "as a
# complete answer does"), and what must be in the bytes, or a function.
# Events are numbered from 1; 1 is the role, 2 is "Lorem", 3 is " ipsum".

my @faults = (
    ['rst-before-headers', '', 'reset', qr/\A\z/],
    ['fin-before-headers', '', 'eof', qr/\A\z/],
    ['fin-in-headers', '', 'eof',
        qr/\AHTTP\/1\.1 200 OK\r\nServer: llm-mock\r\nContent\z/],
    ['fin-in-headers', 'byte=5', 'eof', qr/\AHTTP\/\z/],
    ['not-http', '', 'eof', qr/\A220 mock/],
    ['header-too-big', '', '', qr/^x-mock-big: b{20480}\r$/m],
    ['header-too-big', 'count=10000', '', qr/^x-line-9999: x\r$/m],
    ['header-invalid-byte', '', '', qr/^x-mock-bad: a\0b\r$/m],
    ['header-invalid-byte', 'variant=2', '', qr/^x-mock-bad: a\rb\r$/m],
    ['header-invalid-byte', 'variant=3', '', qr/^x-mock-bad : ab\r$/m],
    ['cl-and-te', '', '',
        qr/^Transfer-Encoding: chunked\r\nContent-Length: 7\r$/m],
    ['cl-and-te', 'variant=2', '',
        qr/^Content-Length: \d{3,}\r\nContent-Length: 7\r$/m],
    ['cl-and-te', 'variant=3', '',
        qr/^Transfer-Encoding: gzip, chunked\r$/m],
    ['early-error-while-sending', '', '', qr/\AHTTP\/1\.1 413 /],
    ['early-error-while-sending', 'variant=2', '', qr/\AHTTP\/1\.1 400 /],
    ['interim-100', '', '',
        qr/\AHTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/],
    ['interim-103', 'count=2', '',
        qr/\A(?:HTTP\/1\.1 103 .*?\r\n\r\n){2}HTTP\/1\.1 200 OK\r\n/s],
    ['s429', '', '', qr/\AHTTP\/1\.1\ 429\ .*^Retry-After:\ 2\r\n
        retry-after-ms:\ 1500\r\nx-should-retry:\ true\r$/smx],
    ['s429', 'retry_after=9,should_retry=false', '',
        qr/^Retry-After: 9\r\nx-should-retry: false\r$/m],
    ['s401', '', '', qr/\AHTTP\/1\.1 401 .*^WWW-Authenticate: Bearer/sm],
    ['s401', 'variant=2', '', qr/\AHTTP\/1\.1 403 /],
    ['s400', '', '', qr/\AHTTP\/1\.1 400 .*"invalid_request_error"/s],
    ['s400', 'variant=2', '', qr/\AHTTP\/1\.1 404 /],
    ['s400', 'variant=3', '', qr/\AHTTP\/1\.1 413 /],
    ['s400', 'variant=4', '', qr/\AHTTP\/1\.1 422 /],
    ['s5xx', '', '', qr/\AHTTP\/1\.1 500 .*"server_error"/s],
    ['s5xx', 'variant=2', '', qr/\AHTTP\/1\.1 502 /],
    ['s5xx', 'variant=3', '', qr/\AHTTP\/1\.1 503 /],
    ['s5xx', 'status=599', '', qr/\AHTTP\/1\.1 599 /],
    ['s529', '', '', qr/\AHTTP\/1\.1 529 /],
    ['s3xx', '', '', qr/\AHTTP\/1\.1 302 .*^Location: http:\/\/else/sm],
    ['s204-empty', '', '', qr/\AHTTP\/1\.1 204 .*\r\n\r\n\z/s],
    ['s204-empty', 'variant=2', '',
        qr/\AHTTP\/1\.1 200 .*^Content-Length: 0\r\n.*\r\n\r\n\z/sm],
    ['s204-empty', 'variant=3', '',
        qr/\AHTTP\/1\.1 200 .*\r\n\r\n0\r\n\r\n\z/s],
    ['html-200', '', '',
        qr/^Content-Type: text\/html; charset=utf-8\r\n.*<!DOCTYPE/sm],
    ['json-200', '', '',
        qr/^Content-Type: application\/json\r\n.*"chat\.completion"/sm],
    ['json-as-sse', '', '', qr/^Content-Type:\ text\/event-stream;
        \ charset=utf-8\r\n.*\r\n\r\n[0-9a-f]+\r\n\{"id"/smx],
    ['error-event-first', '', '',
        qr/\r\n\r\n[0-9a-f]+\r\ndata: \{"error":\{"message".*\}\n\n\r\n0/],
    ['error-event-first', 'variant=2', '',
        qr/\r\n\r\n[0-9a-f]+\r\nevent: error\ndata: \{"error"/],
    ['error-event-first', 'variant=3,status=503', '', qr/"code":503\}/],
    ['error-event-first', 'variant=4', '', qr/"code":"rate_limit_exceeded"/],
    ['gzip-unasked', '', '', \&gzip_once],
    ['gzip-unasked', 'variant=2', '', qr/^Content-Encoding: br\r$/m],
    ['gzip-unasked', 'variant=4', '', \&gzip_twice],
    ['gzip-bomb', 'limit=3m', '', \&gzip_bomb],
    ['gzip-bomb', 'variant=2', '', \&gzip_cut],
    ['gzip-bomb', 'variant=3', '', \&gzip_twice],
    ['charset-other', '', '',
        qr/^Content-Type: text\/event-stream; charset=utf-16\r$/m],
    ['rst-mid-event', '', 'reset', $cut],
    ['rst-mid-event', 'at=2,byte=9', 'reset', qr/\r\ndata: \{"i\z/],
    ['rst-mid-event', 'framing=close', 'eof', qr/\ndata: \{[^\n]+\z/],
    ['rst-mid-utf8', '', 'reset', qr/ na\xc3\xafve \xf0\x9f\z/],
    ['rst-mid-utf8', 'byte=1', 'reset', qr/ na\xc3\xafve \xf0\z/],
    ['fin-chunked-incomplete', '', 'eof', qr/"Lorem"\}.*\}\n\n\r\n\z/],
    ['last-chunk-no-terminator', '', '',
        qr/"Lorem"\}.*\}\n\n\r\n0\r\n\r\n\z/],
    ['close-delimited-no-terminator', '', 'eof', qr/"Lorem"\}.*\}\n\n\z/],
    ['close-delimited-mid-event', '', 'eof', qr/\n\ndata: \{[^\n]+\z/],
    ['done-without-finish', '', '', sub {
        $_[0] !~ /"finish_reason":"/ && $_[0] =~ /data: \[DONE\]/ }],
    ['finish-without-done', '', '', sub {
        $_[0] =~ /"finish_reason":"stop"/ && $_[0] !~ /DONE/
            && $_[0] =~ /\r\n0\r\n\r\n\z/ }],
    ['half-close', '', 'eof', qr/"Lorem"\}.*\}\n\n\r\n\z/],
    ['chunk-bad-size', '', '', qr/\r\nzz\r\ndata: /],
    ['chunk-bad-size', 'variant=2', '', qr/\r\n[0-9a-f]+\ndata: /],
    ['chunk-bad-size', 'variant=3', '', qr/\r\n[0-9a-f]+ \x01;=\r\ndata: /],
    ['chunk-bad-size', 'variant=4', '', qr/\}\n\n[0-9a-f]+\r\ndata: /],
    ['chunk-overflow', '', '', qr/\r\nffffffffffffffff\r\ndata: /],
    ['chunk-overflow', 'variant=2', '', qr/\r\n7fffffffffffffff\r\ndata: /],
    ['chunk-huge-extension', 'limit=70000', '',
        qr/\r\n[0-9a-f]+;mock=e{32000}e{32000}e{6000}\r\ndata: /],
    ['data-after-last-chunk', '', '',
        qr/DONE\]\n\n\r\n0\r\n\r\nHTTP\/1\.1 200 OK.*smuggled/s],
    ['cl-too-big', '', 'eof', sub { length_is($_[0], 100) }],
    ['cl-too-small', '', '', sub { length_is($_[0], -10) }],
    ['trailers', '', '', qr/\r\n0\r\nx-mock-trailer: yes\r\n.*\r\n\r\n\z/s],
    ['http10-ok', '', '', qr/\AHTTP\/1\.0 200 .*DONE\]\n\n\z/s],
    ['connection-close-ok', '', '', qr/^Connection: close\r$/m],
    ['slow-trickle', 'gap=0.1,tokens=1', '',
        qr/\r\n\r\n1\r\nd\r\n1\r\na\r\n1\r\nt\r\n/],
    ['huge-event', 'limit=200k', '', sub {
        grep { length $_ == 6 + 204801 + 2 } chunks(body_of($_[0])) }],
    ['endless-line', 'limit=100k', 'eof', sub {
        join('', $_[0] =~ /\r\n(l{1000,})/g) =~ /\Al{16384}/
            && $_[0] !~ /l\n/ }],
    ['endless-comment', 'limit=100k', 'eof', qr/\r\n: c{16384}\r\n/],
    ['tiny-events-burst', 'count=20000', '', sub {
        20000 == (() = $_[0] =~ /data: \{"choices":\[\]\}\n\n/g) }],
    ['byte-by-byte', '', '', sub {
        !grep { length != 1 } chunks(body_of($_[0])) }],
    ['many-events-total', 'tokens=1000', '', qr/DONE/],
    ['error-event-mid', '', '',
        qr/"Lorem"\}.*\ndata: \{"error":\{.*\}\n\n\r\n0\r\n\r\n\z/s],
    ['error-then-done', '', '',
        qr/\ndata: \{"error":\{.*\ndata: \[DONE\]\n\n\r\n0\r\n\r\n\z/s],
    ['invalid-json-event', '', '', qr/data: \{"id":"x".*"content":"b\n\n/],
    ['invalid-json-event', 'variant=2', '', qr/data: upstream says no\n\n/],
    ['invalid-json-event', 'variant=3', '', qr/\]\} tail\n\n/],
    ['invalid-utf8', '', '', qr/" bad\xffbyte"/],
    ['invalid-utf8', 'variant=2', '', qr/" over\xc0\xaflong"/],
    ['invalid-utf8', 'variant=3', '', qr/cut \xe2\x82\n\n/],
    ['invalid-utf8', 'variant=4', '', qr/half\xed\xa0\xbdpair/],
    ['eol-variants', '', '', qr/\}\r\n\r\n\r\n.*DONE\]\r\n\r\n\r\n0/s],
    ['eol-variants', 'variant=2', '', qr/\}\r\r\r\n.*DONE\]\r\r\r\n0/s],
    ['eol-variants', 'variant=3', '',
        qr/\}\n\n\r\n.*\}\r\n\r\n\r\n.*\}\r\r\r\n/s],
    ['eol-variants', 'variant=4', '', sub {
        my @c = chunks(body_of($_[0]));
        $c[0] =~ /\}\r\z/ && $c[1] eq "\n\r" && $c[2] eq "\n" }],
    ['nul-bom', '', '', qr/\r\n3\r\n\xef\xbb\xbf\r\n.*nul\\u0000 bom\xef/s],
    ['nul-bom', 'variant=2', '', qr/raw\0nul/],
    ['nul-bom', 'variant=3', '', qr/\xef\xbb\xbf\r\n[^\r]*\r\ndata: /],
    ['dup-finish', '', '', sub {
        2 == (() = $_[0] =~ /"finish_reason":"stop"/g)
            && 2 == (() = $_[0] =~ /data: \[DONE\]/g) }],
    ['content-after-finish', '', '',
        qr/"finish_reason":"stop".*" late".*DONE/s],
    ['events-after-done', '', '', qr/DONE.*" after done".*" after done"/s],
    ['index-order', '', '',
        qr/"index":1,.*" one".*"index":0,.*" zero".*"index":7,.*" seven"/s],
    ['unknown-event-type', '', '', qr/\nevent: mock\.unknown\ndata: \{"t/],
    ['key-order-dup', '', '',
        qr/"\\u0063ontent":" order".*"content":" first","content":" second"/s],
    ['deep-json', '', '', qr/"deep":\[{30000}\[{30000}\[{30000}\[{10000}\n/],
    ['deep-json', 'count=9,variant=2', '', qr/"deep":\[{9}\]{9}\}\]\}\n\n/],
    ['type-confusion', '', '',
        qr/"content":1.*"delta":null.*"choices":\{"index"/s],
    ['newline-injection', '', '',
        qr/"model":"evil\\r\\nx-injected: 1\\n\\ndata: /],
    ['x-accel', '', '', qr/^X-Accel-Redirect: \/internal\/secret\r$/m],
    ['hop-headers', '', '', qr/^Set-Cookie: .*^Connection: x-hop\r$/sm],
);

sub length_is {
    my ($raw, $more) = @_;

    my ($length) = head_of($raw) =~ /^Content-Length: (\d+)\r$/m;

    return $length == $more + length body_of($raw);
}

sub inflate {
    my ($bytes) = @_;

    my $text;
    return gunzip(\$bytes => \$text) ? $text : undef;
}

sub gzip_once {
    my $text = inflate(join '', chunks(body_of($_[0])));

    return $_[0] =~ /^Content-Encoding: gzip\r$/m && $text =~ /DONE\]\n\n\z/;
}

sub gzip_twice {
    return inflate(inflate(join '', chunks(body_of($_[0])))) =~
        /DONE\]\n\n\z/;
}

sub gzip_cut {
    my $bytes = join '', chunks(body_of($_[0]));

    # the same without its end: a last block and the trailer are missing
    return !defined inflate($bytes) && $bytes =~ /\A\x1f\x8b\x08.*"Lorem"/s;
}

# The end of a bomb is never reached by who has limits: it has none.

sub gzip_bomb {
    my $bytes = join '', chunks(body_of($_[0]));

    open my $gz, '<', \$bytes or die "open: $!";
    my $z = IO::Uncompress::Gunzip->new($gz, Strict => 0);
    my ($n, $wrong) = (0, 0);

    while ((my $got = $z->read(my $text, 65536)) > 0) {
        $n += $got;
        $wrong += $text =~ tr/://c;
    }

    return length($bytes) < 5000 && $n >= 3 * 2**20 && !$wrong;
}

subtest 'faults' => sub {
    my %tested;

    for my $row (@faults) {
        my ($name, $options, $end, $expected) = @$row;

        $tested{$name} = 1;
        my $id = "f-$name-" . ($options =~ s/[^a-z0-9]/-/gr);
        my ($raw, $how) = ask("fault=$name,id=$id,$options");

        is($how, $end || 'eof', "$name $options: $how");

        ok(ref $expected eq 'CODE' ? $expected->($raw) : $raw =~ $expected,
            "$name $options: bytes")
            or diag(substr $raw, 0, 2000);

        wait_for("id=$id&end=1");
        is(control('GET', "stats?id=$id")->{end},
            ($end && $name !~ /-ok\z/) || $name =~ /early/ ? 'fault'
            : 'complete', "$name $options: counted");
    }

    # those that have no end of their own, or need more than one request
    $tested{$_} = 1 for qw(stall-before-headers stall-after-headers stall-mid
        heartbeat-only status-101 stale-keepalive total-too-long tls-alert
        tls-plaintext-first tls-no-close-notify);

    is_deeply([grep { !$tested{$_} } @{ control('GET', 'faults') }], [],
        'every fault of the table is tested');
};

subtest 'faults without end' => sub {
    my %cases = (
        'stall-before-headers' => qr/\A\z/,
        'stall-after-headers' => qr/\r\n\r\n\z/,
        'stall-mid' => qr/"Lorem"\}.*\}\n\n\r\n\z/,
        'status-101' => qr/\AHTTP\/1\.1 101 .*raw bytes/s,
        'heartbeat-only,gap=1' =>
            qr/\r\n\r\n(?:e\r\n: keep-alive\n\n\r\n){3}/,
        'heartbeat-only,gap=1,variant=2' =>
            qr/(?:[0-9a-f]+\r\nevent: ping\ndata: \{.*?\}\n\n\r\n){3}/,
        'total-too-long,itl=1' => qr/" amet/,
        'endless-line' => qr/l{16384}\r\n4000\r\nl/,
        'endless-comment' => qr/c{16384}\r\n4000\r\nc/,
    );

    for my $fault (sort keys %cases) {
        control('POST', 'reset');
        my $s = dial();
        put($s, request("fault=$fault,id=e"));
        ok(wait_for('requests=1'), "$fault: request seen");
        like(scalar get($s, $cases{$fault}), $cases{$fault},
            "$fault: bytes");
        is(control('GET', 'stats?id=e')->{end}, 'open', "$fault: goes on");
        close $s;
        ok(wait_for('aborts=1&open=0'), "$fault: abort noticed");
    }

    my $s = dial();
    put($s, request('fault=stale-keepalive', keep => 1));
    like(scalar get($s, qr/\r\n0\r\n\r\n\z/), qr/DONE/,
        'stale-keepalive: the first request is served');
    put($s, request('fault=stale-keepalive', keep => 1));
    is(scalar get($s), '', 'stale-keepalive: the second is not');

    # an error before the body: only a part of it is ever sent
    for my $variant (1, 2, 3) {
        $s = dial();
        put($s, "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nX-Mock: "
            . "fault=early-error-while-sending,variant=$variant\r\n"
            . "Content-Length: 1000000\r\n\r\n{\"model\":");
        my $status = $variant == 2 ? 400 : 413;
        like(scalar get($s), qr/\AHTTP\/1\.1 $status .*\}\z/s,
            "early-error-while-sending $variant");
    }

    like(body_of(scalar ask('fault=s401', headers =>
        "Authorization: Bearer sk-secretsecretsecret1234\r\n")),
        qr/sk-secre\*+1234/, 's401 quotes the key');
    like(scalar ask('fault=rst-mid-event,byte=10', plain => 1),
        qr/\r\n\r\n\{"id":"cha\z/, 'a fault in a JSON answer');

    control('POST', 'defaults', 'fault=s529');
    like(scalar ask(undef), qr/\AHTTP\/1\.1 529 /, 'by default');
    control('POST', 'defaults', '');
    like(scalar ask(undef), qr/\AHTTP\/1\.1 200 /, 'and no more');
    my (undef, $status) = control('POST', 'defaults', 'fault=nonsense');
    is($status, 400, 'no such default');
};

###############################################################################
# TLS

SKIP: {
    skip 'no IO::Socket::SSL', 1 if !eval { require IO::Socket::SSL; 1 };
    skip 'no openssl', 1 if system("openssl req -x509 -newkey rsa:2048 "
        . "-nodes -subj /CN=mock.test -days 2 -keyout $dir/key -out "
        . "$dir/cert >/dev/null 2>&1") != 0;

    subtest 'TLS' => sub {
        my $m = start('--tls-port', 0, '--cert', "$dir/cert", '--key',
            "$dir/key");
        my $control = sub {
            my ($method, $path, $body) = @_;
            return control($method, $path, $body, port => $m->{port});
        };

        my $tls = sub {
            my ($bytes) = @_;
            my $s = IO::Socket::SSL->new(PeerHost => '127.0.0.1',
                PeerPort => $m->{tls}, SSL_hostname => 'name.test',
                SSL_verify_mode => 0) or return;
            print {$s} $bytes;
            my $raw = '';
            1 while $s->sysread($raw, 65536, length $raw);
            return $raw;
        };

        my $raw = $tls->(request('tokens=3000'));
        is(scalar events(join '', chunks(body_of($raw))), 3003, 'a stream');
        is($control->('GET', 'requests')->[0]{sni}, 'name.test', 'SNI');

        for my $tokens (1, 200) {
            my $id = "L$tokens";
            my $s = IO::Socket::SSL->new(PeerHost => '127.0.0.1',
                PeerPort => $m->{tls}, SSL_verify_mode => 0)
                or die "TLS: $!";
            print {$s} request("lockstep=$id,tokens=$tokens,text=digits");
            my $n = 0;

            for my $k (1 .. $tokens + 3) {
                my $bytes = '';
                while ($bytes !~ /\n\n\r\n/) {
                    $s->sysread($bytes, 65536, length $bytes) or last;
                }
                $n++ if 1 == (() = $bytes =~ /\n\n\r\n/g);
                $control->('POST', "ack?id=$id");
            }

            is($n, $tokens + 3, "lock-step over $tokens tokens");
        }

        # what the last bytes on the wire are: an alert record (21) or data
        my %last;

        for my $fault ('connection-close-ok', 'tls-no-close-notify') {
            my $s = IO::Socket::SSL->new(PeerHost => '127.0.0.1',
                PeerPort => $m->{tls}, SSL_verify_mode => 0)
                or die "TLS: $!";
            print {$s} request("fault=$fault");
            my $text = '';
            my $n;
            while ($n = $s->sysread($text, 65536, length $text)) { }
            my $shut = Net::SSLeay::get_shutdown($s->_get_ssl_object // 0);
            $last{$fault} = [$text, $shut];
        }

        like($last{'tls-no-close-notify'}[0], qr/"Lorem"\}.*\}\n\n\z/,
            'tls-no-close-notify: cut after event 2');
        is($last{'tls-no-close-notify'}[1] & 2, 0, 'without close_notify');
        is($last{'connection-close-ok'}[1] & 2, 2,
            'which is there otherwise');

        $control->('POST', 'defaults', 'fault=tls-alert');
        my $s = dial($m->{tls});
        put($s, "\x16\x03\x01\x00\x05hello");
        is(unpack('H*', scalar get($s)), '15030300020228', 'tls-alert');

        $control->('POST', 'defaults', 'fault=tls-plaintext-first');
        $s = dial($m->{tls});
        like(scalar get($s, qr/DONE\]\n\n/), qr/\AHTTP\/1\.1\ 200\ OK\r\n.*
            cleartext/sx, 'tls-plaintext-first');
        is($tls->(request(undef)), undef, 'and no handshake');
        $control->('POST', 'defaults', '');

        $s = dial($m->{tls});
        put($s, "not TLS at all\r\n\r\n");
        my (undef, $how) = get($s);
        ok($how, 'a client that does not speak TLS');

        is(stop($m), 0, 'ended well');
    };
}

is(stop($mock), 0, 'the mock ended without an error');

done_testing();
