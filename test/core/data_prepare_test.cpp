// Tokenizers, text windows, permutations and the two preprocessors, against hand-made values.
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/data/pack_tools.h"
#include "core/data/random.h"
#include "core/data/resize.h"
#include "core/data/statistics.h"
#include "core/data/token_stream.h"
#include "core/data/tokenizer.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

using Floats = std::vector<float>;
using Ids = std::vector<int64_t>;

Record record(const std::vector<std::pair<std::string, Value>>& fields) {
  std::vector<std::string> names;
  Record made;
  for (const auto& [name, value] : fields) names.push_back(name), made.values.push_back(value);
  made.names = std::make_shared<const std::vector<std::string>>(names);
  return made;
}

Value text(const char* value) { return std::string(value); }

const Floats& floats(const PartInput& input, size_t array) {
  return std::get<Floats>(input.arrays.at(array).data);
}
const Ids& ids(const PartInput& input, size_t array) {
  return std::get<Ids>(input.arrays.at(array).data);
}

PartInput patches(const Json& keys, const Value& image, uint64_t seed = 0) {
  return make_image_preprocessor({"photo", "image", keys})
      ->prepare(record({{"image", image}}), segment("photo", "image"), seed);
}

Image ramp(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t i = 0; i < height * width * channels; ++i)
    image.pixels.push_back(static_cast<uint8_t>(i));
  return image;
}

RecordStream stream(const std::vector<Record>& records) {
  return [&records](const std::function<void(const Record&)>& visit) {
    for (const auto& one : records) visit(one);
  };
}

}  // namespace

TEST_CASE("data: the characters tokenizer numbers distinct code points and comes back",
          "[core][data]") {
  const std::string all = "b\u00e9a\U0001F600b";
  const auto made = make_tokenizer("characters", [&](const auto& visit) { visit(all, "here"); });
  CHECK(made->vocab_size() == 4);
  CHECK(made->encode("ab\u00e9\U0001F600") == Ids{0, 1, 2, 3});
  const auto back = restore_tokenizer(made->state());
  CHECK(back->decode(back->encode(all)) == all);
  CHECK(error_of([&] { made->encode("abc"); }).find("'c' (U+0063) at byte 2") != std::string::npos);
  for (const char* bad :
       {"ab\xff", "ab\xc3", "ab\xed\xa0\x80", "ab\xc0\xaf", "ab\xf4\x90\x80\x80", "ab\x80"}) {
    const auto error = error_of(
        [&] { make_tokenizer("characters", [&](const auto& visit) { visit(bad, "x.txt"); }); });
    CHECK(error.starts_with("x.txt: invalid UTF-8 at byte 2"));
  }
}

TEST_CASE("data: the bytes tokenizer takes any text", "[core][data]") {
  const auto made = make_tokenizer("bytes", [](const auto&) {});
  const std::string all = "\xff\0z";
  CHECK(made->vocab_size() == 256);
  CHECK(made->encode(all) == Ids{255});
  CHECK(restore_tokenizer(made->state())->decode({255, 0, 122}) == std::string("\xff\0z", 3));
}

TEST_CASE("data: evaluation windows predict every token but the first once", "[core][data]") {
  for (int64_t size = 0; size < 40; ++size)
    for (int64_t window = 1; window < 12; ++window) {
      const TextWindows windows(5, 5 + size, window, false);
      std::map<int64_t, int> predicted;
      for (int64_t i = 0; i < windows.count; ++i) {
        const auto span = windows.span(i, 0);
        CHECK((span.length >= 1 && span.length <= window));
        for (int64_t t = 0; t < span.length; ++t) ++predicted[span.start + t + 1];
      }
      CHECK(static_cast<int64_t>(predicted.size()) == std::max<int64_t>(0, size - 1));
      for (const auto& [token, times] : predicted)
        CHECK((times == 1 && token > 5 && token < 5 + size));
    }
}

TEST_CASE("data: training windows stay inside the split at every phase", "[core][data]") {
  for (int64_t size = 2; size < 60; ++size)
    for (int64_t window = 1; window < 12; ++window) {
      const TextWindows windows(3, 3 + size, window, true);
      REQUIRE(windows.count >= 1);
      bool inside = true, whole = true;
      for (int64_t phase = 0; phase < windows.phases; ++phase)
        for (int64_t i = 0; i < windows.count; ++i) {
          const auto span = windows.span(i, phase);
          inside = inside && span.length >= 1 && span.start + span.length + 1 <= 3 + size;
          whole = whole && (span.length == window || size <= window);
        }
      CHECK((inside && whole));
      CHECK((windows.count + 2) * window > size - 1);  // at most two windows' worth is left out
    }
}

