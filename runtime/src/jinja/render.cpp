#include "jinja/render.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "jinja/access.hpp"
#include "jinja/builtins.hpp"

namespace elrt::jinja {
namespace {

using Kind = Expression::Kind;

constexpr std::size_t kMaxOutputBytes = std::size_t{16} << 20;
constexpr int kMaxCalls = 32;   // of macros within macros
constexpr int kMaxDepth = 256;  // of expressions within expressions, those of macros' bodies too: it bounds the stack

// Variables of one scope: the template, a pass of a loop, a macro's call.
struct Scope {
  const Scope* parent = nullptr;
  Variables variables{};

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
      for (const auto& [known, value] : scope->variables) {
        if (known == name) return &value;
      }
    }
    return nullptr;
  }
  void set(const std::string& name, Value value) {
    for (auto& [known, content] : variables) {
      if (known == name) {
        content = std::move(value);
        return;
      }
    }
    variables.emplace_back(name, std::move(value));
  }
};

// --- arithmetic, as Python's

Value repeated(const Value& value, std::int64_t times, Work& work) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  const std::size_t size = value.text() != nullptr ? value.text()->size() : value.list()->items.size();
  if (size > 0 && count > kMaxOutputBytes / size) refuse("a repetition makes too long a value");
  work.made(count * size);
  work.step(count);
  if (const Text* text = value.text()) {
    Text out;
    for (std::size_t i = 0; i < count; ++i) out += *text;
    return out;
  }
  std::vector<Value> items;
  for (std::size_t i = 0; i < count; ++i)
    items.insert(items.end(), value.list()->items.begin(), value.list()->items.end());
  return make_list(std::move(items), work, value.list()->tuple);
}

std::int64_t floor_of(std::int64_t a, std::int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN)) refuse("a division by 0, or beyond 64 bits");
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

Value whole_arithmetic(std::int64_t a, char sign, std::int64_t b) {
  std::int64_t out = 0;
  bool over = false;
  if (sign == '+') over = __builtin_add_overflow(a, b, &out);
  if (sign == '-') over = __builtin_sub_overflow(a, b, &out);
  if (sign == '*') over = __builtin_mul_overflow(a, b, &out);
  if (sign == 'f') out = floor_of(a, b);
  if (sign == '%') out = a - floor_of(a, b) * b;
  if (sign == '^') {
    out = 1;
    for (std::int64_t i = 0; i < b && !over && i < 64; ++i) over = __builtin_mul_overflow(out, a, &out);
    over = over || (b > 64 && a != 0 && a != 1 && a != -1);
    if (a == -1 && b % 2 != 0) out = -1;
    if (a == 0 && b > 0) out = 0;
  }
  if (over) refuse("a number beyond 64 bits");
  return out;
}

