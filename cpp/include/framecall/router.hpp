// The methods that a server has, by name.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/detail/method.hpp"
#include "framecall/detail/parameters.hpp"
#include "framecall/responder.hpp"

namespace framecall {

/// Built before the server and given to it; const afterwards, and then thread-safe. TCP and UDP may share one.
///
///     auto router = std::make_shared<framecall::Router>();
///     router->on("add", {"a", "b"}, [](int a, int b) { return a + b; });
///     router->on("upper", [](Request& request) { ...; return response; });
///     router->on_pool("sort", {"items"}, [](std::vector<std::string> items) { ...; return items; });
///     router->on_stream("count", [](Request&, Stream& stream) { ...; return Response(); });
class Router {
 public:
  /// Registers `function` as the method `name`. A function of plain parameters gets them from an array by place, from an object
  /// by `names`; -32602 answers a call that does not fit. A function of `Request&` gets the call. The result becomes the reply:
  /// a Response, or a value. An exception is answered: CallError with its code, any other with -32603. A second method of a name
  /// replaces the first. Throws std::invalid_argument for names that begin with `rpc.` or `file.`, see replace_builtin().
  template <class Function>
  Method& on(std::string name, Function function) {
    return add(std::move(name), {}, std::move(function), Method::Where::loop);
  }
  template <class Function>
  Method& on(std::string name, std::vector<std::string> names, Function function) {
    return add(std::move(name), std::move(names), std::move(function), Method::Where::loop);
  }
  /// The same for functions that wait or compute for long. They run on a thread of the pool.
  template <class Function>
  Method& on_pool(std::string name, Function function) {
    return add(std::move(name), {}, std::move(function), Method::Where::pool);
  }
  template <class Function>
  Method& on_pool(std::string name, std::vector<std::string> names, Function function) {
    return add(std::move(name), std::move(names), std::move(function), Method::Where::pool);
  }
  /// Registers a function that answers later. It is called on the event loop, and must not wait there.
  Method& on_later(std::string name, std::function<void(Request, Responder)> function);
  /// The same, called with the lock of ServerOptions::batch, where it may wait.
  Method& on_batch(std::string name, std::function<void(Request, Responder)> function);
  /// Registers a function that reads or writes parts: on one of ServerOptions::stream_threads, or later, as with on_later().
  Method& on_stream(std::string name, std::function<Response(Request&, Stream&)> function);
  Method& on_stream_later(std::string name, std::function<void(Request, Responder, std::shared_ptr<Stream>)> function);

  /// Permits a method of yours to replace the built-in `name`, such as "rpc.health". Register it afterwards. Throws
  /// std::invalid_argument if there is no such built-in.
  void replace_builtin(std::string_view name);

  const Method* find(std::string_view name) const;
  bool has_pool_methods() const;
  bool has_stream_methods() const;
  bool has_batch_methods() const;
  /// The OpenRPC document of all methods, and its JSON text, which is made once.
  Json discover() const;
  const std::string& discover_text() const;

  /// Has the built-in methods.
  Router();
  Router(const Router&) = delete;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  // The parameter types of whatever can be called.
  template <class F>
  struct Signature : Signature<decltype(&F::operator())> {};
  template <class R, class... Arguments>
  struct Signature<R (*)(Arguments...)> {
    using Result = R;
    using Values = std::tuple<std::decay_t<Arguments>...>;
    static constexpr bool takes_request = std::is_same_v<std::tuple<Arguments...>, std::tuple<Request&>>;
  };
  template <class R, class C, class... Arguments>
  struct Signature<R (C::*)(Arguments...)> : Signature<R (*)(Arguments...)> {};
  template <class R, class C, class... Arguments>
  struct Signature<R (C::*)(Arguments...) const> : Signature<R (*)(Arguments...)> {};

  template <class R, class Call>
  static Response respond(Call&& call) {
    if constexpr (std::is_void_v<R>) {
      call();
      return Response();
    } else if constexpr (std::is_same_v<R, Response>) {
      return call();
    } else {
      return Response(Parameter<std::decay_t<R>>::give(call()));
    }
  }

  template <class Function>
  Method& add(std::string name, std::vector<std::string> names, Function function, Method::Where where) {
    using Shape = Signature<Function>;
    using Result = typename Shape::Result;
    Method method;
    method.name = std::move(name);
    method.where = where;
    method.writes_json = !std::is_same_v<Result, Response>;
    if constexpr (Shape::takes_request) {
      method.handler = [function = std::move(function)](Request& request) mutable {
        return respond<Result>([&] { return function(request); });
      };
    } else {
      using Values = typename Shape::Values;
      describe<Values>(method, std::move(names), std::make_index_sequence<std::tuple_size_v<Values>>());
      if constexpr (!std::is_void_v<Result> && !std::is_same_v<Result, Response>) {
        method.result_schema = Parameter<std::decay_t<Result>>::schema();
      }
      method.handler = [function = std::move(function), parameters = method.parameters](Request& request) mutable {
        Values values{};
        unpack(request.params(), parameters, values, std::make_index_sequence<std::tuple_size_v<Values>>());
        return respond<Result>([&] { return std::apply(function, std::move(values)); });
      };
    }
    return insert(std::move(method));
  }

  template <class Values, std::size_t... I>
  static void describe(Method& method, std::vector<std::string> names, std::index_sequence<I...>) {
    check_names(method.name, names, sizeof...(I));
    (method.parameters.push_back({names.empty() ? std::string() : names[I],
                                  !is_optional<std::tuple_element_t<I, Values>>,
                                  Parameter<std::tuple_element_t<I, Values>>::schema()}),
     ...);
  }

  template <class Values, std::size_t... I>
  static void unpack(const Json& params, const std::vector<ParameterInfo>& parameters, Values& values,
                     std::index_sequence<I...>) {
    const std::vector<const Json*> given = match_params(params, parameters);
    [[maybe_unused]] const auto one = [&]<class T>(std::size_t index, T& value) {
      if (given[index] != nullptr && !Parameter<T>::take(*given[index], value)) {
        refuse_param(parameters[index], index, Parameter<T>::expected(), *given[index]);
      }
    };
    (one(I, std::get<I>(values)), ...);
  }

  static void check_names(const std::string& method, const std::vector<std::string>& names, std::size_t count);
  static std::vector<const Json*> match_params(const Json& params, const std::vector<ParameterInfo>& parameters);
  [[noreturn]] static void refuse_param(const ParameterInfo& parameter, std::size_t index, const std::string& expected,
                                        const Json& got);
  Method& insert(Method method);
  Method& add_later(std::string name, std::function<void(Request, Responder)> function, Method::Where where);
  bool has(Method::Where where, bool streams) const;

  std::unordered_map<std::string, Method, Hash, std::equal_to<>> methods_;
  mutable std::mutex discovery_mutex_;
  mutable std::string discovery_;
};

}  // namespace framecall
