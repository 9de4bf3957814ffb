// Bad data: each file gives one line that names it, and nothing crashes.
#include <functional>

#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

struct BadFile {
  std::string name, format, bytes;
  Json keys;
  std::string expected;
};

const std::string kImages = idx({1, 1, 2}, "ab");

std::vector<BadFile> bad_files() {
  const Json none = Json::object(), columns = {{"columns", {"x", "y"}}};
  return {{"a.csv", "csv", "x,y\n1,2,3\n", none, ":2: 3 cells where 2 columns"},
          {"a.csv", "csv", "x,y\n1\n", none, ":2: 1 cells"},
          {"a.csv", "csv", "x,y\n1,2\n\n3,4\n", none, ":3: 1 cells"},
          {"a.csv", "csv", "x,y\n1,\"2\n", none, ":2: a quoted cell is never closed"},
          {"a.csv", "csv", "x,y\n\"1\"2,3\n", none, ":2: text follows a closing quote"},
          {"a.csv", "csv", "x,x\n1,2\n", none, "column 'x' appears twice"},
          {"a.csv", "csv", "", none, "is empty"},
          {"a.csv", "csv", "x,y\n", none, "holds no record"},
          {"a.csv", "csv", "p,q\n1,2\n", none, "has no field 'x'"},
          {"a.csv", "csv", "x,y\n1,2\n", {{"delimiter", ";;"}}, "delimiter: must be one character"},
          {"a.csv", "csv", "x,y\n1,2\n", {{"header", "yes"}}, "header: must be true or false"},
          {"a.csv", "csv", "x,y\n1,2\n", {{"header", false}}, "name the columns"},
          {"a.csv", "csv", "x,y\n1,2\n", {{"missing", 3}}, "missing: must be a string or a list"},
          {"a.csv", "csv", "1,2,3\n", columns, ":1: 3 cells"},
          {"a.csv.gz", "csv", gzip("x,y\n1,2\n").substr(0, 20), none, "gzip data is cut short"},
          {"a.csv.gz", "csv", gzip("x,y\n1,2\n") + "tail", none, "are no gzip"},
          {"a.csv.gz", "csv", "\x1f\x8b nonsense", none, "gzip data is"},
          {"a.jsonl", "jsonl", "{\"x\": 1}\n{\"x\": }\n", none, ":2: is not valid JSON near byte"},
          {"a.jsonl", "jsonl", "[1, 2]\n", none, ":1: is not a JSON object"},
          {"a.jsonl", "jsonl", "{\"x\": {\"y\": 1}}\n", none, ":1: field 'x' is an object"},
          {"a.jsonl", "jsonl", "{\"x\": [1, \"a\"]}\n", none, ":1: field 'x' is a list of other"},
          {"a.jsonl", "jsonl", "{\"x\": [0.5]}\n", none, ":1: field 'x' is a list of other"},
          {"a.jsonl", "jsonl", "{\"other\": 1}\n", none, "has no field 'x'"},
          {"a.jsonl", "jsonl", "\n\n", none, "holds no record"},
          {"a.jsonl", "jsonl", "{\"x\": \"\xff\"}\n", none, ":1: is not valid JSON"},
          {"a.jsonl", "jsonl", std::string(100000, '['), none, ":1: is not valid JSON"},
          {"a.txt", "lines", "\n\n\n", none, "holds no record"},
          {"a.parquet", "parquet", "PAR1", none, "unknown format 'parquet'"}};
}

std::vector<BadFile> bad_images() {
  const Json none = Json::object();
  return {{"i", "idx", "short", none, "is no IDX file"},
          {"i", "idx", std::string("\0\0\x0d\x03", 4), none, "only unsigned bytes"},
          {"i", "idx", std::string("\0\0\x08\x03\0\0", 6), none, "header is cut short"},
          {"i", "idx", kImages.substr(0, kImages.size() - 1), none, "shorter than its header says"},
          {"i", "idx", kImages + "x", none, "1 bytes follow"},
          {"i", "idx", idx({1u << 31, 1u << 31, 1u << 31}, "abc"), none, "shorter than its header"},
          {"i", "idx", idx({2, 2}, "abcd"), none, "holds 2 dimensions"},
          {"i", "idx", idx({0, 1, 1}, ""), none, "holds no record"},
          {"i.gz", "idx", gzip(kImages).substr(0, 18), none, "gzip data is cut short"},
          {"m.csv", "images", "image\ngone.png\n", none, ":2: names the image"},
          {"m.jsonl", "images", "{\"image\": 5}\n", none, ":1: an image must be a path"},
          {"m.tar", "images", "", none, "must be a folder of class folders"}};
}

