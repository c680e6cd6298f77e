// Makes a frame, reads it back and prints what it says.
#include <framecall/frame.hpp>
#include <framecall/json.hpp>
#include <framecall/version.hpp>

#include <iostream>
#include <string>

int main() {
  const std::string body = "hello";
  const std::string stream = framecall::encode_head(R"({"id": 1, "method": "upper", "body_size": 5})") + body;

  using Event = framecall::Decoder::Event;
  framecall::Decoder decoder;
  framecall::Header header;
  decoder.feed(stream);
  for (auto event = decoder.next_event(header); event != Event::need_data; event = decoder.next_event(header)) {
    if (event == Event::header_received) std::cout << header.find(framecall::Key::method)->text << ' ';
    if (event == Event::body_received) std::cout << decoder.body() << ' ';
  }
  std::cout << "framecall " << framecall::version << '\n';
}
