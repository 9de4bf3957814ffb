#include "cmd/engine/session.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "core/exit_status.h"
#include "core/train/gather.h"
#include "modalities/base/hugging_face_spec.h"
#include "modalities/model.h"

namespace veomni {

Failure current_failure() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    const std::string text = error.what_without_backtrace();
    return {kDeviceFailed,
            fmt::format("device: {}; make train.pack_tokens or the model smaller, or "
                        "shard it over more ranks",
                        text.substr(0, text.find(". GPU")))};
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace(), line = text.substr(0, text.find('\n'));
    if (line.starts_with("CUDA")) return {kDeviceFailed, "device: " + line};
    return {exit_code_of(error), line};
  } catch (const std::exception& error) {
    return {exit_code_of(error), error.what()};
  }
}

int threads_for_rank(int local_size) {
  if (const char* wanted = std::getenv("OMP_NUM_THREADS")) {
    if (const int threads = std::atoi(wanted); threads > 0) return threads;
  }
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  const int usable = CPU_COUNT(&cores);
  // mpirun binds two ranks to a core each: then all usable cores are this rank's own.
  const int machine = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return std::max(1, usable < machine ? usable : usable / local_size);
}

Session::Session(MpiSession& mpi) : mpi_(mpi) {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  at::set_num_threads(threads_for_rank(mpi.local_size()));
}

void Session::together(const std::function<void()>& phase) {
  Failure failure{0, ""};
  try {
    phase();
  } catch (...) {
    failure = current_failure();
  }
  const auto mine =
      failure.code == 0 ? std::string() : fmt::format("{} {}", failure.code, failure.message);
  const auto all = gather_texts(world(), mine);
  for (size_t r = 0; r < all.size(); ++r) {
    if (all[r].empty()) continue;
    const auto space = all[r].find(' ');
    if (rank() == 0) {
      const bool everywhere =
          std::all_of(all.begin(), all.end(), [&](const auto& text) { return text == all[r]; });
      const auto prefix = everywhere ? std::string() : fmt::format("rank {}: ", r);
      std::fprintf(stderr, "%s%s\n", prefix.c_str(), all[r].c_str() + space + 1);
    }
    throw PrintedError{std::atoi(all[r].c_str())};
  }
}

void Session::lay_out(const Recipe& recipe, bool restored) {
  recipe_ = recipe;
  together([&] {
    plan_ = make_plan(recipe_, world().size());
    device_ = open_device({.wanted = recipe_.train.device,
                           .local_rank = mpi_.local_rank(),
                           .local_ranks = mpi_.local_size()});
  });
  world().set_timeout(std::chrono::milliseconds(std::llround(recipe_.parallel.timeout * 1000)));
  mesh_ = std::make_unique<Mesh>(world(), plan_.mesh, plan_.balance_encoders);
  if (device_.cuda) together([&] { mesh_->use_gpu(device_.index); });
  context_.cuda = device_.cuda;
  mesh_->fill(context_);
  context_.seed = recipe_.seed;
  context_.overlap = recipe_.parallel.overlap;
  context_.expert_parts = plan_.expert_parts;
  context_.fsdp = FsdpSettings::of(recipe_.parallel);
  context_.filled_later = [this, restored](const ParameterSpec& parameter) {
    if (restored || recipe_.from.empty()) return restored;
    return !hugging_face_pieces(parameter.name, parameter.shape, recipe_.base).empty();
  };
  context_.compute_bf16 = recipe_.train.precision == "bf16";
}

void Session::build(const Recipe& recipe, const Json& state) {
  lay_out(recipe, !state.is_null());
  together([&] { data_ = open_dataset(recipe_, state); });
  together([&] { model_ = build_model(recipe_, data_->vocab_size(), context_); });
}

void Session::build_model_alone(const Recipe& recipe, int64_t vocab_size) {
  lay_out(recipe, false);
  together([&] { model_ = build_model(recipe_, vocab_size, context_); });
}

void Session::clear() {
  model_.reset();
  data_.reset();
  if (mesh_) mesh_->close();
  mesh_.reset();
}

}  // namespace veomni
