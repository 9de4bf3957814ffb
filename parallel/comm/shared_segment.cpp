#include "parallel/comm/shared_segment.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace veomni::comm {

SharedSegment::SharedSegment(int descriptor, char* data, int64_t bytes)
    : id_{getpid(), descriptor}, data_(data), bytes_(bytes) {}

SharedSegment::~SharedSegment() {
  close_descriptor();
  munmap(data_, static_cast<size_t>(bytes_));
}

void SharedSegment::close_descriptor() {
  if (id_.descriptor >= 0) close(static_cast<int>(id_.descriptor));
  id_.descriptor = -1;
}

std::unique_ptr<SharedSegment> SharedSegment::map(int descriptor, int64_t bytes) {
  if (descriptor < 0) return nullptr;
  struct stat status {};
  void* data = MAP_FAILED;
  if (fstat(descriptor, &status) == 0 && status.st_size == bytes)
    data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor,
                0);
  if (data == MAP_FAILED) {
    close(descriptor);
    return nullptr;
  }
  return std::unique_ptr<SharedSegment>(
      new SharedSegment(descriptor, static_cast<char*>(data), bytes));
}

std::unique_ptr<SharedSegment> SharedSegment::create(int64_t bytes) {
  const int descriptor = memfd_create("veomni", MFD_CLOEXEC);
  if (descriptor >= 0 && ftruncate(descriptor, bytes) != 0) {
    close(descriptor);
    return nullptr;
  }
  return map(descriptor, bytes);
}

std::unique_ptr<SharedSegment> SharedSegment::open(Id id, int64_t bytes) {
  if (id.process < 0 || id.descriptor < 0) return nullptr;
  const auto path = fmt::format("/proc/{}/fd/{}", id.process, id.descriptor);
  return map(::open(path.c_str(), O_RDWR | O_CLOEXEC), bytes);
}

}  // namespace veomni::comm
