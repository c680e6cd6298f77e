// What is to be done later, on another thread.
#pragma once

#include <memory>
#include <utility>

namespace framecall {

/// A function to be called once. Unlike std::function it takes what cannot be copied, and so needs no block of its own for it.
class Task {
 public:
  template <class Function>
  explicit Task(Function function) : function_(std::make_unique<Of<Function>>(std::move(function))) {}
  void operator()() { function_->call(); }

 private:
  struct Any {
    virtual ~Any() = default;
    virtual void call() = 0;
  };
  template <class Function>
  struct Of final : Any {
    explicit Of(Function given) : function(std::move(given)) {}
    void call() override { function(); }
    Function function;
  };
  std::unique_ptr<Any> function_;
};

}  // namespace framecall
