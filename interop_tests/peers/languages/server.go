// A server in Go, nothing but its standard library.
//
//	ROOT=folder go run server.go [PORT]    prints `listening tcp 127.0.0.1:PORT`, 0 or none: a free port
//
// A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces. Every
// connection has a goroutine, which answers one frame after the other. What is no frame closes its connection, and no
// other.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	maxHeader, maxBody, maxFile, maxCount = 1 << 20, 64 << 20, 1 << 30, 1000000

	parseError, invalidRequest, methodNotFound, invalidParams, internalError = -32700, -32600, -32601, -32602, -32603
	notFound, resourceExhausted, outOfRange                                  = -32045, -32048, -32051
)

var (
	statusNames = map[int]string{notFound: "NOT_FOUND", resourceExhausted: "RESOURCE_EXHAUSTED", outOfRange: "OUT_OF_RANGE"}
	root        = os.Getenv("ROOT")
	badName     = regexp.MustCompile(`[/\\\x00-\x1f\x7f-\x{9f}]|^[A-Za-z]:|^\.\.?$|^\.framecall$`)
)

type object = map[string]any

// failure becomes the error reply.
type failure struct {
	code    int
	message string
}

func (f *failure) Error() string { return f.message }

func fail(code int, format string, arguments ...any) error {
	return &failure{code, fmt.Sprintf(format, arguments...)}
}

func errorReply(id json.RawMessage, err error) object {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{internalError, err.Error()}
	}
	members := object{"code": f.code, "message": f.message}
	if name, named := statusNames[f.code]; named {
		members["data"] = object{"status": name}
	}
	return object{"jsonrpc": "2.0", "id": id, "error": members}
}

// ---- frames

// header keeps what has to be echoed as it came. Pointers tell what is there. (encoding/json also takes METHOD for method.)
type header struct {
	ID       json.RawMessage `json:"id"`
	Method   *string         `json:"method"`
	Params   json.RawMessage `json:"params"`
	Stream   bool            `json:"stream"`
	More     bool            `json:"more"`
	BodySize int64           `json:"body_size"`
	Result   json.RawMessage `json:"result"`
	Error    json.RawMessage `json:"error"`
	Item     json.RawMessage `json:"item"`
	Name     *string         `json:"file_name"`
	OldName  *string         `json:"filename"`
	Size     *int64          `json:"file_size"`
	OldSize  *int64          `json:"file_siz"`
	SizeToo  *int64          `json:"filesize"`
	Total    *int64          `json:"total_size"`
}

type connection struct {
	socket *net.TCPConn
	reader *bufio.Reader
}

func (c *connection) readHeader() (*header, error) {
	var length int32
	if err := binary.Read(c.reader, binary.LittleEndian, &length); err != nil {
		return nil, err
	}
	if length < 2 || length > maxHeader {
		return nil, fail(invalidRequest, "a header of %d bytes; 2 to %d are taken", length, maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(c.reader, text); err != nil {
		return nil, err
	}
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, fail(parseError, "the header is no JSON: %.100q", text)
	}
	if bytes.TrimLeft(text, " \t\r\n")[0] != '{' {
		return nil, fail(invalidRequest, "the header is no object")
	}
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fail(invalidRequest, "the header: %s", err)
	}
	return &h, nil
}

func (c *connection) send(members object, body []byte) error {
	if len(body) > 0 {
		members["body_size"] = len(body)
	}
	text, err := json.Marshal(members)
	if err != nil {
		return err
	}
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	buffers := net.Buffers{append(frame, text...), body}
	_, err = buffers.WriteTo(c.socket)
	return err
}

// refuse says why, and drops what still comes: a close with unread bytes would destroy the reply on its way.
func (c *connection) refuse(err error) {
	c.send(errorReply(json.RawMessage("null"), err), nil)
	c.socket.CloseWrite()
	c.socket.SetReadDeadline(time.Now().Add(5 * time.Second))
	io.CopyN(io.Discard, c.reader, 64<<20)
}

// ---- files

// pathOf takes one plain path component, and nothing else.
func pathOf(name *string) (string, error) {
	if name == nil || len(*name) < 1 || len(*name) > 255 || badName.MatchString(*name) {
		return "", fail(invalidParams, "no file name, or not a plain one")
	}
	return filepath.Join(root, *name), nil
}

