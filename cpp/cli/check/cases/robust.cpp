// The cases of the level `robust` about peers that go, wait, or are many.
#include "check/trial.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

// The places of a frame: in its length, its header, its body.
std::vector<std::size_t> places(const Message& message, int part) {
  if (part == 0) return {1, message.prefix_size() - 1};
  if (part == 1) return {message.prefix_size(), message.head_size() - 1};
  return {message.head_size(), message.head_size() + 1500};
}

// Sends the start of a frame and ends our direction: no success may be told, and the connection has to end.
void cut(ServerTrial& trial, int part) {
  for (const Message& message : trial.samples(pattern(3000))) {
    for (const std::size_t place : places(message, part)) {
      Peer peer = trial.connect();
      peer.send(std::string_view(message.bytes()).substr(0, place));
      peer.finish_sending();
      const std::string came = peer.read_to_end("the end of the connection, after our end inside a frame");
      if (came.find("\"result\"") != std::string::npos) {
        throw Failure{"a frame that was cut after " + std::to_string(place) + " bytes is answered: " + escaped(came),
                      ""};
      }
      if (!came.empty()) trial.warn("an answer to a frame that never was whole: " + escaped(came));
    }
  }
  trial.goes_on();
}
void cut_in_prefix(ServerTrial& trial) { cut(trial, 0); }
void cut_in_header(ServerTrial& trial) { cut(trial, 1); }
void cut_in_body(ServerTrial& trial) { cut(trial, 2); }

void reset_inside(ServerTrial& trial) {
  for (const Message& message : trial.samples(pattern(3000))) {
    for (const int part : {0, 1, 2}) {
      Peer peer = trial.connect();
      peer.send(std::string_view(message.bytes()).substr(0, places(message, part)[0]));
      sleep_until(Clock::now() + milliseconds(20));
      peer.reset();
      trial.goes_on();
    }
  }
}

// Gone before the answer can be sent, or while it is.
void reset_before_reply(ServerTrial& trial) {
  for (const std::size_t size : {std::size_t{5}, std::size_t{1} << 20}) {
    for (const Message& message : trial.samples(pattern(size))) {
      for (int i = 0; i < 3; ++i) {
        Peer peer = trial.connect();
        peer.hold_back();
        peer.send(message.bytes());
        peer.reset();
      }
    }
  }
  trial.goes_on();
}

void comes_and_goes(ServerTrial& trial) {
  for (int i = 0; i < 20; ++i) {
    Peer peer = trial.connect();
    i % 2 == 0 ? peer.close() : peer.reset();
  }
  trial.goes_on();
}

void idle(ServerTrial& trial) {
  std::vector<Peer> waiting;
  waiting.push_back(trial.connect());
  for (const Message& message : trial.samples(pattern(3000))) {
    for (const std::size_t place : {std::size_t{2}, message.head_size() - 1, message.head_size() + 100}) {
      waiting.push_back(trial.connect());
      waiting.back().send(std::string_view(message.bytes()).substr(0, place));
    }
  }
  trial.goes_on();
}

void many(ServerTrial& trial) {
  constexpr std::size_t count = 50;
  trial.extend(milliseconds(4000));  // where the backlog is short
  std::vector<Peer> peers;
  std::vector<Message> messages;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string body = "of connection " + std::to_string(i);
    messages.push_back(trial.features().calls ? trial.call(body) : trial.upload(body));
    peers.push_back(trial.connect());
    peers.back().send(std::string_view(messages.back().bytes()).substr(0, messages.back().head_size() - i % 9));
  }
  for (std::size_t i = count; i-- > 0;) {
    peers[i].send(std::string_view(messages[i].bytes()).substr(messages[i].head_size() - i % 9));
  }
  for (std::size_t i = 0; i < count; ++i) trial.settle(peers[i], {&messages[i], 1});
}

// What is announced does not come. Waiting for it is fine, and so is an error; dying of it is not.
void announced_body(ServerTrial& trial) {
  std::vector<Peer> peers;
  for (Message& message : trial.samples("x")) {
    message.header.replace(message.header.rfind("1}"), 1, "9007199254740992");
    peers.push_back(trial.connect());
    peers.back().send(message.bytes());
    if (!peers.back().something_comes(milliseconds(300))) continue;
    if (peers.back().at_end()) {
      trial.warn("a body of 2^53 bytes is announced: the connection ended without an error reply",
                 "do not allocate what is announced: read in pieces, or answer -32048 above your limit");
      continue;
    }
    const std::optional<Frame> frame = peers.back().read_frame("an error reply");
    if (frame && !frame->has("error"))
      throw Failure{"2^53 bytes are announced, and answered: " + escaped(frame->text), ""};
  }
  trial.goes_on();
}

