#include "jinja/parser.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "base/decimal.hpp"
#include "jinja/lexer.hpp"

namespace elrt::jinja {
namespace {

using Kind = Expression::Kind;

constexpr int kMaxNesting = 48;     // of brackets and blocks: each takes a dozen calls of this parser
constexpr int kMaxTreeDepth = 128;  // of an expression: each takes a call of the renderer

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Block run() {
    Block block = body({});
    return block;
  }

 private:
  // --- tokens
  const Token& now() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  [[noreturn]] void fail(const std::string& what) const { throw Refusal{what, Refusal::Kind::kTemplate, now().line}; }
  bool is(std::string_view sign) const { return now().kind == Token::Kind::kOperator && now().text == sign; }
  bool is_name(std::string_view name) const { return now().kind == Token::Kind::kName && now().text == name; }
  bool skip(std::string_view sign) { return is(sign) && (take(), true); }
  bool skip_name(std::string_view name) { return is_name(name) && (take(), true); }
  std::string shown() const {
    switch (now().kind) {
      case Token::Kind::kBlockEnd:
        return "%}";
      case Token::Kind::kVariableEnd:
        return "}}";
      case Token::Kind::kEnd:
        return "the end of the template";
      case Token::Kind::kString:
        return "a string";
      default:
        return "\"" + now().text + "\"";
    }
  }
  void need(std::string_view sign) {
    if (!skip(sign)) fail("expected \"" + std::string(sign) + "\", found " + shown());
  }
  void need(Token::Kind kind, const char* what) {
    if (now().kind != kind) fail(std::string("expected ") + what + ", found " + shown());
    take();
  }
  std::string name(const char* what) {
    if (now().kind != Token::Kind::kName) fail(std::string("expected ") + what + ", found " + shown());
    return take().text;
  }

  // Counts brackets and blocks that are open.
  struct Nest {
    explicit Nest(Parser& owner) : parser(owner) {
      if (++parser.nesting_ > kMaxNesting) parser.fail("brackets or blocks nest too deeply");
    }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;
    ~Nest() { --parser.nesting_; }
    Parser& parser;
  };

  // --- expressions
  ExpressionPtr make(Expression made) {
    for (const ExpressionPtr& part : made.parts) made.depth = std::max(made.depth, part ? part->depth + 1 : 1);
    for (const auto& [key, part] : made.named) made.depth = std::max(made.depth, part->depth + 1);
    if (made.depth > kMaxTreeDepth) fail("an expression nests too deeply");
    return std::make_unique<const Expression>(std::move(made));
  }
  template <typename... Parts>
  ExpressionPtr make(Kind kind, int line, std::string name, Parts... parts) {
    Expression made;
    made.kind = kind, made.line = line, made.name = std::move(name);
    (made.parts.push_back(std::move(parts)), ...);
    return make(std::move(made));
  }
  ExpressionPtr literal(Value value) {
    Expression made;
    made.line = now().line, made.value = std::move(value);
    return make(std::move(made));
  }

