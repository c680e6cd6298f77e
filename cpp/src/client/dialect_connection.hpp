// One connection of our client: bytes out, and what the peer says meanwhile and afterwards. Which of it is an answer to
// what is the client's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include "framecall/endpoint.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/frame.hpp"
#include "net/byte_stream.hpp"
#include "wire/answer_dialect.hpp"
#include "wire/expected_text.hpp"

namespace framecall {

/// What a peer said in one go.
struct PeerMessage {
  enum class Kind : std::uint8_t { frame, text, zero, end };
  Kind kind = Kind::end;
  std::string content;  ///< of a frame the header; of raw text all of it
};

class DialectConnection {
 public:
  /// `dialect` and the functions given to the calls must outlive it. `max_text`: of one piece of raw text.
  DialectConnection(const Endpoint& endpoint, const Dialect& dialect, std::chrono::milliseconds timeout,
                    std::size_t max_text);
  ~DialectConnection();
  DialectConnection(const DialectConnection&) = delete;

  /// Drops what the peer sent so far. `expected`: what follows the headers to come; none: an answer may repeat a size that is not
  /// its own. Throws SystemError if the peer has closed, and so cannot answer.
  void begin(AnswerBody expected);
  /// How many words begin() has dropped, and the last of them.
  std::size_t dropped() const { return dropped_; }
  const std::string& last_dropped() const { return last_dropped_; }
  /// Keeps what is said while we are sending, for next_word(). Off after begin().
  void keep_words(bool keep) { keep_words_ = keep; }
  /// The next thing that the peer says is probably this raw text: it is looked for before anything is taken for the beginning
  /// of a length, as 0x01 or 0x06 would be. Empty: nothing. Off after begin().
  void expect_text(std::string text);
  /// Waits for it. False: something else came, which is next_word()'s.
  bool take_text(const std::string& awaited);

  /// In one segment, if it fits. `more`: other bytes follow at once.
  void send_frame(std::string_view header, bool more = false);
  /// What is sent next leaves pause_ms later at the earliest.
  void send_text(std::string_view text);
  /// Raw bytes that are no message of their own, at once.
  void send_bytes(std::string_view bytes, bool more = false);
  /// The first `size` bytes of an open file, whose name for messages is `shown`.
  void send_file(int file, const std::string& shown, std::uint64_t size,
                 const std::function<void(std::uint64_t, std::uint64_t)>& progress);
  /// Until the other machine has all that was sent; of a Unix socket, the other program.
  void wait_until_received();
  void pause();

  /// Waits for the next thing that is said. `awaited`: what that should be, for messages. `unsure`: how long the first
  /// bytes of it may stay what could be text, or part of a length.
  PeerMessage next_word(const std::string& awaited, std::chrono::milliseconds unsure);
  /// What the peer says without having been asked, if something comes within `limit`. False: nothing, or the end.
  bool next_unasked(PeerMessage& word, std::chrono::milliseconds limit);
  /// Without data for so long raw text is over.
  std::chrono::milliseconds quiet() const { return quiet_; }
  /// Bytes behind the header that next_word() brought last.
  std::uint64_t body_left() const { return decoder_.body_left(); }
  /// All of them, in pieces.
  void read_body(const std::function<void(std::string_view)>& sink);

  /// Something is there that nobody has read.
  bool has_more();
  /// The peer has closed its direction.
  bool ended() const { return ended_; }
  /// Ends our direction. A peer that has ended its own is watched before: for the reset that tells that it did not want all.
  void end();
  /// After end(): see DialectClient::closed().
  bool closed(std::chrono::milliseconds limit);

 private:
  Decoder::Event step();
  bool take_word(PeerMessage& word);
  bool take_received(std::string_view bytes);
  void hand_over(std::string_view bytes);
  [[noreturn]] void late(const std::string& awaited) const;
  bool receive();
  bool wait_readable(std::chrono::milliseconds limit);
  void wait_writable();
  void listen();
  int unsent();
  [[noreturn]] void lost(int errno_value);
  SystemError broken(int errno_value);
  [[noreturn]] void no_progress() const;

  std::string address_;
  const Dialect& dialect_;
  std::chrono::milliseconds timeout_, quiet_;
  std::size_t max_text_;
  Dialect reading_;  // what the decoder goes by: changes with what is expected
  int socket_;
  PlainStream bytes_;
  Decoder decoder_;
  Header header_;
  std::deque<PeerMessage> said_;
  std::size_t dropped_ = 0;
  std::string last_dropped_;
  ExpectedText expected_;
  int unreceived_ = 0;  // of our bytes, when closed() looked last
  bool keep_words_ = false;
  bool text_sent_ = false;  // and nothing was heard since
  int broken_ = 0;          // the errno that ended the connection
  bool ended_ = false;
};

}  // namespace framecall
