// The material of the task suite: values, sentence templates and relations, read from datasets/tasks.
//
//   DIR/pools/*.json  values by type: {"person": {"train": [..], "validation": [..], "test": [..]}, "day": {"all":
//   [..]}}.
//                     A value may hold {type} references, drawn again each time. Types of all files are merged.
//                     "generic_words" lists words that may stand in values of several splits ("Street").
//   DIR/*.json        one family each, FAMILY.json; datasets/tasks/README.md describes the fields
// "about" (text) is allowed at the top of every file.
//
// A fact is an instance of a relation: one value per slot. A template is text with {slot} marks.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace elastify {

enum class Split { kTrain, kValidation, kTest };
inline constexpr std::array<Split, 3> kSplits{Split::kTrain, Split::kValidation, Split::kTest};
std::string_view split_name(Split split);  // "train", "validation", "test"

// Something per split.
template <typename T>
struct BySplit {
  std::array<T, 3> of;
  T& operator[](Split split) { return of[static_cast<std::size_t>(split)]; }
  const T& operator[](Split split) const { return of[static_cast<std::size_t>(split)]; }
};

// A text cut at its marks. `slot` indexes the relation's slots, or TaskBank::pools in values, openings and filler;
// kLiteral marks plain text.
struct TextTemplate {
  static constexpr int kLiteral = -1;
  struct Piece {
    std::string text;  // of a mark: the name in braces
    int slot = kLiteral;
  };
  std::string source;
  std::vector<Piece> pieces;

  bool mentions(int slot) const;
};
using Templates = BySplit<std::vector<TextTemplate>>;

struct ValuePool {
  std::string type;
  Templates values;
  bool named = false;           // differs between splits, itself or through the types that it refers to
  BySplit<double> value_count;  // number of different values, before chance equalities
};

struct RelationSlot {
  std::string name;
  int pool = 0;  // index in TaskBank::pools
};

struct Ask {
  std::vector<int> answer_slots, given;  // indices in Relation::slots
  Templates questions, answers;
  std::string kind;  // asks of one kind with the same questions lend each other whole answers; empty: none
};

struct Relation {
  std::string name;
  std::vector<RelationSlot> slots;
  Templates statements;
  std::vector<Ask> asks;
  std::map<int, Templates> refer;  // slot index to noun phrases that name its value through the other slots
};

struct CountRange {
  std::int64_t low = 0, high = 0;
};

struct Family {
  std::string name;
  std::array<double, 2> slo{1, 1};
  bool lines = false;  // sentences of a context stand on lines of their own
  CountRange facts, filler_sentences;
  Templates openings, filler;
  std::vector<Relation> relations;
};

struct TaskBank {
  std::vector<ValuePool> pools;
  std::vector<Family> families;  // by name

  const Family& family(std::string_view name) const;  // throws Error(kUsage) that lists the known ones
};

// One line each, opening with file and path: "recorder.json relations[2].asks[0].questions.test[1]: unknown slot {wh}".
struct BankReport {
  std::vector<std::string> problems;  // the bank cannot be used
  std::vector<std::string> warnings;  // it can, but is weaker than meant
};

// Reads and checks everything; what is wrong with the content goes into `report`. With problems, the result must not be
// used. Throws Error(kBadData) only if `directory` is no folder.
TaskBank read_task_bank(const fs::path& directory, BankReport& report);

// The same, but throws Error(kBadData) that lists all problems; warnings go to the log at debug level.
TaskBank load_task_bank(const fs::path& directory);

}  // namespace elastify
