#include "server/sessions/call_session.hpp"

#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::uint64_t hashed_block_size = 256 << 10;  // of a file whose SHA-256 is computed: as long as a MiB without
constexpr std::size_t least_block = 64 * 1024;          // of a body that is received directly
constexpr std::size_t stream_piece = 256 * 1024;        // of a body that goes to a stream as it comes
constexpr std::size_t large_reply = 64 * 1024;          // a smaller one is counted when it is there
constexpr std::size_t least_stream_room = 16 * 1024;

// Made beforehand: closing a connection must not fail.
const CallError caller_gone(ErrorCode::cancelled, "the caller is gone");
const CallError answered_already(ErrorCode::failed_precondition, "the call is answered");

// Whether a frame of a stream is not the last one.
bool more_follows(const Header& header) {
  const Token* more = header.find(Key::more);
  if (more == nullptr || more->kind == Token::Kind::boolean_false) return false;
  if (more->kind == Token::Kind::boolean_true) return true;
  throw CallError(ErrorCode::invalid_request, "more is neither true nor false: " + printable(more->text, 40));
}

Failure failure_of(const CallError& error) {
  return {static_cast<std::int64_t>(error.code()), error.what(), error.data()};
}

// More than is read and dropped: the connection ends.
struct TooLarge {
  Failure failure;
};

}  // namespace

CallSession::~CallSession() { cancel_all(); }

// Of a part on its way from its handler to its connection.
class CallSession::PartCharge {
 public:
  PartCharge() = default;
  // Throws CallError for a part that the connection, or the server, has no memory for: before it is on its way, so that it
  // dies at once.
  PartCharge(std::shared_ptr<PartRoom> room, std::uint64_t size) {
    const std::uint64_t own = room->under_way + room->unsent;
    if (own > 0 && own + size > room->most) {
      throw CallError(ErrorCode::resource_exhausted,
                      std::to_string(own + size) + " bytes of unsent replies and parts: max_connection_memory is " +
                          std::to_string(room->most),
                      limit_data(room->most, own + size));
    }
    check_memory(*room->memory, own, size);
    charge_ = MemoryCharge(room->memory, size);
    room_ = std::move(room);
    room_->under_way += size;
  }
  PartCharge(PartCharge&& other) noexcept : charge_(std::move(other.charge_)), room_(std::move(other.room_)) {}
  PartCharge& operator=(PartCharge&&) = delete;
  ~PartCharge() { end(); }
  void end() {
    if (const auto room = std::move(room_)) room->under_way -= charge_.bytes();
    charge_.set(0);
  }
  bool given() const { return room_ != nullptr; }

 private:
  MemoryCharge charge_;
  std::shared_ptr<PartRoom> room_;
};

BodySink* CallSession::on_header(const Header& header) {
  start(header);
  return receiving_ ? this : nullptr;
}

void CallSession::start(const Header& header) {
  CallHead head;
  try {
    head.id = call_id(header);
  } catch (const CallError& error) {  // the framing is intact: the connection goes on
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
    if (head.id.empty()) throw;  // no notification: it is nothing at all
    fail(head.id, current_failure());
    return;
  }
  try {
    begin_call(head, header);
  } catch (const TooLarge& large) {
    frames_.end_with(head.id.empty() ? "null" : std::string_view(head.id), large.failure);
  } catch (...) {  // the body, if there is one, is dropped
    fail(head.id, current_failure());
  }
}

// Answers with the id null, and drops the body.
void CallSession::fail_without_id(const CallError& error) {
  if (decoder_.body_left() > port_.options().refusal_bytes) throw CallError(error);
  fail("null", failure_of(error));
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
    fail(id, current_failure());
  }
}

