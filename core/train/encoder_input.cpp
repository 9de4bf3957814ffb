#include "core/train/encoder_input.h"

#include <ATen/ATen.h>

#include <cstring>

#include "core/train/host_tensor.h"

namespace veomni {
namespace {

at::Tensor concatenate(const std::vector<const PartInput*>& inputs, size_t array) {
  const auto& first = inputs.front()->arrays[array];
  const bool is_float = std::holds_alternative<std::vector<float>>(first.data);
  auto shape = first.shape;
  shape[0] = 0;
  for (const auto* input : inputs) shape[0] += input->arrays[array].shape[0];
  auto out = at::empty(shape, is_float ? at::kFloat : at::kLong);
  auto* to = static_cast<char*>(out.mutable_data_ptr());
  for (const auto* input : inputs) {
    std::visit(
        [&](const auto& data) {
          const size_t bytes = data.size() * sizeof(data[0]);
          if (bytes > 0) std::memcpy(to, data.data(), bytes);
          to += bytes;
        },
        input->arrays[array].data);
  }
  return out;
}

/// The arrays of these inputs end to end.
EncoderInput collate(const std::vector<const PartInput*>& inputs) {
  EncoderInput out;
  for (const auto* input : inputs) out.token_counts.push_back(input->token_count);
  for (size_t array = 0; array < inputs.front()->arrays.size(); ++array)
    out.arrays.push_back(concatenate(inputs, array));
  return out;
}

/// The ranks that exchange embeddings: all of them, or those of a row.
struct Exchange {
  const Segments& segments;

  int size() const { return segments.balanced ? segments.ranks() : segments.place.size; }
  size_t number(int rank) const {
    return static_cast<size_t>(segments.balanced ? rank : rank % segments.place.size);
  }
  /// Who has the place of a token of this segment.
  size_t receiver(const Segment& segment, int64_t token) const {
    const int64_t row_tokens = segments.row_tokens[static_cast<size_t>(segment.row)];
    return number(segment.row * segments.place.size + segments.place.owner(row_tokens, token));
  }
};

std::vector<int64_t> flatten(const std::vector<std::vector<int64_t>>& lists,
                             std::vector<int64_t>& counts) {
  std::vector<int64_t> flat;
  for (const auto& list : lists) {
    flat.insert(flat.end(), list.begin(), list.end());
    counts.push_back(static_cast<int64_t>(list.size()));
  }
  return flat;
}

/// Fills in who gets which embeddings, and `rows` with the places of those that come.
void add_routes(const Segments& segments, EncoderInput& input) {
  const Exchange exchange{segments};
  const auto& place = segments.place;
  const int64_t begin = place.begin(segments.row_tokens[static_cast<size_t>(segments.row)]);
  std::vector<std::vector<int64_t>> out(static_cast<size_t>(exchange.size())), in(out.size());
  int64_t embedding = 0;
  for (const auto& segment : segments.all) {
    const bool here = segment.row == segments.row;
    if (!here && segment.owner != segments.rank()) continue;
    for (int64_t token = segment.position; token < segment.position + segment.tokens; ++token) {
      const size_t to = exchange.receiver(segment, token);
      if (segment.owner == segments.rank()) out[to].push_back(embedding++);
      if (here && to == exchange.number(segments.rank()))
        in[exchange.number(segment.owner)].push_back(token - begin);
    }
  }
  input.send_rows = host_tensor(flatten(out, input.send_counts));
  input.rows = host_tensor(flatten(in, input.receive_counts));
  input.balanced = segments.balanced;
}

}  // namespace

EncoderInput make_encoder_input(const Segments& dealt, const Preprocessor& preprocessor,
                                bool used) {
  std::vector<const PartInput*> own;
  std::vector<int64_t> places, keys;
  for (const auto& segment : dealt.all) {
    if (segment.owner != dealt.rank()) continue;
    own.push_back(segment.input.get());
    for (int64_t t = 0; t < segment.tokens; ++t) {
      places.push_back(segment.position + t);
      keys.push_back(segment.noise_key + t);
    }
  }
  if (own.empty() && !used) return {};
  const bool dummy = own.empty();
  const PartInput stand_in = dummy ? preprocessor.dummy() : PartInput{};
  if (dummy) {
    own.push_back(&stand_in);
    keys.assign(static_cast<size_t>(stand_in.token_count), 0);
  }
  EncoderInput input = collate(own);
  input.dummy = dummy;
  input.rows = host_tensor(places);
  input.noise_keys = host_tensor(keys);
  if (dealt.balanced || dealt.place.size > 1) add_routes(dealt, input);
  return input;
}

}  // namespace veomni
