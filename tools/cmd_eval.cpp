// elastify eval: an artifact's levels on text.
#include <iostream>
#include <memory>

#include "commands.h"
#include "eval/text_loss.h"

namespace elastify_cli {

void register_eval(CLI::App& app) {
  struct Options {
    elastify::TextLossRequest request;
    std::string file;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand("eval", "next-token loss of every level on text, with and without adapters");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "an artifact, model.gguf")->required();
  command->add_option("--text", options->request.texts, "text that no stage has read: .txt, .jsonl or .json; may be repeated")
      ->required()->allow_extra_args(false);
  command->add_option("--levels", options->request.levels, "e.g. 20,50,100; all by default")->delimiter(',');
  command->add_option("--limit-tokens", options->request.max_tokens, "stop after so many predictions; 0: all")->capture_default_str();
  command->add_option("--threads", options->request.threads, "0: all cores")->capture_default_str();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer("Example:\n  elastify eval runs/mine/model.gguf --text stories.txt --limit-tokens 20000");
  command->callback([options] {
    options->request.artifact = options->file;
    const nlohmann::json result = elastify::measure_text_loss(options->request);
    if (options->json) print_json(result);
    else std::cout << elastify::format_text_loss(result);
  });
}

}  // namespace elastify_cli
