package http

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/linnet-p2p/linnet"
)

// Client is a linnet.Client that speaks to the node behind a local socket.
type Client struct {
	path string
	http http.Client
}

// Dial makes a Client for the node that serves the socket at path. It does not
// connect yet: a node that is not there shows at the first call.
func Dial(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	return c
}

var _ linnet.Client = (*Client)(nil)

// Status implements linnet.Client.
func (c *Client) Status(ctx context.Context) (s linnet.Status, err error) {
	return s, c.do(ctx, "GET", "/v1/status", nil, &s)
}

// Join implements linnet.Client.
func (c *Client) Join(ctx context.Context, invite string) error {
	return c.do(ctx, "POST", "/v1/network", joinRequest{invite}, nil)
}

// Page implements linnet.Client.
func (c *Client) Page(ctx context.Context, offer string) (string, error) {
	var r pageReply
	err := c.do(ctx, "POST", "/v1/page", pageRequest{offer}, &r)
	return r.Answer, err
}

// Link is an address that opens the node's page in a browser, once.
func (c *Client) Link(ctx context.Context) (string, error) {
	var r linkReply
	err := c.do(ctx, "POST", "/v1/link", nil, &r)
	return r.Link, err
}

// Register implements linnet.Client.
func (c *Client) Register(ctx context.Context, cred linnet.Credentials) error {
	return c.do(ctx, "POST", "/v1/register", cred, nil)
}

// Login implements linnet.Client.
func (c *Client) Login(ctx context.Context, cred linnet.Credentials) error {
	return c.do(ctx, "POST", "/v1/login", cred, nil)
}

// Logout implements linnet.Client.
func (c *Client) Logout(ctx context.Context) error {
	return c.do(ctx, "POST", "/v1/logout", nil, nil)
}

// Examine implements linnet.Client.
func (c *Client) Examine(ctx context.Context) (l []linnet.Finding, err error) {
	return l, c.do(ctx, "GET", "/v1/findings", nil, &l)
}

// Volunteer implements linnet.Client.
func (c *Client) Volunteer(ctx context.Context, on bool) error {
	return c.do(ctx, "PUT", "/v1/volunteer", onRequest{on}, nil)
}

// VolunteerRelay implements linnet.Client.
func (c *Client) VolunteerRelay(ctx context.Context, consent linnet.RelayConsent) error {
	return c.do(ctx, "PUT", "/v1/volunteer/relay", consent, nil)
}

// Lookup implements linnet.Client.
func (c *Client) Lookup(ctx context.Context, user linnet.UserName) (l linnet.Listing, err error) {
	return l, c.do(ctx, "GET", "/v1/users/"+string(user), nil, &l)
}

// Card implements linnet.Client.
func (c *Client) Card(ctx context.Context) (s linnet.CardStatus, err error) {
	return s, c.do(ctx, "GET", "/v1/card", nil, &s)
}

// PublishCard implements linnet.Client.
func (c *Client) PublishCard(ctx context.Context, card linnet.Card) (s linnet.CardStatus, err error) {
	return s, c.do(ctx, "PUT", "/v1/card", card, &s)
}

// WithdrawCard implements linnet.Client.
func (c *Client) WithdrawCard(ctx context.Context) (s linnet.CardStatus, err error) {
	return s, c.do(ctx, "DELETE", "/v1/card", nil, &s)
}

// Search implements linnet.Client.
func (c *Client) Search(ctx context.Context, words string, page int) (p linnet.SearchPage, err error) {
	return p, c.do(ctx, "GET", fmt.Sprintf("/v1/search?words=%s&page=%d", url.QueryEscape(words), page), nil, &p)
}

// Ping implements linnet.Client.
func (c *Client) Ping(ctx context.Context, user linnet.UserName) (p linnet.Pong, err error) {
	return p, c.do(ctx, "POST", "/v1/users/"+string(user)+"/ping", nil, &p)
}

// Contacts implements linnet.Client.
func (c *Client) Contacts(ctx context.Context) (l []linnet.Contact, err error) {
	return l, c.do(ctx, "GET", "/v1/contacts", nil, &l)
}

