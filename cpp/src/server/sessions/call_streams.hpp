// The streams of one connection: their places, and their parts in both directions.
#pragma once

#include <cstddef>
#include <memory>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/header.hpp"
#include "server/sessions/call_replies.hpp"
#include "server/sessions/pending_calls.hpp"
#include "server/sessions/session_port.hpp"
#include "server/sessions/unsent_memory.hpp"

namespace framecall {

/// Belongs to a connection, and is used on its thread only.
class CallStreams {
 public:
  using Call = std::shared_ptr<PendingCall>;
  /// All must outlive it.
  CallStreams(SessionPort& port, PendingCalls& pending, CallReplies& replies);

  /// Takes a place for a stream of this method. Throws CallError(resource_exhausted).
  std::shared_ptr<void> take_place(const Method& method);
  /// Makes the stream of a call. `accepts_parts`: the caller takes parts. `open`: parts of the caller will arrive.
  void open(const Call& call, std::shared_ptr<void> place, bool accepts_parts, bool open);

  /// The end of a frame that belongs to a stream: a part, or the rest of one, and perhaps the last. `sum`: of what was delivered
  /// of it before.
  void deliver(const Header& header, const Call& call, Buffer body, Digest* sum = nullptr);
  void deliver(PendingCall& call, Part part);

  /// Bytes are to be sent, or were sent.
  void note_unsent();
  /// Little is left to send: handlers that write may continue.
  void release_writers();

 private:
  void send(const Call& call, Part& part, PartCharge& charge);
  std::size_t room() const;

  SessionPort& port_;
  PendingCalls& pending_;
  CallReplies& replies_;
  std::shared_ptr<PartRoom> part_room_;
  bool writers_wait_ = false;
};

}  // namespace framecall
