#include "modalities/task_heads.h"

#include <ATen/ATen.h>

namespace veomni {
namespace {

int64_t find_parent(const Recipe& recipe, const PartConfig& head) {
  const auto given = head.keys.find("given");
  if (given == head.keys.end() || !given->is_string()) return -1;
  for (size_t h = 0; h < recipe.heads.size(); ++h) {
    if (recipe.heads[h].name == given->get<std::string>()) return static_cast<int64_t>(h);
  }
  return -1;
}

}  // namespace

TaskHeads::TaskHeads(BuildContext& context) : recipe_(context.recipe) {
  for (const auto& part : recipe_.heads) {
    heads_.push_back(heads().make(part.type, part, context));
    parents_.push_back(find_parent(recipe_, part));
  }
}

std::vector<Unit*> TaskHeads::units() {
  std::vector<Unit*> units;
  for (auto& head : heads_) units.push_back(&head->unit());
  return units;
}

std::vector<bool> TaskHeads::to_run(const PartUse& use) const {
  std::vector<bool> run(use.heads.begin(), use.heads.end());
  run.resize(heads_.size());
  for (size_t h = 0; h < run.size(); ++h) {
    if (!run[h]) continue;
    for (auto p = parents_[h]; p >= 0; p = parents_[static_cast<size_t>(p)])
      run[static_cast<size_t>(p)] = true;
  }
  return run;
}

void TaskHeads::mark_used(const PartUse& use) {
  const auto run = to_run(use);
  for (size_t h = 0; h < heads_.size(); ++h) heads_[h]->unit().shard().used = run[h];
}

TaskHeads::Raw TaskHeads::raw_outputs(size_t head, const std::vector<at::Tensor>& rows,
                                      const PartUse& use) {
  auto weights = heads_[head]->unit().enter();
  std::vector<at::Tensor> leaving;
  std::vector<size_t> readers;
  if (use.heads[head]) leaving.push_back(heads_[head]->lm_head(weights, rows[head]));
  for (size_t child = 0; child < heads_.size(); ++child) {
    if (!use.heads[child] || parents_[child] != static_cast<int64_t>(head)) continue;
    leaving.push_back(heads_[head]->lm_head(weights, rows[child]));
    readers.push_back(child);
  }
  // Whatever is computed of raw outputs holds no parameters, so it may happen outside the unit.
  const auto left = weights.leave(leaving);
  Raw raw{{}, std::vector<at::Tensor>(heads_.size())};
  size_t next = 0;
  if (use.heads[head]) raw.own = left[next++];
  for (const auto child : readers) raw.for_child[child] = left[next++];
  return raw;
}

void TaskHeads::run(const at::Tensor& hidden, const Batch& batch, const Pass& pass,
                    Objective& objective, Output& out, const PartUse& use) {
  out.scores.resize(heads_.size());
  std::vector<at::Tensor> rows(heads_.size());
  for (size_t h = 0; h < heads_.size(); ++h) {
    if (use.heads[h]) rows[h] = hidden.index_select(0, batch.heads[h].rows.to(hidden.device()));
  }
  const auto run = to_run(use);
  std::vector<Raw> raw(heads_.size());
  for (size_t h = 0; h < heads_.size(); ++h) {
    if (run[h]) raw[h] = raw_outputs(h, rows, use);
  }
  for (size_t h = 0; h < heads_.size(); ++h) {
    if (!use.heads[h]) continue;
    const auto parent =
        parents_[h] < 0 ? at::Tensor() : raw[static_cast<size_t>(parents_[h])].for_child[h];
    pass.look("heads." + recipe_.heads[h].name, raw[h].own);
    const auto labels = batch.heads[h].labels.to(hidden.device());
    const auto weights = batch.heads[h].weights.to(hidden.device());
    objective.add_losses(recipe_.heads[h].name,
                         heads_[h]->losses(raw[h].own, labels, parent) * weights);
    if (!pass.train) out.scores[h] = heads_[h]->scores(raw[h].own, parent);
  }
}

}  // namespace veomni
