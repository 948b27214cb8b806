#include "tokenizer/bpe.hpp"

#include <algorithm>
#include <string>

#include "base/utf8.hpp"

namespace elrt {
namespace {

// splitmix64's finish: every bit of both ids reaches every bit.
std::uint64_t pair_hash(std::int32_t left, std::int32_t right) {
  std::uint64_t z =
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

std::uint64_t code_pair(char32_t left, char32_t right) { return static_cast<std::uint64_t>(left) << 32 | right; }

}  // namespace

// std::priority_queue puts the greatest on top, so this says which of two comes later.
struct Bpe::LaterFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    if (a.score != b.score) return a.score < b.score;
    if (a.rank != b.rank) return a.rank > b.rank;
    return a.left > b.left;
  }
};

Result<Bpe> Bpe::create(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  Bpe bpe(spec, vocabulary);
  for (std::size_t id = 0; spec.model == TokenizerModel::kBpeScores && id < spec.tokens.size(); ++id) {
    if (spec.types[id] == TokenType::kUserDefined)
      bpe.user_defined_.add(spec.tokens[id], static_cast<std::int32_t>(id));
  }
  bpe.merges_ = FlatIndex(spec.merges.size());
  bpe.merged_.reserve(spec.merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const TokenMerge& merge = spec.merges[rank];
    joined = vocabulary.symbol(merge.left);
    joined += vocabulary.symbol(merge.right);
    const std::int32_t id = vocabulary.find(joined);
    if (id < 0) {
      return bad_data("tokenizer merge " + std::to_string(rank) + ": tokens " + std::to_string(merge.left) + " and " +
                      std::to_string(merge.right) + " join to a text that is no token");
    }
    // Of equal rules the last counts, as in the reference implementation's table.
    bpe.merges_.insert(pair_hash(merge.left, merge.right), static_cast<std::int32_t>(rank), true,
                       [&](std::int32_t other) {
                         const TokenMerge& known = spec.merges[static_cast<std::size_t>(other)];
                         return known.left == merge.left && known.right == merge.right;
                       });
    bpe.merged_.push_back(id);
  }
  if (spec.pre_tokenizer.empty() && !spec.byte_level) bpe.neighbours_ = std::make_unique<Neighbours>();
  return bpe;
}

std::int32_t Bpe::merge_rank(std::int32_t left, std::int32_t right) const {
  return merges_.find(pair_hash(left, right), [&](std::int32_t rank) {
    const TokenMerge& rule = spec_->merges[static_cast<std::size_t>(rank)];
    return rule.left == left && rule.right == right;
  });
}

// nullptr: this many symbols are merged as one section. Finding what stands next to what takes as long as encoding some
// thousand characters.
const Bpe::Neighbours* Bpe::neighbours_for(std::size_t symbols) const {
  constexpr std::size_t kLong = 1024;
  if (neighbours_ == nullptr || symbols < kLong) return nullptr;
  std::call_once(neighbours_->found, [this] { find_neighbours(*neighbours_); });
  return neighbours_.get();
}

void Bpe::find_neighbours(Neighbours& neighbours) const {
  for (std::size_t id = 0; id < spec_->tokens.size(); ++id) {
    std::string_view text = vocabulary_->symbol(static_cast<std::int32_t>(id));
    if (vocabulary_->find(text) < 0) continue;
    for (utf8::Char left = utf8::decode(text); left.size < text.size();) {
      text.remove_prefix(left.size);
      const utf8::Char right = utf8::decode(text);
      neighbours.pairs.insert(code_pair(left.code, right.code));
      left = right;
    }
  }
}

// Only for symbols that have not merged yet: each is one character, or a byte token's text.
bool Bpe::is_seam(std::string_view piece, const Symbol& left, const Symbol& right, const Neighbours& neighbours) const {
  if (left.frozen || right.frozen) return true;
  const auto text = [&](const Symbol& symbol) {
    return symbol.id >= 0 ? vocabulary_->symbol(symbol.id)
                          : piece.substr(static_cast<std::size_t>(symbol.begin), static_cast<std::size_t>(symbol.size));
  };
  const std::string_view before = text(left);
  const std::size_t last =
      before.size() == utf8::decode(before).size ? 0 : before.size() - 1;  // byte tokens end in ASCII
  return neighbours.pairs.count(code_pair(utf8::decode(before.substr(last)).code, utf8::decode(text(right)).code)) == 0;
}

void Bpe::push(std::int32_t id, std::size_t begin, std::size_t size, bool frozen, std::vector<Symbol>& symbols) {
  const auto index = static_cast<std::int32_t>(symbols.size());
  symbols.push_back(
      {id, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(size), index - 1, index + 1, true, frozen});
}

void Bpe::add_character(std::string_view piece, std::size_t begin, std::size_t size, int raw_byte,
                        std::vector<Symbol>& symbols) const {
  const bool merges = spec_->model == TokenizerModel::kBpeMerges;
  if (raw_byte >= 0) {  // one byte that is part of no character
    const std::int32_t byte = vocabulary_->byte_token(static_cast<unsigned char>(raw_byte));
    push(byte >= 0 ? byte : vocabulary_->find(utf8::kReplacement), begin, size, true, symbols);
    return;
  }
  const std::int32_t id = vocabulary_->find(piece.substr(begin, size));
  if (id >= 0) return push(id, begin, size, false, symbols);
  // A score model may still join an unknown character with its neighbours; its bytes come in emit() if not.
  if (!merges || !spec_->byte_fallback) return push(-1, begin, size, merges, symbols);
  for (std::size_t i = 0; i < size; ++i) {
    if (vocabulary_->byte_token(static_cast<unsigned char>(piece[begin + i])) < 0)
      return push(-1, begin, size, true, symbols);
  }
  // Merge rules may join byte tokens, so they are symbols of their own.
  for (std::size_t i = 0; i < size; ++i) {
    push(vocabulary_->byte_token(static_cast<unsigned char>(piece[begin + i])), begin + i, 1, false, symbols);
  }
}

