#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/error.hpp"
#include "framecall/raw_client.hpp"
#include "terminal/line_input.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t largest_reply = 64 << 10;     // of one line's reply; what is beyond comes before the next line
constexpr auto farewell = std::chrono::seconds(1);  // without a word, after our last one: the server has no more

struct ChatFlags {
  std::string address, prompt = "> ", timeout = "30";
};

// The server has ended the conversation: exit code 3, as if it had not been there.
struct ServerGone : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string strip(const std::string& line) {
  constexpr std::string_view blanks = " \t\r\n\v\f";
  const std::size_t first = line.find_first_not_of(blanks);
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(blanks) + 1 - first);
}

class Conversation {
 public:
  Conversation(const ChatFlags& flags, const Endpoint& endpoint, std::chrono::milliseconds timeout)
      : address_(flags.address), timeout_(timeout), client_(endpoint, timeout) {}

  /// What came since the last reply is shown first: it does not answer this line.
  void say(const std::string& line) {
    const std::string late = take_waiting(largest_reply);
    if (!late.empty()) show(late);
    if (ended_) throw ServerGone(address_ + ": the server closed the connection");
    client_.send(line);
    std::string reply = client_.receive(largest_reply);
    if (reply.empty()) throw ServerGone(address_ + ": the server closed the connection without a reply");
    reply += take_waiting(largest_reply - reply.size());
    show(reply);
  }

  /// Nothing more to say. What the server still has to say, it says before it closes, or soon.
  void finish() {
    try {
      client_.finish_sending();
      const auto deadline = Clock::now() + timeout_;
      while (!ended_) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        client_.set_timeout(std::clamp<std::chrono::milliseconds>(left, {}, farewell));
        const std::string words = client_.receive(largest_reply);
        if (words.empty()) return;
        show(words);
      }
    } catch (const std::system_error&) {
      // Late, or gone already: nobody waits for it.
    }
  }

 private:
  std::string take_waiting(std::size_t max_size) {
    std::string taken;
    pollfd wanted{client_.descriptor(), POLLIN, 0};
    while (!ended_ && taken.size() < max_size && ::poll(&wanted, 1, 0) > 0) {
      try {
        const std::string piece = client_.receive(max_size - taken.size());
        ended_ = piece.empty();
        taken += piece;
      } catch (const std::system_error&) {
        ended_ = true;  // a reset; what came before it is shown all the same
      }
    }
    return taken;
  }

  void show(const std::string& bytes) const { print(bytes + '\n'); }

  std::string address_;
  std::chrono::milliseconds timeout_;
  RawClient client_;
  bool ended_ = false;  // the server has closed, or ended its side
};

int chat(const ChatFlags& flags) {
  Endpoint endpoint;
  std::chrono::milliseconds timeout{};
  try {
    endpoint = Endpoint::parse(flags.address);
    timeout = parse_duration("--timeout", flags.timeout);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  try {
    LineInput input(flags.prompt);
    Conversation conversation(flags, endpoint, timeout);
    while (const auto line = input.next()) {
      const std::string words = strip(*line);
      if (words.empty()) continue;
      input.remember(words);
      conversation.say(words);
    }
    conversation.finish();
    return ok;
  } catch (const ServerGone& error) {
    complain(error.what());
    return cannot_connect;
  } catch (const std::system_error& error) {
    complain(error.what());
    return error.code() == std::errc::timed_out ? timed_out : cannot_connect;
  }
}

}  // namespace

void add_chat(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand("chat", "Talk to a TCP server by hand: a line out, its reply back");
  command->footer(
      "Examples: framecall chat 127.0.0.1:8080\n"
      "          printf 'hello\\n' | framecall chat 127.0.0.1:8080\n"
      "Sends each line that is not empty as it stands, without blanks at its ends and without a line feed. On a\n"
      "terminal with editing and history; Ctrl-D ends it. Exit code 3 when the server is not there or closes, 4 when\n"
      "it does not reply in time.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("--timeout", flags->timeout, "To connect, and for the first bytes of each reply, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_option("--prompt", flags->prompt, "Shown in front of each line, on a terminal only")
      ->capture_default_str();
  command->callback([flags, &exit_code] { exit_code = chat(*flags); });
}

}  // namespace framecall::cli
