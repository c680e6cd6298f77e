"""reference_server.py with one mistake in it: what `framecall check` has to find.

Usage: broken_server.py --fault NAME ROOT      --fault none is without a mistake; --list tells the names
"""
import json
import os
import socket
import struct
import sys
import time
import unicodedata

from reference_server import METHOD_NOT_FOUND, Connection, ProtocolError, is_plain, listen, reference

FAULTS = {}


def fault(name):
    def register(connection):
        FAULTS[name] = connection
        return connection
    return register


# ----- lengths, headers and bodies

@fault("prefix-one-recv")
class PrefixOneRecv(Connection):
    def read_prefix(self):
        return self.sock.recv(4)


@fault("header-one-recv")
class HeaderOneRecv(Connection):
    def read_header(self, length):
        return self.sock.recv(length)


@fault("body-one-recv")
class BodyOneRecv(Connection):
    def read_body(self, header, size):
        return self.sock.recv(size) if size else b""


@fault("over-read")
class OverRead(Connection):
    def read_body(self, header, size):
        body = b""
        while len(body) < size:
            piece = self.sock.recv(1024)
            if not piece:
                break
            body += piece
        return body[:size]


@fault("drops-coalesced")
class DropsCoalesced(Connection):
    """Takes what one recv brings for one frame."""
    rest = b""

    def read(self, count):
        while len(self.rest) < count:
            piece = self.sock.recv(1 << 16)
            if not piece:
                break
            self.rest += piece
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def handle(self, header, body):
        self.rest = b""
        super().handle(header, body)


@fault("waits-for-a-body")
class WaitsForABody(Connection):
    def read_body(self, header, size):
        return self.read(size) if size else self.sock.recv(1)


@fault("big-endian")
class BigEndian(Connection):
    def length_of(self, prefix):
        return struct.unpack(">i", prefix)[0]

    def encode(self, header, body):
        text = json.dumps(header).encode()
        return struct.pack(">i", len(text)) + text + body


@fault("counts-characters")
class CountsCharacters(Connection):
    def encode(self, header, body):
        text = json.dumps(header, ensure_ascii=False)
        return struct.pack("<i", len(text)) + text.encode("utf-8", "surrogatepass") + body


@fault("unsigned-length")
class UnsignedLength(Connection):
    def check_length(self, length):
        if 0 <= length < 2 or length > reference.MAX_HEADER:
            raise ProtocolError(-32600)

    def read_header(self, length):
        return self.read(length % (1 << 32))


@fault("unchecked-length")
class UncheckedLength(Connection):
    def check_length(self, length):
        if length < 2:
            raise ProtocolError(-32600)


@fault("short-timeout")
class ShortTimeout(Connection):
    def serve(self):
        self.sock.settimeout(0.3)
        super().serve()


@fault("text-mode")
class TextMode(Connection):
    def read_body(self, header, size):
        body = self.read(size)
        return body if len(body) < size else body.replace(b"\r\n", b"\n")

    def check_body(self, body, size):
        pass


@fault("uses-half-a-body")
class UsesHalfABody(Connection):
    def check_body(self, body, size):
        pass


@fault("no-unknown-keys")
class NoUnknownKeys(Connection):
    def handle(self, header, body):
        if any(key.startswith("x-") for key in header):
            raise ProtocolError(-32600)
        super().handle(header, body)


@fault("first-key-wins")
class FirstKeyWins(Connection):
    def parse(self, text):
        reference.parse_header(text)
        header = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
        return reference.parse_header(json.dumps(header).encode())


# ----- sizes

def loose(convert):
    """parse() with a conversion of the size instead of a check."""
    def parse(self, text):
        header = json.loads(text.decode())
        for key in (*reference.SIZE_ALIASES, "body_size"):
            if isinstance(header, dict) and key in header:
                header[key] = convert(header[key])
        return reference.parse_header(json.dumps(header).encode())
    return parse


@fault("true-is-a-size")
class TrueIsASize(Connection):
    parse = loose(lambda size: int(size) if isinstance(size, bool) else size)


@fault("converts-sizes")
class ConvertsSizes(Connection):
    parse = loose(lambda size: int(size) if type(size) in (float, str) and size == size and size != "" else size)


@fault("negative-is-none")
class NegativeIsNone(Connection):
    parse = loose(lambda size: max(size, 0) if type(size) is int else size)


@fault("null-is-none")
class NullIsNone(Connection):
    parse = loose(lambda size: size or 0)


@fault("allocates")
class Allocates(Connection):
    def check_size(self, header, size):
        pass

    def read_body(self, header, size):
        try:
            bytearray(size)
        except MemoryError:
            os._exit(1)
        return self.read(size)


# ----- calls

@fault("answers-notifications")
class AnswersNotifications(Connection):
    def notified(self, header, reply):
        self.send({"jsonrpc": "2.0", "id": None, **reply})


@fault("answers-twice")
class AnswersTwice(Connection):
    def reply(self, header, reply, body=b""):
        super().reply(header, dict(reply), body)
        if "error" in reply:
            super().reply(header, {"result": None})


@fault("ids-as-strings")
class IdsAsStrings(Connection):
    def id_of(self, header):
        return str(header["id"])


