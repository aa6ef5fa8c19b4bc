package login

import (
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A form is how requests and results look before a suite seals them.
type form interface {
	// request writes a request; sign makes the device's signature over bytes.
	request(body *message.LoginBody, sign func([]byte) ([]byte, error)) ([]byte, error)
	// readRequest is the server's half. What signed covers is for the caller to verify.
	readRequest(b []byte) (body *message.LoginBody, signed, signature []byte, err error)
	result(*message.LoginResult) []byte
	readResult(b []byte) (*message.LoginResult, error)
}

func formOf(s suite.Suite) form {
	if s.Name() == suite.ClassicName {
		return classicForm{}
	}
	return modernForm{}
}

type modernForm struct{}

func (modernForm) request(body *message.LoginBody, sign func([]byte) ([]byte, error)) ([]byte, error) {
	r := message.LoginRequest{Signed: message.Marshal(body)}
	var err error
	if r.Signature, err = sign(r.Signed); err != nil {
		return nil, err
	}
	return message.Marshal(&r), nil
}

func (modernForm) readRequest(b []byte) (*message.LoginBody, []byte, []byte, error) {
	var r message.LoginRequest
	if err := message.Unmarshal(b, &r); err != nil {
		return nil, nil, nil, err
	}
	body := new(message.LoginBody)
	err := message.Unmarshal(r.Signed, body)
	return body, r.Signed, r.Signature, err
}

func (modernForm) result(r *message.LoginResult) []byte { return message.Marshal(r) }

func (modernForm) readResult(b []byte) (*message.LoginResult, error) {
	r := new(message.LoginResult)
	return r, message.Unmarshal(b, r)
}
