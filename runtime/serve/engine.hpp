// One artifact, one thread that works requests off one after the other: at a level that they name (Session), or under
// an objective (Service), from which the time that they waited is taken away.
//
// Members but create() may be called from any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "elrt/artifact.hpp"
#include "elrt/chat.hpp"
#include "elrt/latency_table.hpp"
#include "elrt/scheduler.hpp"
#include "elrt/service.hpp"
#include "elrt/session.hpp"
#include "elrt/tokenizer.hpp"
#include "work_queue.hpp"

namespace elrt::serve {

struct EngineOptions {
  ServiceOptions service;       // its session is that of requests at a level too
  std::filesystem::path table;  // of elastic-run calibrate; empty: next to the artifact
  std::size_t queue = 32;       // requests that may wait
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(const Artifact& artifact, const EngineOptions& options);
  ~Engine();  // gives up what runs and waits

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate* chat() const { return chat_ ? &*chat_ : nullptr; }
  const std::string& no_chat() const { return no_chat_; }              // why there is no chat(), in one line
  const std::string& no_objectives() const { return no_objectives_; }  // why there are none; empty: there are
  std::uint32_t context_tokens() const { return context_; }

  // The objective in milliseconds. kInvalidArgument where there are no objectives.
  Result<Latency> limits(const Slo& slo, std::uint32_t prompt_tokens, std::uint32_t output_tokens) const;

  // nullptr: the queue is full.
  std::shared_ptr<Ticket> submit(Work work);
  // Nobody waits for it: it never starts, or ends within a token or one piece of its prompt.
  void give_up(Ticket& ticket);
  void give_up_all();

  std::size_t waiting() const;
  bool busy() const;

 private:
  Engine(const Artifact& artifact, const EngineOptions& options) : options_(options), queue_(options.queue) {
    context_ = artifact.shape().context;
  }
  Result<void> open(const Artifact& artifact);
  Result<void> open_objectives(const Artifact& artifact);
  void run();
  Result<Done> answer(Ticket& ticket);
  Result<Done> answer_at_level(const Work& work, const GenerateOptions& options, const TextCallback& on_text);
  Result<Done> answer_under_objective(const Work& work, const GenerateOptions& options, double queued_ms,
                                      const TextCallback& on_text);

  const EngineOptions options_;
  std::uint32_t context_ = 0;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::string no_chat_, no_objectives_;
  std::optional<Session> session_;
  std::optional<Service> service_;
  std::optional<Scheduler> limits_;  // tells objectives in milliseconds, never decides

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  WorkQueue queue_;
  std::shared_ptr<Ticket> running_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace elrt::serve
