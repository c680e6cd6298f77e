#include "framecall/server.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "framecall/detail/setting_values.hpp"
#include "framecall/error.hpp"
#include "net/sockets.hpp"
#include "server/connection.hpp"
#include "server/event_loop.hpp"
#include "server/sessions/udp_service.hpp"

namespace framecall {
namespace {

constexpr int accepts_per_turn = 64;
constexpr std::size_t spare_descriptors = 64;  // for listeners, folders, and what the program has open
constexpr std::size_t refused_at_once = 64;    // above max_connections; more are closed without a word
constexpr auto pause_without_descriptors = std::chrono::milliseconds(100);

ServerOptions checked(ServerOptions given) {
  ServerOptions options = check_limits(std::move(given));
  const Dialect& dialect = options.dialect;
  if (options.users && dialect.login == Dialect::Login::none) {
    throw std::invalid_argument("ServerOptions::users: the dialect \"" + dialect.name +
                                "\" has no login, so that nobody would be asked for a password");
  }
  if (dialect.login == Dialect::Login::text && !dialect.lines) {
    throw std::invalid_argument("ServerOptions::dialect: a login without a length in front of it needs lines = true");
  }
  for (const PrefixFormat& prefix : dialect.prefixes) {
    if (longest_header(prefix) < shortest_prefix_room) {
      throw std::invalid_argument("ServerOptions::dialect: a length of " + std::to_string(prefix.width) +
                                  " digits announces at most " + std::to_string(longest_header(prefix)) +
                                  " bytes, too few for a refusal; use 3 digits or more");
    }
  }
  if (!options.router) options.router = std::make_shared<const Router>();
  if (options.router->has_batch_methods() && !options.batch) {
    throw std::invalid_argument("ServerOptions::batch: methods of Router::on_batch() need one");
  }
  if (options.max_memory == 0) options.max_memory = default_max_memory();
  options.max_connection_memory = std::max(options.max_connection_memory, options.max_body);
  // Twice, as one connection may have as much as it leaves to all others.
  options.max_memory = std::max(options.max_memory, std::min(options.max_body, UINT64_MAX / 2) * 2);
  return options;
}

unsigned processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
}

// An upload beyond the limit of the shell is an error of one file (EFBIG), not the end of the program. A handler that does
// nothing, and not SIG_IGN, which programs that are started inherit.
void catch_file_size_signal() {
  struct sigaction action{};
  if (::sigaction(SIGXFSZ, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGXFSZ, &action, nullptr);
}

}  // namespace

Protocols Protocols::named(const std::vector<std::string>& names) {
  Protocols protocols{false, false, false};
  for (const std::string& name : names) {
    if (name != "frames" && name != "echo" && name != "http") {
      throw std::invalid_argument("protocols: frames, echo, http, not \"" + printable(name, 40) + "\"");
    }
    (name == "frames" ? protocols.frames : name == "echo" ? protocols.echo : protocols.http) = true;
  }
  if (names.empty()) throw std::invalid_argument("protocols: at least one of frames, echo, http");
  return protocols;
}

class Server::Implementation {
 public:
  explicit Implementation(ServerOptions options) : state_(checked(std::move(options))), loops_(make_loops(state_)) {
    running_loops_ = loops_.size();
    for (auto& loop : loops_) {
      loop->on_finished = [this] {
        if (--running_loops_ == 0) stop();
      };
    }
    clamp_connections();
    warn_of_root();
  }
  ~Implementation() {
    close_connections();
    state_.logins.reset();
    state_.commands.reset();
    for (auto* threads : {&state_.workers, &state_.pool, &state_.stream_threads}) {
      threads->reset();  // joined while the loops exist, to which they post
    }
  }

  void close_connections() {
    for (auto& loop : loops_) loop->on_finished = nullptr;  // connections that die with one loop must not stop another
    for (auto& loop : loops_) loop->abandon();              // handlers that wait for their callers end
  }

  /// For one that is left behind: its peers shall not wait for it. Nobody leads a loop any more, and nobody ever will.
  void close_all() {
    for (auto& listener : listeners_) listener->close();
    for (auto& service : udp_) service->close();
    close_connections();
  }

  Endpoint listen(const Endpoint& endpoint, Protocols protocols) {
    if (protocols.echo && state_.options.dialect.lines) {
      throw std::invalid_argument("raw echo, and the raw lines of the dialect \"" + state_.options.dialect.name +
                                  "\", cannot be told apart on " + endpoint.to_string());
    }
    const int socket = open_listener(endpoint);
    listeners_.push_back(std::make_unique<Listener>(first().io, socket, endpoint.path, protocols));
    Endpoint bound = bound_endpoint(socket, endpoint.to_string());
    if (!endpoint.is_unix()) bound.host = endpoint.host;
    return bound;
  }

  Endpoint adopt(int descriptor, Protocols protocols) {
    prepare_listener(descriptor);
    // The path of a Unix socket is not ours to remove: who made the socket will use it again.
    listeners_.push_back(std::make_unique<Listener>(first().io, descriptor, std::string(), protocols));
    return bound_endpoint(descriptor, "descriptor " + std::to_string(descriptor));
  }

