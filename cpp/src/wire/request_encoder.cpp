#include "framecall/detail/request_encoder.hpp"

#include <algorithm>
#include <stdexcept>

#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall {
namespace {

constexpr std::size_t usual_head_size = 160;  // of a call without params and metadata, the name of its method excepted

// Far enough away for everybody, near enough not to overflow.
constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365 * 10);

std::string checked_params(const Json& params) {
  if (params.is_null()) return {};
  if (!params.is_array() && !params.is_object()) {
    throw std::invalid_argument("params are neither an array nor an object: " + printable(dump_json(params), 60));
  }
  return dump_json(params);
}

std::string metadata_text(const Json& metadata) {
  if (metadata.is_null()) return {};
  const bool fits = metadata.is_object() &&
                    std::all_of(metadata.begin(), metadata.end(), [](const Json& value) { return value.is_string(); });
  if (!fits) throw std::invalid_argument("metadata is no object of strings: " + printable(dump_json(metadata), 60));
  return metadata.empty() ? std::string() : dump_json(metadata);
}

std::size_t longest_header_sent(std::uint32_t max_header, const PrefixFormat& prefix) {
  const std::size_t most = framecall::longest_header_sent(max_header);
  return prefix == PrefixFormat() ? most : std::min(most, longest_header(prefix));
}

}  // namespace

RequestEncoder::RequestEncoder(std::string_view method, const Json& params, std::string_view body,
                               const CallOptions& options, std::uint32_t max_header)
    : RequestEncoder(method, std::string_view(), body, options, max_header) {
  check_layout(layout_);
  own_params_ = checked_params(params);
  params_ = own_params_;
}

RequestEncoder::RequestEncoder(std::string_view method, std::string_view params_text, std::string_view body,
                               const CallOptions& options, std::uint32_t max_header)
    : method_(method),
      body_size_(body.size()),
      params_(params_text),
      metadata_(metadata_text(options.metadata)),
      layout_(options.layout),
      max_header_(max_header),
      timed_(options.timeout.count() > 0),
      more_(options.more) {
  if (options.timeout.count() < 0) throw std::invalid_argument("a timeout below 0");
  if (options.digest && !body.empty()) digest_ = digest_member(body);
}

std::string RequestEncoder::encode(std::string_view id, std::chrono::nanoseconds left, bool stream,
                                   const PrefixFormat& prefix) const {
  CallHead head;
  head.id = id;
  head.method = method_;
  head.params = params_;
  head.metadata = metadata_;
  head.digest = digest_;
  head.layout = layout_;
  head.stream = stream;
  head.more = stream && more_;
  if (timed_) {
    const std::int64_t milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    head.timeout_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(milliseconds, 1));
  }
  std::string frame;
  frame.reserve(usual_head_size + method_.size() + params_.size() + metadata_.size() + digest_.size() + layout_.size());
  frame.append(4, '\0');
  write_call(frame, head, body_size_);
  const std::size_t size = frame.size() - 4;
  const std::size_t most = longest_header_sent(max_header_, prefix);
  if (size > most) {
    const bool metadata = metadata_.size() > params_.size();
    throw std::invalid_argument(
        "call of " + in_quotes(method_) + ": " +
        header_too_large(metadata ? "metadata" : "params", metadata ? metadata_.size() : params_.size(), size, most));
  }
  if (prefix != PrefixFormat()) return encode_head(std::string_view(frame).substr(4), prefix);
  fill_prefix(frame);
  return frame;
}

std::string item_head(std::string_view id, const Part& part, bool more, std::uint32_t max_header,
                      const PrefixFormat& prefix) {
  std::string header;
  write_part(header, id, "item", part, more);
  const std::size_t most = longest_header_sent(max_header, prefix);
  if (header.size() > most) {
    throw std::invalid_argument(header_too_large("item", part.value.size(), header.size(), most));
  }
  return encode_head(header, prefix);
}

std::string cancel_frame(std::string_view id, const PrefixFormat& prefix) {
  CallHead head;
  head.method = "rpc.cancel";
  const std::string params = std::string("{\"id\": ").append(id).append("}");
  head.params = params;
  std::string header;
  write_call(header, head, 0);
  return encode_head(header, prefix);
}

ClientOptions with_lengths_alone(ClientOptions options) {
  if (!options.dialect) return options;
  const auto dialect = std::make_shared<Dialect>();
  dialect->prefixes = {options.dialect->prefixes.front()};
  dialect->byte_order_mark = options.dialect->byte_order_mark;
  options.dialect = dialect;
  return options;
}

PrefixFormat prefix_of(const ClientOptions& options) { return dialect_of(options).prefixes.front(); }

const Dialect& dialect_of(const ClientOptions& options) {
  return options.dialect ? *options.dialect : default_dialect();
}

std::string in_quotes(std::string_view method) {
  return std::string(1, '"').append(printable(method, 60)).append(1, '"');
}

std::chrono::steady_clock::time_point deadline_of(const CallOptions& call, const ClientOptions& client,
                                                  std::chrono::steady_clock::time_point now) {
  const auto timeout = call.timeout.count() > 0 ? call.timeout : client.timeout;
  return now + std::min(timeout, longest);
}

}  // namespace framecall
