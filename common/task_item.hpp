// One question of a task suite and its JSONL form, one object a line. `elastify-suite tasks` writes it, `elastify eval`
// and `elastic-run replay` read it, and users write their own: question, options and answer are required, everything
// else is optional.
//
//   {"context": "Maya brings the cake. Leo sits in room 4.", "question": "Who brings the cake?",
//    "options": ["Leo", "Maya"], "answer": 1}
//
// Field         Meaning (default)
// id            name of the item (FILE:LINE)
// family        group in which it is counted ("tasks")
// slo           shares of the full model's time to first token and time per output token that are allowed ([1, 1])
// context       what the answer stands in ("")
// options       at least two texts, pairwise different; answer is the index of the right one, from 0
// The rest is written by the generator, for the checker and for evaluation only; a model never sees it:
// option_values per option, the values that stand in it
// hops          1, or 2 where the question names its subject through another fact
// fact_count    number of facts in the context
// relevant      [begin, end) byte ranges of the context that the answer needs
// facts         every fact: relation, slots (name to value) and the byte range of its sentence
// query         the question without words: the one fact of `relation` whose slots are `given`; `answer` is the pattern
//               of the right option. A given slot may be an object instead of a value: the value of `slot` in the one
//               fact of another relation.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <filesystem>

namespace common {

namespace fs = std::filesystem;

// Bytes [begin, end) of a text.
struct ByteSpan {
  std::size_t begin = 0, end = 0;
  bool operator==(const ByteSpan&) const = default;
};

using SlotValues = std::map<std::string, std::string>;  // slot name to value

struct TaskFact {
  std::string relation;
  SlotValues slots;
  ByteSpan span;
};

// "the person who brings the cake": the value of `slot` in the one fact that holds `given`.
struct TaskReference {
  std::string relation, slot;
  SlotValues given;
};

struct TaskQuery {
  std::string relation;
  SlotValues given;
  std::map<std::string, TaskReference> referred;  // given slots that are named through another fact
  std::string answer;                             // "{who}"
};

struct TaskItem {
  std::string id, family = "tasks";
  std::array<double, 2> slo{1, 1};
  std::string context, question;
  std::vector<std::string> options;
  std::vector<std::vector<std::string>> option_values;
  std::size_t answer = 0;
  int hops = 1;
  std::size_t fact_count = 0;
  std::vector<ByteSpan> relevant;
  std::vector<TaskFact> facts;
  std::optional<TaskQuery> query;
};

// What a model reads before an option: context, newline, question, newline, "A:". No context, no first line.
std::string task_prompt(const TaskItem& item);
// The same without the context: a further question after an answer.
std::string further_prompt(const TaskItem& item);
// An option as a model reads it after the prompt: a space comes first, so that its words have the tokens that they
// have inside a sentence, where tokenizers join a word with the space before it.
std::string option_behind_prompt(const std::string& option);

// One line of JSON without its newline. parse_task gives the same item back.
std::string format_task(const TaskItem& item);

// Requests that are only served, and not checked, need no options.
enum class TaskOptions { kRequired, kOptional };

// `where` ("FILE line 3") opens every message; a missing id becomes `fallback_id`. Throws Error(kBadData) on text that
// is not UTF-8 or not JSON, a missing or ill-typed field, fewer than two options, options of equal text (spaces apart),
// an answer out of range. Unknown fields are ignored, so that users may keep their own.
TaskItem parse_task(std::string_view line, const std::string& where, const std::string& fallback_id,
                    TaskOptions options = TaskOptions::kRequired);

// Every item of a JSONL file, blank lines apart. Throws Error(kBadData) with file and line; also for a file without
// items.
std::vector<TaskItem> read_tasks(const fs::path& path, TaskOptions options = TaskOptions::kRequired);

}  // namespace common
