#include "server/sessions/call_replies.hpp"

#include <utility>

#include "framecall/error.hpp"
#include "server/sessions/unsent_memory.hpp"

namespace framecall {
namespace {

constexpr std::size_t large_reply = 64 * 1024;  // the memory of a smaller one is counted at the end of the turn

}  // namespace

Failure failure_of(const CallError& error) {
  return {static_cast<std::int64_t>(error.code()), error.what(), error.data()};
}

template <class Answer>
void CallReplies::check(const Method& method, const Answer& answer) {
  try {
    check_answer(method, answer);
  } catch (const CallError& error) {
    port_.log(LogLevel::error, error.what());
    throw;
  }
}

template void CallReplies::check(const Method& method, const Response& answer);

void CallReplies::check_memory(std::uint64_t size, std::size_t own) const {
  port_.state().memory->check(own + port_.out().memory(), size);
}

void CallReplies::result(std::string_view id, Response& response, std::size_t own) {
  const std::uint64_t size = response.body.size() + response.result.size();
  check_unsent(port_.out().memory(), port_.options().max_connection_memory, size, "unsent replies");
  if (size > large_reply) check_memory(size, own);
  std::string& header = begin();
  write_reply(header, id, response, port_.draining());
  if (response.metadata.size() > response.result.size()) {
    append(header, std::move(response.body), "metadata", response.metadata.size());
  } else {
    append(header, std::move(response.body), "result", response.result.size());
  }
}

void CallReplies::part(std::string_view id, Part& part, const Method* checked, bool counted) {
  if (!counted) {
    check_unsent(port_.out().memory(), port_.options().max_connection_memory, part.weight(),
                 "unsent replies and parts");
  }
  if (checked != nullptr) check(*checked, part);
  std::string& header = port_.scratch();
  header.clear();
  write_part(header, id, "result", part, true);
  append(header, std::move(part.body), "result", part.value.size());
}

void CallReplies::file(std::string_view id, OutgoingFile& file) {
  std::string& header = begin();
  write_reply(header, id, file.response, port_.draining(), file.file.length());
  frames_.append_frame(header, std::move(file.file));
}

void CallReplies::error(std::string_view id, const Failure& failure) {
  ++port_.state().failed_calls;
  if (id.empty()) return;
  last_ = port_.now();
  frames_.append_error(id, failure);
}

void CallReplies::end(PendingCalls& pending, const std::shared_ptr<PendingCall>& call, const CallError& why) {
  error(call->id, failure_of(why));  // first: without memory for it, the answer of the handler is still expected
  pending.remove(*call, why);
  call->stop.request_stop();
}

std::string& CallReplies::begin() {
  last_ = port_.now();
  port_.scratch().clear();
  return port_.scratch();
}

// `what` takes the most of the header. The peer would refuse a longer header, and all calls of the connection would end with it.
void CallReplies::append(std::string_view header, Buffer&& body, const char* what, std::size_t size) {
  const std::size_t most = frames_.longest_header();
  if (header.size() > most) {
    throw CallError(ErrorCode::resource_exhausted, header_too_large(what, size, header.size(), most),
                    limit_data(most, header.size()));
  }
  frames_.append_frame(header, std::move(body));
}

}  // namespace framecall
