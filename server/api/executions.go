package api

import (
	"context"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
)

func (o *operations) listJobExecutionsForJob(ctx context.Context, call restjson.Call, in *iot.ListJobExecutionsForJobRequest) (*iot.ListJobExecutionsForJobResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	var found []job.Execution
	var cursor string
	err = o.read(ctx, func(v *engine.View) (err error) {
		found, cursor, err = v.ExecutionsOfJob(protocol.JobID(in.JobId), p, func(x job.Execution) bool { return hasStatus(x, in.Status) })
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &iot.ListJobExecutionsForJobResponse{
		ExecutionSummaries: make([]iot.JobExecutionSummaryForJob, len(found)), NextToken: next(call, cursor),
	}
	for i, x := range found {
		out.ExecutionSummaries[i] = iot.JobExecutionSummaryForJob{
			ThingArn: new(call.ARN(protocol.KindThing, string(x.Thing))), JobExecutionSummary: executionSummary(x),
		}
	}
	return out, nil
}

func (o *operations) listJobExecutionsForThing(ctx context.Context, call restjson.Call, in *iot.ListJobExecutionsForThingRequest) (*iot.ListJobExecutionsForThingResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	var found []job.Execution
	var cursor string
	err = o.read(ctx, func(v *engine.View) (err error) {
		found, cursor, err = v.ExecutionsOfThing(protocol.ThingName(in.ThingName), p, func(x job.Execution) bool {
			return in.NamespaceId == nil && hasStatus(x, in.Status) && (in.JobId == nil || string(x.JobID) == *in.JobId)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &iot.ListJobExecutionsForThingResponse{
		ExecutionSummaries: make([]iot.JobExecutionSummaryForThing, len(found)), NextToken: next(call, cursor),
	}
	for i, x := range found {
		out.ExecutionSummaries[i] = iot.JobExecutionSummaryForThing{JobId: new(string(x.JobID)), JobExecutionSummary: executionSummary(x)}
	}
	return out, nil
}

func hasStatus(x job.Execution, want *string) bool { return want == nil || *want == string(x.Status) }

func executionSummary(x job.Execution) *iot.JobExecutionSummary {
	return &iot.JobExecutionSummary{
		Status: text(x.Status), QueuedAt: seconds(x.QueuedAt), StartedAt: seconds(x.StartedAt), LastUpdatedAt: seconds(x.LastUpdatedAt),
		ExecutionNumber: new(x.Number),
	}
}

// seconds are whole for executions, on every plane.
func seconds(t time.Time) *awsmodel.Time { return awsmodel.TimeOf(t.Truncate(time.Second)) }

func (o *operations) describeJobExecution(ctx context.Context, call restjson.Call, in *iot.DescribeJobExecutionRequest) (*iot.DescribeJobExecutionResponse, error) {
	var x job.Execution
	var now time.Time
	err := o.read(ctx, func(v *engine.View) (err error) {
		now = v.Now()
		x, err = v.Execution(protocol.ThingName(in.ThingName), protocol.JobID(in.JobId), in.ExecutionNumber)
		return err
	})
	if err != nil {
		return nil, err
	}
	shown := &iot.JobExecution{
		JobId: &in.JobId, Status: text(x.Status), ThingArn: new(call.ARN(protocol.KindThing, in.ThingName)),
		QueuedAt: seconds(x.QueuedAt), StartedAt: seconds(x.StartedAt), LastUpdatedAt: seconds(x.LastUpdatedAt),
		ExecutionNumber: &x.Number, VersionNumber: &x.Version,
	}
	if len(x.Details) > 0 {
		shown.StatusDetails = &iot.JobExecutionStatusDetails{DetailsMap: x.Details}
	}
	if x.ForceCanceled {
		shown.ForceCanceled = new(true)
	}
	if at := x.Expires(); x.Status == jobs.InProgress && !at.IsZero() {
		shown.ApproximateSecondsBeforeTimedOut = new(max(0, int64(at.Sub(now).Seconds())))
	}
	return &iot.DescribeJobExecutionResponse{Execution: shown}, nil
}

func (o *operations) cancelJobExecution(ctx context.Context, _ restjson.Call, in *iot.CancelJobExecutionRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.CancelExecution{
		Thing: protocol.ThingName(in.ThingName), JobID: protocol.JobID(in.JobId), Force: or(in.Force, false),
		ExpectedVersion: in.ExpectedVersion, Details: in.StatusDetails,
	})
	return nil, err
}
