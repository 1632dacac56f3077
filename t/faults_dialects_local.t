#!/usr/bin/perl

# The table of faults, row by row, for providers of three dialects
# (Ollama's two and Flowise's) and clients of every kind.  t/faults.t
# has the same for the first dialect and the small clients; the table is
# t/lib/LLMTest/Faults.pm.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LLMTest::DialectFaults qw(run_faults);

run_faults(qw(ollama ollama-generate flowise));
