// Our side of a dialect, against a server script of anybody's: uploads, downloads, lists, logins, messages.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/endpoint.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/dialect.hpp"

namespace framecall {

class DialectConnection;
struct PeerMessage;

struct DialectOptions {
  DialectOptions() {}

  Dialect dialect;
  /// To connect, and without any progress while sending, receiving, and waiting for an answer.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  /// For a receiver to close after our end of stream, counted from the last byte that reached it.
  std::chrono::milliseconds close_timeout = std::chrono::seconds(5);
  /// Bytes of one Reply; a longer one is a ProtocolError. Files that are received have no limit.
  std::size_t max_reply = 64 << 20;
  /// After every piece that the system took, or that was stored: bytes of this file so far, and its size. Exceptions
  /// pass through.
  std::function<void(std::uint64_t done, std::uint64_t size)> progress;
  /// What is odd and no failure: a checksum that is none, a header too long for one segment. Exceptions pass through.
  std::function<void(std::string_view)> warning;
};

/// What a peer answers to a question.
struct Reply {
  std::string header;  ///< JSON text; empty for raw text
  std::string body;    ///< of the frame, or the raw text
};

/// One connection to a peer that speaks options.dialect. Blocks, not thread-safe; signals are let through between
/// system calls.
///
/// Made for peers that call recv() once for the length and once for the header: prefix and header leave in one segment,
/// and no byte that was not asked for. What the peer says without having been asked is dropped before a question, with a
/// warning, unless unasked() has taken it.
///
/// Everything throws SystemError for the network (timed_out after options.timeout), ProtocolError for what is
/// neither a frame nor text, or ends too early, and RemoteError for a peer that says no: its `error` frame in a dialect
/// with calls, else one of the codes below with what came, escaped and cut, in the message. After an exception usable()
/// is false unless said otherwise.
class DialectClient {
 public:
  /// Connects. Throws SystemError that names the address; its code is timed_out after `timeout`.
  explicit DialectClient(const Endpoint& endpoint, DialectOptions options = DialectOptions());
  /// Closes without waiting for anything.
  ~DialectClient();
  DialectClient(const DialectClient&) = delete;

  /// Says who we are and waits for login_ok, if the dialect has one. Throws RemoteError(unauthenticated) for any other
  /// answer, std::invalid_argument for a dialect without a login.
  void login(const std::string& user, const std::string& password);

  /// Sends a regular file under `name` and returns its size. The body follows the header at once, from the page cache
  /// to the socket where the system can; with before_body not a byte of it before that answer. A checksum behind the
  /// body leaves when the other machine has acknowledged all of the body: a receiver that reads more than it should
  /// then swallows it only if it is slower than that, and pause_ms more, which is waited too.
  ///
  /// Without after_body a receiver says nothing on success, and that it closes after our end of stream is all the word
  /// there is: see finish(). Throws RemoteError: permission_denied for another answer before the body, aborted behind
  /// it; SystemError for the file too; std::runtime_error for a file that shrank meanwhile or is not a regular
  /// one. When the file cannot be opened nothing has left, and usable() stays.
  std::uint64_t send_file(const std::filesystem::path& path, std::string_view name);

  /// Asks for a file, stores it as `target`, replacing what is there, and returns its size. It gets that name when it
  /// is whole and its checksum was judged, by a rename from a part file beside it.
  ///
  /// Throws RemoteError(not_found) for whatever is no file: raw text, a frame without a size, a length of 0, the end of
  /// the connection, and the size 0 where not_found is zero_size (usable() stays, if the connection does). Throws
  /// ProtocolError(data_loss) for a wrong checksum where those are rejected; SystemError for the target.
  std::uint64_t receive_file(std::string_view name, const std::filesystem::path& target);

  /// Asks for the list of files.
  Reply list();

  /// Says `text` and waits for the answer: the text of a JSON object leaves as a frame, everything else as a raw line
  /// (without a line feed). A reply frame has as much body as its size key says; raw text is over when nothing came for
  /// 50 ms, or pause_ms. The reply to a quit word may be empty: the end of the connection.
  /// Throws RemoteError: not_found as above if a file was asked for, unauthenticated for login_failed without a login
  /// before, unavailable for a connection that ended.
  Reply ask(std::string_view text);

  /// The first half of ask().
  void say(std::string_view text);

  /// What the peer has said without having been asked, if something is there or comes within `limit`; frames with a body as
  /// ask() reads them once a question was asked. Nothing at the end of the connection. Throws as ask().
  std::optional<Reply> unasked(std::chrono::milliseconds limit);

  /// The next file or question can follow.
  bool usable() const { return usable_; }

  /// Ends our direction and waits for the peer to close. True: it did, and its machine has every byte; false: it still
  /// has the connection open after close_timeout, having received every byte. Throws RemoteError for a refusal,
  /// SystemError for a reset, and with timed_out when bytes are stuck on the way for `timeout`. Once.
  bool finish();
  /// The two halves of finish(): ends our direction, once; then waits for `limit`, any number of times.
  void end();
  bool closed(std::chrono::milliseconds limit);

 private:
  void ask_for(Operation operation, std::string_view name);
  Operation send_message(std::string_view text);
  Reply read_reply(Operation operation, const std::string& what);
  void read_content(const std::string& what, const std::string& header, std::uint64_t size,
                    const std::function<void(std::string_view)>& sink);
  void judge_checksum(const std::string& what, const std::string& claimed, const std::string& actual);
  void await(const Answer& answer, ErrorCode code, const std::string& what);
  [[noreturn]] void refuse(const PeerMessage& word, const std::string& what);
  void warn(const std::string& message) const;
  void warn_of_dropped() const;
  void check_reply_size(const std::string& what, std::uint64_t size) const;

  std::string address_;
  DialectOptions options_;
  std::unique_ptr<DialectConnection> stream_;
  bool logged_in_ = false;
  bool usable_ = true;
};

}  // namespace framecall