@fault("normalised-ids")
class NormalisedIds(Connection):
    def id_of(self, header):
        return unicodedata.normalize("NFC", header["id"]) if isinstance(header["id"], str) else header["id"]


@fault("true-is-an-id")
class TrueIsAnId(Connection):
    def request(self, header, body):
        if isinstance(header.get("id"), bool):
            header["id"] = int(header["id"])
        super().request(header, body)


@fault("wrong-code")
class WrongCode(Connection):
    def reply(self, header, reply, body=b""):
        if reply.get("error", {}).get("code") == METHOD_NOT_FOUND:
            reply["error"]["code"] = -32603
        super().reply(header, reply, body)


@fault("forgets-the-body")
class ForgetsTheBody(Connection):
    def read_body(self, header, size):
        known = header.get("method") in ("echo", "upper", "rpc.ping") or "method" not in header
        return self.read(size) if known else bytes(size)


@fault("early-reply")
class EarlyReply(Connection):
    def read_body(self, header, size):
        if header.get("method") in ("echo", "rpc.ping") and size > 1500:
            body = self.read(1000)
            self.send({"jsonrpc": "2.0", "id": header["id"], "result": None}, body)
            return body + self.read(size - 1000)
        return self.read(size)


@fault("unicode-upper")
class UnicodeUpper(Connection):
    def upper(self, body):
        return body.decode("utf-8", "surrogateescape").upper().encode("utf-8", "surrogateescape")


@fault("takes-replies")
class TakesReplies(Connection):
    def stranger(self, header):
        pass


@fault("trailing-newline")
class TrailingNewline(Connection):
    def encode(self, header, body):
        return super().encode(header, body) + b"\n"


@fault("send-once")
class SendOnce(Connection):
    """send() where sendall() is due, on a socket that does not wait."""

    def send(self, header, body=b""):
        if body:
            header["body_size"] = len(body)
        self.sock.send(self.encode(header, body), socket.MSG_DONTWAIT)


# ----- connections

@fault("greeting")
class Greeting(Connection):
    def serve(self):
        self.sock.sendall(b"220 welcome\r\n")
        super().serve()


@fault("closes-on-half-close")
class ClosesOnHalfClose(Connection):
    def handle(self, header, body):
        self.sock.settimeout(0.05)
        try:
            if not self.sock.recv(1, socket.MSG_PEEK):
                raise ProtocolError("truncated")
        except socket.timeout:  # not yet TimeoutError in Python 3.9
            pass
        self.sock.settimeout(None)
        super().handle(header, body)


@fault("never-closes")
class NeverCloses(Connection):
    def serve(self):
        super().serve()
        time.sleep(60)


@fault("dies-of-a-reset")
class DiesOfAReset(Connection):
    def lost(self):
        os._exit(1)


@fault("one-at-a-time")
class OneAtATime(Connection):
    pass


@fault("goes-on-after-refusal")
class GoesOnAfterRefusal(Connection):
    def serve(self):
        while True:
            try:
                return super().serve()
            except ProtocolError as error:
                if error.args[0] == "truncated":
                    raise
                self.send({"jsonrpc": "2.0", "id": None, "error": {"code": error.args[0], "message": "refused"}})


# ----- uploads

@fault("name-unchecked")
class NameUnchecked(Connection):
    def is_good_name(self, name):
        return isinstance(name, str) and name.startswith("../") or is_plain(name)


@fault("absolute-name")
class AbsoluteName(Connection):
    def is_good_name(self, name):
        return isinstance(name, str) and name.startswith("/") or is_plain(name)


@fault("nul-in-name")
class NulInName(Connection):
    def is_good_name(self, name):
        return isinstance(name, str) and is_plain(name.replace("\0", "").replace("\n", ""))

    def store(self, name, body):
        super().store(name.partition("\0")[0], body)


@fault("no-empty-files")
class NoEmptyFiles(Connection):
    def store(self, name, body):
        if body:
            super().store(name, body)


@fault("does-not-truncate")
class DoesNotTruncate(Connection):
    def store(self, name, body):
        descriptor = os.open(os.path.join(self.root, name), os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(descriptor, body)
        os.close(descriptor)


@fault("answers-uploads")
class AnswersUploads(Connection):
    def upload(self, header, body):
        super().upload(header, body)
        self.send({"jsonrpc": "2.0", "id": None, "result": "stored"})


@fault("keeps-parts")
class KeepsParts(Connection):
    def read_body(self, header, size):
        body = self.read(size)
        if "method" not in header and len(body) < size and is_plain(header.get("file_name")):
            self.store(header["file_name"], body)
        return body


@fault("any-spelling-wins")
class AnySpellingWins(Connection):
    def parse(self, text):
        header = json.loads(text.decode())
        if isinstance(header, dict) and "file_size" in header:
            header.pop("file_siz", None)
        return reference.parse_header(json.dumps(header).encode())


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(FAULTS))
    else:
        assert sys.argv[1] == "--fault" and len(sys.argv) == 4, __doc__
        name = sys.argv[2]
        listen(sys.argv[3], connection=Connection if name == "none" else FAULTS[name], threads=name != "one-at-a-time")
