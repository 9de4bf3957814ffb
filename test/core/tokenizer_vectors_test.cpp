// Tokenizers of trained models against ids that other implementations give, and there and back
// again over real texts.
#include <catch2/catch.hpp>

#include "test/core/data_test_tools.h"
#include "test/core/tokenizer_files.h"

using namespace veomni;
using namespace veomni::tokenizer_test;
using veomni::data_test::TempDir;

namespace {

/// One of the tokenizers in shared/data/tokenizers, or null.
std::unique_ptr<FileTokenizer> open(const std::string& name, const TempDir& temp) {
  if (name == "gpt2") {
    const std::string file = data_file("tokenizers/gpt2/vocab.json");
    if (file.empty()) return nullptr;
    const auto folder = std::filesystem::path(file).parent_path().string();
    return std::make_unique<FileTokenizer>(
        temp.write("gpt2/tokenizer.json", gpt2_json(folder).dump()));
  }
  const std::string file =
      data_file(name == "stories260k" ? "model_stories260k/hf"
                : name == "tiny"      ? "tokenizers/torchtune_tiny_bpe/tiny_bpe_tokenizer.json"
                                      : "tokenizers/" + name);
  return file.empty() ? nullptr : std::make_unique<FileTokenizer>(file);
}

void check_round_trip(const FileTokenizer& tokenizer, const std::string& text) {
  const std::string back = tokenizer.decode(tokenizer.encode(text));
  CHECK(back.size() == text.size());
  if (back == text) return;
  size_t at = 0;
  while (at < std::min(back.size(), text.size()) && back[at] == text[at]) ++at;
  FAIL_CHECK("differs at byte " << at << ": '" << text.substr(at, 40) << "' became '"
                                << back.substr(at, 40) << "'");
}

}  // namespace

TEST_CASE("tokenizer: the published ids of GPT-2, Qwen3 and Llama 2", "[core][tokenizer]") {
  const std::string file = data_file("tokenizers/vectors.json");
  if (file.empty()) return;
  const Json vectors = Json::parse(read_file_bytes(file));
  const TempDir temp;
  for (const std::string name : {"gpt2", "qwen3", "llama2"}) {
    const auto tokenizer = open(name, temp);
    if (!tokenizer) continue;
    for (const Json& vector : vectors.at(name)) {
      const auto text = vector.at("text").get<std::string>();
      INFO(name << ": " << vector.at("text").dump());
      CHECK(tokenizer->encode(text) == vector.at("ids").get<std::vector<int64_t>>());
      CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
    }
  }
}

TEST_CASE("tokenizer: every kind gives the ids of the Python package", "[core][tokenizer]") {
  const TempDir temp;
  const auto all =
      FileJson::parse(read_file_bytes(test::source_dir() + "/test/core/tokenizer_cases.json"));
  REQUIRE(all.size() >= 17);
  for (const auto& made : all) {
    const FileTokenizer tokenizer(temp.write("tokenizer.json", made.at("tokenizer").dump()));
    for (const auto& one : made.at("cases")) {
      INFO(made.at("name") << ": " << one.at("text"));
      const auto text = one.at("text").get<std::string>();
      CHECK(tokenizer.encode(text) == one.at("ids").get<std::vector<int64_t>>());
      CHECK(tokenizer.encode(text) == one.at("ids").get<std::vector<int64_t>>());  // from the cache
      CHECK(tokenizer.encode_with_special_tokens(text) ==
            one.at("with_special_tokens").get<std::vector<int64_t>>());
      // Python shows U+FFFD for bytes that are no UTF-8; we keep them.
      if (const auto decoded = one.at("decoded").get<std::string>();
          decoded.find("\xEF\xBF\xBD") == std::string::npos)
        CHECK(tokenizer.decode(tokenizer.encode(text)) == decoded);
    }
  }
}

TEST_CASE("tokenizer: stories260K's ids, with the token that begins a text", "[core][tokenizer]") {
  const TempDir temp;
  const auto tokenizer = open("stories260k", temp);
  if (!tokenizer) return;
  const Json reference =
      Json::parse(read_file_bytes(data_file("model_stories260k/reference.json")));
  for (const Json& vector : reference.at("cases"))
    CHECK(tokenizer->encode_with_special_tokens(vector.at("text").get<std::string>()) ==
          vector.at("input_ids").get<std::vector<int64_t>>());
}

TEST_CASE("tokenizer: real texts come back from their ids", "[core][tokenizer]") {
  const TempDir temp;
  const std::vector<std::string> texts = {"text_tinyshakespeare/input.txt",
                                          "text_gsm8k/train.jsonl.gz", "text_wikitext2/valid.txt",
                                          "image_caption_audio_tuxpaint/manifest.jsonl"};
  for (const std::string name : {"gpt2", "qwen3", "llama2", "tiny", "stories260k"}) {
    const auto tokenizer = open(name, temp);
    // The small ones have no tokens for some bytes, and put a space behind each `<unk>` of wikitext.
    const bool small = name == "tiny" || name == "stories260k";
    for (size_t i = 0; tokenizer && i < (small ? 1 : texts.size()); ++i) {
      INFO(name << ": " << texts[i]);
      if (const std::string file = data_file(texts[i]); !file.empty())
        check_round_trip(*tokenizer, read_file_bytes(file));
    }
  }
}

// scripts/bench_peers/compare_tokenizers.py compares what this writes with the Python package.
TEST_CASE("tokenizer: dump of ids for the comparison with Python", "[.tokenizer_dump]") {
  const char *from = std::getenv("VEOMNI_TOKENIZER"), *texts = std::getenv("VEOMNI_TEXTS"),
             *to = std::getenv("VEOMNI_DUMP_TO");
  REQUIRE((from && texts && to));
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds_since = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const FileTokenizer tokenizer(from);
  const double load_seconds = seconds_since(begin);
  std::vector<std::string> lines;
  std::istringstream input(read_file_bytes(texts));
  for (std::string line; std::getline(input, line);)
    lines.push_back(Json::parse(line).get<std::string>());
  double best = 1e30;
  std::vector<std::vector<int64_t>> ids(lines.size());
  for (int round = 0; round < 3; ++round) {
    const FileTokenizer fresh(from);  // the cache of words starts empty, as at a user's
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < lines.size(); ++i) ids[i] = fresh.encode(lines[i]);
    best = std::min(best, seconds_since(start));
  }
  std::ofstream out(to);
  out << Json{{"load_seconds", load_seconds}, {"encode_seconds", best}}.dump() << '\n';
  for (const auto& line : ids)
    out << Json{{"ids", line}, {"text", tokenizer.decode(line)}}.dump(
               -1, ' ', false, Json::error_handler_t::replace)
        << '\n';
}
