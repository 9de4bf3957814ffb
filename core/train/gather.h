#pragma once
// Collectives on things of unequal size.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace veomni {

class Communicator;

/// Rows of all ranks, in rank order: each rank gives [n_r, k] f64 and gets [Σ n_r, k].
at::Tensor gather_rows(Communicator& group, const at::Tensor& rows);

/// One text of each rank, on every rank.
std::vector<std::string> gather_texts(Communicator& group, const std::string& text);

/// Rank 0's text on every rank.
std::string broadcast_text(Communicator& group, const std::string& text);

}  // namespace veomni
