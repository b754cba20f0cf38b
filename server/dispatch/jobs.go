package dispatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
)

func (r request) getPending(t topic.Topic) error {
	var q jobs.GetRequest
	if !r.decode(&q, &q.ClientToken) {
		return nil
	}
	var answer jobs.GetAccepted
	err := engine.Read(r.ctx, r.Engine, func(v *engine.View) (err error) {
		answer, err = v.Pending(t.Thing)
		return err
	})
	if err != nil {
		return r.reject(err, q.ClientToken)
	}
	answer.ClientToken = q.ClientToken
	return r.accept(answer)
}

func (r request) startNext(t topic.Topic) error {
	var q jobs.StartNextRequest
	if !r.decode(&q, &q.ClientToken) {
		return nil
	}
	_, err := engine.Do(r.ctx, r.Engine, engine.StartNext{Thing: t.Thing, Request: q, Session: r.client.Session})
	return r.reject(err, q.ClientToken)
}

func (r request) describe(t topic.Topic) error {
	var q jobs.DescribeRequest
	if !r.decode(&q, &q.ClientToken) {
		return nil
	}
	document := q.IncludeJobDocument == nil || *q.IncludeJobDocument
	answer := jobs.ExecutionAccepted{ClientToken: q.ClientToken}
	err := engine.Read(r.ctx, r.Engine, func(v *engine.View) (err error) {
		answer.Timestamp = v.Now().Unix()
		answer.Execution, err = v.Describe(t.Thing, t.JobID, q.ExecutionNumber, document)
		return err
	})
	if err != nil {
		return r.reject(err, q.ClientToken)
	}
	return r.accept(answer)
}

func (r request) update(t topic.Topic) error {
	var q jobs.UpdateRequest
	if !r.decode(&q, &q.ClientToken) {
		return nil
	}
	_, err := engine.Do(r.ctx, r.Engine, engine.UpdateExecution{Thing: t.Thing, JobID: t.JobID, Request: q, Session: r.client.Session})
	return r.reject(err, q.ClientToken)
}

// decode reads the payload; an empty one equals {}. It rejects what it cannot
// read and reports whether there is anything to go on with.
func (r request) decode(into any, token *string) bool {
	body := bytes.TrimSpace(r.payload)
	if len(body) == 0 {
		return true
	}
	err := protocol.DecodeObject(body, into)
	wrong, wrongMember := errors.AsType[*json.UnmarshalTypeError](err)
	_, ours := errors.AsType[*protocol.Error](err)
	if wrongMember {
		err = protocol.Errorf(protocol.InvalidRequest, "member %q cannot be a %s", wrong.Field, wrong.Value)
	}
	switch {
	case body[0] != '{' || err != nil && !wrongMember && !ours:
		r.send(jobs.RejectedMessage{Code: jobs.CodeInvalidJSON, Message: "the payload is not a JSON object"})
	case err != nil:
		r.send(jobs.RejectedMessage{Code: jobs.CodeInvalidRequest, Message: err.Error(), ClientToken: tokenOf(body)})
	case len(*token) > maxToken:
		r.send(jobs.RejectedMessage{Code: jobs.CodeInvalidRequest, Message: "clientToken is longer than 64 bytes"})
	default:
		return true
	}
	return false
}

// maxToken bounds a clientToken, in bytes (AWS IoT reference 7.1).
const maxToken = 64

// tokenOf is the clientToken of a request that is refused as a whole:
// decoding stops at the first member that refuses its value, which may stand
// before the token.
func tokenOf(body []byte) string {
	var m struct {
		ClientToken string `json:"clientToken"`
	}
	if protocol.DecodeObject(body, &m) != nil || len(m.ClientToken) > maxToken {
		return ""
	}
	return m.ClientToken
}

func (r request) accept(answer any) error {
	b, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	r.answer(r.name+topic.Accepted, b)
	return nil
}

// codes maps failures to the codes of AWS IoT reference 7.2.
var codes = map[protocol.Code]jobs.ErrorCode{
	protocol.InvalidRequest:         jobs.CodeInvalidRequest,
	protocol.NotFound:               jobs.CodeResourceNotFound,
	protocol.VersionConflict:        jobs.CodeVersionMismatch,
	protocol.InvalidStateTransition: jobs.CodeInvalidStateTransition,
	protocol.TerminalState:          jobs.CodeTerminalStateReached,
	protocol.Throttling:             jobs.CodeRequestThrottled,
}

// reject answers a refused request with its code and, where the device needs
// it to reconcile, the execution's state. It returns err for the caller to pass on.
func (r request) reject(err error, token string) error {
	if err == nil {
		return nil
	}
	m := jobs.RejectedMessage{Code: jobs.CodeInternalError, Message: "internal error", ClientToken: token}
	if code, known := codes[protocol.CodeOf(err)]; known {
		m.Code, m.Message = code, err.Error()
	}
	if refused, ok := errors.AsType[*job.StateError](err); ok {
		m.ExecutionState = &refused.State
	}
	r.send(m)
	return err
}

func (r request) refuseTopic() {
	r.send(jobs.RejectedMessage{
		Code: jobs.CodeInvalidTopic, Message: "topic " + r.name + " is no job operation", ClientToken: tokenOf(r.payload),
	})
}

func (r request) send(m jobs.RejectedMessage) {
	m.Timestamp = time.Now().Unix()
	b, err := json.Marshal(m)
	if err != nil {
		r.Logger.Error("cannot encode a rejection", "topic", r.name, "error", err)
		return
	}
	r.answer(r.name+topic.Rejected, b)
}
