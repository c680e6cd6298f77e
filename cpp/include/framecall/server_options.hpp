// The limits of a server, and where its log goes: plain data, for the server and for its connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/command_table.hpp"
#include "framecall/detail/file_store.hpp"
#include "framecall/router.hpp"
#include "framecall/users.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall {

enum class LogLevel : std::uint8_t { info, warning, error };

/// What one listener takes, told apart by the first bytes of a connection (PROTOCOL.md, section 8).
struct Protocols {
  bool frames = true;
  bool echo = false;  ///< raw bytes, sent back in ASCII upper case; not with a dialect that reads raw lines
  bool http = false;  ///< GET /healthz

  /// Those of these names. Throws std::invalid_argument for another one, and for none at all.
  static Protocols named(const std::vector<std::string>& names);
};

/// The lock of a runtime that runs the handlers of Router::on_batch(): Python's. It is acquired once for many calls, by a
/// thread of the event loop; when the calls take longer than a millisecond, another thread continues with the loop.
struct Batch {
  virtual ~Batch() = default;
  virtual void enter() = 0;
  virtual void leave() = 0;
};

/// The limits of a server. docs/SETTINGS.md lists them with their ranges, and the flags of `framecall serve`; a limit that is
/// added here gets a row in server/operate/settings.cpp.
struct ServerOptions {
  std::shared_ptr<FileStore> files;  ///< takes the uploads; null: they are refused, file.put and its like too
  /// Files of programs, and folders that code is loaded from: the log warns of a root that is one, or holds one. The running
  /// program is always among them.
  std::vector<std::filesystem::path> programs;
  Durability put_durability =
      Durability::full;  ///< of file.put, whose answer says that the file is there; uploads: the store's
  std::shared_ptr<const Router> router;  ///< the methods; null: just those of Router()
  Dialect dialect;
  std::shared_ptr<const Users> users;            ///< for dialects with a login; null: every login is rejected
  std::shared_ptr<const CommandTable> commands;  ///< for the remote-command form; null: no command is known
  std::size_t max_login_attempts = 5;            ///< failed ones of a connection, which is then closed
  std::chrono::milliseconds max_login_delay =
      std::chrono::seconds(5);    ///< of the answer to a failed login, which grows with the failures of its address
  std::size_t max_commands = 32;  ///< programs of `commands` at a time, each on a thread; half of them for one address
  unsigned threads = 0;           ///< event loops; 0: one per processor that this process may use

  std::size_t pool_threads = 16;    ///< for handlers that wait, of on_pool()
  std::shared_ptr<Batch> batch;     ///< for handlers of on_batch(); null: there are none
  std::size_t batch_threads = 16;   ///< at a time in such handlers, for each event loop
  std::size_t stream_threads = 64;  ///< calls of on_stream() at a time, each on a thread
  std::size_t max_streams = 1000;   ///< calls at a time of methods that stream, of every kind
  /// Percent of the threads, and of the streams, that one connection may use, and all connections of one address together.
  /// At least one thread.
  unsigned peer_share = 50;

  std::size_t max_udp_calls = 1024;        ///< calls that wait for answers, for each UDP socket
  std::uint64_t max_udp_bytes = 16 << 20;  ///< of their datagrams together
  std::uint32_t max_udp_rate = 1000;       ///< datagrams a second from one address (IPv6: one /64); 0: any
  std::uint32_t max_udp_ratio = 3;         ///< bytes of a datagram's answer for each one of its own; 0: any

  std::uint32_t max_header = default_max_header_size;  ///< bytes
  std::uint64_t max_body = 64 << 20;                   ///< bytes of one call
  std::size_t max_in_flight = 128;                     ///< calls of a connection that wait for answers
  /// Bytes that the server holds for one connection: its requests under way, unsent replies, and parts of streams. Above
  /// it the connection is not read. At least max_body.
  std::uint64_t max_connection_memory = 64 << 20;
  /// The same for all connections together, at least twice max_body; 0: a quarter of the memory there is.
  std::uint64_t max_memory = 0;
  std::uint64_t min_body_rate = 1024;  ///< bytes a second of the body of a call, over body_window; 0: any
  std::chrono::milliseconds body_window = std::chrono::seconds(30);
  std::uint64_t max_file = std::uint64_t{INT64_MAX};                    ///< bytes of one upload
  std::size_t max_connections = 10000;                                  ///< clamped below the limit of descriptors
  std::chrono::milliseconds header_timeout = std::chrono::seconds(10);  ///< from the first byte of a head to its last
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(600);   ///< without progress; 0: never
  std::chrono::milliseconds drain_timeout = std::chrono::seconds(25);   ///< for what is under way when the end comes
  std::chrono::milliseconds refusal_timeout = std::chrono::seconds(5);  ///< for a refused sender to read why
  std::uint64_t refusal_bytes = 64 << 20;                               ///< read of it meanwhile, and dropped

  /// One line per event, without a line feed; what peers wrote is cut and escaped. Called from any thread of the
  /// server, one call at a time. Empty: nothing is logged.
  std::function<void(LogLevel, std::string_view)> log;
};

}  // namespace framecall
