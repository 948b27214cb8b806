// Writes the seeds of the fuzz targets, a folder for each: usage fuzz_corpus DIR. The files in corpus/ are what it
// wrote and what was found since.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "elrt/latency_table.hpp"
#include "unit/runtime/latency_tables.h"
#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"
#include "unit/tokenizer/tiny_tokenizers.h"

namespace {

using namespace elastify_test;
namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string text_of(const std::vector<unsigned char>& bytes) { return {bytes.begin(), bytes.end()}; }
std::string with_text(const std::string& text, const std::string& rest) {
  std::string bytes = {static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return bytes + text + rest;
}

// Two blocks that hold little, so that a mutation often meets a header.
TinyElasticShape small_shape(std::uint32_t vocab) {
  TinyElasticShape shape;
  shape.blocks = 1, shape.hidden = 32, shape.ffn = 32, shape.vocab = vocab, shape.context = 16;
  shape.heads = 2, shape.kv_heads = 2;
  shape.levels = {50, 100};
  shape.kv_groups = {1, 2};
  shape.neurons = {16, 32};
  return shape;
}

void make_artifacts(const fs::path& folder) {
  TinyElasticShape shape = small_shape(40);
  put(folder / "f32", text_of(TinyElastic(shape).artifact().build()));
  shape.f16 = shape.biases = shape.qk_norm = shape.adapters = shape.rope_freqs = true;
  put(folder / "f16_all", text_of(TinyElastic(shape).artifact().build()));
  TinyElasticShape shared = small_shape(40);
  shared.f16 = shared.tied = shared.adapters = shared.shared = true;
  shared.kv_groups = {0, 2};
  put(folder / "shared", text_of(TinyElastic(shared).artifact().build()));
  for (const auto type : {kQ8, kQ4, kIq4}) {
    TinyElasticShape quantised = small_shape(40);
    quantised.quantised = type;
    quantised.tied = true;
    put(folder / (type == kQ8 ? "q8" : type == kQ4 ? "q4" : "iq4"), text_of(TinyElastic(quantised).artifact().build()));
  }
  TinyElasticShape brain = small_shape(40);
  brain.bf16 = brain.adapters = true;
  put(folder / "bf16", text_of(TinyElastic(brain).artifact().build()));
  const elrt::TokenizerSpec spec = tiny_tokenizer();
  TinyElasticShape words = small_shape(static_cast<std::uint32_t>(spec.tokens.size()));
  words.tied = words.f16 = true;
  GgufBuilder file = TinyElastic(words).artifact();
  for (const auto& [key, value] : elrt::tokenizer_metadata(spec)) file.metadata[key] = value;
  put(folder / "tokenizer", text_of(file.build()));
  TinyElasticShape half = small_shape(40);
  half.tied = half.f16 = true;
  GgufBuilder tlm = TinyElastic(half).artifact();
  add_tiny_tlm(tlm);
  put(folder / "tlm", text_of(tlm.build()));
  GgufBuilder bert = TinyElastic(half).artifact();
  add_tiny_tlm(bert, 0, 0, 1, TinyBody::kBert);
  put(folder / "tlm_bert", text_of(bert.build()));
  GgufBuilder foreign;
  foreign.metadata["general.architecture"] = std::string("llama");
  foreign.metadata["general.alignment"] = std::uint32_t{32};
  put(folder / "foreign", text_of(foreign.build()));
}

void make_tables(const fs::path& folder) {
  fs::create_directories(folder);
  elrt::LatencyData data = small_table();
  if (auto table = elrt::LatencyTable::create(data); table && table->write(folder / "small")) std::puts("small");
  data.tlm = {{1, 2, 3}, {1, 1, 2}};
  if (auto table = elrt::LatencyTable::create(data); table && table->write(folder / "tlm")) std::puts("tlm");
}

void make_tokenizers(const fs::path& folder) {
  const auto put_spec = [&](const std::string& name, const elrt::TokenizerSpec& spec, const std::string& text) {
    GgufBuilder file;
    file.metadata = elrt::tokenizer_metadata(spec);
    put(folder / name, with_text(text, text_of(file.build())));
  };
  put_spec("scores", score_spec(), "ab abc  caf\xC3\xA9 \xFF");
  put_spec("bytes", byte_level_spec(), " ab word<|end|> it's 1234\r\n");
  // Patterns of the reports: dialects of regular expressions.
  const char* const patterns[] = {"^ab",           "[\\p{Han}]+|[\\p{L}&&[^\\p{Han}]]+|\\p{N}{1,3}|\\s+",
                                  "\\s+$|\\p{L}+", "\\h+",
                                  "(?m:a.b)",      " +$",
                                  "\\bt",          "\\w+|[^\\w\\s]+"};
  for (std::size_t i = 0; i < std::size(patterns); ++i) {
    elrt::TokenizerSpec spec = byte_level_spec();
    spec.pre_tokenizer = {{elrt::PreTokenizerStep::Kind::kSplitRegex, patterns[i], ""}};
    put_spec("pattern_" + std::to_string(i), spec, "ab t\na.b  \xE6\x97\xA5 x\xE1\xA0\x8E ");
  }
  elrt::TokenizerSpec replaced = score_spec();
  replaced.normalizer = {{elrt::NormalizerStep::Kind::kReplaceRegex, " +$", ""},
                         {elrt::NormalizerStep::Kind::kNfkc, "", ""}};
  replaced.added.push_back({.id = 266, .lstrip = true, .rstrip = true, .single_word = true, .normalized = true});
  put_spec("normalizer", replaced, "ab aa  b  ");
}

void make_wordpieces(const fs::path& folder) {
  const std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nab\n##b\n##c\n,\n?\n\xE6\x97\xA5\n";
  put(folder / "plain", with_text("Ab abc, ab?\n- \xE6\x97\xA5\xC3\xA9 (C) 12", vocabulary));
  put(folder / "question", with_text("a ab c\nab?\nA:", vocabulary));
}

// The templates whose rendering is golden, each with a conversation.
void make_chat_templates(const fs::path& folder) {
  const std::string messages =
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <|im_end|>"},)"
      R"( {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And now?"}])";
  for (const auto& entry : fs::directory_iterator(fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/chat")) {
    if (entry.path().extension() != ".jinja") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string source((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    put(folder / entry.path().stem(), with_text(messages, source));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const fs::path all = argv[1];
  make_artifacts(all / "artifact");
  make_chat_templates(all / "chat_template");
  make_tables(all / "latency_table");
  make_tokenizers(all / "tokenizer");
  make_wordpieces(all / "wordpiece");
  return 0;
}
