#include "framecall/call.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <typeinfo>

#include "framecall/detail/json_reader.hpp"
#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"

namespace framecall {
namespace {

constexpr std::size_t small_body = 4096;  // of a request that is kept

[[noreturn]] void invalid(const std::string& what) { throw CallError(ErrorCode::invalid_request, what); }

bool flag(const Header& header, Key key, const char* name) {
  const Token* token = header.find(key);
  if (token == nullptr || token->kind == Token::Kind::boolean_false) return false;
  if (token->kind != Token::Kind::boolean_true) {
    invalid(std::string(name) + " is neither true nor false: " + printable(token->text, 40));
  }
  return true;
}

std::string_view object_text(const Header& header, Key key, const char* name) {
  const Token* token = header.find(key);
  if (token == nullptr || token->kind == Token::Kind::null) return {};
  if (token->kind != Token::Kind::object) {
    invalid(std::string(name) + " is not an object: " + printable(token->text, 40));
  }
  return token->text;
}

void write_body_size(std::string& out, std::uint64_t size) {
  if (size == 0) return;
  out += ", \"body_size\": ";
  write_integer(out, size);
}

// What stands between the braces of an object; empty if it has no members.
std::string_view members_of(std::string_view object) {
  if (object.size() < 2) return {};
  const std::string_view members = object.substr(1, object.size() - 2);
  return members.find_first_not_of(" \t\r\n") == std::string_view::npos ? std::string_view() : members;
}

void write_layout(std::string& out, std::string_view layout) {
  if (const std::string_view members = members_of(layout); !members.empty()) out.append(", ").append(members);
}

// `closing` adds the hint of HTTP/1.1: whatever the handler says about the connection, the server knows better.
void write_metadata(std::string& out, std::string_view metadata, bool closing) {
  if (metadata.empty() && !closing) return;
  out += ", \"metadata\": ";
  if (!closing) {
    out += metadata;
  } else if (const std::string_view members = members_of(metadata); members.empty()) {
    out += "{\"connection\": \"close\"}";
  } else {
    out.append("{").append(members).append(", \"connection\": \"close\"}");
  }
}

// Reads a value as it will stand in a header: a member's level is 2.
void read_member(std::string_view text, int level) {
  JsonReader reader(text);
  NoValues values;
  reader.skip_white_space();
  reader.value(values, level);
  reader.expect_end();
}

bool is_json(std::string_view text, int level) {
  try {
    read_member(text, level);
    return true;
  } catch (const ProtocolError&) {
    return false;
  }
}

// Members are added to it as text.
bool is_object(std::string_view text, int level) {
  return text.starts_with('{') && text.ends_with('}') && is_json(text, level);
}

// An object, or empty.
void check_object(std::string_view text, std::string_view what) {
  if (text.empty()) return;
  check_json(text, what);
  if (text.starts_with('{') && text.ends_with('}')) return;
  throw std::invalid_argument(std::string(what) +
                              " is not a JSON object without blanks around it: " + printable(text, 40));
}

std::string type_name(const std::type_info& type) {
  char* const name = abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr);
  std::string text = name != nullptr ? name : type.name();
  std::free(name);
  return text;
}

}  // namespace

std::string call_id(const Header& header) {
  const Token* id = header.find(Key::id);
  return id == nullptr ? std::string() : id_text(*id);
}

std::string id_text(const Token& id) {
  const bool number = id.kind == Token::Kind::integer || (id.kind == Token::Kind::real && id.text.back() <= '9');
  if (number) return std::string(id.text);  // NaN and Infinity end with letters
  if (!id.is_string()) invalid("the id is neither a string nor a number: " + printable(id.text, 40));
  std::string text, scratch;
  write_string(text, string_value(id, scratch));
  return text;
}

bool is_version(const Token& token) {
  if (token.text == "\"2.0\"") return true;
  std::string scratch;
  return token.is_string() && string_value(token, scratch) == "2.0";
}

