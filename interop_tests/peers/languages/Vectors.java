// Does Wire.java read and write frames as vectors.json says? Java 17 and later.
//
//     javac Vectors.java Wire.java && java Vectors FILE
//
// prints what agrees, and what is outside of the JSON of Wire.java; exit code 1 if anything else differs. Headers that were
// read are compared as values; those that are written, byte for byte with what Python's json.dumps writes.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

public final class Vectors {
  /** Cases that Wire.java reads otherwise than Python, by name: they alone may disagree, and are printed. */
  static final Map<String, String> OUTSIDE = Map.of(
      "no NaN, no Infinity", "^(NaN and|floats out of range|not an object: NaN|(file|body)_size (NaN|Infinity)).*",
      "floats are written as Java does", "floats",
      "bodies above 64 MiB", "largest (file|body)_size.*");

  static final Map<String, Integer> agreed = new TreeMap<>(Map.of("decode", 0, "encode", 0));
  static final Map<String, List<String>> outside = new TreeMap<>();
  static boolean failed = false;

  static void judge(String kind, Object name, Object got, Object wanted) {
    if (got.equals(wanted)) {
      agreed.merge(kind, 1, Integer::sum);
      return;
    }
    for (Map.Entry<String, String> reason : OUTSIDE.entrySet()) {
      if (!name.toString().matches(reason.getValue())) continue;
      outside.computeIfAbsent(reason.getKey(), key -> new ArrayList<>()).add('"' + name.toString() + '"');
      return;
    }
    failed = true;
    System.out.printf("%s %s: expected %.200s, got %.200s%n", kind, name, wanted, got);
  }

  /** A text, or a list of texts and [text, count], as one text. */
  static String text(Object value) {
    if (value instanceof String text) return text;
    List<?> list = (List<?>) value;
    if (list.size() == 2 && list.get(1) instanceof Long count) return text(list.get(0)).repeat(count.intValue());
    StringBuilder out = new StringBuilder();
    for (Object item : list) out.append(text(item));
    return out.toString();
  }

  static byte[] bytes(Object value) { return HexFormat.of().parseHex(text(value)); }

  /** The value of JSON text, or why there is none. */
  static Object valueOf(String text) {
    try {
      return Wire.parse(text);
    } catch (Wire.Failure problem) {
      return problem.getMessage();
    }
  }

  /** The messages in `data`, header and body in turn, and behind them how it ends. */
  static List<Object> readAll(byte[] data, int maxHeader) throws Exception {
    List<Object> read = new ArrayList<>();
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(data));
    try {
      for (Map<String, Object> header; (header = Wire.readHeader(in, maxHeader)) != null;) {
        String body = HexFormat.of().formatHex(Wire.readBody(in, header));
        read.addAll(List.of(header, body));
      }
      read.add("closed");
    } catch (EOFException problem) {
      read.add("truncated");
    } catch (Wire.Failure problem) {
      read.add((long) problem.code);
    }
    return read;
  }

  static String written(String header, byte[] body) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Wire.write(out, valueOf(header) instanceof Map<?, ?> object ? Wire.text(object, true) : "", body);
    return HexFormat.of().formatHex(out.toByteArray());
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 1) {
      System.err.println("usage: java Vectors FILE");
      System.exit(2);
    }
    Map<?, ?> file = (Map<?, ?>) Wire.parse(Files.readString(Path.of(arguments[0])));
    for (Object one : (List<?>) file.get("decode")) {
      Map<?, ?> vector = (Map<?, ?>) one;
      Long limit = (Long) vector.get("max_header");
      List<Object> got = readAll(bytes(vector.get("hex")), limit == null ? Wire.MAX_HEADER : limit.intValue());
      List<Object> wanted = new ArrayList<>();
      for (Object message : (List<?>) vector.get("messages")) {
        wanted.add(valueOf(text(((Map<?, ?>) message).get("header"))));
        wanted.add(text(((Map<?, ?>) message).get("body")));
      }
      Object end = vector.get("end") instanceof Map<?, ?> error ? error.get("error") : vector.get("end");
      if (end.equals("need_data")) end = got.get(got.size() - 1).equals("closed") ? "closed" : "truncated";  // a stream ends
      wanted.add(end);
      judge("decode", vector.get("name"), got, wanted);
    }
    for (Object one : (List<?>) file.get("encode")) {
      Map<?, ?> vector = (Map<?, ?>) one;
      String got = written(text(vector.get("header_text")), bytes(vector.get("body")));
      judge("encode", vector.get("name"), got, text(vector.get("hex")));
    }
    List<String> reasons = new ArrayList<>();
    outside.forEach((reason, names) -> reasons.add(reason + " (" + String.join(", ", names) + ")"));
    System.out.printf("vectors: %d decode, %d encode agree; %d outside: %s%n", agreed.get("decode"), agreed.get("encode"),
        outside.values().stream().mapToInt(List::size).sum(), String.join("; ", reasons));
    System.exit(failed ? 1 : 0);
  }

  private Vectors() {}
}
