// A call on its way out: what its caller said, checked, and its frame. For both clients.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/client_options.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

/// The texts of one request. Throws std::invalid_argument for params that are neither array, object nor null, for metadata
/// that is no object of strings, and for what has no JSON text.
class RequestEncoder {
 public:
  /// `method`, and what is to be the body, must outlive it.
  RequestEncoder(std::string_view method, const Json& params, std::string_view body, const CallOptions& options,
                 std::uint32_t max_header = default_max_header_size);
  /// The same with params that are JSON text already, unchecked; it must outlive it, too.
  RequestEncoder(std::string_view method, std::string_view params_text, std::string_view body,
                 const CallOptions& options, std::uint32_t max_header = default_max_header_size);
  RequestEncoder(const RequestEncoder&) = delete;

  std::string_view method() const { return method_; }
  /// The caller gave a timeout, which the server is told.
  bool timed() const { return timed_; }
  /// The head of its frame. `id`: JSON text, empty for a notification. `left`: the time until the deadline, which counts only
  /// if timed(). Throws std::invalid_argument for a header above longest_header_sent(max_header), and for one that the prefix has
  /// no room for.
  std::string encode(std::string_view id, std::chrono::nanoseconds left, bool stream = false,
                     const PrefixFormat& prefix = PrefixFormat()) const;

 private:
  std::string_view method_;
  std::uint64_t body_size_;
  std::string own_params_;
  std::string_view params_;
  std::string metadata_, digest_, layout_;
  std::uint32_t max_header_;
  bool timed_, more_;
};

/// `options` with a dialect of which only the lengths are left: some other settings would get into the way of calls.
ClientOptions with_lengths_alone(ClientOptions options);
/// How these options write lengths.
PrefixFormat prefix_of(const ClientOptions& options);
/// The dialect of these options, which must outlive it.
const Dialect& dialect_of(const ClientOptions& options);

/// The head of a part that a caller sends. Throws as RequestEncoder::encode().
std::string item_head(std::string_view id, const Part& part, bool more, std::uint32_t max_header,
                      const PrefixFormat& prefix = PrefixFormat());

/// The notification that gives a call up. `id`: JSON text.
std::string cancel_frame(std::string_view id, const PrefixFormat& prefix = PrefixFormat());

/// The name of a method, for messages.
std::string in_quotes(std::string_view method);

/// When a call of these options has to be over that begins at `now`.
std::chrono::steady_clock::time_point deadline_of(const CallOptions& call, const ClientOptions& client,
                                                  std::chrono::steady_clock::time_point now);

}  // namespace framecall
