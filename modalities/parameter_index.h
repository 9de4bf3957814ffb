#pragma once
// Whole parameters by name, over units and tables: tests, inspection, export.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace veomni {

class Table;
class Unit;

class ParameterIndex {
 public:
  ParameterIndex() = default;
  ParameterIndex(const std::vector<Unit*>& units, const std::vector<Table*>& tables);

  std::vector<std::string> names() const;
  int64_t element_count() const { return elements_; }
  int64_t frozen_count() const { return frozen_; }  ///< of the elements
  /// Whole and f32 on every rank. Collective over the shard group.
  at::Tensor parameter(const std::string& name) const;
  /// Likewise, after reduce_gradients. A table's gradient is dense, zero in rows that were not touched.
  /// Undefined when the parameter is frozen.
  at::Tensor gradient(const std::string& name) const;

 private:
  std::map<std::string, Unit*> units_;
  std::map<std::string, Table*> tables_;
  int64_t elements_ = 0, frozen_ = 0;
};

}  // namespace veomni
