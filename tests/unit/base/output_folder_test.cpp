// Folders that commands fill: names are normalised, and nothing goes that the tool did not make.
#include "base/output_folder.h"

#include "support/expect_error.h"
#include "support/temp_dir.h"

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::read_bytes;
using elastify_test::TempDir;
using elastify_test::write_bytes;

namespace {

void fill(const fs::path& named, std::initializer_list<const char*> names, const std::string& text = "new") {
  OutputFolder folder(named);
  for (const char* name : names) write_bytes(folder.path() / name, text);
  folder.commit();
}

}  // namespace

TEST_CASE("a name means the folder that a user means", "[base][unit]") {
  const TempDir dir;
  const fs::path root = fs::canonical(dir.path());
  fs::create_directory(root / "real");
  fs::create_symlink(root / "real", root / "link");
  CHECK(output_path(root / "new/") == root / "new");
  CHECK(output_path(root / "real/../new") == root / "new");
  CHECK(output_path(root / "real/.") == root / "real");
  CHECK(output_path(root / "link/") == root / "real");
  CHECK(output_path(".") == fs::current_path());
  write_bytes(root / "file", "x");
  expect_error(ErrorCode::kUsage, {"file", "expected a folder"}, [&] { output_path(root / "file"); });
  expect_error(ErrorCode::kUsage, {"no name"}, [&] { output_path(""); });
}

TEST_CASE("a folder appears whole, also with a slash at its end, and is replaced where it is ours", "[base][unit]") {
  const TempDir dir;
  fill(dir.path() / "new/", {"a", "b"});
  CHECK(read_bytes(dir / "new/a") == "new");
  CHECK(fs::exists(dir / "new/b"));
  fill(dir / "new", {"a"}, "second");
  CHECK(read_bytes(dir / "new/a") == "second");
  CHECK_FALSE(fs::exists(dir / "new/b"));  // of the run before
  { const OutputFolder dropped(dir / "new"); }
  { const OutputFolder dropped(dir / "other"); }
  CHECK(read_bytes(dir / "new/a") == "second");
  std::vector<std::string> left;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path()))
    left.push_back(entry.path().filename().string());
  std::sort(left.begin(), left.end());
  CHECK(left == std::vector<std::string>{".elastify", "a", "new"});
}

TEST_CASE("what the tool did not make stays, and is named", "[base][unit]") {
  const TempDir dir;
  write_bytes(dir / "keep.txt", "mine");
  for (const fs::path& named : {dir.path(), dir.path() / ".", dir.path() / "new/.."}) {
    expect_error(ErrorCode::kUsage, {"keep.txt", "in the way"}, [&] { OutputFolder folder(named); });
    CHECK(read_bytes(dir / "keep.txt") == "mine");
  }
  fill(dir / "made", {"a"});
  write_bytes(dir / "made/notes", "mine");
  expect_error(ErrorCode::kUsage, {"notes", "in the way"}, [&] { OutputFolder folder(dir / "made"); });
  fs::create_directory(dir / "next.partial");
  write_bytes(dir / "next.partial/notes", "mine");
  expect_error(ErrorCode::kUsage, {"next.partial", "in the way"}, [&] { OutputFolder folder(dir / "next"); });
  CHECK(read_bytes(dir / "next.partial/notes") == "mine");
}

TEST_CASE("an empty folder is free", "[base][unit]") {
  const TempDir dir;
  fs::create_directory(dir / "empty");
  fill(dir / "empty", {"a"});
  CHECK(read_bytes(dir / "empty/a") == "new");
}

TEST_CASE("files in a shared folder are claimed by name", "[base][unit]") {
  const TempDir dir;
  write_bytes(dir / "notes", "mine");
  claim_outputs(dir.path(), {"train.jsonl"});
  write_bytes(dir / "train.jsonl", "made");
  claim_outputs(dir.path(), {"train.jsonl", "test.jsonl"});
  expect_error(ErrorCode::kUsage, {"notes", "in the way"}, [&] { claim_outputs(dir.path(), {"notes"}); });
  CHECK(read_bytes(dir / "notes") == "mine");
}
