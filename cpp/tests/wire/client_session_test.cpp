// The client session without sockets and without a clock: bytes in, events and bytes out, every script cut at every byte.
#include "framecall/detail/client_session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall::client_session_test {
namespace {

using namespace std::chrono_literals;
using Wanted = ClientSession::Wanted;

constexpr std::chrono::steady_clock::time_point start{};
constexpr auto never = ClientSession::no_deadline;

struct Call : SessionCall {
  explicit Call(std::string name) : name(std::move(name)) {}
  const std::string name;
};

std::string reply_frame(const std::string& header, const std::string& body = {}) {
  std::string members = header;
  if (!body.empty()) members.append(", \"body_size\": ").append(std::to_string(body.size()));
  return encode_head("{\"jsonrpc\": \"2.0\", " + members + "}") + body;
}
std::string result(const std::string& id, const std::string& value, const std::string& more = {}) {
  return reply_frame("\"id\": " + id + ", \"result\": " + value + more);
}
std::string error(const std::string& id, int code, const std::string& message) {
  return reply_frame("\"id\": " + id + ", \"error\": {\"code\": " + std::to_string(code) + ", \"message\": \"" +
                     message + "\"}");
}

std::string text_of(const std::exception_ptr& problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const UnavailableError& error) {
    return std::string("unavailable ") + error.what();
  } catch (const RemoteError& error) {
    return std::string("remote ") + error.what();
  } catch (const ProtocolError& error) {
    return std::string("protocol ") + error.what();
  } catch (const std::system_error& error) {
    return std::string("system ") + error.what();
  } catch (const std::exception& error) {
    return error.what();
  }
}

// A session whose connection is a string. Each call gets a line for each event: "NAME EVENT".
class Script {
 public:
  explicit Script(ClientOptions options = ClientOptions())
      : options_(std::move(options)),
        replies_(options_.max_header, options_.max_body),
        session("peer", options_, replies_) {}

  std::uint64_t call(const std::string& name, Wanted wanted = Wanted::reply,
                     ClientSession::TimePoint deadline = never) {
    CallOptions options;
    options.more = wanted == Wanted::parts;
    const RequestEncoder request(name, Json(), {}, options);
    return session.start(request, Buffer(), std::make_shared<Call>(name), wanted, deadline, deadline - start);
  }
  /// The methods of the frames that leave, in order: a part is "item", a cancellation "cancel ID".
  std::string sent(ClientSession::TimePoint now = start) {
    std::string all;
    ClientSession::Frame frame;
    while (session.next_frame(now, frame)) {
      const Json header = parse_json(std::string_view(frame.head).substr(4));
      std::string what = header.value("method", "item");
      if (what == "rpc.cancel") what = "cancel " + header["params"]["id"].dump();
      all.append(all.empty() ? "" : ", ").append(what);
    }
    return all;
  }
  void receive(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> space = replies_.prepare();
      const std::size_t size = std::min(space.size(), bytes.size());
      std::memcpy(space.data(), bytes.data(), size);
      replies_.commit(size);
      bytes.remove_prefix(size);
      pump();
    }
  }
  void peer_closes() {
    replies_.commit(0);
    pump();
  }
  void pump() {
    SessionEvent event;
    while (session.next_event(event)) note(event);
  }
  void late(ClientSession::TimePoint now) {
    SessionEvent event;
    while (session.next_late(now, event)) note(event);
  }
  /// What happened since the last look.
  std::vector<std::string> events() { return std::exchange(events_, {}); }

 private:
  void note(SessionEvent& event) {
    std::string line = static_cast<Call&>(*event.call).name + " ";
    if (event.reply == nullptr) {
      EXPECT_TRUE(event.last);
      line += text_of(event.error) + (event.sent ? "" : ", not sent");
    } else {
      line += event.reply->error ? std::string("error ") + event.reply->error->what() : event.reply->result;
      if (!event.reply->body.empty()) line.append(" + ").append(event.reply->body.view());
      if (event.reply->continues) line += " continues";
      if (!event.last) line += " ...";
      const CallReply taken = std::move(*event.reply);
    }
    events_.push_back(std::move(line));
  }

  ClientOptions options_;
  ReplyDecoder replies_;
  std::vector<std::string> events_;

 public:
  ClientSession session;
};

