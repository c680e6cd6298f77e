#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "framecall/client.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct PingFlags {
  std::string address, dialect = "default", interval = "1", size = "0", timeout = "5";
  std::optional<std::int64_t> count;  // signed, to see that -1 is not 2^64-1
  bool json = false, quiet = false;
};

double since(Clock::time_point start) { return Milliseconds(Clock::now() - start).count(); }

// Round trips, in ms.
class Times {
 public:
  void add(double time) {
    shortest_ = count_ == 0 ? time : std::min(shortest_, time);
    longest_ = std::max(longest_, time);
    sum_ += time;
    squares_ += time * time;
    ++count_;
    if (samples_.size() < most_samples) {
      samples_.push_back(time);
    } else {
      // Endless and without a pause they would fill the memory: each time so far is kept with the same chance.
      const auto place = std::uniform_int_distribution<std::uint64_t>(0, count_ - 1)(random_);
      if (place < samples_.size()) samples_[static_cast<std::size_t>(place)] = time;
    }
  }

  std::uint64_t count() const { return count_; }
  double shortest() const { return shortest_; }
  double longest() const { return longest_; }
  double average() const { return sum_ / static_cast<double>(count_); }
  /// The standard deviation, under ping's name.
  double deviation() const {
    return std::sqrt(std::max(squares_ / static_cast<double>(count_) - average() * average(), 0.0));
  }
  /// The least time that this share of all times does not exceed.
  double percentile(double share) const {
    std::vector<double> samples = samples_;
    const auto rank = static_cast<std::ptrdiff_t>(std::ceil(share * static_cast<double>(samples.size())));
    const auto place = samples.begin() + std::max<std::ptrdiff_t>(rank - 1, 0);
    std::nth_element(samples.begin(), place, samples.end());
    return *place;
  }

 private:
  static constexpr std::size_t most_samples = 1 << 20;
  std::vector<double> samples_;
  std::minstd_rand random_;
  std::uint64_t count_ = 0;
  double shortest_ = 0, longest_ = 0, sum_ = 0, squares_ = 0;
};

