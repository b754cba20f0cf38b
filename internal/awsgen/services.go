package main

// service says which operations of one model are generated, and where to.
type service struct {
	name       string // of the generated package
	model      string // folder below models/apis
	doc        string // what the package doc says about it
	operations []string
}

// services lists what Muster serves. The order of the operations is that of
// the chapters of the AWS IoT reference.
func services() []service {
	return []service{
		{
			name: "iot", model: "iot/2015-05-28",
			doc: "control plane: registry, fleet indexing, thing groups, jobs",
			operations: []string{
				"CreateThing", "DescribeThing", "UpdateThing", "DeleteThing", "ListThings",
				"CreateThingType", "DescribeThingType", "UpdateThingType", "ListThingTypes", "DeprecateThingType", "DeleteThingType",
				"CreateThingGroup", "DescribeThingGroup", "UpdateThingGroup", "DeleteThingGroup", "ListThingGroups",
				"AddThingToThingGroup", "RemoveThingFromThingGroup", "UpdateThingGroupsForThing",
				"ListThingGroupsForThing", "ListThingsInThingGroup",
				"TagResource", "UntagResource", "ListTagsForResource",
				"CreateKeysAndCertificate", "CreateCertificateFromCsr", "RegisterCertificate", "RegisterCertificateWithoutCA",
				"DescribeCertificate", "UpdateCertificate", "DeleteCertificate", "ListCertificates", "ListCertificatesByCA",
				"GetRegistrationCode", "RegisterCACertificate", "DescribeCACertificate", "UpdateCACertificate",
				"DeleteCACertificate", "ListCACertificates",
				"AttachThingPrincipal", "DetachThingPrincipal", "ListThingPrincipals", "ListPrincipalThings",
				"ListThingPrincipalsV2", "ListPrincipalThingsV2",
				"CreatePolicy", "GetPolicy", "DeletePolicy", "ListPolicies",
				"CreatePolicyVersion", "GetPolicyVersion", "ListPolicyVersions", "DeletePolicyVersion", "SetDefaultPolicyVersion",
				"AttachPolicy", "DetachPolicy", "ListAttachedPolicies", "ListTargetsForPolicy",
				"AttachPrincipalPolicy", "DetachPrincipalPolicy", "ListPrincipalPolicies", "ListPolicyPrincipals",
				"UpdateIndexingConfiguration", "GetIndexingConfiguration", "DescribeIndex", "ListIndices", "SearchIndex",
				"GetStatistics", "GetCardinality", "GetPercentiles", "GetBucketsAggregation", "GetThingConnectivityData",
				"CreateDynamicThingGroup", "UpdateDynamicThingGroup", "DeleteDynamicThingGroup",
				"UpdateEventConfigurations", "DescribeEventConfigurations",
				"CreateJob", "DescribeJob", "ListJobs", "CancelJob", "DeleteJob", "GetJobDocument",
				"ListJobExecutionsForJob", "ListJobExecutionsForThing", "DescribeJobExecution", "CancelJobExecution",
				"DescribeEndpoint",
			},
		},
		{
			name: "iotdata", model: "iot-data/2015-05-28",
			doc: "data plane: device shadows, messages and connections",
			operations: []string{
				"GetThingShadow", "UpdateThingShadow", "DeleteThingShadow", "ListNamedShadowsForThing",
				"Publish", "GetRetainedMessage", "ListRetainedMessages", "DeleteConnection",
			},
		},
		{
			name: "iotjobsdata", model: "iot-jobs-data/2017-09-29",
			doc: "jobs data plane: what a device asks about its own jobs",
			operations: []string{
				"GetPendingJobExecutions", "StartNextPendingJobExecution", "DescribeJobExecution", "UpdateJobExecution",
			},
		},
	}
}
