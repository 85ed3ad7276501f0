"""How to wait for a service that only answers when asked: asyncio, no Airflow."""
