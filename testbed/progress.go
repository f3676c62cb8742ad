package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// progressInterval is how often a build says that it is still alive.
const progressInterval = 5 * time.Second

// compiling is what the standard error of "go build -v" has told so far.
type compiling struct {
	downloads int      // modules fetched
	packages  int      // packages compiled
	messages  []string // everything else: what went wrong
}

// hear takes one line. Go names each module it downloads and, with -v, each package it compiles.
func (c *compiling) hear(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		c.downloads++
	case strings.HasPrefix(line, "#") || strings.ContainsAny(line, " \t:"):
		c.messages = append(c.messages, line)
	default:
		c.packages++
	}
}

func (c *compiling) String() string {
	s := fmt.Sprintf("%d packages compiled", c.packages)
	if c.downloads > 0 {
		s = fmt.Sprintf("%d modules downloaded, %s", c.downloads, s)
	}
	return s
}

// runShowingProgress runs a go build, and tells w every few seconds how far it is. A build that had nothing
// to do is not worth a word.
func runShowingProgress(cmd *exec.Cmd, p part, w io.Writer) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var seen compiling
	began := time.Now()
	show(linesOf(stderr), &seen, func() {
		_, _ = fmt.Fprintf(w, "building %s: %.0f s, %s (a first build takes %s)\n",
			p.name, time.Since(began).Seconds(), &seen, p.takes)
	})
	if err := cmd.Wait(); err != nil {
		return errors.Join(err, errors.New(strings.Join(seen.messages, "\n")))
	}
	if seen.packages > 0 {
		_, _ = fmt.Fprintf(w, "built %s in %.0f s\n", p.name, time.Since(began).Seconds())
	}
	return nil
}

// show feeds lines to seen until there are no more, and calls tell at every tick in between.
func show(lines <-chan string, seen *compiling, tell func()) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return
			}
			seen.hear(line)
		case <-tick.C:
			tell()
		}
	}
}

func linesOf(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	return lines
}
