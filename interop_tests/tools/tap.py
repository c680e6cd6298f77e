"""A recording relay: everything that both sides say, connection by connection, as bytes.

    tap.py HOST:PORT [--listen PORT] [--to FOLDER]     writes CONNECTION-sent.bin and CONNECTION-received.bin until Ctrl-C
"""
import argparse
import contextlib
import os
import socket
import threading


class Tap:
    """A context manager; `port` is where to connect to. Afterwards `captures` has (sent, received) of each connection, in
    the order in which they were made."""

    def __init__(self, target_port, target_host="127.0.0.1", port=0):
        self.target = (target_host, target_port)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.captures = []
        self.threads = [threading.Thread(target=self.accept_all, daemon=True)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)

    def accept_all(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self.target, timeout=60)
            capture = (bytearray(), bytearray())
            self.captures.append(capture)
            for source, target, record in ((client, server, capture[0]), (server, client, capture[1])):
                thread = threading.Thread(target=pump, args=(source, target, record), daemon=True)
                self.threads.append(thread)
                thread.start()


def pump(source, target, record):
    with contextlib.suppress(OSError):
        while True:
            piece = source.recv(1 << 16)
            if not piece:
                break
            record += piece
            with contextlib.suppress(OSError):  # what is said is recorded also when nobody listens any more
                target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def keep(folder, name, captures):
    """Writes captures for a person to look at; returns where."""
    os.makedirs(folder, exist_ok=True)
    for number, (sent, received) in enumerate(captures):
        for kind, data in (("sent", sent), ("received", received)):
            with open(os.path.join(folder, "%s-%d-%s.bin" % (name, number, kind)), "wb") as f:
                f.write(data)
    return os.path.join(folder, name + "-*.bin")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, help="port to listen on, 0 picks one")
    parser.add_argument("--to", default=".", help="folder for the captures")
    arguments = parser.parse_args()
    host, _, port = arguments.target.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt), Tap(int(port), host, arguments.listen) as tap:
        print("listening tcp 127.0.0.1:%d" % tap.port, flush=True)
        threading.Event().wait()
    print(keep(arguments.to, "capture", tap.captures))


if __name__ == "__main__":
    main()
