#include "server/sessions/call_session.hpp"

#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "framecall/error.hpp"
#include "server/methods/dispatch.hpp"
#include "server/methods/file_methods.hpp"

namespace framecall {
namespace {

constexpr std::uint64_t hashed_block_size = 256 << 10;  // with a SHA-256 it takes as long as 1 MiB without
constexpr std::size_t least_block = 64 * 1024;          // of a body that is received without a copy
constexpr std::size_t stream_piece = 256 * 1024;        // a larger body goes to its stream in pieces of this size

const CallError answered_already(ErrorCode::failed_precondition, "the call is answered");

// The body of a refused call is larger than refusal_bytes: the connection ends.
struct TooLarge {
  Failure failure;
};

}  // namespace

CallSession::~CallSession() { cancel_all(); }

BodySink* CallSession::on_header(const Header& header) {
  start(header);
  return receiving_ ? this : nullptr;
}

void CallSession::start(const Header& header) {
  CallHead head;
  try {
    head.id = call_id(header);
  } catch (const CallError& error) {  // the framing is intact, so the connection stays open
    fail_without_id(error);
    return;
  }
  if (!header.has(Key::method)) {
    if (!header.has(Key::item) || header.has(Key::result) || header.has(Key::error)) {
      throw CallError(ErrorCode::invalid_request, "a frame with result or error, where a request was due");
    }
    on_item(header, head.id);
    return;
  }
  try {
    read_call(header, head);
  } catch (const CallError&) {
    if (head.id.empty()) throw;  // without an id it is no call that could be answered
    replies_.error(head.id, current_failure());
    return;
  }
  try {
    begin_call(head, header);
  } catch (const TooLarge& large) {
    frames_.end_with(head.id.empty() ? "null" : std::string_view(head.id), large.failure);
  } catch (...) {  // the body is dropped
    replies_.error(head.id, current_failure());
  }
}

// Answers with the id null, and drops the body.
void CallSession::fail_without_id(const CallError& error) {
  if (decoder_.body_left() > port_.options().refusal_bytes) throw CallError(error);
  replies_.error("null", failure_of(error));
}

void CallSession::refuse(const Header& header, const CallError& error) {
  std::string id;
  try {
    id = call_id(header);
  } catch (const CallError&) {
    fail_without_id(error);
    return;
  }
  try {
    refuse_body(error, decoder_.body_left());
  } catch (const TooLarge& large) {
    frames_.end_with(id.empty() ? "null" : std::string_view(id), large.failure);
  } catch (...) {
    replies_.error(id, current_failure());
  }
}

void CallSession::begin_call(const CallHead& head, const Header& header) {
  const Method& method = find_method(*port_.options().router, head);
  if (!head.id.empty() && pending_.find(head.id)) {
    throw CallError(ErrorCode::invalid_request, "id " + printable(head.id, 40) + " is in flight already");
  }
  check_frames(method, head);
  const std::size_t most = port_.options().max_in_flight;
  if (method.streams && pending_.open_inputs() >= most) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(pending_.open_inputs() + 1) + " streams with parts to come: max_in_flight is " +
                        std::to_string(most),
                    limit_data(most, pending_.open_inputs() + 1));
  }
  const std::uint64_t size = decoder_.body_left();
  if (method.streams && size > port_.options().max_body) {
    Request request(head, std::string_view(), port_.peer());
    receive(header, run_elsewhere(method, head, request, true), true);
    return;
  }
  if (method.where == Method::Where::files && begin_body(method, head, header)) return;
  check_room(size);
  if (const auto body = decoder_.take_whole_body()) {
    check_digest(head.digest, *body);
    Request request(head, *body, port_.peer());
    run(method, head, request);
  } else {
    receive(header, nullptr, false);
    receiving_->method = &method;
    receiving_->id = head.id;
  }
}

