// Writes the replies to the calls of one connection: results, parts, files, errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "framecall/wire/buffer.hpp"
#include "server/methods/method_table.hpp"
#include "server/sessions/frame_writer.hpp"
#include "server/sessions/pending_calls.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// The error that a caller gets.
Failure failure_of(const CallError& error);

/// Belongs to a connection, and is used on its thread only. What it throws was not sent.
class CallReplies {
 public:
  /// Both must outlive it.
  CallReplies(SessionPort& port, FrameWriter& frames) : port_(port), frames_(frames) {}

  /// Throws CallError for a result that fits into no frame, or that the connection or the server has no memory for. `own`: bytes
  /// that the requests of the connection have.
  void result(std::string_view id, Response& response, std::size_t own);
  /// A part of a stream. Throws CallError as result() does. `checked`: its method, if the part may not be JSON. `counted`: its
  /// memory was checked before.
  void part(std::string_view id, Part& part, const Method* checked, bool counted);
  void file(std::string_view id, OutgoingFile& file);
  /// Answers a call instead of its handler, and asks the handler to stop.
  void end(PendingCalls& pending, const std::shared_ptr<PendingCall>& call, const CallError& why);
  /// Counts a call that failed, and answers it unless it is a notification.
  void error(std::string_view id, const Failure& failure);

  /// Throws CallError, after a line in the log, if a handler's answer is not JSON: its text would go into the frame as it is.
  template <class Answer>
  void check(const Method& method, const Answer& answer);
  /// Throws CallError if the server has no memory for `size` more bytes. `own` as for result().
  void check_memory(std::uint64_t size, std::size_t own) const;

  /// When the last reply was written, by the loop's clock.
  std::int64_t last() const { return last_; }

 private:
  std::string& begin();
  void append(std::string_view header, Buffer&& body, const char* what, std::size_t size);

  SessionPort& port_;
  FrameWriter& frames_;
  std::int64_t last_ = std::numeric_limits<std::int64_t>::min() / 2;  // long ago
};

}  // namespace framecall