void CallSession::begin_call(const CallHead& head, const Header& header) {
  const Method* method = port_.options().router->find(head.method);
  if (method == nullptr) {
    throw CallError(ErrorCode::method_not_found, "method \"" + printable(head.method) + "\" not found");
  }
  if (!head.id.empty() && find(head.id)) {
    throw CallError(ErrorCode::invalid_request, "id " + printable(head.id, 40) + " is in flight already");
  }
  if (head.more && !method->streams) {
    throw CallError(ErrorCode::invalid_request, "method \"" + printable(head.method) + "\" takes one frame");
  }
  if (method->streams && head.id.empty()) {
    throw CallError(ErrorCode::invalid_request, "method \"" + printable(head.method) + "\" needs an id");
  }
  const std::size_t most = port_.options().max_in_flight;
  if (method->streams && open_ >= most) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(open_ + 1) + " streams with parts to come: max_in_flight is " + std::to_string(most),
                    limit_data(most, open_ + 1));
  }
  const std::uint64_t size = decoder_.body_left();
  if (method->streams && size > port_.options().max_body) {
    Request request(head, std::string_view(), port_.peer());
    receive(header, run_elsewhere(*method, head, request, true), true);
    return;
  }
  if (method->name == "file.put") {
    begin_put(head, header);
    return;
  }
  check_room(size);
  if (const auto body = decoder_.take_whole_body()) {
    check_digest(head.digest, *body);
    Request request(head, *body, port_.peer());
    run(*method, head, request);
  } else {
    receive(header, nullptr, false);
    receiving_->method = method;
    receiving_->id = head.id;
  }
}

void CallSession::receive(const Header& header, std::shared_ptr<Pending> pending, bool large) {
  receiving_ = std::make_unique<Receiving>();
  receiving_->header = header.text();
  receiving_->pending = std::move(pending);
  receiving_->large = large;
  if (large && header.has(Key::digest)) receiving_->sum.emplace(DigestKind::sha256);
}

// A part of a stream. Of one that is over, or that has said its last part, it is dropped: it was on its way.
void CallSession::on_item(const Header& header, const std::string& id) {
  const std::shared_ptr<Pending> pending = find(id);  // which may end here
  if (!pending || !pending->open) return;
  if (const auto body = decoder_.take_whole_body()) {
    Buffer block;
    block.append(*body);
    deliver(header, pending, std::move(block));
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

// A body that is not wanted is read and dropped, and the connection goes on; if it is too large for that, it ends.
void CallSession::refuse_body(const CallError& error, std::uint64_t size) const {
  if (size <= port_.options().refusal_bytes) throw CallError(error);
  throw TooLarge{failure_of(error)};
}

void CallSession::write(std::string_view bytes) {
  if (!receiving_) return;
  if (receiving_->file) {
    try {
      receiving_->file->write(bytes);
    } catch (const CallError& error) {
      refuse_received(error);
    }
    return;
  }
  if (!make_room(bytes.size())) return;
  receiving_->body.append(bytes);
  pass_on();
}

// For more of the body that is being received. False: there is none, and the call is refused.
bool CallSession::make_room(std::uint64_t size) {
  try {
    check_memory(size);
    return true;
  } catch (const CallError& error) {
    refuse_received(error);
    return false;
  }
}

// What has come of the body is given up, and the rest is dropped, if it is not too much.
void CallSession::refuse_received(const CallError& error) {
  const auto refused = std::exchange(receiving_, nullptr);
  if (refused->pending) {
    if (!refused->pending->answered) end(refused->pending, error);
    return;
  }
  const Failure failure = failure_of(error);
  if (decoder_.body_left() > port_.options().refusal_bytes) {
    frames_.end_with(refused->id.empty() ? "null" : std::string_view(refused->id), failure);
  } else {
    fail(refused->id, failure);
  }
}

// A call's block grows with what has come, not with what was announced.
std::span<char> CallSession::prepare(std::uint64_t left) {
  if (!receiving_) return {};
  if (receiving_->file) return {port_.file_block(), static_cast<std::size_t>(std::min(left, hashed_block_size))};
  const std::size_t room = receiving_->begun ? stream_piece : receiving_->body.size();
  if (room == 0) return {};
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(room, least_block)));
  if (!make_room(size)) return {};
  return {receiving_->body.prepare(size), size};
}

