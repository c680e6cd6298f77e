// What a straightforward server of framecall's wire costs: Asio coroutines and nlohmann::json, which parses each header
// and writes each reply's. It answers all that one read brought with one write.
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "asio_server.hpp"

namespace {

constexpr std::size_t max_header = 65536;

void answer(std::string& out, const nlohmann::json& request, std::string_view body) {
  const nlohmann::json reply = {
      {"jsonrpc", "2.0"}, {"id", request.at("id")}, {"result", nullptr}, {"body_size", body.size()}};
  const std::string header = reply.dump();
  const auto length = static_cast<std::uint32_t>(header.size());
  out.append(reinterpret_cast<const char*>(&length), 4).append(header);
  const bool upper = request.at("method") == "upper";
  if (!upper) {
    out += body;
    return;
  }
  for (const char c : body) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

// Answers every whole frame; returns how many bytes they had, and makes room for the one that follows.
std::size_t answer_all(std::string& in, std::size_t size, std::string& out) {
  std::size_t at = 0;
  while (size - at >= 4) {
    std::uint32_t length;
    std::memcpy(&length, in.data() + at, 4);
    if (length > max_header) throw std::runtime_error("too large a header");
    const char* const header = in.data() + at + 4;
    if (size - at < 4 + length) break;
    const nlohmann::json request = nlohmann::json::parse(header, header + length);
    const std::size_t body = request.at("body_size"), frame = 4 + length + body;
    if (size - at < frame) {
      if (frame > in.size()) in.resize(frame + max_header);
      break;
    }
    answer(out, request, {header + length, body});
    at += frame;
  }
  return at;
}

asio::awaitable<void> session(tcp::socket socket) try {
  std::string in(max_header, 0), out;
  for (std::size_t size = 0;;) {
    const asio::mutable_buffer room = asio::buffer(in.data() + size, in.size() - size);
    size += co_await socket.async_read_some(room, asio::use_awaitable);
    out.clear();
    const std::size_t at = answer_all(in, size, out);
    const asio::const_buffer replies = asio::buffer(out);
    if (!out.empty()) co_await asio::async_write(socket, replies, asio::use_awaitable);
    std::memmove(in.data(), in.data() + at, size - at);
    size -= at;
  }
} catch (const std::exception&) {
}

}  // namespace

int main() { serve(session); }
