// A session without a socket: bytes go in, bytes and actions come out, all on the test's own thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/server_options.hpp"
#include "net/byte_stream.hpp"
#include "server/loop_resources.hpp"
#include "server/sessions/protocol_detection.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"
#include "support/peer.hpp"

namespace framecall {

/// A peer that takes everything, or nothing.
class StringStream final : public ByteStream {
 public:
  ssize_t read(char*, std::size_t) override { return fail(); }
  ssize_t write(const iovec* pieces, std::size_t count, bool) override {
    if (full) return fail();
    ssize_t size = 0;
    for (const iovec& piece : std::span(pieces, count)) {
      bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
      size += static_cast<ssize_t>(piece.iov_len);
    }
    return size;
  }
  ssize_t write_file(int file, off_t& offset, std::size_t size) override {
    if (full) return fail();
    char block[4096];
    const ssize_t count = ::pread(file, block, std::min(size, sizeof block), offset);
    if (count <= 0) return count;
    bytes.append(block, static_cast<std::size_t>(count));
    offset += count;
    return count;
  }
  void end_writing() override {}

  std::string bytes;
  bool full = false;

 private:
  static ssize_t fail() {
    errno = EAGAIN;
    return -1;
  }
};

/// A connection that is none: it keeps what its session asks for. Work for other threads is done at once.
class ScriptedPort final : public SessionPort {
 public:
  explicit ScriptedPort(LoopResources& loop) : SessionPort(loop, "192.0.2.1:5000") {}

  void begin_to_leave() override {
    session->abandon();
    if (life_ == Life::open) life_ = Life::leaving;
  }
  void close() noexcept override {
    if (!open()) return;
    const auto self = weak_from_this().lock();
    life_ = Life::closed;
    out_.clear();
    session->on_closed();
  }
  void host(std::unique_ptr<Session> next) override { former.push_back(std::exchange(session, std::move(next))); }
  void note_progress() override {}
  void message_begins() override { ++messages; }
  bool turn_is_over() override { return false; }
  void account() override {}
  void wait_for(std::function<void()> work, std::function<void()> then, FairQueue::OnClose) override {
    std::optional<CallError> failure;
    try {
      work();
    } catch (const CallError& error) {
      failure.emplace(error);
    }
    waiting_ = true;
    later.push_back([this, then = std::move(then), failure] {
      waiting_ = false;
      on_own_thread([&] {
        if (failure) throw CallError(*failure);
        then();
      });
    });
  }
  Resume pause() override {
    waiting_ = true;
    return [this](std::function<void()> then) {
      later.push_back([this, then = std::move(then)] {
        waiting_ = false;
        on_own_thread(then);
      });
    };
  }
  void on_own_thread(const std::function<void()>& work) override {
    if (!open()) return;
    try {
      work();
    } catch (const CallError& error) {
      session->refuse(static_cast<std::int64_t>(error.code()), error.what(), error.data());
    }
  }
  void on_deadline(const std::string& id) override { session->expire(std::string(id)); }

  std::unique_ptr<Session> session;
  std::vector<std::unique_ptr<Session>> former;
  std::vector<std::function<void()>> later;
  int messages = 0;
};

/// One session with everything around it.
class SessionScript {
 public:
  explicit SessionScript(ServerOptions options = {}, Protocols protocols = {})
      : state_(with_defaults(std::move(options), log)) {
    state_.start_threads();
    port->session = first_session(*port, protocols);
  }
  ~SessionScript() {
    port->close();
    mailbox_->retire();
  }

  Session& session() { return *port->session; }
  /// A turn with these bytes, in pieces of at most `piece` bytes.
  void receive(std::string_view bytes, std::size_t piece = SIZE_MAX) {
    while (!bytes.empty() && port->life() == SessionPort::Life::open) {
      const std::span<char> block = session().prepare();
      const std::size_t size = std::min({piece, bytes.size(), block.empty() ? SIZE_MAX : block.size()});
      if (block.empty()) {
        session().receive(bytes.substr(0, size));
      } else {
        std::memcpy(block.data(), bytes.data(), size);
        session().commit(size);
      }
      bytes.remove_prefix(size);
      settle();
    }
  }
  void end() {
    session().end();
    settle();
  }
  /// What is to be sent leaves, work that is done continues, and the rest of what was received is taken.
  void settle() {
    for (bool more = true; more;) {
      flush();
      mailbox_->run();
      const auto later = std::exchange(port->later, {});
      for (const auto& work : later) work();
      more = !later.empty();
      if (session().stopped() && port->may_read() && session().may_read()) {
        session().go_on();
        more = true;
      }
    }
    flush();
  }
  /// The same until the peer has so many bytes: other threads may be at work.
  void settle_until(std::size_t size) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (peer.bytes.size() < size && std::chrono::steady_clock::now() < end) {
      settle();
      std::this_thread::yield();
    }
  }
  /// What the peer got, once.
  std::string sent() {
    settle();
    return std::exchange(peer.bytes, {});
  }
  std::uint64_t memory() const { return state_.memory->used(); }
  LoopResources& loop() { return loop_; }

  std::vector<std::string> log;
  StringStream peer;

 private:
  static ServerOptions with_defaults(ServerOptions options, std::vector<std::string>& log) {
    if (!options.router) options.router = std::make_shared<Router>();
    if (options.max_memory == 0) options.max_memory = 1 << 30;
    options.log = [&log](LogLevel, std::string_view line) { log.emplace_back(line); };
    return options;
  }
  void flush() {
    if (port->open() && !port->out().empty()) {
      port->out().send_to(peer);
      if (port->out().empty()) session().on_sent();
    }
  }

  ServerState state_;
  std::shared_ptr<LoopMailbox> mailbox_ = std::make_shared<LoopMailbox>([] {},
                                                                        [](std::vector<Task>& posted) {
                                                                          for (Task& work : posted) work();
                                                                        });
  LoopResources loop_{state_, mailbox_};

 public:
  std::shared_ptr<ScriptedPort> port = std::make_shared<ScriptedPort>(loop_);
};

}  // namespace framecall