void CallSession::commit(std::size_t size) {
  if (!receiving_) return;
  if (receiving_->file) {
    write({port_.file_block(), size});
    return;
  }
  receiving_->body.commit(size);
  pass_on();
}

// What there is of a body that is never held whole.
void CallSession::pass_on() {
  if (!receiving_->large || receiving_->body.size() < stream_piece) return;
  Part part;
  part.body = std::exchange(receiving_->body, Buffer());
  part.continues = true;
  receiving_->begun = true;
  if (receiving_->sum) receiving_->sum->update(part.body.view());
  deliver(*receiving_->pending, std::move(part));
}

void CallSession::end() {
  if (!receiving_) return;
  Header& scratch = port_.header();
  const auto received = std::exchange(receiving_, nullptr);
  scratch.read(received->header);  // once more: cheaper than to keep what a view had
  if (received->pending) {
    deliver(scratch, received->pending, std::move(received->body), received->sum ? &*received->sum : nullptr);
    return;
  }
  CallHead head;
  try {
    head.id = call_id(scratch);
    read_call(scratch, head);
    if (received->file) {
      Request request(head, std::string_view(), port_.peer());
      finish_put(head, request, std::move(received->file));
      return;
    }
    check_digest(head.digest, received->body.view());
    Request request(head, std::move(received->body), port_.peer());
    run(*received->method, head, request);
  } catch (...) {
    fail(head.id, current_failure());
  }
}

// Handlers have so much of this connection that nothing more is taken, until one is done. A body alone always has room.
bool CallSession::crowded() const {
  return under_way_ > 0 && memory() + port_.out().memory() >= port_.options().max_connection_memory;
}

void CallSession::abandon() { receiving_.reset(); }

// The end of a frame that belongs to a stream: a part, or the rest of one, and perhaps the last. `sum`: of what went before.
void CallSession::deliver(const Header& header, const std::shared_ptr<Pending>& pending, Buffer body, Digest* sum) {
  if (pending->answered) return;
  try {
    const Token *item = header.find(Key::item), *digest = header.find(Key::digest);
    if (const auto announced = announced_sha256(digest != nullptr ? digest->text : std::string_view())) {
      if (sum != nullptr) sum->update(body.view());
      check_sha256(*announced, sum != nullptr ? sum->finish_base64() : sha256_base64(body.view()));
    }
    const bool more = more_follows(header);
    Part part;
    if (item != nullptr) part.value = item->text;
    part.layout = layout_of(header);
    part.body = std::move(body);
    if (more || part.value != "null" || !part.body.empty()) deliver(*pending, std::move(part));
    if (more) return;
    close_input(*pending);
    pending->stream->end();
  } catch (const CallError& error) {
    end(pending, error);
  }
}

void CallSession::deliver(Pending& pending, Part part) {
  if (pending.answered || pending.stream->deliver(std::move(part)) || pending.held) return;
  pending.held = true;
  ++held_;
}

void CallSession::close_input(Pending& pending) {
  if (std::exchange(pending.open, false)) --open_;
}

void CallSession::resume(Pending& pending) {
  if (std::exchange(pending.held, false)) --held_;
}

void CallSession::run(const Method& method, const CallHead& head, Request& request) {
  switch (method.where) {
    case Method::Where::loop: {
      Response response = method.handler(request);
      if (!method.writes_json) check(method, response);
      if (!head.id.empty()) answer(head.id, response);
      break;
    }
    case Method::Where::pool:
    case Method::Where::batch:
    case Method::Where::later: run_elsewhere(method, head, request, head.more); break;
    case Method::Where::server: server_method(head, request); break;
  }
}

