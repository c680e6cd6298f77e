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
#include <utility>

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

  /// Runs a command. `done` gets the output on a thread of the runner, and is called again if it fails for want of memory. When too
  /// many commands run, it gets what is wrong, at once.
  void run(const std::string& address, const std::string& line, std::function<void(std::string)> done);

 private:
  /// One of the running commands, until it is destroyed.
  struct Place {
    Place(CommandRunner& of, std::string from) : runner(of), address(std::move(from)) {}
    Place(const Place&) = delete;
    ~Place();
    CommandRunner& runner;
    const std::string address;
    bool taken = false;
  };
  std::shared_ptr<Place> take_place(const std::string& address, std::string& problem);
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
