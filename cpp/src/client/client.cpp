#include "framecall/client.hpp"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/connection_pool.hpp"
#include "framecall/detail/client_session.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void unexpected(const BlockingConnection& connection, const std::string& what) {
  throw ProtocolError(ErrorCode::invalid_request, 0, connection.shown() + ": " + what);
}

// The next reply, to its place; ids are the numbers of places from 1 on.
void receive_one(BlockingConnection& connection, const Attempts& attempts, std::vector<Pipeline::Outcome>& outcomes) {
  CallReply& reply = connection.receive(attempts.deadline);
  if (reply.id.empty() && reply.error) throw RemoteError(*reply.error);  // the peer has given up
  std::size_t place = 0;
  const char* const end = reply.id.data() + reply.id.size();
  const auto [rest, problem] = std::from_chars(reply.id.data(), end, place);
  if (problem != std::errc() || rest != end || place < 1 || place > outcomes.size() || outcomes[place - 1].answered) {
    unexpected(connection, "a reply to id " + printable(reply.id, 40) + ", which nobody waits for");
  }
  Pipeline::Outcome& outcome = outcomes[place - 1];
  outcome.answered = true;
  if (reply.error || reply.damage) {
    outcome.error = reply.error ? std::make_exception_ptr(*reply.error) : std::make_exception_ptr(*reply.damage);
  } else {
    outcome.response = response_of(std::move(reply), connection.shown());
  }
}

// What a call ends with when its connection did.
[[noreturn]] void throw_lost(const std::system_error& error, const std::string& shown, const std::string& what,
                             const Attempts& attempts) {
  if (error.code() == std::errc::timed_out) {
    throw SystemError(error.code(), shown + ": no reply to " + what + attempts.text());
  }
  throw UnavailableError(error.code(), "UNAVAILABLE: " + shown + ": the connection was lost with " + what +
                                           " under way" + attempts.text());
}

}  // namespace

class Client::Implementation {
 public:
  Implementation(const std::vector<Endpoint>& endpoints, ClientOptions given)
      : options(with_lengths_alone(std::move(given))), prefix(prefix_of(options)), pool(endpoints, options) {}

  Attempts begin(const CallOptions& call) const {
    Attempts attempts;
    attempts.deadline = deadline_of(call, options, attempts.start);
    return attempts;
  }

  const ClientOptions options;
  const PrefixFormat prefix;
  ConnectionPool pool;
};

Client::Client(const Endpoint& endpoint, ClientOptions options)
    : Client(std::vector<Endpoint>{endpoint}, std::move(options)) {}

Client::Client(const std::vector<Endpoint>& endpoints, ClientOptions options)
    : implementation_(std::make_shared<Implementation>(endpoints, std::move(options))) {}

Client::~Client() { implementation_->pool.close(); }

void Client::close() { implementation_->pool.close(); }

Json Client::call(std::string_view method, const Json& params, const CallOptions& options) {
  return request(method, params, {}, options).value();
}

Response Client::request(std::string_view method, const Json& params, std::string_view body,
                         const CallOptions& options) {
  return request(RequestEncoder(method, params, body, options, implementation_->options.max_header), body, options);
}

Response Client::request_text(std::string_view method, std::string_view params_text, std::string_view body,
                              const CallOptions& options) {
  return request(RequestEncoder(method, params_text, body, options, implementation_->options.max_header), body,
                 options);
}

Response Client::request(const RequestEncoder& call, std::string_view body, const CallOptions& options) {
  Attempts attempts = implementation_->begin(options);
  ConnectionPool& pool = implementation_->pool;
  for (;;) {
    ConnectionPool::Lease lease = pool.take(attempts);
    const std::string& shown = pool.shown(lease);
    try {
      const std::string id = std::to_string(lease->next_id());
      lease->send(call.encode(id, attempts.left(call), false, implementation_->prefix), body, attempts.deadline);
      CallReply& reply = lease->receive(attempts.deadline);
      if (!reply.id.empty() && reply.id != id) {
        unexpected(*lease.connection, "a reply to id " + printable(reply.id, 40) + ", where " + id + " is under way");
      }
      if (reply.error) {
        const RemoteError error = *reply.error;
        pool.give_back(std::move(lease));
        throw error;
      }
      Response response = response_of(std::move(reply), shown);
      pool.give_back(std::move(lease));
      return response;
    } catch (const std::system_error& error) {
      if (pool.try_again(error, *lease.connection, attempts, options.idempotent)) continue;
      throw_lost(error, shown, in_quotes(call.method()), attempts);
    }
  }
}

