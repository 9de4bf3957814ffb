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

constexpr double kTransfer = 2, kComputing = 3;
thread_local double now = 0;

/// Identity that takes its time, forward and backward.
struct Computing : torch::autograd::Function<Computing> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    now += kComputing;
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    now += kComputing;
    return gradients;
  }
};

/// all_to_all arrives kTransfer after its start, or after the one before it on the same link has arrived.
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
    if (slow) free_ = std::max(free_, now) + kTransfer;
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

  double waited = 0;  ///< until what was waited for had arrived

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

/// For how many transfers rank 0 of two waited in `run`.
double transfers_waited(const std::function<void(Communicator&)>& run) {
  double waited = 0;
  run_ranks(2, [&](Communicator& world) {
    now = 0;
    SlowLink link(world);
    run(link);
    if (world.rank() == 0) waited = link.waited;
  });
  return waited / kTransfer;
}

}  // namespace

TEST_CASE("overlap: Ulysses hides the exchange of each projection behind the next one",
          "[parallel][overlap]") {
  const auto attention = [](bool overlap) {
    return [overlap](Communicator& link) {
      const TokenShare share{link, {4, 4}, overlap};
      const kernels::AttentionShape shape{.query_heads = 2, .key_value_heads = 2, .head_dim = 4};
      auto x = at::ones({4, 8}).requires_grad_();
      HeadExchange exchange(share, shape);
      exchange.send_query(Computing::apply(x));
      exchange.send_key_value(Computing::apply(x));
      exchange.send_key_value(Computing::apply(x));
      exchange.receive().sum().backward();
    };
  };
  // Three exchanges each way, in each direction one has nothing left to hide behind.
  CHECK(transfers_waited(attention(false)) == Approx(6));
  const double exposed = transfers_waited(attention(true));
  CHECK(exposed == Approx(2));
}

TEST_CASE("overlap: experts hide half of their exchanges behind the other half of the tokens",
          "[parallel][overlap]") {
  const auto layer = [](bool overlap) {
    return [overlap](Communicator& link) {
      auto x = at::ones({8, 4}).requires_grad_();
      const auto chosen = at::arange(8).remainder(2).view({8, 1});
      const auto out = expert_parallel({x, at::ones({8, 1}), chosen}, 2, {&link, overlap},
                                       [](const at::Tensor& rows, const at::Tensor&,
                                          const at::Tensor&) { return Computing::apply(rows); });
      out.sum().backward();
    };
  };
  // Plain: dispatch and combine, each way. In halves four of them, of which the first and the last of a direction show.
  CHECK(transfers_waited(layer(false)) == Approx(4));
  const double exposed = transfers_waited(layer(true));
  CHECK(exposed == Approx(4));  // of eight, each of which takes as long here as a whole one
}
