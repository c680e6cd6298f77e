#include "framecall/async_client.hpp"

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/async_connection.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/error.hpp"
#include "net/await_callback.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

std::exception_ptr aborted(const std::string& what) {
  return std::make_exception_ptr(SystemError(ECANCELED, std::generic_category(), what));
}

// A call with one reply.
class SingleCall : public AsyncCall {
 public:
  SingleCall(std::string what, std::string shown) : what_(std::move(what)), shown_(std::move(shown)) {}

  bool on_reply(CallReply& reply) override {
    if (over_) return true;  // a further piece of what was too large
    try {
      response_ = response_of(std::move(reply), shown_);
      finish(nullptr);
    } catch (...) {
      finish(std::current_exception());
    }
    return true;
  }
  void on_failure(std::exception_ptr error) override { finish(error); }
  const std::string& what() const override { return what_; }

  void wait(Complete complete) {
    if (over_) {
      complete(error_);
    } else {
      complete_ = std::move(complete);
    }
  }
  Response take_response() { return std::move(response_); }

 private:
  void finish(std::exception_ptr error) {
    if (std::exchange(over_, true)) return;
    error_ = error;
    if (const auto once = std::exchange(complete_, nullptr)) once(error);
  }
  const std::string what_, shown_;
  Response response_;
  Complete complete_;
  std::exception_ptr error_;
  bool over_ = false;
};

asio::awaitable<Json> value_of(asio::awaitable<Response> reply) {
  const Response response = co_await std::move(reply);
  co_return response.value();
}

asio::awaitable<void> room(std::shared_ptr<AsyncLink> link) {
  return suspend([link](const Complete& complete, const OnCancel&) { link->wait_for_room(complete); });
}

}  // namespace

class AsyncClient::Implementation {
 public:
  Implementation(asio::any_io_executor given, const Endpoint& target, ClientOptions limits)
      : executor_(std::move(given)), endpoint_(target), options(with_lengths_alone(std::move(limits))) {}

  // The one for a new call. One that the server wants to close keeps the calls that it has.
  std::shared_ptr<AsyncLink> link() {
    if (closed_) throw std::logic_error("the client is closed");
    if (link_ && link_->usable()) return link_;
    if (link_) link_->retire();
    std::erase_if(retired_, [](const auto& one) { return one.expired(); });
    retired_.push_back(link_);
    link_ = std::make_shared<AsyncLink>(executor_, endpoint_, options);
    link_->start();
    return link_;
  }

  void close() {
    closed_ = true;
    retired_.push_back(std::exchange(link_, nullptr));
    const std::error_code code(ECANCELED, std::generic_category());
    const auto error = std::make_exception_ptr(
        UnavailableError(code, "UNAVAILABLE: " + endpoint_.to_string() + ": the client was closed"));
    for (const auto& one : retired_) {
      if (const auto open = one.lock()) open->close(error);
    }
  }

  const asio::any_io_executor& executor() const { return executor_; }
  std::size_t in_flight() const {
    std::size_t count = link_ ? link_->in_flight() : 0;
    for (const auto& one : retired_) {
      if (const auto open = one.lock()) count += open->in_flight();
    }
    return count;
  }

 private:
  const asio::any_io_executor executor_;
  const Endpoint endpoint_;

 public:
  const ClientOptions options;

 private:
  std::shared_ptr<AsyncLink> link_;
  std::vector<std::weak_ptr<AsyncLink>> retired_;  // with calls under way
  bool closed_ = false;
};

