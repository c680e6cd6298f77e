#include "client/async_connection.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "framecall/detail/request_encoder.hpp"
#include "framecall/error.hpp"
#include "net/sockets.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;
using GenericEndpoint = asio::generic::stream_protocol::endpoint;

constexpr std::size_t most_unsent = 1 << 20;     // unsent bytes above which writers wait
constexpr std::size_t resume_below = 256 << 10;  // and below which they go on
constexpr int reads_per_turn = 16;               // then the executor's other work has its turn

std::exception_ptr network_error(const asio::error_code& error, const std::string& what) {
  return std::make_exception_ptr(SystemError(error.value(), std::generic_category(), what));
}

}  // namespace

AsyncLink::AsyncLink(asio::any_io_executor executor, const Endpoint& endpoint, const ClientOptions& options)
    : executor_(std::move(executor)),
      endpoint_(endpoint),
      shown_(endpoint.to_string()),
      options_(options),
      prefix_(prefix_of(options)),
      socket_(executor_),
      timer_(executor_),
      connect_timer_(executor_),
      reader_(options.max_header, options.max_body, dialect_of(options)) {}

void AsyncLink::start() {
  connect_timer_.expires_after(options_.timeout);
  connect_timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (error || self->connected_) return;
    self->close(network_error(asio::error::timed_out, "cannot connect to " + self->shown_));
  });
  auto connecting = connect(shared_from_this());
  asio::co_spawn(executor_, std::move(connecting), asio::detached);
}

// IPv4 first: what the taught programs know. Names are looked up by Asio, addresses are not.
asio::awaitable<std::vector<GenericEndpoint>> AsyncLink::resolve(Endpoint endpoint) {
  std::vector<GenericEndpoint> all;
  if (endpoint.is_unix()) {
    all.emplace_back(asio::local::stream_protocol::endpoint(endpoint.path));
    co_return all;
  }
  asio::error_code no_address;
  const auto address = asio::ip::make_address(endpoint.host, no_address);
  if (!no_address) {
    all.emplace_back(asio::ip::tcp::endpoint(address, endpoint.port));
    co_return all;
  }
  asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
  const std::string port = std::to_string(endpoint.port);
  const auto found = co_await resolver.async_resolve(endpoint.host, port, asio::use_awaitable);
  for (const bool v4 : {true, false}) {
    for (const auto& one : found) {
      if (one.endpoint().address().is_v4() == v4) all.emplace_back(one.endpoint());
    }
  }
  co_return all;
}

asio::awaitable<void> AsyncLink::connect(std::shared_ptr<AsyncLink> self) {
  asio::error_code problem;
  int unknown = 0;  // how the last attempt to look up the host failed
  auto pause = self->options_.backoff;
  asio::steady_timer timer(self->executor_);
  for (unsigned attempt = 1;; ++attempt) {
    std::vector<GenericEndpoint> endpoints;
    unknown = 0;
    try {
      auto resolving = resolve(self->endpoint_);
      endpoints = co_await std::move(resolving);
    } catch (const std::system_error& error) {
      unknown = error.code() == asio::error::host_not_found_try_again ? EAI_AGAIN : EAI_NONAME;
    }
    for (const GenericEndpoint& endpoint : endpoints) {
      asio::error_code ignored;
      if (!self->open_) co_return;
      self->socket_.close(ignored);
      auto token = asio::redirect_error(asio::use_awaitable, problem);
      co_await self->socket_.async_connect(endpoint, token);
      if (!self->open_) co_return;
      if (!problem) {
        set_no_delay(self->socket_.native_handle());
        self->socket_.native_non_blocking(true, ignored);
        self->on_connected();
        co_return;
      }
    }
    if (attempt >= self->options_.attempts || unknown == EAI_NONAME) break;
    // Less up to a half at random, so that clients which lost a server together do not come back together.
    timer.expires_after(pause - pause * (std::rand() % 512) / 1024);
    pause = std::min(pause * 2, self->options_.max_backoff);
    co_await timer.async_wait(asio::use_awaitable);
    if (!self->open_) co_return;
  }
  if (unknown != 0) {
    self->close(std::make_exception_ptr(lookup_failed(unknown, self->endpoint_)));
    co_return;
  }
  self->close(network_error(problem, "cannot connect to " + self->shown_ + " (" +
                                         std::to_string(std::max(self->options_.attempts, 1U)) + " attempts)"));
}

