#include "eval/task_reader.h"

#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "support/temp_dir.h"

using elastify::ErrorCode;
using elastify::TaskFile;
using elastify_test::expect_error;
using elastify_test::TempDir;
using elastify_test::write_bytes;

namespace {

TaskFile read(const std::string& name, const std::string& bytes) {
  const TempDir dir;
  write_bytes(dir / name, bytes);
  return elastify::read_task_file(dir / name);
}

void refuse(const std::string& name, const std::string& bytes, std::initializer_list<const char*> words) {
  INFO(name << ": " << bytes);
  expect_error(ErrorCode::kBadData, words, [&] { read(name, bytes); });
}

const std::string kChoice = R"({"query": "q", "choices": ["a", "b"], "gold": 1})";

}  // namespace

TEST_CASE("each layout is told from its extension and fields", "[eval][unit]") {
  const auto own = read("t.jsonl",
                        "\xef\xbb\xbf{\"question\": \"q\", \"options\": [\"a\", \"b\"], \"answer\": 1, \"family\": "
                        "\"f\", \"context\": \"c\"}\n");
  CHECK(own.items.at(0).task.family == "f");
  CHECK(option_text(own.items[0], 1).prompt == "c\nq\nA:");
  CHECK(option_text(own.items[0], 1).text == " b");

  const auto choices = read("arc.jsonl", "\n" + kChoice + "\n");
  CHECK(choices.items.at(0).task.family == "arc");
  CHECK(choices.items[0].task.id == "arc.jsonl:2");
  CHECK(choices.items[0].task.answer == 1);
  CHECK(choices.items[0].task.context.empty());
  CHECK(option_text(choices.items[0], 0).prompt == "q");  // a sentence that the option ends

  const auto passage =
      read("boolq.jsonl", R"({"query": "Passage: p\nQuestion: x\nQuestion: y?", "choices": ["no", "yes"], "gold": 0})");
  CHECK(passage.items.at(0).task.context == "Passage: p\nQuestion: x");
  CHECK(passage.items[0].task.question == "Question: y?");
  CHECK(option_text(passage.items[0], 1).prompt == "Passage: p\nQuestion: x\nQuestion: y?\nAnswer:");

  const auto schema =
      read("w.jsonl", R"({"context_options": ["so Ann", "so Bea"], "continuation": "won.", "gold": 1})");
  CHECK(option_text(schema.items.at(0), 1).prompt == "so Bea");
  CHECK(option_text(schema.items[0], 1).text == " won.");
  CHECK(schema.items[0].task.answer == 1);

  const auto octopus = read("o.csv", "\xef\xbb\xbf\"a, \"\"b\"\"?\",f,g,h,C\nnext,f,g,h,A\n");
  REQUIRE(octopus.items.size() == 2);
  CHECK(octopus.items[0].task.question == "a, \"b\"?");
  CHECK(octopus.items[0].task.options == std::vector<std::string>{"f", "g", "h"});
  CHECK(octopus.items[0].task.answer == 2);
  CHECK(octopus.items[1].task.family == "octopus");
}

TEST_CASE("a trace's gold is an index, an option, a letter, or a number from one", "[eval][unit]") {
  const auto trace =
      read("t.json", R"([["q0", ["a", "b"], 1, [0.8, 0.9], 3, "S"], ["q1", ["a", "B", "c"], "B", [1, 1], 4, "S"],
                                       ["q2", ["x", "y", "z"], "C", [0.2, 0.5], 5, "R"], ["q3", ["x", "y"], "1", [1, 1], 6, "R"]])");
  REQUIRE(trace.items.size() == 4);
  CHECK(trace.items[0].task.answer == 1);
  CHECK(trace.items[1].task.answer == 1);
  CHECK(trace.items[2].task.answer == 2);
  CHECK(trace.items[3].task.answer == 0);
  CHECK(trace.items[2].task.family == "R");
  CHECK(trace.items[2].task.slo == std::array<double, 2>{0.2, 0.5});
}