// One call and its reply; a call that is idempotent again when its connection broke.
asio::awaitable<Response> AsyncClient::run(std::shared_ptr<Implementation> client, std::string method, Json params,
                                           Buffer body, CallOptions options) {
  const ClientCall call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options);
  // Less up to a half at random, so that clients which lost a server together do not come back together.
  const auto pause = client->options.backoff - client->options.backoff * (std::rand() % 512) / 1024;
  for (unsigned attempt = 1;; ++attempt) {
    const auto link = client->link();
    const auto single = std::make_shared<SingleCall>(in_quotes(method), link->shown());
    const std::string id = link->next_id();
    const bool again = options.idempotent && attempt < std::min(client->options.attempts, max_sent);
    Buffer sent;
    if (again) {
      sent.append(body.view());
    } else {
      sent = std::move(body);
    }
    link->add(id, single);
    link->set_deadline(id, deadline);
    link->send(call.encode(id, deadline, false, link->prefix()), std::move(sent), id, deadline);
    auto reply = suspend([link, id, single](const Complete& complete, const OnCancel& on_cancel) {
      on_cancel([link, id, single] { link->cancel(id, aborted(single->what())); });
      single->wait(complete);
    });
    try {
      co_await std::move(reply);
      co_return single->take_response();
    } catch (const UnavailableError&) {
      if (!again || Clock::now() + pause >= deadline) throw;
    }
    asio::steady_timer timer(client->executor(), pause);
    auto waiting = timer.async_wait(asio::use_awaitable);
    co_await std::move(waiting);
  }
}

AsyncClient::AsyncClient(asio::any_io_executor executor, const Endpoint& endpoint, ClientOptions options)
    : implementation_(std::make_shared<Implementation>(std::move(executor), endpoint, std::move(options))) {}

AsyncClient::~AsyncClient() { close(); }

void AsyncClient::close() { implementation_->close(); }

std::size_t AsyncClient::in_flight() const { return implementation_->in_flight(); }

asio::awaitable<Response> AsyncClient::request(std::string method, Json params, Buffer body, CallOptions options) {
  return run(implementation_, std::move(method), std::move(params), std::move(body), std::move(options));
}

asio::awaitable<Json> AsyncClient::call(std::string method, Json params, CallOptions options) {
  return value_of(run(implementation_, std::move(method), std::move(params), Buffer(), std::move(options)));
}

asio::awaitable<void> AsyncClient::notify(std::string method, Json params, Buffer body, CallOptions options) {
  return tell(implementation_, std::move(method), std::move(params), std::move(body), std::move(options));
}

asio::awaitable<AsyncStream> AsyncClient::stream(std::string method, Json params, Buffer body, CallOptions options) {
  return open(implementation_, std::move(method), std::move(params), std::move(body), std::move(options));
}

asio::awaitable<void> AsyncClient::tell(std::shared_ptr<Implementation> client, std::string method, Json params,
                                        Buffer body, CallOptions options) {
  const ClientCall call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options);
  const auto link = client->link();
  auto waiting = room(link);
  co_await std::move(waiting);
  if (Clock::now() >= deadline) {
    throw SystemError(ETIMEDOUT, std::generic_category(), link->shown() + ": " + in_quotes(method) + " was not sent");
  }
  link->send(call.encode({}, deadline, false, link->prefix()), std::move(body), {}, deadline);
}

// Receives parts as a call of its link, and gives them to the coroutine that reads.
class AsyncStream::Implementation : public AsyncCall, public std::enable_shared_from_this<Implementation> {
 public:
  Implementation(std::shared_ptr<AsyncLink> link, std::string id, std::string what, const CallOptions& options,
                 const ClientOptions& limits)
      : link_(std::move(link)),
        id_(std::move(id)),
        what_(std::move(what)),
        options_(options),
        limits_(limits),
        writing_(options.more) {}

  bool on_reply(CallReply& reply) override {
    const bool last = !reply.more && !reply.continues;
    if (last) {
      ended_ = true;
      metadata_ = std::move(reply.metadata);
    }
    if (reply.error || reply.damage) {
      error_ = reply.error ? std::make_exception_ptr(*reply.error) : std::make_exception_ptr(*reply.damage);
    } else if (!last || reply.continued || reply.result != "null" || !reply.body.empty()) {
      parts_.push_back(part_of(std::move(reply)));
      unread_ += parts_.back().weight();
    }
    wake();
    full_ = unread_ >= Part::max_unread;
    return !full_;
  }
  void on_failure(std::exception_ptr error) override {
    ended_ = true;
    error_ = error;
    wake();
  }
  const std::string& what() const override { return what_; }

