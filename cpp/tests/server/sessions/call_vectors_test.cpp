// The calls of interop_tests/vectors/vectors.json, among them the examples of the JSON-RPC 2.0 specification.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "framecall/stream.hpp"
#include "framecall/wire/json.hpp"
#include "support/serving.hpp"

namespace framecall::call_vectors_test {
namespace {

std::shared_ptr<Router> make_router() {
  auto router = std::make_shared<Router>();
  router->on("subtract", {"minuend", "subtrahend"}, [](int minuend, int subtrahend) { return minuend - subtrahend; });
  router->on("sum", [](Request& request) {
    const Json& numbers = request.params();
    return std::accumulate(numbers.begin(), numbers.end(), 0,
                           [](int sum, const Json& number) { return sum + number.get<int>(); });
  });
  router->on("update", [](Request&) {});
  router->on("get_data", [] { return Json{"hello", 5}; });
  router->on_stream("echo_parts", [](Request&, Stream& stream) {
    for (Part part; stream.read(part);) stream.write(std::move(part));
    return Response();
  });
  return router;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string frames_of(const nlohmann::json& list) {
  std::string bytes;
  for (const auto& one : list) {
    bytes += request(one.at("header").get<std::string>(), unhex(one.at("body").get<std::string>()));
  }
  return bytes;
}

// The frames, without what is for people in errors.
std::string without_messages(std::string_view bytes) {
  Decoder decoder;
  Header header;
  decoder.feed(bytes);
  std::string result;
  for (auto event = decoder.next_event(header); event != Decoder::Event::need_data;
       event = decoder.next_event(header)) {
    if (event == Decoder::Event::body_received) result += decoder.body();
    if (event != Decoder::Event::header_received) continue;
    Json value = parse_json(header.text());
    const bool failed = value.contains("error");
    if (failed) value["error"] = Json{{"code", value["error"]["code"]}};
    result += encode_head(failed ? dump_json(value) : std::string(header.text()));
  }
  return result;
}

TEST(CallVectors, are_answered_as_they_say) {
  ServingMethods server(make_router());
  const auto file = nlohmann::json::parse(std::ifstream(FRAMECALL_SOURCE_DIR "/interop_tests/vectors/vectors.json"));
  const auto& cases = file.at("calls");
  EXPECT_GT(cases.size(), 20u);
  for (const auto& one : cases) {
    Peer peer(server.tcp);
    peer.send(frames_of(one.at("send")));
    if (!one.contains("end")) peer.half_close();
    EXPECT_EQ(without_messages(peer.receive_all()), frames_of(one.at("receive"))) << one.at("name");
  }
}

}  // namespace
}  // namespace framecall::call_vectors_test
