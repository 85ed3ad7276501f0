"""
The CloudFormation template that deploys the functions, for one region.

The region decides which profile is used and where it may route a call to, and the function's role must name the profile
in each of those regions. Everything else is a parameter.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from airflow_bda.aws_lambda import template_events
from airflow_bda.aws_lambda.allow_lists import BLUEPRINTS, INPUT_PREFIXES, KMS_KEYS, OUTPUT_PREFIXES, PROJECTS
from airflow_bda.aws_lambda.package import HANDLER
from airflow_bda.aws_lambda.template_parts import (
    either,
    function,
    function_role,
    given,
    list_given,
    log_group,
    number,
    ref,
    statement,
    sub,
    text,
    texts,
)
from airflow_bda.service.profiles import routed_profile_arns

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
        "Parameters": _parameters() | template_events.PARAMETERS,
        "Rules": _rules(region),
        "Conditions": _conditions() | template_events.CONDITIONS,
        "Resources": {
            "Role": function_role(_statements(profiles)),
            "LogGroup": log_group("/aws/lambda/${FunctionName}"),
            "Function": function(
                name=ref("FunctionName"),
                description="Starts data automation jobs and tells how they stand",
                handler=HANDLER,
                role="Role",
                log_group="LogGroup",
                timeout=ref("TimeoutSeconds"),
                variables=_variables(),
            ),
            **template_events.resources(),
        },
        "Outputs": {
            "FunctionName": {"Description": "For BdaLambdaInvokeOperator(function_name=...)", "Value": ref("Function")},
            "FunctionArn": {"Description": "For policies with lambda:InvokeFunction", "Value": _arn("Function")},
            "RoleArn": {"Description": "For key and bucket policies", "Value": _arn("Role")},
            **template_events.OUTPUTS,
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


def _statements(profiles: tuple[str, ...]) -> list[Any]:
    """Give what the role may do: start and follow jobs, with the S3 and KMS that BDA uses in its caller's name."""
    invoke = "bedrock:InvokeDataAutomationAsync"
    jobs = sub("arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:data-automation-invocation/*")
    via_bda = {"StringEquals": {"kms:ViaService": sub("bedrock.${AWS::Region}.${AWS::URLSuffix}")}}
    via_s3 = {"StringEquals": {"kms:ViaService": sub("s3.${AWS::Region}.${AWS::URLSuffix}")}}
    key_use = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    return [
        statement("UseProfile", [invoke], [sub(arn) for arn in profiles]),
        statement("StartAndFollowJobs", [invoke, "bedrock:GetDataAutomationStatus"], [jobs]),
        either("HasProject", statement("UseProject", [invoke], [ref("ProjectArn")])),
        either("HasBlueprints", statement("UseBlueprints", [invoke], ref("BlueprintArns"))),
        statement("ReadInput", ["s3:GetObject"], [sub("arn:${AWS::Partition}:s3:::${InputPrefix}/*")]),
        statement("WriteResults", ["s3:PutObject"], [sub("arn:${AWS::Partition}:s3:::${OutputPrefix}/*")]),
        either("HasKey", statement("UseJobKey", key_use, [ref("KmsKeyArn")], via_bda)),
        either(
            "HasBucketKeys",
            statement("UseBucketKeys", ["kms:Decrypt", "kms:GenerateDataKey"], ref("BucketKeyArns"), via_s3),
        ),
    ]


def _variables() -> Template:
    return {
        INPUT_PREFIXES: sub("s3://${InputPrefix}"),
        OUTPUT_PREFIXES: sub("s3://${OutputPrefix}"),
        PROJECTS: ref("ProjectArn"),
        BLUEPRINTS: {"Fn::Join": [",", ref("BlueprintArns")]},
        KMS_KEYS: ref("KmsKeyArn"),
    }


def _arn(resource: str) -> Template:
    return {"Fn::GetAtt": [resource, "Arn"]}
