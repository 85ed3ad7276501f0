"""
The sub-commands of ``airflow-bda`` that have no room of their own.

Each module has ``add_arguments(parser)`` and ``run(args)``, which returns the exit status. Importing one costs no
import of Airflow or of an AWS library, so that ``--help`` answers at once.
"""