void Client::notify(std::string_view method, const Json& params, std::string_view body, const CallOptions& options) {
  notify(RequestEncoder(method, params, body, options, implementation_->options.max_header), body, options);
}

void Client::notify_text(std::string_view method, std::string_view params_text, std::string_view body,
                         const CallOptions& options) {
  notify(RequestEncoder(method, params_text, body, options, implementation_->options.max_header), body, options);
}

void Client::notify(const RequestEncoder& call, std::string_view body, const CallOptions& options) {
  Attempts attempts = implementation_->begin(options);
  ConnectionPool::Lease lease = implementation_->pool.take(attempts);
  try {
    lease->send(call.encode({}, attempts.left(call), false, implementation_->prefix), body, attempts.deadline);
  } catch (const std::system_error& error) {
    throw_lost(error, lease->shown(), in_quotes(call.method()), attempts);
  }
  implementation_->pool.give_back(std::move(lease));
}

Pipeline Client::pipeline() { return Pipeline(implementation_); }

Pipeline::Pipeline(std::shared_ptr<Client::Implementation> client) : client_(std::move(client)) {}
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline::~Pipeline() = default;

Response& Pipeline::Outcome::get() {
  if (error) std::rethrow_exception(error);
  return response;
}

void Pipeline::add(std::string_view method, const Json& params, std::string_view body) {
  add(RequestEncoder(method, params, body, CallOptions(), client_->options.max_header), body);
}

void Pipeline::add_text(std::string_view method, std::string_view params_text, std::string_view body,
                        const CallOptions& options) {
  add(RequestEncoder(method, params_text, body, options, client_->options.max_header), body);
}

void Pipeline::add(const RequestEncoder& call, std::string_view body) {
  frames_.append(call.encode(std::to_string(count_ + 1), {}, false, client_->prefix));
  frames_.append(body);
  ++count_;
}

std::vector<Pipeline::Outcome> Pipeline::run(const CallOptions& options) {
  const Buffer frames = std::move(frames_);
  std::vector<Outcome> outcomes(std::exchange(count_, 0));
  if (outcomes.empty()) return outcomes;
  Attempts attempts = client_->begin(options);
  for (;;) {
    ConnectionPool::Lease lease = client_->pool.take(attempts);
    try {
      lease->send(frames.view(), {}, attempts.deadline);
      for (std::size_t left = outcomes.size(); left > 0; --left) receive_one(*lease.connection, attempts, outcomes);
      client_->pool.give_back(std::move(lease));
      return outcomes;
    } catch (const std::system_error& error) {
      if (!client_->pool.try_again(error, *lease.connection, attempts, options.idempotent)) {
        throw_lost(error, lease->shown(), std::to_string(outcomes.size()) + " calls", attempts);
      }
      outcomes = std::vector<Outcome>(outcomes.size());
    }
  }
}

class ClientStream::Implementation {
 public:
  Implementation(std::shared_ptr<Client::Implementation> client, const RequestEncoder& call, std::string_view body,
                 const CallOptions& options)
      : client_(std::move(client)), what_(in_quotes(call.method())), options_(options), writing_(options.more) {
    attempts_ = client_->begin(options);
    for (;;) {
      lease_ = client_->pool.take(attempts_);
      const std::uint64_t id = lease_->next_id();
      session_.emplace(lease_->shown(), client_->options, lease_->replies(), id - 1);
      id_ = session_->start(call, borrowed(body), nullptr, ClientSession::Wanted::parts, ClientSession::no_deadline,
                            attempts_.left(call));
      flush();
      if (!lease_->sent_nothing() || attempts_.count >= client_->options.attempts) return;
    }
  }
  ~Implementation() {
    try {
      if (over_) {
        client_->pool.give_back(std::move(lease_));
      } else if (!answered_) {  // abandoned: the server need not find out by itself
        session_->cancel(id_);
        ClientSession::Frame frame;
        while (session_->next_frame(Clock::now(), frame)) lease_->send_last(frame.head);
      }
    } catch (const std::exception&) {  // no memory: the connection ends without it
    }
  }

  bool write(const Part& part, bool more) {
    if (!writing_) throw std::logic_error("write() to a stream whose parts are all written, or without options.more");
    Part sent;
    sent.value = part.value;
    sent.layout = part.layout;
    sent.body = borrowed(part.body.view());
    session_->send_part(id_, std::move(sent), more);
    writing_ = more;
    flush();
    // Now and then: a server that gave up on the call does not take the rest, and need not be sent it.
    if (++written_ % 16 == 0) listen();
    return !answered_ && !lease_->broken();
  }

