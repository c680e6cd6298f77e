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
#include <new>
#include <system_error>
#include <utility>

#include "framecall/detail/retry.hpp"
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

AsyncConnection::AsyncConnection(asio::any_io_executor executor, const Endpoint& endpoint, const ClientOptions& options)
    : executor_(std::move(executor)),
      endpoint_(endpoint),
      options_(options),
      socket_(executor_),
      timer_(executor_),
      connect_timer_(executor_),
      replies_(options.max_header, options.max_body, dialect_of(options)),
      session_(endpoint.to_string(), options, replies_) {}

void AsyncConnection::start() {
  connect_timer_.expires_after(options_.timeout);
  connect_timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (error || self->connected_) return;
    self->close(network_error(asio::error::timed_out, "cannot connect to " + self->session_.peer()));
  });
  auto connecting = connect(shared_from_this());
  asio::co_spawn(executor_, std::move(connecting), asio::detached);
}

// IPv4 first: what the taught programs know. Names are looked up by Asio, addresses are not.
asio::awaitable<std::vector<GenericEndpoint>> AsyncConnection::resolve(Endpoint endpoint) {
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

asio::awaitable<void> AsyncConnection::connect(std::shared_ptr<AsyncConnection> self) {
  asio::error_code problem;
  int unknown = 0;  // how the last attempt to look up the host failed
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
    timer.expires_after(retry_pause(self->options_, attempt, random_share()));
    co_await timer.async_wait(asio::use_awaitable);
    if (!self->open_) co_return;
  }
  if (unknown != 0) {
    self->close(std::make_exception_ptr(lookup_failed(unknown, self->endpoint_)));
    co_return;
  }
  self->close(network_error(problem, "cannot connect to " + self->session_.peer() + " (" +
                                         std::to_string(std::max(self->options_.attempts, 1U)) + " attempts)"));
}

void AsyncConnection::on_connected() {
  connected_ = true;
  connect_timer_.cancel();
  flush();
  wait_to_read();
}

void AsyncConnection::changed() {
  if (!open_) return;
  arm_timer();
  if (connected_ && session_.unsent() > 0 && !writing_ && !flush_posted_) {
    flush_posted_ = true;
    asio::post(executor_, [self = shared_from_this()] {
      self->flush_posted_ = false;
      self->flush();
    });
  }
  if (held_ && !session_.held()) {
    held_ = false;
    asio::post(executor_, [self = shared_from_this()] {
      self->on_readable();  // what was read already comes first
      self->wait_to_read();
    });
  }
  if (unsent() < resume_below) release_writers();
  end_if_finished();
}

// --- out

// No more than the socket is about to take: what waits longer can still be given up.
void AsyncConnection::fill() {
  ClientSession::Frame frame;
  const auto now = Clock::now();
  while (out_.memory() < resume_below && session_.next_frame(now, frame)) {
    out_.append_frame({}, frame.head, std::move(frame.body));
  }
}

void AsyncConnection::flush() {
  if (!open_ || writing_) return;
  PlainStream stream(socket_.native_handle());
  for (fill(); !out_.empty() && !writing_; fill()) {
    switch (out_.send_to(stream)) {
      case SendQueue::Result::lost:
        session_.lose(errno);
        deliver();
        return;
      case SendQueue::Result::blocked:
      case SendQueue::Result::more: wait_to_write(); break;
      default: break;
    }
  }
  if (unsent() < resume_below) release_writers();
  end_if_finished();
}

void AsyncConnection::wait_to_write() {
  writing_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](asio::error_code error) {
    self->writing_ = false;
    if (!error) self->flush();
  });
}

void AsyncConnection::wait_for_room(std::function<void(std::exception_ptr)> ready) {
  if (session_.ended() || unsent() < most_unsent) {
    ready(session_.error());
  } else {
    writers_.push_back(std::move(ready));
  }
}

void AsyncConnection::release_writers() {
  for (const auto& ready : std::exchange(writers_, {})) ready(session_.error());
}

// --- in

void AsyncConnection::wait_to_read() {
  if (!open_ || !connected_ || reading_ || held_) return;
  reading_ = true;
  socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](asio::error_code error) {
    self->reading_ = false;
    if (error) return;
    self->on_readable();
    self->wait_to_read();
  });
}

void AsyncConnection::on_readable() {
  deliver();  // what an earlier turn left
  for (int i = 0; i < reads_per_turn && open_ && !held_; ++i) {
    try {
      const std::span<char> room = replies_.prepare();
      const ssize_t count = PlainStream(socket_.native_handle()).read(room.data(), room.size());
      if (count < 0 && errno == EAGAIN) break;
      if (count < 0) {
        session_.lose(errno);
      } else {
        replies_.commit(static_cast<std::size_t>(count));
      }
    } catch (const std::bad_alloc&) {  // for a body
      session_.end(std::current_exception());
    }
    deliver();
  }
  end_if_finished();
}

void AsyncConnection::deliver() {
  SessionEvent event;
  while (session_.next_event(event)) static_cast<AsyncCall&>(*event.call).on_event(event);
  held_ = session_.held();
  if (session_.ended()) shut();
}

// --- deadlines

// Moved only to an earlier time; else it wakes, looks, and sleeps again.
void AsyncConnection::arm_timer() {
  if (session_.next_deadline() >= timer_due_ || !open_) return;
  timer_due_ = session_.next_deadline();
  timer_.expires_at(timer_due_);
  timer_.async_wait([weak = weak_from_this()](asio::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->timer_due_ = ClientSession::no_deadline;
    self->on_timer();
  });
}

void AsyncConnection::on_timer() {
  SessionEvent event;
  const auto now = Clock::now();
  while (session_.next_late(now, event)) {
    changed();  // the server is told even if the caller then ends the client
    static_cast<AsyncCall&>(*event.call).on_event(event);
  }
  changed();
}

// --- the end

void AsyncConnection::end_if_finished() {
  if (open_ && session_.finished() && out_.empty()) close(network_error(asio::error::not_connected, session_.peer()));
}

void AsyncConnection::close(std::exception_ptr error) {
  const auto self = shared_from_this();
  session_.end(std::move(error));
  deliver();
}

void AsyncConnection::shut() {
  if (!std::exchange(open_, false)) return;
  asio::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  connect_timer_.cancel();
  out_.clear();
  release_writers();
}

}  // namespace framecall
