package http

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/linnet-p2p/linnet"
)

type fileRequest struct {
	User linnet.UserName `json:"user"`
	Path string          `json:"path"` // on the node's machine
}

type fileReply struct {
	File linnet.FileID `json:"file"`
}

// rawBytes stands for a body that is no JSON.
type rawBytes struct{}

const rawType = "application/octet-stream"

func registerFiles(mux routes, handle func(string, func(*http.Request) (any, error)), c linnet.Client) {
	handle("GET /v1/files", func(r *http.Request) (any, error) { return c.Files(r.Context()) })
	handle("POST /v1/files", func(r *http.Request) (any, error) {
		q, err := read[fileRequest](r)
		if err != nil {
			return nil, err
		}
		id, err := c.SendFile(r.Context(), q.User, q.Path)
		return fileReply{id}, err
	})
	handle("POST /v1/files/{file}/answer", func(r *http.Request) (any, error) {
		return onFile(r, func(id linnet.FileID, q answerRequest) error { return c.AnswerFile(r.Context(), id, q.Yes) })
	})
	handle("PUT /v1/files/{file}/pause", func(r *http.Request) (any, error) {
		return onFile(r, func(id linnet.FileID, q onRequest) error { return c.PauseFile(r.Context(), id, q.On) })
	})
	handle("POST /v1/files/{file}/cancel", func(r *http.Request) (any, error) {
		return onFile(r, func(id linnet.FileID, _ struct{}) error { return c.CancelFile(r.Context(), id) })
	})
	mux.HandleFunc("POST /v1/users/{user}/files", func(w http.ResponseWriter, r *http.Request) { upload(w, r, c) })
	mux.HandleFunc("GET /v1/files/{file}/content", func(w http.ResponseWriter, r *http.Request) { download(w, r, c) })
}

// upload takes a file from somebody who may not name one of this machine. How long it
// is has to be said before: whether there is room is decided then.
func upload(w http.ResponseWriter, r *http.Request, c linnet.Client) {
	id, err := uploaded(r, c)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, fileReply{id})
}

func uploaded(r *http.Request, c linnet.Client) (id linnet.FileID, err error) {
	user, err := userIn(r)
	if err != nil {
		return id, err
	}
	name := r.URL.Query().Get("name")
	switch {
	case !isRaw(r):
		return id, &linnet.Error{Code: linnet.CodeUsage, Text: "a file is uploaded as it is", Hint: "send Content-Type: " + rawType}
	case name == "" || len(name) > 1<<10:
		return id, linnet.Errorf(linnet.CodeUsage, "a file needs a name: ?name=")
	case r.ContentLength < 0:
		return id, &linnet.Error{Code: linnet.CodeUsage, Text: "the file's size is not known", Hint: "send Content-Length"}
	}
	return c.UploadFile(r.Context(), user, name, r.ContentLength, r.Body)
}

func isRaw(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == rawType
}

// download gives a file that came, to be saved and never to be shown: it is of somebody
// else, and would be shown as a page of this node.
func download(w http.ResponseWriter, r *http.Request, c linnet.Client) {
	id, err := fileIn(r)
	if err != nil {
		writeFailure(w, err)
		return
	}
	f, err := c.OpenFile(r.Context(), id)
	if err != nil {
		writeFailure(w, err)
		return
	}
	defer f.Content.Close()
	h := w.Header()
	h.Set("Content-Type", rawType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	if content, ok := f.Content.(io.ReadSeeker); ok {
		http.ServeContent(w, r, "", time.Time{}, content)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	io.Copy(w, f.Content) // a caller that left is no error of ours
}
