package api

import (
	"context"

	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/registry"
)

// tags are those of a request that creates something or tags it.
func tags(list []iot.Tag) (registry.Tags, error) {
	named := make([]registry.Tag, len(list))
	for i, tag := range list {
		named[i] = registry.Tag{Key: tag.Key, Value: or(tag.Value, "")}
	}
	return registry.NewTags(named)
}

func (o *operations) tagResource(ctx context.Context, _ restjson.Call, in *iot.TagResourceRequest) (*iot.TagResourceResponse, error) {
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	_, err = engine.Do(ctx, o.engine, engine.TagResource{ARN: in.ResourceArn, Tags: given})
	return nil, err
}

func (o *operations) untagResource(ctx context.Context, _ restjson.Call, in *iot.UntagResourceRequest) (*iot.UntagResourceResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.UntagResource{ARN: in.ResourceArn, Keys: in.TagKeys})
	return nil, err
}

// listTagsForResource has no page size in its request: a page holds as many
// tags as a resource may have.
func (o *operations) listTagsForResource(ctx context.Context, call restjson.Call, in *iot.ListTagsForResourceRequest) (*iot.ListTagsForResourceResponse, error) {
	p, err := page(call, in.NextToken, nil)
	if err != nil {
		return nil, err
	}
	out := &iot.ListTagsForResourceResponse{Tags: []iot.Tag{}}
	err = o.read(ctx, func(v *engine.View) error {
		list, cursor, err := v.Tags(in.ResourceArn, p)
		for _, tag := range list {
			out.Tags = append(out.Tags, iot.Tag{Key: tag.Key, Value: new(tag.Value)})
		}
		out.NextToken = next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