void AsyncLink::add(const std::string& id, std::shared_ptr<AsyncCall> call) {
  calls_.emplace(id, Entry{std::move(call), std::nullopt});
}

void AsyncLink::on_connected() {
  connected_ = true;
  connect_timer_.cancel();
  const auto now = Clock::now();
  for (Waiting& one : std::exchange(waiting_, {})) {
    if (now < one.deadline) out_.append(std::move(one.frame));
  }
  waiting_bytes_ = 0;
  flush();
  wait_to_read();
}

void AsyncLink::send(std::string_view head, Buffer body, const std::string& id, TimePoint deadline) {
  if (!connected_) {
    if (!open_) return;
    waiting_bytes_ += head.size() + body.size();
    Buffer frame;
    frame.append(head);
    waiting_.push_back({id, deadline, std::move(frame)});
    if (!body.empty()) waiting_.push_back({id, deadline, std::move(body)});
    return;
  }
  out_.append_frame({}, head, std::move(body));
  if (writing_ || flush_posted_) return;
  flush_posted_ = true;
  asio::post(executor_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void AsyncLink::flush() {
  if (!open_ || writing_) return;
  if (!out_.empty()) {
    PlainStream stream(socket_.native_handle());
    switch (out_.send_to(stream)) {
      case OutQueue::Result::lost: lost(errno); return;
      case OutQueue::Result::blocked:
      case OutQueue::Result::more: wait_to_write(); break;
      default: break;
    }
  }
  if (out_.memory() < resume_below) release_writers(nullptr);
  end_if_retired();
}

void AsyncLink::wait_to_write() {
  writing_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](asio::error_code error) {
    self->writing_ = false;
    if (!error) self->flush();
  });
}

void AsyncLink::wait_for_room(std::function<void(std::exception_ptr)> ready) {
  if (error_ || unsent() < most_unsent) {
    ready(error_);
  } else {
    writers_.push_back(std::move(ready));
  }
}

void AsyncLink::release_writers(std::exception_ptr error) {
  for (const auto& ready : std::exchange(writers_, {})) ready(error);
}

void AsyncLink::wait_to_read() {
  if (!open_ || !connected_ || reading_ || held_) return;
  reading_ = true;
  socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](asio::error_code error) {
    self->reading_ = false;
    if (error) return;
    self->on_readable();
    self->wait_to_read();
  });
}

void AsyncLink::resume() {
  if (!std::exchange(held_, false)) return;
  asio::post(executor_, [self = shared_from_this()] {
    self->on_readable();  // what was read already comes first
    self->wait_to_read();
  });
}

void AsyncLink::on_readable() {
  try {
    dispatch_all();  // what an earlier turn left
    for (int i = 0; i < reads_per_turn && open_ && !held_; ++i) {
      const std::span<char> room = reader_.prepare();
      const ssize_t count = PlainStream(socket_.native_handle()).read(room.data(), room.size());
      if (count < 0 && errno == EAGAIN) break;
      if (count < 0) {
        lost(errno);
        return;
      }
      reader_.commit(static_cast<std::size_t>(count));
      dispatch_all();
    }
    end_if_retired();
  } catch (const ProtocolError& error) {
    if (error.code() == ErrorCode::data_loss) {
      lost(ECONNRESET);
    } else {
      close(std::make_exception_ptr(ProtocolError(error.code(), error.offset(), shown_ + ": " + error.what())));
    }
  } catch (...) {  // no memory for a body
    close(std::current_exception());
  }
}

