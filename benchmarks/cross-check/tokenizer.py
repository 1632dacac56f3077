"""Makes a tokenizer for a tool that wants one: what stands between spaces is
a token, and all are the same.  No figure comes of it, tokens are counted by
the server.

    tokenizer.py DIR
"""

import sys

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()

tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
tokenizer.save_pretrained(sys.argv[1])
