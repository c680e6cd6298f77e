#include "check/trial.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr auto quiet = milliseconds(300);  // for bytes that nobody asked for, where the server does not end the stream

constexpr auto longest_connect = milliseconds(4000);  // a full backlog makes the system ask again after 1 and 3 s
constexpr const char* own_name = "framecall-check-";  // how the names of our uploads begin

// How the names of this run begin.
std::string own_names() {
  std::string text = own_name;
  return text.append(std::to_string(::getpid())).append("-");
}

std::string ascii_upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string json_string(const std::string& text) {
  Json value = text;
  return dump_json(value);
}

// The number, or the text, of an error's code; for messages.
std::string code_text(const Json& error) {
  const bool there = error.is_object() && error.contains("code");
  return there ? dump_json(error["code"]) : "none";
}

bool has_code(const Json& error, std::initializer_list<int> codes) {
  if (!error.is_object() || !error.contains("code") || !error["code"].is_number_integer()) return false;
  return std::find(codes.begin(), codes.end(), error["code"].get<std::int64_t>()) != codes.end();
}

std::string list_of(std::initializer_list<int> codes) {
  std::string text;
  for (const int code : codes) text.append(text.empty() ? "" : " or ").append(std::to_string(code));
  return text;
}

// Where two contents begin to differ, for people.
std::string difference(const std::string& expected, const std::string& got) {
  const auto place = std::mismatch(expected.begin(), expected.end(), got.begin(), got.end());
  const auto at = static_cast<std::size_t>(place.first - expected.begin());
  std::string text = std::to_string(got.size()) + " bytes instead of " + std::to_string(expected.size());
  text.append("; from byte ").append(std::to_string(at)).append(" on ");
  const auto shown = [at](const std::string& bytes) {
    return at < bytes.size() ? escaped(std::string_view(bytes).substr(at), 40) : std::string("the end");
  };
  return text.append(shown(got)).append(" instead of ").append(shown(expected));
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i + i / 251 + i / 65521);
  return bytes;
}

std::string framed(std::string_view header, const PrefixFormat& format) {
  if (header.size() > longest_header(format)) {
    throw Skip{"a header of " + std::to_string(header.size()) + " bytes does not fit into a length of this dialect"};
  }
  return encode_head(header, format);
}

std::string Features::method() const {
  for (const char* name : {"echo", "rpc.ping", "upper"}) {
    if (methods.contains(name)) return name;
  }
  return "echo";
}

ServerTrial::ServerTrial(Target& target, Transcript& transcript, Clock::time_point deadline)
    : target_(target), transcript_(transcript), deadline_(deadline) {}

ServerTrial::~ServerTrial() {
  if (target_.root.empty()) return;
  for (const std::string& name : names_) {
    if (name.find(own_name) == std::string::npos) continue;  // "..", for one
    std::error_code ignored;
    std::filesystem::remove(std::filesystem::path(target_.root) / name, ignored);
  }
}

Peer ServerTrial::connect() {
  const int socket = connect_to(target_.endpoint, std::max(target_.timeout, longest_connect));
  if (++connections_ > 1) transcript_.note("connection " + std::to_string(connections_));
  Peer peer(socket, transcript_, deadline_, target_.dialect.prefixes.front());
  const std::string& greeting = features().greeting;
  if (!greeting.empty() && peer.read(greeting.size(), "the greeting of the server") != greeting) {
    throw Failure{"the server greets differently every time", ""};
  }
  return peer;
}

std::string ServerTrial::new_name() { return own_names() + std::to_string(target_.next_name++); }

void sweep(const Target& target) {
  if (target.root.empty()) return;
  std::error_code ignored;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(target.root, ignored)) {
    if (entry.path().filename().string().find(own_names()) != std::string::npos) found.push_back(entry.path());
  }
  for (const std::filesystem::path& path : found) std::filesystem::remove(path, ignored);
}

Message ServerTrial::call(std::string body, std::string_view extra, std::string_view method, std::string_view id) {
  Message message;
  message.format = target_.dialect.prefixes.front();
  message.body = std::move(body);
  message.id = id.empty() ? std::to_string(target_.next_id++) : std::string(id);
  message.method = method.empty() ? features().method() : std::string(method);
  message.header = R"({"jsonrpc": "2.0", "id": )";
  message.header.append(message.id).append(R"(, "method": )").append(json_string(message.method)).append(extra);
  if (!message.body.empty()) message.header.append(R"(, "body_size": )").append(std::to_string(message.body.size()));
  message.header += '}';
  return message;
}

