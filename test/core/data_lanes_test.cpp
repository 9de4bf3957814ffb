// Samples, lanes and packs: what the model sees, and that order and content depend on nothing but
// the recipe.
#include <map>
#include <numeric>
#include <set>

#include "core/data/inspect.h"
#include "core/data/pack_tools.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

using Ids = std::vector<int64_t>;

std::string numbers_csv(int64_t rows) {
  std::string text = "x,y,g\n";
  for (int64_t i = 0; i < rows; ++i)
    text += std::to_string(i) + "," + std::to_string(i % 2) + ",g" + std::to_string(i % 3) + "\n";
  return text;
}

std::string lines_of(int64_t rows) {  // lengths 1 to 60, spread
  std::string text;
  for (int64_t i = 0; i < rows; ++i)
    text += std::string(static_cast<size_t>(1 + i * 37 % 60), 'a') + "\n";
  return text;
}

// Records (4 tokens each), texts of many lengths, windows of a text.
Recipe mixed(const TempDir& dir, int64_t packs, int64_t workers) {
  Recipe made = recipe(packs, 128);
  made.train.workers = workers;
  made.tokenizer = "bytes";
  made.encoders = {{"user", "features", {{"columns", {{"x", "number"}}}}}};
  made.heads = {{"h", "binary", Json::object()}};
  made.sources = {
      source("rows", "csv", dir.write("a.csv", numbers_csv(101))),
      source("lines", "lines", dir.write("a.txt", lines_of(53))),
      source("text", "text", dir.write("b.txt", std::string(1000, 'b')), {{"sample_tokens", 32}})};
  made.sources[0].sample = {segment("user")};
  made.sources[0].targets = {{"h", "y", Json::object()}};
  made.sources[0].weight = 3;
  made.sources[1].sample = {segment("text", "text", true)};
  made.sources[2].sample = {segment("text", "text", true)};
  return made;
}

bool same(const Pack& a, const Pack& b) {
  bool equal = a.ids == b.ids && a.labels == b.labels && a.positions == b.positions &&
               a.label_weights == b.label_weights && a.cu_seqlens == b.cu_seqlens &&
               a.origins == b.origins && a.pieces.size() == b.pieces.size() &&
               a.targets.size() == b.targets.size();
  for (size_t i = 0; equal && i < a.pieces.size(); ++i) {
    equal =
        a.pieces[i].position == b.pieces[i].position && a.pieces[i].encoder == b.pieces[i].encoder;
    for (size_t k = 0; k < a.pieces[i].input->arrays.size(); ++k)
      equal = equal && a.pieces[i].input->arrays[k].data == b.pieces[i].input->arrays[k].data;
  }
  for (size_t i = 0; equal && i < a.targets.size(); ++i)
    equal =
        a.targets[i].position == b.targets[i].position && a.targets[i].value == b.targets[i].value;
  return equal;
}

std::vector<Pack> take(Dataset& data, int64_t lane, int64_t steps) {
  std::vector<Pack> packs;
  for (int64_t i = 0; i < steps; ++i) packs.push_back(data.next(lane));
  return packs;
}

bool same(const std::vector<Pack>& a, const std::vector<Pack>& b) {
  bool equal = a.size() == b.size();
  for (size_t i = 0; equal && i < a.size(); ++i) equal = same(a[i], b[i]);
  return equal;
}

}  // namespace

