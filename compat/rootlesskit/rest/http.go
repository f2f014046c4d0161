package rest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

const (
	// maxHeader and maxBody bound a request, in bytes: a specification takes 150.
	maxHeader = 8 << 10
	maxBody   = 64 << 10
)

// status is that of a response (RFC 9110 section 15).
type status int

const (
	statusOK               status = 200
	statusCreated          status = 201
	statusBadRequest       status = 400
	statusNotFound         status = 404
	statusMethodNotAllowed status = 405
	statusTooLarge         status = 413
	statusNotImplemented   status = 501
	statusVersion          status = 505
)

// String is the reason phrase.
func (s status) String() string {
	switch s {
	case statusOK:
		return "OK"
	case statusCreated:
		return "Created"
	case statusNotFound:
		return "Not Found"
	case statusMethodNotAllowed:
		return "Method Not Allowed"
	case statusTooLarge:
		return "Content Too Large"
	case statusNotImplemented:
		return "Not Implemented"
	case statusVersion:
		return "HTTP Version Not Supported"
	case statusBadRequest:
	}
	return "Bad Request"
}

// request is what a client asks for.
type request struct {
	method string
	// path is without query.
	path string
	body []byte
	// last: the client sends no more requests.
	last bool
}

// response is the answer to it.
type response struct {
	status status
	// body is JSON; nil: none.
	body []byte
	// allow lists the methods that there are, with statusMethodNotAllowed.
	allow string
	// headOnly leaves the body out, of which the header tells.
	headOnly bool
}

// requestError is a request that cannot be understood. The connection ends with it:
// where the next request begins is not known.
type requestError struct {
	status status
	text   string
}

// Error says what is wrong.
func (e *requestError) Error() string { return e.text }

// requestReader reads the requests of one connection.
type requestReader struct {
	limit *io.LimitedReader
	buf   *bufio.Reader
}

func newRequestReader(r io.Reader) *requestReader {
	limit := &io.LimitedReader{R: r}
	return &requestReader{limit: limit, buf: bufio.NewReader(limit)}
}

// next reads one request. The error is a *requestError, or that of the connection;
// io.EOF: the client has left. With an error, the request has as much as was understood.
func (r *requestReader) next() (request, error) {
	r.limit.N = maxHeader
	text := textproto.NewReader(r.buf)
	line, err := text.ReadLine()
	if err != nil {
		return request{}, r.cut(err)
	}
	req, version, ok := parseRequestLine(line)
	if !ok {
		return request{}, &requestError{statusBadRequest, "malformed request line"}
	}
	if version != "HTTP/1.1" && version != "HTTP/1.0" {
		return req, &requestError{statusVersion, "HTTP/1.1 is spoken here"}
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return req, r.cut(err)
	}
	connection := strings.ToLower(header.Get("Connection"))
	req.last = connection == "close" || version == "HTTP/1.0" && connection != "keep-alive"
	req.body, err = r.readBody(header)
	return req, err
}

// cut gives the error of reading a header that did not come to its end.
func (r *requestReader) cut(err error) error {
	var syntax textproto.ProtocolError
	switch {
	case r.limit.N <= 0:
		return &requestError{statusTooLarge, fmt.Sprintf("header exceeds %d bytes", maxHeader)}
	case errors.As(err, &syntax):
		return &requestError{statusBadRequest, "malformed header"}
	}
	return err
}

// parseRequestLine takes "METHOD TARGET VERSION" apart.
func parseRequestLine(line string) (r request, version string, ok bool) {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || method == "" {
		return r, "", false
	}
	target, version, ok := strings.Cut(rest, " ")
	if !ok {
		return r, "", false
	}
	path, ok := targetPath(target)
	return request{method: method, path: path}, version, ok
}

// targetPath gives the path of a request's target, which is "/PATH?QUERY", or has
// "http://HOST" in front: whom that names we do not ask, as with the header Host (RFC 9112
// sections 3.2.1 and 3.2.2).
func targetPath(target string) (path string, ok bool) {
	path, _, _ = strings.Cut(target, "?")
	const scheme = "http://"
	if len(path) > len(scheme) && strings.EqualFold(path[:len(scheme)], scheme) {
		host, rest, _ := strings.Cut(path[len(scheme):], "/")
		return "/" + rest, host != ""
	}
	return path, strings.HasPrefix(path, "/")
}

// readBody reads what follows the header. Clients of this API know the length.
func (r *requestReader) readBody(header textproto.MIMEHeader) ([]byte, error) {
	if header.Get("Transfer-Encoding") != "" {
		return nil, &requestError{statusNotImplemented, "a Content-Length is needed"}
	}
	lengths := header.Values("Content-Length")
	if len(lengths) == 0 {
		return nil, nil
	}
	length, err := strconv.ParseUint(lengths[0], 10, 63)
	switch {
	case err != nil || len(lengths) > 1:
		return nil, &requestError{statusBadRequest, "malformed Content-Length"}
	case length > maxBody:
		return nil, &requestError{statusTooLarge, fmt.Sprintf("body exceeds %d bytes", maxBody)}
	}
	r.limit.N = int64(length)
	body := make([]byte, length)
	_, err = io.ReadFull(r.buf, body)
	return body, err
}

// writeTo sends r, with last as the final response of the connection.
func (r *response) writeTo(w io.Writer, last bool) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, r.status)
	fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	if r.allow != "" {
		fmt.Fprintf(&b, "Allow: %s\r\n", r.allow)
	}
	if r.body != nil {
		b.WriteString("Content-Type: application/json\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(r.body))
	if !r.headOnly {
		b.Write(r.body)
	}
	_, err := w.Write(b.Bytes())
	return err
}
