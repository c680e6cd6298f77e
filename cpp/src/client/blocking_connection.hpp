// One connection of a blocking client: frames out, replies in, within a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "framecall/detail/reply_decoder.hpp"
#include "framecall/endpoint.hpp"
#include "net/byte_stream.hpp"
#include "net/sockets.hpp"

namespace framecall {

class BlockingConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Connects. `check` must outlive it. Throws SystemError.
  BlockingConnection(const Endpoint& endpoint, std::string shown, const WaitCheck& check, std::uint32_t max_header,
                     std::uint64_t max_body, Deadline deadline, const Dialect& dialect = default_dialect());
  ~BlockingConnection() { abandon(); }
  BlockingConnection(const BlockingConnection&) = delete;

  /// Nothing has come while nothing was asked, the end of the connection neither. Not looked for, which saves a system call,
  /// on a connection that has served several calls, the last of them a moment before `now`.
  bool healthy(std::chrono::steady_clock::time_point now) const;
  /// Both in one segment if they fit. Whatever the peer says meanwhile is kept for receive(). A connection that breaks under
  /// it is told by receive(), behind the replies that came before. Throws SystemError with timed_out.
  void send(std::string_view head, std::string_view body, Deadline deadline);
  /// Sends what the socket takes of a frame that nothing follows, without waiting: the connection ends anyway.
  void send_last(std::string_view bytes);
  /// The bytes of a file from `offset` to `size`, from the page cache to the socket where the system can. False: the peer
  /// answered before all was sent, or the connection broke; receive() tells. `path`, for messages. Throws SystemError
  /// for the file, and timed_out without progress for `timeout`; std::runtime_error if it became shorter.
  bool send_file(int file, const std::string& path, std::uint64_t offset, std::uint64_t size,
                 std::chrono::milliseconds timeout, const std::function<void(std::uint64_t)>& progress);
  /// Nothing of what was sent last has left: the peer cannot know of it.
  bool sent_nothing() const { return sent_nothing_; }
  /// The next reply, or a piece of one; valid until the next call. Throws SystemError: timed_out, or whatever ended the
  /// connection; ProtocolError for what is no reply.
  CallReply& receive(Deadline deadline);
  /// For a session of its own: decodes what receive_more() brings.
  ReplyDecoder& replies() { return reader_; }
  /// Waits for more bytes. Throws as receive().
  void receive_more(Deadline deadline) {
    const std::span<char> room = reader_.prepare();
    reader_.commit(receive_some(room.data(), room.size(), deadline));
  }
  /// The same without waiting; false: there are none now.
  bool try_receive_more();
  /// Whatever is sent goes nowhere.
  bool broken() const { return broken_ != 0 || ended_; }

  const std::string& shown() const { return shown_; }
  /// The peer asked for another connection.
  bool closing() const { return reader_.closing(); }
  std::uint64_t next_id() { return ++last_id_; }
  /// Closes our end without a word.
  void abandon();

 private:
  bool has_words() const;
  std::size_t receive_some(char* to, std::size_t size, Deadline deadline);
  void wait(short events, Deadline deadline) const;
  [[noreturn]] void lost(int errno_value) const;

  const std::string shown_;
  const WaitCheck& check_;
  int socket_;
  PlainStream bytes_;
  int broken_ = 0;  // errno of a send that failed
  ReplyDecoder reader_;
  std::uint64_t last_id_ = 0;
  std::chrono::steady_clock::time_point last_wait_{};  // for a reply
  bool ended_ = false, sent_nothing_ = true;
};

}  // namespace framecall
