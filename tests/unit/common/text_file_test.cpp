// One set of rules for text files.
#include "common/text_file.hpp"

#include <catch2/catch.hpp>

#include "common/error.hpp"
#include "common/utf8.hpp"
#include "support/temp_dir.h"

using namespace common;
using elastify_test::TempDir;
using elastify_test::write_bytes;

namespace {

struct Folder {
  TempDir dir;
  std::string file(const std::string& name, const std::string& bytes) const {
    write_bytes(dir / name, bytes);
    return (dir / name).string();
  }
};

template <typename F>
void refuses(F&& read, std::initializer_list<const char*> words) {
  try {
    read();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == ErrorCode::kBadData);
    for (const char* word : words) CHECK_THAT(std::string(error.what()), Catch::Matchers::Contains(word));
    return;
  }
  FAIL("nothing was refused");
}

}  // namespace

TEST_CASE("a byte order mark is no part of the text", "[common][unit]") {
  const Folder folder;
  CHECK(read_text(folder.file("a.txt", "\xef\xbb\xbfOnce")) == "Once");
  CHECK(read_text(folder.file("b.txt", "Once")) == "Once");
  CHECK(read_text(folder.file("c.txt", "")).empty());
}

TEST_CASE("other encodings are refused by name", "[common][unit]") {
  using namespace std::string_literals;
  const Folder folder;
  const auto read = [&](const std::string& bytes) { return [=, &folder] { read_text(folder.file("a.txt", bytes)); }; };
  refuses(read("\xff\xfeO\0n\0"s), {"a.txt", "UTF-16", "iconv"});
  refuses(read("\xfe\xff\0O\0n"s), {"UTF-16"});
  refuses(read("\xff\xfe\0\0O\0\0\0"s), {"UTF-32"});
  refuses(read("ab\nO\0n\0"s), {"line 2", "byte 4", "zero"});
  refuses(read("ab\n\xe4h"), {"line 2", "byte 3", "0xe4"});
}

TEST_CASE("a folder and a missing file are told apart", "[common][unit]") {
  const Folder folder;
  refuses([&] { read_text(folder.dir.path()); }, {"is a folder"});
  refuses([&] { read_plain_text(folder.dir.path().string()); }, {"is a folder"});
  refuses([&] { read_text(folder.dir / "none.txt"); }, {"none.txt", "No such file"});
}

TEST_CASE("the extension tells the kind, in any case", "[common][unit]") {
  CHECK(text_kind("a.JSONL") == TextKind::kJsonLines);
  CHECK(text_kind("a.ndjson") == TextKind::kJsonLines);
  CHECK(text_kind("a.Json") == TextKind::kJson);
  CHECK(text_kind("a.CSV") == TextKind::kTable);
  CHECK(text_kind("a.tsv") == TextKind::kTable);
  CHECK(text_kind("a.txt") == TextKind::kPlain);
  CHECK(text_kind("README") == TextKind::kPlain);
  const Folder folder;
  refuses([&] { read_plain_text(folder.file("a.NDJSON", "{}")); }, {"a.NDJSON", "JSON records"});
  refuses([&] { read_plain_text(folder.file("a.csv", "a,b")); }, {"a.csv", "table"});
}

TEST_CASE("UTF-8 is checked by the standard's table", "[common][unit]") {
  for (const char* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    CHECK_FALSE(first_invalid_utf8(good));
  CHECK(first_invalid_utf8("a\xc3") == 1u);     // cut short
  CHECK(first_invalid_utf8("\xc0\x80") == 0u);  // too long a form
  CHECK(first_invalid_utf8("\xe0\x80\x80") == 0u);
  CHECK(first_invalid_utf8("\xed\xa0\x80") == 0u);      // a surrogate
  CHECK(first_invalid_utf8("\xf4\x90\x80\x80") == 0u);  // beyond the last character
  CHECK(first_invalid_utf8("ab\x80") == 2u);
}
