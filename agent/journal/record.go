package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCorrupt is that a record is not what was written.
var ErrCorrupt = errors.New("record is corrupt")

// MaxRecord is the largest record that is read, in bytes.
const MaxRecord = 64 << 10

// Encode makes a record: the value as one line of JSON, then its CRC-32
// (IEEE) in eight hex digits on a second line.
func Encode(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(line, "\n%08x\n", crc32.ChecksumIEEE(line)), nil
}

// Decode reads a record. Every error is [ErrCorrupt].
func Decode(record []byte, into any) error {
	if len(record) > MaxRecord {
		return fmt.Errorf("%w: %d bytes are too many", ErrCorrupt, len(record))
	}
	line, rest, found := bytes.Cut(record, []byte("\n"))
	if !found || string(rest) != fmt.Sprintf("%08x\n", crc32.ChecksumIEEE(line)) {
		return fmt.Errorf("%w: the checksum does not match", ErrCorrupt)
	}
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return nil
}