void read_call(const Header& header, CallHead& head) {
  const Token* version = header.find(Key::jsonrpc);
  if (version != nullptr && !is_version(*version)) {
    invalid("jsonrpc is not \"2.0\": " + printable(version->text, 40));
  }
  const Token* method = header.find(Key::method);
  if (method == nullptr) invalid("a frame with result, error or item, where a request was due");
  if (header.has(Key::result) || header.has(Key::error)) invalid("method together with result or error");
  if (!method->is_string()) invalid("the method is not a string: " + printable(method->text, 40));
  head.method = string_value(*method, head.method_text);
  const Token* params = header.find(Key::params);
  if (params != nullptr && params->kind != Token::Kind::null) {
    if (params->kind != Token::Kind::list && params->kind != Token::Kind::object) {
      invalid("params are neither an array nor an object: " + printable(params->text, 40));
    }
    head.params = params->text;
  }
  head.metadata = object_text(header, Key::metadata, "metadata");
  head.digest = object_text(header, Key::digest, "digest");
  head.layout = layout_of(header);
  head.stream = flag(header, Key::stream, "stream");
  head.more = flag(header, Key::more, "more");
  if (const Token* timeout = header.find(Key::timeout_ms)) {
    const auto value = size_value(*timeout);
    if (!value || *value == 0) invalid("timeout_ms is not an integer above 0: " + printable(timeout->text, 40));
    head.timeout_ms = *value;
  }
}

Request::Request(const CallHead& head, std::string_view body, std::string_view peer)
    : method_(head.method),
      params_(head.params),
      metadata_(head.metadata),
      body_(body),
      peer_(peer),
      layout_(head.layout),
      timeout_ms_(head.timeout_ms),
      notification_(head.id.empty()) {}

Request::Request(const CallHead& head, Buffer body, std::string_view peer) : Request(head, body.view(), peer) {
  own_body_ = std::move(body);
}

const Json& Request::params() const {
  if (!parsed_) parsed_.emplace(params_.empty() ? Json() : parse_json(params_));
  return **parsed_;
}

Buffer Request::take_body() {
  Buffer body = std::move(own_body_);
  if (body.empty()) body.append(body_);
  body_ = {};
  return body;
}

