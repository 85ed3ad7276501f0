"""Tell whether Celery's broker is up, which is so with the stack's profile `celery`: the status is 0 if it answers."""

from __future__ import annotations

import os
import sys

from redis import Redis, RedisError


def main() -> int:
    """Ask it, with the password that only this stack's has."""
    try:
        Redis.from_url(os.environ["AIRFLOW__CELERY__BROKER_URL"], socket_connect_timeout=2).ping()
    except RedisError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
