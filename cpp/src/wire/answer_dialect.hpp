// The dialect in which a client reads what its peer answers.
#pragma once

#include <cstdint>

#include "framecall/wire/dialect.hpp"

namespace framecall {

/// For a peer of `dialect`. Raw text is recognised whatever the dialect is, so that text in place of a frame goes into a message.
/// A frame has no body until expect_body().
Dialect answer_dialect(const Dialect& dialect);

/// What follows a header that is to come: nothing, the body of an answer, or a file, perhaps with its checksum behind it.
enum class AnswerBody : std::uint8_t { none, body, file };
/// Changes `reading`, an answer_dialect() of `dialect`.
void expect_body(Dialect& reading, const Dialect& dialect, AnswerBody body);

}  // namespace framecall