  Endpoint listen_udp(const Endpoint& endpoint, std::optional<std::string> reply) {
    const int socket = open_udp_listener(endpoint);
    udp_.push_back(std::make_shared<UdpService>(first(), socket, std::move(reply)));
    Endpoint bound = bound_endpoint(socket, endpoint.to_string());
    bound.host = endpoint.host;
    return bound;
  }

  void start() {
    // Our threads run handlers, and a program that a handler starts inherits the signals that its thread blocks: they have
    // the caller's mask. The kernel gives the program's signals to its main thread as long as that one takes them.
    catch_file_size_signal();
    state_.start_threads();
    first().on_recovery([this] { wait_for_all(); });
    for (auto& loop : loops_) {
      for (std::size_t i = 0; i < loop->thread_count(); ++i) threads_.emplace_back([&loop = *loop] { loop.run(); });
    }
  }

  void drain() {
    asio::post(first().io, [this] {
      if (draining_) return;
      draining_ = true;
      for (auto& listener : listeners_) {
        accept_some(*listener);  // those that are connected already, as far as they know
        listener->close();
      }
      for (auto& service : udp_) service->close();
      drain_timer_.expires_after(state_.options.drain_timeout);
      drain_timer_.async_wait([this](asio::error_code error) {
        if (error) return;
        state_.log(LogLevel::warning,
                   "drain_timeout: closing " + std::to_string(state_.connection_count) + " connections in the middle");
        stop();
      });
      for (auto& loop : loops_) asio::post(loop->io, [&loop = *loop] { loop.drain(); });
    });
  }

  void stop() {
    for (auto& loop : loops_) loop->stop();
  }

  void wait() {
    const std::lock_guard lock(wait_mutex_);
    if (threads_.empty()) return;
    bool all = true;
    for (auto& loop : loops_) all = loop->wait() && all;
    for (std::thread& thread : threads_) all ? thread.join() : thread.detach();
    threads_.clear();
    left_behind_ = left_behind_ || !all;
  }

  /// A thread is away in a Batch for ever, and needs all of this should it come back.
  bool left_behind() const { return left_behind_; }

  void leave_to_parent() {
    for (auto& listener : listeners_) ::close(listener->stream.native_handle());
  }

  void run() {
    asio::signal_set signals(first().io, SIGTERM, SIGINT), harmless(first().io);
    for (const int number : {SIGHUP, SIGUSR1, SIGUSR2}) {  // they would end a program that does not handle them itself
      struct sigaction action{};
      if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) harmless.add(number);
    }
    // Where the program has blocked them, one that came before is taken now, and one that comes later harms nobody.
    sigset_t both, before;
    ::sigemptyset(&both);
    ::sigaddset(&both, SIGTERM);
    ::sigaddset(&both, SIGINT);
    ::pthread_sigmask(SIG_UNBLOCK, &both, &before);
    wait_for_signals(signals);
    log_signals(harmless);
    start();
    wait();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

 private:
  struct Listener {
    Listener(asio::io_context& io, int socket, std::string unix_path, Protocols taken)
        : stream(io, socket), pause(io), path(std::move(unix_path)), protocols(taken) {}
    void close() {
      asio::error_code ignored;
      stream.close(ignored);
      pause.cancel();
      if (!path.empty()) ::unlink(path.c_str());
      path.clear();
    }
    ~Listener() { close(); }
    asio::posix::stream_descriptor stream;
    asio::steady_timer pause;
    std::string path;
    Protocols protocols;
    bool waiting = false;  // for a connection, or for the end of a pause
  };

  static std::vector<std::unique_ptr<EventLoop>> make_loops(ServerState& state) {
    const unsigned count = state.options.threads > 0 ? state.options.threads : processors();
    std::vector<std::unique_ptr<EventLoop>> loops;
    for (unsigned i = 0; i < count; ++i) loops.push_back(std::make_unique<EventLoop>(state));
    return loops;
  }

  EventLoop& first() { return *loops_.front(); }

  void warn_of_root() {
    if (!state_.options.files || !state_.options.files->options().access.write) return;
    std::vector<std::filesystem::path> programs = state_.options.programs;
    programs.emplace_back("/proc/self/exe");
    const std::filesystem::path& root = state_.options.files->root();
    const std::string risk = risk_of_root(root, programs);
    if (risk.empty()) return;
    state_.log(LogLevel::warning, "root folder " + printable(root.string()) + " " + risk +
                                      ", and peers can write files there: use a folder of its own");
  }

  void clamp_connections() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    // A connection with an upload has two descriptors.
    const std::size_t most = std::max<std::size_t>(limit.rlim_cur, spare_descriptors + 2) - spare_descriptors;
    if (state_.options.max_connections <= most / 2) return;
    if (state_.options.max_connections != ServerOptions().max_connections) {  // somebody has asked for more
      state_.log(LogLevel::info, "max_connections is " + std::to_string(most / 2) + " instead of " +
                                     std::to_string(state_.options.max_connections) + ": the limit of descriptors is " +
                                     std::to_string(limit.rlim_cur));
    }
    state_.options.max_connections = most / 2;
  }

