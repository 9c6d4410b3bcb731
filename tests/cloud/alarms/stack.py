"""Deploys a template into moto's CloudFormation and gives back what CloudWatch then holds.

moto resolves parameters, conditions and functions, but does not know the resource AWS::CloudWatch::Alarm: the class below
teaches it, by way of boto3's own put_metric_alarm, which checks every property by the service's model.
"""

import json
import logging
import os
import typing

import boto3
import botocore.session
import moto
from moto.core.common_models import CloudFormationModel

REGION = "eu-west-1"


class Stack(typing.NamedTuple):
    """What was deployed."""

    status: str
    alarms: list
    dashboards: dict


class Alarm(CloudFormationModel):
    """AWS::CloudWatch::Alarm, for moto."""

    # moto files its models by the service in their module's name.
    __module__ = "moto.cloudwatch.models"

    def __init__(self, name):
        self.name = name

    @property
    def physical_resource_id(self):
        return self.name

    @staticmethod
    def cloudformation_name_type():
        return "AlarmName"

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        shape = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape
        properties = _typed(cloudformation_json["Properties"], shape)
        boto3.client("cloudwatch", region_name=region_name).put_metric_alarm(**properties)
        return cls(properties["AlarmName"])


def deploy(template, parameters=None, name="watch"):
    """Creates the stack in a fresh account and describes what is there; raises where moto leaves a resource out."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[key] = "testing"
    unknown = []
    log = logging.getLogger("moto.cloudformation.parsing")
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: unknown.append(record.getMessage())
    log.addHandler(listener)
    chosen = [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in (parameters or {}).items()]
    with moto.mock_aws():
        formation = boto3.client("cloudformation", region_name=REGION)
        formation.create_stack(StackName=name, TemplateBody=template, Parameters=chosen)
        status = formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        watch = boto3.client("cloudwatch", region_name=REGION)
        pages = watch.get_paginator("describe_alarms").paginate()
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        names = [entry["DashboardName"] for entry in watch.list_dashboards()["DashboardEntries"]]
        dashboards = {name: json.loads(watch.get_dashboard(DashboardName=name)["DashboardBody"]) for name in names}
    log.removeHandler(listener)
    if unknown:
        raise AssertionError(f"moto says: {unknown}")
    return Stack(status, sorted(alarms, key=lambda alarm: alarm["AlarmName"]), dashboards)


def _typed(value, shape):
    """CloudFormation gives numbers and truths of parameters as text; CloudWatch takes them as such."""
    if shape.type_name == "structure":
        stray = set(value) - set(shape.members)
        if stray:
            raise AssertionError(f"{shape.name} has no {stray}")
        return {key: _typed(inner, shape.members[key]) for key, inner in value.items()}
    if shape.type_name == "list":
        return [_typed(inner, shape.member) for inner in value]
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
    return value
