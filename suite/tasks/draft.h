// A context while it is drawn: its facts, its sentences and the values that stand in it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "data/item.h"
#include "tasks/bank.h"
#include "tasks/draws.h"

namespace elastify {

struct DraftFact {
  std::size_t relation = 0;         // index in Family::relations
  std::vector<std::string> values;  // per slot
  std::string sentence;
};

class Draft {
 public:
  // Of wordings of facts and questions, the first `max_wordings` are drawn.
  Draft(const TaskBank& bank, const Family& family, Split split, Draws& draws, std::size_t max_wordings);

  // Index of one of `count` wordings.
  std::size_t draw_wording(std::size_t count) const { return draws_.below(std::min(count, max_wordings_)); }

  // A new value of the pool, which neither contains nor is contained in one that the context holds. A pool that is used
  // up lends a value again.
  std::string draw_value(int pool);
  // One value of the pool that the context holds, or a new one where it holds none.
  std::string repeat_value(int pool);

  // `values[slot]` is kept where it is not empty, drawn otherwise.
  void add_fact(std::size_t relation, std::vector<std::string> values = {});
  void set_opening();
  // `count` filler sentences, no template twice. About half of their values repeat values of the context, the others
  // are new; so that how often a value is mentioned tells nothing. Templates that mention a wanted pool come first and
  // bring new values of it: wanted[pool] is how many are needed.
  void add_filler(std::size_t count, std::vector<std::size_t> wanted);

  const Relation& relation_of(const DraftFact& fact) const { return family_.relations[fact.relation]; }
  const Family& family() const { return family_; }
  Split split() const { return split_; }
  Draws& draws() const { return draws_; }
  const std::vector<DraftFact>& facts() const { return facts_; }
  const std::vector<std::string>& values(int pool) const { return values_[static_cast<std::size_t>(pool)]; }

  // Facts with these values in these slots.
  std::vector<std::size_t> facts_with(std::size_t relation, const std::vector<int>& slots,
                                      const std::vector<std::string>& values) const;

  // Opening, then facts and filler in random order; `spans` gives each fact's sentence.
  std::string arrange(std::vector<ByteSpan>& spans);

 private:
  std::string expand(int pool);
  bool clashes(int pool, const std::string& value) const;

  const TaskBank& bank_;
  const Family& family_;
  Split split_;
  Draws& draws_;
  std::size_t max_wordings_;
  std::vector<std::vector<std::string>> values_;  // per pool, in order of appearance
  std::vector<DraftFact> facts_;
  std::vector<std::vector<std::size_t>> used_statements_;  // per relation
  std::string opening_;
  std::vector<std::string> filler_;
};

}  // namespace elastify
