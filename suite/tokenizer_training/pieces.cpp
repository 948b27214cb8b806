#include "tokenizer_training/pieces.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace elastify {
namespace {

constexpr const char* kProgram = "elastify-learn-pieces";

// Of the characters that stay out of pieces: the bytes of the one that `rest` begins with, 0 for others.
std::size_t left_out_bytes(std::string_view rest) {
  if (static_cast<unsigned char>(rest[0]) < 0x20) return 1;
  return rest.starts_with("\xE2\x96\x81") || rest.starts_with("\xE2\x96\x85") ? 3 : 0;
}

std::size_t stretch_end(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  for (; end < text.size() && left_out_bytes(text.substr(end)) == 0; ++end) {
    const bool character_begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (end - begin >= kLongStretchBytes && text[end] == ' ') break;
    if (end - begin >= kLongestStretchBytes && character_begins) break;
  }
  return end;
}

// A file without a name, gone when closed.
using TemporaryFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
TemporaryFile make_temporary() {
  TemporaryFile file(std::tmpfile(), &std::fclose);
  if (!file) fail(ErrorCode::kInternal, "tokenizer training: cannot make a temporary file: {}", std::strerror(errno));
  return file;
}

void write_lines(const std::vector<std::string>& texts, std::FILE* file) {
  for (const std::string& text : texts) {
    for (const std::string_view stretch : learnable_stretches(text)) {
      std::fwrite(stretch.data(), 1, stretch.size(), file);
      std::fputc('\n', file);
    }
  }
  if (std::fflush(file) != 0 || std::ferror(file) != 0) {
    fail(ErrorCode::kInternal, "tokenizer training: cannot write a temporary file: {}", std::strerror(errno));
  }
  std::rewind(file);
}

std::string read_all(std::FILE* file) {
  std::string bytes;
  std::rewind(file);
  char block[1 << 16];
  for (std::size_t count; (count = std::fread(block, 1, sizeof(block), file)) > 0;) bytes.append(block, count);
  if (std::ferror(file) != 0)
    fail(ErrorCode::kInternal, "tokenizer training: cannot read a temporary file: {}", std::strerror(errno));
  return bytes;
}

fs::path find_program() {
  std::error_code ignored;
  const fs::path beside = fs::read_symlink("/proc/self/exe", ignored).parent_path() / kProgram;
  return fs::exists(beside, ignored) ? beside : fs::path(ELASTIFY_PROGRAM_DIR) / kProgram;
}

// Runs `arguments` with the files as stdin and stdout. The exit status, or 128 and the signal.
int run_program(const fs::path& program, std::vector<std::string> arguments, std::FILE* in, std::FILE* out) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, fileno(in), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, fileno(out), STDOUT_FILENO);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) {
    fail(ErrorCode::kInternal, "tokenizer training: cannot run {}: {}; build the target {}", program.string(),
         std::strerror(failed), kProgram);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      fail(ErrorCode::kInternal, "tokenizer training: cannot wait for {}: {}", kProgram, std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

[[noreturn]] void fail_training(int status, const std::string& message, const TokenizerTraining& settings) {
  // SentencePiece gives figures only in its text: "... smaller than required_chars. 300 vs 321. ..."
  const std::size_t at = message.find("required_chars. ");
  long long wanted = 0, needed = 0;
  if (at != std::string::npos &&
      std::sscanf(message.c_str() + at, "required_chars. %lld vs %lld", &wanted, &needed) == 2) {
    fail_data(
        "tokenizer training: single characters and fixed tokens alone take {} tokens, but vocab_size is {}; raise it, "
        "or lower "
        "character_coverage ({})",
        needed, settings.vocab_size, settings.character_coverage);
  }
  fail(ErrorCode::kInternal, "tokenizer training: {} failed with status {}: {}", kProgram, status,
       message.empty() ? "no message" : message.substr(0, 500));
}

}  // namespace

std::vector<std::string_view> learnable_stretches(std::string_view text) {
  std::vector<std::string_view> stretches;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = stretch_end(text, at);
    if (end > at) stretches.push_back(text.substr(at, end - at));
    at = end;
    while (at < text.size() && left_out_bytes(text.substr(at)) > 0) at += left_out_bytes(text.substr(at));
  }
  return stretches;
}

std::string learn_pieces(const std::vector<std::string>& texts, const TokenizerTraining& settings) {
  const TemporaryFile in = make_temporary(), out = make_temporary();
  write_lines(texts, in.get());
  const std::vector<std::string> arguments = {
      std::to_string(settings.vocab_size), fmt::format("{}", settings.character_coverage),
      settings.split_digits ? "true" : "false", std::to_string(2 * kLongestStretchBytes),
      spdlog::should_log(spdlog::level::debug) ? "0" : "2"};
  const int status = run_program(find_program(), arguments, in.get(), out.get());
  std::string result = read_all(out.get());
  if (status != 0) fail_training(status, result, settings);
  return result;
}

}  // namespace elastify
