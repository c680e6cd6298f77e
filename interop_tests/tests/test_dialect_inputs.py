"""Small inputs of real scripts, against `framecall serve` and its clients: nothing is lost, and nothing misjudged. One row each."""
import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time

import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, wait_until


def frame(header, body=b"", order="<"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(order + "i", len(text)) + text + body


def exchange(port, *pieces, pause=0.1, end=True):
    """Everything that a server says to `pieces`, with a pause between two of them."""
    with peers.connect(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i, piece in enumerate(pieces):
            if i:
                time.sleep(pause)  # a part of the input, not a wait
            peers.send_all(sock, piece)
        return peers.finish(sock) if end else peers.read_to_end(sock)


def headers(data):
    messages, cut, end = reference.decode(data)
    assert (cut, end) == ([], "closed"), data
    return [header for header, _ in messages]


def error(data):
    (header,) = headers(data)
    return header["error"]["code"], header["error"]["message"]


@pytest.fixture
def dialect(tmp_path):
    def write(text, name="mine.toml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)
    return write


@contextlib.contextmanager
def receiver(script, count=1):
    """A server of one's own: `script(sock)` for each of `count` connections, one after the other."""
    listener = socket.socket()
    listener.settimeout(PATIENCE)
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    problems = []

    def run():
        try:
            for _ in range(count):
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(PATIENCE)
                    script(sock)
        except Exception as problem:  # shown by the test
            problems.append(problem)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield "127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        thread.join(PATIENCE)
        listener.close()
    assert not problems, problems


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, "the end after %r" % data
        data += piece
    return data


def read_frame(sock, order="<", size=None):
    header = json.loads(exactly(sock, struct.unpack(order + "i", exactly(sock, 4))[0]))
    return header, exactly(sock, header.get("file_size", 0) if size is None else size)


def run(program, *arguments, expected=0, timeout=PATIENCE):
    result = subprocess.run([program] + [str(a) for a in arguments], env=clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    assert result.returncode == expected, (result.returncode, result.stdout, result.stderr)
    return result.stdout.decode(), result.stderr.decode()


# --- rows 1 and 2: one-byte answers

@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before,after", [(b"\x01", b""), (b"\x02", b"\x06"), (b"\x06", b"\x00"), (b"\x00", b"\x00\x00\x00\x0a"),
                                          (b"", b"\x06"), (b"", b"\x00\x00\x00\x0a"), (b"ok\n", b"200"), (b"{", b"\x7b\x22")])
def test_an_awaited_text_is_compared_before_it_is_taken_for_a_length(program, dialect, tmp_path, order, before, after):
    def text(key, value):
        return "" if not value else "%s = { text = %s }\n" % (key, json.dumps(value.decode()))
    path = dialect("[prefix]\norder = %s\n[answer]\n" % ('"big"' if order == ">" else '"little"') + text("before_body", before) +
                   text("after_body", after))
    (tmp_path / "hello.txt").write_bytes(b"hello")

    def script(sock):
        header, _ = read_frame(sock, order, 0)
        sock.sendall(before)
        assert exactly(sock, header["file_name" if "file_name" in header else "name"] and 5) == b"hello"
        sock.sendall(after)
        assert sock.recv(1) == b""
    with receiver(script) as address:
        run(program, "send", address, tmp_path / "hello.txt", "--dialect", path, "--timeout", "5")


def test_an_answer_in_pieces_or_with_text_behind_it(program, dialect, tmp_path):
    path = dialect("[answer]\nafter_body = { text = \"stored\" }\n")
    (tmp_path / "a").write_bytes(b"x")
    for pieces, code in (([b"sto", b"red"], 0), ([b" stored\r\n"], 0), ([b"storedly"], 5), ([b"no"], 5), ([b"stor"], 5)):
        def script(sock, pieces=pieces):
            read_frame(sock)
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.02)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        with receiver(script) as address:
            run(program, "send", address, tmp_path / "a", "--dialect", path, "--timeout", "5", expected=code)


# --- rows 3, 4 and 5: pieces of files

PIECES = [
    [({"chunk_index": i, "total_chunks": 3, "offset": 4 * i}, part) for i, part in enumerate((b"aaaa", b"bbbb", b"cc"))],
    [({"offset": 6, "resume": True}, b"6789")], [({"seek": 6}, b"6789")], [({"seq": 1}, b"x")], [({"part": 2}, b"x")],
    [({"chunk": 0}, b"x")], [({"offset": 0}, b"x")],
]


@pytest.mark.parametrize("name", ["default", "published", "big-endian", "auto", "framed", "acknowledged"])
@pytest.mark.parametrize("pieces", PIECES, ids=lambda pieces: next(iter(pieces[0][0])))
def test_a_piece_of_a_file_never_replaces_the_file(serve, name, pieces):
    server = serve("--dialect", name)
    with open(server.root + "/movie.bin", "wb") as f:
        f.write(b"the whole film")
    for keys, part in pieces:
        header = dict({"file_name": "movie.bin", "file_siz" if name == "published" else "file_size": len(part)}, **keys)
        if name == "framed":
            header["cmd"] = "put"
        answer = exchange(server.port, frame(header, part, ">" if name == "big-endian" else "<"))
        assert next(iter(keys)).encode() in answer, answer
    assert peers.read(server.root + "/movie.bin") == b"the whole film"


def test_keys_that_ask_for_nothing_special_are_fine(serve):
    server = serve()
    assert exchange(server.port, frame({"file_name": "a", "file_size": 1, "resume": False, "offset": None}, b"x")) == b""
    wait_until(lambda: server.names() == ["a"], "it is stored")


def test_a_file_that_replaces_the_one_before_is_noted(serve):
    server = serve()
    exchange(server.port, frame({"file_name": "a", "file_size": 1}, b"x") + frame({"file_name": "a", "file_size": 1}, b"y"))
    wait_until(lambda: "replaces the file that this connection sent a moment ago" in server.log(), "a line in the log")


def test_a_ranged_download_is_not_answered_with_the_whole(serve):
    server = serve("--dialect", "framed")
    with open(server.root + "/s.bin", "wb") as f:
        f.write(bytes(150003))
    answer = exchange(server.port, frame({"cmd": "read", "name": "s.bin", "offset": 100000, "size": 10}))
    assert len(answer) < 2000
    code, text = error(exchange(server.port, frame({"cmd": "get", "filename": "s.bin", "offset": 100000, "size": 10})))
    assert code == peers.INVALID_PARAMS and 'keys offset;' in text


# --- row 6: ids

@pytest.mark.parametrize("value", ["0.5", "1.0", "1e3", "1785436523.123", "-0", "1E+2", "-1.50", "123456789012345678901234567890"])
def test_a_number_as_id_is_echoed_to_the_character(serve, value):
    server = serve("--udp", "127.0.0.1:0")
    call = frame(b'{"jsonrpc": "2.0", "id": %s, "method": "rpc.ping"}' % value.encode())
    good = frame({"jsonrpc": "2.0", "id": 7, "method": "rpc.ping"})
    answer = exchange(server.port, call + good)
    assert b'"id": %s, "result": "pong"' % value.encode() in answer and b'"id": 7, "result": "pong"' in answer
    udp = [port for kind, port, _ in server.services if kind == "udp"][0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", udp))
        sock.send(call)
        assert b'"id": %s, ' % value.encode() in sock.recv(1 << 16)


@pytest.mark.parametrize("value", ["null", "true", "false", "[1]", "{}", "NaN", "-Infinity"])
@pytest.mark.parametrize("kind", ['"method": "rpc.ping"', '"item": 1'])
def test_an_id_of_another_kind_is_refused_and_the_connection_goes_on(serve, value, kind):
    server = serve("--udp", "127.0.0.1:0")
    call = frame(('{"jsonrpc": "2.0", "id": %s, %s, "body_size": 3}' % (value, kind)).encode(), b"abc")
    first, second = headers(exchange(server.port, call + frame({"jsonrpc": "2.0", "id": 7, "method": "rpc.ping"})))
    assert first["id"] is None and first["error"]["code"] == peers.INVALID_REQUEST and second["result"] == "pong"
    if "method" in kind:
        udp = [port for kind, port, _ in server.services if kind == "udp"][0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", udp))
            sock.send(call)
            assert headers(sock.recv(1 << 16))[0]["error"]["code"] == peers.INVALID_REQUEST


# --- number 14 of the list: strings of a header are compared as strings

@pytest.mark.parametrize("version,good", [('"2.\\u0030"', True), ('"2.0"', True), ('"1.0"', False), ("2.0", False)])
def test_the_version_is_compared_as_a_string(serve, version, good):
    server = serve()
    answer = headers(exchange(server.port, frame(('{"jsonrpc": %s, "id": 1, "method": "rpc.ping"}' % version).encode())))
    assert ("result" in answer[0]) == good


@pytest.mark.parametrize("version,code", [('"2.\\u0030"', 0), ('"1.0"', 1), ("2.0", 1), ("null", 1)])
def test_clients_look_at_the_version_of_a_reply(program, version, code):
    def script(sock):
        header = read_frame(sock, size=0)[0]
        sock.sendall(frame(('{"jsonrpc": %s, "id": %s, "result": "pong"}' % (version, json.dumps(header["id"]))).encode()))
        sock.recv(1)
    with receiver(script) as address:
        _, problem = run(program, "call", address, "x", expected=code)
    assert code == 0 or "jsonrpc" in problem


# --- rows 8 to 12: causes

def refused(server, data):
    return error(exchange(server.port, data))[1]


TEXT = json.dumps({"file_name": "a.txt", "file_size": 5}).encode()
LONG = {"file_name": "Gr\u00fc\u00dfe.txt", "file_size": 5}


@pytest.mark.parametrize("data,parts", [
    (b'{"type": "upload"}', ["JSON without a length in front of it", "request.lines"]),
    (b"{'type': 1}", ["JSON without a length"]),
    (b"30  " + TEXT, ["decimal digits", 'prefix.kind = "decimal"', "prefix.width = 4"]),
    (b"0000000043" + TEXT, ["decimal digits", "prefix.width = 10"]),
    (b"JSN1" + frame(TEXT), ['the text "JSN1" stands in front of the length', "out of reach"]),
    (b"Content-Length: 12\r\n\r\n{}", ["lines in front of a header", "out of reach"]),
    (b"264:{...}", ["netstring", "out of reach"]),
    (b"ls -l", ["request.lines"]),
    (frame('{"file_name": "Gr\u00fc\u00dfe.txt", "file_size": 5}'.encode("cp1252")), ["not UTF-8", "CP1252"]),
    (frame('{"file_name": "\u4f60\u597d.txt", "file_size": 5}'.encode("gbk")), ["not UTF-8", "GBK"]),
    (frame(TEXT.decode().encode("utf-16")), ["UTF-16"]),
    (frame(TEXT.decode().encode("utf-16-le")), ["UTF-16"]),
    (TEXT.decode().encode("utf-16-le"), ["UTF-16", "without a length"]),
    (struct.pack("<i", len(json.dumps(LONG, ensure_ascii=False))) + json.dumps(LONG, ensure_ascii=False).encode() + b"hello",
     ["counts characters, not bytes"]),
    (struct.pack("<i", len(TEXT) + 4) + TEXT + b"hello", ["counts itself", "%d" % len(TEXT)]),
    (struct.pack("<i", 5000) + b"\xff\xd8\xff\xe0" + bytes(100), ["JPEG"]),
    (struct.pack("<i", 5000) + b"\x89PNG\r\n\x1a\n" + bytes(100), ["PNG"]),
    (struct.pack("<ii", len(TEXT), 5) + TEXT + b"hello", ["a second binary length, 5"]),
    (struct.pack(">ii", len(TEXT), 5) + TEXT + b"hello", ["swapped"]),
    (b"\x0a" + frame(b"{}"), ["\\x0a stands in front of the length 2"]),
    (frame(TEXT, b"hello", ">"), ['prefix.order = "big"']),
    (b"\x16\x03\x01\x02\x00\x01", ["TLS"]),
    (b"GET / HTTP/1.1\r\n\r\n", ["HTTP"]),
])
def test_the_cause_of_a_bad_frame_is_named(serve, data, parts):
    text = refused(serve(), data)
    for part in parts:
        assert part in text, text
    if "swapped" not in parts and "prefix.order" not in parts[0]:
        assert "swapped" not in text, text


def test_no_cause_is_named_that_was_not_checked(serve):
    server = serve()
    for data in (b"\x00\x01\x02\x03\x04\x05", frame(b'{"a": 1,,}'), frame(b'{"a": 1} {')):
        text = refused(server, data)
        for word in ("swapped", "counts", "UTF-16", "GBK", "out of reach", "request.lines"):
            assert word not in text, text


def test_surplus_behind_a_message_is_put_down_to_its_integers(serve):
    server = serve("--dialect", "messages")
    answer = exchange(server.port, frame({"type": "img", "payload_len": 6}) + bytes(range(6)) + frame({"type": "x"}))
    text = headers(answer)[-1]["error"]["message"]
    assert 'the frame before has "payload_len": 6' in text and "swapped" not in text


@pytest.mark.parametrize("data", [b"\x0a\x02\x00\x00\x00", frame(b"\x80\x04")[:4] + b"\x80", struct.pack("<i", 70000) + b"\xff"])
def test_a_header_that_cannot_begin_so_is_refused_at_its_first_byte(serve, data):
    with peers.connect(serve().port) as sock:
        sock.sendall(data)
        assert peers.error_of(peers.read_to_end(sock))["code"] in (peers.PARSE_ERROR, peers.INVALID_REQUEST)


def test_a_length_and_silence_has_a_log_line(serve):
    server = serve("--header-timeout", "100ms")
    assert exchange(server.port, struct.pack("<i", 30), end=False) == b""
    assert exchange(server.port, struct.pack("<i", len(TEXT) + 4) + TEXT, end=False) == b""
    wait_until(lambda: "the length counts itself" in server.log(), "the cause in the log")


# --- rows 13 and 14

def test_a_download_without_a_name_tells_the_keys_that_came(serve):
    code, text = error(exchange(serve("--dialect", "framed").port, frame({"cmd": "get", "file_path": "a.txt"})))
    assert code == peers.INVALID_PARAMS and "its keys: cmd, file_path" in text and "keys.name" in text


@pytest.mark.parametrize("text,error", [
    ('[keys]\nname = ["metadata.filename"]\n', 'mine.toml:2: keys.name has "metadata.filename": '),
    ('[keys]\noperation = ["head.cmd"]\n', 'mine.toml:2: keys.operation has "head.cmd": '),
    ('[request]\nlines = false\n[answer]\nlogin_ok = { text = "y" }\n[login]\nform = "text"\n',
     'mine.toml:2: request.lines is false, and login.form is "text"'),
])
def test_settings_that_would_never_work_are_refused(program, dialect, text, error):
    _, problem = run(program, "serve", "--listen", "127.0.0.1:0", "--dialect", dialect(text), expected=2, timeout=5)
    assert error in problem


# --- rows 15 and 16: ask

def test_everything_is_printed_in_the_order_of_its_arrival(program):
    def script(sock):
        for i in range(3):
            sock.sendall(frame({"push": i}))
            header, _ = read_frame(sock, size=0)
            sock.sendall(frame({"n": header["ask"]}))
        sock.sendall(frame({"push": "last"}))
        sock.recv(1)
    with receiver(script) as address:
        out, _ = run(program, "ask", address, *['{"ask": %d}' % i for i in range(3)], "--dialect", "messages")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["n"] for line in lines if "n" in line] == [0, 1, 2]
    assert [line["push"] for line in lines if "push" in line] == [0, 1, 2, "last"]


def test_a_list_is_a_message(program):
    def script(sock):
        assert exactly(sock, 8) == b'["list"]'
        sock.sendall(frame({"ok": 1}))
        sock.recv(1)
    with receiver(script) as address:
        out, _ = run(program, "ask", address, '["list"]', "--dialect", "messages")
    assert json.loads(out) == {"ok": 1}
    run(program, "ask", "127.0.0.1:1", "--lst", expected=2)


# --- rows 17, 18, 23 and 24: what begins here

@pytest.mark.parametrize("length", ["13  ", "0013", "  13", "0000000013", "13        ", "        13"])
@pytest.mark.parametrize("cut", [0, 1, 4, 10])
def test_auto_reads_decimal_lengths(serve, length, cut):
    server = serve("--dialect", "auto")
    request = length.encode() + b'{"cmd": "ls"}'
    answer = exchange(server.port, *[piece for piece in (request[:cut], request[cut:]) if piece], pause=0.02)
    assert answer.endswith(b'{"total_size": 0}'), answer
    assert len(answer) == len(length) + 17


@pytest.mark.parametrize("line", ["ls x", "ls -l", "cd x", "ls", "q", "get nothing", "13 apples", "2024"])
def test_auto_reads_lines_with_short_words(serve, line):
    server = serve("--dialect", "auto")
    with peers.connect(server.port) as sock:
        sock.settimeout(5)
        sock.sendall(line.encode())
        answer = sock.recv(1000)  # without an end of the stream: at once, or after a moment of silence
    assert answer or line == "q", line


def test_a_login_in_pieces_is_read_to_its_closing_brace(serve, program, dialect, tmp_path):
    subprocess.run([program, "passwd", "--quiet", str(tmp_path / "users"), "bob"], input=b"pw", check=True, timeout=PATIENCE)
    # Row 19: request.lines is implied.
    path = dialect('[answer]\nlogin_ok = { text = "yes" }\nlogin_failed = { text = "no" }\n[login]\nform = "text"\n')
    server = serve("--dialect", path, "--users", tmp_path / "users")
    for pieces in ([b'{"username": "bob", "password": "pw", "operate": "login"}'], [b'{"username": "bob", "pass', b'word": "pw"}'],
                   [b"{", b'"username": "bo', b'b", "password": "pw"', b"}"], [b'{"x": "}{\\"", "username": "bob",\n "password"', b': "pw"}\n']):
        with peers.connect(server.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.1)  # a part of the input
            sock.settimeout(5)
            assert sock.recv(100) == b"yes", pieces
            sock.sendall(frame({"name": "a", "size": 1}, b"x"))
            assert peers.finish(sock) == b""


def test_an_object_that_never_ends_is_ended_by_the_header_timeout(serve, dialect):
    path = dialect('[request]\nlines = true\n')
    server = serve("--dialect", path, "--header-timeout", "200ms")
    assert exchange(server.port, b'{"username": "bob", "pass', end=False) == b""
    wait_until(lambda: "header_timeout" in server.log(), "a line in the log")


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_frame_that_is_cut_is_a_frame(serve, dialect, cut):
    server = serve("--dialect", dialect("[request]\nlines = true\n"))
    data = frame({"file_name": "cut", "file_size": 1}, b"x")
    assert exchange(server.port, data[:cut], data[cut:]) == b""
    wait_until(lambda: server.names() == ["cut"], "it is stored")


# --- rows 20, 21 and 22: answers

@pytest.mark.parametrize("header", [{"cmd": "get", "filename": "nope"}, {"cmd": "ls"}, {"cmd": "login"}, {"cmd": "cmd"},
                                    {"cmd": "register", "username": "a", "password": "b"}])
def test_a_known_request_without_an_answer_gets_the_error_frame(serve, dialect, header):
    server = serve("--dialect", dialect('[keys]\noperation = ["cmd"]\n'))
    with open(server.root + "/a", "w") as f:
        f.write("x")
    answers = headers(exchange(server.port, frame(header) + frame({"cmd": "get", "name": "a"})[:0]))
    assert answers[0]["error"]["code"] < 0 and answers[0]["error"]["message"], answers
    with peers.connect(server.port) as sock:  # and the connection goes on
        sock.sendall(frame(header) + frame({"cmd": "get", "name": "a"}))
        assert peers.finish(sock).endswith(b'"file_size": 1}x')


def test_a_checksum_that_a_template_names_is_computed(serve, dialect):
    path = dialect("""[answer]\nafter_body = { frame = '{"md5": "$checksum"}' }\n""")
    (header,) = headers(exchange(serve("--dialect", path).port, frame({"name": "a", "size": 5}, b"hello")))
    assert header == {"md5": "5d41402abc4b2a76b9719d911017c592"}


def test_the_go_ahead_comes_behind_everything_that_can_be_refused(serve, dialect):
    path = dialect('[request]\nlines = true\nlast_path_part = false\n[answer]\nbefore_body = { text = "200 ok" }\n')
    server = serve("--dialect", path, "--max-file", "10")
    for data in (b'{"filename": "a.txt", "filesize": 5}', frame({"filename": "a", "filesize": 11}),
                 frame({"filename": "../a", "filesize": 1}), frame({"filename": "a", "filesize": 1, "offset": 3})):
        assert b"200 ok" not in exchange(server.port, data), data


def test_a_path_as_name_has_a_hint(serve):
    code, text = error(exchange(serve().port, frame({"file_name": "sub/p2.jpg", "file_size": 1}, b"x")))
    assert code == peers.INVALID_PARAMS and "request.last_path_part" in text


# --- rows 25 and 26: send

def test_a_reset_behind_an_early_end_is_told(program, tmp_path):
    size = 16 << 20  # more than the buffers on the way hold: the end is there before the file has left
    (tmp_path / "a").write_bytes(bytes(size))

    def script(sock):
        sock.shutdown(socket.SHUT_WR)
        left = size
        while left > 0:
            left -= len(sock.recv(min(left, 1 << 20)))
        time.sleep(0.01)  # a part of the input
        peers.reset(sock)
    with receiver(script) as address:
        run(program, "send", address, tmp_path / "a", expected=1)


def test_six_files_to_a_receiver_that_never_closes(program, tmp_path):
    """The tutorial's own receiver keeps each connection."""
    received, kept = [], []

    def script(sock):
        received.append(read_frame(sock)[0]["file_name"])
        kept.append(socket.socket(fileno=os.dup(sock.fileno())))
    names = ["f%d" % i for i in range(6)]
    for name in names:
        (tmp_path / name).write_bytes(b"content")
    start = time.monotonic()
    with receiver(script, count=6) as address:
        _, told = run(program, "send", address, *[tmp_path / name for name in names])
        seconds = time.monotonic() - start
    for sock in kept:
        sock.close()
    assert sorted(received) == names
    assert seconds < 3, seconds
    assert all("%s: sent; the receiver did not confirm it" % name in told for name in names), told


# --- row 7: calls in other lengths

@pytest.mark.parametrize("name", ["big-endian", "eight-bytes", "ascii-length"])
def test_calls_take_a_dialect(serve, program, name):
    server = serve("--dialect", name)
    assert run(program, "call", server.address, "echo", "[1]", "--dialect", name)[0] == "[1]\n"
    assert "echo" in run(program, "discover", server.address, "--dialect", name)[0]
    run(program, "ping", server.address, "--count", "1", "--dialect", name)
    run(program, "call", server.address, "echo", "--dialect", "login", expected=2)


def test_a_call_to_a_server_with_other_lengths_names_the_flag(program):
    def script(sock):
        sock.recv(1000)
        sock.sendall(frame({"id": 1, "result": 0}, order=">"))
        sock.recv(1)
    with receiver(script) as address:
        assert "--dialect big-endian" in run(program, "call", address, "x", expected=1)[1]
