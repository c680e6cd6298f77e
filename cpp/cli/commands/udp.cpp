#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "framecall/udp_client.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct UdpFlags {
  std::string address, text, timeout = "5", interval = "1";
  std::int64_t count = 1;  // signed, to see that -1 is not 2^64-1
  bool json = false;
};

// One request; no reply: lost.
struct Outcome {
  std::optional<std::string> reply;
  double rtt = 0;  // ms
};

// All of stdin; one byte more than a datagram holds is enough to see that it is too much.
std::string read_stdin() {
  std::string text(UdpClient::max_datagram + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(STDIN_FILENO, text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) {
      check_interrupt();
      continue;
    }
    if (count < 0) throw std::system_error(errno, std::generic_category(), "stdin");
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

bool is_utf8(std::string_view text) {
  char32_t ignored = 0;
  for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
    const int size = decode_utf8(at, end, ignored, false);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

class Requests {
 public:
  Requests(const UdpFlags& flags, const Endpoint& endpoint, std::chrono::milliseconds timeout)
      : flags_(flags), timeout_(timeout), client_(endpoint, timeout, check_interrupt) {}

  void run(const std::string& text, std::chrono::milliseconds interval) {
    for (std::int64_t i = 0; i < flags_.count; ++i) {
      const auto start = Clock::now();
      ++sent_;
      Outcome outcome;
      outcome.reply = client_.request(text);
      outcome.rtt = Milliseconds(Clock::now() - start).count();
      note(outcome);
      if (i + 1 < flags_.count) sleep_until(start + interval);
    }
  }

  /// Also in the middle: a request that was not waited for counts as lost.
  void summarize() const {
    if (flags_.json) {
      std::printf("%s\n", dump_json(summary()).c_str());
    } else if (flags_.count > 1) {
      std::fprintf(stderr, "%zu sent, %zu received, %zu lost", sent_, received_, sent_ - received_);
      if (received_ > 0) std::fprintf(stderr, ", rtt min/avg/max %.3f/%.3f/%.3f ms", shortest_, average(), longest_);
      std::fputc('\n', stderr);
    }
    std::fflush(stdout);
  }

  bool all_answered() const { return received_ == sent_; }

 private:
  void note(const Outcome& outcome) {
    if (outcome.reply) {
      shortest_ = received_ == 0 ? outcome.rtt : std::min(shortest_, outcome.rtt);
      longest_ = std::max(longest_, outcome.rtt);
      sum_ += outcome.rtt;
      ++received_;
    } else {
      char limit[32];
      std::snprintf(limit, sizeof limit, "%g s", static_cast<double>(timeout_.count()) / 1000);
      complain(flags_.address + ": no reply within " + limit);
    }
    if (flags_.json) {
      replies_.push_back(as_json(outcome));
    } else if (outcome.reply) {
      std::printf("%s\n", printable(*outcome.reply, outcome.reply->size()).c_str());
      std::fflush(stdout);
    }
  }

  static Json as_json(const Outcome& outcome) {
    if (!outcome.reply) return nullptr;
    Json json = {{"rtt_ms", outcome.rtt}};
    if (is_utf8(*outcome.reply)) {
      json["text"] = *outcome.reply;
    } else {
      std::string hex;
      for (const char byte : *outcome.reply) {
        constexpr char digits[] = "0123456789abcdef";
        hex += digits[static_cast<unsigned char>(byte) >> 4];
        hex += digits[static_cast<unsigned char>(byte) & 15];
      }
      json["hex"] = std::move(hex);
    }
    return json;
  }

  Json summary() const {
    Json json = {{"sent", sent_}, {"received", received_}, {"lost", sent_ - received_}, {"replies", replies_}};
    if (received_ > 0) json["rtt_ms"] = {{"min", shortest_}, {"avg", average()}, {"max", longest_}};
    return json;
  }

  double average() const { return sum_ / static_cast<double>(received_); }

  const UdpFlags& flags_;
  std::chrono::milliseconds timeout_;
  UdpClient client_;
  Json replies_ = Json::array();
  std::size_t sent_ = 0, received_ = 0;
  double shortest_ = 0, longest_ = 0, sum_ = 0;
};

int udp(const UdpFlags& flags) {
  Endpoint endpoint;
  std::chrono::milliseconds timeout{}, interval{};
  std::string text = flags.text;
  try {
    endpoint = Endpoint::parse(flags.address);
    if (endpoint.is_unix()) throw std::invalid_argument(flags.address + ": UDP needs a host and a port");
    timeout = parse_duration("--timeout", flags.timeout);
    interval = parse_duration("--interval", flags.interval);
    if (flags.count < 1) throw std::invalid_argument("--count: at least 1, not " + std::to_string(flags.count));
    catch_interrupt();
    if (flags.text == "-") text = read_stdin();
    if (text.size() > UdpClient::max_datagram) {
      throw std::invalid_argument("the text has more than " + std::to_string(UdpClient::max_datagram) +
                                  " bytes, the most of one datagram");
    }
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  } catch (const Interrupted&) {
    return interrupted;
  }
  try {
    Requests requests(flags, endpoint, timeout);
    try {
      requests.run(text, interval);
    } catch (const Interrupted&) {
      requests.summarize();
      return interrupted;
    }
    requests.summarize();
    return requests.all_answered() ? ok : timed_out;
  } catch (const std::system_error& error) {
    complain(error.what());
    return cannot_connect;
  }
}

}  // namespace

void add_udp(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<UdpFlags>();
  CLI::App* command = app.add_subcommand("udp", "Send a datagram and print the reply");
  command->footer(
      "Examples: framecall udp 127.0.0.1:8080 'hello server baby!'\n"
      "          framecall udp 127.0.0.1:8080 hello --count 10 --interval 0.2\n"
      "          framecall udp 127.0.0.1:8080 - < message\n"
      "One reply is taken for each request, whatever else the server sends, and printed as one line, with control\n"
      "characters and what is not UTF-8 as \\x1b. Exit code 4 when a reply is missing: UDP does not tell whether\n"
      "anybody listens.");
  command->add_option("address", flags->address, "HOST:PORT or [IPV6]:PORT")->required();
  command->add_option("text", flags->text, "What to send, may be empty; - reads all of stdin, as it stands")
      ->required();
  command->add_option("--timeout", flags->timeout, "For each reply, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_option("--count", flags->count, "How many requests; above 1 with a summary on stderr")
      ->capture_default_str();
  command->add_option("--interval", flags->interval, "From one request to the next, seconds")->capture_default_str();
  command->add_flag("--json", flags->json, "Replies and summary on stdout as one JSON object");
  command->callback([flags, &exit_code] { exit_code = udp(*flags); });
}

}  // namespace framecall::cli
