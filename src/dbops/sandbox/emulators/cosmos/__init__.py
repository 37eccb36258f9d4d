"""A server that answers as the SQL API of Azure Cosmos DB does, as far as azure-cosmos asks.

Settings of its own: `key` (base64, as an account key), `partitions` (physical partitions of a new container, 4) and
`databases` (names of those that it has from the start).
A fault of its own: {"kind": "split", "path": "dbs/D/colls/C/pkranges/0$"} splits that partition when it is next
asked by its number, which is then answered with 410.

What it cannot do is refused with 501 and the name of the feature.
"""
