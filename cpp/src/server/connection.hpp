// One connection of the server. Callbacks, not a coroutine: waiting is Asio's, the bytes are moved here, into memory
// that the thread's connections share.
#pragma once

#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "framecall/detail/file_store.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/frame.hpp"
#include "net/send_queue.hpp"
#include "net/sockets.hpp"
#include "server/event_loop.hpp"
#include "server/sessions/call_session.hpp"

namespace framecall {

class Conversation;

/// Lives in the handlers that wait for it; belongs to one loop, and runs on its thread only.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Timeout : std::uint8_t { head, idle, leaving, quiet, body };

  // What a turn ended with.
  enum class Turn : std::uint8_t {
    blocked,  // nothing more to read now
    more,     // there may be more to read
    paused,   // no reading until a file is published or sent, work is done, or replies are read
    closed,
  };

  Connection(EventLoop& loop, asio::posix::stream_descriptor stream, ConnectionPlace place, std::string peer,
             Protocols protocols);
  ~Connection();

  void start();
  /// start() for one connection too many: it is told so and closed.
  void start_refused();
  /// Uses up what has arrived already, then closes at the next place between two messages; a caller that was answered a
  /// moment ago is about to ask again, and then told to go elsewhere.
  void drain();
  /// Closes at once: the server is gone.
  void abandon() { close(); }
  /// Closes, with one line in the log; `quiet` ends what may be a raw text.
  void on_timeout(Timeout timeout);

  /// Another turn, after one that took too long.
  void resume();
  /// Nothing is under way, and nothing has come for a while: may be closed for a new one.
  bool may_give_way() const;
  void give_way();

  // For its Conversation.
  const ServerOptions& options() const { return loop_.state.options; }
  /// What is to be sent leaves at the end of the turn. While a file is under way nothing is read.
  OutQueue& out() { return out_; }
  /// A frame, its length written as the peer writes lengths. Throws as encode_prefix(), and std::bad_alloc; then nothing of the
  /// frame is sent.
  void append_frame(std::string_view header, Buffer body = {}) {
    out_.append_frame(encode_prefix(header.size(), decoder_.prefix()), header, std::move(body));
  }
  void append_frame(std::string_view header, FileStore::Download file, Buffer trailer = {}) {
    out_.append_frame(encode_prefix(header.size(), decoder_.prefix()), header, std::move(file), std::move(trailer));
  }
  /// The longest header that the peer's lengths can announce, and that the peer can be expected to take.
  std::size_t longest_header() {
    if (longest_header_ == 0) {
      longest_header_ = static_cast<std::uint32_t>(
          std::min(framecall::longest_header(decoder_.prefix()), longest_header_sent(loop_.state.options.max_header)));
    }
    return longest_header_;
  }
  /// An error reply, cut to what the peer's lengths announce.
  void append_error(std::string_view id, const Failure& failure);
  /// The peer has logged in, or the dialect has no login. Before that it gets nothing but the login and its answer.
  bool admitted() const { return admitted_; }
  void admit() { admitted_ = true; }
  // For its Calls.
  const Router& router() const { return *loop_.state.options.router; }
  Calls& calls() { return calls_; }
  std::string& scratch() { return loop_.text; }
  bool draining() const { return loop_.draining; }
  std::int64_t now() const { return loop_.now; }
  std::uint64_t body_left() const { return decoder_.body_left(); }
  ServerState& state() { return loop_.state; }
  /// Counts what this connection holds for the whole server; done at the end of each turn.
  void account();
  Deadlines::iterator add_deadline(std::uint64_t milliseconds, const std::string& id);
  void remove_deadline(Deadlines::iterator deadline) { loop_.deadlines.erase(deadline); }
  void on_deadline(const std::string& id);
  /// A turn of this thread that began elsewhere; nothing if it is closed by now.
  void on_own_thread(const std::function<void()>& work);
  /// Sends what the turn has brought, and continues.
  void end_turn();
  std::shared_ptr<LoopAddress> loop_address() const { return loop_.address; }
  /// Answers, and closes: what still comes is read for a while and dropped.
  void end_with(std::string_view id, const Failure& failure);
  /// `work` runs on a thread that may wait for the disk, then `then` on this one; nothing is read meanwhile. A CallError
  /// of `work` is a refusal instead. `on_close`: what becomes of it if the connection is closed before it begins.
  void wait_for(std::function<void()> work, std::function<void()> then,
                FairQueue::OnClose on_close = FairQueue::OnClose::drop);
  /// Reads nothing until the function that it returns was called, from any thread, once; what that was given then runs on
  /// this connection's thread, if it is still open.
  using Resume = std::function<void(std::function<void()> then)>;
  Resume pause();
  /// Closes once everything is sent.
  void finish();
  /// The same, and what still comes is read for a while and dropped, so that no reset destroys what was sent.
  void leave(const std::string& why) { begin_to_leave(why); }
  void log(LogLevel level, const std::string& text);
  /// The address of the peer, for messages.
  const std::string& peer() const { return peer_; }
  /// Whose attempts and commands are counted.
  std::string network() const { return peer_network(peer_); }
  /// Whose work it is that this connection queues.
  WorkOrigin work_origin() {
    queues_work_ = true;
    return {id_, network_};
  }

