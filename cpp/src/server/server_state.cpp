#include "server/server_state.hpp"

#include <algorithm>

#include "framecall/detail/json_text.hpp"

namespace framecall {
namespace {

constexpr std::size_t worker_threads = 4;

}  // namespace

void ServerState::log(LogLevel level, std::string_view line) {
  if (!options.log) return;
  const std::lock_guard lock(log_mutex);
  options.log(level, line);
}

void ServerState::report(const char* where, const char* what) noexcept {
  try {
    log(LogLevel::error, std::string(where) + ": " + what);
  } catch (...) {
    // There is no memory for the line, either.
  }
}

ServerState::ServerState(ServerOptions given)
    : options(std::move(given)),
      memory(std::make_shared<MemoryBudget>(options.max_memory)),
      streams(std::make_shared<StreamPlaces>("max_streams", options.max_streams, share_of(options.max_streams))),
      streams_on_threads(
          std::make_shared<StreamPlaces>("stream_threads", options.stream_threads, share_of(options.stream_threads))),
      batch_calls(share_of(options.batch_threads * std::max(options.threads, 1u))) {}

std::size_t ServerState::share_of(std::size_t count) const {
  return std::max<std::size_t>(count * options.peer_share / 100, 1);
}

void ServerState::start_threads() {
  const Dialect& dialect = options.dialect;
  const auto start = [this](std::optional<WorkerThreads>& threads, std::size_t count) {
    count = std::max<std::size_t>(count, 1);
    threads.emplace(count, share_of(count), [this](const char* what) { report("worker thread", what); });
  };
  if (options.files || !dialect.operation_keys.empty() || dialect.lines || dialect.login != Dialect::Login::none) {
    start(workers, worker_threads);
  }
  if (options.router->has_pool_methods()) start(pool, options.pool_threads);
  if (options.router->has_stream_methods()) start(stream_threads, options.stream_threads);
  if (dialect.login != Dialect::Login::none) logins = std::make_unique<LoginQueue>(options.max_login_delay);
  if (options.commands) commands = std::make_unique<CommandRunner>(options.commands, options.max_commands);
}

void ServerState::hold_work(std::uint64_t connection, bool held) {
  for (auto* threads : {&workers, &pool, &stream_threads}) {
    if (*threads) (*threads)->hold(connection, held);
  }
  batch_calls.hold(connection, held);
}

void ServerState::drop_work(std::uint64_t connection) {
  for (auto* threads : {&workers, &pool, &stream_threads}) {
    if (*threads) (*threads)->drop(connection);
  }
  batch_calls.drop(connection);
}

std::string ServerState::stats() const {
  const auto up = std::chrono::duration<double>(std::chrono::steady_clock::now() - started);
  std::string text = "{\"uptime_seconds\": ";
  write_double(text, up.count());
  const auto add = [&](std::string_view key, std::uint64_t value) {
    text.append(", \"").append(key).append("\": ");
    write_integer(text, value);
  };
  add("connections_open", connection_count.load());
  add("connections", connections.load());
  add("calls", calls.load());
  add("failed_calls", failed_calls.load());
  add("uploads", uploads.load());
  add("bytes_received", bytes.received.load());
  add("bytes_sent", bytes.sent.load());
  return text + "}";
}

}  // namespace framecall
