"""
BDA from AWS Lambda: the functions, the zip that holds them, and the template that deploys them.

Works where Airflow is not installed: nothing here needs more than boto3 and :mod:`airflow_bda.service`.
"""