Value arithmetic(const Value& a, const std::string& name, const Value& b, Work& work) {
  const char sign = name == "//" ? 'f' : name == "**" ? '^' : name[0];
  if (a.is_undefined() || b.is_undefined())
    refuse("'" + (a.is_undefined() ? a : b).as<Undefined>()->name + "' is undefined, so " + name + " cannot use it");
  if (sign == '+' && a.text() != nullptr && b.text() != nullptr) {
    Text out = *a.text();
    out += *b.text();
    return make_text(std::move(out), work);
  }
  if (sign == '+' && a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return make_list(std::move(items), work, a.list()->tuple);
  }
  const auto series = [](const Value& value) { return value.text() != nullptr || value.list() != nullptr; };
  if (sign == '*' && series(a) && b.is_whole()) return repeated(a, b.whole(), work);
  if (sign == '*' && a.is_whole() && series(b)) return repeated(b, a.whole(), work);
  if (!a.is_number() || !b.is_number())
    refuse("a " + type_name(a) + " " + name + " a " + type_name(b) + " is not supported");
  if (a.is_whole() && b.is_whole() && sign != '/' && !(sign == '^' && b.whole() < 0))
    return whole_arithmetic(a.whole(), sign, b.whole());
  const double x = a.number(), y = b.number();
  if (sign == '+') return x + y;
  if (sign == '-') return x - y;
  if (sign == '*') return x * y;
  if (sign == '^') return std::pow(x, y);
  if (y == 0) refuse("a division by 0");
  if (sign == '/') return x / y;
  if (sign == 'f') return std::floor(x / y);
  const double rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

class Renderer {
 public:
  Renderer(const Variables& variables, const std::tm& now) : now_(now) { top_.variables = variables; }
  // A namespace may have come to hold itself, so that it would never be freed.
  ~Renderer() {
    for (auto& [space, value] : changed_) space->attributes = {};
  }
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  Text run(const Block& block) {
    run(block, top_);
    return std::move(out_);
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  // --- statements
  Flow run(const Block& block, Scope& scope) {
    for (const Statement& statement : block) {
      work_.step();
      Flow flow = Flow::kOn;
      try {
        flow = run(statement, scope);
      } catch (Refusal& refusal) {
        if (refusal.line == 0) refusal.line = statement.line;
        throw;
      }
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow run(const Statement& statement, Scope& scope) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        print(statement.text);
        return Flow::kOn;
      case Statement::Kind::kOutput:
        print(to_text(evaluate(*statement.expression, scope), work_));
        return Flow::kOn;
      case Statement::Kind::kIf:
        for (const Statement::Branch& branch : statement.branches) {
          if (!branch.condition || truth(evaluate(*branch.condition, scope))) return run(branch.body, scope);
        }
        return Flow::kOn;
      case Statement::Kind::kFor:
        return loop(statement, scope);
      case Statement::Kind::kSet:
        assign(statement, evaluate(*statement.expression, scope), scope);
        return Flow::kOn;
      case Statement::Kind::kSetBlock:
        set_block(statement, scope);
        return Flow::kOn;
      case Statement::Kind::kMacro:
        define(statement, scope);
        return Flow::kOn;
      case Statement::Kind::kScope: {
        Scope inner{&scope};
        return run(statement.body, inner);
      }
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  void print(const Text& text) {
    if (text.size() > kMaxOutputBytes - out_.size())
      refuse("it prints more than " + std::to_string(kMaxOutputBytes >> 20) + " MiB");
    work_.made(text.size());
    out_ += text;
  }

  static std::vector<Value> unpacked(const std::vector<std::string>& targets, const Value& value, Work& work) {
    std::vector<Value> parts = iterate(value, work);
    if (parts.size() != targets.size()) {
      refuse("expected " + std::to_string(targets.size()) + " values to unpack, found " + std::to_string(parts.size()));
    }
    return parts;
  }
  void bind(const Statement& statement, const Value& value, Scope& scope) {
    if (!statement.unpack) return scope.set(statement.targets[0], value);
    std::vector<Value> parts = unpacked(statement.targets, value, work_);
    for (std::size_t i = 0; i < parts.size(); ++i) scope.set(statement.targets[i], std::move(parts[i]));
  }
  void assign(const Statement& statement, Value value, Scope& scope) {
    if (statement.attribute.empty()) return bind(statement, value, scope);
    const Value* found = scope.find(statement.targets[0]);
    if (found == nullptr || found->space() == nullptr)
      refuse("only a namespace's attributes can be set; " + statement.targets[0] + " is none");
    changed_.emplace(found->space(), *found);
    found->space()->attributes.set(Text(statement.attribute), std::move(value));
    work_.made(sizeof(Value));
  }

  // What a body prints, as a value.
  template <typename Body>
  Text captured(Body body) {
    Text outer = std::exchange(out_, Text());
    body();
    return std::exchange(out_, std::move(outer));
  }

  void set_block(const Statement& statement, Scope& scope) {
    Value value = captured([&] {
      Scope inner{&scope};
      run(statement.body, inner);
    });
    if (statement.expression) value = filtered(*statement.expression, std::move(value), scope);
    bind(statement, value, scope);
  }
  // The filters of a block's set, innermost first.
  Value filtered(const Expression& filter, Value value, Scope& scope) {
    if (filter.kind == Kind::kLiteral) return value;
    return builtin(filter, filtered(*filter.parts[0], std::move(value), scope), scope);
  }

  Flow loop(const Statement& statement, Scope& scope) {
    std::vector<Value> items = iterate(evaluate(*statement.expression, scope), work_);
    if (statement.condition) {
      std::vector<Value> kept;
      for (Value& item : items) {
        Scope inner{&scope};
        bind(statement, item, inner);
        if (truth(evaluate(*statement.condition, inner))) kept.push_back(std::move(item));
      }
      items = std::move(kept);
    }
    const auto all = std::make_shared<const std::vector<Value>>(std::move(items));
    for (std::size_t i = 0; i < all->size(); ++i) {
      work_.step();
      Scope inner{&scope};  // fresh at each pass
      auto state = std::make_shared<Loop>();
      state->index = i, state->items = all;
      inner.set("loop", std::shared_ptr<const Loop>(std::move(state)));
      bind(statement, (*all)[i], inner);
      if (run(statement.body, inner) == Flow::kBreak) break;
    }
    if (!all->empty() || statement.otherwise.empty()) return Flow::kOn;
    Scope inner{&scope};
    return run(statement.otherwise, inner);
  }

  void define(const Statement& macro, Scope& scope) {
    const auto run_macro = [this, &macro](Call& call) -> Value {
      if (++calls_ > kMaxCalls) refuse("macros call each other too deeply");
      Scope inner{&top_};
      pass(macro, call, inner);
      Text made = captured([&] { run(macro.body, inner); });
      --calls_;
      return made;
    };
    scope.set(macro.targets[0], Function{macro.targets[0], run_macro});
  }
  void pass(const Statement& macro, const Call& call, Scope& inner) {
    const auto& parameters = macro.parameters;
    if (call.positional.size() > parameters.size()) refuse("too many arguments for the macro " + macro.targets[0]);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto named = std::find_if(call.named.begin(), call.named.end(),
                                      [&](const auto& pair) { return pair.first == parameters[i].name; });
      Value value = Value::undefined(parameters[i].name);
      if (i < call.positional.size())
        value = call.positional[i];
      else if (named != call.named.end())
        value = named->second;
      else if (parameters[i].otherwise)
        value = evaluate(*parameters[i].otherwise, inner);
      inner.set(parameters[i].name, std::move(value));
    }
    for (const auto& [name, value] : call.named) {
      const bool known =
          std::any_of(parameters.begin(), parameters.end(), [&](const auto& p) { return p.name == name; });
      if (!known) refuse("the macro " + macro.targets[0] + " has no parameter " + name);
    }
  }

  // --- expressions
  Value evaluate(const Expression& e, Scope& scope) {
    work_.step();
    if (++depth_ > kMaxDepth) refuse("it recurses too deeply");
    try {
      Value value = dispatch(e, scope);
      --depth_;
      return value;
    } catch (Refusal& refusal) {
      if (refusal.line == 0) refusal.line = e.line;
      throw;
    }
  }
  Value part(const Expression& e, std::size_t index, Scope& scope) { return evaluate(*e.parts[index], scope); }

  Value dispatch(const Expression& e, Scope& scope) {
    switch (e.kind) {
      case Kind::kLiteral:
        return e.value;
      case Kind::kName:
        return name(e.name, scope);
      case Kind::kList:
        return make_list(parts(e, 0, scope), work_);
      case Kind::kTuple:
        return make_list(parts(e, 0, scope), work_, true);
      case Kind::kDict:
        return dict(e, scope);
      case Kind::kAttribute:
        return attribute_of(part(e, 0, scope), e.name, work_);
      case Kind::kItem:
        return item_of(part(e, 0, scope), part(e, 1, scope), work_);
      case Kind::kSlice:
        return slice(e, scope);
      case Kind::kCall:
        return call(e, scope);
      case Kind::kFilter:
      case Kind::kTest:
        return builtin(e, part(e, 0, scope), scope);
      case Kind::kNot:
        return !truth(part(e, 0, scope));
      case Kind::kSign:
        return sign(e, part(e, 0, scope));
      case Kind::kArithmetic:
        return arithmetic(part(e, 0, scope), e.name, part(e, 1, scope), work_);
      case Kind::kJoin:
        return join(e, scope);
      case Kind::kCompare:
        return compared(e, scope);
      case Kind::kAnd: {
        Value left = part(e, 0, scope);
        return truth(left) ? part(e, 1, scope) : left;
      }
      case Kind::kOr: {
        Value left = part(e, 0, scope);
        return truth(left) ? left : part(e, 1, scope);
      }
      case Kind::kCondition:
        if (truth(part(e, 1, scope))) return part(e, 0, scope);
        return e.parts[2] ? part(e, 2, scope) : Value::undefined("a condition without else");
    }
    return {};
  }

  Value name(const std::string& name, Scope& scope) {
    if (const Value* found = scope.find(name)) return *found;
    return find_function(name, now_);
  }
  std::vector<Value> parts(const Expression& e, std::size_t from, Scope& scope) {
    std::vector<Value> values;
    for (std::size_t i = from; i < e.parts.size(); ++i) values.push_back(part(e, i, scope));
    return values;
  }
  Value dict(const Expression& e, Scope& scope) {
    Dict made;
    for (std::size_t i = 0; i + 1 < e.parts.size(); i += 2) {
      const Value key = part(e, i, scope);
      if (key.text() == nullptr) refuse("a dict's keys must be strs, found a " + type_name(key));
      made.set(*key.text(), part(e, i + 1, scope));
    }
    return make_dict(std::move(made), work_);
  }
  Value slice(const Expression& e, Scope& scope) {
    const auto bound = [&](std::size_t i) { return e.parts[i] ? part(e, i, scope) : Value(None{}); };
    return slice_of(part(e, 0, scope), bound(1), bound(2), bound(3), work_);
  }
  Call arguments(const Expression& e, Scope& scope) {
    Call call{parts(e, 1, scope), {}, work_};
    for (const auto& [key, value] : e.named) call.named.emplace_back(key, evaluate(*value, scope));
    return call;
  }
  Value call(const Expression& e, Scope& scope) {
    const Value callee = part(e, 0, scope);
    if (callee.is_undefined()) refuse("'" + callee.as<Undefined>()->name + "' is undefined, so it cannot be called");
    if (callee.function() == nullptr) refuse("a " + type_name(callee) + " cannot be called");
    Call given = arguments(e, scope);
    return callee.function()->run(given);
  }
  Value builtin(const Expression& e, Value value, Scope& scope) {
    const bool filter = e.kind == Kind::kFilter;
    const Builtin function = filter ? find_filter(e.name) : find_test(e.name);
    if (function == nullptr)
      refuse(std::string("the ") + (filter ? "filter " : "test ") + e.name + " is not supported");
    Call given = arguments(e, scope);
    given.positional.insert(given.positional.begin(), std::move(value));
    return function(given);
  }
  static Value sign(const Expression& e, const Value& value) {
    if (!value.is_number()) refuse("a " + type_name(value) + " has no sign");
    if (!value.is_whole()) return e.name == "-" ? -value.number() : value.number();
    return e.name == "-" ? whole_arithmetic(0, '-', value.whole()) : Value(value.whole());
  }
  Value join(const Expression& e, Scope& scope) {
    Text out;
    for (const Value& value : parts(e, 0, scope)) out += to_text(value, work_);
    return make_text(std::move(out), work_);
  }
  Value compared(const Expression& e, Scope& scope) {
    Value left = part(e, 0, scope);
    for (std::size_t i = 0; i < e.operators.size(); ++i) {
      Value right = part(e, i + 1, scope);
      if (!holds(left, e.operators[i], right)) return false;
      left = std::move(right);
    }
    return true;
  }
  bool holds(const Value& a, const std::string& sign, const Value& b) {
    if (sign == "==") return equal(a, b, work_);
    if (sign == "!=") return !equal(a, b, work_);
    if (sign == "in") return contains(b, a, work_);
    if (sign == "not in") return !contains(b, a, work_);
    const int order = compare(a, b);
    return sign == "<" ? order < 0 : sign == ">" ? order > 0 : sign == "<=" ? order <= 0 : order >= 0;
  }

  Work work_;
  std::tm now_;
  Scope top_;
  Text out_;
  std::map<Namespace*, Value> changed_;
  int calls_ = 0, depth_ = 0;  // a refusal ends the rendering, so it leaves them
};

}  // namespace

Text render(const Block& block, const Variables& variables, const std::tm& now) {
  return Renderer(variables, now).run(block);
}

}  // namespace elrt::jinja
