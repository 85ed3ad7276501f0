"""
Tell Docker whether one of Airflow's jobs in this container is alive, by its heartbeat in the database.

    python healthy.py SchedulerJob

`airflow jobs check` says the same after it has imported Airflow, for seconds of a core; this takes a tenth of one.
"""

from __future__ import annotations

import os
import socket
import sys

import psycopg2

# Airflow's jobs beat every five seconds; one that missed so many hangs.
SILENCE_SECONDS = 60
QUERY = """
    SELECT count(*) FROM job
    WHERE job_type = %s AND hostname = %s AND state = 'running' AND latest_heartbeat > now() - %s * interval '1 second'
"""


def main() -> int:
    """Return 0 when the job beats."""
    address = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    connection = psycopg2.connect(address, connect_timeout=5)
    with connection.cursor() as cursor:
        cursor.execute(QUERY, (sys.argv[1], socket.gethostname(), SILENCE_SECONDS))
        ((alive,),) = cursor.fetchall()
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
