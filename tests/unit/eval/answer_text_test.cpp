#include "eval/answer_text.h"

#include <catch2/catch.hpp>

using elastify::same_answer;

TEST_CASE("case, spaces and final punctuation do not make an answer wrong", "[eval][unit]") {
  CHECK(same_answer(" At  five\to'clock. ", "at five o'clock"));
  CHECK(same_answer("Yes!?", "yes"));
  CHECK(same_answer("set_alarm(time=7:30)", "Set_alarm(time=7:30) ."));
  CHECK_FALSE(same_answer("7:30", "730"));
  CHECK_FALSE(same_answer("Leo and Maya", "Leo"));
  CHECK_FALSE(same_answer("", "no"));
  CHECK_FALSE(same_answer("L.eo", "Leo"));
}
