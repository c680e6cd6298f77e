#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/detail/file_store.hpp"
#include "framecall/detail/setting_values.hpp"
#include "framecall/error.hpp"
#include "framecall/server.hpp"
#include "terminal/server_log.hpp"

namespace framecall::cli {
namespace {

// A row of the settings table as CLI11 fills it.
struct Given {
  const Setting* setting = nullptr;
  CLI::Option* option = nullptr;
  std::string text = {};
  std::vector<std::string> list = {};
  bool on = false;

  // The texts that set_text() takes.
  std::vector<std::string> texts() const {
    if (setting->type == SettingType::list) return list;
    if (setting->type == SettingType::flag) return {on ? "true" : "false"};
    return {text};
  }
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

std::string metavariable(const Setting& setting) {
  switch (setting.type) {
    case SettingType::bytes: return "BYTES";
    case SettingType::seconds: return "SECONDS";
    case SettingType::count: return "N";
    case SettingType::percent: return "PERCENT";
    case SettingType::path: return "PATH";
    default: return "TEXT";
  }
}

void add_option(CLI::App& command, Given& given) {
  const Setting& setting = *given.setting;
  const std::string flag = setting.flag();
  std::string help(setting.help);
  if (!setting.unset.empty() && setting.unset != "none") help += " (default: " + std::string(setting.unset) + ")";
  if (setting.type == SettingType::flag) {
    const std::string names = setting.short_flag.empty() ? flag : flag + "," + std::string(setting.short_flag);
    given.option = command.add_flag(names, given.on, help);
  } else if (setting.type == SettingType::list) {
    given.option = command.add_option(flag, given.list, help);
    if (!setting.choices.empty()) given.option->delimiter(',');
  } else {
    given.option = command.add_option(flag, given.text, help);
  }
  if (setting.type != SettingType::flag) {
    given.option->type_name(metavariable(setting));
    if (setting.unset.empty()) given.option->default_str(setting.default_text());
  }
  given.option->envname(setting.variable());
}

bool on_command_line(const Setting& setting, std::span<char* const> arguments) {
  const std::string flag = setting.flag();
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string_view argument) {
    return argument == flag || argument.starts_with(flag + "=") ||
           (!setting.short_flag.empty() && argument == setting.short_flag);
  });
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// What was set, from flags, else the environment, else the file of --config. CLI11 would prefer the file to the environment,
// and does not tell where a value came from.
ServerSettings settings_of(const std::vector<Given>& all, std::span<char* const> arguments) {
  ServerSettings settings;
  for (const Given& given : all) {
    if (given.option->count() == 0) continue;
    const Setting& setting = *given.setting;
    const char* const variable = std::getenv(setting.variable().c_str());
    if (on_command_line(setting, arguments)) {
      set_text(settings, setting, given.texts(), SettingSource::flag);
    } else if (variable != nullptr && *variable != '\0') {
      const bool words = setting.type == SettingType::list && !setting.choices.empty();
      const std::vector<std::string> texts = words ? split(variable) : std::vector<std::string>{variable};
      set_text(settings, setting, texts, SettingSource::environment);
    } else {
      set_text(settings, setting, given.texts(), SettingSource::file);
    }
  }
  return settings;
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
  std::string text = {};
  const std::pair<bool, const char*> all[] = {
      {protocols.frames, "frames"}, {protocols.echo, "echo"}, {protocols.http, "http"}};
  for (const auto& [taken, name] : all) {
    if (taken) text.append(text.empty() ? "" : ",").append(name);
  }
  return text;
}

std::vector<Service> services_of(const ServerSettings& settings) {
  constexpr auto stream = Service::Kind::stream, datagram = Service::Kind::datagram;
  const Protocols echo_only{false, true, false};
  std::vector<Service> services;
  for (const std::string& text : settings.listen) {
    const std::optional<int> descriptor = descriptor_of(text);
    services.push_back({stream, descriptor ? Endpoint() : Endpoint::parse(text), Protocols::named(settings.protocols),
                        descriptor.value_or(-1)});
  }
  for (const std::string& text : settings.echo) services.push_back({stream, Endpoint::parse(text), echo_only});
  for (const std::string& text : settings.udp) services.push_back({datagram, Endpoint::parse(text), {}});
  if (settings.tutorial) {
    const auto local = [](std::uint16_t port) { return Endpoint::parse("127.0.0.1:" + std::to_string(port)); };
    services.push_back({stream, local(8080), {true, true, false}});
    services.push_back({stream, local(8081), echo_only});
    services.push_back({datagram, local(8080), {}});
  }
  if (services.empty())
    services.push_back({stream, Endpoint::parse("127.0.0.1:8080"), Protocols::named(settings.protocols)});
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

int serve(const std::vector<Given>& given, std::span<char* const> arguments) {
  ServerSettings settings;
  ServerOptions options;
  std::vector<Service> services;
  try {
    settings = settings_of(given, arguments);
    services = services_of(settings);
    options = open_settings(settings);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  if (settings.root.empty() && settings.tutorial) {
    settings.root = "received";
    std::filesystem::create_directory(settings.root);
  }
  try {
    options.files = open_root(settings);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    complain("--root: " + settings.root + " does not exist; make the folder first, with mkdir");
    return failed;
  }
  raise_descriptor_limit();
  block_signals();
  ServerLog log(settings.quiet);
  options.log = [&log](LogLevel level, std::string_view line) { log.write(level, line); };
  Server server(std::move(options));
  std::string lines;
  for (const Service& service : services) {
    std::optional<std::string> reply;
    if (settings.udp_reply != "upper") reply = settings.udp_reply;
    const Endpoint bound = service.kind == Service::Kind::datagram ? server.listen_udp(service.endpoint, reply)
                           : service.descriptor >= 0               ? server.adopt(service.descriptor, service.protocols)
                                                                   : server.listen(service.endpoint, service.protocols);
    lines += listening_line(service, bound, settings.udp_reply);
  }
  std::fputs(lines.c_str(), stdout);  // the sockets listen: what connects from here on is served
  if (settings.tutorial) std::printf(tutorial_hints, settings.root.c_str());
  std::fflush(stdout);
  server.run();
  return ok;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_code, std::span<char* const> arguments) {
  CLI::App* command = app.add_subcommand("serve", "Serve uploads, raw echo, datagrams, and the requests of a dialect");
  command->footer(
      "Examples: framecall serve --listen 0.0.0.0:8080 --root incoming\n"
      "          framecall serve --tutorial\n"
      "          framecall serve --listen 127.0.0.1:9000 --root files --dialect lesson-get\n"
      "BYTES: 64, 64K, 1.5M, 2G. SECONDS: 10, 0.5, 500ms, 2min, 1h.\n"
      "SIGTERM and SIGINT shut the server down when the uploads under way are complete; a second one does so at once.");
  const auto given = std::make_shared<std::vector<Given>>();
  for (const Setting& setting : server_settings()) {
    if (setting.serve) given->push_back({&setting});
  }
  for (Given& one : *given) add_option(*command, one);  // CLI11 keeps pointers into the vector, which grows no more
  const auto describe = std::make_shared<bool>(false);
  command->add_flag("--settings", *describe, "Print the table of settings as JSON")->group("");
  command->callback([given, describe, arguments, &exit_code] {
    if (!*describe) {
      exit_code = serve(*given, arguments);
      return;
    }
    exit_code = std::puts(settings_json().c_str()) >= 0 && std::fflush(stdout) == 0 ? ok : failed;
  });
}

}  // namespace framecall::cli