std::optional<std::string> Request::metadata(std::string_view name) const {
  if (metadata_.empty()) return std::nullopt;
  const KeptJson all(parse_json(metadata_));
  const auto found = all->find(name);
  if (found == all->end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::stop_source& Request::stop_source() {
  if (!stop_.stop_possible()) stop_ = std::stop_source();
  return stop_;
}

std::size_t Request::memory() const {
  return sizeof *this + method_.size() + params_.size() + metadata_.size() + peer_.size() + layout_.size() +
         body_.size();
}

void Request::keep() {
  if (kept_) return;
  // A small body goes into the same block; take_body() copies it, if anybody asks for it.
  const bool small = own_body_.empty() && body_.size() < small_body;
  std::size_t size = 0;
  std::string_view* const views[] = {&method_, &params_, &metadata_, &peer_, &body_};
  const auto kept = std::span(views).first(small ? 5 : 4);
  for (const std::string_view* view : kept) size += view->size();
  kept_ = std::make_unique_for_overwrite<char[]>(size);
  char* to = kept_.get();
  for (std::string_view* view : kept) {
    view->copy(to, view->size());
    *view = std::string_view(to, view->size());
    to += view->size();
  }
  if (!small && own_body_.empty()) {
    own_body_.append(body_);
    body_ = own_body_.view();
  }
}

void check_json(std::string_view text, std::string_view what) {
  if (text == "null") return;
  try {
    read_member(text, 2);
  } catch (const ProtocolError& error) {
    throw std::invalid_argument(std::string(what) + " is " + error.what() + ": " + printable(text, 40) +
                                "; dump_json() makes JSON of a value");
  }
}

void check_layout(std::string_view layout) { check_object(layout, "layout"); }

void check_json(const Part& part) {
  check_json(part.value, "value");
  check_layout(part.layout);
}

void check_json(const Response& response) {
  check_json(response.result, "result");
  check_layout(response.layout);
  if (response.metadata.empty()) return;
  check_object(response.metadata, "metadata");
  const KeptJson metadata(parse_json(response.metadata));
  if (std::all_of(metadata->begin(), metadata->end(), [](const Json& value) { return value.is_string(); })) return;
  throw std::invalid_argument("metadata is no object of strings: " + printable(response.metadata, 60));
}

void write_call(std::string& out, const CallHead& head, std::uint64_t body_size) {
  out += "{\"jsonrpc\": \"2.0\"";
  if (!head.id.empty()) out.append(", \"id\": ").append(head.id);
  out += ", \"method\": ";
  write_string(out, head.method);
  if (!head.params.empty()) out.append(", \"params\": ").append(head.params);
  if (head.more) out += ", \"more\": true";
  if (head.stream) out += ", \"stream\": true";
  write_body_size(out, body_size);
  write_layout(out, head.layout);
  if (head.timeout_ms > 0) {
    out += ", \"timeout_ms\": ";
    write_integer(out, head.timeout_ms);
  }
  if (!head.digest.empty()) out.append(", \"digest\": ").append(head.digest);
  if (!head.metadata.empty()) out.append(", \"metadata\": ").append(head.metadata);
  out += '}';
}

void write_reply(std::string& out, std::string_view id, const Response& response, bool closing,
                 std::uint64_t file_size) {
  out.append("{\"jsonrpc\": \"2.0\", \"id\": ").append(id).append(", \"result\": ").append(response.result);
  write_body_size(out, response.body.size() + file_size);
  write_layout(out, response.layout);
  if (response.digest && !response.body.empty()) {
    out.append(", \"digest\": ").append(digest_member(response.body.view()));
  }
  write_metadata(out, response.metadata, closing);
  out += '}';
}

void write_part(std::string& out, std::string_view id, std::string_view key, const Part& part, bool more) {
  out.append("{\"jsonrpc\": \"2.0\", \"id\": ").append(id).append(", \"").append(key).append("\": ");
  out += part.value;
  if (more) out += ", \"more\": true";
  write_body_size(out, part.body.size());
  write_layout(out, part.layout);
  out += '}';
}

void write_error(std::string& out, std::string_view id, std::int64_t code, std::string_view message,
                 std::string_view data, bool closing) {
  const std::string_view status = status_name(static_cast<ErrorCode>(code));
  if (!data.empty() && !(status.empty() ? is_json(data, 3) : is_object(data, 3))) {
    const std::string text = message_text(message) + "; its data is left out: it is not " +
                             (status.empty() ? "JSON text: " : "a JSON object: ") + printable(data, 40);
    write_error(out, id, code, text, {}, closing);
    return;
  }
  out.append("{\"jsonrpc\": \"2.0\", \"id\": ").append(id).append(", \"error\": {\"code\": ");
  write_integer(out, code);
  out += ", \"message\": ";
  write_string(out, message);
  if (!status.empty()) {
    out.append(", \"data\": {\"status\": \"").append(status).append("\"");
    if (const std::string_view members = members_of(data); !members.empty()) out.append(", ").append(members);
    out += '}';
  } else if (!data.empty()) {
    out.append(", \"data\": ").append(data);
  }
  out += '}';
  write_metadata(out, {}, closing);
  out += '}';
}

void write_error_within(std::size_t room, std::string& out, std::string_view id, std::int64_t code,
                        std::string_view message, std::string_view data, bool closing) {
  constexpr std::size_t all_but_id = 200;  // and no message
  const std::size_t before = out.size();
  if (id.size() + all_but_id > room) id = "null";
  write_error(out, id, code, message, data, closing);
  if (out.size() - before <= room) return;
  std::string text = message_text(message);
  if (!data.empty()) {
    text += "; its data is left out: it has " + std::to_string(data.size()) + " bytes, and at most " +
            std::to_string(room) + " can be sent";
  }
  for (std::size_t size = text.size();; size /= 2) {
    out.resize(before);
    write_error(out, id, code, size > 0 ? message_text(text, size) : std::string(), {}, closing);
    if (out.size() - before <= room || size == 0) return;
  }
}

std::string header_too_large(std::string_view what, std::size_t size, std::size_t header_size, std::size_t max_header) {
  return std::to_string(size) + " bytes of " + std::string(what) + " make a header of " + std::to_string(header_size) +
         " bytes: max_header is " + std::to_string(max_header) + "; send it as the body";
}

std::string layout_of(const Header& header) {
  std::string layout;
  const auto add = [&](Key key, std::string_view name) {
    if (!header.has(key)) return;
    layout.append(layout.empty() ? "{\"" : ", \"").append(name).append("\": ").append(header.find(key)->text);
  };
  add(Key::dtype, "dtype");
  add(Key::shape, "shape");
  add(Key::tensors, "tensors");
  if (!layout.empty()) layout += '}';
  return layout;
}

Failure current_failure() noexcept {
  constexpr auto internal = static_cast<std::int64_t>(ErrorCode::internal_error);
  try {
    try {
      throw;
    } catch (const CallError& error) {
      return {static_cast<std::int64_t>(error.code()), message_text(error.what()), error.data()};
    } catch (const RemoteError& error) {  // of a server that this one asked
      return {error.code(), message_text(error.what()), error.data()};
    } catch (const std::bad_alloc&) {
      return {static_cast<std::int64_t>(ErrorCode::resource_exhausted), "out of memory", {}};
    } catch (const std::exception& error) {
      std::string data = "{\"type\": ";
      write_string(data, type_name(typeid(error)));
      data += '}';
      return {internal, message_text(error.what()), std::move(data)};
    } catch (...) {
      return {internal, "the handler threw what is no std::exception", {}};
    }
  } catch (...) {  // while it was put into words
    return {internal, {}, {}};
  }
}

}  // namespace framecall
