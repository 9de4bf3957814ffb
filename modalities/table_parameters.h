#pragma once

#include "core/train/model.h"
#include "core/train/update.h"
#include "parallel/table.h"

namespace veomni {

/// A table as the optimizer and the checkpoint see it.
class TableParameters : public SparseParameters {
 public:
  explicit TableParameters(Table& table) : table_(table) {}
  const std::string& name() const override { return table_.name(); }
  bool frozen() const override { return table_.frozen(); }
  void reduce_gradients() override { table_.reduce_gradients(); }
  double gradient_sum_of_squares() const override { return table_.gradient_sum_of_squares(); }
  void adamw(const AdamWStep& s) override {
    table_.adamw({s.lr, s.beta1, s.beta2, s.eps, s.weight_decay, s.step, s.gradient_scale});
  }
  void sgd(double lr, double gradient_scale) override { table_.sgd(lr, gradient_scale); }
  at::Tensor& weight() override { return table_.weight(); }
  at::Tensor& exp_avg() override { return table_.exp_avg(); }
  at::Tensor& exp_avg_sq() override { return table_.exp_avg_sq(); }

 private:
  Table& table_;
};

}  // namespace veomni
