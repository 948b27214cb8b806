// From the body of a completion to its answer: whole, or as a stream of events.
#pragma once

#include <httplib.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "answer_json.hpp"
#include "completion_request.hpp"
#include "connection.hpp"
#include "engine.hpp"
#include "model_names.hpp"

namespace elrt::serve {

// A call as its handler sees it: who asks, since when, and what the log will tell.
struct Call {
  Connection& connection;
  Clock::time_point arrival = Clock::now();
  nlohmann::json record{};
};

class CompletionHandler {
 public:
  CompletionHandler(Engine& engine, const ModelNames& names) : engine_(engine), names_(names) {}

  // Fills the response. Throws ApiError where there is nothing to answer. A stream outlives the call: its events are
  // made while the response is written, on the same thread, before `call` ends.
  void answer(Call& call, const std::string& body, bool chat, httplib::Response& response);

 private:
  Work work_of(const CompletionRequest& request, Clock::time_point arrival) const;
  Work::Objective objective_of(const CompletionRequest& request, const Work& work) const;
  bool stream(Call& call, Ticket& ticket, const AnswerHead& head, bool usage, httplib::DataSink& sink);
  bool wait(const Call& call, Ticket& ticket);  // for text or the end; false: the client has gone

  Engine& engine_;
  const ModelNames& names_;
  std::atomic<std::uint64_t> answers_{0};
};

}  // namespace elrt::serve
