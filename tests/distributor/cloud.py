#!/usr/bin/env python3
"""Publishes a Distributor package and rolls it out, as docs/distributor.md says, in moto's AWS. Run by tests/distributor.rs with
target/venv-cloud's Python: cloud.py DIST/distributor ALARMS.json"""

import argparse
import ast
import json
import logging
import os
import pathlib
import sys

import boto3
import botocore.session
import moto
import regex
from botocore.validate import ParamValidator
from moto.core.common_models import CloudFormationModel

sys.dont_write_bytecode = True
PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "tests/cloud/alarms"))
import stack  # noqa: E402 (found by the line above; it also teaches moto AWS::CloudWatch::Alarm)

REGION = "eu-west-1"
MODEL = botocore.session.get_session().get_service_model("ssm")
ASSOCIATIONS = []


class Association(CloudFormationModel):
    """AWS::SSM::Association, for moto: held against the service's own model of CreateAssociation."""

    # moto files its models by the service in their module's name.
    __module__ = "moto.ssm.models"

    def __init__(self, properties):
        self.properties = properties

    @property
    def physical_resource_id(self):
        return "12345678-aaaa-bbbb-cccc-123456789012"

    @staticmethod
    def cloudformation_name_type():
        return "AssociationName"

    @staticmethod
    def cloudformation_type():
        return "AWS::SSM::Association"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        well_formed("CreateAssociation", properties)
        ASSOCIATIONS.append(properties)
        return cls(properties)


