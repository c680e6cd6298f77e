#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "framecall/client.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli {
namespace {

constexpr std::size_t widest = 60;  // a longer first column does not push the second one aside

struct DiscoverFlags {
  std::string address, dialect = "default", timeout = "30";
  bool json = false;
};

// The member, or null. What a server says may have any shape.
const Json& member(const Json& object, const char* key) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found != object.end() ? *found : nothing;
}

std::string text_of(const Json& value) {
  return value.is_string() ? printable(value.get_ref<const std::string&>()) : std::string();
}

std::string type_text(const Json& schema);

// "integer | null"; empty as soon as one of them says nothing, which allows everything.
std::string alternatives(const Json& schemas, std::string (*text)(const Json&)) {
  std::string all;
  for (const Json& one : schemas) {
    const std::string type = text(one);
    if (type.empty()) return {};
    all.append(all.empty() ? "" : " | ").append(type);
  }
  return all;
}

// JSON Schema in a word or two; empty: anything goes.
std::string type_text(const Json& schema) {
  for (const char* key : {"oneOf", "anyOf"}) {
    if (member(schema, key).is_array()) return alternatives(member(schema, key), type_text);
  }
  const std::string reference = text_of(member(schema, "$ref"));
  if (!reference.empty()) return reference.substr(reference.rfind('/') + 1);  // npos + 1 is 0
  const Json& type = member(schema, "type");
  if (type.is_array()) return alternatives(type, text_of);
  const std::string text = text_of(type);
  const char* const contents = text == "array" ? "items" : text == "object" ? "additionalProperties" : "";
  const Json& inner = member(schema, contents);
  const std::string inner_text = inner.is_object() ? type_text(inner) : std::string();
  return inner_text.empty() ? text : text + " of " + inner_text;
}

// "add(a: integer, b?: integer) -> integer"
std::string signature(const Json& method) {
  std::string text = text_of(member(method, "name")) + "(";
  const char* separator = "";
  for (const Json& parameter : member(method, "params")) {
    const std::string type = type_text(member(parameter, "schema"));
    text.append(std::exchange(separator, ", ")).append(text_of(member(parameter, "name")));
    if (member(parameter, "required") != true) text += '?';
    if (!type.empty()) text.append(": ").append(type);
  }
  const std::string result = type_text(member(member(method, "result"), "schema"));
  return text + ")" + (result.empty() ? "" : " -> " + result);
}

// Characters, as a terminal counts them, but for those of double width.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

std::string table(const Json& document) {
  const Json& methods = member(document, "methods");
  if (!methods.is_array()) throw std::runtime_error("what the server answers is no OpenRPC document");
  std::vector<std::pair<std::string, std::string>> lines;
  std::size_t width = 0;
  for (const Json& method : methods) {
    lines.emplace_back(signature(method), text_of(member(method, "summary")));
    const std::size_t own = width_of(lines.back().first);
    if (own <= widest) width = std::max(width, own);
  }
  std::string text;
  for (const auto& [left, right] : lines) {
    text += left;
    if (!right.empty()) {
      const std::size_t own = width_of(left);
      text.append(own < width ? width - own : 0, ' ').append("  ").append(right);
    }
    text += '\n';
  }
  return text;
}

int discover(const DiscoverFlags& flags) {
  Endpoint endpoint;
  ClientOptions options;
  try {
    endpoint = Endpoint::parse(flags.address);
    options.timeout = parse_duration("--timeout", flags.timeout);
    options.dialect = dialect_of_calls(flags.dialect);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  Outcome outcome;
  outcome.name = "rpc.discover";
  try {
    Client client(endpoint, options);
    const Response response = client.request("rpc.discover");
    print(flags.json ? response.result + "\n" : table(response.value()));
  } catch (...) {
    note_call_failure(outcome);
    print_outcome(outcome, true);
  }
  return outcome.exit_code;
}

}  // namespace

void add_discover(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<DiscoverFlags>();
  CLI::App* command = app.add_subcommand("discover", "List the methods of a server");
  command->footer(
      "Example: framecall discover 127.0.0.1:8080\n"
      "One line for each method: its name, its params (? behind those that may be left out), its result, and what it\n"
      "does. A type that is not there means anything.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  add_call_dialect(*command, flags->dialect);
  command->add_option("--timeout", flags->timeout, "To connect, and for the answer, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_flag("--json", flags->json, "The OpenRPC document on stdout, as the server wrote it");
  command->callback([flags, &exit_code] { exit_code = discover(*flags); });
}

}  // namespace framecall::cli
