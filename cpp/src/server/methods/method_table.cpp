#include "server/methods/method_table.hpp"

#include <iterator>
#include <utility>

#include "server/methods/builtin_methods.hpp"
#include "server/methods/file_methods.hpp"

namespace framecall {

std::vector<BuiltinMethod> method_table() {
  std::vector<BuiltinMethod> rows = builtin_methods(), files = file_methods();
  rows.insert(rows.end(), std::make_move_iterator(files.begin()), std::make_move_iterator(files.end()));
  return rows;
}

Method method_of(BuiltinMethod row) {
  Method method;
  method.name = row.name;
  method.summary = row.summary;
  method.parameters = row.parameters;
  method.where = row.runs_on == RunsOn::loop ? Method::Where::loop : Method::Where::files;
  method.writes_json = true;
  method.builtin = std::make_shared<const BuiltinMethod>(std::move(row));
  return method;
}

}  // namespace framecall
