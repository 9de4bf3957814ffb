#include "support/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace veomni::test {
namespace {

std::string file_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void redirect(const std::filesystem::path& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(file, descriptor);
}

}  // namespace

Process::Process(const std::vector<std::string>& command,
                 const std::vector<std::string>& environment) {
  id_ = fork();
  if (id_ != 0) return;
  redirect(folder_ / "out", STDOUT_FILENO);
  redirect(folder_ / "err", STDERR_FILENO);
  for (const std::string& entry : environment) putenv(const_cast<char*>(entry.c_str()));
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  _exit(127);
}

Process::~Process() {
  if (waited_) return;
  kill(id_, SIGKILL);
  wait();
}

std::string Process::out() const { return file_text(folder_ / "out"); }

std::vector<pid_t> Process::children() const {
  const auto id = std::to_string(id_);
  std::ifstream list("/proc/" + id + "/task/" + id + "/children");
  std::vector<pid_t> found;
  for (pid_t child = 0; list >> child;) found.push_back(child);
  return found;
}

bool Process::ended() const {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT);
  return info.si_pid == id_;
}

Finished Process::wait() {
  int status = 0;
  rusage usage{};
  wait4(id_, &status, 0, &usage);
  waited_ = true;
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out(),
          file_text(folder_ / "err"), ms(usage.ru_utime) + ms(usage.ru_stime)};
}

Finished run_program(const std::vector<std::string>& command,
                     const std::vector<std::string>& environment) {
  return Process(command, environment).wait();
}

}  // namespace veomni::test
