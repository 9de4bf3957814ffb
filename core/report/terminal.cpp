#include "core/report/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/report/json_lines.h"

namespace veomni {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLineEvery{5};

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : std::nan("");
}

int64_t integer(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

/// Of the terminal that `file` is; 0: it is none.
size_t columns_of(int file) {
  if (::isatty(file) != 1) return 0;
  winsize size{};
  return ::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// Of the terminal on which `out` ends; 0: on none. mpirun gives ranks a terminal of its own, whatever becomes of what it
/// reads there: what counts is the output of mpirun itself, the parent of the ranks of its machine.
size_t terminal_columns(FILE* out) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return columns_of(::fileno(out));
  const auto path = fmt::format("/proc/{}/fd/{}", ::getppid(), ::fileno(out));
  const int file = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file < 0) return 0;
  const size_t columns = columns_of(file);
  ::close(file);
  return columns;
}

size_t code_points(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width) {
  return text + std::string(width > code_points(text) ? width - code_points(text) : 0, ' ');
}

}  // namespace

std::string progress_line(const Json& metrics, int64_t last_step, double eta_seconds) {
  const auto total = std::to_string(last_step);
  auto line = fmt::format("step {:>{}}/{}  loss {}", integer(metrics, "step"), total.size(), total,
                          number_text(number(metrics, "loss")));
  // A narrow terminal cuts the end: what is wanted most comes first.
  const double speed = number(metrics, "tokens_per_second"), lr = number(metrics, "lr");
  const double memory = number(metrics, "peak_memory_bytes");
  if (!std::isnan(speed)) line += fmt::format("  {} tokens/s", count_text(speed));
  if (eta_seconds > 0) line += fmt::format("  eta {}", duration_text(eta_seconds));
  const auto tasks = metrics.find("losses");
  if (tasks != metrics.end() && tasks->size() > 1) {
    for (const auto& [task, loss] : flatten_numbers(*tasks)) {
      line += fmt::format("  {} {}", printable_text(task, false), number_text(loss));
    }
  }
  if (!std::isnan(lr)) line += fmt::format("  lr {:.2g}", lr);
  if (memory > 0) line += fmt::format("  {}", bytes_text(memory));
  return line;
}

std::string evaluation_table(const Json& evaluation) {
  std::vector<std::pair<std::string, std::vector<std::string>>> rows;
  std::vector<size_t> widths;
  size_t name_width = 0;
  const auto sources = evaluation.value("eval", Json::object());
  for (const auto& [source, metrics] : sources.items()) {
    std::string group = "\n";  // no metric's: the first one begins a row
    for (const auto& [path, value] : flatten_numbers(metrics)) {
      const auto slash = path.rfind('/');
      const auto head = slash == path.npos ? "" : path.substr(0, slash);
      if (head != group) {
        rows.emplace_back(printable_text(head.empty() ? source : source + " " + head, false),
                          std::vector<std::string>{});
        name_width = std::max(name_width, code_points(rows.back().first));
        group = head;
      }
      auto& cells = rows.back().second;
      cells.push_back(printable_text(path.substr(slash + 1), false) + " " + number_text(value));
      if (widths.size() < cells.size()) widths.push_back(0);
      widths[cells.size() - 1] = std::max(widths[cells.size() - 1], code_points(cells.back()));
    }
  }
  auto table = fmt::format("evaluation at step {}", integer(evaluation, "step"));
  for (const auto& [name, cells] : rows) {
    table += "\n  " + padded(name, name_width);
    for (size_t i = 0; i < cells.size(); ++i)
      table += "  " + padded(cells[i], i + 1 < cells.size() ? widths[i] : 0);
  }
  return table;
}

std::string cut_to(const std::string& text, size_t columns) {
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xc0) != 0x80 && seen++ == columns) return text.substr(0, i);
  }
  return text;
}

Terminal::Terminal(FILE* out, int64_t last_step)
    : out_(out), is_terminal_(terminal_columns(out) > 0), last_step_(last_step) {}

void Terminal::step(const Json& metrics) {
  const auto now = Clock::now();
  const bool first = first_seen_ < 0;
  last_ = metrics;
  pending_ = true;
  if (first) {
    first_seen_ = integer(metrics, "step");
    start_ = now;
  }
  const bool due =
      now - shown_ >= (is_terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLineEvery));
  if (first || due) draw();
}

void Terminal::draw() {
  const int64_t step = integer(last_, "step");
  const auto now = Clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double eta = step > first_seen_ ? elapsed / static_cast<double>(step - first_seen_) *
                                              static_cast<double>(last_step_ - step)
                                        : 0;
  auto text = progress_line(last_, last_step_, eta);
  if (is_terminal_) {
    const size_t columns = std::max<size_t>(1, terminal_columns(out_));
    text = "\r" + cut_to(text, columns - 1) + "\x1b[K";
  } else {
    text += '\n';
  }
  std::fputs(text.c_str(), out_);
  std::fflush(out_);
  drawn_ = is_terminal_;
  pending_ = false;
  shown_ = now;
}

void Terminal::line(const std::string& text) {
  if (drawn_) std::fputs("\r\x1b[K", out_);
  std::fputs((text + "\n").c_str(), out_);
  if (drawn_) draw();
  std::fflush(out_);
}

void Terminal::finish() {
  if (pending_) draw();
  if (drawn_) std::fputs("\n", out_);
  std::fflush(out_);
  drawn_ = false;
}

}  // namespace veomni
