// Renders a template's source with variables given as JSON.
#pragma once

#include <optional>
#include <string>

#include "jinja/parser.hpp"
#include "jinja/render.hpp"

namespace elastify_test {

struct Rendering {
  std::optional<elrt::jinja::Text> text;  // nothing where the template was refused
  std::string problem{};
  int line = 0;
  bool raised = false;  // by raise_exception
};

inline Rendering render_jinja(const std::string& source, const elrt::jinja::Variables& variables = {},
                              std::time_t now = 0) {
  try {
    std::tm local{};
    gmtime_r(&now, &local);
    return {elrt::jinja::render(elrt::jinja::parse(source), variables, local)};
  } catch (const elrt::jinja::Refusal& refusal) {
    return {std::nullopt, refusal.message, refusal.line, refusal.kind == elrt::jinja::Refusal::Kind::kRaised};
  }
}

}  // namespace elastify_test
