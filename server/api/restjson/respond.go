package restjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/muster-iot/muster/server/api/awsmodel"
)

// respond writes the operation's response: raw when the description says so,
// else as a JSON object.
func (x *exchange) respond(out any) error {
	op := x.found.route.op
	if op.Output != nil {
		for i, m := range op.Output.Members {
			if m.In == awsmodel.Payload {
				x.write(http.StatusOK, reflect.ValueOf(out).Elem().Field(i).Bytes())
				return nil
			}
		}
	}
	body, err := encode(out)
	if err != nil {
		return fmt.Errorf("cannot write the response of %s: %w", op.Name, err)
	}
	x.write(http.StatusOK, body)
	return nil
}

// encode leaves <, > and & as they are: query strings are full of them.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (x *exchange) write(status int, body []byte) {
	x.written = true
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // the client has gone: nobody to tell
	name := ""
	if x.found.route != nil {
		name = x.found.route.op.Name
	}
	x.handler.cfg.Logger.Debug("served", "operation", name, "method", x.r.Method, "path", x.r.URL.Path,
		"status", status, "request", x.id, "took", time.Since(x.start))
}
