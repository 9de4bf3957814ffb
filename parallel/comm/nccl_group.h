#pragma once
// The inside of NcclCommunicator: the group, its stream, starting and waiting.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parallel/comm/nccl.h"
#include "parallel/comm/nccl_table.h"

namespace veomni {

class NcclGroup : public std::enable_shared_from_this<NcclGroup> {
 public:
  /// `owned` is null, or the very host, which then lives as long as the group.
  NcclGroup(Communicator& host, std::unique_ptr<Communicator> owned, const NcclSettings& settings);
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  struct Call {
    const char* name;
    std::vector<at::Tensor> tensors;  ///< kept until the end
    std::function<int(void* communicator, void* stream)> enqueue;
  };
  /// Runs the call on the group's stream, behind what the current stream holds now.
  std::unique_ptr<Work> start(const Call& call);
  /// Holds the host until `event` has come.
  void wait(void* event, const char* call);
  /// Makes the current stream wait for `event`, so that memory of an abandoned call is not reused
  /// too early.
  void order_behind(void* event) noexcept;

  /// NCCL's name of the tensor's dtype. Throws c10::Error for other dtypes, layouts and devices.
  int32_t check_tensor(const at::Tensor& tensor, const char* call) const;

  void close();
  void abort() noexcept;

  Communicator& host() const { return host_; }
  const NcclSettings& settings() const { return settings_; }
  const VeomniNcclTable& table() const { return table_; }
  double seconds() const { return seconds_; }

 private:
  [[noreturn]] void fail(const char* call, const std::string& what);
  void check(int code, const char* call);
  void settle(int code, const char* call);
  void poll(const std::function<int()>& done, int again, const char* call);
  void connect();
  void* current_stream() const;
  void require_open(const char* call) const;

  std::unique_ptr<Communicator> owned_host_;
  Communicator& host_;
  NcclSettings settings_;
  const VeomniNcclTable& table_;
  void* communicator_ = nullptr;
  void* stream_ = nullptr;
  std::string failure_;  ///< why the group was aborted
  double seconds_ = 0;
};

}  // namespace veomni
