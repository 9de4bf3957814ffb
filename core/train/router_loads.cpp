#include "core/train/router_loads.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace veomni {
namespace {

Json layer_json(const std::vector<double>& loads, bool each) {
  double sum = 0, most = 0, entropy = 0;
  int64_t idle = 0;
  for (const double load : loads) {
    sum += load;
    most = std::max(most, load);
    idle += load == 0 ? 1 : 0;
  }
  const auto experts = static_cast<double>(loads.size());
  for (const double load : loads)
    if (load > 0) entropy -= load / sum * std::log(load / sum);
  Json layer = {{"max_over_mean", sum > 0 ? most * experts / sum : 1.0},
                {"idle", idle},
                {"entropy", experts > 1 ? entropy / std::log(experts) : 1.0}};
  if (each) layer["loads"] = std::vector<int64_t>(loads.begin(), loads.end());
  return layer;
}

}  // namespace

Json router_json(const at::Tensor& loads, bool each) {
  Json layers = Json::object();
  for (int64_t layer = 0; layer < loads.size(0); ++layer) {
    const auto* row = loads.const_data_ptr<double>() + layer * loads.size(1);
    layers[std::to_string(layer)] = layer_json({row, row + loads.size(1)}, each);
  }
  return layers;
}

}  // namespace veomni