TEST_CASE("data: a sample is segments between boundary tokens, text labels, and a readout",
          "[core][data]") {
  const TempDir dir;
  Recipe made = recipe(1, 64);
  made.tokenizer = "characters";
  made.encoders = {{"a", "features", {{"columns", {{"x", "number"}}}}},
                   {"b", "features", {{"columns", {{"g", {{"list", {{"max", 9}}}}}}}}}};
  made.heads = {{"r", "regression", Json::object()}, {"h", "binary", Json::object()}};
  made.sources = {
      source("s", "csv",
             dir.write("a.csv", "q,t,x,g,y,z,w,u\nab,ba,1,p|q,yes,2.5,0.5,u1\nab,,2,,no,,2,\n"))};
  auto& s = made.sources[0];
  s.sample = {segment("text", "q"), segment("b"), segment("text", "t", true), segment("a")};
  s.targets = {{"h", "y", {{"positive", "yes"}}}, {"r", "z", Json::object()}};
  s.sample_weight = "w", s.group = "u";
  const auto data = open(made);
  CHECK(data->vocab_size() == 2);
  const auto samples = data->train_samples(0, 0, 2);
  // a 0, b 1; readout 2; <a> 3, </a> 4; <b> 5, </b> 6
  const Sample& first = samples[0];
  CHECK(first.ids == Ids{0, 1, 5, -1, -1, -1, 6, 1, 0, 3, -1, 4, 2});
  CHECK(first.labels ==
        Ids{-100, -100, -100, -100, -100, -100, 1, 0, -100, -100, -100, -100, -100});
  REQUIRE(first.pieces.size() == 2);
  CHECK((first.pieces[0].encoder == 1 && first.pieces[0].position == 3));
  CHECK((first.pieces[1].encoder == 0 && first.pieces[1].position == 10));
  REQUIRE(first.targets.size() == 2);
  CHECK((first.targets[0].head == 1 && first.targets[0].value == 1 &&
         first.targets[0].position == 12));
  CHECK((first.targets[0].group == "u1" && first.targets[0].weight == 0.5 && first.weight == 0.5));
  CHECK((first.targets[1].head == 0 && first.targets[1].value == 2.5));
  const Sample& second = samples[1];
  CHECK(second.ids == Ids{0, 1, 5, -1, 6, 3, -1, 4, 2});
  REQUIRE(second.targets.size() == 1);  // z is missing
  CHECK((second.targets[0].value == 0 && second.targets[0].group.empty()));
  CHECK(render_tokens(first, made, *data) ==
        "\"ab\" <b> [3 tokens] </b> \"ba\" <a> [1 tokens] </a> <readout>");
}

TEST_CASE("data: learned text alone predicts each token after its first", "[core][data]") {
  const TempDir dir;
  Recipe made = recipe(1, 64);
  made.tokenizer = "bytes", made.base.vocab_size = 300;
  made.sources = {source("s", "lines", dir.write("a.txt", "abc\n"))};
  made.sources[0].sample = {segment("text", "text", true)};
  const auto data = open(made);
  CHECK(data->vocab_size() == 300);
  const Sample sample = data->train_samples(0, 0, 1)[0];
  CHECK(sample.ids == Ids{'a', 'b', 'c'});
  CHECK(sample.labels == Ids{'b', 'c', kIgnore});
  CHECK(sample.targets.empty());
}

TEST_CASE("data: classes by name or number, several positives", "[core][data]") {
  const TempDir dir;
  Recipe made = recipe(1, 64);
  made.encoders = {{"a", "features", {{"columns", {{"x", "number"}}}}}};
  made.heads = {{"c", "classification", {{"classes", 3}}}, {"h", "binary", Json::object()}};
  made.sources = {source("s", "csv", dir.write("a.csv", "x,y\n1, red\n2,green\n"))};
  made.sources[0].sample = {segment("a")};
  made.sources[0].targets = {{"c", "y", {{"classes", {"green", "red"}}}},
                             {"h", "y", {{"positive", {"blue", "red"}}}}};
  const auto samples = open(made)->train_samples(0, 0, 2);
  CHECK((samples[0].targets[0].value == 1 && samples[1].targets[0].value == 0));
  CHECK((samples[0].targets[1].value == 1 && samples[1].targets[1].value == 0));
}

TEST_CASE("data: one epoch gives each sample once over all lanes, two epochs twice",
          "[core][data]") {
  const TempDir dir;
  for (const double epochs : {1.0, 2.0, 0.5})
    for (const int64_t packs : {1, 3, 7}) {
      Recipe made = mixed(dir, packs, 0);
      made.train.epochs = epochs;
      const auto data = open(made);
      Ids lanes(static_cast<size_t>(packs));
      std::iota(lanes.begin(), lanes.end(), 0);
      data->start(lanes, nullptr);
      std::map<std::pair<int32_t, int64_t>, int> seen;
      for (const int64_t lane : lanes) {
        while (!data->finished(lane))
          for (const auto& origin : data->next(lane).origins) ++seen[origin];
        CHECK(data->next(lane).token_count() == 0);
      }
      int64_t expected = 0, total = 0;
      for (int32_t s = 0; s < 3; ++s)
        expected += std::llround(epochs * static_cast<double>(data->source_size(s, false)));
      for (const auto& [origin, times] : seen) {
        total += times;
        CHECK((epochs < 1 ? times == 1 : times == static_cast<int>(epochs)));
      }
      CHECK(total == expected);
    }
}

