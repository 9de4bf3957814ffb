// Conversations as samples: rows, the chat template, and what of them is learned.
#include "core/data/chat_encoder.h"
#include "core/data/chat_rows.h"
#include "core/data/inspect.h"
#include "core/data/sample.h"
#include "core/data/tokenizer.h"
#include "core/recipe/chat_config.h"
#include "core/template/chat_turns.h"
#include "data_test_tools.h"
#include "support/paths.h"
#include "tokenizer_files.h"

namespace veomni::data_test {
namespace {

using Texts = std::vector<std::string>;

std::string chat_file(const std::string& name) {
  return veomni::test::source_dir() + "/test/core/chat/" + name;
}
std::string shipped(const std::string& name) {
  return veomni::test::source_dir() + "/recipes/data/chat/" + name;
}

Json say(const std::string& role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

Json call(const std::string& name, const Json& arguments) {
  const Json made{{"type", "function"},
                  {"function", {{"name", name}, {"arguments", arguments}}},
                  {"id", "call00000"}};
  return {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({made})}};
}

Json result(const std::string& content) {
  return {{"role", "tool"}, {"content", content}, {"tool_call_id", "call00000"}};
}

const Json kTalk = Json::array(
    {say("user", "Hi"), say("assistant", " Yo\n"), say("user", "Yo"), say("assistant", "Yo")});
const Json kTooled =
    Json::array({say("user", "f?"), call("f", {{"x", 1}}), result("2"), say("assistant", "Two."),
                 say("user", "ok"), say("assistant", "Bye")});

/// A template of test/core/chat with the tokens that end its turns.
ChatTemplate chat_of(const TempDir& dir, const std::string& name) {
  dir.write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>",
    "added_tokens_decoder": {"3": {"content": "<|im_end|>"}, "4": {"content": "<|eot_id|>"},
                             "5": {"content": "<end_of_turn>"}, "6": {"content": "<|eot|>"}}})");
  return ChatTemplate(chat_file(name + ".jinja"), dir.path(""));
}

Texts learned_texts(const ChatTemplate& chat, const Json& messages, const Json& tools = nullptr,
                    const std::vector<bool>& learned = {}) {
  const ChatTurns turns = render_turns(chat, messages, tools, learned);
  Texts texts;
  for (const ChatSpan& span : turns.spans)
    texts.push_back(turns.text.substr(span.begin, span.end - span.begin));
  return texts;
}

Json conversation(const std::string& format, const std::string& row) {
  return to_conversation(Json::parse(row), chat_source(format, ""));
}

Recipe chat_recipe(const SourceConfig& config) {
  Recipe made = recipe(1, 1024);
  made.tokenizer = shipped("tokenizer");
  made.sources = {config};
  return made;
}

/// What the labels of a sample say, each run of learned tokens as one text.
Texts learned_texts(const Sample& sample, const Tokenizer& tokenizer) {
  Texts texts;
  bool open = false;
  std::vector<int64_t> run;
  const auto close = [&] {
    if (open) texts.push_back(tokenizer.decode(run));
    run.clear();
  };
  for (const int64_t label : sample.labels) {
    if (label == kIgnore) close();
    open = label != kIgnore;
    if (open) run.push_back(label);
  }
  close();
  return texts;
}

}  // namespace

TEST_CASE("chat: exactly the assistant's turns with their end tokens are learned", "[core][chat]") {
  const std::string call_json = R"({"name": "f", "parameters": {"x": 1}}<|eot_id|>)";
  const std::string qwen_call =
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call><|im_end|>";
  const std::string mistral_call =
      R"([TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}, "id": "call00000"}]</s>)";
  const std::string think = "<think>\n\n</think>\n\n";
  struct Row {
    const char* name;
    Texts talk, tooled;
  };
  const Row rows[] = {
      {"chatml", {" Yo\n<|im_end|>", "Yo<|im_end|>"}, {}},
      {"generation", {" Yo\n<|im_end|>", "Yo<|im_end|>"}, {}},
      {"qwen2_5",
       {" Yo\n<|im_end|>", "Yo<|im_end|>"},
       {qwen_call, "Two.<|im_end|>", "Bye<|im_end|>"}},
      {"qwen3",
       {" Yo\n<|im_end|>", think + "Yo<|im_end|>"},
       {qwen_call, "Two.<|im_end|>", think + "Bye<|im_end|>"}},
      {"llama3", {"Yo<|eot_id|>", "Yo<|eot_id|>"}, {}},
      {"llama3_1",
       {"Yo<|eot_id|>", "Yo<|eot_id|>"},
       {call_json, "Two.<|eot_id|>", "Bye<|eot_id|>"}},
      {"gemma", {"Yo<end_of_turn>", "Yo<end_of_turn>"}, {}},
      {"mistral_v0_1", {" Yo\n</s>", "Yo</s>"}, {}},
      {"mistral_v0_3", {" Yo</s>", " Yo</s>"}, {mistral_call, "Two.</s>", " Bye</s>"}},
      {"llama2", {" Yo </s>", " Yo </s>"}, {}}};
  const TempDir dir;
  const Json tool{{"type", "function"}, {"function", {{"name", "f"}, {"description", "d"}}}};
  const Json tools = Json::array({tool});
  for (const Row& row : rows) {
    INFO(row.name);
    const ChatTemplate chat = chat_of(dir, row.name);
    CHECK(learned_texts(chat, kTalk) == row.talk);
    CHECK(learned_texts(chat, kTalk, nullptr, {false, false, false, true}) == Texts{row.talk[1]});
    if (!row.tooled.empty()) CHECK(learned_texts(chat, kTooled, tools) == row.tooled);
  }
}

