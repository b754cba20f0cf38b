package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// screen prints what a demo does: numbered steps, notes below them and a block
// of progress that is redrawn in place on a terminal and printed as a line now
// and then elsewhere. It is used by one goroutine.
type screen struct {
	out   io.Writer
	width int // columns of the terminal, 0 when there is none
	began time.Time
	steps int
	// drawn is how many lines of a block stand below, last when the latest
	// plain line was printed.
	drawn int
	last  time.Time
}

// plainEvery is the distance of progress lines where there is no terminal.
const plainEvery = time.Second

// indent is what stands left of notes; the steps' times fill it.
const indent = "          "

func newScreen(out io.Writer, width int) *screen {
	return &screen{out: out, width: width, began: time.Now()}
}

// step begins a numbered step.
func (s *screen) step(title string) {
	s.erase()
	s.steps++
	s.line("%s%d. %s", s.stamp(), s.steps, title)
}

// event tells of something that happens within a step.
func (s *screen) event(format string, args ...any) {
	s.erase()
	s.line(s.stamp()+"   "+format, args...)
}

// note adds a line to a step.
func (s *screen) note(format string, args ...any) {
	s.erase()
	s.line(indent+"   "+format, args...)
}

func (s *screen) stamp() string { return fmt.Sprintf("%7.1f s ", time.Since(s.began).Seconds()) }

func (s *screen) line(format string, args ...any) {
	fmt.Fprintln(s.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// progress shows a state: a block on a terminal, else its line of text, once
// in a while.
func (s *screen) progress(p progress) {
	if s.width == 0 {
		if now := time.Now(); now.Sub(s.last) >= plainEvery {
			s.last = now
			s.event("%s", p.text())
		}
		return
	}
	block := p.block()
	var b strings.Builder
	b.WriteString(s.up())
	for _, line := range block {
		b.WriteString(clip(indent+"   "+line, s.width-1) + "\n")
	}
	s.drawn = len(block)
	io.WriteString(s.out, b.String())
}

// erase removes the block, so that lines come where it stood; the block is
// drawn again below them.
func (s *screen) erase() {
	io.WriteString(s.out, s.up())
	s.drawn = 0
}

// settle leaves the block on the screen.
func (s *screen) settle() { s.drawn = 0 }

// up goes to the beginning of the block and clears what follows.
func (s *screen) up() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
}

// clip cuts a line to a number of characters: one that wraps cannot be redrawn.
func clip(line string, width int) string {
	if width < 1 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}