TEST_CASE("data: a permutation is one, for every size, and looks random", "[core][data]") {
  for (const int64_t size : {1, 2, 3, 4, 5, 7, 16, 100, 1001, 65536}) {
    const Permutation permutation(size, mix_key({1, static_cast<uint64_t>(size)}));
    std::vector<bool> seen(static_cast<size_t>(size), false);
    for (int64_t i = 0; i < size; ++i) seen[static_cast<size_t>(permutation(i))] = true;
    CHECK(std::count(seen.begin(), seen.end(), true) == size);
  }
  // 24 orders of 4 items over 4,800 keys: chi-square with 23 degrees of freedom, far below 60.
  std::map<std::vector<int64_t>, int> orders;
  for (uint64_t key = 0; key < 4800; ++key) {
    const Permutation permutation(4, mix64(key));
    ++orders[{permutation(0), permutation(1), permutation(2), permutation(3)}];
  }
  double chi = 200.0 * static_cast<double>(24 - orders.size());
  for (const auto& [order, count] : orders) chi += (count - 200.0) * (count - 200.0) / 200.0;
  CHECK(chi < 60);
}

TEST_CASE("data: filling takes what sums highest, the earlier of equals", "[core][data]") {
  CHECK(fill_best({5, 5, 5}, 10) == std::vector<size_t>{0, 1});
  CHECK(fill_best({7, 6, 4, 3}, 10) == std::vector<size_t>{1, 2});
  CHECK(fill_best({70, 64, 128}, 200) == std::vector<size_t>{0, 2});
  CHECK(fill_best({11}, 10).empty());
  CHECK(fill_best({}, 10).empty());
  CHECK(fill_best({1}, 0).empty());
  for (uint64_t trial = 0; trial < 200; ++trial) {  // against all subsets
    std::vector<int64_t> lengths;
    for (uint64_t i = 0; i < 9; ++i)
      lengths.push_back(static_cast<int64_t>(1 + below(mix_key({trial, i}), 150)));
    int64_t best = 0, sum = 0;
    for (unsigned subset = 0; subset < 512; ++subset) {
      int64_t total = 0;
      for (size_t i = 0; i < 9; ++i) total += (subset >> i & 1) != 0 ? lengths[i] : 0;
      if (total <= 300) best = std::max(best, total);
    }
    for (const size_t i : fill_best(lengths, 300)) sum += lengths[i];
    CHECK(sum == best);
  }
}

TEST_CASE("data: patches are channel, row, column, over a row-major grid", "[core][data]") {
  const Json keys = {{"patch_size", 2}, {"channels", 3}, {"mean", 0}, {"std", 1}};
  const auto input = patches(keys, ramp(2, 4, 3));
  CHECK(input.token_count == 2);
  CHECK(input.arrays[0].shape == Ids{2, 12});
  CHECK(ids(input, 1) == Ids{1, 2});
  for (int64_t p = 0; p < 2; ++p)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t y = 0; y < 2; ++y)
        for (int64_t x = 0; x < 2; ++x) {
          const auto pixel = static_cast<float>((y * 4 + 2 * p + x) * 3 + c);
          CHECK(floats(input, 0)[static_cast<size_t>(p * 12 + c * 4 + y * 2 + x)] ==
                pixel / 255.0F);
        }
}

TEST_CASE("data: odd sizes are padded, several images follow one another", "[core][data]") {
  const Json keys = {{"patch_size", 2}, {"channels", 1}, {"mean", {0.25}}, {"std", {0.5}}};
  const Value list = std::vector<Image>{ramp(3, 3, 1), ramp(1, 2, 1)};
  const auto input = patches(keys, list);
  CHECK(input.token_count == 5);
  CHECK(ids(input, 1) == Ids{2, 2, 1, 1});
  const auto value = [](int pixel) { return (static_cast<float>(pixel) / 255.0F - 0.25F) / 0.5F; };
  CHECK(Floats(floats(input, 0).begin() + 4, floats(input, 0).begin() + 8) ==
        Floats{value(2), 0, value(5), 0});
  CHECK(Floats(floats(input, 0).begin() + 16, floats(input, 0).end()) ==
        Floats{value(0), value(1), 0, 0});
  Json pooled = keys;
  pooled["tokens"] = "pooled";
  CHECK(patches(pooled, list).token_count == 2);
  CHECK(make_image_preprocessor({"p", "image", keys})->dummy().token_count == 1);
  CHECK(error_of([&] { patches(keys, Value()); }).starts_with("image: holds no image"));
}