TEST_CASE("chat: Qwen3's earlier reasoning, which it drops, is not learned", "[core][chat]") {
  const TempDir dir;
  const ChatTemplate chat = chat_of(dir, "qwen3");
  Json messages = {say("user", "2+2?"), say("assistant", "<think>\nadd\n</think>\n\n4"),
                   say("user", "3+3?"), say("assistant", "<think>\nagain\n</think>\n\n6")};
  CHECK(learned_texts(chat, messages) ==
        Texts{"4<|im_end|>", "<think>\nagain\n</think>\n\n6<|im_end|>"});
  // With calls of tools the reasoning stays until the user speaks again.
  messages = {say("user", "f?"), call("f", {{"x", 1}}), result("2"), say("assistant", "Two.")};
  messages[1]["reasoning_content"] = "call it";
  const Texts texts = learned_texts(chat, messages);
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].find("<think>\ncall it\n</think>\n\n") == 0);
  messages.push_back(say("user", "ok"));
  messages.push_back(say("assistant", "Bye"));
  CHECK(learned_texts(chat, messages)[0].find("<tool_call>") == 0);
}

TEST_CASE("chat: a turn that a template hides or that it refuses is an error, not a guess",
          "[core][chat]") {
  const TempDir dir;
  dir.write("hide.jinja", "{% for m in messages %}{{ m.role }}{% endfor %}");
  const ChatTemplate hidden(dir.path("hide.jinja"));
  CHECK(error_of([&] {
          learned_texts(hidden, kTalk);
        }).find("messages[1]: the chat template renders") == 0);
  const ChatTemplate strict = chat_of(dir, "mistral_v0_1");
  CHECK(error_of([&] {
          learned_texts(strict, Json::array({say("assistant", "x")}));
        }).find("Conversation roles must alternate") != std::string::npos);
}

TEST_CASE("chat: ids and learned tokens are those of transformers' assistant mask",
          "[core][chat]") {
  const Json all = Json::parse(read_text_file(chat_file("masks.json"), kJsonBytes));
  const auto tokenizer = make_tokenizer(shipped("tokenizer"), {});
  const ChatConfig config = chat_config(chat_source("messages", "")).value();
  const ChatEncoder encoder(config, *tokenizer, shipped("tokenizer"));
  REQUIRE(all.size() >= 5);
  for (const Json& item : all) {
    const ChatTokens tokens = encoder.encode(
        {{"messages", item["messages"]}, {"tools", item["tools"]}, {"learned", nullptr}});
    CHECK(tokens.ids == item["input_ids"].get<std::vector<int64_t>>());
    std::vector<int64_t> mask;
    for (const int64_t label : tokens.labels) mask.push_back(label == kIgnore ? 0 : 1);
    CHECK(mask == item["assistant_masks"].get<std::vector<int64_t>>());
  }
}

