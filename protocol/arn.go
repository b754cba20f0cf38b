package protocol

import (
	"fmt"
	"strings"
)

// ARN is an Amazon Resource Name of the AWS IoT service (AWS IoT reference 1.6):
// arn:aws:iot:REGION:ACCOUNT:KIND/NAME.
type ARN struct {
	Region, Account, Kind, Name string
}

// The resource kinds that Muster writes into ARNs.
const (
	KindThing         = "thing"
	KindThingGroup    = "thinggroup"
	KindThingType     = "thingtype"
	KindJob           = "job"
	KindIndex         = "index"
	KindPolicy        = "policy"
	KindCertificate   = "cert"
	KindCACertificate = "cacert"
)

func (a ARN) String() string {
	return fmt.Sprintf("arn:aws:iot:%s:%s:%s/%s", a.Region, a.Account, a.Kind, a.Name)
}

// ParseARN splits an ARN of the partition aws, the only one that Muster writes.
// The error is an [InvalidRequest] that quotes the input.
func ParseARN(s string) (ARN, error) {
	part := strings.SplitN(s, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[1] != "aws" || part[2] != "iot" {
		return ARN{}, Errorf(InvalidRequest, "%q is not an ARN of the iot service: want arn:aws:iot:REGION:ACCOUNT:KIND/NAME", s)
	}
	kind, name, ok := strings.Cut(part[5], "/")
	if !ok || kind == "" || name == "" {
		return ARN{}, Errorf(InvalidRequest, "ARN %q names no resource: want arn:aws:iot:REGION:ACCOUNT:KIND/NAME", s)
	}
	return ARN{Region: part[3], Account: part[4], Kind: kind, Name: name}, nil
}
