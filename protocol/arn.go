package protocol

import (
	"fmt"
	"regexp"
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

// ParseOwnARN is [ParseARN] for what a client names of this account: another
// account's resource, and a name that no resource of that kind can have, are
// an [InvalidRequest], too.
func ParseOwnARN(s, account string) (ARN, error) {
	a, err := ParseARN(s)
	switch {
	case err != nil:
		return ARN{}, err
	case a.Account != account:
		return ARN{}, Errorf(InvalidRequest, "ARN %q names a resource of account %q; the account of this server is %s", s, a.Account, account)
	case !a.legalName():
		return ARN{}, Errorf(InvalidRequest, "ARN %q: no %s can have the name %q", s, a.Kind, a.Name)
	}
	return a, nil
}

// otherName is the form of the names that have no type of their own here.
var otherName = regexp.MustCompile(`^[a-zA-Z0-9:_+=,.@-]{1,128}$`)

func (a ARN) legalName() bool {
	switch a.Kind {
	case KindThing, KindThingGroup, KindThingType:
		return nameForm.MatchString(a.Name)
	case KindJob:
		return jobIDForm.MatchString(a.Name)
	}
	return otherName.MatchString(a.Name)
}