TEST_CASE("data: grey and colour convert, large images shrink", "[core][data]") {
  const Json grey = {{"patch_size", 1}, {"channels", 1}, {"mean", 0}, {"std", 1}};
  CHECK(floats(patches(grey, Image{1, 1, 3, {200, 40, 90}}), 0)[0] == 94 / 255.0F);  // 93.54
  const Json colour = {{"patch_size", 1}, {"mean", 0}, {"std", 1}};
  CHECK(floats(patches(colour, Image{1, 1, 1, {51}}), 0) == Floats{0.2F, 0.2F, 0.2F});
  const Json small = {{"patch_size", 4}, {"channels", 1}, {"max_patches", 6}};
  for (const auto& [height, width] : {std::pair{40, 40}, {7, 200}, {200, 3}, {1, 1000}, {8, 12}}) {
    const auto input = patches(
        small,
        Image{height, width, 1, std::vector<uint8_t>(static_cast<size_t>(height * width), 9)});
    CHECK((input.token_count <= 6 && input.token_count >= 1));
  }
  CHECK(patches(small, ramp(8, 12, 1)).token_count == 6);
  const Json fixed = {{"patch_size", 2}, {"channels", 1}, {"image_size", {4, 6}}};
  CHECK(ids(patches(fixed, ramp(9, 5, 1)), 1) == Ids{2, 3});
}

TEST_CASE("data: resizing is bilinear with antialiasing", "[core][data]") {
  const Image constant{5, 7, 1, std::vector<uint8_t>(35, 100)};
  for (const float value : resize_bilinear(constant, 3, 11)) CHECK(value == Approx(100.0F));
  // Enlarging [0, 100] twice: centres at -0.25, 0.25, 0.75, 1.25 input pixels.
  const auto larger = resize_bilinear(Image{1, 2, 1, {0, 100}}, 1, 4);
  CHECK(larger[0] == Approx(0.0F).margin(1e-5));
  CHECK(larger[1] == Approx(25.0F));
  CHECK(larger[2] == Approx(75.0F));
  CHECK(larger[3] == Approx(100.0F));
  // Halving [8, 0, 0, 16]: a triangle of half-width 2 weighs 3/4, 3/4, 1/4 (and 1/4 outside), so
  // (8·0.75 + 0·0.75 + 0·0.25) / 1.75.
  const auto smaller = resize_bilinear(Image{1, 4, 1, {8, 0, 0, 16}}, 1, 2);
  CHECK(smaller[0] == Approx(6.0F / 1.75F));
  CHECK(smaller[1] == Approx(12.0F / 1.75F));
}

TEST_CASE("data: augmentation depends on the seed alone and 0 leaves the image alone",
          "[core][data]") {
  const Image image = ramp(14, 14, 1);
  const Json plain = {{"patch_size", 1}, {"channels", 1}, {"mean", 0}, {"std", 1}};
  Json flip = plain, shift = plain;
  flip["augment"] = "flip", shift["augment"] = "shift";
  const Floats original = floats(patches(plain, image), 0);
  Floats mirrored;
  for (size_t i = 0; i < 196; ++i) mirrored.push_back(original[i / 14 * 14 + 13 - i % 14]);
  int flips = 0;
  std::set<Floats> shifts;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Floats flipped = floats(patches(flip, image, seed), 0);
    CHECK((flipped == original || flipped == mirrored));
    flips += flipped == mirrored ? 1 : 0;
    shifts.insert(floats(patches(shift, image, seed), 0));
    CHECK(floats(patches(plain, image, seed), 0) == original);
  }
  CHECK((flips > 60 && flips < 140));
  CHECK(shifts.size() == 9);  // -1, 0, 1 down and right
  CHECK(floats(patches(flip, image, 0), 0) == original);
  CHECK(patches(shift, image, 5).arrays[0].shape == patches(plain, image).arrays[0].shape);
}

