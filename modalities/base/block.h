#pragma once
// The Transformer block with its FSDP unit, dense or MoE. T tokens, D model, E experts

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/attention.h"
#include "modalities/base/block_spec.h"
#include "modalities/base/cached_attention.h"
#include "modalities/base/router.h"
#include "parallel/expert/expert_parallel.h"
#include "parallel/fsdp/unit.h"
#include "parallel/sequence/ulysses.h"

namespace veomni {

/// What every part's forward is given beyond its input.
struct Pass {
  bool train = false;
  double dropout = 0;       ///< on each branch before it is added to the residual, training only
  uint64_t noise_seed = 0;  ///< of this step
  std::function<void(const std::string&, const at::Tensor&)> probe = {};
  void look(const std::string& name, const at::Tensor& value) const {
    if (probe) probe(name, value);
  }
};

/// The row of tokens a stack of blocks works on.
struct TokenRow {
  at::Tensor
      positions;  ///< [T] i64, or [3, T] with rope_sections; undefined without rotary embedding
  at::Tensor cu_seqlens;         ///< [S + 1] i32 on the host
  at::Tensor noise_keys;         ///< [T] i64
  CachedTexts* cache = nullptr;  ///< text generation: what the tokens' texts have been before
  int64_t layer = 0;             ///< of the stack: which of the cache's
  at::Tensor router_bias = {};   ///< [E] f32 of this layer (RouterInput::bias); undefined: none
  /// Where ranks share the row: T is those of this rank, but positions and cu_seqlens are the whole row's.
  const TokenShare* share = nullptr;
};

/// The residual stream between blocks: `sum` plus `branch`, which the next norm adds in the same pass.
struct Stream {
  at::Tensor sum, branch;  ///< [T, D] each
};

/// The stream's sum and the norm of it: LayerNorm where a bias is given, else RMSNorm.
std::pair<at::Tensor, at::Tensor> add_norm(const Stream& in, const at::Tensor& weight,
                                           const at::Tensor& bias, double epsilon);

class Block {
 public:
  Block(const UnitSpec& unit, const BlockConfig& config, ParallelContext& context);
  Stream forward(const Stream& in, const TokenRow& row, const Pass& pass, Routing* routing);
  /// The block's, then its experts' where it has some.
  std::vector<Unit*> units();

 private:
  bool runs_fused(const Stream& in, const Pass& pass) const;
  Stream fused(const UnitUse& weights, const Stream& in, const TokenRow& row) const;
  std::pair<at::Tensor, at::Tensor> norm(const UnitUse& weights, BlockParameters::Place place,
                                         const Stream& in) const;
  kernels::AttentionShape attention_shape() const;
  at::Tensor attention(const UnitUse& weights, const at::Tensor& x, const TokenRow& row) const;
  at::Tensor qkv_bias(const UnitUse& weights) const;
  at::Tensor feed_forward(const UnitUse& weights, const at::Tensor& x, const TokenRow& row,
                          bool train, Routing* routing) const;
  at::Tensor experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen) const;

  BlockConfig config_;
  BlockParameters at_;
  Unit unit_;
  std::unique_ptr<Unit> experts_;  ///< null: dense
  ExpertShare expert_share_;
};

using Blocks = std::vector<std::unique_ptr<Block>>;

/// An encoder's, alike all: `units` is its root and then one a block.
Blocks make_blocks(const std::vector<UnitSpec>& units, const BlockConfig& config,
                   ParallelContext& context);

/// `first`, then those of all blocks in order.
std::vector<Unit*> units_of(const Blocks& blocks, std::vector<Unit*> first = {});

}  // namespace veomni
