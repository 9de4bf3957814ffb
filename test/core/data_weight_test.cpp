// `weight_by`: what the weights of sources count.
#include "core/data/lane.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

constexpr int64_t kSteps = 200;

/// Long texts at weight 1, short ones at weight 3.
Recipe texts(const TempDir& dir, const std::string& weight_by) {
  std::string lines_long, lines_short;
  for (int i = 0; i < 40; ++i) lines_long += std::string(50, 'a') + "\n";
  for (int i = 0; i < 40; ++i) lines_short += std::string(5, 'b') + "\n";
  Recipe made = recipe(2, 256);
  made.tokenizer = "bytes";
  made.sources = {
      source("long", "lines", dir.write("long.txt", lines_long), {{"weight_by", weight_by}}),
      source("short", "lines", dir.write("short.txt", lines_short), {{"weight_by", weight_by}})};
  made.sources[1].weight = 3;
  for (auto& one : made.sources) one.sample = {segment("text", "text", true)};
  return made;
}

/// Shares of the long texts among samples and among tokens of both lanes.
std::pair<double, double> shares_of_long(const Recipe& made) {
  const auto data = open_dataset(made, nullptr);
  data->start({0, 1}, nullptr);
  double samples[2] = {}, tokens[2] = {};
  for (int64_t step = 0; step < kSteps; ++step)
    for (const int64_t lane : {0, 1}) {
      const Pack pack = data->next(lane);
      for (size_t s = 0; s + 1 < pack.cu_seqlens.size(); ++s) {
        const auto length = pack.cu_seqlens[s + 1] - pack.cu_seqlens[s];
        samples[length < 20] += 1;
        tokens[length < 20] += length;
      }
    }
  return {samples[0] / (samples[0] + samples[1]), tokens[0] / (tokens[0] + tokens[1])};
}

}  // namespace

TEST_CASE("data: weights count samples, or tokens where the recipe says so", "[core][data]") {
  const TempDir dir;
  CHECK(shares_of_long(texts(dir, "samples")).first == Approx(0.25).margin(0.02));
  CHECK(shares_of_long(texts(dir, "tokens")).second == Approx(0.25).margin(0.005));
}

TEST_CASE("data: weights by tokens go on where a checkpoint left them", "[core][data]") {
  const TempDir dir;
  const Recipe made = texts(dir, "tokens");
  const auto whole = open_dataset(made, nullptr), first = open_dataset(made, nullptr),
             second = open_dataset(made, nullptr);
  for (const auto& data : {whole.get(), first.get()}) data->start({0, 1}, nullptr);
  for (int step = 0; step < 7; ++step)
    for (const int64_t lane : {0, 1}) {
      whole->next(lane);
      first->next(lane);
    }
  second->start({0, 1}, first->cursors());
  for (int step = 0; step < 7; ++step)
    for (const int64_t lane : {0, 1}) CHECK(whole->next(lane).ids == second->next(lane).ids);
}

}  // namespace veomni::data_test
