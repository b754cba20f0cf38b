package clients_test

// aggregations count the pumps by their attributes, and find thing groups.
func (s *session) aggregations() {
	fields := []any{object{"name": "attributes.n", "type": "Number"}, object{"name": "attributes.site", "type": "String"}}
	s.ok("UpdateIndexingConfiguration", object{
		"thingIndexingConfiguration": object{
			"thingIndexingMode": "REGISTRY_AND_SHADOW", "thingConnectivityIndexingMode": "STATUS", "customFields": fields,
		},
		"thingGroupIndexingConfiguration": object{"thingGroupIndexingMode": "ON"},
	}, nil)
	for _, name := range []string{"AWS_Things", "AWS_ThingGroups"} {
		s.eventually("DescribeIndex", object{"indexName": name}, object{"indexStatus": "ACTIVE"})
	}
	pumps := func(more object) object {
		ask := object{"queryString": "thingName:pump-*"}
		for k, v := range more {
			ask[k] = v
		}
		return ask
	}
	s.ok("GetStatistics", pumps(object{"aggregationField": "attributes.n"}), object{"statistics": object{
		"count": 4, "sum": 10.0, "average": 2.5, "minimum": 1.0, "maximum": 4.0, "sumOfSquares": 30.0, "variance": 1.25,
	}})
	s.ok("GetStatistics", pumps(object{"aggregationField": "attributes.site"}), object{"statistics": object{"count": 4}})
	s.ok("GetCardinality", pumps(object{"aggregationField": "thingName"}), object{"cardinality": 4})
	s.ok("GetPercentiles", pumps(object{"aggregationField": "attributes.n", "percents": []any{25, 50, 100}}), object{"percentiles": []any{
		object{"percent": 25.0, "value": 1.75}, object{"percent": 50.0, "value": 2.5}, object{"percent": 100.0, "value": 4.0},
	}})
	s.ok("GetPercentiles", object{"queryString": "thingName:none", "aggregationField": "attributes.n"}, object{"percentiles": count(0)})
	terms := object{"termsAggregation": object{"maxBuckets": 5}}
	s.ok("GetBucketsAggregation", pumps(object{"aggregationField": "attributes.site", "bucketsAggregationType": terms}),
		object{"totalCount": 4, "buckets": []any{object{"keyValue": "oslo", "count": 4}}})
	for _, operation := range []string{"GetStatistics", "GetCardinality", "GetPercentiles"} {
		s.fails(operation, pumps(object{"aggregationField": "attributes.none"}), "InvalidAggregationException", 400)
	}
	s.fails("GetBucketsAggregation", pumps(object{"aggregationField": "attributes.none", "bucketsAggregationType": terms}), "InvalidAggregationException", 400)
	s.ok("SearchIndex", object{"indexName": "AWS_ThingGroups", "queryString": "parentGroupNames:sites"}, object{"thingGroups": []any{
		object{"thingGroupName": "north", "thingGroupId": some, "parentGroupNames": []any{"sites"}},
	}})
	s.fails("SearchIndex", object{"indexName": "AWS_ThingGroups", "queryString": "thingName:pump-1"}, "InvalidQueryException", 400)
}
