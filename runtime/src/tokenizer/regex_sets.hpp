// Sets of characters in a regular expression: what a class, an escape or a property stands for, in PCRE2's terms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elrt {

// A union of `items`, which may stand between PCRE2's brackets, and of `fragments`, each a whole expression that
// matches exactly one character.
struct RegexSet {
  std::string items;
  std::vector<std::string> fragments;
  bool cased = false;  // holds characters whose matching without case is not known to be the same in both engines

  void add(const RegexSet& other);
  // One expression that matches one character: of the set, or not of it. The empty set is not allowed.
  std::string expression(bool negated = false) const;
};

RegexSet regex_set_of(char32_t first, char32_t last);  // a range, both ends included
// Which characters a property has: those of PCRE2's own Unicode version, or those of the library's (16), with the ones
// that PCRE2 may lack listed. The second costs time, and differs only for texts that regex_has_additions() tells.
enum class RegexUnicode { kOwn, kLibrary };
bool regex_has_additions(std::string_view text);  // of valid UTF-8

RegexSet regex_word(RegexUnicode unicode);  // \w between brackets
RegexSet regex_lone_word(
    RegexUnicode unicode);  // \w elsewhere, and for \b: superscripts and fractions of Latin-1 too, by Oniguruma's table
RegexSet regex_space();
RegexSet regex_digit(RegexUnicode unicode);
RegexSet regex_hex_digit();

// True where a character by itself, with case ignored, is known to mean the same in both engines: where neither it nor
// its other case is part of what Unicode folds to several characters.
bool regex_folds_alike(char32_t c);

// What \p{name} and [:name:] stand for. Names are compared without case, spaces, '-' and '_', as Oniguruma does. None
// where the name is not known to mean the same in both engines.
std::optional<RegexSet> regex_property(std::string_view name, RegexUnicode unicode);
std::optional<RegexSet> regex_posix_class(std::string_view name, RegexUnicode unicode);

}  // namespace elrt
