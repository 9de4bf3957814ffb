#include "core/data/file_bytes.h"
#include "core/data/image_codec.h"
#include "core/data/source.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

Record read(const Source& source, int64_t index) {
  Record record;
  source.read(index, record);
  return record;
}

std::string text(const Record& record, const std::string& name) {
  const Value* value = record.find(name);
  REQUIRE(value != nullptr);
  return std::holds_alternative<std::string>(*value) ? std::get<std::string>(*value) : "<missing>";
}

}  // namespace

TEST_CASE("data: gzip of several members is read as one file", "[core][data]") {
  const TempDir dir;
  const std::string big(200000, 'x');
  const auto path = dir.write("a.gz", gzip("one\n") + gzip("") + gzip(big));
  CHECK(read_file_bytes(path) == "one\n" + big);
  CHECK(read_file_bytes(dir.write("plain.gz", "not packed")) == "not packed");
  CHECK(read_file_bytes(dir.write("empty", "")).empty());
}

TEST_CASE("data: csv follows RFC 4180 and keeps what the recipe needs", "[core][data]") {
  const TempDir dir;
  const auto path =
      dir.write("a.csv",
                "\xEF\xBB\xBFid,name,note\r\n1,\"Smith, \"\"J\"\"\",\"two\r\nlines\"\r\n"
                "2, ,x\"y\r\n3,?,\"\"\r\n\r\n");
  const auto opened =
      open_source(source("a", "csv", path, {{"missing", {"?", "NA"}}}), {"note", "name", "id"});
  REQUIRE(opened->size() == 3);
  CHECK(text(read(*opened, 0), "name") == "Smith, \"J\"");
  CHECK(text(read(*opened, 0), "note") == "two\r\nlines");
  CHECK(text(read(*opened, 1), "name") == "<missing>");
  CHECK(text(read(*opened, 1), "note") == "x\"y");
  CHECK(text(read(*opened, 2), "name") == "<missing>");
  CHECK(text(read(*opened, 2), "note") == "<missing>");
  CHECK(text(read(*opened, 2), "id") == "3");
  CHECK(opened->where(1) == path + ":4");
  Record reused;
  opened->read(0, reused);
  opened->read(1, reused);
  CHECK(reused.index == 1);
  CHECK(text(reused, "name") == "<missing>");
}

TEST_CASE("data: csv columns, delimiter and several files", "[core][data]") {
  const TempDir dir;
  auto config = source("a", "csv", dir.write("a.tsv", "1\t2\n3\t4"),
                       {{"columns", {"x", "y"}}, {"delimiter", "\t"}});
  config.paths.push_back(dir.write("b.tsv.gz", gzip("5\t6\n")));
  const auto opened = open_source(config, {"y"});
  REQUIRE(opened->size() == 3);
  CHECK(text(read(*opened, 1), "y") == "4");
  CHECK(text(read(*opened, 2), "y") == "6");
  CHECK(opened->where(2) == config.paths[1] + ":1");
  CHECK(read(*opened, 0).find("x") == nullptr);

  const auto renamed = open_source(source("b", "csv", dir.write("c.csv", "p,q\n1,2\n"),
                                          {{"columns", {"x", "y"}}, {"header", true}}),
                                   {"x"});
  REQUIRE(renamed->size() == 1);
  CHECK(text(read(*renamed, 0), "x") == "1");
}

TEST_CASE("data: jsonl reads scalars and flat lists and leaves unneeded nesting alone",
          "[core][data]") {
  const TempDir dir;
  const auto path =
      dir.write("a.jsonl",
                "{\"s\":\"h\\u00e9\",\"n\":3,\"r\":0.5,\"b\":true,\"l\":[1,2],\"t\":[\"a\"],"
                "\"z\":{\"deep\":[{}]}}\n\n{\"s\":null,\"l\":[]}\n");
  const auto opened = open_source(source("a", "jsonl", path), {"s", "n", "r", "b", "l", "t"});
  REQUIRE(opened->size() == 2);
  const Record first = read(*opened, 0), second = read(*opened, 1);
  CHECK(text(first, "s") == "h\u00e9");
  CHECK(std::get<int64_t>(*first.find("n")) == 3);
  CHECK(std::get<double>(*first.find("r")) == 0.5);
  CHECK(std::get<int64_t>(*first.find("b")) == 1);
  CHECK(std::get<std::vector<int64_t>>(*first.find("l")) == std::vector<int64_t>{1, 2});
  CHECK(std::get<std::vector<std::string>>(*first.find("t")) == std::vector<std::string>{"a"});
  CHECK(is_missing(second.find("s")));
  CHECK(is_missing(second.find("n")));
  CHECK(std::get<std::vector<int64_t>>(*second.find("l")).empty());
  CHECK(opened->where(1) == path + ":3");
}

