// The calls of one connection: from a request's header to the reply.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "event_loop.hpp"
#include "framecall/buffer.hpp"
#include "framecall/call.hpp"
#include "framecall/frame.hpp"
#include "framecall/router.hpp"

namespace framecall {

class Connection;

/// Belongs to a connection, and runs on its thread. A call of a loop method whose body has come with it is answered at
/// once and leaves nothing here.
class Calls {
 public:
  explicit Calls(Connection& connection) : connection_(connection) {}
  ~Calls();

  /// A frame that is a call. Throws CallError for what ends the connection: a frame without a method, an unreadable id.
  void on_header(const Header& header, Decoder& decoder);
  /// The body of the call under way, if it was not there with its header; a block to receive into directly.
  void on_body(std::string_view bytes);
  std::size_t received() const { return receiving_ ? receiving_->body.size() : 0; }
  char* prepare(std::size_t size);
  void commit(std::size_t size);
  void on_end(Header& scratch);
  /// Drops a body that is on its way.
  void abandon();

  /// Calls that have no answer yet, notifications too while their handlers run.
  std::size_t in_flight() const { return running_; }
  /// The deadline of a call has passed.
  void expire(const std::string& id);
  /// Everything under way is told that nobody waits for it any more. The last pointer to the connection may go here.
  void cancel_all();

 private:
  struct Receiving {
    std::string header;
    Buffer body;
    const Method* method;
  };
  struct Pending {
    std::string id;
    std::shared_ptr<std::atomic<bool>> cancelled;
    std::optional<Deadlines::iterator> deadline;
    bool answered = false;
  };

  void run(const Method& method, const CallHead& head, Request& request);
  void run_elsewhere(const Method& method, const CallHead& head, Request& request);
  std::shared_ptr<Pending> begin(const CallHead& head, Request& request);
  Responder responder_for(std::shared_ptr<Pending> pending);
  void finish(Pending& pending, Response* response, const Failure* failure);
  void end(const std::shared_ptr<Pending>& pending, ErrorCode code, const std::string& message);
  void forget(Pending& pending);
  void answer(std::string_view id, Response& response);
  void fail(std::string_view id, const Failure& failure);
  void check_room(std::uint64_t size);
  void server_method(const CallHead& head, Request& request);
  void cancel(Request& request);
  Json stats() const;

  Connection& connection_;
  std::unique_ptr<Receiving> receiving_;
  std::unordered_map<std::string, std::shared_ptr<Pending>> pending_;
  std::size_t running_ = 0;
  std::shared_ptr<Connection> self_;  // lives as long as somebody may answer
};

}  // namespace framecall
