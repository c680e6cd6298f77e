// framecall.Decoder: the C++ Decoder, made fit for asyncio.BufferedProtocol.
#pragma once

#include "framecall/wire/dialect.hpp"
#include "types/object.hpp"

namespace framecall::python {

/// How the frames of a dialect are read and written: a name or a path, as find_dialect() takes it. Its raw lines and its
/// lengths of 0 are left out, as they are no frames. A file is read once. Throws PyError, and as find_dialect().
const Dialect& framing_of(PyObject* name);

/// Makes the type and puts it into the module; once.
void add_decoder(PyObject* module);

}  // namespace framecall::python
