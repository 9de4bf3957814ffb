// The real data that recipes use; counts and sums were taken with Python's csv and json modules.
#include "core/data/file_bytes.h"
#include "core/data/image_codec.h"
#include "core/data/pack_tools.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

int64_t numel(const PartInput& input, size_t array) {
  return std::visit([](const auto& data) { return static_cast<int64_t>(data.size()); },
                    input.arrays[array].data);
}

}  // namespace

TEST_CASE("data: Hillstrom's customers", "[core][data][real]") {
  const auto path = real_data("recsys_hillstrom/train.csv.gz");
  if (path.empty()) return;
  Recipe made = recipe(1, 1024);
  made.encoders = {
      {"customer", "features", {{"columns", {{"history", "number"}, {"zip_code", "category"}}}}}};
  made.heads = {{"visit", "binary", Json::object()}, {"spend", "regression", Json::object()}};
  made.sources = {source("hillstrom", "csv", path)};
  made.sources[0].sample = {segment("customer")};
  made.sources[0].targets = {{"visit", "visit", Json::object()},
                             {"spend", "spend", Json::object()}};
  const auto data = open(made);
  REQUIRE(data->source_size(0, false) == 51200);
  double visits = 0, spend = 0;
  for (const auto& sample : data->train_samples(0, 0, 51200))
    visits += sample.targets[0].value, spend += sample.targets[1].value;
  CHECK(visits == 7501);
  CHECK(spend == Approx(53117.55));
  const Json state = data->state()["encoders"]["customer"];
  CHECK(state["numbers"]["history"][0].get<double>() == Approx(242.94480566408572));
  CHECK(state["numbers"]["history"][1].get<double>() == Approx(256.37882175263013));
  CHECK(state["values"]["zip_code"] == Json({"Surburban", "Urban", "Rural"}));
}

TEST_CASE("data: the census, whose rows have no header", "[core][data][real]") {
  const auto path = real_data("recsys_census_income/census_80.csv.gz");
  if (path.empty()) return;
  Json names = Json::array(), columns = Json::object();
  for (int i = 0; i < 42; ++i) names.push_back("c" + std::to_string(i));
  for (int i = 0; i < 41; ++i)
    if (i != 7 && i != 24)
      columns["c" + std::to_string(i)] = i == 0 || i == 5 ? "number" : "category";
  columns["c0"] = {{"type", "number"}, {"bins", 10}};
  Recipe made = recipe(1, 1024);
  made.encoders = {{"person", "features", {{"columns", columns}, {"rows", 65536}}}};
  made.heads = {{"income", "binary", Json::object()}, {"single", "binary", Json::object()}};
  made.sources = {source("census", "csv", path, {{"columns", names}, {"missing", "?"}})};
  made.sources[0].sample = {segment("person")};
  made.sources[0].targets = {{"income", "c41", {{"positive", "50000+."}}},
                             {"single", "c7", {{"positive", "Never married"}}}};
  const auto data = open(made);
  REQUIRE(data->source_size(0, false) == 79810);
  double income = 0, single = 0;
  for (const auto& sample : data->train_samples(0, 0, 79810))
    income += sample.targets[0].value, single += sample.targets[1].value;
  CHECK(income == 4934);
  CHECK(single == 34494);
}

TEST_CASE("data: Fashion-MNIST as patches", "[core][data][real]") {
  const auto images = real_data("image_fashion_mnist/t10k-images-idx3-ubyte.gz");
  if (images.empty()) return;
  Recipe made = recipe(1, 1024);
  made.encoders = {{"photo", "image", {{"patch_size", 7}, {"channels", 1}}}};
  made.heads = {{"label", "classification", {{"classes", 10}}}};
  made.sources = {source("fashion", "idx", images,
                         {{"labels", real_data("image_fashion_mnist/t10k-labels-idx1-ubyte.gz")}})};
  made.sources[0].sample = {segment("photo", "image")};
  made.sources[0].targets = {{"label", "label", Json::object()}};
  made.sources[0].train = {0, 0.8}, made.sources[0].eval = Range{0.8, 1};
  const auto data = open(made);
  CHECK((data->source_size(0, false) == 8000 && data->source_size(0, true) == 2000));
  const auto first = data->train_samples(0, 0, 8);
  std::vector<double> labels;
  for (const auto& sample : first) labels.push_back(sample.targets[0].value);
  CHECK(labels == std::vector<double>{9, 2, 1, 1, 6, 1, 4, 6});
  CHECK((first[0].ids.size() == 19 && numel(*first[0].pieces[0].input, 0) == 16 * 49));
}

TEST_CASE("data: tinyshakespeare in 65 characters", "[core][data][real]") {
  const auto path = real_data("text_tinyshakespeare/input.txt");
  if (path.empty()) return;
  Recipe made = recipe(12, 64);
  made.tokenizer = "characters";
  made.sources = {source("shakespeare", "text", path)};
  made.sources[0].sample = {segment("text", "text", true)};
  made.sources[0].train = {0, 0.9}, made.sources[0].eval = Range{0.9, 1};
  const auto data = open(made);
  CHECK(data->vocab_size() == 65);
  const auto eval = data->eval_samples(0, 0, data->source_size(0, true));
  int64_t predicted = 0;
  for (const auto& sample : eval) predicted += static_cast<int64_t>(sample.labels.size());
  CHECK(predicted == 1115394 - 1003855 - 1);
  const Sample first = data->train_samples(0, 0, 1)[0];
  CHECK(data->tokenizer()->decode(first.ids).starts_with("First Citizen:\nBefore we proceed"));
  data->start({3}, nullptr);
  CHECK(data->next(3).token_count() == 64);
}

