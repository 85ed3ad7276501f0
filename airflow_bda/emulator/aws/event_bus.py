"""
From an event of a service to the targets of moto's EventBridge rules.

moto keeps the buses, rules and patterns. It is not asked to deliver, because what it delivers to a queue lacks the
account, it has no Lambda targets, and it delivers for disabled rules too.
"""

from __future__ import annotations

import copy
import json
import logging
from typing import TYPE_CHECKING, Any

from moto.awslambda.utils import get_backend as get_lambda_backend
from moto.core.utils import unix_time
from moto.events.models import events_backends
from moto.events.utils import EventTemplateParser
from moto.sqs.models import sqs_backends
from moto.utilities.arns import parse_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.events.models import Rule

_DEFAULT_BUS = "default"
_ENABLED = "ENABLED"

logger = logging.getLogger(__name__)


def send_to_rules(event: Mapping[str, Any]) -> None:
    """
    Send an event to every target of the rules on the default bus that match it.

    :param event: as EventBridge's targets get it; its account and region say whose bus it is.
    """
    motos: Any = dict(event)
    bus = events_backends[event["account"]][event["region"]].describe_event_bus(_DEFAULT_BUS)
    for rule in tuple(bus.rules.values()):
        if rule.state == _ENABLED and rule.event_pattern.matches_event(motos):
            for target in tuple(rule.targets):
                _send_to_target(rule, target, event)


def _send_to_target(rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    try:
        arn = parse_arn(target["Arn"])
        if arn.service == "sqs":
            sqs_backends[arn.account][arn.region].send_message(
                queue_name=arn.resource_id,
                message_body=json.dumps(_input(target, event)),
                group_id=(target.get("SqsParameters") or {}).get("MessageGroupId"),
            )
        elif arn.service == "lambda":
            get_lambda_backend(arn.account, arn.region).invoke(
                function_name=target["Arn"],
                qualifier=None,
                body=json.dumps(_input(target, event)),
                headers={"x-amz-invocation-type": "Event"},
                response_headers={},
            )
        else:
            alone = copy.copy(rule)
            alone.targets = [dict(target)]
            # Numbers, which moto writes in its own way for each kind of target.
            motos: Any = {**event, "time": unix_time(), "ingestion-time": unix_time()}
            alone.send_to_targets(motos)
    except Exception:
        # As in AWS: a target that fails affects neither the job nor the other targets.
        logger.exception("Rule %s could not deliver an event to %s", rule.name, target.get("Arn"))


def _input(target: Mapping[str, Any], event: Mapping[str, Any]) -> Any:
    transformer = target.get("InputTransformer")
    if not transformer:
        return event
    motos: Any = {**event, "ingestion-time": event["time"]}
    return EventTemplateParser.parse(
        input_template=transformer.get("InputTemplate"),
        input_paths_map=transformer.get("InputPathsMap") or {},
        event=motos,
    )
