"""
Projects and blueprints from files: what the files say, what the account has, the plan between the two, and its steps.

Nothing here deletes anything. It takes a boto3 client of ``bedrock-data-automation``, and knows no Airflow.
"""
