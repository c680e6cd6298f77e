// One connection of an asynchronous client: any number of calls under way, replies in any order.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "framecall/client_options.hpp"
#include "framecall/detail/reply_decoder.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/wire/buffer.hpp"
#include "net/send_queue.hpp"

namespace framecall {

/// Who waits for replies to one id.
class AsyncCall {
 public:
  virtual ~AsyncCall() = default;
  /// A reply, or a part or piece of one. False: no more for now, see AsyncLink::resume().
  virtual bool on_reply(CallReply& reply) = 0;
  /// There will be none.
  virtual void on_failure(std::exception_ptr error) = 0;
  /// The call, for messages.
  virtual const std::string& what() const = 0;
};

/// On its executor only. Lives in the handlers that wait for it; close() ends them.
class AsyncLink : public std::enable_shared_from_this<AsyncLink> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// `options` must outlive its calls.
  AsyncLink(asio::any_io_executor executor, const Endpoint& endpoint, const ClientOptions& options);

  /// Begins to connect. What is sent before it has, waits.
  void start();
  /// New calls may be sent here: it is open, and the peer has asked for no other connection.
  bool usable() const { return open_ && !reader_.closing() && !retired_; }
  /// Closes when the calls under way have ended.
  void retire();
  /// Ends all calls with `error`.
  void close(std::exception_ptr error);

  std::string next_id() { return std::to_string(++last_id_); }
  void add(const std::string& id, std::shared_ptr<AsyncCall> call);
  /// The frame leaves together with others of this turn of the executor. One that waits for the connection is dropped when the
  /// call of this `id` is given up, or when `deadline` passes: nothing is sent that is late.
  void send(std::string_view head, Buffer body, const std::string& id = {}, TimePoint deadline = TimePoint::max());
  /// Calls `ready` when less than 256 KiB are unsent, at once if that is so now; with an exception when the link has ended.
  void wait_for_room(std::function<void(std::exception_ptr)> ready);
  /// When the call is late. Nothing: it has all the time.
  void set_deadline(const std::string& id, std::optional<TimePoint> deadline);
  /// Gives the call up and tells the server. Without `error` nobody else is told.
  void cancel(const std::string& id, std::exception_ptr error);
  /// A call that did not want more replies takes some again.
  void resume();
  std::size_t in_flight() const { return calls_.size(); }
  const std::string& shown() const { return shown_; }
  /// How frames for it begin.
  const PrefixFormat& prefix() const { return prefix_; }

 private:
  struct Entry {
    std::shared_ptr<AsyncCall> call;
    std::optional<std::multimap<TimePoint, std::string>::iterator> deadline;
  };
  /// A frame that waits for the connection.
  struct Waiting {
    std::string id;
    TimePoint deadline;
    Buffer frame;
  };
  static asio::awaitable<void> connect(std::shared_ptr<AsyncLink> self);
  static asio::awaitable<std::vector<asio::generic::stream_protocol::endpoint>> resolve(Endpoint endpoint);
  void wait_to_read();
  void wait_to_write();
  void on_readable();
  void dispatch_all();
  void dispatch(CallReply& reply);
  void on_connected();
  void flush();
  std::size_t unsent() const { return out_.memory() + waiting_bytes_; }
  void release_writers(std::exception_ptr error);
  void arm_timer();
  void on_timer();
  std::shared_ptr<AsyncCall> take(const std::string& id);
  void end_if_retired();
  void lost(int errno_value);

  asio::any_io_executor executor_;
  const Endpoint endpoint_;
  const std::string shown_;
  const ClientOptions& options_;
  const PrefixFormat prefix_;
  asio::generic::stream_protocol::socket socket_;
  asio::steady_timer timer_, connect_timer_;
  TimePoint timer_due_ = TimePoint::max();
  ReplyReader reader_;
  OutQueue out_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::unordered_map<std::string, Entry> calls_;
  std::multimap<TimePoint, std::string> deadlines_;
  std::vector<std::function<void(std::exception_ptr)>> writers_;
  std::exception_ptr error_;
  std::uint64_t last_id_ = 0;
  bool open_ = true, connected_ = false, retired_ = false;
  bool reading_ = false, writing_ = false, flush_posted_ = false, held_ = false;
};

}  // namespace framecall
