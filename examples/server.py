import json, socket, struct, threading

def answer(header, body):
    if header["method"] == "add":
        return {"result": sum(header["params"])}, b""
    if header["method"] == "upper":
        return {"result": None}, body.upper()
    return {"error": {"code": -32601, "message": "no method " + header["method"]}}, b""

def serve(sock):
    stream = sock.makefile("rb")
    for prefix in iter(lambda: stream.read(4), b""):
        header = json.loads(stream.read(struct.unpack("i", prefix)[0]).decode())
        reply, body = answer(header, stream.read(header.get("body_size", 0)))
        head = json.dumps(dict(reply, id=header.get("id"), body_size=len(body))).encode()
        if "id" in header:  # a notification gets no answer
            sock.sendall(struct.pack("i", len(head)) + head + body)
    sock.close()

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8080))
listener.listen(16)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],)).start()
