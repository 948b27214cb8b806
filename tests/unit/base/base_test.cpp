// Configuration, atomic files and hashes.
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <csignal>

#include "base/config.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "support/expect_error.h"
#include "support/skip.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

struct Inner {
  double share = 0.2;
  std::vector<std::int64_t> levels = {1, 2};
  template <typename V>
  void visit(V& v) {
    v.number("share", share, 0, 1);
    v.integers("levels", levels, 1, 100);
  }
};

struct Outer {
  std::string mode = "fast";
  std::int64_t steps = 3;
  bool on = false;
  Inner inner;
  template <typename V>
  void visit(V& v) {
    v.choice("mode", mode, {"fast", "slow"});
    v.integer("steps", steps, 1, 10);
    v.flag("on", on);
    v.section("inner", inner);
  }
};

}  // namespace

TEST_CASE("a configuration overrides defaults and writes itself back", "[base][unit]") {
  const Outer outer = read_config<Outer>(json::parse(R"({"mode": "slow", "inner": {"share": 0.5}})"), "f");
  REQUIRE(outer.mode == "slow");
  REQUIRE(outer.steps == 3);
  REQUIRE(outer.inner.share == 0.5);
  REQUIRE(config_to_json(outer) ==
          json::parse(R"({"mode": "slow", "steps": 3, "on": false, "inner": {"share": 0.5, "levels": [1, 2]}})"));
}

TEST_CASE("all problems of a configuration are reported together", "[base][unit]") {
  expect_error(ErrorCode::kUsage,
               {"5 problems", "mode: expected one of fast, slow", "steps: expected a whole number in [1, 10], found 11",
                "on: expected true or false", "inner.share", "inner.typo: unknown key; known here: levels, share"},
               [] {
                 read_config<Outer>(
                     json::parse(R"({"mode": "x", "steps": 11, "on": 1, "inner": {"share": 2, "typo": 0}})"), "f");
               });
  expect_error(ErrorCode::kUsage, {"expected an object"}, [] { read_config<Outer>(json::parse("[]"), "f"); });
  expect_error(ErrorCode::kUsage, {"steps"},
               [] { read_config<Outer>(json::parse(R"({"steps": 18446744073709551615})"), "f"); });
}

TEST_CASE("overrides reach into sections", "[base][unit]") {
  json document = json::parse(R"({"inner": {"share": 0.1}})");
  apply_override(document, "inner.share=0.7");
  apply_override(document, "inner.levels=[3]");
  apply_override(document, "mode=slow");
  REQUIRE(document == json::parse(R"({"inner": {"share": 0.7, "levels": [3]}, "mode": "slow"})"));
  expect_error(ErrorCode::kUsage, {"KEY=VALUE"}, [&] { apply_override(document, "mode"); });
  expect_error(ErrorCode::kUsage, {"not a section"}, [&] { apply_override(document, "mode.deep=1"); });
  expect_error(ErrorCode::kUsage, {"--set inner=", "\"a\"", "stands twice"},
               [&] { apply_override(document, R"(inner={"a": 1, "a": 2})"); });
}

TEST_CASE("an atomic file that is not committed leaves the old one alone", "[base][unit]") {
  const TempDir dir;
  write_file(dir / "a", "old");
  {
    AtomicFile file(dir / "a");
    file.write("new", 3);
  }
  REQUIRE(read_file(dir / "a") == "old");
  REQUIRE(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("an atomic file writes through no link, what a killed run left included", "[base][unit]") {
  const TempDir dir;
  write_file(dir / "a", "old");
  fs::create_hard_link(dir / "a", dir / "linked");
  fs::create_hard_link(dir / "a", dir / "a.partial");
  write_file(dir / "a", "new");
  CHECK(read_file(dir / "a") == "new");
  CHECK(read_file(dir / "linked") == "old");
}

TEST_CASE("a write that the disk refuses is an error and leaves the old file alone", "[base][unit]") {
  const TempDir dir;
  write_file(dir / "a", "old");
  // A limit on file sizes stands in for a full disk: the same failed write.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  expect_error(ErrorCode::kInternal, {"cannot write", "a.partial"},
               [&] { write_file(dir / "a", std::string(100000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE(read_file(dir / "a") == "old");
  REQUIRE_FALSE(fs::exists(dir / "a.partial"));
}

TEST_CASE("an atomic folder replaces the old one whole", "[base][unit]") {
  const TempDir dir;
  for (const char* text : {"first", "second"}) {
    AtomicDirectory directory(dir / "d");
    write_file(directory.path() / text, text);
    directory.commit();
  }
  REQUIRE_FALSE(fs::exists((dir / "d") / "first"));
  REQUIRE(read_file((dir / "d") / "second") == "second");
  { AtomicDirectory dropped(dir / "d"); }
  REQUIRE(fs::exists((dir / "d") / "second"));
}

TEST_CASE("unreadable files are named", "[base][unit]") {
  const TempDir dir;
  expect_error(ErrorCode::kBadData, {"cannot open", "nothing"}, [&] { read_file(dir / "nothing"); });
  expect_error(ErrorCode::kBadData, {"not a regular file"}, [&] { read_file(dir.path()); });
  write_file(dir / "bad.json", "{\"a\": ");
  expect_error(ErrorCode::kBadData, {"bad.json", "not valid JSON"}, [&] { read_json(dir / "bad.json"); });
}

TEST_CASE("hashes and seeds depend on everything given", "[base][unit]") {
  REQUIRE(hash_text("") == "99aa06d3014798d86001c324468d497f");  // published XXH3-128 of the empty input
  REQUIRE(derive_seed(1, "a") != derive_seed(2, "a"));
  REQUIRE(derive_seed(1, "a") != derive_seed(1, "b"));
  REQUIRE(derive_seed(1, "a", 0) != derive_seed(1, "a", 1));
  REQUIRE(derive_seed(1, "a") == derive_seed(1, "a"));
}

TEST_CASE("sizes and times read well", "[base][unit]") {
  REQUIRE(format_bytes(512) == "512 B");
  REQUIRE(format_bytes(1536) == "1.5 KiB");
  REQUIRE(format_duration(59) == "59 s");
  REQUIRE(format_duration(200) == "3 m 20 s");
  REQUIRE(format_duration(3900) == "1 h 5 m");
  expect_error(ErrorCode::kUsage, {"log level 'loud'"}, [] { set_up_log("loud"); });
}
