#include "export/export.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/output_folder.h"
#include "export/gguf_level.h"
#include "export/hf_folder.h"
#include "export/peft_folder.h"

namespace elastify {
namespace {

using nlohmann::json;

bool holds(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// What is written never takes the place of what it is made from.
void check_place(const ExportOptions& options) {
  const fs::path out = fs::weakly_canonical(fs::absolute(options.out)), source = fs::canonical(options.source);
  if (holds(out, source)) fail_usage("--out {} holds what is exported: give another name", options.out.string());
  if (!fs::exists(out)) return;
  if (fs::is_directory(source) && holds(source, out))
    fail_usage("--out {} is a part of the run directory: give another name", options.out.string());
  const bool file = options.format == "gguf";
  if (file && !fs::is_regular_file(out)) fail_usage("--out {} is no file: --format gguf writes one file", out.string());
  if (!file && !fs::is_directory(out))
    fail_usage("--out {} is a file: --format {} writes a folder", out.string(), options.format);
  if (!options.force && (file || !fs::is_empty(out)))
    fail_usage("{} exists: give --force to replace it, or another name with --out", options.out.string());
}

void refuse_unknown_family(const LevelFacts& facts) {
  for (const char* known : {"llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma3_text", "phi3"}) {
    if (facts.config.architecture == known) return;
  }
  fail_usage("a model of architecture {} cannot be exported", facts.config.architecture);
}

ExportSummary write(const LevelSource& source, const ExportOptions& options) {
  const bool merge = options.adapter && source.facts().adapter.has_value();
  if (options.format == "gguf") return write_gguf_level(source, options, merge, options.out);
  OutputFolder folder(options.out);
  ExportSummary summary = options.format == "peft" ? write_peft(source, options, folder.path())
                                                   : write_hf(source, options, merge, folder.path());
  folder.commit();
  return summary;
}

std::int64_t bytes_in(const fs::path& path) {
  if (!fs::is_directory(path)) return static_cast<std::int64_t>(fs::file_size(path));
  std::int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

void add_notes(const LevelSource& source, ExportSummary& summary) {
  const LevelFacts& facts = source.facts();
  if (facts.artifact && (facts.dtype == "q8_0" || facts.dtype == "q4_0" || facts.dtype == "iq4_nl")) {
    summary.notes.push_back(
        fmt::format("the artifact holds {}, which is exported as rounded there: the run directory has "
                    "the weights as they were",
                    facts.dtype));
  }
  if (!facts.adapter && facts.level < 100)
    summary.notes.push_back(fmt::format("level {} has no adapter: it is exported as it was cut", facts.level));
  const auto left_out = facts.config.num_layers - summary.shape.count();
  if (left_out > 0)
    summary.notes.push_back(fmt::format("{} layers of which the level keeps nothing are left out", left_out));
}

}  // namespace

json export_level(const ExportOptions& options) {
  torch::NoGradGuard no_grad;
  const InterruptWatch watch;
  if (!fs::exists(options.source))
    fail_usage("{} does not exist: expected a run directory or an artifact", options.source.string());
  check_place(options);
  const auto source = open_level(options.source, options.level);
  const LevelFacts& facts = source->facts();
  refuse_unknown_family(facts);
  ExportSummary summary = write(*source, options);
  add_notes(*source, summary);
  const bool separate = options.format == "peft", merged = options.adapter && facts.adapter;
  return {{"out", options.out.string()},
          {"format", options.format},
          {"source", facts.path.string()},
          {"level", facts.level},
          {"dtype", summary.dtype},
          {"architecture", summary.architecture},
          {"layers", summary.shape.count()},
          {"layers_left_out", facts.config.num_layers - summary.shape.count()},
          {"kv_groups", summary.shape.written.kv_groups},
          {"neurons", summary.shape.written.neurons},
          {"zero_groups", summary.shape.zero_groups()},
          {"zero_neurons", summary.shape.zero_neurons()},
          {"adapter", separate ? json("separate")
                      : merged ? json("merged")
                               : json(nullptr)},
          {"dequantised", facts.artifact && facts.dtype != "f32" && facts.dtype != "f16" && facts.dtype != "bf16"},
          {"weights", summary.weights},
          {"bytes", bytes_in(options.out)},
          {"notes", summary.notes}};
}

std::string format_export(const json& summary) {
  const json& adapter = summary.at("adapter");
  std::string text = fmt::format(
      "{}: level {} as {}, {} layers, {} weights in {}, {}{}\n", summary.at("out").get<std::string>(),
      summary.at("level").get<int>(), summary.at("architecture").get<std::string>(), summary.at("layers").get<int>(),
      summary.at("weights").get<std::int64_t>(), summary.at("dtype").get<std::string>(),
      format_bytes(summary.at("bytes").get<double>()),
      adapter.is_null() ? ""
                        : ", its adapter " + (adapter == "merged" ? std::string("merged") : "next to the weights"));
  for (const auto& note : summary.at("notes")) text += "note: " + note.get<std::string>() + "\n";
  return text;
}

}  // namespace elastify
