#include "tokenizer/json_steps.h"

#include <functional>
#include <string>
#include <utility>

#include "tokenizer/component_patterns.h"
#include "tokenizer/json_value.h"

namespace elastify::tokenizer_json {
namespace {

using elrt::DecoderStep;
using elrt::NormalizerStep;
using elrt::PreTokenizerStep;
using elrt::SplitBehavior;
using elrt::TokenizerSpec;

constexpr int kMaxDepth = 8;  // of sequences in sequences

// Calls `visit` for the component or, in a Sequence, for each one in it under `list_key`.
void each(const json& component, const char* list_key, const std::string& where, int depth,
          const std::function<void(const json&, const std::string& type)>& visit) {
  const std::string type = type_of(component, where);
  if (type != "Sequence") return visit(component, type);
  if (depth >= kMaxDepth) fail_data("tokenizer.json: {}: sequences nest deeper than {}", where, kMaxDepth);
  for (const json& part : list(component, list_key, where)) each(part, list_key, where, depth + 1, visit);
}

[[noreturn]] void unsupported(const char* what, const std::string& type) {
  fail_data("tokenizer.json: {} \"{}\" is not supported", what, type);
}

// {"String": s} or {"Regex": r}: the text, and whether it is a regex.
std::pair<std::string, bool> pattern_of(const json& component, const std::string& where) {
  const json& pattern = need(component, "pattern", where);
  if (pattern.is_object() && pattern.contains("Regex")) return {text(pattern, "Regex", where + ".pattern"), true};
  return {text(pattern, "String", where + ".pattern"), false};
}

SplitBehavior behavior_of(const json& component, const std::string& where) {
  const std::string name = text(component, "behavior", where);
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail_data("tokenizer.json: {}.behavior \"{}\" is not supported", where, name);
}

void add_normalizer(const json& component, const std::string& type, TokenizerSpec& spec) {
  using Kind = NormalizerStep::Kind;
  const std::string where = "normalizer " + type;
  const auto add = [&](Kind kind, std::string pattern = {}, std::string content = {}) {
    spec.normalizer.push_back({kind, std::move(pattern), std::move(content)});
  };
  if (type == "Prepend") return add(Kind::kPrepend, "", text(component, "prepend", where));
  if (type == "NFC") return add(Kind::kNfc);
  if (type == "NFD") return add(Kind::kNfd);
  if (type == "NFKC") return add(Kind::kNfkc);
  if (type == "NFKD") return add(Kind::kNfkd);
  if (type == "Lowercase") return add(Kind::kLowercase);
  if (type == "StripAccents") return add(Kind::kReplaceRegex, kMarks, "");
  if (type == "Replace") {
    auto [pattern, regex] = pattern_of(component, where);
    return add(regex ? Kind::kReplaceRegex : Kind::kReplace, std::move(pattern), text(component, "content", where));
  }
  if (type != "Strip") unsupported("normalizer", type);
  if (flag(component, "strip_left", true, where)) add(Kind::kStripLeft);
  if (flag(component, "strip_right", true, where)) add(Kind::kStripRight);
}

// "always", "first" or "never"; older files have add_prefix_space instead.
std::string prepend_scheme(const json& component, const std::string& where) {
  if (find(component, "prepend_scheme") == nullptr)
    return flag(component, "add_prefix_space", true, where) ? "always" : "never";
  const std::string scheme = text(component, "prepend_scheme", where);
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    fail_data("tokenizer.json: {}.prepend_scheme \"{}\" is not supported", where, scheme);
  }
  return scheme;
}

void add_metaspace(const json& component, TokenizerSpec& spec) {
  using Kind = PreTokenizerStep::Kind;
  const std::string where = "pre_tokenizer Metaspace";
  const std::string space = text(component, "replacement", where), scheme = prepend_scheme(component, where);
  spec.pre_tokenizer.push_back({Kind::kReplace, " ", space});
  if (scheme != "never")
    spec.pre_tokenizer.push_back({scheme == "first" ? Kind::kPrefixFirst : Kind::kPrefix, "", space});
  if (flag(component, "split", true, where)) {
    spec.pre_tokenizer.push_back({Kind::kSplit, space, "", SplitBehavior::kMergedWithNext});
  }
}

void add_pre_tokenizer(const json& component, const std::string& type, TokenizerSpec& spec) {
  using Kind = PreTokenizerStep::Kind;
  const std::string where = "pre_tokenizer " + type;
  // The model's symbols are bytes from here on; a later step would see GPT-2's characters, which no known model wants.
  if (spec.byte_level) fail_data("tokenizer.json: pre_tokenizer \"{}\" after ByteLevel is not supported", type);
  const auto split = [&](std::string pattern, SplitBehavior behavior, bool invert = false) {
    spec.pre_tokenizer.push_back({Kind::kSplitRegex, std::move(pattern), "", behavior, invert});
  };
  if (type == "Split") {
    auto [pattern, regex] = pattern_of(component, where);
    spec.pre_tokenizer.push_back({regex ? Kind::kSplitRegex : Kind::kSplit, std::move(pattern), "",
                                  behavior_of(component, where), flag(component, "invert", false, where)});
  } else if (type == "Digits") {
    split(kNumeric,
          flag(component, "individual_digits", false, where) ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  } else if (type == "Punctuation") {
    split(kPunctuation, find(component, "behavior") ? behavior_of(component, where) : SplitBehavior::kIsolated);
  } else if (type == "WhitespaceSplit") {
    split(kWhiteSpace, SplitBehavior::kRemoved);
  } else if (type == "Whitespace") {
    split(kWordOrNot, SplitBehavior::kRemoved, true);
  } else if (type == "Metaspace") {
    add_metaspace(component, spec);
  } else if (type == "ByteLevel") {
    if (flag(component, "add_prefix_space", true, where)) spec.pre_tokenizer.push_back({Kind::kPrefix, "", " "});
    if (flag(component, "use_regex", true, where)) split(kGpt2Split, SplitBehavior::kIsolated);
    spec.byte_level = true;
  } else {
    unsupported("pre_tokenizer", type);
  }
}

void add_decoder(const json& component, const std::string& type, TokenizerSpec& spec) {
  using Kind = DecoderStep::Kind;
  const std::string where = "decoder " + type;
  if (type == "ByteFallback") {
    spec.decoder.push_back({.kind = Kind::kByteFallback});
  } else if (type == "ByteLevel") {
    spec.decoder.push_back({.kind = Kind::kByteLevel});
  } else if (type == "Fuse") {
    spec.decoder.push_back({.kind = Kind::kFuse});
  } else if (type == "Strip") {
    spec.decoder.push_back({.kind = Kind::kStrip,
                            .content = text(component, "content", where),
                            .start = count(need(component, "start", where), where + ".start"),
                            .stop = count(need(component, "stop", where), where + ".stop")});
  } else if (type == "Metaspace") {
    const bool drops = prepend_scheme(component, where) != "never";
    spec.decoder.push_back(
        {.kind = Kind::kMetaspace, .pattern = text(component, "replacement", where), .start = drops});
  } else if (type == "Replace") {
    auto [pattern, regex] = pattern_of(component, where);
    if (regex) fail_data("tokenizer.json: decoder Replace with a regex is not supported");
    spec.decoder.push_back(
        {.kind = Kind::kReplace, .pattern = std::move(pattern), .content = text(component, "content", where)});
  } else {
    unsupported("decoder", type);
  }
}

std::int32_t template_token(const json& post, const json& item) {
  const std::string name = text(need(item, "SpecialToken", "post_processor item"), "id", "post_processor SpecialToken");
  const json& entry =
      need(need(post, "special_tokens", "post_processor"), name.c_str(), "post_processor.special_tokens");
  const json& ids = list(entry, "ids", "post_processor special token " + name);
  if (ids.size() != 1)
    fail_data("tokenizer.json: post_processor token \"{}\" stands for {} ids, expected 1", name, ids.size());
  return count(ids[0], "post_processor id of " + name);
}

void read_template(const json& post, TokenizerSpec& spec) {
  bool text_seen = false;
  std::int32_t before = -1, after = -1;
  for (const json& item : list(post, "single", "post_processor")) {
    if (item.is_object() && item.contains("Sequence")) {
      if (text_seen) fail_data("tokenizer.json: post_processor repeats the text, which is not supported");
      text_seen = true;
      continue;
    }
    std::int32_t& slot = text_seen ? after : before;
    if (slot >= 0)
      fail_data("tokenizer.json: post_processor puts several tokens on one side of the text, which is not supported");
    slot = template_token(post, item);
    if (static_cast<std::size_t>(slot) >= spec.tokens.size())
      fail_data("tokenizer.json: post_processor id {} is no token", slot);
  }
  if (!text_seen) fail_data("tokenizer.json: post_processor leaves out the text");
  if (spec.add_bos || spec.add_eos) fail_data("tokenizer.json: several post_processor templates are not supported");
  if (before >= 0) spec.bos_id = before, spec.add_bos = true;
  if (after >= 0) spec.eos_id = after, spec.add_eos = true;
}

}  // namespace

void read_normalizer(const json& document, TokenizerSpec& spec) {
  if (const json* root = find(document, "normalizer")) {
    each(*root, "normalizers", "normalizer", 0,
         [&](const json& part, const std::string& type) { add_normalizer(part, type, spec); });
  }
}

void read_pre_tokenizer(const json& document, TokenizerSpec& spec) {
  if (const json* root = find(document, "pre_tokenizer")) {
    each(*root, "pretokenizers", "pre_tokenizer", 0,
         [&](const json& part, const std::string& type) { add_pre_tokenizer(part, type, spec); });
  }
}

void read_decoder(const json& document, TokenizerSpec& spec) {
  const json* root = find(document, "decoder");
  if (root == nullptr) {  // the reference joins with spaces then
    spec.decoder.push_back({.kind = DecoderStep::Kind::kJoinSpaces});
    return;
  }
  each(*root, "decoders", "decoder", 0,
       [&](const json& part, const std::string& type) { add_decoder(part, type, spec); });
}

void read_post_processor(const json& document, TokenizerSpec& spec) {
  const json* root = find(document, "post_processor");
  if (root == nullptr) return;
  each(*root, "processors", "post_processor", 0, [&](const json& part, const std::string& type) {
    if (type == "TemplateProcessing")
      read_template(part, spec);
    else if (type != "ByteLevel")
      unsupported("post_processor", type);  // ByteLevel only trims offsets
  });
}

}  // namespace elastify::tokenizer_json
