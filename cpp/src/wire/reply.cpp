#include "wire/reply.hpp"

#include "framecall/detail/json_text.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {
namespace {

// Room for all that a server of ours says: 1000 bytes, each escaped at worst, and the dots of a cut.
constexpr std::size_t max_message_size = 4096;

[[noreturn]] void invalid_reply(const std::string& what) { throw ProtocolError(ErrorCode::invalid_request, 0, what); }

bool says_close(std::string_view metadata) {
  const bool escaped = metadata.find('\\') != std::string_view::npos;
  if (!escaped && metadata.find("\"connection\"") == std::string_view::npos) return false;
  const Json all = parse_json(metadata);
  const auto found = all.find("connection");
  return found != all.end() && *found == "close";
}

}  // namespace

void read_reply(const Header& header, ReplyHead& head) {
  const Token* result = header.find(Key::result);
  if (header.has(Key::method) || (result == nullptr && !header.has(Key::error))) {
    invalid_reply("a frame without result or error, where a reply was due: " + printable(header.text()));
  }
  const Token* version = header.find(Key::jsonrpc);
  if (version != nullptr && !is_version(*version)) {
    invalid_reply("a reply whose jsonrpc is not \"2.0\": " + printable(version->text, 40));
  }
  const Token* id = header.find(Key::id);
  if (id != nullptr && id->kind != Token::Kind::null) {
    try {
      head.id = id_text(*id);
    } catch (const CallError& error) {
      invalid_reply(error.what());
    }
  }
  if (header.has(Key::error)) head.error = remote_error(header);
  if (head.error && result != nullptr) invalid_reply("a reply with both result and error: " + printable(header.text()));
  if (!head.error && result == nullptr) invalid_reply("an error that is no object: " + printable(header.text()));
  if (result != nullptr) head.result = result->text;
  head.layout = layout_of(header);
  const Token* more = header.find(Key::more);
  head.more = more != nullptr && more->kind == Token::Kind::boolean_true;
  const Token* digest = header.find(Key::digest);
  if (digest != nullptr && digest->kind == Token::Kind::object) head.digest = digest->text;
  const Token* metadata = header.find(Key::metadata);
  if (metadata != nullptr && metadata->kind == Token::Kind::object) {
    head.metadata = metadata->text;
    head.closing = says_close(metadata->text);
  }
}

std::optional<RemoteError> remote_error(const Header& header) {
  const Token* error = header.find(Key::error);
  if (error == nullptr) return std::nullopt;
  const Json value = parse_json(error->text);
  if (!value.is_object()) return std::nullopt;
  const Json code = value.value("code", Json(0)), message = value.value("message", Json(""));
  return RemoteError(
      code.is_number_integer() ? code.get<std::int64_t>() : 0,
      message_text(message.is_string() ? message.get<std::string>() : dump_json(message), max_message_size),
      value.contains("data") ? dump_json(value["data"]) : std::string());
}

}  // namespace framecall
