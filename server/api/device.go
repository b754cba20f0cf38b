package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/api/awsmodel/iotjobsdata"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

// The operations of this file are a device's own (AWS IoT reference 7.6): what
// it can also say over MQTT. Times are whole seconds and the job document is
// text.

func (o *operations) getPendingJobExecutions(ctx context.Context, _ restjson.Call, in *iotjobsdata.GetPendingJobExecutionsRequest) (*iotjobsdata.GetPendingJobExecutionsResponse, error) {
	var pending jobs.GetAccepted
	err := o.read(ctx, func(v *engine.View) (err error) {
		pending, err = v.Pending(protocol.ThingName(in.ThingName))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &iotjobsdata.GetPendingJobExecutionsResponse{
		InProgressJobs: ownSummaries(pending.InProgressJobs), QueuedJobs: ownSummaries(pending.QueuedJobs),
	}, nil
}

func ownSummaries(summaries []jobs.Summary) []iotjobsdata.JobExecutionSummary {
	shown := make([]iotjobsdata.JobExecutionSummary, len(summaries))
	for i, s := range summaries {
		shown[i] = iotjobsdata.JobExecutionSummary{
			JobId: new(string(s.JobID)), QueuedAt: &s.QueuedAt, StartedAt: unlessZero(s.StartedAt), LastUpdatedAt: &s.LastUpdatedAt,
			VersionNumber: &s.VersionNumber, ExecutionNumber: &s.ExecutionNumber,
		}
	}
	return shown
}

func unlessZero(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func (o *operations) startNextPendingJobExecution(ctx context.Context, _ restjson.Call, in *iotjobsdata.StartNextPendingJobExecutionRequest) (*iotjobsdata.StartNextPendingJobExecutionResponse, error) {
	x, err := engine.Do(ctx, o.engine, engine.StartNext{
		Thing:   protocol.ThingName(in.ThingName),
		Request: jobs.StartNextRequest{StatusDetails: in.StatusDetails, StepTimeoutInMinutes: in.StepTimeoutInMinutes},
	})
	if err != nil {
		return nil, err
	}
	return &iotjobsdata.StartNextPendingJobExecutionResponse{Execution: ownExecution(x)}, nil
}

func (o *operations) describeOwnJobExecution(ctx context.Context, _ restjson.Call, in *iotjobsdata.DescribeJobExecutionRequest) (*iotjobsdata.DescribeJobExecutionResponse, error) {
	var x *jobs.Execution
	err := o.read(ctx, func(v *engine.View) (err error) {
		x, err = v.Describe(protocol.ThingName(in.ThingName), protocol.JobID(in.JobId), in.ExecutionNumber, or(in.IncludeJobDocument, true))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &iotjobsdata.DescribeJobExecutionResponse{Execution: ownExecution(x)}, nil
}

// ownExecution is absent when nothing is pending.
func ownExecution(x *jobs.Execution) *iotjobsdata.JobExecution {
	if x == nil {
		return nil
	}
	return &iotjobsdata.JobExecution{
		JobId: text(x.JobID), ThingName: text(x.ThingName), Status: text(x.Status), StatusDetails: x.StatusDetails,
		QueuedAt: &x.QueuedAt, StartedAt: unlessZero(x.StartedAt), LastUpdatedAt: &x.LastUpdatedAt,
		ApproximateSecondsBeforeTimedOut: x.SecondsBeforeTimedOut,
		VersionNumber:                    &x.VersionNumber, ExecutionNumber: &x.ExecutionNumber, JobDocument: text(string(x.JobDocument)),
	}
}

func (o *operations) updateJobExecution(ctx context.Context, _ restjson.Call, in *iotjobsdata.UpdateJobExecutionRequest) (*iotjobsdata.UpdateJobExecutionResponse, error) {
	accepted, err := engine.Do(ctx, o.engine, engine.UpdateExecution{
		Thing: protocol.ThingName(in.ThingName), JobID: protocol.JobID(in.JobId),
		Request: jobs.UpdateRequest{
			Status: jobs.ExecutionStatus(in.Status), StatusDetails: in.StatusDetails,
			ExpectedVersion: (*jobs.Version)(in.ExpectedVersion), ExecutionNumber: in.ExecutionNumber,
			IncludeJobExecutionState: or(in.IncludeJobExecutionState, false), IncludeJobDocument: or(in.IncludeJobDocument, false),
			StepTimeoutInMinutes: in.StepTimeoutInMinutes,
		},
	})
	if err != nil {
		return nil, err
	}
	out := &iotjobsdata.UpdateJobExecutionResponse{JobDocument: text(string(accepted.JobDocument))}
	if s := accepted.ExecutionState; s != nil {
		out.ExecutionState = &iotjobsdata.JobExecutionState{
			Status: text(s.Status), StatusDetails: s.StatusDetails, VersionNumber: &s.VersionNumber,
		}
	}
	return out, nil
}
