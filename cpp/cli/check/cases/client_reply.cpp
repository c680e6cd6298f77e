// The cases of `framecall check --listen` about what clients make of what comes back.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "check/client_trial.hpp"
#include "check/trial.hpp"
#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr auto pause = milliseconds(30);

// ----- good replies, cut and written in all ways

void whole(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send(own.reply_to(own.read_request(peer)));
    own.serve_on(peer);
  });
}

void split_every_byte(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const std::string reply = own.reply_to(own.read_request(peer));
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < std::min<std::size_t>(reply.size(), 300); ++i) cuts.push_back(i);
    peer.send_cut(reply, cuts, milliseconds(2));
    own.serve_on(peer);
  });
}

void split_prefix(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send_cut(own.reply_to(own.read_request(peer)), {2}, pause);
    own.serve_on(peer);
  });
}

void split_header(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send_cut(own.reply_to(own.read_request(peer)), {4, 9, 30}, pause);
    own.serve_on(peer);
  });
}

void delayed(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    sleep_until(Clock::now() + milliseconds(700));
    peer.send(own.reply_to(request));
    own.serve_on(peer);
  });
}

// The body comes in three pieces; whoever does not take all of it closes with bytes unread, which shows as a reset.
void large_body(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    const Request request = own.read_request(peer);
    const bool known = request.member("method") == "upper" || request.member("method") == "echo" ||
                       request.member("method") == "rpc.ping";
    const std::string body = known ? request.body : pattern(300000);
    const std::string reply = own.reply_to(request, {}, &body);
    peer.send_cut(reply, {reply.size() - body.size() + body.size() / 3, reply.size() - body.size() / 3}, pause);
    own.serve_on(peer);
    if (peer.broken()) {
      throw Failure{"the client ended before it had read the whole body", ""};
    }
  });
}

void unknown_keys(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send(
        own.reply_to(own.read_request(peer),
                     R"(, "metadata": {"connection": "close", "x-a": "b"}, "x-b": [null, {"c": 1e400}], "x-d": NaN)"));
    own.serve_on(peer);
  });
}

void raw_utf8(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send(own.reply_to(own.read_request(peer), ", \"x-你好\": \"é \xf0\x9f\x98\x80 \\ud83d\\ude00\""));
    own.serve_on(peer);
  });
}

void white_space(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    std::string body;
    const Request request = own.read_request(peer);
    std::string header = own.reply_header(request, {}, body);
    header.insert(1, "\n\t ").append(" \r\n").insert(0, "  ");
    peer.send(head_of(header) + body);
    own.serve_on(peer);
  });
}

void reply_and_end(ClientTrial& trial) {
  trial.play(Outcome::success, [](ClientTrial& own, Peer& peer) {
    peer.send(own.reply_to(own.read_request(peer)));
    peer.finish_sending();
    own.await_end(peer);
  });
}

void stranger_behind(ClientTrial& trial) {
  trial.play(Outcome::either, [](ClientTrial& own, Peer& peer) {
    peer.send(own.reply_to(own.read_request(peer)) + head_of(R"({"jsonrpc": "2.0", "id": "nobody's", "result": 0})"));
    own.await_end(peer);
  });
}

// ----- what is no success

void says(ClientTrial& trial, Outcome wanted, ClientTrial::Scene scene) { trial.play(wanted, scene); }

void error_reply(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    std::string header = R"({"jsonrpc": "2.0", "id": )" + dump_json(own.read_request(peer).member("id"));
    header += R"(, "error": {"code": -32601, "message": "no such method, says the check"}})";
    peer.send(head_of(header));
    own.await_end(peer);
  });
}

void refuse(ClientTrial& own, Peer& peer) {
  peer.send(
      head_of(R"({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "refused, says the check"}})"));
  peer.finish_sending();
  own.await_end(peer);
}

void error_without_id(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    own.read_request(peer);
    refuse(own, peer);
  });
}

void other_id(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    Request request = own.read_request(peer);
    request.header["id"] = "an id that nobody gave";
    peer.send(own.reply_to(request));
    if (!peer.something_comes(milliseconds(400))) peer.finish_sending();  // who still waits learns that it is in vain
    own.await_end(peer);
  });
}

// The start of a good reply, `size` bytes of it, and the end of the stream.
template <int place>
void ends_inside(ClientTrial& own, Peer& peer) {
  const Request request = own.read_request(peer);
  std::string body = pattern(3000);
  const std::string text = own.reply_header(request, {}, body);
  const std::string reply = head_of(text) + body;
  const std::size_t sizes[] = {0, 2, 4 + text.size() / 2, 4 + text.size() + 1000};
  peer.send(std::string_view(reply).substr(0, sizes[place]));
  peer.finish_sending();
  own.await_end(peer);
}

