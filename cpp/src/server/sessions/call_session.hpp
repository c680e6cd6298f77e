// The calls of one connection: from a request's header to the reply.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/responder.hpp"
#include "framecall/router.hpp"
#include "framecall/stream.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/frame.hpp"
#include "net/task.hpp"
#include "server/methods/method_table.hpp"
#include "server/sessions/call_replies.hpp"
#include "server/sessions/call_streams.hpp"
#include "server/sessions/file_calls.hpp"
#include "server/sessions/frame_writer.hpp"
#include "server/sessions/pending_calls.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// Belongs to a connection, and is used on its thread only. A call of a method on the loop is answered at once if its body arrived
/// with its header, and leaves nothing here.
class CallSession final : public BodySink, private CallControl, private FileCallsHost {
 public:
  /// All must outlive it.
  CallSession(SessionPort& port, FrameWriter& frames, Decoder& decoder)
      : port_(port), frames_(frames), decoder_(decoder) {}
  ~CallSession() override;

  /// Takes a frame that is a call, or a part of a stream. Returns where its body goes; null: it arrived with the header, or is
  /// dropped. Throws CallError for what ends the connection: a reply to no request, an unreadable id.
  BodySink* on_header(const Header& header);
  /// Answers a call with `error`, and drops its body.
  void refuse(const Header& header, const CallError& error);
  std::span<char> prepare(std::uint64_t left) override;
  void commit(std::size_t size) override;
  void write(std::string_view bytes) override;
  void end() override;
  /// Drops the body that is being received.
  void abandon();

  /// Calls whose handlers are not done, notifications included.
  std::size_t in_flight() const { return pending_.running(); }
  /// Answers every stream with UNAVAILABLE, and asks its handler to stop.
  void end_streams();
  /// Whether one more call may start.
  bool may_start() const {
    return pending_.held() == 0 && pending_.filling() < port_.options().max_in_flight && !crowded();
  }
  /// Bytes of the request that is being received.
  std::size_t receiving_memory() const { return receiving_ ? receiving_->memory() : 0; }
  /// There was a stream. Callers may break streams off.
  bool has_streamed() const { return streams_ != nullptr; }
  /// When the last answer was given, by the loop's clock.
  std::int64_t last_answer() const { return replies_.last(); }
  /// The number of unsent bytes has changed.
  void note_unsent() {
    if (streams_) streams_->note_unsent();
  }
  /// Little is left to send: handlers that write streams may continue, and the next call about files may run.
  void on_sent() {
    if (streams_) streams_->release_writers();
    if (files_) files_->next();
  }
  /// The deadline of a call has passed.
  void expire(const std::string& id);
  /// Asks all handlers to stop: nobody waits for their answers. May destroy the connection, unless somebody else holds it.
  void cancel_all();

 private:
  // A body that did not arrive whole with its header: of a call that begins when it is whole, or a part of a stream.
  struct Receiving {
    std::string header;
    Buffer body;
    const Method* method = nullptr;
    PendingCalls::Call pending;
    bool large = false;  // goes to the stream in pieces, the first of which has gone
    bool begun = false;
    std::optional<Digest> sum;
    std::unique_ptr<IncomingBody> place;  // where the body goes, if its method has one
    std::string id;                       // of a call that begins when the body is whole
    std::size_t memory() const { return header.size() + body.size(); }
  };

  std::size_t memory() const { return pending_.memory() + receiving_memory(); }
  bool crowded() const;
  void start(const Header& header);
  void fail_without_id(const CallError& error);
  void begin_call(const CallHead& head, const Header& header);
  void receive(const Header& header, PendingCalls::Call pending, bool large);
  void on_item(const Header& header, const std::string& id);
  void pass_on();
  void run(const Method& method, const CallHead& head, Request& request);
  PendingCalls::Call run_elsewhere(const Method& method, const CallHead& head, Request& request, bool open);
  template <class Start>
  PendingCalls::Call begin(const CallHead& head, Request& request, Start start);
  Responder responder_for(PendingCalls::Call pending);
  void finish(PendingCall& pending, Response* response, const Failure* failure);
  bool take(PendingCall& pending);
  void check_room(std::uint64_t size);
  bool make_room(std::uint64_t size);
  void refuse_received(const CallError& error);
  [[noreturn]] void refuse_body(const CallError& error, std::uint64_t size) const;
  bool begin_body(const Method& method, const CallHead& head, const Header& header);
  void finish_body(const CallHead& head, Request& request, std::unique_ptr<IncomingBody> body);
  CallStreams& streams();
  FileCalls& files();

  void cancel(const std::string& id) override;
  void start_file_work(Task work, FairQueue::OnClose on_close) override;
  bool sends_file() const override;
  Task way_back(std::function<void()> then) override;
  void on_file_answer(PendingCall& pending, FileAnswer& answer) override;

  SessionPort& port_;
  FrameWriter& frames_;
  Decoder& decoder_;
  CallReplies replies_{port_, frames_};
  std::unique_ptr<Receiving> receiving_;
  std::unique_ptr<CallStreams> streams_;  // made for the first stream
  std::unique_ptr<FileCalls> files_;      // made for the first call about files
  PendingCalls pending_;
};

}  // namespace framecall
