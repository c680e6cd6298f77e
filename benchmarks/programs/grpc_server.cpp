// gRPC: "unary" serves calls from two completion queues with a thread each, "stream" has the callback interface, whose
// bidirectional stream is gRPC's cheapest way to send a message there and back. Prints its port, as it listens for IPv6 too.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

using bench::Blob;
using bench::Echo;

struct Call {
  Echo::AsyncService& service;
  grpc::ServerCompletionQueue& queue;
  grpc::ServerContext context;
  grpc::ServerAsyncResponseWriter<Blob> writer{&context};
  Blob request, reply;
  bool answered = false;

  Call(Echo::AsyncService& of, grpc::ServerCompletionQueue& on) : service(of), queue(on) {
    service.RequestUnary(&context, &request, &writer, &queue, &queue, this);
  }
  void proceed(bool ok) {
    if (answered || !ok) {
      delete this;
      return;
    }
    new Call(service, queue);  // for the next one
    reply.Swap(&request);
    answered = true;
    writer.Finish(reply, grpc::Status::OK, this);
  }
};

class Streamed final : public grpc::ServerBidiReactor<Blob, Blob> {
 public:
  Streamed() { StartRead(&in_); }
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (ok) {
      replies_.emplace_back().Swap(&in_);
      if (replies_.size() == 1) StartWrite(&replies_.front());
      StartRead(&in_);
    } else {
      ending_ = true;
      if (replies_.empty()) Finish(grpc::Status::OK);
    }
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (ok) replies_.pop_front();
    if (!ok) replies_.clear();
    if (!replies_.empty()) StartWrite(&replies_.front());
    if (replies_.empty() && ending_) Finish(grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  std::mutex mutex_;
  std::deque<Blob> replies_;
  Blob in_;
  bool ending_ = false;
};

struct StreamService final : Echo::CallbackService {
  grpc::ServerBidiReactor<Blob, Blob>* Stream(grpc::CallbackServerContext*) override { return new Streamed; }
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Blob* request, Blob* reply) override {
    *reply = *request;
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

void print_port(int port) {
  std::printf("port %d\n", port);
  std::fflush(stdout);
}

void serve_calls(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue) {
  for (int i = 0; i < 128; ++i) new Call(service, queue);
  void* call;
  for (bool ok; queue.Next(&call, &ok);) static_cast<Call*>(call)->proceed(ok);
}

}  // namespace

int main(int argument_count, char** arguments) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  if (argument_count > 1 && std::string_view(arguments[1]) == "stream") {
    StreamService service;
    builder.RegisterService(&service);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    print_port(port);
    server->Wait();
    return 0;
  }
  Echo::AsyncService service;
  builder.RegisterService(&service);
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < 2; ++i) queues.push_back(builder.AddCompletionQueue());
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::vector<std::thread> threads;
  for (auto& queue : queues) threads.emplace_back(serve_calls, std::ref(service), std::ref(*queue));
  print_port(port);
  for (std::thread& thread : threads) thread.join();
}
