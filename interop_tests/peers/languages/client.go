// A client in Go, nothing but its standard library.
//
//	go run client.go HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
//
// A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces.
// Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxHeader      = 1 << 20 // what we are willing to read
	maxBody        = 64 << 20
	parseError     = -32700
	invalidRequest = -32600
	methodNotFound = -32601
	text           = "naïve 你好 🚀"
)

// ---- the wire

type request struct {
	Version  string `json:"jsonrpc"`
	ID       int    `json:"id"`
	Method   string `json:"method"`
	Params   any    `json:"params,omitempty"`
	Stream   bool   `json:"stream,omitempty"`
	BodySize int    `json:"body_size,omitempty"`
}

type reply struct {
	ID     *int         `json:"id"`
	Result any          `json:"result"`
	Error  *remoteError `json:"error"`
	More   bool         `json:"more"`
}

type remoteError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *remoteError) Error() string {
	return fmt.Sprintf("the server says: %s (%d)", e.Message, e.Code)
}

// refusal says that what came is no frame.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int, format string, arguments ...any) error {
	return &refusal{code, fmt.Sprintf(format, arguments...)}
}

// frame makes the bytes of one; header is the text of its JSON.
func frame(header, body []byte) []byte {
	bytes := binary.LittleEndian.AppendUint32(nil, uint32(len(header)))
	return append(append(bytes, header...), body...)
}

// readHeader reads the next header, as text and as its members; io.EOF if the stream ends before it.
func readHeader(from io.Reader, limit int32) ([]byte, map[string]any, error) {
	var length int32
	if err := binary.Read(from, binary.LittleEndian, &length); err != nil {
		return nil, nil, err
	}
	if length < 2 || length > limit {
		return nil, nil, refuse(invalidRequest, "a header of %d bytes", length)
	}
	header := make([]byte, length)
	if err := readInside(from, header); err != nil {
		return nil, nil, err
	}
	if !utf8.Valid(header) || !json.Valid(header) { // the library would mend what is no UTF-8
		return nil, nil, refuse(parseError, "a header that is no JSON: %.200q", header)
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(header))
	decoder.UseNumber() // as they are written: 1.0 is no size
	if err := decoder.Decode(&value); err != nil {
		return nil, nil, refuse(parseError, "header %.200q: %v", header, err)
	}
	members, isObject := value.(map[string]any)
	if !isObject {
		return nil, nil, refuse(invalidRequest, "a header that is no object: %.200q", header)
	}
	return header, members, nil
}

// readBody reads what follows a header.
func readBody(from io.Reader, header map[string]any) ([]byte, error) {
	keys := []string{"file_size", "file_siz", "filesize", "total_size"}
	for _, key := range []string{"method", "result", "error", "item"} {
		if _, found := header[key]; found {
			keys = []string{"body_size"}
		}
	}
	size := int64(-1)
	for _, key := range keys {
		value, found := header[key]
		if !found {
			continue
		}
		number, _ := value.(json.Number)
		one, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || one < 0 || one > maxBody || size >= 0 && one != size {
			return nil, refuse(invalidRequest, "%s: %v", key, value)
		}
		size = one
	}
	if size < 0 { // none of the keys is there
		size = 0
	}
	body := make([]byte, size)
	return body, readInside(from, body)
}

// readInside fills data; the stream must not end here.
func readInside(from io.Reader, data []byte) error {
	_, err := io.ReadFull(from, data)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

type connection struct {
	socket *net.TCPConn
	reader *bufio.Reader
	lastID int
}

func open(address string) (*connection, error) {
	socket, err := net.DialTimeout("tcp", address, 30*time.Second)
	if err != nil {
		return nil, err
	}
	socket.SetDeadline(time.Now().Add(60 * time.Second)) // for all of a case
	return &connection{socket: socket.(*net.TCPConn), reader: bufio.NewReader(socket)}, nil
}

// send writes a frame; header is the text of its JSON.
func (c *connection) send(header, body []byte) error {
	_, err := c.socket.Write(frame(header, body))
	return err
}

// receive reads a frame; io.EOF if the stream ends before it.
func (c *connection) receive() (*reply, []byte, error) {
	header, members, err := readHeader(c.reader, maxHeader)
	if err != nil {
		return nil, nil, err
	}
	body, err := readBody(c.reader, members)
	if err != nil {
		return nil, nil, err
	}
	var read reply
	if err := json.Unmarshal(header, &read); err != nil {
		return nil, nil, fmt.Errorf("header %.200q: %w", header, err)
	}
	return &read, body, nil
}

// ask sends a request; encode makes its JSON.
func (c *connection) ask(r request, body []byte, encode func(any) ([]byte, error)) error {
	c.lastID++
	r.Version, r.ID, r.BodySize = "2.0", c.lastID, len(body)
	header, err := encode(r)
	if err != nil {
		return err
	}
	return c.send(header, body)
}

// readReply reads the next frame of the reply to the last request.
func (c *connection) readReply() (*reply, []byte, error) {
	frame, body, err := c.receive()
	if err != nil {
		return nil, nil, err
	}
	if frame.Error != nil {
		return nil, nil, frame.Error
	}
	if frame.ID == nil || *frame.ID != c.lastID {
		return nil, nil, fmt.Errorf("a reply to another call than %d", c.lastID)
	}
	return frame, body, nil
}

func (c *connection) call(method string, params any, body []byte) (any, []byte, error) {
	if err := c.ask(request{Method: method, Params: params}, body, json.Marshal); err != nil {
		return nil, nil, err
	}
	frame, body, err := c.readReply()
	if err != nil {
		return nil, nil, err
	}
	return frame.Result, body, nil
}

// marshalASCII writes everything beyond ASCII as \uxxxx, astral characters as two of them.
func marshalASCII(value any) ([]byte, error) {
	encoded, err := json.Marshal(value)
	var out []byte
	for _, character := range string(encoded) {
		if character < 0x80 {
			out = append(out, byte(character))
			continue
		}
		for _, unit := range utf16.Encode([]rune{character}) {
			out = fmt.Appendf(out, "\\u%04x", unit)
		}
	}
	return out, err
}

// pattern makes bytes that differ everywhere; every client of this folder sends the same ones.
func pattern(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ (i >> 8) ^ (i >> 16))
	}
	return data
}