  bool read(Part& part) {
    part = Part();
    if (ended_) return false;
    Received received = receive();
    CallReply& reply = received.reply;
    if (received.last) {
      ended_ = answered_ = true;
      over_ = !writing_;  // else the server still waits for parts, and the connection cannot serve another call
      metadata_ = std::move(reply.metadata);
    }
    if (reply.error) throw RemoteError(*reply.error);
    if (reply.damage) throw ProtocolError(*reply.damage);
    const bool continued = reply.continued;
    part = part_of(std::move(reply));
    return !ended_ || continued || part.value != "null" || !part.body.empty();
  }

  void cancel() {
    if (ended_) return;
    session_->ask_to_stop(id_);
    flush();
    writing_ = false;
  }

  bool writing() const { return writing_; }
  const std::string& metadata() const { return metadata_; }

 private:
  struct Received {
    CallReply reply;
    bool last;
  };

  Clock::time_point deadline() const {
    return options_.timeout.count() > 0 ? attempts_.deadline : deadline_of(options_, client_->options, Clock::now());
  }
  // Sent before the call that it is given to returns.
  static Buffer borrowed(std::string_view body) {
    return body.empty() ? Buffer() : Buffer(body, std::make_shared<char>());
  }

  Received receive() {
    try {
      while (ahead_.empty()) {
        if (failure_) std::rethrow_exception(failure_);
        if (!take_event()) lease_->receive_more(deadline());
      }
    } catch (const std::system_error& error) {
      ended_ = true;
      throw_lost(error, lease_->shown(), what_, attempts_);
    } catch (...) {
      ended_ = true;
      throw;
    }
    Received received = std::move(ahead_.front());
    ahead_.pop_front();
    return received;
  }
  // Takes in what is there, for read().
  void listen() {
    while (!answered_ && (take_event() || lease_->try_receive_more())) continue;
  }
  // The next thing that happens, for receive(); false: nothing yet.
  bool take_event() {
    SessionEvent event;
    if (!session_->next_event(event)) return false;
    answered_ = event.last;
    failure_ = event.error;
    if (event.reply != nullptr) ahead_.push_back({std::move(*event.reply), event.last});
    return true;
  }
  void flush() {
    try {
      ClientSession::Frame frame;
      while (session_->next_frame(Clock::now(), frame)) lease_->send(frame.head, frame.body.view(), deadline());
    } catch (const std::system_error& error) {
      ended_ = true;
      throw_lost(error, lease_->shown(), what_, attempts_);
    }
  }

  std::shared_ptr<Client::Implementation> client_;
  const std::string what_;
  const CallOptions options_;
  Attempts attempts_;
  ConnectionPool::Lease lease_;
  std::optional<ClientSession> session_;
  std::uint64_t id_ = 0;
  std::string metadata_;
  std::deque<Received> ahead_;  // that came while parts were written
  std::exception_ptr failure_;  // behind them
  std::uint64_t written_ = 0;
  bool writing_;           // parts may follow
  bool answered_ = false;  // the last reply is there
  bool ended_ = false;     // and was read: there is nothing more
  bool over_ = false;      // and the connection is fit for another call
};

ClientStream Client::stream(std::string_view method, const Json& params, std::string_view body,
                            const CallOptions& options) {
  const RequestEncoder call(method, params, body, options, implementation_->options.max_header);
  return ClientStream(std::make_unique<ClientStream::Implementation>(implementation_, call, body, options));
}

ClientStream Client::stream_text(std::string_view method, std::string_view params_text, std::string_view body,
                                 const CallOptions& options) {
  const RequestEncoder call(method, params_text, body, options, implementation_->options.max_header);
  return ClientStream(std::make_unique<ClientStream::Implementation>(implementation_, call, body, options));
}

ClientStream::ClientStream(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ClientStream::ClientStream(ClientStream&&) noexcept = default;
ClientStream::~ClientStream() = default;

bool ClientStream::write(const Part& part) {
  check_json(part);
  return implementation_->write(part, true);
}
bool ClientStream::write_unchecked(const Part& part) { return implementation_->write(part, true); }

void ClientStream::finish_writing() {
  if (implementation_->writing()) implementation_->write(Part(), false);
}

bool ClientStream::read(Part& part) { return implementation_->read(part); }
const std::string& ClientStream::metadata() const { return implementation_->metadata(); }
void ClientStream::cancel() { implementation_->cancel(); }

}  // namespace framecall