  ExpressionPtr condition() {
    Nest nest(*this);
    ExpressionPtr value = disjunction();
    while (is_name("if")) {
      const int line = take().line;
      ExpressionPtr test = disjunction(), otherwise;
      if (skip_name("else")) otherwise = condition();
      value = make(Kind::kCondition, line, "", std::move(value), std::move(test), std::move(otherwise));
    }
    return value;
  }
  ExpressionPtr disjunction() {
    ExpressionPtr left = conjunction();
    while (is_name("or")) {
      const int line = take().line;
      ExpressionPtr right = conjunction();
      left = make(Kind::kOr, line, "", std::move(left), std::move(right));
    }
    return left;
  }
  ExpressionPtr conjunction() {
    ExpressionPtr left = negation();
    while (is_name("and")) {
      const int line = take().line;
      ExpressionPtr right = negation();
      left = make(Kind::kAnd, line, "", std::move(left), std::move(right));
    }
    return left;
  }
  ExpressionPtr negation() {
    if (!is_name("not")) return comparison();
    Nest nest(*this);
    const int line = take().line;
    return make(Kind::kNot, line, "", negation());
  }
  ExpressionPtr comparison() {
    Expression made;
    made.kind = Kind::kCompare, made.line = now().line;
    made.parts.push_back(sum());
    for (;;) {
      std::string sign;
      for (const char* known : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (sign.empty() && is(known)) sign = known;
      }
      if (is_name("in")) sign = "in";
      if (is_name("not") && next().kind == Token::Kind::kName && next().text == "in") sign = "not in", take();
      if (sign.empty()) break;
      take();
      made.operators.push_back(std::move(sign));
      made.parts.push_back(sum());
    }
    if (made.operators.empty()) return std::move(made.parts[0]);
    return make(std::move(made));
  }
  template <typename Operand>
  ExpressionPtr chain(std::initializer_list<const char*> signs, Operand operand) {
    ExpressionPtr left = operand();
    for (;;) {
      const auto found = std::find_if(signs.begin(), signs.end(), [&](const char* sign) { return is(sign); });
      if (found == signs.end()) return left;
      const int line = take().line;
      ExpressionPtr right = operand();
      left = make(Kind::kArithmetic, line, *found, std::move(left), std::move(right));
    }
  }
  ExpressionPtr sum() {
    return chain({"+", "-"}, [this] { return join(); });
  }
  ExpressionPtr join() {
    Expression made;
    made.kind = Kind::kJoin, made.line = now().line;
    do made.parts.push_back(product());
    while (skip("~"));
    if (made.parts.size() == 1) return std::move(made.parts[0]);
    return make(std::move(made));
  }
  ExpressionPtr product() {
    return chain({"*", "/", "//", "%"}, [this] { return chain({"**"}, [this] { return unary(true); }); });
  }
  ExpressionPtr unary(bool with_filters) {
    ExpressionPtr value;
    if (is("-") || is("+")) {
      Nest nest(*this);
      const Token sign = take();
      value = make(Kind::kSign, sign.line, sign.text, unary(false));
    } else {
      value = primary();
    }
    value = postfix(std::move(value));
    return with_filters ? filters(std::move(value)) : std::move(value);
  }

  ExpressionPtr primary() {
    const Token token = now();
    if (token.kind == Token::Kind::kName) {
      take();
      if (token.text == "true" || token.text == "True") return literal(true);
      if (token.text == "false" || token.text == "False") return literal(false);
      if (token.text == "none" || token.text == "None") return literal(None{});
      return make(Kind::kName, token.line, token.text);
    }
    if (token.kind == Token::Kind::kString) {
      std::string text;
      while (now().kind == Token::Kind::kString) text += take().text;
      return literal(Text(std::move(text)));
    }
    if (token.kind == Token::Kind::kInteger || token.kind == Token::Kind::kFloat) return number();
    Nest nest(*this);
    if (skip("(")) return parenthesis(token.line);
    if (skip("[")) return sequence(Kind::kList, "]", token.line);
    if (skip("{")) return dict(token.line);
    fail("expected a value, found " + shown());
  }
  ExpressionPtr number() {
    const Token token = take();
    if (token.kind == Token::Kind::kFloat) {
      const auto read = parse_decimal(token.text);
      if (!read) fail("a number out of range");
      return literal(*read);
    }
    std::int64_t value = 0;
    const char* end = token.text.data() + token.text.size();
    if (std::from_chars(token.text.data(), end, value).ptr != end || token.text.size() > 18)
      fail("a number out of range");
    return literal(value);
  }
  ExpressionPtr sequence(Kind kind, const char* end, int line) {
    Expression made;
    made.kind = kind, made.line = line;
    while (!skip(end)) {
      if (!made.parts.empty()) {
        need(",");
        if (skip(end)) break;
      }
      made.parts.push_back(condition());
    }
    return make(std::move(made));
  }
  // A value in brackets, or a tuple.
  ExpressionPtr parenthesis(int line) {
    if (skip(")")) return make(Kind::kTuple, line, "");
    ExpressionPtr first = condition();
    if (skip(")")) return first;
    Expression made;
    made.kind = Kind::kTuple, made.line = line;
    made.parts.push_back(std::move(first));
    while (!skip(")")) {
      need(",");
      if (skip(")")) break;
      made.parts.push_back(condition());
    }
    return make(std::move(made));
  }
  ExpressionPtr dict(int line) {
    Expression made;
    made.kind = Kind::kDict, made.line = line;
    while (!skip("}")) {
      if (!made.parts.empty()) {
        need(",");
        if (skip("}")) break;
      }
      made.parts.push_back(condition());
      need(":");
      made.parts.push_back(condition());
    }
    return make(std::move(made));
  }

