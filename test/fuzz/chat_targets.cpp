// Chat templates, and conversations as data files hold them.
#include "core/data/chat_encoder.h"
#include "core/data/source.h"
#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/template/chat_turns.h"
#include "fuzz/targets.h"
#include "support/paths.h"
#include "test/core/data_test_tools.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::data_test;
namespace {

const char* const kTokens = R"({"bos_token":"<s>","eos_token":{"content":"</s>"},
"added_tokens_decoder":{"3":{"content":"<|im_end|>"},"4":{"content":"<|eot_id|>"}}})";

std::string shipped(const std::string& name) {
  return read_text_file(veomni::test::source_dir() + "/test/core/chat/" + name + ".jinja",
                        kJsonBytes);
}

/// Callers say which record or file messages come from; here `file` does.
void naming(const std::string& file, const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    const std::string line = error.what();
    const bool theirs = line.starts_with("messages") || line.starts_with("chat_template: ");
    throw ConfigError(theirs ? file + ": " + line : line);
  }
}

const Json kTalk =
    Json::parse(R"([{"role":"system","content":"S"},{"role":"user","content":"a <b>"},
{"role":"assistant","content":" é\n","reasoning_content":"r"},{"role":"user","content":"c"},
{"role":"assistant","content":"","tool_calls":[{"type":"function","id":"call00000","function":{"name":"f","arguments":{"x":[1,2.5,null]}}}]},
{"role":"tool","content":"2","tool_call_id":"call00000"},{"role":"assistant","content":"d"}])");
const Json kTools = Json::parse(
    R"([{"type":"function","function":{"name":"f","description":"D","parameters":{"type":"object","properties":{"x":{"type":"array"}}}}}])");
const Json kPlain = Json::parse(
    R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}])");

/// One rendering as generation asks for it, and, for the small templates, the turns of training.
void render(const ChatTemplate& chat, bool turns) {
  (void)chat.render(kPlain, {.add_generation_prompt = true});
  if (turns) (void)render_turns(chat, kPlain, nullptr);
  (void)chat.render(kTalk, {.tools = kTools});
}

Target template_target(const fs::path& folder) {
  const auto model = folder / "chat";
  fs::create_directories(model);
  write_bytes(model / "tokenizer_config.json", kTokens);
  const auto file = model / "chat_template.jinja";
  return {"chat_template",
          {shipped("chatml"), shipped("generation"), shipped("llama3"), shipped("qwen2_5"),
           "{% set n = namespace(x=1) %}{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}"
           "{% for k, v in {'a': 1, 'b': [2]}.items() if v %}{{ loop.index }}{{ m(k, b=v) }}"
           "{% set n.x = n.x + 1 %}{% else %}none{% endfor %}{{ n.x }}{{ messages[0].role[::-1] }}"
           "{{ 'a' if messages is iterable else 1 / 2 }}{{ messages | map(attribute='role') | "
           "join(',') }}{{ messages[0] | tojson(indent=2) }}{{ 'x,y'.split(',') | last | upper "
           "}}{{ messages | map(attribute='content') | join('|') }}"},
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            naming(file.string(),
                   [&] { render(ChatTemplate(model.string()), bytes.size() < 600); });
          },
          {},
          {"{{",
           "}}",
           "{%",
           "%}",
           "{%- ",
           "-%}",
           "{#",
           "#}",
           "{% if x %}",
           "{% endif %}",
           "{% else %}",
           "{% break %}",
           "{% endfor %}",
           "| tojson",
           "| length",
           "| list",
           "| join('a')",
           "| sort",
           "| trim",
           "| items",
           ".items()",
           ".strip()",
           ".split('a')",
           "[::-1]",
           "[1:]",
           "[-1]",
           "loop.",
           "previtem",
           "nextitem",
           "cycle(1, 2)",
           "namespace()",
           "range(9)",
           "messages",
           "message.",
           "not ",
           " is defined",
           " is string",
           " in ",
           " ~ ",
           " // ",
           " ** ",
           " % ",
           "(",
           ")",
           "[",
           "{",
           "\"\\ud800\"",
           "'\\x41'",
           "\xff",
           "{% for a in messages %}",
           "9223372036854775807",
           "{% set n.x = [n] %}",
           "{% raw %}",
           "{% endraw %}",
           "{% generation %}",
           "{% endgeneration %}",
           "{% macro m() %}",
           "{% endmacro %}"}};
}

