// Asio coroutines, no JSON: [u32 length][bytes] frames go back unchanged, all that one read brought at once.
#include <cstdint>
#include <cstring>
#include <string>

#include "asio_server.hpp"

namespace {

asio::awaitable<void> echo(tcp::socket socket) try {
  std::string buffer(65536, 0);
  for (std::size_t size = 0;;) {
    const asio::mutable_buffer room = asio::buffer(buffer.data() + size, buffer.size() - size);
    size += co_await socket.async_read_some(room, asio::use_awaitable);
    std::size_t whole = 0, frame = 0;
    while (size - whole >= 4) {
      std::uint32_t length;
      std::memcpy(&length, buffer.data() + whole, 4);
      frame = 4 + std::size_t{length};
      if (size - whole < frame) break;
      whole += frame;
    }
    if (whole) {
      const asio::const_buffer frames = asio::buffer(buffer.data(), whole);
      co_await asio::async_write(socket, frames, asio::use_awaitable);
      std::memmove(buffer.data(), buffer.data() + whole, size - whole);
      size -= whole;
    }
    if (size && frame > buffer.size()) buffer.resize(frame);
  }
} catch (const std::system_error&) {
}

}  // namespace

int main() { serve(echo); }
