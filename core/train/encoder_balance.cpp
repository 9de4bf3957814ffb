#include "core/train/encoder_balance.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <type_traits>
#include <utility>

#include "core/communicator.h"
#include "core/error.h"
#include "core/train/host_tensor.h"

namespace veomni {
namespace {

template <class T>
constexpr bool kFloats = std::is_same_v<T, float>;

/// Calls f with the values of each array of type T, in order.
template <class T, class Inputs, class F>
void each_array(const Inputs& inputs, const F& f) {
  for (const auto& input : inputs) {
    for (auto& array : input->arrays)
      if (auto* values = std::get_if<std::vector<T>>(&array.data)) f(*values);
  }
}

}  // namespace

/// Inputs of this rank's segments that others encode, and of others' that this rank encodes, by rank, in the order of all.
struct EncoderBalance::Travel {
  std::vector<std::vector<std::shared_ptr<const PartInput>>> leaving;
  std::vector<std::vector<std::shared_ptr<PartInput>>> arriving;
  /// Some rank sends such arrays to another: then all make the call.
  bool floats = false, integers = false;
};

EncoderBalance::EncoderBalance(const Recipe& recipe, const Dataset& data, Communicator& rows)
    : recipe_(recipe), rows_(rows) {
  for (size_t e = 0; e < recipe.encoders.size(); ++e) {
    arrays_.emplace_back();
    for (const auto& array : data.preprocessor(static_cast<int32_t>(e)).dummy().arrays) {
      const std::vector<int64_t> shape(array.shape.begin() + 1, array.shape.end());
      arrays_.back().push_back(
          {std::holds_alternative<std::vector<float>>(array.data), shape,
           std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>())});
    }
  }
}

void EncoderBalance::check(size_t encoder, const PartInput& input) const {
  const auto& expected = arrays_[encoder];
  bool same = input.arrays.size() == expected.size();
  for (size_t a = 0; same && a < expected.size(); ++a) {
    const auto& [shape, data] = input.arrays[a];
    same = std::holds_alternative<std::vector<float>>(data) == expected[a].is_float &&
           std::equal(shape.begin() + 1, shape.end(), expected[a].row_shape.begin(),
                      expected[a].row_shape.end());
  }
  require<Error>(same,
                 "encoders.{}: a segment's arrays differ from its dummy's in type, or in shape "
                 "beyond dim 0; make Preprocessor::dummy of '{}' return such as prepare does",
                 recipe_.encoders[encoder].name, recipe_.encoders[encoder].type);
}

std::vector<int64_t> EncoderBalance::describe(const Step& own) const {
  std::vector<int64_t> numbers;
  for (const auto& micro_batch : own) {
    for (size_t e = 0; e < micro_batch.size(); ++e) {
      const auto& segments = micro_batch[e];
      numbers.push_back(segments.row_tokens[0]);
      numbers.push_back(static_cast<int64_t>(segments.all.size()));
      for (const auto& segment : segments.all) {
        check(e, *segment.input);
        numbers.insert(numbers.end(), {segment.position, segment.tokens, segment.noise_key});
        numbers.insert(numbers.end(), segment.array_rows.begin(), segment.array_rows.end());
      }
    }
  }
  return numbers;
}

void EncoderBalance::read(const int64_t* numbers, int row, Step& all) const {
  for (auto& micro_batch : all) {
    for (size_t e = 0; e < micro_batch.size(); ++e) {
      micro_batch[e].row_tokens.push_back(*numbers++);
      for (int64_t left = *numbers++; left > 0; --left) {
        Segment segment{.row = row,
                        .position = numbers[0],
                        .tokens = numbers[1],
                        .noise_key = numbers[2],
                        .array_rows = {numbers + 3, numbers + 3 + arrays_[e].size()},
                        .input = nullptr};
        numbers += 3 + arrays_[e].size();
        micro_batch[e].all.push_back(std::move(segment));
      }
    }
  }
}

