#!/usr/bin/perl

# The request's own stop strings where the provider's dialect has none: the
# answer ends here, in the client's dialect, and the provider's connection is
# closed; together with the location's; and again in a fallback location.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Chat qw(json);

my $t = LLMTest->new;
my $mock = $t->mock;

$t->config(<<'EOT')->start;
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    log_format ends "$uri $llm_stream_end $llm_stream_finish";
    access_log %%DIR%%/ends.log ends;
    llm_stream_set_header X-Mock "text=lorem,tokens=40,itl=1";

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /openai        { llm_stream openai http://%%MOCK%%; }
        location /flowise       { llm_stream flowise http://%%MOCK%%; }
        location /responses     { llm_stream openai-responses http://%%MOCK%%; }
        location /anthropic     { llm_stream anthropic http://%%MOCK%%; }

        location /both {
            llm_stream flowise http://%%MOCK%%;
            llm_stream_stop " sit";
        }
        location /first {
            llm_stream openai http://127.0.0.1:%%DEAD_PORT%%;
            error_page 502 = @second;
        }
        location @second { llm_stream flowise http://%%MOCK%%; }
    }
}
EOT


sub ask {
    my ($path, $stop, %o) = @_;

    return $t->post("$path/v1/chat/completions", { model => 'm',
        stream => $o{answer} ? JSON::PP::false() : JSON::PP::true(),
        messages => [ { role => 'user', content => 'x' } ],
        defined $stop ? (stop => $stop) : () });
}


# text and finish reason of a stream

sub said {
    my ($got) = @_;
    my ($text, $finish) = ('', '');

    for my $data ($got->{body} =~ /^data: (\{.*)$/mg) {
        my $choice = json($data)->{choices}[0] or next;

        $text .= $choice->{delta}{content} // '';
        $finish = $choice->{finish_reason} // $finish;
    }

    return "$text|$finish";
}


like(said(ask('/flowise')), qr/^Lorem ipsum dolor sit amet.{80,}\|stop$/s,
    'without strings all is said');

for my $path (qw(/flowise /responses /first)) {
    is(said(ask($path, ' dolor')), 'Lorem ipsum|stop', "$path: one string");
    is(said(ask($path, [ 'never', 'm dolor s', "\x{df}" ])),
        'Lorem ipsu|stop', "$path: across events, of several");
    like(ask($path, ' dolor')->{body}, qr/^data: \[DONE\]$/m,
        "$path: the end is in order");

    my $one = json(ask($path, ' dolor', answer => 1)->{body});

    is($one->{choices}[0]{message}{content}, 'Lorem ipsum',
        "$path: one JSON answer");
}

is(said(ask('/both', ' amet')), 'Lorem ipsum dolor|stop',
    "the location's string comes first");
is(said(ask('/both', ' ipsum')), 'Lorem|stop', "or the request's does");

# who has stop strings is asked itself: the mock does not care for them

for my $path (qw(/openai /anthropic)) {
    like(said(ask($path, ' dolor')), qr/dolor sit/, "$path: the provider's");
}

ok($mock->wait(open => 0), 'no stream of the provider is left open');

$t->wait_for(sub { $t->read_file('ends.log') =~ /anthropic/ });
unlike($t->read_file('ends.log'), qr/^\S+ (?!complete )/m,
    'all ended well');

$t->finish;
