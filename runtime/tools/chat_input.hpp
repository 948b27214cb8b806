// What a person types, line by line, and Ctrl-C.
#pragma once

#include <optional>
#include <string>

namespace elastic_run {

// While one of these lives, SIGINT is noted instead of ending the program.
class CtrlC {
 public:
  CtrlC();
  ~CtrlC();
  CtrlC(const CtrlC&) = delete;
  CtrlC& operator=(const CtrlC&) = delete;
  static bool pressed();  // since the last forget()
  static void forget();
};

class ChatInput {
 public:
  ChatInput();
  bool interactive() const { return interactive_; }

  // The next message: a line, or the lines between two lines of """. Ctrl-C drops what was typed and asks again.
  // Nothing at the end of the input. Throws Error(kInternal) where the system fails to read, Error(kBadData) for a line
  // beyond 16 MiB.
  std::optional<std::string> next();

 private:
  enum class Read { kLine, kEnd, kInterrupted };
  Read line(const char* prompt, std::string& out);

  bool interactive_;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace elastic_run
