package pebble_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/pebble"
)

// BenchmarkCommit measures durable commits of one row of 230 bytes by
// concurrent writers, against the least that durability costs: a file that
// many writers append to with one fsync for all that wait. Both get half of
// each run in turn, so that they meet the same machine. Run it as
//
//	go test -run xxx -bench Commit -benchtime 20000x ./server/store/pebble
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log, closeLog := newRawLog(b)
			commit, closeStore := newCommitter(b)
			var logTime, storeTime time.Duration
			b.ResetTimer()
			for done, round := 0, 0; done < b.N; round++ {
				rows := min(max(b.N/10, 1), b.N-done)
				logTime += spread(b, writers, done, rows, log)
				storeTime += spread(b, writers, done, rows, commit)
				done += rows
			}
			b.StopTimer()
			closeStore()
			closeLog()
			b.ReportMetric(0, "ns/op") // of both together; says nothing
			b.ReportMetric(float64(b.N)/logTime.Seconds(), "log-rows/s")
			b.ReportMetric(float64(b.N)/storeTime.Seconds(), "store-rows/s")
			b.ReportMetric(logTime.Seconds()/storeTime.Seconds(), "store/log")
		})
	}
}

// spread lets writers commit rows from the given number on and returns how long it took.
func spread(b *testing.B, writers, from, rows int, commit func(n int) error) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(rows); n = next.Add(1) {
				if err := commit(from + int(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

const rowSize = 230

// newCommitter is the store: each row is a commit of its own.
func newCommitter(b *testing.B) (commit func(n int) error, done func()) {
	s, err := pebble.Open(pebble.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	epoch, err := s.Claim(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	commit = func(n int) error {
		op := store.Op{Kind: "execution", Key: fmt.Sprintf("thing-%08d", n%50_000), Value: make([]byte, rowSize)}
		copy(op.Value, op.Key)
		return s.Commit(context.Background(), []store.ShardBatch{{Shard: protocol.Shard(n % protocol.ThingShards), Epoch: epoch, Ops: []store.Op{op}}})
	}
	return commit, func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}
}

// newRawLog is a growing file with group commit: who finds nobody syncing
// writes and syncs what all have appended, the others wait for that.
func newRawLog(b *testing.B) (commit func(n int) error, done func()) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	l := &rawLog{file: f}
	l.wake.L = &l.mu
	commit = func(n int) error {
		record := make([]byte, rowSize)
		copy(record, fmt.Sprintf("thing-%08d", n%50_000))
		return l.append(record)
	}
	return commit, func() {
		if err := f.Close(); err != nil {
			b.Error(err)
		}
	}
}

type rawLog struct {
	mu               sync.Mutex
	wake             sync.Cond
	file             *os.File
	buffer, spare    []byte
	appended, synced int64 // in bytes since the start
	syncing          bool
	err              error
}

func (l *rawLog) append(record []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffer = append(l.buffer, record...)
	l.appended += int64(len(record))
	for mine := l.appended; l.synced < mine && l.err == nil; {
		if l.syncing {
			l.wake.Wait()
			continue
		}
		l.flush()
	}
	return l.err
}

// flush writes and syncs the buffer; mu is free meanwhile.
func (l *rawLog) flush() {
	data, upTo := l.buffer, l.appended
	l.buffer, l.spare = l.spare[:0], nil
	l.syncing = true
	l.mu.Unlock()
	_, err := l.file.Write(data)
	if err == nil {
		err = l.file.Sync()
	}
	l.mu.Lock()
	l.syncing, l.spare, l.synced, l.err = false, data, upTo, err
	l.wake.Broadcast()
}
