#include "calls.hpp"

#include <utility>

#include "connection.hpp"
#include "framecall/digest.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

// Throws CallError(data_loss) if the caller announced another digest of the body.
void check_digest(std::string_view digest, std::string_view body) {
  if (digest.empty()) return;
  const Json announced = parse_json(digest);
  const auto found = announced.find("sha-256");
  if (found == announced.end()) return;  // of a kind that is not known here: RFC 9530 lets it pass
  if (!found->is_string() || found->get<std::string>() != sha256_base64(body)) {
    throw CallError(ErrorCode::data_loss, "the sha-256 of the body is " + sha256_base64(body) + ", announced was " +
                                              printable(dump_json(*found), 60));
  }
}

// More than is read and dropped: the connection ends.
struct TooLarge {
  Failure failure;
};

}  // namespace

Calls::~Calls() { cancel_all(); }

void Calls::on_header(const Header& header, Decoder& decoder) {
  if (!header.has(Key::method)) {
    throw CallError(ErrorCode::invalid_request, "a frame with result, error or item, where a request was due");
  }
  CallHead head;
  head.id = call_id(header);
  try {
    read_call(header, head);
    const Method* method = connection_.router().find(head.method);
    if (method == nullptr) {
      throw CallError(ErrorCode::method_not_found, "method \"" + printable(head.method) + "\" not found");
    }
    if (!head.id.empty() && pending_.contains(head.id)) {
      throw CallError(ErrorCode::invalid_request, "id " + printable(head.id, 40) + " is in flight already");
    }
    if (head.more) {
      throw CallError(ErrorCode::invalid_request, "method \"" + printable(head.method) + "\" takes one frame");
    }
    check_room(decoder.body_left());
    if (const auto body = decoder.take_whole_body()) {
      check_digest(head.digest, *body);
      Request request(head, *body, connection_.peer());
      run(*method, head, request);
    } else {
      receiving_ = std::make_unique<Receiving>(Receiving{std::string(header.text()), Buffer(), method});
    }
  } catch (const TooLarge& large) {
    connection_.end_with(head.id.empty() ? "null" : std::string_view(head.id), large.failure);
  } catch (...) {  // the body, if there is one, is dropped
    fail(head.id, current_failure());
  }
}

void Calls::check_room(std::uint64_t size) {
  const ServerOptions& options = connection_.options();
  if (size <= options.max_body) return;
  const std::string message =
      "a body of " + std::to_string(size) + " bytes: max_body is " + std::to_string(options.max_body);
  const CallError error(ErrorCode::resource_exhausted, message, limit_data(options.max_body, size));
  if (size <= options.refusal_bytes) throw error;  // it is read and dropped, and the connection goes on
  throw TooLarge{{static_cast<std::int64_t>(error.code()), message, error.data()}};
}

void Calls::on_body(std::string_view bytes) {
  if (receiving_) receiving_->body.append(bytes);
}

char* Calls::prepare(std::size_t size) { return receiving_->body.prepare(size); }

void Calls::commit(std::size_t size) { receiving_->body.commit(size); }

void Calls::on_end(Header& scratch) {
  if (!receiving_) return;
  const auto received = std::exchange(receiving_, nullptr);
  CallHead head;
  try {
    scratch.read(received->header);  // once more: cheaper than to keep what a view had
    head.id = call_id(scratch);
    read_call(scratch, head);
    check_digest(head.digest, received->body.view());
    Request request(head, std::move(received->body), connection_.peer());
    run(*received->method, head, request);
  } catch (...) {
    fail(head.id, current_failure());
  }
}

void Calls::abandon() { receiving_.reset(); }

void Calls::run(const Method& method, const CallHead& head, Request& request) {
  switch (method.where) {
    case Method::Where::loop: {
      Response response = method.handler(request);
      if (!head.id.empty()) answer(head.id, response);
      break;
    }
    case Method::Where::pool:
    case Method::Where::later: run_elsewhere(method, head, request); break;
    case Method::Where::server: server_method(head, request); break;
  }
}

void Calls::run_elsewhere(const Method& method, const CallHead& head, Request& request) {
  request.keep();
  const Responder reply = responder_for(begin(head, request));
  if (method.where == Method::Where::later) {
    try {
      method.later(std::move(request), reply);
    } catch (...) {
      reply.current_exception();
    }
    return;
  }
  const auto shared = std::make_shared<Request>(std::move(request));
  connection_.run_on_pool([&method, shared, reply] {
    try {
      if (shared->cancelled()) throw CallError(ErrorCode::cancelled, "cancelled before it began");
      reply(method.handler(*shared));
    } catch (...) {
      reply.current_exception();
    }
  });
}