Message ServerTrial::upload(std::string body, std::string_view extra, std::string_view name) {
  Message message;
  message.format = target_.dialect.prefixes.front();
  message.is_upload = true;
  message.body = std::move(body);
  message.name = name.empty() ? new_name() : std::string(name);
  names_.push_back(message.name);
  message.header = R"({"file_name": )";
  message.header.append(json_string(message.name)).append(R"(, "file_size": )");
  message.header.append(std::to_string(message.body.size())).append(extra).append("}");
  return message;
}

std::vector<Message> ServerTrial::samples(const std::string& body, std::string_view extra) {
  std::vector<Message> messages;
  if (features().calls) messages.push_back(call(body, extra));
  if (features().uploads) messages.push_back(upload(body, extra));
  return messages;
}

void ServerTrial::each_sample(void (*send)(Peer& peer, const Message& message), const std::string& body,
                              std::string_view extra) {
  for (const Message& message : samples(body, extra)) {
    Peer peer = connect();
    send(peer, message);
    settle(peer, {&message, 1});
  }
}

void ServerTrial::check_reply(const Frame& frame, const Message& message) const {
  if (frame.has("method") || frame.has("result") == frame.has("error")) {
    throw Failure{"a reply has exactly one of result and error, and no method: " + escaped(frame.text), ""};
  }
  if (!features().methods.contains(message.method)) return;  // what it does is its own business
  if (frame.has("error")) {
    throw Failure{"an error instead of a result: " + escaped(dump_json(frame.member("error"))), ""};
  }
  if (message.method == "rpc.discover") return;
  const std::string expected = message.method == "upper" ? ascii_upper(message.body) : message.body;
  if (frame.body != expected) throw Failure{"another body came back: " + difference(expected, frame.body), ""};
}

Frame ServerTrial::read_reply(Peer& peer, const Message& message) {
  std::optional<Frame> frame = peer.read_frame("the reply with id " + escaped(message.id, 60));
  if (!frame) throw Failure{"the connection ended instead of the reply with id " + escaped(message.id, 60), ""};
  if (dump_json(frame->member("id")) != dump_json(parse_json(message.id)) || !frame->has("id")) {
    throw Failure{"a reply with the id " + escaped(dump_json(frame->member("id")), 60) + " instead of " +
                      escaped(message.id, 60) + ": " + escaped(frame->text),
                  ""};
  }
  check_reply(*frame, message);
  return std::move(*frame);
}

void ServerTrial::read_replies(Peer& peer, std::span<const Message> messages) {
  std::vector<const Message*> open;
  for (const Message& message : messages) {
    if (!message.is_upload) open.push_back(&message);
  }
  while (!open.empty()) {
    const std::string awaited = std::to_string(open.size()) + " of the replies, the first with id " + open[0]->id;
    const std::optional<Frame> frame = peer.read_frame(awaited);
    if (!frame) throw Failure{"the connection ended without " + awaited, ""};
    const std::string id = dump_json(frame->member("id"));
    const auto found = std::find_if(open.begin(), open.end(),
                                    [&id](const Message* message) { return dump_json(parse_json(message->id)) == id; });
    if (found == open.end()) {
      throw Failure{"a reply with the id " + escaped(id, 60) + ", which no open request has (open: " + open[0]->id +
                        "): " + escaped(frame->text),
                    ""};
    }
    check_reply(*frame, **found);
    open.erase(found);
  }
}

void ServerTrial::nothing_more(Peer& peer) {
  const std::string rest = peer.read_rest(quiet);
  if (!rest.empty()) {
    throw Failure{"bytes that nobody asked for: " + escaped(rest, 200),
                  "send exactly one reply for each request with an id, and nothing for uploads and notifications"};
  }
}