using Events = std::vector<std::string>;

TEST(ClientSession, replies_come_in_any_order_and_each_once) {
  Script script;
  EXPECT_EQ(script.call("a"), 1u);
  EXPECT_EQ(script.call("b"), 2u);
  EXPECT_EQ(script.call("c"), 3u);
  EXPECT_EQ(script.sent(), "a, b, c");
  EXPECT_EQ(script.session.unsent(), 0u);
  script.receive(result("3", "30") + error("1", 5, "no") + result("3", "31"));  // doubled: dropped
  EXPECT_EQ(script.events(), (Events{"c 30", "a error no"}));
  EXPECT_EQ(script.session.in_flight(), 1u);
  script.receive(result("2", "20"));
  EXPECT_EQ(script.events(), Events{"b 20"});
  EXPECT_FALSE(script.session.ended());
}

TEST(ClientSession, a_request_that_cannot_be_encoded_begins_nothing) {
  Script script;
  const std::string params = "[\"" + std::string(2 << 20, 'x') + "\"]";
  const RequestEncoder request("a", std::string_view(params), {}, CallOptions());
  EXPECT_THROW(script.session.start(request, Buffer(), nullptr, Wanted::reply, start, 0ms), std::invalid_argument);
  EXPECT_EQ(script.session.in_flight(), 0u);
  EXPECT_EQ(script.sent(), "");
  EXPECT_EQ(script.call("b"), 1u);
}

TEST(ClientSession, a_reply_to_an_id_that_was_never_given_ends_it) {
  for (const std::string id : {"2", "0", "-1", "1.0", "\"1\"", "99999999999999999999"}) {
    Script script;
    script.call("a");
    script.sent();
    script.receive(result(id, "1"));
    const Events events = script.events();
    ASSERT_EQ(events.size(), 1u) << id;
    EXPECT_EQ(events.front(),
              "a protocol peer: a reply to id " + printable(id, 40) + ", which is of no call under way");
    EXPECT_TRUE(script.session.ended() && script.session.finished());
  }
}

TEST(ClientSession, a_reply_without_an_id_ends_it_with_what_it_says) {
  Script refused, senseless;
  for (Script* script : {&refused, &senseless}) {
    script->call("a");
    script->sent();
  }
  refused.receive(error("null", -32048, "too many"));
  EXPECT_EQ(refused.events(), Events{"a remote too many"});
  senseless.receive(result("null", "1"));
  EXPECT_EQ(senseless.events(), Events{"a protocol peer: a reply without an id"});
}

TEST(ClientSession, parts_come_until_the_last_one) {
  Script script;
  const std::uint64_t id = script.call("s", Wanted::parts);
  Part part;
  part.value = "1";
  part.body.append("abc");
  script.session.send_part(id, std::move(part), true);
  script.session.send_part(id, Part(), false);
  EXPECT_EQ(script.sent(), "s, item, item");
  script.receive(result("1", "1", ", \"more\": true") + reply_frame("\"id\": 1, \"result\": 2, \"more\": true", "xy") +
                 result("1", "3") + result("1", "4", ", \"more\": true") + result("1", "5"));
  EXPECT_EQ(script.events(), (Events{"s 1 ...", "s 2 + xy ...", "s 3"}));
  script.session.send_part(id, Part(), true);  // to nobody
  script.session.ask_to_stop(id);
  EXPECT_EQ(script.sent(), "");
}

