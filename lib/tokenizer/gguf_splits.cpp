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

constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt2 = tokenizer_json::kGpt2Split;

constexpr GgufSplit kSplits[] = {
    {"gpt-2", false, kGpt2, false},
    {"phi-2", false, kGpt2, false},
    {"mpt", false, kGpt2, false},
    {"olmo", false, kGpt2, false},
    {"smollm", true, kGpt2, false},
    {"starcoder", true, kGpt2, false},
    {"refact", true, kGpt2, false},
    {"command-r", true, kGpt2, false},
    {"llama-bpe", false, kLlama3, true, false, true},
    {"llama3", false, kLlama3, true, false, true},
    {"llama-v3", false, kLlama3, true, false, true},
    {"smaug-bpe", false, kLlama3, false},
    {"dbrx", false, kLlama3, false},
    {"qwen2", false, kQwen2, false, true},
    {"deepseek-r1-qwen", false, kQwen2, false, true},
    {"megrez", false, kQwen2, false, true},
    {"qwen35", false, kQwen35, false, true},
    {"tekken", false, kTekken, true, false, true},
    {"gpt-4o", false, kGpt4o, false},
    {"llama4", false, kGpt4o, false},
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

const GgufSplit* find_gguf_split(std::string_view name) {
  for (const GgufSplit& split : kSplits) {
    if (name == split.name) return &split;
  }
  return nullptr;
}

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
