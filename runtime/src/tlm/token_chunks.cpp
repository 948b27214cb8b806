#include <algorithm>

#include "base/guarded.hpp"
#include "elrt/compression.hpp"

namespace elrt {
namespace {

bool starts_word(std::span<const WordPieceToken> tokens, std::size_t i) {
  return i == 0 || tokens[i].word != tokens[i - 1].word;
}

// How many tokens of the chunk stand on the scarcer side of token `at`.
std::size_t context_of(const TokenChunk& chunk, std::size_t at, std::size_t tokens) {
  const std::size_t left = chunk.begin == 0 ? tokens : at - chunk.begin,
                    right = chunk.end == tokens ? tokens : chunk.end - 1 - at;
  return std::min(left, right);
}

Result<void> check_chunks(std::span<const WordPieceToken> tokens, std::size_t words, std::span<const TokenChunk> chunks,
                          std::span<const std::vector<float>> scores) {
  if (chunks.size() != scores.size()) {
    return invalid_argument("there are scores of " + std::to_string(scores.size()) + " chunks, expected " +
                            std::to_string(chunks.size()));
  }
  std::size_t covered = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const TokenChunk& chunk = chunks[c];
    if (chunk.begin > covered || chunk.end < covered || chunk.end > tokens.size() ||
        scores[c].size() != chunk.end - chunk.begin) {
      return invalid_argument("chunk " + std::to_string(c) + " is [" + std::to_string(chunk.begin) + ", " +
                              std::to_string(chunk.end) + ") with " + std::to_string(scores[c].size()) +
                              " scores; expected one for each token, and chunks that cover the text in order");
    }
    covered = chunk.end;
  }
  if (covered != tokens.size())
    return invalid_argument("chunks cover " + std::to_string(covered) + " of " + std::to_string(tokens.size()) +
                            " tokens");
  for (const WordPieceToken& token : tokens) {
    if (token.word >= words)
      return invalid_argument("a token belongs to word " + std::to_string(token.word) + " of " + std::to_string(words));
  }
  return {};
}

}  // namespace

Result<std::vector<TokenChunk>> plan_chunks(std::span<const WordPieceToken> tokens, std::size_t max_tokens,
                                            std::size_t overlap) {
  return guarded("plan the chunks of a prompt", [&]() -> Result<std::vector<TokenChunk>> {
    if (overlap >= max_tokens) {
      return invalid_argument("chunks of " + std::to_string(max_tokens) + " tokens cannot overlap by " +
                              std::to_string(overlap));
    }
    std::vector<TokenChunk> chunks;
    for (std::size_t begin = 0, before = 0; begin < tokens.size(); before = chunks.back().end) {
      std::size_t end = std::min(tokens.size(), begin + max_tokens);
      if (end < tokens.size()) {  // back to a word's end, where this leaves more than what is read twice
        const std::size_t least = std::max(before, begin + overlap);
        std::size_t whole = end;
        while (whole > least && !starts_word(tokens, whole)) --whole;
        if (whole > least) end = whole;
      }
      chunks.push_back({begin, end});
      if (end == tokens.size()) break;
      std::size_t next = end - overlap;
      while (next > begin + 1 && !starts_word(tokens, next)) --next;
      begin = starts_word(tokens, next) && next > begin ? next : end - overlap;
    }
    return chunks;
  });
}

Result<std::vector<float>> merge_word_scores(std::span<const WordPieceToken> tokens, std::size_t words,
                                             std::span<const TokenChunk> chunks,
                                             std::span<const std::vector<float>> chunk_scores) {
  return guarded("merge the scores of words", [&]() -> Result<std::vector<float>> {
    if (auto done = check_chunks(tokens, words, chunks, chunk_scores); !done) return done.take_failure();
    std::vector<float> best(tokens.size(), 0), sums(words, 0);
    std::vector<std::size_t> context(tokens.size(), 0), counts(words, 0);
    std::vector<bool> seen(tokens.size(), false);
    for (std::size_t c = 0; c < chunks.size(); ++c) {
      for (std::size_t i = chunks[c].begin; i < chunks[c].end; ++i) {
        const std::size_t here = context_of(chunks[c], i, tokens.size());
        if (seen[i] && here <= context[i]) continue;
        seen[i] = true;
        context[i] = here;
        best[i] = chunk_scores[c][i - chunks[c].begin];
      }
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      sums[tokens[i].word] += best[i];
      ++counts[tokens[i].word];
    }
    for (std::size_t w = 0; w < words; ++w) sums[w] = counts[w] == 0 ? 0 : sums[w] / static_cast<float>(counts[w]);
    return sums;
  });
}

}  // namespace elrt
