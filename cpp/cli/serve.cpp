#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "commands.hpp"
#include "framecall/dialect_file.hpp"
#include "framecall/server.hpp"

namespace framecall::cli {
namespace {

// The flags as they were written; checked when the server is made.
struct Flags {
  std::vector<std::string> listen = {"127.0.0.1:8080"};
  std::string root, dialect = "default", durability = "close";
  std::string max_header = "1M", max_file, header_timeout = "10", idle_timeout = "600", drain_timeout = "25";
  std::string refusal_bytes = "64M", refusal_timeout = "5";
  std::size_t max_connections = 10000;
  unsigned threads = 0;
  bool quiet = false;
};

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

Durability durability_of(const std::string& text) {
  if (text == "none") return Durability::none;
  if (text == "full") return Durability::full;
  return Durability::close;
}

ServerOptions options_of(const Flags& flags) {
  ServerOptions options;
  const std::uint64_t max_header = parse_size(flags.max_header);
  if (max_header < 2 || max_header > largest_max_header_size) {
    throw std::invalid_argument("--max-header: 2 .. " + std::to_string(largest_max_header_size) + " bytes, not " +
                                flags.max_header);
  }
  options.max_header = static_cast<std::uint32_t>(max_header);
  if (!flags.max_file.empty()) options.max_file = parse_size(flags.max_file);
  options.header_timeout = parse_duration(flags.header_timeout);
  options.idle_timeout = parse_duration(flags.idle_timeout);
  options.drain_timeout = parse_duration(flags.drain_timeout);
  options.refusal_bytes = parse_size(flags.refusal_bytes);
  options.refusal_timeout = parse_duration(flags.refusal_timeout);
  if (flags.max_connections == 0) throw std::invalid_argument("--max-connections: at least 1");
  options.max_connections = flags.max_connections;
  options.threads = flags.threads;
  options.dialect = find_dialect(flags.dialect);
  const auto logger = spdlog::stderr_color_mt("framecall");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(flags.quiet ? spdlog::level::warn : spdlog::level::info);
  options.log = [logger](LogLevel level, std::string_view line) {
    logger->log(level_of(level), "{}", spdlog::string_view_t(line.data(), line.size()));
  };
  return options;
}

// As many descriptors as the system lets us have: a connection with an upload takes two.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const Flags& flags) {
  ServerOptions options;
  std::vector<Endpoint> endpoints;
  try {
    options = options_of(flags);
    for (const std::string& text : flags.listen) endpoints.push_back(Endpoint::parse(text));
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  if (!flags.root.empty()) options.files = std::make_shared<FileStore>(flags.root, durability_of(flags.durability));
  raise_descriptor_limit();
  Server server(std::move(options));
  std::string lines;
  for (const Endpoint& endpoint : endpoints) {
    const Endpoint bound = server.listen(endpoint);
    lines += "listening " + (bound.is_unix() ? bound.to_string() : "tcp " + bound.to_string()) + " frames\n";
  }
  std::fputs(lines.c_str(), stdout);  // the sockets listen: what connects from here on is served
  std::fflush(stdout);
  server.run();
  return ok;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("serve", "Store the files that tutorial senders upload");
  command->footer(
      "Example: framecall serve --listen 0.0.0.0:8080 --root incoming\n"
      "SIGTERM and SIGINT end it when the uploads under way are whole; a second one at once.");
  command
      ->add_option("--listen", flags->listen, "HOST:PORT, [IPV6]:PORT or unix:PATH; may be repeated; port 0 picks one")
      ->capture_default_str()
      ->envname("FRAMECALL_LISTEN");
  command->add_option("--root", flags->root, "The folder that receives the files; without it uploads are refused")
      ->envname("FRAMECALL_ROOT");
  command->add_option("--dialect", flags->dialect, "The spelling to read; see framecall dialects")
      ->capture_default_str()
      ->envname("FRAMECALL_DIALECT");
  command
      ->add_option("--durability", flags->durability,
                   "none: leave it to the system; close: flush a file before it gets its name; full: its folder too")
      ->check(CLI::IsMember({"none", "close", "full"}))
      ->capture_default_str()
      ->envname("FRAMECALL_DURABILITY");
  command->add_option("--max-header", flags->max_header, "Largest header, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_HEADER");
  command->add_option("--max-file", flags->max_file, "Largest upload, bytes (default: no limit)")
      ->envname("FRAMECALL_MAX_FILE");
  command->add_option("--max-connections", flags->max_connections, "Connections at a time")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_CONNECTIONS");
  command->add_option("--header-timeout", flags->header_timeout, "From the first byte of a head to its last, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_HEADER_TIMEOUT");
  command->add_option("--idle-timeout", flags->idle_timeout, "Without progress on a connection, seconds; 0: never")
      ->capture_default_str()
      ->envname("FRAMECALL_IDLE_TIMEOUT");
  command->add_option("--drain-timeout", flags->drain_timeout, "For the uploads under way when the end comes, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_DRAIN_TIMEOUT");
  command->add_option("--refusal-bytes", flags->refusal_bytes, "Read of a refused sender, so that it learns why, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_REFUSAL_BYTES");
  command->add_option("--refusal-timeout", flags->refusal_timeout, "For a refused sender to read why, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_REFUSAL_TIMEOUT");
  command->add_option("--threads", flags->threads, "Event loops; 0: one per processor")
      ->capture_default_str()
      ->envname("FRAMECALL_THREADS");
  command->add_flag("--quiet,-q", flags->quiet, "Log warnings and errors only");
  command->callback([flags, &exit_code] { exit_code = serve(*flags); });
}

}  // namespace framecall::cli
