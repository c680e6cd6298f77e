// A server in Java: 17 and later, nothing but its standard library. The wire itself is in Wire.java.
//
//     javac Server.java Wire.java && ROOT=folder java Server [PORT]
//
// prints `listening tcp 127.0.0.1:PORT`; 0 or none: a free port. Every connection has a thread, which answers one frame
// after the other. What is no frame closes its connection, and no other.

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class Server {
  static final int METHOD_NOT_FOUND = -32601, INVALID_PARAMS = -32602, INTERNAL_ERROR = -32603;
  static final int NOT_FOUND = -32045, RESOURCE_EXHAUSTED = -32048, OUT_OF_RANGE = -32051;
  static final Map<Integer, String> STATUS_NAMES =
      Map.of(NOT_FOUND, "NOT_FOUND", RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", OUT_OF_RANGE, "OUT_OF_RANGE");
  static final long MAX_FILE = 1L << 30, MAX_COUNT = 1000000, MAX_NUMBER = 1L << 52;
  static final byte[] NOTHING = {};
  static final Path ROOT = Path.of(System.getenv().getOrDefault("ROOT", "."));

  /** What a method answers: the result and the body of the reply, or of its last frame. */
  record Answer(Object result, byte[] body) {}

  interface Method {
    Answer run(Call call) throws Exception;
  }

  // ---- frames

  final Socket socket;
  final DataInputStream in;
  final OutputStream out;

  Server(Socket socket) throws IOException {
    this.socket = socket;
    socket.setTcpNoDelay(true);
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
    out = new BufferedOutputStream(socket.getOutputStream());
  }

  void send(Object id, Map<String, Object> members, byte[] body) throws IOException {
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("jsonrpc", "2.0");
    header.put("id", id);
    header.putAll(members);
    if (body.length > 0) header.put("body_size", (long) body.length);
    Wire.write(out, Wire.text(header, true), body);
  }

  void sendError(Object id, Wire.Failure failure) throws IOException {
    Map<String, Object> error = new LinkedHashMap<>();
    error.put("code", failure.code);
    error.put("message", failure.getMessage());
    if (STATUS_NAMES.containsKey(failure.code)) error.put("data", Map.of("status", STATUS_NAMES.get(failure.code)));
    send(id, Map.of("error", error), NOTHING);
  }

  // ---- files

  /** One plain path component, and nothing else. */
  static Path pathOf(Object name) throws Wire.Failure {
    boolean plain = name instanceof String text && StandardCharsets.UTF_8.newEncoder().canEncode(text)
        && !text.isEmpty() && text.getBytes(StandardCharsets.UTF_8).length <= 255
        && !List.of(".", "..", ".framecall").contains(text)
        && !text.matches("(?s).*[/\\\\\\x00-\\x1f\\x7f-\\x9f].*|[A-Za-z]:.*");
    if (!plain) throw new Wire.Failure(INVALID_PARAMS, "no file name, or not a plain one");
    return ROOT.resolve((String) name);
  }

  /** The file gets its name when it is whole. */
  void store(Object name, Object size) throws Exception {
    Path path = pathOf(name);
    long left = Wire.integer(size, 0, MAX_FILE, "size of the file");
    Path part = Files.createTempFile(ROOT, ".part-", "");
    try {
      try (OutputStream file = Files.newOutputStream(part)) {
        byte[] piece = new byte[1 << 16];
        while (left > 0) {
          int count = in.read(piece, 0, (int) Math.min(left, piece.length));
          if (count < 0) throw new EOFException();
          file.write(piece, 0, count);
          left -= count;
        }
      }
      Files.move(part, path, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  static Answer get(Call call) throws Exception {
    Object name = call.param("name");
    Path path = pathOf(name);
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) throw new Wire.Failure(NOT_FOUND, "no file " + name);
    try (SeekableByteChannel file = Files.newByteChannel(path)) {
      long size = file.size(), offset, length;
      try {
        offset = Wire.integer(call.named().getOrDefault("offset", 0L), 0, size, "offset");
        length = Wire.integer(call.named().getOrDefault("length", size - offset), 0, size - offset, "length");
      } catch (Wire.Failure failure) {
        throw new Wire.Failure(OUT_OF_RANGE, failure.getMessage());
      }
      if (length > Wire.MAX_BODY) {
        throw new Wire.Failure(RESOURCE_EXHAUSTED, "ask for at most " + Wire.MAX_BODY + " bytes at a time");
      }
      ByteBuffer body = ByteBuffer.allocate((int) length);
      file.position(offset);
      while (body.hasRemaining()) {
        if (file.read(body) < 0) throw new Wire.Failure(INTERNAL_ERROR, "the file shrank while it was read");
      }
      long mtime = Files.getLastModifiedTime(path).toMillis() / 1000;
      return new Answer(Map.of("name", name, "size", size, "offset", offset, "length", length, "mtime", mtime),
          body.array());
    }
  }

  // ---- methods

  record Call(Server server, Map<String, Object> header, byte[] body) {
    @SuppressWarnings("unchecked")
    Map<String, Object> named() throws Wire.Failure {
      if (header.get("params") instanceof Map) return (Map<String, Object>) header.get("params");
      throw new Wire.Failure(INVALID_PARAMS, "params: expected an object");
    }

    Object param(String name) throws Wire.Failure { return named().get(name); }

    long integer(Object value, long lowest, long highest, String what) throws Wire.Failure {
      try {
        return Wire.integer(value, lowest, highest, what);
      } catch (Wire.Failure failure) {
        throw new Wire.Failure(INVALID_PARAMS, failure.getMessage());
      }
    }

    /** A notification gets no answer. */
    void reply(Map<String, Object> members, byte[] bytes) throws IOException {
      if (header.containsKey("id")) server.send(header.get("id"), members, bytes);
    }
  }

  static Answer upper(Call call) {
    byte[] body = call.body();
    for (int i = 0; i < body.length; ++i) {
      if (body[i] >= 'a' && body[i] <= 'z') body[i] -= 32;
    }
    return new Answer(null, body);
  }

  static Answer echo(Call call) { return new Answer(call.header().get("params"), call.body()); }

  static Answer add(Call call) throws Exception {
    boolean placed = call.header().get("params") instanceof List<?> list && list.size() == 2;
    List<?> list = placed ? (List<?>) call.header().get("params") : null;
    Object a = placed ? list.get(0) : call.param("a"), b = placed ? list.get(1) : call.param("b");
    return new Answer(
        call.integer(a, -MAX_NUMBER, MAX_NUMBER, "a") + call.integer(b, -MAX_NUMBER, MAX_NUMBER, "b"), NOTHING);
  }

  static Answer say(Call call) throws Exception {
    if (call.param("text") instanceof String text) return new Answer(text, NOTHING);
    throw new Wire.Failure(INVALID_PARAMS, "text: expected a string");
  }

  static Answer count(Call call) throws Exception {
    if (!Boolean.TRUE.equals(call.header().get("stream"))) {
      throw new Wire.Failure(
          Wire.INVALID_REQUEST, "the answer is a stream, and the request lacks \"stream\": true");
    }
    long n = call.integer(call.param("n"), 0, MAX_COUNT, "n");
    for (long number = 0; number < n; ++number) call.reply(Map.of("result", number, "more", true), NOTHING);
    return new Answer(null, NOTHING);
  }

  static final Map<String, Method> METHODS = Map.of("upper", Server::upper, "echo", Server::echo, "add", Server::add,
      "say", Server::say, "count", Server::count, "file.get", Server::get);

  // ---- connections

  void answer(Map<String, Object> header, byte[] body) throws Exception {
    Call call = new Call(this, header, body);
    Wire.Failure failure;
    try {
      Object name = header.get("method");
      Method method = name instanceof String ? METHODS.get(name) : null;
      if (method == null) throw new Wire.Failure(METHOD_NOT_FOUND, "no method " + name);
      Answer answer = method.run(call);
      Map<String, Object> members = new HashMap<>();
      members.put("result", answer.result());
      call.reply(members, answer.body());
      return;
    } catch (Wire.Failure known) {
      failure = known;
    } catch (SocketException gone) {
      throw gone;
    } catch (IOException | RuntimeException problem) {
      failure = new Wire.Failure(INTERNAL_ERROR, problem.toString());
    }
    if (header.containsKey("id")) sendError(header.get("id"), failure);
  }

  /** False at the end of the stream. */
  boolean serveFrame() throws Exception {
    Map<String, Object> header = Wire.readHeader(in);
    if (header == null) return false;
    for (String key : List.of("result", "error", "item")) {
      if (header.containsKey(key)) throw new Wire.Failure(Wire.INVALID_REQUEST, "neither a request nor an upload");
    }
    if (header.containsKey("method")) {
      if (Boolean.TRUE.equals(header.get("more"))) {
        throw new Wire.Failure(Wire.INVALID_REQUEST, "no method here takes parts");
      }
      answer(header, Wire.readBody(in, header));
      return true;
    }
    Object size = null;
    for (String key : List.of("total_size", "filesize", "file_siz", "file_size")) size = header.getOrDefault(key, size);
    store(header.getOrDefault("file_name", header.get("filename")), size);
    return true;
  }

  void serve() {
    try (socket) {
      try {
        while (serveFrame()) {}
      } catch (EOFException | SocketException gone) {
        // The client is gone.
      } catch (Wire.Failure failure) {
        refuse(failure);
      } catch (Exception problem) {
        refuse(new Wire.Failure(INTERNAL_ERROR, problem.toString()));
      }
    } catch (IOException ignored) {
      // It is closed, or broken: nobody is there to be told.
    }
  }

  /** Says why, and drops what still comes: a close with unread bytes would destroy the reply on its way. */
  void refuse(Wire.Failure failure) throws IOException {
    sendError(null, failure);
    socket.shutdownOutput();
    socket.setSoTimeout(5000);
    byte[] piece = new byte[1 << 16];
    for (long left = 64 << 20; left > 0;) {
      int count = in.read(piece);
      if (count < 0) return;
      left -= count;
    }
  }

  public static void main(String[] arguments) throws IOException {
    int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
    // SIGTERM would end it with 143.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
    try (ServerSocket listener = new ServerSocket(port, 128, InetAddress.getByName("127.0.0.1"))) {
      System.out.println("listening tcp 127.0.0.1:" + listener.getLocalPort());
      for (;;) {
        Server connection = new Server(listener.accept());
        Thread thread = new Thread(connection::serve);
        thread.setDaemon(true);
        thread.start();
      }
    }
  }
}
