#include "elrt/wordpiece.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/guarded.hpp"
#include "base/utf8.hpp"
#include "tokenizer/bert_text.hpp"

namespace elrt {
namespace {

constexpr std::size_t kMaxPieceChars = 100;  // BERT's limit: longer pieces are unknown
constexpr std::string_view kContinuation = "##";
constexpr std::array<std::string_view, 5> kSpecial = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

// Texts to ids, and the longest text, beyond which no look-up is worth its hash.
struct Index {
  std::unordered_map<std::string_view, std::int32_t> ids;
  std::size_t longest_bytes = 0;

  void add(std::string_view text, std::int32_t id) {
    ids.emplace(text, id);
    longest_bytes = std::max(longest_bytes, text.size());
  }
  std::int32_t find(std::string_view text) const {
    const auto found = ids.find(text);
    return found == ids.end() ? -1 : found->second;
  }
};

}  // namespace

struct WordPiece::Impl {
  std::vector<std::string> tokens;
  Index initial, continuing;  // views of `tokens`; continuing ones without their "##"
  std::array<std::int32_t, kSpecial.size()> special{};

  std::int32_t unknown() const { return special[1]; }
  std::int32_t find(std::string_view token) const;
  void match(const std::vector<BertChar>& piece, std::size_t word, std::vector<WordPieceToken>& out) const;
};

std::int32_t WordPiece::Impl::find(std::string_view token) const {
  return token.starts_with(kContinuation) ? continuing.find(token.substr(kContinuation.size())) : initial.find(token);
}

// Greedy longest match. `starts[i]` is where character i begins in `text`.
void WordPiece::Impl::match(const std::vector<BertChar>& piece, std::size_t word,
                            std::vector<WordPieceToken>& out) const {
  const std::size_t before = out.size(), count = piece.size();
  const auto add = [&](std::int32_t id, std::size_t first, std::size_t last) {
    out.push_back({id, {piece[first].bytes.begin, piece[last].bytes.end}, word});
  };
  if (count > kMaxPieceChars) return add(unknown(), 0, count - 1);
  std::string text;
  std::array<std::size_t, kMaxPieceChars + 1> starts{};
  for (std::size_t i = 0; i < count; ++i) {
    utf8::append(text, piece[i].code);
    starts[i + 1] = text.size();
  }
  for (std::size_t first = 0; first < count;) {
    const Index& index = first == 0 ? initial : continuing;
    std::int32_t id = -1;
    std::size_t end = count;
    for (; end > first; --end) {
      const std::size_t bytes = starts[end] - starts[first];
      if (bytes > index.longest_bytes) continue;
      id = index.find(std::string_view(text).substr(starts[first], bytes));
      if (id >= 0) break;
    }
    if (id < 0) {
      out.resize(before);
      return add(unknown(), 0, count - 1);
    }
    add(id, first, end - 1);
    first = end;
  }
}

Result<WordPiece> WordPiece::create(std::vector<std::string> vocabulary) {
  return guarded("read a WordPiece vocabulary", [&]() -> Result<WordPiece> {
    if (vocabulary.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      return bad_data("WordPiece vocabulary: more tokens than ids");
    auto impl = std::make_unique<Impl>();
    impl->tokens = std::move(vocabulary);
    for (std::size_t id = 0; id < impl->tokens.size(); ++id) {
      const std::string_view token = impl->tokens[id];
      if (token.starts_with(kContinuation))
        impl->continuing.add(token.substr(kContinuation.size()), static_cast<std::int32_t>(id));
      else
        impl->initial.add(token, static_cast<std::int32_t>(id));
    }
    for (std::size_t i = 0; i < kSpecial.size(); ++i) {
      impl->special[i] = impl->initial.find(kSpecial[i]);
      if (impl->special[i] < 0)
        return bad_data("WordPiece vocabulary of " + std::to_string(impl->tokens.size()) + " tokens: expected " +
                        std::string(kSpecial[i]) + " among them, found none");
    }
    return WordPiece(std::move(impl));
  });
}

Result<WordPiece> WordPiece::from_vocabulary_text(std::string_view text) {
  return guarded("read a WordPiece vocabulary", [&]() -> Result<WordPiece> {
    std::vector<std::string> tokens;
    while (!text.empty()) {
      const std::size_t stop = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, stop);
      if (line.ends_with('\r')) line.remove_suffix(1);
      tokens.emplace_back(line);
      text.remove_prefix(std::min(stop + 1, text.size()));
    }
    return create(std::move(tokens));
  });
}

Result<WordPieces> WordPiece::encode(std::string_view text) const {
  return guarded("encode a text", [&]() -> Result<WordPieces> {
    if (text.size() > kMaxTextBytes)
      return invalid_argument("cannot encode a text of " + std::to_string(text.size()) + " bytes: at most " +
                              std::to_string(kMaxTextBytes) + " are allowed");
    WordPieces result;
    result.words = bert_words(text);
    for (std::size_t word = 0; word < result.words.size(); ++word) {
      for (const std::vector<BertChar>& piece : bert_pieces(text, result.words[word]))
        impl_->match(piece, word, result.tokens);
    }
    return result;
  });
}

std::int32_t WordPiece::find(std::string_view token) const { return impl_->find(token); }

std::string_view WordPiece::token(std::int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return impl_->tokens[static_cast<std::size_t>(id)];
}

void WordPiece::mark_question(WordPieces& pieces, TextSpan question) const {
  constexpr std::size_t kMostPlaces = 3;
  std::vector<WordPieceToken>& tokens = pieces.tokens;
  struct Whole {  // a token and its continuations
    std::vector<std::int32_t> ids;
    std::size_t begin;
    bool asked;
  };
  std::vector<Whole> wholes;
  std::map<std::vector<std::int32_t>, std::size_t> named;  // what the question holds, and its places elsewhere
  for (std::size_t begin = 0, end = 0; begin < tokens.size(); begin = end) {
    Whole& whole = wholes.emplace_back(Whole{{tokens[begin].id}, begin, false});
    for (end = begin + 1; end < tokens.size() && tokens[end].word == tokens[begin].word &&
                          token(tokens[end].id).starts_with(kContinuation);
         ++end) {
      whole.ids.push_back(tokens[end].id);
    }
    whole.asked = tokens[begin].bytes.begin < question.end && tokens[end - 1].bytes.end > question.begin;
    if (whole.asked) named.emplace(whole.ids, 0);
  }
  named.erase({unk_id()});
  for (const Whole& whole : wholes) {
    const auto found = whole.asked ? named.end() : named.find(whole.ids);
    if (found != named.end()) ++found->second;
  }
  for (const Whole& whole : wholes) {
    const auto found = named.find(whole.ids);
    const bool marked = whole.asked || (found != named.end() && found->second <= kMostPlaces);
    for (std::size_t i = 0; i < whole.ids.size(); ++i) tokens[whole.begin + i].segment = marked ? 1 : 0;
  }
}

std::int32_t WordPiece::vocab_size() const { return static_cast<std::int32_t>(impl_->tokens.size()); }
std::int32_t WordPiece::pad_id() const { return impl_->special[0]; }
std::int32_t WordPiece::unk_id() const { return impl_->special[1]; }
std::int32_t WordPiece::cls_id() const { return impl_->special[2]; }
std::int32_t WordPiece::sep_id() const { return impl_->special[3]; }
std::int32_t WordPiece::mask_id() const { return impl_->special[4]; }

WordPiece::WordPiece(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
WordPiece::WordPiece(WordPiece&&) noexcept = default;
WordPiece& WordPiece::operator=(WordPiece&&) noexcept = default;
WordPiece::~WordPiece() = default;

}  // namespace elrt
