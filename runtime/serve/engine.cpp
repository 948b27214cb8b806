#include "engine.hpp"

#include <algorithm>
#include <utility>

namespace elrt::serve {
namespace {

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// What is left of an objective whose time has passed while it waited: no decision keeps it, and the fastest is taken.
constexpr double kNoTimeMs = 1e-3;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(const Artifact& artifact, const EngineOptions& options) {
  std::unique_ptr<Engine> engine(new Engine(artifact, options));
  if (auto done = engine->open(artifact); !done) return done.take_failure();
  engine->thread_ = std::thread([raw = engine.get()] { raw->run(); });
  return engine;
}

Result<void> Engine::open(const Artifact& artifact) {
  auto tokenizer = artifact.tokenizer();
  if (!tokenizer) return tokenizer.take_failure();
  tokenizer_ = std::move(tokenizer).value();
  auto session = Session::create(artifact, options_.service.session);
  if (!session) return session.take_failure();
  session_ = std::move(session).value();
  context_ = session_->context_tokens();
  if (auto chat = ChatTemplate::create(tokenizer_)) {
    chat_ = std::move(chat).value();
  } else {
    no_chat_ = chat.failure().message;
  }
  if (auto done = open_objectives(artifact); !done) no_objectives_ = done.failure().message;
  return {};
}

Result<void> Engine::open_objectives(const Artifact& artifact) {
  auto table =
      LatencyTable::read(options_.table.empty() ? LatencyTable::default_path(artifact.path()) : options_.table);
  if (!table) return table.take_failure();
  auto limits = Scheduler::create(table.value());
  if (!limits) return limits.take_failure();
  auto service = Service::create(artifact, std::move(table).value(), options_.service);
  if (!service) return service.take_failure();
  limits_ = std::move(limits).value();
  service_ = std::move(service).value();
  return {};
}

Engine::~Engine() {
  give_up_all();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Result<Latency> Engine::limits(const Slo& slo, std::uint32_t prompt_tokens, std::uint32_t output_tokens) const {
  if (!limits_) return invalid_argument("objectives cannot be served: " + no_objectives_);
  return limits_->limits({prompt_tokens, output_tokens, slo, context_});
}

std::shared_ptr<Ticket> Engine::submit(Work work) {
  auto ticket = std::make_shared<Ticket>(std::move(work));
  const std::lock_guard lock(mutex_);
  if (stopping_ || !queue_.add(ticket)) return nullptr;
  changed_.notify_all();
  return ticket;
}

void Engine::give_up(Ticket& ticket) {
  ticket.give_up();
  const std::lock_guard lock(mutex_);
  if (queue_.remove(ticket)) ticket.end(cancelled("given up before it began"));
}

void Engine::give_up_all() {
  const std::lock_guard lock(mutex_);
  while (auto ticket = queue_.next(Clock::now())) ticket->end(cancelled("given up before it began"));
  if (running_) running_->give_up();
}

std::size_t Engine::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

bool Engine::busy() const {
  const std::lock_guard lock(mutex_);
  return running_ != nullptr;
}

void Engine::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || queue_.size() > 0; });
    if (stopping_) return;
    running_ = queue_.next(Clock::now());
    lock.unlock();
    auto result = answer(*running_);
    lock.lock();
    std::exchange(running_, nullptr)->end(std::move(result));
  }
}

Result<Done> Engine::answer(Ticket& ticket) {
  const Work& work = ticket.work();
  GenerateOptions options = work.generate;
  options.on_prompt = [&ticket](std::size_t, std::size_t) { return !ticket.given_up(); };
  const TextCallback on_text = [&ticket](std::string_view piece) {
    ticket.add_text(piece);
    return !ticket.given_up();
  };
  const double queued_ms = ms_between(work.arrival, Clock::now());
  auto done = work.objective ? answer_under_objective(work, options, queued_ms, on_text)
                             : answer_at_level(work, options, on_text);
  if (!done) return done;
  if (done->generation.finish == FinishReason::kCancelled) return cancelled("given up");
  done->queued_ms = queued_ms;
  return done;
}

Result<Done> Engine::answer_at_level(const Work& work, const GenerateOptions& options, const TextCallback& on_text) {
  if (auto set = session_->set_level(work.level); !set) return set.take_failure();
  auto made = generate(*session_, *tokenizer_, work.tokens, options, on_text);
  if (!made) return made.take_failure();
  return Done{std::move(made).value(), work.level, 0, std::nullopt};
}

Result<Done> Engine::answer_under_objective(const Work& work, const GenerateOptions& options, double queued_ms,
                                            const TextCallback& on_text) {
  const Latency& limits = work.objective->limits;
  ServiceRequest request;
  request.prompt = work.objective->prompt;
  request.slo = {Slo::Unit::kMilliseconds, std::max(limits.ttft_ms - queued_ms, kNoTimeMs), limits.tpot_ms};
  request.generate = options;
  request.tokens = work.objective->to_tokens;
  auto made = service_->answer(request, on_text);
  if (!made) return made.take_failure();
  Done done{std::move(made->generation), made->choice.decision.model_level, 0, std::move(made).value()};
  return done;
}

}  // namespace elrt::serve
