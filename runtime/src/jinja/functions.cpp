#include "jinja/arguments.hpp"
#include "jinja/builtins.hpp"

namespace elrt::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as in Jinja2's sandbox

Value raise_exception(Call& call) {
  const Text message = to_text(Arguments(call, "raise_exception", {"message"}).need(0), call.work);
  throw Refusal{message.bytes, Refusal::Kind::kRaised};
}

Value range(Call& call) {
  const Arguments given(call, "range", {"start", "stop", "step"});
  std::int64_t begin = given.whole(0, 0), end = given.whole(1, 0);
  const std::int64_t step = given.whole(2, 1);
  if (call.positional.size() == 1) end = std::exchange(begin, 0);
  if (step == 0) refuse("range with a step of 0");
  std::vector<Value> items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange)
      refuse("range gives more than " + std::to_string(kMaxRange) + " numbers");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(std::move(items), call.work);
}

Dict named(Call& call, const char* function) {
  Dict dict;
  if (call.positional.size() > 1 || (call.positional.size() == 1 && call.positional[0].dict() == nullptr))
    refuse(std::string(function) + " takes a dict, or arguments with names");
  if (call.positional.size() == 1) dict = *call.positional[0].dict();
  for (const auto& [name, value] : call.named) dict.set(Text(name), value);
  return dict;
}

Value make_namespace(Call& call) {
  auto space = std::make_shared<Namespace>();
  space->attributes = named(call, "namespace");
  return space;
}

Value strftime_now(Call& call, const std::tm& now) {
  const Text& format = Arguments(call, "strftime_now", {"format"}).text(0);
  if (format.size() > 200) refuse("strftime_now with a format of " + std::to_string(format.size()) + " bytes");
  char out[4096];
  // A space first: a result may be empty, which strftime tells as it tells one that does not fit.
  const std::size_t size = std::strftime(out, sizeof(out), (" " + format.bytes).c_str(), &now);
  return make_text(Text(std::string(out, size).substr(size > 0 ? 1 : 0)), call.work);
}

}  // namespace

Value find_function(const std::string& name, const std::tm& now) {
  if (name == "raise_exception") return Function{name, raise_exception};
  if (name == "range") return Function{name, range};
  if (name == "namespace") return Function{name, make_namespace};
  if (name == "dict") return Function{name, [](Call& call) { return make_dict(named(call, "dict"), call.work); }};
  if (name == "strftime_now") return Function{name, [now](Call& call) { return strftime_now(call, now); }};
  if (name == "lipsum" || name == "cycler" || name == "joiner") refuse("the function " + name + " is not supported");
  return Value::undefined(name);
}

}  // namespace elrt::jinja
