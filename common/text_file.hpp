// Text files, read by one set of rules wherever a program takes text, tasks or requests:
//
// * UTF-8. A byte order mark at the start is dropped. UTF-16, UTF-32 and other encodings are refused with the line and
//   byte and the command that converts them; so is a zero byte, which no text has.
// * What the file holds is told by its extension, in any case: .jsonl and .ndjson one JSON object a line, .json one
//   document, .csv and .tsv a table; everything else is plain text.
// * A folder is named as one. A read error is an error, never the end of the file.
// * Pipes work (/dev/stdin, <(command)); where a command takes "-", it means standard input.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace common {

namespace fs = std::filesystem;

enum class TextKind { kPlain, kJsonLines, kJson, kTable };
TextKind text_kind(const fs::path& path);
std::string lower_extension(const fs::path& path);  // ".jsonl" of "A.JSONL"

// The whole file without its mark. Throws Error(kBadData) as above; kInternal where the system fails to read.
std::string read_text(const fs::path& path);
// The same; "-" is standard input.
std::string read_text_or_input(const std::string& name);
// The same for commands that take one plain text: records and tables are refused by name.
std::string read_plain_text(const std::string& name);

// The text's bytes as they came: mark dropped, encoding checked. `name` opens every message.
std::string checked_text(std::string bytes, const std::string& name);

std::size_t line_of(std::string_view text, std::size_t byte);  // from 1

}  // namespace common
