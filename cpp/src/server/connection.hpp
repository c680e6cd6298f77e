// One connection of the server: its socket, its clocks and its life. What it says is the business of its Session.
// Callbacks, not a coroutine: waiting is Asio's, the bytes are moved here, into memory that the thread's connections share.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "framecall/wire/buffer.hpp"
#include "net/byte_stream.hpp"
#include "server/connection_clocks.hpp"
#include "server/event_loop.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// Lives in the handlers that wait for it; belongs to one loop, and runs on its thread only.
class Connection final : public SessionPort {
 public:
  enum class Timeout : std::uint8_t { head, idle, leaving, quiet, body };

  Connection(EventLoop& loop, asio::posix::stream_descriptor socket, ConnectionPlace place, std::string peer,
             Protocols protocols);
  ~Connection() override;

  void start();
  /// start() for a connection above max_connections: sends a refusal, then closes.
  void start_refused();
  /// Uses up what has arrived already, then closes at the next place between two messages; a caller that was answered a
  /// moment ago is about to ask again, and then told to go elsewhere.
  void drain();
  /// Closes, with one line in the log; `quiet` ends what may be a raw text.
  void on_timeout(Timeout timeout);
  /// Another turn, after one that took too long.
  void resume();
  /// Sends what the turn has brought, and continues.
  void end_turn();
  /// Nothing is under way, and nothing has come for a while: may be closed for a new one.
  bool may_give_way() const;
  void give_way();

  // SessionPort
  void begin_to_leave() override;
  void close() noexcept override;
  void note_progress() override { clocks_.note_progress(); }
  void host(std::unique_ptr<Session> next) override;
  void message_begins() override { clocks_.unwatch(); }
  bool turn_is_over() override;
  void account() override;
  void on_own_thread(const std::function<void()>& work) override;
  void on_deadline(const std::string& id) override;

 private:
  // What a turn ended with.
  enum class Turn : std::uint8_t {
    blocked,  // nothing more to read now
    more,     // there may be more to read
    closed,
  };
  // What the loop calls when the socket is ready.
  struct Wait {
    void operator()(asio::error_code error) { woken(self, direction, error); }
    std::shared_ptr<Connection> self;
    asio::posix::stream_descriptor::wait_type direction;
  };
  static void woken(std::shared_ptr<Connection>& self, asio::posix::stream_descriptor::wait_type direction,
                    asio::error_code error);
  static void arm(std::shared_ptr<Connection> self) noexcept;
  static bool wait(Wait&& wait) noexcept;
  std::shared_ptr<Connection> shared() { return std::static_pointer_cast<Connection>(shared_from_this()); }

  // Runs a part of a turn: what it throws closes this connection, and nothing else.
  template <class Function>
  void guarded(Function work) noexcept;
  void give_up(const char* why) noexcept;
  void on_readable();
  void on_writable();
  Turn read_turn();
  Turn receive();
  Turn discard();
  Turn lost(int errno_value);
  bool may_read() { return SessionPort::may_read() && session_->may_read(); }
  bool quiescent() const { return out_.empty() && !session_->busy(); }
  void settle();
  void flush();
  void hold_work();
  std::string progress() const;

  EventLoop& event_loop_;
  asio::posix::stream_descriptor socket_;
  std::unique_ptr<ByteStream> bytes_;
  ConnectionPlace place_;
  ConnectionClocks clocks_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Session> former_;         // that has handed over in this turn
  std::uint64_t discarded_ = 0;             // bytes
  std::uint64_t accounted_ = 0;             // bytes of the server's memory that are in use here
  bool reading_ = false, writing_ = false;  // a wait is out
  bool touched_ = false;                    // the loop will end its turn
  bool work_held_ = false;                  // no queue starts what it has of this connection
};

}  // namespace framecall