// AddContact implements linnet.Client.
func (c *Client) AddContact(ctx context.Context, contact linnet.Contact) error {
	return c.do(ctx, "PUT", "/v1/contacts/"+string(contact.User), contact, nil)
}

// AnswerContact implements linnet.Client.
func (c *Client) AnswerContact(ctx context.Context, user linnet.UserName, yes bool) error {
	return c.do(ctx, "POST", "/v1/contacts/"+string(user)+"/answer", answerRequest{yes}, nil)
}

// BlockContact implements linnet.Client.
func (c *Client) BlockContact(ctx context.Context, user linnet.UserName, on bool) error {
	return c.do(ctx, "PUT", "/v1/contacts/"+string(user)+"/block", onRequest{on}, nil)
}

// Presence implements linnet.Client.
func (c *Client) Presence(ctx context.Context) (m linnet.Mine, err error) {
	return m, c.do(ctx, "GET", "/v1/presence", nil, &m)
}

// SetPresence implements linnet.Client.
func (c *Client) SetPresence(ctx context.Context, m linnet.Mine) error {
	return c.do(ctx, "PUT", "/v1/presence", m, nil)
}

// RemoveContact implements linnet.Client.
func (c *Client) RemoveContact(ctx context.Context, user linnet.UserName) error {
	return c.do(ctx, "DELETE", "/v1/contacts/"+string(user), nil, nil)
}

// Conversations implements linnet.Client.
func (c *Client) Conversations(ctx context.Context) (l []linnet.Conversation, err error) {
	return l, c.do(ctx, "GET", "/v1/conversations", nil, &l)
}

// Messages implements linnet.Client.
func (c *Client) Messages(ctx context.Context, user linnet.UserName, before linnet.MessageID, limit int) (l []linnet.Message, err error) {
	path := fmt.Sprintf("/v1/conversations/%s/messages?limit=%d", user, limit)
	if !before.IsZero() {
		path += "&before=" + before.String()
	}
	return l, c.do(ctx, "GET", path, nil, &l)
}

// SendMessage implements linnet.Client.
func (c *Client) SendMessage(ctx context.Context, user linnet.UserName, text string, replyTo linnet.MessageID) (linnet.MessageID, error) {
	var r messageRef
	err := c.do(ctx, "POST", "/v1/conversations/"+string(user)+"/messages", sendRequest{text, replyTo}, &r)
	return r.Message, err
}

// EditMessage implements linnet.Client.
func (c *Client) EditMessage(ctx context.Context, id linnet.MessageID, text string) error {
	return c.do(ctx, "PUT", "/v1/messages/"+id.String(), editRequest{text}, nil)
}

// DeleteMessage implements linnet.Client.
func (c *Client) DeleteMessage(ctx context.Context, id linnet.MessageID) error {
	return c.do(ctx, "DELETE", "/v1/messages/"+id.String(), nil, nil)
}

// React implements linnet.Client.
func (c *Client) React(ctx context.Context, id linnet.MessageID, emoji string) error {
	return c.do(ctx, "PUT", "/v1/messages/"+id.String()+"/reaction", reactionRequest{emoji}, nil)
}

// MarkRead implements linnet.Client.
func (c *Client) MarkRead(ctx context.Context, user linnet.UserName, upTo linnet.MessageID) error {
	return c.do(ctx, "PUT", "/v1/conversations/"+string(user)+"/read", messageRef{upTo}, nil)
}

// Typing implements linnet.Client.
func (c *Client) Typing(ctx context.Context, user linnet.UserName, on bool) error {
	return c.do(ctx, "PUT", "/v1/conversations/"+string(user)+"/typing", onRequest{on}, nil)
}

// SearchMessages implements linnet.Client.
func (c *Client) SearchMessages(ctx context.Context, words string, limit int) (l []linnet.Message, err error) {
	return l, c.do(ctx, "GET", fmt.Sprintf("/v1/messages?words=%s&limit=%d", url.QueryEscape(words), limit), nil, &l)
}

