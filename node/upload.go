package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/files/disk"
)

// What pages upload is kept until it is sent.
const (
	maxSpool   = 32 << 30
	maxUploads = 4 // at once
)

func (n *Node) spool() string { return filepath.Join(n.opts.Home, "spool") }

// UploadFile implements linnet.Client.
func (n *Node) UploadFile(ctx context.Context, user linnet.UserName, name string, size int64, r io.Reader) (id linnet.FileID, err error) {
	id = linnet.NewFileID()
	if size < 0 || size > linnet.MaxFile {
		return id, linnet.Errorf(linnet.CodeUsage, "a file of %d bytes cannot be sent", size)
	}
	if err := n.mayOffer(ctx, user); err != nil {
		return id, err
	}
	if n.uploads.Add(1) > maxUploads {
		n.uploads.Add(-1)
		return id, linnet.Errorf(linnet.CodeBusy, "%d files are being uploaded", maxUploads)
	}
	defer n.uploads.Add(-1)
	list, err := n.Files(ctx)
	if err != nil {
		return id, err
	}
	spooled := n.spooling.Add(size)
	defer n.spooling.Add(-size)
	for _, f := range list {
		if !f.Incoming && !f.State.Final() && filepath.Dir(f.Place) == n.spool() {
			spooled += f.Size
		}
	}
	if spooled > maxSpool {
		return id, &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("files of %d GiB wait to be sent", maxSpool>>30), Hint: "let some be done, or cancel them; `linnet send` needs no copy"}
	}
	if err := os.MkdirAll(n.spool(), 0o700); err != nil {
		return id, disk.Full(err)
	}
	source, err := disk.Spool(ctx, filepath.Join(n.spool(), id.String()), size, r)
	if err != nil {
		return id, err
	}
	source.Name = name
	if _, err := n.offerFile(ctx, user, id, source, true); err != nil {
		os.Remove(source.Path)
		return id, err
	}
	return id, nil
}

// sweepSpool deletes what a crash left of uploads.
func (n *Node) sweepSpool(kept []files.Kept) {
	needed := make(map[string]bool)
	for _, k := range kept {
		needed[k.File.Place] = k.Spooled && !k.State.Final() || needed[k.File.Place]
	}
	entries, err := os.ReadDir(n.spool())
	if err != nil {
		return // nothing was ever uploaded
	}
	for _, e := range entries {
		path := filepath.Join(n.spool(), e.Name())
		if info, err := e.Info(); err == nil && !needed[path] && info.ModTime().Before(n.started) {
			os.Remove(path)
		}
	}
}
