package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of processor times in /proc; it is the same on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime is how long a process has been at work.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in brackets, which may hold spaces.
	// Behind it, user and system time are the 12th and 13th.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// cpu is how long each part has been at work.
type cpu struct{ vault, plugin, ca, clients time.Duration }

// spent asks all parts.
func (a *authority) spent() (c cpu, err error) {
	plugin, err := a.pluginPID()
	if err != nil {
		return c, err
	}
	for pid, to := range map[int]*time.Duration{
		a.bed.Vault.PID(): &c.vault, plugin: &c.plugin, a.pebble.PID(): &c.ca, os.Getpid(): &c.clients,
	} {
		if *to, err = cpuTime(pid); err != nil {
			return c, err
		}
	}
	return c, nil
}

// since is what was spent after another moment, for each of so many.
func (c cpu) since(before cpu, each time.Duration) cpu {
	return cpu{
		vault: (c.vault - before.vault) / each, plugin: (c.plugin - before.plugin) / each,
		ca: (c.ca - before.ca) / each, clients: (c.clients - before.clients) / each,
	}
}
