// Handlers that are coroutines, for programs that run on Asio. See async_client.hpp about compiling it.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "framecall/call.hpp"
#include "framecall/responder.hpp"
#include "framecall/stream.hpp"

namespace framecall {

/// A handler for Router::on_later() that runs `function` as a coroutine on `executor`, which must outlive the server. When the
/// call is cancelled, late or lost, the coroutine is cancelled (what it waits for ends with operation_aborted).
///
///     asio::awaitable<framecall::Response> wait(framecall::Request request);   // a named function
///     router->on_later("wait", framecall::awaitable(io.get_executor(), wait));
std::function<void(Request, Responder)> awaitable(asio::any_io_executor executor,
                                                  std::function<asio::awaitable<Response>(Request)> function);

/// The same for Router::on_stream_later().
std::function<void(Request, Responder, std::shared_ptr<Stream>)> awaitable_stream(
    asio::any_io_executor executor,
    std::function<asio::awaitable<Response>(Request, std::shared_ptr<Stream>)> function);

/// The next part of a stream; nothing: the caller has sent its last one. Throws CallError as Stream::read() does.
asio::awaitable<std::optional<Part>> read_part(std::shared_ptr<Stream> stream);
/// Sends a part; waits while the caller is slow to take earlier ones. Throws as Stream::write() does.
asio::awaitable<void> send_part(std::shared_ptr<Stream> stream, Part part);

}  // namespace framecall
