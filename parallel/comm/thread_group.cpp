#include "parallel/comm/thread_group.h"

#include <numeric>

namespace veomni::comm {
namespace {

std::string describe(const ThreadArgument& argument) {
  std::string text = call_name(argument.kind);
  if (!argument.in.defined()) return text;
  text += fmt::format(" of {} {} elements", argument.in.numel(),
                      c10::toString(argument.in.scalar_type()));
  return argument.kind == CallKind::broadcast ? text + fmt::format(" from {}", argument.root)
                                              : text;
}

bool same_call(const ThreadArgument& a, const ThreadArgument& b) {
  if (a.kind != b.kind || a.root != b.root) return false;
  if (!a.in.defined() || !b.in.defined()) return a.in.defined() == b.in.defined();
  return a.in.scalar_type() == b.in.scalar_type() &&
         (a.kind == CallKind::all_to_all || a.in.numel() == b.in.numel());
}

/// Sum in rank order; bf16 in f32.
at::Tensor ordered_sum(const std::vector<ThreadArgument>& arguments) {
  const at::Tensor& first = arguments[0].in;
  const bool low = first.scalar_type() == at::kBFloat16;
  at::Tensor sum = low ? first.to(at::kFloat) : first.clone();
  for (size_t rank = 1; rank < arguments.size(); ++rank) sum.add_(arguments[rank].in);
  return low ? sum.to(first.scalar_type()) : sum;
}

void all_to_all(std::vector<ThreadArgument>& arguments) {
  const size_t size = arguments.size();
  std::vector<int64_t> sent(size, 0);
  for (size_t to = 0; to < size; ++to) {
    int64_t received = 0;
    for (size_t from = 0; from < size; ++from) {
      const int64_t count = arguments[to].receive[from];
      TORCH_CHECK(arguments[from].send[to] == count, "rank ", from, " sends ",
                  arguments[from].send[to], " to rank ", to, ", which expects ", count);
      arguments[to]
          .out.view(-1)
          .narrow(0, received, count)
          .copy_(arguments[from].in.view(-1).narrow(0, sent[from], count));
      received += count;
      sent[from] += count;
    }
  }
}

void run(std::vector<ThreadArgument>& arguments) {
  const at::NoGradGuard no_grad;
  const CallKind kind = arguments[0].kind;
  if (kind == CallKind::barrier) return;
  if (kind == CallKind::all_to_all) return all_to_all(arguments);
  const auto size = static_cast<int64_t>(arguments.size());
  const bool reduces = kind == CallKind::all_reduce || kind == CallKind::reduce_scatter;
  const at::Tensor sum = reduces ? ordered_sum(arguments).view(-1) : at::Tensor();
  for (int64_t rank = 0; rank < size; ++rank) {
    at::Tensor out = arguments[static_cast<size_t>(rank)].out.view(-1);
    if (kind == CallKind::all_reduce) out.copy_(sum);
    if (kind == CallKind::reduce_scatter) out.copy_(sum.view({size, -1})[rank]);
    const auto root = static_cast<size_t>(arguments[0].root);
    if (kind == CallKind::broadcast && out.data_ptr() != arguments[root].in.data_ptr()) {
      out.copy_(arguments[root].in.view(-1));
    }
    if (kind != CallKind::all_gather) continue;
    for (int64_t from = 0; from < size; ++from) {
      out.view({size, -1})[from].copy_(arguments[static_cast<size_t>(from)].in.view(-1));
    }
  }
}

}  // namespace

const char* call_name(CallKind kind) {
  switch (kind) {
    case CallKind::all_reduce:
      return "all_reduce";
    case CallKind::all_gather:
      return "all_gather";
    case CallKind::reduce_scatter:
      return "reduce_scatter";
    case CallKind::all_to_all:
      return "all_to_all";
    case CallKind::broadcast:
      return "broadcast";
    case CallKind::barrier:
      break;
  }
  return "barrier";
}

std::shared_ptr<ThreadCall> ThreadGroup::post(int64_t sequence, int rank, ThreadArgument argument) {
  const std::lock_guard lock(world->mutex);
  auto& entry = calls[sequence];
  if (!entry) {
    entry = std::make_shared<ThreadCall>();
    entry->arguments.resize(static_cast<size_t>(size));
    entry->present.resize(static_cast<size_t>(size));
  }
  const auto call = entry;
  const auto self = static_cast<size_t>(rank);
  for (size_t other = 0; other < call->present.size(); ++other) {
    if (!call->present[other] || same_call(call->arguments[other], argument)) continue;
    call->error =
        fmt::format("rank {} called {}, rank {} called {}; all ranks must make the same calls",
                    other, describe(call->arguments[other]), rank, describe(argument));
    break;
  }
  call->arguments[self] = std::move(argument);
  call->present[self] = true;
  if (++call->arrived == size) {
    try {
      if (call->error.empty()) run(call->arguments);
    } catch (const c10::Error& error) {
      call->error = error.what_without_backtrace();
    }
    call->done = true;
    call->arguments.clear();
    calls.erase(sequence);
  }
  if (call->done || !call->error.empty()) world->changed.notify_all();
  return call;
}

}  // namespace veomni::comm
