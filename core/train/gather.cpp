#include "core/train/gather.h"

#include <ATen/ATen.h>

#include <cstring>

#include "core/communicator.h"

namespace veomni {
namespace {

/// Sizes of all ranks.
std::vector<int64_t> gather_sizes(Communicator& group, int64_t size) {
  auto all = at::zeros({group.size()}, at::kLong);
  group.all_gather(all, at::full({1}, size, at::kLong));
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + group.size()};
}

at::Tensor bytes_of(const std::string& text, int64_t length) {
  auto bytes = at::zeros({length}, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

}  // namespace

at::Tensor gather_rows(Communicator& group, const at::Tensor& rows) {
  if (group.size() == 1) return rows;
  const auto sizes = gather_sizes(group, rows.size(0));
  const int64_t most = *std::max_element(sizes.begin(), sizes.end());
  const int64_t columns = rows.size(1);
  auto padded = at::zeros({most, columns}, rows.options());
  padded.narrow(0, 0, rows.size(0)).copy_(rows);
  auto all = at::empty({group.size() * most, columns}, rows.options());
  if (most * columns > 0) group.all_gather(all, padded);
  std::vector<at::Tensor> pieces;
  for (int r = 0; r < group.size(); ++r) pieces.push_back(all.narrow(0, r * most, sizes[r]));
  return at::cat(pieces);
}

std::vector<std::string> gather_texts(Communicator& group, const std::string& text) {
  if (group.size() == 1) return {text};
  const auto sizes = gather_sizes(group, static_cast<int64_t>(text.size()));
  const int64_t most = std::max<int64_t>(1, *std::max_element(sizes.begin(), sizes.end()));
  auto all = at::empty({group.size() * most}, at::kByte);
  group.all_gather(all, bytes_of(text, most));
  std::vector<std::string> texts;
  const auto* data = reinterpret_cast<const char*>(all.const_data_ptr<uint8_t>());
  for (int r = 0; r < group.size(); ++r) texts.emplace_back(data + r * most, sizes[r]);
  return texts;
}

std::string broadcast_text(Communicator& group, const std::string& text) {
  if (group.size() == 1) return text;
  auto size = at::full({1}, static_cast<int64_t>(text.size()), at::kLong);
  group.broadcast(size, 0);
  const auto length = size.item<int64_t>();
  if (length == 0) return {};
  auto bytes = group.rank() == 0 ? bytes_of(text, length) : at::zeros({length}, at::kByte);
  group.broadcast(bytes, 0);
  return {reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()),
          static_cast<size_t>(length)};
}

}  // namespace veomni
