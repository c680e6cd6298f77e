// What the commands that talk to a peer in its dialect share: the flags, and the connection they describe.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framecall/dialect_client.hpp"

namespace framecall::cli {

/// As they were written.
struct DialectFlags {
  std::string address, dialect = "default", user, password_file, timeout = "30";
};

/// The address, and the flags that every such command has.
void add_dialect_flags(CLI::App& command, DialectFlags& flags);

/// `--dialect` for commands that make calls: of the dialect they need how lengths are written.
void add_call_dialect(CLI::App& command, std::string& dialect);
/// Null for the default. Throws std::invalid_argument for a dialect without calls, and as find_dialect().
std::shared_ptr<const Dialect> dialect_of_calls(const std::string& name);

/// One connection at a time to the peer that the flags name.
class Connection {
 public:
  /// Throws std::invalid_argument for flags that mean nothing, or not together.
  explicit Connection(const DialectFlags& flags);

  /// Connected, and logged in if there is a user. Throws as DialectClient does; connected() and logged_in() then tell
  /// how far it got.
  DialectClient& client();
  /// There is a connection.
  bool connected() const { return client_ != nullptr; }
  /// The last client() went all the way.
  bool ready() const { return ready_; }
  void close() { client_.reset(); }
  /// Leaves the connection to the caller.
  std::unique_ptr<DialectClient> release() { return std::move(client_); }

  const Dialect& dialect() const { return dialect_; }
  /// Of the file under way; may be empty.
  std::function<void(std::uint64_t done, std::uint64_t size)> progress;

 private:
  Endpoint endpoint_;
  Dialect dialect_;
  std::chrono::milliseconds timeout_;
  std::string user_, password_;
  std::unique_ptr<DialectClient> client_;
  bool ready_ = false;
};

}  // namespace framecall::cli
