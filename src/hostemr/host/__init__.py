"""The agent of an Express Plus server: set-up, backup, restore, drill, status.

Standard library only: it travels inside the CloudFormation template and runs on the Python of a bare Ubuntu. It
drives Docker, mariadb-backup, restic or Duplicity, and the AWS command line, which the set-up installs.
"""
