// Servers with methods, and the frames of calls, for tests.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "framecall/call.hpp"
#include "framecall/router.hpp"
#include "framecall/wire/frame.hpp"
#include "support/running_server.hpp"

namespace framecall {

inline std::string request(std::string header, std::string_view body = {}) { return encode_head(header).append(body); }

inline std::string result(std::string_view id, std::string_view value, std::string_view body = {}) {
  std::string header = std::string(R"({"jsonrpc": "2.0", "id": )").append(id).append(", \"result\": ").append(value);
  if (!body.empty()) header.append(", \"body_size\": ").append(std::to_string(body.size()));
  return encode_head(header + "}").append(body);
}

inline std::string error(std::string_view id, int code, std::string_view message, std::string_view data = {}) {
  std::string header;
  write_error(header, id, code, message, data);
  return encode_head(header);
}

// A gate that a handler waits at until the test opens it.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool pass() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

/// A server with the methods of a router.
struct ServingMethods : Running {
  explicit ServingMethods(std::shared_ptr<Router> router, ServerOptions options = {})
      : Running(with(std::move(router), std::move(options))) {}
  static ServerOptions with(std::shared_ptr<Router> router, ServerOptions options) {
    options.router = std::move(router);
    return options;
  }
  std::string talk(std::string_view bytes) {
    Peer peer(tcp);
    peer.send(bytes);
    peer.half_close();
    return peer.receive_all();
  }
};

}  // namespace framecall