TEST_CASE("data: lines are records, empty ones are not", "[core][data]") {
  const TempDir dir;
  const auto opened =
      open_source(source("a", "lines", dir.write("a.txt", "one\r\n\n two \nlast")), {"text"});
  REQUIRE(opened->size() == 3);
  CHECK(text(read(*opened, 0), "text") == "one");
  CHECK(text(read(*opened, 1), "text") == " two ");
  CHECK(text(read(*opened, 2), "text") == "last");
  CHECK(opened->where(1).ends_with(":3"));
}

TEST_CASE("data: idx images and labels, grey and colour", "[core][data]") {
  const TempDir dir;
  auto config = source("a", "idx", dir.write("i", idx({2, 1, 2}, "abcd")),
                       {{"labels", {dir.write("l", idx({3}, std::string("\x00\x09\xff", 3)))}}});
  config.paths.push_back(dir.write("j.gz", gzip(idx({1, 1, 1, 3}, "rgb"))));
  const auto opened = open_source(config, {"image", "label"});
  REQUIRE(opened->size() == 3);
  const Image grey = std::get<Image>(*read(*opened, 1).find("image"));
  CHECK((grey.height == 1 && grey.width == 2 && grey.channels == 1));
  CHECK(grey.pixels == std::vector<uint8_t>{'c', 'd'});
  CHECK(std::get<Image>(*read(*opened, 2).find("image")).channels == 3);
  CHECK(std::get<int64_t>(*read(*opened, 2).find("label")) == 255);
}

TEST_CASE("data: png of every colour type decodes to grey or RGB", "[core][data]") {
  const auto pixels = [](const std::string& bytes) { return decode_image(bytes, "x.png").pixels; };
  using Bytes = std::vector<uint8_t>;
  CHECK(pixels(png(2, 1, 8, 0, std::string("\0\x10\xff", 3))) == Bytes{16, 255});
  CHECK(pixels(png(2, 1, 1, 0, std::string("\0\x40", 2))) == Bytes{0, 255});
  CHECK(pixels(png(2, 1, 2, 0, std::string("\0\x60", 2))) == Bytes{85, 170});
  CHECK(pixels(png(1, 1, 16, 0, std::string("\0\x80\x80", 3))) == Bytes{128});
  CHECK(pixels(png(1, 1, 8, 2, std::string("\0\x01\x02\x03", 4))) == Bytes{1, 2, 3});
  // Half transparent over white: (100·128 + 255·127) / 255 = 177.2; transparent black is white.
  CHECK(pixels(png(2, 1, 8, 4, std::string("\0\x64\x80\0\0", 5))) == Bytes{177, 255});
  CHECK(pixels(png(1, 1, 8, 6, std::string("\0\x01\x02\x03\xff", 5))) == Bytes{1, 2, 3});
  const auto palette = png_chunk("PLTE", "\x0a\x0b\x0c\x14\x15\x16");
  CHECK(pixels(png(2, 1, 1, 3, std::string("\0\x40", 2), palette)) ==
        Bytes{10, 11, 12, 20, 21, 22});
  const auto clear = palette + png_chunk("tRNS", std::string("\0", 1));
  CHECK(pixels(png(2, 1, 1, 3, std::string("\0\x40", 2), clear)) ==
        Bytes{255, 255, 255, 20, 21, 22});
}

