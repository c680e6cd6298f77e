// One connection of the server. Callbacks, not a coroutine: waiting is Asio's, the bytes are moved here, into memory
// that the thread's connections share.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "event_loop.hpp"
#include "framecall/buffer.hpp"
#include "framecall/file_store.hpp"
#include "framecall/frame.hpp"

namespace framecall {

/// Lives in the handlers that wait for it; belongs to one loop, and runs on its thread only.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Timeout : std::uint8_t { head, idle, leaving };

  Connection(EventLoop& loop, asio::posix::stream_descriptor stream, std::string peer);
  ~Connection();

  void start();
  /// start() for one connection too many: it is told so and closed.
  void start_refused();
  /// Uses up what has arrived already, then closes at the next place between two messages.
  void drain();
  /// Closes, with one line in the log.
  void on_timeout(Timeout timeout);

 private:
  // What a turn ended with.
  enum class Turn : std::uint8_t {
    blocked,  // nothing more to read now
    more,     // there may be more to read
    paused,   // no reading until a file is published, or replies are read
    closed,
  };

  static void arm(std::shared_ptr<Connection> self);
  void on_readable();
  void on_writable();
  Turn read_turn();
  Turn receive();
  Turn receive_file();
  Turn discard();
  Turn process();

  void begin_message();
  void begin_upload(const UploadHead& head);
  void answer_method();
  Turn end_message();
  Turn publish();
  void published(const std::shared_ptr<FileStore::Upload>& upload, std::optional<CallError> failure);

  void refuse(ErrorCode code, const std::string& message, const std::string& data = {});
  void refuse(const CallError& error) { refuse(error.code(), error.what(), error.data()); }
  Turn lost(int errno_value);
  void send(std::string_view bytes);
  void flush();
  bool may_read();
  void resume();
  void touch() { loop_.idle.touch(idle_, loop_.now); }
  void watch_head();
  void close();
  void log(LogLevel level, const std::string& text);
  void log_stored(const FileStore::Upload& upload);
  std::string progress() const;

  EventLoop& loop_;
  asio::posix::stream_descriptor stream_;
  std::string peer_;
  TimerHook idle_{this}, head_{this}, leaving_{this};
  Decoder decoder_;
  std::optional<FileStore::Upload> upload_;
  Buffer unsent_;
  std::uint64_t discarded_ = 0;
  bool open_ = true;
  bool reading_ = false, writing_ = false;  // a wait is out
  bool refused_ = false;                    // the reason is on its way; what still comes is dropped
  bool ended_ = false;                      // the peer has said all; close when it has all replies
  bool publishing_ = false;                 // a file waits for the disk
  bool held_ = false;                       // too much unsent
};

}  // namespace framecall
