// A client in Java: 17 and later, nothing but its standard library. The wire itself is in Wire.java.
//
//     javac Client.java Wire.java && java Client HOST PORT CASE...
//
// prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage.
// Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

public final class Client implements AutoCloseable {
  static final long METHOD_NOT_FOUND = -32601;
  static final String TEXT = "na\u00efve \u4f60\u597d \ud83d\ude80";
  static final byte[] NOTHING = {};

  /** The server's error reply. */
  static final class RemoteError extends Exception {
    final Object code;

    RemoteError(Map<?, ?> error) {
      super("the server says: " + error.get("message") + " (" + error.get("code") + ")");
      code = error.get("code");
    }
  }

  record Reply(Map<String, Object> header, byte[] body) {
    Object result() { return header.get("result"); }
  }

  final Socket socket = new Socket();
  final DataInputStream in;
  final OutputStream out;
  long lastId = 0;

  Client(String host, int port) throws IOException {
    socket.connect(new InetSocketAddress(host, port), 30000);
    socket.setSoTimeout(30000);
    socket.setTcpNoDelay(true);
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
    out = new BufferedOutputStream(socket.getOutputStream());
  }

  @Override
  public void close() throws IOException { socket.close(); }

  // ---- calls

  void request(String method, Object params, byte[] body, boolean stream, boolean ascii) throws IOException {
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("jsonrpc", "2.0");
    header.put("id", ++lastId);
    header.put("method", method);
    if (params != null) header.put("params", params);
    if (stream) header.put("stream", true);
    if (body.length > 0) header.put("body_size", (long) body.length);
    Wire.write(out, Wire.text(header, ascii), body);
  }

  /** The next frame of the reply to the last request. */
  Reply readReply() throws Exception {
    Map<String, Object> header = Wire.readHeader(in);
    if (header == null) throw new EOFException("the server closed the connection");
    byte[] body = Wire.readBody(in, header);
    if (header.get("error") instanceof Map<?, ?> error) throw new RemoteError(error);
    expect("id of the reply", header.get("id"), lastId);
    return new Reply(header, body);
  }

  Reply call(String method, Object params, byte[] body) throws Exception {
    request(method, params, body, false, true);
    return readReply();
  }

  // ---- the cases

  static void expect(String what, Object got, Object wanted) throws Exception {
    if (Objects.equals(got, wanted)) return;
    throw new Exception(String.format("%s: expected %.200s, got %.200s", what, wanted, got));
  }

  /** Bytes that differ everywhere; every client of this folder sends the same ones. */
  static byte[] pattern(int size) {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; ++i) bytes[i] = (byte) (i ^ (i >> 8) ^ (i >> 16));
    return bytes;
  }

  void upper() throws Exception {
    byte[] body = call("upper", null, "hello, world".getBytes(StandardCharsets.US_ASCII)).body();
    expect("body", new String(body, StandardCharsets.US_ASCII), "HELLO, WORLD");
  }

  void add() throws Exception {
    expect("by name", call("add", Map.of("a", 2L, "b", 3L), NOTHING).result(), 5L);
    expect("by place", call("add", List.of(2L, 3L), NOTHING).result(), 5L);
  }

  void unicode() throws Exception {
    for (boolean ascii : new boolean[] {false, true}) {
      request("say", Map.of("text", TEXT), NOTHING, false, ascii);
      expect(ascii ? "escaped" : "raw UTF-8", readReply().result(), TEXT);
    }
  }

  void big() throws Exception {
    byte[] sent = pattern(5 << 20);
    byte[] body = call("echo", null, sent).body();
    expect("size of the body", body.length, sent.length);
    expect("the body is what was sent", Arrays.equals(body, sent), true);
  }

  void error() throws Exception {
    Object code = "a result";
    try {
      call("no.such.method", null, NOTHING);
    } catch (RemoteError problem) {
      code = problem.code;
    }
    expect("error code", code, METHOD_NOT_FOUND);
    upper();  // the connection goes on
  }

  void stream() throws Exception {
    request("count", Map.of("n", 5L), NOTHING, true, true);
    List<Object> values = new ArrayList<>();
    for (boolean more = true; more;) {
      Reply reply = readReply();
      more = Boolean.TRUE.equals(reply.header().get("more"));
      // The end alone is no part.
      if (more || reply.result() != null || reply.body().length > 0) values.add(reply.result());
    }
    expect("parts", values, List.of(0L, 1L, 2L, 3L, 4L));
  }

  void upload() throws Exception {
    Wire.write(out, "{\"file_name\": \"upload-java.bin\", \"file_size\": 100000}", pattern(100000));
    socket.shutdownOutput();
    expect("what the server says", Wire.readHeader(in), null);  // success is silent, a refusal is an error frame
  }

  void get() throws Exception {
    Reply reply = call("file.get", Map.of("name", "shared.bin"), NOTHING);
    expect("size", ((Map<?, ?>) reply.result()).get("size"), (long) reply.body().length);
    byte[] sum = MessageDigest.getInstance("SHA-256").digest(reply.body());
    expect("SHA-256", HexFormat.of().formatHex(sum), System.getenv("SHARED_SHA256"));
  }

  interface Case {
    void run(Client client) throws Exception;
  }

  static final Map<String, Case> CASES = Map.of("upper", Client::upper, "add", Client::add, "unicode", Client::unicode,
      "big", Client::big, "error", Client::error, "stream", Client::stream, "upload", Client::upload, "get", Client::get);

  public static void main(String[] arguments) {
    List<String> names = Arrays.asList(arguments).subList(Math.min(2, arguments.length), arguments.length);
    if (names.isEmpty() || !arguments[1].matches("[0-9]{1,5}") || !CASES.keySet().containsAll(names)) {
      System.err.println("usage: java Client HOST PORT CASE...\ncases: " + String.join(" ", CASES.keySet()));
      System.exit(2);
    }
    boolean failed = false;
    for (String name : names) {
      try (Client client = new Client(arguments[0], Integer.parseInt(arguments[1]))) {
        CASES.get(name).run(client);
        System.out.println(name + " ok");
      } catch (Exception problem) {
        failed = true;
        System.out.println(name + " failed: " + problem);
      }
    }
    System.exit(failed ? 1 : 0);
  }
}