TEST(ClientSession, a_large_body_comes_in_pieces_to_a_stream_and_ends_a_call) {
  ClientOptions options;
  options.max_body = 4;
  Script script(options);
  script.call("s", Wanted::parts);
  script.call("a");
  script.sent();
  const std::string large(700'000, 'p');
  script.receive(reply_frame("\"id\": 1, \"result\": 1", large) + reply_frame("\"id\": 2, \"result\": 2", large) +
                 result("2", "3"));
  const Events events = script.events();
  ASSERT_GE(events.size(), 3u);
  for (std::size_t i = 0; i + 2 < events.size(); ++i) EXPECT_TRUE(events[i].ends_with("p continues ...")) << i;
  const std::string &last_piece = events[events.size() - 2], &call = events.back();
  EXPECT_TRUE(last_piece.starts_with("s ") && last_piece.ends_with("p")) << "the last piece is the last event";
  EXPECT_TRUE(call.starts_with("a 2 + p") && call.ends_with(" continues")) << "response_of() refuses it";
  EXPECT_EQ(script.session.in_flight(), 0u);
}

TEST(ClientSession, a_part_for_a_call_of_one_reply_is_its_end) {
  Script script;
  script.call("a");
  script.sent();
  script.receive(result("1", "1", ", \"more\": true") + result("1", "2"));
  EXPECT_EQ(script.events(), Events{"a 1"}) << "response_of() refuses it";
}

TEST(ClientSession, a_cancelled_call_is_told_to_the_server_only_if_that_may_know_of_it) {
  Script script;
  const std::uint64_t a = script.call("a"), b = script.call("b");
  script.session.cancel(b);
  EXPECT_EQ(script.sent(), "a") << "the other one never leaves";
  script.session.cancel(a);
  script.session.cancel(a);
  EXPECT_EQ(script.sent(), "cancel 1");
  script.receive(result("1", "1") + result("2", "2"));  // late replies
  EXPECT_EQ(script.events(), Events());
  EXPECT_FALSE(script.session.ended());
  EXPECT_EQ(script.call("c"), 3u) << "ids are not used again";
}

TEST(ClientSession, a_stream_that_is_given_up_takes_its_unsent_parts_along) {
  Script script;
  const std::uint64_t id = script.call("s", Wanted::parts);
  EXPECT_EQ(script.sent(), "s");
  script.session.send_part(id, Part(), true);
  script.call("a");
  script.session.cancel(id);
  EXPECT_EQ(script.sent(), "a, cancel 1");
  EXPECT_EQ(script.session.unsent(), 0u);
}

TEST(ClientSession, a_stream_that_is_asked_to_stop_still_gets_its_answer) {
  Script script;
  const std::uint64_t id = script.call("s", Wanted::parts);
  script.session.ask_to_stop(id);
  EXPECT_EQ(script.sent(), "s, cancel 1");
  script.receive(error("1", -32001, "cancelled"));
  EXPECT_EQ(script.events(), Events{"s error cancelled"});
}

TEST(ClientSession, late_calls_end_and_the_server_is_told) {
  Script script;
  script.call("c", Wanted::reply, start + 3s);
  script.call("a", Wanted::reply, start + 1s);
  const std::uint64_t moved = script.call("m", Wanted::parts, start + 1s);
  script.call("no limit");
  script.sent();
  EXPECT_EQ(script.session.next_deadline(), start + 1s);
  script.late(start + 999ms);
  EXPECT_EQ(script.events(), Events());
  script.session.set_deadline(moved, start + 2s);
  script.late(start + 1s);
  EXPECT_EQ(script.events(), Events{"a system peer: no reply to \"a\": Connection timed out"});
  EXPECT_EQ(script.sent(start + 1s), "cancel 2");
  EXPECT_EQ(script.session.next_deadline(), start + 2s);
  script.session.set_deadline(moved, never);
  script.receive(result("2", "1"));  // too late
  script.late(start + 10s);
  EXPECT_EQ(script.events(), Events{"c system peer: no reply to \"c\": Connection timed out"});
  EXPECT_EQ(script.session.next_deadline(), never);
  EXPECT_EQ(script.session.in_flight(), 2u);
}

TEST(ClientSession, nothing_is_sent_after_its_deadline) {
  Script script;
  script.call("late", Wanted::reply, start + 1s);
  script.call("in time", Wanted::reply, start + 2s);
  const RequestEncoder note("note", Json(), {}, CallOptions());
  script.session.notify(note, Buffer(), start + 1s, 1s);
  script.session.notify(note, Buffer(), start + 1s + 1ns, 1s);
  EXPECT_EQ(script.sent(start + 1s), "in time, note");
  script.late(start + 1s);
  EXPECT_EQ(script.events(), Events{"late system peer: no reply to \"late\": Connection timed out, not sent"});
  EXPECT_EQ(script.sent(start + 1s), "") << "and the server is not told of what it cannot know";
}

TEST(ClientSession, replies_are_held_while_nobody_reads_the_parts) {
  Script script;
  const std::uint64_t s = script.call("s", Wanted::parts), t = script.call("t", Wanted::parts);
  script.call("a");
  script.sent();
  script.session.set_unread(s, Part::max_unread - 1);
  EXPECT_FALSE(script.session.held());
  script.session.set_unread(s, Part::max_unread);
  script.session.set_unread(t, 2 * Part::max_unread);
  EXPECT_TRUE(script.session.held());
  script.receive(result("3", "1") + result("1", "2"));
  EXPECT_EQ(script.events(), Events());
  script.session.set_unread(s, Part::max_unread / 4);
  EXPECT_TRUE(script.session.held());
  script.session.set_unread(s, Part::max_unread / 4 - 1);
  EXPECT_TRUE(script.session.held()) << "by the other stream";
  script.session.cancel(t);
  EXPECT_FALSE(script.session.held());
  script.pump();
  EXPECT_EQ(script.events(), (Events{"a 1", "s 2"}));
  script.session.set_unread(s, 2 * Part::max_unread);
  EXPECT_FALSE(script.session.held()) << "it has ended";
}

TEST(ClientSession, held_replies_do_not_keep_calls_from_ending) {
  Script script;
  const std::uint64_t s = script.call("s", Wanted::parts, start + 1s);
  script.call("a");
  script.sent();
  script.session.set_unread(s, Part::max_unread);
  script.late(start + 1s);
  EXPECT_FALSE(script.session.held());
  script.session.set_unread(s, Part::max_unread);
  script.session.lose(ECONNRESET);
  script.pump();
  EXPECT_EQ(
      script.events(),
      (Events{"s system peer: no reply to \"s\": Connection timed out",
              "a unavailable UNAVAILABLE: peer: the connection was lost with 1 call under way: Connection reset by "
              "peer"}));
}

TEST(ClientSession, the_servers_hint_ends_it_when_the_calls_have_their_replies) {
  Script script;
  script.call("a");
  script.call("b");
  script.sent();
  EXPECT_FALSE(script.session.closing());
  script.receive(result("1", "1", ", \"metadata\": {\"connection\": \"close\"}"));
  EXPECT_TRUE(script.session.closing());
  EXPECT_FALSE(script.session.finished());
  script.receive(result("2", "2"));
  EXPECT_TRUE(script.session.finished());
  EXPECT_EQ(script.events(), (Events{"a 1", "b 2"}));
  EXPECT_FALSE(script.session.ended());
}

TEST(ClientSession, retired_it_finishes_behind_its_last_frame) {
  Script script;
  const std::uint64_t id = script.call("a");
  EXPECT_FALSE(script.session.closing());
  script.session.retire();
  EXPECT_TRUE(script.session.closing());
  EXPECT_EQ(script.sent(), "a");
  script.session.cancel(id);
  EXPECT_FALSE(script.session.finished());
  EXPECT_EQ(script.sent(), "cancel 1");
  EXPECT_TRUE(script.session.finished());
}

TEST(ClientSession, its_end_tells_each_call_whether_the_server_may_have_seen_it) {
  Script script;
  script.call("a");
  script.sent();
  script.call("b");
  script.session.lose(EPIPE, "a reason");
  script.session.lose(ECONNRESET, "another one");
  script.pump();
  Events events = script.events();
  std::sort(events.begin(), events.end());
  const std::string text =
      " unavailable UNAVAILABLE: peer: the connection was lost with 2 calls under way (a reason): Broken pipe";
  EXPECT_EQ(events, (Events{"a" + text, "b" + text + ", not sent"}));
  EXPECT_EQ(script.sent(), "");
  script.session.notify(RequestEncoder("n", Json(), {}, CallOptions()), Buffer(), never, 0ms);
  EXPECT_EQ(script.sent(), "") << "nothing leaves any more";
  EXPECT_TRUE(script.session.closing() && script.session.finished());
}

TEST(ClientSession, ids_begin_behind_those_of_the_connection) {
  ClientOptions options;
  ReplyDecoder replies(options.max_header, options.max_body);
  ClientSession session("peer", options, replies, 41);
  const RequestEncoder request("a", Json(), {}, CallOptions());
  EXPECT_EQ(session.start(request, Buffer(), nullptr, Wanted::reply, never, 0ms), 42u);
  const std::string frame = result("41", "1");
  std::memcpy(replies.prepare().data(), frame.data(), frame.size());
  replies.commit(frame.size());
  SessionEvent event;
  EXPECT_TRUE(session.next_event(event));
  EXPECT_EQ(text_of(event.error), "protocol peer: a reply to id 41, which is of no call under way");
}

// One exchange with everything in it. The connection is lost after every byte of the replies: whatever was whole has
// happened, everything else ends with the loss, once.
TEST(ClientSession, a_connection_lost_anywhere_ends_every_call_once) {
  const std::vector<std::string> frames = {
      result("2", "20"),
      result("1", "1", ", \"more\": true"),
      reply_frame("\"id\": 1, \"result\": 2, \"more\": true", "some bytes"),
      error("3", 7, "no"),
      result("5", "50"),
      reply_frame("\"id\": 1, \"result\": null"),
      result("6", "60", ", \"metadata\": {\"connection\": \"close\"}"),
  };
  const std::vector<std::string> events = {"b 20",   "s 1 ...", "s 2 + some bytes ...", "c error no", "",
                                           "s null", "f 60"};
  std::string all;
  std::vector<std::size_t> ends;
  for (const std::string& frame : frames) ends.push_back((all += frame).size());
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    for (const bool reset : {false, true}) {
      Script script;
      script.call("s", Wanted::parts);
      for (const std::string name : {"b", "c", "d", "e", "f"}) script.call(name);
      script.sent();
      script.session.cancel(5);
      std::map<std::string, int> left = {{"s", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"f", 1}};
      script.receive(std::string_view(all).substr(0, cut));
      Events expected;
      for (std::size_t i = 0; i < frames.size() && ends[i] <= cut; ++i) {
        if (events[i].empty()) continue;
        expected.push_back(events[i]);
        if (!events[i].ends_with("...")) left.erase(events[i].substr(0, 1));
      }
      EXPECT_EQ(script.events(), expected) << cut;
      EXPECT_EQ(script.session.in_flight(), left.size()) << cut;
      if (reset) {
        script.session.lose(ECONNRESET);
        script.pump();
      } else {
        script.peer_closes();
      }
      for (const std::string& line : script.events()) {
        EXPECT_EQ(left.erase(line.substr(0, 1)), 1u) << line;
        EXPECT_TRUE(line.substr(2).starts_with("unavailable UNAVAILABLE: peer: the connection was lost with ")) << line;
      }
      EXPECT_TRUE(left.empty()) << cut;
      EXPECT_TRUE(script.session.ended() && script.session.finished());
      script.pump();
      EXPECT_EQ(script.events(), Events());
    }
  }
}

// The same replies byte by byte, and with a byte that belongs nowhere after each of them.
TEST(ClientSession, bytes_that_are_no_reply_end_it_where_they_come) {
  const std::string first = result("1", "1"), second = result("2", "2");
  Script slow;
  slow.call("a");
  slow.call("b");
  slow.sent();
  for (const char byte : first + second) slow.receive({&byte, 1});
  EXPECT_EQ(slow.events(), (Events{"a 1", "b 2"}));

  Script broken;
  broken.call("a");
  broken.call("b");
  broken.sent();
  broken.receive(first + std::string("\xff\xff\xff\xff", 4) + second);
  const Events events = broken.events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0], "a 1");
  EXPECT_TRUE(events[1].starts_with("b protocol peer: header length -1")) << events[1];
  broken.receive(second);
  EXPECT_EQ(broken.events(), Events());
}

}  // namespace
}  // namespace framecall::client_session_test