TEST_CASE("data: jpeg decodes, and one cut anywhere is refused by name", "[core][data]") {
  const std::string whole = tiny_jpeg();
  const Image image = decode_image(whole, "x.jpg");
  REQUIRE((image.height == 8 && image.width == 8 && image.channels == 3));
  for (size_t i = 0; i < image.pixels.size(); ++i)
    CHECK(std::abs(image.pixels[i] - std::array{200, 40, 90}[i % 3]) <= 2);
  const std::string grey = png(2, 2, 8, 0, std::string("\0ab\0cd", 6));
  for (const std::string& bytes : {whole, grey})
    for (size_t length = 0; length + 12 < bytes.size(); ++length) {
      const auto error = error_of([&] { decode_image(bytes.substr(0, length), "cut.bin"); });
      INFO(length << " of " << bytes.size() << ": " << error);
      CHECK(error.starts_with("cut.bin: "));
    }
}

TEST_CASE("data: damaged images never crash", "[core][data]") {
  const std::string grey = png(2, 2, 8, 2, std::string("\0abcdef\0ghijkl", 14));
  int refused = 0;
  for (const std::string& bytes : {tiny_jpeg(), grey})
    for (size_t i = 0; i < bytes.size(); ++i)
      for (const int flip : {1, 0x80, 0xff}) {
        std::string damaged = bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        refused += error_of([&] { decode_image(damaged, "x"); }).empty() ? 0 : 1;
      }
  CHECK(refused > 100);
}

TEST_CASE("data: a folder of class folders and manifests of images", "[core][data]") {
  const TempDir dir;
  const auto one = [](char grey) { return png(1, 1, 8, 0, std::string("\0", 1) + grey); };
  for (int i = 0; i < 5; ++i) {
    dir.write("set/cat/" + std::to_string(i) + ".png", one('c'));
    dir.write("set/dog/" + std::to_string(i) + ".PNG", one('d'));
  }
  dir.write("set/dog/notes.txt", "no image");
  const auto folder =
      open_source(source("a", "images", dir.path("set")), {"image", "label", "class"});
  REQUIRE(folder->size() == 10);
  int64_t dogs_early = 0;
  for (int64_t i = 0; i < 10; ++i) {
    const Record record = read(*folder, i);
    const bool dog = text(record, "class") == "dog";
    CHECK(std::get<int64_t>(*record.find("label")) == (dog ? 1 : 0));
    CHECK(std::get<Image>(*record.find("image")).pixels[0] == (dog ? 'd' : 'c'));
    dogs_early += dog && i < 5 ? 1 : 0;
  }
  CHECK((dogs_early > 0 && dogs_early < 5));  // any range holds both classes

  dir.write("set/list.csv", "photo,y\ncat/0.png,1\ndog/1.PNG,0\n");
  const auto csv = open_source(
      source("b", "images", dir.path("set/list.csv"), {{"images", "photo"}}), {"photo", "y"});
  CHECK(std::get<Image>(*read(*csv, 1).find("photo")).pixels[0] == 'd');
  dir.write("set/list.jsonl", "{\"image\": [\"cat/0.png\", \"dog/0.PNG\"]}\n");
  const auto jsonl = open_source(source("c", "images", dir.path("set/list.jsonl")), {"image"});
  CHECK(std::get<std::vector<Image>>(*read(*jsonl, 0).find("image")).size() == 2);
  Record undecoded;
  jsonl->read(0, undecoded, false);
  CHECK(is_missing(undecoded.find("image")));
}

TEST_CASE("data: numbers and categories from values", "[core][data]") {
  double number = 0;
  CHECK((to_number(Value(std::string(" 3.5 ")), number) && number == 3.5));
  CHECK((to_number(Value(std::string("+1e3")), number) && number == 1000));
  CHECK((to_number(Value(int64_t{12}), number) && number == 12));
  for (const char* bad : {"", " ", "1,2", "nan", "inf", "0x10", "3 4", "abc", "1e999"})
    CHECK_FALSE(to_number(Value(std::string(bad)), number));
  CHECK_FALSE(to_number(Value(), number));
  CHECK(to_category(Value(std::string("  a b\t"))) == "a b");
  CHECK(to_category(Value(0.1)) == "0.1");
  CHECK(to_category(Value(int64_t{-5})) == "-5");
  CHECK(to_category(Value()).empty());
}

}  // namespace veomni::data_test
