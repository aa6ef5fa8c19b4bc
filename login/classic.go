package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A login on a classic network has a TCP connection of its own, to the login
// server's port:
//
//	client                          server
//	16 03 01 00 00 ──────────────▶
//	               ◀────────────── 17 03 01 00 00
//	two records (SealRequest) ───▶
//	               ◀────────────── one record, and the end
//
// What the server cannot open, or does not want to answer, it answers by closing.

var (
	classicAsk   = frame.LoginRecord{Kind: frame.LoginKey}.Append(nil)
	classicReady = frame.LoginRecord{Kind: frame.LoginData}.Append(nil)
)

// classicTimeout is for a whole login, at either end.
const classicTimeout = 10 * time.Second

var errClassic = errors.New("it does not speak as the login server of a classic network")

// classicForm has two lists for a request and one for a result.
type classicForm struct{}

var classicCodes = map[uint32]uint32{
	message.ActionRegister: message.ClassicRegister,
	message.ActionLogin:    message.ClassicSignIn,
	message.ActionRenew:    message.ClassicRenew,
}

func (classicForm) request(body *message.LoginBody, sign func([]byte) ([]byte, error)) ([]byte, error) {
	m := message.ClassicLogin{
		Code: classicCodes[body.Action], User: body.User, Secret: body.Verifier,
		Modulus: body.Signing, Device: body.Device, Time: body.Time, Nonce: body.Nonce,
		Token: body.Token, Expiring: body.Expiring,
	}
	b := m.Unsigned()
	signature, err := sign(b)
	return append(b, signature...), err
}

func (classicForm) readRequest(b []byte) (*message.LoginBody, []byte, []byte, error) {
	m, unsigned, signature, err := message.ParseClassicLogin(b)
	if err != nil {
		return nil, nil, nil, err
	}
	body := &message.LoginBody{
		User: m.User, Verifier: m.Secret, Signing: m.Modulus, Agreement: m.Modulus,
		Device: m.Device, Time: m.Time, Nonce: m.Nonce, Token: m.Token, Expiring: m.Expiring,
	}
	for action, code := range classicCodes {
		if m.Code == code {
			body.Action = action // 0, of which the server knows nothing, for all others
		}
	}
	return body, unsigned, signature, nil
}

func (classicForm) result(r *message.LoginResult) []byte {
	m := message.ClassicAnswer{Code: message.ClassicGranted, Credentials: r.Certificate, Head: r.Head, RetryAfter: r.RetryAfter}
	if r.Failure != nil {
		m.Code += r.Failure.Code
		m.Text = r.Failure.Text
	}
	return message.Marshal(&m)
}

func (classicForm) readResult(b []byte) (*message.LoginResult, error) {
	var m message.ClassicAnswer
	if err := message.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	r := &message.LoginResult{Certificate: m.Credentials, Head: m.Head, RetryAfter: m.RetryAfter}
	if m.Code != message.ClassicGranted {
		r.Failure = &message.Failure{Code: m.Code - message.ClassicGranted, Text: m.Text}
	}
	return r, nil
}

// askClassic sends a sealed request and returns the sealed reply.
func (a *attempt) askClassic(ctx context.Context, sealed []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, classicTimeout)
	defer cancel()
	conn, err := a.client.Dial(ctx, a.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(classicAsk); err != nil {
		return nil, err
	}
	ready, err := readRecord(conn)
	if err != nil {
		return nil, err
	}
	if string(ready) != string(classicReady) {
		return nil, errClassic
	}
	if _, err := conn.Write(sealed); err != nil {
		return nil, err
	}
	reply, err := readRecord(conn)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it closed the connection instead of an answer")
	}
	return reply, err
}

// readRecord reads one record, head and all.
func readRecord(r io.Reader) ([]byte, error) {
	b := make([]byte, frame.LoginHead)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	_, n, err := frame.ParseLoginRecord(b)
	if err != nil {
		return nil, err
	}
	if n > suite.MaxLogin {
		return nil, fmt.Errorf("a record of %d bytes: %w", n, errClassic)
	}
	b = append(b, make([]byte, n-len(b))...)
	_, err = io.ReadFull(r, b[frame.LoginHead:])
	return b, err
}

// IsClassic says whether a connection that begins so is for ServeClassic. Five
// bytes are enough to tell.
func IsClassic(begin []byte) bool { return string(begin) == string(classicAsk) }

// ServeClassic answers the login on a connection of which the first record is
// read. The caller closes it.
func (s *Server) ServeClassic(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, classicTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(classicReady); err != nil {
		return
	}
	var sealed []byte
	for range 2 {
		record, err := readRecord(conn)
		if err != nil {
			return
		}
		sealed = append(sealed, record...)
	}
	// Not before: whoever connects and says no more would take a place of those who do.
	if s.underway.Add(1) > int64(s.options.Queue) {
		s.underway.Add(-1)
		return
	}
	defer s.underway.Add(-1)
	now := s.options.Now()
	s.keepFresh(ctx, now)
	reply, failure := s.answer(ctx, netx.AddrPort(conn.RemoteAddr()).Addr(), now, 0, sealed)
	if failure != nil || reply == nil {
		return
	}
	if _, err := conn.Write(reply); err != nil {
		s.options.Log.Debug("login reply", "to", conn.RemoteAddr(), "err", err)
	}
}
