#pragma once
// What the program asks of a group of ranks. Implementations: parallel/comm (thread, mpi, nccl).

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace at {
class Tensor;
}

namespace veomni {

/// A started collective. Its tensors must stay untouched until wait() returns; their memory lives
/// as long as the work. Waiting twice is allowed. Works may be waited for in any order.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;  ///< throws CommError: `shard: rank 3 of 8: all_reduce: …`
};

/// A group of ranks. Every call is collective: all ranks of the group make the same calls in the
/// same order. Tensors are contiguous, of one dtype on all ranks (f32, f64, i32, i64, u8; bf16 is
/// reduced in f32); results do not depend on timing, and every rank gets the same bits.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual const std::string& name()
      const = 0;  ///< of the group, for errors: world, data, shard, replicate
  virtual int rank() const = 0;
  virtual int size() const = 0;

  virtual std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) = 0;  ///< sum, in place
  /// out [size × n] ← every rank's in [n]
  virtual std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) = 0;
  /// out [n] ← this rank's part of the sum over ranks of in [size × n]
  virtual std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) = 0;
  /// Element counts to and from each rank; both sum to numel of in and out.
  virtual std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                                 const std::vector<int64_t>& send_counts,
                                                 const std::vector<int64_t>& receive_counts) = 0;
  virtual std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  /// Ranks with the same colour form a new group, ordered by rank here. Collective.
  virtual std::unique_ptr<Communicator> split(int colour, const std::string& name) = 0;

  /// Seconds this rank has spent waiting in this group so far.
  virtual double seconds() const = 0;

  /// How long a call may wait for the other ranks; split() hands it on.
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  std::chrono::milliseconds timeout() const { return timeout_; }
  /// `shard: rank 3 of 8: all_reduce`, the beginning of every error of a call.
  std::string where(const std::string& call) const {
    return name() + ": rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ": " +
           call;
  }

  void all_reduce(at::Tensor& t) { start_all_reduce(t)->wait(); }
  void all_gather(at::Tensor& out, const at::Tensor& in) { start_all_gather(out, in)->wait(); }
  void reduce_scatter(at::Tensor& out, const at::Tensor& in) {
    start_reduce_scatter(out, in)->wait();
  }
  void all_to_all(at::Tensor& out, const at::Tensor& in, const std::vector<int64_t>& send,
                  const std::vector<int64_t>& receive) {
    start_all_to_all(out, in, send, receive)->wait();
  }
  void broadcast(at::Tensor& t, int root) { start_broadcast(t, root)->wait(); }

 private:
  std::chrono::milliseconds timeout_{600'000};
};

}  // namespace veomni