TEST_CASE("chat: rows become conversations in Hugging Face's form", "[core][chat]") {
  const Json alpaca =
      conversation("alpaca", R"({"instruction": "Add", "input": "1+1", "output": "2",
      "system": "S", "history": [["a", "b"]]})");
  CHECK(alpaca["messages"] ==
        Json::array({say("system", "S"), say("user", "a"), say("assistant", "b"),
                     say("user", "Add\n1+1"), say("assistant", "2")}));
  CHECK(conversation("alpaca", R"({"instruction": "Hi", "input": "", "output": ""})")["messages"] ==
        Json({say("user", "Hi"), say("assistant", "")}));

  const Json share = conversation("sharegpt", R"({"system": "S", "tools": "[{\"name\": \"f\"}]",
      "conversations": [{"from": "human", "value": "q"},
        {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
        {"from": "observation", "value": "r"}, {"from": "gpt", "value": "a"}]})");
  CHECK(share["messages"] ==
        Json::array({say("system", "S"), say("user", "q"), call("f", {{"x", 1}}), result("r"),
                     say("assistant", "a")}));
  CHECK(share["tools"] == Json::array({Json{{"type", "function"}, {"function", {{"name", "f"}}}}}));

  const Json parts = conversation("messages", R"({"tools": "", "messages": [
      {"role": "user", "content": [{"type": "text", "value": "q"}], "loss_weight": 0.0},
      {"role": "assistant", "loss_weight": 0, "content": [{"type": "reasoning", "value": "think"},
         {"type": "tool_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}]},
      {"role": "tool", "content": "r"},
      {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
       "loss_weight": 1.0}]})");
  Json called = call("f", {{"x", 1}});
  called.erase("tool_calls");
  called["reasoning_content"] = "think";
  called["tool_calls"] = call("f", {{"x", 1}})["tool_calls"];
  CHECK(parts["messages"][1] == called);
  CHECK(parts["messages"][3] == say("assistant", "ab"));
  CHECK(parts["learned"] == Json::array({false, false, false, true}));
  CHECK(parts["tools"].is_null());
  // OpenAI's form: arguments as JSON text, no content.
  const Json openai = conversation("messages", R"({"messages": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "abc", "type": "function",
         "function": {"name": "f", "arguments": "{\"x\": 1}"}}]}]})");
  CHECK(openai["messages"][1]["tool_calls"][0]["function"]["arguments"] ==
        Json::object({{"x", 1}}));
  CHECK(openai["messages"][1]["tool_calls"][0]["id"] == "abc");
}

TEST_CASE("chat: bad rows are refused in one line with file and line or item", "[core][chat]") {
  const std::string user = R"({"from": "human", "value": "q"})";
  struct Row {
    const char* format;
    std::string row;
    const char* says;
  };
  const Row rows[] = {
      {"alpaca", R"({"instruction": "x"})", "has no column 'output'"},
      {"alpaca", R"({"instruction": 1, "output": "y"})", "instruction: must be a text, not 1"},
      {"alpaca", R"({"instruction": "x", "output": "y", "history": [["a"]]})",
       "history: must be a list of pairs"},
      {"alpaca", "5", "is no JSON object"},
      {"sharegpt", R"({"messages": []})", "has no column 'conversations'"},
      {"sharegpt", R"({"conversations": []})", "conversations: must be a list of at least one"},
      {"sharegpt", R"({"conversations": [{"from": "bob", "value": "q"}]})",
       "conversations[0].from: unknown role 'bob'; use 'human'"},
      {"sharegpt", R"({"conversations": [{"from": "human"}]})", "conversations[0]: has no 'value'"},
      {"sharegpt", R"({"conversations": [{"from": "function_call", "value": "{"}]})",
       "conversations[0]: is not valid JSON"},
      {"sharegpt", R"({"conversations": [{"from": "function_call", "value": "[1]"}]})",
       "conversations[0]: a call must be an object"},
      {"sharegpt", R"({"tools": "{}", "conversations": [)" + user + "]}",
       "tools: must be a list of tools"},
      {"messages", R"({"messages": [{"role": "user"}]})", "messages[0]: has no 'content'"},
      {"messages", R"({"messages": [{"content": "x"}]})", "messages[0]: has no 'role'"},
      {"messages", R"({"messages": [{"role": "u", "content": "x"}]})",
       "messages[0].role: unknown role 'u'"},
      {"messages", R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})",
       "messages[0].content[0]: parts of type 'image' are not supported"},
      {"messages", R"({"messages": [{"role": "user", "content": "x", "loss_weight": 1}]})",
       "messages[0].loss_weight: is 1, but only assistant"},
      {"messages", R"({"messages": [{"role": "assistant", "content": "x", "loss_weight": 0.5}]})",
       "messages[0].loss_weight: is 0.5"},
      {"sharegpt", R"({"conversations": [{"from": "b\u001b[31m\nob", "value": "q"}]})",
       "conversations[0].from: unknown role 'b [31m ob'; use 'human'"},
      {"sharegpt",
       R"({"conversations": [{"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1e999}}"}]})",
       "conversations[0]: holds the number '1e999', which is out of range"},
      {"messages",
       R"({"messages": [{"role": "assistant", "reasoning_content": 5, "content": [{"type": "reasoning", "text": "r"}]}]})",
       "messages[0].content[0]: 'reasoning_content' of the message must be a text, not 5"},
      {"messages", R"({"messages": [{"role": "user", "content": [{"type": "a\u009bb"}]}]})",
       "messages[0].content[0]: parts of type 'a b' are not supported"},
      {"messages", R"({"messages": "\u007f"})",
       "messages: must be a list of at least one message, not \" \""},
      {"messages", R"({"messages": [{"role": "user", "content": "x", "n": -1e999}]} )",
       "holds the number '-1e999'"},
      {"messages", "{\"messages\"", "is not valid JSON near byte"}};
  for (const Row& row : rows) {
    const TempDir dir;
    const auto good = std::string(row.format) == "alpaca" ? R"({"instruction": "x", "output": "y"})"
                      : std::string(row.format) == "sharegpt"
                          ? R"({"conversations": [{"from": "human", "value": "q"}]})"
                          : R"({"messages": [{"role": "user", "content": "q"}]})";
    const std::string lines = dir.write("chat.jsonl", good + std::string("\n\n") + row.row + "\n");
    const std::string message =
        error_of([&] { open(chat_recipe(chat_source(row.format, lines))); });
    INFO(message);
    CHECK(message.find("chat.jsonl:3: ") != std::string::npos);
    CHECK(message.find(row.says) != std::string::npos);
    CHECK(std::none_of(message.begin(), message.end(),
                       [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }));
    if (row.row.back() != '}') continue;
    const std::string items =
        dir.write("chat.json", "[" + std::string(good) + ",\n" + row.row + "]");
    CHECK(error_of([&] {
            open(chat_recipe(chat_source(row.format, items)));
          }).find("chat.json: item 1: ") != std::string::npos);
  }
}

