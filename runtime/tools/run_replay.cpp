#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>

#include "common/task_file.hpp"
#include "run_slo.hpp"

namespace elastic_run {
namespace {

using nlohmann::json;

struct ReplayCommand : RunOptions {
  std::string requests;
  std::uint32_t count = 0, max_tokens = 24;
  std::uint64_t seed = 1;
  elrt::KvType kv_type = elrt::KvType::kF32;
  SloOptions objective;
};

struct Request {
  std::string id, kind, prompt;  // the question closes the prompt
  std::size_t question_bytes = 0;
  elrt::Slo slo;
  std::optional<std::string> expected;
};

// A task as a request: the model reads what it reads in an evaluation.
Request to_request(const common::EvalItem& item, const std::string& file) {
  const common::TaskItem& task = item.task;
  if (!item.leads.empty())
    common::fail_data("{} holds pairs of sentences ({}): expected questions, which can be served", file, task.id);
  Request request;
  request.id = task.id;
  request.kind = task.family;
  request.prompt = common::task_prompt(task);
  request.question_bytes = request.prompt.size() - (task.context.empty() ? 0 : task.context.size() + 1);
  request.slo = {elrt::Slo::Unit::kRatio, task.slo[0], task.slo[1]};
  if (!task.options.empty()) request.expected = task.options[task.answer];
  return request;
}

// Mixed, so that kinds meet the machine alike.
std::vector<Request> read_requests(const ReplayCommand& command) {
  const common::TaskFile file = common::read_task_file(command.requests, common::TaskOptions::kOptional);
  for (const auto& [reason, count] : file.left_out)
    std::fprintf(stderr, "elastic-run: %zu requests were left out: %s\n", count, reason.c_str());
  std::vector<Request> requests;
  for (const auto& item : file.items) requests.push_back(to_request(item, command.requests));
  std::mt19937_64 random(command.seed);
  std::shuffle(requests.begin(), requests.end(), random);
  return requests;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

double mean(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

struct Tally {
  std::size_t requests = 0, possible = 0, feasible = 0, met = 0, asked = 0, checked = 0, right = 0;
  std::map<std::string, std::size_t> sources;             // of the decisions, see source_name
  std::vector<double> level, decode_level, prompt_level;  // of the decisions, percent
  std::vector<double> ttft_ms, tpot_ms, predicted_ttft_ms, predicted_tpot_ms, ttft_ratio, tpot_ratio, tlm_ms, tlm_share,
      pace_ttft, pace_tpot;

  void add(const Request& request, const elrt::Answer& answer) {
    const elrt::Generation& made = answer.generation;
    const elrt::Latency& predicted = answer.choice.predicted;
    ++requests;
    ++sources[source_name(answer.choice.source)];
    const elrt::Decision& decision = answer.choice.decision;
    level.push_back(decision.model_level), decode_level.push_back(decision.decode_level),
        prompt_level.push_back(decision.prompt_level);
    feasible += answer.choice.feasible() ? 1 : 0;
    if (answer.possible) ++possible, met += answer.slo_met ? 1 : 0;
    pace_ttft.push_back(answer.pace.ttft_ms), pace_tpot.push_back(answer.pace.tpot_ms);
    ttft_ms.push_back(made.ttft_ms), predicted_ttft_ms.push_back(predicted.ttft_ms),
        ttft_ratio.push_back(made.ttft_ms / predicted.ttft_ms);
    if (made.tokens.size() > 1) {
      tpot_ms.push_back(made.tpot_ms), predicted_tpot_ms.push_back(predicted.tpot_ms),
          tpot_ratio.push_back(made.tpot_ms / predicted.tpot_ms);
    }
    if (answer.tlm_asked) ++asked, tlm_ms.push_back(answer.tlm_ms), tlm_share.push_back(answer.tlm_ms / made.ttft_ms);
    if (!request.expected) return;
    const auto first = made.text.find_first_not_of(" \n"), last = made.text.find_last_not_of(" \n");
    ++checked,
        right += first != std::string::npos && made.text.substr(first, last - first + 1) == *request.expected ? 1 : 0;
  }

  json to_json() const {
    json object = {{"requests", requests}, {"possible", possible}, {"met_of_possible", met}, {"feasible", feasible},
                   {"tlm_asked", asked},   {"checked", checked},   {"right", right},         {"sources", sources}};
    object["mean_level"] = mean(level), object["mean_decode_level"] = mean(decode_level);
    object["mean_prompt_level"] = mean(prompt_level);
    const auto add_figures = [&](const char* name, const std::vector<double>& values) {
      object[name] = {
          {"median", quantile(values, 0.5)}, {"p95", quantile(values, 0.95)}, {"p99", quantile(values, 0.99)}};
    };
    add_figures("ttft_ms", ttft_ms), add_figures("predicted_ttft_ms", predicted_ttft_ms),
        add_figures("ttft_measured_over_predicted", ttft_ratio);
    add_figures("tpot_ms", tpot_ms), add_figures("predicted_tpot_ms", predicted_tpot_ms),
        add_figures("tpot_measured_over_predicted", tpot_ratio);
    add_figures("pace_ttft", pace_ttft), add_figures("pace_tpot", pace_tpot);
    add_figures("tlm_ms", tlm_ms), add_figures("tlm_share_of_ttft", tlm_share);
    return object;
  }
};

double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void print_row(const std::string& kind, const Tally& tally) {
  std::printf("| %s | %zu | %zu | %.1f %% | %.2f / %.2f (%.2f) | %.3f / %.3f (%.2f) | %.2f (%.1f %%) | %.0f / %.0f | ",
              kind.c_str(), tally.requests, tally.possible, percent(tally.met, tally.possible),
              quantile(tally.predicted_ttft_ms, 0.5), quantile(tally.ttft_ms, 0.5), quantile(tally.ttft_ratio, 0.95),
              quantile(tally.predicted_tpot_ms, 0.5), quantile(tally.tpot_ms, 0.5), quantile(tally.tpot_ratio, 0.95),
              quantile(tally.tlm_ms, 0.5), 100 * quantile(tally.tlm_share, 0.5), mean(tally.level),
              mean(tally.decode_level));
  tally.checked == 0 ? std::printf("- |\n") : std::printf("%.1f %% |\n", percent(tally.right, tally.checked));
}

void print_table(const std::map<std::string, Tally>& kinds, const Tally& all) {
  std::printf(
      "| requests of | served | possible | met of possible | TTFT ms, predicted / measured (p95 ratio) | TPOT ms, the "
      "same | TLM ms (share of TTFT) | mean level, prompt / answer | right |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  if (kinds.size() > 1) {
    for (const auto& [kind, tally] : kinds) print_row(kind, tally);
  }
  print_row("all", all);
}

void run(const ReplayCommand& command) {
  const std::vector<Request> requests = read_requests(command);
  const auto artifact = take(elrt::Artifact::open(command.file));
  LevelOptions session;
  static_cast<RunOptions&>(session) = command;
  session.kv_type = command.kv_type;
  auto service = open_service(command.objective, artifact, session_options(session), command.seed);
  const std::size_t count = command.count == 0 ? requests.size() : command.count;
  std::map<std::string, Tally> kinds;
  Tally all;
  for (std::size_t i = 0; i < count; ++i) {
    const Request& request = requests[i % requests.size()];
    elrt::ServiceRequest asked{request.prompt, request.slo, {}};
    asked.generate.max_tokens = command.max_tokens;
    asked.question_bytes = request.question_bytes;
    const elrt::Result<elrt::Answer> served = service.answer(asked);
    if (!served) {
      throw CommandError(
          {served.failure().status, command.requests + ": request " + request.id + ": " + served.failure().message});
    }
    const elrt::Answer& answer = served.value();
    kinds[request.kind].add(request, answer), all.add(request, answer);
    if ((i + 1) % 100 == 0) std::fprintf(stderr, "elastic-run: %zu of %zu requests served\n", i + 1, count);
  }
  if (!command.json) return print_table(kinds, all);
  json result = {{"threads", service.session().threads()}, {"all", all.to_json()}};
  for (const auto& [kind, tally] : kinds) result["kinds"][kind] = tally.to_json();
  print_json(result);
}

}  // namespace

void register_replay(CLI::App& app) {
  auto command = std::make_shared<ReplayCommand>();
  CLI::App* sub =
      app.add_subcommand("replay", "serve many requests under their objectives and count those that were met");
  add_run_options(*sub, *command);
  add_kv_type_option(*sub, command->kv_type);
  sub->add_option(
         "--requests", command->requests,
         "what elastify eval --tasks reads: JSON lines with question, and perhaps context, slo [ttft, tpot] (shares\n"
         "of the full model's times, 1 where none is given), family (groups the result), options and answer (its\n"
         "index; answers are then checked), as elastify-suite tasks writes them; or a public set or trace")
      ->required();
  sub->add_option("--count", command->count,
                  "requests to serve, from the start again where the file has fewer; 0: each once")
      ->capture_default_str();
  sub->add_option("--max-tokens", command->max_tokens, "tokens to generate at most")
      ->check(common::in_range(1, 1 << 24))
      ->capture_default_str();
  sub->add_option("--seed", command->seed, "of the order of requests and of the random fallback")
      ->capture_default_str();
  add_service_options(*sub, command->objective);
  sub->add_flag("--fixed-pace", command->objective.fixed_pace,
                "decide by the table alone, whatever the last requests took");
  sub->footer(
      "Needs the table of elastic-run calibrate FILE. Possible is what some decision can meet by that table, the tiny "
      "language model's time counted. Predictions follow the pace: the table's times are multiplied by what 99 % of "
      "the last\n"
      "128 requests took compared with it at most, so that a busy device gets lighter decisions. Predictions and "
      "measurements "
      "are medians; the ratio in brackets is measured over\n"
      "predicted at the 95th percentile.\n"
      "Examples:\n"
      "  elastic-run replay runs/demo/model.gguf --requests runs/demo/tasks/test.jsonl --count 1000\n"
      "  elastic-run replay model.gguf --requests trace.jsonl --margin 0.05 --no-tlm --json");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
