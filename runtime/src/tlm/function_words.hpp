// Function words ("the", "of", "who"): words that say nothing of what a sentence is about. Closed classes, which is why
// a list can hold them; as folded terms (terms.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace elrt {

enum class Language : std::uint8_t {
  kEnglish,
  kGerman,
  kFrench,
  kSpanish,
  kItalian,
  kPortuguese,
  kDutch,
  kSwedish,
  kOther,
};
inline constexpr std::size_t kListedLanguages = 8;  // all but kOther

bool is_function_word(std::string_view term, Language language);  // never for kOther

// The language whose function words a text has most of, of equals the first; kOther for a text without any.
class LanguageGuess {
 public:
  void add(std::string_view term);
  Language language() const;

 private:
  std::array<std::size_t, kListedLanguages> found_{};
};

}  // namespace elrt
