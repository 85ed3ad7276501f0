"""
The files that put this package on Amazon Managed Workflows for Apache Airflow (MWAA).

https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
"""
