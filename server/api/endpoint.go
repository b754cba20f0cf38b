package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
)

// describeEndpoint answers where devices connect (AWS IoT reference 1.7). The
// jobs data plane is HTTP only. Some set-up scripts ask for the credential
// provider, too: it has an address, where it would be, but is not served.
func (o *operations) describeEndpoint(_ context.Context, _ restjson.Call, in *iot.DescribeEndpointRequest) (*iot.DescribeEndpointResponse, error) {
	switch kind := or(in.EndpointType, "iot:Data"); kind {
	case "iot:Data", "iot:Data-ATS":
		return &iot.DescribeEndpointResponse{EndpointAddress: &o.endpoint}, nil
	case "iot:Jobs", "iot:CredentialProvider":
		return &iot.DescribeEndpointResponse{EndpointAddress: &o.jobsEndpoint}, nil
	default:
		return nil, protocol.Errorf(protocol.InvalidRequest, "endpoint type %q is none of iot:Data, iot:Data-ATS, iot:CredentialProvider and iot:Jobs", kind)
	}
}