  ExpressionPtr postfix(ExpressionPtr value) {
    for (;;) {
      const int line = now().line;
      if (skip(".")) {
        if (now().kind == Token::Kind::kInteger)
          value = make(Kind::kItem, line, "", std::move(value), number());
        else
          value = make(Kind::kAttribute, line, name("an attribute's name"), std::move(value));
      } else if (skip("[")) {
        value = subscript(std::move(value), line);
      } else if (is("(")) {
        value = call(Kind::kCall, line, "", std::move(value));
      } else {
        return value;
      }
    }
  }
  ExpressionPtr subscript(ExpressionPtr value, int line) {
    Nest nest(*this);
    Expression made;
    made.kind = Kind::kSlice, made.line = line;
    made.parts.push_back(std::move(value));
    bool slice = false;
    for (int part = 0; part < 3; ++part) {
      made.parts.push_back(is(":") || is("]") ? nullptr : condition());
      if (!is(":") || part == 2) break;
      slice = true, take();
    }
    need("]");
    if (!slice) {
      made.kind = Kind::kItem;
      if (!made.parts[1]) fail("an index is missing");
    }
    made.parts.resize(slice ? 4 : 2);
    return make(std::move(made));
  }
  ExpressionPtr call(Kind kind, int line, std::string name, ExpressionPtr value) {
    Nest nest(*this);
    Expression made;
    made.kind = kind, made.line = line, made.name = std::move(name);
    made.parts.push_back(std::move(value));
    need("(");
    for (bool first = true; !skip(")"); first = false) {
      if (!first) {
        need(",");
        if (skip(")")) break;
      }
      if (is("*") || is("**")) fail("arguments with a star are not supported");
      const bool named =
          now().kind == Token::Kind::kName && next().kind == Token::Kind::kOperator && next().text == "=";
      if (named) {
        std::string key = take().text;
        take();
        made.named.emplace_back(std::move(key), condition());
      } else {
        if (!made.named.empty()) fail("an argument without name after one with a name");
        made.parts.push_back(condition());
      }
    }
    return make(std::move(made));
  }
  ExpressionPtr apply(Kind kind, int line, std::string name, ExpressionPtr value) {
    if (is("(")) return call(kind, line, std::move(name), std::move(value));
    return make(kind, line, std::move(name), std::move(value));
  }
  ExpressionPtr filters(ExpressionPtr value) {
    for (;;) {
      const int line = now().line;
      if (skip("|")) {
        std::string filter = name("a filter's name");
        value = apply(Kind::kFilter, line, std::move(filter), std::move(value));
      } else if (skip_name("is")) {
        value = test(std::move(value), line);
      } else if (is("(")) {
        value = call(Kind::kCall, line, "", std::move(value));
      } else {
        return value;
      }
    }
  }
  ExpressionPtr test(ExpressionPtr value, int line) {
    const bool negated = skip_name("not");
    std::string name = this->name("a test's name");
    const Token& token = now();
    const bool operand =
        token.kind == Token::Kind::kString || token.kind == Token::Kind::kInteger ||
        token.kind == Token::Kind::kFloat || is("[") || is("{") ||
        (token.kind == Token::Kind::kName && token.text != "else" && token.text != "or" && token.text != "and");
    if (is_name("is")) fail("a test after a test");
    if (!is("(") && operand) {
      ExpressionPtr argument = postfix(primary());
      value = make(Kind::kTest, line, std::move(name), std::move(value), std::move(argument));
    } else {
      value = apply(Kind::kTest, line, std::move(name), std::move(value));
    }
    return negated ? make(Kind::kNot, line, "", std::move(value)) : std::move(value);
  }
  // Values with commas between them are a tuple. `whole`: with conditional expressions.
  ExpressionPtr tuple(bool whole) {
    const int line = now().line;
    const auto one = [&] { return whole ? condition() : disjunction(); };
    ExpressionPtr first = one();
    if (!is(",")) return first;
    Expression made;
    made.kind = Kind::kTuple, made.line = line;
    made.parts.push_back(std::move(first));
    const auto ends = [&] {
      return now().kind == Token::Kind::kBlockEnd || now().kind == Token::Kind::kVariableEnd || is_name("if");
    };
    while (skip(",") && !ends()) made.parts.push_back(one());
    return make(std::move(made));
  }

