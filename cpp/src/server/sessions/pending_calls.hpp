// The calls of one connection that have no answer yet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "framecall/error.hpp"
#include "framecall/stream.hpp"
#include "server/fair_queue.hpp"
#include "server/memory_budget.hpp"

namespace framecall {

/// A call whose handler runs, or will run, on another thread or later.
struct PendingCall {
  std::string id;                   ///< JSON text; empty for a notification
  MemoryCharge memory;              ///< of the request, until its handler is done with it
  std::shared_ptr<void> place;      ///< among the streams of the server; may be null
  const Method* checked = nullptr;  ///< the method, if its answers may not be JSON
  std::stop_source stop;
  std::function<void()> drop_deadline;  ///< empty if it has no deadline
  std::shared_ptr<Stream> stream;
  std::size_t unsent = 0;  ///< weight of its parts that are not sent yet
  bool counted = false;    ///< its handler is not done with it
  bool streams = false;    ///< it counts as a stream
  bool open = false;       ///< more parts may arrive
  bool held = false;       ///< its stream takes no more parts now
  bool answered = false;

  /// Work for a notification runs although its sender has left: nobody waits for an answer.
  FairQueue::OnClose on_close() const { return id.empty() ? FairQueue::OnClose::run : FairQueue::OnClose::drop; }
};

/// Belongs to one connection, and is used on its thread only.
class PendingCalls {
 public:
  using Call = std::shared_ptr<PendingCall>;

  /// Adds a call, and keeps its request in memory. The id must not be there yet.
  Call add(const std::string& id, Request& request, const std::shared_ptr<MemoryBudget>& budget);
  /// Holds `owner` until the handlers of all calls are done.
  void keep_alive(std::shared_ptr<void> owner) { owner_ = std::move(owner); }
  /// The handler of a call is done, or never began. May destroy the owner, unless somebody else holds it.
  void release(PendingCall& call);
  /// A call has its answer: its deadline is dropped, and its stream fails with `why`.
  void remove(PendingCall& call, const CallError& why);
  /// The connection is closed: asks all handlers to stop. Nothing can be added afterwards.
  void cancel_all();

  /// Null if there is none.
  Call find(const std::string& id) const;
  /// Those that stream.
  std::vector<Call> streams() const;

  /// The call is a stream, and has this place.
  void begin_stream(PendingCall& call, std::shared_ptr<void> place);
  /// More parts may arrive; no more will.
  void open_input(PendingCall& call);
  void close_input(PendingCall& call);
  /// The stream takes no more parts for now; it takes parts again.
  void hold(PendingCall& call);
  void resume(PendingCall& call);

  /// Calls whose handlers are not done.
  std::size_t running() const { return running_; }
  /// The same without the streams that wait for parts: the connection has to read on for those.
  std::size_t filling() const { return running_ - std::min(running_, open_); }
  std::size_t open_inputs() const { return open_; }
  std::size_t held() const { return held_; }
  std::size_t stream_count() const { return streams_; }
  /// Bytes of the requests that handlers have.
  std::size_t memory() const { return memory_; }

 private:
  void close(PendingCall& call, const CallError& why);

  using ById = std::unordered_map<std::string, Call>;
  std::unique_ptr<ById> by_id_;  // made for the first call
  std::size_t running_ = 0, open_ = 0, held_ = 0, streams_ = 0, memory_ = 0;
  std::shared_ptr<void> owner_;
  bool closed_ = false;
};

}  // namespace framecall