  static asio::awaitable<std::optional<Part>> read(std::shared_ptr<Implementation> self) {
    while (self->parts_.empty() && !self->ended_) {
      self->link_->set_deadline(self->id_, self->deadline());
      auto waiting = suspend([self](const Complete& complete, const OnCancel& on_cancel) {
        on_cancel([self] { self->link_->cancel(self->id_, aborted(self->what_)); });
        self->reader_ = complete;
      });
      co_await std::move(waiting);
    }
    self->link_->set_deadline(self->id_, self->total_deadline_);
    std::optional<Part> part;
    if (!self->parts_.empty()) {
      part = self->take();
      co_return part;
    }
    if (self->error_) std::rethrow_exception(self->error_);
    co_return part;
  }

  static asio::awaitable<void> write(std::shared_ptr<Implementation> self, Part part, bool more) {
    if (!self->writing_) {
      if (!more) co_return;
      throw std::logic_error("write() to a stream whose parts are all written, or without options.more");
    }
    check_json(part);
    const std::string head = item_head(self->id_, part, more, self->limits_.max_header, self->link_->prefix());
    auto waiting = room(self->link_);
    co_await std::move(waiting);
    if (self->error_) std::rethrow_exception(self->error_);
    self->writing_ = more;
    if (self->ended_) co_return;  // whatever came: it is the answer
    self->link_->send(head, std::move(part.body), self->id_);
  }

  void set_total_deadline(Clock::time_point deadline) {
    total_deadline_ = deadline;
    link_->set_deadline(id_, deadline);
  }
  const std::string& metadata() const { return metadata_; }

  // Tells the server; its answer still comes.
  void ask_to_stop() {
    if (ended_) return;
    writing_ = false;
    link_->send(cancel_frame(id_, link_->prefix()), Buffer(), id_);
  }
  // Nobody reads any more.
  void abandon() {
    parts_.clear();
    if (!ended_) link_->cancel(id_, nullptr);
    ended_ = true;
    if (std::exchange(full_, false)) link_->resume();
  }

 private:
  Clock::time_point deadline() const { return total_deadline_ ? *total_deadline_ : deadline_of(options_, limits_); }
  Part take() {
    Part part = std::move(parts_.front());
    parts_.pop_front();
    unread_ -= part.weight();
    if (full_ && unread_ < Part::max_unread / 4) {
      full_ = false;
      link_->resume();
    }
    return part;
  }
  void wake() {
    if (const auto once = std::exchange(reader_, nullptr)) once(nullptr);
  }

  const std::shared_ptr<AsyncLink> link_;
  const std::string id_, what_;
  const CallOptions options_;
  const ClientOptions limits_;
  std::optional<Clock::time_point> total_deadline_;
  std::deque<Part> parts_;
  std::size_t unread_ = 0;
  std::string metadata_;
  std::exception_ptr error_;
  Complete reader_;
  bool writing_, ended_ = false, full_ = false;
};

asio::awaitable<AsyncStream> AsyncClient::open(std::shared_ptr<Implementation> client, std::string method, Json params,
                                               Buffer body, CallOptions options) {
  const ClientCall call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options);
  const auto link = client->link();
  const std::string id = link->next_id();
  const auto stream =
      std::make_shared<AsyncStream::Implementation>(link, id, in_quotes(method), options, client->options);
  AsyncStream result(stream);
  link->add(id, stream);
  if (options.timeout.count() > 0) stream->set_total_deadline(deadline);
  link->send(call.encode(id, deadline, true, link->prefix()), std::move(body), id);
  auto waiting = room(link);
  co_await std::move(waiting);
  co_return result;
}

AsyncStream::AsyncStream(std::shared_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
AsyncStream::AsyncStream(AsyncStream&&) noexcept = default;
AsyncStream& AsyncStream::operator=(AsyncStream&& other) noexcept {
  std::swap(implementation_, other.implementation_);
  return *this;
}
AsyncStream::~AsyncStream() {
  if (implementation_) implementation_->abandon();
}

asio::awaitable<void> AsyncStream::write(Part part) {
  return Implementation::write(implementation_, std::move(part), true);
}
asio::awaitable<void> AsyncStream::finish_writing() { return Implementation::write(implementation_, Part(), false); }
asio::awaitable<std::optional<Part>> AsyncStream::read() { return Implementation::read(implementation_); }
const std::string& AsyncStream::metadata() const { return implementation_->metadata(); }
void AsyncStream::cancel() { implementation_->ask_to_stop(); }

}  // namespace framecall
