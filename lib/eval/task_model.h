// What eval asks of a language model, and the runtime's answer to it.
#pragma once

#include <elrt/session.hpp>
#include <elrt/tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace elastify {

class TaskModel {
 public:
  virtual ~TaskModel() = default;
  // Losses in nats of ids[from..], each predicted from all ids before it.
  virtual std::vector<double> losses(std::span<const std::int32_t> ids, std::size_t from) = 0;
  // The most probable continuation, token by token, up to an end of text, a newline or `max_tokens`.
  virtual std::string answer(std::span<const std::int32_t> prompt, std::size_t max_tokens) = 0;
};

// Reads each prompt once: the session goes back to what two texts have in common. The tokenizer must outlive it. Throws
// Error(kBadData) if the model computes NaN.
class SessionTaskModel : public TaskModel {
 public:
  SessionTaskModel(elrt::Session session, const elrt::Tokenizer& tokenizer)
      : session_(std::move(session)), tokenizer_(tokenizer) {}
  std::vector<double> losses(std::span<const std::int32_t> ids, std::size_t from) override;
  std::string answer(std::span<const std::int32_t> prompt, std::size_t max_tokens) override;

 private:
  elrt::Session session_;
  const elrt::Tokenizer& tokenizer_;
};

}  // namespace elastify
