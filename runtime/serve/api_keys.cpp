#include "api_keys.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>

namespace elrt::serve {
namespace {

bool equal(std::string_view given, std::string_view key) {
  std::size_t different = given.size() ^ key.size();
  for (std::size_t i = 0; i < given.size(); ++i)
    different |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(key[i % key.size()]);
  return different == 0;
}

}  // namespace

Result<ApiKeys> ApiKeys::read(const std::filesystem::path& path) {
  std::ifstream in(path);
  ApiKeys made;
  for (std::string line; std::getline(in, line);) {
    const std::size_t begin = line.find_first_not_of(" \t\r"), end = line.find_last_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    made.keys_.push_back(line.substr(begin, end - begin + 1));
  }
  if (!in.eof())
    return invalid_argument("cannot read the API keys in " + path.string() + "; give a file with a key a line");
  if (made.keys_.empty()) return invalid_argument(path.string() + " has no API key; write one a line");
  return made;
}

bool ApiKeys::allow(std::string_view key) const {
  bool found = false;
  for (const std::string& known : keys_) found |= equal(key, known);  // all of them, always
  return found;
}

}  // namespace elrt::serve
