// Byte pair encoding of one piece of text, O(n log n): a linked list of symbols and a queue of possible merges. A long
// piece is cut at seams first: between neighbouring characters that are neighbours in no token, where nothing can
// merge.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "elrt/tokenizer.hpp"
#include "tokenizer/flat_index.hpp"
#include "tokenizer/literal_set.hpp"
#include "tokenizer/vocabulary.hpp"

namespace elrt {

class Bpe {
 public:
  Bpe() = default;  // encodes nothing

  // `spec` and `vocabulary` must outlive it. kBadData where a merge's joined text is no token.
  static Result<Bpe> create(const TokenizerSpec& spec, const Vocabulary& vocabulary);

  // Appends the piece's ids. `piece` is valid UTF-8 of less than 2^31 bytes; `escaped`: it came from
  // utf8::escape_invalid.
  void encode(std::string_view piece, bool escaped, std::vector<std::int32_t>& ids) const;

 private:
  // Neighbours in a list over one piece; a merge keeps the left one.
  struct Symbol {
    std::int32_t id;              // token; -1: a character that is no token
    std::int32_t begin, size;     // bytes of the piece
    std::int32_t previous, next;  // -1: none
    bool alive;
    bool frozen;  // raw bytes, user-defined tokens and, for merge rules, unknown characters never merge
  };
  struct Candidate {
    std::int32_t left, right;  // symbols
    std::int32_t id;           // of the joined token
    std::int32_t size;         // bytes of both: a stale candidate shows by its size
    float score;               // kBpeScores: higher first
    std::int32_t rank;         // kBpeMerges: lower first
  };
  struct LaterFirst;  // queue order
  // Pairs of characters inside tokens, found when the first long piece comes.
  struct Neighbours {
    std::once_flag found;
    std::unordered_set<std::uint64_t> pairs;
  };

  Bpe(const TokenizerSpec& spec, const Vocabulary& vocabulary) : spec_(&spec), vocabulary_(&vocabulary) {}
  static void push(std::int32_t id, std::size_t begin, std::size_t size, bool frozen, std::vector<Symbol>& symbols);
  std::vector<Symbol> split(std::string_view piece, bool escaped) const;
  void add_character(std::string_view piece, std::size_t begin, std::size_t size, int raw_byte,
                     std::vector<Symbol>& symbols) const;
  bool candidate(std::string_view piece, const std::vector<Symbol>& symbols, std::int32_t left, Candidate& out) const;
  // -1: there is no such rule. Lower ranks come first.
  std::int32_t merge_rank(std::int32_t left, std::int32_t right) const;
  const Neighbours* neighbours_for(std::size_t symbols) const;
  void find_neighbours(Neighbours& neighbours) const;
  bool is_seam(std::string_view piece, const Symbol& left, const Symbol& right, const Neighbours& neighbours) const;
  void merge_all(std::string_view piece, std::vector<Symbol>& symbols) const;
  void merge_section(std::string_view piece, std::size_t begin, std::size_t end, std::vector<Symbol>& symbols,
                     std::vector<Candidate>& queue) const;
  void emit(std::string_view piece, const std::vector<Symbol>& symbols, std::vector<std::int32_t>& ids) const;

  const TokenizerSpec* spec_ = nullptr;
  const Vocabulary* vocabulary_ = nullptr;
  LiteralSet user_defined_;  // score models cut these out before merging; merge models have them as added tokens
  std::unique_ptr<Neighbours> neighbours_;  // null: pieces are words, and seams are not looked for
  FlatIndex merges_;                        // ranks by the two tokens of the rule
  std::vector<std::int32_t> merged_;        // by rank, the token that the two become
};

}  // namespace elrt
