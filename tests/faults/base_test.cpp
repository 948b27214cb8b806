// Files and folders that are replaced, and threads that do not start.
#include "faults/faults.h"

namespace {

using elastify_test::FaultOutcome;
using elastify_test::read_bytes;
using elastify_test::sweep;
using elastify_test::TempDir;
using elastify_test::write_bytes;
namespace fs = std::filesystem;

const std::string kProgram = "../tests/faults_base";

}  // namespace

TEST_CASE("a folder that is replaced is the old one or the new one, whole", "[faults]") {
  const TempDir dir;
  const fs::path folder = dir / "folder";
  const auto prepare = [&] {
    fs::remove_all(folder);
    fs::create_directories(folder / "inside");
    write_bytes(folder / "a", "old a");
    write_bytes(folder / "inside" / "b", "old b");
  };
  // No allocation: the C++ library's walk through a folder lets no exception pass, so that its memory ends the process.
  for (const char* kind : {"write", "sync", "rename", "open", "exchange"}) {
    int failures = 0;
    const auto check = [&](const FaultOutcome& outcome) {
      const std::string a = read_bytes(folder / "a"), b = read_bytes(folder / "inside" / "b");
      CHECK(((a == "old a" && b == "old b") || (a == "new a" && b == "new b")));
      if (outcome.status == 0) CHECK(a == "new a");
      failures += outcome.status != 0 ? 1 : 0;
    };
    INFO(kind);
    CHECK(sweep(kProgram, "folder " + folder.string(), kind, 100, check, prepare) > 0);
    CHECK((failures > 0) == (std::string(kind) != "exchange"));
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) <= 2);
  }
}

TEST_CASE("a file that is replaced is the old one or the new one", "[faults]") {
  const TempDir dir;
  const fs::path file = dir / "file";
  for (const char* kind : {"write", "sync", "rename", "open"}) {
    const auto check = [&](const FaultOutcome& outcome) {
      CHECK(outcome.status == 1);
      CHECK((read_bytes(file) == "old" || read_bytes(file) == "new"));
      CHECK_FALSE(fs::exists(dir / "file.partial"));
    };
    CHECK(sweep(kProgram, "file " + file.string(), kind, 100, check, [&] { write_bytes(file, "old"); }) > 0);
  }
}

TEST_CASE("threads that cannot start end the work and not the process", "[faults]") {
  const long threads = sweep(kProgram, "workers", "thread", 100, [](const FaultOutcome& outcome) {
    CHECK(outcome.status == 1);
    CHECK_THAT(outcome.err, Catch::Matchers::Contains("cannot start thread"));
  });
  CHECK(threads == 7);
}
