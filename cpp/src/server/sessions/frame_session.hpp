// A connection that speaks frames: calls, uploads, and the other messages of a dialect.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "framecall/wire/frame.hpp"
#include "server/sessions/call_session.hpp"
#include "server/sessions/dialect_session.hpp"
#include "server/sessions/frame_writer.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

class FrameSession final : public Session {
 public:
  explicit FrameSession(SessionPort& port);

  void receive(std::string_view bytes) override;
  void end() override;
  std::span<char> prepare() override;
  void commit(std::size_t size) override;

  bool stopped() const override { return stopped_; }
  void go_on() override { process(); }
  bool may_read() const override { return calls_.in_flight() == 0 || calls_.may_start(); }
  bool idle() const override { return decoder_.idle(); }
  bool busy() const override { return calls_.in_flight() > 0; }
  bool may_be_left() const override { return calls_.has_streamed() && !dialect_; }
  Expects expects() const override;
  bool on_quiet() override;
  void note_unsent() override { calls_.note_unsent(); }
  void on_sent() override { calls_.on_sent(); }
  std::size_t memory() const override { return calls_.receiving_memory() + decoder_.memory(); }
  std::int64_t last_answer() const override { return calls_.last_answer(); }

  void refuse(std::int64_t code, const std::string& message, const std::string& data) override;
  void abandon() override;
  void end_streams() override { calls_.end_streams(); }
  void expire(const std::string& id) override { calls_.expire(id); }
  void on_closed() noexcept override;
  std::string progress() const override;
  std::string unfinished_head() const override { return decoder_.unfinished(); }

 private:
  template <class Function>
  void refusing(Function work);
  void process();
  void take_events();
  bool may_go_on();
  void begin_message();
  void end_message();
  DialectSession& dialect();

  SessionPort& port_;
  Decoder decoder_;
  FrameWriter frames_{port_, decoder_};
  CallSession calls_{port_, frames_, decoder_};
  std::unique_ptr<DialectSession> dialect_;  // once there is a message of it
  BodySink* sink_ = nullptr;                 // of the message under way; null: what comes is dropped
  bool is_call_ = true;                      // it is one
  bool stopped_ = false;
  bool own_block_ = false;         // prepare() gave one of the sink
  std::uint8_t quiet_rounds_ = 0;  // without data, of what may be one byte of text
  std::uint8_t messages_ = 0;      // since the clock was looked at
};

}  // namespace framecall
