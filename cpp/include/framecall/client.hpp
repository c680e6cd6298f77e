// The blocking client for calls.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/client_options.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

class RequestEncoder;
class ClientStream;
class Pipeline;

/// Calls methods of one server, or of several that are alike. Connects with the first call, and again when a connection was
/// lost; each call has a connection of a small pool for itself. No hidden thread. All functions may be called from any
/// thread; after fork() the child has connections of its own.
///
/// Several endpoints: each call goes to the next one; one that cannot be reached is left out for a while.
///
/// What can go wrong, in all of them:
///  - RemoteError: the server answered with an error; `code()` tells which.
///  - UnavailableError: the connection was lost with the call under way. Calls marked idempotent are sent again first.
///  - SystemError: no connection (the errno), or timed_out. The message names the endpoint, the attempts, the time.
///  - ProtocolError: what came is no reply; code data_loss: a body with another digest than announced.
///  - std::logic_error: misuse, such as a closed client; std::invalid_argument for params that have no JSON text.
class Client {
 public:
  explicit Client(const Endpoint& endpoint, ClientOptions options = ClientOptions());
  /// Throws std::invalid_argument for none.
  explicit Client(const std::vector<Endpoint>& endpoints, ClientOptions options = ClientOptions());
  ~Client();
  Client(const Client&) = delete;

  /// The result of a method. `params`: an array (by place), an object (by name), or null (none).
  ///
  ///     client.call("add", {2, 3}).get<int>()
  Json call(std::string_view method, const Json& params = nullptr, const CallOptions& options = CallOptions());
  /// The same with a body both ways. `body` is not copied.
  Response request(std::string_view method, const Json& params = nullptr, std::string_view body = {},
                   const CallOptions& options = CallOptions());
  /// The same with params that are JSON text already: of an array or an object, or empty. They are not checked.
  Response request_text(std::string_view method, std::string_view params_text, std::string_view body,
                        const CallOptions& options);
  /// Says it and waits for no answer: whether it arrived is not known.
  void notify(std::string_view method, const Json& params = nullptr, std::string_view body = {},
              const CallOptions& options = CallOptions());
  void notify_text(std::string_view method, std::string_view params_text, std::string_view body,
                   const CallOptions& options);

  /// Many calls in one go; see Pipeline.
  Pipeline pipeline();
  /// Begins a call whose parts come and go one after the other; see ClientStream. `options.timeout` counts for all of it,
  /// the client's own for each read and write.
  ClientStream stream(std::string_view method, const Json& params = nullptr, std::string_view body = {},
                      const CallOptions& options = CallOptions());
  ClientStream stream_text(std::string_view method, std::string_view params_text, std::string_view body,
                           const CallOptions& options);

  /// Closes the idle connections; calls under way go on. No more calls afterwards.
  void close();

 private:
  friend class ClientStream;
  friend class Pipeline;
  Response request(const RequestEncoder& call, std::string_view body, const CallOptions& options);
  void notify(const RequestEncoder& call, std::string_view body, const CallOptions& options);

  class Implementation;
  std::shared_ptr<Implementation> implementation_;
};

/// Calls that are sent together over one connection, without waiting for the answer to each. One thread at a time.
///
///     framecall::Pipeline pipeline = client.pipeline();
///     for (int i = 0; i < 100; ++i) pipeline.add("add", {i, 1});
///     for (framecall::Pipeline::Outcome& outcome : pipeline.run()) use(outcome.get());
class Pipeline {
 public:
  /// What came of one call.
  struct Outcome {
    Response response;
    std::exception_ptr error;  ///< a RemoteError, or a ProtocolError(data_loss); null: there is a response
    bool answered = false;
    /// The response; throws the error.
    Response& get();
  };

  explicit Pipeline(std::shared_ptr<Client::Implementation> client);
  Pipeline(Pipeline&&) noexcept;
  ~Pipeline();

  /// One more. The body is copied.
  void add(std::string_view method, const Json& params = nullptr, std::string_view body = {});
  void add_text(std::string_view method, std::string_view params_text, std::string_view body,
                const CallOptions& options);
  std::size_t size() const { return count_; }
  /// Sends all and waits for all, at most the timeout; the outcomes are in the order of add(). Empty afterwards, also after
  /// an exception: what Client throws about connections counts for all calls together.
  std::vector<Outcome> run(const CallOptions& options = CallOptions());

 private:
  void add(const RequestEncoder& call, std::string_view body);

  std::shared_ptr<Client::Implementation> client_;
  Buffer frames_;
  std::size_t count_ = 0;
};

/// One streamed call, on a connection of its own. Destroyed before its end, it is cancelled, and its connection closed. One
/// thread at a time. Errors as with Client; after one it is over.
class ClientStream {
 public:
  ClientStream(ClientStream&&) noexcept;
  ~ClientStream();

  /// Sends a part of the request; only with CallOptions::more, and before finish_writing(): std::logic_error. Takes in what
  /// the server says meanwhile, for read(). False: the call is over already, and read() tells how; perhaps not at once.
  /// Throws std::invalid_argument for a value that is not JSON.
  bool write(const Part& part);
  /// The same for a value that is JSON for certain: it is not checked.
  bool write_unchecked(const Part& part);
  /// No more will be written.
  void finish_writing();
  /// The next part of the reply; false: there was the last one. A last frame with the result null and no body is no part.
  /// A body above max_body comes in pieces.
  bool read(Part& part);
  /// Behind the last part: the metadata of the reply; JSON text, or empty.
  const std::string& metadata() const;
  /// Tells the server that the rest is not wanted. read() then throws RemoteError(cancelled), or still ends well.
  void cancel();

 private:
  friend class Client;
  class Implementation;
  explicit ClientStream(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace framecall
