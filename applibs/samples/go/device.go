// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// maxFrame is the most that the device sends in one frame.
const maxFrame = 64 << 10

// Refused is why the device did not do what it was asked for.
type Refused struct {
	Name    string `json:"name"` // such as EACCES
	Message string `json:"message"`
}

func (refused *Refused) Error() string { return refused.Message }

// Event is something that the device tells by itself.
type Event struct {
	Kind string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

type answer struct {
	ID     uint64          `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *Refused        `json:"error"`
	Event
}

// Device is the application's connection to its device. Any goroutine may use it.
type Device struct {
	Events chan Event // closed when the device has closed the connection

	connection net.Conn
	mutex      sync.Mutex
	number     uint64
	waiting    map[uint64]chan answer // nil once nothing comes any more
}

// Open connects to the device that has started this application.
func Open() (*Device, error) {
	path := os.Getenv("ARMILLARY_APPLICATION_SOCKET")
	if path == "" {
		return nil, errors.New("this program was not started by a device")
	}
	connection, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	device := &Device{Events: make(chan Event, 16), connection: connection, waiting: map[uint64]chan answer{}}
	go device.listen()
	return device, nil
}

// Ask has the device do something; result may be nil. What the device refuses is a *Refused.
func (device *Device) Ask(method string, parameters map[string]any, result any) error {
	if parameters == nil {
		parameters = map[string]any{}
	}
	answered := make(chan answer, 1)
	if err := device.send(method, parameters, answered); err != nil {
		return err
	}
	found, open := <-answered
	switch {
	case !open:
		return io.ErrUnexpectedEOF
	case found.Error != nil:
		return found.Error
	case result != nil:
		return json.Unmarshal(found.Result, result)
	}
	return nil
}

func (device *Device) send(method string, parameters map[string]any, answered chan answer) error {
	device.mutex.Lock()
	defer device.mutex.Unlock()
	if device.waiting == nil {
		return io.ErrUnexpectedEOF
	}
	device.number++
	body, err := json.Marshal(map[string]any{"id": device.number, "method": method, "parameters": parameters})
	if err != nil {
		return err
	}
	device.waiting[device.number] = answered
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	_, err = device.connection.Write(frame)
	return err
}

// listen hands out what the device sends until it closes the connection.
func (device *Device) listen() {
	stream := bufio.NewReader(device.connection)
	for {
		found, err := receive(stream)
		if err != nil {
			break
		}
		if found.Kind != "" {
			select {
			case device.Events <- found.Event:
			default: // nobody reads them, and answers must not wait for that
			}
			continue
		}
		device.mutex.Lock()
		answered := device.waiting[found.ID]
		delete(device.waiting, found.ID)
		device.mutex.Unlock()
		if answered != nil {
			answered <- found
		}
	}
	device.mutex.Lock()
	defer device.mutex.Unlock()
	for _, answered := range device.waiting {
		close(answered)
	}
	device.waiting = nil
	close(device.Events)
}

// receive reads one frame: the length of a JSON object in four bytes, big endian, and the object.
func receive(stream io.Reader) (found answer, err error) {
	var head [4]byte
	if _, err = io.ReadFull(stream, head[:]); err != nil {
		return found, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return found, fmt.Errorf("expected a frame of at most %d bytes, got %d", maxFrame, size)
	}
	body := make([]byte, size)
	if _, err = io.ReadFull(stream, body); err != nil {
		return found, err
	}
	return found, json.Unmarshal(body, &found)
}
