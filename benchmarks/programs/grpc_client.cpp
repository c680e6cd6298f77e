// gRPC. --api unary: the blocking stub for one call in flight, else one completion queue and one thread for all channels.
// --api stream: messages on one bidirectional stream of each channel.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "echo.grpc.pb.h"
#include "load.hpp"

namespace {

using bench::Blob;
using bench::Echo;

struct Call {
  Echo::Stub* stub = nullptr;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Blob>> reader;
  Blob reply;
  grpc::Status status;
  std::uint64_t sent = 0;

  void start(const Blob& request, grpc::CompletionQueue& queue) {
    context = std::make_unique<grpc::ClientContext>();
    sent = load::now();
    reader = stub->AsyncUnary(context.get(), request, &queue);
    reader->Finish(&reply, &status, this);
  }
};

// All streams share one clock, so one lock.
struct Shared {
  load::Clock& clock;
  const Blob& request;
  std::size_t in_flight;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t open = 0;
};

class Streamed final : public grpc::ClientBidiReactor<Blob, Blob> {
 public:
  Streamed(Echo::Stub& stub, Shared& shared) : shared_(shared), to_write_(shared.in_flight), sent_(shared.in_flight) {
    stub.async()->Stream(&context_, this);
    AddHold();
    StartRead(&reply_);
    write();
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(shared_.mutex);
    writing_ = false;
    if (over_) end();
    if (ok && !over_) write();
  }
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(shared_.mutex);
    if (!ok) return;
    if (reply_.body() != shared_.request.body()) load::fail("a wrong reply");
    const bool on = shared_.clock.answered(sent_[read_++ % sent_.size()], load::now());
    if (!on && !over_) {
      over_ = true;
      if (!writing_) end();
    }
    if (!over_) {
      ++to_write_;
      write();
    }
    StartRead(&reply_);
  }
  void OnDone(const grpc::Status&) override {
    const std::lock_guard lock(shared_.mutex);
    --shared_.open;
    shared_.changed.notify_all();
  }

 private:
  void write() {
    if (writing_ || to_write_ == 0) return;
    writing_ = true;
    --to_write_;
    sent_[written_++ % sent_.size()] = load::now();
    StartWrite(&shared_.request);
  }
  void end() {
    if (ended_) return;
    ended_ = true;
    StartWritesDone();
    RemoveHold();
  }

  grpc::ClientContext context_;
  Shared& shared_;
  Blob reply_;
  std::size_t to_write_, read_ = 0, written_ = 0;
  std::vector<std::uint64_t> sent_;
  bool writing_ = false, over_ = false, ended_ = false;
};

using Stubs = std::vector<std::unique_ptr<Echo::Stub>>;

void stream_all(Stubs& stubs, Shared& shared) {
  std::deque<Streamed> streams;
  std::unique_lock lock(shared.mutex);
  shared.open = stubs.size();
  for (auto& stub : stubs) streams.emplace_back(*stub, shared);
  shared.changed.wait(lock, [&] { return shared.open == 0; });
}

void stream_one(Echo::Stub& stub, Shared& shared) {
  grpc::ClientContext context;
  const auto stream = stub.Stream(&context);
  Blob reply;
  for (bool on = true; on;) {
    const std::uint64_t sent = load::now();
    if (!stream->Write(shared.request) || !stream->Read(&reply)) load::fail("the stream broke");
    on = shared.clock.answered(sent, load::now());
    if (reply.body() != shared.request.body()) load::fail("a wrong reply");
  }
  stream->WritesDone();
  stream->Finish();
}

void call_all(Stubs& stubs, Shared& shared) {
  grpc::CompletionQueue queue;
  std::deque<Call> calls(stubs.size() * shared.in_flight);
  std::size_t open = 0;
  for (Call& call : calls) {
    call.stub = stubs[open++ % stubs.size()].get();
    call.start(shared.request, queue);
  }
  void* done;
  for (bool ok, on = true; open && queue.Next(&done, &ok);) {
    Call& call = *static_cast<Call*>(done);
    if (!call.status.ok() || call.reply.body() != shared.request.body()) load::fail("a call failed");
    on = shared.clock.answered(call.sent, load::now()) && on;
    if (on) call.start(shared.request, queue);
    if (!on) --open;
  }
}

void call_one(Echo::Stub& stub, Shared& shared) {
  Blob reply;
  for (bool on = true; on;) {
    grpc::ClientContext context;
    const std::uint64_t sent = load::now();
    if (!stub.Unary(&context, shared.request, &reply).ok()) load::fail("a call failed");
    on = shared.clock.answered(sent, load::now());
    if (reply.body().size() != shared.request.body().size()) load::fail("a wrong reply");
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  load::Clock clock(flags);
  grpc::ChannelArguments channel;
  channel.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection for each channel
  Stubs stubs;
  for (int i = 0; i < flags.connections; ++i) {
    stubs.push_back(
        Echo::NewStub(grpc::CreateCustomChannel(flags.address(), grpc::InsecureChannelCredentials(), channel)));
    for (int k = 0; k < load::checks; ++k) {
      grpc::ClientContext context;
      Blob request, reply;
      request.set_body(load::body_of(flags.body, ++clock.total));
      const grpc::Status status = stubs.back()->Unary(&context, request, &reply);
      if (!status.ok()) load::fail(status.error_message().c_str());
      if (reply.body() != request.body()) load::fail("a wrong reply");
    }
  }
  Blob request;
  request.set_body(load::body_of(flags.body, 1));
  Shared shared{clock, request, static_cast<std::size_t>(flags.in_flight), {}, {}, 0};
  const bool one = flags.connections == 1 && flags.in_flight == 1;
  clock.start();
  if (flags.is("--api", "stream")) {
    one ? stream_one(*stubs[0], shared) : stream_all(stubs, shared);
  } else {
    one ? call_one(*stubs[0], shared) : call_all(stubs, shared);
  }
  clock.print();
}
