#include "core/train/step_input.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <utility>

#include "core/communicator.h"
#include "core/train/stop.h"

namespace veomni {
namespace {

// Sample weights are summed as whole 2^-20ths: exact, whatever the order and the number of ranks.
constexpr double kWeightUnit = 1 << 20;

int64_t weight_units(double weight) { return std::llround(weight * kWeightUnit); }

/// Places in the agreed vector before each loss term's count.
enum Header : size_t { kTokens, kStopInt, kStopTerm, kStopUser, kHeaderSize };

int agreed_signal(const std::vector<int64_t>& all) {
  if (all[kStopInt] > 0) return SIGINT;
  if (all[kStopTerm] > 0) return SIGTERM;
  return all[kStopUser] > 0 ? SIGUSR1 : 0;
}

void push_use(const PartUse& use, std::vector<int64_t>& out) {
  out.push_back(use.text);
  for (const bool used : use.encoders) out.push_back(used);
  for (const bool used : use.heads) out.push_back(used);
}

PartUse pull_use(const Recipe& recipe, const std::vector<int64_t>& all, size_t& next) {
  PartUse use;
  use.text = all[next++] > 0;
  for (size_t e = 0; e < recipe.encoders.size(); ++e) use.encoders.push_back(all[next++] > 0);
  for (size_t h = 0; h < recipe.heads.size(); ++h) use.heads.push_back(all[next++] > 0);
  return use;
}

void merge(PartUse& into, const PartUse& from) {
  into.text = into.text || from.text;
  into.encoders.resize(from.encoders.size());
  into.heads.resize(from.heads.size());
  for (size_t i = 0; i < from.encoders.size(); ++i)
    into.encoders[i] = into.encoders[i] || from.encoders[i];
  for (size_t i = 0; i < from.heads.size(); ++i) into.heads[i] = into.heads[i] || from.heads[i];
}

}  // namespace

LaneShare share_lanes(int rank, int ranks, int64_t packs, int64_t packs_per_micro_batch) {
  LaneShare share{{}, packs_per_micro_batch};
  const int64_t rounds = (packs + ranks - 1) / ranks;
  for (int64_t i = 0; i < rounds; ++i) {
    const int64_t lane = rank + i * ranks;
    share.lanes.push_back(lane < packs ? lane : -1);
  }
  return share;
}

StepLoader::StepLoader(const Recipe& recipe, Dataset& data, const std::vector<LossTerm>& terms,
                       Communicator& group, LaneShare share, SequencePlace place)
    : recipe_(recipe),
      data_(data),
      terms_(terms),
      group_(group),
      share_(std::move(share)),
      place_(place) {
  if (share_.balance_encoders) balance_.emplace(recipe_, data_, group_);
}

std::vector<int64_t> StepLoader::lanes() const {
  std::vector<int64_t> lanes;
  for (const auto lane : share_.lanes) {
    if (lane >= 0) lanes.push_back(lane);
  }
  return lanes;
}

std::vector<Row> StepLoader::read_rows() {
  const auto per_row = static_cast<size_t>(share_.packs_per_micro_batch);
  std::vector<Row> rows;
  for (size_t first = 0; first < share_.lanes.size(); first += per_row) {
    const auto begin = share_.lanes.begin() + static_cast<int64_t>(first);
    const std::vector<int64_t> lanes(
        begin, begin + static_cast<int64_t>(std::min(per_row, share_.lanes.size() - first)));
    std::vector<Pack> packs;
    for (const auto lane : lanes) packs.push_back(lane < 0 ? Pack{} : data_.next(lane));
    std::vector<const Pack*> pointers;
    for (const auto& pack : packs) pointers.push_back(&pack);
    rows.emplace_back(pointers, lanes, place_);
  }
  return rows;
}

std::vector<int64_t> StepLoader::local_counts(const std::vector<Row>& rows) const {
  std::vector<int64_t> counts(kHeaderSize + terms_.size());
  const int signal = stop_signal();
  counts[kStopInt] = signal == SIGINT;
  counts[kStopTerm] = signal == SIGTERM;
  counts[kStopUser] = signal == SIGUSR1;
  const size_t text = kHeaderSize, heads = kHeaderSize + recipe_.decoders.size();
  for (const auto& [pack, keys, place] : rows) {
    counts[kTokens] += pack.token_count();
    for (size_t t = 0; t < pack.labels.size(); ++t) {
      if (pack.labels[t] != kIgnore) counts[text] += weight_units(pack.label_weights[t]);
    }
    for (const auto& target : pack.targets)
      counts[heads + target.head] += weight_units(target.weight);
  }
  for (const auto& row : rows) push_use(row.parts(recipe_), counts);
  return counts;
}

StepInput StepLoader::from_counts(const std::vector<int64_t>& all, size_t micro_batches) const {
  StepInput input;
  input.tokens = static_cast<double>(all[kTokens]);
  input.fill = input.tokens / static_cast<double>(recipe_.train.packs * recipe_.train.pack_tokens);
  input.empty = all[kTokens] == 0;
  input.stop = agreed_signal(all);
  for (size_t k = 0; k < terms_.size(); ++k) {
    const bool routed = k >= recipe_.decoders.size() + recipe_.heads.size();
    input.counts.push_back(routed ? input.tokens
                                  : static_cast<double>(all[kHeaderSize + k]) / kWeightUnit);
  }
  size_t next = kHeaderSize + terms_.size();
  input.micro_batches.resize(micro_batches);
  for (auto& micro_batch : input.micro_batches) {
    micro_batch.use = pull_use(recipe_, all, next);
    merge(input.use, micro_batch.use);
  }
  return input;
}

StepInput StepLoader::next() {
  const auto rows = read_rows();
  EncoderBalance::Step segments;
  auto counts = local_counts(rows);
  const size_t lengths = counts.size();
  std::vector<int64_t> description;
  if (balance_) {  // how much each rank has to tell of its segments
    for (const auto& row : rows) segments.push_back(row.segments(recipe_));
    description = balance_->describe(segments);
    counts.resize(lengths + static_cast<size_t>(group_.size()));
    counts[lengths + static_cast<size_t>(group_.rank())] = static_cast<int64_t>(description.size());
  }
  auto shared = at::from_blob(counts.data(), {static_cast<int64_t>(counts.size())}, at::kLong);
  if (group_.size() > 1) group_.all_reduce(shared);
  auto input = from_counts(counts, rows.size());
  if (balance_) {
    const auto longest =
        *std::max_element(counts.begin() + static_cast<int64_t>(lengths), counts.end());
    input.encoder_work = balance_->spread(segments, std::move(description), longest);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    auto& [batch, use] = input.micro_batches[i];
    batch = balance_ ? make_batch(rows[i], segments[i], use, data_, recipe_)
                     : make_batch(rows[i], use, data_, recipe_);
  }
  return input;
}

}  // namespace veomni
