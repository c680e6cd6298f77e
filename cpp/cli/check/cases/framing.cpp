// The cases of the level `framing`: lengths, headers and bodies, cut and joined as TCP does.
#include <iterator>
#include <utility>

#include "check/trial.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr auto apart = milliseconds(20);     // long enough that two pieces are two segments
constexpr auto each_byte = milliseconds(2);  // the same for many pieces
constexpr const char* loop_for_four =
    "one recv(4) may give fewer than 4 bytes: loop until all 4 are there, the same for the header and the body";
constexpr const char* loop_for_body =
    "recv(n) gives at most n bytes, often fewer: loop until body_size (file_size) bytes are there";
constexpr const char* read_exactly =
    "your receiver read past the end of the frame: ask recv for min(left, 1024) bytes, never for more than are left";

void no_greeting(ServerTrial& trial) {
  const std::string& greeting = trial.features().greeting;
  if (!greeting.empty()) throw Failure{"it greets with " + escaped(greeting), ""};
  Peer peer = trial.connect();
  if (!peer.something_comes(milliseconds(250))) return;
  if (peer.at_end()) throw Failure{"it ended a connection on which nothing had been said for 250 ms", ""};
  throw Failure{"it sent " + escaped(peer.input()) + " before it was asked", ""};
}

void one_write(ServerTrial& trial) {
  trial.each_sample([](Peer& peer, const Message& message) { peer.send(message.bytes()); });
}

void without_body(ServerTrial& trial) {
  trial.each_sample([](Peer& peer, const Message& message) { peer.send(message.bytes()); }, "");
}

void split_every_byte(ServerTrial& trial) {
  trial.each_sample([](Peer& peer, const Message& message) { peer.send_each_byte(message.bytes(), each_byte); });
}

void split_prefix(ServerTrial& trial) {
  for (std::size_t cut = 1; cut < trial.dialect().prefixes.front().width; ++cut) {
    for (const Message& message : trial.samples()) {
      Peer peer = trial.connect();
      peer.send_cut(message.bytes(), {cut}, apart);
      trial.settle(peer, {&message, 1});
    }
  }
}

void split_header(ServerTrial& trial) {
  for (int place = 0; place < 4; ++place) {
    for (const Message& message : trial.samples()) {
      Peer peer = trial.connect();
      const std::size_t begin = message.prefix_size();
      const std::size_t cuts[] = {begin, begin + 1, begin + message.header.size() / 2, message.head_size() - 1};
      peer.send_cut(message.bytes(), {cuts[place]}, apart);
      trial.settle(peer, {&message, 1});
    }
  }
}

void split_body(ServerTrial& trial) {
  trial.each_sample(
      [](Peer& peer, const Message& message) {
        const std::size_t head = message.head_size();
        peer.send_cut(message.bytes(), {head, head + 1, head + 1023, head + 1024, head + 1025, head + 2499}, apart);
      },
      pattern(2500));
}

void send_together(ServerTrial& trial, int count, const std::string& body) {
  for (const bool uploads : {false, true}) {
    if (uploads ? !trial.features().uploads : !trial.features().calls) continue;
    std::vector<Message> messages;
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      const std::string own = body + static_cast<char>('a' + i);
      messages.push_back(uploads ? trial.upload(own) : trial.call(own));
      bytes += messages.back().bytes();
    }
    Peer peer = trial.connect();
    peer.send(bytes);
    trial.settle(peer, messages);
  }
}

void two_in_one_write(ServerTrial& trial) { send_together(trial, 2, "hello"); }
void ten_in_one_write(ServerTrial& trial) { send_together(trial, 10, "hello"); }
void no_over_read(ServerTrial& trial) { send_together(trial, 3, pattern(1500)); }

void mixed_in_one_write(ServerTrial& trial) {
  const std::vector<Message> messages = {trial.upload("one"), trial.call("two"), trial.upload("three"),
                                         trial.call("four")};
  std::string bytes;
  for (const Message& message : messages) bytes += message.bytes();
  Peer peer = trial.connect();
  peer.send(bytes);
  trial.settle(peer, messages);
}

