// A TokenizerSpec as GGUF key-values. Standard keys where other readers know them; the rest:
//   elastic.tokenizer.version        u32, 1
//   elastic.tokenizer.byte_level, .byte_fallback, .fuse_unk, .ignore_merges   bool
//   elastic.tokenizer.merge_ids      i32[2 per merge], instead of tokenizer.ggml.merges where "a b" would be ambiguous
//   elastic.tokenizer.stop_ids       i32[]
//   elastic.tokenizer.unk_surface    string
//   elastic.tokenizer.normalizer     string[3 per step]: kind, pattern, content
//   elastic.tokenizer.pre_tokenizer  string[5 per step]: kind, pattern, content, behavior, "invert" or ""
//   elastic.tokenizer.decoder        string[5 per step]: kind, pattern, content, start, stop
//   elastic.tokenizer.added_ids      i32[]
//   elastic.tokenizer.added_flags    u8[]: 1 special, 2 lstrip, 4 rstrip, 8 single word, 16 normalized
// A missing array is empty.
#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "elrt/tokenizer.hpp"

namespace elrt {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMaxStepStrings = 5 * 64;

constexpr std::array kNormalizerNames = {"prepend", "replace", "replace_regex", "nfc",        "nfd",
                                         "nfkc",    "nfkd",    "lowercase",     "strip_left", "strip_right"};
constexpr std::array kPreTokenizerNames = {"split", "split_regex", "replace", "prefix", "prefix_first"};
constexpr std::array kBehaviorNames = {"isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"};
constexpr std::array kDecoderNames = {"replace", "byte_fallback", "byte_level", "fuse",
                                      "strip",   "metaspace",     "join_spaces"};

template <typename Enum, std::size_t N>
std::string name_of(const std::array<const char*, N>& names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

template <typename Enum, std::size_t N>
bool parse_name(const std::array<const char*, N>& names, const std::string& name, Enum& value) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return false;
  value = static_cast<Enum>(found - names.begin());
  return true;
}

using TokenIds = std::unordered_map<std::string_view, std::int32_t>;

TokenIds ids_by_text(const std::vector<std::string>& tokens) {
  TokenIds ids;
  ids.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) ids.emplace(tokens[id], static_cast<std::int32_t>(id));
  return ids;
}

bool plain_merge_token(const TokenizerSpec& spec, const TokenIds& ids, std::int32_t id) {
  if (id < 0 || static_cast<std::size_t>(id) >= spec.tokens.size()) return false;
  const std::string& token = spec.tokens[static_cast<std::size_t>(id)];
  return !token.empty() && token.find(' ') == std::string::npos && ids.at(token) == id;
}

void put_merges(const TokenizerSpec& spec, gguf::Metadata& metadata) {
  if (spec.merges.empty()) return;
  const TokenIds ids = ids_by_text(spec.tokens);
  const bool plain = std::all_of(spec.merges.begin(), spec.merges.end(), [&](const TokenMerge& merge) {
    return plain_merge_token(spec, ids, merge.left) && plain_merge_token(spec, ids, merge.right);
  });
  std::vector<std::string> texts;
  std::vector<std::int32_t> pairs;
  for (const TokenMerge& merge : spec.merges) {
    if (plain) {
      texts.push_back(spec.tokens[static_cast<std::size_t>(merge.left)] + " " +
                      spec.tokens[static_cast<std::size_t>(merge.right)]);
    } else {
      pairs.insert(pairs.end(), {merge.left, merge.right});
    }
  }
  if (plain)
    metadata["tokenizer.ggml.merges"] = std::move(texts);
  else
    metadata["elastic.tokenizer.merge_ids"] = std::move(pairs);
}

