// The shipped recipe for fine-tuning on conversations, made small: trained, exported, asked.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "runs/runs.h"
#include "support/paths.h"
#include "support/temp_dir.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

Finished train(const fs::path& output, const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"train",
                                     source_dir() + "/recipes/text/sft.json",
                                     "output=" + output.string(),
                                     "train.steps=20",
                                     "train.packs=2",
                                     "train.pack_tokens=512",
                                     "train.schedule.warmup=2",
                                     "train.optimizer.lr=0.01",
                                     "eval={}",
                                     "data.sources.1.truncate=true",
                                     "model.base.hidden_size=32",
                                     "model.base.intermediate_size=48",
                                     "model.base.num_hidden_layers=2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_veomni(arguments);
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("sft: conversations train, on two ranks as on one; export brings the tokenizer along",
          "[runs][sft]") {
  const TempDir folder;
  const auto one = train(folder / "one", {});
  INFO(one.err);
  REQUIRE(one.code == 0);
  const auto lines = step_lines(folder / "one");
  REQUIRE(lines.size() == 20);
  double last = 0;  // mean of the last five: packs differ
  for (size_t s = 15; s < 20; ++s) last += lines[s]["loss"].get<double>() / 5;
  CHECK(last < 0.9 * lines.front()["loss"].get<double>());
  const auto two = train(folder / "two", {layout(1, 2), "--ranks", "2"});
  INFO(two.err);
  REQUIRE(two.code == 0);
  const auto same = step_lines(folder / "two");
  REQUIRE(same.size() == lines.size());
  for (size_t s = 0; s < lines.size(); ++s)
    CHECK(same[s]["loss"].get<double>() == Approx(lines[s]["loss"].get<double>()).epsilon(1e-6));

  const auto exported = run_veomni({"export", (folder / "one").string(), (folder / "hf").string()});
  INFO(exported.err);
  REQUIRE(exported.code == 0);
  const fs::path tokenizer = source_dir() + "/recipes/data/chat/tokenizer";
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    CHECK(text_of((folder / "hf") / name) == text_of(tokenizer / name));
  CHECK(Json::parse(text_of((folder / "hf") / "generation_config.json"))["eos_token_id"] == 2);
  std::ofstream((folder / "hi.json").string()) << R"([{"role": "user", "content": "hi"}])";
  for (const char* model : {"one", "hf"}) {
    const auto said =
        run_veomni({"generate", (folder / model).string(), "--messages",
                    (folder / "hi.json").string(), "--max-new-tokens", "4", "--json"});
    INFO(said.err);
    REQUIRE(said.code == 0);
    const Json answer = Json::parse(said.out);
    CHECK(answer["prompt"] == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    CHECK(answer["prompt_ids"].size() > 0);
    CHECK(answer["ids"].size() <= 4);
  }
}

TEST_CASE("generate --messages: what is no conversation, or has no template, is one line",
          "[runs][sft]") {
  const TempDir folder;
  const fs::path fixture = fs::path(source_dir()) / "test/fixtures/hf/llama_biases";
  const struct {
    const char *file, *text, *expected;
  } rows[] = {
      {"a.json", "{\"messages\": 3}", "a.json: is no conversation"},
      {"b.jsonl", "[{\"role\": \"user\", \"content\": \"x\"}]\n[]\n",
       "b.jsonl:2: is no conversation"},
      {"c.jsonl", "\n", "c.jsonl: holds no conversation"},
      {"d.json", "[{\"role\"", "d.json:1:"},
      {"e.json", "[{\"role\": \"user\", \"content\": \"x\"}]",
       "has no tokenizer with a chat template"},
  };
  for (const auto& row : rows) {
    std::ofstream((folder / row.file).string()) << row.text;
    const auto said =
        run_veomni({"generate", fixture.string(), "--messages", (folder / row.file).string()});
    INFO(said.err);
    CHECK(said.code == 2);
    CHECK_THAT(said.err, Catch::Contains(row.expected));
    CHECK(std::count(said.err.begin(), said.err.end(), '\n') == 1);
  }
}

TEST_CASE("sft: inspect shows what of a conversation is learned", "[runs][sft]") {
  const auto shown =
      run_veomni({"inspect", source_dir() + "/recipes/text/sft.json", "--samples", "1", "--json"});
  INFO(shown.err);
  REQUIRE(shown.code == 0);
  const Json sample = Json::parse(shown.out)["sources"][0]["samples"][0];
  CHECK(sample["learned_text"] ==
        Json::array(
            {"Hello! I am Veo, an AI assistant developed by the veomni authors. How can I assist "
             "you today?<|im_end|>"}));
}
