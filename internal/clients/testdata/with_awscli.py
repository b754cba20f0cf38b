"""Types commands into the aws CLI, as told by lines of JSON on standard input.

A line {service, operation, input, pages} becomes the command of that operation,
run by the CLI's own main function, and is answered by one line: {output},
{error} or {absent}. Only the start of a process per command is spared. Takes
the endpoint.
"""

import base64
import contextlib
import io
import json
import os
import re
import sys
import tempfile

import awscli
import awscli.clidriver

try:
    from botocore import xform_name
except ImportError:
    from awscli.botocore import xform_name

VERSION = "aws CLI " + awscli.__version__
# Lists whose own parameter is page-size: giving it ends the CLI's paging.
MARKED = ("ListCertificates", "ListCACertificates", "ListPolicies", "ListAttachedPolicies", "ListTargetsForPolicy")
driver = awscli.clidriver.create_clidriver()
sheet = os.path.join(tempfile.mkdtemp(), "out")  # where commands put a body that is no JSON


def flag(name, value):
    name = "--" + xform_name(name, "-")
    if value is True:
        return name
    if value is False:
        return name.replace("--", "--no-", 1)
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def call(step):
    command = [step["service"], xform_name(step["operation"], "-"), "--endpoint-url", sys.argv[1], "--output", "json"]
    if not VERSION.startswith("aws CLI 1."):
        command += ["--cli-binary-format", "raw-in-base64-out"]
    command += [flag(name, value) for name, value in step["input"].items()]
    if step.get("pages") and step["operation"] not in MARKED:
        command += ["--page-size", "2"]
    body = step["operation"].endswith("ThingShadow")
    if body:
        command.append(sheet)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = driver.main(command)
        except SystemExit as e:  # argparse, about the command itself
            status = e.code
    problem = re.search(r"An error occurred \((\w+)\)[^:]*: (.*)", err.getvalue(), re.S)
    if problem:
        return {"error": {"name": problem[1], "message": problem[2].strip(), "typed": True}}
    if "Invalid choice" in err.getvalue() or "Unknown options" in err.getvalue():
        return {"absent": f"{VERSION} has no {' '.join(command)}"}
    if status != 0:
        return {"error": {"name": f"exit status {status}", "message": err.getvalue()}}
    if body:
        with open(sheet, encoding="utf-8") as f:
            return {"output": {"payload": f.read()}}
    output = json.loads(out.getvalue() or "{}")
    if step["operation"] == "GetRetainedMessage":
        output["payload"] = base64.b64decode(output["payload"]).decode()
    return {"output": output}


os.environ.update({
    "AWS_ACCESS_KEY_ID": "dev", "AWS_SECRET_ACCESS_KEY": "dev", "AWS_DEFAULT_REGION": "eu-north-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1",
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"})
for line in sys.stdin:
    print(json.dumps(call(json.loads(line))), flush=True)
