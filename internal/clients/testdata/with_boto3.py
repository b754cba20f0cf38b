"""Calls operations through boto3, as told by lines of JSON on standard input.

A line {service, operation, input, pages} is answered by one line: {output},
{error} or {absent}. With pages, the paginator of the SDK reads all pages of two
and the output is what they hold together. Takes the endpoint.
"""

import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, PaginationError, ParamValidationError
from botocore import xform_name

session = boto3.session.Session(
    region_name="eu-north-1", aws_access_key_id="dev", aws_secret_access_key="dev")
clients = {
    name: session.client(name, endpoint_url=sys.argv[1], config=Config(retries={"max_attempts": 0}))
    for name in ("iot", "iot-data", "iot-jobs-data")}


def plain(value):
    """What json cannot write, as it is compared."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return value.decode()
    return value.read().decode()  # a streaming body


def call(step):
    client = clients[step["service"]]
    method = xform_name(step["operation"])
    if not hasattr(client, method):
        return {"absent": f"boto3 {boto3.__version__} has no {method}"}
    if step.get("pages") and not client.can_paginate(method):
        return {"absent": f"boto3 {boto3.__version__} has no paginator of {method}"}
    try:
        if step.get("pages"):
            paginator = client.get_paginator(method)
            try:
                pages = paginator.paginate(PaginationConfig={"PageSize": 2}, **step["input"])
            except PaginationError:  # the operation has no page size
                pages = paginator.paginate(**step["input"])
            return {"output": pages.build_full_result()}
        output = getattr(client, method)(**step["input"])
    except ParamValidationError as e:
        if "Unknown parameter" in str(e):
            return {"absent": f"boto3 {boto3.__version__}: {e}"}
        return {"error": {"name": "ParamValidationError", "message": str(e)}}
    except ClientError as e:
        error, known = e.response["Error"], type(e).__name__
        return {"error": {
            "name": error["Code"], "message": error["Message"], "status": e.response["ResponseMetadata"]["HTTPStatusCode"],
            "typed": known == error["Code"] and isinstance(e, getattr(client.exceptions, known)),
            "more": {k: v for k, v in e.response.items() if k not in ("Error", "ResponseMetadata", "message")}}}
    if not output.pop("ResponseMetadata").get("RequestId"):
        return {"error": {"name": "NoRequestId", "message": "the answer has no x-amzn-RequestId"}}
    return {"output": output}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line)), default=plain), flush=True)
