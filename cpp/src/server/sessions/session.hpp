// What speaks with one peer: bytes in, bytes and actions out. It knows no socket, and is tested without one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace framecall {

/// Where the body of a message goes. Its session decides that when it has read the header.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// A block for the next bytes of a body of which `left` bytes are to come, to be followed by commit(). An empty block: they
  /// come with write(). Throws CallError for what cannot be received.
  virtual std::span<char> prepare(std::uint64_t left);
  virtual void commit(std::size_t size);
  virtual void write(std::string_view bytes) = 0;
  /// The body is whole.
  virtual void end() = 0;
};

/// The protocol state of one connection; runs on the thread of its loop. It answers through its SessionPort. What it throws
/// closes the connection.
class Session {
 public:
  /// What it waits for, where that must not take too long.
  struct Expects {
    bool head = false;            ///< the rest of a head: header_timeout
    bool text = false;            ///< perhaps nothing: on_quiet() after a moment of silence
    bool body = false;            ///< a body with a minimum rate
    std::uint64_t body_left = 0;  ///< bytes
    std::uint64_t offset = 0;     ///< of what comes next in the stream
  };

  virtual ~Session() = default;
  /// Uses what has come, or keeps it: the bytes are gone afterwards.
  virtual void receive(std::string_view bytes) = 0;
  /// The peer sends no more.
  virtual void end() = 0;
  /// A block for the next bytes of a long body, followed by commit(). Empty: they come with receive().
  virtual std::span<char> prepare() { return {}; }
  virtual void commit(std::size_t) {}

  /// Whether it stopped in the middle of what was received, as it must not read on; go_on() continues there.
  virtual bool stopped() const { return false; }
  virtual void go_on() {}
  /// Whether it takes more bytes now.
  virtual bool may_read() const { return true; }
  /// Between two messages.
  virtual bool idle() const = 0;
  /// Something has no answer yet.
  virtual bool busy() const { return false; }
  /// A person may be thinking: not closed for its silence.
  virtual bool may_be_silent() const { return false; }
  /// The peer may go without a word, as callers of streams do.
  virtual bool may_be_left() const { return false; }
  virtual Expects expects() const { return {}; }
  /// Nothing came for a moment. True: wait for another one.
  virtual bool on_quiet() { return false; }
  /// The number of unsent bytes has changed.
  virtual void note_unsent() {}
  /// Little is left to send.
  virtual void on_sent() {}
  /// Bytes in memory that no handler has.
  virtual std::size_t memory() const { return 0; }
  /// When the last answer was given, by the loop's clock.
  virtual std::int64_t last_answer() const;

  /// Tells the peer why this connection ends, in its own protocol.
  virtual void refuse(std::int64_t code, const std::string& message, const std::string& data) = 0;
  /// Drops the message under way.
  virtual void abandon() {}
  /// The server shuts down: ends the calls that may last for ever.
  virtual void end_streams() {}
  /// The deadline of a call has passed.
  virtual void expire(const std::string&) {}
  /// The connection is closed: nobody waits for an answer any more. Must not fail.
  virtual void on_closed() noexcept {}
  /// How far the message under way got, for log lines: empty, or `, ...`.
  virtual std::string progress() const { return {}; }
  /// The same for a head, `: ...`.
  virtual std::string unfinished_head() const { return {}; }
};

}  // namespace framecall
