// One connection of an asynchronous client: moves the bytes of a ClientSession, on an executor.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framecall/client_options.hpp"
#include "framecall/detail/client_session.hpp"
#include "framecall/detail/reply_decoder.hpp"
#include "framecall/endpoint.hpp"
#include "net/send_queue.hpp"

namespace framecall {

/// Who waits for replies to one id.
class AsyncCall : public SessionCall {
 public:
  /// A reply, or a part or piece of one, or why there is none.
  virtual void on_event(SessionEvent& event) = 0;
};

/// On its executor only. Lives in the handlers that wait for it; close() ends them.
class AsyncConnection : public std::enable_shared_from_this<AsyncConnection> {
 public:
  /// `options` must outlive its calls.
  AsyncConnection(asio::any_io_executor executor, const Endpoint& endpoint, const ClientOptions& options);

  /// Begins to connect. What is sent before it has, waits.
  void start();
  /// Its calls are all AsyncCalls. changed() afterwards, unless it was only looked at.
  ClientSession& session() { return session_; }
  /// The session may have frames to send, an earlier deadline, an end, or take replies again. Frames leave together with others
  /// of this turn of the executor.
  void changed();
  /// Ends all calls with `error`.
  void close(std::exception_ptr error);
  /// Calls `ready` when less than 256 KiB are unsent, at once if that is so now; with an exception when the session has ended.
  void wait_for_room(std::function<void(std::exception_ptr)> ready);

 private:
  static asio::awaitable<void> connect(std::shared_ptr<AsyncConnection> self);
  static asio::awaitable<std::vector<asio::generic::stream_protocol::endpoint>> resolve(Endpoint endpoint);
  void on_connected();
  void wait_to_read();
  void wait_to_write();
  void on_readable();
  void deliver();
  void flush();
  void fill();
  std::size_t unsent() const { return out_.memory() + session_.unsent(); }
  void release_writers();
  void arm_timer();
  void on_timer();
  void end_if_finished();
  void shut();

  asio::any_io_executor executor_;
  const Endpoint endpoint_;
  const ClientOptions& options_;
  asio::generic::stream_protocol::socket socket_;
  asio::steady_timer timer_, connect_timer_;
  ClientSession::TimePoint timer_due_ = ClientSession::no_deadline;
  ReplyDecoder replies_;
  ClientSession session_;
  SendQueue out_;
  std::vector<std::function<void(std::exception_ptr)>> writers_;
  bool open_ = true, connected_ = false;
  bool reading_ = false, writing_ = false, flush_posted_ = false, held_ = false;
};

}  // namespace framecall
