#include "pretrain/recall_documents.h"

#include <algorithm>
#include <random>
#include <tuple>
#include <utility>

#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "data/words.h"
#include "tasks/renaming.h"
#include "tasks/unit_draw.h"

namespace elastify {
namespace {

using Tokens = std::vector<std::int64_t>;

class Writer {
 public:
  Writer(const elrt::Tokenizer& tokenizer, const RecallForm& form, std::uint64_t seed)
      : tokenizer_(tokenizer),
        form_(form),
        random_(derive_seed(seed, "recall")),
        line_end_(encode("\n")),
        answer_begin_(encode("\nA:")) {
    document_.family = kRecallFamily;
  }

  WeightedDocument write(std::size_t max_tokens) {
    append({tokenizer_.bos_id() >= 0 ? tokenizer_.bos_id() : line_end_.front()}, 0);
    write_pairs();
    document_.ids.resize(std::min(document_.ids.size(), max_tokens));
    document_.weights.resize(document_.ids.size());
    std::erase_if(document_.answers, [&](const AnswerSpan& answer) { return answer.end > document_.ids.size(); });
    return std::move(document_);
  }

 private:
  using Pair = std::pair<Tokens, Tokens>;

  // What stands around the pairs, the same in every line.
  struct Template {
    Tokens front, middle, back;
  };

  void write_pairs() {
    const Template line{template_tokens(), template_tokens(), template_tokens()};
    std::vector<Pair> pairs(2 + below(10));
    for (auto& [key, value] : pairs) std::tie(key, value) = std::pair(draw(), draw());
    for (const Pair& pair : pairs) append_line(pair, line);
    if (form_.prose) append(line_end_, 0);
    // A second round repeats what the first one answered: the same again for what stands after a key, a way around for
    // the other.
    for (int round = 0; round < (form_.value_first ? 1 : 2); ++round) {
      shuffle(pairs);
      for (const auto& [key, value] : pairs) append_question(key, value);
    }
  }

  std::size_t below(std::size_t count) { return random_() % count; }

  Tokens encode(const std::string& text) const {
    auto ids = tokenizer_.encode(text, {false, false});
    if (!ids) fail_data("cannot tokenize '{}': {}", text, ids.failure().message);
    return {ids->begin(), ids->end()};
  }

  Tokens random_tokens(std::size_t count) {
    Tokens ids(count);
    for (auto& id : ids) {
      do id = static_cast<std::int64_t>(below(tokenizer_.vocab_size()));
      while (tokenizer_.is_special(static_cast<std::int32_t>(id)));
    }
    return ids;
  }

  Tokens template_tokens() { return random_tokens(below(form_.template_tokens + 1)); }

  Tokens draw() {
    const std::size_t count = 1 + below(form_.longest);
    if (!form_.invented) return random_tokens(count);
    std::string words;
    for (std::size_t i = 0; i < count; ++i) {
      const bool capital = below(2) == 0;
      words += ' ';
      words += capital ? with_capital(invent_word(random_)) : invent_word(random_);
    }
    return encode(words);
  }

  template <typename T>
  void shuffle(std::vector<T>& all) {
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[below(i)]);
  }

  void append(const Tokens& ids, float weight) {
    document_.ids.insert(document_.ids.end(), ids.begin(), ids.end());
    document_.weights.resize(document_.ids.size(), weight);
  }

  void append_some(std::size_t most) { append(random_tokens(below(most + 1)), 0); }

  void append_line(const Pair& pair, const Template& line) {
    const auto& [key, value] = pair;
    append(line.front, 0);
    append(form_.value_first ? value : key, 0);
    append(line.middle, 0);
    append_some(form_.most_between);
    append(form_.value_first ? key : value, 0);
    append(line.back, 0);
    append(form_.prose ? sentence_end_ : line_end_, 0);
  }

  void append_question(const Tokens& key, const Tokens& value) {
    if (!form_.asked) {
      append(key, 0);
      return append_answer(value, line_end_);
    }
    append(line_end_, 0);
    append_some(2);
    append(key, 0);
    append_some(1);
    append(answer_begin_, 0);
    append_answer(value, tokenizer_.eos_id() >= 0 ? Tokens{tokenizer_.eos_id()} : line_end_);
  }

  void append_answer(const Tokens& value, const Tokens& end) {
    const std::size_t begin = document_.ids.size();
    append(value, 1);
    append(end, 1);
    document_.answers.push_back({begin, document_.ids.size()});
  }

  const elrt::Tokenizer& tokenizer_;
  const RecallForm& form_;
  std::mt19937_64 random_;
  Tokens line_end_, sentence_end_ = encode("."), answer_begin_;
  WeightedDocument document_;
};

}  // namespace

WeightedDocument recall_document(const elrt::Tokenizer& tokenizer, const RecallForm& form, std::uint64_t seed,
                                 std::size_t max_tokens) {
  return Writer(tokenizer, form, seed).write(max_tokens);
}

RecallForm draw_recall_form(std::uint64_t seed, double variety) {
  std::mt19937_64 random(derive_seed(seed, "recall form"));
  const auto yes = [&](double share) { return chance(share, random); };
  variety *= unit_draw(random);
  RecallForm form;
  form.value_first = random() % 2 == 0;
  form.asked = random() % 2 == 0;
  form.longest = 1 + random() % 3;
  form.most_between = form.value_first ? random() % 4 : 0;  // after a key, nothing would tell where the value begins
  form.invented = yes(variety / 2);
  form.prose = yes(variety / 2);
  if (yes(variety)) form.template_tokens = random() % 5;
  return form;
}

}  // namespace elastify