TEST_CASE("apps of the whole file are the options, spellings joined", "[eval][unit]") {
  const auto plain = read("t.tsv", "Open it\tYouTube\n\"Say \"\"hi\"\"\"\tMail \nPlay\tyoutube\n");
  REQUIRE(plain.items.size() == 3);
  CHECK(plain.items[1].task.question == "Say \"hi\"");
  CHECK(plain.items[1].task.options == std::vector<std::string>{"YouTube", "Mail"});
  CHECK(plain.items[1].task.answer == 1);
  CHECK(plain.items[2].task.answer == 0);
  const auto table = read("t.tsv", "episode\tdescription\tapp\n1\tOpen\tX\n2\tClose\tY\n");
  REQUIRE(table.items.size() == 2);
  CHECK(table.items[1].task.question == "Close");
  CHECK(table.items[1].task.id == "t.tsv:3");
}

TEST_CASE("questions of public sets that cannot be scored are left out and counted", "[eval][unit]") {
  const auto file = read("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", "b", "a"], "gold": 1})" + "\n" +
                                        R"({"query": "B", "choices": ["a", "b"], "gold": 1})" + "\n");
  CHECK(file.items.size() == 1);
  CHECK(file.left_out == std::map<std::string, std::size_t>{{"options of equal text", 1},
                                                            {"a question that is one of its own options", 1}});
  refuse("f.jsonl", R"({"query": "q", "choices": ["a", "a"], "gold": 1})",
         {"no tasks that can be scored", "1 with options of equal text"});
}

TEST_CASE("malformed tasks are named with file and line", "[eval][unit]") {
  refuse("f.jsonl", "", {"f.jsonl is empty"});
  refuse("f.jsonl", " \n\n", {"f.jsonl is empty"});
  refuse("f.txt", "x", {"f.txt", ".jsonl", "found .txt"});
  refuse("f.jsonl", "{\"text\": 1, \"x\": 2}", {"f.jsonl line 1", "question, options and answer", "found text, x"});
  refuse("f.jsonl", "[1]", {"f.jsonl line 1", "expected an object"});
  refuse("f.jsonl", kChoice + "\n{\n", {"f.jsonl line 2", "not valid JSON"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", "b"]})", {"f.jsonl line 2", "gold is missing"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", "b"], "gold": 2})",
         {"f.jsonl line 2", "0 to 1", "found 2"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", "b"], "gold": -1})",
         {"f.jsonl line 2", "gold", "found -1"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a"], "gold": 0})",
         {"line 2", "two options, found 1"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", " "], "gold": 0})",
         {"line 2", "option 1 is empty"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": "q", "choices": ["a", 3], "gold": 0})",
         {"line 2", "choices", "number"});
  refuse("f.jsonl", kChoice + "\n" + R"({"query": 7, "choices": ["a", "b"], "gold": 0})",
         {"line 2", "query", "number"});
  refuse("f.jsonl", kChoice + "\n{\"query\": \"\xff\"}", {"f.jsonl line 2", "not UTF-8", "0xff"});
  refuse("f.jsonl", R"({"question": "q", "options": ["a", "a "], "answer": 0})", {"f.jsonl line 1", "equal text"});
  refuse("f.jsonl", R"({"question": "q", "options": ["a", "b"]})", {"f.jsonl line 1", "answer is missing"});
  refuse("w.jsonl", R"({"context_options": ["x", "x"], "continuation": "y", "gold": 0})", {"w.jsonl line 1", "equal"});
  refuse("w.jsonl", R"({"context_options": ["x", ""], "continuation": "y", "gold": 0})", {"w.jsonl line 1", "empty"});
  refuse("t.json", "{}", {"t.json", "expected a list"});
  refuse("t.json", "[", {"t.json", "not valid JSON"});
  refuse("t.json", R"([["q", ["a", "b"], 0, [1, 1], 3]])", {"t.json item 0", "question, choices, gold"});
  refuse("t.json", R"([["q", ["a", "b"], "zz", [1, 1], 3, "S"]])", {"t.json item 0", "gold", "zz"});
  refuse("t.json", R"([["q", ["a", "b"], "D", [1, 1], 3, "S"]])", {"t.json item 0", "0 to 1", "found 3"});
  refuse("o.csv", "q,a,b,A\nq,a,b,c\n", {"o.csv line 2", "letter", "\"c\""});
  refuse("o.csv", "q,a,b,A\nq,a,b,Z\n", {"o.csv line 2", "0 to 1"});
  refuse("t.tsv", "a\tb\tc\n", {"t.tsv line 1", "3 columns"});
  refuse("t.tsv", "a\tb\nonly\n", {"t.tsv line 2", "expected 2 columns, found 1"});
}
