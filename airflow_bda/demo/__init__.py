"""
The demo: documents through the real example DAG, on Airflow's own SQLite set-up, against the emulator.

The emulator runs in the command's process, Airflow in one child process for all documents.
"""
