#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/report/json_lines.h"
#include "core/report/report_data.h"
#include "core/report/run_log.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr const char* kAttack =
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b";

/// Every text that can come from outside is an attack.
void write_hostile_run(const fs::path& run) {
  fs::create_directories(run);
  const std::string attack = kAttack;
  spit(run / "recipe.json",
       Json{{"name", attack},
            {attack, attack},
            {"data", {{"sources", {{{"name", attack}, {"targets", {{attack, "x"}}}}}}}}}
           .dump());
  spit(run / "plan.json", Json{{attack, {{"deep", attack}}}, {"world", 2}}.dump());
  std::string lines;
  for (int i = 1; i <= 5; ++i) {
    lines += json_line({{"step", i},
                        {"loss", 1.0 / i},
                        {"losses", {{attack, 0.5}, {"text", 0.25}}},
                        {"lr", 1e-3},
                        {"grad_norm", 1.0},
                        {"tokens", 100},
                        {"tokens_per_second", 1000.0},
                        {"step_seconds", 0.1},
                        {"data_seconds", 0.01},
                        {"comm_seconds", 0.02},
                        {"peak_memory_bytes", 1000000}}) +
             "\n";
    lines +=
        json_line({{"step", i},
                   {"eval", {{attack, {{"loss", 1.0}, {attack, 0.5}, {"accuracy", 0.1 * i}}}}}}) +
        "\n";
  }
  spit(run / "metrics.jsonl", lines);
  spit(run / "samples.jsonl",
       json_line({{"step", 3}, {"title", attack}, {"text", attack + "\nsecond line"}}) + "\n");
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const auto from = text.find(begin);
  REQUIRE(from != std::string::npos);
  return text.substr(from + begin.size(),
                     text.find(end, from + begin.size()) - from - begin.size());
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (auto place = text.find(part); place != std::string::npos; place = text.find(part, place + 1))
    ++count;
  return count;
}

}  // namespace

TEST_CASE("report: every section is there and nothing from outside becomes markup",
          "[core][report]") {
  TemporaryDirectory directory;
  write_hostile_run(directory.path());
  write_report(directory.path());
  const auto html = slurp(directory / "report.html");
  for (const char* id : {"curves", "evaluation", "samples", "plan", "recipe"}) {
    CHECK_THAT(html, Contains(std::string("<section id=\"") + id + "\">"));
  }
  for (const char* text : {"final loss", "training time", "median tokens/s", "second line", "plan",
                           "prefers-color-scheme: dark"}) {
    CHECK_THAT(html, Contains(text));
  }
  CHECK(occurrences(html, "<script") == 2);  // the page's own: data and code
  CHECK(occurrences(html, "</script") == 2);
  CHECK(occurrences(html, "<img") == 0);
  CHECK(occurrences(html, "\x1b") == 0);
  CHECK(occurrences(html, "&lt;/script&gt;&lt;script&gt;alert(1)") >= 6);
  CHECK(occurrences(html, "http://") == 1);  // the name of the SVG namespace; nothing is fetched
  CHECK(occurrences(html, "https://") == 0);
  CHECK_THAT(html, Contains("default-src 'none'"));
}

TEST_CASE("report: the embedded curves are those of metrics.jsonl", "[core][report]") {
  TemporaryDirectory directory;
  write_hostile_run(directory.path());
  write_report(directory.path());
  const auto html = slurp(directory / "report.html");
  const auto charts = Json::parse(between(html, "id=\"data\">", "</script>"));
  std::vector<std::string> titles;
  for (const auto& chart : charts) titles.push_back(chart.at("title"));
  const std::string attack = kAttack;
  CHECK(titles == std::vector<std::string>{"Loss", "Loss: " + attack, "Loss: text",
                                           "Evaluation: " + attack, "Evaluation: accuracy",
                                           "Learning rate", "Gradient norm", "Throughput",
                                           "Time of a step"});
  CHECK(charts[0].at("series")[0].at("raw").at("y") == Json({1.0, 0.5, 0.333333, 0.25, 0.2}));
  REQUIRE(charts[1].at("series").size() ==
          2);  // the source's only task: its evaluation belongs here
  CHECK(charts[1].at("series")[1].at("raw").at("y") == Json({1.0, 1.0, 1.0, 1.0, 1.0}));
  CHECK(charts[2].at("series").size() == 1);
  const auto& time = charts[8].at("series");
  CHECK(time[0].at("smooth").at("y")[0] == 70.0);
  CHECK(time[1].at("smooth").at("y")[0] == 20.0);
  CHECK(time[2].at("smooth").at("y")[0] == 10.0);
}

