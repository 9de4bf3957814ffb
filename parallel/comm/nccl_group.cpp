#include "parallel/comm/nccl_group.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <thread>

#include "core/error.h"
#include "kernels/cuda_library.h"

namespace veomni {
namespace {

using Clock = std::chrono::steady_clock;

const VeomniNcclTable& load_table() {
  using Get = const VeomniNcclTable*(int);
  const auto get = reinterpret_cast<Get*>(kernels::cuda_symbol("veomni_nccl_table"));
  const VeomniNcclTable* table = get(kVeomniNcclTableVersion);
  require<DeviceError>(table != nullptr,
                       "device: libveomni_cuda.so is of another version; build it again");
  return *table;
}

c10::Device device_of(const NcclSettings& settings) {
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(settings.device_index)};
}

/// Short waits answer at once; long ones leave the core to others.
void pause(int round) {
  if (round < 200) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

class NcclWork final : public Work {
 public:
  NcclWork(std::shared_ptr<NcclGroup> group, NcclGroup::Call call, void* event)
      : group_(std::move(group)), call_(std::move(call)), event_(event) {}
  ~NcclWork() override {
    if (!waited_) group_->order_behind(event_);
    (void)group_->table().event_destroy(event_);
  }
  void wait() override {
    if (waited_) return;
    group_->wait(event_, call_.name);
    waited_ = true;
    call_.tensors.clear();
  }

 private:
  std::shared_ptr<NcclGroup> group_;
  NcclGroup::Call call_;
  void* event_;
  bool waited_ = false;
};

}  // namespace

NcclGroup::NcclGroup(Communicator& host, std::unique_ptr<Communicator> owned,
                     const NcclSettings& settings)
    : owned_host_(std::move(owned)), host_(host), settings_(settings), table_(load_table()) {
  const c10::DeviceGuard guard(device_of(settings_));
  try {
    check(table_.stream_create(&stream_), "stream");
    connect();
  } catch (...) {  // no destructor runs for a half-made group
    abort();
    throw;
  }
}

NcclGroup::~NcclGroup() { abort(); }

/// Rank 0 makes NCCL's id; the host group carries it to the others.
void NcclGroup::connect() {
  unsigned char id[kVeomniNcclIdBytes] = {};
  if (host_.rank() == 0) check(table_.unique_id(id), "unique_id");
  at::Tensor bytes = at::from_blob(id, {kVeomniNcclIdBytes}, at::TensorOptions().dtype(at::kByte));
  host_.broadcast(bytes, 0);
  const VeomniNcclInit init{id, host_.rank(), host_.size()};
  settle(table_.init(&init, &communicator_), "init");
}

void NcclGroup::fail(const char* call, const std::string& what) {
  failure_ = fmt::format("{}: rank {} of {}: {}: {}", host_.name(), host_.rank(), host_.size(),
                         call, what);
  abort();
  throw CommError(failure_);
}

void NcclGroup::check(int code, const char* call) {
  if (code == 0) return;
  std::string what = table_.error_text(code);
  const char* detail = code >= kVeomniNcclBase && communicator_ != nullptr
                           ? table_.last_error(communicator_)
                           : nullptr;
  if (detail != nullptr && *detail != '\0') what += fmt::format(" ({})", detail);
  for (char& c : what) c = c == '\n' ? ' ' : c;
  fail(call, what);
}

void NcclGroup::settle(int code, const char* call) {
  if (code != kVeomniNcclInProgress) return check(code, call);
  poll([this] { return table_.async_error(communicator_); }, kVeomniNcclInProgress, call);
}

void NcclGroup::poll(const std::function<int()>& done, int again, const char* call) {
  const auto begin = Clock::now();
  int code = done();
  for (int round = 0; code == again; ++round, code = done()) {
    const int error = table_.async_error(communicator_);
    if (error != 0 && error != kVeomniNcclInProgress) check(error, call);
    if (Clock::now() - begin > settings_.timeout) {
      const double limit = std::chrono::duration<double>(settings_.timeout).count();
      fail(call, fmt::format("no answer in {:g} s; look for the rank that died or hangs", limit));
    }
    pause(round);
  }
  seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
  check(code, call);
}

void NcclGroup::require_open(const char* call) const {
  require<CommError>(communicator_ != nullptr, "{}: rank {} of {}: {}: the group is {}",
                     host_.name(), host_.rank(), host_.size(), call,
                     failure_.empty() ? "closed" : "aborted after " + failure_);
}

void* NcclGroup::current_stream() const {
  const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
  return guard.getStream(device_of(settings_)).native_handle();
}

std::unique_ptr<Work> NcclGroup::start(const Call& call) {
  require_open(call.name);
  const c10::DeviceGuard guard(device_of(settings_));
  void* event = nullptr;
  check(table_.event_create(&event), call.name);
  auto work = std::make_unique<NcclWork>(shared_from_this(), call, event);
  check(table_.event_record(event, current_stream()), call.name);
  check(table_.stream_wait(stream_, event), call.name);
  settle(call.enqueue(communicator_, stream_), call.name);
  check(table_.event_record(event, stream_), call.name);
  return work;
}

void NcclGroup::wait(void* event, const char* call) {
  require_open(call);
  poll([&] { return table_.event_query(event); }, kVeomniNotReady, call);
}

void NcclGroup::order_behind(void* event) noexcept {
  try {
    (void)table_.stream_wait(current_stream(), event);
  } catch (const std::exception&) {  // LibTorch is going down: nothing will reuse the memory
  }
}

int32_t NcclGroup::check_tensor(const at::Tensor& tensor, const char* call) const {
  TORCH_CHECK(tensor.defined() && tensor.device() == device_of(settings_), host_.name(), ": ", call,
              ": the tensor must be on ", device_of(settings_));
  TORCH_CHECK(tensor.is_contiguous(), host_.name(), ": ", call, ": the tensor must be contiguous");
  switch (tensor.scalar_type()) {
    case at::kByte:
      return kVeomniNcclU8;
    case at::kInt:
      return kVeomniNcclI32;
    case at::kLong:
      return kVeomniNcclI64;
    case at::kFloat:
      return kVeomniNcclF32;
    case at::kDouble:
      return kVeomniNcclF64;
    case at::kBFloat16:
      return kVeomniNcclBf16;
    default:
      break;
  }
  TORCH_CHECK(false, host_.name(), ": ", call, ": the tensor is ", tensor.scalar_type(),
              ", must be u8, i32, i64, f32, f64 or bf16");
}

void NcclGroup::close() {
  if (communicator_ == nullptr) return;
  settle(table_.finalize(communicator_), "close");
  void* finished = std::exchange(communicator_, nullptr);
  check(table_.destroy(finished), "close");
}

void NcclGroup::abort() noexcept {
  void* dead = std::exchange(communicator_, nullptr);
  if (dead != nullptr) (void)table_.abort(dead);
  void* idle = std::exchange(stream_, nullptr);
  if (idle != nullptr) (void)table_.stream_destroy(idle);
}

}  // namespace veomni