// Call implements linnet.Client.
func (c *Client) Call(ctx context.Context, user linnet.UserName, m linnet.CallMedia) (linnet.CallID, error) {
	var r dialReply
	err := c.do(ctx, "POST", "/v1/calls", dialRequest{user, m}, &r)
	return r.Call, err
}

// Answer implements linnet.Client.
func (c *Client) Answer(ctx context.Context, id linnet.CallID, m linnet.CallMedia) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/answer", m, nil)
}

// HangUp implements linnet.Client.
func (c *Client) HangUp(ctx context.Context, id linnet.CallID) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/hangup", nil, nil)
}

// Hold implements linnet.Client.
func (c *Client) Hold(ctx context.Context, id linnet.CallID, on bool) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/hold", onRequest{on}, nil)
}

// Video implements linnet.Client.
func (c *Client) Video(ctx context.Context, id linnet.CallID, v linnet.Video) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/video", videoRequest{v}, nil)
}

// Tone implements linnet.Client.
func (c *Client) Tone(ctx context.Context, id linnet.CallID, tone string) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/tone", toneRequest{tone}, nil)
}

// Transfer implements linnet.Client.
func (c *Client) Transfer(ctx context.Context, id linnet.CallID, to linnet.TransferTo) error {
	return c.do(ctx, "POST", "/v1/calls/"+id.String()+"/transfer", to, nil)
}

// AnswerTransfer implements linnet.Client.
func (c *Client) AnswerTransfer(ctx context.Context, id linnet.CallID, yes bool, m linnet.CallMedia) (linnet.CallID, error) {
	var r dialReply
	err := c.do(ctx, "POST", "/v1/calls/"+id.String()+"/transfer/answer", transferAnswer{yes, m}, &r)
	return r.Call, err
}

// LeaveVoicemail implements linnet.Client.
func (c *Client) LeaveVoicemail(ctx context.Context, to linnet.UserName, about linnet.CallID, file string) (v linnet.Voicemail, err error) {
	return v, c.do(ctx, "POST", "/v1/voicemail", voicemailRequest{to, about, file}, &v)
}

// UploadVoicemail implements linnet.Client.
func (c *Client) UploadVoicemail(ctx context.Context, to linnet.UserName, about linnet.CallID, sound io.Reader) (v linnet.Voicemail, err error) {
	resp, err := c.sendBytes(ctx, "POST", "/v1/users/"+string(to)+"/voicemail?call="+about.String(), rawType, -1, sound)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// Voicemails implements linnet.Client.
func (c *Client) Voicemails(ctx context.Context, limit int) (l []linnet.Voicemail, err error) {
	return l, c.do(ctx, "GET", fmt.Sprintf("/v1/voicemail?limit=%d", limit), nil, &l)
}

// VoicemailSound implements linnet.Client.
func (c *Client) VoicemailSound(ctx context.Context, id linnet.VoicemailID) ([]byte, error) {
	resp, err := c.send(ctx, "GET", "/v1/voicemail/"+id.String()+"/sound", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 2*linnet.MaxVoicemailBytes))
}

// HeardVoicemail implements linnet.Client.
func (c *Client) HeardVoicemail(ctx context.Context, id linnet.VoicemailID) error {
	return c.do(ctx, "POST", "/v1/voicemail/"+id.String()+"/heard", nil, nil)
}

// DeleteVoicemail implements linnet.Client.
func (c *Client) DeleteVoicemail(ctx context.Context, id linnet.VoicemailID) error {
	return c.do(ctx, "DELETE", "/v1/voicemail/"+id.String(), nil, nil)
}

// CallSettings implements linnet.Client.
func (c *Client) CallSettings(ctx context.Context) (s linnet.CallSettings, err error) {
	return s, c.do(ctx, "GET", "/v1/settings/calls", nil, &s)
}

// SetCallSettings implements linnet.Client.
func (c *Client) SetCallSettings(ctx context.Context, s linnet.CallSettings) error {
	return c.do(ctx, "PUT", "/v1/settings/calls", s, nil)
}

