// elastic-run serve as a whole program: what it prints, and how it ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <future>

#include "serving.h"

namespace {

using namespace elastify_test;
using nlohmann::json;

class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), std::string(ELASTIFY_BIN_DIR) + "/elastic-run");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::array<int, 2> out{};
    REQUIRE(pipe(out.data()) == 0);
    child_ = fork();
    if (child_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      close(out[0]), close(out[1]);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    std::array<char, 512> line{};
    std::size_t have = 0;
    while (have < line.size() && read(out[0], &line[have], 1) == 1 && line[have] != '\n') ++have;
    first_.assign(line.data(), have);
    close(out[0]);
  }
  ~Program() {
    if (child_ > 0) kill(child_, SIGKILL), waitpid(child_, nullptr, 0);
  }
  const std::string& first_line() const { return first_; }
  void send(int signal) const { kill(child_, signal); }
  int end() {
    int status = 0;
    waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_ = -1;
  std::string first_;
};

}  // namespace

TEST_CASE("the program prints where it serves, and a signal ends it well, after what runs", "[serve][cli]") {
  const TemporaryFile model(chat_artifact(chat_tokenizer(), 200000).build());
  const TempDir dir;
  for (const int signal : {SIGTERM, SIGINT}) {
    Program program({"serve", model.path().string(), "--port", "0", "--threads", "1", "--name", "tiny", "--json",
                     "--log", (dir / "log").string()});
    const json first = json::parse(program.first_line());
    CHECK(first["model"] == "tiny");
    const int port = first["port"];
    std::atomic<bool> begun{false};
    auto stream = std::async(std::launch::async, [&] {
      httplib::Client client("127.0.0.1", port);
      std::string text;
      httplib::Request request;
      request.method = "POST";
      request.path = "/v1/completions";
      request.body = R"({"prompt": "ab", "stream": true, "max_tokens": 3000, "ignore_eos": true})";
      request.set_header("Content-Type", "application/json");
      request.content_receiver = [&](const char* bytes, std::size_t count, std::uint64_t, std::uint64_t) {
        text.append(bytes, count);
        begun = true;
        return true;
      };
      client.send(request);
      return text;
    });
    CHECK(soon([&] { return begun.load(); }, std::chrono::seconds(10)));
    program.send(signal);
    CHECK(program.end() == 0);
    CHECK(events_of(stream.get()).back()["choices"][0]["finish_reason"] == "length");
    CHECK_FALSE(httplib::Client("127.0.0.1", port).Get("/health"));
  }
}

TEST_CASE("what cannot be served is one line and a status", "[serve][cli]") {
  const TemporaryFile model(chat_artifact().build());
  CHECK(Program({"serve", "/no/such/file"}).end() == 3);
  CHECK(Program({"serve", model.path().string(), "--host", "0.0.0.0", "--port", "0"}).end() == 2);
  CHECK(Program({"serve", model.path().string(), "--port", "70000"}).end() == 2);
  const Serving taken;
  CHECK(Program({"serve", model.path().string(), "--port", std::to_string(taken.port())}).end() == 2);
}
