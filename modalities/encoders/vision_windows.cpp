#include "modalities/encoders/vision_windows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace veomni {
namespace {

struct Lists {
  std::vector<int64_t> order, rows, columns;
  std::vector<int32_t> windows{0}, frames{0};
};

/// One window: blocks [row, row_end) × [column, column_end) of a frame whose first block is `first`.
struct Window {
  int64_t first, width, row, row_end, column, column_end;
};

void add_window(const Window& w, int64_t merge, Lists& lists) {
  for (int64_t r = w.row; r < w.row_end; ++r)
    for (int64_t c = w.column; c < w.column_end; ++c) {
      lists.order.push_back(w.first + r * w.width + c);
      for (int64_t y = r * merge; y < (r + 1) * merge; ++y)
        for (int64_t x = c * merge; x < (c + 1) * merge; ++x) {
          lists.rows.push_back(y);
          lists.columns.push_back(x);
        }
    }
  lists.windows.push_back(static_cast<int32_t>(lists.rows.size()));
}

template <class T>
at::Tensor tensor_of(const std::vector<T>& values) {
  const auto type = sizeof(T) == sizeof(int64_t) ? at::kLong : at::kInt;
  auto out = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), out.mutable_data_ptr<T>());
  return out;
}

}  // namespace

VisionWindows vision_windows(const at::Tensor& grids, int64_t merge, int64_t window) {
  const auto* grid = grids.const_data_ptr<int64_t>();
  Lists lists;
  int64_t first = 0;
  for (int64_t i = 0; i < grids.size(0); ++i, grid += 3) {
    const int64_t height = grid[1] / merge, width = grid[2] / merge;
    for (int64_t frame = 0; frame < grid[0]; ++frame, first += height * width) {
      for (int64_t r = 0; r < height; r += window)
        for (int64_t c = 0; c < width; c += window)
          add_window(
              {first, width, r, std::min(r + window, height), c, std::min(c + window, width)},
              merge, lists);
      lists.frames.push_back(static_cast<int32_t>(lists.rows.size()));
    }
  }
  const auto order = tensor_of(lists.order), rows = tensor_of(lists.rows);
  return {order, order.argsort(), tensor_of(lists.windows), tensor_of(lists.frames),
          at::stack({rows, tensor_of(lists.columns), at::zeros_like(rows)})};
}

}  // namespace veomni
