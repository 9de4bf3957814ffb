#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "core/error.h"
#include "core/json.h"
#include "core/report/run_log.h"
#include "core/report/tensorboard.h"
#include "support/paths.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
namespace fs = std::filesystem;

TEST_CASE("tensorboard: crc32c gives the values of RFC 3720", "[core][report]") {
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i);
  falling.assign(rising.rbegin(), rising.rend());
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  CHECK(crc32c(rising) == 0x46dd794eu);
  CHECK(crc32c(falling) == 0x113fdb5cu);
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c("") == 0);
}

TEST_CASE("tensorboard: a record is framed by length and masked checksums", "[core][report]") {
  // Masked by hand: ((crc >> 15) | (crc << 17)) + 0xa282ead8 with crc32c("123456789") = 0xe3069283.
  const auto record = tfrecord("123456789");
  REQUIRE(record.size() == 8 + 4 + 9 + 4);
  CHECK(record.substr(0, 8) == std::string("\x09\0\0\0\0\0\0\0", 8));
  CHECK(record.substr(12, 9) == "123456789");
  const uint32_t masked = ((0xe3069283u >> 15) | (0xe3069283u << 17)) + 0xa282ead8u;
  for (size_t i = 0; i < 4; ++i)
    CHECK(static_cast<unsigned char>(record[21 + i]) == ((masked >> (8 * i)) & 0xff));
}

TEST_CASE("tensorboard: a scalar event is these bytes", "[core][report]") {
  const std::string expected(
      "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"  // 1: wall_time, double 1.5
      "\x10\xac\x02"                          // 2: step, varint 300
      "\x2a\x0d"                              // 5: summary, 13 bytes
      "\x0a\x0b"                              // 1: value, 11 bytes
      "\x0a\x04loss"                          // 1: tag
      "\x15\x00\x00\x20\xc0",                 // 2: simple_value, float -2.5
      27);
  CHECK(scalar_event(1.5, 300, {{"loss", -2.5}}) == expected);
}

TEST_CASE("tensorboard: the real package reads scalars, texts and a resumed run",
          "[core][report][tensorboard]") {
  TemporaryDirectory directory;
  const auto step = [](int64_t number, double loss) {
    return Json{
        {"step", number},     {"loss", loss}, {"losses", {{"text", loss / 2}, {"label", loss / 4}}},
        {"grad_norm", 0.5},   {"lr", 1e-3},   {"tokens_per_second", 1000.0},
        {"step_seconds", 0.1}};
  };
  const auto settings = RunLogSettings{
      .run = directory / "run", .first_step = 0, .last_step = 6, .show = Show::people};
  {
    Redirect out(stdout, directory / "out");
    RunLog log(settings);
    for (int64_t i = 1; i <= 4; ++i) log.step(step(i, static_cast<double>(10 - i)));
    log.evaluation({{"step", 4}, {"eval", {{"fashion", {{"loss", 1.25}, {"accuracy", 0.5}}}}}});
    log.sample(2, "poem", "a\nb");
    log.close();
  }
  {
    Redirect out(stdout, directory / "out");
    auto resumed = settings;
    resumed.first_step = 2;
    RunLog log(resumed);
    log.step(step(3, 20));
    log.close();
  }
  Json scalars = Json::object();
  for (const auto& [tag, share] :
       {std::pair{"loss", 1.0}, {"loss/text", 0.5}, {"loss/label", 0.25}}) {
    scalars[tag] = {{1, 9 * share}, {2, 8 * share}, {3, 20 * share}};
  }
  scalars["grad_norm"] = {{1, 0.5}, {2, 0.5}, {3, 0.5}};
  scalars["lr"] = {{1, 1e-3}, {2, 1e-3}, {3, 1e-3}};
  scalars["tokens_per_second"] = {{1, 1000.0}, {2, 1000.0}, {3, 1000.0}};
  scalars["eval/fashion/loss"] = Json::array();  // step 4 was given up by the resumed run
  scalars["eval/fashion/accuracy"] = Json::array();
  const Json expected{{"scalars", scalars},
                      {"texts", {{"sample/poem", Json::array({Json::array({2, "a\nb"})})}}}};
  spit(directory / "expected.json", expected.dump());
  const auto command = veomni::test::source_dir() + "/scripts/check_tensorboard '" +
                       (directory / "run" / "tensorboard").string() + "' '" +
                       (directory / "expected.json").string() + "' 2>'" +
                       (directory / "err").string() + "'";
  const int status = std::system(command.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
  if (code == 77) {
    WARN("skipped: the tensorboard package cannot be had here");
  } else {
    CHECK(code == 0);
  }
}
