// Does client.go read and write frames as vectors.json says?
//
//	go run client.go vectors.go FILE    prints what agrees, and what is outside of encoding/json; exit code 1 for other differences
//
// Headers are compared as values, without the order of their members, which a map has not.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Cases in which the library's JSON is another one than Python's, by name: they alone may disagree, and are printed.
var outside = []struct {
	reason string
	name   *regexp.Regexp
}{
	{"no lone surrogates", regexp.MustCompile(`^(lone .*surrogate|surrogate escapes|high surrogate before (another|a pair))`)},
	{"no NaN, no Infinity", regexp.MustCompile(`^(NaN and|floats out of range|not an object: NaN|(file|body)_size (NaN|Infinity))`)},
	{"nesting up to 10000 levels", regexp.MustCompile(`^1001 levels`)},
	{"bodies above 64 MiB", regexp.MustCompile(`^largest (file|body)_size`)},
}

type vectorsFile struct {
	Decode []struct {
		Name      string
		Hex       any
		MaxHeader int32 `json:"max_header"`
		Messages  []struct{ Header, Body any }
		End       any
	}
	Encode []struct {
		Name       string
		HeaderText any `json:"header_text"`
		Body, Hex  any
	}
}

// join makes one text of a text, or of a list of texts and [text, count].
func join(value any) string {
	list, isList := value.([]any)
	if !isList {
		return value.(string)
	}
	if len(list) == 2 {
		if count, isPair := list[1].(float64); isPair {
			return strings.Repeat(list[0].(string), int(count))
		}
	}
	var out strings.Builder
	for _, item := range list {
		out.WriteString(join(item))
	}
	return out.String()
}

func unhex(value any) []byte {
	data, err := hex.DecodeString(join(value))
	if err != nil {
		panic(err)
	}
	return data
}

// plain makes numbers comparable, which are texts so far: integers of any size stay, others become float64.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case json.Number:
		if strings.ContainsAny(string(value), ".eE") {
			number, _ := strconv.ParseFloat(string(value), 64)
			return number
		}
		if value == "-0" {
			return json.Number("0")
		}
	}
	return value
}

// valueOf reads a header as json.dumps writes it. A lone surrogate, which the library replaces, is an error here.
func valueOf(text string) (any, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	if err == nil && strings.Contains(fmt.Sprint(value), "\ufffd") {
		err = errors.New("a lone surrogate")
	}
	return plain(value), err
}

// readAll gives the messages in data, header and body in turn, and behind them how it ends.
func readAll(data []byte, limit int32) []any {
	var read []any
	for stream := bytes.NewReader(data); ; {
		_, header, err := readHeader(stream, limit)
		var body []byte
		if err == nil {
			body, err = readBody(stream, header)
		}
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			return append(read, fmt.Sprint(refused.code))
		case err == io.EOF:
			return append(read, "closed")
		case err == io.ErrUnexpectedEOF:
			return append(read, "truncated")
		case err != nil:
			return append(read, err.Error())
		}
		read = append(read, plain(header), hex.EncodeToString(body))
	}
}

func init() {
	vectors = func(path string) int {
		var file vectorsFile
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		agreed, named, count, code := map[string]int{}, map[string][]string{}, 0, 0
		judge := func(kind, name string, got, wanted any) {
			if reflect.DeepEqual(got, wanted) {
				agreed[kind]++
				return
			}
			for _, one := range outside {
				if one.name.MatchString(name) {
					named[one.reason] = append(named[one.reason], strconv.Quote(name))
					count++
					return
				}
			}
			code = 1
			fmt.Printf("%s %s: expected %.200s, got %.200s\n", kind, name, fmt.Sprint(wanted), fmt.Sprint(got))
		}
		for _, c := range file.Decode {
			if c.MaxHeader == 0 {
				c.MaxHeader = maxHeader
			}
			got := readAll(unhex(c.Hex), c.MaxHeader)
			var wanted []any
			for _, message := range c.Messages {
				value, err := valueOf(join(message.Header))
				if err != nil {
					value = err
				}
				wanted = append(wanted, value, join(message.Body))
			}
			if object, isError := c.End.(map[string]any); isError {
				c.End = fmt.Sprint(object["error"])
			} else if c.End == "need_data" { // this reader learns of that when the stream ends
				if c.End = "truncated"; got[len(got)-1] == "closed" {
					c.End = "closed"
				}
			}
			judge("decode", c.Name, got, append(wanted, c.End))
		}
		for _, c := range file.Encode {
			header, body, wanted := join(c.HeaderText), unhex(c.Body), unhex(c.Hex)
			// The library spells JSON otherwise than json.dumps: its spelling is taken if it means the same.
			spelled := string(wanted[4 : len(wanted)-len(body)])
			value, err := valueOf(header)
			if same, _ := valueOf(spelled); err == nil && reflect.DeepEqual(value, same) {
				header = spelled
			}
			judge("encode", c.Name, frame([]byte(header), body), wanted)
		}
		var reasons []string
		for _, one := range outside {
			if names := named[one.reason]; names != nil {
				reasons = append(reasons, fmt.Sprintf("%s (%s)", one.reason, strings.Join(names, ", ")))
			}
		}
		fmt.Printf("vectors: %d decode, %d encode agree; %d outside: %s\n", agreed["decode"], agreed["encode"], count,
			strings.Join(reasons, "; "))
		return code
	}
}