std::shared_ptr<Calls::Pending> Calls::begin(const CallHead& head, Request& request) {
  auto pending = std::make_shared<Pending>(Pending{head.id, request.cancellation(), std::nullopt});
  if (running_++ == 0) self_ = connection_.shared_from_this();
  if (head.id.empty()) return pending;
  pending_.emplace(head.id, pending);
  if (head.timeout_ms > 0) pending->deadline = connection_.add_deadline(head.timeout_ms, head.id);
  return pending;
}

// Answers on the connection's thread, whichever thread gives the answer, and whenever: also when the server is gone. A
// connection dies on its own thread only, so the pointer to it is not made strong anywhere else.
Responder Calls::responder_for(std::shared_ptr<Pending> pending) {
  return Responder([address = connection_.loop_address(), connection = connection_.weak_from_this(),
                    pending = std::move(pending)](Response* response, const Failure* failure) {
    auto kept = std::make_shared<std::pair<std::optional<Response>, std::optional<Failure>>>();
    if (response != nullptr) kept->first = std::move(*response);
    if (failure != nullptr) kept->second = *failure;
    address->post([connection, pending, kept] {
      const auto own = connection.lock();
      if (!own) return;
      own->on_own_thread([&] {
        own->calls().finish(*pending, kept->first ? &*kept->first : nullptr, kept->second ? &*kept->second : nullptr);
      });
    });
  });
}

void Calls::finish(Pending& pending, Response* response, const Failure* failure) {
  if (!self_) return;                  // closed meanwhile
  if (--running_ == 0) self_.reset();  // whoever called has one
  if (pending.answered || pending.id.empty()) return;
  forget(pending);
  if (failure != nullptr) {
    fail(pending.id, *failure);
    return;
  }
  try {
    answer(pending.id, *response);
  } catch (...) {  // a result that no frame has room for
    fail(pending.id, current_failure());
  }
}

void Calls::forget(Pending& pending) {
  pending.answered = true;
  if (pending.deadline) connection_.remove_deadline(*pending.deadline);
  pending.deadline.reset();
  pending_.erase(pending.id);
}

// Answers instead of the handler, and tells it.
void Calls::end(const std::shared_ptr<Pending>& pending, ErrorCode code, const std::string& message) {
  pending->cancelled->store(true, std::memory_order_relaxed);
  forget(*pending);
  fail(pending->id, {static_cast<std::int64_t>(code), message, {}});
}

void Calls::expire(const std::string& id) {
  const auto found = pending_.find(id);
  if (found != pending_.end())
    end(std::shared_ptr(found->second), ErrorCode::deadline_exceeded, "timeout_ms has passed");
}

void Calls::cancel_all() {
  for (const auto& [id, pending] : pending_) {
    pending->cancelled->store(true, std::memory_order_relaxed);
    pending->answered = true;
    if (pending->deadline) connection_.remove_deadline(*pending->deadline);
    pending->deadline.reset();
  }
  pending_.clear();
  receiving_.reset();
  running_ = 0;
  self_.reset();
}

void Calls::answer(std::string_view id, Response& response) {
  std::string& header = connection_.scratch();
  header.clear();
  write_reply(header, id, response);
  connection_.out().append(encode_head(header, connection_.prefix()));
  connection_.out().append(std::move(response.body));
}

void Calls::fail(std::string_view id, const Failure& failure) {
  ++connection_.state().failed_calls;
  if (id.empty()) return;  // a notification is never answered
  std::string& header = connection_.scratch();
  header.clear();
  write_error(header, id, failure.code, failure.message, failure.data);
  connection_.out().append(encode_head(header, connection_.prefix()));
}

void Calls::server_method(const CallHead& head, Request& request) {
  Response response;
  if (head.method == "rpc.cancel") {
    cancel(request);
  } else if (head.method == "rpc.health") {
    response.result = connection_.draining() ? R"({"status": "NOT_SERVING"})" : R"({"status": "SERVING"})";
  } else {
    response = Response(stats());
  }
  if (!head.id.empty()) answer(head.id, response);
}

Json Calls::stats() const {
  const ServerState& state = connection_.state();
  const auto up = std::chrono::duration<double>(std::chrono::steady_clock::now() - state.started);
  return {{"uptime_seconds", up.count()},
          {"connections_open", state.connection_count.load()},
          {"connections", state.connections.load()},
          {"calls", state.calls.load()},
          {"failed_calls", state.failed_calls.load()},
          {"uploads", state.uploads.load()}};
}

void Calls::cancel(Request& request) {
  const Json& params = request.params();
  if (!params.is_object() || !params.contains("id")) {
    throw CallError(ErrorCode::invalid_params, "rpc.cancel: expected {\"id\": ID}");
  }
  const auto found = pending_.find(dump_json(params["id"]));
  if (found == pending_.end()) return;  // answered already, or never asked
  end(std::shared_ptr(found->second), ErrorCode::cancelled, "cancelled by the caller");
}

}  // namespace framecall
