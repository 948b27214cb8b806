// Terms of a text, the units that two sentences can have in common.
//
// A term is a run of letters, marks and digits, folded: canonical decomposition, case folded, marks dropped. "Zoë" and
// "ZOE" are one term. A ".", "," or ":" between two digits belongs to it ("10:30"); an ideograph is a term of its own.
// Of "don't" and its like nothing is left: all of them are function words.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tlm/function_words.hpp"

namespace elrt {

// Calls `use` with every term of `text` in order; the string is reused. Any bytes are a text: those that are no UTF-8
// stand apart from terms. O(bytes).
void for_each_term(std::string_view text, const std::function<void(const std::string& term)>& use);

// Whether a term names something: it is no function word of `language`, and has two characters or is a digit or an
// ideograph.
bool is_content_term(std::string_view term, Language language);

// The term without what light stemmers take away; terms with digits stay as they are. English: plural, "-ed", "-ing", a
// final "e", doubled consonants, "y" as "i" (a part of Porter 1980). Other languages: up to two of the letters that
// endings of number, gender and case are made of, down to four letters (as Savoy 2006 does). Forms that a stemmer joins
// wrongly make a sentence share more, never less.
std::string stem_term(std::string term, Language language);

}  // namespace elrt
