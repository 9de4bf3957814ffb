#include "core/data/lane.h"

#include <algorithm>
#include <numeric>

#include "core/data/pack_tools.h"
#include "core/data/random.h"
#include "core/error.h"

namespace veomni {
namespace {

enum Purpose : uint64_t { kChoose = 1, kOrder = 2 };

}  // namespace

Json LaneState::to_json(const LanePlan& plan) const {
  Json waiting = Json::array();
  for (const auto& [source, position] : buffer) waiting.push_back({source, position});
  return {{"packs", plan.lanes}, {"sizes", plan.sizes}, {"draws", draws},
          {"reads", reads},      {"tokens", tokens},    {"buffer", waiting}};
}

LaneState LaneState::from_json(const Json& json, const LanePlan& plan) try {
  const auto packs = json.at("packs").get<int64_t>();
  require<ConfigError>(
      packs == plan.lanes,
      "train.packs: is {}, but the checkpoint was made with {}; it cannot change on resume",
      plan.lanes, packs);
  const auto sizes = json.at("sizes").get<std::vector<int64_t>>();
  require<ConfigError>(
      sizes.size() == plan.sizes.size(),
      "data.sources: {} sources, but the checkpoint was made with {}; they cannot change on resume",
      plan.sizes.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i)
    require<ConfigError>(sizes[i] == plan.sizes[i],
                         "data.sources.{}: has {} training samples, but the checkpoint was made "
                         "with {}; the data cannot change on resume",
                         plan.names[i], plan.sizes[i], sizes[i]);
  LaneState state;
  state.draws = json.at("draws").get<int64_t>();
  state.reads = json.at("reads").get<std::vector<int64_t>>();
  state.tokens = json.value("tokens", std::vector<int64_t>(sizes.size(), 0));
  require<ConfigError>(state.reads.size() == sizes.size() && state.tokens.size() == sizes.size(),
                       "checkpoint: a data cursor is damaged");
  for (const auto& item : json.at("buffer")) {
    state.buffer.emplace_back(item.at(0).get<int32_t>(), item.at(1).get<int64_t>());
    const auto& [source, position] = state.buffer.back();
    require<ConfigError>(source >= 0 && static_cast<size_t>(source) < sizes.size() && position >= 0,
                         "checkpoint: a data cursor is damaged");
  }
  return state;
} catch (const Json::exception& error) {
  throw ConfigError(fmt::format("checkpoint: a data cursor is damaged ({})", error.what()));
}

Lane::Lane(const LanePlan& plan, int64_t number, LaneState state)
    : plan_(plan), number_(number), state_(std::move(state)) {
  state_.reads.resize(plan.sources.size(), 0);
  state_.tokens.resize(plan.sources.size(), 0);
}

LaneState Lane::state() const {
  LaneState state = state_;
  std::vector<std::pair<int32_t, int64_t>> waiting;
  for (const auto& drawn : drawn_) waiting.emplace_back(drawn.source, drawn.position);
  state.buffer.insert(state.buffer.begin(), waiting.begin(), waiting.end());
  return state;
}

int64_t Lane::position(size_t source) const { return number_ + state_.reads[source] * plan_.lanes; }

bool Lane::open(size_t source) const {
  return plan_.weights[source] > 0 &&
         (plan_.ends[source] < 0 || position(source) < plan_.ends[source]);
}

bool Lane::finished() const {
  if (!drawn_.empty() || !state_.buffer.empty()) return false;
  for (size_t s = 0; s < plan_.sources.size(); ++s)
    if (open(s)) return false;
  return true;
}

Sample Lane::build(int32_t source, int64_t position) const {
  const auto s = static_cast<size_t>(source);
  const int64_t size = plan_.sizes[s], epoch = position / size;
  const uint64_t key = mix_key({plan_.seed, kOrder, s, static_cast<uint64_t>(epoch)});
  const int64_t place = Permutation(size, key)(position % size);
  return plan_.sources[s]->sample(place, epoch, false, plan_.seed);
}

// The source of the next draw; the number of sources when none is open.
size_t Lane::choose_source() const {
  const size_t none = plan_.sources.size();
  const auto wide = [](int64_t n) { return static_cast<uint64_t>(n); };
  double total = 0;
  for (size_t s = 0; s < none; ++s) total += open(s) ? plan_.weights[s] : 0;
  size_t chosen = none;
  if (plan_.by_tokens) {
    double least = 0;
    for (size_t s = 0; s < none; ++s) {
      if (!open(s)) continue;
      const double offset = unit(mix_key({plan_.seed, kChoose, wide(number_), s})) *
                            static_cast<double>(plan_.pack_tokens) / total;
      const double drawn = static_cast<double>(state_.tokens[s]) / plan_.weights[s] + offset;
      if (chosen == none || drawn < least) {
        chosen = s;
        least = drawn;
      }
    }
    return chosen;
  }
  double mark = total * unit(mix_key({plan_.seed, kChoose, wide(number_), wide(state_.draws)}));
  for (size_t s = 0; s < none; ++s) {
    if (!open(s)) continue;
    chosen = s;
    mark -= plan_.weights[s];
    if (mark < 0) break;
  }
  return chosen;
}

// Adds the next sample to the buffer; false when train.epochs has given this lane its share.
bool Lane::draw() {
  if (!state_.buffer.empty()) {  // after a resume: drawn before, and not yet built again
    const auto [source, position] = state_.buffer.front();
    drawn_.push_back({source, position, build(source, position)});
    state_.buffer.erase(state_.buffer.begin());
    return true;
  }
  const size_t chosen = choose_source();
  if (chosen == plan_.sources.size()) return false;
  const int64_t at = position(chosen);
  drawn_.push_back({static_cast<int32_t>(chosen), at, build(static_cast<int32_t>(chosen), at)});
  ++state_.draws;
  ++state_.reads[chosen];
  state_.tokens[chosen] += drawn_.back().length();
  return true;
}

bool Lane::have(size_t count) {
  while (drawn_.size() < count)
    if (!draw()) return false;
  return true;
}

// Which of the drawn samples make the next pack, ascending.
std::vector<size_t> Lane::choose() {
  size_t count = 0;
  int64_t used = 0;
  while (have(count + 1) && used + drawn_[count].length() <= plan_.pack_tokens)
    used += drawn_[count++].length();
  const int64_t enough = plan_.pack_tokens - plan_.pack_tokens / 100;
  if (used < enough && drawn_.size() > count) return choose_ahead(count, used);
  std::vector<size_t> taken(count);
  std::iota(taken.begin(), taken.end(), size_t{0});
  return taken;
}

// Looks further and further ahead until the pack is full enough. The last few samples taken in
// order may be exchanged.
std::vector<size_t> Lane::choose_ahead(size_t in_order, int64_t used) {
  const size_t fixed = in_order > kLookAhead ? in_order - kLookAhead : 1;
  const int64_t enough = plan_.pack_tokens - plan_.pack_tokens / 100;
  int64_t room = plan_.pack_tokens;
  for (size_t i = 0; i < fixed; ++i) room -= drawn_[i].length();
  std::vector<size_t> taken;
  for (size_t ahead = 4; used < enough && ahead <= kLookAhead; ahead *= 2) {
    const bool more = have(in_order + ahead);
    std::vector<int64_t> lengths;
    for (size_t i = fixed; i < std::min(drawn_.size(), in_order + ahead); ++i)
      lengths.push_back(drawn_[i].length());
    taken = fill_best(lengths, room);
    used = plan_.pack_tokens - room;
    for (const size_t i : taken) used += lengths[i];
    if (!more) break;
  }
  std::vector<size_t> all(fixed);
  std::iota(all.begin(), all.end(), size_t{0});
  for (const size_t i : taken) all.push_back(fixed + i);
  return all;
}

Pack Lane::next() {
  Pack pack;
  std::deque<Drawn> left;
  const std::vector<size_t> taken = choose();
  size_t next = 0;
  for (size_t i = 0; i < drawn_.size(); ++i) {
    if (next < taken.size() && taken[next] == i) {
      pack.append(drawn_[i].sample);
      ++next;
    } else {
      left.push_back(std::move(drawn_[i]));
    }
  }
  drawn_ = std::move(left);
  return pack;
}

}  // namespace veomni
