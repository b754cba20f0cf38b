package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/internal/floor"
)

// servers are what is compared; each floor serves plain TCP or TLS.
type servers struct {
	muster, echo, raw, secureEcho *process
}

func (s servers) stop() {
	for _, p := range []*process{s.muster, s.echo, s.raw, s.secureEcho} {
		if p != nil {
			p.stop()
		}
	}
}

func run(ctx context.Context, o options) ([]row, error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := serve(o, dir)
	defer s.stop()
	if err != nil {
		return nil, err
	}
	if err := populate(ctx, s.muster.addr.HTTP, max(o.devices, o.idle)); err != nil {
		return nil, err
	}
	var rows []row
	for _, part := range []struct {
		name string
		run  func(context.Context, servers, options) ([]row, error)
	}{
		{"requests", requests}, {"sessions", presence}, {"stalled device", stalled}, {"idle devices", memory}, {"commits", commits},
	} {
		begin := time.Now()
		more, err := part.run(ctx, s, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		rows = append(rows, more...)
		fmt.Fprintf(os.Stderr, "%s: %s\n", part.name, time.Since(begin).Round(time.Second))
	}
	return rows, nil
}

func serve(o options, dir string) (s servers, err error) {
	files, err := devcert.Make(dir)
	if err != nil {
		return s, err
	}
	if s.echo, err = start("bare mochi", o.muster, "floor", "--kind", string(floor.KindEcho)); err != nil {
		return s, err
	}
	if s.raw, err = start("raw loop", o.muster, "floor", "--kind", string(floor.KindRaw)); err != nil {
		return s, err
	}
	if s.secureEcho, err = start("bare mochi with TLS", o.muster, "floor", "--cert", files.ServerCert, "--key", files.ServerKey); err != nil {
		return s, err
	}
	s.muster, err = start("musterd", o.muster, "musterd", "--dev", "--data", filepath.Join(dir, "data"), "--log-level", "warn",
		"--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--mqtts", "127.0.0.1:0", "--cert", files.ServerCert, "--key", files.ServerKey)
	return s, err
}

// size is that of a typical report, in bytes.
const size = 256

// padded fills the %s of a payload up to the size.
func padded(format string) []byte {
	return []byte(fmt.Sprintf(format, strings.Repeat("x", max(0, size-len(format)+2))))
}

// requests compares what a durable job update and a durable shadow report cost
// with an echo that stores nothing.
func requests(ctx context.Context, s servers, o options) ([]row, error) {
	echo := func(i int) request {
		return request{"in/" + device(i), "out/" + device(i), padded("%s")}
	}
	update := func(i int) request {
		t := "$aws/things/" + device(i) + "/jobs/" + jobID + "/update"
		return request{t, t + "/accepted", padded(`{"status":"IN_PROGRESS","statusDetails":{"step":"download","note":"%s"}}`)}
	}
	report := func(i int) request {
		t := "$aws/things/" + device(i) + "/shadow/update"
		return request{t, t + "/accepted", padded(`{"state":{"reported":{"battery":71,"temperature":21.5,"note":"%s"}}}`)}
	}
	fleets := map[*process]fleet{}
	for p, topic := range map[*process]func(i int) []string{
		s.echo:   func(i int) []string { return []string{echo(i).answer} },
		s.raw:    func(i int) []string { return []string{echo(i).answer} },
		s.muster: func(i int) []string { return []string{report(i).answer} },
	} {
		f, err := connect(ctx, dialer(false), p.addr.MQTT, o.devices, topic)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		defer f.close()
		fleets[p] = f
	}
	var bare, raw, jobs, shadows []work
	for range o.rounds {
		for _, m := range []struct {
			p    *process
			ask  func(i int) request
			into *[]work
		}{{s.echo, echo, &bare}, {s.muster, update, &jobs}, {s.raw, echo, &raw}, {s.muster, report, &shadows}} {
			w, err := fleets[m.p].exchange(ctx, m.p, o.span, m.ask)
			if err != nil {
				return nil, err
			}
			*m.into = append(*m.into, w)
		}
	}
	figures := func(a, b []work) string {
		return fmt.Sprintf("%s against %s of CPU; %.0f/s against %.0f/s", mid(a, work.each), mid(b, work.each), median(rates(a)), median(rates(b)))
	}
	return []row{
		{what: "durable job update, answered directly", floor: "bare mochi echo", ratios: ratio(jobs, bare), limit: 1.3, figures: figures(jobs, bare)},
		{what: "durable job update, answered directly", floor: "raw loop", ratios: ratio(jobs, raw), limit: 4, figures: figures(jobs, raw)},
		{what: "durable shadow report, answer at QoS 1", floor: "bare mochi echo", ratios: ratio(shadows, bare), limit: 2, figures: figures(shadows, bare)},
	}, nil
}

// presence compares sessions: connecting and disconnecting, each of which is a
// presence change that moves the device between groups. The bare mochi's
// session is taken for its CONNECT, which is nearly all of it.
func presence(ctx context.Context, s servers, o options) ([]row, error) {
	var plain, bare, secure, bareSecure []work
	for range o.rounds {
		for _, m := range []struct {
			p       *process
			secure  bool
			address string
			into    *[]work
		}{
			{s.echo, false, s.echo.addr.MQTT, &bare},
			{s.muster, false, s.muster.addr.MQTT, &plain},
			{s.secureEcho, true, s.secureEcho.addr.MQTT, &bareSecure},
			{s.muster, true, s.muster.addr.MQTTS, &secure},
		} {
			w, err := sessions(ctx, m.p, dialer(m.secure), m.address, o.span, o.devices)
			if err != nil {
				return nil, err
			}
			*m.into = append(*m.into, w)
		}
	}
	cost := fmt.Sprintf("a session, which is two changes, %s of CPU against %s", mid(plain, work.each), mid(bare, work.each))
	speed := func(a, b []work) string {
		return fmt.Sprintf("%.0f/s against %.0f/s", median(rates(a)), median(rates(b)))
	}
	return []row{
		{what: "durable presence change with its groups", floor: "CONNECT of bare mochi", ratios: halved(ratio(plain, bare)), limit: 1.2, figures: cost},
		{what: "connects a second, TCP", floor: "bare mochi", ratios: faster(plain, bare), limit: 0.5, atLeast: true, figures: speed(plain, bare)},
		{what: "connects a second, TLS", floor: "bare mochi", ratios: faster(secure, bareSecure), limit: 0.8, atLeast: true, figures: speed(secure, bareSecure)},
	}, nil
}

// stalled is whether others notice a device that has stopped reading: the
// worst time of a publish at QoS 1 on a topic that the device subscribes to.
func stalled(ctx context.Context, s servers, o options) ([]row, error) {
	const topic, talkers = "bulk", 16
	var worst []float64
	var calm float64
	for round := range o.rounds {
		for _, stall := range []bool{false, true} {
			if stall {
				c, err := floor.Open(ctx, dialer(false), s.muster.addr.MQTT, fmt.Sprintf("stalled-%d", round))
				if err != nil {
					return nil, err
				}
				defer c.Close()
				if err := c.Subscribe(topic); err != nil { // and never read again
					return nil, err
				}
			}
			ms, err := worstPublish(ctx, s.muster, topic, talkers, o.span)
			if err != nil {
				return nil, err
			}
			if stall {
				worst = append(worst, ms)
			} else {
				calm = max(calm, ms)
			}
		}
	}
	return []row{{
		what: "worst publish beside a stalled device", floor: "-", ratios: worst, unit: " ms", limit: 50,
		figures: fmt.Sprintf("worst without a stalled device %.1f ms", calm),
	}}, nil
}

// worstPublish is the longest time, in milliseconds, that a small publish took
// while others sent large ones.
func worstPublish(ctx context.Context, p *process, topic string, talkers int, span time.Duration) (float64, error) {
	f, err := connect(ctx, dialer(false), p.addr.MQTT, talkers+1, func(int) []string { return nil })
	if err != nil {
		return 0, err
	}
	defer f.close()
	large, small := make([]byte, 32<<10), make([]byte, 64)
	var worst atomic.Int64
	_, err = measure(ctx, p, len(f), span, func(ctx context.Context, lane int) error {
		if lane < talkers {
			_, err := f[lane].Request(topic, large, "")
			return err
		}
		begin := time.Now()
		_, err := f[lane].Request(topic, small, "")
		worst.Store(max(worst.Load(), int64(time.Since(begin)))) // this lane alone
		select {
		case <-ctx.Done():
		case <-time.After(12 * time.Millisecond): // below the rate limit of a connection
		}
		return err
	})
	return float64(worst.Load()) / float64(time.Millisecond), err
}

// memory is what an idle device costs: a connection with two subscriptions.
func memory(ctx context.Context, _ servers, o options) ([]row, error) {
	var rows []row
	for _, m := range []struct {
		what   string
		secure bool
		limit  float64
	}{
		{"RSS of an idle device, TCP", false, 35}, {"RSS of an idle device, TLS", true, 50},
	} {
		own, bare, err := idle(ctx, m.secure, o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{
			what: m.what, floor: "-", ratios: []float64{own}, unit: " KB", limit: m.limit,
			figures: fmt.Sprintf("%d devices; bare mochi, small settings: %.1f KB", o.idle, bare),
		})
	}
	return rows, nil
}

// idle is by how many KB musterd and the bare mochi grew for each idle
// connection. They are fresh ones, whose heaps have no room left from earlier
// work.
func idle(ctx context.Context, secure bool, o options) (own, bare float64, err error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	s, err := serve(o, dir)
	defer s.stop()
	if err != nil {
		return 0, 0, err
	}
	p, echo, address := s.muster, s.echo, s.muster.addr.MQTT
	if secure {
		echo, address = s.secureEcho, s.muster.addr.MQTTS
	}
	if own, err = grown(ctx, p, secure, address, o.idle); err == nil {
		bare, err = grown(ctx, echo, secure, echo.addr.MQTT, o.idle)
	}
	return own, bare, err
}

// settle is how long the server is left alone before its memory is taken: it
// still holds what connecting took, and its stacks have not shrunk yet.
const settle = 5 * time.Second

func grown(ctx context.Context, p *process, secure bool, address string, n int) (float64, error) {
	before, err := p.rss()
	if err != nil {
		return 0, err
	}
	f, err := connect(ctx, dialer(secure), address, n, func(i int) []string {
		t := "$aws/things/" + device(i)
		return []string{t + "/jobs/notify-next", t + "/shadow/update/delta"}
	})
	if err != nil {
		return 0, err
	}
	defer f.close()
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
	after, err := p.rss()
	return float64(after-before) / 1024 / float64(n), err
}

func ratio(a, b []work) []float64 {
	v := make([]float64, len(a))
	for i := range a {
		v[i] = float64(a[i].each()) / float64(b[i].each())
	}
	return v
}

func halved(v []float64) []float64 {
	for i := range v {
		v[i] /= 2
	}
	return v
}

func faster(a, b []work) []float64 {
	v := make([]float64, len(a))
	for i := range a {
		v[i] = a[i].rate() / b[i].rate()
	}
	return v
}

func rates(w []work) []float64 {
	v := make([]float64, len(w))
	for i := range w {
		v[i] = w[i].rate()
	}
	return v
}

func mid(w []work, of func(work) time.Duration) time.Duration {
	v := make([]float64, len(w))
	for i := range w {
		v[i] = float64(of(w[i]))
	}
	return time.Duration(median(v)).Round(100 * time.Nanosecond)
}
