package http

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

func (f *fake) Files(context.Context) ([]linnet.File, error) {
	return []linnet.File{{ID: linnet.FileID{7}, Name: "a.txt", State: linnet.FilePaused, Path: linnet.RelayUDP}}, f.note("files")
}
func (f *fake) SendFile(_ context.Context, u linnet.UserName, path string) (linnet.FileID, error) {
	return linnet.FileID{7}, f.note("send file", u, path)
}
func (f *fake) UploadFile(_ context.Context, u linnet.UserName, name string, size int64, r io.Reader) (linnet.FileID, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return linnet.FileID{}, err
	}
	return linnet.FileID{7}, f.note("upload", u, name, size, string(b))
}
func (f *fake) AnswerFile(_ context.Context, id linnet.FileID, yes bool) error {
	return f.note("answer file", id, yes)
}
func (f *fake) PauseFile(_ context.Context, id linnet.FileID, on bool) error {
	return f.note("pause file", id, on)
}
func (f *fake) CancelFile(_ context.Context, id linnet.FileID) error {
	return f.note("cancel file", id)
}
func (f *fake) OpenFile(_ context.Context, id linnet.FileID) (*linnet.OpenFile, error) {
	return &linnet.OpenFile{Name: "<Grüße>.html", Size: 5, Content: content{strings.NewReader("hello")}}, f.note("open file", id)
}

type content struct{ *strings.Reader }

func (content) Close() error { return nil }

func TestFilesArrive(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	ctx := t.Context()
	id, bob := linnet.FileID{7}, linnet.UserName("bob")
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	list, err := c.Files(ctx)
	ok(err)
	if len(list) != 1 || list[0].ID != id || list[0].State != linnet.FilePaused || list[0].Path != linnet.RelayUDP {
		t.Errorf("files %+v", list)
	}
	got, err := c.SendFile(ctx, bob, "/a.txt")
	ok(err)
	if got != id {
		t.Errorf("file %v", got)
	}
	large := strings.Repeat("x", 2*maxBody)
	for _, body := range []string{large, ""} {
		got, err = c.UploadFile(ctx, bob, "a&b ü.txt", int64(len(body)), strings.NewReader(body))
		ok(err)
		if got != id {
			t.Errorf("uploaded file %v", got)
		}
	}
	ok(c.AnswerFile(ctx, id, true))
	ok(c.PauseFile(ctx, id, true))
	ok(c.CancelFile(ctx, id))
	file, err := c.OpenFile(ctx, id)
	ok(err)
	b, err := io.ReadAll(file.Content)
	ok(err)
	ok(file.Content.Close())
	if file.Name != "<Grüße>.html" || file.Size != 5 || string(b) != "hello" {
		t.Errorf("file %+v, %q", file, b)
	}
	want := []any{"files", "send file", bob, "/a.txt", "upload", bob, "a&b ü.txt", int64(len(large)), large, "upload", bob, "a&b ü.txt", int64(0), "",
		"answer file", id, true, "pause file", id, true, "cancel file", id, "open file", id}
	if !reflect.DeepEqual(f.asked, want) {
		t.Error("the node was asked something else")
	}
}

func TestFilesOfPages(t *testing.T) {
	f := &fake{}
	v := openSite(t, f)
	id := linnet.FileID{7}.String()
	content := "/v1/files/" + id + "/content"
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"a file of the machine", "POST", "/v1/files", `{"user":"bob","path":"/etc/passwd"}`, nil, http.StatusBadRequest},
		{"upload", "POST", "/v1/users/bob/files?name=a.txt", "hello", []string{"Content-Type", rawType}, http.StatusOK},
		{"voice mail of a call that is none", "POST", "/v1/users/bob/voicemail?call=x", "OggS", []string{"Content-Type", rawType}, http.StatusBadRequest},
		{"upload as a form", "POST", "/v1/users/bob/files?name=a.txt", "hello", []string{"Content-Type", "multipart/form-data"}, http.StatusUnsupportedMediaType},
		{"upload without a name", "POST", "/v1/users/bob/files", "hello", []string{"Content-Type", rawType}, http.StatusBadRequest},
		{"upload without a key", "POST", "/v1/users/bob/files?name=a.txt", "hello", []string{"Content-Type", rawType, keyHeader, ""}, http.StatusUnauthorized},
		{"upload with the key in the address", "POST", "/v1/users/bob/files?name=a.txt&key=" + v.key, "hello", []string{"Content-Type", rawType, keyHeader, ""}, http.StatusUnauthorized},
		{"bytes where there is to be JSON", "POST", "/v1/files", "hello", []string{"Content-Type", rawType}, http.StatusUnsupportedMediaType},
		{"download", "GET", content, "", nil, http.StatusOK},
		{"download with the key in the address", "GET", content + "?key=" + v.key, "", []string{keyHeader, ""}, http.StatusOK},
		{"download without a key", "GET", content, "", []string{keyHeader, ""}, http.StatusUnauthorized},
		{"download from another page", "GET", content, "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, http.StatusForbidden},
		{"download nothing", "GET", "/v1/files/x/content", "", nil, http.StatusBadRequest},
	} {
		if resp, body := v.ask(tt.method, tt.path, tt.body, tt.headers...); resp.StatusCode != tt.want {
			t.Errorf("%s: %s, want %d: %s", tt.name, resp.Status, tt.want, body)
		}
	}
	resp, body := v.ask("GET", content, "")
	for name, want := range map[string]string{
		"Content-Disposition": "attachment; filename*=utf-8''%3CGr%C3%BC%C3%9Fe%3E.html", "Content-Type": rawType,
		"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !bytes.Equal(body, []byte("hello")) {
		t.Errorf("content %q", body)
	}
	if resp, body := v.ask("GET", content, "", "Range", "bytes=1-2"); resp.StatusCode != http.StatusPartialContent || string(body) != "el" {
		t.Errorf("a part of it: %s, %q", resp.Status, body)
	}
}
