#include "framecall/detail/client_session.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <new>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall {
namespace {

// 0: none that a session gives.
std::uint64_t number_of(const std::string& id) {
  std::uint64_t number = 0;
  const char* const end = id.data() + id.size();
  const auto [rest, problem] = std::from_chars(id.data(), end, number);
  return problem == std::errc() && rest == end ? number : 0;
}

template <class Error>
std::exception_ptr as_error(Error error) {
  return std::make_exception_ptr(std::move(error));
}

}  // namespace

ClientSession::ClientSession(std::string peer, const ClientOptions& options, ReplyDecoder& replies,
                             std::uint64_t last_id)
    : peer_(std::move(peer)),
      prefix_(prefix_of(options)),
      max_header_(options.max_header),
      replies_(replies),
      first_id_(last_id + 1),
      last_id_(last_id) {}

// --- calls

std::uint64_t ClientSession::start(const RequestEncoder& request, Buffer body, std::shared_ptr<SessionCall> call,
                                   Wanted wanted, TimePoint deadline, std::chrono::nanoseconds left) {
  const std::uint64_t id = last_id_ + 1;
  std::string head = request.encode(std::to_string(id), left, wanted == Wanted::parts, prefix_);
  Entry entry{std::move(call), std::string(request.method()), deadline, wanted};
  const auto place = calls_.emplace(id, std::move(entry)).first;
  try {
    queue(id, deadline, std::move(head), std::move(body));
  } catch (...) {
    calls_.erase(place);
    throw;
  }
  last_id_ = id;
  next_deadline_ = std::min(next_deadline_, deadline);
  return id;
}

void ClientSession::notify(const RequestEncoder& request, Buffer body, TimePoint deadline,
                           std::chrono::nanoseconds left) {
  queue(0, deadline, request.encode({}, left, false, prefix_), std::move(body));
}

void ClientSession::send_part(std::uint64_t id, Part part, bool more) {
  if (!calls_.contains(id)) return;
  std::string head = item_head(std::to_string(id), part, more, max_header_, prefix_);
  queue(id, no_deadline, std::move(head), std::move(part.body));
}

void ClientSession::set_deadline(std::uint64_t id, TimePoint deadline) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  found->second.deadline = deadline;
  next_deadline_ = std::min(next_deadline_, deadline);
}

void ClientSession::ask_to_stop(std::uint64_t id) {
  if (calls_.contains(id)) queue(id, no_deadline, cancel_frame(std::to_string(id), prefix_), Buffer());
}

void ClientSession::cancel(std::uint64_t id) {
  if (const auto found = calls_.find(id); found != calls_.end()) give_up(found);
}

void ClientSession::give_up(Calls::iterator entry) {
  const std::uint64_t id = entry->first;
  const bool tell = entry->second.sent && !ended();
  remove(entry);
  drop_frames(id);
  if (!tell) return;
  try {
    queue(0, no_deadline, cancel_frame(std::to_string(id), prefix_), Buffer());
  } catch (const std::bad_alloc&) {  // the server finds out by itself, and its reply is dropped
  }
}

void ClientSession::remove(Calls::iterator entry) {
  if (entry->second.held) --held_;
  calls_.erase(entry);
}

// --- frames to send

void ClientSession::queue(std::uint64_t id, TimePoint deadline, std::string head, Buffer body) {
  if (ended()) return;
  const std::size_t size = head.size() + body.size();
  frames_.push_back({id, deadline, std::move(head), std::move(body)});
  unsent_ += size;
}

void ClientSession::drop_frames(std::uint64_t id) {
  if (frames_.empty()) return;
  std::erase_if(frames_, [&](const Frame& frame) {
    if (frame.id != id) return false;
    unsent_ -= frame.head.size() + frame.body.size();
    return true;
  });
}

bool ClientSession::next_frame(TimePoint now, Frame& frame) {
  while (!frames_.empty()) {
    frame = std::move(frames_.front());
    frames_.pop_front();
    unsent_ -= frame.head.size() + frame.body.size();
    if (now >= frame.deadline) continue;
    if (frame.id == 0) return true;
    const auto found = calls_.find(frame.id);
    if (found == calls_.end())
      return true;  // of a stream that was answered before its end: the server waits for the rest
    found->second.sent = true;
    return true;
  }
  return false;
}