// `open`: parts will come.
std::shared_ptr<CallSession::Pending> CallSession::run_elsewhere(const Method& method, const CallHead& head,
                                                                 Request& request, bool open) {
  std::shared_ptr<void> place = method.streams ? take_stream_place(method) : nullptr;
  return begin(head, request, [&](const std::shared_ptr<Pending>& pending) {
    if (!method.writes_json) pending->checked = &method;
    if (method.streams) {
      has_streamed_ = true;
      pending->place = std::move(place);
      ++streams_;
      open_stream(pending, head.stream, open);
    }
    if (method.where == Method::Where::pool) {
      run_on_thread(method, std::move(request), pending);
      return;
    }
    const Responder reply = responder_for(pending);
    if (method.where == Method::Where::batch) {
      port_.state().batch_calls.push(port_.work_origin(),
                                     Work([&method, request = std::move(request), reply]() mutable {
                                       method.later(std::move(request), reply, nullptr);
                                     }),
                                     on_close(*pending));
      return;
    }
    try {
      method.later(std::move(request), reply, pending->stream);
    } catch (...) {
      reply.current_exception();
    }
  });
}

void CallSession::run_on_thread(const Method& method, Request request, const std::shared_ptr<Pending>& pending) {
  auto work = [&method, request = std::move(request), reply = responder_for(pending),
               stream = pending->stream]() mutable {
    try {
      if (request.cancelled()) throw CallError(ErrorCode::cancelled, "cancelled before it began");
      reply(stream ? method.stream_handler(request, *stream) : method.handler(request));
    } catch (...) {
      reply.current_exception();
    }
  };
  WorkerThreads& threads = method.streams ? *port_.state().stream_threads : *port_.state().pool;
  threads.post(port_.work_origin(), Work(std::move(work)), on_close(*pending));
}

// Nobody waits for the answer to a notification: it is on its way when its sender leaves.
FairQueue::OnClose CallSession::on_close(const Pending& pending) {
  return pending.id.empty() ? FairQueue::OnClose::run : FairQueue::OnClose::drop;
}

std::shared_ptr<void> CallSession::take_stream_place(const Method& method) {
  ServerState& state = port_.state();
  StreamPlaces& places = method.where == Method::Where::pool ? *state.streams_on_threads : *state.streams;
  if (streams_ >= places.share()) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(streams_ + 1) + " streams of one connection, which may have " +
                        std::to_string(places.share()) + " of " + places.name(),
                    limit_data(places.share(), streams_ + 1));
  }
  std::shared_ptr<void> place = state.streams->take(port_.work_origin().address);
  if (&places == state.streams.get()) return place;
  // Of both kinds.
  auto both = std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>();
  both->first = std::move(place);
  both->second = places.take(port_.work_origin().address);
  return both;
}

// Bytes that one more stream may keep in each direction: many streams share what one may have alone.
std::size_t CallSession::stream_room() const {
  const auto all = static_cast<std::size_t>(port_.options().max_connection_memory / 4);
  return std::clamp(all / std::max<std::size_t>(streams_, 1), least_stream_room, Stream::max_unread);
}

// What its handler says comes to the connection's thread, in order; see responder_for().
void CallSession::open_stream(const std::shared_ptr<Pending>& pending, bool accepts_parts, bool open) {
  const auto on_loop = [mailbox = port_.mailbox(), port = port_.weak_from_this(), this,
                        pending = std::weak_ptr(pending)](auto work) {
    mailbox->post(Work([port, this, pending, work = std::move(work)]() mutable {
      const auto own = port.lock();
      const auto call = pending.lock();
      if (!own || !call) return;
      const auto turn = [&] { work(*this, call); };
      own->on_own_thread(std::cref(turn));  // which takes no memory
    }));
  };
  if (!part_room_) {
    part_room_ = std::make_shared<PartRoom>(port_.state().memory, port_.options().max_connection_memory);
    note_unsent();
  }
  pending->stream = std::make_shared<Stream>(
      accepts_parts, stream_room(),
      [on_loop, room = part_room_](Part part) {
        const std::size_t weight = part.weight();
        PartCharge charge = weight > large_reply ? PartCharge(room, weight) : PartCharge();
        on_loop([part = std::move(part), charge = std::move(charge)](CallSession& calls,
                                                                     const std::shared_ptr<Pending>& call) mutable {
          calls.send_part(call, part, charge);
        });
      },
      [on_loop] { on_loop([](CallSession& calls, const std::shared_ptr<Pending>& call) { calls.resume(*call); }); });
  if (!open) {
    pending->stream->end();
    return;
  }
  pending->open = true;
  ++open_;
}

