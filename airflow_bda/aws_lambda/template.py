"""
The CloudFormation template that deploys the functions, for one region.

The region decides which profile is used and where it may route a call to, and the function's role must name the profile
in each of those regions. Everything else is a parameter.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from airflow_bda.access.permissions import LIST, function_permissions
from airflow_bda.access.workload import Workload
from airflow_bda.aws_lambda.allow_lists import BLUEPRINTS, INPUT_PREFIXES, KMS_KEYS, OUTPUT_PREFIXES, PROJECTS, STAGES
from airflow_bda.aws_lambda.template_parts import (
    HANDLER,
    OPTIONAL_CONDITIONS,
    OPTIONAL_OUTPUTS,
    OPTIONAL_PARAMETERS,
    either,
    function,
    function_role,
    given,
    list_given,
    log_group,
    number,
    optional_resources,
    ref,
    statement,
    sub,
    text,
    texts,
)
from airflow_bda.service.arns import routed_profile_arns
from airflow_bda.service.s3 import S3Uri

Template: TypeAlias = dict[str, Any]

# A bucket, and as wanted a folder in it. Commas and wildcards would have a meaning of their own in lists and policies.
_PREFIX = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^,*?\s]*[^,*?/\s])?$"
_ARN_OR_NOTHING = "^(arn:aws.*)?$"
_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)


def build_template(region: str) -> Template:
    """
    Make the template.

    :param region: where it will be deployed.
    :raises UnknownRegionError: when the region's profile is not known.
    """
    profiles = routed_profile_arns(region=region, account="${AWS::AccountId}", partition="${AWS::Partition}")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Amazon Bedrock Data Automation from Lambda, by airflow-provider-bda; for {region}",
        "Parameters": _parameters() | OPTIONAL_PARAMETERS,
        "Rules": _rules(region),
        "Conditions": _conditions() | OPTIONAL_CONDITIONS,
        "Resources": {
            "Role": function_role(_statements(profiles)),
            "LogGroup": log_group("/aws/lambda/${FunctionName}"),
            "Function": function(
                name=ref("FunctionName"),
                description="Starts data automation jobs and returns their status",
                handler=HANDLER,
                role="Role",
                log_group="LogGroup",
                timeout=ref("TimeoutSeconds"),
                variables=_variables(),
            ),
            **optional_resources(),
        },
        "Outputs": {
            "FunctionName": {"Description": "For BdaLambdaInvokeOperator(function_name=...)", "Value": ref("Function")},
            "FunctionArn": {"Description": "For policies with lambda:InvokeFunction", "Value": _arn("Function")},
            "RoleArn": {"Description": "For key and bucket policies", "Value": _arn("Role")},
            **OPTIONAL_OUTPUTS,
        },
    }


def _parameters() -> Template:
    return {
        "CodeBucket": text("Bucket with the zip that `airflow-bda lambda package` made"),
        "CodeKey": text("Key of that zip; a new key for a new version makes CloudFormation deploy it"),
        "FunctionName": text("Name of the function", "airflow-bda", AllowedPattern="^[a-zA-Z0-9_-]{1,57}$"),
        "InputPrefix": text("Where documents may be read: bucket or bucket/folder", AllowedPattern=_PREFIX),
        "OutputPrefix": text("Where results may be written: bucket or bucket/folder", AllowedPattern=_PREFIX),
        "ProjectArn": text("The project that may be used; empty for none", "", AllowedPattern=_ARN_OR_NOTHING),
        "Stages": text(
            "The stages of the project and the blueprints that may be used",
            "LIVE",
            AllowedValues=["LIVE", "DEVELOPMENT", "LIVE,DEVELOPMENT"],
        ),
        "BlueprintArns": texts("The blueprints that may be used, with commas between them; empty for none"),
        "KmsKeyArn": text(
            "The key that jobs may be encrypted with; empty for none", "", AllowedPattern=_ARN_OR_NOTHING
        ),
        "BucketKeyArns": texts("The keys that encrypt the buckets themselves; empty for S3's own"),
        "DataKeyArn": text(
            "The key that encrypts logs, queues and the functions' variables; empty for AWS's own",
            "",
            AllowedPattern=_ARN_OR_NOTHING,
        ),
        "LogRetentionDays": number("How long logs are kept, in days", 365, AllowedValues=list(_RETENTION_DAYS)),
        "TimeoutSeconds": number(
            "How long one request may take, throttled calls that are tried again included",
            60,
            MinValue=10,
            MaxValue=900,
        ),
        "ReservedConcurrency": number("How many requests may be worked on at once; 0 sets no limit", 0, MinValue=0),
        "SubnetIds": texts("Subnets with a route to BDA's endpoint, to run in a VPC; empty for none"),
        "SecurityGroupIds": texts("Security groups in that VPC"),
    }


def _rules(region: str) -> Template:
    assertion = {
        "Assert": {"Fn::Equals": [ref("AWS::Region"), region]},
        "AssertDescription": f"This template is for {region}: airflow-bda lambda template --region makes others",
    }
    return {"MadeForThisRegion": {"Assertions": [assertion]}}


def _conditions() -> Template:
    return {
        "HasProject": given("ProjectArn"),
        "HasBlueprints": list_given("BlueprintArns"),
        "HasKey": given("KmsKeyArn"),
        "HasBucketKeys": list_given("BucketKeyArns"),
        "HasDataKey": given("DataKeyArn"),
        "HasLimit": {"Fn::Not": [{"Fn::Equals": [ref("ReservedConcurrency"), 0]}]},
        "InVpc": list_given("SubnetIds"),
    }


class _Placeholders(Workload):
    """The function's workload, whose parts CloudFormation fills in."""

    @property
    def partition(self) -> str:
        return "${AWS::Partition}"

    @property
    def dns_suffix(self) -> str:
        return "${AWS::URLSuffix}"