TEST_CASE("report: final and best evaluations are found", "[core][report]") {
  TemporaryDirectory directory;
  spit(directory / "metrics.jsonl",
       "{\"step\":1,\"eval\":{\"s\":{\"loss\":3,\"visit\":{\"auc\":0.7},\"calibration\":1}}}\n"
       "{\"step\":2,\"eval\":{\"s\":{\"loss\":1,\"visit\":{\"auc\":0.9},\"calibration\":2}}}\n"
       "{\"step\":3,\"eval\":{\"s\":{\"loss\":2,\"visit\":{\"auc\":0.8},\"calibration\":3}}}\n{"
       "\"step\":4,\"ev");
  const auto rows = read_report_data(directory.path()).evaluation;
  REQUIRE(rows.size() == 3);
  CHECK((rows[0].metric == "loss" && rows[0].final_value == 2 && rows[0].best_value == 1 &&
         rows[0].best_step == 2));
  CHECK((rows[1].metric == "visit/auc" && rows[1].final_step == 3 && rows[1].best_value == 0.9));
  CHECK((rows[2].metric == "calibration" && !rows[2].has_best));
}

TEST_CASE("report: long runs are thinned without losing their extremes", "[core][report]") {
  Curve curve;
  for (int i = 0; i < 100'000; ++i)
    curve.add(i, i == 31'234 ? 50.0 : i == 77'777 ? -50.0 : std::sin(i * 0.001));
  const auto thin = thinned(curve, 1000);
  CHECK(thin.steps.size() <= 1000);
  CHECK(std::count(thin.values.begin(), thin.values.end(), 50.0) == 1);
  CHECK(std::count(thin.values.begin(), thin.values.end(), -50.0) == 1);
  CHECK(std::is_sorted(thin.steps.begin(), thin.steps.end()));
  CHECK(thinned(thin, 1000).values == thin.values);
}

TEST_CASE("report: the smooth line is the weighted mean it says it is", "[core][report]") {
  Curve curve;
  for (const double value : {4.0, 1.0, std::nan(""), 2.0, 8.0})
    curve.add(static_cast<double>(curve.steps.size()), value);
  const double keep = 1 - 2 / (3.0 + 1);
  const auto smooth = smoothed(curve, 3);
  for (size_t i = 0; i < 5; ++i) {
    double sum = 0, weight = 0;
    for (size_t k = 0; k < 5; ++k) {
      if (std::isnan(curve.values[k])) continue;
      const double w = std::pow(keep, std::abs(static_cast<double>(i) - static_cast<double>(k)));
      sum += w * curve.values[k];
      weight += w;
    }
    if (i == 2) {
      CHECK(std::isnan(smooth.values[i]));
    } else {
      CHECK(smooth.values[i] == Approx(sum / weight).epsilon(1e-12));
    }
  }
}

TEST_CASE("report: empty, short and damaged run directories", "[core][report]") {
  TemporaryDirectory directory;
  write_report(directory.path());
  CHECK_THAT(slurp(directory / "report.html"),
             Contains("No step was logged yet") && Contains("no recipe.json"));
  spit(directory / "metrics.jsonl",
       "{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":null,\"losses\":{\"text\":null}}\n");
  CHECK_NOTHROW(write_report(directory.path()));
  spit(directory / "recipe.json", "{\"name\":");
  CHECK_THAT(message_of<ConfigError>([&] { write_report(directory.path()); }),
             Contains("recipe.json: is not valid JSON"));
  spit(directory / "recipe.json",
       "{\"data\":{\"sources\":[{\"name\":3,\"targets\":{\"a\":\"b\"}}]}}");
  spit(directory / "metrics.jsonl", "{\"step\":1,\"loss\":1,\"losses\":{\"a\":1}}\n");
  CHECK_THAT(message_of<ConfigError>([&] { write_report(directory.path()); }),
             Contains("was changed; restore it"));
  fs::remove(directory / "recipe.json");
  spit(directory / "metrics.jsonl", "{\"step\":1,\"loss\":1}\nx\n");
  CHECK_THAT(message_of<ConfigError>([&] { write_report(directory.path()); }),
             Contains("metrics.jsonl:2: is not a JSON object"));
}
