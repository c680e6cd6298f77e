// What a hostile server answers: in pieces it comes to the same as in one, and nothing but the errors that are meant leaves
// the reader, however the answer is used.
//
//   byte 0             bit 0: a header limit of 64 bytes, bit 1: bodies above 16 bytes come in pieces, bit 2: the stream ends
//   byte 1             how many sizes follow, in its lower four bits
//   sizes              one byte each, of pieces; used again and again
//   the rest           the stream
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <vector>

#include "framecall/detail/reply_decoder.hpp"

namespace {

using namespace framecall;

// One answer after the other as text, the pieces of a large body put together.
struct Received {
  std::string text;

  void add(const CallReply& reply) {
    if (!reply.continued) {
      text.append("\n").append(reply.id).append(" ").append(reply.result).append(" ").append(reply.metadata);
      text.append(" ").append(reply.layout).append(reply.more ? " more " : " ");
      if (reply.error) text.append(std::to_string(reply.error->code())).append(reply.error->what());
    }
    text.append(reply.body.view());
    if (!reply.continues) text.append(reply.damage ? " damaged" : ".");
  }
};

void use(CallReply reply) {
  CallReply again;
  again.id = reply.id;
  again.error = reply.error;
  again.result = reply.result;
  again.damage = reply.damage;
  again.more = reply.more;
  again.continues = reply.continues;
  try {
    response_of(std::move(reply), "peer");
  } catch (const RemoteError&) {
  } catch (const ProtocolError&) {
  }
  try {
    part_of(std::move(again));
  } catch (const RemoteError&) {
  } catch (const ProtocolError&) {
  }
}

// False when the stream has failed.
bool take(ReplyDecoder& reader, Received& received) {
  try {
    while (CallReply* reply = reader.next()) {
      received.add(*reply);
      use(std::move(*reply));
    }
    return true;
  } catch (const ProtocolError& error) {
    received.text.append("\nerror ").append(std::to_string(static_cast<int>(error.code())));
    return false;
  }
}

std::string read(std::string_view stream, const std::vector<std::size_t>& sizes, bool ends, std::uint32_t max_header,
                 std::uint64_t max_body) {
  ReplyDecoder reader(max_header, max_body);
  Received received;
  for (std::size_t i = 0; !stream.empty(); ++i) {
    const std::span<char> space = reader.prepare();
    if (space.empty()) std::abort();
    const std::size_t wanted = sizes.empty() ? stream.size() : std::max<std::size_t>(sizes[i % sizes.size()], 1);
    const std::size_t size = std::min({space.size(), wanted, stream.size()});
    std::memcpy(space.data(), stream.data(), size);
    stream.remove_prefix(size);
    reader.commit(size);
    if (!take(reader, received)) return received.text;
  }
  if (ends) {
    reader.commit(0);
    take(reader, received);
  }
  return received.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t max_header = (data[0] & 1) != 0 ? 64 : default_max_header_size;
  const std::uint64_t max_body = (data[0] & 2) != 0 ? 16 : 1 << 20;
  const bool ends = (data[0] & 4) != 0;
  const std::size_t count = std::min<std::size_t>(data[1] & 15, size - 2);
  const std::vector<std::size_t> sizes(data + 2, data + 2 + count);
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2 + count, size - 2 - count);

  const std::string whole = read(stream, {}, ends, max_header, max_body);
  const std::string pieces = read(stream, sizes, ends, max_header, max_body);
  if (whole == pieces) return 0;
  std::cerr << "in one piece:" << whole << "\nin pieces:" << pieces << "\n";
  std::abort();
}