def _statements(profiles: tuple[str, ...]) -> list[Any]:
    """Return what the role may do; a statement about a parameter that may be empty has its condition."""
    workload = _Placeholders(
        region="${AWS::Region}",
        account="${AWS::AccountId}",
        input_uri=S3Uri("${InputPrefix}"),
        output_uri=S3Uri("${OutputPrefix}"),
        profile_arns=profiles,
        project_arn="${ProjectArn}",
        kms_key_arn="${KmsKeyArn}",
        output_key_arn="${BucketKeyArns}",
    )
    statements = []
    # Listing buckets only helps to explain what is missing, and a prefix may be more than a bucket.
    for each in (each for each in function_permissions(workload) if LIST not in each.actions):
        via = {"StringEquals": {"kms:ViaService": sub(each.via)}} if each.via else None
        resources = [sub(resource) for resource in each.resources]
        if each.resources == ("${ProjectArn}",):
            statements.append(either("HasProject", statement(each.sid, list(each.actions), resources)))
            blueprints = statement("InvokeBdaBlueprints", list(each.actions), ref("BlueprintArns"))
            statements.append(either("HasBlueprints", blueprints))
        elif each.resources == ("${BucketKeyArns}",):
            keys = statement(each.sid, list(each.actions), ref("BucketKeyArns"), via)
            statements.append(either("HasBucketKeys", keys))
        elif each.resources == ("${KmsKeyArn}",):
            statements.append(either("HasKey", statement(each.sid, list(each.actions), resources, via)))
        else:
            statements.append(statement(each.sid, list(each.actions), resources, via))
    return statements


def _variables() -> Template:
    return {
        INPUT_PREFIXES: sub("s3://${InputPrefix}"),
        OUTPUT_PREFIXES: sub("s3://${OutputPrefix}"),
        PROJECTS: ref("ProjectArn"),
        STAGES: ref("Stages"),
        BLUEPRINTS: {"Fn::Join": [",", ref("BlueprintArns")]},
        KMS_KEYS: ref("KmsKeyArn"),
    }


def _arn(resource: str) -> Template:
    return {"Fn::GetAtt": [resource, "Arn"]}