def well_formed(operation, request):
    """Raises where the service's model forbids the request: types, required keys, lengths, patterns."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise AssertionError(f"{operation}: {report.generate_report()}")
    _patterns(operation, request, shape)


def _patterns(where, value, shape):
    if shape.type_name == "structure":
        for key, inner in value.items():
            _patterns(f"{where}.{key}", inner, shape.members[key])
    elif shape.type_name == "map":
        for key, inner in value.items():
            _patterns(f"{where}.{key}", inner, shape.value)
    elif shape.type_name == "list":
        for inner in value:
            _patterns(where, inner, shape.member)
    elif shape.type_name == "string":
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        if pattern and not regex.search(pattern, value):
            raise AssertionError(f"{where}: {value!r} is not {pattern}")
        if longest is not None and len(value) > longest:
            raise AssertionError(f"{where}: {value!r} is longer than {longest}")
        if shape.enum and value not in shape.enum:
            raise AssertionError(f"{where}: {value!r} is not one of {shape.enum}")


def publish(folder):
    """Bucket, create-document, a second version, the default version and back."""
    manifest = (folder / "manifest.json").read_text()
    version = json.loads(manifest)["version"]
    s3, ssm = boto3.client("s3", REGION), boto3.client("ssm", REGION)
    s3.create_bucket(Bucket="packages", CreateBucketConfiguration={"LocationConstraint": REGION})
    for path in sorted(folder.glob("*.zip")):
        s3.upload_file(str(path), "packages", f"vpce-probe/{version}/{path.name}")
    source = [{"Key": "SourceUrl", "Values": [f"s3://packages/vpce-probe/{version}"]}]
    request = {"Name": "vpce-probe", "DocumentType": "Package", "Content": manifest, "Attachments": source, "VersionName": version}
    well_formed("CreateDocument", request)
    made = ssm.create_document(**request)["DocumentDescription"]
    same((made["Status"], made["DocumentType"], made["VersionName"]), ("Active", "Package", version))
    same(json.loads(ssm.get_document(Name="vpce-probe")["Content"]), json.loads(manifest))
    stored = {entry["Key"].rpartition("/")[2] for entry in s3.list_objects_v2(Bucket="packages")["Contents"]}
    same(stored, set(json.loads(manifest)["files"]))
    upgrade(ssm, manifest, source)


def upgrade(ssm, manifest, source):
    """update-document does not change what hosts get; update-document-default-version does, and is the way back."""
    later = json.loads(manifest) | {"version": "0.9.9"}
    request = {"Name": "vpce-probe", "Content": json.dumps(later), "Attachments": source, "VersionName": "0.9.9"}
    request["DocumentVersion"] = "$LATEST"
    well_formed("UpdateDocument", request)
    ssm.update_document(**request)

    def default():
        return json.loads(ssm.get_document(Name="vpce-probe")["Content"])["version"]

    first = json.loads(manifest)["version"]
    same(default(), first)
    for number, version in (("2", "0.9.9"), ("1", first)):
        ssm.update_document_default_version(Name="vpce-probe", DocumentVersion=number)
        same(default(), version)


def roll_out(alarms):
    """The template, bare and with everything."""
    template = (PROJECT / "packaging/rollout/rollout.yaml").read_text()
    unknown = []
    log = logging.getLogger("moto.cloudformation.parsing")
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: unknown.append(record.getMessage())
    log.addHandler(listener)
    formation, ec2, iam = (boto3.client(name, REGION) for name in ("cloudformation", "ec2", "iam"))

    same(create(formation, "bare", template, {}), {"Installation": "AWS::SSM::Association"})
    bare = ASSOCIATIONS.pop()
    same(bare["Parameters"], {"action": ["Install"], "installationType": ["In-place update"], "name": ["vpce-probe"]})
    by_hand = json.loads((PROJECT / "packaging/ssm-distributor/association.json").read_text())
    well_formed("CreateAssociation", by_hand)
    same(bare | {"AssociationName": "vpce-probe"}, by_hand)

    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="endpoints", Description="443", VpcId=vpc)["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    iam.create_role(RoleName="hosts", AssumeRolePolicyDocument="{}")
    boto3.client("s3", REGION).put_object(Bucket="packages", Key="alarms.json", Body=alarms.read_bytes())
    chosen = {
        "PackageVersion": "0.1.0", "TagKey": "Monitoring", "TagValue": "vpce", "Schedule": "rate(1 day)", "MaxConcurrency": "50",
        "MaxErrors": "3", "InstallationType": "Uninstall and reinstall", "ConfigBase64": "aW50ZXJ2YWwgPSAiMzBzIgo=",
        "InstanceRoleName": "hosts", "VpcId": vpc, "SubnetIds": subnet, "EndpointSecurityGroupIds": group, "RouteTableIds": table,
        "AlarmsTemplateUrl": f"https://packages.s3.{REGION}.amazonaws.com/alarms.json", "ExpectedHosts": "10",
        "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:pager",
    }
    made = create(formation, "whole", template, chosen)
    same(sorted(made), ["Alarms", "Installation", "MetricsPolicy", "MonitoringEndpoint", "S3Endpoint"])
    whole = ASSOCIATIONS.pop()
    same(whole["Targets"], [{"Key": "tag:Monitoring", "Values": ["vpce"]}])
    same(whole["Parameters"]["version"], ["0.1.0"])
    same(json.loads(whole["Parameters"]["additionalArguments"][0]), {"SSM_VPCE_PROBE_CONFIG_B64": "aW50ZXJ2YWwgPSAiMzBzIgo="})
    policies(formation, ec2, iam)
    watched = boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
    if not watched or {tuple(alarm["AlarmActions"]) for alarm in watched} - {(chosen["AlarmTopicArn"],), ()}:
        raise AssertionError(f"the nested stack's alarms: {watched}")
    log.removeHandler(listener)
    same(unknown, [])
    return len(watched)


def create(formation, name, template, chosen):
    """Deploys, and gives back logical name → type."""
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in chosen.items()]
    formation.create_stack(StackName=name, TemplateBody=template, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
    same(formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"], "CREATE_COMPLETE")
    resources = formation.describe_stack_resources(StackName=name)["StackResources"]
    # moto lists what a condition left out as well, without a name.
    return {resource["LogicalResourceId"]: resource["ResourceType"] for resource in resources if "LogicalResourceId" in resource}


def policies(formation, ec2, iam):
    """What was deployed is what packaging/iam has, for this region."""

    def kept(name):
        text = (PROJECT / "packaging/iam" / name).read_text()
        return json.loads(text.replace("REGION", REGION))

    same(iam.get_role_policy(RoleName="hosts", PolicyName="whole-ship-metrics")["PolicyDocument"], kept("instance-policy.json"))
    endpoints = {end["ServiceName"]: end for end in ec2.describe_vpc_endpoints()["VpcEndpoints"]}
    outputs = {out["OutputKey"]: out["OutputValue"] for out in formation.describe_stacks(StackName="whole")["Stacks"][0]["Outputs"]}
    for service, output, name in (
        ("monitoring", "MonitoringEndpointPolicy", "monitoring-endpoint-policy.json"),
        ("s3", "S3EndpointPolicy", "s3-endpoint-policy.json"),
    ):
        endpoint = endpoints[f"com.amazonaws.{REGION}.{service}"]
        # moto keeps a policy from a template as Python writes it, and not as JSON.
        same(ast.literal_eval(endpoint["PolicyDocument"]), kept(name))
        same(json.loads(outputs[output]), kept(name))


def same(found, expected):
    """As assert, with both told."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def main():
    """Parses the command line, publishes, rolls out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("alarms", type=pathlib.Path)
    options = parser.parse_args()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[key] = "testing"
    with moto.mock_aws():
        publish(options.folder)
        count = roll_out(options.alarms)
    print(f"published, upgraded and rolled back; rolled out bare, and with role, two endpoints and {count} alarms")


if __name__ == "__main__":
    main()