// ---- the cases

func expect(what string, got, wanted any, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !reflect.DeepEqual(got, wanted) {
		return fmt.Errorf("%s: expected %.200q, got %.200q", what, fmt.Sprint(wanted), fmt.Sprint(got))
	}
	return nil
}

func upper(c *connection) error {
	_, body, err := c.call("upper", nil, []byte("hello, world"))
	return expect("body", string(body), "HELLO, WORLD", err)
}

func add(c *connection) error {
	for _, params := range []any{map[string]int{"a": 2, "b": 3}, []int{2, 3}} {
		result, _, err := c.call("add", params, nil)
		if err := expect(fmt.Sprint(params), result, float64(5), err); err != nil {
			return err
		}
	}
	return nil
}

func unicode(c *connection) error {
	for _, encode := range []func(any) ([]byte, error){json.Marshal, marshalASCII} {
		if err := c.ask(request{Method: "say", Params: map[string]string{"text": text}}, nil, encode); err != nil {
			return err
		}
		frame, _, err := c.readReply()
		if err != nil {
			return err
		}
		if err := expect("result", frame.Result, text, nil); err != nil {
			return err
		}
	}
	return nil
}

func big(c *connection) error {
	sent := pattern(5 << 20)
	_, body, err := c.call("echo", nil, sent)
	return expect("the body is what was sent", bytes.Equal(body, sent), true, err)
}

func failure(c *connection) error {
	_, _, err := c.call("no.such.method", nil, nil)
	var remote *remoteError
	if !errors.As(err, &remote) {
		return fmt.Errorf("expected error %d, got %v", methodNotFound, err)
	}
	if err := expect("error code", remote.Code, methodNotFound, nil); err != nil {
		return err
	}
	return upper(c) // the connection goes on
}

func stream(c *connection) error {
	if err := c.ask(request{Method: "count", Params: map[string]int{"n": 5}, Stream: true}, nil, json.Marshal); err != nil {
		return err
	}
	var values []any
	for more := true; more; {
		frame, body, err := c.readReply()
		if err != nil {
			return err
		}
		more = frame.More
		if more || frame.Result != nil || len(body) > 0 { // the end alone is no part
			values = append(values, frame.Result)
		}
	}
	return expect("parts", values, []any{0.0, 1.0, 2.0, 3.0, 4.0}, nil)
}

func upload(c *connection) error {
	body := pattern(100000)
	header := fmt.Sprintf(`{"file_name": "upload-go.bin", "file_size": %d}`, len(body))
	if err := c.send([]byte(header), body); err != nil {
		return err
	}
	if err := c.socket.CloseWrite(); err != nil {
		return err
	}
	frame, _, err := c.receive() // success is silent, a refusal is an error frame
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && frame.Error != nil {
		err = frame.Error
	}
	return fmt.Errorf("expected silence, got %v, %w", frame, err)
}

func get(c *connection) error {
	result, body, err := c.call("file.get", map[string]string{"name": "shared.bin"}, nil)
	if err != nil {
		return err
	}
	members, _ := result.(map[string]any)
	if err := expect("size", members["size"], float64(len(body)), nil); err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return expect("SHA-256", hex.EncodeToString(sum[:]), os.Getenv("SHARED_SHA256"), nil)
}

var cases = map[string]func(*connection) error{
	"upper": upper, "add": add, "unicode": unicode, "big": big, "error": failure, "stream": stream, "upload": upload, "get": get,
}

func run(address, name string) error {
	c, err := open(address)
	if err != nil {
		return err
	}
	defer c.socket.Close()
	return cases[name](c)
}

// vectors is set by vectors.go, when it is compiled with this file.
var vectors func(file string) int

func usage() {
	fmt.Fprintln(os.Stderr, "usage: client HOST PORT CASE...\ncases: upper add unicode big error stream upload get")
	os.Exit(2)
}

func main() {
	if vectors != nil && len(os.Args) == 2 {
		os.Exit(vectors(os.Args[1]))
	}
	if len(os.Args) < 4 {
		usage()
	}
	for _, name := range os.Args[3:] {
		if cases[name] == nil {
			usage()
		}
	}
	code := 0
	for _, name := range os.Args[3:] {
		if err := run(net.JoinHostPort(os.Args[1], os.Args[2]), name); err != nil {
			code = 1
			fmt.Printf("%s failed: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("%s ok\n", name)
		}
	}
	os.Exit(code)
}
