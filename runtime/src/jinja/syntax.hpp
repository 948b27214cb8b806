// A template as a tree.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.hpp"

namespace elrt::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Expression {
  enum class Kind {
    kLiteral,     // value
    kName,        // name
    kList,        // parts
    kTuple,       // parts
    kDict,        // parts: key, value, key, value, ...
    kAttribute,   // parts[0].name
    kItem,        // parts[0][parts[1]]
    kSlice,       // parts[0][parts[1]:parts[2]:parts[3]], missing ones nullptr
    kCall,        // parts[0](parts[1..], named)
    kFilter,      // parts[0] | name(parts[1..], named)
    kTest,        // parts[0] is name(parts[1..], named)
    kNot,         // parts[0]
    kSign,        // name ("+" or "-") parts[0]
    kArithmetic,  // parts[0] name parts[1]
    kJoin,        // parts[0] ~ parts[1] ~ ...
    kCompare,     // parts[0] operators[0] parts[1] operators[1] ...
    kAnd,
    kOr,
    kCondition,  // parts[0] if parts[1] else parts[2] (may be nullptr)
  };
  Kind kind = Kind::kLiteral;
  int line = 0;
  int depth = 1;
  Value value{};
  std::string name{};
  std::vector<ExpressionPtr> parts{};
  std::vector<std::pair<std::string, ExpressionPtr>> named{};
  std::vector<std::string> operators{};
};

struct Statement;
using Block = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // nullptr: none
};

struct Statement {
  enum class Kind {
    kText,      // text
    kOutput,    // expression
    kIf,        // branches in order; a missing condition is the else
    kFor,       // targets in expression [if condition]: body, else otherwise
    kSet,       // targets = expression, or targets[0].attribute = expression
    kSetBlock,  // targets[0] = body, through the filters of expression (a kFilter chain over kLiteral undefined; or
                // nullptr)
    kMacro,     // name targets[0], parameters, body
    kScope,     // body, whose variables end with it
    kBreak,
    kContinue,
  };
  struct Branch {
    ExpressionPtr condition;
    Block body;
  };
  Kind kind = Kind::kText;
  int line = 0;
  Text text{};
  ExpressionPtr expression{}, condition{};
  std::vector<std::string> targets{};
  bool unpack = false;  // the targets are a tuple, be it of one
  std::string attribute{};
  std::vector<Branch> branches{};
  std::vector<Parameter> parameters{};
  Block body{}, otherwise{};
};

}  // namespace elrt::jinja
