// n ids, V vocabulary, D dim
#include <numeric>

#include "test/cuda/support.h"

namespace veomni::test {

TEST_CASE("cuda embedding: rows by id; an id past the table is told and gives zeros",
          "[cuda][gpu]") {
  const auto p = GENERATE(VEOMNI_PRECISIONS);
  const size_t dim = GENERATE(1u, 200u);
  const Doubles weight = draw(p.scalar, 10 * dim, 1);
  for (const int64_t last : {int64_t{9}, int64_t{10}, int64_t{-1}}) {
    const std::vector<int64_t> ids = {3, 0, 3, last};
    Doubles want;
    for (const int64_t id : ids) {
      for (size_t d = 0; d < dim; ++d) {
        want.push_back(id >= 0 && id < 10 ? weight[static_cast<size_t>(id) * dim + d] : 0);
      }
    }
    const Scalars weight_d(p.scalar, weight), out(p.scalar, want.size());
    const Device<int64_t> ids_d(ids);
    const Device<int32_t> bad(std::vector<int32_t>{0});
    VeomniEmbedding a{};
    a.weight = weight_d.get(), a.ids = ids_d.get(), a.out = out.get(), a.bad_id = bad.get();
    a.count = 4, a.dim = static_cast<int64_t>(dim), a.vocabulary = 10, a.scalar = p.scalar;
    check_call(table().embedding(&a, nullptr));
    CHECK(out.host() == want);
    CHECK(bad.host()[0] == (last == 9 ? 0 : 1));
  }
}

TEST_CASE("cuda embedding: gradients of equal ids are summed, dense and by touched rows",
          "[cuda][gpu]") {
  const auto p = GENERATE(VEOMNI_PRECISIONS);
  const size_t count = 50, dim = GENERATE(3u, 200u), vocabulary = 12;
  std::mt19937 engine(3);
  std::vector<int64_t> ids(count), order(count), sorted, touched, rows;
  for (int64_t& id : ids) id = static_cast<int64_t>(engine() % vocabulary);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return ids[static_cast<size_t>(a)] < ids[static_cast<size_t>(b)];
  });
  for (const int64_t i : order) {
    sorted.push_back(ids[static_cast<size_t>(i)]);
    if (touched.empty() || touched.back() != sorted.back()) touched.push_back(sorted.back());
    rows.push_back(static_cast<int64_t>(touched.size()) - 1);
  }
  const Doubles grad_out = draw(p.scalar, count * dim, 1);
  Doubles dense(vocabulary * dim), compact;
  for (size_t i = 0; i < count * dim; ++i) {
    dense[static_cast<size_t>(ids[i / dim]) * dim + i % dim] += grad_out[i];
  }
  for (const int64_t id : touched) {
    const auto row = dense.begin() + id * static_cast<long>(dim);
    compact.insert(compact.end(), row, row + static_cast<long>(dim));
  }
  const Scalars grad_d(p.scalar, grad_out);
  const Device<int64_t> sorted_d(sorted), order_d(order), rows_d(rows);
  const Device<float> grad(std::vector<float>(vocabulary * dim, 0)),
      grad_rows(touched.size() * dim);
  VeomniEmbedding a{};
  a.ids = sorted_d.get(), a.order = order_d.get(), a.grad_out = grad_d.get(), a.grad = grad.get();
  a.count = count, a.dim = static_cast<int64_t>(dim), a.scalar = p.scalar;
  check_call(table().embedding_backward(&a, nullptr));
  check_close(doubles(grad.host()), dense, 2e-6);
  a.rows = rows_d.get(), a.grad = grad_rows.get();
  check_call(table().embedding_backward(&a, nullptr));
  check_close(doubles(grad_rows.host()), compact, 2e-6);
}

}  // namespace veomni::test
