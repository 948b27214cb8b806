#include "tlm/word_alignment.h"

#include <algorithm>
#include <cstdint>

namespace elastify {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string fold_word(std::string_view word) {
  std::string folded(word);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto first = std::find_if(folded.begin(), folded.end(), is_letter);
  const auto last = std::find_if(folded.rbegin(), folded.rend(), is_letter).base();
  return first < last ? std::string(first, last) : std::string();
}

double folded_similarity(const std::string& a, const std::string& b) {
  if (a == b) return a.empty() ? 0 : 1;
  if (std::any_of(a.begin(), a.end(), is_digit) || std::any_of(b.begin(), b.end(), is_digit)) return 0;
  const auto common = static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  return common >= 3 && 10 * common >= 6 * std::max(a.size(), b.size()) ? 0.6 : 0;
}

}  // namespace

double word_similarity(std::string_view a, std::string_view b) {
  if (a == b) return 1;
  return folded_similarity(fold_word(a), fold_word(b));
}

std::vector<bool> kept_by_alignment(const std::vector<std::string>& original,
                                    const std::vector<std::string>& compressed) {
  const std::size_t n = original.size(), m = compressed.size();
  std::vector<std::string> a, b;
  for (const auto& word : original) a.push_back(fold_word(word));
  for (const auto& word : compressed) b.push_back(fold_word(word));
  // best[j]: of original[i..] and compressed[j..], filled from the ends, so that walking forward takes the earliest
  // partner.
  std::vector<double> best(m + 1, 0), next(m + 1, 0);
  enum Step : std::uint8_t { kPair, kSkipOriginal, kSkipCompressed };
  std::vector<std::uint8_t> steps(n * m);
  for (std::size_t i = n; i-- > 0;) {
    std::swap(best, next);
    best[m] = 0;
    for (std::size_t j = m; j-- > 0;) {
      const double same = original[i] == compressed[j] ? 1 : folded_similarity(a[i], b[j]);
      const double pair = same > 0 ? same + next[j + 1] : -1;
      const double skip = std::max(next[j], best[j + 1]);
      best[j] = std::max(pair, skip);
      steps[i * m + j] = pair >= skip ? kPair : best[j + 1] >= next[j] ? kSkipCompressed : kSkipOriginal;
    }
  }
  std::vector<bool> kept(n, false);
  for (std::size_t i = 0, j = 0; i < n && j < m;) {
    const std::uint8_t step = steps[i * m + j];
    if (step == kPair) kept[i] = true;
    i += step != kSkipCompressed ? 1 : 0;
    j += step != kSkipOriginal ? 1 : 0;
  }
  return kept;
}

}  // namespace elastify
