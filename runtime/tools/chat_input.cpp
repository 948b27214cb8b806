#include "chat_input.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "common/error.hpp"

namespace elastic_run {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;
constexpr char kFence[] = "\"\"\"";

volatile std::sig_atomic_t interrupted = 0;
struct sigaction before {};

void note(int) { interrupted = 1; }

}  // namespace

CtrlC::CtrlC() {
  struct sigaction action {};
  action.sa_handler = note;  // without SA_RESTART: a read that waits for a line ends too
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before);
}
CtrlC::~CtrlC() { sigaction(SIGINT, &before, nullptr); }
bool CtrlC::pressed() { return interrupted != 0; }
void CtrlC::forget() { interrupted = 0; }

ChatInput::ChatInput() : interactive_(isatty(STDIN_FILENO) == 1) {}

ChatInput::Read ChatInput::line(const char* prompt, std::string& out) {
  if (interactive_) std::cerr << prompt << std::flush;
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos || (ended_ && !buffer_.empty())) {
      out = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (out.ends_with('\r')) out.pop_back();
      return Read::kLine;
    }
    if (ended_) return Read::kEnd;
    if (buffer_.size() > kMaxLineBytes) common::fail_data("a line of standard input is longer than 16 MiB");
    if (CtrlC::pressed()) return Read::kInterrupted;
    char bytes[4096];
    const ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (count > 0)
      buffer_.append(bytes, static_cast<std::size_t>(count));
    else if (count == 0)
      ended_ = true;
    else if (errno != EINTR)
      common::fail(common::ErrorCode::kInternal, "cannot read standard input: {}", std::strerror(errno));
  }
}

std::optional<std::string> ChatInput::next() {
  CtrlC::forget();  // it ended an answer
  std::string text, more;
  for (bool fenced = false;;) {
    switch (line(fenced ? "... " : "> ", more)) {
      case Read::kEnd:
        return fenced ? std::optional(text) : std::nullopt;
      case Read::kInterrupted:
        CtrlC::forget();
        buffer_.clear();
        if (!interactive_) return std::nullopt;
        std::cerr << "\n(/exit or Ctrl-D ends the program)\n";
        text.clear(), fenced = false;
        continue;
      case Read::kLine:
        break;
    }
    if (more == kFence) {
      if (fenced) return text;
      fenced = true;
      continue;
    }
    if (!fenced) return more;
    text += (text.empty() ? "" : "\n") + more;
  }
}

}  // namespace elastic_run