void end_without_reply(ClientTrial& trial) { says(trial, Outcome::error, ends_inside<0>); }
void end_in_prefix(ClientTrial& trial) { says(trial, Outcome::error, ends_inside<1>); }
void end_in_header(ClientTrial& trial) { says(trial, Outcome::error, ends_inside<2>); }
void end_in_body(ClientTrial& trial) { says(trial, Outcome::error, ends_inside<3>); }

void reset_without_reply(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    own.read_request(peer);
    peer.reset();
  });
}

void reset_in_body(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    std::string body = pattern(3000);
    const std::string header = own.reply_header(own.read_request(peer), {}, body);
    peer.send(head_of(header) + body.substr(0, 1000));
    sleep_until(Clock::now() + pause);
    peer.reset();
  });
}

// Bytes that can be no reply; the connection stays open: the client must not wait for more.
void nonsense(ClientTrial& own, Peer& peer, const std::string& bytes) {
  own.read_request(peer);
  peer.send(bytes);
  own.await_end(peer);
}

void length_zero(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { nonsense(own, peer, prefix_of(0)); });
}
void length_negative(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { nonsense(own, peer, prefix_of(-5) + "{}"); });
}
void length_huge(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { nonsense(own, peer, prefix_of(INT32_MAX)); });
}
void not_json(ClientTrial& trial) {
  says(trial, Outcome::error,
       [](ClientTrial& own, Peer& peer) { nonsense(own, peer, head_of("hello, this is a text")); });
}
void not_object(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { nonsense(own, peer, head_of("[1, 2]")); });
}

// A reply whose body_size is no size, with a few bytes behind it.
void size_lie(ClientTrial& own, Peer& peer, const char* size) {
  std::string none;
  Request request = own.read_request(peer);
  request.body.clear();
  std::string header = own.reply_header(request, std::string(R"(, "body_size": )") + size, none);
  peer.send(head_of(header) + "bytes");
  own.await_end(peer);
}
void size_bool(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { size_lie(own, peer, "true"); });
}
void size_negative(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { size_lie(own, peer, "-1"); });
}
void size_string(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) { size_lie(own, peer, "\"5\""); });
}
void size_huge(ClientTrial& trial) {
  says(trial, Outcome::error, [](ClientTrial& own, Peer& peer) {
    Request request = own.read_request(peer);
    request.body.clear();
    std::string none;
    peer.send(head_of(own.reply_header(request, R"(, "body_size": 9007199254740992)", none)) + "bytes");
    peer.finish_sending();
    own.await_end(peer);
  });
}

// ----- uploads

void upload_refused(ClientTrial& trial) {
  says(trial, Outcome::perhaps_error, [](ClientTrial& own, Peer& peer) {
    own.read_request(peer);
    refuse(own, peer);
  });
}

void upload_reset(ClientTrial& trial) {
  says(trial, Outcome::perhaps_error, [](ClientTrial&, Peer& peer) {
    peer.read(4, "the 4 bytes of a length from the client");
    peer.reset();
  });
}

constexpr const char* loop = "recv(n) gives at most n bytes, often fewer: loop until all are there";
constexpr const char* early_end = "recv gives b'' when the server has ended: raise an error, do not wait or go on";
constexpr const char* end_rule = "1: a stream may end only between two frames";
constexpr const char* refused_length = "1: N = 2 .. max_header, never above 2^24 - 1";
constexpr const char* reply_size_rule = "1: a size is a JSON integer 0 .. 2^63 - 1";