// `charge`: of a large part, until the connection's own account has it.
void CallSession::send_part(const std::shared_ptr<Pending>& pending, Part& part, PartCharge& charge) {
  if (pending->answered) return;
  const std::size_t weight = part.weight();
  std::string& header = port_.scratch();
  try {
    if (!charge.given()) check_unsent(weight, "unsent replies and parts");
    if (pending->checked != nullptr) check(*pending->checked, part);
    header.clear();
    write_part(header, pending->id, "result", part, true);
    append_reply(header, std::move(part.body), "result", part.value.size());
  } catch (const CallError& error) {
    end(pending, error);
    return;
  } catch (const std::bad_alloc&) {
    end(pending, CallError(ErrorCode::resource_exhausted, "out of memory"));
    return;
  }
  if (charge.given()) {
    charge.end();
    port_.account();
  }
  if (port_.out().memory() < Stream::max_unread) {
    pending->stream->release(weight);
  } else {
    pending->unsent += weight;
    writers_wait_ = true;
  }
}

void CallSession::release_writers() {
  if (!std::exchange(writers_wait_, false)) return;
  for (const auto& [id, pending] : *pending_) {
    if (pending->stream) pending->stream->release(std::exchange(pending->unsent, 0));
  }
}

// Registers a call that somebody will answer later, whom `start` tells. If that fails, it is as if nothing had been.
template <class Start>
std::shared_ptr<CallSession::Pending> CallSession::begin(const CallHead& head, Request& request, Start start) {
  check_memory(request.memory());
  request.keep();
  const auto pending = count(head, request);
  try {
    if (!head.id.empty() && head.timeout_ms > 0) pending->deadline = port_.add_deadline(head.timeout_ms, head.id);
    start(pending);
  } catch (...) {
    uncount(*pending);
    if (!head.id.empty() && !pending->answered) forget(*pending, answered_already);
    throw;
  }
  return pending;
}

std::shared_ptr<CallSession::Pending> CallSession::count(const CallHead& head, Request& request) {
  auto pending = std::make_shared<Pending>();
  pending->id = head.id;
  pending->stop = request.stop_source();
  pending->memory = MemoryCharge(port_.state().memory, request.memory() + sizeof(Pending));
  if (!head.id.empty()) {
    if (!pending_) pending_ = std::make_unique<PendingCalls>();
    pending_->emplace(head.id, pending);
  }
  if (running_++ == 0) self_ = port_.shared_from_this();
  under_way_ += pending->memory.bytes();
  pending->counted = true;
  return pending;
}

// Its handler is done with it, or has never begun.
void CallSession::uncount(Pending& pending) {
  if (!std::exchange(pending.counted, false) || !self_) return;  // or the connection is closed
  under_way_ -= pending.memory.bytes();
  if (pending.place) --streams_;
  pending.place.reset();
  if (--running_ == 0) self_.reset();  // whoever called has one
}

void CallSession::check_memory(std::uint64_t size) const {
  check_memory(*port_.state().memory, this->memory() + port_.out().memory(), size);
}

// Whether the server has memory for it. One connection, which has `own`, may have as much as is left for all others.
void CallSession::check_memory(const MemoryBudget& memory, std::uint64_t own, std::uint64_t size) {
  if (own + size <= memory.left()) return;
  const std::uint64_t used = memory.used();
  throw CallError(ErrorCode::resource_exhausted,
                  "no memory for " + std::to_string(size) + " more bytes: " + std::to_string(used) +
                      " are in use, of which this connection has " + std::to_string(own) + "; max_memory is " +
                      std::to_string(memory.limit()),
                  limit_data(memory.limit(), used + size));
}

