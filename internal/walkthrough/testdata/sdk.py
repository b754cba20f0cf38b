"""Calls the API through the AWS SDK for Python and prints each answer.

Takes the endpoint. The SDK is botocore, installed by itself or inside of the
aws CLI; its retries are off, so that each line is one request.
"""

import json
import sys

try:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import ClientError
except ImportError:
    import awscli.botocore.session
    from awscli.botocore.config import Config
    from awscli.botocore.exceptions import ClientError
    botocore = awscli.botocore

session = botocore.session.get_session()
clients = {
    name: session.create_client(
        name, region_name="eu-north-1", endpoint_url=sys.argv[1],
        aws_access_key_id="dev", aws_secret_access_key="dev",
        config=Config(retries={"max_attempts": 0}, parameter_validation=False))
    for name in ("iot", "iot-data", "iot-jobs-data")}

ARN = "arn:aws:iot:eu-north-1:210987654321:"


def show(value):
    if hasattr(value, "read"):
        return value.read().decode()
    return json.dumps(value, default=lambda v: v.isoformat())


def call(operation, service="iot", **parameters):
    """Prints the call, and its answer or what the SDK raised."""
    client = clients[service]
    shown = json.dumps(parameters, default=repr)
    print(operation, shown if len(shown) < 300 else shown[:100] + " ...")
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as e:
        status = e.response["ResponseMetadata"]["HTTPStatusCode"]
        error = e.response["Error"]
        more = {k: v for k, v in e.response.items()
                if k not in ("Error", "ResponseMetadata", "message")}
        known = type(e).__name__ == error["Code"]
        print(f"  {status} {error['Code']}{'' if known else ' (not in the model)'}: {error['Message']}"
              + (f" {show(more)}" if more else ""))
        return None
    if not answer["ResponseMetadata"].get("RequestId"):
        print("  no request id")
    del answer["ResponseMetadata"]
    print("  " + (", ".join(f"{k}={show(v)}" for k, v in answer.items()) or "done"))
    return answer


def pages(operation, key, **parameters):
    """Prints the pages of a list as the SDK's own paginator finds them."""
    found = [[x.get("thingName") or x.get("groupName") or x.get("jobId") or x.get("thingArn") if isinstance(x, dict) else x
              for x in page[key]]
             for page in clients["iot"].get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **parameters)]
    print(operation, "in pages:", found)


def data(operation, **parameters):
    return call(operation, service="iot-data", **parameters)


def device(operation, **parameters):
    return call(operation, service="iot-jobs-data", **parameters)


# Things.
for i in range(1, 6):
    call("create_thing", thingName=f"t{i}", attributePayload={"attributes": {"n": str(i), "odd": str(i % 2)}})
call("create_thing", thingName="t1", attributePayload={"attributes": {"n": "1", "odd": "1"}})
call("create_thing", thingName="t1")
call("create_thing", thingName="no spaces")
call("create_thing", thingName="x" * 129)
call("create_thing", thingName="t9", thingTypeName="Pump")
call("create_thing", thingName="t9", attributePayload={"attributes": {"site": "two words"}})
call("create_thing", thingName="t6", attributePayload={"attributes": {"list": "a=[b]"}})
call("describe_thing", thingName="t9")
call("update_thing", thingName="t1", expectedVersion=9)
call("update_thing", thingName="t9")
call("update_thing", thingName="t1", attributePayload={"attributes": {"n": "", "site": "oslo"}, "merge": True}, expectedVersion=1)
call("describe_thing", thingName="t1")
call("delete_thing", thingName="t6", expectedVersion=9)
call("delete_thing", thingName="t6")
call("delete_thing", thingName="t6")
pages("list_things", "things")
pages("list_things", "things", attributeName="odd", attributeValue="1")
call("list_things", maxResults=251)
call("list_things", maxResults=0)
first = clients["iot"].list_things(maxResults=2)
call("list_things", nextToken="never given")
call("list_thing_groups", nextToken="never given")
print("list_things: a token for other parameters")
try:
    clients["iot"].list_things(maxResults=2, attributeName="odd", nextToken=first["nextToken"])
