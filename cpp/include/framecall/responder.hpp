// How a handler gives its answer when it does so later.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "framecall/call.hpp"
#include "framecall/error.hpp"

namespace framecall {

/// The answer to one call, given later, from any thread, once. One that dies unanswered answers with an error.
class Responder {
 public:
  /// `send(Response* response, const Failure* failure)` gets one of them.
  template <class Send>
  explicit Responder(Send send) : once_(std::make_shared<OnceWith<Send>>(std::move(send))) {}

  void operator()(Response response) const { once_->answer(&response, nullptr); }
  void fail(const Failure& failure) const { once_->answer(nullptr, &failure); }
  void error(const CallError& error) const {
    fail({static_cast<std::int64_t>(error.code()), message_text(error.what()), error.data()});
  }
  /// The exception that is being handled.
  void current_exception() const { fail(current_failure()); }

 private:
  struct Once {
    Once() = default;
    Once(const Once&) = delete;
    virtual ~Once() = default;
    virtual void send(Response* response, const Failure* failure) = 0;
    // When send() throws, there is no answer yet: another one may follow.
    void answer(Response* response, const Failure* failure) {
      if (answered) return;
      send(response, failure);
      answered = true;
    }
    bool answered = false;
  };
  template <class Send>
  struct OnceWith final : Once {
    explicit OnceWith(Send given) : function(std::move(given)) {}
    ~OnceWith() override {
      if (answered) return;
      try {
        const Failure failure{static_cast<std::int64_t>(ErrorCode::internal_error), "the handler gave no answer", {}};
        answer(nullptr, &failure);
      } catch (const std::exception&) {
        // There is no memory for it: the deadline of the call, or the end of its connection, will be its answer.
      }
    }
    void send(Response* response, const Failure* failure) override { function(response, failure); }
    Send function;
  };
  std::shared_ptr<Once> once_;
};

}  // namespace framecall
