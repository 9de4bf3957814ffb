#include "core/comm_ledger.h"

namespace veomni {

void CommCount::operator+=(const CommCount& other) {
  calls += other.calls;
  bytes += other.bytes;
  seconds += other.seconds;
  exposed += other.exposed;
}

void CommLedger::add(const std::string& axis, const std::string& call, const CommCount& count) {
  counts_[{axis, unit_, call}] += count;
}

double CommLedger::exposed() const {
  double sum = 0;
  for (const auto& [key, count] : counts_) sum += count.exposed;
  return sum;
}

Json CommLedger::json(bool units) const {
  std::map<std::string, std::map<std::string, std::map<std::string, CommCount>>> sums;
  for (const auto& [key, count] : counts_)
    sums[key.axis][units ? key.unit : std::string()][key.call] += count;
  Json all = Json::object();
  for (const auto& [axis, by_unit] : sums)
    for (const auto& [unit, calls] : by_unit)
      for (const auto& [call, count] : calls)
        (units ? all[axis][unit] : all[axis])[call] = {{"calls", count.calls},
                                                       {"bytes", count.bytes},
                                                       {"seconds", count.seconds},
                                                       {"exposed_seconds", count.exposed}};
  return all;
}

}  // namespace veomni
