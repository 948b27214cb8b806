#include "label/outcome_table.h"

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

#include "base/error.h"
#include "data/hdf5_file.h"

namespace elastify {
namespace {

constexpr std::int64_t kVersion = 2;  // 1 had no decode levels

std::vector<std::int64_t> to_list(const torch::Tensor& values) {
  return {values.data_ptr<std::int64_t>(), values.data_ptr<std::int64_t>() + values.numel()};
}

// Every per-task tensor with its name and the extents after the first.
template <typename Table, typename Visit>
void visit_tensors(Table& t, Visit&& visit) {
  const auto m = static_cast<std::int64_t>(t.model_levels.size()),
             p = static_cast<std::int64_t>(t.prompt_levels.size());
  using Shape = std::vector<std::int64_t>;
  visit("tasks/checksum", t.task, Shape{});
  visit("tasks/split", t.split, Shape{});
  visit("tasks/family", t.family, Shape{});
  visit("tasks/answer", t.answer, Shape{});
  visit("tasks/output_tokens", t.output_tokens, Shape{});
  visit("prompts/tokens", t.prompt_tokens, Shape{p});
  visit("prompts/words", t.prompt_words, Shape{p});
  visit("outcomes/chosen", t.chosen, Shape{m, m, p});
  visit("outcomes/losses", t.losses, Shape{m, m, p, -1});
}

void check_levels(const std::string& path, const char* name, const std::vector<std::int64_t>& levels) {
  const bool rising = std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end();
  if (levels.empty() || levels.front() < 1 || levels.back() != 100 || !rising) {
    fail_data("{}: {} must rise from 1 or more to 100, found [{}]", path, name, fmt::join(levels, ", "));
  }
}

void check_range(const std::string& path, const char* name, const torch::Tensor& values, std::int64_t low,
                 std::int64_t high) {
  if (values.numel() == 0 || (values.min().item<std::int64_t>() >= low && values.max().item<std::int64_t>() < high))
    return;
  fail_data("{}: {} must be in [{}, {}), found {} to {}", path, name, low, high, values.min().item<std::int64_t>(),
            values.max().item<std::int64_t>());
}

// -1 stands exactly where a decode level was not labelled: above the model level everywhere; below it in all cells or
// in none.
void check_decode_levels(const std::string& path, const OutcomeTable& table) {
  const torch::Tensor labelled = table.chosen >= 0;
  const std::int64_t levels = labelled.size(1);
  for (std::int64_t m = 0; m < levels; ++m) {
    for (std::int64_t d = 0; d < levels; ++d) {
      const torch::Tensor cells = labelled.select(1, m).select(1, d);
      const bool wanted = d == m || (d < m && table.phases());
      if (wanted ? cells.all().item<bool>() : !cells.any().item<bool>()) continue;
      fail_data("{}: outcomes/chosen of model level {} and decode level {} must be {}, found {} labelled cells of {}",
                path, table.model_levels[static_cast<std::size_t>(m)], table.model_levels[static_cast<std::size_t>(d)],
                wanted ? "labelled" : "-1", cells.sum().item<std::int64_t>(), cells.numel());
    }
  }
}

}  // namespace

bool OutcomeTable::phases() const {
  return chosen.size(1) > 1 && (chosen.select(1, 1).select(1, 0) >= 0).any().item<bool>();
}

torch::Tensor OutcomeTable::right_at_one_level() const { return right().diagonal(0, 1, 2).movedim(-1, 1); }

OutcomeTable OutcomeTable::take_rows(const torch::Tensor& indices) const {
  OutcomeTable result = *this;
  visit_tensors(result,
                [&](const char*, torch::Tensor& tensor, const auto&) { tensor = tensor.index_select(0, indices); });
  return result;
}

OutcomeTable join_tables(const std::vector<OutcomeTable>& parts) {
  require(!parts.empty(), "there are no outcomes to join");
  std::int64_t options = 0;
  for (const auto& part : parts) {
    require(part.model_levels == parts[0].model_levels && part.prompt_levels == parts[0].prompt_levels &&
                part.families == parts[0].families && part.phases() == parts[0].phases(),
            "outcomes of different levels or families cannot be joined");
    options = std::max(options, part.losses.size(-1));
  }
  OutcomeTable joined = parts[0];
  std::map<std::string, std::vector<torch::Tensor>> columns;
  for (OutcomeTable part : parts) {
    part.losses = torch::constant_pad_nd(part.losses, {0, options - part.losses.size(-1)}, -1);
    visit_tensors(part, [&](const char* name, torch::Tensor& tensor, const auto&) { columns[name].push_back(tensor); });
  }
  visit_tensors(joined,
                [&](const char* name, torch::Tensor& tensor, const auto&) { tensor = torch::cat(columns.at(name)); });
  return joined;
}

void save_outcomes(const fs::path& path, const OutcomeTable& table) {
  Hdf5Writer writer;
  writer.attribute("format_version", kVersion);
  writer.attribute("families", fmt::format("{}", fmt::join(table.families, "\n")));
  writer.dataset("model_levels", torch::tensor(table.model_levels), {{"units", "percent of the blocks' weights"}});
  writer.dataset("prompt_levels", torch::tensor(table.prompt_levels), {{"units", "percent of the prompt's words"}});
  visit_tensors(table, [&](const std::string& name, const torch::Tensor& tensor, const auto& shape) {
    const bool losses = name == "outcomes/losses";
    const std::string text = shape.empty()       ? "[tasks]"
                             : shape.size() == 1 ? "[tasks, prompt_levels]"
                             : losses            ? "[tasks, model_levels, decode_levels, prompt_levels, options]"
                                                 : "[tasks, model_levels, decode_levels, prompt_levels]";
    const std::string units = losses              ? "mean nats per token; -1: no such option, or not labelled"
                              : shape.size() == 3 ? "index of the option; -1: not labelled"
                                                  : "count or index";
    writer.dataset(name, tensor, {{"shape", text}, {"units", units}});
  });
  writer.save(path);
}

OutcomeTable load_outcomes(const fs::path& path) {
  const Hdf5Reader reader(path);
  const std::string source = path.string();
  const std::int64_t version = reader.integer("format_version");
  if (version != kVersion)
    fail_data("{} has format version {}, expected {}; run the label stage again", source, version, kVersion);
  OutcomeTable table;
  std::istringstream names(reader.text("families"));
  for (std::string name; std::getline(names, name);) table.families.push_back(name);
  table.model_levels = to_list(reader.integers("model_levels", {-1}));
  table.prompt_levels = to_list(reader.integers("prompt_levels", {-1}));
  check_levels(source, "model_levels", table.model_levels);
  check_levels(source, "prompt_levels", table.prompt_levels);
  std::int64_t tasks = -1;
  visit_tensors(table, [&](const char* name, torch::Tensor& tensor, std::vector<std::int64_t> shape) {
    shape.insert(shape.begin(), tasks);
    tensor = shape.size() == 5 ? reader.floats(name, shape) : reader.integers(name, shape);
    tasks = tensor.size(0);
  });
  check_range(source, "tasks/split", table.split, 0, static_cast<std::int64_t>(kTaskSplits.size()));
  check_range(source, "tasks/family", table.family, 0, static_cast<std::int64_t>(table.families.size()));
  check_range(source, "outcomes/chosen", table.chosen, -1, table.losses.size(-1));
  check_decode_levels(source, table);
  check_range(source, "tasks/answer", table.answer, 0, table.losses.size(-1));
  check_range(source, "tasks/output_tokens", table.output_tokens, 1, std::int64_t{1} << 31);
  check_range(source, "prompts/tokens", table.prompt_tokens, 1, std::int64_t{1} << 31);
  return table;
}

}  // namespace elastify