std::vector<Bpe::Symbol> Bpe::split(std::string_view piece, bool escaped) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    if (spec_->byte_level) {
      push(vocabulary_->byte_token(static_cast<unsigned char>(piece[at])), at, 1, false, symbols);
      ++at;
      continue;
    }
    if (const LiteralSet::Match literal = user_defined_.longest_at(piece, at); literal.id >= 0) {
      push(literal.id, at, literal.size, true, symbols);
      at += literal.size;
      continue;
    }
    const utf8::Char c = utf8::decode(piece.substr(at));
    add_character(piece, at, c.size, escaped ? utf8::escaped_byte(c.code) : -1, symbols);
    at += c.size;
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

// The merge of symbol `left` with the one after it, if there is one.
bool Bpe::candidate(std::string_view piece, const std::vector<Symbol>& symbols, std::int32_t left,
                    Candidate& out) const {
  if (left < 0) return false;
  const Symbol& a = symbols[static_cast<std::size_t>(left)];
  if (a.next < 0 || a.frozen) return false;
  const Symbol& b = symbols[static_cast<std::size_t>(a.next)];
  if (b.frozen) return false;
  out = {left, a.next, -1, a.size + b.size, 0.0f, 0};
  if (spec_->model == TokenizerModel::kBpeMerges) {
    if (a.id < 0 || b.id < 0) return false;
    out.rank = merge_rank(a.id, b.id);
    if (out.rank < 0) return false;
    out.id = merged_[static_cast<std::size_t>(out.rank)];
    return true;
  }
  out.id = vocabulary_->find(piece.substr(static_cast<std::size_t>(a.begin), static_cast<std::size_t>(out.size)));
  if (out.id < 0) return false;
  out.score = spec_->scores[static_cast<std::size_t>(out.id)];
  return true;
}

void Bpe::merge_all(std::string_view piece, std::vector<Symbol>& symbols) const {
  std::vector<Candidate> queue;
  const Neighbours* neighbours = neighbours_for(symbols.size());
  for (std::size_t begin = 0, end = 0; begin < symbols.size(); begin = end) {
    end = neighbours == nullptr ? symbols.size() : begin + 1;
    while (end < symbols.size() && !is_seam(piece, symbols[end - 1], symbols[end], *neighbours)) ++end;
    merge_section(piece, begin, end, symbols, queue);
  }
}

// Merges what can merge among symbols [begin, end). `queue` is empty before and after; it is kept for its memory.
void Bpe::merge_section(std::string_view piece, std::size_t begin, std::size_t end, std::vector<Symbol>& symbols,
                        std::vector<Candidate>& queue) const {
  Candidate next;
  for (std::size_t i = begin; i + 1 < end; ++i) {
    if (candidate(piece, symbols, static_cast<std::int32_t>(i), next)) queue.push_back(next);
  }
  std::make_heap(queue.begin(), queue.end(), LaterFirst{});
  const auto push_next = [&](std::int32_t at) {
    if (!candidate(piece, symbols, at, next)) return;
    queue.push_back(next);
    std::push_heap(queue.begin(), queue.end(), LaterFirst{});
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), LaterFirst{});
    const Candidate best = queue.back();
    queue.pop_back();
    Symbol& left = symbols[static_cast<std::size_t>(best.left)];
    Symbol& right = symbols[static_cast<std::size_t>(best.right)];
    if (!left.alive || !right.alive || left.next != best.right || left.size + right.size != best.size) continue;
    left.id = best.id;
    left.size = best.size;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.left;
    push_next(left.previous);
    push_next(best.left);
  }
}

void Bpe::emit(std::string_view piece, const std::vector<Symbol>& symbols, std::vector<std::int32_t>& ids) const {
  bool after_unknown = false;
  for (std::int32_t at = symbols.empty() ? -1 : 0; at >= 0; at = symbols[static_cast<std::size_t>(at)].next) {
    const Symbol& symbol = symbols[static_cast<std::size_t>(at)];
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
      after_unknown = false;
      continue;
    }
    const std::string_view bytes =
        piece.substr(static_cast<std::size_t>(symbol.begin), static_cast<std::size_t>(symbol.size));
    const bool as_bytes =
        spec_->byte_fallback && !spec_->byte_level && std::all_of(bytes.begin(), bytes.end(), [&](char c) {
          return vocabulary_->byte_token(static_cast<unsigned char>(c)) >= 0;
        });
    if (as_bytes) {
      for (const char c : bytes) ids.push_back(vocabulary_->byte_token(static_cast<unsigned char>(c)));
      after_unknown = false;
    } else if (spec_->unk_id >= 0 && !(spec_->fuse_unk && after_unknown)) {
      ids.push_back(spec_->unk_id);
      after_unknown = true;
    }
  }
}

void Bpe::encode(std::string_view piece, bool escaped, std::vector<std::int32_t>& ids) const {
  if (piece.empty()) return;
  std::string raw;
  if (spec_->byte_level && escaped) piece = raw = utf8::unescape(piece);
  if (spec_->ignore_merges) {
    const std::int32_t whole = vocabulary_->find(piece);
    const bool control = whole >= 0 && spec_->types[static_cast<std::size_t>(whole)] == TokenType::kControl;
    if (whole >= 0 && !control) {  // no text becomes a control token but by its name among the added tokens
      ids.push_back(whole);
      return;
    }
  }
  std::vector<Symbol> symbols = split(piece, escaped);
  merge_all(piece, symbols);
  emit(piece, symbols, ids);
}

}  // namespace elrt
