package update

import (
	"errors"
	"fmt"
)

// ErrUnavailable is that the fleet side cannot be reached or cannot answer
// now: a work that ends in it is tried again and decides nothing.
var ErrUnavailable = errors.New("the server is not available")

// Refusal is that an update is not for this device: it is reported as REJECTED
// where any other error of a work is FAILED.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Refusef makes a [Refusal].
func Refusef(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}