// The first of two has to have its effect while the second one is not whole.
void frame_and_a_half(ServerTrial& trial) {
  const std::vector<Message> first = trial.samples("first"), second = trial.samples("second");
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (const std::size_t cut : {std::size_t{2}, second[i].head_size() - 3, second[i].head_size() + 2}) {
      Peer peer = trial.connect();
      const std::vector<Message> one = {first[i].is_upload ? trial.upload("first") : trial.call("first")};
      const std::vector<Message> two = {second[i].is_upload ? trial.upload("second") : trial.call("second")};
      peer.send(one[0].bytes() + two[0].bytes().substr(0, cut));
      trial.read_replies(peer, one);
      if (one[0].is_upload) trial.check_stored(one[0]);
      sleep_until(Clock::now() + apart);
      peer.send(std::string_view(two[0].bytes()).substr(cut));
      trial.settle(peer, two);
    }
  }
}

void body_like_a_frame(ServerTrial& trial) {
  std::string body;
  for (const Message& message : trial.samples("inner")) body += message.bytes();
  trial.each_sample([](Peer& peer, const Message& message) { peer.send(message.bytes()); }, body);
}

void body_sizes(ServerTrial& trial) {
  for (const std::size_t size : {1, 2, 3, 4, 1023, 1024, 1025, 2048, 4096, 65535, 65536, 65537, 1 << 20}) {
    trial.each_sample([](Peer& peer, const Message& message) { peer.send(message.bytes()); }, pattern(size));
  }
}

void all_byte_values(ServerTrial& trial) {
  std::string body;
  for (int i = 0; i < 256; ++i) body += static_cast<char>(i);
  body += std::string("\r\n\0\n\x1a\xff\xfe", 7) + body;
  trial.each_sample([](Peer& peer, const Message& message) { peer.send(message.bytes()); }, body);
}

void slow_drip(ServerTrial& trial) {
  trial.extend(milliseconds(2500));
  trial.each_sample([](Peer& peer, const Message& message) {
    const std::string bytes = message.bytes();
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < 10; ++i) cuts.push_back(i * bytes.size() / 10);
    peer.send_cut(bytes, cuts, milliseconds(110));
  });
}

void pause_in_body(ServerTrial& trial) {
  trial.extend(milliseconds(1500));
  trial.each_sample(
      [](Peer& peer, const Message& message) {
        peer.send_cut(message.bytes(), {message.head_size() + 700}, milliseconds(600));
      },
      pattern(1500));
}

void clean_end(ServerTrial& trial) {
  Peer peer = trial.connect();
  peer.finish_sending();
  const std::string came = peer.read_to_end("the end of the connection, after we ended our direction");
  if (!came.empty()) throw Failure{"it sent " + escaped(came) + " on a connection where nothing was said", ""};
  trial.goes_on();
}

void half_close(ServerTrial& trial) {
  for (const Message& message : trial.samples(pattern(3000))) {
    Peer peer = trial.connect();
    peer.send(message.bytes());
    peer.finish_sending();
    trial.read_replies(peer, {&message, 1});
    if (message.is_upload) trial.check_stored(message);
    const std::string rest = peer.read_to_end("the end of the connection, after we ended our direction");
    if (!rest.empty()) throw Failure{"bytes that nobody asked for: " + escaped(rest), ""};
  }
}

void upload_and_close(ServerTrial& trial) {
  const Message message = trial.upload(pattern(5000));
  {
    Peer peer = trial.connect();
    peer.send(message.bytes());
  }
  trial.check_stored(message);
}

