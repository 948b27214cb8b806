#include "tlm/word_pieces.h"

#include <utf8proc.h>
#include <elrt/wordpiece.hpp>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"

namespace elastify {
namespace {

const std::vector<std::string> kSpecial = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
using Pieces = std::vector<std::string>;

std::string character_text(utf8proc_int32_t c) {
  utf8proc_uint8_t bytes[4];
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(utf8proc_encode_char(c, bytes))};
}

// Every character that the uncased rules could leave: of the decomposed text, in lower case. Some, like marks, never
// come out of encode() and cost nothing: only characters that do are kept.
std::set<std::string> possible_characters(const std::vector<std::string>& texts) {
  std::set<std::string> characters;
  for (const auto& text : texts) {
    utf8proc_uint8_t* decomposed = nullptr;
    const auto size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &decomposed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
    if (size < 0) fail_data("a text for the vocabulary is not UTF-8");
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(decomposed, std::free);
    for (utf8proc_ssize_t at = 0; at < size;) {
      utf8proc_int32_t c = 0;
      at += utf8proc_iterate(decomposed + at, size - at, &c);
      if (c > ' ') characters.insert(character_text(utf8proc_tolower(c)));
    }
  }
  return characters;
}

elrt::WordPiece character_vocabulary(const std::vector<std::string>& texts) {
  Pieces vocabulary = kSpecial;
  for (const auto& character : possible_characters(texts)) {
    vocabulary.push_back(character);
    vocabulary.push_back("##" + character);
  }
  auto made = elrt::WordPiece::create(std::move(vocabulary));
  require(made.ok(), "a vocabulary of characters was refused");
  return std::move(made).value();
}

// What is matched as a whole ("maya", "'", "s"), as single characters, and how often it occurs.
std::map<Pieces, std::int64_t> count_units(const std::vector<std::string>& texts) {
  const elrt::WordPiece characters = character_vocabulary(texts);
  std::map<Pieces, std::int64_t> counts;
  for (const auto& text : texts) {
    const auto encoded = characters.encode(text);
    if (!encoded) fail_data("a text for the vocabulary cannot be read: {}", encoded.failure().message);
    Pieces unit;
    for (const auto& token : encoded.value().tokens) {
      const std::string piece(characters.token(token.id));
      if (!piece.starts_with("##")) {
        if (!unit.empty()) ++counts[unit];
        unit.clear();
      }
      unit.push_back(piece);
    }
    if (!unit.empty()) ++counts[unit];
  }
  return counts;
}

struct WordUnit {
  Pieces pieces;
  std::int64_t count = 0;
};
using Pair = std::pair<std::string, std::string>;

std::string joined(const Pair& pair) { return pair.first + pair.second.substr(2); }

// How often every pair of neighbours occurs, and in which units it may stand.
class PairCounts {
 public:
  void add(const std::vector<WordUnit>& units, std::size_t index, std::int64_t sign) {
    const WordUnit& unit = units[index];
    for (std::size_t i = 0; i + 1 < unit.pieces.size(); ++i) {
      const Pair pair{unit.pieces[i], unit.pieces[i + 1]};
      if ((counts_[pair] += sign * unit.count) == 0) counts_.erase(pair);
      if (sign > 0) units_[pair].insert(index);
    }
  }
  // The most frequent pair, or one of count 0.
  std::pair<Pair, std::int64_t> best() const {
    std::pair<Pair, std::int64_t> found{{}, 0};
    for (const auto& [pair, count] : counts_) {
      if (count > found.second) found = {pair, count};
    }
    return found;
  }
  std::set<std::size_t> take_units(const Pair& pair) {
    const auto node = units_.extract(pair);
    return node.empty() ? std::set<std::size_t>{} : node.mapped();
  }

 private:
  std::map<Pair, std::int64_t> counts_;
  std::map<Pair, std::set<std::size_t>> units_;
};

void join_inplace(Pieces& pieces, const Pair& pair) {
  Pieces result;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool match = i + 1 < pieces.size() && pieces[i] == pair.first && pieces[i + 1] == pair.second;
    result.push_back(match ? joined(pair) : pieces[i]);
    i += match ? 1 : 0;
  }
  pieces = std::move(result);
}

}  // namespace

std::vector<std::string> learn_word_pieces(const std::vector<std::string>& texts, std::int64_t size) {
  std::vector<WordUnit> units;
  std::set<std::string> known;
  for (const auto& [pieces, count] : count_units(texts)) {
    units.push_back({pieces, count});
    known.insert(pieces.begin(), pieces.end());
  }
  if (units.empty()) fail_data("a vocabulary needs text: expected words, found none");
  Pieces vocabulary = kSpecial;
  for (const auto& special : kSpecial) known.erase(special);
  vocabulary.insert(vocabulary.end(), known.begin(), known.end());
  if (static_cast<std::int64_t>(vocabulary.size()) > size) {
    fail_data("a vocabulary of {} is too small: the texts have {} characters and beginnings of words", size,
              known.size());
  }
  PairCounts counts;
  for (std::size_t i = 0; i < units.size(); ++i) counts.add(units, i, 1);
  while (static_cast<std::int64_t>(vocabulary.size()) < size) {
    const auto [pair, count] = counts.best();
    if (count < 2) break;
    if (known.insert(joined(pair)).second) vocabulary.push_back(joined(pair));
    for (const std::size_t index : counts.take_units(pair)) {
      counts.add(units, index, -1);
      join_inplace(units[index].pieces, pair);
      counts.add(units, index, 1);
    }
  }
  return vocabulary;
}

std::string vocabulary_text(const std::vector<std::string>& vocabulary) {
  std::string text;
  for (const auto& token : vocabulary) text += token + "\n";
  return text;
}

}  // namespace elastify
