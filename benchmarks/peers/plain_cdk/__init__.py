"""OpenEMR on Fargate as a team writes it that follows the CDK's guide: its high-level constructs, in one stack."""
