#include "server/sessions/call_streams.hpp"

#include <algorithm>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::size_t least_room = 16 * 1024;  // bytes in each direction of a stream
constexpr std::size_t large_part = 64 * 1024;  // the memory of a smaller one is counted at the end of the turn

// Whether a frame of a stream is not the last one.
bool more_follows(const Header& header) {
  const Token* more = header.find(Key::more);
  if (more == nullptr || more->kind == Token::Kind::boolean_false) return false;
  if (more->kind == Token::Kind::boolean_true) return true;
  throw CallError(ErrorCode::invalid_request, "more is neither true nor false: " + printable(more->text, 40));
}

}  // namespace

CallStreams::CallStreams(SessionPort& port, PendingCalls& pending, CallReplies& replies)
    : port_(port),
      pending_(pending),
      replies_(replies),
      part_room_(std::make_shared<PartRoom>(port.state().memory, port.options().max_connection_memory)) {
  note_unsent();
}

std::shared_ptr<void> CallStreams::take_place(const Method& method) {
  ServerState& state = port_.state();
  StreamPlaces& places = method.where == Method::Where::pool ? *state.streams_on_threads : *state.streams;
  const std::size_t count = pending_.stream_count();
  if (count >= places.share()) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(count + 1) + " streams of one connection, which may have " +
                        std::to_string(places.share()) + " of " + places.name(),
                    limit_data(places.share(), count + 1));
  }
  std::shared_ptr<void> place = state.streams->take(port_.work_origin().address);
  if (&places == state.streams.get()) return place;
  // It takes a place of both kinds.
  auto both = std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>();
  both->first = std::move(place);
  both->second = places.take(port_.work_origin().address);
  return both;
}

// Bytes that a stream may keep in each direction: the streams of a connection share what it may have.
std::size_t CallStreams::room() const {
  const auto all = static_cast<std::size_t>(port_.options().max_connection_memory / 4);
  return std::clamp(all / std::max<std::size_t>(pending_.stream_count(), 1), least_room, Stream::max_unread);
}

// The parts of a handler arrive on the connection's thread in order. The handler's thread holds no strong pointer to the
// connection, because a connection may be destroyed on its own thread only.
void CallStreams::open(const Call& call, std::shared_ptr<void> place, bool accepts_parts, bool open) {
  pending_.begin_stream(*call, std::move(place));
  const auto on_loop = [mailbox = port_.mailbox(), port = port_.weak_from_this(), this,
                        weak = std::weak_ptr(call)](auto work) {
    mailbox->post(Task([port, this, weak, work = std::move(work)]() mutable {
      const auto own = port.lock();
      const auto strong = weak.lock();
      if (!own || !strong) return;
      const auto turn = [&] { work(*this, strong); };
      own->on_own_thread(std::cref(turn));  // allocates nothing
    }));
  };
  call->stream = std::make_shared<Stream>(
      accepts_parts, room(),
      [on_loop, room = part_room_](Part part) {
        const std::size_t weight = part.weight();
        PartCharge charge = weight > large_part ? PartCharge(room, weight) : PartCharge();
        on_loop([part = std::move(part), charge = std::move(charge)](CallStreams& streams, const Call& one) mutable {
          streams.send(one, part, charge);
        });
      },
      [on_loop] { on_loop([](CallStreams& streams, const Call& one) { streams.pending_.resume(*one); }); });
  if (open) {
    pending_.open_input(*call);
  } else {
    call->stream->end();
  }
}

// `charge`: of a large part, until the connection has counted it.
void CallStreams::send(const Call& call, Part& part, PartCharge& charge) {
  if (call->answered) return;
  const std::size_t weight = part.weight();
  try {
    replies_.part(call->id, part, call->checked, charge.counted());
  } catch (const CallError& error) {
    replies_.end(pending_, call, error);
    return;
  } catch (const std::bad_alloc&) {
    replies_.end(pending_, call, CallError(ErrorCode::resource_exhausted, "out of memory"));
    return;
  }
  if (charge.counted()) {
    charge.end();
    port_.account();
  }
  if (port_.out().memory() < Stream::max_unread) {
    call->stream->release(weight);
  } else {
    call->unsent += weight;
    writers_wait_ = true;
  }
}

void CallStreams::note_unsent() { part_room_->unsent = port_.out().memory(); }

void CallStreams::release_writers() {
  if (!std::exchange(writers_wait_, false)) return;
  for (const Call& call : pending_.streams()) call->stream->release(std::exchange(call->unsent, 0));
}

void CallStreams::deliver(const Header& header, const Call& call, Buffer body, Digest* sum) {
  if (call->answered) return;
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
    if (more || part.value != "null" || !part.body.empty()) deliver(*call, std::move(part));
    if (more) return;
    pending_.close_input(*call);
    call->stream->end();
  } catch (const CallError& error) {
    replies_.end(pending_, call, error);
  }
}

void CallStreams::deliver(PendingCall& call, Part part) {
  if (!call.answered && !call.stream->deliver(std::move(part))) pending_.hold(call);
}

}  // namespace framecall
