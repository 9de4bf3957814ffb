// Damaged and unknown tokenizer files: each is refused in one line that names the file and the
// place, and none crashes.
#include <catch2/catch.hpp>
#include <random>

#include "core/data/tokenizer.h"
#include "support/made_files.h"
#include "test/core/data_test_tools.h"
#include "test/core/tokenizer_files.h"

using namespace veomni;
using namespace veomni::made;
using namespace veomni::tokenizer_test;
using veomni::data_test::TempDir;

namespace {

const std::string kSmall = small_tokenizer_json();

struct Row {
  std::string from, to, message;
};

const std::vector<Row> kDamaged{
    {R"("version": "1.0")", R"("version": "2.0")", "unknown version; this version reads 1.0"},
    {R"("version": "1.0")", R"("version": 1)", "version is no string"},
    {R"("version": "1.0")", R"("versions": "1.0")", "unknown option 'versions'"},
    {R"("version": "1.0")", R"("type": "BPE")", "unknown option 'type'"},
    {R"("truncation": null)", R"("truncation": {"max_length": 9})", "truncation is set"},
    {R"("padding": null)", R"("padding": {})", "padding is set"},
    {R"("id": 6)", R"("id": -6)", "added_tokens.0: id is no integer from 0 to"},
    {R"("id": 6)", R"("id": 99999999999)", "added_tokens.0: id is no integer from 0 to"},
    {R"("id": 6)", R"("id": 18446744073709551615)", "added_tokens.0: id is no integer"},
    {R"("id": 6)", R"("id": 6.5)", "added_tokens.0: id is no integer"},
    {R"("id": 6)", R"("id": 5)", "added_tokens.0: the id 5 belongs to '_ab'"},
    {R"("id": 7)", R"("id": 6)", "added_tokens.1: the id 6 belongs to '<s>' already"},
    {R"("content": "<e>")", R"("content": "<s>")", "added_tokens.1: the token '<s>' stands there"},
    {R"("content": "<e>")", R"("content": "ab")", "'ab' has the id 7, but 3 in the vocabulary"},
    {R"("content": "<e>")", R"("content": "")", "added_tokens.1: the content is empty"},
    {R"("content": "<e>")", R"("contents": "<e>")", "added_tokens.1: 'content' is missing"},
    {R"("special": true)", R"("special": 1)", "added_tokens.0: special is no boolean"},
    {R"("special": true)", R"("color": 1)", "added_tokens.0: unknown option 'color'"},
    {R"([{"id": 6, "content": "<s>", "special": true})", "[3", "added_tokens.0: is no object"},
    {R"({"type": "NFC"})", R"({"type": "Lemma"})", "unknown normalizer 'Lemma'"},
    {R"({"type": "NFC"})", R"({"type": "NFC", "x": 1})", "normalizers.0: unknown option 'x'"},
    {R"({"type": "NFC"})", "null", "normalizers.0 is null"},
    {R"({"type": "NFC"})", R"({"type": "Replace", "content": ""})", "'pattern' is missing"},
    {R"({"type": "NFC"})", R"({"type": "Replace", "pattern": {"Rex": "a"}, "content": ""})",
     "'Regex' is missing"},
    {R"({"type": "NFC"})", R"({"type": "Prepend"})", "'prepend' is missing"},
    {R"({"type": "NFC"})", R"({"type": "BertNormalizer", "lowercase": "yes"})",
     "lowercase is no boolean"},
    {R"({"type": "Strip"})", R"({"type": "Strip", "strip_left": 3})", "strip_left is no boolean"},
    {R"("normalizers": [)", R"("normalizer": [)", "'normalizers' is missing"},
    {R"("type": "Split")", R"("type": "Cut")", "unknown pre-tokenizer 'Cut'; this version has:"},
    {R"("type": "Split")", R"("kind": "Split")", "pretokenizers.0: 'type' is missing"},
    {R"("Regex": "\\s+")", R"("Regex": "(\\s+")", "the regular expression '(\\s+' is wrong"},
    {R"("Regex": "\\s+")", R"("Regex": "\\s*")", "matches the empty text"},
    {R"("Regex": "\\s+")", R"("Regex": "\\h+")", "uses '\\h'"},
    {R"("Regex": "\\s+")", R"("Regex": "[^\\S\\n]+")", "uses '\\S'"},
    {R"("Regex": "\\s+")", R"("Regex": "[a&&b]+")", "uses '&&'"},
    {R"("Regex": "\\s+")", R"("Regex": "[a[b]]+")", "uses '[…['"},
    {R"("Regex": "\\s+")", R"("Regex": "a\\")", "uses '\\'"},
    {R"("Regex": "\\s+")", R"("Regex": "(?m:a.)b")", "uses '(?m'"},
    {R"("Regex": "\\s+")", R"("Regex": "\\p{Klingon}")", "is wrong"},
    {R"("Regex": "\\s+")", R"("Regex": "a", "String": "b")", "unknown option 'Regex'"},
    {R"("behavior": "Removed")", R"("behavior": "Thrown")", "unknown behavior 'Thrown'"},
    {R"("behavior": "Removed", )", "", "'behavior' is missing"},
    {R"("invert": false)", R"("invert": "no")", "invert is no boolean"},
    {R"("add_prefix_space": false)", R"("add_prefix": false)", "unknown option 'add_prefix'"},
    {R"("replacement": "_")", R"("replacement": "__")", "replacement '__' is not one character"},
    {R"("replacement": "_")", R"("prepend_scheme": "last")", "unknown prepend_scheme 'last'"},
    {R"("replacement": "_")", R"("prepend_scheme": "first", "add_prefix_space": false)",
     "add_prefix_space is false"},
    {R"("TemplateProcessing")", R"("Template")", "unknown post-processor 'Template'"},
    {R"({"id": "A", "type_id": 0})", R"({"id": "B", "type_id": 0})", "more than the text A"},
    {R"({"Sequence": {"id": "A", "type_id": 0}})", R"({"SpecialToken": {"id": "<s>"}})",
     "single lacks the text A"},
    {R"({"SpecialToken": {"id": "<s>", "type_id": 0}})", R"({"SpecialToken": {"id": "<t>"}})",
     "special_tokens lacks '<t>'"},
    {R"("ids": [6])", R"("ids": [-1])", "a token's id is no number of a token"},
    {R"("ids": [6])", R"("ids": [8])",
     "post_processor: the id 8 is not in the vocabulary of 8 tokens"},
    {R"("ids": [6])", R"("ids": 6)", "ids is no list"},
    {R"({"type": "Fuse"})", R"({"type": "CTC"})", "decoders.1: unknown decoder 'CTC'"},
    {R"("start": 1)", R"("start": -1)", "decoders.2: start is no integer from 0 to"},
    {R"("stop": 0)", R"("stops": 0)", "'stop' is missing"},
    {R"("type": "BPE")", R"("type": "WordLevel")", "model: unknown model 'WordLevel'"},
    {R"("type": "BPE")", R"("type": "BPE", "dropout": 0.1)", "dropout is set"},
    {R"("type": "BPE")", R"("type": "BPE", "seed": 1)", "model: unknown option 'seed'"},
    {R"("type": "BPE")", R"("type": "Unigram")", "vocab is no list"},
    {R"("unk_token": "u")", R"("unk_token": "w")", "unk_token 'w' is not in the vocabulary"},
    {R"("fuse_unk": true)", R"("fuse_unk": "x")", "fuse_unk is no boolean"},
    {R"("a": 0)", R"("a": "0")", "the id of 'a' is no integer"},
    {R"("a": 0)", R"("a": -1)", "the token 'a' has the id -1"},
    {R"("a": 0)", R"("a": 16777216)", "the token 'a' has the id 16777216"},
    {R"("a": 0)", R"("a": 18446744073709551615)", "the token 'a' has the id"},
    {R"("a": 0)", R"("a": 1)", "the id 1 belongs to 'a' and to 'b'"},
    {R"("b": 1)", R"("a": 1)", "key \"a\" occurs twice"},
    {R"("type": "Fuse")", R"("type": "Fuse", "type": "Fuse")", "key \"type\" occurs twice"},
    {R"("start": 1)", R"("start": 1e999)", "holds a number out of range"},
    {R"("ab": 3, )", "", "merges.0 needs 'ab', which is not in the vocabulary"},
    {R"("a b")", R"("a")", "merges.0 is no pair of tokens"},
    {R"("a b")", R"("a b b")", "merges.0 is no pair of tokens"},
    {R"(["_", "ab"])", R"(["_", "ab", "c"])", "merges.1 is no pair of tokens"},
    {R"(["_", "ab"])", R"(["_", 3])", "merges.1 is no pair of tokens"},
    {R"("fuse_unk": true)", R"("continuing_subword_prefix": "####")", "merges.0 lacks the"},
    {R"("merges":)", R"("merge":)", "'merges' is missing"},
    {R"("model": {)", R"("models": {)", "'model' is missing"},
    {R"("vocab": {)", "", "not valid JSON"},
    {R"("_ab": 5})", R"("_ab": 5},})", "not valid JSON"},
    {R"("<s>", "special")", "\"\xff\", \"special\"", "not valid JSON"},
};

/// The line that reading `bytes` as a file of that name throws; empty when it is read.
std::string line_of(const TempDir& temp, const std::string& name, const std::string& bytes) {
  const std::string file = temp.write(name, bytes);
  try {
    const FileTokenizer tokenizer(file);
    return "";
  } catch (const ConfigError& error) {
    std::string line = error.what();
    CHECK(line.starts_with(file + ": "));
    CHECK(line.find("; ") != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
    return line;
  }
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("tokenizer: each damage to a tokenizer.json is named", "[core][tokenizer]") {
  const TempDir temp;
  CHECK(line_of(temp, "tokenizer.json", kSmall) == "");
  for (const Row& row : kDamaged) {
    INFO(row.from << " → " << row.to);
    CHECK_THAT(line_of(temp, "tokenizer.json", changed(kSmall, row.from, row.to)),
               Catch::Contains(row.message));
  }
  for (const std::string text : {"", "3", "null", "[]", "{}", "\"x\""})
    CHECK(line_of(temp, "tokenizer.json", text) != "");
  CHECK_THAT(line_of(temp, "tokenizer.json", std::string(100000, '[')),
             Catch::Contains("byte 64: tokenizer.json is nested deeper than 64"));
}

TEST_CASE("tokenizer: each damage to a tokenizer.model is named", "[core][tokenizer]") {
  const TempDir temp;
  const auto line = [&](const std::string& bytes) {
    return line_of(temp, "tokenizer.model", bytes);
  };
  CHECK(line(sentencepiece(small_pieces(), 2, identity_normalizer())) == "");
  CHECK(line(sentencepiece(small_pieces(), 1, identity_normalizer())) == "");
  const std::vector<std::pair<std::string, std::string>> rows{
      {"", "holds no pieces"},
      {"{}", "wire type"},
      {"\x80", "a number is cut short"},
      {std::string(11, '\xff'), "a number is too long"},
      {std::string("\x0a\x7f\x01", 3), "a field is longer than what holds it"},
      {std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), "longer than what holds"},
      {std::string("\x02\x01x", 3), "a field's number is out of range"},
      {std::string("\x0b", 1), "unknown wire type"},
      {proto_varint(1, 3), "has another wire type"},
      {proto_field(1, proto_varint(1, 3)), "piece 0: a text or message has another wire type"},
      {proto_field(1, proto_field(3, "a")), "piece 0: an integer has another wire type"},
      {proto_field(1, proto_varint(2, 3)), "piece 0: a float has another wire type"},
      {proto_field(1, std::string("\x15\0\0", 3)), "piece 0: a number is cut short"},
      {proto_piece("", 0, 1), "piece 0: its text is empty"},
      {proto_piece("\xff", 0, 1), "piece 0: its text is empty or no UTF-8"},
      {proto_piece("a", NAN, 1), "piece 0: its score is not finite"},
      {proto_piece("a", 0, 5), "piece 0: the type 5 is not supported"},
      {proto_piece("a", 0, 9), "piece 0: the type 9 is not supported"},
      {sentencepiece(small_pieces() + proto_piece("a", 0, 1), 2, ""),
       "the token 'a' stands there twice"},
      {sentencepiece(small_pieces() + proto_piece("ax", 0, 1), 2, ""),
       "'ax' has a character that is no piece itself"},
      {sentencepiece(small_pieces() + proto_piece("u", 0, 4), 1, ""),
       "the user-defined piece 'u' of a Unigram model"},
      {sentencepiece(small_pieces(), 3, identity_normalizer()),
       "the model type 3 is not supported"},
      {sentencepiece(small_pieces(), 2, proto_field(1, "nmt_nfkc") + proto_field(2, "x")),
       "is no precompiled_charsmap"},
      {sentencepiece(small_pieces(), 2, proto_varint(5, 0)), "escape_whitespaces = false"},
      {small_pieces() + proto_field(2, proto_varint(3, 2) + proto_varint(24, 1)),
       "treat_whitespace_as_suffix"},
  };
  for (const auto& [bytes, message] : rows) CHECK_THAT(line(bytes), Catch::Contains(message));
}

TEST_CASE("tokenizer: a small SentencePiece model encodes as the library does",
          "[core][tokenizer]") {
  const TempDir temp;
  for (const int type : {1, 2}) {
    const FileTokenizer tokenizer(
        temp.write("tokenizer.model", sentencepiece(small_pieces(), type, identity_normalizer())));
    CHECK(tokenizer.encode("ab") == std::vector<int64_t>{6});
    CHECK(tokenizer.encode("  ab   a ") == std::vector<int64_t>{6, 2, 3});
    CHECK(tokenizer.encode("") == std::vector<int64_t>{});
    CHECK(tokenizer.encode("   ") == std::vector<int64_t>{});
    CHECK(tokenizer.encode("aXYb<s>") == std::vector<int64_t>{2, 3, 0, 4, 0});
    CHECK(tokenizer.decode({6, 2, 3}) == "ab a");
  }
  const FileTokenizer with_user_piece(temp.write(
      "tokenizer.model",
      sentencepiece(small_pieces() + proto_piece("bb", 0, 4), 2, identity_normalizer())));
  CHECK(with_user_piece.encode("abba") == std::vector<int64_t>{2, 3, 7, 3});
}

TEST_CASE("tokenizer: files cut short or with changed bytes never crash", "[core][tokenizer]") {
  const TempDir temp;
  const std::string binary = sentencepiece(small_pieces(), 2, identity_normalizer());
  for (size_t length = 0; length < binary.size(); ++length)
    (void)line_of(temp, "tokenizer.model", binary.substr(0, length));
  const std::string json = kSmall;
  for (size_t length = 0; length < json.size(); ++length)
    CHECK(line_of(temp, "tokenizer.json", json.substr(0, length)) != "");
  std::mt19937 random(1);
  for (int round = 0; round < 1000; ++round) {
    std::string bytes = round % 2 == 0 ? binary : json;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    (void)line_of(temp, round % 2 == 0 ? "tokenizer.model" : "tokenizer.json", bytes);
  }
}

TEST_CASE("tokenizer: paths, directories and texts that cannot be read", "[core][tokenizer]") {
  const TempDir temp;
  const auto message = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  const std::string file = temp.write("made/tokenizer.json", kSmall);
  CHECK(FileTokenizer(temp.path("made")).vocab_size() == 8);
  CHECK(FileTokenizer(temp.path("made")).state() == FileTokenizer(file).state());
  CHECK_THAT(message([&] { FileTokenizer(temp.path("absent.json")); }),
             Catch::Contains("absent.json: no such tokenizer; give"));
  temp.write("empty/readme", "");
  CHECK_THAT(message([&] { FileTokenizer(temp.path("empty")); }),
             Catch::Contains("holds neither tokenizer.json nor tokenizer.model"));
  CHECK_THAT(message([&] { (void)FileTokenizer(file).encode("ab\xff"); }),
             Catch::Contains("invalid UTF-8 at byte 2"));
}

TEST_CASE("tokenizer: a checkpoint knows the file it was trained with", "[core][tokenizer]") {
  const TempDir temp;
  const std::string file = temp.write("tokenizer.json", kSmall);
  const Json state = make_tokenizer(file, [](const auto&) {})->state();
  CHECK(state.at("type") == "file");
  CHECK(restore_tokenizer(state, file)->encode("ab b") == std::vector<int64_t>{5, 4, 1});
  CHECK_THROWS_WITH(restore_tokenizer(state, "bytes"), Catch::Contains("the recipe says 'bytes'"));
  temp.write("tokenizer.json", changed(kSmall, "\"a\": 0, \"b\": 1", "\"b\": 0, \"a\": 1"));
  CHECK_THROWS_WITH(restore_tokenizer(state, file), Catch::Contains("its checksum differs"));
}