except ClientError as e:
    print(" ", e.response["Error"]["Code"])

# The index.
call("update_indexing_configuration", thingIndexingConfiguration={"thingIndexingMode": "OFF", "thingConnectivityIndexingMode": "STATUS"})
call("update_indexing_configuration", thingIndexingConfiguration={"thingIndexingMode": "SOME"})
call("update_indexing_configuration", thingIndexingConfiguration={})
call("describe_index", indexName="AWS_ThingGroups")
call("describe_index", indexName="AWS_Nothing")
for query in ("attributes.n:", "(attributes.n:1", "attributes.n:[1 TO", "a AND", "thingName:t1 OR OR thingName:t2", "",
              "shadow.reported.pos:geo_distance,59.9,10.7,25km", " OR ".join(["attributes.n:1"] * 101)):
    call("search_index", queryString=query)
call("search_index", queryString="thingName:*", nextToken="never given")
call("search_index", queryString="thingName:*", maxResults=1001)
call("search_index", queryString="thingName:*", indexName="AWS_Nothing")
call("search_index", queryString="thingName:*", queryVersion="1999-01-01")
token, names = None, []
while True:
    answer = clients["iot"].search_index(queryString="thingName:t*", maxResults=2, **({"nextToken": token} if token else {}))
    names.append([t["thingName"] for t in answer["things"]])
    token = answer.get("nextToken")
    if not token:
        break
print("search_index in pages:", names)

# Dynamic groups.
query = "attributes.odd:1"
call("create_dynamic_thing_group", thingGroupName="odd", queryString=query)
call("create_dynamic_thing_group", thingGroupName="odd", queryString=query)
call("create_dynamic_thing_group", thingGroupName="odd", queryString="attributes.odd:0")
call("create_dynamic_thing_group", thingGroupName="bad", queryString="attributes.odd:(1")
call("create_dynamic_thing_group", thingGroupName="bad", queryString=query, indexName="AWS_ThingGroups")
call("create_dynamic_thing_group", thingGroupName="bad name", queryString=query)
call("update_dynamic_thing_group", thingGroupName="odd", thingGroupProperties={}, expectedVersion=9)
call("update_dynamic_thing_group", thingGroupName="odd", thingGroupProperties={}, queryString="(")
call("update_dynamic_thing_group", thingGroupName="none", thingGroupProperties={})
call("update_indexing_configuration", thingIndexingConfiguration={"thingIndexingMode": "OFF"})
call("describe_thing_group", thingGroupName="none")
call("list_things_in_thing_group", thingGroupName="none")
pages("list_things_in_thing_group", "things", thingGroupName="odd")
call("list_thing_groups_for_thing", thingName="t9")
call("list_thing_groups", parentGroup="none")
for name in ("a", "b"):
    clients["iot"].create_dynamic_thing_group(thingGroupName=name, queryString=query)
pages("list_thing_groups", "thingGroups")
call("delete_dynamic_thing_group", thingGroupName="a", expectedVersion=9)
call("delete_dynamic_thing_group", thingGroupName="a", expectedVersion=1)
call("delete_dynamic_thing_group", thingGroupName="a")

# Events.
call("update_event_configurations", eventConfigurations={"WEATHER": {"Enabled": True}})

