#include "program.h"

#include <c10/util/Exception.h>
#include <malloc.h>

#include <iostream>

#include "base/error.h"
#include "base/log.h"

namespace elastify_cli {

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

int run_program(CLI::App& app, int argc, char** argv) {
  // Training allocates the same large tensors in every step: kept, they cost no page faults; returned, one for every
  // page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  const auto report_failure = [&](int status, const std::string& message) {
    std::cerr << app.get_name() << ": " << message << "\n";
    return status;
  };
  std::string log_level = "info";
  app.add_option("--log", log_level, "error, warn, info or debug")->capture_default_str();
  app.parse_complete_callback([&] { elastify::set_up_log(log_level); });
  try {
    app.parse(argc, argv);
    std::cout.flush();
    return std::cout ? 0 : report_failure(1, "cannot write the result to stdout");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const elastify::Error& error) {
    return report_failure(static_cast<int>(error.code()), error.what());
  } catch (const c10::Error& error) {
    return report_failure(1, std::string("LibTorch failed: ") + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return report_failure(1, std::string("internal error: ") + error.what());
  }
}

}  // namespace elastify_cli
