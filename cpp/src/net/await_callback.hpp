// Between coroutines and what calls back.
#pragma once

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

namespace framecall {

using Complete = std::function<void(std::exception_ptr)>;
using OnCancel = std::function<void(std::function<void()>)>;

// Suspends a coroutine. `start(complete, on_cancel)` keeps `complete` and calls it once, from any thread; `on_cancel(f)` has
// `f` called on the coroutine's executor if it is cancelled meanwhile, perhaps even behind `complete`. Not a coroutine itself, and not to be called inside
// of a co_await expression: g++ 12 destroys the captures of `start` twice there.
template <class Start>
asio::awaitable<void> suspend(Start start) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr)>(
      [start = std::move(start)](auto handler) mutable {
        const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
        const Complete complete = [kept](std::exception_ptr error) {
          const auto executor = asio::get_associated_executor(*kept);
          asio::post(executor, [kept, error] {
            auto slot = asio::get_associated_cancellation_slot(*kept);
            if (slot.is_connected()) slot.clear();
            std::move (*kept)(error);
          });
        };
        const OnCancel on_cancel = [kept](std::function<void()> cancel) {
          auto slot = asio::get_associated_cancellation_slot(*kept);
          if (slot.is_connected()) slot.assign([cancel](asio::cancellation_type) { cancel(); });
        };
        start(complete, on_cancel);
      },
      asio::use_awaitable);
}

}  // namespace framecall
