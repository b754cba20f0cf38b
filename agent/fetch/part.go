package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/durable"
)

// part is a file that grows. What is written is hashed; what an earlier start
// left is hashed when it is opened.
type part struct {
	name  string // of the complete file
	file  *os.File
	limit int64
	size  int64
	hash  hash.Hash
	etag  string // of the server's file that the bytes are from; "" unknown
}

// openPart opens the part of a target, or begins one.
func openPart(ctx context.Context, name string, t firmware.Target) (*part, error) {
	file, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot begin the download: %w", err)
	}
	p := &part{name: name, file: file, limit: t.Length, hash: sha256.New()}
	etag, err := os.ReadFile(name + ".etag")
	if err == nil && strong(string(etag)) {
		p.etag = string(etag)
	}
	if info, err := file.Stat(); err != nil || info.Size() > t.Length || p.etag == "" {
		return p, p.restart()
	}
	if p.size, err = io.Copy(p.hash, reader{ctx, file}); err != nil {
		p.close()
		return nil, fmt.Errorf("cannot read the download: %w", err)
	}
	return p, nil
}

// strong reports whether an ETag names bytes, so that it can guard a range.
func strong(etag string) bool {
	return len(etag) >= 2 && len(etag) <= 256 && strings.HasPrefix(etag, `"`) && strings.HasSuffix(etag, `"`) &&
		!strings.ContainsAny(etag, "\r\n")
}

// restart begins from nothing.
func (p *part) restart() error {
	p.size, p.etag = 0, ""
	p.hash.Reset()
	err := p.file.Truncate(0)
	if err == nil {
		_, err = p.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = ignoreMissing(os.Remove(p.name + ".etag"))
	}
	if err != nil {
		return fmt.Errorf("cannot begin the download again: %w", err)
	}
	return nil
}

// from records which file of the server the bytes to come are from. Without a
// strong ETag an interrupted download cannot be gone on with.
func (p *part) from(etag string) error {
	if !strong(etag) || etag == p.etag {
		return nil
	}
	if err := os.WriteFile(p.name+".etag", []byte(etag), 0o600); err != nil {
		return fmt.Errorf("cannot write the download: %w", err)
	}
	p.etag = etag
	return nil
}

// Write appends. It stops at the signed length.
func (p *part) Write(b []byte) (int, error) {
	over := p.size+int64(len(b)) > p.limit
	if over {
		b = b[:p.limit-p.size]
	}
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("cannot write the download: %w", err)
	}
	if over {
		return n, errTooLong
	}
	return n, nil
}

func (p *part) sum() (d firmware.Digest) {
	p.hash.Sum(d[:0])
	return d
}

// complete makes the part the complete file, durably.
func (p *part) complete() error {
	err := p.file.Sync()
	if err == nil {
		err = os.Rename(p.name+".part", p.name)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(p.name))
	}
	if err == nil {
		err = ignoreMissing(os.Remove(p.name + ".etag"))
	}
	if err != nil {
		return fmt.Errorf("cannot complete the download: %w", err)
	}
	return nil
}

// discard deletes the part.
func (p *part) discard() error {
	return errors.Join(ignoreMissing(os.Remove(p.name+".part")), ignoreMissing(os.Remove(p.name+".etag")))
}

func (p *part) close() { _ = p.file.Close() }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// digest returns digest and length of what is left in a file.
func digest(ctx context.Context, r io.Reader) (d firmware.Digest, n int64, err error) {
	h := sha256.New()
	n, err = io.Copy(h, reader{ctx, r})
	h.Sum(d[:0])
	return d, n, err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
