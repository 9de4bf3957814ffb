#pragma once
// What every communicator asks of the tensors of a call, and the work of a group of one rank.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"

namespace veomni::comm {

/// Shapes and counts of a call; they throw c10::Error with what is wrong.
void check_tensor(const at::Tensor& tensor, const char* call);
void check_all_gather(const at::Tensor& out, const at::Tensor& in, int size);
void check_reduce_scatter(const at::Tensor& out, const at::Tensor& in, int size);
struct ExchangeCounts {
  const std::vector<int64_t>& send;
  const std::vector<int64_t>& receive;
};
void check_all_to_all(const at::Tensor& out, const at::Tensor& in, ExchangeCounts counts, int size);
void check_root(int root, int size);

/// A work that is done already.
std::unique_ptr<Work> finished();
/// A group of one rank: out ← in.
std::unique_ptr<Work> copied(at::Tensor& out, const at::Tensor& in);

/// `2 s`, `0.5 s`
std::string seconds_text(std::chrono::milliseconds time);

}  // namespace veomni::comm
