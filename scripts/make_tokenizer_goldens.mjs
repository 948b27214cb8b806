// Writes tests/golden/tokenizer: small tokenizers of every supported kind, and what the reference implementation makes of
// many texts. The reference is the npm package `tokenizers` (Hugging Face's own), installed outside the repository:
//   npm install --prefix DIR tokenizers@0.23.2
//   node scripts/make_tokenizer_goldens.mjs DIR [TOKENIZER_JSON_OF_llama-tinystories-656k]
// Merges are learned here, from the few lines below, so the files are ours; only the ids come from the package.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const packages = resolve(process.argv[2]);
const require = createRequire(join(packages, "package.json"));
const { Tokenizer } = require("tokenizers");
const version = JSON.parse(readFileSync(join(packages, "node_modules/tokenizers/package.json"))).version;
const golden = join(dirname(fileURLToPath(import.meta.url)), "../tests/golden/tokenizer");

const corpus = [
  "Once upon a time there was a little girl named Lily. She loved to play in the garden with her dog.",
  "The dog said: \"I'm happy, we'll play!\" They didn't stop; they're still playing, and I've seen it 12 times in 2024.",
  "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\nreturn total;\n",
  "日本語の文章です。日本の本。 Привет, мир! Привет! привет мир. Ça va très bien, été, déjà vu.",
  "مرحبا بالعالم مرحبا हिन्दी में हिन्दी 한국어 한국 사람 🙂🙂 👩‍👩‍👧 \t\t end   of   line  \r\n\r\n done",
];

const texts = [
  "", " ", "a", "  a", "Once upon a time", " Once upon a time", "Once  upon   a    time     ", "Hello, world!", "I'm we'll THEY'RE don't Don'T 'S's",
  "12345 1,234.56 0x1F 2024-01-01 ½ ٣٤٥ Ⅷ", "\n", "\n\n\n", " \n \n", "a\n\n  b\r\n\tc \n", "\t\t\tx\t y", "   \n   leading and trailing   ",
  "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n", "日本語の文章です。本当に？", "Привет, мир! Ёлка ёлка", "été e\u0301te\u0301 A\u030A Å \u212B",
  "ﬁ ﬂ ① ² ｆｕｌｌ ｗｉｄｔｈ ㎏", "İstanbul ISTANBUL ıi ß ẞ ΣΑΣ", "مرحبا بالعالم", "हिन्दी में क्षत्रिय", "한국어 \u1112\u1161\u11AB", "สวัสดีชาวโลก",
  "🙂👍🏽👩‍👩‍👧‍👦🇩🇪 ☺️", "Z\u0351\u036B\u0343a\u0346l\u0313g\u0343o\u0357", "a\u00A0b\u3000c\u2003d\u200Be\u2028f\u0085g", "\uFEFFbom", "\uFFFD \uFFFE \u{10FFFF} \u{10FF80}\u{10FFC3} \uE000",
  "▁a▁▁b ▁ c", "Ġa Ċ Ã", "<0x41> <0xE4><0xBD>", "nul\u0000in\u0001side\u007F", "'", "''''", "...!!!???", "---===+++", "a".repeat(70), " ".repeat(70), "x y ".repeat(30),
  "no<|end|>gap", "<|end|>", "<|begin|>Once<|end|>", " <|end|> spaced <|end|> ", "<|end|><|end|>\n<|end|>", "<|en", "<|end|", "keep<tool>this</tool>", "a  <strip>  b", "a\n<strip>\tb", "<strip><strip>",
  "word tokenword word", "word", "(word)", "é-word-é", "wordé", "éword", "Lower lower LOWER", "<s>Once</s>", "a<s> b </s>c", "<unk>", "a <unk> b", "xYz<XyZ>xyz", "The dog said THE DOG SAID",
];
// Random Unicode from a fixed generator: letters, marks, spaces, symbols and everything else.
let state = 12345;
const random = (n) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return Math.floor((state / 4294967296) * n); };
const ranges = [[32, 95], [32, 95], [9, 5], [0xC0, 0x180], [0x300, 0x70], [0x400, 0x100], [0x4E00, 0x200], [0x1F600, 0x50], [0x2000, 0x70], [0xAC00, 0x100], [0x3040, 0x60], [0x10000, 0x400], [1, 0xD7FE]];
for (let i = 0; i < 40; ++i) {
  let text = "";
  for (let n = random(40) + 1; n > 0; --n) { const [base, size] = ranges[random(ranges.length)]; text += String.fromCodePoint(base + random(size)); }
  texts.push(text);
}

