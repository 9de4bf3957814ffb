#pragma once
// What collectives cost: counted by axis (the group's name), unit and call.

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "core/json.h"

namespace veomni {

struct CommCount {
  int64_t calls = 0;
  /// That this rank sends to others or gets from them, whichever is more: of n ranks (n − 1)/n of the larger side of
  /// all_gather and reduce_scatter, twice that of all_reduce (Rabenseifner 2004), all that all_to_all sends elsewhere.
  int64_t bytes = 0;
  double seconds = 0;  ///< from the call until it was found ended
  double exposed = 0;  ///< of these, those that this rank waited
  void operator+=(const CommCount& other);
};

class CommLedger {
 public:
  struct Key {
    std::string axis, unit, call;
    // NOLINTNEXTLINE(modernize-use-nullptr): taken for a comparison with 0
    auto operator<=>(const Key&) const = default;
  };

  void add(const std::string& axis, const std::string& call, const CommCount& count);
  double exposed() const;
  void clear() { counts_.clear(); }

  /// {axis: {call: {calls, bytes, seconds, exposed_seconds}}}, then without `units` summed over them; with it
  /// {axis: {unit: {call: …}}}.
  Json json(bool units) const;

  const std::string& unit() const { return unit_; }

 private:
  friend class CommUnit;
  std::map<Key, CommCount> counts_;
  std::string unit_ = "step";
};

/// Collectives started while it lives are counted for this unit. A null ledger counts nothing.
class CommUnit {
 public:
  CommUnit(CommLedger* ledger, const std::string& unit) : ledger_(ledger) {
    if (ledger_ != nullptr) before_ = std::exchange(ledger_->unit_, unit);
  }
  ~CommUnit() {
    if (ledger_ != nullptr) ledger_->unit_ = before_;
  }
  CommUnit(const CommUnit&) = delete;
  CommUnit& operator=(const CommUnit&) = delete;

 private:
  CommLedger* ledger_;
  std::string before_;
};

}  // namespace veomni
