#include "tokenizer/regex_sets.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/utf8.hpp"
#include "tokenizer/unicode_additions.hpp"

namespace elrt {
namespace {

struct Name {
  const char* name;  // as fold_name gives it
  const char* property;
};

// General categories by both of their names.
constexpr Name kCategories[] = {
    {"cc", "Cc"},
    {"control", "Cc"},
    {"cf", "Cf"},
    {"format", "Cf"},
    {"co", "Co"},
    {"privateuse", "Co"},
    {"l", "L"},
    {"letter", "L"},
    {"ll", "Ll"},
    {"lowercaseletter", "Ll"},
    {"lm", "Lm"},
    {"modifierletter", "Lm"},
    {"lo", "Lo"},
    {"otherletter", "Lo"},
    {"lt", "Lt"},
    {"titlecaseletter", "Lt"},
    {"lu", "Lu"},
    {"uppercaseletter", "Lu"},
    {"m", "M"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"mc", "Mc"},
    {"spacingmark", "Mc"},
    {"me", "Me"},
    {"enclosingmark", "Me"},
    {"mn", "Mn"},
    {"nonspacingmark", "Mn"},
    {"n", "N"},
    {"number", "N"},
    {"nd", "Nd"},
    {"decimalnumber", "Nd"},
    {"nl", "Nl"},
    {"letternumber", "Nl"},
    {"no", "No"},
    {"othernumber", "No"},
    {"p", "P"},
    {"punctuation", "P"},
    {"pc", "Pc"},
    {"connectorpunctuation", "Pc"},
    {"pd", "Pd"},
    {"dashpunctuation", "Pd"},
    {"pe", "Pe"},
    {"closepunctuation", "Pe"},
    {"pf", "Pf"},
    {"finalpunctuation", "Pf"},
    {"pi", "Pi"},
    {"initialpunctuation", "Pi"},
    {"po", "Po"},
    {"otherpunctuation", "Po"},
    {"ps", "Ps"},
    {"openpunctuation", "Ps"},
    {"s", "S"},
    {"symbol", "S"},
    {"sc", "Sc"},
    {"currencysymbol", "Sc"},
    {"sk", "Sk"},
    {"modifiersymbol", "Sk"},
    {"sm", "Sm"},
    {"mathsymbol", "Sm"},
    {"so", "So"},
    {"othersymbol", "So"},
    {"z", "Z"},
    {"separator", "Z"},
    {"zl", "Zl"},
    {"lineseparator", "Zl"},
    {"zp", "Zp"},
    {"paragraphseparator", "Zp"},
    {"zs", "Zs"},
    {"spaceseparator", "Zs"},
};

// Scripts by their long names; Oniguruma means Script, not Script_Extensions.
constexpr const char* kScripts[] = {
    "arabic",    "armenian", "bengali",  "bopomofo", "cherokee", "common", "coptic",    "cyrillic",  "devanagari",
    "ethiopic",  "georgian", "greek",    "gujarati", "gurmukhi", "han",    "hangul",    "hebrew",    "hiragana",
    "inherited", "kannada",  "katakana", "khmer",    "lao",      "latin",  "malayalam", "mongolian", "myanmar",
    "oriya",     "sinhala",  "syriac",   "tamil",    "telugu",   "thaana", "thai",      "tibetan",   "yi"};

std::string fold_name(std::string_view name) {
  std::string folded;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    folded.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return folded;
}

std::string code(char32_t c) {
  char text[16];
  std::snprintf(text, sizeof text, "\\x{%X}", static_cast<unsigned>(c));
  return text;
}

std::string range_items(char32_t first, char32_t last) {
  return first == last ? code(first) : code(first) + "-" + code(last);
}

// False where PCRE2's Unicode is at least the library's, 16.
bool needs_additions() {
  char version[64] = {};
  return pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version) < 0 || std::atoi(version) < 16;
}

// What the library's Unicode has and PCRE2's may lack.
std::string additions(std::string_view property, RegexUnicode unicode) {
  static const bool needed = needs_additions();
  std::string items;
  if (!needed || unicode == RegexUnicode::kOwn) return items;
  for (const UnicodeAddition& addition : kUnicodeAdditions) {
    const std::string_view category = addition.property;
    if (category == property || (property.size() == 1 && category.size() == 2 && category[0] == property[0]))
      items += range_items(addition.first, addition.last);
  }
  return items;
}

// Letters and marks that change under case folding lie in and out of these; digits, punctuation and spaces have no
// case.
bool has_case(std::string_view property) {
  return property[0] == 'C' || property[0] == 'L' || property[0] == 'M' || property[0] == 'S' || property == "N" ||
         property == "Nl";
}

RegexSet category(std::string_view property, RegexUnicode unicode) {
  return {"\\p{" + std::string(property) + "}" + additions(property, unicode), {}, has_case(property)};
}

// "Other" holds what is not assigned, so that it loses what becomes assigned.
RegexSet other(RegexUnicode unicode) {
  std::string assigned;
  for (const char* property : {"L", "M", "N", "P", "S", "Z"}) assigned += additions(property, unicode);
  return {"", {assigned.empty() ? "\\p{C}" : "(?:(?![" + assigned + "])\\p{C})"}, true};
}

RegexSet alphabetic(RegexUnicode unicode) { return {"\\p{Alphabetic}" + additions("Alphabetic", unicode), {}, true}; }

}  // namespace

