// elastic-run: generate, chat, serve, shorten, score and measure with an elastic artifact.
// Results go to stdout, everything else to stderr. Exit status: 0 success, 1 internal error, 2 usage, 3 bad data.
#include "common/program.hpp"
#include "run_common.hpp"

namespace {

constexpr char kExamples[] = R"(Examples:
  elastic-run generate model.gguf --prompt "Once upon a time" --level 50
  elastic-run generate model.gguf --prompt "Hello" --temperature 0.8 --top-p 0.95 --seed 7 --json
  elastic-run chat model.gguf --system "Answer in one sentence."
  elastic-run serve model.gguf --port 8080
  elastic-run calibrate model.gguf
  elastic-run generate model.gguf --prompt "Hello" --ttft 0.4 --tpot 0.7 --json
  elastic-run replay model.gguf --requests trace.jsonl --count 1000
  elastic-run compress model.gguf --prompt-file notes.txt --question "Who brings the cake?" --keep 50
  elastic-run score model.gguf --level 50 --text-file story.txt --json
  elastic-run bench model.gguf --levels 20,50,100 --threads 2

Exit status: 0 success, 1 internal error, 2 usage, 3 bad artifact or text.)";

}  // namespace

int main(int argc, char** argv) {
  elrt::end_on_lost_pages("elastic-run");
  return common::run_program(
      "elastic-run", "Runs elastic language models: one file, many sizes.",
      [](CLI::App& app) {
        app.footer(kExamples);
        elastic_run::register_generate(app);
        elastic_run::register_chat(app);
        elastic_run::register_score(app);
        elastic_run::register_compress(app);
        elastic_run::register_bench(app);
        elastic_run::register_calibrate(app);
        elastic_run::register_replay(app);
#ifdef ELASTIC_RUN_SERVE  // not without an HTTP library
        elastic_run::register_serve(app);
#endif
      },
      argc, argv);
}
