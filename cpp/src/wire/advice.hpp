// What bytes that are no frame look like, for people who wonder: each cause is checked against the bytes before it is named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "framecall/wire/dialect.hpp"

namespace framecall {

/// For a length that cannot be one. `bytes` begin with it, and go on as far as they have come; `shown` of them are quoted.
/// Empty, or `; ...`.
std::string length_advice(std::string_view bytes, const PrefixFormat& format, std::uint32_t max_header,
                          std::size_t shown = 16);

/// For a header that cannot be read. `bytes` begin with its length, and go on as far as they have come. Empty, or what the
/// fault is, in place of the JSON reader's message.
std::string header_advice(std::string_view bytes, const PrefixFormat& format);

/// For a header that does not become whole.
std::string unfinished_advice(std::string_view bytes, const PrefixFormat& format);

}  // namespace framecall
