package api

import (
	"context"
	"math"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
)

// The limits and defaults of AWS IoT reference 1.4 and 3.6.
const (
	// maxSearch bounds a page of SearchIndex.
	maxSearch int64 = 100
	// maxPercents bounds the percents that one request may ask.
	maxPercents = 100
	// usualBuckets are asked when a request does not say how many.
	usualBuckets int64 = 10
)

func question(indexName *string, query string, version *string) engine.Question {
	return engine.Question{Index: or(indexName, index.Name), Query: query, Version: or(version, "")}
}

func (o *operations) searchIndex(ctx context.Context, call restjson.Call, in *iot.SearchIndexRequest) (*iot.SearchIndexResponse, error) {
	size := or(in.MaxResults, maxSearch)
	if size > maxSearch {
		return nil, protocol.Errorf(protocol.InvalidRequest, "maxResults %d is more than the %d that a search answers at once", size, maxSearch)
	}
	p, err := page(call, in.NextToken, &size)
	if err != nil {
		return nil, err
	}
	ask := question(in.IndexName, in.QueryString, in.QueryVersion)
	if ask.Index == index.GroupsName {
		return o.searchGroups(ctx, call, ask, p)
	}
	found, cursor, err := engine.Search(ctx, o.engine, ask, p)
	if err != nil {
		return nil, err
	}
	out := &iot.SearchIndexResponse{Things: make([]iot.ThingDocument, len(found)), NextToken: next(call, cursor)}
	for i, f := range found {
		doc, err := f.Answer(f.Groups)
		if err != nil {
			return nil, err
		}
		out.Things[i] = thingDocument(doc)
	}
	return out, nil
}

func thingDocument(d index.ThingDocument) iot.ThingDocument {
	shown := iot.ThingDocument{
		ThingName: text(d.ThingName), ThingId: text(d.ThingID), ThingTypeName: text(d.ThingTypeName),
		ThingGroupNames: d.ThingGroupNames, Attributes: d.Attributes, Shadow: text(d.Shadow),
	}
	if c := d.Connectivity; c != nil {
		shown.Connectivity = &iot.ThingConnectivity{Connected: &c.Connected, DisconnectReason: text(c.DisconnectReason)}
		if c.Timestamp != 0 {
			shown.Connectivity.Timestamp = &c.Timestamp
		}
	}
	return shown
}

func (o *operations) searchGroups(ctx context.Context, call restjson.Call, ask engine.Question, p engine.Page) (*iot.SearchIndexResponse, error) {
	found, cursor, err := engine.SearchGroups(ctx, o.engine, ask, p)
	if err != nil {
		return nil, err
	}
	out := &iot.SearchIndexResponse{ThingGroups: make([]iot.ThingGroupDocument, len(found)), NextToken: next(call, cursor)}
	for i, g := range found {
		out.ThingGroups[i] = iot.ThingGroupDocument{
			ThingGroupName: text(g.Name), ThingGroupId: text(g.ID), ThingGroupDescription: text(g.Description),
			Attributes: g.Attributes, ParentGroupNames: g.ParentNames,
		}
	}
	return out, nil
}

func (o *operations) getStatistics(ctx context.Context, _ restjson.Call, in *iot.GetStatisticsRequest) (*iot.GetStatisticsResponse, error) {
	s, of, err := engine.Statistics(ctx, o.engine, question(in.IndexName, in.QueryString, in.QueryVersion), or(in.AggregationField, ""))
	if err != nil {
		return nil, err
	}
	shown := &iot.Statistics{Count: &s.Count}
	if of != index.String && s.Count > 0 {
		shown.Sum, shown.Average, shown.Minimum, shown.Maximum = finite(s.Sum), finite(s.Average), finite(s.Minimum), finite(s.Maximum)
	}
	if of == index.Number && s.Count > 0 {
		shown.SumOfSquares, shown.Variance, shown.StdDeviation = finite(s.SumOfSquares), finite(s.Variance), finite(s.StdDeviation)
	}
	return &iot.GetStatisticsResponse{Statistics: shown}, nil
}

// finite is a member that is absent when its value is beyond what JSON can say.
func finite(f float64) *float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return &f
}

func (o *operations) getCardinality(ctx context.Context, _ restjson.Call, in *iot.GetCardinalityRequest) (*iot.GetCardinalityResponse, error) {
	n, err := engine.Cardinality(ctx, o.engine, question(in.IndexName, in.QueryString, in.QueryVersion), or(in.AggregationField, ""))
	if err != nil {
		return nil, err
	}
	return &iot.GetCardinalityResponse{Cardinality: &n}, nil
}

func (o *operations) getPercentiles(ctx context.Context, _ restjson.Call, in *iot.GetPercentilesRequest) (*iot.GetPercentilesResponse, error) {
	percents := in.Percents
	switch {
	case len(percents) == 0:
		percents = []float64{1, 5, 25, 50, 75, 95, 99}
	case len(percents) > maxPercents:
		return nil, protocol.Errorf(protocol.InvalidRequest, "percents has %d numbers, at most %d are allowed", len(percents), maxPercents)
	}
	values, err := engine.Percentiles(ctx, o.engine, question(in.IndexName, in.QueryString, in.QueryVersion), or(in.AggregationField, ""), percents)
	if err != nil {
		return nil, err
	}
	out := &iot.GetPercentilesResponse{Percentiles: make([]iot.PercentPair, len(values))}
	for i, v := range values {
		out.Percentiles[i] = iot.PercentPair{Percent: &percents[i], Value: finite(v)}
	}
	return out, nil
}

func (o *operations) getBucketsAggregation(ctx context.Context, _ restjson.Call, in *iot.GetBucketsAggregationRequest) (*iot.GetBucketsAggregationResponse, error) {
	terms := in.BucketsAggregationType.TermsAggregation
	if terms == nil {
		return nil, protocol.Errorf(protocol.InvalidRequest, "bucketsAggregationType names no aggregation: give termsAggregation")
	}
	most := int(or(terms.MaxBuckets, usualBuckets))
	found, total, err := engine.Buckets(ctx, o.engine, question(in.IndexName, in.QueryString, in.QueryVersion), in.AggregationField, most)
	if err != nil {
		return nil, err
	}
	out := &iot.GetBucketsAggregationResponse{TotalCount: &total, Buckets: make([]iot.Bucket, len(found))}
	for i, b := range found {
		out.Buckets[i] = iot.Bucket{KeyValue: new(b.Key), Count: new(b.Count)}
	}
	return out, nil
}
