#include "check/client_trial.hpp"

#include <algorithm>
#include <utility>

#include "check/trial.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr std::uint64_t largest_request = 1 << 30;  // bytes of a body that we take in

// The size that `header` announces, and the key that does.
std::uint64_t size_of(const Json& header, bool is_upload, std::string& key) {
  for (const char* spelt : {"body_size", "file_size", "file_siz", "filesize", "total_size"}) {
    if (is_upload == (spelt == std::string_view("body_size")) || !header.contains(spelt)) continue;
    const Json& size = header[spelt];
    if (!size.is_number_integer() || size < 0) {
      throw Failure{std::string(spelt) + " is no size: " + escaped(dump_json(size), 60),
                    "a size is an integer of at least 0: len(body)"};
    }
    key = spelt;
    return size.get<std::uint64_t>();
  }
  return 0;
}

}  // namespace

const Json& Request::member(const char* key) const {
  static const Json null;
  const auto found = header.find(key);
  return found != header.end() ? *found : null;
}

std::optional<Request> ClientTrial::next_request(Peer& peer) {
  const std::string prefix = peer.read(4, "the 4 bytes of a length from the client");
  if (prefix.empty()) return std::nullopt;
  if (prefix.size() < 4) throw Failure{"the client ended inside the 4 bytes of a length: " + escaped(prefix), ""};
  std::int32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(prefix[static_cast<std::size_t>(i)]);
  if (length < 2 || static_cast<std::uint32_t>(length) > largest_max_header_size) {
    peer.something_comes(milliseconds(20));
    throw no_frame("what the client sent", prefix + peer.input());
  }
  Request request;
  request.text = peer.read(static_cast<std::size_t>(length), "a header of " + std::to_string(length) + " bytes");
  if (request.text.size() < static_cast<std::size_t>(length)) {
    throw Failure{"the client ended after " + std::to_string(request.text.size()) + " of " + std::to_string(length) +
                      " bytes of a header",
                  "send may take only a part: use sendall, and close only behind it"};
  }
  try {
    request.header = parse_json(request.text);
  } catch (const ProtocolError& error) {
    throw Failure{std::string("a header that is no JSON (").append(error.what()) + "): " + escaped(request.text, 100),
                  "the length counts the bytes of the encoded header, not its characters"};
  }
  if (!request.header.is_object()) throw Failure{"a header that is no object: " + escaped(request.text, 100), ""};
  const bool call = request.header.contains("method");
  request.is_upload = !call && (request.header.contains("file_name") || request.header.contains("filename"));
  if (!call && !request.is_upload && !request.header.contains("item")) {
    throw Failure{"a header that is neither a call nor an upload: " + escaped(request.text, 100),
                  "{\"id\": ..., \"method\": ...} or {\"file_name\": ..., \"file_size\": ...}"};
  }
  const std::uint64_t size = size_of(request.header, request.is_upload, request.size_key);
  if (size > largest_request) throw Failure{"it announces " + std::to_string(size) + " bytes of body", ""};
  request.body = peer.read(size, "a body of " + std::to_string(size) + " bytes");
  if (request.body.size() < size) {
    throw Failure{"the client ended after " + std::to_string(request.body.size()) + " of " + std::to_string(size) +
                      " bytes of body",
                  "announce the bytes that you send: len(body) of the encoded body; send may take only a part: use "
                  "sendall; close without unread bytes"};
  }
  (request.is_upload ? saw_upload_ : saw_call_) = true;
  return request;
}

Request ClientTrial::read_request(Peer& peer) {
  std::optional<Request> request = next_request(peer);
  if (!request) throw Failure{"the client connected and sent nothing", ""};
  return std::move(*request);
}

