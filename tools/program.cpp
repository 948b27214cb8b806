#include "program.h"

#include <c10/util/Exception.h>
#include <malloc.h>

#include <cstring>
#include <elrt/mapped_files.hpp>
#include <iostream>

#include "base/log.h"
#include "common/program.hpp"

namespace elastify_cli {
namespace {

// LibTorch's texts are of its own inside: they go to the log, for those who ask for it with --log debug.
const char* describe(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  if (torch == nullptr) return nullptr;
  const char* text = torch->what_without_backtrace();
  for (const char* words : {"can't allocate memory", "out of memory"}) {
    if (std::strstr(text, words) != nullptr) return common::kOutOfMemory;
  }
  spdlog::debug("LibTorch: {}", text);
  return "internal error in LibTorch: please report the command and what --log debug adds";
}

}  // namespace

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv) {
  elrt::end_on_lost_pages(name);
  // Training allocates the same large tensors in every step: kept, they cost no page faults; returned, one for every
  // page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  std::string log_level = "info";
  const auto register_all = [&](CLI::App& app) {
    register_commands(app);
    app.add_option("--log", log_level, "error, warn, info or debug")->capture_default_str();
    app.parse_complete_callback([&] { elastify::set_up_log(log_level); });
  };
  return common::run_program(name, about, register_all, argc, argv, describe);
}

}  // namespace elastify_cli
