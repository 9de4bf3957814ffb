#pragma once
// Memory that processes of one machine have in common.

#include <cstdint>
#include <memory>

namespace veomni::comm {

class SharedSegment {
 public:
  /// How another process finds it: through /proc, so that no name is left behind when all of them are killed.
  struct Id {
    int64_t process = -1, descriptor = -1;
  };

  /// Zeros; takes memory only where it is written. Null where the system refuses.
  static std::unique_ptr<SharedSegment> create(int64_t bytes);
  /// Another process's; null where it cannot be reached. It must be `bytes` long.
  static std::unique_ptr<SharedSegment> open(Id id, int64_t bytes);
  ~SharedSegment();
  SharedSegment(const SharedSegment&) = delete;
  SharedSegment& operator=(const SharedSegment&) = delete;

  Id id() const { return id_; }
  char* data() const { return data_; }
  /// When all have opened it: it stays until the last of them ends.
  void close_descriptor();

 private:
  SharedSegment(int descriptor, char* data, int64_t bytes);
  static std::unique_ptr<SharedSegment> map(int descriptor, int64_t bytes);

  Id id_;
  char* data_;
  int64_t bytes_;
};

}  // namespace veomni::comm