std::string ClientTrial::reply_header(const Request& request, std::string_view extra, std::string& body) const {
  const Json& method = request.member("method");
  const bool gives_back = method == "echo" || method == "rpc.ping" || method == "upper";
  std::string result = target_.result;
  if (method == "echo") result = dump_json(request.member("params"));
  if (method == "rpc.ping") result = "\"pong\"";
  if (method == "upper") result = "null";
  if (body.empty() && gives_back) body = request.body;
  if (method == "upper") {
    std::transform(body.begin(), body.end(), body.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  }
  std::string header = R"({"jsonrpc": "2.0", "id": )";
  header.append(dump_json(request.member("id"))).append(R"(, "result": )").append(result).append(extra);
  if (!body.empty()) header.append(R"(, "body_size": )").append(std::to_string(body.size()));
  return header.append("}");
}

std::string ClientTrial::reply_to(const Request& request, std::string_view extra, const std::string* body) const {
  std::string own = body != nullptr ? *body : std::string();
  const std::string header = reply_header(request, extra, own);
  return head_of(header) + own;
}

void ClientTrial::serve_on(Peer& peer) {
  while (const std::optional<Request> request = next_request(peer)) {
    if (!request->is_upload && request->header.contains("id")) peer.send(reply_to(*request));
  }
  if (peer.was_reset()) {
    throw Failure{"the client broke the connection off (RST) instead of closing it",
                  "a close with bytes that were not read sends a reset: read the whole reply first"};
  }
}

void ClientTrial::await_end(Peer& peer) { peer.read_to_end("the end of the connection by the client"); }

void ClientTrial::play_once(int socket, Scene scene) {
  Peer peer(socket, transcript_, deadline_);
  scene(*this, peer);
}

void ClientTrial::play(Outcome wanted, Scene scene) {
  std::optional<Child> child;
  if (!target_.command.empty()) child.emplace(filled_in(target_.command, target_.listener->endpoint(), ""));
  const auto start = Clock::now();
  int socket = -1;
  const auto patience = child ? target_.timeout : target_.patience;
  while (socket < 0 && Clock::now() < start + patience && !(child && child->ended())) {
    socket = target_.listener->accept(std::min(start + patience, Clock::now() + milliseconds(20)));
  }
  if (socket < 0) {
    std::string why = "no client has connected";
    if (child && child->ended()) {
      why.append("; it ended with status ").append(std::to_string(child->status()));
      why.append(" and said: ").append(escaped(child->output(), 300));
    }
    throw Gone{why};
  }
  deadline_ = Clock::now() + target_.timeout + extra_;
  play_once(socket, scene);
  if (!child) return;
  while (!child->ended() && Clock::now() < deadline_) {  // a client may try again
    socket = target_.listener->accept(std::min(deadline_, Clock::now() + milliseconds(5)));
    if (socket < 0) continue;
    transcript_.note("the client connects once more");
    play_once(socket, scene);
  }
  judge(wanted, *child);
}

void ClientTrial::judge(Outcome wanted, Child& child) {
  if (!child.wait(deadline_)) throw Failure{"the client still runs when the time is over", ""};
  transcript_.note("the client ended with status " + std::to_string(child.status()));
  const std::string said = child.output().empty() ? "nothing" : escaped(child.output(), 400);
  if (child.status() > 128) {
    throw Failure{"the client ended by signal " + std::to_string(child.status() - 128) + ", and said: " + said, ""};
  }
  if (wanted == Outcome::success && child.status() != 0) {
    throw Failure{
        "all was well, but the client ended with status " + std::to_string(child.status()) + " and said: " + said, ""};
  }
  if (child.status() != 0 || wanted == Outcome::either || wanted == Outcome::success) return;
  const std::string text = "the client ended with status 0, as if all were well, and said: " + said;
  if (wanted == Outcome::error) throw Failure{text, ""};
  warn(text);
}

void ClientTrial::warn(std::string text, std::string hint) {
  if (!warning_.empty()) return;
  warning_ = std::move(text);
  warning_hint_ = std::move(hint);
}

}  // namespace framecall::cli::check
