// What the clients share: their arguments, the bodies they send, a clock with latencies, and the line that they print.
#pragma once
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace load {

constexpr int checks = 20;  // calls of each connection before the clock starts, each with a body of its own

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "load: %s\n", what);
  std::exit(1);
}

inline std::uint64_t now() {  // nanoseconds
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

struct Arguments {
  std::map<std::string, std::string> values = {{"--port", ""},     {"--connections", "1"}, {"--in-flight", "1"},
                                               {"--body", "32"},   {"--seconds", "2"},     {"--warm", "0.3"},
                                               {"--proto", "raw"}, {"--api", "unary"}};
  int port, connections, in_flight;
  std::size_t body;
  double seconds, warm;

  Arguments(int count, char** arguments) {
    for (int i = 1; i < count; i += 2) {
      const auto found = values.find(arguments[i]);
      if (found == values.end() || i + 1 == count) fail("unknown argument, or one without a value");
      found->second = arguments[i + 1];
    }
    port = std::stoi(values["--port"]);
    connections = std::stoi(values["--connections"]);
    in_flight = std::stoi(values["--in-flight"]);
    body = std::stoul(values["--body"]);
    seconds = std::stod(values["--seconds"]);
    warm = std::stod(values["--warm"]);
  }
  bool is(const char* flag, const char* value) const { return values.at(flag) == value; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }
};

// Lower case; another one for each number, so that a reply that belongs to another call is noticed.
inline std::string body_of(std::size_t size, std::uint64_t number) {
  std::string body(size, 'a');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (i * 7 + number * 3 + i / 251) % 26);
  return body;
}

inline std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return text;
}

// Nanoseconds in buckets, 128 to each power of two: less than 1 % off.
class Latencies {
 public:
  void add(std::uint64_t value) {
    ++count_;
    ++buckets_[bucket(value)];
  }
  void add(const Latencies& other) {
    count_ += other.count_;
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  }
  double microseconds(double quantile) const {
    const auto wanted = static_cast<std::uint64_t>(quantile * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > wanted) return value(i) / 1000;
    }
    return 0;
  }

 private:
  static std::size_t bucket(std::uint64_t value) {
    if (value < 256) return value;
    const int exponent = std::bit_width(value) - 8;
    return static_cast<std::size_t>(exponent) * 128 + (value >> exponent);
  }
  static double value(std::size_t bucket) {
    if (bucket < 256) return static_cast<double>(bucket);
    const std::size_t exponent = bucket / 128 - 1;
    return (static_cast<double>(bucket - exponent * 128) + 0.5) * static_cast<double>(std::uint64_t{1} << exponent);
  }
  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(128 * 60);
  std::uint64_t count_ = 0;
};

// Counts what is answered behind the warm-up and before the end.
struct Clock {
  std::uint64_t from = 0, until = 0, calls = 0, total = 0;
  Latencies latencies;

  explicit Clock(const Arguments& arguments) : arguments_(arguments) {}
  void start() {
    from = now() + static_cast<std::uint64_t>(arguments_.warm * 1e9);
    until = from + static_cast<std::uint64_t>(arguments_.seconds * 1e9);
  }
  // One call, sent and answered then. False once time is up.
  bool answered(std::uint64_t sent, std::uint64_t when) {
    ++total;
    if (when >= until) return false;
    if (when < from) return true;
    ++calls;
    latencies.add(when - sent);
    return true;
  }
  void print() const {
    std::printf(
        "{\"calls\": %llu, \"calls_total\": %llu, \"seconds\": %g, \"calls_per_second\": %.1f, \"p50_us\": %.2f, "
        "\"p99_us\": %.2f}\n",
        static_cast<unsigned long long>(calls), static_cast<unsigned long long>(total), arguments_.seconds,
        static_cast<double>(calls) / arguments_.seconds, latencies.microseconds(0.5), latencies.microseconds(0.99));
  }

 private:
  const Arguments& arguments_;
};

}  // namespace load
