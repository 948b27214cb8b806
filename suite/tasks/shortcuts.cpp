#include "tasks/shortcuts.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/words.h"

namespace elastify {
namespace {

double chance_of_best(const std::vector<double>& scores, std::size_t right) {
  const double best = *std::max_element(scores.begin(), scores.end());
  if (scores[right] < best) return 0;
  return 1.0 / static_cast<double>(std::count(scores.begin(), scores.end(), best));
}

template <typename Score>
std::vector<double> mean_over_words(const std::vector<std::string>& options, Score&& score) {
  std::vector<double> means;
  for (const auto& option : options) {
    double sum = 0;
    const auto words = words_of(option);
    for (const auto& word : words) sum += score(word);
    means.push_back(words.empty() ? 0 : sum / static_cast<double>(words.size()));
  }
  return means;
}

// Rough: also cuts "3.30", which costs a reader without grammar little.
std::vector<std::set<std::string>> sentences_of(const std::string& context) {
  std::vector<std::set<std::string>> sentences;
  for (std::size_t begin = 0; begin < context.size();) {
    const auto end = std::min(context.find_first_of(".!?\n", begin), context.size());
    const auto words = words_of(std::string_view(context).substr(begin, end - begin));
    if (!words.empty()) sentences.emplace_back(words.begin(), words.end());
    begin = end + 1;
  }
  return sentences;
}

// Is there a sentence with every word of the option's values?
double stands_together(const std::vector<std::set<std::string>>& sentences, const std::vector<std::string>& values) {
  std::vector<std::string> wanted;
  for (const auto& value : values) {
    const auto words = words_of(value);
    wanted.insert(wanted.end(), words.begin(), words.end());
  }
  return std::any_of(sentences.begin(), sentences.end(), [&](const auto& sentence) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& word) { return sentence.contains(word); });
  });
}

}  // namespace

Shortcuts shortcut_chances(const TaskItem& item) {
  std::map<std::string, double> count;
  for (const auto& word : words_of(item.context)) ++count[word];
  const auto count_of = [&](const std::string& word) {
    const auto found = count.find(word);
    return found == count.end() ? 0.0 : found->second;
  };
  const auto mentions = mean_over_words(item.options, count_of);
  auto fewest = mentions;
  for (auto& score : fewest) score = -score;

  std::set<std::string> asked;
  for (const auto& word : words_of(item.question)) asked.insert(word);
  std::set<std::string> nearest;
  std::size_t most = 0;
  const auto sentences = sentences_of(item.context);
  for (const auto& sentence : sentences) {
    const auto shared = static_cast<std::size_t>(std::count_if(
        sentence.begin(), sentence.end(), [&](const std::string& word) { return asked.count(word) != 0; }));
    if (shared <= most) continue;
    most = shared;
    nearest = sentence;
  }
  std::vector<double> together;
  for (const auto& values : item.option_values) together.push_back(stands_together(sentences, values));
  together.resize(item.options.size());  // of items without values, all alike
  return {chance_of_best(
              mean_over_words(item.options, [&](const std::string& word) { return count_of(word) > 0 ? 1.0 : 0.0; }),
              item.answer),
          chance_of_best(mentions, item.answer), chance_of_best(fewest, item.answer),
          chance_of_best(mean_over_words(item.options,
                                         [&](const std::string& word) { return nearest.count(word) != 0 ? 1.0 : 0.0; }),
                         item.answer),
          chance_of_best(together, item.answer)};
}

}  // namespace elastify
