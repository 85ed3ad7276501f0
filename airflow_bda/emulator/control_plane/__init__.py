"""
BDA's control plane: projects and blueprints, made, read, listed, changed and deleted.

A second backend of moto beside the runtime's, for the client ``bedrock-data-automation``. What is made here the runtime
works with: a project's blueprints, in the stage that is asked for, once the project is ``COMPLETED``.
"""
