#include "server/methods/dispatch.hpp"

#include <utility>

#include "framecall/error.hpp"
#include "framecall/stream.hpp"
#include "server/methods/builtin_parameters.hpp"
#include "server/methods/file_methods.hpp"
#include "server/server_state.hpp"

namespace framecall {
namespace {

std::string quoted_name(const CallHead& head) { return "method \"" + printable(head.method) + "\""; }

}  // namespace

const Method& find_method(const Router& router, const CallHead& head) {
  const Method* const method = router.find(head.method);
  if (method == nullptr) throw CallError(ErrorCode::method_not_found, quoted_name(head) + " not found");
  return *method;
}

void check_frames(const Method& method, const CallHead& head) {
  if (head.more && !method.streams) throw CallError(ErrorCode::invalid_request, quoted_name(head) + " takes one frame");
  if (method.streams && head.id.empty()) {
    throw CallError(ErrorCode::invalid_request, quoted_name(head) + " needs an id");
  }
}

void check_datagram(const Method& method, const CallHead& head) {
  if (head.more || method.streams || (method.builtin && !method.builtin->by_datagram)) {
    throw CallError(ErrorCode::invalid_request, "streams and files do not fit into datagrams");
  }
}

std::unique_ptr<IncomingBody> place_for_body(const Method& method, ServerState& server, const CallHead& head,
                                             const Request& request, std::uint64_t body_size) {
  const auto* const receive = method.builtin ? std::get_if<ReceiveBody>(&method.builtin->function) : nullptr;
  if (receive == nullptr) return nullptr;
  files_of(server.options);
  const BuiltinParams params(request.params(), method.builtin->parameters);
  return (*receive)(server, params, head.digest, body_size);
}

std::variant<Response, OutgoingFile> answer_about_files(const Method& method, FileStore& files,
                                                        const Request& request) {
  const BuiltinMethod& row = *method.builtin;
  const BuiltinParams params(request.params(), row.parameters);
  if (const auto* const send = std::get_if<SendFile>(&row.function)) return (*send)(files, params);
  return std::get<AnswerAboutFiles>(row.function)(files, params, request.stop_token());
}

void start_handler(ServerState& server, const Method& method, Request request, const Responder& reply,
                   const std::shared_ptr<Stream>& stream, const std::function<WorkOrigin()>& origin,
                   FairQueue::OnClose on_close) {
  switch (method.where) {
    case Method::Where::later: {
      try {
        method.later(std::move(request), reply, stream);
      } catch (...) {
        reply.current_exception();
      }
      break;
    }
    case Method::Where::batch:
      server.batch_calls.push(origin(), Task([&method, request = std::move(request), reply]() mutable {
                                method.later(std::move(request), reply, nullptr);
                              }),
                              on_close);
      break;
    default: {
      auto work = [&method, request = std::move(request), reply, stream]() mutable {
        try {
          if (request.cancelled()) throw CallError(ErrorCode::cancelled, "cancelled before it began");
          reply(stream ? method.stream_handler(request, *stream) : method.handler(request));
        } catch (...) {
          reply.current_exception();
        }
      };
      (method.streams ? *server.stream_threads : *server.pool).post(origin(), Task(std::move(work)), on_close);
    }
  }
}

}  // namespace framecall
