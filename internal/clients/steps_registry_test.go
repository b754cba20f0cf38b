package clients_test

import "fmt"

// things makes pump-1 to pump-5.
func (s *session) things() {
	for i := range 5 {
		name := fmt.Sprintf("pump-%d", i+1)
		s.ok("CreateThing", object{"thingName": name, "attributePayload": object{"attributes": object{"site": "oslo", "n": fmt.Sprint(i + 1)}}},
			object{"thingName": name, "thingArn": arn("thing/" + name), "thingId": some})
	}
	same := object{"thingName": "pump-1", "attributePayload": object{"attributes": object{"site": "oslo", "n": "1"}}}
	s.ok("CreateThing", same, object{"thingName": "pump-1"})
	s.fails("CreateThing", object{"thingName": "pump-1"}, "ResourceAlreadyExistsException", 409)
	s.fails("CreateThing", object{"thingName": "no spaces"}, "InvalidRequestException", 400)
	s.ok("DescribeThing", object{"thingName": "pump-1"},
		object{"defaultClientId": "pump-1", "thingName": "pump-1", "version": 1, "attributes": object{"site": "oslo", "n": "1"}})
	s.fails("DescribeThing", object{"thingName": "none"}, "ResourceNotFoundException", 404)
	s.ok("UpdateThing", object{
		"thingName": "pump-1", "expectedVersion": 1,
		"attributePayload": object{"merge": true, "attributes": object{"softwareVersion": "5"}},
	}, nil)
	s.fails("UpdateThing", object{"thingName": "pump-1", "expectedVersion": 1}, "VersionConflictException", 409)
	s.ok("DescribeThing", object{"thingName": "pump-1"}, object{"version": 2, "attributes": object{"softwareVersion": "5", "site": "oslo"}})
	s.ok("ListThings", object{"attributeName": "n", "attributeValue": "3"},
		object{"things": []any{object{"thingName": "pump-3", "thingArn": arn("thing/pump-3"), "version": 1}}})
	s.pages("ListThings", "things", nil, 5)
	s.ok("DeleteThing", object{"thingName": "pump-5"}, nil)
	s.ok("DeleteThing", object{"thingName": "pump-5"}, nil)
	s.fails("DeleteThing", object{"thingName": "pump-4", "expectedVersion": 9}, "VersionConflictException", 409)
	s.fails("ListThings", object{"nextToken": "never given"}, "InvalidRequestException", 400)
}

// dynamicGroups makes oslo, which holds pump-1 to pump-4, and deletes another.
func (s *session) dynamicGroups() {
	s.ok("CreateDynamicThingGroup", object{"thingGroupName": "oslo", "queryString": "attributes.site:oslo"},
		object{"thingGroupName": "oslo", "thingGroupArn": arn("thinggroup/oslo"), "queryString": "attributes.site:oslo", "queryVersion": "2017-09-30"})
	s.fails("CreateDynamicThingGroup", object{"thingGroupName": "bad", "queryString": "attributes.site:("}, "InvalidQueryException", 400)
	s.fails("CreateDynamicThingGroup", object{"thingGroupName": "oslo", "queryString": "attributes.n:1"}, "ResourceAlreadyExistsException", 409)
	s.eventually("DescribeThingGroup", object{"thingGroupName": "oslo"}, object{"status": "ACTIVE", "version": 1, "thingGroupMetadata": object{"creationDate": recent}})
	s.pages("ListThingsInThingGroup", "things", object{"thingGroupName": "oslo"}, 4)
	s.ok("ListThingGroupsForThing", object{"thingName": "pump-1"}, object{"thingGroups": []any{object{"groupName": "oslo", "groupArn": arn("thinggroup/oslo")}}})
	s.ok("CreateDynamicThingGroup", object{"thingGroupName": "second", "queryString": "attributes.n:2"}, object{"thingGroupName": "second"})
	s.ok("UpdateDynamicThingGroup", object{
		"thingGroupName": "second", "queryString": "attributes.n:3", "expectedVersion": 1,
		"thingGroupProperties": object{"thingGroupDescription": "of the number"},
	}, object{"version": 2})
	s.fails("UpdateDynamicThingGroup", object{"thingGroupName": "second", "thingGroupProperties": object{}, "expectedVersion": 1}, "VersionConflictException", 409)
	s.fails("UpdateDynamicThingGroup", object{"thingGroupName": "none", "thingGroupProperties": object{}}, "ResourceNotFoundException", 404)
	s.eventually("ListThingsInThingGroup", object{"thingGroupName": "second"}, object{"things": []any{"pump-3"}})
	s.ok("DescribeThingGroup", object{"thingGroupName": "second"}, object{
		"queryString": "attributes.n:3", "thingGroupProperties": object{"thingGroupDescription": "of the number"},
	})
	s.fails("DescribeThingGroup", object{"thingGroupName": "none"}, "ResourceNotFoundException", 404)
	s.ok("CreateDynamicThingGroup", object{"thingGroupName": "third", "queryString": "attributes.n:1"}, nil)
	s.pages("ListThingGroups", "thingGroups", nil, 3)
	s.pages("ListThingGroupsForThing", "thingGroups", object{"thingName": "pump-3"}, 2)
	s.ok("DeleteDynamicThingGroup", object{"thingGroupName": "third"}, nil)
	s.ok("ListThingGroups", object{"namePrefixFilter": "thi"}, object{"thingGroups": []any{}})
}

