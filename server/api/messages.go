package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iotdata"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

// The operations of this file are messages and connections (AWS IoT reference
// 10.4 and 10.5).

// Messages is the MQTT side of the server, as far as HTTP reaches it.
type Messages interface {
	// Publish passes a message on as if a client had published it. Errors are
	// *protocol.Error: InvalidRequest for what cannot be sent, LimitExceeded for
	// a retained message that has no room.
	Publish(ctx context.Context, m protocol.Message) error
	// Disconnect ends the session of a client id and returns when it has ended;
	// found is false without one.
	Disconnect(ctx context.Context, clientID string, cleanSession, preventWill bool) (found bool, err error)
}

// messaging are the operations of this file; without an MQTT side some are not served.
type messaging struct {
	*operations
	messages Messages
}

func (o messaging) table() map[string]restjson.Operation {
	table := map[string]restjson.Operation{
		"iotdata.GetRetainedMessage":   restjson.Serve(o.getRetainedMessage),
		"iotdata.ListRetainedMessages": restjson.Serve(o.listRetainedMessages),
	}
	if o.messages != nil {
		table["iotdata.Publish"] = restjson.Serve(o.publish)
		table["iotdata.DeleteConnection"] = restjson.Serve(o.deleteConnection)
	}
	return table
}

func (o messaging) publish(ctx context.Context, _ restjson.Call, in *iotdata.PublishRequest) (*restjson.Nothing, error) {
	m := protocol.Message{
		Topic: in.Topic, Payload: in.Payload, QoS: byte(or(in.Qos, 0)), Retain: or(in.Retain, false),
		UTF8:        or(in.PayloadFormatIndicator, "") == "UTF8_DATA",
		ContentType: or(in.ContentType, ""), ResponseTopic: or(in.ResponseTopic, ""),
	}
	var err error
	if m.UserProperties, err = ParseUserProperties(or(in.UserProperties, "")); err != nil {
		return nil, err
	}
	if m.CorrelationData, err = base64.StdEncoding.DecodeString(or(in.CorrelationData, "")); err != nil {
		return nil, protocol.Errorf(protocol.InvalidRequest, "correlationData is not base64")
	}
	if m.Expires, err = expiry(or(in.MessageExpiry, 0), time.Now()); err != nil {
		return nil, err
	}
	return nil, o.messages.Publish(ctx, m)
}

// expiry is when a message expires; the broker cuts what is too far away.
func expiry(seconds int64, now time.Time) (time.Time, error) {
	const enough = int64(365 * 24 * time.Hour / time.Second)
	switch {
	case seconds < 0:
		return time.Time{}, protocol.Errorf(protocol.InvalidRequest, "messageExpiry %d is negative", seconds)
	case seconds == 0:
		return time.Time{}, nil
	}
	return now.Add(time.Duration(min(seconds, enough)) * time.Second), nil
}

// ParseUserProperties reads the header x-amz-mqtt5-user-properties: base64 of
// a JSON array of objects with one entry each. Some clients encode the text
// once more, as a JSON string or in base64.
func ParseUserProperties(header string) ([]protocol.UserProperty, error) {
	if header == "" {
		return nil, nil
	}
	refused := protocol.Errorf(protocol.InvalidRequest,
		`userProperties is not base64 of a JSON array of objects with one text each, as in [{"site":"oslo"}]`)
	b, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil, refused
	}
	var inner string
	if json.Unmarshal(b, &inner) == nil {
		b = []byte(inner)
	}
	if again, err := base64.StdEncoding.DecodeString(string(b)); err == nil && len(again) > 0 {
		b = again
	}
	var entries []map[string]*string
	if !strings.HasPrefix(strings.TrimSpace(string(b)), "[") || json.Unmarshal(b, &entries) != nil {
		return nil, refused
	}
	var properties []protocol.UserProperty
	for _, entry := range entries {
		if len(entry) != 1 {
			return nil, refused
		}
		for k, v := range entry {
			if v == nil {
				return nil, refused
			}
			properties = append(properties, protocol.UserProperty{Key: k, Value: *v})
		}
	}
	return properties, nil
}

// userProperties is the JSON text that a reader gets in base64; none without any.
func userProperties(properties []protocol.UserProperty) ([]byte, error) {
	if len(properties) == 0 {
		return nil, nil
	}
	entries := make([]map[string]string, len(properties))
	for i, p := range properties {
		entries[i] = map[string]string{p.Key: p.Value}
	}
	return json.Marshal(entries)
}

func (o messaging) getRetainedMessage(ctx context.Context, _ restjson.Call, in *iotdata.GetRetainedMessageRequest) (*iotdata.GetRetainedMessageResponse, error) {
	var m engine.Retained
	err := o.read(ctx, func(v *engine.View) (err error) {
		m, err = v.Retained(in.Topic)
		return err
	})
	if err != nil {
		return nil, err
	}
	properties, err := userProperties(m.UserProperties)
	return &iotdata.GetRetainedMessageResponse{
		Topic: &m.Topic, Payload: m.Payload, Qos: new(int64(m.QoS)), LastModifiedTime: new(m.ModifiedAt.UnixMilli()),
		UserProperties: properties,
	}, err
}

func (o messaging) listRetainedMessages(ctx context.Context, call restjson.Call, in *iotdata.ListRetainedMessagesRequest) (*iotdata.ListRetainedMessagesResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	var found []engine.Retained
	var cursor string
	err = o.read(ctx, func(v *engine.View) (err error) {
		found, cursor, err = v.RetainedMessages(p)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &iotdata.ListRetainedMessagesResponse{
		RetainedTopics: make([]iotdata.RetainedMessageSummary, len(found)), NextToken: next(call, cursor),
	}
	for i, m := range found {
		out.RetainedTopics[i] = iotdata.RetainedMessageSummary{
			Topic: &m.Topic, PayloadSize: new(int64(len(m.Payload))), Qos: new(int64(m.QoS)), LastModifiedTime: new(m.ModifiedAt.UnixMilli()),
		}
	}
	return out, nil
}

func (o messaging) deleteConnection(ctx context.Context, _ restjson.Call, in *iotdata.DeleteConnectionRequest) (*restjson.Nothing, error) {
	if strings.HasPrefix(in.ClientId, "$") {
		return nil, protocol.Errorf(protocol.InvalidRequest, "client id %q begins with $, which no client's does", in.ClientId)
	}
	clean := or(in.CleanSession, false)
	found, err := o.messages.Disconnect(ctx, in.ClientId, clean, or(in.PreventWillMessage, false))
	switch {
	case err != nil || found:
		return nil, err
	case clean:
		return nil, protocol.Errorf(protocol.NotFound, "client %q is not connected and has no session", in.ClientId)
	}
	return nil, protocol.Errorf(protocol.NotFound, "client %q is not connected: set cleanSession to end a session without connection", in.ClientId)
}
