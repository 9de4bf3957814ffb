#pragma once
// A lane: an independent, seeded stream of packs. Nothing in it depends on other lanes, ranks or
// threads.

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/data/sample_source.h"

namespace veomni {

/// What all lanes of a run share. Lives longer than they do.
struct LanePlan {
  uint64_t seed = 1;
  int64_t lanes = 1, pack_tokens = 1;
  std::vector<const SampleSource*> sources;
  std::vector<std::string> names;
  std::vector<double> weights;  ///< of the sources
  bool by_tokens = false;       ///< weights count tokens, otherwise samples
  std::vector<int64_t> sizes;   ///< training samples of the sources
  /// Positions of each source's endless order that train.epochs allows; -1: no end.
  std::vector<int64_t> ends;
};

/// Where a lane stands: enough to go on with the same packs.
struct LaneState {
  int64_t draws = 0;            ///< samples drawn
  std::vector<int64_t> reads;   ///< of them, by source
  std::vector<int64_t> tokens;  ///< in them, by source
  /// Drawn but not packed: source and position, oldest first.
  std::vector<std::pair<int32_t, int64_t>> buffer;

  Json to_json(const LanePlan& plan) const;
  /// Throws ConfigError when the plan's lanes, sources or their sizes are others than those of the
  /// state.
  static LaneState from_json(const Json& json, const LanePlan& plan);
};

/// Draw t of lane l chooses a source by weight from the counter (seed, l, t); or, where weights count tokens, the source
/// whose tokens drawn so far are furthest behind its weight (lanes start at seeded offsets). Read j of a source
/// takes its position l + j · lanes in the endless concatenation of its per-epoch permutations. A
/// pack takes drawn samples in order until one does not fit; then, from the last few taken and at
/// most kLookAhead further ones, those that fill it best. The oldest sample always goes along, so
/// none waits for ever.
class Lane {
 public:
  static constexpr size_t kLookAhead = 32;  ///< samples

  Lane(const LanePlan& plan, int64_t number, LaneState state);
  /// The next pack; without samples once the lane is finished. Not thread-safe.
  Pack next();
  LaneState state() const;
  bool finished() const;
  int64_t number() const { return number_; }

 private:
  struct Drawn {
    int32_t source = 0;
    int64_t position = 0;
    Sample sample;
    int64_t length() const { return static_cast<int64_t>(sample.ids.size()); }
  };

  bool open(size_t source) const;
  int64_t position(size_t source) const;
  size_t choose_source() const;
  bool draw();
  bool have(size_t count);
  Sample build(int32_t source, int64_t position) const;
  std::vector<size_t> choose();
  std::vector<size_t> choose_ahead(size_t in_order, int64_t used);

  const LanePlan& plan_;
  int64_t number_;
  LaneState state_;  ///< its buffer holds only what is not yet in `drawn_` after a resume
  std::deque<Drawn> drawn_;
};

}  // namespace veomni