// History implements linnet.Client.
func (c *Client) History(ctx context.Context, limit int) (l []linnet.CallRecord, err error) {
	return l, c.do(ctx, "GET", fmt.Sprintf("/v1/calls?limit=%d", limit), nil, &l)
}

// Files implements linnet.Client.
func (c *Client) Files(ctx context.Context) (l []linnet.File, err error) {
	return l, c.do(ctx, "GET", "/v1/files", nil, &l)
}

// SendFile implements linnet.Client.
func (c *Client) SendFile(ctx context.Context, user linnet.UserName, path string) (linnet.FileID, error) {
	var r fileReply
	err := c.do(ctx, "POST", "/v1/files", fileRequest{user, path}, &r)
	return r.File, err
}

// UploadFile implements linnet.Client.
func (c *Client) UploadFile(ctx context.Context, user linnet.UserName, name string, size int64, content io.Reader) (linnet.FileID, error) {
	var r fileReply
	if size == 0 {
		content = http.NoBody // else its length counts as not known
	}
	resp, err := c.sendBytes(ctx, "POST", "/v1/users/"+string(user)+"/files?name="+url.QueryEscape(name), rawType, size, content)
	if err != nil {
		return r.File, err
	}
	defer resp.Body.Close()
	return r.File, json.NewDecoder(resp.Body).Decode(&r)
}

// AnswerFile implements linnet.Client.
func (c *Client) AnswerFile(ctx context.Context, id linnet.FileID, yes bool) error {
	return c.do(ctx, "POST", "/v1/files/"+id.String()+"/answer", answerRequest{yes}, nil)
}

// PauseFile implements linnet.Client.
func (c *Client) PauseFile(ctx context.Context, id linnet.FileID, on bool) error {
	return c.do(ctx, "PUT", "/v1/files/"+id.String()+"/pause", onRequest{on}, nil)
}

// CancelFile implements linnet.Client.
func (c *Client) CancelFile(ctx context.Context, id linnet.FileID) error {
	return c.do(ctx, "POST", "/v1/files/"+id.String()+"/cancel", nil, nil)
}

// OpenFile implements linnet.Client.
func (c *Client) OpenFile(ctx context.Context, id linnet.FileID) (*linnet.OpenFile, error) {
	resp, err := c.send(ctx, "GET", "/v1/files/"+id.String()+"/content", nil)
	if err != nil {
		return nil, err
	}
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	if err != nil {
		resp.Body.Close()
		return nil, fmt.Errorf("local node: file %s: %w", id, err)
	}
	return &linnet.OpenFile{Name: params["filename"], Size: resp.ContentLength, Content: resp.Body}, nil
}

// Events implements linnet.Client.
func (c *Client) Events(ctx context.Context) (<-chan linnet.Event, error) {
	resp, err := c.send(ctx, "GET", "/v1/events", nil)
	if err != nil {
		return nil, err
	}
	events := make(chan linnet.Event)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxBody)
		for lines.Scan() {
			var e linnet.Event
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

func (c *Client) do(ctx context.Context, method, path string, body, answer any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("local node: %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("local node: %w", err)
		}
	}
	return c.sendBytes(ctx, method, path, "application/json", int64(len(b)), bytes.NewReader(b))
}

// sendBytes is send with a body that is ready.
func (c *Client) sendBytes(ctx context.Context, method, path, kind string, size int64, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://linnet"+path, body)
	if err != nil {
		return nil, fmt.Errorf("local node: %w", err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", kind)
	resp, err := c.http.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, &linnet.Error{Code: linnet.CodeNotRunning, Text: "no node is running here",
			Hint: "start one with `linnet up`, with the same --home if you use one"}
	}
	if err != nil {
		return nil, fmt.Errorf("local node: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return nil, fmt.Errorf("local node: %s %s: %s", method, path, resp.Status)
	}
	e := &linnet.Error{Code: f.Code, Text: f.Text, Hint: f.Hint}
	if f.Cause != "" {
		e.Err = errors.New(f.Cause)
	}
	return nil, e
}
