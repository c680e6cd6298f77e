#include <sys/resource.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/error.hpp"
#include "framecall/server.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "terminal/server_log.hpp"

namespace framecall::cli {
namespace {

// The flags as they were written; checked when the server is made.
struct ServeFlags {
  std::vector<std::string> listen, echo, udp;
  std::vector<std::string> protocols = {"frames"};
  std::string udp_reply = "upper";
  std::string root, dialect = "default", durability, users, commands;
  std::vector<std::string> access = {"read", "write"};
  std::string max_header = "1M", max_file, quota, header_timeout = "10", idle_timeout = "600", drain_timeout = "25";
  std::string refusal_bytes = "64M", refusal_timeout = "5";
  std::string max_body = "64M", max_connection_memory = "64M", max_memory, min_body_rate = "1K";
  unsigned peer_share = 50;
  std::string max_login_delay = "5", command_timeout = "30", max_output = "16M";
  std::size_t max_login_attempts = 5, max_commands = 32;
  std::size_t max_connections = 10000, max_in_flight = 128;
  std::string max_udp_bytes = "16M";
  std::size_t max_udp_calls = 1024;
  std::uint32_t max_udp_rate = 1000, max_udp_ratio = 3;
  unsigned threads = 0;
  bool tutorial = false, quiet = false;
};

// One socket of the server, as its line on stdout tells.
struct Service {
  enum class Kind : std::uint8_t { stream, datagram };
  Kind kind;
  Endpoint endpoint;
  Protocols protocols;
  int descriptor = -1;  // a listening socket that came with the process
};

// `fd:N`, as systemd hands sockets over; nothing for another text.
std::optional<int> descriptor_of(std::string_view text) {
  if (!text.starts_with("fd:")) return std::nullopt;
  int descriptor = -1;
  const auto [end, problem] = std::from_chars(text.data() + 3, text.data() + text.size(), descriptor);
  if (problem != std::errc() || end != text.data() + text.size() || descriptor < 0) {
    throw std::invalid_argument("--listen: fd:NUMBER, not " + std::string(text));
  }
  return descriptor;
}

Durability durability_of(const std::string& text) {
  if (text == "none") return Durability::none;
  if (text == "full") return Durability::full;
  return Durability::close;
}

std::shared_ptr<const CommandTable> commands_of(const ServeFlags& flags) {
  const auto timeout = parse_duration("--command-timeout", flags.command_timeout);
  const std::uint64_t max_output = parse_size("--max-output", flags.max_output);
  if (flags.commands.empty()) return nullptr;
  const auto commands = std::make_shared<CommandTable>(flags.commands);
  commands->set_timeout(timeout);
  commands->set_max_output(max_output);
  return commands;
}

FileStoreOptions file_options_of(const ServeFlags& flags) {
  FileStoreOptions options;
  options.durability = durability_of(flags.durability);
  options.access = Access::named(flags.access);
  if (!flags.quota.empty()) options.quota = parse_size("--quota", flags.quota);
  return options;
}

ServerOptions options_of(const ServeFlags& flags) {
  ServerOptions options;
  const std::uint64_t max_header = parse_size("--max-header", flags.max_header);
  if (max_header < 2 || max_header > largest_max_header_size) {
    throw std::invalid_argument("--max-header: 2 .. " + std::to_string(largest_max_header_size) + " bytes, not " +
                                flags.max_header);
  }
  options.max_header = static_cast<std::uint32_t>(max_header);
  if (!flags.max_file.empty()) options.max_file = parse_size("--max-file", flags.max_file);
  options.header_timeout = parse_duration("--header-timeout", flags.header_timeout);
  options.idle_timeout = parse_duration("--idle-timeout", flags.idle_timeout);
  options.drain_timeout = parse_duration("--drain-timeout", flags.drain_timeout);
  options.refusal_bytes = parse_size("--refusal-bytes", flags.refusal_bytes);
  options.refusal_timeout = parse_duration("--refusal-timeout", flags.refusal_timeout);
  if (flags.max_connections == 0) throw std::invalid_argument("--max-connections: at least 1");
  options.max_connections = flags.max_connections;
  options.max_body = parse_size("--max-body", flags.max_body);
  if (flags.max_in_flight == 0) throw std::invalid_argument("--max-in-flight: at least 1");
  options.max_in_flight = flags.max_in_flight;
  options.max_udp_calls = flags.max_udp_calls;
  options.max_udp_bytes = parse_size("--max-udp-bytes", flags.max_udp_bytes);
  options.max_udp_rate = flags.max_udp_rate;
  options.max_udp_ratio = flags.max_udp_ratio;
  options.threads = flags.threads;
  if (!flags.durability.empty()) options.put_durability = durability_of(flags.durability);
  options.dialect = find_dialect(flags.dialect);
  if (!flags.users.empty()) {
    if (options.dialect.login == Dialect::Login::none) {
      throw std::invalid_argument("--users: the dialect \"" + options.dialect.name +
                                  "\" has no login; set login.form in a dialect file, or use --dialect login");
    }
    options.users = std::make_shared<const Users>(flags.users);
  }
  if (flags.max_login_attempts == 0) throw std::invalid_argument("--max-login-attempts: at least 1");
  options.max_login_attempts = flags.max_login_attempts;
  options.max_login_delay = parse_duration("--max-login-delay", flags.max_login_delay);
  if (flags.max_commands == 0) throw std::invalid_argument("--max-commands: at least 1");
  options.max_commands = flags.max_commands;
  options.commands = commands_of(flags);
  options.max_connection_memory = parse_size("--max-connection-memory", flags.max_connection_memory);
  if (!flags.max_memory.empty())
    options.max_memory = std::max<std::uint64_t>(parse_size("--max-memory", flags.max_memory), 1);
  options.min_body_rate = parse_size("--min-body-rate", flags.min_body_rate);
  if (flags.peer_share < 1 || flags.peer_share > 100) {
    throw std::invalid_argument("--peer-share: expected 1 .. 100 percent, got " + std::to_string(flags.peer_share));
  }
  options.peer_share = flags.peer_share;
  return options;
}

// As many descriptors as the system lets us have: a connection with an upload takes two.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Until the server listens to them, and when it has ended: who reads that it listens may end it at once, and it ends well.
void block_signals() {
  sigset_t both;
  ::sigemptyset(&both);
  ::sigaddset(&both, SIGTERM);
  ::sigaddset(&both, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &both, nullptr);
}

std::string text_of(const Protocols& protocols) {
  std::string text;
  const std::pair<bool, const char*> all[] = {
      {protocols.frames, "frames"}, {protocols.echo, "echo"}, {protocols.http, "http"}};
  for (const auto& [taken, name] : all) {
    if (taken) text.append(text.empty() ? "" : ",").append(name);
  }
  return text;
}

std::vector<Service> services_of(const ServeFlags& flags) {
  constexpr auto stream = Service::Kind::stream, datagram = Service::Kind::datagram;
  const Protocols echo_only{false, true, false};
  std::vector<Service> services;
  for (const std::string& text : flags.listen) {
    const std::optional<int> descriptor = descriptor_of(text);
    services.push_back({stream, descriptor ? Endpoint() : Endpoint::parse(text), Protocols::named(flags.protocols),
                        descriptor.value_or(-1)});
  }
  for (const std::string& text : flags.echo) services.push_back({stream, Endpoint::parse(text), echo_only});
  for (const std::string& text : flags.udp) services.push_back({datagram, Endpoint::parse(text), {}});
  if (flags.tutorial) {
    const auto local = [](std::uint16_t port) { return Endpoint::parse("127.0.0.1:" + std::to_string(port)); };
    services.push_back({stream, local(8080), {true, true, false}});
    services.push_back({stream, local(8081), echo_only});
    services.push_back({datagram, local(8080), {}});
  }
  if (services.empty())
    services.push_back({stream, Endpoint::parse("127.0.0.1:8080"), Protocols::named(flags.protocols)});
  return services;
}

std::string listening_line(const Service& service, const Endpoint& bound, const std::string& udp_reply) {
  if (service.kind == Service::Kind::datagram) {
    const std::string what = udp_reply == "upper" ? "upper" : "reply " + printable(udp_reply, 40);
    return "listening udp " + bound.to_string() + " " + what + "\n";
  }
  return "listening " + std::string(bound.is_unix() ? "" : "tcp ") + bound.to_string() + " " +
         text_of(service.protocols) + "\n";
}

constexpr const char* tutorial_hints =
    "\n"
    "Every client program of the tutorial works now, unmodified. Try, in another terminal:\n"
    "  framecall chat 127.0.0.1:8080          lines come back in upper case (the TCP clients; 8081 too)\n"
    "  framecall send 127.0.0.1:8080 FILE     stored in the folder %s (the file sender)\n"
    "  framecall udp 127.0.0.1:8080 hello     one datagram, one reply (the UDP clients)\n"
    "Ctrl-C ends it.\n";

int serve(const ServeFlags& flags) {
  ServerOptions options;
  FileStoreOptions file_options;
  std::vector<Service> services;
  std::string root = flags.root;
  try {
    options = options_of(flags);
    file_options = file_options_of(flags);
    services = services_of(flags);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  if (root.empty() && flags.tutorial) {
    root = "received";
    std::filesystem::create_directory(root);
  }
  try {
    if (!root.empty()) options.files = std::make_shared<FileStore>(root, file_options);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    complain("--root: " + root + " does not exist; make the folder first, with mkdir");
    return failed;
  }
  raise_descriptor_limit();
  block_signals();
  ServerLog log(flags.quiet);
  options.log = [&log](LogLevel level, std::string_view line) { log.write(level, line); };
  Server server(std::move(options));
  std::string lines;
  for (const Service& service : services) {
    std::optional<std::string> reply;
    if (flags.udp_reply != "upper") reply = flags.udp_reply;
    const Endpoint bound = service.kind == Service::Kind::datagram ? server.listen_udp(service.endpoint, reply)
                           : service.descriptor >= 0               ? server.adopt(service.descriptor, service.protocols)
                                                                   : server.listen(service.endpoint, service.protocols);
    lines += listening_line(service, bound, flags.udp_reply);
  }
  std::fputs(lines.c_str(), stdout);  // the sockets listen: what connects from here on is served
  if (flags.tutorial) std::printf(tutorial_hints, root.c_str());
  std::fflush(stdout);
  server.run();
  return ok;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = app.add_subcommand("serve", "Serve uploads, raw echo, datagrams, and the requests of a dialect");
  command->footer(
      "Examples: framecall serve --listen 0.0.0.0:8080 --root incoming\n"
      "          framecall serve --tutorial\n"
      "          framecall serve --listen 127.0.0.1:9000 --root files --dialect lesson-get\n"
      "SIGTERM and SIGINT end it when the uploads under way are whole; a second one at once.");
  command
      ->add_option(
          "--listen", flags->listen,
          "HOST:PORT, [IPV6]:PORT, unix:PATH, or fd:N, a listening socket that came with the process (systemd); "
          "may be repeated; port 0 picks one (default: 127.0.0.1:8080, "
          "unless --echo or --udp is there)")
      ->envname("FRAMECALL_LISTEN");
  command
      ->add_option("--protocols", flags->protocols,
                   "What each --listen takes, told apart by the first bytes: frames, echo (raw bytes, sent back in "
                   "upper case), http (GET /healthz)")
      ->delimiter(',')
      ->capture_default_str()
      ->envname("FRAMECALL_PROTOCOLS");
  command->add_option("--echo", flags->echo, "HOST:PORT of a raw upper-case echo; may be repeated")
      ->envname("FRAMECALL_ECHO");
  command->add_option("--udp", flags->udp, "HOST:PORT of a UDP socket, one reply per datagram; may be repeated")
      ->envname("FRAMECALL_UDP");
  command->add_option("--udp-reply", flags->udp_reply, "upper: the datagram in upper case; else this text, always")
      ->capture_default_str()
      ->envname("FRAMECALL_UDP_REPLY");
  command->add_flag("--tutorial", flags->tutorial,
                    "TCP 8080 (frames and echo), TCP 8081 (echo) and UDP 8080 on 127.0.0.1, files into the folder "
                    "received unless --root is given");
  command->add_option("--root", flags->root, "The folder that receives the files; without it uploads are refused")
      ->envname("FRAMECALL_ROOT");
  command->add_option("--dialect", flags->dialect, "What is spoken: a name of framecall dialects, or a TOML file")
      ->capture_default_str()
      ->envname("FRAMECALL_DIALECT");
  command->add_option("--users", flags->users, "Users for dialects with a login; see framecall passwd")
      ->envname("FRAMECALL_USERS");
  command->add_option("--commands", flags->commands, "A TOML file of commands for dialects that ask for some")
      ->envname("FRAMECALL_COMMANDS");
  command
      ->add_option("--max-login-attempts", flags->max_login_attempts,
                   "Failed logins of a connection, which is then closed")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_LOGIN_ATTEMPTS");
  command
      ->add_option("--max-login-delay", flags->max_login_delay,
                   "Longest wait for the answer to a failed login, seconds; it grows with the failures of an address")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_LOGIN_DELAY");
  command
      ->add_option("--max-commands", flags->max_commands,
                   "Programs of --commands that run at a time, half of them for one address")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_COMMANDS");
  command->add_option("--command-timeout", flags->command_timeout, "A program that runs longer is killed, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_COMMAND_TIMEOUT");
  command->add_option("--max-output", flags->max_output, "A program that writes more is killed, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_OUTPUT");
  command
      ->add_option("--durability", flags->durability,
                   "none: leave it to the system; close: flush a file before it gets its name; full: its folder too "
                   "(default: close, for file.put full)")
      ->check(CLI::IsMember({"none", "close", "full"}))
      ->envname("FRAMECALL_DURABILITY");
  command->add_option("--max-header", flags->max_header, "Largest header, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_HEADER");
  command->add_option("--max-file", flags->max_file, "Largest upload, bytes (default: no limit)")
      ->envname("FRAMECALL_MAX_FILE");
  command
      ->add_option("--access", flags->access,
                   "What peers may do with the files of the root: read, write, no-replace, no-remove")
      ->delimiter(',')
      ->capture_default_str()
      ->envname("FRAMECALL_ACCESS");
  command
      ->add_option("--quota", flags->quota,
                   "All files, parts and unfinished uploads of the root together, bytes (default: no limit)")
      ->envname("FRAMECALL_QUOTA");
  command->add_option("--max-body", flags->max_body, "Largest body of a call, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_BODY");
  command
      ->add_option("--max-connection-memory", flags->max_connection_memory,
                   "Requests under way, unsent replies and parts of one connection, bytes; at least --max-body")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_CONNECTION_MEMORY");
  command
      ->add_option("--max-memory", flags->max_memory,
                   "The same of all connections, bytes (default: a quarter of the machine's memory)")
      ->envname("FRAMECALL_MAX_MEMORY");
  command
      ->add_option("--min-body-rate", flags->min_body_rate, "Slowest body of a call, bytes a second over 30 s; 0: any")
      ->capture_default_str()
      ->envname("FRAMECALL_MIN_BODY_RATE");
  command
      ->add_option("--peer-share", flags->peer_share,
                   "Most worker threads that one connection, or one address, may use at a time, percent")
      ->capture_default_str()
      ->envname("FRAMECALL_PEER_SHARE");
  command->add_option("--max-in-flight", flags->max_in_flight, "Calls of a connection that wait for answers")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_IN_FLIGHT");
  command
      ->add_option("--max-udp-calls", flags->max_udp_calls, "Calls by datagram that wait for answers, per UDP socket")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_UDP_CALLS");
  command->add_option("--max-udp-bytes", flags->max_udp_bytes, "Datagrams of those calls together, bytes")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_UDP_BYTES");
  command
      ->add_option("--max-udp-rate", flags->max_udp_rate,
                   "Datagrams a second from one address; more are dropped; 0: no limit")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_UDP_RATE");
  command
      ->add_option("--max-udp-ratio", flags->max_udp_ratio,
                   "An answer by datagram has at most this many times the bytes of its request; 0: no limit")
      ->capture_default_str()
      ->envname("FRAMECALL_MAX_UDP_RATIO");
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
