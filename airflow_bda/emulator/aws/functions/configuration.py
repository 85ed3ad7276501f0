"""What a function is, as far as running it goes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FunctionConfiguration:
    """
    One version of one function. Two that are equal can share a process.

    :param handler: ``package.module.function``.
    :param timeout_seconds: how long one invocation may take.
    :param memory_mb: how much memory the process may use, in MiB.
    :param variables: the function's environment, as sorted pairs.
    :param credentials: the environment variables of its role's session; empty where it acts as the account itself.
    :param code_sha_256: of the code.
    :param code: the zip.
    """

    arn: str
    name: str
    version: str
    region: str
    runtime: str
    handler: str
    timeout_seconds: int
    memory_mb: int
    variables: tuple[tuple[str, str], ...]
    credentials: tuple[tuple[str, str], ...]
    code_sha_256: str
    code: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class Invocation:
    """
    One call of a function.

    :param payload: the event, as JSON text.
    :param client_context: as JSON text.
    """

    request_id: str
    payload: bytes
    client_context: str | None = None


@dataclass(frozen=True)
class InvocationResult:
    """
    How an invocation ended.

    :param payload: what the function returned, or what is said of its failure; JSON text.
    :param is_error: whether the function raised, timed out or ended its process.
    :param log: what it wrote, and Lambda's own lines about it.
    """

    payload: bytes
    is_error: bool
    log: str
