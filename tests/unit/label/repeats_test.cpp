#include "label/repeats.h"
#include "support/expect_error.h"
#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("a task is asked again with another cue at every prompt level, and is otherwise the same", "[label][unit]") {
  PreparedTask task;
  task.options = {"yes", "no"};
  task.prompts = {"Q?\nA:", "The cat sits.\nQ?\nA:"};
  const auto again = asked_again({task}, 1);
  CHECK(again[0].prompts == std::vector<std::string>{"Q?\nAnswer:", "The cat sits.\nQ?\nAnswer:"});
  CHECK(again[0].options == task.options);
  CHECK(asked_again({task}, 0)[0].prompts == task.prompts);
  task.prompts[0] = "Q?";
  expect_error(ErrorCode::kInternal, {"does not end with its cue"}, [&] { asked_again({task}, 2); });
}