TEST_CASE("data: numbers are standardised, categories numbered, lists become tokens",
          "[core][data]") {
  const Json columns = {{"age", "number"},
                        {"city", "category"},
                        {"spend", {{"type", "number"}, {"transform", "log1p"}, {"bins", 2}}},
                        {"zip", {{"table", "zip"}}},
                        {"seen", {{"list", {{"max", 2}}}}}};
  const PartConfig part{"user", "features", {{"columns", columns}, {"rows", 20}}};
  const Json tables = {{"zip", {{"rows", 1000}, {"hash", "xxh64"}}}};
  const auto made = make_features_preprocessor(part, tables);
  const auto row = [](Value age, Value city, Value spend, Value zip, Value seen) {
    return record({{"age", age}, {"city", city}, {"spend", spend}, {"zip", zip}, {"seen", seen}});
  };
  const std::vector<Record> records = {
      row(text("1"), text("b"), text("0"), text("x"), text("7 8|9")),
      row(text("3"), text(" a "), text("-1"), Value(), Value()),
      row(Value(), text("b"), text("1"), text("x"), Ids{7})};
  TableCounts shared;
  made->fit(stream(records), shared);
  made->use_tables({});
  CHECK(shared.counts.empty());

  const auto layout = features_layout(part);
  CHECK(layout.number_columns == std::vector<std::string>{"age", "spend"});
  REQUIRE(layout.categorical.size() == 3);
  CHECK((layout.categorical[0].column == "city" && layout.categorical[0].table.empty()));
  CHECK((layout.categorical[1].column == "spend" && layout.categorical[1].bins));
  CHECK(layout.categorical[2].table == "zip");
  REQUIRE(layout.lists.size() == 1);

  const auto check = [&](const Preprocessor& by) {
    const auto first = by.prepare(records[0], segment("user"), 0);
    // age: mean 2, deviation 1. spend: 0, -log 2, log 2: mean 0, deviation log 2 · sqrt(2/3).
    CHECK(floats(first, 0) == Floats{-1, 0, 0, 0});
    const auto hash = static_cast<int64_t>(1 + XXH64("x", 1, 0) % 999);
    // city: missing 0, unseen 1, b 2, a 3. spend's bins: missing 4, then the edge at the median 0.
    CHECK(ids(first, 1) == Ids{2, 6, hash});
    // seen: missing 7, unseen 8, "7" (twice) 9, "8" 10, "9" 11; the latest two are kept.
    CHECK(ids(first, 2) == Ids{10, 11});
    CHECK(ids(first, 3) == Ids{0, 0});
    CHECK(first.token_count == 3);
    CHECK(first.arrays[2].shape == Ids{2, 1});
    const auto third = by.prepare(records[2], segment("user"), 0);
    CHECK(floats(third, 0)[0] == 0);
    CHECK(floats(third, 0)[1] == Approx(1 / std::sqrt(2.0 / 3)));
    CHECK(floats(third, 0)[2] == 1);
    const auto unknown =
        by.prepare(row(text("2"), text("q"), Value(), Value(), text("z")), segment("user"), 0);
    CHECK(ids(unknown, 1) == Ids{1, 4, 0});
    CHECK(ids(unknown, 2) == Ids{8});
  };
  check(*made);
  const auto back = make_features_preprocessor(part, tables);
  back->restore(Json::parse(made->state().dump()));
  back->use_tables({});
  check(*back);
  CHECK(made->dummy().token_count == 1);
  CHECK(made->dummy().arrays[1].shape == Ids{1, 3});
}

TEST_CASE("data: parts that share a table share its rows, fitted together", "[core][data]") {
  const TempDir dir;
  Recipe made = recipe(1, 64);
  made.tables = {{"item", 4, 8, ""}};
  made.encoders = {{"user", "features", {{"columns", {{"last", {{"table", "item"}}}}}}},
                   {"item", "features", {{"columns", {{"id", {{"table", "item"}}}}}}}};
  made.sources = {source("s", "csv", dir.write("a.csv", "last,id\na,b\nb,b\na,c\nd,a\n"))};
  made.sources[0].sample = {segment("user"), segment("item")};
  const auto data = open(made);
  // a 3, b 3, c 1, d 1: four rows leave two values; a before b by bytes, c and d are unseen.
  CHECK(data->state()["tables"]["item"] == Json({"a", "b"}));
  const auto row = [&](const Dataset& from, int64_t index, size_t piece) {
    return ids(*from.train_samples(0, index, index + 1)[0].pieces[piece].input, 1)[0];
  };
  const auto back = open(made, Json::parse(data->state().dump()));
  for (const Dataset* one : {data.get(), back.get()}) {
    CHECK(row(*one, 0, 0) == 2);
    CHECK(row(*one, 0, 1) == 3);
    CHECK(row(*one, 1, 0) == 3);
    CHECK(row(*one, 2, 1) == 1);
    CHECK(row(*one, 3, 1) == 2);
  }
}

TEST_CASE("data: moments and quantiles equal their closed forms", "[core][data]") {
  Moments moments;
  for (const double x : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) moments.add(x);
  CHECK(moments.mean == Approx(5));
  CHECK(moments.deviation() == Approx(2));
  std::vector<double> values(100);
  std::iota(values.rbegin(), values.rend(), 0.0);
  CHECK(inner_quantiles(values, 4) == std::vector<double>{25, 50, 75});
  std::vector<double> same(10, 3.0), none;
  CHECK(inner_quantiles(same, 4).empty());
  CHECK(inner_quantiles(none, 4).empty());
}

}  // namespace veomni::data_test