  void wait_for_connections(Listener& listener) {
    if (listener.waiting || !listener.stream.is_open()) return;
    listener.stream.async_wait(asio::posix::stream_descriptor::wait_read, [this, &listener](asio::error_code error) {
      listener.waiting = false;
      if (error == asio::error::operation_aborted) return;
      const bool go_on = !error && accept_some(listener);
      if (error) state_.report("accept", error.message().c_str());
      go_on ? wait_for_connections(listener) : pause(listener);
    });
    listener.waiting = true;
  }

  void pause(Listener& listener) {
    listener.pause.expires_after(pause_without_descriptors);
    listener.pause.async_wait([this, &listener](asio::error_code ended) {
      listener.waiting = false;
      if (!ended) wait_for_connections(listener);
    });
    listener.waiting = true;
  }

  // After an exception: whoever does not wait any more does so again.
  void wait_for_all() {
    for (auto& listener : listeners_) wait_for_connections(*listener);
    for (auto& service : udp_) service->start();
  }

  // False: out of descriptors, no use in trying at once.
  bool accept_some(Listener& listener) {
    for (int i = 0; i < accepts_per_turn; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int socket = ::accept4(listener.stream.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        Socket owned(socket);
        set_no_delay(socket);
        watch_peer(socket, state_.options.idle_timeout);
        first().guarded([&] { open(std::move(owned), peer_name(address), listener.protocols); });
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        state_.log(LogLevel::error, "cannot take connections: " + std::generic_category().message(errno));
        return false;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return true;  // mostly EAGAIN; what else there is belongs to one connection that is gone
      }
    }
    return true;
  }

  void open(Socket socket, std::string peer, Protocols protocols) {
    ConnectionPlace place(state_);
    ++state_.connections;
    const std::size_t limit = state_.options.max_connections;
    if (place.number() > limit + refused_at_once) return;
    EventLoop& loop = *loops_[next_loop_++ % loops_.size()];
    // An owner from the start: the loop may be stopped before it gets there.
    asio::posix::stream_descriptor stream(loop.io);
    stream.assign(socket.get());  // throws if epoll cannot watch another descriptor
    socket.release();
    asio::post(loop.io, [&loop, stream = std::move(stream), place = std::move(place), peer = std::move(peer),
                         protocols]() mutable {
      loop.refresh_clock();
      const bool refused = place.number() > loop.state.options.max_connections && !loop.make_place();
      const auto connection =
          std::make_shared<Connection>(loop, std::move(stream), std::move(place), std::move(peer), protocols);
      refused ? connection->start_refused() : connection->start();
    });
  }

  void log_signals(asio::signal_set& signals) {
    signals.async_wait([this, &signals](asio::error_code error, int number) {
      if (error) return;
      state_.log(LogLevel::info, std::string(::strsignal(number)) + " (signal " + std::to_string(number) +
                                     ") received: this server has nothing to reload");
      log_signals(signals);
    });
  }

  void wait_for_signals(asio::signal_set& signals) {
    signals.async_wait([this, &signals](asio::error_code error, int) {
      if (error) return;
      if (draining_) {
        stop();
        return;
      }
      drain();
      wait_for_signals(signals);
    });
  }

  ServerState state_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::shared_ptr<UdpService>> udp_;
  asio::steady_timer drain_timer_{first().io};
  std::vector<std::thread> threads_;
  std::mutex wait_mutex_;
  std::atomic<std::size_t> running_loops_{0};
  std::size_t next_loop_ = 0;  // these two: on the first loop only
  bool draining_ = false;
  bool left_behind_ = false;  // with wait_mutex_
};

Server::Server(ServerOptions options) : implementation_(std::make_unique<Implementation>(std::move(options))) {}
Server::~Server() {
  implementation_->stop();
  implementation_->wait();
  if (!implementation_->left_behind()) return;
  implementation_->close_all();
  [[maybe_unused]] auto* const left = implementation_.release();
}
Endpoint Server::listen(const Endpoint& endpoint, Protocols protocols) {
  return implementation_->listen(endpoint, protocols);
}
Endpoint Server::adopt(int descriptor, Protocols protocols) { return implementation_->adopt(descriptor, protocols); }
Endpoint Server::listen_udp(const Endpoint& endpoint, std::optional<std::string> reply) {
  return implementation_->listen_udp(endpoint, std::move(reply));
}
void Server::start() { implementation_->start(); }
void Server::drain() { implementation_->drain(); }
void Server::stop() { implementation_->stop(); }
void Server::wait() { implementation_->wait(); }
void Server::run() { implementation_->run(); }

void Server::leave_to_parent() { implementation_->leave_to_parent(); }

}  // namespace framecall
