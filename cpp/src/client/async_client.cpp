#include "framecall/async_client.hpp"

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/async_connection.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/detail/retry.hpp"
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

  void on_event(SessionEvent& event) override {
    sent_ = event.sent;
    try {
      if (event.reply != nullptr) response_ = response_of(std::move(*event.reply), shown_);
      finish(event.error);
    } catch (...) {
      finish(std::current_exception());
    }
  }
  void cancel() { finish(aborted(what_)); }

  void wait(Complete complete) {
    if (over_) {
      complete(error_);
    } else {
      complete_ = std::move(complete);
    }
  }
  Response take_response() { return std::move(response_); }
  /// The server may have seen it.
  bool sent() const { return sent_; }

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
  bool over_ = false, sent_ = false;
};

asio::awaitable<Json> value_of(asio::awaitable<Response> reply) {
  const Response response = co_await std::move(reply);
  co_return response.value();
}

asio::awaitable<void> room(std::shared_ptr<AsyncConnection> connection) {
  return suspend([connection](const Complete& complete, const OnCancel&) { connection->wait_for_room(complete); });
}

}  // namespace

class AsyncClient::Implementation {
 public:
  Implementation(asio::any_io_executor given, const Endpoint& target, ClientOptions limits)
      : executor_(std::move(given)), endpoint_(target), options(with_lengths_alone(std::move(limits))) {}

  // The one for a new call. One that the server wants to close keeps the calls that it has.
  std::shared_ptr<AsyncConnection> connection() {
    if (closed_) throw std::logic_error("the client is closed");
    if (connection_ && !connection_->session().closing()) return connection_;
    if (connection_) {
      connection_->session().retire();
      connection_->changed();
    }
    std::erase_if(retired_, [](const auto& one) { return one.expired(); });
    retired_.push_back(connection_);
    connection_ = std::make_shared<AsyncConnection>(executor_, endpoint_, options);
    connection_->start();
    return connection_;
  }

  void close() {
    closed_ = true;
    retired_.push_back(std::exchange(connection_, nullptr));
    const std::error_code code(ECANCELED, std::generic_category());
    const auto error = std::make_exception_ptr(
        UnavailableError(code, "UNAVAILABLE: " + endpoint_.to_string() + ": the client was closed"));
    for (const auto& one : retired_) {
      if (const auto open = one.lock()) open->close(error);
    }
  }

  bool closed() const { return closed_; }
  const asio::any_io_executor& executor() const { return executor_; }
  std::size_t in_flight() const {
    std::size_t count = connection_ ? connection_->session().in_flight() : 0;
    for (const auto& one : retired_) {
      if (const auto open = one.lock()) count += open->session().in_flight();
    }
    return count;
  }

 private:
  const asio::any_io_executor executor_;
  const Endpoint endpoint_;

 public:
  const ClientOptions options;

 private:
  std::shared_ptr<AsyncConnection> connection_;
  std::vector<std::weak_ptr<AsyncConnection>> retired_;  // with calls under way
  bool closed_ = false;
};

// One call and its reply; a call that is idempotent again when its connection broke.
asio::awaitable<Response> AsyncClient::run(std::shared_ptr<Implementation> client, std::string method, Json params,
                                           Buffer body, CallOptions options) {
  const RequestEncoder call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options, Clock::now());
  Tries tries;
  for (;;) {
    ++tries.count;
    const auto connection = client->connection();
    ClientSession& session = connection->session();
    const auto single = std::make_shared<SingleCall>(in_quotes(method), session.peer());
    const bool again = options.idempotent && tries.count < std::min(client->options.attempts, max_sent);
    Buffer sent;
    if (again) {
      sent.append(body.view());
    } else {
      sent = std::move(body);
    }
    const std::uint64_t id =
        session.start(call, std::move(sent), single, ClientSession::Wanted::reply, deadline, deadline - Clock::now());
    connection->changed();
    auto reply = suspend([connection, id, single](const Complete& complete, const OnCancel& on_cancel) {
      on_cancel([connection, id, single] {
        connection->session().cancel(id);
        connection->changed();  // the server is told even if the caller then ends the client
        single->cancel();
      });
      single->wait(complete);
    });
    std::chrono::milliseconds pause{};
    try {
      co_await std::move(reply);
      co_return single->take_response();
    } catch (const UnavailableError&) {
      const auto again_after = pause_before_retry(client->options, tries, single->sent(), options.idempotent,
                                                  Clock::now(), deadline, random_share());
      if (!again_after || client->closed()) throw;
      pause = *again_after;
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
  const RequestEncoder call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options, Clock::now());
  const auto connection = client->connection();
  ClientSession& session = connection->session();
  auto waiting = room(connection);
  co_await std::move(waiting);
  const auto now = Clock::now();
  if (now >= deadline) {
    throw SystemError(ETIMEDOUT, std::generic_category(), session.peer() + ": " + in_quotes(method) + " was not sent");
  }
  session.notify(call, std::move(body), deadline, deadline - now);
  connection->changed();
}