void put_steps(const TokenizerSpec& spec, gguf::Metadata& metadata) {
  std::vector<std::string> normalizer, pre_tokenizer, decoder;
  for (const NormalizerStep& step : spec.normalizer) {
    normalizer.insert(normalizer.end(), {name_of(kNormalizerNames, step.kind), step.pattern, step.content});
  }
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    pre_tokenizer.insert(pre_tokenizer.end(), {name_of(kPreTokenizerNames, step.kind), step.pattern, step.content,
                                               name_of(kBehaviorNames, step.behavior), step.invert ? "invert" : ""});
  }
  for (const DecoderStep& step : spec.decoder) {
    decoder.insert(decoder.end(), {name_of(kDecoderNames, step.kind), step.pattern, step.content,
                                   std::to_string(step.start), std::to_string(step.stop)});
  }
  if (!normalizer.empty()) metadata["elastic.tokenizer.normalizer"] = std::move(normalizer);
  if (!pre_tokenizer.empty()) metadata["elastic.tokenizer.pre_tokenizer"] = std::move(pre_tokenizer);
  if (!decoder.empty()) metadata["elastic.tokenizer.decoder"] = std::move(decoder);
}

void put_added(const TokenizerSpec& spec, gguf::Metadata& metadata) {
  if (spec.added.empty()) return;
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> flags;
  for (const AddedToken& token : spec.added) {
    ids.push_back(token.id);
    flags.push_back(static_cast<std::uint8_t>(token.special | token.lstrip << 1 | token.rstrip << 2 |
                                              token.single_word << 3 | token.normalized << 4));
  }
  metadata["elastic.tokenizer.added_ids"] = std::move(ids);
  metadata["elastic.tokenizer.added_flags"] = std::move(flags);
}

}  // namespace

gguf::Metadata tokenizer_metadata(const TokenizerSpec& spec) {
  gguf::Metadata metadata;
  const bool by_scores = spec.model == TokenizerModel::kBpeScores;
  metadata["tokenizer.ggml.model"] = std::string(by_scores ? "llama" : "gpt2");
  metadata["tokenizer.ggml.tokens"] = spec.tokens;
  if (by_scores) metadata["tokenizer.ggml.scores"] = spec.scores;
  std::vector<std::int32_t> types;
  for (const TokenType type : spec.types) types.push_back(static_cast<std::int32_t>(type));
  metadata["tokenizer.ggml.token_type"] = std::move(types);
  const auto put_id = [&](const char* key, std::int32_t id) {
    if (id >= 0) metadata[key] = static_cast<std::uint32_t>(id);
  };
  put_id("tokenizer.ggml.unknown_token_id", spec.unk_id);
  put_id("tokenizer.ggml.bos_token_id", spec.bos_id);
  put_id("tokenizer.ggml.eos_token_id", spec.eos_id);
  put_id("tokenizer.ggml.padding_token_id", spec.pad_id);
  metadata["tokenizer.ggml.add_bos_token"] = spec.add_bos;
  metadata["tokenizer.ggml.add_eos_token"] = spec.add_eos;
  const bool space = !spec.normalizer.empty() && spec.normalizer[0].kind == NormalizerStep::Kind::kPrepend;
  metadata["tokenizer.ggml.add_space_prefix"] = space;  // for other readers; the steps say it to ours
  metadata["elastic.tokenizer.version"] = kVersion;
  metadata["elastic.tokenizer.byte_level"] = spec.byte_level;
  metadata["elastic.tokenizer.byte_fallback"] = spec.byte_fallback;
  metadata["elastic.tokenizer.fuse_unk"] = spec.fuse_unk;
  metadata["elastic.tokenizer.ignore_merges"] = spec.ignore_merges;
  if (!spec.stop_ids.empty()) metadata["elastic.tokenizer.stop_ids"] = spec.stop_ids;
  if (!spec.unk_surface.empty()) metadata["elastic.tokenizer.unk_surface"] = spec.unk_surface;
  if (!spec.chat_template.empty()) metadata["tokenizer.chat_template"] = spec.chat_template;
  put_merges(spec, metadata);
  put_steps(spec, metadata);
  put_added(spec, metadata);
  return metadata;
}