void CallSession::receive(const Header& header, PendingCalls::Call pending, bool large) {
  receiving_ = std::make_unique<Receiving>();
  receiving_->header = header.text();
  receiving_->pending = std::move(pending);
  receiving_->large = large;
  if (large && header.has(Key::digest)) receiving_->sum.emplace(DigestKind::sha256);
}

// A part of a stream. It is dropped if the stream is over, or had its last part: it was on its way.
void CallSession::on_item(const Header& header, const std::string& id) {
  const PendingCalls::Call pending = pending_.find(id);  // held here, because the call may end
  if (!pending || !pending->open) return;
  if (const auto body = decoder_.take_whole_body()) {
    Buffer block;
    block.append(*body);
    streams_->deliver(header, pending, std::move(block));
    return;
  }
  receive(header, pending, decoder_.body_left() > port_.options().max_body);
}

void CallSession::check_room(std::uint64_t size) {
  const ServerOptions& options = port_.options();
  if (size <= options.max_body) return;
  const std::string message =
      "a body of " + std::to_string(size) + " bytes: max_body is " + std::to_string(options.max_body);
  refuse_body(CallError(ErrorCode::resource_exhausted, message, limit_data(options.max_body, size)), size);
}

// The body of a refused call is read and dropped, and the connection stays open; if the body is too large, the connection ends.
void CallSession::refuse_body(const CallError& error, std::uint64_t size) const {
  if (size <= port_.options().refusal_bytes) throw CallError(error);
  throw TooLarge{failure_of(error)};
}

void CallSession::write(std::string_view bytes) {
  if (!receiving_) return;
  if (receiving_->place) {
    try {
      receiving_->place->write(bytes);
    } catch (const CallError& error) {
      refuse_received(error);
    }
    return;
  }
  if (!make_room(bytes.size())) return;
  receiving_->body.append(bytes);
  pass_on();
}

// Checks the memory for more of the body that is being received. False: there is none, and the call is refused.
bool CallSession::make_room(std::uint64_t size) {
  try {
    replies_.check_memory(size, memory());
    return true;
  } catch (const CallError& error) {
    refuse_received(error);
    return false;
  }
}

// Drops what was received of the body. The rest is dropped, too, or ends the connection if it is too large.
void CallSession::refuse_received(const CallError& error) {
  const auto refused = std::exchange(receiving_, nullptr);
  if (refused->pending) {
    if (!refused->pending->answered) replies_.end(pending_, refused->pending, error);
    return;
  }
  const Failure failure = failure_of(error);
  if (decoder_.body_left() > port_.options().refusal_bytes) {
    frames_.end_with(refused->id.empty() ? "null" : std::string_view(refused->id), failure);
  } else {
    replies_.error(refused->id, failure);
  }
}

// The block grows with what was received, not with what was announced.
std::span<char> CallSession::prepare(std::uint64_t left) {
  if (!receiving_) return {};
  if (receiving_->place) return {port_.file_block(), static_cast<std::size_t>(std::min(left, hashed_block_size))};
  const std::size_t room = receiving_->begun ? stream_piece : receiving_->body.size();
  if (room == 0) return {};
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(room, least_block)));
  if (!make_room(size)) return {};
  return {receiving_->body.prepare(size), size};
}

void CallSession::commit(std::size_t size) {
  if (!receiving_) return;
  if (receiving_->place) {
    write({port_.file_block(), size});
    return;
  }
  receiving_->body.commit(size);
  pass_on();
}

// Gives the stream the next piece of a body that is never held whole.
void CallSession::pass_on() {
  if (!receiving_->large || receiving_->body.size() < stream_piece) return;
  Part part;
  part.body = std::exchange(receiving_->body, Buffer());
  part.continues = true;
  receiving_->begun = true;
  if (receiving_->sum) receiving_->sum->update(part.body.view());
  streams_->deliver(*receiving_->pending, std::move(part));
}

