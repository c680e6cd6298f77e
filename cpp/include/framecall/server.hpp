// The server: listeners, one event loop per thread, limits, and a clean end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "framecall/endpoint.hpp"
#include "framecall/server_options.hpp"

namespace framecall {

/// All functions may be called from any thread, once each unless said otherwise.
class Server {
 public:
  /// Throws std::invalid_argument for users without a dialect that has a login, and for lengths too short for a refusal.
  explicit Server(ServerOptions options);
  /// stop(), then waits for the threads.
  ~Server();
  Server(const Server&) = delete;

  /// Binds; connections are taken from start() on. May be called several times, before start(). Returns the bound
  /// address, with the port that was picked for port 0. Throws SystemError.
  Endpoint listen(const Endpoint& endpoint, Protocols protocols = Protocols());
  /// The same for a listening socket that somebody else has bound, such as systemd; it becomes the server's. Throws
  /// SystemError for a descriptor that is none.
  Endpoint adopt(int descriptor, Protocols protocols = Protocols());
  /// One UDP socket. A datagram that is exactly one frame with a method is a call and its reply one datagram; every other one
  /// gets one back, in ASCII upper case, or `reply` if there is one. Before start(), any number of times. Throws
  /// SystemError, std::invalid_argument for a Unix endpoint.
  Endpoint listen_udp(const Endpoint& endpoint, std::optional<std::string> reply = std::nullopt);
  /// Starts the threads and returns.
  void start();
  /// Ends with grace: no new connections, idle ones closed, messages under way finished until drain_timeout.
  /// Returns at once. May be called again.
  void drain();
  /// Ends at once. May be called again.
  void stop();
  /// Until the server has ended.
  void wait();
  /// start(), then wait(); SIGTERM and SIGINT mean drain(), a second one stop(). For programs that are nothing else.
  void run();
  /// In a child of fork(), which has copies of the listeners and none of the threads: closes its copies. The server goes on in
  /// the parent; here it must neither be used nor destroyed any more.
  void leave_to_parent();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace framecall
