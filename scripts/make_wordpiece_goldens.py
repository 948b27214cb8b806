#!/usr/bin/env python3
"""Writes tests/golden/tokenizer/wordpiece: a small WordPiece vocabulary, and what the reference implementation of uncased
BERT's rules makes of many texts with it, and with the published vocabulary of 30522 tokens where it is given. The
reference is the Python package `tokenizers` (Hugging Face's own), in an environment of its own:

    pip install tokenizers==0.23.3
    python3 scripts/make_wordpiece_goldens.py [VOCAB_TXT_OF_mobilebert-uncased]

Ids and spans come from the package, words from Unicode's categories; spans are bytes of the text as UTF-8."""
import pathlib
import sys
import unicodedata

import tokenizers
from golden_support import GOLDEN, dump, random_texts, write, write_cases

TEXTS = [
    "", " ", "\n\t ", "a", "  a ", "Once upon a time", " once  UPON\ta\r\ntime \n", "unaffable unwanted running", "don't [CLS] it's [SEP] [MASK] [unused1]",
    "été e\u0301te\u0301 ÉTÉ naïve café Ångström \u212B", "İstanbul ISTANBUL ıi ß ẞ ΣΑΣ", "日本語の文章です。本当に？", "中a文b 한국어 \u1112\u1161\u11AB", "\U0002F800x\uF900 ꙮ",
    "$5^2 = `x` ~| <a@b.c> 3.14, 1,000-2 (a/b) \\ _x_ {y}", "¿Qué? «non» — “quoted” … 100% §5 ¶ €3 £4 © ® °", "a\u0000b \u0001c\u007Fd\u0085e \u000Bf\u000Cg", "a\u200Bb\u200Dc\u2060d \u00ADsoft \uFEFFbom",
    "a\uE000b \uFFFDc \u0378d", "a\u00A0b\u3000c\u2003d\u2028e\u2029f\u1680g\u202Fh", "\u0301 \u0301a a\u0301\u0323\u0327 q\u0323\u0307 \u302Ea a\u302E\u0301b", "Z\u0351\u036B\u0343a\u0346l\u0313g\u0343o\u0357 हिन्दी क्षत्रिय สวัสดี",
    "🙂👍🏽👩‍👩‍👧‍👦 a🙂b ☺️", "ﬁ ﬂ ① ² ｆｕｌｌ ½ Ⅷ", "Привет, мир! Ёлка ЁЛКА й", "مرحبا بالعالم 12 ٣٤٥", "a" * 100, "a" * 101, "é" * 100 + " " + "é" * 101, "x-" * 40, "?!" * 30,
    "[PAD]", "##ing ## #", "the quick brown fox jumps over the lazy dog", "The meeting was postponed until 14:30 on Tuesday, 3 March.", "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n", "A) yes\nB) no\nAnswer:", "\u1F80 ΐ Ά \u1E9B\u0323 \uAC00\u11A8", "µ K Å Ω \u2126 \u212A ǅ Ǆ ŉ",]
# Blocks that were complete long ago: libraries then agree on every character.
TEXTS += random_texts(2024, [(32, 95), (32, 95), (9, 5), (0xA0, 0x1B0), (0x300, 0x4F), (0x384, 0x40), (0x400, 0x100),
                             (0x4E00, 0x200), (0x1F600, 0x40), (0x2000, 0x60), (0xAC00, 0x100), (0x3041, 0x50),
                             (0x1E00, 0x100), (0x1F00, 0x16), (0xFF01, 0x5E), (0x2200, 0x80)], 60)

LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789")
SMALL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + c for c in LETTERS),
         *".,:;!?'\"()-<>|/[]#$", "é", "中", "文", "一", "д", "##д", "ο", "##ο",
         "once", "upon", "time", "un", "##aff", "##able", "##want", "##ed", "run", "##ning", "the", "over", "cls", "and",
         "##ing", "ab", "abc", "##bc", "##cd"]


def words(text):
    """Bytes of the runs between tabs, line ends and the categories Zs, Zl and Zp."""
    found, begin, at = [], None, 0
    for c in text + " ":
        if c in "\t\n\r" or unicodedata.category(c)[0] == "Z":
            if begin is not None:
                found.append([begin, at])
            begin = None
        elif begin is None:
            begin = at
        at += len(c.encode())
    return found


def make_cases(file, vocabulary):
    tokenizer = tokenizers.Tokenizer.from_str(dump({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "post_processor": None,
        "decoder": None, "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                                        "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: i for i, token in enumerate(vocabulary)}}}))
    cases = []
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        starts = [0]  # byte where each character begins; the package counts characters
        for c in text:
            starts.append(starts[-1] + len(c.encode()))
        spans = [[starts[begin], starts[end]] for begin, end in encoding.offsets]
        cases.append({"text": text, "ids": encoding.ids, "spans": spans, "words": words(text)})
    write_cases(GOLDEN / "wordpiece" / file, cases, "Python tokenizers " + tokenizers.__version__)


write(GOLDEN / "wordpiece/vocab.txt", "\n".join(SMALL) + "\n")
make_cases("cases.json", SMALL)
if len(sys.argv) > 1:
    make_cases("mobilebert_cases.json", pathlib.Path(sys.argv[1]).read_bytes().decode().split("\n")[:-1])
