package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// answerTimeout bounds the wait for an answer: opening tens of thousands of ports
// takes a second, and changes of other clients may come first.
const answerTimeout = 30 * time.Second

// Client is the client's end of one connection.
type Client struct {
	conn net.Conn
	// Hello and Config are what the server said first: the tables as they were then.
	Hello  Hello
	Config Config
}

// Dial connects to the control socket at path, and asks for the tables. Errors keep the
// errno.
func Dial(path string) (*Client, error) {
	conn, err := net.Dial("unix", ctlsock.FileName(path))
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn}
	if err := c.open(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// open begins the conversation. The request does not wait for the server's greeting: a
// client that says nothing may have to give way to others.
func (c *Client) open() error {
	err := writeMessage(c.conn, kindList, struct{}{})
	if err != nil && !errors.Is(err, syscall.EPIPE) { // what was said before is still there
		return err
	}
	if err := c.receive(kindHello, &c.Hello); err != nil {
		return err
	}
	return c.receive(kindConfig, &c.Config)
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Replace has the server take over tables. The error is a *Failure if it refused
// them.
func (c *Client) Replace(config Config) (result Result, err error) {
	err = c.call(kindReplace, config, kindResult, &result)
	return result, err
}

// call sends a request and receives its answer.
func (c *Client) call(request kind, v any, answer kind, into any) error {
	if err := writeMessage(c.conn, request, v); err != nil {
		return err
	}
	return c.receive(answer, into)
}

// receive waits for a message of the kind want.
func (c *Client) receive(want kind, into any) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	got, payload, err := readMessage(c.conn)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the server closed the connection")
	case err != nil:
		return err
	case got == kindFailure:
		f := &Failure{}
		if err := json.Unmarshal(payload, f); err != nil {
			return fmt.Errorf("decode failure: %w", err)
		}
		return f
	case got != want:
		return fmt.Errorf("unexpected answer of type %d", got)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
