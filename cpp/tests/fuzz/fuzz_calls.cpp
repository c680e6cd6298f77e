// Any header of a call: read as one, or refused; its answer, with the id and the layout of the arrays that came, can be read by
// a client and says the same.
//
//   all of it          the text of a header
#include <cstdlib>
#include <iostream>

#include "framecall/call.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/header.hpp"
#include "wire/reply.hpp"

namespace {

using namespace framecall;

void fail(std::string_view what, std::string_view text, std::string_view answer) {
  std::cerr << what << ": " << printable(text, 400) << "\nanswer: " << printable(answer, 400) << "\n";
  std::abort();
}

// Reads what was written, as a client does.
ReplyHead read_back(const std::string& answer, Header& header, std::string_view text) {
  const std::string head = encode_head(answer);
  Decoder decoder(static_cast<std::uint32_t>(std::max<std::size_t>(answer.size(), 2)));
  decoder.feed(head);
  if (decoder.next_event(header) != Decoder::Event::header_received) fail("no whole frame", text, answer);
  ReplyHead reply;
  read_reply(header, reply);
  return reply;
}

void check(const Header& header, std::string_view text) {
  CallHead head;
  head.id = call_id(header);
  if (head.id.empty()) return;  // a notification
  Header parsed;
  std::string answer;
  try {
    read_call(header, head);
    Response response;
    response.layout = layout_of(header);
    write_reply(answer, head.id, response);
    const ReplyHead reply = read_back(answer, parsed, text);
    if (reply.id != head.id || reply.layout != response.layout) fail("another answer", text, answer);
  } catch (const CallError& error) {
    write_error_within(4096, answer, head.id, static_cast<std::int64_t>(error.code()), error.what(), error.data());
    const ReplyHead reply = read_back(answer, parsed, text);
    if (!reply.error || answer.size() > 4096) fail("no error", text, answer);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size < 2) return 0;
  const std::string head = encode_head(text);
  Decoder decoder(default_max_header_size);
  Header header;
  try {
    decoder.feed(head);
    if (decoder.next_event(header) != Decoder::Event::header_received) return 0;
    if (!header.has(Key::method)) return 0;
    check(header, text);
  } catch (const ProtocolError&) {
  } catch (const CallError&) {  // no readable id: the connection ends
  }
  return 0;
}
