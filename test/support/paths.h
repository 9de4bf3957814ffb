#pragma once
// Where the checkout and the program are, from where the test itself lies (build/<preset>/bin): a path given on the compiler's
// command line would keep the compiler cache from serving another clone.

#include <filesystem>
#include <string>

namespace veomni::test {

inline std::filesystem::path test_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}
inline std::string source_dir() { return (test_folder() / ".." / ".." / "..").lexically_normal().string(); }
inline std::string program_path() { return (test_folder() / "veomni").string(); }

}  // namespace veomni::test
