#include "tasks/word_noise.h"

#include <cctype>
#include <set>
#include <string>

#include "data/words.h"
#include "tasks/renaming.h"
#include "tasks/unit_draw.h"

namespace elastify {
namespace {

bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || byte >= 0x80 || c == '\'';
}

std::set<std::string> needed_words(const TaskContext& context) {
  std::set<std::string> words;
  const auto add = [&](const std::string& text) {
    for (std::string& word : words_of(text)) words.insert(std::move(word));
  };
  for (const TaskFact& fact : context.facts) {
    for (const auto& [slot, value] : fact.slots) add(value);
  }
  for (const TaskItem& item : context.items) add(item.options[item.answer]);
  return words;
}

class Noise {
 public:
  Noise(std::set<std::string> kept, double share, std::mt19937_64& random)
      : kept_(std::move(kept)), share_(share), random_(random) {}

  void change(std::string& text) {
    std::string changed;
    for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
      end = begin + 1;
      if (!is_word_byte(text[begin])) {
        changed += text[begin];
        continue;
      }
      while (end < text.size() && is_word_byte(text[end])) ++end;
      const std::string word = text.substr(begin, end - begin);
      const double drawn = unit_draw(random_);
      if (drawn >= share_ || is_kept(word))
        changed += word;
      else if (drawn < share_ / 2)
        changed += invent_word(random_);
      else if (end < text.size() && text[end] == ' ')
        ++end;
    }
    text = std::move(changed);
  }

 private:
  bool is_kept(const std::string& word) const {
    for (const std::string& part : words_of(word)) {
      if (kept_.contains(part)) return true;
    }
    return false;
  }

  std::set<std::string> kept_;
  double share_;
  std::mt19937_64& random_;
};

}  // namespace

void add_word_noise(TaskContext& context, double share, std::mt19937_64& random) {
  if (share <= 0) return;
  Noise noise(needed_words(context), share, random);
  noise.change(context.text);
  for (TaskItem& item : context.items) {
    item.context = context.text;
    noise.change(item.question);
  }
}

}  // namespace elastify