namespace {

// Reads keys and remembers the first that is missing or mistyped.
class Reader {
 public:
  explicit Reader(const gguf::Metadata& metadata) : metadata_(&metadata) {}

  template <typename T>
  void required(std::string_view key, T& value) {
    if (!optional(key, value)) fail(key, "is missing");
  }
  // False if the key is not there.
  template <typename T>
  bool optional(std::string_view key, T& value) {
    const auto found = metadata_->find(key);
    if (found == metadata_->end()) return false;
    if (const T* typed = std::get_if<T>(&found->second))
      value = *typed;
    else
      fail(key, "has the wrong type");
    return true;
  }
  void id(std::string_view key, std::int32_t& value) {
    std::uint32_t stored = 0;
    if (!optional(key, stored)) return;
    if (stored > 0x7FFFFFFF)
      fail(key, "is out of range");
    else
      value = static_cast<std::int32_t>(stored);
  }
  void fail(std::string_view key, const std::string& what) {
    if (failure_.empty()) failure_ = "tokenizer: key " + std::string(key) + " " + what;
  }
  bool ok() const { return failure_.empty(); }
  Failure failure() const { return bad_data(failure_); }

 private:
  const gguf::Metadata* metadata_;
  std::string failure_;
};

bool parse_count(const std::string& text, std::int32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// The strings of a step list, in groups of `width`.
std::vector<std::string> read_groups(Reader& reader, std::string_view key, std::size_t width) {
  std::vector<std::string> strings;
  reader.optional(key, strings);
  if (strings.size() > kMaxStepStrings || strings.size() % width != 0) {
    reader.fail(key,
                "has " + std::to_string(strings.size()) + " strings, expected " + std::to_string(width) + " per step");
    strings.clear();
  }
  return strings;
}

void read_steps(Reader& reader, TokenizerSpec& spec) {
  const std::string_view normalizer_key = "elastic.tokenizer.normalizer", pre_key = "elastic.tokenizer.pre_tokenizer",
                         decoder_key = "elastic.tokenizer.decoder";
  const std::vector<std::string> normalizer = read_groups(reader, normalizer_key, 3);
  for (std::size_t i = 0; i < normalizer.size(); i += 3) {
    NormalizerStep step{{}, normalizer[i + 1], normalizer[i + 2]};
    if (!parse_name(kNormalizerNames, normalizer[i], step.kind)) reader.fail(normalizer_key, "has an unknown step");
    spec.normalizer.push_back(std::move(step));
  }
  const std::vector<std::string> pre = read_groups(reader, pre_key, 5);
  for (std::size_t i = 0; i < pre.size(); i += 5) {
    PreTokenizerStep step{{}, pre[i + 1], pre[i + 2], {}, pre[i + 4] == "invert"};
    const bool known =
        parse_name(kPreTokenizerNames, pre[i], step.kind) && parse_name(kBehaviorNames, pre[i + 3], step.behavior);
    if (!known || (!pre[i + 4].empty() && !step.invert)) reader.fail(pre_key, "has an unknown step");
    spec.pre_tokenizer.push_back(std::move(step));
  }
  const std::vector<std::string> decoder = read_groups(reader, decoder_key, 5);
  for (std::size_t i = 0; i < decoder.size(); i += 5) {
    DecoderStep step{{}, decoder[i + 1], decoder[i + 2], 0, 0};
    const bool known = parse_name(kDecoderNames, decoder[i], step.kind) && parse_count(decoder[i + 3], step.start) &&
                       parse_count(decoder[i + 4], step.stop);
    if (!known) reader.fail(decoder_key, "has an unknown step");
    spec.decoder.push_back(std::move(step));
  }
}

void read_added(Reader& reader, TokenizerSpec& spec) {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> flags;
  reader.optional("elastic.tokenizer.added_ids", ids);
  reader.optional("elastic.tokenizer.added_flags", flags);
  if (flags.size() != ids.size()) return reader.fail("elastic.tokenizer.added_flags", "does not fit added_ids");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (flags[i] > 31) reader.fail("elastic.tokenizer.added_flags", "has unknown flags");
    spec.added.push_back({ids[i], (flags[i] & 1) != 0, (flags[i] & 2) != 0, (flags[i] & 4) != 0, (flags[i] & 8) != 0,
                          (flags[i] & 16) != 0});
  }
}

void read_merges(Reader& reader, TokenizerSpec& spec) {
  std::vector<std::int32_t> pairs;
  if (reader.optional("elastic.tokenizer.merge_ids", pairs)) {
    if (pairs.size() % 2 != 0) return reader.fail("elastic.tokenizer.merge_ids", "has half a pair");
    for (std::size_t i = 0; i < pairs.size(); i += 2) spec.merges.push_back({pairs[i], pairs[i + 1]});
    return;
  }
  std::vector<std::string> texts;
  reader.optional("tokenizer.ggml.merges", texts);
  if (texts.empty()) return;
  const TokenIds ids = ids_by_text(spec.tokens);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t space = texts[i].find(' ');
    const std::string_view text = texts[i];
    const auto left = space == std::string::npos ? ids.end() : ids.find(text.substr(0, space));
    const auto right = space == std::string::npos ? ids.end() : ids.find(text.substr(space + 1));
    if (left == ids.end() || right == ids.end()) {
      return reader.fail("tokenizer.ggml.merges", "entry " + std::to_string(i) + " does not name two tokens");
    }
    spec.merges.push_back({left->second, right->second});
  }
}

}  // namespace

