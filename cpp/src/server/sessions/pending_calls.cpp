#include "server/sessions/pending_calls.hpp"

#include <utility>

namespace framecall {
namespace {

// Made beforehand: closing a connection must not fail.
const CallError caller_gone(ErrorCode::cancelled, "the caller is gone");

}  // namespace

PendingCalls::Call PendingCalls::add(const std::string& id, Request& request,
                                     const std::shared_ptr<MemoryBudget>& budget) {
  request.keep();
  auto call = std::make_shared<PendingCall>();
  call->id = id;
  call->stop = request.stop_source();
  call->memory = MemoryCharge(budget, request.memory() + sizeof(PendingCall));
  if (!id.empty()) {
    if (!by_id_) by_id_ = std::make_unique<ById>();
    by_id_->emplace(id, call);
  }
  ++running_;
  memory_ += call->memory.bytes();
  call->counted = true;
  return call;
}

void PendingCalls::release(PendingCall& call) {
  if (!std::exchange(call.counted, false) || closed_) return;
  memory_ -= call.memory.bytes();
  if (std::exchange(call.streams, false)) --streams_;
  call.place.reset();
  if (--running_ == 0) owner_.reset();
}

void PendingCalls::remove(PendingCall& call, const CallError& why) {
  close(call, why);
  by_id_->erase(call.id);
}

void PendingCalls::close(PendingCall& call, const CallError& why) {
  call.answered = true;
  if (const auto drop = std::exchange(call.drop_deadline, nullptr)) drop();
  close_input(call);
  resume(call);
  if (call.stream) call.stream->fail(why);
}

void PendingCalls::cancel_all() {
  closed_ = true;
  if (by_id_) {
    for (const auto& [id, call] : *by_id_) {
      close(*call, caller_gone);
      call->stop.request_stop();
    }
    by_id_->clear();
  }
  running_ = open_ = held_ = streams_ = memory_ = 0;
  owner_.reset();
}

PendingCalls::Call PendingCalls::find(const std::string& id) const {
  if (!by_id_) return nullptr;
  const auto found = by_id_->find(id);
  return found == by_id_->end() ? nullptr : found->second;
}

std::vector<PendingCalls::Call> PendingCalls::streams() const {
  std::vector<Call> calls;
  if (!by_id_) return calls;
  for (const auto& [id, call] : *by_id_) {
    if (call->stream) calls.push_back(call);
  }
  return calls;
}

void PendingCalls::begin_stream(PendingCall& call, std::shared_ptr<void> place) {
  call.place = std::move(place);
  call.streams = true;
  ++streams_;
}

void PendingCalls::open_input(PendingCall& call) {
  if (!std::exchange(call.open, true)) ++open_;
}

void PendingCalls::close_input(PendingCall& call) {
  if (std::exchange(call.open, false)) --open_;
}

void PendingCalls::hold(PendingCall& call) {
  if (!std::exchange(call.held, true)) ++held_;
}

void PendingCalls::resume(PendingCall& call) {
  if (std::exchange(call.held, false)) --held_;
}

}  // namespace framecall
