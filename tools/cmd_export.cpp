// elastify export: one level as other engines hold it.
#include <iostream>
#include <memory>

#include "commands.h"
#include "export/export.h"

namespace elastify_cli {
namespace {

constexpr char kExamples[] = R"(Formats:
  hf     a Hugging Face folder; layers of different widths get units of zeros up to the widest
  gguf   a file for llama.cpp; layers of different widths keep them (architecture deci)
  peft   the adapter as PEFT loads it, and the level that it belongs to in the folder's base/
The adapter is merged into the weights (hf, gguf) unless --no-adapter is given.

Examples:
  elastify export runs/mine --level 50 --format hf --out level50
  elastify export runs/mine --level 50 --format gguf --dtype q8_0 --out level50.gguf
  elastify export runs/mine/model.gguf --level 70 --format gguf --out level70.gguf
  elastify export runs/mine --level 50 --format peft --out level50-peft)";

}  // namespace

void register_export(CLI::App& app) {
  struct Options {
    elastify::ExportOptions export_options;
    std::string source, out;
    bool no_pad = false, no_adapter = false, json = false;
  };
  CLI::App* command = app.add_subcommand("export", "write one level for other engines: Hugging Face, llama.cpp, PEFT");
  auto options = std::make_shared<Options>();
  elastify::ExportOptions& settings = options->export_options;
  command->add_option("RUN_OR_ARTIFACT", options->source, "a run directory (nothing is rounded), or an artifact")
      ->required();
  command->add_option("--level", settings.level, "percent, one of the plan's")
      ->required()
      ->check(common::in_range(1, 100));
  command->add_option("--format", settings.format, "hf, gguf or peft")
      ->required()
      ->check(common::one_of({"hf", "gguf", "peft"}));
  command
      ->add_option("--dtype", settings.dtype,
                   "of the matrices: same (as the source has them), f32, f16, bf16; gguf also q8_0, iq4_nl, q4_0")
      ->check(common::one_of({"same", "f32", "f16", "bf16", "q8_0", "iq4_nl", "q4_0"}))
      ->capture_default_str();
  command->add_option("--out", options->out, "a folder (hf, peft) or a file (gguf)")->required();
  command->add_flag("--no-adapter", options->no_adapter, "the level as it was cut");
  command->add_flag("--no-pad", options->no_pad, "refuse layers of different widths where the format has one for all");
  command->add_flag("--force", settings.force, "replace what an earlier export left at --out");
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(kExamples);
  command->callback([options] {
    elastify::ExportOptions& chosen = options->export_options;
    chosen.source = options->source, chosen.out = options->out;
    chosen.pad = !options->no_pad, chosen.adapter = !options->no_adapter;
    const nlohmann::json summary = elastify::export_level(chosen);
    if (options->json)
      print_json(summary);
    else
      std::cout << elastify::format_export(summary);
  });
}

}  // namespace elastify_cli
