// The tutorial upload from the sender's side: files to any receiver of the taught format.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "framecall/dialect.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/frame.hpp"

namespace framecall {

struct UploadOptions {
  UploadOptions() {}

  Dialect dialect;
  /// To connect, and without any progress while sending.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  /// For a receiver to close after our end of stream, counted from the last byte that reached it.
  std::chrono::milliseconds close_timeout = std::chrono::seconds(5);
  /// After every piece that the system took: bytes of this file so far, and its size. Exceptions pass through.
  std::function<void(std::uint64_t sent, std::uint64_t size)> progress;
};

/// One connection to a receiver. The receiver answers nothing on success; that it closed after our end of stream, and
/// said nothing, is all the word there is (framecall's own server closes after the files have their names). Prefix and
/// header leave in one segment, the body right behind them, from the page cache to the socket where the system can.
/// Not thread-safe. Blocks; signals are let through between system calls.
class UploadClient {
 public:
  /// Connects. Throws std::system_error that names the address; its code is timed_out after `timeout`.
  explicit UploadClient(const Endpoint& endpoint, UploadOptions options = UploadOptions());
  /// Closes without waiting for anything.
  ~UploadClient();
  UploadClient(const UploadClient&) = delete;

  /// Sends a regular file under `name` and returns its size. Throws std::system_error for the file and for the
  /// network, RemoteError when the receiver refused it, std::runtime_error for a file that shrank meanwhile or is not
  /// a regular one. After an exception about anything but opening the file usable() is false.
  std::uint64_t send_file(const std::filesystem::path& path, std::string_view name);

  /// Between two files: another one can be sent. False for good after one that was not sent whole.
  bool usable() const { return usable_; }

  /// Ends our direction and waits for the receiver to close. True: it did; false: it still has the connection open
  /// after close_timeout, having received every byte. Throws RemoteError for a refusal, std::system_error for a reset,
  /// and with timed_out when bytes are stuck on the way for `timeout`. Once.
  bool finish();

 private:
  void read_answer();
  void wait_writable();
  void send_bytes(std::string_view bytes, int flags);
  void send_body(int file, const std::string& shown, std::uint64_t size);
  [[noreturn]] void lost(int errno_value);
  [[noreturn]] void no_progress() const;

  std::string address_;
  UploadOptions options_;
  int socket_ = -1;
  Decoder decoder_;  // of what the receiver says
  bool usable_ = true;
  bool ended_ = false;  // the receiver has closed its direction
};

}  // namespace framecall
