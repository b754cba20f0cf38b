package api

import (
	"context"
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/job"
)

func (o *operations) createJob(ctx context.Context, call restjson.Call, in *iot.CreateJobRequest) (*iot.CreateJobResponse, error) {
	if err := supportedJob(call, in); err != nil {
		return nil, err
	}
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	create := engine.CreateJob{
		ID: protocol.JobID(in.JobId), Targets: in.Targets, Document: *in.Document, Description: or(in.Description, ""),
		Selection: job.Selection(or(in.TargetSelection, "")), Tags: given,
	}
	if c := in.JobExecutionsRolloutConfig; c != nil {
		create.RatePerMinute = int(or(c.MaximumPerMinute, 0))
	}
	if c := in.TimeoutConfig; c != nil {
		create.TimeoutMinutes = or(c.InProgressTimeoutInMinutes, 0)
		if c.InProgressTimeoutInMinutes != nil && create.TimeoutMinutes < 1 {
			return nil, protocol.Errorf(protocol.InvalidRequest, "inProgressTimeoutInMinutes %d of job %q is not 1 to 10080", create.TimeoutMinutes, in.JobId)
		}
	}
	j, err := engine.Do(ctx, o.engine, create)
	if err != nil {
		return nil, err
	}
	return &iot.CreateJobResponse{JobId: &in.JobId, JobArn: new(call.ARN(protocol.KindJob, in.JobId)), Description: text(j.Description)}, nil
}

// supportedJob refuses what would be lost silently. Empty structures, as the
// console and some tools send them, ask for nothing.
func supportedJob(call restjson.Call, in *iot.CreateJobRequest) error {
	rollout := or(in.JobExecutionsRolloutConfig, iot.JobExecutionsRolloutConfig{})
	abort, retry := in.AbortConfig, in.JobExecutionsRetryConfig
	presigned, schedule := or(in.PresignedUrlConfig, iot.PresignedUrlConfig{}), or(in.SchedulingConfig, iot.SchedulingConfig{})
	for _, member := range []struct {
		name  string
		given bool
	}{
		{"documentSource", in.DocumentSource != nil},
		{"jobTemplateArn", in.JobTemplateArn != nil},
		{"documentParameters", len(in.DocumentParameters) > 0},
		{"presignedUrlConfig", presigned != iot.PresignedUrlConfig{}},
		{"jobExecutionsRolloutConfig.exponentialRate", rollout.ExponentialRate != nil},
		{"abortConfig", abort != nil && len(abort.CriteriaList) > 0},
		{"jobExecutionsRetryConfig", retry != nil && len(retry.CriteriaList) > 0},
		{"schedulingConfig", schedule.StartTime != nil || schedule.EndTime != nil || schedule.EndBehavior != nil || len(schedule.MaintenanceWindows) > 0},
		{"namespaceId", in.NamespaceId != nil},
		{"destinationPackageVersions", len(in.DestinationPackageVersions) > 0},
	} {
		if member.given {
			return unsupported(call.Operation, member.name)
		}
	}
	if in.Document == nil {
		return protocol.Errorf(protocol.InvalidRequest, "job %q needs a document", in.JobId)
	}
	return nil
}

func (o *operations) describeJob(ctx context.Context, call restjson.Call, in *iot.DescribeJobRequest) (*iot.DescribeJobResponse, error) {
	j, err := o.job(ctx, in.JobId)
	if err != nil {
		return nil, err
	}
	rollout, timeout := &iot.JobExecutionsRolloutConfig{}, &iot.TimeoutConfig{}
	if j.RatePerMinute > 0 {
		rollout.MaximumPerMinute = new(int64(j.RatePerMinute))
	}
	if j.TimeoutMinutes > 0 {
		timeout.InProgressTimeoutInMinutes = &j.TimeoutMinutes
	}
	shown := &iot.Job{
		JobId: &in.JobId, JobArn: new(call.ARN(protocol.KindJob, in.JobId)), TargetSelection: text(j.Selection),
		Status: text(j.Status), ReasonCode: text(j.ReasonCode), Comment: text(j.Comment),
		Targets: targets(call, j.Targets), Description: text(j.Description),
		PresignedUrlConfig: &iot.PresignedUrlConfig{}, JobExecutionsRolloutConfig: rollout, TimeoutConfig: timeout,
		CreatedAt: awsmodel.TimeOf(j.CreatedAt), LastUpdatedAt: awsmodel.TimeOf(j.LastUpdatedAt), CompletedAt: awsmodel.TimeOf(j.CompletedAt),
		JobProcessDetails: processDetails(call, j), IsConcurrent: new(inRollout(j)),
	}
	if j.ForceCanceled {
		shown.ForceCanceled = new(true)
	}
	return &iot.DescribeJobResponse{Job: shown}, nil
}

func (o *operations) job(ctx context.Context, id string) (engine.JobInfo, error) {
	var j engine.JobInfo
	err := o.read(ctx, func(v *engine.View) (err error) {
		j, err = v.Job(protocol.JobID(id))
		return err
	})
	return j, err
}

// targets are ARNs of the caller's region, whatever region they were given in
// (rule 27).
func targets(call restjson.Call, arns []string) []string {
	shown := make([]string, len(arns))
	for i, text := range arns {
		shown[i] = text
		if arn, err := protocol.ParseARN(text); err == nil {
			shown[i] = call.ARN(arn.Kind, arn.Name)
		}
	}
	return shown
}

