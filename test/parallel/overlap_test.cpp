// How much of an exchange hides behind computing, on a link with a bandwidth. Both take their time by a clock of the rank's
// own, which only they move: nothing depends on the machine.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <catch2/catch.hpp>
#include <functional>

#include "parallel/comm/thread.h"
#include "parallel/expert/expert_parallel.h"
#include "parallel/sequence/ulysses.h"

using namespace veomni;

namespace {

// Seconds of a message: its latency, and its elements at the bandwidth of the link; of computing: its elements.
constexpr double kLatency = 0.1, kLink = 0.05, kCompute = 0.15;
thread_local double now = 0;

double seconds_of(const at::Tensor& x, double each) {
  return static_cast<double>(x.numel()) * each;
}

/// Identity that takes its time, forward and backward.
struct Computing : torch::autograd::Function<Computing> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    now += seconds_of(x, kCompute);
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    now += seconds_of(gradients[0], kCompute);
    return gradients;
  }
};

/// all_to_all takes its time from its start, or from when the one before it on the same link has arrived.
class SlowLink final : public Communicator {
 public:
  explicit SlowLink(Communicator& group) : group_(group) {}
  const std::string& name() const override { return group_.name(); }
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  double seconds() const override { return group_.seconds(); }
  std::unique_ptr<Work> start_all_reduce(at::Tensor& t) override {
    return group_.start_all_reduce(t);
  }
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override {
    return group_.start_all_gather(out, in);
  }
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override {
    return group_.start_reduce_scatter(out, in);
  }
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send,
                                         const std::vector<int64_t>& receive) override {
    const bool slow = in.is_floating_point();  // the experts' counts are small
    if (slow) {
      const double takes = kLatency + seconds_of(in, kLink);
      travelled += takes;
      free_ = std::max(free_, now) + takes;
    }
    return std::make_unique<Arriving>(*this, group_.start_all_to_all(out, in, send, receive),
                                      slow ? free_ : now);
  }
  std::unique_ptr<Work> start_broadcast(at::Tensor& t, int root) override {
    return group_.start_broadcast(t, root);
  }
  void barrier() override { group_.barrier(); }
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override {
    return group_.split(colour, name);
  }

  double waited = 0;     ///< until what was waited for had arrived
  double travelled = 0;  ///< all exchanges, one after the other

 private:
  struct Arriving : Work {
    Arriving(SlowLink& its_link, std::unique_ptr<Work> its_work, double its_arrival)
        : link(its_link), work(std::move(its_work)), arrival(its_arrival) {}
    void wait() override {
      work->wait();
      link.waited += std::max(0.0, arrival - now);
      now = std::max(now, arrival);
    }
    SlowLink& link;
    std::unique_ptr<Work> work;
    double arrival;
  };
  Communicator& group_;
  double free_ = 0;
};

struct Times {
  double waited = 0, travelled = 0;
  double hidden() const { return 1 - waited / travelled; }
};

/// Of rank 0 of two in `run`.
Times times_of(const std::function<void(Communicator&)>& run) {
  Times times;
  run_ranks(2, [&](Communicator& world) {
    now = 0;
    SlowLink link(world);
    run(link);
    if (world.rank() == 0) times = {link.waited, link.travelled};
  });
  return times;
}

}  // namespace

TEST_CASE("overlap: Ulysses hides all but the result of its last heads", "[parallel][overlap]") {
  // Attention with so many heads of its own on each rank.
  const auto attention = [](int64_t heads, bool overlap) {
    return [heads, overlap](Communicator& link) {
      constexpr int64_t kTokens = HeadExchange::kGroupTokens;
      const TokenShare share{link, {kTokens, kTokens}, overlap};
      const kernels::AttentionShape shape{
          .query_heads = 2 * heads, .key_value_heads = 2 * heads, .head_dim = 2};
      HeadExchange exchange(share, shape);
      const int64_t groups = exchange.groups();
      auto x = at::ones({kTokens, 4 * heads / groups}).requires_grad_();
      for (int64_t i = 0; i < 3 * groups; ++i) exchange.send(Computing::apply(x));
      for (int64_t i = 0; i < groups; ++i)
        exchange.send_back(Computing::apply(exchange.receive()).narrow(1, 0, 2 * heads / groups));
      exchange.finish().sum().backward();
    };
  };
  CHECK(times_of(attention(4, false)).hidden() == Approx(0).margin(1e-9));
  // Three projections and a result each way, in 1, 2 or 4 groups. One group has also nothing to hide its last projection
  // behind.
  CHECK(times_of(attention(1, true)).hidden() == Approx(1.0 / 2).margin(1e-3));
  CHECK(times_of(attention(2, true)).hidden() == Approx(7.0 / 8).margin(1e-3));
  CHECK(times_of(attention(4, true)).hidden() == Approx(15.0 / 16).margin(1e-3));
}

TEST_CASE("overlap: experts hide all but the first part's way there and the last one's back",
          "[parallel][overlap]") {
  const auto layer = [](int parts) {
    return [parts](Communicator& link) {
      auto x = at::ones({64, 4}).requires_grad_();
      const auto chosen = at::arange(64).remainder(2).view({64, 1});
      const auto out = expert_parallel({x, at::ones({64, 1}), chosen}, 2, {&link, parts},
                                       [](const at::Tensor& rows, const at::Tensor&,
                                          const at::Tensor&) { return Computing::apply(rows); });
      out.sum().backward();
    };
  };
  CHECK(times_of(layer(1)).hidden() == Approx(0).margin(1e-9));
  // Of 2 parts two journeys each way, of which the first and the last of a direction show; of 8 parts two of sixteen.
  CHECK(times_of(layer(2)).hidden() == Approx(1.0 / 2));
  CHECK(times_of(layer(8)).hidden() == Approx(7.0 / 8));
}