void open_and_read(const SourceConfig& config, const std::string& encoder) {
  Recipe made = recipe(1, 4096);
  Json columns = {{"columns", {{"x", "category"}}}};
  if (encoder == "image") columns = {{"patch_size", 1}};
  made.encoders = {{"part", encoder, columns}};
  made.sources = {config};
  made.sources[0].sample = {segment("part", encoder == "image" ? "image" : "")};
  if (config.format == "lines")
    made.sources[0].sample = {segment("text", "text")}, made.tokenizer = "bytes";
  open(made)->train_samples(0, 0, 1);
}

void check_line(const std::string& error, const std::string& expected) {
  INFO("error: " << error << "\nexpected: " << expected);
  CHECK(error.find(expected) != std::string::npos);
  CHECK(error.find('\n') == std::string::npos);
  CHECK(error.size() < 400);
}

}  // namespace

TEST_CASE("data: every bad file is one line that names it", "[core][data][errors]") {
  for (const auto& [kind, files] :
       {std::pair{"features", bad_files()}, std::pair{"image", bad_images()}})
    for (const BadFile& bad : files) {
      const TempDir dir;
      const auto config = source("src", bad.format, dir.write(bad.name, bad.bytes), bad.keys);
      check_line(error_of([&] { open_and_read(config, kind); }), bad.expected);
    }
}

TEST_CASE("data: bad images are named by their path", "[core][data][errors]") {
  const std::string good = png(2, 2, 8, 0, std::string("\0ab\0cd", 6));
  std::string bomb = good;
  const auto header = std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x00\x00\x00\x00", 13);
  bomb.replace(8, 25, png_chunk("IHDR", header));
  std::string wrong_crc = good;
  wrong_crc[wrong_crc.size() - 20] = static_cast<char>(wrong_crc[wrong_crc.size() - 20] ^ 1);
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"GIF89a", "neither PNG nor JPEG"},
      {"", "neither PNG nor JPEG"},
      {good.substr(0, 50), "damaged PNG"},
      {wrong_crc, "damaged PNG"},
      {bomb, "pixels are more than"},
      {tiny_jpeg().substr(0, 200), "damaged JPEG"},
      {tiny_jpeg().substr(0, tiny_jpeg().size() - 6), "damaged JPEG"}};
  for (const auto& [bytes, expected] : rows) {
    const TempDir dir;
    dir.write("a.png", bytes);
    const auto config = source("src", "images", dir.write("m.csv", "image\na.png\n"));
    const auto error = error_of([&] { open_and_read(config, "image"); });
    check_line(error, expected);
    CHECK(error.find("a.png") != std::string::npos);
  }
}

