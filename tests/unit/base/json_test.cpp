// JSON that parsers disagree about is refused, whichever file holds it.
#include <catch2/catch.hpp>

#include "base/config.h"
#include "base/files.h"
#include "base/json.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

}  // namespace

TEST_CASE("a key that stands twice in one object is refused, at any depth", "[base][unit]") {
  expect_error(ErrorCode::kBadData, {"f.json", "\"a\"", "stands twice"},
               [] { parse_json(R"({"a": 1, "b": 2, "a": 1})", "f.json"); });
  expect_error(ErrorCode::kBadData, {"\"deep\"", "stands twice"},
               [] { parse_json(R"([{"x": {"deep": [], "y": {}, "deep": []}}])", "f.json"); });
  // The same text by another spelling.
  expect_error(ErrorCode::kBadData, {"stands twice"}, [] { parse_json(R"({"a": 1, "\u0061": 2})", "f.json"); });
  REQUIRE(parse_json(R"([{"a": 1}, {"a": 2, "b": {"a": 3}}])", "f.json").size() == 2);
}

TEST_CASE("what is not JSON is named with its line, and nothing of the library's own text", "[base][unit]") {
  expect_error(ErrorCode::kBadData, {"f.json line 2 is not valid JSON"}, [] { parse_json("{\n\"a\": }", "f.json"); });
  expect_error(ErrorCode::kBadData, {"f.json line 7 is not valid JSON"}, [] { parse_json("{", "f.json line 7"); });
  expect_error(ErrorCode::kBadData, {"beyond"}, [] { parse_json("[1e999]", "f.json"); });
  expect_error(ErrorCode::kBadData, {"not UTF-8", "0xff"}, [] { parse_json("\"\xff\"", "f.json"); });
  expect_error(ErrorCode::kBadData, {"nested"},
               [] { parse_json(std::string(100'000, '[') + std::string(100'000, ']'), "f.json"); });
  expect_error(ErrorCode::kBadData, {"not valid JSON"}, [] { parse_json("", "f.json"); });
  REQUIRE(parse_json("\xef\xbb\xbf{}", "f.json").is_object());
}

TEST_CASE("a section that stands twice in a settings file is a usage error", "[base][unit]") {
  const TempDir dir;
  write_file(dir / "s.json", R"({"seed": 1, "finetune": {"steps": 5}, "finetune": {"steps": 9}})");
  expect_error(ErrorCode::kUsage, {"s.json", "\"finetune\"", "stands twice"},
               [&] { read_config_document(dir / "s.json", {}); });
  expect_error(ErrorCode::kBadData, {"s.json", "\"finetune\"", "stands twice"}, [&] { read_json(dir / "s.json"); });
}