constexpr ClientCase all_client_reply_cases[] = {
    {"client/reply-whole", Level::rpc, calls, "a good reply in one write", "4: the form of replies", loop, whole},
    {"client/reply-split-every-byte", Level::framing, calls, "a reply, every byte in a segment of its own",
     "1: TCP may cut the stream anywhere", loop, split_every_byte},
    {"client/reply-split-prefix", Level::framing, calls, "the 4 bytes of length in two pieces",
     "1: TCP may cut the stream anywhere", loop, split_prefix},
    {"client/reply-split-header", Level::framing, calls, "a reply cut behind its length and inside its header",
     "1: TCP may cut the stream anywhere", loop, split_header},
    {"client/reply-large-body", Level::framing, calls,
     "a reply with a body in three pieces: 300,000 bytes, or for echo, upper and rpc.ping what is due",
     "1: TCP may cut the stream anywhere", loop, large_body},
    {"client/reply-delayed", Level::rpc, calls, "a reply after 700 ms", "4: replies come when they are ready",
     "a longer timeout on the socket", delayed},
    {"client/reply-unknown-keys", Level::rpc, calls, "a reply with metadata and keys that nobody knows",
     "10: a receiver ignores keys that it does not know", "ignore the keys you do not know", unknown_keys},
    {"client/reply-raw-utf8", Level::framing, calls, "a reply with UTF-8 that is not escaped",
     "5: read as json.loads reads", "the length counts bytes: read N bytes first, decode then", raw_utf8},
    {"client/reply-white-space", Level::framing, calls, "a reply with white space in and around its header",
     "5: any layout that JSON allows", "read the header with a complete JSON reader", white_space},
    {"client/reply-and-end", Level::rpc, calls, "a reply, and the end of the stream right behind it",
     "6: a server may end between two frames", "use the reply that is there, although the end is there, too",
     reply_and_end},
    {"client/stranger-behind", Level::robust, calls, "a reply, and a frame with a strange id in the same write",
     "4: replies are matched by id", "read exactly one frame, and match ids", stranger_behind},
    {"client/error-reply", Level::rpc, calls, "an error reply", "4: error holds code and message",
     "look for error before you use result, and end with a status that is not 0", error_reply},
    {"client/error-without-id", Level::rpc, calls, "a refusal: an error with the id null, and the end",
     "6: one error reply with id null, and the end of the connection", "an error with id null is for whoever waits",
     error_without_id},
    {"client/other-id", Level::rpc, calls, "a reply with an id that was not asked, then the end",
     "4: exactly one reply with its id", "compare the id of the reply with that of the request", other_id},
    {"client/end-without-reply", Level::robust, calls, "the end of the stream instead of a reply", end_rule, early_end,
     end_without_reply},
    {"client/end-in-prefix", Level::robust, calls, "the end of the stream inside the 4 bytes of length", end_rule,
     early_end, end_in_prefix},
    {"client/end-in-header", Level::robust, calls, "the end of the stream inside the header", end_rule, early_end,
     end_in_header},
    {"client/end-in-body", Level::robust, calls, "the end of the stream inside the body", end_rule, early_end,
     end_in_body},
    {"client/reset-without-reply", Level::robust, calls, "the connection is broken off instead of a reply", end_rule,
     "ConnectionResetError is an error to report", reset_without_reply},
    {"client/reset-in-body", Level::robust, calls, "the connection is broken off inside the body", end_rule,
     "ConnectionResetError is an error to report", reset_in_body},
    {"client/length-zero", Level::robust, calls, "a length of 0", refused_length, "check the length before you use it",
     length_zero},
    {"client/length-negative", Level::robust, calls, "a length of -5", refused_length,
     "check the length before you use it", length_negative},
    {"client/length-huge", Level::robust, calls, "a length of 2^31 - 1, and nothing behind it", refused_length,
     "check the length before you allocate or wait for so many bytes", length_huge},
    {"client/not-json", Level::robust, calls, "a reply that is no JSON", "5: JSON",
     "what json.loads throws is an error to report", not_json},
    {"client/not-object", Level::robust, calls, "a reply that is an array", "1: the text of one JSON object",
     "isinstance(reply, dict)", not_object},
    {"client/size-bool", Level::robust, calls, "a body_size that is true", reply_size_rule,
     "compare type(size) is int: True is an int in Python", size_bool},
    {"client/size-negative", Level::robust, calls, "a body_size of -1", reply_size_rule, "check size >= 0",
     size_negative},
    {"client/size-string", Level::robust, calls, "a body_size that is a text", reply_size_rule,
     "compare type(size) is int", size_string},
    {"client/size-huge", Level::robust, calls, "a body_size of 2^53, five bytes, and the end", end_rule,
     "do not allocate what is announced; the end inside a body is an error", size_huge},
    {"client/upload-refused", Level::upload, uploads,
     "a refusal of the upload (success is a warning: tutorial senders never read)",
     "3: a refusal is one error reply; a sender that wants to know shuts down its writing side and reads to the end",
     "sock.shutdown(socket.SHUT_WR), then read to the end: an error reply, or all is well", upload_refused},
    {"client/upload-reset", Level::robust, uploads,
     "the connection is broken off at the start of an upload (success is a warning)",
     "3: a sender that wants to know reads to the end", "ConnectionResetError is an error to report", upload_reset},
};

}  // namespace

std::span<const ClientCase> client_reply_cases() { return all_client_reply_cases; }

}  // namespace framecall::cli::check
