package restjson

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/sigv4"
)

// routes finds the operations of one service.
type routes struct {
	service *awsmodel.Service
	// byShape holds them by method and number of segments.
	byShape map[shapeKey][]*route
	served  int // how many of them have a function
}

type shapeKey struct {
	method   string
	segments int
}

type route struct {
	op      *awsmodel.Operation
	pattern []segment
	serve   Operation // zero when the operation is not served
}

// segment is a literal of the path or, with label set, a member's place.
type segment struct{ literal, label string }

// match is a route with the values of its labels, unescaped.
type match struct {
	routes *routes
	route  *route
	labels map[string]string
}

func newRoutes(svc *awsmodel.Service, operations map[string]Operation) (*routes, error) {
	if err := svc.Link(); err != nil {
		return nil, err
	}
	rs := &routes{service: svc, byShape: map[shapeKey][]*route{}}
	for i := range svc.Operations {
		op := &svc.Operations[i]
		rt := &route{op: op, pattern: parsePattern(op.Path)}
		if serve, ok := operations[svc.Name+"."+op.Name]; ok {
			if err := serve.check(op); err != nil {
				return nil, fmt.Errorf("cannot serve %s.%s: %w", svc.Name, op.Name, err)
			}
			rt.serve = serve
			rs.served++
		}
		key := shapeKey{op.Method, len(rt.pattern)}
		for _, other := range rs.byShape[key] {
			if sameShape(other.pattern, rt.pattern) {
				return nil, fmt.Errorf("%s.%s and %s have the same path", svc.Name, op.Name, other.op.Name)
			}
		}
		rs.byShape[key] = append(rs.byShape[key], rt)
	}
	return rs, nil
}

func parsePattern(path string) []segment {
	var pattern []segment
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			pattern = append(pattern, segment{label: strings.TrimSuffix(name, "}")})
			continue
		}
		pattern = append(pattern, segment{literal: part})
	}
	return pattern
}

func sameShape(a, b []segment) bool {
	for i := range a {
		if a[i].literal != b[i].literal {
			return false
		}
	}
	return true
}

// find returns the route with the most literal segments that fits.
func (rs *routes) find(method string, segments []string) (match, bool) {
	var best match
	bestLabels := len(segments) + 1
	for _, rt := range rs.byShape[shapeKey{method, len(segments)}] {
		labels, ok := fit(rt.pattern, segments)
		if ok && len(labels) < bestLabels {
			best, bestLabels = match{rs, rt, labels}, len(labels)
		}
	}
	return best, best.route != nil
}

// fit compares unescaped segments with a pattern; a label is never empty.
func fit(pattern []segment, segments []string) (map[string]string, bool) {
	labels := map[string]string{}
	for i, want := range pattern {
		switch {
		case want.label == "" && segments[i] != want.literal, want.label != "" && segments[i] == "":
			return nil, false
		case want.label != "":
			labels[want.label] = segments[i]
		}
	}
	return labels, true
}

// route finds the operation of the exchange in the service that the signature
// names or, without one, in those open to unsigned requests.
func (x *exchange) route() error {
	segments, ok := splitPath(x.r.URL.EscapedPath())
	if !ok {
		return x.unknownOperation("its path is not escaped properly")
	}
	searched := x.handler.unsigned
	if x.signature != nil {
		service := x.handler.bySigning[signingName(x.signature.Scope.Service)]
		if service == nil {
			return x.unknownOperation(fmt.Sprintf("this server has no service %q", x.signature.Scope.Service))
		}
		searched = []*routes{service}
	}
	for _, service := range searched {
		found, ok := service.find(x.r.Method, segments)
		if !ok {
			continue
		}
		x.found = found
		if !found.route.serve.served() {
			return x.unknownOperation(found.route.op.Name + " is not served here")
		}
		return nil
	}
	if x.signature == nil && len(searched) == 0 {
		return &sigv4.Error{Type: sigv4.MissingAuthenticationToken, Message: "the request is not signed"}
	}
	return x.unknownOperation("no operation has this method and path")
}

func (x *exchange) unknownOperation(why string) error {
	return failure{
		exception: "UnknownOperationException", status: http.StatusNotFound,
		message: fmt.Sprintf("cannot serve %s %s: %s", x.r.Method, abbreviate(x.r.URL.EscapedPath()), why),
	}
}

// splitPath splits the escaped path first, so that an escaped slash stays
// within its segment, and unescapes each segment.
func splitPath(escaped string) ([]string, bool) {
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, part := range segments {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		segments[i] = plain
	}
	return segments, true
}

// signingName knows the names by which older clients sign.
func signingName(service string) string {
	switch service {
	case "execute-api":
		return "iot"
	case "iot-data":
		return "iotdata"
	}
	return service
}