// For handlers on other threads.
void CallSession::note_unsent() {
  if (part_room_) part_room_->unsent = port_.out().memory();
}

// Whether the connection may have so much more to send. A reply alone always has room.
void CallSession::check_unsent(std::uint64_t size, const char* what) const {
  const std::uint64_t unsent = port_.out().memory(), most = port_.options().max_connection_memory;
  if (unsent == 0 || unsent + size <= most) return;
  throw CallError(
      ErrorCode::resource_exhausted,
      std::to_string(unsent + size) + " bytes of " + what + ": max_connection_memory is " + std::to_string(most),
      limit_data(most, unsent + size));
}

std::shared_ptr<CallSession::Pending> CallSession::find(const std::string& id) const {
  if (!pending_) return nullptr;
  const auto found = pending_->find(id);
  return found == pending_->end() ? nullptr : found->second;
}

// Answers on the connection's thread, whichever thread gives the answer, and whenever: also when the server is gone. A
// connection dies on its own thread only, so the pointer to it is not made strong anywhere else.
Responder CallSession::responder_for(std::shared_ptr<Pending> pending) {
  return Responder([mailbox = port_.mailbox(), port = port_.weak_from_this(), this, pending = std::move(pending)](
                       Response* response, const Failure* failure) {
    std::optional<Response> answer;
    std::optional<Failure> problem;
    if (response != nullptr) answer.emplace(std::move(*response));
    if (failure != nullptr) problem = *failure;
    mailbox->post(Work([port, this, pending, answer = std::move(answer), problem = std::move(problem)]() mutable {
      const auto own = port.lock();
      if (!own) return;
      const auto turn = [&] { finish(*pending, answer ? &*answer : nullptr, problem ? &*problem : nullptr); };
      own->on_own_thread(std::cref(turn));
    }));
  });
}

void CallSession::finish(Pending& pending, Response* response, const Failure* failure) {
  uncount(pending);
  if (pending.answered || pending.id.empty()) return;
  forget(pending, answered_already);
  if (failure != nullptr) {
    fail(pending.id, *failure);
    return;
  }
  try {
    if (pending.checked != nullptr) check(*pending.checked, *response);
    answer(pending.id, *response);
  } catch (...) {  // a result that is not JSON, or that no frame has room for
    fail(pending.id, current_failure());
  }
}

void CallSession::forget(Pending& pending, const CallError& why) {
  close(pending, why);
  pending_->erase(pending.id);
}

void CallSession::close(Pending& pending, const CallError& why) {
  pending.answered = true;
  if (pending.deadline) port_.remove_deadline(*pending.deadline);
  pending.deadline.reset();
  close_input(pending);
  resume(pending);
  if (pending.stream) pending.stream->fail(why);
}

// Answers instead of the handler, and tells it.
void CallSession::end(const std::shared_ptr<Pending>& pending, const CallError& error) {
  fail(pending->id, failure_of(error));  // first: if there is no memory for that, the handler's answer will come
  forget(*pending, error);
  pending->stop.request_stop();
}

void CallSession::expire(const std::string& id) {
  if (const auto pending = find(id)) end(pending, CallError(ErrorCode::deadline_exceeded, "timeout_ms has passed"));
}

void CallSession::cancel_all() {
  if (pending_) {
    for (const auto& [id, pending] : *pending_) {
      close(*pending, caller_gone);
      pending->stop.request_stop();
    }
    pending_->clear();
  }
  receiving_.reset();
  file_work_.reset();
  running_ = open_ = held_ = streams_ = under_way_ = 0;
  self_.reset();
}

std::string& CallSession::reply_header() {
  last_answer_ = port_.now();
  port_.scratch().clear();
  return port_.scratch();
}

// What a handler wrote as JSON text goes into the frame as it is. Throws CallError for what is none.
template <class Answer>
void CallSession::check(const Method& method, const Answer& answer) {
  try {
    check_answer(method, answer);
  } catch (const CallError& error) {
    port_.log(LogLevel::error, error.what());
    throw;
  }
}

