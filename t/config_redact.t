#!/usr/bin/perl

# nginx -t with llm_stream_redact: what it takes in every context, what it
# must refuse with the line and the reason, and that rules of a level take
# the place of those that are inherited.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Config;

my $t = LLMTest->new;
my $c = LLMTest::Config->new($t,
    handler => 'llm_stream openai http://127.0.0.1:1;');

$t->write_file('words', "# a list\n\n  Foo bar \r\nстрекоза\nC++\n你好\n");
$t->write_file('bom', "\xef\xbb\xbfword\n");
$t->write_file('none', "# nothing\n\n");
$t->write_file('empty', '');
$t->write_file('bytes', "good\nb\xffd\n");
$t->write_file('long', "short\n" . 'x' x 257 . "\n");
$t->write_file('null', "a\0b\n");
$t->write_file('large', "word of a list\n" x 20_000);
mkdir $t->dir . '/directory' or die "mkdir: $!";

my $RULE = 'llm_stream_redact name=a regex=secret;';


my $R = 'llm_stream_redact';

for my $line (
    "$R name=a regex=secret;",
    "$R regex=secret name=A-b_1.2;",
    "$R name=a 'regex=\\b\\d{4} \\d{4}\\b' with= action=mask in=content max=9;",
    "$R name=a 'regex=\\w+@\\w+' max=64 with=<mail>;",
    "$R name=a 'regex=(a)\\1' max=64;",
    "$R name=a 'regex=(?x) a b' max=10;",
    "$R name=a 'regex=(?<=x )a{1,256}(?!b)';",
    "$R name=a 'regex=(?<=(?<=key) is )\\w{8}';",
    "$R name=a 'regex=[]a)(*{2}]\\Q(*x\\E[[:alpha:]][^]]';",
    "$R name=a regex=x action=block with=No.;",
    "$R name=a regex=x action=log in=reasoning,tool_args,content;",
    "$R name=a words=%%DIR%%/words;",
    "$R name=a words=%%DIR%%/words max=8;",
    "$R name=a words=%%DIR%%/bom;",
    "$R off;",
    "$R name=a regex=x;\n$R name=b words=%%DIR%%/words action=block;\n"
        . "$R name=c regex=y action=log;",
) {
    $c->accepted($line, location => $line);
}

for my $level (qw(http server location)) {
    $c->accepted("$level, a rule", $level => $RULE);
    $c->accepted("$level, off", $level => "$R off;");
}

$c->accepted('a rule at every level', http => $RULE, server => $RULE,
    location => $RULE);
$c->accepted('switched off below', http => $RULE, server => "$R off;",
    location => $RULE);

my $FILE = "$R name=a words=%%DIR%%";

