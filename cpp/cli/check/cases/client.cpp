// The cases of `framecall check --listen` about what clients send.
#include "check/client_trial.hpp"
#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

void answer(ClientTrial& trial, Peer& peer, const Request& request) {
  if (!request.is_upload && request.header.contains("id")) peer.send(trial.reply_to(request));
}

void sends_frame(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

void sends_id(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    const Json& id = request.member("id");
    if (request.header.contains("id") && !id.is_string() && !is_integer(id)) {
      throw Failure{"an id that is neither a string nor an integer: " + escaped(dump_json(id), 60),
                    "itertools.count() gives good ids"};
    }
    const Json& method = request.member("method");
    if (!method.is_string()) throw Failure{"a method that is no string: " + escaped(dump_json(method), 60), ""};
    const Json& params = request.member("params");
    if (request.header.contains("params") && !params.is_array() && !params.is_object()) {
      throw Failure{"params that are neither an array nor an object: " + escaped(dump_json(params), 60),
                    "params are a list or a dict"};
    }
    if (request.header.contains("jsonrpc") && request.member("jsonrpc") != "2.0") {
      throw Failure{"a jsonrpc that is not \"2.0\": " + escaped(request.text, 60), ""};
    }
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

void sends_name(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    const Json& name = request.header.contains("file_name") ? request.member("file_name") : request.member("filename");
    const std::string text = name.is_string() ? name.get<std::string>() : dump_json(name);
    const bool plain = name.is_string() && !text.empty() && text != "." && text != ".." && text.size() <= 255 &&
                       text.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
    if (!plain) {
      throw Failure{"a name that is no plain component of a path: " + escaped(text, 100),
                    "send os.path.basename(path); a receiver that trusts more is in danger"};
    }
    if (request.size_key.empty()) {
      throw Failure{"a header without a size: " + escaped(request.text, 100), "\"file_size\": os.path.getsize(path)"};
    }
    if (request.size_key != "file_size" || !request.header.contains("file_name")) {
      own.warn("the keys are spelt otherwise: " + escaped(request.text, 100),
               "file_name and file_size are what every receiver reads; the tutorial's own one reads nothing else");
    }
    own.serve_on(peer);
  });
}

void small_head(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    if (request.is_upload && request.text.size() + 4 > 1400) {
      own.warn("length and header together have " + std::to_string(request.text.size() + 4) + " bytes",
               "keep them within one segment, about 1,400 bytes, for receivers that call recv once");
    }
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

void read_by_bytes(ClientTrial& trial) {
  trial.extend(milliseconds(1000));
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.shrink_buffers();
    for (std::size_t i = 0; i < 64 && peer.something_comes(milliseconds(20)) && !peer.at_end(); ++i) {
      if (peer.input().size() > 4096) break;
      sleep_until(Clock::now() + milliseconds(2));
    }
    const Request request = own.read_request(peer);
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

void slow_reader(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.shrink_buffers();
    sleep_until(Clock::now() + milliseconds(700));
    const Request request = own.read_request(peer);
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

// Whether the end of the connection comes by itself, and nothing but frames before.
void ends_well(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    if (request.is_upload) {
      const std::string rest = peer.read_to_end("the end of the connection behind the upload");
      if (!rest.empty() && !(rest.size() >= 5 && rest[3] == '\0')) {
        throw Failure{"bytes behind the body: " + escaped(rest),
                      "send exactly as many bytes as file_size says, and no line end, mark or trailer"};
      }
      if (peer.was_reset()) {
        throw Failure{"the client broke the connection off (RST) instead of closing it",
                      "close() only; SO_LINGER with 0 throws away what was not sent yet"};
      }
      return;
    }
    // A moment before the reply: what comes now belongs to no frame, or to the next one.
    if (peer.something_comes(milliseconds(100)) && !peer.at_end() && peer.input().size() >= 4 &&
        peer.input()[3] != '\0') {
      throw Failure{"bytes behind the body: " + escaped(peer.input()),
                    "send exactly as many bytes as body_size says, and no line end, mark or trailer"};
    }
    answer(own, peer, request);
    own.serve_on(peer);
  });
}

constexpr ClientCase all_request_cases[] = {
    {"client/sends-frame", Level::framing, nothing, "read what the client sends, answer it, and read to the end",
     "1: length, header, body", "struct.pack('<i', len(header)) + header + body", sends_frame},
    {"client/ends-well", Level::framing, nothing, "read exactly one frame; behind it may come another one, or the end",
     "1: frames follow each other directly; no padding, no trailer",
     "send exactly as many bytes as the header announces", ends_well},
    {"client/read-slowly", Level::framing, nothing, "read the request slowly, through a small buffer",
     "6: a peer may hold the other one back by not reading", "send may take only a part: use sendall", read_by_bytes},
    {"client/read-late", Level::framing, nothing, "do not read for 700 ms", "6: a peer may hold the other one back",
     "send may take only a part: use sendall; no short timeout on the socket", slow_reader},
    {"client/small-head", Level::upload, uploads, "the size of length and header together",
     "3: keep them within one segment", "send the name alone, not a path, nor other keys", small_head},
    {"client/sends-name", Level::upload, uploads, "the name and the keys of an upload", "3: one plain path component",
     "os.path.basename(path)", sends_name},
    {"client/sends-id", Level::rpc, calls, "id, method and params of a call", "4: keys of a request",
     "an id that is a string or an integer", sends_id},
};

}  // namespace

std::span<const ClientCase> client_request_cases() { return all_request_cases; }

}  // namespace framecall::cli::check