TEST_CASE("chat: long conversations are refused by name, or cut where the source says so",
          "[core][chat]") {
  const TempDir dir;
  std::string text;
  for (int i = 0; i < 300; ++i) text += "word ";
  Recipe made = chat_recipe(chat_source(
      "alpaca", dir.write("a.json", R"([{"instruction": "q", "output": ")" + text + "\"}]")));
  made.train.pack_tokens = 64;
  const std::string message = error_of([&] { open(made)->train_samples(0, 0, 1); });
  CHECK(message.find("a.json: item 0: record 0 of data.sources.chat has") != std::string::npos);
  CHECK(message.find("give the source \"truncate\": true") != std::string::npos);
  made.sources[0].keys["truncate"] = true;
  CHECK(open(made)->train_samples(0, 0, 1)[0].ids.size() == 64);
}

TEST_CASE("chat: the shipped conversations are learned where the assistant speaks",
          "[core][chat]") {
  Recipe made = chat_recipe(chat_source("alpaca", shipped("identity.json")));
  made.sources.push_back(chat_source("sharegpt", shipped("tools.jsonl")));
  made.sources[1].name = "tools";
  const auto data = open(made);
  const auto first = data->train_samples(0, 0, 1)[0];
  CHECK(learned_texts(first, *data->tokenizer()) ==
        Texts{"Hello! I am Veo, an AI assistant developed by the veomni authors. How can I assist "
              "you today?<|im_end|>"});
  for (const Sample& sample : data->train_samples(1, 0, data->source_size(1, false)))
    for (const std::string& text : learned_texts(sample, *data->tokenizer())) {
      CHECK(text.ends_with("<|im_end|>"));
      CHECK(text.find("<|im_start|>") == std::string::npos);
    }
}

TEST_CASE("chat: every file of LLaMA-Factory's demonstrations is read", "[core][chat]") {
  const std::tuple<const char*, const char*, int64_t> files[] = {
      {"alpaca", "alpaca_en_demo.json", 999},
      {"alpaca", "identity.json", 91},
      {"sharegpt", "glaive_toolcall_en_demo.json", 300},
      {"messages", "reason_tool_use_demo_50.jsonl", 50},
      {"messages", "v1_sft_demo.jsonl", 500}};
  for (const auto& [format, name, rows] : files) {
    const std::string path = tokenizer_test::data_file(std::string("text_llamafactory/") + name);
    if (path.empty()) return;
    Recipe made = chat_recipe(chat_source(format, path));
    made.train.pack_tokens = 16384;
    const auto data = open(made);
    CHECK(data->source_size(0, false) == rows);
    for (const Sample& sample : data->train_samples(0, 0, std::min<int64_t>(rows, 50)))
      CHECK(!learned_texts(sample, *data->tokenizer()).empty());
  }
}

}  // namespace veomni::data_test
