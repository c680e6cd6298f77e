// The wire for Client.java and Server.java: frames, and the JSON that the Java library lacks.
//
// A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces.

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class Wire {
  static final int MAX_HEADER = 1 << 20, MAX_BODY = 64 << 20;  // what we are willing to read

  static final List<String> CALL_KEYS = List.of("method", "result", "error", "item"),
      SIZE_KEYS = List.of("file_size", "file_siz", "filesize", "total_size");

  static final int PARSE_ERROR = -32700, INVALID_REQUEST = -32600;

  /** Becomes the error reply of a server. */
  static final class Failure extends Exception {
    final int code;

    Failure(int code, String message) {
      super(message);
      this.code = code;
    }
  }

  // ---- frames

  static void write(OutputStream out, String header, byte[] body) throws IOException {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    out.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(text.length).array());
    out.write(text);
    out.write(body);
    out.flush();
  }

  /** The next header; null at the end of the stream. */
  static Map<String, Object> readHeader(DataInputStream in) throws IOException, Failure {
    return readHeader(in, MAX_HEADER);
  }

  static Map<String, Object> readHeader(DataInputStream in, int maxHeader) throws IOException, Failure {
    byte[] prefix = in.readNBytes(4);
    if (prefix.length == 0) return null;
    if (prefix.length < 4) throw new EOFException("the end, inside a length");
    int length = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getInt();
    if (length < 2 || length > maxHeader) {
      throw new Failure(INVALID_REQUEST, "a header of " + length + " bytes; 2 to " + maxHeader + " are taken");
    }
    byte[] text = new byte[length];
    in.readFully(text);
    Object header;
    try {
      header = parse(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString());
    } catch (CharacterCodingException problem) {
      throw new Failure(PARSE_ERROR, "the header is no UTF-8");
    }
    if (!(header instanceof Map)) throw new Failure(INVALID_REQUEST, "the header is no object");
    @SuppressWarnings("unchecked")
    Map<String, Object> object = (Map<String, Object>) header;
    return object;
  }

  static byte[] readBody(DataInputStream in, Map<String, Object> header) throws IOException, Failure {
    boolean isCall = CALL_KEYS.stream().anyMatch(header::containsKey);
    Long size = null;
    for (String key : isCall ? List.of("body_size") : SIZE_KEYS) {
      if (!header.containsKey(key)) continue;
      long one = integer(header.get(key), 0, MAX_BODY, key);
      if (size != null && size != one) throw new Failure(INVALID_REQUEST, key + " differs from another size");
      size = one;
    }
    byte[] body = new byte[size == null ? 0 : size.intValue()];
    in.readFully(body);
    return body;
  }

  static long integer(Object value, long lowest, long highest, String what) throws Failure {
    if (value instanceof Long && (Long) value >= lowest && (Long) value <= highest) return (Long) value;
    throw new Failure(INVALID_REQUEST, what + ": expected an integer " + lowest + " to " + highest);
  }

  // ---- JSON: Map, List, String, Long or BigInteger or Double, Boolean, null

  static Object parse(String text) throws Failure {
    Parser parser = new Parser(text);
    Object value = parser.value(0);
    parser.skipSpace();
    if (parser.at < text.length()) throw parser.error("nothing more");
    return value;
  }

  private static final class Parser {
    final String text;
    int at = 0;

    Parser(String text) { this.text = text; }

    Failure error(String expected) {
      return new Failure(PARSE_ERROR, "JSON: expected " + expected + " at character " + at);
    }

    char peek() { return at < text.length() ? text.charAt(at) : 0; }

    void skipSpace() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) ++at;
    }

    boolean take(String word) {
      skipSpace();
      if (!text.startsWith(word, at)) return false;
      at += word.length();
      return true;
    }

    void need(String word) throws Failure {
      if (!take(word)) throw error(word);
    }

    Object value(int depth) throws Failure {
      if (take("{")) return object(depth + 1);
      if (take("[")) return array(depth + 1);
      if (take("\"")) return string();
      if (take("true")) return true;
      if (take("false")) return false;
      if (take("null")) return null;
      return number();
    }

    Map<String, Object> object(int depth) throws Failure {
      if (depth > 1000) throw error("at most 1000 levels");
      Map<String, Object> members = new LinkedHashMap<>();
      if (take("}")) return members;
      do {
        need("\"");
        String key = string();
        need(":");
        members.put(key, value(depth));
      } while (take(","));
      need("}");
      return members;
    }

    List<Object> array(int depth) throws Failure {
      if (depth > 1000) throw error("at most 1000 levels");
      List<Object> items = new ArrayList<>();
      if (take("]")) return items;
      do {
        items.add(value(depth));
      } while (take(","));
      need("]");
      return items;
    }

    String string() throws Failure {
      StringBuilder out = new StringBuilder();
      for (;;) {
        char c = peek();
        if (c < ' ') throw error("the rest of a string");
        ++at;
        if (c == '"') return out.toString();
        out.append(c == '\\' ? escape() : c);
      }
    }

    char escape() throws Failure {
      char c = peek();
      ++at;
      int simple = "\"\\/bfnrt".indexOf(c);
      if (simple >= 0) return "\"\\/\b\f\n\r\t".charAt(simple);
      if (c != 'u' || at + 4 > text.length() || !text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
        throw error("an escape");
      }
      at += 4;
      return (char) Integer.parseInt(text.substring(at - 4, at), 16);  // a pair of them is an astral character
    }

    Object number() throws Failure {
      int begin = at;
      while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) ++at;
      String number = text.substring(begin, at);
      if (number.matches("-?(0|[1-9][0-9]{0,17})")) return Long.parseLong(number);
      if (number.matches("-?[1-9][0-9]{18,4299}")) return new BigInteger(number);
      if (number.matches("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?")) return Double.parseDouble(number);
      at = begin;
      throw error("a value");
    }
  }

  /** JSON text; `ascii`: everything beyond ASCII as escapes, as Python's json.dumps does. */
  static String text(Object value, boolean ascii) {
    StringBuilder out = new StringBuilder();
    append(out, value, ascii);
    return out.toString();
  }

  private static void append(StringBuilder out, Object value, boolean ascii) {
    if (value instanceof Map) {
      String separator = "{";
      for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet()) {
        append(out.append(separator), member.getKey(), ascii);
        append(out.append(": "), member.getValue(), ascii);
        separator = ", ";
      }
      out.append(((Map<?, ?>) value).isEmpty() ? "{}" : "}");
    } else if (value instanceof List) {
      String separator = "[";
      for (Object item : (List<?>) value) {
        append(out.append(separator), item, ascii);
        separator = ", ";
      }
      out.append(((List<?>) value).isEmpty() ? "[]" : "]");
    } else if (value instanceof String) {
      out.append('"');
      for (char c : ((String) value).toCharArray()) {
        int simple = "\"\\\b\f\n\r\t".indexOf(c);
        if (simple >= 0) out.append('\\').append("\"\\bfnrt".charAt(simple));
        else if (c < ' ' || ascii && c > '~') out.append(String.format("\\u%04x", (int) c));
        else out.append(c);
      }
      out.append('"');
    } else {
      out.append(value);
    }
  }

  private Wire() {}
}