Result<TokenizerSpec> tokenizer_spec_from_metadata(const gguf::Metadata& metadata) {
  Reader reader(metadata);
  TokenizerSpec spec;
  std::uint32_t version = 0;
  std::string model;
  std::vector<std::int32_t> types;
  reader.required("elastic.tokenizer.version", version);
  if (reader.ok() && version != kVersion)
    reader.fail("elastic.tokenizer.version", "is " + std::to_string(version) + ", expected 1");
  reader.required("tokenizer.ggml.model", model);
  if (reader.ok() && model != "llama" && model != "gpt2")
    reader.fail("tokenizer.ggml.model", "is neither llama nor gpt2");
  spec.model = model == "llama" ? TokenizerModel::kBpeScores : TokenizerModel::kBpeMerges;
  reader.required("tokenizer.ggml.tokens", spec.tokens);
  reader.required("tokenizer.ggml.token_type", types);
  reader.optional("tokenizer.ggml.scores", spec.scores);
  reader.id("tokenizer.ggml.unknown_token_id", spec.unk_id);
  reader.id("tokenizer.ggml.bos_token_id", spec.bos_id);
  reader.id("tokenizer.ggml.eos_token_id", spec.eos_id);
  reader.id("tokenizer.ggml.padding_token_id", spec.pad_id);
  reader.required("tokenizer.ggml.add_bos_token", spec.add_bos);
  reader.required("tokenizer.ggml.add_eos_token", spec.add_eos);
  reader.required("elastic.tokenizer.byte_level", spec.byte_level);
  reader.required("elastic.tokenizer.byte_fallback", spec.byte_fallback);
  reader.required("elastic.tokenizer.fuse_unk", spec.fuse_unk);
  reader.required("elastic.tokenizer.ignore_merges", spec.ignore_merges);
  reader.optional("elastic.tokenizer.stop_ids", spec.stop_ids);
  reader.optional("elastic.tokenizer.unk_surface", spec.unk_surface);
  reader.optional("tokenizer.chat_template", spec.chat_template);
  for (const std::int32_t type : types) spec.types.push_back(static_cast<TokenType>(type));
  read_steps(reader, spec);
  read_added(reader, spec);
  read_merges(reader, spec);
  if (!reader.ok()) return reader.failure();
  return spec;
}

}  // namespace elrt
