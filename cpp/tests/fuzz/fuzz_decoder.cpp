// The fuzzer writes a stream and how it is cut; in one piece it must come to the same.
//
//   byte 0             bits 0 to 2: the Way, bit 3: the stream ends, bit 4: a header limit of 64 bytes, bits 5 to 7: the
//                      dialect
//   byte 1             how many sizes follow, in its lower four bits
//   sizes              one byte each, of pieces; used again and again
//   the rest           the stream
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "framecall/wire/dialect_file.hpp"
#include "support/decoding.hpp"

namespace {

using namespace framecall;

const Dialect& dialect_of(std::uint8_t choice) {
  static const std::vector<Dialect> all = {default_dialect(),           find_dialect("auto"),
                                           find_dialect("lesson-get"),  find_dialect("framed"),
                                           find_dialect("md5-trailer"), find_dialect("ascii-length"),
                                           find_dialect("real-python"), find_dialect("eight-bytes")};
  return all[choice % all.size()];
}

// In the dialects that tell by the first bytes what comes, the text of an error depends on how many there were.
bool equal(Outcome a, Outcome b, const Dialect& dialect) {
  if (!dialect.lines && dialect.prefixes.size() == 1) return a == b;
  return a.messages == b.messages && a.end.substr(0, a.end.find(':')) == b.end.substr(0, b.end.find(':'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Dialect& dialect = dialect_of(data[0] >> 5);
  const Way way = ways[(data[0] & 7) % std::size(ways)];
  const bool closed = (data[0] & 8) != 0;
  const std::uint32_t limit = (data[0] & 16) != 0 ? 64 : default_max_header_size;
  const std::size_t count = std::min<std::size_t>(data[1] & 15, size - 2);
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2 + count, size - 2 - count);

  std::vector<std::size_t> sizes;
  std::size_t taken = 0;
  for (std::size_t i = 0; count > 0 && taken < stream.size() && i < 5000; ++i) {
    sizes.push_back(data[2 + i % count]);
    taken += sizes.back();
  }
  const Outcome whole = decode(stream, {}, Way::feed, closed, limit, dialect);
  const Outcome pieces = decode(stream, sizes, way, closed, limit, dialect);
  if (equal(whole, pieces, dialect)) return 0;
  std::cerr << "in one piece:\n" << whole << "\nin pieces:\n" << pieces << "\n";
  std::abort();
}
