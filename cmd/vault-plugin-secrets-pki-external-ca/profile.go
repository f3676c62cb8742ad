//go:build profile && unix

package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/hashicorp/go-hclog"
)

// profileVariable names the file that a profile of the processor time between
// two SIGUSR1 is written to. The file appears when it is complete.
const profileVariable = "PKI_EXTERNAL_CA_CPU_PROFILE"

// The program that is released has no such way in: who may send signals or set
// variables has no business with what the plugin is doing.
func init() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			if err := profileUntil(signals, os.Getenv(profileVariable)); err != nil {
				hclog.Default().Error("no profile is written", "error", err)
			}
		}
	}()
}

// profileUntil writes a profile of the time until the next signal.
func profileUntil(signals <-chan os.Signal, path string) error {
	file, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	<-signals
	pprof.StopCPUProfile()
	return os.Rename(path+".part", path)
}
