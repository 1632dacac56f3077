#!/usr/bin/perl

# llm_stream_store where nginx has no threads: the module is built without
# them, and what is stored and how it ends is the same.

use strict;
use warnings;

use Cwd ();
use File::Basename ();

my $root = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/..');
my $out = "$root/build/plain";

if ($ENV{TEST_NGINX_MODULE} || exists $ENV{TEST_NGINX_MODULE}) {
    print "1..0 # SKIP another module is under test\n";
    exit 0;
}

print "1..4\n";

my $log = qx{THREADS=no BUILD_DIR='$out/nginx' OUT='$out' \\
    '$root/util/build-module' 2>&1};
my $built = $? == 0;

result(1, $built, 'the module without threads');
print map { "# $_\n" } split /\n/, $log if !$built;

local $ENV{TEST_NGINX_MODULE} = "$out/ngx_llm_stream_module.so";

my $n = 1;

for my $test (qw(store store_disk store_end)) {
    my $output = $built
        ? qx{'$^X' -I'$root/t/lib' '$root/t/$test.t'} : 'not built';
    my $ok = $built && $? == 0;

    result(++$n, $ok, $test);
    print STDERR map { "# $_\n" } grep { !/^ok/ } split /\n/, $output
        if !$ok;
}


sub result {
    my ($number, $ok, $name) = @_;

    print $ok ? '' : 'not ', "ok $number - $name\n";

    return;
}
