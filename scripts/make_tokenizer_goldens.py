#!/usr/bin/env python3
"""Writes tests/golden/tokenizer: small tokenizers of every supported kind, and what the reference implementation makes of
many texts. The reference is the Python package `tokenizers` (Hugging Face's own), in an environment of its own:

    pip install tokenizers==0.23.3
    python3 scripts/make_tokenizer_goldens.py [TOKENIZER_JSON_OF_llama-tinystories-656k]

Merges are learned here, from the few lines below, so the files are ours; only the ids come from the package."""
import json
import re
import sys
import unicodedata

import tokenizers
from golden_support import GOLDEN, dump, random_texts, write, write_cases

CORPUS = [
    "Once upon a time there was a little girl named Lily. She loved to play in the garden with her dog.",
    "The dog said: \"I'm happy, we'll play!\" They didn't stop; they're still playing, and I've seen it 12 times in 2024.",
    "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\nreturn total;\n",
    "日本語の文章です。日本の本。 Привет, мир! Привет! привет мир. Ça va très bien, été, déjà vu.",
    "مرحبا بالعالم مرحبا हिन्दी में हिन्दी 한국어 한국 사람 🙂🙂 👩‍👩‍👧 \t\t end   of   line  \r\n\r\n done",]

TEXTS = [
    "", " ", "a", "  a", "Once upon a time", " Once upon a time", "Once  upon   a    time     ", "Hello, world!", "I'm we'll THEY'RE don't Don'T 'S's",
    "12345 1,234.56 0x1F 2024-01-01 ½ ٣٤٥ Ⅷ", "\n", "\n\n\n", " \n \n", "a\n\n  b\r\n\tc \n", "\t\t\tx\t y", "   \n   leading and trailing   ",
    "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n", "日本語の文章です。本当に？", "Привет, мир! Ёлка ёлка", "été e\u0301te\u0301 A\u030A Å \u212B",
    "ﬁ ﬂ ① ² ｆｕｌｌ ｗｉｄｔｈ ㎏", "İstanbul ISTANBUL ıi ß ẞ ΣΑΣ", "مرحبا بالعالم", "हिन्दी में क्षत्रिय", "한국어 \u1112\u1161\u11AB", "สวัสดีชาวโลก",
    "🙂👍🏽👩‍👩‍👧‍👦🇩🇪 ☺️", "Z\u0351\u036B\u0343a\u0346l\u0313g\u0343o\u0357", "a\u00A0b\u3000c\u2003d\u200Be\u2028f\u0085g", "\uFEFFbom", "\uFFFD \uFFFE \U0010FFFF \U0010FF80\U0010FFC3 \uE000",
    "▁a▁▁b ▁ c", "Ġa Ċ Ã", "<0x41> <0xE4><0xBD>", "nul\u0000in\u0001side\u007F", "'", "''''", "...!!!???", "---===+++", "a" * 70, " " * 70, "x y " * 30,
    "no<|end|>gap", "<|end|>", "<|begin|>Once<|end|>", " <|end|> spaced <|end|> ", "<|end|><|end|>\n<|end|>", "<|en", "<|end|", "keep<tool>this</tool>", "a  <strip>  b", "a\n<strip>\tb", "<strip><strip>",
    "word tokenword word", "word", "(word)", "é-word-é", "wordé", "éword", "Lower lower LOWER", "<s>Once</s>", "a<s> b </s>c", "<unk>", "a <unk> b", "xYz<XyZ>xyz", "The dog said THE DOG SAID",]
# Letters, marks, spaces, symbols and everything else.
TEXTS += random_texts(12345, [(32, 95), (32, 95), (9, 5), (0xC0, 0x180), (0x300, 0x70), (0x400, 0x100), (0x4E00, 0x200),
                              (0x1F600, 0x50), (0x2000, 0x70), (0xAC00, 0x100), (0x3040, 0x60), (0x10000, 0x400),
                              (1, 0xD7FE)], 40)


def byte_characters():
    """GPT-2's characters for bytes."""
    characters, following = [], 256
    for byte in range(256):
        itself = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
        characters.append(chr(byte if itself else following))
        following += not itself
    return characters


BYTES = byte_characters()
FALLBACK_BYTES = ["<0x%02X>" % byte for byte in range(256)]
LATIN = [c for c in "▁ abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-<>|/" if c != " "]


