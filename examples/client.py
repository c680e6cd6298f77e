import json, socket, struct

sock = socket.create_connection(("127.0.0.1", 8080))
header = json.dumps({"id": 1, "method": "upper", "body_size": 5}).encode()
sock.sendall(struct.pack("i", len(header)) + header + b"hello")

reply = sock.makefile("rb")
header = json.loads(reply.read(struct.unpack("i", reply.read(4))[0]).decode())
print(header.get("error") or reply.read(header.get("body_size", 0)).decode())
sock.close()
