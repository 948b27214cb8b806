#include "data/hdf5_file.h"
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
  for (const bool phases : {true, false}) {
    const OutcomeTable table = random_outcomes(7, 2, phases);
    save_outcomes(dir / "a.h5", table);
    save_outcomes(dir / "b.h5", table);
    const OutcomeTable loaded = load_outcomes(dir / "a.h5");
    CHECK(same(loaded, table));
    CHECK(loaded.phases() == phases);
    CHECK(read_bytes(dir / "a.h5") == read_bytes(dir / "b.h5"));
  }
}

TEST_CASE("outcomes at one level are those that decode at the level that read", "[label][unit]") {
  const OutcomeTable table = random_outcomes(9, 3);
  const torch::Tensor all = table.right(), one = table.right_at_one_level();
  REQUIRE(one.sizes() == torch::IntArrayRef({9, 3, 4}));
  for (std::int64_t m = 0; m < 3; ++m) CHECK(torch::equal(one.select(1, m), all.select(1, m).select(1, m)));
}

TEST_CASE("parts joined are the whole, also where one has fewer options", "[label][unit]") {
  const OutcomeTable table = random_outcomes(7, 2);
  CHECK(same(join_tables({table.take_rows(torch::arange(3)), table.take_rows(torch::arange(3, 7))}), table));
  OutcomeTable narrow = table;
  narrow.losses = table.losses.narrow(4, 0, 2).contiguous();
  const OutcomeTable joined = join_tables({table, narrow});
  CHECK(joined.losses.size(4) == 3);
  CHECK((joined.losses.narrow(0, 7, 7).select(4, 2) == -1).all().item<bool>());
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
  table.chosen[0][0][0][0] = 9;
  save_outcomes(dir / "a.h5", table);
  refused({"outcomes/chosen", "9"});
  const auto with_chosen = [&](std::int64_t m, std::int64_t d, std::int64_t value, bool phases) {
    table = random_outcomes(7, 2, phases);
    table.chosen[3][m][d][1] = value;
    save_outcomes(dir / "a.h5", table);
  };
  with_chosen(1, 1, -1, true);
  refused({"outcomes/chosen", "model level 60", "decode level 60", "27", "28"});
  with_chosen(1, 0, -1, true);
  refused({"outcomes/chosen", "model level 60", "decode level 20", "labelled"});
  with_chosen(1, 2, 0, true);
  refused({"outcomes/chosen", "model level 60", "decode level 100", "must be -1"});
  with_chosen(2, 1, 0, false);
  refused({"outcomes/chosen", "model level 100", "decode level 60", "must be -1"});
  table = random_outcomes(7, 2);
  table.prompt_levels.back() = 99;
  save_outcomes(dir / "a.h5", table);
  refused({"prompt_levels", "99"});
}

TEST_CASE("label files of before there were decode levels ask to be made again", "[label][unit]") {
  const TempDir dir;
  Hdf5Writer writer;
  writer.attribute("format_version", std::int64_t{1});
  writer.save(dir / "old.h5");
  expect_error(ErrorCode::kBadData, {"old.h5", "version 1", "expected 2", "run the label stage again"},
               [&] { load_outcomes(dir / "old.h5"); });
}
