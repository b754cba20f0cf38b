package awsmodel

import (
	"strconv"
	"time"
)

// Time is a timestamp of the API: a JSON number of seconds since 1970 with a
// fraction to the millisecond (AWS IoT reference 1.5).
type Time time.Time

// TimeOf returns t as a member of a response, or nil for the zero time.
func TimeOf(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return new(Time(t))
}

// MarshalJSON writes seconds, with a fraction unless it is zero.
func (t Time) MarshalJSON() ([]byte, error) {
	ms := time.Time(t).UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(nil, ms/1000, 10), nil
	}
	return strconv.AppendFloat(nil, float64(ms)/1000, 'f', 3, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	*t = Time(time.UnixMilli(int64(seconds*1000 + 0.5)))
	return nil
}