 private:
  enum class Mode : std::uint8_t { undecided, frames, echo, http };

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
  // Runs a part of a turn: what it throws closes this connection, and nothing else.
  template <class Function>
  void guarded(Function work) noexcept;
  void give_up(const char* why) noexcept;
  void on_readable();
  void on_writable();
  Turn read_turn();
  Turn receive();
  Turn receive_first(std::string_view bytes);
  Turn decide(bool quiet);
  Turn take(std::string_view bytes);
  Turn receive_body();
  Turn discard();
  Turn process();
  void take_body(std::string_view bytes);
  void begin_to_leave(const std::string& why);

  void begin_message();
  Conversation& conversation();
  Turn next_turn();

  void refuse(ErrorCode code, const std::string& message, const std::string& data = {});
  void refuse(const CallError& error) { refuse(error.code(), error.what(), error.data()); }
  LogLevel level_of_loss() const;
  Turn lost(int errno_value);
  Turn at_end();
  void flush();
  bool may_read();
  void settle();
  bool quiescent() const { return out_.empty() && calls_.in_flight() == 0; }
  void touch() { loop_.idle.touch(idle_, loop_.now); }
  void watch_head();
  void watch_body();
  std::uint64_t body_rate() const;
  std::string slow_body() const;
  void unwatch();
  void hold_work();
  bool may_start_calls() const;
  bool crowded() const;
  void close() noexcept;
  std::string progress() const;
  void add_to_first(std::string_view bytes);

  EventLoop& loop_;
  asio::posix::stream_descriptor stream_;
  ConnectionPlace place_;
  std::string peer_;
  TimerHook idle_{this}, head_{this}, leaving_{this}, quiet_{this}, body_{this};
  Protocols protocols_;
  Mode mode_;
  Decoder decoder_;
  Calls calls_{*this};
  std::unique_ptr<Conversation> conversation_;  // once there is one
  std::unique_ptr<Buffer> first_;               // bytes before it is known what they are; the head of an HTTP request
  OutQueue out_;
  const std::uint64_t id_;
  std::uint64_t discarded_ = 0;
  std::uint64_t body_mark_ = 0;       // place in the stream where the rate of a body is measured from
  std::uint64_t accounted_ = 0;       // bytes of the server's memory that are in use here
  int quiet_rounds_ = 0;              // without data, of what may be one byte of text
  const std::string network_;         // that has a share, see work_origin()
  std::uint8_t messages_ = 0;         // since the clock was looked at
  std::uint32_t longest_header_ = 0;  // see longest_header(), which is asked for with every reply
  bool open_ = true;
  bool admitted_;
  bool reading_ = false, writing_ = false;  // a wait is out
  bool leaving_now_ = false;                // the last word is on its way; what still comes is dropped
  bool ended_ = false;                      // the peer has said all; close when it has all replies
  bool waiting_ = false;                    // for work of another thread
  bool in_conversation_ = false;            // the message under way is no call
  bool stopped_ = false;                    // in the middle of what was read
  bool held_ = false;                       // too much unsent
  std::shared_ptr<Connection> paused_;      // lives until it goes on
  bool touched_ = false;                    // the loop will end its turn
  bool yielded_ = false;                    // the loop will give it another turn
  bool queues_work_ = false;                // some queue knows it
  bool work_held_ = false;                  // and starts nothing of it
};

}  // namespace framecall
