"""Raw socket peers, and what they expect back. They speak through reference.py only."""
import contextlib
import hashlib
import os
import socket
import struct
import threading

import reference
from processes import PATIENCE, wait_until

INVALID_REQUEST = -32600
PARSE_ERROR = -32700
INVALID_PARAMS = -32602
PERMISSION_DENIED = -32047
RESOURCE_EXHAUSTED = -32048


def content(seed, size):
    """`size` bytes that depend on `seed` everywhere: a mixture of two contents equals neither."""
    return hashlib.shake_128(repr(seed).encode()).digest(size)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read(path):
    with open(path, "rb") as f:
        return f.read()


def connect(port):
    """A connection whose every operation is bounded."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def upload_frame(name, body, size_key="file_size", name_key="file_name"):
    return reference.encode({name_key: name, size_key: len(body)}, body)


def send_all(sock, data):
    """Sends as much as the peer takes; True if it took everything."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def finish(sock):
    """Ends our direction and returns everything the peer still says until it closes."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    return read_to_end(sock)


def read_to_end(sock):
    data = bytearray()
    while True:
        piece = sock.recv(1 << 16)
        if not piece:
            return bytes(data)
        data += piece


def error_of(data):
    """`data` must be exactly one error frame without a body and without an id; returns its error."""
    messages, cut, end = reference.decode(data)
    assert (cut, end) == ([], "closed"), "not whole frames: %r" % data
    assert len(messages) == 1, "%d frames instead of one: %r" % (len(messages), data)
    header, body = messages[0]
    assert body == b"" and set(header) == {"jsonrpc", "id", "error"}, header
    assert header["jsonrpc"] == "2.0" and header["id"] is None, header
    assert data == reference.encode(header), "not as json.dumps writes it: %r" % data
    error = header["error"]
    assert type(error["code"]) is int and isinstance(error["message"], str) and error["message"], error
    assert len(error["message"].encode()) <= 1000 and error["message"].isprintable(), error
    return error


def refusal(port, data):
    """Sends `data`, keeps our direction open, and returns the error of the one frame that comes
    before the server closes."""
    with connect(port) as sock:
        send_all(sock, data)
        return error_of(read_to_end(sock))


def store(server, name, body, **keys):
    """A plain upload: nothing comes back, and the file is there whole as soon as it is there."""
    with connect(server.port) as sock:
        sock.sendall(upload_frame(name, body, **keys))
        assert finish(sock) == b""
    path = os.path.join(server.root, name)
    wait_until(lambda: os.path.isfile(path) and read(path) == body, "%r is stored" % name)


def goes_on(server, names=()):
    """The server still stores an upload, and its root folder shows `names` and nothing else."""
    store(server, "still fine", b"yes\n")
    os.unlink(os.path.join(server.root, "still fine"))
    assert server.names() == sorted(names)
    wait_until(lambda: not server.parts(), "no part files in %s" % server.parts())


class Recorder:
    """Listens, takes one connection, keeps every byte until its end, answers nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]
        self.data = b""
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.thread.join(PATIENCE)
        self.listener.close()

    def run(self):
        with contextlib.suppress(OSError):
            with self.listener.accept()[0] as sock:
                sock.settimeout(PATIENCE)
                self.data = read_to_end(sock)

    def result(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the sender did not close"
        return self.data


def tree(folder, leave_out=()):
    """Every path below `folder` with its kind and content, for a comparison before and after."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(parent, name) not in leave_out]
        for name in folders + files:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                found[path] = ("link", os.readlink(path))
            elif os.path.isfile(path):
                found[path] = ("file", read(path))
            else:
                found[path] = ("other", None)
    return found
