#include "core/checkpoint/checkpoint.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "core/error.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

TensorRange range_of(const std::string& name, std::vector<float>& whole, std::vector<int64_t> shape,
                     int64_t begin, int64_t end) {
  return {.name = name,
          .dtype = "F32",
          .shape = std::move(shape),
          .begin = begin,
          .end = end,
          .data = whole.data() + begin};
}

std::vector<float> ramp(size_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// A checkpoint of "w" [4, 6] over three ranks with uneven ranges, and an I64 buffer on rank 0.
void write_three(const fs::path& checkpoints, int64_t step, float first, int64_t keep = 0) {
  auto w = ramp(24, first);
  int64_t counter = step;
  write_checkpoint_shard(checkpoints, step, 0,
                         {range_of("w", w, {4, 6}, 0, 7),
                          {.name = "buffer.counter",
                           .dtype = "I64",
                           .shape = {},
                           .begin = 0,
                           .end = 1,
                           .data = &counter}});
  write_checkpoint_shard(checkpoints, step, 1,
                         {range_of("w", w, {4, 6}, 7, 8), range_of("w", w, {4, 6}, 20, 24)});
  write_checkpoint_shard(checkpoints, step, 2,
                         {range_of("w", w, {4, 6}, 8, 20), range_of("w", w, {4, 6}, 9, 9)});
  finish_checkpoint(checkpoints, step, 3,
                    {{"step", step}, {"lr", 0.1}, {"recipe", {{"name", "x"}}}}, keep);
}

}  // namespace

TEST_CASE("checkpoint: any range is read back from whichever shards hold it",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  write_three(directory.path(), 100, 1.0f);
  const Checkpoint checkpoint(directory / "step-00000100");
  checkpoint.verify();
  CHECK(checkpoint.step() == 100);
  CHECK(checkpoint.state().at("lr") == 0.1);
  CHECK(checkpoint.recipe_hash() == recipe_hash({{"name", "x"}}));
  CHECK(checkpoint.names() == std::vector<std::string>{"buffer.counter", "w"});
  CHECK(checkpoint.shape("w") == std::vector<int64_t>{4, 6});
  CHECK(checkpoint.dtype("buffer.counter") == "I64");
  const auto expected = ramp(24, 1.0f);
  for (int64_t begin = 0; begin <= 24; ++begin) {
    for (int64_t end = begin; end <= 24; ++end) {
      std::vector<float> got(24, -1.0f);
      checkpoint.read(range_of("w", got, {4, 6}, begin, end));
      auto wanted = std::vector<float>(24, -1.0f);
      std::copy(expected.begin() + begin, expected.begin() + end, wanted.begin() + begin);
      REQUIRE(got == wanted);
    }
  }
}

TEST_CASE("checkpoint: a tensor without elements is kept", "[core][checkpoint]") {
  TemporaryDirectory directory;
  std::vector<float> none, one{5};
  for (int rank : {0, 1}) {
    std::vector<TensorRange> ranges{range_of("none", none, {0, 3}, 0, 0)};
    if (rank == 0) ranges.push_back(range_of("one", one, {}, 0, 1));
    write_checkpoint_shard(directory.path(), 1, rank, ranges);
  }
  finish_checkpoint(directory.path(), 1, 2, nullptr, 0);
  const Checkpoint checkpoint(directory / "step-00000001");
  CHECK(checkpoint.shape("none") == std::vector<int64_t>{0, 3});
  CHECK(checkpoint.state().is_null());
  checkpoint.read(range_of("none", none, {0, 3}, 0, 0));
}

TEST_CASE("checkpoint: reading something else than was written is refused", "[core][checkpoint]") {
  TemporaryDirectory directory;
  write_three(directory.path(), 1, 0);
  const Checkpoint checkpoint(directory / "step-00000001");
  std::vector<float> out(30);
  const auto refused = [&](const TensorRange& range) {
    return message_of<Error>([&] { checkpoint.read(range); });
  };
  CHECK_THAT(refused(range_of("v", out, {4, 6}, 0, 1)), Contains("has no tensor \"v\""));
  CHECK_THAT(refused(range_of("w", out, {6, 4}, 0, 1)),
             Contains("has shape [4, 6], but [6, 4] is needed"));
  CHECK_THAT(refused(range_of("w", out, {4, 6}, 0, 25)),
             Contains("[0, 25) is outside its 24 elements"));
  auto other = range_of("w", out, {4, 6}, 0, 1);
  other.dtype = "BF16";
  CHECK_THAT(refused(other), Contains("has dtype F32, but BF16 is needed"));
}

