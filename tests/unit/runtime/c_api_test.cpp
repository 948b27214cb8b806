// What the C API promises beyond the C++ API that it wraps: structs that may grow, one beginning of text, cancelling.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "elrt/elrt.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::TemporaryFile;

namespace {

class Engine {
 public:
  Engine() : file_(elastify_test::tiny_artifact_with_tokenizer().build()) {
    REQUIRE(elrt_engine_open(file_.path().c_str(), &engine_) == ELRT_OK);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { elrt_engine_close(engine_); }
  elrt_engine* get() const { return engine_; }

  elrt_session* session(std::uint32_t batch = 0) const {
    elrt_session_options options;
    ELRT_INIT(&options);
    options.threads = 1;
    options.batch_tokens = batch;
    elrt_session* session = nullptr;
    REQUIRE(elrt_session_create(engine_, &options, &session) == ELRT_OK);
    return session;
  }

  std::vector<std::int32_t> tokens(const std::string& text, const elrt_tokenize_options* options) const {
    std::int32_t* ids = nullptr;
    std::size_t count = 0;
    REQUIRE(elrt_tokenize(engine_, text.data(), text.size(), options, &ids, &count) == ELRT_OK);
    std::vector<std::int32_t> copy(ids, ids + count);
    elrt_tokens_free(ids);
    return copy;
  }

 private:
  TemporaryFile file_;
  elrt_engine* engine_ = nullptr;
};

elrt_generate_options generate_options(std::uint32_t tokens) {
  elrt_generate_options options;
  ELRT_INIT(&options);
  options.max_tokens = tokens;
  options.ignore_end = 1;
  return options;
}

elrt_generate_result generated(elrt_session* session, const std::string& prompt, const elrt_generate_options& options,
                               void* user_data = nullptr) {
  elrt_generate_result result;
  ELRT_INIT(&result);
  REQUIRE(elrt_generate(session, prompt.data(), prompt.size(), &options, nullptr, user_data, &result) == ELRT_OK);
  return result;
}

bool said(const char* text) { return std::strstr(elrt_last_error(), text) != nullptr; }

// A struct of a newer header: this one's fields and 16 bytes more.
template <typename T>
struct Newer {
  union {
    T known;
    std::array<unsigned char, sizeof(T) + 16> bytes;
  };
  Newer() {
    bytes.fill(0);
    known.struct_size = sizeof(bytes);
  }
};

}  // namespace

TEST_CASE("the headers' version is the library's", "[runtime][unit]") {
  CHECK(std::string(elrt_version()) == ELRT_VERSION);
  CHECK(elrt_version_number() == ELRT_VERSION_NUMBER);
  CHECK(elrt_api_version() == ELRT_API_VERSION);
  CHECK(std::string(ELRT_VERSION) == ELRT_PROJECT_VERSION);
  CHECK(std::string(ELRT_VERSION) == std::to_string(ELRT_VERSION_MAJOR) + "." + std::to_string(ELRT_VERSION_MINOR) +
                                         "." + std::to_string(ELRT_VERSION_PATCH));
}

TEST_CASE("options of other sizes are taken as far as they are known, and refused where they are not",
          "[runtime][unit]") {
  const Engine engine;
  elrt_session* session = nullptr;
  SECTION("a size that was never set") {
    elrt_session_options options{};
    CHECK(elrt_session_create(engine.get(), &options, &session) == ELRT_INVALID_ARGUMENT);
    CHECK(said("struct_size of elrt_session_options is 0"));
    CHECK(said("ELRT_INIT"));
    options.struct_size = ~std::size_t{0};
    CHECK(elrt_session_create(engine.get(), &options, &session) == ELRT_INVALID_ARGUMENT);
    CHECK(session == nullptr);
  }
  SECTION("an older header's: what it lacks is zero, whatever lies there") {
    elrt_session_options options;
    std::memset(&options, 0x55, sizeof options);
    options.struct_size = offsetof(elrt_session_options, threads);
    options.level = 50;
    REQUIRE(elrt_session_create(engine.get(), &options, &session) == ELRT_OK);
    CHECK(elrt_session_level(session) == 50);
  }
  SECTION("a newer header's: its unknown fields must be zero") {
    Newer<elrt_session_options> newer;
    newer.known.level = 20;
    REQUIRE(elrt_session_create(engine.get(), &newer.known, &session) == ELRT_OK);
    CHECK(elrt_session_level(session) == 20);
    elrt_session_destroy(session);
    session = nullptr;
    newer.bytes.back() = 1;
    CHECK(elrt_session_create(engine.get(), &newer.known, &session) == ELRT_INVALID_ARGUMENT);
    CHECK(said("elrt_session_options"));
    CHECK(session == nullptr);
  }
  elrt_session_destroy(session);
}

TEST_CASE("every struct that a caller allocates is checked", "[runtime][unit]") {
  const Engine engine;
  elrt_session* session = engine.session();
  elrt_tokenize_options tokenize{};
  std::int32_t* ids = nullptr;
  std::size_t count = 0;
  CHECK(elrt_tokenize(engine.get(), "a", 1, &tokenize, &ids, &count) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_tokenize_options"));
  elrt_generate_options generate{};
  CHECK(elrt_generate(session, "a", 1, &generate, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_generate_options"));
  elrt_generate_result result{};
  CHECK(elrt_generate(session, "a", 1, nullptr, nullptr, nullptr, &result) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_generate_result"));
  elrt_calibrate_options calibrate{};
  CHECK(elrt_calibrate(engine.get(), &calibrate, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_calibrate_options"));
  elrt_scheduler_options scheduling{};
  elrt_scheduler* scheduler = nullptr;
  CHECK(elrt_scheduler_open(engine.get(), session, nullptr, &scheduling, &scheduler) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_scheduler_options"));
  elrt_service_options serving{};
  elrt_service* service = nullptr;
  CHECK(elrt_service_open(engine.get(), nullptr, &serving, &service) == ELRT_INVALID_ARGUMENT);
  CHECK(said("elrt_service_options"));
  elrt_session_destroy(session);
}

TEST_CASE("a result of another size is filled as far as both sides know it", "[runtime][unit]") {
  const Engine engine;
  elrt_session* session = engine.session();
  const elrt_generate_options options = generate_options(3);
  Newer<elrt_generate_result> newer;
  newer.bytes.back() = 7;
  REQUIRE(elrt_generate(session, "ab", 2, &options, nullptr, nullptr, &newer.known) == ELRT_OK);
  CHECK(newer.known.generated_tokens == 3);
  CHECK(newer.known.finish == ELRT_FINISH_MAX_TOKENS);
  CHECK(newer.known.struct_size == sizeof(newer.bytes));
  CHECK(newer.bytes.back() == 0);
  elrt_generate_result older;
  std::memset(&older, 0x55, sizeof older);
  const elrt_generate_result before = older;
  older.struct_size = offsetof(elrt_generate_result, generated_tokens);
  REQUIRE(elrt_generate(session, "ab", 2, &options, nullptr, nullptr, &older) == ELRT_OK);
  CHECK(older.prompt_tokens == 2);
  CHECK(older.generated_tokens == before.generated_tokens);
  CHECK(older.accepted_tokens == before.accepted_tokens);
  elrt_session_destroy(session);
}

TEST_CASE("a cache type that does not exist is refused wherever one is given", "[runtime][unit]") {
  const Engine engine;
  const int unknown = 7;
  elrt_session_options options;
  ELRT_INIT(&options);
  std::memcpy(&options.kv_type, &unknown, sizeof unknown);
  elrt_session* session = nullptr;
  CHECK(elrt_session_create(engine.get(), &options, &session) == ELRT_INVALID_ARGUMENT);
  CHECK(said("kv_type is 7"));
  elrt_calibrate_options calibrate;
  ELRT_INIT(&calibrate);
  std::memcpy(&calibrate.kv_type, &unknown, sizeof unknown);
  CHECK(elrt_calibrate(engine.get(), &calibrate, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  CHECK(said("kv_type is 7"));
  elrt_service_options serving;
  ELRT_INIT(&serving);
  std::memcpy(&serving.kv_type, &unknown, sizeof unknown);
  elrt_service* service = nullptr;
  CHECK(elrt_service_open(engine.get(), nullptr, &serving, &service) == ELRT_INVALID_ARGUMENT);
  CHECK(said("kv_type is 7"));
}

TEST_CASE("a table of one cache type serves services of that type only", "[runtime][unit]") {
  const Engine engine;
  const TemporaryFile table(std::vector<unsigned char>{'x'});
  elrt_calibrate_options calibrate;
  ELRT_INIT(&calibrate);
  calibrate.threads = calibrate.repeats = 1;
  calibrate.kv_type = ELRT_KV_F16;
  const std::array<std::uint32_t, 2> lengths{4, 8};
  calibrate.lengths = lengths.data(), calibrate.length_count = lengths.size();
  const auto stop = [](double, void*) { return 0; };
  CHECK(elrt_calibrate(engine.get(), &calibrate, table.path().c_str(), stop, nullptr) == ELRT_CANCELLED);
  REQUIRE(elrt_calibrate(engine.get(), &calibrate, table.path().c_str(), nullptr, nullptr) == ELRT_OK);
  elrt_service_options serving;
  ELRT_INIT(&serving);
  serving.threads = 1;
  elrt_service* service = nullptr;
  CHECK(elrt_service_open(engine.get(), table.path().c_str(), &serving, &service) == ELRT_INVALID_ARGUMENT);
  CHECK(said("set kv_type to f16"));
  serving.kv_type = ELRT_KV_F16;
  CHECK(elrt_service_open(engine.get(), table.path().c_str(), &serving, &service) == ELRT_OK);
  elrt_service_close(service);
}

TEST_CASE("special tokens are text unless the caller asks; the beginning of text stands once", "[runtime][unit]") {
  const Engine engine;
  elrt_tokenize_options options;
  ELRT_INIT(&options);
  const std::vector<std::int32_t> plain = engine.tokens("<s>a", nullptr);
  CHECK(plain.size() > 3);
  CHECK(plain[0] == 1);
  options.parse_special = 1;
  const std::int32_t a = engine.tokens("a", nullptr).back();
  CHECK(engine.tokens("<s>a", &options) == std::vector<std::int32_t>{1, a});
  CHECK(engine.tokens("a</s>", &options) == std::vector<std::int32_t>{1, a, 2});
  options.no_begin = 1;
  CHECK(engine.tokens("a</s>", &options) == std::vector<std::int32_t>{a, 2});
}

TEST_CASE("a conversation has one beginning", "[runtime][unit]") {
  const Engine engine;
  elrt_session* session = engine.session();
  elrt_generate_options options = generate_options(4);
  options.keep_context = 1;
  CHECK(generated(session, "ab c", options).prompt_tokens == 3);  // the beginning, "ab" and " c"
  CHECK(generated(session, "ab c", options).prompt_tokens == 2);
  options.keep_context = 0;
  CHECK(generated(session, "ab c", options).prompt_tokens == 3);
  options.parse_special = 1;
  CHECK(generated(session, "<s>ab c", options).prompt_tokens == 3);
  elrt_session_destroy(session);
}

TEST_CASE("reading a prompt can be ended between its batches", "[runtime][unit]") {
  const Engine engine;
  elrt_session* session = engine.session(8);
  const std::string prompt(30, '!');
  struct Seen {
    std::vector<std::uint32_t> read;
    std::uint32_t total = 0, stop_at = 1000;
  } seen;
  elrt_generate_options options = generate_options(2);
  options.on_prompt = [](std::uint32_t read, std::uint32_t total, void* user) {
    auto& s = *static_cast<Seen*>(user);
    s.read.push_back(read);
    s.total = total;
    return read < s.stop_at ? 1 : 0;
  };
  CHECK(generated(session, prompt, options, &seen).generated_tokens == 2);
  CHECK(seen.read == std::vector<std::uint32_t>{0, 8, 16, 24});
  CHECK(seen.total == 31);
  options.keep_context = 1;
  options.max_tokens = 1;
  elrt_session_reset(session);
  generated(session, "ab", options, &seen);
  seen = {{}, 0, 16};
  const elrt_generate_result ended = generated(session, prompt, options, &seen);
  CHECK(ended.finish == ELRT_FINISH_CANCELLED);
  CHECK(ended.generated_tokens == 0);
  CHECK(seen.read == std::vector<std::uint32_t>{0, 8, 16});
  seen = {};
  CHECK(generated(session, "c", options, &seen).prompt_tokens == 1);
  CHECK(seen.total == 2);  // the token that the first call sampled, and this one: nothing of what was ended
  elrt_session_destroy(session);
}

// A library's caller has no command line. Programs may be named next to the function that does the same.
TEST_CASE("no message of the library names a flag, and none a program alone", "[runtime][unit]") {
  const std::regex text("\"([^\"\\\\]|\\\\.)*\"");
  int files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(ELASTIFY_SOURCE_DIR) + "/runtime/src")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      for (std::sregex_iterator found(line.begin(), line.end(), text), end; found != end; ++found) {
        INFO(entry.path().string() << ": " << line);
        const std::string literal = found->str();
        CHECK_FALSE(std::regex_search(literal, std::regex("--[a-z]")));
        const bool program =
            literal.find("elastic-run ") != std::string::npos || literal.find("elastify inspect") != std::string::npos;
        CHECK((!program || literal.find("elrt_") != std::string::npos));
      }
    }
  }
  CHECK(files > 50);
}