void AsyncLink::dispatch_all() {
  while (CallReply* const reply = open_ && !held_ ? reader_.next() : nullptr) dispatch(*reply);
  if (open_ && reader_.closed()) lost(ECONNRESET);
}

void AsyncLink::dispatch(CallReply& reply) {
  if (reply.id.empty()) {  // the peer has given up on what it read
    close(reply.error ? std::make_exception_ptr(*reply.error)
                      : std::make_exception_ptr(ProtocolError(ErrorCode::invalid_request, 0, shown_ + ": no id")));
    return;
  }
  const auto found = calls_.find(reply.id);
  if (found == calls_.end()) return;  // of a call that was given up
  const bool last = !reply.more && !reply.continues;
  const std::shared_ptr<AsyncCall> call = last ? take(reply.id) : found->second.call;
  if (!call->on_reply(reply) && !last) held_ = true;
}

std::shared_ptr<AsyncCall> AsyncLink::take(const std::string& id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return nullptr;
  if (found->second.deadline) deadlines_.erase(*found->second.deadline);
  std::shared_ptr<AsyncCall> call = std::move(found->second.call);
  calls_.erase(found);
  return call;
}

void AsyncLink::set_deadline(const std::string& id, std::optional<TimePoint> deadline) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  if (found->second.deadline) deadlines_.erase(*found->second.deadline);
  found->second.deadline.reset();
  if (!deadline) return;
  found->second.deadline = deadlines_.emplace(*deadline, id);
  arm_timer();
}

// Moved only to an earlier time; else it wakes, looks, and sleeps again.
void AsyncLink::arm_timer() {
  if (deadlines_.empty() || deadlines_.begin()->first >= timer_due_ || !open_) return;
  timer_due_ = deadlines_.begin()->first;
  timer_.expires_at(timer_due_);
  timer_.async_wait([weak = weak_from_this()](asio::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->timer_due_ = TimePoint::max();
    self->on_timer();
  });
}

void AsyncLink::on_timer() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now()) {
    const std::string id = deadlines_.begin()->second;
    const std::string& what = calls_.at(id).call->what();
    cancel(id, network_error(asio::error::timed_out, shown_ + ": no reply to " + what));
  }
  arm_timer();
}

void AsyncLink::cancel(const std::string& id, std::exception_ptr error) {
  const auto call = take(id);
  if (!call) return;
  if (connected_) {
    send(cancel_frame(id, prefix_), Buffer());
  } else {
    std::erase_if(waiting_, [&](const Waiting& one) {
      if (one.id != id) return false;
      waiting_bytes_ -= one.frame.size();
      return true;
    });
    if (unsent() < resume_below) release_writers(nullptr);
  }
  resume();
  if (error) call->on_failure(error);
  end_if_retired();
}

void AsyncLink::retire() {
  retired_ = true;
  end_if_retired();
}

void AsyncLink::end_if_retired() {
  if (open_ && (retired_ || reader_.closing()) && calls_.empty() && out_.empty() && waiting_.empty()) {
    close(network_error(asio::error::not_connected, shown_));
  }
}

void AsyncLink::lost(int errno_value) {
  const std::error_code code(errno_value, std::generic_category());
  close(std::make_exception_ptr(UnavailableError(code, "UNAVAILABLE: " + shown_ + ": the connection was lost with " +
                                                           std::to_string(calls_.size()) + " calls under way")));
}

void AsyncLink::close(std::exception_ptr error) {
  if (!open_) return;
  const auto self = shared_from_this();
  open_ = false;
  error_ = error;
  asio::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  connect_timer_.cancel();
  out_.clear();
  waiting_.clear();
  deadlines_.clear();
  release_writers(error);
  for (auto& [id, entry] : std::exchange(calls_, {})) entry.call->on_failure(error);
}

}  // namespace framecall
