#include "cmd/engine_library.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"

namespace veomni {

namespace fs = std::filesystem;

std::string program_folder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string library_path(const std::string& name) {
  const fs::path folder = program_folder();
  for (const fs::path& candidate : {folder / name, folder / ".." / "lib" / name}) {
    std::error_code error;
    if (fs::exists(candidate, error)) return candidate.lexically_normal().string();
  }
  return "";
}

int run_engine(const Json& request) {
  constexpr const char* kName = "libveomni_engine.so";
  const std::string path = library_path(kName);
  require<ConfigError>(!path.empty(),
                       "{}: not found beside {} or in ../lib; build it, or install again", kName,
                       program_folder());
  // Global: Open MPI loads components of its own that look for the symbols of libmpi.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw ConfigError(fmt::format("{}: cannot be loaded: {}; run 'veomni doctor'", kName, reason));
  }
  using Main = int (*)(const char*);
  const auto engine_main = reinterpret_cast<Main>(dlsym(library, "veomni_engine_main"));
  require<ConfigError>(engine_main != nullptr, "{}: of another version; install again", path);
  return engine_main(request.dump().c_str());  // never unloaded: its threads may outlive the call
}

}  // namespace veomni