func (s *session) index() {
	mode := object{"thingIndexingMode": "REGISTRY_AND_SHADOW", "thingConnectivityIndexingMode": "STATUS"}
	s.ok("UpdateIndexingConfiguration", object{"thingIndexingConfiguration": mode}, nil)
	s.ok("GetIndexingConfiguration", nil, object{"thingIndexingConfiguration": mode})
	s.fails("UpdateIndexingConfiguration", object{"thingIndexingConfiguration": object{"thingIndexingMode": "SOME"}}, "InvalidRequestException", 400)
	s.eventually("DescribeIndex", object{"indexName": "AWS_Things"},
		object{"indexName": "AWS_Things", "indexStatus": "ACTIVE", "schema": "REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"})
	s.fails("DescribeIndex", object{"indexName": "AWS_Nothing"}, "ResourceNotFoundException", 404)
	s.ok("ListIndices", nil, object{"indexNames": some})
	s.ok("SearchIndex", object{"queryString": "thingName:pump-1"}, object{"things": []any{
		object{"thingName": "pump-1", "attributes": object{"site": "oslo"}, "connectivity": object{"connected": false}},
	}})
	a, _ := s.ask("SearchIndex", "", object{"queryString": "thingName:pump-*", "maxResults": 3})
	s.ok("SearchIndex", object{"queryString": "thingName:pump-*", "maxResults": 3, "nextToken": a.Output["nextToken"]}, object{"things": count(1)})
	s.fails("SearchIndex", object{"queryString": "thingName:("}, "InvalidQueryException", 400)
	s.fails("SearchIndex", object{"queryString": "thingName:a", "indexName": "AWS_Nothing"}, "ResourceNotFoundException", 404)
}

func (s *session) events() {
	s.ok("UpdateEventConfigurations", object{"eventConfigurations": object{"THING_GROUP_MEMBERSHIP": object{"Enabled": true}, "JOB": object{"Enabled": true}}}, nil)
	s.ok("DescribeEventConfigurations", nil, object{
		"eventConfigurations": object{"THING_GROUP_MEMBERSHIP": object{"Enabled": true}, "THING": object{"Enabled": false}},
		"lastModifiedDate":    recent,
	})
	s.fails("UpdateEventConfigurations", object{"eventConfigurations": object{"WEATHER": object{"Enabled": true}}}, "InvalidRequestException", 400)
}

func (s *session) endpoints() {
	s.ok("DescribeEndpoint", object{"endpointType": "iot:Data-ATS"}, object{"endpointAddress": s.at.MQTT})
	s.ok("DescribeEndpoint", object{"endpointType": "iot:Jobs"}, object{"endpointAddress": s.at.HTTP})
}
