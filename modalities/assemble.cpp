#include "modalities/assemble.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>

#include "kernels/embedding.h"

namespace veomni {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// out[rows[i]] += values[i], i in order; threads share the columns, so the sum's order never depends on them.
void add_rows(float* out, const float* values, const int64_t* rows, int64_t count,
              int64_t columns) {
  at::parallel_for(0, columns, 32, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) {
      float* to = out + rows[i] * columns;
      const float* from = values + i * columns;
      for (int64_t c = begin; c < end; ++c) to[c] += from[c];
    }
  });
}

/// The rows themselves, without laying the sources end to end: an embedding may be most of a model.
at::Tensor copy_rows(const at::Tensor& places, at::TensorList sources) {
  const int64_t tokens = places.size(0), columns = sources[0].size(1);
  const auto row_bytes = static_cast<size_t>(columns) * sources[0].element_size();
  const at::Tensor out = at::empty({tokens, columns}, sources[0].options());
  auto* to = static_cast<char*>(out.mutable_data_ptr());
  const auto* place = places.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < tokens; ++t, to += row_bytes) {
    int64_t row = place[t];
    size_t source = 0;
    while (source < sources.size() && row >= sources[source].size(0))
      row -= sources[source++].size(0);
    TORCH_CHECK(row >= 0 && source < sources.size(), "assemble_rows: places[", t, "] is ", place[t],
                ", which no source has");
    std::memcpy(to,
                static_cast<const char*>(sources[source].const_data_ptr()) +
                    static_cast<size_t>(row) * row_bytes,
                row_bytes);
  }
  return out;
}

/// Where the rows of sources lie in the sum of their gradients: sources without gradient, a frozen embedding among them,
/// take no room but one row at its end, which nobody reads.
struct SumRows {
  std::vector<int64_t> begins;  ///< by source; -1: without gradient
  int64_t count = 0;
  at::Tensor index;  ///< [T] i64: the row of each place

  SumRows(const at::Tensor& places, const std::vector<int64_t>& counts,
          const std::vector<bool>& wanted) {
    for (size_t s = 0; s < counts.size(); ++s) {
      begins.push_back(wanted[s] ? count : -1);
      if (wanted[s]) count += counts[s];
    }
    index = places;
    if (std::find(begins.begin(), begins.end(), -1) == begins.end()) return;
    index = at::empty(places.sizes(), places.options());
    const auto* place = places.const_data_ptr<int64_t>();
    auto* out = index.mutable_data_ptr<int64_t>();
    for (int64_t t = 0; t < places.size(0); ++t) {
      int64_t row = place[t];
      size_t source = 0;
      while (row >= counts[source]) row -= counts[source++];
      out[t] = wanted[source] ? begins[source] + row : count;
    }
    ++count;
  }
};

bool plain(const at::Tensor& source) { return source.is_cpu() && source.is_contiguous(); }

struct Assemble : torch::autograd::Function<Assemble> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& places,
                            at::TensorList sources) {
    std::vector<int64_t> counts;
    for (const auto& source : sources) counts.push_back(source.size(0));
    context->saved_data["counts"] = counts;
    context->save_for_backward({places});
    if (places.is_contiguous() && std::all_of(sources.begin(), sources.end(), plain))
      return copy_rows(places, sources);
    const auto all = sources.size() == 1 ? sources[0] : at::cat(sources);
    return all.index_select(0, places.to(all.device()));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto places = context->get_saved_variables()[0];
    const auto counts = context->saved_data["counts"].toIntVector();
    std::vector<bool> wanted;
    for (size_t s = 0; s < counts.size(); ++s) wanted.push_back(context->needs_input_grad(1 + s));
    const SumRows rows(places, counts, wanted);
    const auto gradient = gradients[0].contiguous();
    auto sum = at::zeros({rows.count, gradient.size(1)}, gradient.options());
    if (gradient.is_cpu() && gradient.scalar_type() == at::kFloat) {
      add_rows(sum.mutable_data_ptr<float>(), gradient.const_data_ptr<float>(),
               rows.index.const_data_ptr<int64_t>(), places.size(0), gradient.size(1));
    } else {
      sum.index_add_(0, rows.index.to(gradient.device()), gradient);
    }
    variable_list out{at::Tensor()};
    for (size_t s = 0; s < counts.size(); ++s)
      out.push_back(wanted[s] ? sum.narrow(0, rows.begins[s], counts[s]) : at::Tensor());
    return out;
  }
};

}  // namespace

at::Tensor assemble_rows(const at::Tensor& places, const std::vector<at::Tensor>& sources) {
  if (sources[0].is_cuda()) {
    const auto all = sources.size() == 1 ? sources[0] : at::cat(sources);
    return kernels::embedding(all, places.to(all.device()));
  }
  return Assemble::apply(places, at::TensorList(sources));
}

}  // namespace veomni
