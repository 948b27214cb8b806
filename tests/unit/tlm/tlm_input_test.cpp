// From word pieces to rows and batches.
#include "support.h"

using namespace elastify;
using namespace elastify_test;
using Ids = std::vector<std::int64_t>;

TEST_CASE("a row is [CLS], the SLO, the pieces with their words, [SEP]", "[tlm][unit]") {
  const auto vocabulary = elrt::WordPiece::create({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "a"});
  REQUIRE(vocabulary.ok());
  auto pieces = vocabulary->encode("a unable [SEP]");
  REQUIRE(pieces.ok());
  vocabulary->mark_question(pieces.value(), {2, 4});
  const TlmRow row = make_row(vocabulary.value(), pieces->tokens, SloIds{9, 12});
  CHECK(row.tokens == Ids{2, 9, 12, 7, 5, 6, 1, 1, 1, 3});  // "[", "sep" and "]" are unknown here, and no separator
  CHECK(row.words == Ids{-1, -1, -1, 0, 1, 1, 2, 2, 2, -1});
  CHECK(row.types == Ids{0, 0, 0, 0, 1, 1, 0, 0, 0, 0});
  CHECK(make_row(vocabulary.value(), {}, std::nullopt).tokens == Ids{2, 3});
}

TEST_CASE("a batch pads on the right and knows where", "[tlm][unit]") {
  const std::vector<TlmRow> rows = {{{2, 7}, {-1, 0}}, {{2, 5, 6, 3}, {-1, 0, 0, -1}, {0, 1, 1, 0}}};
  const TlmBatch batch = make_batch(rows, 9, torch::kCPU);
  CHECK(torch::equal(batch.tokens, torch::tensor(Ids{2, 7, 9, 9, 2, 5, 6, 3}).view({2, 4})));
  CHECK(torch::equal(batch.words, torch::tensor(Ids{-1, 0, -1, -1, -1, 0, 0, -1}).view({2, 4})));
  CHECK(torch::equal(batch.types, torch::tensor(Ids{0, 0, 0, 0, 0, 1, 1, 0}).view({2, 4})));
  CHECK(torch::equal(batch.mask, torch::tensor(Ids{1, 1, 0, 0, 1, 1, 1, 1}).view({2, 4}).to(torch::kBool)));
  expect_error(ErrorCode::kInternal, {"row"}, [] { make_batch({}, 0, torch::kCPU); });
  const TlmRow none;
  expect_error(ErrorCode::kInternal, {"row"}, [&] { make_batch(std::span(&none, 1), 0, torch::kCPU); });
}