TEST_CASE("data: GSM8K's questions and answers", "[core][data][real]") {
  const auto path = real_data("text_gsm8k/train.jsonl.gz");
  if (path.empty()) return;
  Recipe made = recipe(2, 4096);
  made.train.workers = 1;
  made.tokenizer = "characters";
  made.sources = {source("gsm8k", "jsonl", path)};
  made.sources[0].sample = {segment("text", "question"), segment("text", "answer", true)};
  const auto data = open(made);
  CHECK(data->source_size(0, false) == 7473);
  const Sample first = data->train_samples(0, 0, 1)[0];
  std::vector<int64_t> learned;
  for (const int64_t label : first.labels)
    if (label != kIgnore) learned.push_back(label);
  CHECK(data->tokenizer()->decode(learned).starts_with(
      "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n"));
  data->start({0, 1}, nullptr);
  double tokens = 0;
  for (int i = 0; i < 50; ++i) tokens += static_cast<double>(data->next(0).token_count());
  CHECK(tokens / (50 * 4096) > 0.99);
}

TEST_CASE("data: MovieLens titles with quotes and commas, genres as lists", "[core][data][real]") {
  const auto path = real_data("recsys_movielens_small/movies.csv");
  if (path.empty()) return;
  Recipe made = recipe(1, 64);
  made.encoders = {{"item",
                    "features",
                    {{"columns", {{"genres", {{"list", {{"max", 3}}}, {"separator", "|"}}}}}}}};
  made.tokenizer = "characters";
  made.sources = {source("movies", "csv", path)};
  made.sources[0].sample = {segment("item")};
  const auto data = open(made);
  CHECK(data->source_size(0, false) == 8570);
  const auto sample =
      data->train_samples(0, 0, 1)[0];  // Adventure|Animation|Children|Comedy|Fantasy
  CHECK(sample.pieces[0].input->token_count == 4);
  const auto titles = [&] {
    Recipe text = made;
    text.train.pack_tokens = 512;
    text.sources[0].sample = {segment("text", "title")};
    const auto opened = open(text);
    return opened->tokenizer()->decode(opened->train_samples(0, 10, 11)[0].ids);
  };
  CHECK(titles() == "American President, The (1995)");
}

TEST_CASE("data: samples of Criteo, Avazu, AliExpress and Ali-CCP", "[core][data][real]") {
  const std::vector<std::tuple<std::string, std::string, std::string, std::string>> files = {
      {"deepctr_criteo_sample.txt", "I2", "C1", "label"},
      {"deepctr_avazu_sample.txt", "C14", "site_id", "click"},
      {"aliexpress_train_sample.csv", "numerical_1", "categorical_1", "conversion"},
      {"ali_ccp_train_sample.csv", "D508", "101", "click"}};
  for (const auto& [file, number, category, label] : files) {
    const auto path = real_data("recsys_ctr_cvr_samples/" + file);
    if (path.empty()) continue;
    INFO(file);
    Recipe made = recipe(1, 64);
    made.encoders = {
        {"user", "features", {{"columns", {{number, "number"}, {category, "category"}}}}}};
    made.heads = {{"y", "binary", Json::object()}};
    made.sources = {source("s", "csv", path)};
    made.sources[0].sample = {segment("user")};
    made.sources[0].targets = {{"y", label, Json::object()}};
    const auto data = open(made);
    CHECK(data->source_size(0, false) > 50);
    CHECK(data->train_samples(0, 0, 50).size() == 50);
  }
  const auto otto = real_data("recsys_ctr_cvr_samples/otto_train.jsonl");
  if (otto.empty()) return;
  Recipe nested = recipe(1, 64);
  nested.tokenizer = "bytes";
  nested.sources = {source("otto", "jsonl", otto)};
  nested.sources[0].sample = {segment("text", "events")};
  CHECK(error_of([&] {
          open(nested);
        }).find("otto_train.jsonl:1: field 'events' is a list of other") != std::string::npos);
}

TEST_CASE("data: the zoo of images decodes as its manifest says", "[core][data][real]") {
  const auto manifest = real_data("image_decode_zoo/manifest.jsonl");
  if (manifest.empty()) return;
  const auto folder = std::filesystem::path(manifest).parent_path();
  std::istringstream lines(read_file_bytes(manifest));
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line);
    const std::string name = row["image"];
    const auto path = (folder / name).string();
    INFO(name);
    Image image;
    const auto error = error_of([&] { image = decode_image(read_file_bytes(path), path); });
    if (name.ends_with(".tif") || name.ends_with(".gif") || name == "truncated.jpg") {
      CHECK(error.find(name + ": ") != std::string::npos);
      continue;
    }
    CHECK(error.empty());
    CHECK((image.width == row["width"] && image.height == row["height"]));
    const std::string mode = row["mode"];
    CHECK(image.channels == (mode == "L" || mode == "1" ? 1 : 3));
    CHECK(image.pixels.size() == static_cast<size_t>(image.width * image.height * image.channels));
  }
}

}  // namespace veomni::data_test
