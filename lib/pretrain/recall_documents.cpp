#include "pretrain/recall_documents.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <random>
#include <tuple>
#include <utility>

#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "tasks/renaming.h"
#include "tasks/unit_draw.h"
#include "tasks/words.h"

namespace elastify {
namespace {

using Tokens = std::vector<std::int64_t>;

class Writer {
 public:
  Writer(const elrt::Tokenizer& tokenizer, const RecallForm& form, std::uint64_t seed)
      : tokenizer_(tokenizer), form_(form), random_(derive_seed(seed, "recall")), line_end_(encode("\n")), answer_begin_(encode("\nA:")) {
    document_.family = kRecallFamily;
  }

  WeightedDocument write(std::size_t max_tokens) {
    append({tokenizer_.bos_id() >= 0 ? tokenizer_.bos_id() : line_end_.front()}, 0);
    if (form_.chained) write_chains();
    else write_pairs();
    document_.ids.resize(std::min(document_.ids.size(), max_tokens));
    document_.weights.resize(document_.ids.size());
    std::erase_if(document_.answers, [&](const AnswerSpan& answer) { return answer.end > document_.ids.size(); });
    return std::move(document_);
  }

 private:
  using Pair = std::pair<Tokens, Tokens>;

  // What lines say, and all lines of one relation in the same words.
  struct Relation {
    Tokens front, middle, back;
    bool value_first;
  };

  struct Line {
    Pair pair;
    const Relation* relation;
  };

  struct Asked {
    Tokens with;
    const Tokens* answer;
  };

  Relation draw_relation(std::size_t fewest, bool value_first) {
    Relation relation{{}, {}, {}, value_first};
    relation.front = random_tokens(below(form_.template_tokens + 1));
    relation.middle = random_tokens(std::max(fewest, below(form_.template_tokens + 1)));
    relation.back = random_tokens(below(form_.template_tokens + 1));
    return relation;
  }

  void write_pairs() {
    const Relation relation = draw_relation(0, form_.value_first);
    std::vector<Pair> pairs(2 + below(10));
    for (auto& [key, value] : pairs) std::tie(key, value) = std::pair(draw(), draw());
    for (const Pair& pair : pairs) append_line({pair, &relation});
    if (form_.prose) append(line_end_, 0);
    // A second round repeats what the first one answered: the same again for what stands behind a key, a way around for the other.
    for (int round = 0; round < (form_.value_first ? 1 : 2); ++round) {
      shuffle(pairs);
      for (const auto& [key, value] : pairs) append_question({key, &value});
    }
  }

  // "Leo brings the cake", "Leo lives in Rome": asked is "lives in, brings, the cake", and to a part either line by itself.
  void write_chains() {
    constexpr std::size_t kFewest = 2, kMore = 3;
    const bool last_first = form_.value_first && below(2) == 0;
    const Relation first = draw_relation(1, form_.value_first && !last_first);
    Relation last = draw_relation(1, last_first);
    while (last.middle == first.middle) last = draw_relation(1, last_first);
    std::vector<std::array<Tokens, 3>> chains(kFewest + below(kMore + 1));
    std::vector<Line> lines;
    for (auto& [key, between, value] : chains) {
      key = draw(), between = draw(), value = draw();
      lines.push_back({{key, between}, &first});
      lines.push_back({{between, value}, &last});
    }
    shuffle(lines);
    for (const Line& line : lines) append_line(line);
    if (form_.prose) append(line_end_, 0);
    std::vector<Asked> questions;
    for (const auto& [key, between, value] : chains) {
      questions.push_back({joined({last.middle, first.middle, key}), &value});
      if (below(3) == 0) questions.push_back({joined({first.middle, key}), &between});
      if (below(3) == 0) questions.push_back({joined({last.middle, between}), &value});
    }
    shuffle(questions);
    for (const Asked& question : questions) append_question(question);
  }

  static Tokens joined(std::initializer_list<Tokens> parts) {
    Tokens all;
    for (const Tokens& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
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

  void append_line(const Line& line) {
    const auto& [key, value] = line.pair;
    const Relation& relation = *line.relation;
    append(relation.front, 0);
    append(relation.value_first ? value : key, 0);
    append(relation.middle, 0);
    append_some(form_.most_between);
    append(relation.value_first ? key : value, 0);
    append(relation.back, 0);
    append(form_.prose ? sentence_end_ : line_end_, 0);
  }

  void append_question(const Asked& question) {
    if (!form_.asked) {
      append(question.with, 0);
      return append_answer(*question.answer, line_end_);
    }
    append(line_end_, 0);
    append_some(2);
    append(question.with, 0);
    append_some(1);
    append(answer_begin_, 0);
    append_answer(*question.answer, tokenizer_.eos_id() >= 0 ? Tokens{tokenizer_.eos_id()} : line_end_);
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

WeightedDocument recall_document(const elrt::Tokenizer& tokenizer, const RecallForm& form, std::uint64_t seed, std::size_t max_tokens) {
  return Writer(tokenizer, form, seed).write(max_tokens);
}

RecallForm draw_recall_form(std::uint64_t seed, double variety, double chained) {
  std::mt19937_64 random(derive_seed(seed, "recall form"));
  const auto yes = [&](double share) { return chance(share, random); };
  variety *= unit_draw(random);
  RecallForm form;
  form.value_first = random() % 2 == 0;
  form.asked = random() % 2 == 0;
  form.longest = 1 + random() % 3;
  form.most_between = form.value_first ? random() % 4 : 0;  // behind a key, nothing would tell where the value begins
  form.invented = yes(variety / 2);
  form.prose = yes(variety / 2);
  if (yes(variety)) form.template_tokens = random() % 5;
  form.chained = yes(chained);
  if (form.chained && !yes(variety)) form.longest = 1, form.value_first = false, form.most_between = 0;  // two lines are hard enough
  return form;
}

}  // namespace elastify
