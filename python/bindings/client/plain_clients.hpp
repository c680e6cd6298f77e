// framecall.RawClient and framecall.UdpClient: plain sockets, without frames.
#pragma once

#include "types/object.hpp"

namespace framecall::python {

/// Makes the types and puts them into the module; once.
void add_plain_clients(PyObject* module);

}  // namespace framecall::python
