// Package protocol is the ground that device and fleet side share: identifiers,
// ARNs, shards and the error type. It imports the standard library only and
// owns no state. The messages built from these words live in its
// subpackages: topic, jobs, shadow, event and update.
package protocol

import (
	"hash/fnv"
	"regexp"
)

// ThingName names a thing: 1 to 128 of [a-zA-Z0-9:_-], case-sensitive, for
// life (AWS IoT reference 2.1). A device's MQTT client id equals its thing name.
type ThingName string

// ThingGroupName names a thing group, static or dynamic; same form as [ThingName].
type ThingGroupName string

// ThingTypeName names a thing type; same form as [ThingName].
type ThingTypeName string

// JobID names a job: 1 to 64 of [a-zA-Z0-9_-] (AWS IoT reference 6.2).
type JobID string

var (
	nameForm  = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)
	jobIDForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
)

// Valid reports whether the name has the form of a thing name.
func (n ThingName) Valid() bool { return nameForm.MatchString(string(n)) }

// Valid reports whether the name has the form of a thing group name.
func (n ThingGroupName) Valid() bool { return nameForm.MatchString(string(n)) }

// Valid reports whether the name has the form of a thing type name.
func (n ThingTypeName) Valid() bool { return nameForm.MatchString(string(n)) }

// Valid reports whether the id has the form of a job id.
func (id JobID) Valid() bool { return jobIDForm.MatchString(string(id)) }

// Shard is a slice of the fleet: every row of the store belongs to one.
// Things live in shards 0 to 1023 by the hash of their name, for life;
// what belongs to no thing lives in [GlobalShard].
type Shard uint16

const (
	// ThingShards is the number of shards that hold things.
	ThingShards = 1024
	// GlobalShard holds groups, jobs and configuration.
	GlobalShard Shard = ThingShards
)

// ShardOf returns the shard of a thing: fnv1a64(name) mod 1024.
func ShardOf(name ThingName) Shard {
	h := fnv.New64a()
	h.Write([]byte(name))
	return Shard(h.Sum64() % ThingShards)
}
