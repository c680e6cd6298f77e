// The table of built-in methods: one row for each. The sessions run rows, and know no method by its name.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/detail/file_store.hpp"
#include "framecall/detail/method.hpp"

namespace framecall {

class BuiltinParams;
struct ServerState;

/// The calls of one connection, as far as a built-in may act on them.
class CallControl {
 public:
  /// Ends the call with this id (JSON text): its caller gets CANCELLED. Does nothing if no such call is under way.
  virtual void cancel(const std::string& id) = 0;

 protected:
  ~CallControl() = default;
};

/// What a built-in on the event loop gets besides its request.
struct ServerView {
  ServerState& state;
  bool draining;
  CallControl* calls;  ///< null for a datagram: it has no connection
};

/// A reply whose body is a file.
struct OutgoingFile {
  Response response;
  FileStore::Download file;
};

/// Where a built-in runs. The workers may wait for the disk; the loop may not.
enum class RunsOn : std::uint8_t {
  loop,            ///< on the thread that read the call
  worker,          ///< on a worker thread
  worker_in_turn,  ///< the same; one such call of a connection at a time, because it keeps a file open or reads much
};

/// Receives the body of a call while it arrives, and answers the call afterwards. Everything may throw CallError.
class IncomingBody {
 public:
  virtual ~IncomingBody() = default;
  /// The next bytes of the body; on the event loop.
  virtual void write(std::string_view bytes) = 0;
  /// Where finish() runs.
  virtual RunsOn runs_on() const = 0;
  /// Answers the call when the whole body was written; on a worker. Stops early with `stop` what only costs time.
  virtual Response finish(const std::stop_token& stop) = 0;
  /// One line for the log, after finish().
  virtual std::string summary() const = 0;
};

/// What a row runs, one of:
/// - an answer from the event loop;
using AnswerOnLoop = Response (*)(const ServerView& server, Request& request);
/// - an answer from a worker, about the files of the server;
using AnswerAboutFiles = Response (*)(FileStore& files, const BuiltinParams& params, const std::stop_token& stop);
/// - a file that is sent as the body of the answer;
using SendFile = OutgoingFile (*)(FileStore& files, const BuiltinParams& params);
/// - a place for the body of the call, made on the loop before any of the body is taken. `digest`: of the body, JSON text from the
///   header. The function checks it, not the session.
using ReceiveBody = std::unique_ptr<IncomingBody> (*)(ServerState& server, const BuiltinParams& params,
                                                      std::string_view digest, std::uint64_t body_size);

/// A row of the table.
struct BuiltinMethod {
  std::string name, summary;
  std::vector<ParameterInfo> parameters;
  RunsOn runs_on;
  bool by_datagram;  ///< a datagram may call it; only what runs on the loop
  std::variant<AnswerOnLoop, AnswerAboutFiles, SendFile, ReceiveBody> function;
};

/// All rows.
std::vector<BuiltinMethod> method_table();

/// The entry of a Router for a row.
Method method_of(BuiltinMethod row);

}  // namespace framecall
