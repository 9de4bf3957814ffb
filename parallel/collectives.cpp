#include "parallel/collectives.h"

#include <torch/types.h>

#include <numeric>

#include "kernels/kept.h"

namespace veomni {

struct RowExchange::State {
  Communicator& group;
  RowCounts counts;
  std::unique_ptr<Work> work, work_back;  // tensors of a work live as long as it does
  at::Tensor gradient;                    // that work_back fills

  CommLedger* ledger;
  std::string unit;

  State(Communicator& its_group, RowCounts its_counts, CommLedger* its_ledger)
      : group(its_group),
        counts(std::move(its_counts)),
        ledger(its_ledger),
        unit(ledger != nullptr ? ledger->unit() : "") {}

  static std::vector<int64_t> elements(const std::vector<int64_t>& rows, int64_t width) {
    std::vector<int64_t> counts;
    for (const int64_t count : rows) counts.push_back(count * width);
    return counts;
  }

  /// Starts sending `in`; what comes back will be in the result.
  at::Tensor start(const at::Tensor& in, bool back, std::unique_ptr<Work>& started) const {
    const auto& send = back ? counts.receive : counts.send;
    const auto& receive = back ? counts.send : counts.receive;
    const int64_t width = in.size(1);
    TORCH_CHECK(std::accumulate(send.begin(), send.end(), int64_t{0}) == in.size(0),
                "exchange_rows: ", in.size(0), " rows, the counts say otherwise");
    at::Tensor out = at::empty({std::accumulate(receive.begin(), receive.end(), int64_t{0}), width},
                               in.options());
    const CommUnit counted(ledger, unit);
    started = group.start_all_to_all(out, in, elements(send, width), elements(receive, width));
    return out;
  }
};

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using SharedState = std::shared_ptr<RowExchange::State>;

struct Start : torch::autograd::Function<Start> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows,
                            const SharedState& state) {
    kernels::keep(context, state);
    return state->start(rows.contiguous(), false, state->work);
  }
  /// The gradients that Finish's backward has started to send.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    RowExchange::State& state = *kernels::kept<SharedState>(context);
    (void)gradients;
    state.work_back->wait();
    state.work_back.reset();
    return {std::exchange(state.gradient, {}), at::Tensor()};
  }
};

struct Finish : torch::autograd::Function<Finish> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& arriving,
                            const SharedState& state) {
    kernels::keep(context, state);
    state->work->wait();
    state->work.reset();
    return arriving.view_as(arriving);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    RowExchange::State& state = *kernels::kept<SharedState>(context);
    const at::Tensor& gradient = gradients[0];
    state.gradient = state.start(gradient.contiguous(), true, state.work_back);
    // What is on its way has the rows that were sent; the graph wants as many as arrived, and nobody reads them.
    return {at::zeros({1, 1}, gradient.options()).expand(gradient.sizes()), at::Tensor()};
  }
};

}  // namespace

RowExchange::RowExchange(Communicator& group, const at::Tensor& rows, RowCounts counts,
                         CommLedger* ledger)
    : state_(std::make_shared<State>(group, std::move(counts), ledger)),
      arriving_(Start::apply(rows, state_)) {}

at::Tensor RowExchange::finish() { return Finish::apply(std::exchange(arriving_, {}), state_); }

at::Tensor exchange_rows(Communicator& group, const at::Tensor& rows, const RowCounts& counts,
                         CommLedger* ledger) {
  return RowExchange(group, rows, counts, ledger).finish();
}

}  // namespace veomni
