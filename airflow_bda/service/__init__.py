"""What BDA is: requests, ARNs, profiles, statuses, results. No Airflow, no client, no I/O."""
