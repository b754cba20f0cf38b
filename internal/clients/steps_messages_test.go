package clients_test

import (
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// messages publishes to pump-3, which is connected, and cuts it off.
func (s *session) messages() {
	device := connectDevice(s.t, s.at.MQTT, "pump-3")
	heard := device.subscribe("sites/#")
	s.eventually("GetThingConnectivityData", object{"thingName": "pump-3"}, object{"thingName": "pump-3", "connected": true, "timestamp": recent})
	s.fails("GetThingConnectivityData", object{"thingName": "none"}, "ResourceNotFoundException", 404)
	if s.ok(dataPlane+"Publish", object{"topic": "sites/oslo/news", "qos": 1, "payload": "hello"}, nil) != nil {
		if got := device.next(heard); got != "sites/oslo/news hello" {
			s.t.Errorf("the device heard %q", got)
		}
	}
	for _, topic := range []string{"sites/oslo/state", "sites/bergen/state", "sites/bodo/state"} {
		s.ok(dataPlane+"Publish", object{"topic": topic, "qos": 1, "retain": true, "payload": "open"}, nil)
	}
	s.ok(dataPlane+"GetRetainedMessage", object{"topic": "sites/oslo/state"}, object{"topic": "sites/oslo/state", "payload": "open", "qos": 1, "lastModifiedTime": some})
	s.fails(dataPlane+"GetRetainedMessage", object{"topic": "none"}, "ResourceNotFoundException", 404)
	s.pages(dataPlane+"ListRetainedMessages", "retainedTopics", nil, 3)
	s.ok(dataPlane+"ListRetainedMessages", object{"maxResults": 1}, object{"retainedTopics": []any{object{"payloadSize": 4, "qos": 1}}, "nextToken": some})
	s.fails(dataPlane+"Publish", object{"topic": "sites/+", "payload": "no"}, "InvalidRequestException", 400)

	s.fails(dataPlane+"DeleteConnection", object{"clientId": "nobody"}, "ResourceNotFoundException", 404)
	if s.ok(dataPlane+"DeleteConnection", object{"clientId": "pump-3"}, nil) == nil {
		return // this client cannot
	}
	select {
	case <-device.lost:
	case <-time.After(20 * time.Second):
		s.t.Error("the device is connected still")
	}
	s.eventually("GetThingConnectivityData", object{"thingName": "pump-3"}, object{"connected": false, "disconnectReason": "API_INITIATED_DISCONNECT"})
}

// mqttDevice is a device on the Paho client.
type mqttDevice struct {
	t    *testing.T
	paho paho.Client
	lost chan struct{}
}

func connectDevice(t *testing.T, address, id string) *mqttDevice {
	t.Helper()
	d := &mqttDevice{t: t, lost: make(chan struct{})}
	d.paho = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetAutoReconnect(false).
		SetConnectionLostHandler(func(paho.Client, error) { close(d.lost) }))
	d.wait(d.paho.Connect())
	t.Cleanup(func() { d.paho.Disconnect(0) })
	return d
}

func (d *mqttDevice) wait(token paho.Token) {
	d.t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		d.t.Fatalf("the broker does not answer well: %v", token.Error())
	}
}

// subscribe returns what comes, topic and payload.
func (d *mqttDevice) subscribe(filter string) <-chan string {
	d.t.Helper()
	heard := make(chan string, 100)
	d.wait(d.paho.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { heard <- m.Topic() + " " + string(m.Payload()) }))
	return heard
}

func (d *mqttDevice) next(heard <-chan string) string {
	select {
	case message := <-heard:
		return message
	case <-time.After(20 * time.Second):
		return "nothing"
	}
}
