"""Analytics: what an export of the database to S3 holds, read, de-identified and counted with Spark.

The same code runs locally and on EMR Serverless, whose Spark 3.5 comes with Python 3.9: modules of this package keep to
that Python's syntax and library, and to the DataFrame functions that Spark 3.5 and 4 share.
"""
