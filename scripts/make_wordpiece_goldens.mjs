// Writes tests/golden/tokenizer/wordpiece: a small WordPiece vocabulary, and what the reference implementation of uncased
// BERT's rules makes of many texts with it, and with the published vocabulary of 30522 tokens where it is given. The
// reference is the npm package `tokenizers` (Hugging Face's own), installed outside the repository:
//   npm install --prefix DIR tokenizers@0.23.2
//   node scripts/make_wordpiece_goldens.mjs DIR [VOCAB_TXT_OF_mobilebert-uncased]
// Ids and spans come from the package, words from a regular expression; spans are bytes of the text as UTF-8.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const packages = resolve(process.argv[2]);
const require = createRequire(join(packages, "package.json"));
const { Tokenizer } = require("tokenizers");
const version = JSON.parse(readFileSync(join(packages, "node_modules/tokenizers/package.json"))).version;
const golden = join(dirname(fileURLToPath(import.meta.url)), "../tests/golden/tokenizer/wordpiece");

const texts = [
  "", " ", "\n\t ", "a", "  a ", "Once upon a time", " once  UPON\ta\r\ntime \n", "unaffable unwanted running", "don't [CLS] it's [SEP] [MASK] [unused1]",
  "été e\u0301te\u0301 ÉTÉ naïve café Ångström \u212B", "İstanbul ISTANBUL ıi ß ẞ ΣΑΣ", "日本語の文章です。本当に？", "中a文b 한국어 \u1112\u1161\u11AB", "\u{2F800}x\uF900 ꙮ",
  "$5^2 = `x` ~| <a@b.c> 3.14, 1,000-2 (a/b) \\ _x_ {y}", "¿Qué? «non» — “quoted” … 100% §5 ¶ €3 £4 © ® °", "a\u0000b \u0001c\u007Fd\u0085e \u000Bf\u000Cg", "a\u200Bb\u200Dc\u2060d \u00ADsoft \uFEFFbom",
  "a\uE000b \uFFFDc \u0378d", "a\u00A0b\u3000c\u2003d\u2028e\u2029f\u1680g\u202Fh", "\u0301 \u0301a a\u0301\u0323\u0327 q\u0323\u0307 \u302Ea a\u302E\u0301b", "Z\u0351\u036B\u0343a\u0346l\u0313g\u0343o\u0357 हिन्दी क्षत्रिय สวัสดี",
  "🙂👍🏽👩‍👩‍👧‍👦 a🙂b ☺️", "ﬁ ﬂ ① ² ｆｕｌｌ ½ Ⅷ", "Привет, мир! Ёлка ЁЛКА й", "مرحبا بالعالم 12 ٣٤٥", "a".repeat(100), "a".repeat(101), "é".repeat(100) + " " + "é".repeat(101), "x-".repeat(40), "?!".repeat(30),
  "[PAD]", "##ing ## #", "the quick brown fox jumps over the lazy dog", "The meeting was postponed until 14:30 on Tuesday, 3 March.", "supercalifragilisticexpialidocious antidisestablishmentarianism",
  "for (int i = 0; i < 10; ++i) {\n    total += values[i];\n}\n", "A) yes\nB) no\nAnswer:", "\u1F80 ΐ Ά \u1E9B\u0323 \uAC00\u11A8", "µ K Å Ω \u2126 \u212A ǅ Ǆ ŉ",
];
// Random Unicode from a fixed generator, in blocks that were complete long ago: libraries then agree on every character.
let state = 2024;
const random = (n) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return Math.floor((state / 4294967296) * n); };
const ranges = [[32, 95], [32, 95], [9, 5], [0xA0, 0x1B0], [0x300, 0x4F], [0x384, 0x40], [0x400, 0x100], [0x4E00, 0x200], [0x1F600, 0x40], [0x2000, 0x60], [0xAC00, 0x100], [0x3041, 0x50], [0x1E00, 0x100], [0x1F00, 0x16], [0xFF01, 0x5E], [0x2200, 0x80]];
for (let i = 0; i < 60; ++i) {
  let text = "";
  for (let n = random(40) + 1; n > 0; --n) { const [base, size] = ranges[random(ranges.length)]; text += String.fromCodePoint(base + random(size)); }
  texts.push(text);
}

const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const small = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...letters, ...letters.map((c) => "##" + c), ...[...".,:;!?'\"()-<>|/[]#$"], "é", "中", "文", "一", "д", "##д", "ο", "##ο",
  "once", "upon", "time", "un", "##aff", "##able", "##want", "##ed", "run", "##ning", "the", "over", "cls", "and", "##ing", "ab", "abc", "##bc", "##cd"];

function words(text) {
  const bytes = (s) => Buffer.byteLength(s, "utf8");
  const found = [];
  for (const match of text.matchAll(/[^\t\n\r\p{Zs}\p{Zl}\p{Zp}]+/gu)) {
    const begin = bytes(text.slice(0, match.index));
    found.push([begin, begin + bytes(match[0])]);
  }
  return found;
}

async function writeCases(file, vocabulary) {
  const vocab = Object.fromEntries(vocabulary.map((token, id) => [token, id]));
  const tokenizer = Tokenizer.fromString(JSON.stringify({
    version: "1.0", truncation: null, padding: null, added_tokens: [], post_processor: null, decoder: null,
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
  }));
  const cases = [];
  for (const text of texts) {
    const encoding = await tokenizer.encode(text);
    const starts = [0];  // byte where each character begins; the package counts characters
    for (const c of text) starts.push(starts.at(-1) + Buffer.byteLength(c, "utf8"));
    cases.push({ text, ids: encoding.getIds(), spans: encoding.getOffsets().map(([begin, end]) => [starts[begin], starts[end]]), words: words(text) });
  }
  const lines = cases.map((c) => JSON.stringify(c)).join(",\n");
  writeFileSync(join(golden, file), `{"generator": "npm tokenizers ${version}", "cases": [\n${lines}\n]}\n`);
}

mkdirSync(golden, { recursive: true });
writeFileSync(join(golden, "vocab.txt"), small.join("\n") + "\n");
await writeCases("cases.json", small);
if (process.argv[3]) await writeCases("mobilebert_cases.json", readFileSync(process.argv[3], "utf8").split("\n").slice(0, -1));
