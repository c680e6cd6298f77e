// The calls of one connection: ids, deadlines, what is sent and what comes back. Moves no bytes and reads no clock itself: the
// callers hand in both, and get events.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "framecall/call.hpp"
#include "framecall/client_options.hpp"
#include "framecall/detail/reply_decoder.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/wire/buffer.hpp"

namespace framecall {

/// A client's own record of a call; the session keeps it and returns it with each event.
class SessionCall {
 public:
  virtual ~SessionCall() = default;
};

/// What has happened to a call.
struct SessionEvent {
  std::uint64_t id = 0;
  std::shared_ptr<SessionCall> call;
  CallReply* reply =
      nullptr;  ///< a reply, or a part or piece of one; valid until the next event; null: the call has failed
  std::exception_ptr error;  ///< why
  bool last = true;          ///< no event follows for this call
  bool sent = true;          ///< the server may have seen the call
};

/// One thread at a time, and one connection: after its end calls go to another session.
class ClientSession {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr TimePoint no_deadline = TimePoint::max();
  enum class Wanted : std::uint8_t { reply, parts };

  /// `replies` decodes what is received; it and the dialect of `options` must outlive the session. `peer`: the address, for
  /// messages. Ids begin behind `last_id`.
  ClientSession(std::string peer, const ClientOptions& options, ReplyDecoder& replies, std::uint64_t last_id = 0);
  ClientSession(const ClientSession&) = delete;

  // --- calls

  /// Begins a call and queues its frame. `left`: the time until the deadline that the server is told if the caller gave one.
  /// Returns the id. Throws as RequestEncoder::encode(), std::bad_alloc; then nothing has begun.
  std::uint64_t start(const RequestEncoder& request, Buffer body, std::shared_ptr<SessionCall> call, Wanted wanted,
                      TimePoint deadline, std::chrono::nanoseconds left);
  /// Queues a notification, which is dropped at its deadline.
  void notify(const RequestEncoder& request, Buffer body, TimePoint deadline, std::chrono::nanoseconds left);
  /// Queues a part of a stream; that of a call which has ended is dropped. Throws as item_head().
  void send_part(std::uint64_t id, Part part, bool more);
  void set_deadline(std::uint64_t id, TimePoint deadline);
  /// Asks the server to stop a stream; its answer still comes.
  void ask_to_stop(std::uint64_t id);
  /// Gives a call up without an event: what is unsent of it is dropped, and the server is told if it may have seen it.
  void cancel(std::uint64_t id);
  std::size_t in_flight() const { return calls_.size(); }
  /// `visit(const SessionCall&)` for each.
  template <class Visit>
  void for_each_call(Visit visit) const {
    for (const auto& [id, entry] : calls_) visit(*entry.call);
  }

  // --- frames to send

  struct Frame {
    std::uint64_t id;  // 0: of no call
    TimePoint deadline;
    std::string head;
    Buffer body;
  };
  /// The next frame; false: there is none. What is late at `now` is dropped: nothing is sent after its deadline.
  bool next_frame(TimePoint now, Frame& frame);
  /// Bytes that wait in frames.
  std::size_t unsent() const { return unsent_; }

  // --- what happens

  /// The next thing that follows from the bytes that `replies` has, or from the end of the session; false: more bytes are
  /// needed, or the parts that wait have to be read first, see held(). After the end every call fails, one by one.
  bool next_event(SessionEvent& event);
  /// The next call whose deadline has passed at `now`; the server is told if it may have seen it.
  bool next_late(TimePoint now, SessionEvent& event);
  /// Not after the first deadline; no_deadline: there is none. next_late() brings it up to date.
  TimePoint next_deadline() const { return next_deadline_; }

  /// So many bytes of a call's parts wait for their reader. With Part::max_unread of one call there are no more replies until
  /// a quarter is left: the peer has to wait.
  void set_unread(std::uint64_t id, std::size_t bytes);
  bool held() const { return held_ > 0; }

  // --- the end

  /// No new call belongs here: the server has said so, retire() was called, or it has ended.
  bool closing() const { return retired_ || ended() || replies_.closing(); }
  void retire() { retired_ = true; }
  /// Nothing is under way and nothing will be.
  bool finished() const { return closing() && calls_.empty() && frames_.empty(); }
  /// The connection was lost; `why` is added to the message.
  void lose(int errno_value, std::string_view why = {});
  /// The calls under way fail with `error`.
  void end(std::exception_ptr error);
  bool ended() const { return error_ != nullptr; }
  /// Why it has ended.
  const std::exception_ptr& error() const { return error_; }

  const std::string& peer() const { return peer_; }

 private:
  struct Entry {
    std::shared_ptr<SessionCall> call;
    std::string method;  // for messages
    TimePoint deadline;
    Wanted wanted;
    bool sent = false, held = false;
  };
  using Calls = std::unordered_map<std::uint64_t, Entry>;
  void queue(std::uint64_t id, TimePoint deadline, std::string head, Buffer body);
  void drop_frames(std::uint64_t id);
  void remove(Calls::iterator entry);
  void give_up(Calls::iterator entry);
  bool take_reply(CallReply& reply, SessionEvent& event);
  bool fail_next(SessionEvent& event);
  void refuse(const ProtocolError& error);
  Calls::iterator find(const CallReply& reply);

  const std::string peer_;
  const PrefixFormat prefix_;
  const std::uint32_t max_header_;
  ReplyDecoder& replies_;
  const std::uint64_t first_id_;
  std::uint64_t last_id_;
  std::uint64_t piece_id_ = 0;  // of the reply that came last, more of which may follow
  Calls calls_;
  std::deque<Frame> frames_;
  std::size_t unsent_ = 0, held_ = 0;
  TimePoint next_deadline_ = no_deadline;
  std::exception_ptr error_;
  bool retired_ = false;
};

}  // namespace framecall
