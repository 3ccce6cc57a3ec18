"""Raw judgements: reading what people bring, checking it, and keeping it in one Parquet store."""
