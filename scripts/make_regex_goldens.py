#!/usr/bin/env python3
"""Writes tests/golden/tokenizer/regex: what the reference implementation makes of texts under many regular expressions and
under the components that hide one. The reference is the Python package `tokenizers` (Hugging Face's own), whose engine is
Oniguruma, in an environment of its own:

    pip install tokenizers==0.23.3
    python3 scripts/make_regex_goldens.py

base.json is a tokenizer without normalizer and pre-tokenizer; every entry of cases.json gives it one of them."""
import tokenizers
from golden_support import GOLDEN, dump, random_texts, write, write_cases
from make_tokenizer_goldens import BYTES, byte_level, document, learn, sequence, split

TEXTS = [
    "abab ab\nab\r\nab\n", "a \nb  \n\n c ", " \t x\u00a0y\u3000z\u2028w\u0085v\u180eu\u200bt", "The t at bet\n",
    "e\u0301te\u0301 t\u0301t u\u0308_b1 a\u200db\u200cc", "caf\u00e9 \u00c9COLE stra\u00dfe \u017f \u212a Kk \ufb01",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0915\u094d\u0937", "123456 1234 12 1,234.56 \u0663\u0664 \u00b2\u00bd \u2167",
    "\u65e5\u672c\u8a9eabc \u3042\u30a2\u30fc\u4eba\u3005\u3001\u3007", "dead BEEF 0x1F g h", "snake_case-word x.y a-b 'S 'll I'M",
    "a\nb a.b a\rb", "x\x0by\x0cz\x1c\x00", "...!? \u00bfQu\u00e9? \u2014 $5^2 = `x` ~|<>", "\U0001f642\U0001f44d\U0001f3fd\u200d a",
    "badcat AbCdE fooBarBAZ", "{a} [b] a{1 ]}", "trailing   ", "\u0345\u1e9b\u0323 \u01c6\u01c5", "\U00031350a\U0001e030b\U00011f02c",
    "ss SS st fl", "a\u061db a\u166d \U000111c9b a\u0897b\u1cf2 c\u0301\u0898 \U00011de0\u0660 \u2e52,",
] + random_texts(77, [(32, 95), (32, 95), (9, 5), (0xA0, 0x160), (0x300, 0x50), (0x400, 0x60), (0x4E00, 0x80),
                      (0x2000, 0x70), (0x1800, 0x20)], 6)

GPT4 = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
        r"|\s+(?!\S)|\s")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PATTERNS = [
    "^ab", r"\s+$|\p{L}+", "$", "^", r"\Aab|b\Z", r"\n\z", "(?m:a.b)", "a.b", "(?m)b.", "a(?i)b|c", "(?i:ab|k)", "(?i)[a-f]+",
    "(?i)é", r"\w+|[^\w\s]+", r"\w", r"[\w]+", r"[^\W\d_]+", r"\W+", r"\bt", r"t\b", r"\B", r"\b", r"\h+", r"\H+", r"[\h-]+",
    r"\v|\x{1C}|\u00e9", r"\s", r"\S+", r"[\s\p{P}]+", r"\d{1,3}", r"\p{N}{1,3}+", r"\p{N}{1,3}?", "a{,2}", "a{1", "b?+a|x",
    r"[\p{Han}]+|[\p{L}&&[^\p{Han}]]+|\p{N}{1,3}|\s+", r"[a-z&&[^aeiou]]+", r"[^a-c&&[b-z]]+", "[a-c[x-z]]+",
    r"[\w&&[^\d]&&[^_]]+", "[[:alpha:]]+", "[[:^alpha:]]+", "[[:space:][:xdigit:]]+", "[[:blank:]]+", "[[:alnum:]_]+",
    r"\p{Alphabetic}+", r"\p{^L}+", r"\P{L}+", r"\p{Greek}+|\p{Cyrillic}+", r"\p{Katakana}+|\p{Hiragana}+", r"\p{M}+",
    r"\p{Lowercase_Letter}+", r"\p{Cf}", r"\p{C}+", r"\R", r"\N+", r"\O", "(?=[A-Z])", "(?<=a)|(?=b)", "(?<![ab])b", "x*", "(?>a|ab)c|b",
    "(ab)+", "(?<name>a)b", "(?#comment)ab", r"[!-\/:-@\[-`{-~]", "[-a]+", r"[\]\-]+", "[.*+?]+", r"\{a\}|]", "日本|語", r"\t| \Z",
    GPT4, O200K,
]
BEHAVIORS = ["Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PRE_TOKENIZERS = [
    {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"},
    {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "Digits", "individual_digits": True},
    {"type": "Digits", "individual_digits": False}, {**split(r"\w+"), "behavior": "Removed", "invert": True},
    {**split(r"(?=[A-Z])|x*"), "behavior": "MergedWithPrevious"},
    *(split(r"\w|$", behavior) for behavior in BEHAVIORS),
]
REPLACEMENTS = [(" +$", ""), (r"\s+", " "), ("x*", "-"), ("^", ">"), ("$", "<"), (r"\b", "|"), (r"\w&&", "."), (r"\p{M}", ""),
                (r"[^\w\s]", ""), (r"(?m)^.", "")]
NORMALIZERS = [
    *({"type": "Replace", "pattern": {"Regex": pattern}, "content": content} for pattern, content in REPLACEMENTS),
    {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Lowercase"},
    sequence("normalizers", [{"type": "NFD"}, {"type": "StripAccents"}]),
]


def base():
    """Byte level, with merges across all that a pre-tokenizer may cut: ids then show where it did. So does the space that
    ByteLevel puts before every piece."""
    words = [[BYTES[byte] for byte in text.encode()] for text in TEXTS * 2]
    vocabulary, merges = {c: i for i, c in enumerate(BYTES)}, []
    for left, right in learn(words, 300):
        vocabulary.setdefault(left + right, len(vocabulary))
        merges.append([left, right])
    return document(decoder=byte_level(True), model={"type": "BPE", "vocab": vocabulary, "merges": merges})


def encode(tokenizer, text):
    """The ids; None where the package itself panics, as it does after some replacements at the end of a text."""
    try:
        return tokenizer.encode(text).ids
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


def main():
    plain = base()
    write(GOLDEN / "regex/base.json", dump(plain) + "\n")
    changes = [{"pre_tokenizer": sequence("pretokenizers", [part, byte_level(False, True)])}
               for part in [*map(split, PATTERNS), *PRE_TOKENIZERS]]
    changes += [{"normalizer": part, "pre_tokenizer": byte_level(False, True)} for part in NORMALIZERS]
    changes.append({"pre_tokenizer": byte_level(True)})
    cases = []
    for change in changes:
        tokenizer = tokenizers.Tokenizer.from_str(dump({**plain, **change}))
        cases.append({**change, "ids": [encode(tokenizer, text) for text in TEXTS]})
    texts = {"texts": TEXTS}
    write_cases(GOLDEN / "regex/cases.json", [texts, *cases], "Python tokenizers " + tokenizers.__version__)


if __name__ == "__main__":
    main()