// store gives the file its name when it is whole.
func (c *connection) store(h *header) error {
	name, size := h.Name, h.Size
	if name == nil {
		name = h.OldName
	}
	for _, other := range []*int64{h.OldSize, h.SizeToo, h.Total} {
		if size == nil {
			size = other
		}
	}
	path, err := pathOf(name)
	if err != nil {
		return err
	}
	if size == nil || *size < 0 || *size > maxFile {
		return fail(invalidRequest, "a file without a size, or one that is not 0 to %d", maxFile)
	}
	part, err := os.CreateTemp(root, ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name()) // what was renamed is not there any more
	_, err = io.CopyN(part, c.reader, *size)
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

func get(k *call) (any, []byte, error) {
	var params struct {
		Name           *string
		Offset, Length *int64
	}
	if err := k.params(&params); err != nil {
		return nil, nil, err
	}
	path, err := pathOf(params.Name)
	if err != nil {
		return nil, nil, err
	}
	if status, err := os.Lstat(path); err != nil || !status.Mode().IsRegular() {
		return nil, nil, fail(notFound, "no file %q", *params.Name)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	var offset int64
	if params.Offset != nil {
		offset = *params.Offset
	}
	length := status.Size() - offset
	if params.Length != nil {
		length = *params.Length
	}
	if offset < 0 || offset > status.Size() || length < 0 || length > status.Size()-offset {
		return nil, nil, fail(outOfRange, "the file has %d bytes", status.Size())
	}
	if length > maxBody {
		return nil, nil, fail(resourceExhausted, "ask for at most %d bytes at a time", maxBody)
	}
	body := make([]byte, length)
	if _, err := file.ReadAt(body, offset); err != nil && err != io.EOF {
		return nil, nil, err
	}
	return object{"name": *params.Name, "size": status.Size(), "offset": offset, "length": length,
		"mtime": status.ModTime().Unix()}, body, nil
}

// ---- methods: each returns the result and the body of the reply, or of its last frame

type call struct {
	header *header
	body   []byte
	send   func(members object, body []byte) error
}

func (k *call) params(into any) error {
	if k.header.Params == nil {
		return fail(invalidParams, "params are missing")
	}
	if err := json.Unmarshal(k.header.Params, into); err != nil {
		return fail(invalidParams, "params: %s", err)
	}
	return nil
}

func upper(k *call) (any, []byte, error) {
	for i, b := range k.body {
		if b >= 'a' && b <= 'z' {
			k.body[i] = b - 32
		}
	}
	return nil, k.body, nil
}

func echo(k *call) (any, []byte, error) { return k.header.Params, k.body, nil }

func add(k *call) (any, []byte, error) {
	var named struct{ A, B *int64 }
	if k.params(&named) != nil {
		var placed []*int64
		if err := k.params(&placed); err != nil {
			return nil, nil, err
		}
		if len(placed) == 2 {
			named.A, named.B = placed[0], placed[1]
		}
	}
	if named.A == nil || named.B == nil {
		return nil, nil, fail(invalidParams, "expected two integers, a and b")
	}
	return *named.A + *named.B, nil, nil
}

func say(k *call) (any, []byte, error) {
	var params struct{ Text *string }
	if err := k.params(&params); err != nil {
		return nil, nil, err
	}
	if params.Text == nil {
		return nil, nil, fail(invalidParams, "text: expected a string")
	}
	return *params.Text, nil, nil
}

func count(k *call) (any, []byte, error) {
	var params struct{ N *int }
	if err := k.params(&params); err != nil {
		return nil, nil, err
	}
	if !k.header.Stream {
		return nil, nil, fail(invalidRequest, `the answer is a stream, and the request lacks "stream": true`)
	}
	if params.N == nil || *params.N < 0 || *params.N > maxCount {
		return nil, nil, fail(invalidParams, "n: expected an integer 0 to %d", maxCount)
	}
	for number := 0; number < *params.N; number++ {
		if err := k.send(object{"result": number, "more": true}, nil); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, nil
}

var methods = map[string]func(*call) (any, []byte, error){
	"upper": upper, "echo": echo, "add": add, "say": say, "count": count, "file.get": get,
}

// ---- connections

func (c *connection) answer(h *header, body []byte) error {
	reply := func(members object, body []byte) error {
		if h.ID == nil { // a notification gets no answer
			return nil
		}
		members["jsonrpc"], members["id"] = "2.0", h.ID
		return c.send(members, body)
	}
	method, found := methods[*h.Method]
	if !found {
		return reply(errorReply(h.ID, fail(methodNotFound, "no method %.200q", *h.Method)), nil)
	}
	result, body, err := method(&call{h, body, reply})
	if err != nil {
		return reply(errorReply(h.ID, err), nil)
	}
	return reply(object{"result": result}, body)
}

func (c *connection) serveFrame() error {
	h, err := c.readHeader()
	if err != nil {
		return err
	}
	if h.Result != nil || h.Error != nil || h.Item != nil {
		return fail(invalidRequest, "neither a request nor an upload")
	}
	if h.Method == nil {
		return c.store(h)
	}
	if h.More {
		return fail(invalidRequest, "no method here takes parts")
	}
	if h.BodySize < 0 || h.BodySize > maxBody {
		return fail(invalidRequest, "a body of %d bytes; %d are taken", h.BodySize, maxBody)
	}
	body := make([]byte, h.BodySize)
	if _, err := io.ReadFull(c.reader, body); err != nil {
		return err
	}
	return c.answer(h, body)
}

func serve(socket *net.TCPConn) {
	defer socket.Close()
	c := &connection{socket, bufio.NewReader(socket)}
	var err error
	for err == nil {
		err = c.serveFrame()
	}
	var network *net.OpError
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &network) {
		c.refuse(err)
	}
}

func main() {
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() { <-end; os.Exit(0) }()
	fmt.Printf("listening tcp %s\n", listener.Addr())
	for {
		socket, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go serve(socket.(*net.TCPConn))
	}
}
