// Parts of the hot paths by themselves, in one thread and without sockets: headers read and written, frames decoded, calls
// dispatched. `./dev bench micro` builds and runs it.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/detail/json_text.hpp"
#include "framecall/router.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {
namespace {

constexpr std::string_view call_text =
    R"({"jsonrpc": "2.0", "id": 123456, "method": "echo", "params": {"a": 1, "b": [2.5, "three"]}, "body_size": 32})";
constexpr std::string_view reply_text = R"({"jsonrpc": "2.0", "id": 123456, "result": null, "body_size": 32})";
constexpr std::string_view upload_text = R"({"file_name": "photo \u4f60\u597d.jpg", "file_size": 1048576})";

void read_header(benchmark::State& state, std::string_view text) {
  Header header;
  for (auto _ : state) {
    header.read(text);
    benchmark::DoNotOptimize(header.find(Key::id));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(read_header, call, call_text);
BENCHMARK_CAPTURE(read_header, reply, reply_text);
BENCHMARK_CAPTURE(read_header, upload, upload_text);

void write_call_header(benchmark::State& state) {
  CallHead head;
  head.method = "echo";
  head.params = R"({"a": 1, "b": [2.5, "three"]})";
  std::string text;
  for (auto _ : state) {
    text.clear();
    write_call(text, head, 32);
    benchmark::DoNotOptimize(text.data());
  }
}
BENCHMARK(write_call_header);

void write_reply_header(benchmark::State& state) {
  const Response response;
  std::string text;
  for (auto _ : state) {
    text.clear();
    write_reply(text, "123456", response, false);
    benchmark::DoNotOptimize(text.data());
  }
}
BENCHMARK(write_reply_header);

void read_value(benchmark::State& state) {
  for (auto _ : state) {
    Json value = parse_json(R"({"a": 1, "b": [2.5, "three"], "c": "\u4f60\u597d", "d": null})");
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(read_value);

// As many calls as the argument says in what one read brought.
void decode_frames(benchmark::State& state) {
  std::string bytes;
  for (std::int64_t i = 0; i < state.range(0); ++i) bytes += encode_head(call_text).append(32, 'b');
  Decoder decoder;
  Header header;
  for (auto _ : state) {
    std::memcpy(decoder.prepare(bytes.size()).data(), bytes.data(), bytes.size());
    decoder.commit(bytes.size());
    while (decoder.next_event(header) != Decoder::Event::need_data) {
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(decode_frames)->Arg(1)->Arg(64);

void dispatch(benchmark::State& state) {
  Router router;
  for (int i = 0; i < 50; ++i) router.on("method_" + std::to_string(i), [] { return 1; });
  router.on("add", {"a", "b"}, [](int a, int b) { return a + b; });
  for (auto _ : state) {
    const Method* const method = router.find("add");
    benchmark::DoNotOptimize(method);
  }
}
BENCHMARK(dispatch);

}  // namespace
}  // namespace framecall

BENCHMARK_MAIN();
