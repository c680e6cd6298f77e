// What a session sees of its connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framecall/server_options.hpp"
#include "net/send_queue.hpp"
#include "net/sockets.hpp"
#include "server/fair_queue.hpp"
#include "server/loop_resources.hpp"
#include "server/sessions/session.hpp"

namespace framecall {

/// Belongs to one loop, and is used on its thread. Lives as long as somebody waits for it, or for its calls.
class SessionPort : public std::enable_shared_from_this<SessionPort> {
 public:
  /// The life of a connection. It goes from `open` to one of the others, from `leaving` to `ending` when the peer sends no more,
  /// and from each of them to `closed`.
  enum class Life : std::uint8_t {
    open,     ///< messages are read and answered
    ending,   ///< nothing more is read; closed when everything is answered and sent
    leaving,  ///< the last answer is on its way; what still comes is read and dropped
    closed,
  };

  SessionPort(const SessionPort&) = delete;
  virtual ~SessionPort() = default;

  const ServerOptions& options() const { return loop_.state.options; }
  ServerState& state() { return loop_.state; }
  /// The loop's clock, read once per turn: milliseconds.
  std::int64_t now() const { return loop_.now; }
  bool draining() const { return loop_.draining; }
  /// For the header of the message under way, and for that of its reply.
  Header& header() { return loop_.header; }
  std::string& scratch() { return loop_.text; }
  /// For the next bytes of a body that goes elsewhere; of LoopResources::file_block_size bytes.
  char* file_block() { return loop_.file_block(); }
  std::shared_ptr<LoopMailbox> mailbox() const { return loop_.mailbox; }

  /// The address of the peer, for messages.
  const std::string& peer() const { return peer_; }
  /// Whose attempts and commands are counted.
  std::string network() const { return peer_network(peer_); }
  /// Whose work it is that this connection queues.
  WorkOrigin work_origin() {
    queues_work_ = true;
    return {id_, network_};
  }
  /// The peer has logged in, or the dialect has no login. Before that it gets nothing but the login and its answer.
  bool admitted() const { return admitted_; }
  void admit() { admitted_ = true; }

  Life life() const { return life_; }
  bool open() const { return life_ != Life::closed; }
  /// What is to be sent leaves at the end of the turn. While a file is under way nothing is read.
  SendQueue& out() { return out_; }
  const SendQueue& out() const { return out_; }
  /// Whether the session may take more of what has come; its own limits come on top.
  bool may_read() {
    held_ = out_.memory() > (held_ ? low_water : high_water);
    return life_ == Life::open && !held_ && !waiting_ && !yielded_ && !out_.has_file();
  }

  void log(LogLevel level, const std::string& text) { loop_.state.log(level, peer_ + ": " + text); }
  Deadlines::iterator add_deadline(std::uint64_t milliseconds, const std::string& id);
  void remove_deadline(Deadlines::iterator deadline) { loop_.deadlines.erase(deadline); }

  /// Closes once everything is answered and sent.
  void finish() {
    if (life_ == Life::open || life_ == Life::leaving) life_ = Life::ending;
  }
  /// What was appended to out() is the last that the peer gets. What still comes is read for a while and dropped, so that no
  /// reset destroys it on its way.
  virtual void begin_to_leave() = 0;
  /// The same, with a line in the log.
  void leave(const std::string& why) {
    begin_to_leave();
    log(LogLevel::warning, "refused: " + why);
  }
  virtual void close() noexcept = 0;
  /// The connection is not silent.
  virtual void note_progress() = 0;
  /// Another session gets what comes from now on. The one that asks for it lives to the end of the turn.
  virtual void host(std::unique_ptr<Session> next) = 0;
  /// A new message begins: the clocks that watch the peer start anew.
  virtual void message_begins() = 0;
  /// Whether the other connections have waited long enough. Then this one gets another turn behind theirs.
  virtual bool turn_is_over() = 0;

  /// Counts what this connection holds for the whole server; done at the end of each turn.
  virtual void account() = 0;

  /// `work` runs on a thread that may wait for the disk, then `then` on this one; nothing is read meanwhile. A CallError
  /// of `work` is a refusal instead. `on_close`: what becomes of it if the connection is closed before it begins.
  virtual void wait_for(std::function<void()> work, std::function<void()> then,
                        FairQueue::OnClose on_close = FairQueue::OnClose::drop);
  /// Reads nothing until the function that it returns was called, from any thread, once; what that was given then runs on
  /// this connection's thread, if it is still open.
  using Resume = std::function<void(std::function<void()> then)>;
  virtual Resume pause();
  /// A turn of this thread that began elsewhere; nothing if it is closed by now.
  virtual void on_own_thread(const std::function<void()>& work) = 0;
  /// The deadline of a call has passed.
  virtual void on_deadline(const std::string& id) = 0;

 protected:
  SessionPort(LoopResources& loop, std::string peer);

  static constexpr std::size_t high_water = 1 << 20;   ///< unsent bytes above which a peer is not read any more
  static constexpr std::size_t low_water = 256 << 10;  ///< and below which it is again

  LoopResources& loop_;
  SendQueue out_;
  std::string peer_;
  const std::uint64_t id_;
  const std::string network_;            // that has a share, see work_origin()
  std::shared_ptr<SessionPort> paused_;  // lives until it continues
  Life life_ = Life::open;
  bool admitted_;
  bool held_ = false;         // too much unsent
  bool waiting_ = false;      // for work of another thread
  bool yielded_ = false;      // the loop will give it another turn
  bool queues_work_ = false;  // some queue knows it
};

}  // namespace framecall