Target config_target(const fs::path& folder) {
  const auto model = folder / "tokenizer_config";
  fs::create_directories(model);
  const auto file = (model / "tokenizer_config.json").string();
  return {
      "tokenizer_config",
      {R"({"bos_token":"<s>","eos_token":{"content":"</s>","special":true},"pad_token":null,"model_max_length":1e30,)"
       R"("added_tokens_decoder":{"3":{"content":"<|im_end|>"}},"chat_template":"{{ bos_token }}{{ messages[0].content }}"})",
       R"({"chat_template":[{"name":"default","template":"{{ eos_token }}"},{"name":"tool_use","template":"{{ tools }}"}]})"},
      [=](const std::string& bytes) {
        write_bytes(file, bytes);
        (void)read_special_tokens(model.string());
        naming(file, [&] {
          const ChatTemplate chat(model.string());
          (void)chat.render(kPlain, {.add_generation_prompt = true});
        });
      },
      {},
      {"\"chat_template\":", "\"bos_token\":", "{{", "}}", "{% if x %}", "\"name\":", "null",
       "[[[[", "\\u0000", "\\ud800", "\xff"}};
}

/// Rows, and what of them is learned.
Target rows_target(const fs::path& folder, const std::string& format,
                   std::vector<std::string> sound) {
  const auto model = folder / "rows";
  fs::create_directories(model);
  write_bytes(model / "tokenizer_config.json", kTokens);
  write_bytes(model / "chat_template.jinja", shipped("qwen2_5"));
  const auto file = (model / ("data." + format)).string();
  const std::shared_ptr<const Tokenizer> tokenizer = make_tokenizer("bytes", {});
  const ChatConfig config{"messages", "tokenizer", true, false};
  const auto encoder = std::make_shared<const ChatEncoder>(config, *tokenizer, model.string());
  return {format,
          std::move(sound),
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            const auto opened = open_source(chat_source(format, file), {kConversation});
            Record record;
            for (int64_t i = 0; i < std::min<int64_t>(opened->size(), 3); ++i) {
              opened->read(i, record);
              const Json talk = Json::parse(std::get<std::string>(record.values[0]));
              naming(opened->where(i), [&, kept = tokenizer] { (void)encoder->encode(talk); });
            }
          },
          {},
          {"\"role\":", "\"content\":", "\"tool_calls\":", "\"arguments\":", "\"from\":",
           "\"value\":", "\"loss_weight\":", "\"reasoning_content\":", "\"type\":\"reasoning\",",
           "[", "]", "{", "}", "\"\\n\"", "\\u0000", "\\ud800", "\xff", "null", "\n"}};
}

}  // namespace

std::vector<Target> chat_targets(const fs::path& folder) {
  return {
      template_target(folder), config_target(folder),
      rows_target(
          folder, "alpaca",
          {R"([{"instruction":"a","input":"b","output":"c","system":"s","history":[["d","e"]]}])",
           R"({"instruction":"a","output":"c"})"}),
      rows_target(
          folder, "sharegpt",
          {R"({"conversations":[{"from":"human","value":"a"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},)"
           R"({"from":"observation","value":"2"},{"from":"gpt","value":"b"}],"system":"s","tools":"[{\"name\":\"f\"}]"})"}),
      rows_target(
          folder, "messages",
          {R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"r","loss_weight":1}],"tools":[{"name":"f"}]})",
           R"([{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"reasoning","value":"r"},{"type":"text","value":"b"},{"type":"tool_call","value":"{\"name\":\"f\",\"arguments\":{}}"}]},{"role":"tool","content":"2"}]},)"
           R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}])"})};
}

}  // namespace veomni::fuzz