void CallSession::end() {
  if (!receiving_) return;
  Header& scratch = port_.header();
  const auto received = std::exchange(receiving_, nullptr);
  scratch.read(received->header);  // read again: that is cheaper than to keep its values
  if (received->pending) {
    streams_->deliver(scratch, received->pending, std::move(received->body), received->sum ? &*received->sum : nullptr);
    return;
  }
  CallHead head;
  try {
    head.id = call_id(scratch);
    read_call(scratch, head);
    if (received->place) {
      Request request(head, std::string_view(), port_.peer());
      finish_body(head, request, std::move(received->place));
      return;
    }
    check_digest(head.digest, received->body.view());
    Request request(head, std::move(received->body), port_.peer());
    run(*received->method, head, request);
  } catch (...) {
    replies_.error(head.id, current_failure());
  }
}

// Handlers hold so much memory of this connection that no call may start until one of them is done. A first call always may.
bool CallSession::crowded() const {
  return pending_.memory() > 0 && memory() + port_.out().memory() >= port_.options().max_connection_memory;
}

void CallSession::abandon() { receiving_.reset(); }

void CallSession::run(const Method& method, const CallHead& head, Request& request) {
  if (method.where == Method::Where::files) {
    files_of(port_.options());
    begin(head, request, [&](const PendingCalls::Call& pending) {
      files().run(method, port_.options().files, std::move(request), pending);
    });
  } else if (method.where != Method::Where::loop) {
    run_elsewhere(method, head, request, head.more);
  } else {
    Response response = answer_on_loop(method, {port_.state(), port_.draining(), this}, request);
    if (!method.writes_json) replies_.check(method, response);
    if (!head.id.empty()) replies_.result(head.id, response, memory());
  }
}

// `open`: more parts will arrive.
PendingCalls::Call CallSession::run_elsewhere(const Method& method, const CallHead& head, Request& request, bool open) {
  std::shared_ptr<void> place = method.streams ? streams().take_place(method) : nullptr;
  return begin(head, request, [&](const PendingCalls::Call& pending) {
    if (!method.writes_json) pending->checked = &method;
    if (method.streams) streams().open(pending, std::move(place), head.stream, open);
    start_handler(
        port_.state(), method, std::move(request), responder_for(pending), pending->stream,
        [this] { return port_.work_origin(); }, pending->on_close());
  });
}

CallStreams& CallSession::streams() {
  if (!streams_) streams_ = std::make_unique<CallStreams>(port_, pending_, replies_);
  return *streams_;
}

FileCalls& CallSession::files() {
  if (!files_) files_ = std::make_unique<FileCalls>(static_cast<FileCallsHost&>(*this));
  return *files_;
}

// Adds a call that will be answered later; `start` starts it. If that throws, the call is removed again.
template <class Start>
PendingCalls::Call CallSession::begin(const CallHead& head, Request& request, Start start) {
  replies_.check_memory(request.memory(), memory());
  const PendingCalls::Call pending = pending_.add(head.id, request, port_.state().memory);
  if (pending_.running() == 1) pending_.keep_alive(port_.shared_from_this());
  try {
    if (!head.id.empty() && head.timeout_ms > 0) {
      pending->drop_deadline = [this, deadline = port_.add_deadline(head.timeout_ms, head.id)] {
        port_.remove_deadline(deadline);
      };
    }
    start(pending);
  } catch (...) {
    pending_.release(*pending);
    if (!head.id.empty() && !pending->answered) pending_.remove(*pending, answered_already);
    throw;
  }
  return pending;
}

// Answers on the connection's thread, whichever thread the answer is from, and drops the answer if the connection is closed or the
// server is gone. A connection may be destroyed on its own thread only, so no other thread holds a strong pointer to it.
Responder CallSession::responder_for(PendingCalls::Call pending) {
  return Responder([mailbox = port_.mailbox(), port = port_.weak_from_this(), this, pending = std::move(pending)](
                       Response* response, const Failure* failure) {
    std::optional<Response> answer;
    std::optional<Failure> problem;
    if (response != nullptr) answer.emplace(std::move(*response));
    if (failure != nullptr) problem = *failure;
    mailbox->post(Task([port, this, pending, answer = std::move(answer), problem = std::move(problem)]() mutable {
      const auto own = port.lock();
      if (!own) return;
      const auto turn = [&] { finish(*pending, answer ? &*answer : nullptr, problem ? &*problem : nullptr); };
      own->on_own_thread(std::cref(turn));
    }));
  });
}