TEST_CASE("checkpoint: gaps, overlaps and disagreeing shards are found when it is finished",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  std::vector<float> w(10);
  const auto finish = [&](const std::vector<TensorRange>& first,
                          const std::vector<TensorRange>& second) {
    write_checkpoint_shard(directory.path(), 1, 0, first);
    write_checkpoint_shard(directory.path(), 1, 1, second);
    return message_of<ConfigError>([&] { finish_checkpoint(directory.path(), 1, 2, {}, 1); });
  };
  CHECK_THAT(finish({range_of("w", w, {10}, 0, 4)}, {range_of("w", w, {10}, 5, 10)}),
             Contains("tensor \"w\": elements [4, 5) are missing"));
  CHECK_THAT(finish({range_of("w", w, {10}, 0, 4)}, {}), Contains("elements [4, 10) are missing"));
  CHECK_THAT(finish({range_of("w", w, {10}, 0, 6)}, {range_of("w", w, {10}, 5, 10)}),
             Contains("elements [5, 6) are stored twice"));
  CHECK_THAT(finish({range_of("w", w, {10}, 0, 6)}, {range_of("w", w, {5, 2}, 6, 10)}),
             Contains("disagree about its shape"));
  CHECK_THAT(finish({}, {}), Contains("no rank wrote any"));
  CHECK(list_checkpoints(directory.path()).empty());
  CHECK_THAT(message_of<Error>([&] {
               write_checkpoint_shard(directory.path(), 1, 0, {range_of("w", w, {10}, 4, 11)});
             }),
             Contains("[4, 11) is no range of shape [10]"));
  CHECK_THAT(message_of<Error>([&] {
               write_checkpoint_shard(directory.path(), 1, 0, {range_of("w", w, {10}, 0, 10)});
               finish_checkpoint(directory.path(), 1, 1, {{"cursor", {1.0, std::nan("")}}}, 1);
             }),
             Contains("state.cursor[] is not finite"));
}

TEST_CASE("checkpoint: the newest are kept, a step is replaced, leftovers disappear",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  for (const int64_t step : {1, 2, 3, 4})
    write_three(directory.path(), step, static_cast<float>(step), 2);
  CHECK(list_checkpoints(directory.path()) == std::vector<int64_t>{3, 4});
  fs::create_directory(directory / ".step-00000009.partial");
  fs::create_directory(directory / ".step-00000001.removed");
  fs::create_directory(directory / "step-7");         // not a checkpoint's name
  fs::create_directory(directory / "step-00000008");  // no manifest
  CHECK(list_checkpoints(directory.path()) == std::vector<int64_t>{3, 4});
  write_three(directory.path(), 3, 50.0f,
              2);  // as after `--resume` from an earlier step: step 4 stays
  CHECK(list_checkpoints(directory.path()) == std::vector<int64_t>{3, 4});
  CHECK(!fs::exists(directory / ".step-00000009.partial"));
  CHECK(!fs::exists(directory / ".step-00000001.removed"));
  std::vector<float> w(24);
  Checkpoint(directory / "step-00000003").read(range_of("w", w, {4, 6}, 0, 24));
  CHECK(w == ramp(24, 50.0f));
}

TEST_CASE("checkpoint: a stranger's shard from a killed run with more ranks is not taken in",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  std::vector<float> w(4, 3.0f);
  write_checkpoint_shard(directory.path(), 5, 0, {range_of("w", w, {4}, 0, 1)});
  write_checkpoint_shard(directory.path(), 5, 1, {range_of("w", w, {4}, 1, 2)});
  write_checkpoint_shard(directory.path(), 5, 2, {range_of("w", w, {4}, 2, 4)});
  write_checkpoint_shard(directory.path(), 5, 0,
                         {range_of("w", w, {4}, 0, 4)});  // the next start: 2 ranks, one idle
  write_checkpoint_shard(directory.path(), 5, 1, {});
  finish_checkpoint(directory.path(), 5, 2, {}, 1);
  CHECK(!fs::exists(directory / "step-00000005" / "shard-00001.safetensors"));
  CHECK(!fs::exists(directory / "step-00000005" / "shard-00002.safetensors"));
  Checkpoint(directory / "step-00000005").verify();
}

TEST_CASE("checkpoint: --resume takes auto, a step or a path", "[core][checkpoint]") {
  TemporaryDirectory directory;
  const auto run = directory.path();
  CHECK(!find_checkpoint(run, "auto"));
  CHECK_THAT(message_of<ConfigError>([&] { find_checkpoint(run, "3"); }),
             Contains("--resume 3: no such step") && Contains("holds no checkpoint"));
  for (const int64_t step : {2, 10}) write_three(run / "checkpoints", step, 0);
  CHECK(*find_checkpoint(run, "auto") == run / "checkpoints" / "step-00000010");
  CHECK(*find_checkpoint(run, "2") == run / "checkpoints" / "step-00000002");
  CHECK(*find_checkpoint("elsewhere", run.string()) == run / "checkpoints" / "step-00000010");
  CHECK(*find_checkpoint("elsewhere", (run / "checkpoints" / "step-00000002").string()) ==
        run / "checkpoints" / "step-00000002");
  for (const char* wrong : {"3", "99999999999999999999999", "elsewhere", "", "-1", "latest"}) {
    const auto message = message_of<ConfigError>([&] { find_checkpoint(run, wrong); });
    CHECK_THAT(message, Contains("--resume") && Contains("steps 2, 10"));
  }
}