def byte_words():
    """The corpus by ' ?letters', ' ?neither letters nor spaces' and 'spaces', in GPT-2's characters."""
    kind = lambda c: "L" if unicodedata.category(c)[0] == "L" else "S" if c.isspace() else "O"
    words = []
    for line in CORPUS:
        kinds = "".join(map(kind, line))
        spaced = "".join("_" if c == " " else k for c, k in zip(line, kinds))
        for match in re.finditer(r"_?L+|_?O+|[_S]+", spaced):
            words.append([BYTES[byte] for byte in line[match.start():match.end()].encode()])
    return words


def meta_words():
    return [["▁", *word] for line in CORPUS for word in line.split(" ")]


def learn(words, count):
    """Plain byte pair encoding training on `words`, lists of symbols, which it joins."""
    merges = []
    while len(merges) < count:
        pairs = {}
        for word in words:
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = min((pair for pair, n in pairs.items() if n > 1), default=None,
                   key=lambda pair: (-pairs[pair], "\0".join(pair)))
        if best is None:
            break
        merges.append(list(best))
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i:i + 2] = [word[i] + word[i + 1]]
                i += 1
    return merges


def in_stored_order(vocabulary):
    """Tokens that are whole numbers come first, rising: the order in which the first maker's language keeps keys."""
    number = lambda token: token.isascii() and token.isdigit() and str(int(token)) == token
    return {**{t: vocabulary[t] for t in sorted(filter(number, vocabulary), key=int)},
            **{t: i for t, i in vocabulary.items() if not number(t)}}


def bpe(first, words, count, pairs=False, **options):
    known = set(first)
    merges = learn([[s for s in word if s in known] for word in words], count)
    vocabulary = {}
    for token in [*first, *(a + b for a, b in merges)]:
        vocabulary.setdefault(token, len(vocabulary))
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, **options,
            "vocab": in_stored_order(vocabulary), "merges": merges if pairs else [" ".join(m) for m in merges]}