void other_protocol(ServerTrial& trial) {
  const std::string hello = std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + pattern(32);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), hello, std::string("hello world\n")}) {
    Peer peer = trial.connect();
    peer.send(bytes);
    if (!peer.something_comes(milliseconds(60000))) {  // at most until the time of the case is over
      throw Failure{"neither an answer nor the end of the connection for " + escaped(bytes, 40), ""};
    }
  }
  trial.goes_on();
}

void behind_refusal(ServerTrial& trial) {
  Peer peer = trial.connect();
  std::string bytes = trial.head_of("hello");
  std::vector<Message> messages = trial.samples("behind a frame that is none");
  for (const Message& message : messages) bytes += message.bytes();
  peer.send(bytes);
  const std::optional<Frame> frame = peer.read_frame("an error reply or the end of the connection");
  if (!frame) {
    trial.warn("the connection ended without an error reply");
    return;
  }
  if (!frame->has("error")) throw Failure{"a frame behind one that is none is answered: " + escaped(frame->text), ""};
  const std::string rest = peer.read_to_end("the end of the connection behind the error reply");
  if (!rest.empty()) throw Failure{"after the error reply the connection went on: " + escaped(rest), ""};
}

// A refusal must be readable although we have sent much more: no reset may destroy it.
void refusal_survives(ServerTrial& trial) {
  Peer peer = trial.connect();
  peer.hold_back();
  peer.send(trial.prefix_of(1) + pattern(200000));
  sleep_until(Clock::now() + milliseconds(50));
  const std::string came = peer.read_to_end("an error reply and the end of the connection");
  if (came.empty()) {
    trial.warn(
        peer.was_reset() ? "the connection was reset, and no error reply could be read"
                         : "the connection ended without an error reply",
        "after the error reply: shutdown(SHUT_WR), then recv until b'', then close; a close with unread bytes sends "
        "a reset, which destroys the reply");
  }
}

constexpr const char* cut_rule = "6: end of the stream inside a frame: no reply, and the connection ends";
constexpr const char* empty_recv = "recv gives b'' when the peer has ended: leave the loop, or it spins for ever";

constexpr ServerCase all_robust_cases[] = {
    {"robust/cut-in-prefix", Level::robust, nothing, "our end inside the 4 bytes of length", cut_rule, empty_recv,
     cut_in_prefix},
    {"robust/cut-in-header", Level::robust, nothing, "our end inside the header", cut_rule, empty_recv, cut_in_header},
    {"robust/cut-in-body", Level::robust, nothing, "our end inside the body", cut_rule, empty_recv, cut_in_body},
    {"robust/reset-inside", Level::robust, nothing,
     "connections broken off inside a frame, each followed by a good one",
     "6: a reset inside a frame: no reply; the server goes on",
     "catch ConnectionError around the loop of each connection", reset_inside},
    {"robust/reset-before-reply", Level::robust, nothing, "connections broken off behind a whole frame",
     "6: the server goes on", "catch ConnectionError and BrokenPipeError around sendall, too", reset_before_reply},
    {"robust/comes-and-goes", Level::robust, nothing, "20 connections that end, or are broken off, at once",
     "6: the server goes on", "accept and the first recv may fail with ConnectionError: catch it", comes_and_goes},
    {"robust/idle-connections", Level::robust, nothing, "connections that wait inside a frame, then another one",
     "6: 10 seconds for a head; others are not held up",
     "one thread for each connection, or select: do not read one to its "
     "end before the next accept",
     idle},
    {"robust/many-connections", Level::robust, nothing, "50 connections at once, their frames in pieces",
     "6: --max-connections, 10,000", "one thread for each connection, or select; listen() with a larger backlog", many},
    {"robust/announced-body", Level::robust, nothing, "a body of 2^53 bytes is announced, one byte comes",
     "6: above --max-body -32048", "do not allocate what is announced: read in pieces, up to a limit", announced_body},
    {"robust/other-protocol", Level::robust, nothing, "an HTTP request, the start of TLS, a line of text",
     "8: the fourth byte of a frame is always 00",
     "check 2 <= length <= max_header: text is a length above 500 million", other_protocol},
    {"robust/behind-refusal", Level::robust, nothing, "a good frame behind one that is none",
     "6: a refusal is the end of the connection", "after an error with id null send nothing more, and close",
     behind_refusal},
    {"robust/refusal-survives", Level::robust, nothing,
     "a bad length with 200,000 bytes behind it, then read the refusal",
     "6: drops what still arrives, so that no reset destroys the reply",
     "shutdown(SHUT_WR), recv until b'', then close", refusal_survives},
};

}  // namespace

std::span<const ServerCase> robust_cases() { return all_robust_cases; }

}  // namespace framecall::cli::check
