// Runs the built-ins about files for one connection, on the workers.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "net/task.hpp"
#include "server/fair_queue.hpp"
#include "server/methods/method_table.hpp"
#include "server/sessions/pending_calls.hpp"

namespace framecall {

/// What a call about files ends with.
using FileAnswer = std::variant<Failure, Response, OutgoingFile>;

/// What FileCalls needs of its connection.
class FileCallsHost {
 public:
  /// Queues work for the workers.
  virtual void start_file_work(Task work, FairQueue::OnClose on_close) = 0;
  /// A file waits to be sent, or is being sent.
  virtual bool sends_file() const = 0;
  /// Makes the way back to the connection. The result is called once, from any thread, and cannot fail; `then` runs on the
  /// connection's thread if the connection is open.
  virtual Task way_back(std::function<void()> then) = 0;
  virtual void on_file_answer(PendingCall& call, FileAnswer& answer) = 0;

 protected:
  ~FileCallsHost() = default;
};

/// Belongs to a connection, and is used on its thread only. Calls of RunsOn::worker_in_turn run one at a time, and none of them
/// begins while a file is to be sent: it would hold a descriptor meanwhile.
class FileCalls {
 public:
  using Call = std::shared_ptr<PendingCall>;
  explicit FileCalls(FileCallsHost& host) : host_(host) {}

  /// Runs a method of Method::Where::files.
  void run(const Method& method, std::shared_ptr<FileStore> files, Request request, const Call& call);
  /// Ends a call whose whole body was received. `log` gets a line about it, on the worker.
  void finish(std::unique_ptr<IncomingBody> body, const std::stop_token& stop, const Call& call,
              std::function<void(const std::string&)> log);
  /// No file is left to send: the next call may begin. If that fails, the exception ends the connection.
  void next();
  /// The connection is closed: calls that have not begun are dropped.
  void drop_waiting() { waiting_.clear(); }

 private:
  template <class Function>
  void queue(const Call& call, RunsOn where, FairQueue::OnClose on_close, Function function);
  bool may_begin() const { return !runs_ && !host_.sends_file(); }
  void begin(Task work);

  FileCallsHost& host_;
  std::list<Task> waiting_;
  bool runs_ = false;  // a call of worker_in_turn
};

}  // namespace framecall
