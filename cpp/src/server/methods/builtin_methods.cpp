#include "server/methods/builtin_methods.hpp"

#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "framecall/wire/frame.hpp"
#include "server/methods/builtin_parameters.hpp"
#include "server/server_state.hpp"

namespace framecall {
namespace {

constexpr BuiltinParameter<AnyKind> id{"id", true};

Response echo(const ServerView&, Request& request) {
  Response response;
  if (!request.params_text().empty()) response.result = dump_json(request.params());
  response.layout = request.layout();
  response.body = request.take_body();
  return response;
}

Response upper(const ServerView&, Request& request) {
  Response response;
  response.body = request.take_body();
  upper_case(response.body.data(), response.body.size(), response.body.data());
  return response;
}

Response ping(const ServerView&, Request& request) {
  Response response;
  response.result = "\"pong\"";
  response.body = request.take_body();
  return response;
}

Response cancel(const ServerView& server, Request& request) {
  if (server.calls == nullptr) return Response();  // a datagram cannot name the calls of others
  const Json& params = request.params();
  if (!params.is_object() || !params.contains(id.name)) refuse_params("rpc.cancel: expected {\"id\": ID}");
  Header members;
  members.read(request.params_text());
  server.calls->cancel(id_text(*members.find(Key::id)));  // as the caller wrote it, not as Json would
  return Response();
}

Response health(const ServerView& server, Request&) {
  Response response;
  response.result = server.draining ? R"({"status": "NOT_SERVING"})" : R"({"status": "SERVING"})";
  return response;
}

Response stats(const ServerView& server, Request&) {
  Response response;
  response.result = server.state.stats();
  return response;
}

Response discover(const ServerView& server, Request&) {
  Response response;
  response.result = server.state.options.router->discover_text();
  return response;
}

}  // namespace

std::vector<BuiltinMethod> builtin_methods() {
  return {
      {"echo", "params and body, unchanged", {}, RunsOn::loop, true, echo},
      {"upper", "the body in ASCII upper case, as bytes.upper()", {}, RunsOn::loop, true, upper},
      {"rpc.ping", "\"pong\", and the body unchanged", {}, RunsOn::loop, true, ping},
      {"rpc.cancel", "ends a call that is under way", {id}, RunsOn::loop, true, cancel},
      {"rpc.health", "SERVING or NOT_SERVING", {}, RunsOn::loop, true, health},
      {"rpc.stats", "what the server has done", {}, RunsOn::loop, true, stats},
      {"rpc.discover", "the OpenRPC document of this server", {}, RunsOn::loop, true, discover},
  };
}

}  // namespace framecall
