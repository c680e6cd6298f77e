// A server in this process, for tests.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/server.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "support/peer.hpp"
#include "support/temporary_folder.hpp"

namespace framecall {

/// The lines that a server logged.
class Log {
 public:
  /// A line with its level in front, "warning: ...".
  void add(LogLevel level, std::string_view line) {
    const char* name = level == LogLevel::info ? "info: " : level == LogLevel::warning ? "warning: " : "error: ";
    add(std::string(name).append(line));
  }
  void add(std::string_view line) {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
    changed_.notify_all();
  }
  std::size_t count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return count_locked(text);
  }
  /// Waits until `times` lines have `text`.
  bool wait_for(std::string_view text, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return count_locked(text) >= times; });
  }

 private:
  std::size_t count_locked(std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(lines_.begin(), lines_.end(), [text](const std::string& line) {
      return line.find(text) != std::string::npos;
    }));
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// A server on 127.0.0.1 and a Unix socket, with a folder of its own.
class Running {
 public:
  explicit Running(ServerOptions options = {}, Durability durability = Durability::close,
                   Protocols protocols = Protocols()) {
    options.files = std::make_shared<FileStore>(root.path(), durability);
    options.log = [this](LogLevel level, std::string_view line) { log.add(level, line); };
    if (options.threads == 0) options.threads = 2;
    server.emplace(std::move(options));
    tcp = server->listen(Endpoint::parse("127.0.0.1:0"), protocols);
    udp = server->listen_udp(Endpoint::parse("127.0.0.1:0"));
    unix_socket = server->listen(Endpoint::parse("unix:" + (sockets / "s").string()));
    server->start();
  }
  /// Options of one that reads and writes lengths as the dialect of this name.
  static ServerOptions in_dialect(const std::string& name) {
    ServerOptions options;
    options.dialect = find_dialect(name);
    return options;
  }
  void end() {
    server->drain();
    server->wait();
    server.reset();
  }

  TemporaryFolder root, sockets;
  Log log;
  std::optional<Server> server;
  Endpoint tcp, unix_socket, udp;
};

}  // namespace framecall