// --- what happens

bool ClientSession::next_event(SessionEvent& event) {
  try {
    while (!ended() && !held()) {
      CallReply* const reply = replies_.next();
      if (reply == nullptr) {
        if (replies_.closed()) lose(ECONNRESET, "closed by the server");
        break;
      }
      if (take_reply(*reply, event)) return true;
    }
  } catch (const ProtocolError& error) {
    refuse(error);
  } catch (...) {  // no memory for a body
    end(std::current_exception());
  }
  return ended() && fail_next(event);
}

void ClientSession::refuse(const ProtocolError& error) {
  if (error.code() == ErrorCode::data_loss) {
    lose(ECONNRESET, "closed by the server inside a reply");
    return;
  }
  try {
    end(as_error(ProtocolError(error.code(), error.offset(), peer_ + ": " + error.what())));
  } catch (const std::bad_alloc&) {
    end(std::current_exception());
  }
}

// False: nobody waits for it.
bool ClientSession::take_reply(CallReply& reply, SessionEvent& event) {
  if (reply.id.empty() && !reply.continued) {  // the peer has given up on what it read
    end(reply.error ? as_error(*reply.error)
                    : as_error(ProtocolError(ErrorCode::invalid_request, 0, peer_ + ": a reply without an id")));
    return false;
  }
  const auto found = find(reply);
  if (found == calls_.end()) return false;
  event.id = found->first;
  event.reply = &reply;
  event.error = nullptr;
  event.sent = true;
  event.last = found->second.wanted == Wanted::reply || (!reply.more && !reply.continues);
  event.call = found->second.call;
  if (event.last) remove(found);
  return true;
}

ClientSession::Calls::iterator ClientSession::find(const CallReply& reply) {
  // The first piece of a reply may have been moved from.
  const std::uint64_t id = reply.continued ? piece_id_ : number_of(reply.id);
  piece_id_ = id;
  if (id < first_id_ || id > last_id_) {
    throw ProtocolError(ErrorCode::invalid_request, 0,
                        "a reply to id " + printable(reply.id, 40) + ", which is of no call under way");
  }
  return calls_.find(id);  // none, if it was given up or has ended
}

bool ClientSession::fail_next(SessionEvent& event) {
  if (calls_.empty()) return false;
  const auto entry = calls_.begin();
  event = SessionEvent();
  event.id = entry->first;
  event.call = std::move(entry->second.call);
  event.error = error_;
  event.sent = entry->second.sent;
  remove(entry);
  return true;
}

bool ClientSession::next_late(TimePoint now, SessionEvent& event) {
  if (now < next_deadline_) return false;
  TimePoint next = no_deadline;
  for (auto entry = calls_.begin(); entry != calls_.end(); ++entry) {
    if (entry->second.deadline > now) {
      next = std::min(next, entry->second.deadline);
      continue;
    }
    event = SessionEvent();
    event.id = entry->first;
    event.call = entry->second.call;
    event.sent = entry->second.sent;
    event.error = as_error(
        SystemError(ETIMEDOUT, std::generic_category(), peer_ + ": no reply to " + in_quotes(entry->second.method)));
    give_up(entry);
    return true;
  }
  next_deadline_ = next;
  return false;
}

void ClientSession::set_unread(std::uint64_t id, std::size_t bytes) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  bool& held = found->second.held;
  const bool now = bytes >= (held ? Part::max_unread / 4 : Part::max_unread);
  if (now != held) held_ += now ? 1 : -1;
  held = now;
}

// --- the end

void ClientSession::lose(int errno_value, std::string_view why) {
  if (ended()) return;
  try {
    std::string text = "UNAVAILABLE: " + peer_ + ": the connection was lost with " + std::to_string(calls_.size()) +
                       (calls_.size() == 1 ? " call under way" : " calls under way");
    if (!why.empty()) text.append(" (").append(why).append(")");
    end(as_error(UnavailableError(std::error_code(errno_value, std::generic_category()), text)));
  } catch (const std::bad_alloc&) {
    end(std::current_exception());
  }
}

void ClientSession::end(std::exception_ptr error) {
  if (ended()) return;
  error_ = std::move(error);
  frames_.clear();
  unsent_ = 0;
}

}  // namespace framecall