void RegexSet::add(const RegexSet& other) {
  items += other.items;
  fragments.insert(fragments.end(), other.fragments.begin(), other.fragments.end());
  cased = cased || other.cased;
}

std::string RegexSet::expression(bool negated) const {
  if (fragments.empty()) return (negated ? "[^" : "[") + items + "]";
  std::string all = items.empty() ? "" : "[" + items + "]";
  for (const std::string& fragment : fragments) all += (all.empty() ? "" : "|") + fragment;
  return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
}

bool regex_has_additions(std::string_view text) {
  static const std::vector<std::pair<char32_t, char32_t>> ranges = [] {
    std::vector<std::pair<char32_t, char32_t>> all;
    for (const UnicodeAddition& addition : kUnicodeAdditions) all.emplace_back(addition.first, addition.last);
    std::sort(all.begin(), all.end());
    std::size_t kept = 0;  // properties overlap: ranges that touch become one
    for (const auto& range : all) {
      if (kept > 0 && range.first <= all[kept - 1].second + 1)
        all[kept - 1].second = std::max(all[kept - 1].second, range.second);
      else
        all[kept++] = range;
    }
    all.resize(kept);
    return all;
  }();
  const char32_t lowest = ranges.front().first;
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const utf8::Char c = utf8::decode(text.substr(at));
    at += c.size;
    if (c.code < lowest) continue;
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), std::pair(c.code, char32_t{0x10FFFF}));
    if (after != ranges.begin() && std::prev(after)->second >= c.code) return true;
  }
  return false;
}

bool regex_folds_alike(char32_t c) {
  if (c < 0x80) return true;
  const bool latin = c >= 0xC0 && c <= 0xFE && c != 0xDF;
  const bool cyrillic = c >= 0x410 && c <= 0x44F;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LO:  // none of these is part of a folding; letters with case may be, and marks
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_ZS:
      return true;
    default:
      return latin || cyrillic;
  }
}

RegexSet regex_set_of(char32_t first, char32_t last) {
  return {range_items(first, last), {}, last >= 0x80 && !(first == last && regex_folds_alike(first))};
}

RegexSet regex_word(RegexUnicode unicode) {
  RegexSet set = alphabetic(unicode);
  for (const char* property : {"M", "Nd", "Pc"}) set.add(category(property, unicode));
  return set;
}

RegexSet regex_lone_word(RegexUnicode unicode) {
  RegexSet set = regex_word(unicode);
  set.items += "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
  return set;
}

RegexSet regex_space() {
  return {"\\t-\\r\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}",
          {},
          false};
}

RegexSet regex_digit(RegexUnicode unicode) { return category("Nd", unicode); }
RegexSet regex_hex_digit() { return {"0-9A-Fa-f", {}, false}; }

std::optional<RegexSet> regex_property(std::string_view name, RegexUnicode unicode) {
  const std::string folded = fold_name(name);
  if (folded == "c" || folded == "other") return other(unicode);
  for (const Name& entry : kCategories) {
    if (folded == entry.name) return category(entry.property, unicode);
  }
  if (std::find(std::begin(kScripts), std::end(kScripts), folded) != std::end(kScripts))
    return RegexSet{"\\p{sc:" + folded + "}" + additions(folded, unicode), {}, true};
  if (folded == "punct") return category("P", unicode);
  if (folded == "any") return regex_set_of(0, 0x10FFFF);
  if (folded == "alphabetic") return alphabetic(unicode);
  if (folded == "whitespace") return regex_space();
  return regex_posix_class(name, unicode);
}

std::optional<RegexSet> regex_posix_class(std::string_view name, RegexUnicode unicode) {
  const std::string folded = fold_name(name);
  if (folded == "alpha") return alphabetic(unicode);
  if (folded == "digit") return regex_digit(unicode);
  if (folded == "space") return regex_space();
  if (folded == "xdigit") return regex_hex_digit();
  if (folded == "word") return regex_word(unicode);
  if (folded == "ascii") return regex_set_of(0, 0x7F);
  if (folded == "cntrl") return category("Cc", unicode);
  if (folded == "alnum") {
    RegexSet set = alphabetic(unicode);
    set.add(regex_digit(unicode));
    return set;
  }
  if (folded == "blank") {
    RegexSet set = category("Zs", unicode);
    set.items += "\\t";
    return set;
  }
  return std::nullopt;
}

}  // namespace elrt
