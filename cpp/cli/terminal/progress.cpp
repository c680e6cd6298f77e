#include "terminal/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "commands/arguments.hpp"
#include "framecall/error.hpp"

namespace framecall::cli {
namespace {

constexpr auto redraw_every = std::chrono::milliseconds(100);
constexpr std::size_t bar_width = 24;

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string time_text(double seconds) {
  if (!(seconds < 360000)) return "--:--";
  const int whole = static_cast<int>(seconds + 0.5);
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%02d:%02d", whole / 60, whole % 60);
  }
  return text;
}

}  // namespace

ProgressBar::ProgressBar(std::string name, bool enabled) : name_(printable(name, 40)), enabled_(enabled) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

bool ProgressBar::possible() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void ProgressBar::update(std::uint64_t done, std::uint64_t size) {
  if (!enabled_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + redraw_every;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double part = size > done ? static_cast<double>(done) / static_cast<double>(size) : 1;
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const auto full = static_cast<std::size_t>(part * bar_width);
  std::string line = name_ + "  [" + std::string(full, '#') + std::string(bar_width - full, '.') + "]";
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, " %3.0f%%  %s  %s/s  ETA %s", 100 * part,
                size_text(static_cast<double>(done)).c_str(), size_text(rate).c_str(),
                time_text(static_cast<double>(size - done) / rate).c_str());
  line += numbers;
  if (line.size() > terminal_width()) line = numbers + 1;  // a narrow terminal gets the figures
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  drawn_ = true;
}

}  // namespace framecall::cli
