#include "server/sessions/session.hpp"

#include <limits>

namespace framecall {

std::span<char> BodySink::prepare(std::uint64_t) { return {}; }

void BodySink::commit(std::size_t) {}

std::int64_t Session::last_answer() const { return std::numeric_limits<std::int64_t>::min() / 2; }  // long ago

}  // namespace framecall