void ServerTrial::settle(Peer& peer, std::span<const Message> messages) {
  read_replies(peer, messages);
  const bool uploads = std::any_of(messages.begin(), messages.end(), [](const Message& one) { return one.is_upload; });
  if (uploads && peer.at_end()) {
    throw Failure{"the server ended the connection after the upload; more may follow on it",
                  "go back to reading the next length; end when recv gives b''"};
  }
  peer.finish_sending();
  if (uploads) {
    const std::string rest = peer.read_to_end("the end of the connection, after we ended our direction");
    if (!rest.empty()) {
      throw Failure{"an upload is not answered when all is well; here came " + escaped(rest, 200), ""};
    }
    if (peer.was_reset()) throw Failure{"the connection was reset instead of closed", ""};
  } else {
    nothing_more(peer);
  }
  for (const Message& message : messages) {
    if (message.is_upload) check_stored(message);
  }
}

void ServerTrial::check_stored(const Message& message) {
  if (target_.root.empty()) return;
  const std::filesystem::path path = std::filesystem::path(target_.root) / message.name;
  std::string content;
  bool there = false;
  for (;;) {
    there = std::filesystem::is_regular_file(std::filesystem::symlink_status(path));
    if (there) content = read_file(path);
    if (there && content == message.body) return;
    if (Clock::now() >= deadline_) break;
    sleep_until(Clock::now() + milliseconds(5));
  }
  const std::string name = escaped(message.name, 60);
  if (!there) throw Failure{"no file " + name + " appears in the root (" + target_.root + ")", ""};
  throw Failure{"the file " + name + " holds other bytes: " + difference(message.body, content), ""};
}

void ServerTrial::refused(Peer& peer, std::initializer_list<int> codes, std::string_view what) {
  const std::string of(what);
  const std::string awaited = "an error reply or the end of the connection (" + of + ")";
  const std::optional<Frame> frame = peer.read_frame(awaited);
  if (!frame) {
    warn(of + ": the connection ended without an error reply",
         "before you close, say why: {\"jsonrpc\": \"2.0\", \"id\": null, \"error\": {\"code\": C, \"message\": M}}");
    return;
  }
  if (!frame->has("error")) throw Failure{of + ": taken as good, and answered: " + escaped(frame->text), ""};
  if (!has_code(frame->member("error"), codes)) {
    throw Failure{of + ": the error " + code_text(frame->member("error")) + " instead of " + list_of(codes) + ": " +
                      escaped(frame->text),
                  "the codes stand in PROTOCOL.md, section 6: -32700 is for text that is no JSON, -32600 for a frame "
                  "that is none, -32602 for a name"};
  }
  peer.read_to_end("the end of the connection behind the error reply (" + of + ")");
}

void ServerTrial::refuses(std::string_view bytes, std::initializer_list<int> codes, std::string_view what) {
  Peer peer = connect();
  peer.send(bytes);
  refused(peer, codes, what);
}

Frame ServerTrial::refused_call(Peer& peer, const Message& message, std::initializer_list<int> codes) {
  std::optional<Frame> frame = peer.read_frame("an error reply with id " + escaped(message.id, 60));
  if (!frame) throw Failure{"the connection ended instead of an error reply with id " + escaped(message.id, 60), ""};
  const std::string id = dump_json(frame->member("id"));
  if (id != dump_json(parse_json(message.id)) && id != "null") {
    throw Failure{"a reply with the id " + id + " instead of " + message.id, ""};
  }
  if (!frame->has("error")) throw Failure{"taken as good, and answered: " + escaped(frame->text), ""};
  if (!has_code(frame->member("error"), codes)) {
    throw Failure{"the error " + code_text(frame->member("error")) + " instead of " + list_of(codes) + ": " +
                      escaped(frame->text),
                  ""};
  }
  return std::move(*frame);
}

void ServerTrial::goes_on() {
  const std::vector<Message> messages = samples();
  for (const Message& message : messages) {
    try {
      Peer peer = connect();
      peer.send(message.bytes());
      settle(peer, {&message, 1});
    } catch (const Failure& failure) {
      throw Failure{"afterwards another connection is not served: " + failure.came, failure.hint};
    }
  }
}

void ServerTrial::warn(std::string text, std::string hint) {
  if (!warning_.empty()) return;  // one is enough
  warning_ = std::move(text);
  warning_hint_ = std::move(hint);
}

}  // namespace framecall::cli::check
