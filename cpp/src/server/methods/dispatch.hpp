// From a call to its method, for connections and datagrams alike: the lookup, the checks and their refusals, the start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <variant>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "framecall/responder.hpp"
#include "framecall/router.hpp"
#include "server/fair_queue.hpp"
#include "server/methods/method_table.hpp"

namespace framecall {

/// The method that a call asks for. Throws CallError(method_not_found).
const Method& find_method(const Router& router, const CallHead& head);

/// Throws CallError(invalid_request) if the call has more frames than its method takes, or is a stream without an id.
void check_frames(const Method& method, const CallHead& head);
/// Throws CallError(invalid_request) if no datagram may make this call.
void check_datagram(const Method& method, const CallHead& head);

/// Runs a method of Method::Where::loop.
inline Response answer_on_loop(const Method& method, const ServerView& server, Request& request) {
  if (method.builtin) return std::get<AnswerOnLoop>(method.builtin->function)(server, request);
  return method.handler(request);
}

/// The place for the body of a call, if its method has one of its own; else null. Throws CallError.
std::unique_ptr<IncomingBody> place_for_body(const Method& method, ServerState& server, const CallHead& head,
                                             const Request& request, std::uint64_t body_size);

/// Runs a method of Method::Where::files that has no place for bodies. On a worker.
std::variant<Response, OutgoingFile> answer_about_files(const Method& method, FileStore& files, const Request& request);

/// Starts a method of Method::Where::pool, batch or later, which answers through `reply`. `origin` returns the WorkOrigin; it is
/// called only if the call is queued. Throws if the call cannot be queued; `reply` is not used then.
void start_handler(ServerState& server, const Method& method, Request request, const Responder& reply,
                   const std::shared_ptr<Stream>& stream, const std::function<WorkOrigin()>& origin,
                   FairQueue::OnClose on_close);

}  // namespace framecall
