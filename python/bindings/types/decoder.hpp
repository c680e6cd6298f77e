// framecall.Decoder: the C++ Decoder, made fit for asyncio.BufferedProtocol.
#pragma once

#include <memory>

#include "framecall/wire/dialect.hpp"
#include "types/object.hpp"

namespace framecall::python {

/// How the frames of a dialect are read and written: a name or a path (str or os.PathLike), as find_dialect() takes it. Its raw
/// lines and its lengths of 0 are left out, as they are no frames. A file is read once. Throws PyError, and as find_dialect().
const Dialect& framing_of(PyObject* name);

/// How the frames of calls are read and written. Throws as framing_of(), and PyError: ValueError for a dialect without calls.
std::shared_ptr<const Dialect> dialect_of_calls(PyObject* name);

/// Makes the type and puts it into the module; once.
void add_decoder(PyObject* module);

}  // namespace framecall::python
