#include "export/gguf_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "tokenizer/gguf_splits.h"

namespace elastify {
namespace {

using elrt::TokenizerSpec;
using elrt::TokenType;

constexpr const char* kSpace = "\xE2\x96\x81";  // U+2581, SentencePiece's space

bool turns_spaces(const TokenizerSpec& spec) {
  const auto replaces = [](const auto& step) { return step.pattern == " " && step.content == kSpace; };
  return std::any_of(spec.normalizer.begin(), spec.normalizer.end(), replaces) ||
         std::any_of(spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(), replaces);
}

bool prepends_space(const TokenizerSpec& spec) {
  using Normal = elrt::NormalizerStep::Kind;
  using Pre = elrt::PreTokenizerStep::Kind;
  return std::any_of(spec.normalizer.begin(), spec.normalizer.end(),
                     [](const auto& step) { return step.kind == Normal::kPrepend; }) ||
         std::any_of(spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(),
                     [](const auto& step) { return step.kind == Pre::kPrefix || step.kind == Pre::kPrefixFirst; });
}

// llama.cpp writes a space as U+2581 whatever the vocabulary has: so does the exported one.
std::vector<std::string> with_visible_spaces(const TokenizerSpec& spec) {
  std::vector<std::string> tokens = spec.tokens;
  if (turns_spaces(spec)) return tokens;
  for (std::string& token : tokens) {
    for (std::size_t at = token.find(' '); at != std::string::npos; at = token.find(' ', at + 3))
      token.replace(at, 1, kSpace);
  }
  return tokens;
}

// Scores under which joining the best pair first follows the merges' order.
std::vector<float> scores_of_merges(const TokenizerSpec& spec) {
  constexpr float kNever = -1e6F;  // under every merge's
  std::vector<float> scores(spec.tokens.size(), kNever);
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) ids.emplace(spec.tokens[id], id);
  for (std::size_t rank = spec.merges.size(); rank-- > 0;) {
    const auto& merge = spec.merges[rank];
    const std::string joined =
        spec.tokens[static_cast<std::size_t>(merge.left)] + spec.tokens[static_cast<std::size_t>(merge.right)];
    if (const auto found = ids.find(joined); found != ids.end()) scores[found->second] = -static_cast<float>(rank);
  }
  return scores;
}

void add_sentencepiece(const TokenizerSpec& spec, elrt::gguf::Metadata& m, ExportNotes& notes) {
  const bool by_scores = spec.model == elrt::TokenizerModel::kBpeScores;
  m["tokenizer.ggml.model"] = std::string("llama");
  m["tokenizer.ggml.tokens"] = with_visible_spaces(spec);
  m["tokenizer.ggml.scores"] = by_scores ? spec.scores : scores_of_merges(spec);
  m["tokenizer.ggml.add_space_prefix"] = prepends_space(spec);
  if (!by_scores) {
    notes.emplace_back(
        "llama.cpp joins any two tokens whose text is one, by a score made of the merges' order: rare texts "
        "may be split otherwise");
  }
  if (std::find(spec.tokens.begin(), spec.tokens.end(), "<0x0A>") == spec.tokens.end()) {
    notes.emplace_back(
        "the tokenizer has no tokens for bytes: llama.cpp ends its process at a character that is no token");
  }
  const bool shortens = std::any_of(spec.normalizer.begin(), spec.normalizer.end(), [](const auto& step) {
    return step.kind == elrt::NormalizerStep::Kind::kReplaceRegex;
  });
  if (shortens) notes.emplace_back("llama.cpp keeps runs of spaces that the tokenizer shortens");
}

void add_byte_level(const LevelFacts& facts, elrt::gguf::Metadata& m, ExportNotes& notes) {
  const TokenizerSpec& spec = facts.tokenizer;
  const GgufSplit* split = find_gguf_split(spec);
  if (split == nullptr) {
    fail_usage(
        "llama.cpp has no name for the way in which the tokenizer of {} splits text before its merges: export with "
        "--format hf",
        facts.path.string());
  }
  m["tokenizer.ggml.model"] = std::string("gpt2");
  m["tokenizer.ggml.pre"] = std::string(split->name);
  m["tokenizer.ggml.tokens"] = spec.tokens;
  m["tokenizer.ggml.add_space_prefix"] = prepends_space(spec);
  std::vector<std::string> merges;
  for (const auto& merge : spec.merges) {
    const std::string &left = spec.tokens[static_cast<std::size_t>(merge.left)],
                      &right = spec.tokens[static_cast<std::size_t>(merge.right)];
    if ((left + right).find(' ') != std::string::npos)
      fail_usage("merge {} of the tokenizer holds a space, which llama.cpp cannot read: export with --format hf",
                 merges.size());
    merges.push_back(left + " " + right);
  }
  m["tokenizer.ggml.merges"] = merges;
  if (!spec.normalizer.empty())
    notes.emplace_back("llama.cpp does not normalise text before splitting it; the tokenizer does");
  if (split->ignores_merges != spec.ignore_merges && !spec.merges.empty())
    notes.push_back(fmt::format("llama.cpp's '{}' {} whole tokens before merging; the tokenizer does not agree",
                                split->name, split->ignores_merges ? "takes" : "does not take"));
}

// Ids that end a text beyond the first have a key each; llama.cpp knows two of them.
void add_ends(const TokenizerSpec& spec, elrt::gguf::Metadata& m, ExportNotes& notes) {
  static constexpr const char* kKeys[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
  for (std::size_t i = 0; i < std::min(spec.stop_ids.size(), std::size(kKeys)); ++i)
    m[kKeys[i]] = static_cast<std::uint32_t>(spec.stop_ids[i]);
  if (spec.stop_ids.size() > std::size(kKeys))
    notes.push_back(fmt::format("{} of the tokens that end a text have no key in a GGUF file",
                                spec.stop_ids.size() - std::size(kKeys)));
}

// The model may know more ids than the tokenizer: every one needs a text of its own.
void fill_up(std::int64_t vocabulary, elrt::gguf::Metadata& m) {
  auto& tokens = std::get<std::vector<std::string>>(m["tokenizer.ggml.tokens"]);
  auto& types = std::get<std::vector<std::int32_t>>(m["tokenizer.ggml.token_type"]);
  std::unordered_set<std::string> taken(tokens.begin(), tokens.end());
  while (static_cast<std::int64_t>(tokens.size()) < vocabulary) {
    std::string text = fmt::format("[PAD{}]", tokens.size());
    while (!taken.insert(text).second) text += "_";
    tokens.push_back(text);
    types.push_back(static_cast<std::int32_t>(TokenType::kUnused));
  }
  const auto scores = m.find("tokenizer.ggml.scores");
  if (scores != m.end()) std::get<std::vector<float>>(scores->second).resize(tokens.size(), -1e6F);
}

}  // namespace

void add_gguf_tokenizer(const LevelFacts& facts, elrt::gguf::Metadata& m, ExportNotes& notes) {
  const TokenizerSpec& spec = facts.tokenizer;
  if (spec.byte_level) {
    add_byte_level(facts, m, notes);
  } else if (spec.byte_fallback || spec.model == elrt::TokenizerModel::kBpeScores) {
    add_sentencepiece(spec, m, notes);
  } else {
    fail_usage(
        "the tokenizer of {} has neither byte-level characters nor tokens for bytes, and llama.cpp wants one of "
        "them: export with --format hf",
        facts.path.string());
  }
  std::vector<std::int32_t> types;
  for (const TokenType type : spec.types) types.push_back(static_cast<std::int32_t>(type));
  m["tokenizer.ggml.token_type"] = types;
  const auto put_id = [&](const char* key, std::int32_t id) {
    if (id >= 0) m[key] = static_cast<std::uint32_t>(id);
  };
  put_id("tokenizer.ggml.unknown_token_id", spec.unk_id);
  put_id("tokenizer.ggml.bos_token_id", spec.bos_id);
  put_id("tokenizer.ggml.eos_token_id", spec.eos_id);
  put_id("tokenizer.ggml.padding_token_id", spec.pad_id);
  m["tokenizer.ggml.add_bos_token"] = spec.add_bos;
  m["tokenizer.ggml.add_eos_token"] = spec.add_eos;
  add_ends(spec, m, notes);
  if (!facts.chat_template.empty()) m["tokenizer.chat_template"] = facts.chat_template;
  fill_up(facts.config.vocab_size, m);
}

}  // namespace elastify
