"""Not a benchmark itself but who takes part in bulk.py: the commands of each contender."""

import dataclasses

MIB, GIB = 1 << 20, 1 << 30
NAME = "upload.bin"
MODULE = "framecall for this Python"  # as a need
OURS, FLOOR = "framecall", "floor"
PACKAGES = {"cc": "gcc libc6-dev", "curl": "curl", "nginx": "nginx", "socat": "socat"}


@dataclasses.dataclass(frozen=True)
class Contender:
    """Two commands. The listener runs before the clock starts; the clock covers the client's whole process, and
    goes on until the file is whole. Words in braces are filled in by Bench.values()."""

    key: str
    title: str
    listener: tuple
    client: tuple
    needs: tuple = ()
    download: bool = False  # the listener is the one that sends
    client_waits: bool = True  # once the client has ended, the file must be whole
    discards: bool = False  # nothing is stored: one of the two sides prints how many bytes it got
    max_size: int = 1 << 62


C_RECEIVE = ("{build}/receive_file", "recv", "{target}")
C_SEND = ("{build}/send_file", "{port}", "{source}")
SERVE = ("{framecall}", "serve", "--listen", "127.0.0.1:0", "--root", "{root}", "--durability", "none")
SEND = ("{framecall}", "send", "--json", "127.0.0.1:{port}", "{source}")
PUT = ("{framecall}", "put", "--json", "127.0.0.1:{port}", "{source}")
GET = ("{framecall}", "get", "--json", "127.0.0.1:{port}", NAME, "--output")
SERVE_SOURCE = ("{framecall}", "serve", "--listen", "127.0.0.1:0", "--root", "{source_folder}")
CURL = ("curl", "-q", "-sSf", "--noproxy", "*", "-o", "{target}", "http://127.0.0.1:{port}/" + NAME)
CURL_DISCARD = (*CURL[:6], "/dev/null", "-w", "%{{size_download}}\\n", CURL[-1])
NGINX_SERVER = ("nginx", "-e", "{scratch}/nginx.log", "-c", "{scratch}/nginx.conf")
PYTHON = ("{python}", "-I")
OURS_IN_PYTHON = ("{python}", "{here}/bulk/framecall_client.py")
SOCAT = ("socat", "-b", str(MIB), "-u")

CONTENDERS = (
    Contender("splice", "C sendfile → splice", ("{build}/receive_file", "splice", "{target}"), C_SEND, ("cc",)),
    Contender(FLOOR, "C sendfile → 1 MiB recv + write (the floor)", C_RECEIVE, C_SEND, ("cc",)),
    Contender(OURS, "framecall send → framecall serve", SERVE, SEND, ("framecall",)),
    Contender("put", "framecall put → framecall serve, SHA-256 on both sides", SERVE, PUT, ("framecall",)),
    Contender(
        "get", "framecall serve → framecall get", SERVE_SOURCE, (*GET, "{target}"), ("framecall",), download=True
    ),
    Contender(
        "python-send",
        "framecall.send_file() → framecall serve",
        SERVE,
        (*OURS_IN_PYTHON, "send", "{port}", "{source}"),
        ("framecall", MODULE),
    ),
    Contender(
        "python-put",
        "framecall.Client.put() → framecall serve, SHA-256 on both sides",
        SERVE,
        (*OURS_IN_PYTHON, "put", "{port}", "{source}"),
        ("framecall", MODULE),
    ),
    Contender(
        "python-get",
        "framecall serve → framecall.Client.get()",
        SERVE_SOURCE,
        (*OURS_IN_PYTHON, "get", "{port}", NAME, "{target}"),
        ("framecall", MODULE),
        download=True,
    ),
    Contender("to-framecall", "C sendfile, framed → framecall serve", SERVE, (*C_SEND, NAME), ("framecall", "cc")),
    Contender(
        "from-framecall",
        "framecall send → C, framed, recv + write",
        ("{build}/receive_file", "frame", "{target}"),
        SEND,
        ("framecall", "cc"),
    ),
    Contender(
        "python",
        "Python sendfile → recv_into",
        (*PYTHON, "{here}/bulk/python_receiver.py", "{target}"),
        (*PYTHON, "{here}/bulk/python_sender.py", "{port}", "{source}"),
    ),
    Contender(
        "nginx",
        "nginx → curl",
        NGINX_SERVER,
        CURL,
        ("nginx", "curl"),
        download=True,
    ),
    Contender(
        "socat",
        "socat → socat, 1 MiB blocks",
        (*SOCAT, "TCP-LISTEN:0,bind=127.0.0.1", "CREATE:{target}"),
        (*SOCAT, "OPEN:{source},rdonly", "TCP:127.0.0.1:{port}"),
        ("socat",),
        client_waits=False,
    ),
    Contender(
        "http-server",
        "python http.server → curl",
        (*PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "-d", "{source_folder}", "0"),
        CURL,
        ("curl",),
        download=True,
    ),
    Contender(
        "tutorial",
        "the tutorial pair, in Python",
        (*PYTHON, "{scripts}/t04_file_receiver.py", "0"),
        (*PYTHON, "{here}/bulk/tutorial_sender.py", "{port}", NAME),
        client_waits=False,
        max_size=128 * MIB,
    ),
    Contender(
        "floor-discard",
        "C sendfile → 1 MiB recv, discarded",
        ("{build}/receive_file", "recv", "-"),
        C_SEND,
        ("cc",),
        discards=True,
    ),
    Contender(
        "get-discard",
        "framecall serve → framecall get, discarded",
        SERVE_SOURCE,
        (*GET, "/dev/null"),
        ("framecall",),
        download=True,
        discards=True,
    ),
    Contender(
        "nginx-discard",
        "nginx → curl, discarded",
        NGINX_SERVER,
        CURL_DISCARD,
        ("nginx", "curl"),
        download=True,
        discards=True,
    ),
)

NGINX = """\
daemon off; master_process off; worker_processes 1; pid {scratch}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
  server {{ listen 127.0.0.1:{free_port}; root {source_folder}; }}
}}
"""
