#include "cmd/ranks.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "cmd/engine_library.h"
#include "core/error.h"
#include "core/exit_status.h"

namespace veomni {

namespace {

volatile std::sig_atomic_t stop_signal = 0;   // the first SIGINT or SIGTERM
volatile std::sig_atomic_t signal_count = 0;  // how many came
volatile std::sig_atomic_t mpirun_pid = 0;

/// mpirun forwards SIGUSR1 to the ranks. On SIGTERM it would kill them after a second, saved or
/// not.
void forward_signal(int signal) {
  if (signal != SIGUSR1) {
    if (stop_signal == 0) stop_signal = signal;
    signal_count = signal_count + 1;
  }
  if (mpirun_pid > 0) kill(mpirun_pid, signal_count > 1 ? SIGTERM : SIGUSR1);
}

/// A file that ranks append their exit codes to; removed at the end.
class StatusFile {
 public:
  StatusFile() {
    const char* folder = std::getenv("TMPDIR");
    path_ = fmt::format("{}/veomni-ranks-XXXXXX", folder ? folder : "/tmp");
    const int file = mkostemp(path_.data(), O_CLOEXEC);
    require<Error>(file >= 0, "{}: {}; set TMPDIR to a folder that can be written", path_,
                   std::strerror(errno));
    close(file);
  }
  StatusFile(const StatusFile&) = delete;
  StatusFile& operator=(const StatusFile&) = delete;
  ~StatusFile() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }
  std::string text() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

void set_environment(const StatusFile& status, int ranks, int cores) {
  setenv("VEOMNI_STATUS_FILE", status.path().c_str(), 1);
  setenv("OMP_NUM_THREADS", std::to_string(std::max(1, cores / ranks)).c_str(), 0);
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
}

std::vector<std::string> rank_command(const Json& request) {
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  std::vector<std::string> command{program, request["verb"], request["recipe"]};
  for (const Json& override : request["overrides"]) command.push_back(override);
  for (const auto& [name, given] : request["options"].items()) {
    const std::string flag = "--" + name;
    if (given.is_boolean()) {
      if (given.get<bool>()) command.push_back(flag);
      continue;
    }
    for (const Json& item : given.is_array() ? given : Json::array({given})) {
      const std::string value = item.is_string() ? item.get<std::string>() : item.dump();
      if (value.starts_with("-")) {
        command.push_back(flag + "=" + value);  // or it would be another flag
      } else {
        command.insert(command.end(), {flag, value});
      }
    }
  }
  return command;
}

/// In the child: becomes mpirun, in a group of its own so that Ctrl-C reaches only the parent.
[[noreturn]] void become_mpirun(const std::vector<std::string>& command) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);  // a background group may not read the terminal
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  _exit(errno == ENOENT ? 127 : 126);
}

void handle_signals(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaction(signal, &action, nullptr);
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    require<Error>(errno == EINTR, "--ranks: waitpid: {}", std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// What the parent returns, from what the ranks reported and what mpirun returned.
int documented_code(int reported, int mpirun_code) {
  if (stop_signal != 0 &&
      (reported == kDone || reported == kTerminated || reported == kInterrupted)) {
    const bool finished =
        reported == kDone && mpirun_code == 0;  // the signal came after the last step
    return finished ? kDone : stop_signal == SIGINT ? kInterrupted : kTerminated;
  }
  if (reported != kDone) return reported;
  if (mpirun_code == 0) return kDone;
  require<ConfigError>(mpirun_code != 127,
                       "--ranks: mpirun not found; install openmpi-bin, or run scripts/setup");
  if (mpirun_code > 128) {
    throw CommError(
        fmt::format("--ranks: a rank ended on signal {} ({}); see whether memory ran out",
                    mpirun_code - 128, strsignal(mpirun_code - 128)));
  }
  throw CommError(fmt::format(
      "--ranks: mpirun returned {} before any rank said why; run 'veomni doctor'", mpirun_code));
}

}  // namespace

int core_count() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<std::pair<std::string, std::string>> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
    std::string package = "cpu", core = std::to_string(cpu);
    std::ifstream(folder + "physical_package_id") >> package;
    std::ifstream(folder + "core_id") >> core;
    cores.emplace(package, core);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

std::vector<std::string> mpirun_command(int ranks, int cores,
                                        const std::vector<std::string>& program) {
  // --quiet: the ranks say what went wrong; mpirun's own paragraphs would bury it.
  std::vector<std::string> command{"mpirun", "--quiet", "-n", std::to_string(ranks)};
  const auto add = [&](std::initializer_list<std::string> words) {
    command.insert(command.end(), words);
  };
  if (ranks <= cores) {
    add({"--map-by", fmt::format("slot:PE={}", cores / ranks), "--bind-to", "core"});
  } else {
    add({"--oversubscribe", "--bind-to", "none"});
  }
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

int run_ranks(int ranks, const Json& request) {
  const StatusFile status;
  const int cores = core_count();
  const std::vector<std::string> command = mpirun_command(ranks, cores, rank_command(request));
  set_environment(status, ranks, cores);
  handle_signals(&forward_signal);
  const pid_t child = fork();
  require<Error>(child >= 0, "--ranks: fork: {}", std::strerror(errno));
  if (child == 0) {
    handle_signals(SIG_DFL);
    become_mpirun(command);
  }
  mpirun_pid = child;
  if (stop_signal != 0) kill(child, SIGUSR1);  // came before mpirun_pid was known
  const int mpirun_code = wait_for(child);
  mpirun_pid = 0;
  return documented_code(first_failure(status.text()), mpirun_code);
}

}  // namespace veomni