// GPT-2's characters for bytes.
const byteChars = (() => {
  const chars = []; let next = 256;
  for (let b = 0; b < 256; ++b) chars.push(String.fromCodePoint((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
  return chars;
})();
const toBytes = (text) => [...Buffer.from(text, "utf8")].map((b) => byteChars[b]);

// Plain byte pair encoding training on `words` (lists of symbols).
function learn(words, count) {
  const merges = [];
  while (merges.length < count) {
    const pairs = new Map();
    for (const word of words) for (let i = 0; i + 1 < word.length; ++i) { const key = word[i] + "\u0000" + word[i + 1]; pairs.set(key, (pairs.get(key) ?? 0) + 1); }
    let best = null;
    for (const [key, n] of pairs) if (n > 1 && (!best || n > best[1] || (n === best[1] && key < best[0]))) best = [key, n];
    if (!best) break;
    const [left, right] = best[0].split("\u0000");
    merges.push([left, right]);
    for (const word of words) for (let i = 0; i + 1 < word.length; ++i) if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
  }
  return merges;
}

function bpe(first, words, count, options) {
  const known = new Set(first);
  const merges = learn(words.map((word) => word.filter((symbol) => known.has(symbol))), count);
  const vocab = {};
  for (const token of [...first, ...merges.map(([a, b]) => a + b)]) vocab[token] ??= Object.keys(vocab).length;
  const { pairs = false, ...rest } = options;
  return { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false, ...rest, vocab, merges: pairs ? merges : merges.map((m) => m.join(" ")) };
}

const added = (model, content, options = {}) => ({ id: model.vocab[content] ?? null, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...options });
function withAdded(model, tokens) {
  let next = Object.keys(model.vocab).length;
  return tokens.map((token) => ({ ...token, id: token.id ?? next++ }));
}
const template = (before, after, ids) => ({
  type: "TemplateProcessing",
  single: [...(before ? [{ SpecialToken: { id: before, type_id: 0 } }] : []), { Sequence: { id: "A", type_id: 0 } }, ...(after ? [{ SpecialToken: { id: after, type_id: 0 } }] : [])],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: Object.fromEntries([before, after].filter(Boolean).map((t) => [t, { id: t, ids: [ids[t]], tokens: [t] }])),
});
const document = (parts) => ({ version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...parts });
const split = (regex, behavior = "Isolated") => ({ type: "Split", pattern: { Regex: regex }, behavior, invert: false });
const byteLevel = (use_regex, add_prefix_space = false) => ({ type: "ByteLevel", add_prefix_space, trim_offsets: true, use_regex });
const wordsBy = (regex) => corpus.flatMap((line) => line.match(regex)).map(toBytes);
const llamaDecoder = { type: "Sequence", decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" }, { type: "Strip", content: " ", start: 1, stop: 0 }] };
const fallbackBytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
const latin = [..."▁ abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-<>|/"].filter((c) => c !== " ");
const metaWords = () => corpus.flatMap((line) => line.split(" ")).map((word) => ["▁", ...word]);
// Every kind below shows one real family's components.
function makers() {
  const kinds = {};
  const llama3Regex = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const qwen2Regex = llama3Regex.replace("\\p{N}{1,3}", "\\p{N}");
  const words = () => wordsBy(/ ?\p{L}+| ?[^\s\p{L}]+|\s+/gu);
  {
    const model = bpe(byteChars, words(), 150, { ignore_merges: true, pairs: true });
    model.vocab["Ġunreached"] = Object.keys(model.vocab).length;  // found only because ignore_merges takes whole pieces
    const tokens = withAdded(model, [added(model, "<|begin|>"), added(model, "<|end|>")]);
    kinds["llama3"] = { document: document({ added_tokens: tokens, pre_tokenizer: { type: "Sequence", pretokenizers: [split(llama3Regex), byteLevel(false)] }, post_processor: { type: "Sequence", processors: [byteLevel(true), template("<|begin|>", null, { "<|begin|>": tokens[0].id })] }, decoder: byteLevel(true), model }), config: { bos_token: "<|begin|>", eos_token: "<|end|>", tokenizer_class: "PreTrainedTokenizerFast" } };
  }
  {
    const model = bpe(byteChars, words(), 120, {});
    const tokens = withAdded(model, [added(model, "<|end|>"), added(model, "<tool>", { special: false }), added(model, "</tool>", { special: false })]);
    kinds["qwen2"] = { document: document({ added_tokens: tokens, normalizer: { type: "NFC" }, pre_tokenizer: { type: "Sequence", pretokenizers: [split(qwen2Regex), byteLevel(false)] }, post_processor: byteLevel(false), decoder: byteLevel(false), model }), config: { add_bos_token: false, bos_token: null, eos_token: { content: "<|end|>" }, pad_token: "<|end|>" } };
  }
  {
    const model = bpe(byteChars, words(), 100, {});
    const tokens = withAdded(model, [added(model, "<|end|>"), added(model, "<strip>", { lstrip: true, rstrip: true }), added(model, "word", { single_word: true, special: false }), added(model, "<XyZ>", { normalized: true, special: false })]);
    kinds["gpt2"] = { document: document({ added_tokens: tokens, normalizer: { type: "Lowercase" }, pre_tokenizer: byteLevel(true, true), post_processor: byteLevel(true), decoder: byteLevel(true), model }), config: {} };
  }
  {
    const model = bpe(["<unk>", "<s>", "</s>", ...fallbackBytes, ...latin], metaWords(), 100, { unk_token: "<unk>", fuse_unk: true, byte_fallback: true });
    const tokens = withAdded(model, [added(model, "<unk>"), added(model, "<s>"), added(model, "</s>")]);
    kinds["llama2"] = { document: document({ added_tokens: tokens, normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }] }, post_processor: template("<s>", "</s>", { "<s>": 1, "</s>": 2 }), decoder: llamaDecoder, model }), config: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" } };
  }
  {
    const model = bpe(["<unk>", "<s>", "</s>", ...fallbackBytes, ...latin], metaWords(), 80, { unk_token: "<unk>", fuse_unk: true, byte_fallback: true });
    const tokens = withAdded(model, [added(model, "<unk>"), added(model, "<s>"), added(model, "</s>")]);
    kinds["mistral"] = { document: document({ added_tokens: tokens, pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false }, post_processor: template("<s>", null, { "<s>": 1 }), decoder: llamaDecoder, model }), config: { bos_token: "<s>", eos_token: "</s>" } };
  }
  {
    const model = bpe(["<unk>", "<s>", "</s>", ...latin], metaWords(), 80, { unk_token: "<unk>", fuse_unk: true });
    kinds["metaspace"] = { document: document({ added_tokens: withAdded(model, [added(model, "<unk>"), added(model, "<s>"), added(model, "</s>")]), pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Metaspace", replacement: "▁", add_prefix_space: true }, { type: "Digits", individual_digits: true }] }, decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" }, model }), config: { eos_token: "</s>" } };
  }
  {
    const model = bpe(["[UNK]", ...latin.slice(1)], corpus.flatMap((line) => line.toLowerCase().match(/[a-z]+/g)).map((w) => [...w]), 80, { unk_token: "[UNK]" });
    kinds["mixed"] = { document: document({ added_tokens: withAdded(model, [added(model, "[UNK]")]), normalizer: { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" }, { type: "NFD" }, { type: "StripAccents" }, { type: "Strip", strip_left: true, strip_right: true }, { type: "Replace", pattern: { Regex: "\\s{2,}" }, content: " " }] }, pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Punctuation", behavior: "Isolated" }, { type: "Digits", individual_digits: false }] }, decoder: null, model }), config: {} };
  }
  const gemma = () => bpe(["<unk>", "<s>", "</s>", ...fallbackBytes, ...latin], metaWords(), 80, { unk_token: "<unk>", byte_fallback: true });
  for (const [name, behavior] of [["gemma", "MergedWithPrevious"], ["removed", "Removed"], ["next", "MergedWithNext"], ["contiguous", "Contiguous"]]) {
    const model = gemma();
    kinds[name] = { document: document({ added_tokens: withAdded(model, [added(model, "<unk>"), added(model, "<s>"), added(model, "</s>")]), normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" }, pre_tokenizer: { type: "Split", pattern: { String: "▁" }, behavior, invert: false }, decoder: { type: "Sequence", decoders: llamaDecoder.decoders.slice(0, 3) }, model }), config: {} };
  }
  return kinds;
}

async function writeCases(name, file, document) {
  const tokenizer = Tokenizer.fromFile(file);
  // This version decodes normalized added tokens as their normalized text and never skips them, so they are left out.
  const odd = new Set(document.added_tokens.filter((t) => t.normalized).map((t) => t.id));
  const cases = [];
  for (const text of texts) {
    const ids = (await tokenizer.encode(text, null, { addSpecialTokens: true })).getIds();
    const shown = ids.filter((id) => !odd.has(id));
    cases.push({ text, ids, decoded_ids: shown.length === ids.length ? undefined : shown, decoded: await tokenizer.decode(shown, true) });
  }
  const lines = cases.map((c) => JSON.stringify(c)).join(",\n");
  writeFileSync(join(golden, name, "cases.json"), `{"generator": "npm tokenizers ${version}", "cases": [\n${lines}\n]}\n`);
}

for (const [name, { document, config }] of Object.entries(makers())) {
  mkdirSync(join(golden, name), { recursive: true });
  const file = join(golden, name, "tokenizer.json");
  writeFileSync(file, JSON.stringify(document) + "\n");
  writeFileSync(join(golden, name, "tokenizer_config.json"), JSON.stringify(config) + "\n");
  await writeCases(name, file, document);
}
if (process.argv[3]) {
  const name = "llama-tinystories-656k";
  mkdirSync(join(golden, name), { recursive: true });
  await writeCases(name, process.argv[3], JSON.parse(readFileSync(process.argv[3])));
}
