// veomni doctor: what this machine has for veomni, and how to get what is missing.
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>

#include "cmd/engine_library.h"
#include "cmd/ranks.h"
#include "cmd/verbs.h"
#include "core/exit_status.h"
#include "core/version.h"

namespace veomni {

namespace {

struct Finding {
  std::string what, found, fix;  ///< `found` empty: missing
  bool needed = true;
};

/// First line of what a program prints; empty when it is absent, fails, or takes longer than 5 s.
/// No shell.
std::string first_line_of(std::vector<std::string> command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    std::vector<char*> words;
    words.reserve(command.size() + 1);
    for (std::string& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (child > 0 && text.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait{ends[0], POLLIN, 0};
    if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) <= 0) break;
    const ssize_t bytes = read(ends[0], buffer, sizeof buffer);
    if (bytes <= 0) break;
    text.append(buffer, static_cast<size_t>(bytes));
  }
  close(ends[0]);
  if (child > 0) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  return text.substr(0, text.find('\n'));
}

Finding find_mpi() {
  return {"MPI", first_line_of({"mpirun", "--version"}),
          "install openmpi-bin, or run scripts/setup"};
}

/// Loads the engine, as a training would, and tells which LibTorch came with it.
Finding find_torch() {
  Finding finding{"LibTorch", "", "run scripts/setup, then build again"};
  const std::string engine = library_path("libveomni_engine.so");
  if (engine.empty()) {
    finding.fix =
        "libveomni_engine.so is neither beside the program nor in ../lib; build it, or install "
        "again";
    return finding;
  }
  if (dlopen(engine.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    finding.fix = fmt::format("{}; run scripts/setup, then build again",
                              reason ? reason : "cannot be loaded");
    return finding;
  }
  const auto is_torch = [](dl_phdr_info* info, size_t, void* found) {
    const std::string path = info->dlpi_name;
    if (path.find("libtorch_cpu.so") == std::string::npos) return 0;
    *static_cast<std::string*>(found) = path;
    return 1;
  };
  dl_iterate_phdr(is_torch, &finding.found);
  return finding;
}

std::string field_of(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, name.size(), name) != 0) continue;
    const size_t colon = line.find(':');
    const size_t start =
        colon == std::string::npos ? std::string::npos : line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::string instruction_set() {
#if defined(__x86_64__)
  const bool tiles = field_of("/proc/cpuinfo", "flags").find(" amx_bf16") != std::string::npos;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
    return tiles ? "AVX-512, AMX" : "AVX-512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
  return "SSE2";
#else
  return "generic";
#endif
}

Finding find_cpu() {
  const std::string model = field_of("/proc/cpuinfo", "model name");
  return {"CPU",
          fmt::format("{}, {} cores, {}", model.empty() ? "unknown model" : model, core_count(),
                      instruction_set()),
          ""};
}

Finding find_memory() {
  const auto gigabytes = [](const std::string& kilobytes) {
    return std::strtod(kilobytes.c_str(), nullptr) / (1024.0 * 1024.0);
  };
  return {
      "memory",
      fmt::format("{:.1f} GiB, {:.1f} GiB free", gigabytes(field_of("/proc/meminfo", "MemTotal")),
                  gigabytes(field_of("/proc/meminfo", "MemAvailable"))),
      ""};
}

/// `580.159.04` of the line that the driver writes about itself; empty when it has none.
std::string driver_version() {
  std::istringstream words(field_of("/proc/driver/nvidia/version", "NVRM version"));
  for (std::string word; words >> word;)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == word.npos)
      return word;
  return {};
}

/// Asks the driver's library itself, so that nothing of CUDA needs to be installed to look.
Finding find_gpu() {
  Finding finding{"GPU", "", "none is needed; for one, install NVIDIA's driver", false};
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) return finding;
  using Init = int (*)(unsigned);
  using Count = int (*)(int*);
  using Name = int (*)(char*, int, int);
  const auto init = reinterpret_cast<Init>(dlsym(driver, "cuInit"));
  const auto get_count = reinterpret_cast<Count>(dlsym(driver, "cuDeviceGetCount"));
  const auto get_name = reinterpret_cast<Name>(dlsym(driver, "cuDeviceGetName"));
  int count = 0;
  char name[128] = "";
  const bool works = init && get_count && get_name && init(0) == 0 && get_count(&count) == 0 &&
                     count > 0 && get_name(name, sizeof name, 0) == 0;
  if (works) {
    const std::string version = driver_version();
    finding.found =
        fmt::format("{} × {}{}", count, name, version.empty() ? "" : ", driver " + version);
  } else {
    finding.fix =
        "libcuda.so.1 is there, but finds no device; see nvidia-smi, and whether the container "
        "passes the GPU on";
  }
  return finding;
}

Finding find_cuda_library() {
  return {"CUDA kernels", library_path("libveomni_cuda.so"),
          "needed with a GPU only: install the CUDA toolkit, then build again", false};
}

void print_finding(const Finding& finding) {
  if (finding.found.empty()) {
    fmt::print("{:<13} {:<8} {}\n", finding.what, finding.needed ? "missing" : "none", finding.fix);
  } else {
    fmt::print("{:<13} {:<8} {}\n", finding.what, "ok", finding.found);
  }
}

int doctor(bool json) {
  const std::vector<Finding> findings{find_mpi(),    find_torch(), find_cpu(),
                                      find_memory(), find_gpu(),   find_cuda_library()};
  bool complete = true;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    const bool missing = finding.found.empty();
    complete = complete && !(missing && finding.needed);
    if (!json) print_finding(finding);
    list.push_back({{"what", finding.what},
                    {"ok", !missing},
                    {"needed", finding.needed},
                    {"found", finding.found},
                    {"fix", missing ? finding.fix : ""}});
  }
  if (json)
    fmt::print("{}\n", Json{{"version", version()}, {"ok", complete}, {"findings", list}}.dump());
  return complete ? kDone : kUserError;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("doctor", "say what this machine has, and how to get what is missing");
  auto json = std::make_shared<bool>(false);
  verb->add_flag("--json", *json, "print a JSON object");
  verb->callback([=, &action] { action = [=] { return doctor(*json); }; });
}

}  // namespace veomni
