"""A batch export for a Spark job: python scripts/examples/spark_export.py catalog.db out.parquet

In Spark: spark.read.parquet("out.parquet") has the columns id, key, ..., vector: array<float>.
"""

import sys

import pyarrow.parquet as pq

from recommender import Recommender
from recommender.collection.export import export

catalog, out = sys.argv[1:3]
with Recommender.open(catalog) as sound:
    count = export(sound, out, replace=True)  # streamed: any size in little memory
schema = pq.read_schema(out)
print(f"{count} tracks;", ", ".join(f"{field.name}: {field.type}" for field in schema))