void say(const std::string& line) {
  if (std::fputs((line + "\n").c_str(), stdout) == EOF || std::fflush(stdout) != 0) {
    throw std::runtime_error("cannot write to stdout");
  }
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

double rounded(double time) { return std::round(time * 1000) / 1000; }  // to microseconds, as in the lines for people

class Pings {
 public:
  Pings(const PingFlags& flags, const Endpoint& endpoint, std::size_t size, const ClientOptions& options)
      : flags_(flags), client_(endpoint, options), body_(size, '\0') {
    for (std::size_t i = 0; i < size; ++i) body_[i] = static_cast<char>(i);  // a pattern, to see bytes out of place
  }

  void run(std::chrono::milliseconds interval) {
    while (!flags_.count || calls_ < static_cast<std::uint64_t>(*flags_.count)) {
      if (calls_ > 0) sleep_until(last_ + interval);
      check_interrupt();
      last_ = Clock::now();
      ping();
    }
  }

  /// Also in the middle: a call that was not waited for counts as lost.
  void summarize() const {
    const double lost =
        calls_ == 0 ? 0 : 100 * static_cast<double>(calls_ - times_.count()) / static_cast<double>(calls_);
    const double time = since(start_);
    if (flags_.json) {
      say(dump_json(summary(time)));
      return;
    }
    say("\n--- " + flags_.address + " ping statistics ---");
    say(std::to_string(calls_) + " calls, " + std::to_string(times_.count()) + " replies, " + format("%g", lost) +
        "% lost, time " + format("%.0f", time) + " ms");
    if (times_.count() == 0) return;
    std::string line = format("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms", times_.shortest(), times_.average(),
                              times_.longest(), times_.deviation());
    if (times_.count() > 1) {
      line += format(", p50/p99 = %.3f/%.3f ms", times_.percentile(0.5), times_.percentile(0.99));
    }
    say(line);
  }

  /// One reply is enough; without any the last failure tells why, if there was time for one.
  int exit_code() const {
    if (times_.count() > 0) return ok;
    return last_failure_ != ok ? last_failure_ : interrupted;
  }

 private:
  void ping() {
    ++calls_;
    Outcome outcome;
    double time = 0;
    try {
      const Response response = client_.request("rpc.ping", nullptr, body_);
      time = since(last_);
      if (response.body.view() != body_) {
        throw std::runtime_error("the body came back changed: " + std::to_string(body_.size()) + " bytes sent, " +
                                 std::to_string(response.body.size()) + " received");
      }
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      note_call_failure(outcome);
    }
    if (outcome.exit_code == ok) {
      note_reply(time);
    } else {
      note_loss(outcome);
    }
  }

  void note_reply(double time) {
    times_.add(time);
    if (flags_.quiet) return;
    if (flags_.json) {
      say(dump_json({{"seq", calls_}, {"bytes", body_.size()}, {"time_ms", rounded(time)}}));
    } else {
      say(std::to_string(body_.size()) + " bytes from " + flags_.address + ": seq=" + std::to_string(calls_) +
          format(" time=%.3f ms", time));
    }
  }

  void note_loss(const Outcome& outcome) {
    last_failure_ = outcome.exit_code;
    if (flags_.json && !flags_.quiet) {
      say(dump_json({{"seq", calls_}, {"error", printable(outcome.error, 2000)}}));
    } else {
      complain("seq=" + std::to_string(calls_) + ": " + outcome.error);
    }
  }

  Json summary(double time) const {
    Json json = {{"address", flags_.address},
                 {"calls", calls_},
                 {"replies", times_.count()},
                 {"lost", calls_ - times_.count()},
                 {"time_ms", rounded(time)}};
    if (times_.count() > 0) {
      json["rtt_ms"] = {{"min", rounded(times_.shortest())},      {"avg", rounded(times_.average())},
                        {"max", rounded(times_.longest())},       {"mdev", rounded(times_.deviation())},
                        {"p50", rounded(times_.percentile(0.5))}, {"p99", rounded(times_.percentile(0.99))}};
    }
    return json;
  }

  const PingFlags& flags_;
  Client client_;
  std::string body_;
  Times times_;
  std::uint64_t calls_ = 0;
  int last_failure_ = ok;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_;
};

int ping(const PingFlags& flags) {
  Endpoint endpoint;
  ClientOptions options;
  std::chrono::milliseconds interval{};
  std::uint64_t size = 0;
  try {
    endpoint = Endpoint::parse(flags.address);
    interval = parse_duration("--interval", flags.interval);
    options.timeout = parse_duration("--timeout", flags.timeout);
    options.dialect = dialect_of_calls(flags.dialect);
    options.attempts = 1;  // a ping that fails is what this is to show
    options.check = check_interrupt;
    size = parse_size("--size", flags.size);
    if (size > options.max_body) {
      throw std::invalid_argument("--size: at most " + std::to_string(options.max_body) + ", not " + flags.size);
    }
    if (flags.count && *flags.count < 1) {
      throw std::invalid_argument("--count: at least 1, not " + std::to_string(*flags.count));
    }
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  Pings pings(flags, endpoint, static_cast<std::size_t>(size), options);
  try {
    pings.run(interval);
  } catch (const Interrupted&) {
    // The usual end.
  }
  pings.summarize();
  return pings.exit_code();
}

}  // namespace

void add_ping(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<PingFlags>();
  CLI::App* command = app.add_subcommand("ping", "Call rpc.ping again and again and measure the time to the reply");
  command->footer(
      "Examples: framecall ping 127.0.0.1:8080\n"
      "          framecall ping 127.0.0.1:8080 -c 10000 -i 0 --size 64 --quiet\n"
      "All pings go over one connection; after a loss there is a new one. Connecting counts: it makes the first ping\n"
      "slower than the others. Exit code 0 when there was a reply, else 3, 4, 5 or 1, as the last ping failed.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("--count,-c", flags->count, "How many pings (default: until Ctrl-C)");
  command->add_option("--interval,-i", flags->interval, "From one ping to the next, seconds; 0: no pause")
      ->capture_default_str();
  command->add_option("--size", flags->size, "Of the body that goes along and has to come back, bytes")
      ->capture_default_str();
  add_call_dialect(*command, flags->dialect);
  command->add_option("--timeout", flags->timeout, "For each ping, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_flag("--json", flags->json,
                    "A JSON object for each ping, and one for the statistics, as lines on stdout");
  command->add_flag("--quiet,-q", flags->quiet, "Nothing but the statistics, and errors");
  command->callback([flags, &exit_code] { exit_code = ping(*flags); });
}

}  // namespace framecall::cli