// Throws CallError for a reply that the connection, or the server, has no memory for.
void CallSession::answer(std::string_view id, Response& response) {
  const std::uint64_t size = response.body.size() + response.result.size();
  check_unsent(size, "unsent replies");
  if (size > large_reply) check_memory(size);
  std::string& header = reply_header();
  write_reply(header, id, response, port_.draining());
  if (response.metadata.size() > response.result.size()) {
    append_reply(header, std::move(response.body), "metadata", response.metadata.size());
  } else {
    append_reply(header, std::move(response.body), "result", response.result.size());
  }
}

// `what` takes the most of it. A header that the peer must refuse would end its connection, and all its calls with it.
void CallSession::append_reply(std::string_view header, Buffer&& body, const char* what, std::size_t size) {
  const std::size_t most = frames_.longest_header();
  if (header.size() > most) {
    throw CallError(ErrorCode::resource_exhausted, header_too_large(what, size, header.size(), most),
                    limit_data(most, header.size()));
  }
  frames_.append_frame(header, std::move(body));
}

void CallSession::end_streams() {
  if (!pending_) return;
  std::vector<std::shared_ptr<Pending>> streams;
  for (const auto& [id, pending] : *pending_) {
    if (pending->stream) streams.push_back(pending);
  }
  for (const auto& pending : streams) {
    end(pending, CallError(ErrorCode::unavailable, "the server is shutting down: call again"));
  }
}

void CallSession::fail(std::string_view id, const Failure& failure) {
  ++port_.state().failed_calls;
  if (id.empty()) return;  // a notification is never answered
  last_answer_ = port_.now();
  frames_.append_error(id, failure);
}

// A body of any size, which goes to the disk as it comes. What cannot be stored is refused before any of it is taken.
void CallSession::begin_put(const CallHead& head, const Header& header) {
  Request request(head, std::string_view(), port_.peer());
  std::unique_ptr<IncomingFile> file;
  try {
    file = std::make_unique<IncomingFile>(port_.options(), request.params(), head.digest, decoder_.body_left());
  } catch (const CallError& error) {
    refuse_body(error, decoder_.body_left());
  }
  if (const auto body = decoder_.take_whole_body()) {
    if (!body->empty()) file->write(*body);
    finish_put(head, request, std::move(file));
    return;
  }
  receive(header, nullptr, false);
  receiving_->file = std::move(file);
  receiving_->id = head.id;
}

void CallSession::finish_put(const CallHead& head, Request& request, std::unique_ptr<IncomingFile> file) {
  const bool long_one = file->reads_whole_file();
  begin(head, request, [&](const std::shared_ptr<Pending>& pending) {
    auto work = [file = std::move(file), stop = request.stop_token(), peer = port_.peer(), &state = port_.state(),
                 answer = file_answer(pending, long_one)] {
      try {
        Response response = file->finish(stop);
        ++state.uploads;
        state.log(LogLevel::info,
                  peer + ": stored \"" + printable(file->name()) + "\", " + std::to_string(file->size()) + " bytes");
        answer(std::move(response));
      } catch (...) {
        answer(current_failure());
      }
    };
    run_file_work(Work(std::move(work)), long_one, FairQueue::OnClose::run);
  });
}

// On a thread that may wait for the disk.
void CallSession::file_method(const CallHead& head, Request& request) {
  files_of(port_.options());
  const bool long_one = request.method() == "file.get" || request.method() == "file.list";
  begin(head, request, [&](const std::shared_ptr<Pending>& pending) {
    auto work = [files = port_.options().files, request = std::move(request), answer = file_answer(pending, long_one)] {
      try {
        check_wanted(request.stop_token());
        if (request.method() == "file.get") {
          answer(get_file(*files, request.params()));
        } else {
          answer(answer_about_files(*files, request.method(), request.params(), request.stop_token()));
        }
      } catch (...) {
        answer(current_failure());
      }
    };
    run_file_work(Work(std::move(work)), long_one, on_close(*pending));
  });
}