  // --- statements
  Block body(std::initializer_list<const char*> ends) {
    Nest nest(*this);
    Block block;
    for (;;) {
      const Token& token = now();
      if (token.kind == Token::Kind::kEnd) {
        if (ends.size() > 0) fail(std::string("the tag ") + *(ends.end() - 1) + " is missing");
        return block;
      }
      if (token.kind == Token::Kind::kText) {
        Statement made;
        made.line = token.line, made.text = Text(take().text);
        block.push_back(std::move(made));
      } else if (token.kind == Token::Kind::kVariableBegin) {
        Statement made;
        made.kind = Statement::Kind::kOutput, made.line = take().line;
        made.expression = tuple(true);
        need(Token::Kind::kVariableEnd, "}}");
        block.push_back(std::move(made));
      } else {
        take();
        const bool ended = std::any_of(ends.begin(), ends.end(), [&](const char* name) { return is_name(name); });
        if (ended) return block;  // at the ending tag's name
        tag(block);
      }
    }
  }
  void end_tag() { need(Token::Kind::kBlockEnd, "%}"); }

  void tag(Block& block) {
    const int line = now().line;
    const std::string name = this->name("a tag's name");
    Statement made;
    made.line = line;
    if (name == "if") {
      read_if(made);
    } else if (name == "for") {
      read_for(made);
    } else if (name == "set") {
      read_set(made);
    } else if (name == "macro") {
      read_macro(made);
    } else if (name == "generation") {
      made.kind = Statement::Kind::kScope;
      end_tag();
      made.body = body({"endgeneration"});
      take(), end_tag();
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) fail("the tag " + name + " outside of a for");
      made.kind = name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
      end_tag();
    } else {
      throw Refusal{"the tag " + name + " is not supported", Refusal::Kind::kTemplate, line};
    }
    block.push_back(std::move(made));
  }

  void read_if(Statement& made) {
    made.kind = Statement::Kind::kIf;
    ExpressionPtr test = tuple(false);
    for (;;) {
      end_tag();
      Block inside = body({"elif", "else", "endif"});
      made.branches.push_back({std::move(test), std::move(inside)});
      const std::string name = take().text;
      if (name == "elif") {
        test = tuple(false);
        continue;
      }
      if (name == "else") {
        end_tag();
        made.branches.push_back({nullptr, body({"endif"})});
        take();
      }
      return end_tag();
    }
  }

  // a, or a, b, or (a, b).
  void read_targets(Statement& made) {
    const bool bracket = skip("(");
    do {
      if (!made.targets.empty() && (is_name("in") || is("=") || is(")"))) break;
      made.targets.push_back(name("a variable's name"));
    } while (skip(",") && (made.unpack = true));
    if (bracket) need(")");
  }

  void read_for(Statement& made) {
    made.kind = Statement::Kind::kFor;
    read_targets(made);
    if (!skip_name("in")) fail("expected in, found " + shown());
    made.expression = tuple(false);
    if (skip_name("if")) made.condition = condition();
    if (is_name("recursive")) fail("recursive loops are not supported");
    end_tag();
    ++loops_;
    made.body = body({"else", "endfor"});
    --loops_;
    if (take().text == "else") {
      end_tag();
      made.otherwise = body({"endfor"});
      take();
    }
    end_tag();
  }

  void read_set(Statement& made) {
    made.kind = Statement::Kind::kSet;
    read_targets(made);
    if (skip(".")) made.attribute = name("an attribute's name");
    if (skip("=")) {
      made.expression = tuple(true);
      return end_tag();
    }
    if (made.unpack) fail("expected \"=\", found " + shown());
    made.kind = Statement::Kind::kSetBlock;
    if (is("|")) made.expression = filters(literal(Value::undefined("")));
    end_tag();
    const int loops = std::exchange(loops_, 0);
    made.body = body({"endset"});
    loops_ = loops;
    take(), end_tag();
  }

  void read_macro(Statement& made) {
    if (nesting_ > 1) fail("a macro within another block is not supported");
    made.kind = Statement::Kind::kMacro;
    made.targets.push_back(name("a macro's name"));
    need("(");
    while (!skip(")")) {
      if (!made.parameters.empty()) {
        need(",");
        if (skip(")")) break;
      }
      Parameter parameter{name("a parameter's name"), nullptr};
      if (skip("=")) parameter.otherwise = condition();
      made.parameters.push_back(std::move(parameter));
    }
    end_tag();
    const int loops = std::exchange(loops_, 0);
    made.body = body({"endmacro"});
    loops_ = loops;
    take(), end_tag();
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0, loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) { return Parser(tokenise(source)).run(); }

}  // namespace elrt::jinja