# Jobs.
call("create_job", jobId="j1", targets=[ARN + "thinggroup/odd"], document="{}", targetSelection="CONTINUOUS")
call("create_job", jobId="j1", targets=[ARN + "thing/t1"], document="{}")
call("create_job", jobId="bad/id", targets=[ARN + "thing/t1"], document="{}")
call("create_job", jobId="j2", targets=[ARN + "thing/t9"], document="{}")
call("create_job", jobId="j2", targets=[ARN + "thinggroup/none"], document="{}")
call("create_job", jobId="j2", targets=["t1"], document="{}")
call("create_job", jobId="j2", targets=[], document="{}")
call("create_job", jobId="j2", targets=[ARN + "thing/t1"])
call("create_job", jobId="j2", targets=[ARN + "thing/t1"], document="reboot")
call("create_job", jobId="j2", targets=[ARN + "thing/t1"], document="{}", targetSelection="SOMETIMES")
call("create_job", jobId="j2", targets=[ARN + "thing/t1"], document="{}", jobExecutionsRolloutConfig={"maximumPerMinute": 1001})
call("create_job", jobId="j2", targets=[ARN + "thing/t1"], document="{}", timeoutConfig={"inProgressTimeoutInMinutes": 0})
call("create_job", jobId="j2", targets=[ARN + "thing/t1"], document="{}", abortConfig={"criteriaList": [
    {"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 20, "minNumberOfExecutedThings": 10}]})
for operation in ("describe_job", "get_job_document", "list_job_executions_for_job", "cancel_job", "delete_job"):
    call(operation, jobId="j9")
pages("list_job_executions_for_job", "executionSummaries", jobId="j1")
call("list_job_executions_for_job", jobId="j1", status="BUSY")
call("list_jobs", status="BUSY")
call("list_job_executions_for_thing", thingName="t9")
call("describe_job_execution", jobId="j1", thingName="t2")
call("describe_job_execution", jobId="j1", thingName="t1", executionNumber=2)
call("delete_job", jobId="j1")
call("cancel_job", jobId="j1", reasonCode="not allowed")

# A device over HTTPS.
device("get_pending_job_executions", thingName="t9")
device("get_pending_job_executions", thingName="t1")
device("start_next_pending_job_execution", thingName="t2")
device("start_next_pending_job_execution", thingName="t1", statusDetails={"step": "begin"})
device("describe_job_execution", thingName="t1", jobId="$next")
device("describe_job_execution", thingName="t2", jobId="$next")
device("update_job_execution", thingName="t1", jobId="j1", status="QUEUED")
device("update_job_execution", thingName="t1", jobId="j1", status="SUCCEEDED", expectedVersion=9)
call("cancel_job_execution", thingName="t1", jobId="j1")
call("cancel_job_execution", thingName="t1", jobId="j1", force=True, expectedVersion=9)
device("update_job_execution", thingName="t1", jobId="j1", status="SUCCEEDED", includeJobExecutionState=True, includeJobDocument=True)
device("update_job_execution", thingName="t1", jobId="j1", status="SUCCEEDED")
device("describe_job_execution", thingName="t1", jobId="j1")
call("cancel_job_execution", thingName="t1", jobId="j1", force=True)
call("cancel_job_execution", thingName="t2", jobId="j1")
call("cancel_job", jobId="j1")
call("cancel_job", jobId="j1")
call("delete_job", jobId="j1", force=True)

# Shadows.
data("get_thing_shadow", thingName="t1")
data("update_thing_shadow", thingName="t1", payload=b'{"state":{"desired":{"on":true}}}')
data("update_thing_shadow", thingName="t1", payload=b'{"state":{"desired":{"on":true}},"version":9}')
data("update_thing_shadow", thingName="t1", payload=b'{"state":')
data("update_thing_shadow", thingName="t1", payload=b'{"state":[]}')
data("update_thing_shadow", thingName="t1", payload=b'{}')
data("update_thing_shadow", thingName="t1", payload=b'{"state":{"desired":{"a":' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}}}")
data("update_thing_shadow", thingName="t1", payload=b'{"state":{"desired":{"on":"\xff"}}}')
answer = clients["iot-data"].update_thing_shadow
try:
    answer(thingName="t1", payload=json.dumps({"state": {"desired": {"big": "x" * 9000}}}))
except ClientError as e:
    print("update_thing_shadow of 9000 bytes:", e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"])
data("update_thing_shadow", thingName="t1", shadowName="extra", payload=b'{"state":{"reported":{"n":1}}}')
data("get_thing_shadow", thingName="t1", shadowName="extra")
data("delete_thing_shadow", thingName="t1")
data("delete_thing_shadow", thingName="t1")

# What is not there.
for kind in ("iot:Data", "iot:Jobs", "iot:CredentialProvider", "iot:Nothing"):
    call("describe_endpoint", endpointType=kind)
call("list_role_aliases")
call("create_billing_group", billingGroupName="any")
