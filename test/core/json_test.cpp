#include "core/json.h"

#include <catch2/catch.hpp>

#include "recipe_fixture.h"

using namespace veomni;
using test::config_error;

namespace {

/// Line:column of every key and value by hand: the offset of its marker in the text.
JsonPlace place_of(const std::string& text, const std::string& marker) {
  JsonPlace place;
  for (const char c : text.substr(0, text.find(marker))) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if (!continues) {
      ++place.column;
    }
  }
  return place;
}

void check_place(const std::map<std::string, JsonPlace>& places, const std::string& pointer,
                 const std::string& text, const std::string& marker) {
  INFO(pointer);
  REQUIRE(places.count(pointer) == 1);
  const JsonPlace expected = place_of(text, marker);
  CHECK(places.at(pointer).line == expected.line);
  CHECK(places.at(pointer).column == expected.column);
}

}  // namespace

TEST_CASE("json: every key and value knows its line and column", "[core][json]") {
  const std::string text =
      "// first, a comment with \"quotes\": {\n"
      "{ \"naïve\": -1.5e3 , // tail\n"
      "\t\"list\":[true,\"a\\\"]\", {\"deep\" : null},\r\n"
      "   [ ], 7],\"last\":{}}\n// end\n";
  const LocatedJson json = parse_located_json(text, "x.json");
  check_place(json.keys, "/naïve", text, "\"naïve\"");
  check_place(json.values, "/naïve", text, "-1.5e3");
  check_place(json.keys, "/list", text, "\"list\"");
  check_place(json.values, "/list", text, "[true");
  check_place(json.values, "/list/0", text, "true");
  check_place(json.values, "/list/1", text, "\"a\\\"]\"");
  check_place(json.values, "/list/2", text, "{\"deep");
  check_place(json.keys, "/list/2/deep", text, "\"deep\"");
  check_place(json.values, "/list/2/deep", text, "null");
  check_place(json.values, "/list/3", text, "[ ]");
  check_place(json.values, "/list/4", text, "7]");
  check_place(json.keys, "/last", text, "\"last\"");
  check_place(json.values, "/last", text, "{}}");
  CHECK(json.value.dump() ==
        R"({"naïve":-1500.0,"list":[true,"a\"]",{"deep":null},[],7],"last":{}})");
}

TEST_CASE("json: what is not strict JSON is refused with its place", "[core][json]") {
  struct Row {
    std::string text, expected;
  };
  const std::vector<Row> rows{
      {"", "x:1:1: not valid JSON: unexpected end of input"},
      {"{\n \"a\": 1,\n}", "x:3:1: trailing comma"},
      {"[1, 2,]", "x:1:7: trailing comma"},
      {"{\"a\": 1\n  \"b\": 2}", "x:2:3: not valid JSON: unexpected string literal"},
      {"{\"a\" 1}", "x:1:6: not valid JSON: unexpected number literal; expected ':'"},
      {"[1,,2]", "x:1:4: not valid JSON: unexpected ','"},
      {"{\"a\": tru}", "x:1:7: not valid JSON: invalid literal"},
      {"{\"a\": \"b", "x:1:7: not valid JSON: invalid string: missing closing quote"},
      {"{\"a\": 1, \"b\": 2, \"a\": 3}", "x:1:18: duplicate key 'a', first given at 1:2"},
      {"{\"a\": \"\xC3\x28\"}", "x:1:9: not valid UTF-8"},
      {"{\"a\": 1e999}", "x:1:7: not valid JSON: number overflow"},
      {"{} {}", "x:1:4: not valid JSON"},
      {std::string("{}\0{}", 5), "x:1:3: not valid JSON: text after the end"},
      {"{ /* no */ }", "x:1:3: comments start with //"},
      {"{'a': 1}", "x:1:2: not valid JSON"},
      {std::string(100, '['), "x:1:65: nested deeper than 64 levels"}};
  for (const Row& row : rows) {
    INFO(row.text);
    const std::string message = config_error([&] { parse_located_json(row.text, "x"); });
    CHECK_THAT(message, Catch::Contains(row.expected));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("json: a byte order mark takes no column", "[core][json]") {
  const LocatedJson json = parse_located_json("\xEF\xBB\xBF{\"a\":1}", "x");
  CHECK(json.keys.at("/a").column == 2);
}

TEST_CASE("json: files that are none, or too large, are refused", "[core][json]") {
  const test::RecipeFolder folder;
  const std::string path = folder.write("big.json", std::string(100, ' '));
  CHECK(read_text_file(path, 100).size() == 100);
  CHECK_THAT(config_error([&] { read_text_file(path, 99); }),
             Catch::Contains("100 bytes; at most 99"));
  CHECK_THAT(config_error([&] { read_text_file(folder.path().string(), 99); }),
             Catch::Contains("not a regular file"));
  CHECK_THAT(config_error([&] { read_text_file("/dev/zero", 99); }),
             Catch::Contains("not a regular file"));
  CHECK_THAT(config_error([&] { read_text_file(path + "x", 99); }),
             Catch::Contains("no such file"));
}