$c->refused(@$_) for (
    [ "$R;", qr/invalid number of arguments/ ],
    [ "$R on;", qr/invalid parameter "on"/ ],
    [ "$R name=a regex=x colour=red;", qr/invalid parameter "colour=red"/ ],
    [ "$R name=a regex=x off;", qr/invalid parameter "off"/ ],
    [ "$R name=a regex=x name=b;", qr/duplicate parameter "name=b"/ ],
    [ "$R regex=x;", qr/needs "name="/ ],
    [ "$R name= regex=x;", qr/invalid name ""/ ],
    [ "$R 'name=a b' regex=x;", qr/invalid name "a b"/ ],
    [ "$R name=a;", qr/takes one of "words=" and "regex="/ ],
    [ "$R name=a regex=x words=y;", qr/takes one of "words=" and "regex="/ ],
    [ "$R name=a regex=x action=drop;", qr/invalid value "drop" of "action="/ ],
    [ "$R name=a regex=x action=;", qr/invalid value "" of "action="/ ],
    [ "$R name=a regex=x action=log with=x;", qr/no use for "with="/ ],
    [ "$R name=a regex=x action=block with=;", qr/an empty "with="/ ],
    [ "$R name=a regex=x with=\xff;", qr/"with=" that is not UTF-8/ ],
    [ "$R name=a regex=x in=;", qr/invalid value "" of "in="/ ],
    [ "$R name=a regex=x in=content,;", qr/invalid value "" of "in="/ ],
    [ "$R name=a regex=x in=text;", qr/invalid value "text" of "in="/ ],
    [ "$R name=a regex=x max=0;", qr/invalid value "0" of "max="/ ],
    [ "$R name=a regex=x max=1025;", qr/"max=", it must be between 1 and 1024/ ],
    [ "$R name=a regex=x max=ten;", qr/invalid value "ten" of "max="/ ],
    [ "$R name=a regex=;", qr/regex "" can match an empty string/ ],
    [ "$R name=a regex=a*;", qr/can match an empty string/ ],
    [ "$R name=a 'regex=(?=a)';", qr/can match an empty string/ ],
    [ "$R name=a 'regex=a(b';",
        qr/invalid regex "a\(b": missing closing parenthesis at offset 3/ ],
    [ "$R name=a 'regex=[z-a]';", qr/range out of order .* at offset 3/ ],
    [ "$R name=a regex=\xff;", qr/"regex=" that is not UTF-8/ ],
    [ "$R name=a regex=a+;", qr/can match without a limit, "max=" is needed/ ],
    [ "$R name=a 'regex=a{2,}';", qr/without a limit/ ],
    [ "$R name=a 'regex=(a)\\1';", qr/without a limit/ ],
    [ "$R name=a 'regex=a(?R)?b';", qr/without a limit/ ],
    [ "$R name=a 'regex=a\\X';", qr/without a limit/ ],
    [ "$R name=a 'regex=(?x)a  {3}';", qr/without a limit/ ],
    [ "$R name=a 'regex=\\b\\d(?#digits)+\\b';", qr/without a limit/ ],
    [ "$R name=a 'regex=sk-\\w\\E+';", qr/without a limit/ ],
    [ "$R name=a 'regex=a(?#b){257}';", qr/more than 256 characters/ ],
    [ "$R name=a 'regex=\\w{20, 300}';", qr/more than 256 characters/ ],
    [ "$R name=a 'regex=a{257}';", qr/more than 256 characters/ ],
    [ "$R name=a 'regex=(?:ab|cde){86}';", qr/more than 256 characters/ ],
    [ "$R name=a 'regex=a\\Kb';", qr/\\K and \\C are not supported/ ],
    [ "$R name=a 'regex=\\Ga';", qr/\\G, \\K and/ ],
    [ "$R name=a 'regex=a\\Cb';", qr/\\C/ ],
    [ "$R name=a 'regex=a\\Z';", qr/\\Z is not supported/ ],
    [ "$R name=a 'regex=a(*SKIP)b';", qr/\(\*\.\.\.\) is not supported/ ],
    [ "$R name=a 'regex=(?x)a # c' max=9;", qr/end in a comment/ ],
    [ "$R name=a 'regex=a+\\Q.' max=9;", qr/end in a comment or in \\Q/ ],
    [ "$R name=a 'regex=((?<=(?=(?1)|b)..)a)' max=9;",
        qr/a recursion in a lookbehind is not supported/ ],
    [ "$R name=a 'regex=a(?C1)b';", qr/callouts are not supported/ ],
    [ "$R name=a words=;", qr/empty "words="/ ],
    [ "$FILE/missing;", qr/open\(\) "\S+missing" failed \(2:/ ],
    [ "$FILE/directory;", qr/read\(\) "\S+directory" failed/ ],
    [ "$FILE/none;", qr/words file "\S+none" has no words/ ],
    [ "$FILE/empty;", qr/words file "\S+empty" has no words/ ],
    [ "$FILE/bytes;", qr/line 2 of words file "\S+bytes" is not UTF-8/ ],
    [ "$FILE/long;", qr/line 2 of words file "\S+long" is longer than "max="/ ],
    [ "$FILE/words max=7;", qr/line 4 of words file .* longer than "max="/ ],
    [ "$FILE/null;", qr/line 1 of words file "\S+null" has a null byte/ ],
    [ "$FILE/large;", qr/words file "\S+large" is larger than 256k/ ],
    [ "$RULE\n$R name=a regex=y;", qr/duplicate name "a"/ ],
    [ "$R off;\n$R off;", qr/is duplicate/ ],
    [ "$R off;\n$RULE", qr/is "off" already/ ],
    [ "$RULE\n$R off;", qr/is duplicate/ ],
);

$t->finish;
