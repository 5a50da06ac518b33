"""The program that spark-submit runs; the job itself is the package `clickstream` beside this file.

    spark-submit clickstream_job.py SETTINGS.json

clickstream/__init__.py describes the settings.
"""

from clickstream.job import main

if __name__ == "__main__":
    main()
