// What lib/base promises where the system fails, as a program that faults are let into:
//   faults_base folder DIR    replaces DIR by a folder of two new files
//   faults_base file PATH     writes PATH
//   faults_base workers       1000 pieces of work on 8 threads
#include <atomic>
#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"

namespace {

void replace_folder(const char* path) {
  elastify::AtomicDirectory folder(path);
  elastify::write_file(folder.path() / "a", "new a");
  elastify::write_file(folder.path() / "inside" / "b", "new b");
  folder.commit();
}

void work() {
  std::atomic<int> done{0};
  elastify::work_in_parallel(1000, 8, [&] { return [&](std::size_t) { ++done; }; });
  elastify::require(done == 1000, "1000 pieces of work became {}", done.load());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "folder") replace_folder(argv[2]);
    if (what == "file") elastify::write_file(argv[2], "new");
    if (what == "workers") work();
    return 0;
  } catch (const elastify::Error& error) {
    std::fprintf(stderr, "faults_base: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "faults_base: %s\n", error.what());
    return 1;
  }
}