// What a thread for files calls with the outcome.
std::function<void(CallSession::FileAnswer)> CallSession::file_answer(const std::shared_ptr<Pending>& pending,
                                                                      bool long_one) {
  struct Given {
    std::weak_ptr<SessionPort> port;
    std::shared_ptr<Pending> pending;
    bool long_one;
    std::optional<FileAnswer> answer;
  };
  const auto given = std::make_shared<Given>(Given{port_.weak_from_this(), pending, long_one, {}});
  // Made beforehand, so that nothing can fail when the work is done.
  const auto passed_on = std::make_shared<Work>([given, this] {
    const auto own = given->port.lock();
    if (!own) return;
    own->on_own_thread([&] { end_file_call(*given->pending, *given->answer, given->long_one); });
  });
  return [given, passed_on, mailbox = port_.mailbox()](FileAnswer answer) {
    given->answer.emplace(std::move(answer));
    mailbox->post(std::move(*passed_on));
  };
}

void CallSession::end_file_call(Pending& pending, FileAnswer& answer, bool long_one) {
  if (auto* file = std::get_if<OutgoingFile>(&answer)) {
    send_file(pending, *file);
  } else {
    finish(pending, std::get_if<Response>(&answer), std::get_if<Failure>(&answer));
  }
  end_file_work(long_one);
}

void CallSession::run_file_work(Work work, bool long_one, FairQueue::OnClose on_close) {
  if (!long_one) {
    port_.state().workers->post(port_.work_origin(), std::move(work), on_close);
    return;
  }
  if (!file_work_) file_work_ = std::make_unique<std::deque<Work>>();
  if (file_work_->empty() && may_begin_file_work()) {
    start_file_work(std::move(work));
  } else {
    file_work_->push_back(std::move(work));
  }
}

// If that fails, the call has failed that the work is for.
void CallSession::start_file_work(Work work) {
  port_.state().workers->post(port_.work_origin(), std::move(work));
  file_work_runs_ = true;
}

void CallSession::end_file_work(bool long_one) {
  if (!long_one) return;
  file_work_runs_ = false;
  if (file_work_) begin_file_work();
}

// A file that waits to be sent holds a descriptor, so the next one is not opened before.
bool CallSession::may_begin_file_work() const { return !file_work_runs_ && !port_.out().has_file(); }

// If that fails, the exception ends the connection: a call is lost.
void CallSession::begin_file_work() {
  if (file_work_->empty() || !may_begin_file_work()) return;
  Work work = std::move(file_work_->front());
  file_work_->pop_front();
  start_file_work(std::move(work));
}

void CallSession::send_file(Pending& pending, OutgoingFile& answer) {
  uncount(pending);
  if (pending.answered || pending.id.empty()) return;
  forget(pending, answered_already);
  std::string& header = reply_header();
  write_reply(header, pending.id, answer.response, port_.draining(), answer.file.length());
  frames_.append_frame(header, std::move(answer.file));
}

void CallSession::server_method(const CallHead& head, Request& request) {
  if (head.method.starts_with("file.")) {
    file_method(head, request);
    return;
  }
  Response response;
  if (head.method == "rpc.cancel") {
    cancel(request);
  } else if (head.method == "rpc.health") {
    response.result = health_text(port_.draining());
  } else {
    response.result = port_.state().stats();
  }
  if (!head.id.empty()) answer(head.id, response);
}

void CallSession::cancel(Request& request) {
  const Json& params = request.params();
  if (!params.is_object() || !params.contains("id")) {
    throw CallError(ErrorCode::invalid_params, "rpc.cancel: expected {\"id\": ID}");
  }
  Header members;
  members.read(request.params_text());
  const auto pending = find(id_text(*members.find(Key::id)));
  if (!pending) return;  // answered already, or never asked
  end(pending, CallError(ErrorCode::cancelled, "cancelled by the caller"));
}

}  // namespace framecall
