#include "tokenizer/gguf_splits.h"

#include <string>

#include "tokenizer/component_patterns.h"

namespace elastify {
namespace {

// Names and patterns: llama.cpp's src/llama-vocab.cpp, and the tokenizer.json files that it cites.
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr GgufSplit kSplits[] = {
    {"gpt-2", false, tokenizer_json::kGpt2Split, false},
    {"smollm", true, tokenizer_json::kGpt2Split, false},
    {"llama-bpe", false, kLlama3, true},
    {"qwen2", false, kQwen2, false},
    {"qwen35", false, kQwen35, false},
    {"tekken", false, kTekken, true},
};

using elrt::PreTokenizerStep;
using elrt::SplitBehavior;

bool splits_by(const PreTokenizerStep& step, const char* regex) {
  return step.kind == PreTokenizerStep::Kind::kSplitRegex && step.pattern == regex &&
         step.behavior == SplitBehavior::kIsolated && !step.invert;
}

bool same(const GgufSplit& split, std::span<const PreTokenizerStep> steps) {
  if (steps.size() != (split.digits ? 2U : 1U)) return false;
  return (!split.digits || splits_by(steps[0], tokenizer_json::kNumeric)) && splits_by(steps.back(), split.regex);
}

}  // namespace

std::span<const GgufSplit> gguf_splits() { return kSplits; }

const GgufSplit* find_gguf_split(const elrt::TokenizerSpec& spec) {
  std::span<const PreTokenizerStep> steps = spec.pre_tokenizer;
  if (!steps.empty() && steps[0].kind == PreTokenizerStep::Kind::kPrefix && steps[0].content == " ")
    steps = steps.subspan(1);  // add_space_prefix says it
  for (const GgufSplit& split : kSplits) {
    // GPT-2's pattern again, as some files state it in a step of its own.
    if (same(split, steps)) return &split;
  }
  return spec.merges.empty() ? &kSplits[0] : nullptr;
}

}  // namespace elastify