constexpr ServerCase all_framing_cases[] = {
    {"framing/no-greeting", Level::framing, nothing, "connect, say nothing, and listen",
     "1: there is no greeting, padding, heartbeat, trailer",
     "send nothing before a request is there: no print to the "
     "socket in accept",
     no_greeting},
    {"framing/one-write", Level::framing, nothing, "a whole frame in one write", "1: length, header, body",
     "read 4 bytes, struct.unpack('<i'), the header, then body_size (or file_size) bytes", one_write},
    {"framing/without-body", Level::framing, nothing, "a frame whose body has no bytes", "1: nothing at all for B = 0",
     "do not call recv for a body of 0 bytes: it waits for ever", without_body},
    {"framing/split-prefix", Level::framing, nothing, "the bytes of the length in two pieces, cut at each place",
     "1: TCP may cut the stream anywhere; a receiver must not rely on any boundary", loop_for_four, split_prefix},
    {"framing/split-header", Level::framing, nothing,
     "cut behind the length, behind the first byte of the header, in its middle, before its last byte",
     "1: TCP may cut the stream anywhere; a receiver must not rely on any boundary",
     "one recv(header_len) may give only a part: loop until header_len bytes are there", split_header},
    {"framing/split-body", Level::framing, nothing, "a body of 2,500 bytes, cut at 0, 1, 1023, 1024, 1025 and 2499",
     "1: TCP may cut the stream anywhere; a receiver must not rely on any boundary", loop_for_body, split_body},
    {"framing/split-every-byte", Level::framing, nothing, "a frame, every byte in a segment of its own",
     "1: TCP may cut the stream anywhere; a receiver must not rely on any boundary", loop_for_four, split_every_byte},
    {"framing/two-in-one-write", Level::framing, nothing, "two frames in one write",
     "1: frames follow each other directly",
     "one recv may bring more than one frame: keep what is left over, and look at it before the next recv",
     two_in_one_write},
    {"framing/ten-in-one-write", Level::framing, nothing, "ten frames in one write",
     "1: frames follow each other directly",
     "one recv may bring more than one frame: loop until nothing whole is left over", ten_in_one_write},
    {"framing/mixed-in-one-write", Level::framing, calls | uploads, "upload, call, upload, call in one write",
     "3: uploads and calls may alternate on a connection", read_exactly, mixed_in_one_write},
    {"framing/no-over-read", Level::framing, nothing, "three frames with bodies of 1,501 bytes, one behind the other",
     "1: frames follow each other directly", read_exactly, no_over_read},
    {"framing/frame-and-a-half", Level::framing, nothing,
     "a frame and the start of the next one; the rest only after the first had its effect",
     "1: TCP may cut the stream anywhere", "handle each frame as soon as it is whole; do not wait for the next one",
     frame_and_a_half},
    {"framing/body-like-a-frame", Level::framing, nothing, "a body that is itself a frame", "1: a body is anything",
     "skip exactly body_size (file_size) bytes behind the header before you look for the next length",
     body_like_a_frame},
    {"framing/body-sizes", Level::framing, nothing, "bodies of 1 byte to 1 MiB, around 1024, 4096 and 65536",
     "1: B = 0 .. 2^63 - 1", loop_for_body, body_sizes},
    {"framing/all-byte-values", Level::framing, nothing, "a body with every value of a byte, line ends and NULs",
     "1: a body is anything", "never decode the body, nor strip or split it; open files in binary mode ('wb')",
     all_byte_values},
    {"framing/slow-drip", Level::framing, nothing, "a frame in ten pieces within a second",
     "6: 10 seconds for a head, 600 without progress",
     "loop until all bytes are there; a short timeout on the socket must not end a frame that still comes", slow_drip},
    {"framing/pause-in-body", Level::framing, nothing, "600 ms of silence inside a body",
     "6: 600 seconds without progress", "silence is no end: only b'' from recv is one", pause_in_body},
    {"framing/clean-end", Level::framing, nothing, "connect, and end our direction at once",
     "1: a stream may end only between two frames", "recv gives b'' at the end: close the connection then", clean_end},
    {"framing/half-close", Level::framing, nothing, "a frame, and the end of our direction right behind it",
     "3: a sender that wants to know shuts down its writing side and reads to the end",
     "answer what you have read before you close; b'' ends only the peer's direction", half_close},
    {"framing/upload-and-close", Level::framing, uploads | the_root, "an upload by a sender that closes at once",
     "3: tutorial senders never read", "store what has come although the connection is closed already",
     upload_and_close},
};

}  // namespace

std::span<const ServerCase> framing_cases() { return all_framing_cases; }

}  // namespace framecall::cli::check
