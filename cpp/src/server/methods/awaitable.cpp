#include "framecall/awaitable.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>

#include <mutex>
#include <stop_token>
#include <utility>

#include "net/await_callback.hpp"

namespace framecall {
namespace {

// Cancels a coroutine on its executor when the call is over, from whichever thread that is noticed.
class Canceller : public std::enable_shared_from_this<Canceller> {
 public:
  asio::cancellation_slot slot() { return signal_.slot(); }
  void watch(const asio::any_io_executor& executor, const std::stop_token& token) {
    callback_.emplace(token, [executor, weak = weak_from_this()] {
      asio::post(executor, [weak] {
        if (const auto self = weak.lock()) self->signal_.emit(asio::cancellation_type::terminal);
      });
    });
  }
  void end() { callback_.reset(); }

 private:
  asio::cancellation_signal signal_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;
};

asio::awaitable<void> answer(asio::awaitable<Response> handler, Responder reply) {
  try {
    Response response = co_await std::move(handler);
    reply(std::move(response));
  } catch (...) {
    reply.current_exception();
  }
}

void spawn(const asio::any_io_executor& executor, const std::stop_token& token, asio::awaitable<Response> handler,
           const Responder& reply) {
  const auto canceller = std::make_shared<Canceller>();
  canceller->watch(executor, token);
  auto answering = answer(std::move(handler), reply);
  asio::co_spawn(
      executor, std::move(answering),
      asio::bind_cancellation_slot(canceller->slot(), [canceller](std::exception_ptr) { canceller->end(); }));
}

// Opened once, from any thread; a coroutine waits for it.
class Gate {
 public:
  void open() {
    Complete complete;
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
      complete = std::exchange(complete_, nullptr);
    }
    if (complete) complete(nullptr);
  }
  void wait(const Complete& complete) {
    {
      const std::lock_guard lock(mutex_);
      if (!open_) {
        complete_ = complete;
        return;
      }
    }
    complete(nullptr);
  }

 private:
  std::mutex mutex_;
  bool open_ = false;
  Complete complete_;
};

}  // namespace

std::function<void(Request, Responder)> awaitable(asio::any_io_executor executor,
                                                  std::function<asio::awaitable<Response>(Request)> function) {
  return [executor = std::move(executor), function = std::move(function)](Request request, const Responder& reply) {
    const std::stop_token token = request.stop_token();
    spawn(executor, token, function(std::move(request)), reply);
  };
}

std::function<void(Request, Responder, std::shared_ptr<Stream>)> awaitable_stream(
    asio::any_io_executor executor,
    std::function<asio::awaitable<Response>(Request, std::shared_ptr<Stream>)> function) {
  return [executor = std::move(executor), function = std::move(function)](Request request, const Responder& reply,
                                                                          std::shared_ptr<Stream> stream) {
    const std::stop_token token = request.stop_token();
    spawn(executor, token, function(std::move(request), std::move(stream)), reply);
  };
}

asio::awaitable<std::optional<Part>> read_part(std::shared_ptr<Stream> stream) {
  for (;;) {
    const auto gate = std::make_shared<Gate>();
    std::optional<Part> part(std::in_place);
    const Stream::Attempt attempt = stream->try_read(*part, [gate] { gate->open(); });
    if (attempt == Stream::Attempt::end) part.reset();
    if (attempt != Stream::Attempt::later) co_return part;
    auto waiting = suspend([gate](const Complete& complete, const OnCancel&) { gate->wait(complete); });
    co_await std::move(waiting);
  }
}

asio::awaitable<void> send_part(std::shared_ptr<Stream> stream, Part part) {
  for (;;) {
    const auto gate = std::make_shared<Gate>();
    if (stream->try_write(part, [gate] { gate->open(); }) != Stream::Attempt::later) co_return;
    auto waiting = suspend([gate](const Complete& complete, const OnCancel&) { gate->wait(complete); });
    co_await std::move(waiting);
  }
}

}  // namespace framecall