def added(model, *tokens):
    """Each token a text, or a text and flags that differ from a special token's."""
    entries, following = [], len(model["vocab"])
    for token in tokens:
        content, flags = token if isinstance(token, tuple) else (token, {})
        number = model["vocab"].get(content)
        if number is None:
            number, following = following, following + 1
        entries.append({"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                        "normalized": False, "special": True, **flags})
    return entries


def template(before, after, ids):
    special = lambda token: [{"SpecialToken": {"id": token, "type_id": 0}}] if token else []
    return {"type": "TemplateProcessing",
            "single": [*special(before), {"Sequence": {"id": "A", "type_id": 0}}, *special(after)],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in (before, after) if t}}


def document(**parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None, **parts}


def split(regex, behavior="Isolated"):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": False}


def byte_level(use_regex, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def sequence(kind, parts):
    return {"type": "Sequence", kind: parts}


LLAMA_DECODERS = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                  {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
LLAMA3_REGEX = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_REGEX = LLAMA3_REGEX.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level_kinds():
    model = bpe(BYTES, byte_words(), 150, pairs=True, ignore_merges=True)
    model["vocab"]["Ġunreached"] = len(model["vocab"])  # found only because ignore_merges takes whole pieces
    tokens = added(model, "<|begin|>", "<|end|>")
    yield "llama3", document(
        added_tokens=tokens, pre_tokenizer=sequence("pretokenizers", [split(LLAMA3_REGEX), byte_level(False)]),
        post_processor=sequence("processors", [byte_level(True),
                                               template("<|begin|>", None, {"<|begin|>": tokens[0]["id"]})]),
        decoder=byte_level(True), model=model), {
            "bos_token": "<|begin|>", "eos_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast"}

    model = bpe(BYTES, byte_words(), 120)
    plain = {"special": False}
    yield "qwen2", document(
        added_tokens=added(model, "<|end|>", ("<tool>", plain), ("</tool>", plain)), normalizer={"type": "NFC"},
        pre_tokenizer=sequence("pretokenizers", [split(QWEN2_REGEX), byte_level(False)]),
        post_processor=byte_level(False), decoder=byte_level(False), model=model), {
            "add_bos_token": False, "bos_token": None, "eos_token": {"content": "<|end|>"}, "pad_token": "<|end|>"}

    model = bpe(BYTES, byte_words(), 100)
    tokens = added(model, "<|end|>", ("<strip>", {"lstrip": True, "rstrip": True}),
                   ("word", {"single_word": True, "special": False}), ("<XyZ>", {"normalized": True, "special": False}))
    yield "gpt2", document(added_tokens=tokens, normalizer={"type": "Lowercase"}, pre_tokenizer=byte_level(True, True),
                           post_processor=byte_level(True), decoder=byte_level(True), model=model), {}


def fallback(first, count, **options):
    model = bpe(["<unk>", "<s>", "</s>", *first], meta_words(), count, unk_token="<unk>", **options)
    return model, added(model, "<unk>", "<s>", "</s>")


def metaspace_kinds():
    bytes_and_latin = [*FALLBACK_BYTES, *LATIN]
    model, tokens = fallback(bytes_and_latin, 100, fuse_unk=True, byte_fallback=True)
    yield "llama2", document(
        added_tokens=tokens, normalizer=sequence("normalizers", [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]),
        post_processor=template("<s>", "</s>", {"<s>": 1, "</s>": 2}), decoder=sequence("decoders", LLAMA_DECODERS),
        model=model), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

    model, tokens = fallback(bytes_and_latin, 80, fuse_unk=True, byte_fallback=True)
    yield "mistral", document(
        added_tokens=tokens,
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        post_processor=template("<s>", None, {"<s>": 1}), decoder=sequence("decoders", LLAMA_DECODERS),
        model=model), {"bos_token": "<s>", "eos_token": "</s>"}

    model, tokens = fallback(LATIN, 80, fuse_unk=True)
    yield "metaspace", document(
        added_tokens=tokens, pre_tokenizer=sequence("pretokenizers", [
            {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
            {"type": "Digits", "individual_digits": True}]),
        decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}, model=model), {
            "eos_token": "</s>"}


def mixed_kinds():
    words = [list(word) for line in CORPUS for word in re.findall("[a-z]+", line.lower())]
    model = bpe(["[UNK]", *LATIN[1:]], words, 80, unk_token="[UNK]")
    normalizers = [{"type": "NFKC"}, {"type": "Lowercase"}, {"type": "NFD"}, {"type": "StripAccents"},
                   {"type": "Strip", "strip_left": True, "strip_right": True},
                   {"type": "Replace", "pattern": {"Regex": "\\s{2,}"}, "content": " "}]
    yield "mixed", document(
        added_tokens=added(model, "[UNK]"), normalizer=sequence("normalizers", normalizers),
        pre_tokenizer=sequence("pretokenizers", [{"type": "WhitespaceSplit"},
                                                 {"type": "Punctuation", "behavior": "Isolated"},
                                                 {"type": "Digits", "individual_digits": False}]), model=model), {}
    for name, behavior in (("gemma", "MergedWithPrevious"), ("removed", "Removed"), ("next", "MergedWithNext"),
                           ("contiguous", "Contiguous")):
        model, tokens = fallback([*FALLBACK_BYTES, *LATIN], 80, byte_fallback=True)
        yield name, document(
            added_tokens=tokens, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            pre_tokenizer={"type": "Split", "pattern": {"String": "▁"}, "behavior": behavior, "invert": False},
            decoder=sequence("decoders", LLAMA_DECODERS[:3]), model=model), {}


def make_cases(name, text):
    tokenizer = tokenizers.Tokenizer.from_str(text)
    # This version decodes normalized added tokens as their normalized text and never skips them: they are left out.
    odd = {t["id"] for t in json.loads(text)["added_tokens"] if t["normalized"]}
    cases = []
    for example in TEXTS:
        ids = tokenizer.encode(example).ids
        shown = [i for i in ids if i not in odd]
        decoded_ids = {} if shown == ids else {"decoded_ids": shown}
        cases.append({"text": example, "ids": ids, **decoded_ids, "decoded": tokenizer.decode(shown)})
    write_cases(GOLDEN / name / "cases.json", cases, "Python tokenizers " + tokenizers.__version__)


def main():
    for kinds in (byte_level_kinds(), metaspace_kinds(), mixed_kinds()):
        for name, parts, config in kinds:
            write(GOLDEN / name / "tokenizer.json", dump(parts) + "\n")
            write(GOLDEN / name / "tokenizer_config.json", dump(config) + "\n")
            make_cases(name, dump(parts))
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            make_cases("llama-tinystories-656k", file.read())


if __name__ == "__main__":
    main()
