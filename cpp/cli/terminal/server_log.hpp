// The log of `framecall serve`, on stderr.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "framecall/server_options.hpp"

namespace spdlog {
class logger;
namespace details {
class thread_pool;
}
}  // namespace spdlog

namespace framecall::cli {

class StderrSink;

/// A thread of its own writes the lines, so that nobody waits when stderr is a pipe that nobody reads. At most 8,192 lines
/// wait; of more, the oldest are dropped and counted. Its thread blocks the signals that the caller's thread blocks.
class ServerLog {
 public:
  explicit ServerLog(bool quiet);
  /// Waits for what is left to be written, for a second at most.
  ~ServerLog();
  ServerLog(const ServerLog&) = delete;

  void write(LogLevel level, std::string_view line);

 private:
  std::shared_ptr<spdlog::details::thread_pool> thread_;
  std::shared_ptr<StderrSink> sink_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace framecall::cli
