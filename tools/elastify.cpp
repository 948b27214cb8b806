// elastify: turns one language model into an elastic one.
// Results go to stdout, logs and progress to stderr. Exit status: 0 success, 1 internal error, 2 usage, 3 bad data.
#include <c10/util/Exception.h>
#include <malloc.h>

#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "commands.h"

namespace {

constexpr char kExamples[] = R"(Examples:
  elastify build configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint
  elastify profile configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint --json
  elastify inspect runs/mine/model.gguf --verify
  elastify eval runs/mine/model.gguf --text stories.txt
  elastify eval runs/mine/model.gguf --tasks test.jsonl --levels 20,50,100
  elastify random path/to/config.json --out /tmp/model --seed 3
  elastify report --run-dir runs/mine
  elastify tasks --out runs/tasks
  elastify train-tokenizer --text stories.txt --vocab-size 4096 --out runs/tokenizer

Exit status: 0 success, 1 internal error, 2 usage or configuration, 3 bad data or artifact.)";

int report_failure(int status, const std::string& message) {
  std::cerr << "elastify: " << message << "\n";
  return status;
}

}  // namespace

namespace elastify_cli {

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

}  // namespace elastify_cli

int main(int argc, char** argv) {
  // Training allocates the same large tensors in every step: kept, they cost no page faults; returned, one for every
  // page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  CLI::App app("Turns one Llama-family checkpoint into one file that holds a model for every latency.", "elastify");
  app.require_subcommand(1);
  app.footer(kExamples);
  std::string log_level = "info";
  app.add_option("--log", log_level, "error, warn, info or debug")->capture_default_str();
  app.parse_complete_callback([&] { elastify::set_up_log(log_level); });
  try {
    elastify_cli::register_stages(app);
    elastify_cli::register_random(app);
    elastify_cli::register_inspect(app);
    elastify_cli::register_eval(app);
    elastify_cli::register_report(app);
    elastify_cli::register_tasks(app);
    elastify_cli::register_train_tokenizer(app);
    elastify_cli::register_pretrain(app);
    app.parse(argc, argv);
    std::cout.flush();
    return std::cout ? 0 : report_failure(1, "cannot write the result to stdout");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const elastify::Error& error) {
    return report_failure(static_cast<int>(error.code()), error.what());
  } catch (const c10::Error& error) {
    return report_failure(1, std::string("LibTorch failed: ") + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return report_failure(1, std::string("internal error: ") + error.what());
  }
}
