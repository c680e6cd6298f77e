// Runs the commands of a table on threads of their own, so that one that takes its time holds up nothing else.
#pragma once

#include <asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "framecall/command_table.hpp"

namespace framecall {

/// All functions may be called from any thread.
class CommandRunner {
 public:
  /// At most `max_commands` run at a time, and half of them for one address; there is a thread for each.
  CommandRunner(std::shared_ptr<const CommandTable> table, std::size_t max_commands);
  /// Kills what runs.
  ~CommandRunner();
  CommandRunner(const CommandRunner&) = delete;

  /// `done` gets the output on a thread of the runner; at once, and what is wrong instead, when too many commands run.
  void run(const std::string& address, const std::string& line, std::function<void(std::string)> done);

 private:
  std::string take_place(const std::string& address);
  void leave_place(const std::string& address);

  const std::shared_ptr<const CommandTable> table_;
  const std::size_t max_commands_;
  std::mutex mutex_;
  std::map<std::string, std::size_t> running_;  // by address
  std::size_t all_running_ = 0;
  std::stop_source stop_;
  asio::thread_pool threads_;
};

}  // namespace framecall
