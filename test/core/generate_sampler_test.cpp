// The next token's distribution against transformers' logits processors, and draws against it.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/generate/sampler.h"

using namespace veomni;

namespace {

const std::vector<float> kLogits{1.5, -0.5, 3.0, 2.0, -2.0, 0.25, 2.0, -1.0, 0.0, 2.75};
const std::vector<int64_t> kText{2, 1, 2, 6};

struct Row {
  GenerationSettings settings;
  std::vector<double> expected;
};

// softmax after RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
// TopPLogitsWarper and MinPLogitsWarper of transformers 5.23, in this order.
const std::vector<Row> kRows{
    {{},
     {0.0767652523, 0.0103890472, 0.344037992, 0.126564504, 0.00231810976, 0.021993613, 0.126564504,
      0.00630127563, 0.017128643, 0.267937058}},
    {{.temperature = 0.7},
     {0.0501244787, 0.00287878025, 0.42724882, 0.102390644, 0.000337736081, 0.00840473533,
      0.102390644, 0.00140928284, 0.00588056244, 0.298934317}},
    {{.top_k = 3}, {0, 0, 0.397683942, 0.146299746, 0, 0, 0.146299746, 0, 0, 0.309716565}},
    {{.top_p = 0.6}, {0, 0, 0.562176501, 0, 0, 0, 0, 0, 0, 0.437823499}},
    {{.top_p = 0}, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
    {{.top_p = 0.95},
     {0.0796433294, 0, 0.356936639, 0.131309651, 0, 0.0228181959, 0.131309651, 0, 0, 0.277982534}},
    {{.min_p = 0.2},
     {0.0815030827, 0, 0.365271475, 0.134375866, 0, 0, 0.134375866, 0, 0, 0.284473711}},
    {{.repetition_penalty = 1.3},
     {0.098430981, 0.0114656502, 0.220753764, 0.162285252, 0.00297235807, 0.0282009482, 0.102290537,
      0.00807970694, 0.0219629206, 0.343557881}},
    {{.temperature = 1.5, .top_k = 6, .top_p = 0.8, .min_p = 0.3, .repetition_penalty = 1.8},
     {0.171995441, 0, 0.192208195, 0.240038984, 0, 0, 0, 0, 0, 0.395757379}},
    {{.temperature = 0, .repetition_penalty = 1.8}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    {{.temperature = 0}, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
    {{.top_k = 2, .vocab_size = 4}, {0, 0, 0.731058579, 0.268941421}},
};

std::vector<double> distribution(const GenerationSettings& settings) {
  auto logits = kLogits;
  std::vector<double> all(kLogits.size(), 0);
  for (const auto& c : Sampler(settings).candidates(logits, kText))
    all[static_cast<size_t>(c.id)] = c.probability;
  return all;
}

}  // namespace

TEST_CASE("sampler: distributions equal those of transformers' logits processors",
          "[core][generate]") {
  for (size_t r = 0; r < kRows.size(); ++r) {
    auto expected = kRows[r].expected;
    expected.resize(kLogits.size(), 0);
    const auto ours = distribution(kRows[r].settings);
    for (size_t i = 0; i < ours.size(); ++i) {
      INFO("row " << r << ", id " << i);
      CHECK(std::abs(ours[i] - expected[i]) < 1e-7);
    }
  }
}

TEST_CASE("sampler: draws follow the distribution; seed and step decide them", "[core][generate]") {
  constexpr int kDraws = 20000;
  const GenerationSettings settings{.temperature = 0.9, .top_p = 0.97, .seed = 7};
  const Sampler sampler(settings);
  const auto expected = distribution(settings);
  std::vector<double> counts(kLogits.size(), 0);
  std::vector<int64_t> first, again, other;
  for (int64_t step = 0; step < kDraws; ++step) {
    auto logits = kLogits;
    const int64_t id = sampler.choose(logits, kText, step);
    ++counts[static_cast<size_t>(id)];
    if (step < 40) first.push_back(id);
  }
  double chi_square = 0;
  int kinds = -1;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0) CHECK(counts[i] == 0);
    if (expected[i] == 0) continue;
    const double mean = kDraws * expected[i];
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    ++kinds;
  }
  CHECK(chi_square < kinds + 4 * std::sqrt(2.0 * kinds));
  for (int64_t step = 0; step < 40; ++step) {
    auto logits = kLogits, same = kLogits;
    again.push_back(Sampler(settings).choose(logits, kText, step));
    other.push_back(
        Sampler({.temperature = 0.9, .top_p = 0.97, .seed = 8}).choose(same, kText, step));
  }
  CHECK(again == first);
  CHECK(other != first);
}

TEST_CASE("sampler: extreme settings and logits stay exact; what is no number is refused",
          "[core][generate]") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  auto logits = kLogits;
  CHECK(Sampler({.temperature = 1e-9}).candidates(logits, {}).front().id == 2);
  std::vector<float> huge{3e38f, -3e38f, 3e38f, -infinity, nan};
  const auto two = Sampler({.temperature = 2}).candidates(huge, {});
  REQUIRE(two.size() == 2);
  CHECK(two[0].id == 0);
  CHECK(two[1].id == 2);
  CHECK(two[0].probability == 0.5);
  for (const float bad : {nan, infinity, -infinity}) {
    std::vector<float> all(4, bad);
    CHECK_THROWS_WITH(Sampler({}).choose(all, {}, 0), Catch::Contains("logits are not finite"));
  }
  // A large vocabulary, where the tail need not be sorted: 1,000 likely tokens and 99,000 others.
  std::vector<float> many(100000, -12.f);
  for (size_t i = 0; i < 1000; ++i) many[i * 97] = 1 + static_cast<float>(i) * 1e-3f;
  const auto kept = Sampler({.top_p = 0.5}).candidates(many, {});
  double sum = 0, all = 0, least = 1e9;
  for (const auto& c : kept) {
    sum += std::exp(many[static_cast<size_t>(c.id)]);
    least = std::min<double>(least, std::exp(many[static_cast<size_t>(c.id)]));
  }
  for (const float logit : many) all += std::exp(logit);
  CHECK(sum / all > 0.5);
  CHECK((sum - least) / all <= 0.5 + 1e-9);
}
