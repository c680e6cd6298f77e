// framecall.Decoder: the C++ Decoder, made fit for asyncio.BufferedProtocol.
#pragma once

#include "object.hpp"

namespace framecall::python {

/// Makes the type and puts it into the module; once.
void add_decoder(PyObject* module);

}  // namespace framecall::python
