#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

bool same(const OutcomeTable& a, const OutcomeTable& b) {
  return a.model_levels == b.model_levels && a.prompt_levels == b.prompt_levels && a.families == b.families &&
         torch::equal(a.task, b.task) && torch::equal(a.split, b.split) && torch::equal(a.family, b.family) &&
         torch::equal(a.answer, b.answer) && torch::equal(a.output_tokens, b.output_tokens) &&
         torch::equal(a.prompt_tokens, b.prompt_tokens) && torch::equal(a.prompt_words, b.prompt_words) &&
         torch::equal(a.chosen, b.chosen) && torch::equal(a.losses, b.losses);
}

}  // namespace

TEST_CASE("outcomes come back from labels.h5 as they were, and equal tables give equal bytes", "[label][unit]") {
  const TempDir dir;
  const OutcomeTable table = random_outcomes(7, 2);
  save_outcomes(dir / "a.h5", table);
  save_outcomes(dir / "b.h5", table);
  CHECK(same(load_outcomes(dir / "a.h5"), table));
  CHECK(read_bytes(dir / "a.h5") == read_bytes(dir / "b.h5"));
}

TEST_CASE("parts joined are the whole, also where one has fewer options", "[label][unit]") {
  const OutcomeTable table = random_outcomes(7, 2);
  CHECK(same(join_tables({table.take_rows(torch::arange(3)), table.take_rows(torch::arange(3, 7))}), table));
  OutcomeTable narrow = table;
  narrow.losses = table.losses.narrow(3, 0, 2).contiguous();
  const OutcomeTable joined = join_tables({table, narrow});
  CHECK(joined.losses.size(3) == 3);
  CHECK((joined.losses.narrow(0, 7, 7).select(3, 2) == -1).all().item<bool>());
}

TEST_CASE("damaged label files are refused", "[label][unit]") {
  const TempDir dir;
  const auto refused = [&](std::initializer_list<const char*> words) {
    expect_error(ErrorCode::kBadData, words, [&] { load_outcomes(dir / "a.h5"); });
  };
  OutcomeTable table = random_outcomes(7, 2);
  save_outcomes(dir / "a.h5", table);
  const std::string whole = read_bytes(dir / "a.h5");
  write_bytes(dir / "a.h5", whole.substr(0, whole.size() / 2));
  refused({"a.h5"});
  table.chosen[0][0][0] = 9;
  save_outcomes(dir / "a.h5", table);
  refused({"outcomes/chosen", "9"});
  table = random_outcomes(7, 2);
  table.prompt_levels.back() = 99;
  save_outcomes(dir / "a.h5", table);
  refused({"prompt_levels", "99"});
}
