// The calls of one connection: from a request's header to the reply.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "framecall/call.hpp"
#include "framecall/responder.hpp"
#include "framecall/router.hpp"
#include "framecall/stream.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/frame.hpp"
#include "net/task.hpp"
#include "server/methods/file_methods.hpp"
#include "server/sessions/frame_writer.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// Belongs to a connection, and runs on its thread. A call of a loop method whose body has come with it is answered at
/// once and leaves nothing here.
class CallSession final : public BodySink {
 public:
  /// All must outlive it.
  CallSession(SessionPort& port, FrameWriter& frames, Decoder& decoder)
      : port_(port), frames_(frames), decoder_(decoder) {}
  ~CallSession() override;

  /// A frame that is a call, or a part of one. Returns where its body goes; null: it came with the header, or is dropped.
  /// Throws CallError for what ends the connection: a reply where nothing was asked, an unreadable id.
  BodySink* on_header(const Header& header);
  /// Answers it with `error`, and drops its body.
  void refuse(const Header& header, const CallError& error);
  std::span<char> prepare(std::uint64_t left) override;
  void commit(std::size_t size) override;
  void write(std::string_view bytes) override;
  void end() override;
  /// Drops a body that is on its way.
  void abandon();

  /// Calls that have no answer yet, notifications too while their handlers run.
  std::size_t in_flight() const { return running_; }
  /// Answers every call that streams, with UNAVAILABLE, and tells its handler.
  void end_streams();
  /// Whether one more may come.
  bool may_start() const { return held_ == 0 && filling() < port_.options().max_in_flight && !crowded(); }
  /// Bytes of the request that is being received.
  std::size_t receiving_memory() const { return receiving_ ? receiving_->memory() : 0; }
  /// There was a stream: a caller may break one off.
  bool has_streamed() const { return has_streamed_; }
  /// When the last answer was given, by the loop's clock.
  std::int64_t last_answer() const { return last_answer_; }
  /// Bytes are to be sent, or were sent.
  void note_unsent();
  /// Little is left to send: handlers that write streams may go on, and the next file method may run.
  void on_sent() {
    release_writers();
    if (file_work_) begin_file_work();
  }
  /// The deadline of a call has passed.
  void expire(const std::string& id);
  /// Everything under way is told that nobody waits for it any more. The last pointer to the connection may go here.
  void cancel_all();

 private:
  struct Pending {
    std::string id;
    MemoryCharge memory;              // of the request, until its handler is done with it
    std::shared_ptr<void> place;      // among all streams
    const Method* checked = nullptr;  // whose answers may not be JSON
    bool counted = false;             // in running_ and under_way_
    std::stop_source stop;
    std::optional<Deadlines::iterator> deadline;
    std::shared_ptr<Stream> stream;
    std::size_t unsent = 0;  // weight of its parts that it waits for
    bool open = false;       // parts may come
    bool held = false;       // but its handler does not take more now
    bool answered = false;
  };
  // A body that was not there with its header: of a call that begins when it is whole, or a part of a stream.
  struct Receiving {
    std::string header;
    Buffer body;
    const Method* method = nullptr;
    std::shared_ptr<Pending> pending;
    bool large = false;  // goes to the stream in pieces, the first of which has gone
    bool begun = false;
    std::optional<Digest> sum;
    std::unique_ptr<IncomingFile> file;  // where the body goes, of file.put
    std::string id;                      // of a call that begins when the body is whole
    std::size_t memory() const { return header.size() + body.size(); }
  };

  /// What handlers on other threads look at before they send a large part.
  struct PartRoom {
    PartRoom(std::shared_ptr<MemoryBudget> budget, std::uint64_t limit) : memory(std::move(budget)), most(limit) {}
    const std::shared_ptr<MemoryBudget> memory;
    const std::uint64_t most;  // max_connection_memory
    std::atomic<std::uint64_t> under_way{0}, unsent{0};
  };
  class PartCharge;

