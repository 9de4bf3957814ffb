// Templates that cost more than they are long: what they need is counted before it is taken.
#include <ctime>

#include "core/template/template.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

constexpr double kMostSeconds =
    30;  // of processor time; each case takes well under a second without sanitizers

std::string rendered(const std::string& text) {
  const jinja::Template made("t", text);
  std::string out;
  const std::clock_t start = std::clock();
  const std::string problem = error_of([&] { out = made.render(Json::object(), 1700000000).text; });
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < kMostSeconds);
  return problem.empty() ? out : problem;
}

}  // namespace

TEST_CASE("chat: methods of long texts take time in proportion to their length", "[core][chat]") {
  // Naive searches need 10^12 steps and more here.
  const std::string pair = "{% set t = 'a' * 2000000 %}{% set s = 'a' * 1000000 ~ 'b' %}";
  const std::string turned = "{% set t = 'a' * 2000000 %}{% set s = 'b' ~ 'a' * 1000000 %}";
  const std::pair<std::string, const char*> rows[] = {
      {"{{ ('a ' * 200000).rsplit() | length }}", "200000"},
      {"{{ ('é\n' * 200000).rsplit(None, 100000) | length }}", "100001"},
      {"{{ ('a' * 200000).strip('b' * 200000 ~ 'a') | length }}", "0"},
      {"{{ ('a' * 200000) | trim('b' * 200000 ~ 'a') | length }}", "0"},
      {pair + "{{ t.find(s) }}", "-1"},
      {turned + "{{ t.rfind(s) }}", "-1"},
      {pair + "{{ s in t }}", "False"},
      {pair + "{{ t.count(s) }}", "0"},
      {pair + "{{ t.split(s) | length }}", "1"},
      {turned + "{{ t.rsplit(s) | length }}", "1"},
      {pair + "{{ t.replace(s, 'c') | length }}", "2000000"},
      {pair + "{{ t.partition(s)[1] }}", ""},
      {turned + "{{ t.rpartition(s)[1] }}", ""}};
  for (const auto& [text, says] : rows) {
    INFO(text);
    CHECK(rendered(text) == says);
  }
}

TEST_CASE("chat: searches from both sides find what Python finds", "[core][chat]") {
  const std::pair<const char*, const char*> rows[] = {
      {"{{ 'abcabc'.rfind('bc') }} {{ 'abcabc'.rfind('x') }} {{ 'abc'.rfind('') }}", "4 -1 3"},
      {"{{ ''.find('') }} {{ ''.rfind('a') }} {{ 'é€é'.rfind('é') }}", "0 -1 2"},
      {"{{ 'aaa'.rsplit('aa') }} {{ 'aaa'.split('aa') }}", "['a', ''] ['', 'a']"},
      {"{{ ' a  é b '.rsplit(None, 1) }} {{ ' a  é b '.rsplit() }}",
       "[' a  é', 'b'] ['a', 'é', 'b']"},
      {"{{ ' a '.rsplit(None, 0) }} {{ '  '.rsplit() }} {{ '\u3000a\u2003'.rsplit() }}",
       "[' a'] [] ['a']"},
      {"{{ 'xéyéx'.strip('éx') }} {{ 'a'.strip('') }} {{ 'aXa'.rstrip('a') }}", "y a aX"},
      {"{{ 'a\r\nb\n\nc'.splitlines() }} {{ 'a\n'.splitlines(True) }} {{ ''.splitlines() }}",
       "['a', 'b', '', 'c'] ['a\\n'] []"},
      {"{{ 'a\nb\n'|indent(2) }}|{{ 'a\n\nb'|indent(1, True, True) }}", "a\n  b\n| a\n \n b"}};
  for (const auto& [text, says] : rows) {
    INFO(text);
    CHECK(rendered(text) == says);
  }
}

TEST_CASE("chat: what a template builds is counted before it is built", "[core][chat]") {
  std::string names, lookups;
  for (int i = 0; i < 20000; ++i) names += fmt::format("{{% set a{}=1 %}}", i);
  for (int i = 0; i < 10; ++i) lookups += "{{ zz }}";
  const std::pair<std::string, const char*> rows[] = {
      {"{{ range(100000)|list|tojson(separators=['x'*1000000, ':']) }}", "needs more than 256 MB"},
      {"{{ {'a': 1, 'b': 2, 'c': 3}|tojson(separators=[',', ':' * 90000000]) }}",
       "needs more than 256 MB"},
      {"{{ range(100000)|list|tojson(indent='x'*100000) }}", "needs more than 256 MB"},
      {"{{ ('\\n' * 60000000).splitlines() }}", "needs more than 256 MB"},
      {"{{ ('\\n' * 60000000)|indent(1) }}", "needs more than 256 MB"},
      {"{{ strftime_now('%c' * 40000000) }}", "needs more than 256 MB"},
      {names + "{% for i in range(99999) %}" + lookups + "{% endfor %}", "simplify the template"}};
  for (const auto& [text, says] : rows) {
    INFO(text.substr(0, 80));
    CHECK_THAT(rendered(text), Catch::Contains(says));
  }
}

}  // namespace veomni::data_test
