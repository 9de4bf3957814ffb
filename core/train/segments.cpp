#include "core/train/segments.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

namespace veomni {
namespace {

/// Differences of work, in parts of the mean, below which moving costs more than it gains.
constexpr int64_t kWorthMoving = 20;

std::vector<Segment*> largest_first(Segments& segments) {
  std::vector<Segment*> sorted;
  for (auto& segment : segments.all) sorted.push_back(&segment);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto* a, const auto* b) { return a->work() > b->work(); });
  return sorted;
}

/// The work of each rank while segments are dealt.
class Loads {
 public:
  explicit Loads(const Segments& segments) : row_ranks_(segments.place.size) {
    work_.resize(static_cast<size_t>(segments.ranks()));
    for (int rank = 0; rank < segments.ranks(); ++rank) by_work_.emplace(0, rank);
  }

  int64_t operator[](int rank) const { return work_[static_cast<size_t>(rank)]; }
  int least() const { return by_work_.begin()->second; }
  int least_of_row(int row) const {
    const auto begin = work_.begin() + static_cast<int64_t>(row) * row_ranks_;
    return static_cast<int>(std::min_element(begin, begin + row_ranks_) - work_.begin());
  }
  void give(Segment& segment, int rank) {
    auto& work = work_[static_cast<size_t>(rank)];
    by_work_.erase({work, rank});
    work += segment.work();
    by_work_.emplace(work, rank);
    segment.owner = rank;
  }
  std::vector<int64_t> work() && { return std::move(work_); }

 private:
  int row_ranks_;
  std::vector<int64_t> work_;
  std::set<std::pair<int64_t, int>> by_work_;
};

int64_t most(const std::vector<int64_t>& work) {
  return *std::max_element(work.begin(), work.end());
}

std::vector<int64_t> deal_among_all(Segments& segments, int64_t total) {
  Loads loads(segments);
  for (auto* segment : largest_first(segments)) {
    int rank = loads.least_of_row(segment->row);
    const bool fits = (loads[rank] + segment->work()) * segments.ranks() <= total;
    // Of equals the own row's: what does not travel costs nothing.
    if (!fits && loads[loads.least()] < loads[rank]) rank = loads.least();
    loads.give(*segment, rank);
  }
  return std::move(loads).work();
}

}  // namespace

std::vector<int64_t> deal_within_rows(Segments& segments) {
  Loads loads(segments);
  for (auto* segment : largest_first(segments))
    loads.give(*segment, loads.least_of_row(segment->row));
  segments.balanced = false;
  return std::move(loads).work();
}

void EncoderWork::operator+=(const EncoderWork& other) {
  before += other.before;
  after += other.after;
  total += other.total;
}

EncoderWork deal_over_rows(Segments& segments) {
  const auto own = deal_within_rows(segments);
  const int64_t before = most(own), least = *std::min_element(own.begin(), own.end());
  const int64_t total = std::accumulate(own.begin(), own.end(), int64_t{0});
  const EncoderWork unmoved{before, before, total};
  if ((before - least) * segments.ranks() * kWorthMoving <= total) return unmoved;
  const int64_t after = most(deal_among_all(segments, total));
  if (after < before) {  // so some segment moved
    segments.balanced = true;
    return {before, after, total};
  }
  deal_within_rows(segments);
  return unmoved;
}

}  // namespace veomni