void CallSession::finish(PendingCall& pending, Response* response, const Failure* failure) {
  if (!take(pending)) return;
  if (failure != nullptr) {
    replies_.error(pending.id, *failure);
    return;
  }
  try {
    if (pending.checked != nullptr) replies_.check(*pending.checked, *response);
    replies_.result(pending.id, *response, memory());
  } catch (...) {  // a result that is not JSON, or that no frame has room for
    replies_.error(pending.id, current_failure());
  }
}

// The handler of a call is done. True: the caller waits for its answer.
bool CallSession::take(PendingCall& pending) {
  pending_.release(pending);
  if (pending.answered || pending.id.empty()) return false;
  pending_.remove(pending, answered_already);
  return true;
}

void CallSession::expire(const std::string& id) {
  if (const auto pending = pending_.find(id)) {
    replies_.end(pending_, pending, CallError(ErrorCode::deadline_exceeded, "timeout_ms has passed"));
  }
}

void CallSession::cancel(const std::string& id) {
  if (const auto pending = pending_.find(id)) {
    replies_.end(pending_, pending, CallError(ErrorCode::cancelled, "cancelled by the caller"));
  }
}

void CallSession::end_streams() {
  for (const PendingCalls::Call& pending : pending_.streams()) {
    replies_.end(pending_, pending, CallError(ErrorCode::unavailable, "the server is shutting down: call again"));
  }
}

void CallSession::cancel_all() {
  receiving_.reset();
  if (files_) files_->drop_waiting();
  pending_.cancel_all();
}

// False if the method has no place of its own for bodies.
bool CallSession::begin_body(const Method& method, const CallHead& head, const Header& header) {
  Request request(head, std::string_view(), port_.peer());
  std::unique_ptr<IncomingBody> place;
  try {
    place = place_for_body(method, port_.state(), head, request, decoder_.body_left());
  } catch (const CallError& error) {
    refuse_body(error, decoder_.body_left());
  }
  if (!place) return false;
  if (const auto body = decoder_.take_whole_body()) {
    if (!body->empty()) place->write(*body);
    finish_body(head, request, std::move(place));
    return true;
  }
  receive(header, nullptr, false);
  receiving_->place = std::move(place);
  receiving_->id = head.id;
  return true;
}

void CallSession::finish_body(const CallHead& head, Request& request, std::unique_ptr<IncomingBody> body) {
  begin(head, request, [&](const PendingCalls::Call& pending) {
    files().finish(std::move(body), request.stop_token(), pending,
                   [peer = port_.peer(), &state = port_.state()](const std::string& text) {
                     state.log(LogLevel::info, peer + ": " + text);
                   });
  });
}

void CallSession::start_file_work(Task work, FairQueue::OnClose on_close) {
  port_.state().workers->post(port_.work_origin(), std::move(work), on_close);
}

bool CallSession::sends_file() const { return port_.out().has_file(); }

Task CallSession::way_back(std::function<void()> then) {
  Task made([port = port_.weak_from_this(), then = std::move(then)] {
    if (const auto own = port.lock()) own->on_own_thread(then);
  });
  return Task([mailbox = port_.mailbox(), made = std::move(made)]() mutable { mailbox->post(std::move(made)); });
}

void CallSession::on_file_answer(PendingCall& pending, FileAnswer& answer) {
  auto* const file = std::get_if<OutgoingFile>(&answer);
  if (file == nullptr) {
    finish(pending, std::get_if<Response>(&answer), std::get_if<Failure>(&answer));
  } else if (take(pending)) {
    replies_.file(pending.id, *file);
  }
}

}  // namespace framecall
