// SPDX-License-Identifier: Apache-2.0

// Counts its starts in its storage, says so in the device's log, is watched, and tells what the device tells it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	device, err := Open()
	if err != nil {
		return err
	}
	starts, err := countStart()
	if err != nil {
		return err
	}
	if err := device.Ask("log.write", map[string]any{"text": fmt.Sprintf("Go: start number %d", starts)}, nil); err != nil {
		return err
	}
	var storage struct {
		QuotaBytes int64 `json:"quota_bytes"`
		UsedBytes  int64 `json:"used_bytes"`
	}
	if err := device.Ask("storage.usage", nil, &storage); err != nil {
		return err
	}
	fmt.Printf("storage of %d bytes\n", storage.QuotaBytes)
	var refused *Refused
	if err := device.Ask("memory.statistics", nil, nil); errors.As(err, &refused) {
		fmt.Printf("memory: %v\n", refused)
	}
	reading := map[string]any{"values": map[string]any{"storage_used_bytes": storage.UsedBytes}}
	if err := device.Ask("telemetry.send", reading, nil); errors.As(err, &refused) {
		fmt.Printf("telemetry: %v\n", refused)
	}
	if err := device.Ask("health.watch", map[string]any{"within_s": 10}, nil); err != nil {
		return err
	}
	if err := device.Ask("events.subscribe", nil, nil); err != nil {
		return err
	}
	fmt.Println("watched")
	for {
		select {
		case event, open := <-device.Events:
			if !open {
				return errors.New("the device has closed the connection")
			}
			fmt.Printf("event %s\n", event.Kind)
		case <-time.After(time.Second):
		}
		if err := device.Ask("health.beat", nil, nil); err != nil {
			return err
		}
	}
}

func countStart() (int, error) {
	path := filepath.Join(os.Getenv("ARMILLARY_DATA"), "starts")
	starts := 1
	if kept, err := os.ReadFile(path); err == nil {
		before, err := strconv.Atoi(strings.TrimSpace(string(kept)))
		if err != nil {
			return 0, err
		}
		starts += before
	}
	return starts, os.WriteFile(path, []byte(fmt.Sprintf("%d\n", starts)), 0o600)
}