TEST_CASE("data: a lane does not depend on the other lanes or the number of workers",
          "[core][data]") {
  const TempDir dir;
  const auto all = open(mixed(dir, 4, 0));
  all->start({0, 1, 2, 3}, nullptr);
  std::vector<std::vector<Pack>> packs(4);
  for (int i = 0; i < 12; ++i)
    for (int64_t lane = 0; lane < 4; ++lane)
      packs[static_cast<size_t>(lane)].push_back(all->next(lane));
  CHECK_FALSE(same(packs[0], packs[1]));
  for (const int64_t workers : {0, 1, 3}) {
    const auto data = open(mixed(dir, 4, workers));
    data->start({2, 1}, nullptr);
    CHECK(same(take(*data, 2, 12), packs[2]));
    CHECK(same(take(*data, 1, 12), packs[1]));
  }
  Recipe other = mixed(dir, 4, 0);
  other.seed = 8;
  const auto reseeded = open(other);
  reseeded->start({0}, nullptr);
  CHECK_FALSE(same(take(*reseeded, 0, 12), packs[0]));
}

TEST_CASE("data: resuming from the cursors of any step gives the same packs", "[core][data]") {
  const TempDir dir;
  for (const int64_t workers : {0, 2}) {
    const auto whole = open(mixed(dir, 2, workers));
    whole->start({0, 1}, nullptr);
    std::vector<Pack> packs[2];
    std::vector<Json> cursors;
    for (int i = 0; i < 20; ++i) {
      cursors.push_back(Json::parse(whole->cursors().dump()));
      for (int64_t lane = 0; lane < 2; ++lane) packs[lane].push_back(whole->next(lane));
    }
    for (size_t step = 0; step < cursors.size(); ++step) {
      const auto resumed = open(mixed(dir, 2, workers), whole->state());
      resumed->start({1}, cursors[step]);
      const auto rest = take(*resumed, 1, static_cast<int64_t>(20 - step));
      CHECK(same(rest, {packs[1].begin() + static_cast<int64_t>(step), packs[1].end()}));
    }
  }
}

TEST_CASE("data: resuming with other packs or other data is refused", "[core][data][errors]") {
  const TempDir dir;
  const auto first = open(mixed(dir, 2, 0));
  first->start({0, 1}, nullptr);
  const Json cursors = first->cursors();
  CHECK(error_of([&] { open(mixed(dir, 3, 0))->start({0}, cursors); }).find("train.packs: is 3") ==
        0);
  Recipe fewer = mixed(dir, 2, 0);
  fewer.sources[0].train = {0, 0.5};
  CHECK(error_of([&] { open(fewer)->start({0}, cursors); }).find("data.sources.rows: has") == 0);
  Json damaged = cursors;
  damaged["0"].erase("reads");
  const auto cut = error_of([&] { open(mixed(dir, 2, 0))->start({0}, damaged); });
  CHECK(cut.starts_with("checkpoint: a data cursor is damaged"));
  Json state = first->state();
  state["tables"] = 3;
  state["encoders"]["user"].erase("numbers");
  CHECK_FALSE(error_of([&] { open(mixed(dir, 2, 0), state); }).empty());
}

TEST_CASE("data: packs are full, samples stay whole, sources come by weight", "[core][data]") {
  const TempDir dir;
  const auto data = open(mixed(dir, 2, 1));
  data->start({0, 1}, nullptr);
  int64_t tokens = 0, count[3] = {};
  bool whole = true;
  for (const Pack& pack : take(*data, 0, 400)) {
    tokens += pack.token_count();
    whole = whole && pack.token_count() <= 128 && pack.cu_seqlens.back() == pack.token_count();
    for (size_t i = 0; i + 1 < pack.cu_seqlens.size(); ++i) {
      const auto at = static_cast<size_t>(pack.cu_seqlens[i]);
      whole = whole && pack.positions[at] == 0;
    }
    for (const auto& [source, index] : pack.origins) ++count[source];
    for (const auto& piece : pack.pieces)
      whole = whole && pack.ids[static_cast<size_t>(piece.position)] == kPlaceholder;
    for (const auto& target : pack.targets)
      whole = whole && pack.ids[static_cast<size_t>(target.position)] == 256;
  }
  CHECK(whole);
  CHECK(static_cast<double>(tokens) / (400 * 128) > 0.99);
  const double all = static_cast<double>(count[0] + count[1] + count[2]);
  CHECK(static_cast<double>(count[0]) / all == Approx(0.6).margin(0.02));
  CHECK(static_cast<double>(count[1]) / all == Approx(0.2).margin(0.02));
}

