#include "base/isotonic.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <numeric>
#include <random>

namespace {

double mean(const std::vector<double>& values, std::size_t begin, std::size_t end) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(begin),
                         values.begin() + static_cast<std::ptrdiff_t>(end), 0.0) /
         static_cast<double>(end - begin);
}

// Tries every way to cut the sequence into blocks of equal values: the optimum is one of them, with each block at its
// mean.
std::vector<double> best_by_trying(const std::vector<double>& values) {
  const std::size_t n = values.size();
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (unsigned cuts = 0; cuts < 1u << (n - 1); ++cuts) {
    std::vector<double> fit(n);
    for (std::size_t begin = 0, end; begin < n; begin = end) {
      for (end = begin + 1; end < n && (cuts >> (end - 1) & 1) == 0; ++end) {
      }
      std::fill(fit.begin() + static_cast<std::ptrdiff_t>(begin), fit.begin() + static_cast<std::ptrdiff_t>(end),
                mean(values, begin, end));
    }
    double error = 0;
    for (std::size_t i = 0; i < n; ++i) error += (fit[i] - values[i]) * (fit[i] - values[i]);
    if (std::is_sorted(fit.begin(), fit.end()) && error < least) {
      least = error;
      best = fit;
    }
  }
  return best;
}

double sum_of_chain(const std::vector<std::vector<double>>& rows, const std::vector<int>& chain, int which) {
  double sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    sum += chain[i] == which ? std::accumulate(rows[i].begin(), rows[i].end(), 0.0) : 0;
  return sum;
}

std::vector<double> random_values(std::mt19937& random, std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = std::uniform_real_distribution<double>(0, 10)(random);
  return values;
}

}  // namespace

TEST_CASE("pooling adjacent violators finds the nearest sequence that never falls", "[runtime][unit]") {
  std::mt19937 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    const std::vector<double> values = random_values(random, 1 + trial % 9);
    std::vector<double> fit = values;
    elrt::fit_non_decreasing(fit);
    const std::vector<double> expected = best_by_trying(values);
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(fit[i] == Approx(expected[i]).margin(1e-9));
  }
}

TEST_CASE("a hand-worked fit pools across several steps", "[runtime][unit]") {
  std::vector<double> values{1, 5, 4, 3, 8, 8, 2, 20};
  elrt::fit_non_decreasing(values);
  CHECK(values == std::vector<double>{1, 4, 4, 4, 6, 6, 6, 20});
  std::vector<double> none;
  elrt::fit_non_decreasing(none);
  CHECK(none.empty());
}

TEST_CASE("tables become monotone in length and along each chain, and sorted ones stay", "[runtime][unit]") {
  std::mt19937 random(2);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::vector<double>> rows;
    std::vector<int> chain;
    for (int i = 0; i < 6; ++i) {
      rows.push_back(random_values(random, 5));
      chain.push_back(static_cast<int>(random() % 2));
    }
    const auto raw = rows;
    elrt::fit_rows_and_chains(rows, chain);
    for (const int which : {0, 1})
      CHECK(sum_of_chain(rows, chain, which) == Approx(sum_of_chain(raw, chain, which)));  // fits keep means
    for (std::size_t i = 0; i < rows.size(); ++i) {
      CHECK(std::is_sorted(rows[i].begin(), rows[i].end()));
      for (std::size_t k = i + 1; k < rows.size(); ++k) {
        for (std::size_t j = 0; chain[i] == chain[k] && j < 5; ++j) CHECK(rows[i][j] <= rows[k][j]);
      }
    }
    const auto again = rows;
    elrt::fit_rows_and_chains(rows, chain);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t j = 0; j < 5; ++j) CHECK(rows[i][j] == Approx(again[i][j]));
    }
  }
}

TEST_CASE("chains do not touch each other", "[runtime][unit]") {
  std::vector<std::vector<double>> rows{
      {5, 6}, {9, 9}, {7, 8}};  // the last, alone in its chain, is below its neighbour
  const auto before = rows;
  elrt::fit_rows_and_chains(rows, std::vector<int>{1, 1, 0});
  CHECK(rows == before);
  elrt::fit_rows_and_chains(rows, std::vector<int>{0, 0, 0});
  CHECK(rows == std::vector<std::vector<double>>{{5, 6}, {8, 8.5}, {8, 8.5}});
}
