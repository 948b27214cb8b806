// elastic-run serve: an OpenAI-compatible server.
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <thread>

#include "run_slo.hpp"
#include "serve/server.hpp"

namespace elastic_run {
namespace {

struct ServeCommand : LevelOptions {
  elrt::serve::ServerOptions server;
  SloOptions objective;
  std::uint32_t drain_s = 30;
  std::size_t body_kib = 4096;
};

// SIGTERM and SIGINT, taken by one thread of ours: each asks the server to end, the second without waiting.
sigset_t block_end_signals() {  // before there are other threads, which inherit the mask
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

class EndSignals {
 public:
  EndSignals(const sigset_t& signals, elrt::serve::Server& server)
      : thread_([this, signals, &server] {
          const timespec look{0, 50'000'000};
          while (!ended_) {
            if (sigtimedwait(&signals, nullptr, &look) > 0) server.stop();
          }
        }) {}
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() {
    ended_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

void run(ServeCommand& command) {
  const sigset_t signals = block_end_signals();
  const auto artifact = take(elrt::Artifact::open(command.file));
  auto& engine = command.server.engine;
  engine.service = service_options(command.objective, session_options(command), 0);
  engine.table = command.objective.table;
  command.server.drain = std::chrono::seconds(command.drain_s);
  command.server.body_bytes = command.body_kib << 10;
  auto server = take(elrt::serve::Server::create(artifact, command.server));
  if (const std::string& why = server.engine().no_objectives(); !why.empty())
    std::cerr << "elastic-run: requests with an objective will be refused: " << why << "\n";
  const EndSignals watch(signals, server);
  const std::string host = command.server.host == "::1" ? "[::1]" : command.server.host;
  const std::string address = "http://" + host + ":" + std::to_string(server.port());
  if (command.json) {
    print_json({{"address", address}, {"port", server.port()}, {"model", server.model()}});
  } else {
    std::cout << "serving " << server.model() << " at " << address << std::endl;
  }
  take(server.run());
}

}  // namespace

void register_serve(CLI::App& app) {
  auto command = std::make_shared<ServeCommand>();
  auto& server = command->server;
  CLI::App* sub = app.add_subcommand("serve", "answer OpenAI-compatible requests over HTTP");
  add_level_options(*sub, *command)->description("percent, the level of requests that name none");
  sub->add_option("--host", server.host, "the address; one that others can reach needs --api-key-file")
      ->capture_default_str();
  sub->add_option("--port", server.port, "0: any that is free")->capture_default_str();
  sub->add_option("--name", server.name, "the model's name; default: the file's, without .gguf");
  sub->add_option("--api-key-file", server.api_key_file,
                  "keys, one a line; requests then need Authorization: Bearer KEY");
  sub->add_option("--queue", server.engine.queue, "requests that may wait; further ones are refused (503)")
      ->check(common::in_range(1, 1 << 20))
      ->capture_default_str();
  sub->add_option("--connections", server.connections, "clients at once; further ones are refused (503)")
      ->check(common::in_range(1, 512))
      ->capture_default_str();
  sub->add_option("--max-body-kib", command->body_kib, "size of a request; larger ones are refused (413)")
      ->check(common::in_range(1, 1 << 20))
      ->capture_default_str();
  sub->add_option("--drain-s", command->drain_s, "seconds that requests may still take after SIGTERM or Ctrl-C")
      ->check(common::in_range(0, 86400))
      ->capture_default_str();
  sub->add_option("--log", server.log, "append the request log to this file; default: stderr");
  add_service_options(*sub, command->objective);
  sub->footer(
      "Endpoints: /v1/chat/completions, /v1/completions (both whole and streamed), /v1/models, /v1/tokenize, /health.\n"
      "model is NAME, or NAME:LEVEL for one of the levels that /v1/models lists. \"slo\" asks for an objective "
      "instead,\n"
      "in milliseconds from the request's arrival or as shares of the full model's times; elastic-run calibrate FILE "
      "must\n"
      "have run. Every answer says in \"elastic\" what was decided, predicted and measured. One request is worked off\n"
      "after the other, the earliest deadline first, those without an objective last.\n"
      "Examples:\n"
      "  elastic-run serve model.gguf\n"
      "  elastic-run serve model.gguf --port 0 --threads 4 --queue 8 --log requests.jsonl\n"
      "  elastic-run serve model.gguf --host 0.0.0.0 --api-key-file keys.txt\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"model\": \"model:50\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": "
      "64}'\n"
      "  curl -N http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"prompt\": \"Once upon a time\", \"stream\": true, \"slo\": {\"ttft_ms\": 80, \"tpot_ms\": 12}}'\n"
      "  OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python3 client.py   # the openai package");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
