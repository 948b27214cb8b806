#include "eval/answer_text.h"

#include "data/words.h"

namespace elastify {

std::string fold_answer(std::string_view text) {
  std::string folded = fold_text(text);
  while (!folded.empty() && std::string_view(".,;:!? ").find(folded.back()) != std::string_view::npos)
    folded.pop_back();
  return folded;
}

bool same_answer(std::string_view a, std::string_view b) { return fold_answer(a) == fold_answer(b); }

}  // namespace elastify
