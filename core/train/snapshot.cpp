#include "core/train/snapshot.h"

#include <ATen/ATen.h>

#include "core/communicator.h"
#include "core/error.h"
#include "core/train/model.h"
#include "core/train/optimizer.h"

namespace veomni {
namespace {

std::string dtype_name(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return "F32";
    case at::kDouble:
      return "F64";
    case at::kLong:
      return "I64";
    default:
      throw Error(
          fmt::format("checkpoint: no name for dtype {}", c10::toString(tensor.scalar_type())));
  }
}

/// Shards on a device are copied to the host and back; on the CPU a range points into the shard itself.
class HostCopies {
 public:
  explicit HostCopies(bool load) : load_(load) {}
  at::Tensor host(const at::Tensor& tensor) {
    if (tensor.is_cpu()) return tensor;
    copies_.emplace_back(
        tensor, load_ ? at::empty_like(tensor, tensor.options().device(at::kCPU)) : tensor.cpu());
    return copies_.back().second;
  }
  void store() {
    for (auto& [device, copy] : copies_) device.copy_(copy);
  }

 private:
  bool load_;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;
};

/// `values` [n] as the master, or [m] as the gradient: frozen parameters have no state.
void add_shard(const Shard& shard, const at::Tensor& values, const std::string& prefix,
               HostCopies& copies, std::vector<TensorRange>& ranges) {
  auto* data = copies.host(values).mutable_data_ptr<float>();
  for (const auto& slice : shard.slices) {
    if (slice.begin == slice.end || slice.offset >= values.numel()) continue;
    ranges.push_back({prefix + slice.parameter, "F32", slice.shape, slice.begin, slice.end,
                      data + slice.offset});
  }
}

void add_whole(const std::string& name, const at::Tensor& values, HostCopies& copies,
               std::vector<TensorRange>& ranges) {
  auto host = copies.host(values);
  ranges.push_back(
      {name, dtype_name(host), host.sizes().vec(), 0, host.numel(), host.mutable_data_ptr()});
}

/// Everything a rank owns. Tables and buffers are equal on all ranks: `whole` says whether this one lists them.
std::vector<TensorRange> owned_ranges(Model& model, Optimizer* optimizer, bool whole,
                                      HostCopies& copies) {
  std::vector<TensorRange> ranges;
  const auto shards = model.shards();
  for (size_t i = 0; i < shards.size(); ++i) {
    add_shard(*shards[i], shards[i]->master, "", copies, ranges);
    if (optimizer == nullptr) continue;
    for (auto& state : optimizer->states(i)) {
      add_shard(*shards[i], state.values, "optimizer." + state.name + ".", copies, ranges);
    }
  }
  if (!whole) return ranges;
  for (auto* table : model.tables()) {
    add_whole(table->name(), table->weight(), copies, ranges);
    if (optimizer == nullptr || !optimizer->has_table_state() || table->frozen()) continue;
    add_whole("optimizer.exp_avg." + table->name(), table->exp_avg(), copies, ranges);
    add_whole("optimizer.exp_avg_sq." + table->name(), table->exp_avg_sq(), copies, ranges);
  }
  for (const auto& [name, values] : model.buffers())
    add_whole("buffer." + name, values, copies, ranges);
  return ranges;
}

}  // namespace

void save_snapshot(Model& model, Optimizer& optimizer, Communicator& world,
                   const SnapshotSettings& settings, const Json& state) {
  if (settings.writes) {
    HostCopies copies(false);
    write_checkpoint_shard(settings.checkpoints, settings.step, world.rank(),
                           owned_ranges(model, &optimizer, world.rank() == 0, copies));
  }
  world.barrier();
  if (world.rank() == 0) {
    finish_checkpoint(settings.checkpoints, settings.step, world.size(), state, settings.keep);
  }
  world.barrier();
}

void load_snapshot(const Checkpoint& checkpoint, Model& model, Optimizer* optimizer) {
  HostCopies copies(true);
  for (const auto& range : owned_ranges(model, optimizer, true, copies)) checkpoint.read(range);
  copies.store();
}

}  // namespace veomni
