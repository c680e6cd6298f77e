// What comes back for a call, as its caller reads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {

/// What a reply's header says. Views live as long as the header's text.
struct ReplyHead {
  std::string id;  ///< JSON text as dump_json() writes it; empty for null: an answer to what the peer could not read
  std::optional<RemoteError> error;
  std::string_view result, metadata, digest;  ///< JSON text
  std::string layout;                         ///< see Response::layout
  bool more = false;                          ///< another one follows for this id
  bool closing = false;                       ///< the peer will close: new calls belong on another connection
};

/// Throws ProtocolError(invalid_request) for a frame that is no reply.
void read_reply(const Header& header, ReplyHead& head);

/// The error that an answer is, if it is one.
std::optional<RemoteError> remote_error(const Header& header);

}  // namespace framecall
