#include "tokenizer/json_writer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "tokenizer/component_patterns.h"

namespace elastify {
namespace {

using elrt::DecoderStep;
using elrt::NormalizerStep;
using elrt::PreTokenizerStep;
using elrt::SplitBehavior;
using elrt::TokenizerSpec;
using Ordered = nlohmann::ordered_json;

const std::string& text_of(const TokenizerSpec& spec, std::int32_t id) {
  return spec.tokens[static_cast<std::size_t>(id)];
}

Ordered pattern(const std::string& text, bool regex) { return {{regex ? "Regex" : "String", text}}; }

// One component stands alone, several in a sequence, none is null.
Ordered sequence(Ordered parts, const char* list_key) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return parts[0];
  return {{"type", "Sequence"}, {list_key, std::move(parts)}};
}

Ordered normalizer_part(const NormalizerStep& step) {
  using Kind = NormalizerStep::Kind;
  switch (step.kind) {
    case Kind::kPrepend:
      return {{"type", "Prepend"}, {"prepend", step.content}};
    case Kind::kReplace:
    case Kind::kReplaceRegex:
      return {{"type", "Replace"},
              {"pattern", pattern(step.pattern, step.kind == Kind::kReplaceRegex)},
              {"content", step.content}};
    case Kind::kNfc:
      return {{"type", "NFC"}};
    case Kind::kNfd:
      return {{"type", "NFD"}};
    case Kind::kNfkc:
      return {{"type", "NFKC"}};
    case Kind::kNfkd:
      return {{"type", "NFKD"}};
    case Kind::kLowercase:
      return {{"type", "Lowercase"}};
    case Kind::kStripLeft:
    case Kind::kStripRight:
      return {{"type", "Strip"},
              {"strip_left", step.kind == Kind::kStripLeft},
              {"strip_right", step.kind == Kind::kStripRight}};
  }
  throw Error(ErrorCode::kInternal, "unknown normalizer step");
}

const char* behavior_name(SplitBehavior behavior) {
  static constexpr const char* kNames[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  return kNames[static_cast<std::size_t>(behavior)];
}

Ordered split_part(const PreTokenizerStep& step) {
  return {{"type", "Split"},
          {"pattern", pattern(step.pattern, step.kind == PreTokenizerStep::Kind::kSplitRegex)},
          {"behavior", behavior_name(step.behavior)},
          {"invert", step.invert}};
}

// The steps of a Metaspace from `at` on; returns how many they are, 0: it is none.
std::size_t metaspace_part(const std::vector<PreTokenizerStep>& steps, std::size_t at, Ordered& part) {
  using Kind = PreTokenizerStep::Kind;
  if (steps[at].kind != Kind::kReplace || steps[at].pattern != " ") return 0;
  const std::string& space = steps[at].content;
  std::size_t used = 1;
  const auto next = [&](Kind kind) { return at + used < steps.size() && steps[at + used].kind == kind; };
  std::string scheme = "never";
  for (const auto& [kind, name] : {std::pair{Kind::kPrefix, "always"}, std::pair{Kind::kPrefixFirst, "first"}}) {
    if (scheme != "never" || !next(kind) || steps[at + used].content != space) continue;
    scheme = name;
    ++used;
  }
  const bool split = next(Kind::kSplit) && steps[at + used].pattern == space &&
                     steps[at + used].behavior == SplitBehavior::kMergedWithNext && !steps[at + used].invert;
  part = {{"type", "Metaspace"}, {"replacement", space}, {"prepend_scheme", scheme}, {"split", split}};
  return used + (split ? 1 : 0);
}

Ordered pre_tokenizer(const TokenizerSpec& spec) {
  using Kind = PreTokenizerStep::Kind;
  const auto& steps = spec.pre_tokenizer;
  Ordered parts = Ordered::array();
  bool prefix = false, gpt2 = false;
  for (std::size_t i = 0; i < steps.size();) {
    const bool last = i + 1 == steps.size();
    Ordered metaspace;
    if (steps[i].kind == Kind::kSplit || steps[i].kind == Kind::kSplitRegex) {
      parts.push_back(split_part(steps[i++]));
    } else if (const std::size_t used = metaspace_part(steps, i, metaspace); used > 0) {
      parts.push_back(metaspace);
      i += used;
    } else if (spec.byte_level && steps[i].kind == Kind::kPrefix && steps[i].content == " " &&
               (last || (i + 2 == steps.size() && steps[i + 1].pattern == tokenizer_json::kGpt2Split))) {
      prefix = true, gpt2 = !last;  // ByteLevel's own
      i = steps.size();
    } else {
      fail_data("the tokenizer's step {} before its model has no equal in tokenizer.json: export from a run directory",
                i);
    }
  }
  if (spec.byte_level)
    parts.push_back({{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", true}, {"use_regex", gpt2}});
  return sequence(std::move(parts), "pretokenizers");
}

Ordered decoder_part(const DecoderStep& step) {
  using Kind = DecoderStep::Kind;
  switch (step.kind) {
    case Kind::kReplace:
      return {{"type", "Replace"}, {"pattern", pattern(step.pattern, false)}, {"content", step.content}};
    case Kind::kByteFallback:
      return {{"type", "ByteFallback"}};
    case Kind::kByteLevel:
      return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
    case Kind::kFuse:
      return {{"type", "Fuse"}};
    case Kind::kStrip:
      return {{"type", "Strip"}, {"content", step.content}, {"start", step.start}, {"stop", step.stop}};
    case Kind::kMetaspace:
      return {{"type", "Metaspace"},
              {"replacement", step.pattern},
              {"prepend_scheme", step.start != 0 ? "always" : "never"},
              {"split", true}};
    case Kind::kJoinSpaces:
      fail_data(
          "the tokenizer joins tokens with spaces after other steps, which tokenizer.json cannot say: export from "
          "a run directory");
  }
  throw Error(ErrorCode::kInternal, "unknown decoder step");
}

Ordered decoder(const TokenizerSpec& spec) {
  if (spec.decoder.size() == 1 && spec.decoder[0].kind == DecoderStep::Kind::kJoinSpaces) return nullptr;
  Ordered parts = Ordered::array();
  for (const DecoderStep& step : spec.decoder) parts.push_back(decoder_part(step));
  if (parts.empty()) return {{"type", "Fuse"}};  // null would join with spaces
  return sequence(std::move(parts), "decoders");
}

Ordered post_processor(const TokenizerSpec& spec) {
  Ordered single = Ordered::array(), special = Ordered::object();
  const auto add = [&](std::int32_t id) {
    const std::string& text = text_of(spec, id);
    single.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    special[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
  };
  if (spec.add_bos) add(spec.bos_id);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (spec.add_eos) add(spec.eos_id);
  if (special.empty()) return nullptr;
  Ordered pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

using IdsByText = std::unordered_map<std::string_view, std::int32_t>;

// Every split of a token in two tokens, at the bounds of characters.
Ordered merges_of_scores(const TokenizerSpec& spec, const IdsByText& ids) {
  struct Merge {
    float score;
    std::int32_t token;
    std::string_view left, right;
  };
  std::vector<Merge> all;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.types[id] != elrt::TokenType::kNormal && spec.types[id] != elrt::TokenType::kUserDefined) continue;
    const std::string_view token = spec.tokens[id];
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if ((static_cast<unsigned char>(token[cut]) & 0xC0) == 0x80) continue;
      const std::string_view left = token.substr(0, cut), right = token.substr(cut);
      if (ids.contains(left) && ids.contains(right))
        all.push_back({spec.scores[id], static_cast<std::int32_t>(id), left, right});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Merge& a, const Merge& b) { return a.score > b.score; });
  Ordered merges = Ordered::array();
  for (const Merge& merge : all) merges.push_back({merge.left, merge.right});
  return merges;
}

Ordered model(const TokenizerSpec& spec) {
  IdsByText ids;
  Ordered vocabulary = Ordered::object();
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!ids.emplace(spec.tokens[id], static_cast<std::int32_t>(id)).second)
      fail_data("token {} repeats an earlier token's text, which tokenizer.json cannot say", id);
  }
  Ordered::object_t& object = vocabulary.get_ref<Ordered::object_t&>();
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) object.emplace_back(spec.tokens[id], id);
  Ordered merges = Ordered::array();
  if (spec.model == elrt::TokenizerModel::kBpeScores) {
    merges = merges_of_scores(spec, ids);
  } else {
    for (const auto& merge : spec.merges) merges.push_back({text_of(spec, merge.left), text_of(spec, merge.right)});
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", spec.unk_id < 0 ? Ordered(nullptr) : Ordered(text_of(spec, spec.unk_id))},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", spec.fuse_unk},
          {"byte_fallback", spec.byte_fallback},
          {"ignore_merges", spec.ignore_merges},
          {"vocab", std::move(vocabulary)},
          {"merges", std::move(merges)}};
}

}  // namespace

Ordered tokenizer_to_json(const TokenizerSpec& spec) {
  Ordered added = Ordered::array(), normalizers = Ordered::array();
  for (const auto& token : spec.added) {
    added.push_back({{"id", token.id},
                     {"content", text_of(spec, token.id)},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  for (const NormalizerStep& step : spec.normalizer) normalizers.push_back(normalizer_part(step));
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", sequence(std::move(normalizers), "normalizers")},
          {"pre_tokenizer", pre_tokenizer(spec)},
          {"post_processor", post_processor(spec)},
          {"decoder", decoder(spec)},
          {"model", model(spec)}};
}

nlohmann::json tokenizer_config_to_json(const TokenizerSpec& spec) {
  nlohmann::json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                           {"clean_up_tokenization_spaces", false},
                           {"add_bos_token", spec.add_bos},
                           {"add_eos_token", spec.add_eos}};
  const auto name = [&](const char* key, std::int32_t id) {
    if (id >= 0) config[key] = text_of(spec, id);
  };
  name("bos_token", spec.bos_id), name("eos_token", spec.eos_id);
  name("unk_token", spec.unk_id), name("pad_token", spec.pad_id);
  return config;
}

}  // namespace elastify
