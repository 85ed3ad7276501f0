"""
The sub-commands of ``airflow-bda`` that have no room of their own.

Each module has ``add_arguments(parser)`` and ``run(args)``, which returns the exit status; a module with several
commands has ``add_<name>_arguments`` and ``run_<name>`` for each. Importing one imports neither Airflow nor an AWS
library, so that ``--help`` answers at once.
"""
