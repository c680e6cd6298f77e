#include "framecall/detail/settings.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "framecall/detail/units.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {
namespace {

using enum SettingType;
using Options = ServerOptions;
constexpr auto reload = SettingChange::reload, restart = SettingChange::restart;

constexpr std::uint64_t max_milliseconds = 1'000'000'000'000;  // as many seconds as parse_duration() takes
constexpr std::uint64_t most_threads = 10000;

constexpr std::string_view protocol_names[] = {"frames", "echo", "http"};
constexpr std::string_view access_words[] = {"read", "write", "no-replace", "no-remove"};
constexpr std::string_view durability_words[] = {"none", "close", "full"};

template <class Member, class Owner>
constexpr auto types_of(Member Owner::*) -> std::pair<Member, Owner>;

// The member of the settings, of their ServerOptions, or of their FileStoreOptions.
template <auto member>
auto& field(auto& settings) {
  if constexpr (requires { settings.*member; }) {
    return settings.*member;
  } else if constexpr (requires { settings.options.*member; }) {
    return settings.options.*member;
  } else {
    return settings.files.*member;
  }
}

// Completes a row with what follows from the member that holds its value.
template <auto member>
constexpr Setting row(Setting setting) {
  using Types = decltype(types_of(member));
  using Member = typename Types::first_type;
  constexpr bool is_duration = std::is_same_v<Member, std::chrono::milliseconds>;
  constexpr bool is_number = is_duration || (std::is_integral_v<Member> && !std::is_same_v<Member, bool>);
  setting.of_options = std::is_same_v<typename Types::second_type, ServerOptions>;
  if constexpr (is_duration) {
    setting.most = std::min(setting.most, max_milliseconds);
  } else if constexpr (is_number) {
    setting.most = std::min<std::uint64_t>(setting.most, std::numeric_limits<Member>::max());
  }
  setting.get = [](const ServerSettings& settings) -> SettingValue {
    const Member& value = field<member>(settings);
    if constexpr (is_duration) {
      return static_cast<std::uint64_t>(value.count());
    } else if constexpr (is_number) {
      return static_cast<std::uint64_t>(value);
    } else {
      return value;
    }
  };
  setting.set = [](ServerSettings& settings, SettingValue value) {
    if constexpr (is_duration) {
      field<member>(settings) = Member(static_cast<std::int64_t>(std::get<std::uint64_t>(value)));
    } else if constexpr (is_number) {
      field<member>(settings) = static_cast<Member>(std::get<std::uint64_t>(value));
    } else {
      field<member>(settings) = std::get<Member>(std::move(value));
    }
  };
  return setting;
}

// A new limit is a member of ServerOptions and a row here; `./dev settings` then writes docs/SETTINGS.md and the keyword.
constexpr Setting table[] = {
    row<&ServerSettings::listen>(
        {.name = "listen",
         .type = list,
         .help =
             "HOST:PORT, [IPV6]:PORT, unix:PATH, or fd:N for a listening socket that the process inherited (systemd). "
             "May be repeated. Port 0 picks a free port",
         .unset = "127.0.0.1:8080, unless --echo or --udp is given",
         .python = false}),
    row<&ServerSettings::protocols>(
        {.name = "protocols",
         .type = list,
         .help =
             "What each listener accepts, recognised by the first bytes of a connection: frames, echo (raw bytes, sent "
             "back in upper case), http (GET /healthz)",
         .choices = protocol_names}),
    row<&ServerSettings::echo>({.name = "echo",
                                .type = list,
                                .help = "HOST:PORT of a raw upper-case echo. May be repeated",
                                .unset = "none",
                                .python = false}),
    row<&ServerSettings::udp>({.name = "udp",
                               .type = list,
                               .help = "HOST:PORT of a UDP socket, one reply per datagram. May be repeated",
                               .unset = "none",
                               .python = false}),
    row<&ServerSettings::udp_reply>(
        {.name = "udp_reply",
         .type = text,
         .help = "upper: reply with the datagram in upper case; any other text is the reply",
         .python = false}),
    row<&ServerSettings::tutorial>(
        {.name = "tutorial",
         .type = flag,
         .help =
             "Listen on 127.0.0.1 as the tutorial's servers do: TCP 8080 (frames and echo), TCP 8081 (echo), UDP 8080. "
             "Store files in the folder \"received\" unless --root is given",
         .python = false}),
    row<&ServerSettings::root>({.name = "root",
                                .type = path,
                                .help = "Folder for uploads and file methods; without one they are refused",
                                .details =
                                    "It should be a folder of its own: a peer that may write to a folder that code is "
                                    "loaded from can run code.",
                                .unset = "none"}),
    row<&ServerSettings::access>(
        {.name = "access",
         .type = list,
         .change = reload,
         .help = "What peers may do with the files of the root: read, write, no-replace, no-remove",
         .details = "With neither read nor write both are allowed.",
         .choices = access_words}),
    row<&FileStoreOptions::quota>(
        {.name = "quota",
         .type = bytes,
         .change = reload,
         .help = "Largest size of all files, parts and unfinished uploads of the root together",
         .unset = "no limit"}),
    row<&ServerSettings::durability>(
        {.name = "durability",
         .type = text,
         .help =
             "none: leave it to the system; close: flush a file before it gets its name; full: flush its folder too",
         .choices = durability_words,
         .unset = "close, for file.put full"}),
    row<&ServerSettings::dialect>(
        {.name = "dialect",
         .type = path,
         .change = reload,
         .help = "How peers write frames: a name that `framecall dialects` lists, or a TOML file"}),
    row<&ServerSettings::users>({.name = "users",
                                 .type = path,
                                 .change = reload,
                                 .help = "File of users for dialects with a login; `framecall passwd` writes it",
                                 .details = "Without one, every login is rejected.",
                                 .unset = "none"}),
    row<&Options::max_login_attempts>({.name = "max_login_attempts",
                                       .change = reload,
                                       .help = "Failed logins after which a connection is closed",
                                       .least = 1}),
    row<&Options::max_login_delay>(
        {.name = "max_login_delay",
         .type = seconds,
         .change = reload,
         .help = "Longest delay of the answer to a failed login; the delay grows with the failures of an address"}),
    row<&ServerSettings::commands>({.name = "commands",
                                    .type = path,
                                    .change = reload,
                                    .help = "TOML file of commands for dialects that request commands",
                                    .details = "DIALECTS.md describes the file. Without one, no command is known.",
                                    .unset = "none"}),
    row<&Options::max_commands>(
        {.name = "max_commands",
         .help = "Programs of the commands file that run at a time, half of them for one address",
         .least = 1,
         .most = most_threads}),
    row<&ServerSettings::command_timeout>({.name = "command_timeout",
                                           .type = seconds,
                                           .change = reload,
                                           .help = "Time after which such a program is killed",
                                           .least = 1}),
    row<&ServerSettings::max_output>({.name = "max_output",
                                      .type = bytes,
                                      .change = reload,
                                      .help = "Output of such a program above which it is killed"}),
    row<&Options::max_header>(
        {.name = "max_header",
         .type = bytes,
         .change = reload,
         .help = "Largest header",
         .details = "A larger one ends the connection. No header that the server sends is larger either.",
         .least = 2,
         .most = largest_max_header_size}),
    row<&Options::max_body>({.name = "max_body", .type = bytes, .change = reload, .help = "Largest body of a call"}),
    row<&Options::max_file>(
        {.name = "max_file", .type = bytes, .change = reload, .help = "Largest upload", .unset = "no limit"}),
    row<&Options::max_in_flight>({.name = "max_in_flight",
                                  .change = reload,
                                  .help = "Calls of one connection under way, above which it is not read",
                                  .least = 1}),
    row<&Options::max_streams>({.name = "max_streams",
                                .help = "Calls under way of methods that stream; more are refused",
                                .details = "Counts streams of every kind, of all connections.",
                                .least = 1}),
    row<&Options::max_connections>(
        {.name = "max_connections",
         .change = reload,
         .help = "Connections at a time",
         .details =
             "Lowered to (descriptor limit - 64) / 2. Above it, the connection that was silent the longest is closed "
             "for a new one.",
         .least = 1}),
    row<&Options::max_connection_memory>(
        {.name = "max_connection_memory",
         .type = bytes,
         .change = reload,
         .help = "Requests under way, unsent replies and parts of one connection, above which it is not read",
         .details = "Raised to max_body. A reply or part that does not fit beside unsent ones is refused with -32048.",
         .least = 1}),
    row<&Options::max_memory>(
        {.name = "max_memory",
         .type = bytes,
         .help = "The same of all connections together",
         .details =
             "0 is the default. Raised to twice max_body. A connection may have as much as it leaves to all others; "
             "more is refused with -32048.",
         .unset = "a quarter of the machine's memory"}),
    row<&Options::min_body_rate>({.name = "min_body_rate",
                                  .type = bytes,
                                  .change = reload,
                                  .help = "Slowest body of a call, bytes a second; 0: no limit",
                                  .details =
                                      "Measured over body_window while the server reads. A connection that is slower "
                                      "is closed without a reply. Uploads without a call have only idle_timeout."}),
    row<&Options::body_window>({.name = "body_window",
                                .type = seconds,
                                .change = reload,
                                .help = "Time over which the rate of a body is measured",
                                .least = 1}),
    row<&Options::peer_share>(
        {.name = "peer_share",
         .type = percent,
         .help = "Share of the threads and streams that one connection, or one address, may use at a time",
         .details =
             "Not counted together: the connections of 127.0.0.1 and ::1, where a proxy may be, and of Unix sockets. "
             "What exceeds the share waits, in turns with the work of others.",
         .least = 1,
         .most = 100}),
    row<&Options::max_udp_calls>(
        {.name = "max_udp_calls", .change = reload, .help = "Calls by datagram under way, for each UDP socket"}),
    row<&Options::max_udp_bytes>({.name = "max_udp_bytes",
                                  .type = bytes,
                                  .change = reload,
                                  .help = "Size of the datagrams of those calls together"}),
    row<&Options::max_udp_rate>(
        {.name = "max_udp_rate",
         .help = "Datagrams a second from one address, above which they are dropped; 0: no limit",
         .details = "The addresses of an IPv6 /64 count as one."}),
    row<&Options::max_udp_ratio>(
        {.name = "max_udp_ratio",
         .change = reload,
         .help = "Most bytes of a datagram's answer for each byte of its request; 0: no limit"}),
    row<&Options::header_timeout>({.name = "header_timeout",
                                   .type = seconds,
                                   .change = reload,
                                   .help = "Time from the first byte of a frame to the end of its header",
                                   .details = "Counted only while the server reads. More bytes do not extend it.",
                                   .least = 1}),
    row<&Options::idle_timeout>({.name = "idle_timeout",
                                 .type = seconds,
                                 .change = reload,
                                 .help = "Time without progress after which a connection is closed; 0: never",
                                 .details = "Progress in either direction, inside a frame or between two."}),
    row<&Options::drain_timeout>({.name = "drain_timeout",
                                  .type = seconds,
                                  .change = reload,
                                  .help = "Time for calls and uploads under way when the server shuts down"}),
    row<&Options::refusal_bytes>({.name = "refusal_bytes",
                                  .type = bytes,
                                  .change = reload,
                                  .help = "Bytes read from a refused sender, so that it can read the error"}),
    row<&Options::refusal_timeout>({.name = "refusal_timeout",
                                    .type = seconds,
                                    .change = reload,
                                    .help = "Time for a refused sender to read the error"}),
    row<&Options::threads>(
        {.name = "threads", .help = "Event loops; 0: one per processor", .most = 1024, .python_default = 1}),
    row<&Options::pool_threads>({.name = "pool_threads",
                                 .help = "Threads for handlers that wait (Router::on_pool)",
                                 .details = "Started when a method needs them.",
                                 .least = 1,
                                 .most = most_threads}),
    row<&Options::stream_threads>({.name = "stream_threads",
                                   .help = "Threads for handlers that stream, one for each call",
                                   .details = "Started when a method needs them. More such calls are refused.",
                                   .least = 1,
                                   .most = most_threads}),
    row<&Options::batch_threads>({.name = "handler_threads",
                                  .help = "Threads of each event loop for `def` handlers",
                                  .least = 1,
                                  .most = most_threads,
                                  .serve = false,
                                  .option = "batch_threads"}),
    row<&ServerSettings::quiet>({.name = "quiet",
                                 .type = flag,
                                 .change = reload,
                                 .help = "Log warnings and errors only",
                                 .short_flag = "-q",
                                 .python = false}),
};

std::string in_upper_case(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

std::string_view unit_of(SettingType type) {
  return type == bytes ? " bytes" : type == seconds ? " seconds" : type == percent ? " percent" : "";
}

const char* type_name(SettingType type) {
  constexpr const char* names[] = {"bytes", "seconds", "count", "percent", "text", "path", "list", "flag"};
  return names[static_cast<std::size_t>(type)];
}

Json json_of(const Setting& setting, std::uint64_t number) {
  if (setting.type == seconds && number % 1000 != 0) return static_cast<double>(number) / 1000;
  return setting.type == seconds ? number / 1000 : number;
}

}  // namespace

std::string Setting::flag() const {
  std::string text = "--" + std::string(name);
  std::ranges::replace(text, '_', '-');
  return text;
}

std::string Setting::variable() const { return "FRAMECALL_" + in_upper_case(name); }

std::string Setting::named(SettingSource source) const {
  switch (source) {
    case SettingSource::flag: return flag();
    case SettingSource::environment: return variable();
    case SettingSource::file: return "--config: " + flag().substr(2);
    case SettingSource::option: return "ServerOptions::" + std::string(option.empty() ? name : option);
    default: return std::string(name);
  }
}

std::string Setting::number_text(std::uint64_t number) const {
  return type == seconds ? exact_duration(std::chrono::milliseconds(number)) : std::to_string(number);
}

std::string Setting::expected() const {
  if (!choices.empty()) return joined(choices);
  if (type == SettingType::flag) return "true or false";
  if (type == text || type == path || type == list) return "a text";
  const std::string from = number_text(least);
  if (most >= INT64_MAX) return from + " or more" + std::string(unit_of(type));
  return from + " .. " + number_text(most) + std::string(unit_of(type));
}

std::string Setting::default_text() const {
  if (!unset.empty()) return std::string(unset);
  const SettingValue value = get(ServerSettings());
  if (const auto* const number = std::get_if<std::uint64_t>(&value)) {
    return type == bytes ? exact_size(*number) : number_text(*number);
  }
  if (const auto* const word = std::get_if<std::string>(&value)) return *word;
  if (const auto* const on = std::get_if<bool>(&value)) return *on ? "true" : "false";
  std::string words;
  for (const std::string& one : std::get<std::vector<std::string>>(value)) words += (words.empty() ? "" : ",") + one;
  return words;
}

std::span<const Setting> server_settings() { return table; }

const Setting* find_setting(std::string_view name) {
  const auto* const found = std::ranges::find(table, name, &Setting::name);
  return found != std::end(table) ? found : nullptr;
}

std::string settings_json() {
  Json rows = Json::array();
  const ServerSettings defaults;
  for (const Setting& setting : table) {
    Json one = {{"name", setting.name}, {"type", type_name(setting.type)}};
    const SettingValue value = setting.get(defaults);
    const auto* const number = std::get_if<std::uint64_t>(&value);
    one["default"] = nullptr;
    if (setting.unset.empty()) {
      one["default"] = number != nullptr ? json_of(setting, *number)
                                         : std::visit([](const auto& plain) { return Json(plain); }, value);
    }
    one["default_text"] = setting.default_text();
    one["python_default"] = setting.python_default ? Json(*setting.python_default) : one["default"];
    one["least"] = number != nullptr ? json_of(setting, setting.least) : Json();
    one["most"] = number != nullptr && setting.most < INT64_MAX ? json_of(setting, setting.most) : Json();
    one["choices"] = setting.choices;
    one["help"] = setting.help;
    one["details"] = setting.details;
    one["change"] = setting.change == reload ? "reload" : "restart";
    one["flag"] = setting.serve ? Json(setting.flag()) : Json();
    one["variable"] = setting.serve ? Json(setting.variable()) : Json();
    one["python"] = setting.python;
    rows.push_back(std::move(one));
  }
  return dump_json(rows);
}

}  // namespace framecall
