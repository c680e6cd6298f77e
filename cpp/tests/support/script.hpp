// A server script of anybody's, for the tests of our client: it does what the test says, in a thread of its own.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/frame.hpp"
#include "support/peer.hpp"

namespace framecall {

/// Takes one connection. What it throws fails the test.
class Script {
 public:
  explicit Script(std::function<void(Peer&)> run, int receive_buffer = 0)
      : listener_(receive_buffer), thread_([this, run = std::move(run)] {
          try {
            Peer peer = listener_.accept();
            run(peer);
          } catch (const std::exception& error) {
            problem_ = error.what();
          }
        }) {}
  Script(const Script&) = delete;
  ~Script() { join(); }
  void join() {
    if (!thread_.joinable()) return;
    thread_.join();
    EXPECT_EQ(problem_, "");
  }
  const Endpoint& endpoint() const { return listener_.endpoint(); }

 private:
  PeerListener listener_;
  std::string problem_;
  std::thread thread_;
};

/// Servers that close each connection once a request has come, as if it had ended them.
class LosingServers {
 public:
  explicit LosingServers(std::size_t count) : listeners_(count) {
    for (PeerListener& listener : listeners_) {
      threads_.emplace_back([this, &listener] {
        for (;;) {
          Peer lost = listener.accept();
          if (lost.receive_some().empty()) return;  // the test is over
          ++requests_;
        }
      });
    }
  }
  ~LosingServers() {
    for (PeerListener& listener : listeners_) Peer(listener.endpoint()).half_close();
    for (Background& thread : threads_) thread.join();
  }
  std::vector<Endpoint> endpoints() const {
    std::vector<Endpoint> all;
    for (const PeerListener& listener : listeners_) all.push_back(listener.endpoint());
    return all;
  }
  int requests() const { return requests_; }

 private:
  std::deque<PeerListener> listeners_;
  std::atomic<int> requests_{0};
  std::vector<Background> threads_;
};

/// The header of the next frame of a little-endian dialect.
inline std::string receive_header(Peer& peer) {
  const std::string prefix = peer.receive(4);
  std::size_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(prefix[static_cast<std::size_t>(i)]);
  return peer.receive(size);
}

inline Answer answer(Answer::Kind kind, std::string content = {}) {
  Answer result;
  result.kind = kind;
  result.content = std::move(content);
  return result;
}
inline Answer text_answer(std::string content) { return answer(Answer::Kind::text, std::move(content)); }
inline Answer frame_answer(std::string content) { return answer(Answer::Kind::frame, std::move(content)); }

/// A relative of the taught format, with everything that has no effect of its own.
inline Dialect script_dialect() {
  Dialect dialect;
  dialect.name = "scripts";
  dialect.calls = false;
  dialect.name_keys = {"filename", "name"};
  dialect.size_keys = {"filesize", "size"};
  dialect.checksum_keys = {"md5", "hash"};
  dialect.operation_keys = {"cmd", "action"};
  dialect.user_keys = {"username"};
  dialect.password_keys = {"pwd"};
  dialect.words = {{"put", Operation::upload},
                   {"get", Operation::download},
                   {"ls", Operation::list},
                   {"login", Operation::login},
                   {"quit", Operation::quit}};
  return dialect;
}

/// What `call` throws: "KIND CODE: MESSAGE", or "nothing".
template <typename Call>
std::string failure(Call call) {
  const auto text = [](const char* kind, long long code, const std::exception& error) {
    return std::string(kind) + " " + std::to_string(code) + ": " + error.what();
  };
  try {
    call();
  } catch (const RemoteError& error) {
    return text("remote", error.code(), error);
  } catch (const ProtocolError& error) {
    return text("protocol", static_cast<int>(error.code()), error);
  } catch (const std::system_error& error) {
    return text("system", error.code().value(), error);
  } catch (const std::invalid_argument& error) {
    return std::string("argument: ") + error.what();
  }
  return "nothing";
}

}  // namespace framecall
