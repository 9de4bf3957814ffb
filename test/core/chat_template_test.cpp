// Chat templates against what transformers renders (scripts/bench_peers/chat_cases.py).
#include "core/template/chat_template.h"

#include <ctime>

#include "core/template/template.h"
#include "data_test_tools.h"
#include "support/paths.h"

namespace veomni::data_test {
namespace {

std::string chat_file(const std::string& name) {
  return veomni::test::source_dir() + "/test/core/chat/" + name;
}

std::string render(const std::string& text, const Json& variables = Json::object()) {
  return jinja::Template("t", text).render(variables, 1700000000).text;
}

std::string refusal(const std::string& text, const Json& variables = Json::object()) {
  return error_of([&] { render(text, variables); });
}

}  // namespace

TEST_CASE("chat: templates render what transformers renders, or refuse what it refuses",
          "[core][chat]") {
  const Json all = Json::parse(read_text_file(chat_file("cases.json"), kJsonBytes));
  const TempDir dir;
  dir.write("tokenizer_config.json", all["tokens"].dump());
  std::map<std::string, ChatTemplate> templates;
  int64_t refused = 0;
  for (const Json& item : all["cases"]) {
    const auto name = item["template"].get<std::string>(), chat = item["chat"].get<std::string>();
    if (templates.find(name) == templates.end())
      templates.emplace(name, ChatTemplate(chat_file(name + ".jinja"), dir.path("")));
    ChatOptions options{.add_generation_prompt = item["prompt"].get<bool>(),
                        .variables = item["variables"]};
    options.variables["date_string"] = "26 Jul 2024";
    if (item["tools"].get<bool>()) options.tools = all["tools"];
    std::string text;
    const std::string problem =
        error_of([&] { text = templates.at(name).render(all["chats"][chat], options); });
    INFO(name << ", " << chat << ", tools " << item["tools"] << ": " << problem);
    CHECK(problem.empty() == !item.contains("raises"));
    if (!item.contains("raises"))
      CHECK(text == item["text"].get<std::string>());
    else
      refused += problem.find(".jinja:") != std::string::npos;
  }
  CHECK(refused > 10);
}

TEST_CASE("chat: what a template cannot use is refused with its place", "[core][chat]") {
  const std::pair<const char*, const char*> rows[] = {
      {"a\n {% include 'x' %}", "t:2:5: the tag 'include' is not supported"},
      {"{% block b %}{% endblock %}", "t:1:4: the tag 'block' is not supported"},
      {"{{ x | urlize }}", "t:1:8: the filter 'urlize' is not supported"},
      {"{{ x is odder }}", "t:1:9: the test 'odder' is not supported"},
      {"ä{{ x.append(1) }}", "t:1:6: the method 'append' is not supported"},
      {"{{ x.__class__ }}", "t:1:5: the attribute '__class__' is not supported"},
      {"{% for a in b recursive %}{% endfor %}", "t:1:15: recursive loops"},
      {"{{ f(*x) }}", "t:1:6: arguments from a list"},
      {"{% macro m() %}{{ caller() }}{% endmacro %}", "t:1:19: 'caller' is not supported"},
      {"{% if x %}", "t:1:11: the template ends where 'endif' is missing"},
      {"{% endif %}", "t:1:4: 'endif' closes nothing"},
      {"{% break %}", "t:1:4: 'break' stands outside of a loop"},
      {"{{ 'a }}", "t:1:4: the text does not end"},
      {"{{ (1 }}", "t:1:7: unexpected '}'"},
      {"{# a", "t:1:1: the comment does not end"},
      {"{{ 99999999999999999999 }}", "t:1:4: the integer cannot be held"},
      {"{{ 1 + }}", "t:1:8: expected an expression, not '}}'"},
      {"{{ a.b.c }}", "t:1:5: 'a' is undefined"},
      {"{{ [] + 1 }}", "t:1:7: '+' does not go with 'list' and 'int'"},
      {"{{ '%s' % 1 }}", "t:1:9: formatting with '%' is not supported"},
      {"{{ 9223372036854775807 + 1 }}", "t:1:24: the result cannot be held"},
      {"{{ messages['a\nb'].c }}", "t:1:12: 'messages' is undefined"},
      {"{{ [1]['a\\x1b\\n\\x9bb'].c }}", "t:1:23: 'list' has no attribute 'a   b'"},
      {"{{ raise_exception('no\nway\\r\\x1b[31m') }}", "t:1:19: no way  [31m"}};
  for (const auto& [text, says] : rows) {
    const std::string message = refusal(text);
    INFO(text << "\n" << message);
    CHECK(message.find(says) == 0);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("chat: a hostile template ends in an error, soon and without deep recursion",
          "[core][chat]") {
  const auto many = [](const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  const std::pair<std::string, const char*> rows[] = {
      {"{{ " + many("(", 100000) + "1" + many(")", 100000) + " }}", "nested deeper than 100"},
      {"{{ " + many("[", 100000) + many("]", 100000) + " }}", "nested deeper than 100"},
      {"{{ " + many("not ", 100000) + "x }}", "nested deeper than 100"},
      {"{{ " + many("- ", 100000) + "1 }}", "nested deeper than 100"},
      {many("{% if 1 %}", 10000), "nested deeper than 100"},
      {"{{ x" + many(".a", 100000) + " }}", "runs deeper than 400"},
      {"{{ x" + many("|list", 100000) + " }}", "runs deeper than 400"},
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "runs deeper than 400"},
      {"{% set n = namespace(x=[]) %}{% for i in range(1000) %}{% set n.x = [n.x] %}{% endfor %}",
       "nested deeper than 200"},
      {many("{% for i in range(9999) %}", 9) + "x" + many("{% endfor %}", 9),
       "simplify the template"},
      {"{{ 'a' * 999999999999 }}", "needs more than 256 MB"},
      {"{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor "
       "%}",
       "needs more than 256 MB"},
      {"{{ range(999999999) }}", "longer than 100000"}};
  for (const auto& [text, says] : rows) {
    const std::string message = refusal(text);
    INFO(text.substr(0, 80) << "\n" << message);
    CHECK(message.find(says) != std::string::npos);
  }
  CHECK(render("{{ 1" + many(" + 1", 100000) + " }}") == "100001");         // long, but not deep
  CHECK(render("{% set n = namespace() %}{% set n.n = [n] %}ok") == "ok");  // a cycle is freed
}

TEST_CASE("chat: strftime_now shows the time in Python's format", "[core][chat]") {
  const std::time_t now = 1700000000;
  char text[64];
  std::strftime(text, sizeof text, "%d %b %Y", std::localtime(&now));
  CHECK(render("{{ strftime_now('%d %b %Y') }}") == text);
}

TEST_CASE("chat: the template and its tokens are found as transformers finds them",
          "[core][chat]") {
  const Json message = {{{"role", "user"}, {"content", "x"}}};
  const auto prompt = [&](const TempDir& dir, const Json& tools = nullptr) {
    return chat_prompt(dir.path(""), message, tools);
  };
  const TempDir plain;
  CHECK(error_of([&] { prompt(plain); }).find("has no chat template") != std::string::npos);
  plain.write("tokenizer_config.json",
              R"({"chat_template": "{{ bos_token }}{{ add_generation_prompt }}",
                  "bos_token": {"content": "<s>", "special": true}, "eos_token": null})");
  CHECK(prompt(plain) == "<s>True");
  CHECK(chat_prompt(plain.path("tokenizer.json"), message) == "<s>True");
  plain.write("chat_template.jinja", "file {{ eos_token }}");
  CHECK(prompt(plain) == "file ");
  const TempDir named;
  named.write("tokenizer_config.json",
              R"({"chat_template": [{"name": "tool_use", "template": "T"},
                  {"name": "default", "template": "D"}, {"name": "rag", "template": "{% extends %}"}]})");
  CHECK(prompt(named) == "D");
  CHECK(prompt(named, Json::array({Json::object()})) == "T");
  named.write("tokenizer_config.json", R"({"chat_template": "{{ x | nope }}"})");
  CHECK(error_of([&] {
          prompt(named);
        }).find("tokenizer_config.json: chat_template:1:8: the filter 'nope'") !=
        std::string::npos);
  named.write("tokenizer_config.json", R"({"model_max_length": 1e999})");
  CHECK(error_of([&] { prompt(named); }).find("tokenizer_config.json: holds the number '1e999'") !=
        std::string::npos);
  CHECK(error_of([&] {
          chat_prompt(plain.path(""), Json::array({"x"}));
        }).find("messages[0]: must be an object with \"role\"") != std::string::npos);
}

}  // namespace veomni::data_test
