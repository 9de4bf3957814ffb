#include <catch2/catch.hpp>
#include <cmath>

#include "core/error.h"
#include "core/report/json_lines.h"
#include "core/report/run_log.h"
#include "core/report/terminal.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

Json step_of(int64_t step, double loss) {
  return {{"step", step}, {"loss", loss}, {"lr", 0.001}, {"tokens_per_second", 18234.0}};
}

}  // namespace

TEST_CASE("run log: metrics come back with nine significant digits", "[core][report]") {
  CHECK(
      json_line({{"loss", 1.0 / 3},
                 {"step", 7},
                 {"bad", std::nan("")},
                 {"losses", {{"text", 2.5e-7}}},
                 {"none", Json::object()},
                 {"list", {1, 2.0, "é\n"}}}) ==
      R"({"loss":0.333333333,"step":7,"bad":null,"losses":{"text":2.5e-07},"none":{},"list":[1,2,"é\n"]})");
  for (const float value : {3.14159274f, 1.17549435e-38f, 16777216.0f, 0.1f}) {
    CHECK(Json::parse(json_line(Json(static_cast<double>(value)))).get<float>() == value);
  }
}

TEST_CASE("run log: a resumed run drops the steps it takes again and a torn last line",
          "[core][report]") {
  TemporaryDirectory directory;
  const auto file = directory / "metrics.jsonl";
  spit(file,
       "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"eval\":{}}\n{\"step\":3}\n{\"step\":4,\"lo");
  {
    JsonLines lines(file, 2);
    CHECK(slurp(file) == "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"eval\":{}}\n");
    CHECK(lines.append({{"step", 3}}) == "{\"step\":3}");
    CHECK(slurp(file).ends_with("{\"step\":3}\n"));
  }
  CHECK(read_json_lines(file).size() == 4);
  JsonLines(file, 0);
  CHECK(slurp(file).empty());
  spit(file, "{\"step\":1}\nnonsense\n{\"step\":2}\n");
  CHECK_THAT(message_of<ConfigError>([&] { JsonLines(file, 2); }),
             Contains(file.string() + ":2: is not a JSON object"));
  CHECK(slurp(file).size() == 31);
}

TEST_CASE("run log: away from a terminal the first and the last step are told, tables line up",
          "[core][report]") {
  TemporaryDirectory directory;
  {
    Redirect out(stdout, directory / "out");
    RunLog log({.run = directory / "run", .last_step = 50});
    log.note("starting");
    for (int64_t i = 1; i <= 50; ++i) log.step(step_of(i, 1.0 / static_cast<double>(i)));
    log.evaluation({{"step", 50},
                    {"eval",
                     {{"a", {{"loss", 0.5}, {"auc", 0.75}}},
                      {"longer", {{"visit", {{"loss", 0.25}, {"auc", 1.0}}}}}}}});
    log.sample(50, "title", "to be\x1b[31m");
    log.close();
  }
  const auto text = slurp(directory / "out");
  CHECK_THAT(text, Catch::Matchers::StartsWith(
                       "starting\nstep  1/50  loss 1  18.2k tokens/s  lr 0.001\n"));
  CHECK_THAT(text, Contains("evaluation at step 50\n  a             loss 0.5   auc 0.75\n  longer "
                            "visit  loss 0.25  auc 1\n"));
  CHECK_THAT(text, Contains("sample at step 50: title\nto be·[31m\n"));
  CHECK_THAT(text, Catch::Matchers::EndsWith("step 50/50  loss 0.02  18.2k tokens/s  lr 0.001\n"));
  CHECK(read_json_lines(directory / "run" / "metrics.jsonl").size() == 51);
  CHECK(fs::exists(directory / "run" / "report.html"));
}

TEST_CASE(
    "run log: with json, standard output is JSON lines and people's text goes to standard error",
    "[core][report]") {
  TemporaryDirectory directory;
  {
    Redirect out(stdout, directory / "out");
    Redirect err(stderr, directory / "err");
    RunLog log({.run = directory / "run", .last_step = 1, .show = Show::json});
    log.note("a note");
    log.step(step_of(1, 0.5));
    log.evaluation({{"step", 1}, {"eval", {{"a", {{"loss", 0.5}}}}}});
    log.sample(1, "t", std::string("x\xff"));
    log.close();
  }
  const auto lines = read_json_lines(directory / "out");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].at("loss") == 0.5);
  CHECK(lines[1].at("eval").at("a").at("loss") == 0.5);
  CHECK(lines[2].at("text") == "x\ufffd");
  CHECK_THAT(slurp(directory / "err"),
             Contains("a note\n") && Contains("step 1/1") && Contains("evaluation at step 1"));
  CHECK_THAT(message_of<Error>([&] {
               RunLog({.run = directory / "run2"}).step({{"loss", 1.0}});
             }),
             Contains("without an integer 'step'"));
}

TEST_CASE("run log: a run directory that cannot be made is one clear error", "[core][report]") {
  TemporaryDirectory directory;
  spit(directory / "file", "");
  CHECK_THAT(message_of<ConfigError>([&] { RunLog({.run = directory / "file" / "run"}); }),
             Contains("Not a directory"));
}

TEST_CASE("terminal: the progress line names tasks when there are several, and is cut whole",
          "[core][report]") {
  auto metrics = step_of(120, 2.3456);
  metrics["losses"] = {{"text", 2.0}};
  metrics["peak_memory_bytes"] = 1.5 * 1024 * 1024 * 1024;
  CHECK(progress_line(metrics, 3000, 75) ==
        "step  120/3000  loss 2.346  18.2k tokens/s  eta 1 min 15 s  lr 0.001  1.5 GB");
  metrics["losses"]["label"] = std::nan("");
  CHECK_THAT(progress_line(metrics, 3000, 0),
             Contains("loss 2.346  18.2k tokens/s  text 2  label –  lr"));
  CHECK(cut_to("aé–b", 3) == "aé–");
  CHECK(cut_to("ab", 5) == "ab");
}

TEST_CASE("terminal: numbers are written for people", "[core][report]") {
  CHECK(count_text(950) == "950");
  CHECK(count_text(999.9) == "1.0k");
  CHECK(count_text(123456) == "123k");
  CHECK(count_text(3.44e6) == "3.4M");
  CHECK(bytes_text(512) == "512 B");
  CHECK(bytes_text(1024.0 * 1024 * 775) == "775 MB");
  CHECK(duration_text(1.25) == "1.2 s");
  CHECK(duration_text(59) == "59 s");
  CHECK(duration_text(185) == "3 min 05 s");
  CHECK(duration_text(7800) == "2 h 10 min");
  CHECK(printable_text("a\x07\tb\nc\xff", false) == "a· b c\ufffd");
}

TEST_CASE("run log: with nothing to show it writes its files only", "[core][report]") {
  TemporaryDirectory directory;
  {
    const Redirect out(stdout, directory / "out"), err(stderr, directory / "err");
    RunLog log({.run = directory / "run", .last_step = 1, .show = Show::nothing});
    log.note("hello");
    log.step({{"step", 1}, {"loss", 2.0}});
    log.close();
  }
  CHECK(slurp(directory / "out").empty());
  CHECK(slurp(directory / "err").empty());
  CHECK(read_json_lines(directory / "run" / "metrics.jsonl").size() == 1);
}
