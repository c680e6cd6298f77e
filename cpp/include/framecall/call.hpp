// Calls as plain values: what a handler is given, what it gives back. JSON-RPC 2.0 in the header, raw bytes in the body
// (PROTOCOL.md, section 4). No sockets, no threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/header.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

/// What a request's header says: checked, or to be written. Views live as long as the text they were read from, `method`
/// as long as this, too.
struct CallHead {
  std::string id;           ///< JSON text as it is echoed; empty for a notification
  std::string method_text;  ///< behind `method`, if it had escapes
  std::string_view method;
  std::string_view params, metadata, digest;  ///< JSON text; empty if absent
  std::string layout;                         ///< see Response::layout
  std::uint64_t timeout_ms = 0;               ///< 0: no deadline
  bool stream = false, more = false;

  CallHead() = default;
  CallHead(const CallHead&) = delete;
};

/// The id of a request as JSON text, empty if there is none: a number to the character, a string as dump_json() writes it.
/// Throws CallError(invalid_request) for an id that is neither a string nor a number.
std::string call_id(const Header& header);
/// The same for a value that stands elsewhere.
std::string id_text(const Token& id);

/// The string "2.0", however it is written.
bool is_version(const Token& token);

/// Fills `head`, but for the id. Throws CallError(invalid_request) for a frame that is no request, or a member of the
/// wrong type.
void read_call(const Header& header, CallHead& head);

/// Appends the header of a request as JSON text. `body_size`: of the body behind it.
void write_call(std::string& out, const CallHead& head, std::uint64_t body_size);

/// A piece of a stream, in either direction.
struct Part {
  Part() {}
  std::string value = "null";  ///< JSON text: `item` of a request, `result` of a reply
  Buffer body;
  std::string layout;      ///< see Response::layout
  bool continues = false;  ///< more of this body comes with the next part: above max_body it comes in pieces

  /// Parts that wait for a slow reader are limited to about this many bytes in each direction of a stream.
  static constexpr std::size_t max_unread = 1 << 20;
  /// What a part counts while it waits, in bytes: empty ones are not free.
  std::size_t weight() const { return value.size() + body.size() + 128; }
};

/// One call, as its handler sees it. On the event loop it borrows what was read; keep() makes it its own. Not thread-safe.
class Request {
 public:
  /// `head` and `body` must outlive it, or its keep().
  Request(const CallHead& head, std::string_view body, std::string_view peer);
  Request(const CallHead& head, Buffer body, std::string_view peer);
  Request(Request&&) noexcept = default;
  Request& operator=(Request&&) = default;

  std::string_view method() const { return method_; }
  /// JSON text of an array or an object; empty if there are none.
  std::string_view params_text() const { return params_; }
  /// The same as a value, read when it is first asked for; null if there are none.
  const Json& params() const;
  std::string_view body() const { return body_; }
  const std::string& layout() const { return layout_; }  ///< see Response::layout
  /// The body as a block of its own, without a copy if it came so; body() is empty afterwards.
  Buffer take_body();
  /// A value of the metadata, nothing if it is not there.
  std::optional<std::string> metadata(std::string_view name) const;
  std::string_view metadata_text() const { return metadata_; }  ///< JSON text of an object, or empty
  std::uint64_t timeout_ms() const { return timeout_ms_; }      ///< that the caller gave, 0: no limit
  bool is_notification() const { return notification_; }
  std::string_view peer() const { return peer_; }  ///< address of the caller, for messages
  /// Bytes that it holds once it is kept, about.
  std::size_t memory() const;

  /// The caller does not want the answer any more, or its deadline has passed, or it is gone. From any thread.
  bool cancelled() const { return stop_.stop_requested(); }
  /// To wait for it, in handlers that do not run on the event loop: std::condition_variable_any, std::stop_callback.
  std::stop_token stop_token() const { return stop_.get_token(); }
  std::stop_source& stop_source();  ///< for those who run the handler

  /// Copies what is borrowed.
  void keep();

 private:
  std::string_view method_, params_, metadata_, body_, peer_;
  std::string layout_;
  std::unique_ptr<char[]> kept_;
  Buffer own_body_;
  mutable std::optional<KeptJson> parsed_;
  std::stop_source stop_{std::nostopstate};
  std::uint64_t timeout_ms_;
  bool notification_;
};

/// What a handler answers, and what a client gets.
struct Response {
  std::string result = "null";  ///< JSON text
  Buffer body;
  std::string metadata;  ///< JSON text of an object of strings, or empty
  /// Of arrays in the body (PROTOCOL.md, section 4): JSON text of an object of `dtype` and `shape`, or `tensors`; or empty.
  std::string layout;
  bool digest = false;  ///< sends the SHA-256 of the body along, which our clients check

  Response() = default;
  /// Throws std::invalid_argument for what has no JSON text.
  explicit Response(const Json& value) : result(dump_json(value)) {}
  /// The result as a value.
  Json value() const { return parse_json(result); }
};

/// Checks JSON text that a caller of the library wrote. Throws std::invalid_argument, with the name `what`, if it is not JSON
/// that fits into a header.
void check_json(std::string_view text, std::string_view what);
/// The same for `value` and `layout` of a part.
void check_json(const Part& part);
/// The same for `result`, `metadata` and `layout` of a response.
void check_json(const Response& response);
/// The same for a layout: an object, or empty.
void check_layout(std::string_view layout);

/// Appends the header of a reply as JSON text. `closing`: with the hint that it is the last one on this connection.
/// `file_size`: bytes that follow instead of a body.
void write_reply(std::string& out, std::string_view id, const Response& response, bool closing = false,
                 std::uint64_t file_size = 0);
/// The same for a part of a stream: `key` is "result" in a reply, "item" in a request.
void write_part(std::string& out, std::string_view id, std::string_view key, const Part& part, bool more);

/// Why a header is not sent: `what` takes `size` bytes of it, as JSON.
std::string header_too_large(std::string_view what, std::size_t size, std::size_t header_size, std::size_t max_header);

/// Appends the header of an error reply. `data`: JSON text of an object, or empty; the name of the code is added to it.
void write_error(std::string& out, std::string_view id, std::int64_t code, std::string_view message,
                 std::string_view data = {}, bool closing = false);

/// The same in at most `room` bytes, 256 or more: without `data` if there is no room for it, then with a shorter message, and
/// with `null` for an id that is too long.
void write_error_within(std::size_t room, std::string& out, std::string_view id, std::int64_t code,
                        std::string_view message, std::string_view data = {}, bool closing = false);

/// See Response::layout.
std::string layout_of(const Header& header);

/// For a catch block: what a handler has thrown, as message_text(), even if there is no memory for it.
struct Failure {
  std::int64_t code;
  std::string message, data;
};
Failure current_failure() noexcept;

}  // namespace framecall
