#pragma once
// What `veomni eval --per-token FILE` writes: the loss of every learned token, one JSON line a sample.

#include <ATen/core/Tensor.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/data/sample.h"
#include "core/recipe/recipe.h"

namespace veomni {

class Communicator;

/// {"source": name, "index": the sample's number in the source, "tokens": [{"position": p, "id": i, "loss": l}, …]}: id is
/// the learned token, p its place in the sample (its loss is that of the prediction made at p − 1), l in nats, not weighted,
/// with 9 significant digits. A sample that learns no token has none.
class TokenLosses {
 public:
  /// Opens `path` on rank 0 of `group`, the ranks that share the samples, where it `writes`: of several groups with the same
  /// samples one does. Throws ConfigError, there, where the file cannot be written.
  TokenLosses(const std::string& path, const Recipe& recipe, Communicator& group, bool writes);

  /// One round of the evaluation: this rank's samples, end to end, and losses [T] f32 of their tokens. Rank 0 writes the
  /// samples of all ranks in rank order, which is the order of the file. Collective.
  void add(const std::vector<Sample>& samples, const at::Tensor& losses);

  /// Throws ConfigError where not all could be written.
  void close();

 private:
  std::string path_;
  const Recipe& recipe_;
  Communicator& group_;
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
};

}  // namespace veomni
