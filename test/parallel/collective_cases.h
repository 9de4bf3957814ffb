#pragma once
// One list of checks for every communicator: run by thread ranks and, under mpirun, by MPI ranks. A
// check returns what is wrong ("" when nothing is), so that assertions stay on the main thread.

#include <fmt/format.h>

#include "parallel/fsdp/unit.h"
#include "parallel/mesh.h"

namespace veomni::test {

struct CollectiveCase {
  std::string name;
  std::function<std::string(Communicator&)> run;
};

namespace cases {

inline std::string expect_equal(const at::Tensor& got, const at::Tensor& want,
                                const std::string& what) {
  return got.equal(want) ? "" : fmt::format("{}: wrong values; ", what);
}

/// Integers, so that sums are exact in every dtype: element e of rank r is (r + 1) · (e mod 5).
inline at::Tensor of_rank(int rank, int64_t count, at::ScalarType type) {
  return (at::arange(count, at::kLong).remainder(5) * (rank + 1)).to(type);
}

inline std::string each(const std::function<std::string(int64_t, at::ScalarType)>& check) {
  std::string wrong;
  for (const auto type : {at::kFloat, at::kDouble, at::kInt, at::kLong, at::kByte, at::kBFloat16}) {
    for (const int64_t count : {0, 1, 31, 1000, 70'001}) {
      const std::string one = check(count, type);
      if (!one.empty()) wrong += fmt::format("{} × {}: {}", count, c10::toString(type), one);
    }
  }
  return wrong;
}

inline std::string all_reduce(Communicator& group) {
  const int size = group.size();
  return each([&](int64_t count, at::ScalarType type) {
    at::Tensor t = of_rank(group.rank(), count, type);
    group.all_reduce(t);
    return expect_equal(t, of_rank(size * (size + 1) / 2 - 1, count, type), "all_reduce");
  });
}

inline std::string all_gather(Communicator& group) {
  return each([&](int64_t count, at::ScalarType type) {
    at::Tensor out = at::empty({group.size() * count}, type);
    group.all_gather(out, of_rank(group.rank(), count, type));
    std::vector<at::Tensor> want;
    for (int r = 0; r < group.size(); ++r) want.push_back(of_rank(r, count, type));
    return expect_equal(out, at::cat(want), "all_gather");
  });
}

inline std::string reduce_scatter(Communicator& group) {
  const int size = group.size();
  return each([&](int64_t count, at::ScalarType type) {
    at::Tensor out = at::empty({count}, type);
    group.reduce_scatter(out, of_rank(group.rank(), size * count, type));
    const at::Tensor sum = of_rank(size * (size + 1) / 2 - 1, size * count, type);
    return expect_equal(out, sum.narrow(0, group.rank() * count, count), "reduce_scatter");
  });
}

/// Rank r sends r + to elements to rank `to`, each 10 · r + to.
inline std::string all_to_all(Communicator& group) {
  const int me = group.rank(), size = group.size();
  std::vector<int64_t> send, receive;
  std::vector<at::Tensor> in, want;
  for (int other = 0; other < size; ++other) {
    send.push_back(me + other);
    receive.push_back(me + other);
    in.push_back(at::full({me + other}, 10 * me + other, at::kFloat));
    want.push_back(at::full({me + other}, 10 * other + me, at::kFloat));
  }
  at::Tensor out = at::empty({at::cat(want).numel()}, at::kFloat);
  group.all_to_all(out, at::cat(in), send, receive);
  return expect_equal(out, at::cat(want), "all_to_all");
}

inline std::string broadcast(Communicator& group) {
  std::string wrong;
  for (int root = 0; root < group.size(); ++root) {
    wrong += each([&](int64_t count, at::ScalarType type) {
      at::Tensor t = of_rank(group.rank(), count, type);
      group.broadcast(t, root);
      return expect_equal(t, of_rank(root, count, type), "broadcast");
    });
  }
  group.barrier();
  return wrong;
}

/// Several works under way, waited for in another order.
inline std::string started_together(Communicator& group) {
  const int size = group.size();
  at::Tensor a = of_rank(group.rank(), 300'000, at::kFloat),
             b = of_rank(group.rank(), 7, at::kLong);
  const at::Tensor c = of_rank(group.rank(), 50'000, at::kFloat);
  at::Tensor gathered = at::empty({size * 50'000}, at::kFloat),
             part = at::empty({300'000 / 12}, at::kFloat);
  const at::Tensor d = of_rank(group.rank(), size * part.numel(), at::kFloat);
  auto first = group.start_all_reduce(a);
  auto second = group.start_all_gather(gathered, c);
  auto third = group.start_reduce_scatter(part, d);
  auto fourth = group.start_all_reduce(b);
  fourth->wait();
  third->wait();
  first->wait();
  second->wait();
  second->wait();
  const int factor = size * (size + 1) / 2 - 1;
  return expect_equal(a, of_rank(factor, 300'000, at::kFloat), "first") +
         expect_equal(b, of_rank(factor, 7, at::kLong), "fourth") +
         expect_equal(gathered.narrow(0, 0, 50'000), of_rank(0, 50'000, at::kFloat), "second") +
         expect_equal(part,
                      of_rank(factor, size * part.numel(), at::kFloat)
                          .narrow(0, group.rank() * part.numel(), part.numel()),
                      "third");
}

/// Floats whose sum depends on the order: every rank must get the same bits, twice.
inline std::string same_bits(Communicator& group) {
  std::string wrong;
  for (const int64_t count : {5, 3000, 20'000, 400'000}) {
    const auto sum_once = [&] {
      auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(group.rank()) + 5);
      at::Tensor t = at::randn({count}, generator, at::kFloat);
      group.all_reduce(t);
      return t;
    };
    const at::Tensor sum = sum_once();
    at::Tensor all = at::empty({group.size() * count}, at::kFloat);
    group.all_gather(all, sum);
    for (int r = 0; r < group.size(); ++r) {
      wrong += expect_equal(all.narrow(0, r * count, count), sum, fmt::format("rank {}", r));
    }
    wrong += expect_equal(sum_once(), sum, "second time");
  }
  return wrong;
}

inline std::string split(Communicator& group) {
  const int me = group.rank(), size = group.size();
  const auto half = group.split(me % 2, "parity");
  const auto nested = half->split(0, "nested");
  at::Tensor t = at::full({3}, me, at::kLong);
  half->all_reduce(t);
  int64_t sum = 0, members = 0;
  for (int r = me % 2; r < size; r += 2, ++members) sum += r;
  std::string wrong = expect_equal(t, at::full({3}, sum, at::kLong), "sum in the half");
  if (half->size() != members || half->rank() != me / 2) wrong += "wrong size or rank; ";
  if (nested->size() != members || nested->name() != "nested") wrong += "nested split; ";
  if (half->timeout() != group.timeout()) wrong += "timeout was not handed on; ";
  return wrong;
}

inline std::string wrong_arguments(Communicator& group) {
  const auto refused = [](const std::function<void()>& call) {
    try {
      call();
    } catch (const c10::Error&) {
      return "";
    }
    return "accepted wrong arguments; ";
  };
  at::Tensor two = at::zeros({2}, at::kFloat), half = at::zeros({2}, at::kHalf);
  at::Tensor strided = at::zeros({4, 4}, at::kFloat).t();
  const at::Tensor wrong = at::zeros({2 * group.size() + 1}, at::kFloat);
  return std::string(refused([&] { group.all_reduce(half); })) +
         refused([&] { group.all_reduce(strided); }) +
         refused([&] { group.all_gather(two, wrong); }) +
         refused([&] { group.reduce_scatter(two, wrong); }) +
         refused([&] { group.broadcast(two, group.size()); }) +
         refused([&] { group.all_to_all(two, two, {}, {}); });
}

inline std::string mesh(Communicator& group) {
  if (group.size() % 2 != 0) return "";
  Mesh mesh(group, {.replicate = 2, .shard = 0});
  std::string wrong;
  if (mesh.dense().size() != group.size() / 2 || mesh.replicate().size() != 2) wrong += "sizes; ";
  if (mesh.data().size() != group.size() || mesh.data().rank() != group.rank()) wrong += "data; ";
  at::Tensor ranks = at::empty({mesh.dense().size()}, at::kLong);
  mesh.dense().all_gather(ranks, at::full({1}, group.rank(), at::kLong));
  const int64_t first = group.rank() / mesh.dense().size() * mesh.dense().size();
  return wrong + expect_equal(ranks, at::arange(first, first + mesh.dense().size()), "layout");
}

}  // namespace cases

inline const std::vector<CollectiveCase>& collective_cases() {
  using namespace cases;
  static const std::vector<CollectiveCase> list{{"all_reduce", all_reduce},
                                                {"all_gather", all_gather},
                                                {"reduce_scatter", reduce_scatter},
                                                {"all_to_all", all_to_all},
                                                {"broadcast", broadcast},
                                                {"started together", started_together},
                                                {"same bits", same_bits},
                                                {"split", split},
                                                {"wrong arguments", wrong_arguments},
                                                {"mesh", mesh}};
  return list;
}

}  // namespace veomni::test
