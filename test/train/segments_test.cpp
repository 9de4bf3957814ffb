// Who encodes what.
#include "core/train/segments.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>

using namespace veomni;

namespace {

/// work[r]: the segments of row r.
Segments rows_of(const std::vector<std::vector<int64_t>>& work, int ranks_a_row) {
  Segments segments;
  segments.place.size = ranks_a_row;
  for (size_t row = 0; row < work.size(); ++row) {
    segments.row_tokens.push_back(1000);
    for (const auto rows : work[row]) {
      Segment segment;
      segment.row = static_cast<int>(row);
      segment.array_rows = {rows, 1};
      segments.all.push_back(segment);
    }
  }
  return segments;
}

std::vector<int> owners(const Segments& segments) {
  std::vector<int> found;
  for (const auto& segment : segments.all) found.push_back(segment.owner);
  return found;
}

std::vector<int64_t> loads(const Segments& segments) {
  std::vector<int64_t> work(static_cast<size_t>(segments.ranks()));
  for (const auto& segment : segments.all)
    work.at(static_cast<size_t>(segment.owner)) += segment.work();
  return work;
}

int64_t most(const std::vector<int64_t>& work) {
  return *std::max_element(work.begin(), work.end());
}

/// The least that the busiest rank can have, by trying all owners.
int64_t best(const std::vector<Segment>& left, std::vector<int64_t>& work, size_t next = 0) {
  if (next == left.size()) return most(work);
  int64_t found = INT64_MAX;
  for (auto& mine : work) {
    mine += left[next].work();
    found = std::min(found, best(left, work, next + 1));
    mine -= left[next].work();
  }
  return found;
}

}  // namespace

TEST_CASE("segments: what a row has too much goes to ranks that have less, the rest stays",
          "[train][balance]") {
  auto segments = rows_of({{}, {4, 4, 4, 4, 4, 4}}, 1);
  const auto work = deal_over_rows(segments);
  CHECK((work.before == 24 && work.after == 12 && work.total == 24));
  CHECK(segments.balanced);
  CHECK(owners(segments) == std::vector<int>{1, 1, 1, 0, 0, 0});
}

TEST_CASE("segments: the largest go first", "[train][balance]") {
  auto segments = rows_of({{1, 2, 3, 4, 5, 9}, {}}, 1);
  CHECK(deal_over_rows(segments).after == 12);
  CHECK(loads(segments) == std::vector<int64_t>{12, 12});
}

TEST_CASE("segments: nothing moves where that gains nothing", "[train][balance]") {
  const auto rows = GENERATE(std::vector<std::vector<int64_t>>{{7}, {}},  // one, whoever takes it
                             std::vector<std::vector<int64_t>>{{}, {}},
                             // ranks 3 % of the mean apart
                             std::vector<std::vector<int64_t>>{{34, 34, 34}, {33, 33, 33}},
                             // the busiest has one segment alone
                             std::vector<std::vector<int64_t>>{{10}, {3, 3}, {}});
  auto segments = rows_of(rows, 1);
  const auto work = deal_over_rows(segments);
  CHECK(work.before == work.after);
  CHECK_FALSE(segments.balanced);
  for (const auto& segment : segments.all) CHECK(segment.owner == segment.row);
}

TEST_CASE("segments: ranks that share a row come first for it", "[train][balance]") {
  auto segments = rows_of({{4, 4, 4, 4, 4, 4, 4, 4}, {}}, 2);
  const auto work = deal_over_rows(segments);
  CHECK((work.before == 16 && work.after == 8));
  CHECK(owners(segments) == std::vector<int>{0, 1, 0, 1, 2, 3, 2, 3});
  CHECK(deal_within_rows(segments) == std::vector<int64_t>{16, 16, 0, 0});
}

TEST_CASE(
    "segments: the busiest has no more than the mean and one segment, nor than 4/3 of the best",
    "[train][balance]") {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const size_t ranks = 2 + random() % 3;
    std::vector<std::vector<int64_t>> rows(ranks);
    const int count = 1 + static_cast<int>(random() % 8);
    for (int i = 0; i < count; ++i)
      rows[random() % (1 + random() % ranks)].push_back(1 + static_cast<int64_t>(random() % 40));
    auto segments = rows_of(rows, 1);
    const auto work = deal_over_rows(segments);
    const auto found = loads(segments);
    CHECK(work.total == std::accumulate(found.begin(), found.end(), int64_t{0}));
    CHECK(work.after == most(found));
    CHECK(work.after <= work.before);
    std::vector<int64_t> none(ranks);
    CHECK(3 * work.after <= 4 * best(segments.all, none));
  }
}

TEST_CASE("segments: many segments of one row leave ranks within 10 % of one another",
          "[train][balance]") {
  std::mt19937 random(6);
  for (const int ranks_a_row : {1, 2}) {
    std::vector<std::vector<int64_t>> rows(8);
    for (int i = 0; i < 600; ++i)
      rows[random() % 3].push_back(16 + static_cast<int64_t>(random() % 500));
    auto segments = rows_of(rows, ranks_a_row);
    const auto work = deal_over_rows(segments);
    const auto found = loads(segments);
    const auto least = *std::min_element(found.begin(), found.end());
    CHECK(10 * (work.after - least) * segments.ranks() < work.total);
    CHECK(work.before * segments.ranks() > 2 * work.total);
  }
}