// inRollout reports whether a job still has executions to make for the things
// that it was made for.
func inRollout(j engine.JobInfo) bool {
	return j.Status == job.InProgress && (j.Waiting > 0 || len(j.Awaiting) > 0)
}

func processDetails(call restjson.Call, j engine.JobInfo) *iot.JobProcessDetails {
	count := func(s jobs.ExecutionStatus) *int64 { return new(int64(j.Counts[s])) }
	details := &iot.JobProcessDetails{
		NumberOfCanceledThings: count(jobs.Canceled), NumberOfSucceededThings: count(jobs.Succeeded),
		NumberOfFailedThings: count(jobs.Failed), NumberOfRejectedThings: count(jobs.Rejected),
		NumberOfQueuedThings: count(jobs.Queued), NumberOfInProgressThings: count(jobs.InProgress),
		NumberOfRemovedThings: count(jobs.Removed), NumberOfTimedOutThings: count(jobs.TimedOut),
	}
	if inRollout(j) {
		details.ProcessingTargets = targets(call, j.Targets)
	}
	return details
}

func (o *operations) listJobs(ctx context.Context, call restjson.Call, in *iot.ListJobsRequest) (*iot.ListJobsResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListJobsResponse{Jobs: []iot.JobSummary{}}
	err = o.read(ctx, func(v *engine.View) error {
		keep, err := jobFilter(v, in)
		if err != nil {
			return err
		}
		found, cursor, err := v.Jobs(p, keep)
		for _, j := range found {
			out.Jobs = append(out.Jobs, jobSummary(call, v, j))
		}
		out.NextToken = next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// jobFilter reports whether a job satisfies every filter of a ListJobs. A
// group that does not exist is a ResourceNotFound.
func jobFilter(v *engine.View, in *iot.ListJobsRequest) (func(job.Job) bool, error) {
	groups := []protocol.ThingGroupName{}
	if in.ThingGroupName != nil {
		g, err := v.Group(protocol.ThingGroupName(*in.ThingGroupName))
		if err != nil {
			return nil, err
		}
		groups = append(groups, g.Name)
	}
	if in.ThingGroupId != nil {
		found, _, err := v.Groups(engine.Page{Max: 1}, func(g group.Group) bool { return g.ID == *in.ThingGroupId })
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, protocol.Errorf(protocol.NotFound, "no thing group has the id %q", *in.ThingGroupId)
		}
		groups = append(groups, found[0].Name)
	}
	return func(j job.Job) bool {
		for _, g := range groups {
			if !slices.Contains(j.Groups, g) {
				return false
			}
		}
		return in.NamespaceId == nil && // no job has a namespace
			(in.Status == nil || *in.Status == string(j.Status)) &&
			(in.TargetSelection == nil || *in.TargetSelection == string(j.Selection))
	}, nil
}

// jobSummary names the group of a job that targets just one.
func jobSummary(call restjson.Call, v *engine.View, j engine.JobInfo) iot.JobSummary {
	id := string(j.ID)
	summary := iot.JobSummary{
		JobId: &id, JobArn: new(call.ARN(protocol.KindJob, id)), TargetSelection: text(j.Selection), Status: text(j.Status),
		CreatedAt: awsmodel.TimeOf(j.CreatedAt), LastUpdatedAt: awsmodel.TimeOf(j.LastUpdatedAt), CompletedAt: awsmodel.TimeOf(j.CompletedAt),
		IsConcurrent: new(inRollout(j)),
	}
	if len(j.Targets) == 1 && len(j.Groups) == 1 {
		if g, err := v.Group(j.Groups[0]); err == nil {
			summary.ThingGroupId = &g.ID
		}
	}
	return summary
}

func (o *operations) cancelJob(ctx context.Context, call restjson.Call, in *iot.CancelJobRequest) (*iot.CancelJobResponse, error) {
	j, err := engine.Do(ctx, o.engine, engine.CancelJob{
		ID: protocol.JobID(in.JobId), Force: or(in.Force, false), ReasonCode: or(in.ReasonCode, ""), Comment: or(in.Comment, ""),
	})
	if err != nil {
		return nil, err
	}
	return &iot.CancelJobResponse{JobId: &in.JobId, JobArn: new(call.ARN(protocol.KindJob, in.JobId)), Description: text(j.Description)}, nil
}

func (o *operations) deleteJob(ctx context.Context, call restjson.Call, in *iot.DeleteJobRequest) (*restjson.Nothing, error) {
	if in.NamespaceId != nil {
		return nil, unsupported(call.Operation, "namespaceId")
	}
	_, err := engine.Do(ctx, o.engine, engine.DeleteJob{ID: protocol.JobID(in.JobId), Force: or(in.Force, false)})
	return nil, err
}

func (o *operations) getJobDocument(ctx context.Context, _ restjson.Call, in *iot.GetJobDocumentRequest) (*iot.GetJobDocumentResponse, error) {
	j, err := o.job(ctx, in.JobId)
	if err != nil {
		return nil, err
	}
	return &iot.GetJobDocumentResponse{Document: &j.Document}, nil
}
