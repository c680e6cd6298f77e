// The client for calls in programs that run on Asio. This header and awaitable.hpp are the ones that show Asio.
//
// Compile with ASIO_STANDALONE and ASIO_DISABLE_STD_ALIGNED_ALLOC, or the program's own Asio code and the library's may disagree
// about how memory is given back; with clang and Asio up to 1.22 also with ASIO_HAS_CO_AWAIT=1 and ASIO_HAS_STD_COROUTINE=1. The
// CMake target framecall::framecall and pkg-config do all of this. g++ 12 miscompiles some co_await expressions: keep
// arguments that are not trivial in named variables.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "framecall/call.hpp"
#include "framecall/client_options.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

class AsyncStream;

/// Calls methods of one server over one connection, any number at a time; replies come in any order. Connects with the first
/// call, and again with the next one after a loss or the server's close hint; then the calls under way stay on the old
/// connection.
///
/// `executor` runs one handler at a time: that of an io_context with one thread, or a strand. All functions must be called on
/// it, the destructor too. Cancelling a coroutine (asio::cancellation_signal, awaitable_operators) cancels its call: the
/// server is told, the coroutine ends with SystemError(operation_aborted).
///
/// Errors as with Client (client.hpp): RemoteError, UnavailableError for calls whose connection broke, SystemError with
/// timed_out (the server is told) or for no connection, ProtocolError, std::logic_error once closed.
class AsyncClient {
 public:
  /// ClientOptions::max_idle and check have no meaning here.
  AsyncClient(asio::any_io_executor executor, const Endpoint& endpoint, ClientOptions options = ClientOptions());
  /// close()
  ~AsyncClient();
  AsyncClient(const AsyncClient&) = delete;

  /// The result of a method; `params` is an array, an object, or null.
  asio::awaitable<Json> call(std::string method, Json params = nullptr, CallOptions options = CallOptions());
  /// The same with a body both ways.
  asio::awaitable<Response> request(std::string method, Json params = nullptr, Buffer body = Buffer(),
                                    CallOptions options = CallOptions());
  /// Ends when it has left.
  asio::awaitable<void> notify(std::string method, Json params = nullptr, Buffer body = Buffer(),
                               CallOptions options = CallOptions());
  /// Begins a call whose parts come and go one after the other. options.timeout counts for all of it, the client's own for
  /// each read and write. At most about 1 MiB of parts that nobody reads is kept; then nothing is read from the connection.
  asio::awaitable<AsyncStream> stream(std::string method, Json params = nullptr, Buffer body = Buffer(),
                                      CallOptions options = CallOptions());

  /// Calls that have no reply yet.
  std::size_t in_flight() const;
  /// Closes the connection; calls under way end with UnavailableError. No more calls afterwards.
  void close();

 private:
  class Implementation;
  // Coroutines, which may begin when the client is gone.
  static asio::awaitable<Response> run(std::shared_ptr<Implementation> client, std::string method, Json params,
                                       Buffer body, CallOptions options);
  static asio::awaitable<void> tell(std::shared_ptr<Implementation> client, std::string method, Json params,
                                    Buffer body, CallOptions options);
  static asio::awaitable<AsyncStream> open(std::shared_ptr<Implementation> client, std::string method, Json params,
                                           Buffer body, CallOptions options);
  std::shared_ptr<Implementation> implementation_;
};

/// One streamed call. Destroyed before its end, it is cancelled. One coroutine may read while another one writes.
class AsyncStream {
 public:
  class Implementation;
  explicit AsyncStream(std::shared_ptr<Implementation> implementation);
  AsyncStream(AsyncStream&&) noexcept;
  AsyncStream& operator=(AsyncStream&&) noexcept;
  ~AsyncStream();

  /// Sends a part of the request; only with CallOptions::more, and before finish_writing(): std::logic_error. Waits while much
  /// is unsent. Throws std::invalid_argument for a value that is not JSON.
  asio::awaitable<void> write(Part part);
  /// No more will be written.
  asio::awaitable<void> finish_writing();
  /// The next part of the reply; nothing: there was the last one. A last frame with the result null and no body is no part.
  asio::awaitable<std::optional<Part>> read();
  /// Behind the last part: the metadata of the reply; JSON text, or empty.
  const std::string& metadata() const;
  /// Tells the server that the rest is not wanted. read() then throws RemoteError(cancelled), or still ends well.
  void cancel();

 private:
  std::shared_ptr<Implementation> implementation_;
};

}  // namespace framecall
