#include "framecall/router.hpp"

#include <algorithm>
#include <stdexcept>

#include "framecall/version.hpp"
#include "server/methods/method_table.hpp"

namespace framecall {
namespace {

[[noreturn]] void reject(const std::string& message) { throw CallError(ErrorCode::invalid_params, message); }

std::string title(const ParameterInfo& parameter, std::size_t index) {
  std::string text = "parameter " + std::to_string(index + 1);
  if (!parameter.name.empty()) text.append(" (").append(parameter.name).append(")");
  return text;
}

std::string expected_names(const std::vector<ParameterInfo>& parameters) {
  std::string text;
  for (const ParameterInfo& parameter : parameters) {
    text.append(text.empty() ? "" : ", ").append(parameter.name).append(parameter.required ? "" : " (optional)");
  }
  return text.empty() ? "none" : text;
}

template <class Answer>
void check(const Method& method, const Answer& answer) {
  try {
    check_json(answer);
  } catch (const std::invalid_argument& error) {
    throw CallError(ErrorCode::internal_error, "method \"" + printable(method.name) + "\": " + error.what());
  }
}

bool belongs_to_protocol(std::string_view name) { return name.starts_with("rpc.") || name.starts_with("file."); }

}  // namespace

void check_answer(const Method& method, const Response& response) { check(method, response); }
void check_answer(const Method& method, const Part& part) { check(method, part); }

Router::Router() {
  for (BuiltinMethod& row : method_table()) {
    Method method = method_of(std::move(row));
    method.replaceable = !belongs_to_protocol(method.name);
    std::string name = method.name;
    methods_.emplace(std::move(name), std::move(method));
  }
}

Method& Router::on_later(std::string name, std::function<void(Request, Responder)> function) {
  return add_later(std::move(name), std::move(function), Method::Where::later);
}

Method& Router::on_batch(std::string name, std::function<void(Request, Responder)> function) {
  return add_later(std::move(name), std::move(function), Method::Where::batch);
}

Method& Router::add_later(std::string name, std::function<void(Request, Responder)> function, Method::Where where) {
  Method method;
  method.name = std::move(name);
  method.where = where;
  method.later = [function = std::move(function)](Request request, Responder reply, const std::shared_ptr<Stream>&) {
    function(std::move(request), std::move(reply));
  };
  return insert(std::move(method));
}

Method& Router::on_stream(std::string name, std::function<Response(Request&, Stream&)> function) {
  Method method;
  method.name = std::move(name);
  method.where = Method::Where::pool;
  method.streams = true;
  method.stream_handler = std::move(function);
  return insert(std::move(method));
}

Method& Router::on_stream_later(std::string name,
                                std::function<void(Request, Responder, std::shared_ptr<Stream>)> function) {
  Method method;
  method.name = std::move(name);
  method.where = Method::Where::later;
  method.streams = true;
  method.later = std::move(function);
  return insert(std::move(method));
}

Method& Router::insert(Method method) {
  if (method.name.empty()) throw std::invalid_argument("a method without a name");
  const auto same = methods_.find(method.name);
  if (same != methods_.end() ? !same->second.replaceable : belongs_to_protocol(method.name)) {
    throw std::invalid_argument("\"" + printable(method.name) +
                                "\": names that begin with rpc. and file. belong to the protocol; choose another name");
  }
  std::string name = method.name;
  return methods_.insert_or_assign(std::move(name), std::move(method)).first->second;
}

void Router::replace_builtin(std::string_view name) {
  const auto found = methods_.find(name);
  if (found == methods_.end() || !found->second.builtin) {
    throw std::invalid_argument("\"" + printable(name) + "\" cannot be replaced: no built-in method has this name");
  }
  found->second.replaceable = true;
}

const Method* Router::find(std::string_view name) const {
  const auto found = methods_.find(name);
  return found != methods_.end() ? &found->second : nullptr;
}

bool Router::has_pool_methods() const { return has(Method::Where::pool, false); }

bool Router::has_stream_methods() const { return has(Method::Where::pool, true); }

bool Router::has_batch_methods() const { return has(Method::Where::batch, false); }

bool Router::has(Method::Where where, bool streams) const {
  return std::any_of(methods_.begin(), methods_.end(), [where, streams](const auto& entry) {
    return entry.second.where == where && entry.second.streams == streams;
  });
}

// Making it takes as long as a thousand small calls.
const std::string& Router::discover_text() const {
  const std::lock_guard lock(discovery_mutex_);
  if (discovery_.empty()) discovery_ = dump_json(discover());
  return discovery_;
}

Json Router::discover() const {
  std::vector<const Method*> sorted;
  for (const auto& [name, method] : methods_) sorted.push_back(&method);
  std::sort(sorted.begin(), sorted.end(), [](const Method* a, const Method* b) { return a->name < b->name; });
  Json methods = Json::array();
  for (const Method* method : sorted) {
    Json params = Json::array();
    bool named = true;
    for (std::size_t i = 0; i < method->parameters.size(); ++i) {
      const ParameterInfo& parameter = method->parameters[i];
      named = named && !parameter.name.empty();
      const std::string name = parameter.name.empty() ? "parameter" + std::to_string(i + 1) : parameter.name;
      params.push_back({{"name", name}, {"required", parameter.required}, {"schema", parameter.schema}});
    }
    Json entry = {{"name", method->name}};
    if (!method->summary.empty()) entry["summary"] = method->summary;
    entry["params"] = std::move(params);
    entry["result"] = {{"name", "result"}, {"schema", method->result_schema}};
    if (!named) entry["paramStructure"] = "by-position";
    methods.push_back(std::move(entry));
  }
  return {{"openrpc", "1.3.2"},
          {"info", {{"title", "framecall"}, {"version", std::string(version)}}},
          {"methods", std::move(methods)}};
}

void Router::check_names(const std::string& method, const std::vector<std::string>& names, std::size_t count) {
  if (!names.empty() && names.size() != count) {
    throw std::invalid_argument("method \"" + method + "\": " + std::to_string(names.size()) + " names for " +
                                std::to_string(count) + " parameters");
  }
}

// The value for each parameter, null for one that is left out and optional.
std::vector<const Json*> Router::match_params(const Json& params, const std::vector<ParameterInfo>& parameters) {
  std::vector<const Json*> given(parameters.size(), nullptr);
  const bool unnamed = !parameters.empty() && parameters.front().name.empty();
  if (params.is_object() && unnamed && !params.empty()) reject("its parameters have no names: send them in an array");
  if (params.is_object()) {
    for (const auto& [key, value] : params.items()) {
      const auto found = std::find_if(parameters.begin(), parameters.end(), [&key = key](const ParameterInfo& p) {
        return !p.name.empty() && p.name == key;
      });
      if (found == parameters.end()) {
        reject("unknown parameter " + printable(key, 40) + "; expected: " + expected_names(parameters));
      }
      given[static_cast<std::size_t>(found - parameters.begin())] = &value;
    }
  } else if (params.is_array()) {
    if (params.size() > parameters.size()) {
      reject("expected at most " + std::to_string(parameters.size()) + " parameters, got " +
             std::to_string(params.size()));
    }
    for (std::size_t i = 0; i < params.size(); ++i) given[i] = &params[i];
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (given[i] == nullptr && parameters[i].required) reject(title(parameters[i], i) + " is missing");
  }
  return given;
}

void Router::refuse_param(const ParameterInfo& parameter, std::size_t index, const std::string& expected,
                          const Json& got) {
  reject(title(parameter, index) + ": expected " + expected + ", got " + printable(dump_json(got), 60));
}

}  // namespace framecall
