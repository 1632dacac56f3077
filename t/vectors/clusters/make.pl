#!/usr/bin/perl

# Writes t/vectors/clusters/texts: texts of many languages, and random ones
# of characters that are hard to cut, with the borders of their grapheme
# clusters as Perl's \X sees them, which shares nothing with utf8proc.
#
#     perl t/vectors/clusters/make.pl > t/vectors/clusters/texts
#
# A record is a name and its clusters, each behind a byte 1F; 1E and LF end
# it.  Perl 5.36 and utf8proc 2.8 agree on all characters used here.

use strict;
use warnings;
use utf8;

binmode STDOUT, ':encoding(UTF-8)' or die "binmode: $!\n";

my $family = "\x{1F468}\x{200D}\x{1F469}\x{200D}\x{1F467}\x{200D}\x{1F466}";
my $flags = "\x{1F1FA}\x{1F1E6}\x{1F1E9}\x{1F1EA}\x{1F1EB}\x{1F1F7}";

my %text = (
    english => "Hello there! It costs \$3.14 (e.g. in the shop). \"Really?\" "
        . "he asked. Yes \x{2014} really\x{2026} Wait.\n\n1. First item\n"
        . "2. Second item, don't you see?\r\nDone.",
    russian => "Привет, мир! Как дела? Это стоит 3,5 руб., т. е. дёшево. "
        . "Ёлка\x{2026} Й\x{306} и\x{306}. \x{AB}Да.\x{BB} Нет.\n",
    ukrainian => "Доброго ранку! Ї і ґ: і\x{308}жак, м\x{2019}ята. Чи так? "
        . "Так\x{2026} \x{201E}Слава.\x{201C} Кінець.\n",
    chinese => "你好，世界！今天天气很好。我们去公园吧？“好的。”他说。"
        . "使用GPT模型处理3.14个数据…然后结束。葛\x{E0100}城",
    japanese => "こんにちは、世界。がぎぐ か\x{3099}き\x{3099}。「はい。」と"
        . "言った！ｶﾞ ﾊﾟ。",
    korean => "안녕하세요! 잘 지내세요? "
        . "\x{1112}\x{1161}\x{11AB}\x{1100}\x{1173}\x{11AF}. 끝.",
    arabic => "مرحبا بالعالم! كيف حالك؟ السَّلَامُ عَلَيْكُمْ. هذا جيد۔ "
        . "\x{600}123 نعم.\n",
    hebrew => "שָׁלוֹם עוֹלָם! מה שלומך? טוב.",
    hindi => "नमस्ते दुनिया। आप कैसे हैं? क्षत्रिय ज्ञान श्री। ठीक है॥ र्\x{200D}य",
    thai => "สวัสดีชาวโลก กำลังเรียนภาษาไทยที่นี่",
    tamil => "வணக்கம் உலகம். நிகண்டு க்ஷி ஸ்ரீ!",
    armenian => "Բարեւ աշխարհ։ Ինչպես ես։",
    ethiopic => "ሰላም ልዑል። እንዴት ነህ፧ ደህና።",
    khmer => "សួស្តីពិភពលោក។ ខ្ញុំសុខសប្បាយ។",
    burmese => "မင်္ဂလာပါ ကမ္ဘာ။ နေကောင်းလား။",
    vietnamese_nfd => "Xin cha\x{300}o the\x{302}\x{301} gio\x{31B}\x{301}i! "
        . "Ti\x{302}\x{301}ng Vi\x{302}\x{323}t.",
    emoji => "ok $family! \x{1F44D}\x{1F3FD} $flags \x{2764}\x{FE0F}\x{200D}"
        . "\x{1F525} 1\x{FE0F}\x{20E3} \x{1F3F4}\x{E0067}\x{E0062}\x{E0065}"
        . "\x{E006E}\x{E0067}\x{E007F} \x{1F600}\x{1F600}$family$family"
        . "$flags\x{1F1F8}x\x{1F1F8}",
    zalgo => 'Z' . "\x{300}\x{301}\x{302}\x{303}\x{304}\x{305}" x 9 . 'a'
        . "\x{489}\x{36F}" x 7 . "l\x{308}go. e\x{301}\x{301} \x{301}x",
    controls => "a\1b\tc\r\n\r\r\nd\x{B}e\x{2028}f\x{2029}g\x{85}h\x{AD}i"
        . "\x{FEFF}j\x{200B}k\x{200C}l\x{FFFD}m\x{E000}n",
);

my @pool = (0x61, 0x20, 0x2E, 0x0A, 0x0D, 0x300, 0x301, 0x308, 0x200D,
    0x200C, 0xFE0F, 0x1F1E6, 0x1F1FA, 0x1F468, 0x1F469, 0x1F3FD, 0x2764,
    0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01, 0x915, 0x94D, 0x937, 0x93F,
    0x903, 0x600, 0x6DD, 0x110BD, 0xE33, 0x4E2D, 0x3002, 0x3099, 0xFF01,
    0x20E3, 0x31, 0xE0067, 0xE007F, 0x1, 0x7F, 0x2028, 0x430, 0x5D0);

srand 20;

for my $n (1 .. 150) {
    $text{sprintf 'random_%03d', $n}
        = join '', map { chr $pool[ rand @pool ] } 1 .. 40;
}

for my $name (sort keys %text) {
    print join("\x{1F}", $name, $text{$name} =~ /(\X)/gs), "\x{1E}\n"
        or die "print: $!\n";
}
