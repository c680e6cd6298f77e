// The events of framecall.Decoder as Python objects: types with slots only, compared by value. As extension types they
// cost a tenth of what a class written in Python would.
#pragma once

#include <cstdint>
#include <string_view>

#include "types/object.hpp"

namespace framecall::python {

/// Makes the types and puts them into the module; once.
void add_events(PyObject* module);

Ref header_received(Ref header, std::uint64_t body_size);
Ref body_received(std::string_view data);
Ref end_of_message();
Ref connection_closed();
/// The sentinel framecall.NEED_DATA.
Ref need_data();

}  // namespace framecall::python
