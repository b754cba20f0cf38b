package pebble

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// logger routes what Pebble says.
type logger struct{ log *slog.Logger }

// Infof is Pebble's chatter.
func (l logger) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

// Errorf is trouble that Pebble lives with.
func (l logger) Errorf(format string, args ...any) { l.say(slog.LevelError, format, args) }

// Fatalf must not return: Pebble has lost track of its own files and its locks
// are in an unknown state.
func (l logger) Fatalf(format string, args ...any) {
	l.say(slog.LevelError, format, args)
	panic("store cannot go on: " + fmt.Sprintf(format, args...))
}

func (l logger) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "store: "+fmt.Sprintf(format, args...))
	}
}

// listener speaks up when the disk is in trouble.
func (s *Store) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			s.log.Error("store cannot write its tables and tries again", "folder", s.cfg.Dir, "error", err)
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			s.log.Warn("store waits for a slow disk", "folder", s.cfg.Dir, "operation", info.OpType.String(), "seconds", info.Duration.Seconds())
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.log.Warn("store makes commits wait", "folder", s.cfg.Dir, "reason", info.Reason)
		},
		WriteStallEnd: func() { s.log.Info("store makes commits wait no longer", "folder", s.cfg.Dir) },
	}
}