// Receives parts as a call of its connection, and gives them to the coroutine that reads.
class AsyncStream::Implementation : public AsyncCall, public std::enable_shared_from_this<Implementation> {
 public:
  /// `total`: the deadline of the stream as a whole.
  Implementation(std::shared_ptr<AsyncConnection> connection, std::string what, const CallOptions& options,
                 const ClientOptions& limits, Clock::time_point total)
      : connection_(std::move(connection)),
        session_(connection_->session()),
        what_(std::move(what)),
        options_(options),
        limits_(limits),
        total_deadline_(total),
        writing_(options.more) {}

  void begun(std::uint64_t id) { id_ = id; }

  void on_event(SessionEvent& event) override {
    ended_ = event.last;
    error_ = event.error;
    try {
      if (event.reply != nullptr) receive(*event.reply);
    } catch (...) {  // no memory for a part
      error_ = std::current_exception();
    }
    wake();
  }

  static asio::awaitable<std::optional<Part>> read(std::shared_ptr<Implementation> self) {
    while (self->parts_.empty() && !self->ended_) {
      self->set_deadline(self->deadline());
      auto waiting = suspend([self](const Complete& complete, const OnCancel& on_cancel) {
        on_cancel([self] { self->fail(aborted(self->what_)); });
        self->reader_ = complete;
      });
      co_await std::move(waiting);
    }
    self->set_deadline(self->total_deadline_);
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
    auto waiting = room(self->connection_);
    co_await std::move(waiting);
    if (self->error_) std::rethrow_exception(self->error_);
    self->session_.send_part(self->id_, std::move(part), more);  // to nobody, if whatever is the answer has come
    self->writing_ = more;
    self->connection_->changed();
  }

  const std::string& metadata() const { return metadata_; }

  // Tells the server; its answer still comes.
  void ask_to_stop() {
    if (ended_) return;
    writing_ = false;
    session_.ask_to_stop(id_);
    connection_->changed();
  }
  // Nobody reads any more.
  void abandon() {
    parts_.clear();
    session_.cancel(id_);
    ended_ = true;
    connection_->changed();
  }

 private:
  void receive(CallReply& reply) {
    if (ended_) metadata_ = std::move(reply.metadata);
    if (reply.error || reply.damage) {
      error_ = reply.error ? std::make_exception_ptr(*reply.error) : std::make_exception_ptr(*reply.damage);
    } else if (!ended_ || reply.continued || reply.result != "null" || !reply.body.empty()) {
      parts_.push_back(part_of(std::move(reply)));
      unread_ += parts_.back().weight();
      session_.set_unread(id_, unread_);
    }
  }
  void fail(std::exception_ptr error) {
    session_.cancel(id_);
    ended_ = true;
    error_ = error;
    connection_->changed();
    wake();
  }
  void set_deadline(Clock::time_point deadline) {
    session_.set_deadline(id_, deadline);
    connection_->changed();
  }
  Clock::time_point deadline() const {
    if (total_deadline_ != ClientSession::no_deadline) return total_deadline_;
    return deadline_of(options_, limits_, Clock::now());
  }
  Part take() {
    Part part = std::move(parts_.front());
    parts_.pop_front();
    unread_ -= part.weight();
    session_.set_unread(id_, unread_);
    connection_->changed();
    return part;
  }
  void wake() {
    if (const auto once = std::exchange(reader_, nullptr)) once(nullptr);
  }

  const std::shared_ptr<AsyncConnection> connection_;
  ClientSession& session_;
  std::uint64_t id_ = 0;
  const std::string what_;
  const CallOptions options_;
  const ClientOptions limits_;
  const Clock::time_point total_deadline_;
  std::deque<Part> parts_;
  std::size_t unread_ = 0;
  std::string metadata_;
  std::exception_ptr error_;
  Complete reader_;
  bool writing_, ended_ = false;
};

asio::awaitable<AsyncStream> AsyncClient::open(std::shared_ptr<Implementation> client, std::string method, Json params,
                                               Buffer body, CallOptions options) {
  const RequestEncoder call(method, params, body.view(), options, client->options.max_header);
  const auto deadline = deadline_of(options, client->options, Clock::now());
  const auto connection = client->connection();
  ClientSession& session = connection->session();
  const auto total = options.timeout.count() > 0 ? deadline : ClientSession::no_deadline;
  const auto stream =
      std::make_shared<AsyncStream::Implementation>(connection, in_quotes(method), options, client->options, total);
  const auto wanted = ClientSession::Wanted::parts;
  stream->begun(session.start(call, std::move(body), stream, wanted, total, deadline - Clock::now()));
  AsyncStream result(stream);
  connection->changed();
  auto waiting = room(connection);
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