EncoderBalance::Step EncoderBalance::gather(const Step& own, std::vector<int64_t> description,
                                            int64_t longest) const {
  description.resize(static_cast<size_t>(longest));
  auto numbers = at::empty({rows_.size() * longest}, at::kLong);
  rows_.all_gather(numbers, host_tensor(description));
  Step all(own.size());
  for (size_t m = 0; m < own.size(); ++m) {
    for (const auto& mine : own[m])
      all[m].push_back({.all = {}, .row_tokens = {}, .row = rows_.rank(), .place = mine.place});
  }
  for (int row = 0; row < rows_.size(); ++row)
    read(numbers.const_data_ptr<int64_t>() + row * longest, row, all);
  // What this rank had, it need not read back.
  for (size_t m = 0; m < own.size(); ++m) {
    for (size_t e = 0; e < own[m].size(); ++e) {
      auto mine = own[m][e].all.begin();
      for (auto& segment : all[m][e].all)
        if (segment.row == rows_.rank()) segment.input = (mine++)->input;
    }
  }
  return all;
}

std::shared_ptr<PartInput> EncoderBalance::make_room(size_t encoder, const Segment& segment) const {
  auto input = std::make_shared<PartInput>();
  input->token_count = segment.tokens;
  for (size_t a = 0; a < arrays_[encoder].size(); ++a) {
    const Array& array = arrays_[encoder][a];
    HostArray room{{segment.array_rows[a]}, std::vector<int64_t>()};
    room.shape.insert(room.shape.end(), array.row_shape.begin(), array.row_shape.end());
    const auto count = static_cast<size_t>(segment.array_rows[a] * array.row_elements);
    if (array.is_float)
      room.data = std::vector<float>(count);
    else
      room.data = std::vector<int64_t>(count);
    input->arrays.push_back(std::move(room));
  }
  return input;
}

void EncoderBalance::plan(size_t encoder, Segments& dealt, Travel& travel) const {
  if (!dealt.balanced) return;
  for (auto& segment : dealt.all) {
    const int encoding_row = segment.owner / dealt.place.size;
    // Of the ranks that have the segment, the one that stands in its row where the encoder stands in its own sends it.
    if (encoding_row == segment.row || segment.owner % dealt.place.size != dealt.place.rank)
      continue;
    for (const Array& array : arrays_[encoder])
      (array.is_float ? travel.floats : travel.integers) = true;
    if (segment.row == dealt.row)
      travel.leaving[static_cast<size_t>(encoding_row)].push_back(segment.input);
    if (encoding_row != dealt.row) continue;
    auto room = make_room(encoder, segment);
    travel.arriving[static_cast<size_t>(segment.row)].push_back(room);
    segment.input = std::move(room);
  }
}

template <class T>
void EncoderBalance::carry(Travel& travel) const {
  if (!(kFloats<T> ? travel.floats : travel.integers)) return;
  std::vector<T> out;
  std::vector<int64_t> send, receive;
  for (const auto& inputs : travel.leaving) {
    const size_t before = out.size();
    each_array<T>(inputs, [&](const std::vector<T>& values) {
      out.insert(out.end(), values.begin(), values.end());
    });
    send.push_back(static_cast<int64_t>(out.size() - before));
  }
  for (const auto& inputs : travel.arriving) {
    receive.push_back(0);
    each_array<T>(inputs, [&](const std::vector<T>& values) {
      receive.back() += static_cast<int64_t>(values.size());
    });
  }
  const auto sent = host_tensor(out);
  const int64_t arriving = std::accumulate(receive.begin(), receive.end(), int64_t{0});
  auto in = at::empty({arriving}, sent.options());
  rows_.all_to_all(in, sent, send, receive);
  const T* next = in.template const_data_ptr<T>();
  for (const auto& inputs : travel.arriving) {
    each_array<T>(inputs, [&](std::vector<T>& values) {
      std::copy_n(next, values.size(), values.begin());
      next += values.size();
    });
  }
}

std::vector<EncoderWork> EncoderBalance::spread(Step& own, std::vector<int64_t> description,
                                                int64_t longest) {
  Step all = gather(own, std::move(description), longest);
  std::vector<EncoderWork> work(arrays_.size());
  Travel travel;
  travel.leaving.resize(static_cast<size_t>(rows_.size()));
  travel.arriving.resize(static_cast<size_t>(rows_.size()));
  for (auto& micro_batch : all) {
    for (size_t e = 0; e < micro_batch.size(); ++e) {
      work[e] += deal_over_rows(micro_batch[e]);
      plan(e, micro_batch[e], travel);
    }
  }
  carry<float>(travel);
  carry<int64_t>(travel);
  own = std::move(all);
  return work;
}

}  // namespace veomni