TEST_CASE("data: bad labels, numbers, weights and sizes are refused with file and line",
          "[core][data][errors]") {
  struct Row {
    std::string csv;
    std::function<void(Recipe&)> change;
    std::string expected;
  };
  const auto same = [](Recipe&) {};
  const auto train = [](auto change) { return [=](Recipe& r) { change(r.sources[0]); }; };
  const std::vector<Row> rows = {
      {"x,y\n1,2\n", same, "a.csv:2: y: must be 0 or 1"},
      {"x,y\n1,yes\n", same, "a.csv:2: y: 'yes' is not a number"},
      {"x,y\n1,0\none,1\n", same, "a.csv:3: x: 'one' is not a number"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.sample_weight = "y2"; }), "has no field 'y2'"},
      {"x,y\n1,0\n",
       train([](SourceConfig& s) { s.sample_weight = "x", s.targets[0].field = "x"; }), ""},
      {"x,y\n-1,0\n", train([](SourceConfig& s) { s.sample_weight = "x"; }),
       "a.csv:2: x: the sample's weight"},
      {"x,y\n,0\n", train([](SourceConfig& s) { s.sample_weight = "x"; }),
       "a.csv:2: x: the sample's weight"},
      {"x,y\n1,b\n", train([](SourceConfig& s) {
         s.targets[0].keys = {{"classes", {"a"}}};
       }),
       "a.csv:2: y: 'b' is none of the classes"},
      {"x,y\n1,0\n", [](Recipe& r) { r.train.pack_tokens = 3; },
       "a.csv:2: record 0 of data.sources.src has 4 tokens, but train.pack_tokens is 3"},
      {"x,y\n1,0\n", train([](SourceConfig& s) {
         s.train = {0, 0.1};
       }),
       "split.train: holds no sample"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.weight = 0; }), "every weight is 0"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.sample[0].part = "prat"; }),
       "there is no part 'prat'; known: part"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.targets[0].head = "h2"; }),
       "there is no part 'h2'"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.sample = {}; }),
       "must have at least one segment"},
      {"x,y\n1,0\n", train([](SourceConfig& s) { s.sample = {segment("text", "x", true)}; }),
       "text needs a tokenizer"},
      {"x,y\n\xff,0\n",
       [](Recipe& r) {
         r.tokenizer = "characters", r.sources[0].sample = {segment("text", "x", true)};
       },
       "a.csv:2: x: invalid UTF-8 at byte 0"},
      {"x,y\n1,0\n", [](Recipe& r) { r.tokenizer = "words"; }, "words: no such tokenizer"},
      {"x,y\n12,0\n", [](Recipe& r) { r.tokenizer = "bytes", r.base.vocab_size = 100; },
       "model.base.vocab_size: is 100"},
      {"x,y\n1,0\n",
       [](Recipe& r) {
         r.encoders[0].keys = {{"columns", {{"x", {{"table", "t"}}}}}};
       },
       "there is no model.tables.t"},
      {"x,y\na,0\nb,0\n",
       [](Recipe& r) {
         r.encoders[0].keys = {{"rows", 3}, {"columns", {{"x", "category"}}}};
       },
       "model.encoders.part.rows: the columns' values need 4 rows"}};
  for (const Row& row : rows) {
    const TempDir dir;
    Recipe made = recipe(1, 64);
    made.encoders = {{"part", "features", {{"columns", {{"x", "number"}}}}}};
    made.heads = {{"h", "binary", Json::object()}};
    made.sources = {source("src", "csv", dir.write("a.csv", row.csv))};
    made.sources[0].sample = {segment("part")};
    made.sources[0].targets = {{"h", "y", Json::object()}};
    row.change(made);
    const auto error = error_of([&] {
      const auto data = open(made);
      data->train_samples(0, 0, data->source_size(0, false));
    });
    INFO(row.csv);
    check_line(error, row.expected);
    CHECK(error.empty() == row.expected.empty());
  }
}

TEST_CASE("data: a wrong columns object names the key", "[core][data][errors]") {
  const std::vector<std::pair<Json, std::string>> rows = {
      {Json::object(), ".columns: must name at least one"},
      {{{"a", 3}}, ".columns.a: must be \"number\""},
      {{{"a", "text"}}, ".columns.a: must be one of: number, category"},
      {{{"a", Json::object()}}, ".columns.a: needs \"type\""},
      {{{"a", {{"type", "number"}, {"table", "t"}}}}, ".columns.a.table: only categories"},
      {{{"a", {{"type", "category"}, {"bins", 3}}}}, ".columns.a.bins: only numbers"},
      {{{"a", {{"type", "number"}, {"bins", 1}}}}, ".columns.a.bins: must be an integer from 2"},
      {{{"a", {{"list", {{"most", 3}}}}}}, ".columns.a.list: must be {\"max\": n}"},
      {{{"a", {{"type", "category"}, {"separator", ","}}}}, ".columns.a.separator: only lists"},
      {{{"a", {{"type", "number"}, {"scale", 2}}}}, ".columns.a.scale: unknown key"}};
  for (const auto& [columns, expected] : rows) {
    const PartConfig part{"user", "features", {{"columns", columns}}};
    check_line(error_of([&] { check_features_preprocess(part, "model.encoders.user"); }),
               "model.encoders.user" + expected);
  }
}

TEST_CASE("data: wrong image keys name the key", "[core][data][errors]") {
  const std::vector<std::pair<Json, std::string>> rows = {
      {{{"patch_size", 2}, {"channels", 2}}, ".channels: is 2"},
      {{{"patch_size", 2}, {"mean", {0.5, 0.5}}}, ".mean: must be a number or a list of 3"},
      {{{"patch_size", 2}, {"std", 0}}, ".std: is 0"},
      {{{"patch_size", 2}, {"image_size", {4}}}, ".image_size: must be [height, width]"},
      {{{"patch_size", 2}, {"image_size", {4, 4}}, {"max_patches", 3}}, "gives 4 patches"}};
  for (const auto& [keys, expected] : rows)
    check_line(error_of([&] {
                 check_image_preprocess({"photo", "image", keys}, "here");
               }),
               expected);
}

}  // namespace veomni::data_test
