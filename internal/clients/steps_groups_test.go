package clients_test

// thingTypes makes Pump, given to pump-1, and Valve, which is deprecated.
func (s *session) thingTypes() {
	properties := object{"thingTypeDescription": "moves water", "searchableAttributes": []any{"site"}}
	s.ok("CreateThingType", object{"thingTypeName": "Pump", "thingTypeProperties": properties},
		object{"thingTypeName": "Pump", "thingTypeArn": arn("thingtype/Pump"), "thingTypeId": some})
	s.fails("CreateThingType", object{"thingTypeName": "Pump"}, "ResourceAlreadyExistsException", 409)
	for _, name := range []string{"Valve", "Meter"} {
		s.ok("CreateThingType", object{"thingTypeName": name}, object{"thingTypeName": name})
	}
	s.ok("DescribeThingType", object{"thingTypeName": "Pump"}, object{
		"thingTypeName": "Pump", "thingTypeProperties": properties, "thingTypeMetadata": object{"deprecated": false, "creationDate": recent},
	})
	s.fails("DescribeThingType", object{"thingTypeName": "None"}, "ResourceNotFoundException", 404)
	s.ok("UpdateThingType", object{"thingTypeName": "Valve", "thingTypeProperties": object{"thingTypeDescription": "stops it"}}, nil)
	s.ok("UpdateThing", object{"thingName": "pump-1", "thingTypeName": "Pump"}, nil)
	s.ok("ListThings", object{"thingTypeName": "Pump"}, object{"things": []any{object{"thingName": "pump-1", "thingTypeName": "Pump"}}})
	s.ok("DeprecateThingType", object{"thingTypeName": "Valve"}, nil)
	s.ok("DescribeThingType", object{"thingTypeName": "Valve"}, object{"thingTypeMetadata": object{"deprecated": true, "deprecationDate": recent}})
	s.fails("CreateThing", object{"thingName": "v-1", "thingTypeName": "Valve"}, "InvalidRequestException", 400)
	s.fails("DeleteThingType", object{"thingTypeName": "Valve"}, "InvalidRequestException", 400) // not within five minutes
	s.fails("DeleteThingType", object{"thingTypeName": "None"}, "ResourceNotFoundException", 404)
	s.pages("ListThingTypes", "thingTypes", nil, 3)
	s.ok("ListThingTypes", object{"thingTypeName": "Me"}, object{"thingTypes": []any{object{"thingTypeName": "Meter"}}})
}

// staticGroups makes sites with two children.
func (s *session) staticGroups() {
	s.ok("CreateThingGroup", object{
		"thingGroupName": "sites", "thingGroupProperties": object{"thingGroupDescription": "all", "attributePayload": object{"attributes": object{"owner": "ops"}}},
	}, object{"thingGroupName": "sites", "thingGroupArn": arn("thinggroup/sites"), "thingGroupId": some})
	for _, name := range []string{"north", "south"} {
		s.ok("CreateThingGroup", object{"thingGroupName": name, "parentGroupName": "sites"}, object{"thingGroupName": name})
	}
	s.fails("CreateThingGroup", object{"thingGroupName": "north"}, "ResourceAlreadyExistsException", 409)
	s.ok("DescribeThingGroup", object{"thingGroupName": "north"}, object{"thingGroupMetadata": object{
		"parentGroupName": "sites", "rootToParentThingGroups": []any{object{"groupName": "sites", "groupArn": arn("thinggroup/sites")}},
	}})
	s.ok("UpdateThingGroup", object{"thingGroupName": "sites", "expectedVersion": 1, "thingGroupProperties": object{"thingGroupDescription": "every one"}},
		object{"version": 2})
	s.fails("UpdateThingGroup", object{"thingGroupName": "sites", "expectedVersion": 1, "thingGroupProperties": object{}}, "VersionConflictException", 409)
	s.fails("UpdateThingGroup", object{"thingGroupName": "oslo", "thingGroupProperties": object{}}, "InvalidRequestException", 400)
	s.ok("AddThingToThingGroup", object{"thingGroupName": "north", "thingName": "pump-1"}, nil)
	s.ok("AddThingToThingGroup", object{"thingGroupArn": arn("thinggroup/north"), "thingArn": arn("thing/pump-2")}, nil)
	s.fails("AddThingToThingGroup", object{"thingGroupName": "none", "thingName": "pump-1"}, "ResourceNotFoundException", 404)
	s.fails("AddThingToThingGroup", object{"thingGroupName": "oslo", "thingName": "pump-1"}, "InvalidRequestException", 400)
	s.fails("AddThingToThingGroup", object{"thingGroupName": "south", "thingName": "pump-1"}, "InvalidRequestException", 400)
	s.ok("ListThingsInThingGroup", object{"thingGroupName": "sites", "recursive": true}, object{"things": []any{"pump-1", "pump-2"}})
	s.ok("ListThingGroups", object{"parentGroup": "sites"}, object{"thingGroups": count(2)})
	s.ok("RemoveThingFromThingGroup", object{"thingGroupName": "north", "thingName": "pump-1"}, nil)
	s.ok("RemoveThingFromThingGroup", object{"thingGroupName": "north", "thingName": "pump-1"}, nil)
	s.ok("UpdateThingGroupsForThing", object{"thingName": "pump-2", "thingGroupsToRemove": []any{"north"}, "thingGroupsToAdd": []any{"south"}}, nil)
	s.ok("ListThingsInThingGroup", object{"thingGroupName": "south"}, object{"things": []any{"pump-2"}})
	s.fails("DeleteThingGroup", object{"thingGroupName": "sites"}, "InvalidRequestException", 400)
	s.ok("DeleteThingGroup", object{"thingGroupName": "south"}, nil)
	s.ok("DeleteThingGroup", object{"thingGroupName": "south"}, nil)
}

// tags are those of the group north.
func (s *session) tags() {
	tag := func(key, value string) object { return object{"Key": key, "Value": value} }
	north := object{"resourceArn": arn("thinggroup/north")}
	s.ok("TagResource", object{"resourceArn": north["resourceArn"], "tags": []any{tag("cost", "7"), tag("team", "ops")}}, nil)
	s.ok("ListTagsForResource", north, object{"tags": []any{tag("cost", "7"), tag("team", "ops")}})
	s.ok("UntagResource", object{"resourceArn": north["resourceArn"], "tagKeys": []any{"cost"}}, nil)
	s.pages("ListTagsForResource", "tags", north, 1)
	s.fails("TagResource", object{"resourceArn": arn("thinggroup/none"), "tags": []any{tag("a", "b")}}, "ResourceNotFoundException", 404)
}
