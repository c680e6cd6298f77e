#include "terminal/server_log.hpp"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <string>

namespace framecall::cli {
namespace {

constexpr std::size_t most_lines = 8192;
constexpr int wait_ms = 100;  // between two looks whether the server has ended
constexpr int last_waits = 10;

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

bool without_color() {  // https://no-color.org
  const char* const value = std::getenv("NO_COLOR");
  return value != nullptr && *value != '\0';
}

}  // namespace

/// Writes only what stderr takes at once: a pipe that is ready has room for a line.
class StderrSink : public spdlog::sinks::stderr_color_sink_mt {
 public:
  explicit StderrSink(spdlog::details::thread_pool& thread)
      : spdlog::sinks::stderr_color_sink_mt(without_color() ? spdlog::color_mode::never
                                                            : spdlog::color_mode::automatic),
        thread_(thread) {}
  void log(const spdlog::details::log_msg& message) override {
    if (!wait_until_writable()) {
      ++unwritten_;
      return;
    }
    const std::size_t dropped = thread_.overrun_counter() + unwritten_;
    if (dropped != reported_) {
      const std::string text = std::to_string(dropped - reported_) + " lines were not logged: stderr is not read";
      spdlog::sinks::stderr_color_sink_mt::log(
          spdlog::details::log_msg(message.logger_name, spdlog::level::warn, text));
      reported_ = dropped;
    }
    spdlog::sinks::stderr_color_sink_mt::log(message);
  }
  void end() { ended_ = true; }

 private:
  bool wait_until_writable() {
    pollfd wanted{STDERR_FILENO, POLLOUT, 0};
    for (;;) {
      const bool at_once = waits_at_the_end_ > last_waits;  // the other lines do not wait
      if (::poll(&wanted, 1, at_once ? 0 : wait_ms) > 0) return (wanted.revents & POLLOUT) != 0;
      if (ended_ && ++waits_at_the_end_ > last_waits) return false;
    }
  }

  spdlog::details::thread_pool& thread_;
  std::atomic<bool> ended_{false};
  int waits_at_the_end_ = 0;
  std::size_t unwritten_ = 0, reported_ = 0;
};

ServerLog::ServerLog(bool quiet)
    : thread_(std::make_shared<spdlog::details::thread_pool>(most_lines, 1)),
      sink_(std::make_shared<StderrSink>(*thread_)),
      logger_(std::make_shared<spdlog::async_logger>("framecall", sink_, thread_,
                                                     spdlog::async_overflow_policy::overrun_oldest)) {
  logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger_->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

ServerLog::~ServerLog() {
  sink_->end();
  logger_.reset();
  thread_.reset();  // writes what is left, and joins
}

void ServerLog::write(LogLevel level, std::string_view line) {
  logger_->log(level_of(level), "{}", spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace framecall::cli
