// Errors: the codes of error replies, and the exceptions, told apart by what the caller can do next.
//
//   what happened                     thrown                 the connection afterwards
//   the network failed, or a file     SystemError            gone: connect again
//   the same with a call under way    UnavailableError       gone; whether it was carried out is not known
//   the peer broke the format         ProtocolError          gone: report it
//   the call failed over there        RemoteError            fine: go on
//   our own side cannot serve a call  CallError              fine: it becomes the error reply
//   misuse by our own caller          std::logic_error       unchanged
//
// All but the last are framecall::Error, and also the standard exception that fits.
// "Need more data" and "closed between messages" are events of the Decoder, never exceptions.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace framecall {

/// The codes of error replies: JSON-RPC 2.0 section 5.1, and -32040 - g for the gRPC status g (PROTOCOL.md,
/// section 4). Application codes are any integers outside -32899 .. -32000 and have no name here.
enum class ErrorCode : int {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  cancelled = -32041,
  deadline_exceeded = -32044,
  not_found = -32045,
  already_exists = -32046,
  permission_denied = -32047,
  resource_exhausted = -32048,
  failed_precondition = -32049,
  aborted = -32050,
  out_of_range = -32051,
  unavailable = -32054,
  data_loss = -32055,
  unauthenticated = -32056,
};

/// The name that goes into `data.status`, "RESOURCE_EXHAUSTED"; empty for the codes of JSON-RPC itself.
std::string_view status_name(ErrorCode code);

/// What an errno of the file system means to a caller: ENOSPC is resource_exhausted, EACCES permission_denied;
/// internal_error for what no caller can mend.
ErrorCode error_code_of(int errno_value);

/// The base of every exception that is not the program's own mistake:
/// `catch (const framecall::Error& error) { log(error.what()); }`.
class Error {
 public:
  virtual ~Error() = default;
  virtual const char* what() const noexcept = 0;

 protected:
  Error() = default;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
};

/// The network failed, or a file. The code is an errno of the generic category, timed_out among them, or of
/// lookup_category(). The message names the address, or the file.
class SystemError : public std::system_error, public Error {
 public:
  using std::system_error::system_error;
  const char* what() const noexcept override { return std::system_error::what(); }
};

/// The connection broke, or its server refused further calls, with a call under way: whether it was carried out is not known.
/// The message begins with UNAVAILABLE.
class UnavailableError : public SystemError {
 public:
  using SystemError::SystemError;
};

/// The peer broke the format. Final for the connection: nothing after it can be understood.
/// `code()` is parse_error (not JSON), invalid_request, or data_loss (closed inside a message).
class ProtocolError : public std::runtime_error, public Error {
 public:
  ProtocolError(ErrorCode code, std::uint64_t offset, const std::string& message)
      : std::runtime_error(message), code_(code), offset_(offset) {}
  const char* what() const noexcept override { return std::runtime_error::what(); }
  ErrorCode code() const { return code_; }
  /// Bytes from the start of what was read (of the stream for a Decoder, of the text for a Header) to the fault.
  std::uint64_t offset() const { return offset_; }

 private:
  ErrorCode code_;
  std::uint64_t offset_;
};

/// A call, or a file, that our side cannot serve; it becomes the error reply.
class CallError : public std::runtime_error, public Error {
 public:
  /// `data`: JSON text for the member `data` of the reply; empty: none.
  CallError(ErrorCode code, const std::string& message, std::string data = {})
      : std::runtime_error(message), code_(code), data_(std::move(data)) {}
  const char* what() const noexcept override { return std::runtime_error::what(); }
  ErrorCode code() const { return code_; }
  const std::string& data() const { return data_; }

 private:
  ErrorCode code_;
  std::string data_;
};

/// The error reply of the other side; what() is its text, line feeds and all: printable() before it is shown.
class RemoteError : public std::runtime_error, public Error {
 public:
  /// `data`: JSON text of the member `data`; empty when there was none.
  RemoteError(std::int64_t code, const std::string& message, std::string data)
      : std::runtime_error(message), code_(code), data_(std::move(data)) {}
  const char* what() const noexcept override { return std::runtime_error::what(); }
  std::int64_t code() const { return code_; }
  bool is(ErrorCode code) const { return code_ == static_cast<std::int64_t>(code); }
  /// The server did not carry the call out, and says that the same call may succeed a little later.
  bool retryable() const { return is(ErrorCode::unavailable); }
  const std::string& data() const { return data_; }

 private:
  std::int64_t code_;
  std::string data_;
};

/// The member `data` for a limit that was passed: `{"limit": L, "got": G}`.
std::string limit_data(std::uint64_t limit, std::uint64_t got);

/// Text that came from a peer, made fit for a log line or an error message: at most `max_size` bytes of it, control
/// characters and whatever is not UTF-8 as `\x1b`, "..." where it was cut. Never cuts a character in two.
std::string printable(std::string_view text, std::size_t max_size = 200);

/// The same with control characters left as they are: the message of an error, which belongs to whoever wrote it. Still
/// printable() before it is shown.
std::string message_text(std::string_view text, std::size_t max_size = 1000);

}  // namespace framecall