TEST_CASE("data: a worker's error comes out of next", "[core][data][errors]") {
  const TempDir dir;
  Recipe made = mixed(dir, 2, 2);
  dir.write("a.txt", std::string(200, 'x') + "\nshort\n");
  made.sources = {made.sources[1]};
  const auto data = open(made);
  data->start({0, 1}, nullptr);
  const auto error = error_of([&] { take(*data, 0, 50), take(*data, 1, 50); });
  CHECK(error.find("a.txt:1: record 0 of data.sources.lines has 200 tokens") != std::string::npos);
}

TEST_CASE("data: windows of a text move from epoch to epoch", "[core][data]") {
  const TempDir dir;
  std::string text;
  for (int i = 0; i < 640; ++i) text += static_cast<char>(i * i % 251);
  Recipe made = recipe(1, 32);
  made.tokenizer = "bytes";
  made.sources = {source("t", "text", dir.write("t.txt", text))};
  made.sources[0].sample = {segment("text", "text", true)};
  made.sources[0].train = {0, 0.9}, made.sources[0].eval = Range{0.9, 1};
  const auto data = open(made);
  CHECK(data->source_size(0, false) == 17);  // 576 / 32 - 1
  CHECK(data->source_size(0, true) == 2);    // 63 predictions
  data->start({0}, nullptr);
  std::set<Ids> first, second;
  for (int i = 0; i < 17; ++i) first.insert(data->next(0).ids);
  for (int i = 0; i < 17; ++i) second.insert(data->next(0).ids);
  CHECK((first.size() == 17 && second.size() == 17 && first != second));
  const auto eval = data->eval_samples(0, 0, 2);
  CHECK((eval[0].ids.size() == 32 && eval[1].ids.size() == 31));
  CHECK(eval[0].labels[31] == eval[1].ids[0]);
  CHECK(eval[1].labels.back() == static_cast<uint8_t>(text.back()));
}

TEST_CASE("data: from the cursors before the last packs, these come again", "[core][data]") {
  const TempDir dir;
  const auto workers = GENERATE(0, 2);
  Recipe made = mixed(dir, 2, workers);
  made.train.epochs = 1;
  const auto data = open(made), again = open(made);
  data->start({0, 1}, nullptr);
  for (int step = 0; step < 100; ++step) {
    const Pack first = data->next(0), second = data->next(1);
    again->start({0, 1}, data->cursors_before());
    CHECK((same(again->next(0), first) && same(again->next(1), second)));
    CHECK(again->cursors() == data->cursors());
    if (first.token_count() + second.token_count() == 0) break;
  }
  CHECK((data->finished(0) && data->finished(1)));
}

TEST_CASE("data: merging packs moves every position", "[core][data]") {
  const TempDir dir;
  const auto data = open(mixed(dir, 1, 0));
  const auto samples = data->train_samples(0, 0, 5);
  Pack packs[2], all;
  for (size_t i = 0; i < samples.size(); ++i) {
    packs[i / 3].append(samples[i]);
    all.append(samples[i]);
  }
  CHECK(same(merge({&packs[0], &packs[1]}), all));
  CHECK(all.cu_seqlens == std::vector<int32_t>{0, 4, 8, 12, 16, 20});
  CHECK(all.targets[4].position == 19);
  CHECK(merge({}).token_count() == 0);
}

TEST_CASE("data: inspect describes samples, lengths and packs", "[core][data]") {
  const TempDir dir;
  const Json described = describe_data(mixed(dir, 2, 0), 2, registry());
  const Json& rows = described["sources"][0];
  CHECK(rows["train_samples"] == 101);
  REQUIRE(rows["samples"].size() == 2);
  CHECK(rows["samples"][1]["text"] == "<user> [1 tokens] </user> <readout>");
  CHECK(rows["samples"][1]["targets"][0]["value"] == 1);
  CHECK(rows["lengths"]["mean"] == 4);
  int64_t histogram = 0;
  for (const auto& bar : described["sources"][1]["lengths"]["histogram"])
    histogram += bar["samples"].get<int64_t>();
  CHECK(histogram == 53);
  CHECK(described["packs"]["efficiency"] > 0.98);
}

}  // namespace veomni::data_test
