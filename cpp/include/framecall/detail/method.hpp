// What a server knows about one of its methods.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/responder.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

struct BuiltinMethod;  // of the server
class Stream;          // stream.hpp

/// What a parameter is called, and what the OpenRPC document says about it.
struct ParameterInfo {
  std::string name;
  bool required;
  Json schema;
};

/// One entry of a Router: what it is called, how it runs, and what the OpenRPC document says about it.
struct Method {
  enum class Where : std::uint8_t {
    loop,   ///< on the thread that read the call
    pool,   ///< on a thread that may wait
    later,  ///< started on the event loop, answered through its Responder
    batch,  ///< with the lock of ServerOptions::batch, answered through its Responder
    files,  ///< on a thread that may wait for the disk; only built-ins
  };
  std::string name, summary;
  Where where = Where::loop;
  bool streams = false;      ///< its handler is given the stream
  bool writes_json = false;  ///< its answers are JSON for certain, and are not checked
  std::function<Response(Request&)> handler;
  std::function<Response(Request&, Stream&)> stream_handler;
  std::function<void(Request, Responder, std::shared_ptr<Stream>)> later;
  std::vector<ParameterInfo> parameters;
  Json result_schema = Json::object();
  std::shared_ptr<const BuiltinMethod> builtin;  ///< its row in the table of built-ins; null for a method of the user
  bool replaceable = true;                       ///< by another method of this name
};

/// Throws CallError(internal_error), which names the method, for an answer that check_json() refuses.
void check_answer(const Method& method, const Response& response);
void check_answer(const Method& method, const Part& part);

}  // namespace framecall