  // In flight, without the streams that parts will come for: who waits for those has to read on.
  std::size_t filling() const { return running_ - std::min(running_, open_); }
  std::size_t memory() const { return under_way_ + receiving_memory(); }
  bool crowded() const;
  void start(const Header& header);
  void release_writers();
  void fail_without_id(const CallError& error);
  void begin_call(const CallHead& head, const Header& header);
  void receive(const Header& header, std::shared_ptr<Pending> pending, bool large);
  void on_item(const Header& header, const std::string& id);
  void pass_on();
  void deliver(const Header& header, const std::shared_ptr<Pending>& pending, Buffer body, Digest* sum = nullptr);
  void deliver(Pending& pending, Part part);
  void run(const Method& method, const CallHead& head, Request& request);
  std::shared_ptr<Pending> run_elsewhere(const Method& method, const CallHead& head, Request& request, bool open);
  void run_on_thread(const Method& method, Request request, const std::shared_ptr<Pending>& pending);
  template <class Start>
  std::shared_ptr<Pending> begin(const CallHead& head, Request& request, Start start);
  std::shared_ptr<Pending> count(const CallHead& head, Request& request);
  void uncount(Pending& pending);
  static FairQueue::OnClose on_close(const Pending& pending);
  std::shared_ptr<void> take_stream_place(const Method& method);
  std::size_t stream_room() const;
  std::shared_ptr<Pending> find(const std::string& id) const;
  void open_stream(const std::shared_ptr<Pending>& pending, bool accepts_parts, bool open);
  void send_part(const std::shared_ptr<Pending>& pending, Part& part, PartCharge& charge);
  void resume(Pending& pending);
  void close_input(Pending& pending);
  Responder responder_for(std::shared_ptr<Pending> pending);
  void finish(Pending& pending, Response* response, const Failure* failure);
  void end(const std::shared_ptr<Pending>& pending, const CallError& error);
  void forget(Pending& pending, const CallError& why);
  void close(Pending& pending, const CallError& why);
  template <class Answer>
  void check(const Method& method, const Answer& answer);
  void answer(std::string_view id, Response& response);
  std::string& reply_header();
  void append_reply(std::string_view header, Buffer&& body, const char* what, std::size_t size);
  void fail(std::string_view id, const Failure& failure);
  void check_room(std::uint64_t size);
  void check_memory(std::uint64_t size) const;
  static void check_memory(const MemoryBudget& memory, std::uint64_t own, std::uint64_t size);
  void check_unsent(std::uint64_t size, const char* what) const;
  bool make_room(std::uint64_t size);
  void refuse_received(const CallError& error);
  [[noreturn]] void refuse_body(const CallError& error, std::uint64_t size) const;
  void server_method(const CallHead& head, Request& request);
  void begin_put(const CallHead& head, const Header& header);
  void finish_put(const CallHead& head, Request& request, std::unique_ptr<IncomingFile> file);
  void file_method(const CallHead& head, Request& request);
  using FileAnswer = std::variant<Failure, Response, OutgoingFile>;
  std::function<void(FileAnswer)> file_answer(const std::shared_ptr<Pending>& pending, bool long_one);
  void end_file_call(Pending& pending, FileAnswer& answer, bool long_one);
  void run_file_work(Work work, bool long_one, FairQueue::OnClose on_close);
  bool may_begin_file_work() const;
  void start_file_work(Work work);
  void begin_file_work();
  void end_file_work(bool long_one);
  void send_file(Pending& pending, OutgoingFile& answer);
  void cancel(Request& request);

  SessionPort& port_;
  FrameWriter& frames_;
  Decoder& decoder_;
  std::unique_ptr<Receiving> receiving_;
  using PendingCalls = std::unordered_map<std::string, std::shared_ptr<Pending>>;
  std::unique_ptr<PendingCalls> pending_;  // once there was one
  std::shared_ptr<PartRoom> part_room_;    // once there was a stream
  std::size_t running_ = 0, open_ = 0, held_ = 0, streams_ = 0;
  std::size_t under_way_ = 0;  // bytes
  // File methods that open a file to send, or read one or a folder to its end: one at a time.
  std::unique_ptr<std::deque<Work>> file_work_;
  bool file_work_runs_ = false;
  bool writers_wait_ = false, has_streamed_ = false;
  std::int64_t last_answer_ = std::numeric_limits<std::int64_t>::min() / 2;  // long ago
  std::shared_ptr<SessionPort> self_;                                        // lives as long as somebody may answer
};

}  // namespace framecall
